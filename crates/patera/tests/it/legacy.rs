//! Clients of Socket.IO 1 and 2: Engine.IO 3 and Socket.IO protocol 4 on the wire, byte by byte, over memory.

use std::cell::Cell;
use std::time::Duration;

use bytes::Bytes;
use patera::engine::{Engine, Session};
use patera::{Config, DisconnectReason, Error, Io, Reply, Socket, Value, Version};
use serde::{Serialize, Serializer};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::support::eventually;
use crate::wire::{Polling, Server, WebSocket};

fn config() -> Config {
    let mut config = Config::default();
    config.allow_eio3 = true;
    config
}

/// With an event `echo`, and one `bytes` that sends four.
fn echo() -> Io {
    let io = Io::with_config(config());
    io.on("echo", async |text: String| Reply(text));
    io.on("size", async |data: Bytes| Reply(data.len()));
    io.on("bytes", async |socket: Socket| socket.emit("é", Bytes::from_static(&[1, 2, 3, 4])));
    io
}

/// Packets, each behind its length in UTF-16 code units.
fn payload(packets: &[&str]) -> String {
    packets.iter().map(|packet| format!("{}:{packet}", packet.encode_utf16().count())).collect()
}

#[tokio::test]
async fn polling_has_payloads_with_lengths() {
    let server = Server::new(&echo());
    let (polling, open) = Polling::open(&server, "EIO=3&transport=polling").await;
    let packet = format!(
        r#"0{{"sid":"{}","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}}"#,
        polling.sid
    );
    assert_eq!(open.text(), payload(&[&packet]));
    assert_eq!(open.header("content-type"), Some("text/plain; charset=UTF-8"));
    assert_eq!(polling.get().await.text(), "2:40", "the default namespace, unasked, with the second answer");
    assert_eq!(polling.post("", r#"17:420["echo","€😀"]1:2"#).await.brief(), (200, "ok"));
    assert_eq!(polling.get().await.text(), r#"1:325:430["\u20ac\ud83d\ude00"]"#, "ASCII alone");
}

#[tokio::test]
async fn text_that_was_encoded_twice_is_read_right() {
    let server = Server::new(&echo());
    let polling = Polling::connect(&server, "EIO=3&transport=polling").await;
    // What engine.io-parser 1.x makes of é: two characters, and a length that counts both.
    assert_eq!(polling.post("", "16:420[\"echo\",\"\u{c3}\u{a9}\"]").await.brief(), (200, "ok"));
    assert_eq!(polling.get().await.text(), r#"13:430["\u00e9"]"#);
}

#[tokio::test]
async fn bytes_make_a_payload_binary() {
    let server = Server::new(&echo());
    let polling = Polling::connect(&server, "EIO=3&transport=polling").await;
    let octets = "Content-Type: application/octet-stream\r\n";
    assert_eq!(polling.post(octets, b"\x00\x01\x01\xff42[\"bytes\"]").await.brief(), (200, "ok"));
    let answer = polling.get().await;
    assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
    let text = br#"451-["\u00e9",{"_placeholder":true,"num":0}]"#;
    assert_eq!(text.len(), 44);
    assert_eq!(answer.body, [b"\x00\x04\x04\xff", &text[..], b"\x01\x05\xff\x04\x01\x02\x03\x04"].concat());

    let header = br#"451-7["size",{"_placeholder":true,"num":0}]"#;
    let body = [b"\x00\x04\x03\xff", &header[..], b"\x01\x03\xff\x04\x08\x09"].concat();
    assert_eq!(polling.post(octets, &body).await.brief(), (200, "ok"));
    let answer = polling.get().await;
    assert_eq!(answer.text(), "6:437[2]", "text again, where there is nothing else");
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=UTF-8"));
}

#[tokio::test]
async fn base64_is_asked_for_in_the_handshake_alone() {
    let server = Server::new(&echo());
    let polling =
        Polling::connect(&server, "EIO=3&transport=polling&b64=1").await.with_query("EIO=3&transport=polling");
    polling.post("", r#"11:42["bytes"]"#).await;
    assert_eq!(polling.get().await.text(), r#"44:451-["\u00e9",{"_placeholder":true,"num":0}]10:b4AQIDBA=="#);
    polling.post("", r#"43:451-7["size",{"_placeholder":true,"num":0}]6:b4CAk="#).await;
    assert_eq!(polling.get().await.text(), "6:437[2]");
}

#[tokio::test]
async fn jsonp_is_a_script_and_a_form() {
    let server = Server::new(&echo());
    let (polling, open) = Polling::open(&server, "EIO=3&transport=polling&j=7").await;
    assert!(open.text().starts_with("___eio[7](\"118:0{\\\"sid\\\":\\\""), "{}", open.text());
    assert!(open.text().ends_with("}\");"), "{}", open.text());
    assert_eq!(open.header("content-type"), Some("text/javascript; charset=UTF-8"));
    assert_eq!(polling.get().await.text(), r#"___eio[7]("2:40");"#);

    // In a form a line feed is `\n`, and what was `\n` already is `\\n`.
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let body = "d=18%3A420%5B%22echo%22%2C%22a%5C%5Cnb%22%5D";
    assert_eq!(polling.post(form, body).await.brief(), (200, "ok"));
    assert_eq!(polling.get().await.text(), r#"___eio[7]("11:430[\"a\\nb\"]");"#);

    polling.post(form, "d=11:42[\"bytes\"]").await;
    let script = r#"___eio[8]("44:451-[\"\\u00e9\",{\"_placeholder\":true,\"num\":0}]10:b4AQIDBA==");"#;
    let polling = polling.with_query("EIO=3&transport=polling&j=8");
    assert_eq!(polling.get().await.text(), script, "the function is the request's");
}

#[tokio::test]
async fn jsonp_calls_numbers_alone_and_is_of_engine_io_3() {
    let io = echo();
    let server = Server::new(&io);
    for index in ["", "0](alert(1))//", "-1", "4294967296", "1&j=2"] {
        let target = format!("/socket.io/?EIO=3&transport=polling&j={index}");
        let refused = server.request("GET", &target, "", b"").await;
        assert_eq!(refused.brief(), (400, r#"{"code":3,"message":"Bad request"}"#), "{index}");
    }
    assert_eq!(io.stats().sessions, 0);
    let (_, open) = Polling::open(&server, "EIO=4&transport=polling&j=0").await;
    assert!(open.text().starts_with("0{"), "there `j` is the application's");
}

#[tokio::test]
async fn where_origins_count_there_is_no_jsonp() {
    let mut config = config();
    config.origins = Some(vec!["https://a.example".to_owned()]);
    let server = Server::new(&Io::with_config(config));
    let refused = (403, r#"{"code":4,"message":"Forbidden"}"#);
    let open = server.request("GET", "/socket.io/?EIO=3&transport=polling&j=0", "", b"").await;
    assert_eq!(open.brief(), refused, "a script tag does not say whose page it is on");
    let polling = Polling::connect(&server, "EIO=3&transport=polling").await;
    assert_eq!(polling.clone().with_query("EIO=3&transport=polling&j=0").get().await.brief(), refused);
    assert_eq!(polling.post("", "1:2").await.brief(), (200, "ok"));
}

#[tokio::test]
async fn a_body_that_is_no_payload_ends_the_session() {
    let (io, mut reasons) = with_reasons(config());
    let server = Server::new(&io);
    let octets = "Content-Type: application/octet-stream\r\n";
    for (query, headers, body) in [
        ("", "", ""),
        ("", "", "garbage"),
        ("", "", "99:4hello"),
        ("", "", "1:2hello"),
        ("", "", "1:2\u{1e}1:2"),
        ("", "", "4:b4A="),
        ("", octets, "1:2"),
        ("&j=0", "", "1:2"),
        ("&j=0", "", "d="),
        ("&j=0", "", "d=garbage"),
    ] {
        let polling = Polling::connect(&server, &format!("EIO=3&transport=polling{query}")).await;
        let (poll, post) = tokio::join!(polling.get(), polling.post(headers, body));
        assert_eq!(post.brief(), (400, r#"{"code":3,"message":"Bad request"}"#), "{body:?}");
        let goodbye = if query.is_empty() { "1:1" } else { r#"___eio[0]("1:1");"# };
        assert_eq!(poll.brief(), (200, goodbye), "{body:?}");
        assert_eq!(reasons.recv().await.unwrap().1, DisconnectReason::ParseError);
    }
    eventually(|| io.stats().sessions == 0).await;
}

#[tokio::test]
async fn control_packets_of_a_body_are_bounded() {
    let io = echo();
    let server = Server::new(&io);
    for (query, count, status) in [("", 15, 200), ("", 16, 200), ("", 17, 400), ("&j=0", 16, 200), ("&j=0", 17, 400)] {
        let polling = Polling::connect(&server, &format!("EIO=3&transport=polling{query}")).await;
        let body = format!("{}{}", if query.is_empty() { "" } else { "d=" }, "1:2".repeat(count));
        assert_eq!(polling.post("", &body).await.status, status, "{count} packets");
    }
}

#[tokio::test]
async fn many_packets_of_one_body_arrive_in_order() {
    let io = Io::with_config(config());
    io.on("n", async |socket: Socket, n: u32| socket.emit("n", n));
    let server = Server::new(&io);
    let polling = Polling::connect(&server, "EIO=3&transport=polling").await;
    let packets: Vec<_> = (0..1000).map(|n| format!("42[\"n\",{n}]")).collect();
    let body = payload(&packets.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(polling.post("", &body).await.brief(), (200, "ok"));
    let mut got = String::new();
    while got.len() < body.len() {
        got.push_str(polling.get().await.text());
    }
    assert_eq!(got, body);
}

#[tokio::test]
async fn close_packet_ends_the_session_and_releases_the_poll() {
    let io = echo();
    let server = Server::new(&io);
    let polling = Polling::connect(&server, "EIO=3&transport=polling").await;
    let (poll, post) = tokio::join!(polling.get(), polling.post("", "1:1"));
    assert_eq!((post.brief(), poll.brief()), ((200, "ok"), (200, "1:6")));
    eventually(|| io.stats().sessions == 0).await;
}

#[tokio::test]
async fn binary_frames_begin_with_a_type() {
    let server = Server::new(&echo());
    let mut client = WebSocket::open(&server, "EIO=3&transport=websocket").await;
    let open = client.text().await;
    assert!(open.starts_with("0{\"sid\":\"") && open.contains(r#""upgrades":[],"#), "{open}");
    client.expect("40").await;
    client.send(r#"420["echo","é"]"#).await;
    client.expect(r#"430["é"]"#).await;
    client.send(r#"42["bytes"]"#).await;
    client.expect(r#"451-["é",{"_placeholder":true,"num":0}]"#).await;
    assert_eq!(client.binary().await, [4, 1, 2, 3, 4]);
    client.send(r#"451-7["size",{"_placeholder":true,"num":0}]"#).await;
    client.send_binary(&[4, 8, 9]).await;
    client.expect("437[2]").await;
    client.send("2").await;
    client.expect("3").await;
}

#[tokio::test]
async fn a_websocket_may_have_base64_too() {
    let server = Server::new(&echo());
    let mut client = WebSocket::connect(&server, "EIO=3&transport=websocket&b64=1").await;
    client.send(r#"42["bytes"]"#).await;
    client.expect(r#"451-["é",{"_placeholder":true,"num":0}]"#).await;
    client.expect("b4AQIDBA==").await;
    client.send(r#"451-7["size",{"_placeholder":true,"num":0}]"#).await;
    client.send("b4CAk=").await;
    client.expect("437[2]").await;
}

#[tokio::test]
async fn a_frame_that_is_no_packet_ends_the_session() {
    let (io, mut reasons) = with_reasons(config());
    let server = Server::new(&io);
    for frame in [&b"\x05"[..], b"", b"\x00\x04", b"\x01"] {
        let mut client = WebSocket::connect(&server, "EIO=3&transport=websocket").await;
        client.send_binary(frame).await;
        assert_eq!(reasons.recv().await.unwrap().1, DisconnectReason::ParseError, "{frame:?}");
        assert_eq!(client.closed().await, Some(1008));
    }
    for frame in ["", "7", "bAQ==", "b4A"] {
        let mut client = WebSocket::connect(&server, "EIO=3&transport=websocket").await;
        client.send(frame).await;
        assert_eq!(reasons.recv().await.unwrap().1, DisconnectReason::ParseError, "{frame:?}");
        assert_eq!(client.closed().await, Some(1008));
    }
    // A pong: there the client asks.
    let mut client = WebSocket::connect(&server, "EIO=3&transport=websocket").await;
    client.send("3").await;
    assert_eq!(reasons.recv().await.unwrap().1, DisconnectReason::TransportError);
}

#[tokio::test]
async fn upgrade_releases_the_poll_and_moves_everything() {
    let server = Server::new(&echo());
    let polling = Polling::connect(&server, "EIO=3&transport=polling").await;
    let mut client = polling.probe("EIO=3&transport=websocket").await;
    client.send("2probe").await;
    client.expect("3probe").await;
    assert_eq!(polling.get().await.brief(), (200, "1:6"));
    // Waits for a GET that does not come any more.
    polling.post("", r#"11:42["bytes"]"#).await;
    client.send("5").await;
    client.expect(r#"451-["é",{"_placeholder":true,"num":0}]"#).await;
    assert_eq!(client.binary().await, [4, 1, 2, 3, 4]);
    assert_eq!(polling.get().await.brief(), (400, r#"{"code":3,"message":"Bad request"}"#));
    client.send("2").await;
    client.expect("3").await;
}

/// In which ways a client may be there when it falls silent.
#[derive(Clone, Copy, Debug)]
enum Silent {
    Polling,
    WebSocket,
    Upgraded,
}

#[tokio::test(start_paused = true)]
async fn who_does_not_ping_is_gone_whatever_the_transport() {
    for silent in [Silent::Polling, Silent::WebSocket, Silent::Upgraded] {
        let (io, mut reasons) = with_reasons(config());
        let server = Server::new(&io);
        let started = Instant::now();
        let mut websocket = None;
        let mut polling = None;
        if let Silent::WebSocket = silent {
            websocket = Some(WebSocket::connect(&server, "EIO=3&transport=websocket").await);
        } else {
            polling = Some(Polling::connect(&server, "EIO=3&transport=polling").await);
        }
        if let (Silent::Upgraded, Some(polling)) = (silent, &polling) {
            let mut client = polling.probe("EIO=3&transport=websocket").await;
            client.send("2probe").await;
            client.expect("3probe").await;
            client.send("5").await;
            websocket = Some(client);
        }
        assert_eq!(started.elapsed(), Duration::ZERO, "{silent:?}");
        // A ping in time, and then no more.
        tokio::time::sleep(Duration::from_millis(44_999)).await;
        match (&mut websocket, &polling) {
            (Some(client), _) => {
                client.send("2").await;
                client.expect("3").await;
            }
            (None, Some(polling)) => {
                polling.post("", "1:2").await;
                assert_eq!(polling.get().await.text(), "1:3");
            }
            (None, None) => unreachable!("one of them is there"),
        }
        let (at, reason) = reasons.recv().await.unwrap();
        assert_eq!(reason, DisconnectReason::PingTimeout, "{silent:?}");
        assert_eq!(at - started, Duration::from_millis(44_999 + 45_000), "{silent:?}");
        if let Some(client) = &mut websocket {
            assert_eq!(client.closed().await, Some(1000), "no ping of ours in between, but the goodbye");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_a_client_sends_shows_that_it_lives() {
    let (io, mut reasons) = with_reasons(config());
    let server = Server::new(&io);
    let started = Instant::now();
    let mut client = WebSocket::connect(&server, "EIO=3&transport=websocket").await;
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_secs(40)).await;
        client.send(r#"42["nothing"]"#).await;
    }
    assert_eq!(reasons.recv().await.unwrap().0 - started, Duration::from_secs(400 + 45));
}

#[tokio::test]
async fn ids_are_made_of_the_sessions() {
    let io = Io::with_config(config());
    io.of("/chat").on("who", async |socket: Socket| {
        socket.broadcast().emit("not me", ());
        socket.join(socket.id());
        Reply((socket.id().to_owned(), socket.protocol() == Version::V3, socket.rooms().len()))
    });
    let server = Server::new(&io);
    let polling = Polling::connect(&server, "EIO=3&transport=polling").await;
    let root = io.sockets().remove(0);
    assert_eq!((root.id(), root.session_id()), (&*polling.sid, &*polling.sid));
    polling.post("", "8:40/chat,").await;
    assert_eq!(polling.get().await.text(), "8:40/chat,");
    let id = format!("/chat#{}", polling.sid);
    polling.post("", &payload(&[r#"42/chat,1["who"]"#])).await;
    assert_eq!(polling.get().await.text(), payload(&[&format!(r#"43/chat,1["{id}",true,0]"#)]));
    io.of("/chat").to(&id).emit("private", ());
    io.to(&polling.sid).emit("private", ());
    assert_eq!(polling.get().await.text(), payload(&[r#"42/chat,["private"]"#, r#"42["private"]"#]));
    // It leaves and comes back: the same id, another socket.
    polling.post("", "7:41/chat8:40/chat,").await;
    assert_eq!(polling.get().await.text(), "8:40/chat,");
    assert_eq!(io.of("/chat").sockets().len(), 1);
    assert_eq!(io.of("/chat").sockets()[0].id(), id);
}

#[tokio::test]
async fn a_query_behind_a_namespace_is_its_auth() {
    let io = Io::with_config(config());
    let (said, mut heard) = mpsc::unbounded_channel();
    for namespace in [io.of("/"), io.of("/chat")] {
        let said = said.clone();
        namespace.on_connection(move |socket: Socket| {
            said.send((socket.auth(), socket.handshake().query_value("token"))).unwrap();
            async {}
        });
    }
    let server = Server::new(&io);
    let mut client = WebSocket::connect(&server, "EIO=3&transport=websocket&token=url").await;
    let value = |json: serde_json::Value| serde_json::from_value::<Value>(json).unwrap();
    assert_eq!(heard.recv().await.unwrap(), (value(json!({})), Some("url".to_owned())));
    for (connect, auth) in [
        ("40/chat?token=a%20b&x=1&x=2,", json!({"token": "a b", "x": ["1", "2"]})),
        ("40/chat?token=%C3%A9", json!({"token": "é"})),
        ("40/chat", json!({})),
        ("40/chat,{\"token\":\"no\"}", json!({})),
    ] {
        client.send(connect).await;
        client.expect("40/chat,").await;
        assert_eq!(heard.recv().await.unwrap().0, value(auth), "{connect}");
        client.send("41/chat,").await;
    }
}

#[tokio::test]
async fn refusals_are_what_old_clients_know() {
    let io = Io::with_config(config());
    let admin = io.of("/admin");
    admin.middleware(async |auth: serde_json::Value| match auth["token"].as_str() {
        Some("open") => Ok(()),
        Some("data") => Err(Error::new("not authorised").with_data(json!({"code": 1}))),
        _ => Err(Error::new("not authorised")),
    });
    let server = Server::new(&io);
    let mut client = WebSocket::connect(&server, "EIO=3&transport=websocket").await;
    for (connect, answer) in [
        ("40/admin", r#"44/admin,"not authorised""#),
        ("40/admin?token=data,", r#"44/admin,{"code":1}"#),
        ("40/nowhere?token=open,", r#"44/nowhere,{"message":"Invalid namespace"}"#),
        ("40/admin?token=open,", "40/admin,"),
    ] {
        client.send(connect).await;
        client.expect(answer).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_may_not_enter_is_told_and_closed_in_time() {
    let io = Io::with_config(config());
    io.middleware(async |_: Socket| Err::<(), _>(Error::new("not today")));
    let server = Server::new(&io);
    let started = Instant::now();
    let mut client = WebSocket::open(&server, "EIO=3&transport=websocket").await;
    client.text().await;
    client.expect(r#"44"not today""#).await;
    // Pings keep it no longer than `connect_timeout`.
    tokio::time::sleep(Duration::from_secs(30)).await;
    client.send("2").await;
    client.expect("3").await;
    client.closed().await;
    assert_eq!(started.elapsed(), Duration::from_secs(45));
}

#[tokio::test]
async fn a_middleware_that_waits_holds_the_default_namespace_back() {
    let io = Io::with_config(config());
    io.middleware(async |_: Socket| {
        tokio::task::yield_now().await;
        Ok::<_, Error>(())
    });
    io.on_connection(async |socket: Socket| socket.emit("welcome", "é"));
    let server = Server::new(&io);
    let (polling, _) = Polling::open(&server, "EIO=3&transport=polling").await;
    let mut got = polling.get().await.text().to_owned();
    if got == "2:40" {
        got += polling.get().await.text();
    }
    assert_eq!(got, r#"2:4022:42["welcome","\u00e9"]"#);
}

/// Counts how often it is written.
struct Counted<'a>(&'a Cell<u32>);

impl Serialize for Counted<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.set(self.0.get() + 1);
        serializer.serialize_str("é😀")
    }
}

#[tokio::test]
async fn one_broadcast_reaches_every_kind_of_client() {
    let io = Io::with_config(config());
    io.native("/ws");
    let server = Server::new(&io);
    let mut native = server.upgrade("/ws").await.unwrap();
    let mut new = WebSocket::open(&server, "EIO=4&transport=websocket").await;
    new.text().await;
    new.send("40").await;
    new.text().await;
    let mut old = WebSocket::connect(&server, "EIO=3&transport=websocket").await;
    let mut base64 = WebSocket::connect(&server, "EIO=3&transport=websocket&b64=1").await;
    let (new_polling, _) = Polling::open(&server, "EIO=4&transport=polling").await;
    new_polling.post("", "40").await;
    new_polling.get().await;
    let polling = Polling::connect(&server, "EIO=3&transport=polling").await;
    let base64_polling = Polling::connect(&server, "EIO=3&transport=polling&b64=1").await;
    let jsonp = Polling::connect(&server, "EIO=3&transport=polling&j=0").await;

    let count = Cell::new(0);
    let reached = io.broadcast().try_emit("é", (Counted(&count), Bytes::from_static(&[255])));
    assert_eq!((reached.unwrap(), count.get()), (8, 1));

    let packet = r#"451-["é","é😀",{"_placeholder":true,"num":0}]"#;
    let ascii = r#"451-["\u00e9","\u00e9\ud83d\ude00",{"_placeholder":true,"num":0}]"#;
    for client in [&mut new, &mut old, &mut base64] {
        client.expect(packet).await;
    }
    native.expect(r#"{"event":"é","args":["é😀",{"base64":"/w=="}]}"#).await;
    assert_eq!(new.binary().await, [255]);
    assert_eq!(old.binary().await, [4, 255]);
    base64.expect("b4/w==").await;
    assert_eq!(new_polling.get().await.text(), format!("{packet}\u{1e}b/w=="));
    assert_eq!(polling.get().await.body, [b"\x00\x06\x05\xff", ascii.as_bytes(), b"\x01\x02\xff\x04\xff"].concat());
    assert_eq!(base64_polling.get().await.text(), payload(&[ascii, "b4/w=="]));
    let script = payload(&[ascii, "b4/w=="]).replace('\\', r"\\").replace('"', "\\\"");
    assert_eq!(jsonp.get().await.text(), format!("___eio[0](\"{script}\");"));
}

#[tokio::test]
async fn without_leave_there_is_no_engine_io_3() {
    let io = Io::new();
    let server = Server::new(&io);
    for query in ["EIO=3&transport=polling", "transport=polling", "EIO=5&transport=polling&j=0"] {
        let refused = server.request("GET", &format!("/socket.io/?{query}"), "", b"").await;
        assert_eq!(refused.brief(), (400, r#"{"code":5,"message":"Unsupported protocol version"}"#), "{query}");
    }
    let refused = server.upgrade("/socket.io/?EIO=3&transport=websocket").await.err();
    assert_eq!(refused, Some((400, "Unsupported protocol version".to_owned())));
    assert_eq!(io.stats().sessions, 0);
}

#[tokio::test]
async fn a_session_stays_with_its_revision() {
    let io = echo();
    let server = Server::new(&io);
    let sessions = [("EIO=3", "EIO=4"), ("EIO=4", "EIO=3"), ("EIO=4", "x=1")];
    for (own, other) in sessions {
        let (polling, _) = Polling::open(&server, &format!("{own}&transport=polling")).await;
        let wrong = polling.clone().with_query(&format!("{other}&transport=polling"));
        let refused = (400, r#"{"code":3,"message":"Bad request"}"#);
        assert_eq!(wrong.get().await.brief(), refused);
        assert_eq!(wrong.post("", "1:2").await.brief(), refused);
        let target = format!("/socket.io/?{other}&transport=websocket&sid={}", polling.sid);
        assert_eq!(server.upgrade(&target).await.err(), Some((400, "Bad request".to_owned())));
    }
    assert_eq!(io.stats().sessions, 3, "they are untouched");
    // Clients that say nothing are of revision 3.
    let polling = Polling::connect(&server, "transport=polling").await;
    assert_eq!(polling.with_query("EIO=3&transport=polling").post("", "1:2").await.brief(), (200, "ok"));
}

#[tokio::test]
async fn messages_of_engine_io_are_left_as_they_are() {
    let mut config = config();
    config.path = "/engine.io".to_owned();
    let engine = Engine::with_config(config);
    engine.on_connection(async |session: Session| {
        assert_eq!(session.protocol(), Version::V3);
        while let Some(message) = session.recv().await {
            session.send(message);
        }
    });
    let server = Server::of_engine(&engine);
    let (polling, _) = Polling::open(&server, "EIO=3&transport=polling").await;
    assert_eq!(polling.post("", "3:4é€2:4x6:b4AQI=").await.brief(), (200, "ok"));
    let expected = [&b"\x00\x06\xff4\xc3\xa9\xe2\x82\xac\x00\x02\xff4x"[..], b"\x01\x03\xff\x04\x01\x02"].concat();
    assert_eq!(polling.get().await.body, expected);
    let mut client = WebSocket::open(&server, "EIO=3&transport=websocket").await;
    client.text().await;
    client.send("4é").await;
    client.expect("4é").await;
    client.send_binary(&[4, 7]).await;
    assert_eq!(client.binary().await, [4, 7]);
}

/// Tells when and why each socket of the default namespace was disconnected.
fn with_reasons(config: Config) -> (Io, mpsc::UnboundedReceiver<(Instant, DisconnectReason)>) {
    let io = Io::with_config(config);
    let (sender, reasons) = mpsc::unbounded_channel();
    io.on_disconnect(move |reason: DisconnectReason| {
        sender.send((Instant::now(), reason)).unwrap();
        async {}
    });
    (io, reasons)
}
