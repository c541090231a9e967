//! Every limit in time and size at its edge, set through `Config`: one below, just there, one above.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http_body::Frame as BodyFrame;
use http_body_util::StreamBody;
use patera::{AckError, Config, DisconnectReason, Io, Reply, Rest};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::memory::{Client, Polling};
use crate::support::{http, serve};

const MS: Duration = Duration::from_millis(1);

/// A server with these options that answers `echo`, and the reasons for which its sockets end.
fn server(change: impl FnOnce(&mut Config)) -> (Io, mpsc::UnboundedReceiver<DisconnectReason>) {
    let mut config = Config::default();
    change(&mut config);
    let io = Io::with_config(config);
    let (reasons, ended) = mpsc::unbounded_channel();
    io.on_disconnect(async move |reason: DisconnectReason| reasons.send(reason).unwrap());
    io.on("echo", async |Rest(args): Rest| Reply(args.len()));
    (io, ended)
}

/// A body whose pieces come so long after one another.
fn slow_body(
    pieces: Vec<(Duration, Bytes)>,
) -> impl http_body::Body<Data = Bytes, Error = Infallible> + Send + 'static {
    StreamBody::new(stream::iter(pieces).then(async |(after, data)| {
        sleep(after).await;
        Ok(BodyFrame::data(data))
    }))
}

/// Posts an event of which all but the last bracket comes at once, and that `after` it.
async fn check_body(change: impl FnOnce(&mut Config), start: &str, after: Duration, status: u16) {
    let (io, mut ended) = server(change);
    let polling = Polling::connect(&io).await;
    let pieces = vec![(Duration::ZERO, Bytes::from(start.to_owned())), (after, Bytes::from_static(b"]"))];
    let started = Instant::now();
    assert_eq!(polling.post_body(slow_body(pieces)).await.0, status, "after {after:?}");
    if status == 200 {
        assert_eq!(polling.get().await, (200, "430[1]".to_owned()));
    } else {
        assert_eq!(started.elapsed(), after - MS, "it is given up when the time is over");
        assert_eq!(ended.recv().await, Some(DisconnectReason::TransportError));
        assert_eq!(io.stats().sessions, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_has_its_time_as_a_whole() {
    let start = r#"420["echo",1"#;
    let change = |config: &mut Config| config.body_rate_min = 1;
    for (after, status) in
        [(Duration::from_secs(17) - MS, 200), (Duration::from_secs(17), 200), (Duration::from_secs(17) + MS, 408)]
    {
        // 12 bytes at 1 byte a second, behind the first 5 s.
        check_body(change, start, after, status).await;
    }
    let change = |config: &mut Config| {
        config.body_rate_min = 1;
        config.body_timeout = Duration::from_secs(8);
    };
    for (after, status) in
        [(Duration::from_secs(8) - MS, 200), (Duration::from_secs(8), 200), (Duration::from_secs(8) + MS, 408)]
    {
        check_body(change, start, after, status).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_must_keep_its_rate() {
    let text = "x".repeat(2048 - r#"420["echo",""#.len() - 1);
    let start = format!(r#"420["echo","{text}""#);
    assert_eq!(start.len(), 2048);
    let seven = Duration::from_secs(7);
    for (after, status) in [(seven - MS, 200), (seven, 200), (seven + MS, 408)] {
        check_body(|_| {}, &start, after, status).await;
    }
    // At no rate at all, the first seconds are all there is.
    let five = Duration::from_secs(5);
    let (io, _) = server(|_| {});
    let polling = Polling::connect(&io).await;
    let started = Instant::now();
    assert_eq!(polling.post_body(slow_body(vec![(seven, Bytes::from_static(b"4"))])).await.0, 408);
    assert_eq!(started.elapsed(), five);
}

#[tokio::test]
async fn heads_of_requests_are_bounded() {
    let (io, _) = server(|config| {
        config.header_bytes_max = 500;
        config.header_count_max = 5;
        config.target_bytes_max = 100;
    });
    let address = serve(&io).await;
    let empty = "GET /x HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".len();
    for (bytes, status) in [(499, 404), (500, 404), (501, 431), (9000, 431)] {
        let header = format!("X: {}\r\n", "x".repeat(bytes - empty - "X: \r\n".len()));
        assert_eq!(http(address, "GET", "/x", &header, "").await.status, status, "{bytes} bytes");
    }
    for (count, status) in [(4, 404), (5, 404), (6, 431)] {
        assert_eq!(http(address, "GET", "/x", &"X: y\r\n".repeat(count - 2), "").await.status, status, "{count}");
    }
    for (bytes, status) in [(99, 404), (100, 404), (101, 414)] {
        let target = format!("/{}?{}", "x".repeat(48), "y".repeat(bytes - 50));
        assert_eq!(http(address, "GET", &target, "", "").await.status, status, "{bytes} bytes");
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_has_its_time_from_the_last_answer_on() {
    let (io, _) = server(|config| config.header_timeout = Duration::from_secs(3));
    let address = serve(&io).await;
    let whole = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";
    for (sent, answers) in [("", 0), (&whole[..20], 0), (whole, 1), (&whole.repeat(2), 2)] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let started = Instant::now();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(Duration::from_secs(60), stream.read_to_string(&mut answer)).await.expect("it is closed").unwrap();
        assert_eq!(answer.matches("HTTP/1.1 404").count(), answers, "{sent:?}");
        assert!(started.elapsed() >= Duration::from_secs(3), "{sent:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_websocket_that_takes_nothing_is_given_up() {
    let (io, mut ended) = server(|config| config.ping_interval = Duration::from_secs(3600));
    let mut client = Client::engine(&io, 256).await;
    client.send("40").await;
    client.text().await;
    let started = Instant::now();
    io.emit("large", "x".repeat(1000));
    // A byte taken, and the time starts anew.
    sleep(Duration::from_secs(9)).await;
    let mut some = [0; 100];
    client.0.get_mut().read_exact(&mut some).await.unwrap();
    assert_eq!(ended.recv().await, Some(DisconnectReason::TransportError));
    assert_eq!(started.elapsed(), Duration::from_secs(19));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_just_in_time_gets_everything() {
    let (io, mut ended) = server(|config| config.ping_interval = Duration::from_secs(3600));
    let mut client = Client::engine(&io, 256).await;
    client.send("40").await;
    client.text().await;
    let text = "x".repeat(1000);
    io.emit("large", &text);
    let mut got = Vec::new();
    while got.len() < text.len() {
        sleep(Duration::from_secs(10) - MS).await;
        let mut some = [0; 100];
        let count = client.0.get_mut().read(&mut some).await.unwrap();
        got.extend_from_slice(&some[..count]);
    }
    assert!(ended.try_recv().is_err());
    assert_eq!(io.stats().sockets, 1);
}

#[tokio::test(start_paused = true)]
async fn a_closed_polling_client_that_never_comes_is_forgotten() {
    let (io, mut ended) = server(|_| {});
    let polling = Polling::connect(&io).await;
    io.sockets()[0].close();
    assert_eq!(ended.recv().await, Some(DisconnectReason::ServerNamespaceDisconnect));
    sleep(Duration::from_secs(30) - MS).await;
    assert_eq!(io.stats().sessions, 1);
    sleep(2 * MS).await;
    assert_eq!(io.stats().sessions, 0);
    assert_eq!(polling.get().await.0, 400);
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_is_broken_off_is_a_transport_error() {
    let (io, mut ended) = server(|_| {});
    let polling = Polling::connect(&io).await;
    assert!(timeout(Duration::from_secs(1), polling.get()).await.is_err(), "nothing to answer it with");
    assert_eq!(ended.recv().await, Some(DisconnectReason::TransportError));
    assert_eq!(io.stats().sessions, 0);
}

#[tokio::test]
async fn fragments_are_bounded() {
    for (count, taken) in [(3, true), (4, true), (5, false)] {
        let (io, mut ended) = server(|config| config.fragments_max = 4);
        let mut client = Client::connect(&io).await;
        let text = r#"420["echo",1]"#;
        for at in 0..count {
            let code = OpCode::Data(if at == 0 { Data::Text } else { Data::Continue });
            let (part, last) = (if at == 0 { text } else { "" }, at + 1 == count);
            client.send_frame(Frame::message(part.to_owned(), code, last)).await;
        }
        if taken {
            client.expect("430[1]").await;
        } else {
            assert_eq!(client.closed().await, Some(1008));
            assert_eq!(ended.recv().await, Some(DisconnectReason::TransportError));
        }
    }
}

/// Sends a packet, with empty attachments, to a server with these limits: it is answered, or the connection ends.
async fn check_packet(change: impl FnOnce(&mut Config), packet: &str, attachments: usize, taken: bool) {
    let (io, mut ended) = server(change);
    for name in ["/a", "/bc", "/def", "/ghij"] {
        io.of(name);
    }
    io.on("four", async || Reply(1));
    io.on("fours", async || Reply(1));
    io.on("thr", async || Reply(1));
    let mut client = Client::connect(&io).await;
    client.send(packet).await;
    for _ in 0..attachments {
        client.send_binary(&[]).await;
    }
    if taken {
        let answer = client.text().await;
        assert!(answer.starts_with("43") || answer.starts_with("40/"), "{packet}: {answer}");
    } else {
        client.closed().await;
        assert_eq!(ended.recv().await, Some(DisconnectReason::ForcedClose), "{packet}");
    }
}

#[tokio::test]
async fn packets_are_bounded_as_configured() {
    for (name, taken) in [("thr", true), ("four", true), ("fours", false)] {
        let change = |config: &mut Config| config.protocol.event_name_bytes_max = 4;
        check_packet(change, &format!(r#"420["{name}"]"#), 0, taken).await;
    }
    for (args, taken) in [("1", true), ("1,2", true), ("1,2,3", false)] {
        let change = |config: &mut Config| config.protocol.arguments_max = 2;
        check_packet(change, &format!(r#"420["echo",{args}]"#), 0, taken).await;
    }
    for (name, taken) in [("/bc", true), ("/def", true), ("/ghij", false)] {
        let change = |config: &mut Config| config.protocol.namespace_bytes_max = 4;
        check_packet(change, &format!("40{name},"), 0, taken).await;
    }
    for (count, taken) in [(1, true), (2, true), (3, false)] {
        let change = |config: &mut Config| config.protocol.attachments_max = 2;
        let placeholders: Vec<_> = (0..count).map(|num| format!(r#"{{"_placeholder":true,"num":{num}}}"#)).collect();
        let packet = format!(r#"45{count}-0["echo",{}]"#, placeholders.join(","));
        check_packet(change, &packet, if taken { count } else { 0 }, taken).await;
    }
    for (args, taken) in [("[]", true), ("[[]]", true), ("[[[]]]", false)] {
        let change = |config: &mut Config| config.protocol.json_depth_max = 3;
        check_packet(change, &format!(r#"420["echo",{args}]"#), 0, taken).await;
    }
}

#[tokio::test]
async fn namespaces_of_one_client_are_bounded() {
    let (io, mut ended) = server(|config| config.protocol.namespaces_max = 2);
    for name in ["/a", "/b", "/c"] {
        io.of(name);
    }
    let mut client = Client::connect(&io).await;
    for name in ["/a", "/b"] {
        // What was left makes room.
        client.send(&format!("40{name},")).await;
        assert!(client.text().await.starts_with("40/"));
        client.send(&format!("41{name},")).await;
    }
    client.send("40/c,").await;
    assert!(client.text().await.starts_with("40/c,"));
    client.send("40/a,").await;
    client.closed().await;
    assert_eq!(ended.recv().await, Some(DisconnectReason::ForcedClose));
}

#[tokio::test]
async fn attachments_are_bounded_in_sum_by_the_size_of_a_message() {
    for (bytes, taken) in [(99, true), (100, true), (101, false)] {
        let (io, mut ended) = server(|config| config.max_http_buffer_size = 100);
        let mut client = Client::connect(&io).await;
        // Its own packet is below the limit too.
        client.send(r#"452-0["echo",{"_placeholder":true,"num":0},{"num":1,"_placeholder":true}]"#).await;
        client.send_binary(&[0; 60]).await;
        client.send_binary(&vec![0; bytes - 60]).await;
        if taken {
            client.expect("430[2]").await;
        } else {
            client.closed().await;
            assert_eq!(ended.recv().await, Some(DisconnectReason::ForcedClose));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn attachments_have_their_time() {
    for (after, taken) in [(Duration::from_secs(30) - MS, true), (Duration::from_secs(30) + MS, false)] {
        let (io, mut ended) = server(|config| config.ping_interval = Duration::from_secs(3600));
        let mut client = Client::connect(&io).await;
        client.send(r#"451-0["echo",{"_placeholder":true,"num":0}]"#).await;
        sleep(after).await;
        if taken {
            client.send_binary(&[1]).await;
            client.expect("430[1]").await;
        } else {
            assert_eq!(ended.recv().await, Some(DisconnectReason::ForcedClose));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_ping_deadline_rests_while_handlers_fill_the_session() {
    let (io, mut ended) = server(|config| config.pending_handlers_max = 1);
    let gate = Arc::new(Notify::new());
    let closed = gate.clone();
    io.on("wait", move || {
        let gate = closed.clone();
        async move { gate.notified().await }
    });
    let mut client = Client::connect(&io).await;
    client.send(r#"42["wait"]"#).await;
    sleep(Duration::from_secs(600)).await;
    assert_eq!(io.stats().sockets, 1, "nothing is read from it, so its silence says nothing");
    gate.notify_one();
    let resumed = Instant::now();
    // From here on it has its full time.
    assert_eq!(ended.recv().await, Some(DisconnectReason::PingTimeout));
    assert_eq!(resumed.elapsed(), Duration::from_secs(20));
    while !matches!(client.next().await, Some(Message::Close(_)) | None) {}
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_is_awaited_for_ack_timeout() {
    let (io, _ended) = server(|config| config.ping_interval = Duration::from_secs(3600));
    let mut client = Client::connect(&io).await;
    let socket = io.sockets().remove(0);
    let minute = Duration::from_secs(60);
    for (n, after) in [minute - MS, minute + MS].into_iter().enumerate() {
        let asked = Instant::now();
        let answering = async {
            client.expect(&format!(r#"42{n}["question"]"#)).await;
            sleep(after).await;
            client.send(&format!("43{n}[1]")).await;
        };
        let (answer, ()) = tokio::join!(
            async {
                let answer = socket.emit_with_ack::<u32>("question", ()).await;
                (answer, asked.elapsed())
            },
            answering
        );
        match answer {
            (Ok(1), elapsed) => assert_eq!((after, elapsed), (minute - MS, minute - MS)),
            (Err(AckError::Timeout), elapsed) => assert_eq!((after, elapsed), (minute + MS, minute)),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn goodbyes_are_spread_over_drain() {
    let (io, _ended) = server(|config| config.drain = Duration::from_secs(100));
    let closing = Instant::now();
    let mut clients = Vec::new();
    for _ in 0..5 {
        let mut client = Client::connect(&io).await;
        clients.push(tokio::spawn(async move {
            assert_eq!(client.closed().await, Some(1001));
            closing.elapsed()
        }));
    }
    io.close().await;
    let mut told = Vec::new();
    for client in clients {
        told.push(client.await.unwrap());
    }
    told.sort_unstable();
    // As fast as it would be for a thousand, which is as slow as it gets for few.
    let expected: Vec<_> = (0..5).map(|n| n * Duration::from_millis(100)).collect();
    assert_eq!(told, expected);
    assert_eq!(io.stats().sessions, 0);
}
