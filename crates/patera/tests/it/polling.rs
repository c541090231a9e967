//! HTTP long-polling: the wire, what is refused, CORS, cookie, hooks.

use patera::{Config, Cookie, Cors, CorsOrigin, Io, Reply, Socket};

use crate::support::{Polling, eventually, http, serve};

fn echo() -> Io {
    let io = Io::new();
    io.on("echo", async |text: String| Reply(text));
    io
}

#[tokio::test]
async fn a_session_over_polling_alone() {
    let io = echo();
    let polling = Polling::connect(serve(&io).await).await;
    assert_eq!(polling.post("420[\"echo\",\"é\"]\u{1e}421[\"echo\",\"two\"]").await.brief(), (200, "ok"));
    let answer = polling.get().await;
    assert_eq!(answer.brief(), (200, "430[\"é\"]\u{1e}431[\"two\"]"));
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=UTF-8"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let posted = polling.post("422[\"echo\",\"\"]").await;
    assert_eq!(posted.header("content-type"), Some("text/html"));
}

#[tokio::test]
async fn a_poll_waits_for_what_comes() {
    let io = Io::new();
    let polling = Polling::connect(serve(&io).await).await;
    let (poll, ()) = tokio::join!(polling.get(), async {
        eventually(|| io.stats().sockets == 1).await;
        io.emit("late", bytes::Bytes::from_static(&[1, 2, 3, 4]));
    });
    assert_eq!(poll.body, "451-[\"late\",{\"_placeholder\":true,\"num\":0}]\u{1e}bAQIDBA==");
}

#[tokio::test]
async fn open_packet_has_the_exact_keys() {
    let io = Io::new();
    let address = serve(&io).await;
    let open = http(address, "GET", "/socket.io/?EIO=4&transport=polling", "", "").await;
    let sid = open.body.split('"').nth(3).unwrap();
    assert_eq!(sid.len(), 20);
    let expected = format!(
        r#"0{{"sid":"{sid}","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}}"#
    );
    assert_eq!(open.body, expected);
}

#[tokio::test]
async fn refused_requests() {
    let mut config = Config::default();
    config.allow_request(async |request| match request.query_value("let") {
        Some(_) => Err("not you".into()),
        None => Ok(()),
    });
    let io = Io::with_config(config);
    let address = serve(&io).await;
    let session = Polling::open(address).await.sid;
    let code = |code, message| format!(r#"{{"code":{code},"message":"{message}"}}"#);
    let table = [
        ("GET", "EIO=4".to_owned(), 400, code(0, "Transport unknown")),
        ("GET", "EIO=4&transport=tcp".to_owned(), 400, code(0, "Transport unknown")),
        ("GET", "EIO=4&transport=polling&sid=nobody".to_owned(), 400, code(1, "Session ID unknown")),
        ("POST", "EIO=4&transport=polling".to_owned(), 400, code(2, "Bad handshake method")),
        ("GET", "EIO=4&transport=websocket".to_owned(), 400, code(3, "Bad request")),
        ("GET", format!("EIO=4&transport=websocket&sid={session}"), 400, code(3, "Bad request")),
        ("GET", "EIO=4&transport=polling&let=me".to_owned(), 403, code(4, "not you")),
        ("GET", "EIO=3&transport=polling".to_owned(), 400, code(5, "Unsupported protocol version")),
        ("GET", "transport=polling".to_owned(), 400, code(5, "Unsupported protocol version")),
        ("PUT", format!("EIO=4&transport=polling&sid={session}"), 405, String::new()),
    ];
    for (method, query, status, body) in table {
        let response = http(address, method, &format!("/socket.io/?{query}"), "", "").await;
        assert_eq!(response.brief(), (status, &*body), "{method} {query}");
        if !body.is_empty() {
            assert_eq!(response.header("content-type"), Some("application/json"), "{query}");
        }
    }
    assert_eq!(io.stats().sessions, 1, "the session is untouched");
}

#[tokio::test]
async fn second_poll_ends_the_session() {
    let io = Io::new();
    let polling = Polling::connect(serve(&io).await).await;
    let (a, b) = tokio::join!(polling.get(), polling.get());
    let mut answers = [a.brief(), b.brief()];
    answers.sort_unstable();
    assert_eq!(answers, [(200, "1"), (400, "")]);
    eventually(|| io.stats().sessions == 0).await;
    assert_eq!(polling.get().await.brief(), (400, r#"{"code":1,"message":"Session ID unknown"}"#));
}

#[tokio::test]
async fn invalid_body_is_400_and_ends_the_session() {
    let io = Io::new();
    let address = serve(&io).await;
    for (headers, body, status) in [
        ("", "garbage", 400),
        ("", "4\u{1e}", 400),
        ("Content-Type: application/octet-stream\r\n", "4hello", 400),
        ("Content-Encoding: gzip\r\n", "4hello", 415),
    ] {
        let polling = Polling::connect(address).await;
        let response = http(address, "POST", &polling.target(), headers, body).await;
        assert_eq!(response.status, status, "{headers}{body:?}");
        eventually(|| io.stats().sessions == 0).await;
    }
}

#[tokio::test]
async fn body_is_bounded() {
    let mut config = Config::default();
    config.max_http_buffer_size = 20;
    let io = Io::with_config(config);
    io.on("e", async |text: String| Reply(text.len()));
    let address = serve(&io).await;
    for (bytes, status) in [(19, 200), (20, 200), (21, 413)] {
        let polling = Polling::connect(address).await;
        let text = "x".repeat(bytes - 11);
        assert_eq!(polling.post(&format!(r#"420["e","{text}"]"#)).await.status, status, "{bytes} bytes");
    }
    eventually(|| io.stats().sessions == 2).await;
}

#[tokio::test]
async fn control_packets_are_bounded() {
    let io = Io::new();
    let address = serve(&io).await;
    for (count, status) in [(15, 200), (16, 200), (17, 400)] {
        let polling = Polling::connect(address).await;
        let body = vec!["6"; count].join("\u{1e}");
        assert_eq!(polling.post(&body).await.status, status, "{count} packets");
    }
}

#[tokio::test]
async fn many_packets_of_one_body_arrive_in_order() {
    let io = Io::new();
    io.on("n", async |s: Socket, n: u32| s.emit("n", n));
    let polling = Polling::connect(serve(&io).await).await;
    let packets = |count| (0..count).map(|n| format!("42[\"n\",{n}]")).collect::<Vec<_>>().join("\u{1e}");
    assert_eq!(polling.post(&packets(1000)).await.brief(), (200, "ok"));
    let mut got = String::new();
    while got.len() < packets(1000).len() {
        if !got.is_empty() {
            got.push('\u{1e}');
        }
        got.push_str(&polling.get().await.body);
    }
    assert_eq!(got, packets(1000));
}

#[tokio::test]
async fn close_packet_ends_the_session_and_releases_the_poll() {
    let io = Io::new();
    let polling = Polling::connect(serve(&io).await).await;
    let (poll, post) = tokio::join!(polling.get(), polling.post("1\u{1e}42[\"never\"]"));
    assert_eq!(post.brief(), (200, "ok"));
    assert_eq!(poll.brief(), (200, "6"));
    eventually(|| io.stats().sessions == 0).await;
}

#[tokio::test]
async fn cors_cookie_and_hooks_set_headers() {
    let mut config = Config::default();
    config.cors =
        Some(Cors { origin: CorsOrigin::List(vec!["https://a.example".into()]), credentials: true, ..Cors::default() });
    config.cookie = Some(Cookie::default());
    config.initial_headers(|headers, request| {
        assert!(request.url().starts_with("/socket.io/"));
        headers.insert("x-first", "1".parse().unwrap());
    });
    config.headers(|headers, _| {
        headers.insert("x-every", "2".parse().unwrap());
    });
    let io = Io::with_config(config);
    let address = serve(&io).await;
    let target = "/socket.io/?EIO=4&transport=polling";
    let open = http(address, "GET", target, "Origin: https://a.example\r\n", "").await;
    let sid = open.body.split('"').nth(3).unwrap().to_owned();
    assert_eq!(open.header("access-control-allow-origin"), Some("https://a.example"));
    assert_eq!(open.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(open.header("vary"), Some("Origin"));
    assert_eq!(open.header("set-cookie"), Some(&*format!("io={sid}; Path=/; HttpOnly; SameSite=Lax")));
    assert_eq!((open.header("x-first"), open.header("x-every")), (Some("1"), Some("2")));
    let polling = Polling { address, sid };
    let posted = polling.post("40").await;
    assert_eq!((posted.header("x-first"), posted.header("x-every")), (None, Some("2")));
    assert_eq!(posted.header("set-cookie"), None);
    let foreign = http(address, "GET", target, "Origin: https://b.example\r\n", "").await;
    assert_eq!((foreign.status, foreign.header("access-control-allow-origin")), (200, None));
    let preflight =
        http(address, "OPTIONS", target, "Origin: https://a.example\r\nAccess-Control-Request-Method: POST\r\n", "")
            .await;
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-methods"), Some("GET,HEAD,PUT,PATCH,POST,DELETE"));
}

#[tokio::test]
async fn foreign_origins_are_refused_where_a_list_is_given() {
    let mut config = Config::default();
    config.origins = Some(vec!["https://a.example".to_owned()]);
    let io = Io::with_config(config);
    let address = serve(&io).await;
    let polling = "/socket.io/?EIO=4&transport=polling";
    let websocket = "/socket.io/?EIO=4&transport=websocket";
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    for (origin, status) in
        [("", 200), ("Origin: https://a.example\r\n", 200), ("Origin: https://evil.example\r\n", 403)]
    {
        assert_eq!(http(address, "GET", polling, origin, "").await.status, status, "{origin}");
    }
    let refused = http(address, "GET", websocket, &format!("{upgrade}Origin: https://evil.example\r\n"), "").await;
    assert_eq!(refused.brief(), (403, "Forbidden"));
}
