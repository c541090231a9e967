//! Servers that are broken, hostile or asleep: a clear error, at once or in time, and no more memory than is allowed.

use std::time::Duration;

use patera_client::{ConnectError, DisconnectReason, Lifecycle, Transport, TransportError};
use patera_websocket::stream::Message;

use crate::support::{OPEN, PATIENCE, POLLING, Peer, Scripted, Server, WEBSOCKET, life, named, within};

/// What comes of a server that treats every connection like this.
async fn outcome_within<F, Fut>(transports: &[Transport], timeout: Duration, script: F) -> ConnectError
where
    F: Fn(Peer) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let server = Scripted::start(script).await;
    let client = server.client(transports).timeout(timeout);
    let client = client.configure(|config| {
        config.message_bytes_max = 100_000;
        config.receive_buffer_bytes_max = 10_000;
    });
    within(client.connect()).await.expect_err("this is no server")
}

async fn outcome<F, Fut>(transports: &[Transport], script: F) -> ConnectError
where
    F: Fn(Peer) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    outcome_within(transports, PATIENCE, script).await
}

/// What is waited for where the server is to run out of time.
const SOON: Duration = Duration::from_millis(200);

/// A server that answers the first GET with these bytes.
async fn polling(answer: impl Into<Vec<u8>>) -> ConnectError {
    let answer = answer.into();
    outcome(POLLING, move |mut peer: Peer| {
        let answer = answer.clone();
        async move {
            peer.request().await;
            peer.write(answer).await;
            peer.hold().await;
        }
    })
    .await
}

async fn polling_body(body: &str) -> ConnectError {
    polling(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await
}

#[tokio::test]
async fn what_is_no_http_is_an_error() {
    for answer in ["hello\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "\0\0\0\0\0\0\0\0"] {
        let error = polling(answer).await;
        let ConnectError::Transport(error) = error else { panic!("{answer:?}: {error:?}") };
        assert!(matches!(*error, TransportError::Http(_)), "{answer:?}: {error:?}");
    }
}

#[tokio::test]
async fn statuses_are_told_with_their_text() {
    let error = polling("HTTP/1.1 400 Bad Request\r\nContent-Length: 13\r\n\r\n{\"code\":\"x\"}\n").await;
    assert_eq!(error.to_string(), "the server answered 400: {\"code\":\"x\"}\n");
    let error = polling("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(error.to_string(), "the server answered 302");
    // Only so much of it is read.
    let long = format!("HTTP/1.1 500 No\r\nContent-Length: 1000000\r\n\r\n{}", "x".repeat(100_000));
    assert_eq!(polling(long).await.to_string().len(), "the server answered 500: ".len() + 1024);
}

#[tokio::test]
async fn polling_answers_that_are_no_handshake_are_errors() {
    for body in [
        "",
        "hello",
        "6",
        "4hello",
        "0",
        "0{}",
        "0[]",
        r#"0{"sid":"","upgrades":[],"pingInterval":1,"pingTimeout":1}"#,
        r#"0{"sid":"x","upgrades":[],"pingInterval":-1,"pingTimeout":1}"#,
        "\u{1e}\u{1e}",
        "2\u{1e}2",
    ] {
        let error = polling_body(body).await;
        let ConnectError::Transport(error) = error else { panic!("{body:?}: {error:?}") };
        let is_clear = matches!(*error, TransportError::Payload(_) | TransportError::Handshake(_));
        assert!(is_clear, "{body:?}: {error:?}");
    }
    assert!(matches!(polling_body("1").await, ConnectError::Transport(_)));
}

#[tokio::test]
async fn answer_that_does_not_end_is_cut() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = format!("2710\r\n{}\r\n", "4".repeat(10_000));
    let error = polling(format!("{head}{}", chunk.repeat(20))).await;
    let ConnectError::Transport(error) = error else { panic!("{error:?}") };
    assert!(matches!(*error, TransportError::TooLarge { max: 100_000 }), "{error:?}");
}

#[tokio::test]
async fn server_that_stalls_runs_into_the_timeout() {
    let stalls = |error: ConnectError, what: &str| assert!(matches!(error, ConnectError::Timeout), "{what}: {error:?}");
    stalls(outcome_within(POLLING, SOON, |peer: Peer| peer.hold()).await, "says nothing");
    let stuck = outcome_within(POLLING, SOON, async |mut peer: Peer| {
        peer.request().await;
        peer.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0{").await;
        peer.hold().await;
    });
    stalls(stuck.await, "stops within its answer");
    stalls(outcome_within(WEBSOCKET, SOON, |peer: Peer| peer.hold()).await, "answers no handshake");
    let silent = outcome_within(WEBSOCKET, SOON, async |mut peer: Peer| {
        let stream = peer.stream.take().unwrap();
        let _websocket = patera_websocket::stream::WebSocketStream::accept(stream, Default::default()).await;
        std::future::pending().await
    });
    stalls(silent.await, "sends no open packet");
    let deaf = outcome_within(WEBSOCKET, SOON, async |mut peer: Peer| {
        peer.accept_websocket(OPEN).await;
        peer.hold().await;
    });
    let ConnectError::Transport(error) = deaf.await else { panic!() };
    assert!(matches!(*error, TransportError::Timeout), "lets nobody in: {error:?}");
}

#[tokio::test]
async fn websocket_that_is_none_is_an_error() {
    for answer in [
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: no\r\n\r\n",
        "garbage\r\n\r\n",
    ] {
        let error = outcome(WEBSOCKET, move |mut peer: Peer| async move {
            peer.request().await;
            peer.write(answer).await;
        });
        let error = error.await;
        let ConnectError::Transport(error) = error else { panic!("{answer:?}: {error:?}") };
        assert!(matches!(*error, TransportError::WebSocket(_)), "{answer:?}: {error:?}");
    }
}

#[tokio::test]
async fn websocket_that_agrees_to_what_nobody_offered_is_an_error() {
    let endless = format!("X: {}\r\n", "x".repeat(20_000));
    for headers in [
        "Sec-WebSocket-Extensions: x-unknown\r\n",
        "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99\r\n",
        "Sec-WebSocket-Protocol: evil\r\n",
        &endless,
    ] {
        let headers = headers.to_owned();
        let told = headers.clone();
        let error = outcome(WEBSOCKET, move |mut peer: Peer| {
            let headers = headers.clone();
            async move {
                peer.agree(&headers).await;
                peer.hold().await;
            }
        });
        let ConnectError::Transport(error) = error.await else { panic!("{told:.80}") };
        assert!(matches!(*error, TransportError::WebSocket(_)), "{told:.80}: {error:?}");
    }
}

#[tokio::test]
async fn websocket_that_opens_with_something_else_is_an_error() {
    for open in ["", "x", "4hello", "40", "0{", "b", "b%%%"] {
        let error = outcome(WEBSOCKET, move |mut peer: Peer| async move {
            peer.accept_websocket(open).await;
            peer.hold().await;
        });
        let error = error.await;
        assert!(matches!(error, ConnectError::Transport(_)), "{open:?}: {error:?}");
    }
}

#[tokio::test]
async fn older_server_is_told_apart() {
    let error = outcome(WEBSOCKET, async |mut peer: Peer| {
        peer.accept_websocket(OPEN).await;
        peer.next().await;
        peer.send("40").await;
        peer.hold().await;
    });
    assert!(matches!(error.await, ConnectError::Incompatible));
}

#[tokio::test]
async fn too_much_before_the_welcome_is_an_error() {
    let error = outcome(WEBSOCKET, async |mut peer: Peer| {
        peer.accept_websocket(OPEN).await;
        peer.next().await;
        for _ in 0..200 {
            peer.send(format!(r#"42["x","{}"]"#, "y".repeat(1_000))).await;
        }
        peer.hold().await;
    });
    let ConnectError::Transport(error) = error.await else { panic!() };
    assert!(matches!(*error, TransportError::ReceiveBufferFull), "{error:?}");
}

#[tokio::test]
async fn nonsense_inside_a_connection_ends_it_with_parse_error() {
    for nonsense in [
        "42",
        "42[",
        r#"42["x""#,
        "42{}",
        r#"42/other,["x"]"#,
        r#"42["connect"]"#,
        r#"40{"sid":"y"}"#,
        "43[]",
        "450-[]",
        r#"451-["x",{"_placeholder":true,"num":7}]"#,
        "4999999-",
        "49",
        "9",
        "",
    ] {
        let server = Scripted::start(move |mut peer: Peer| async move {
            peer.accept_socket_io().await;
            peer.send(nonsense).await;
            peer.hold().await;
        })
        .await;
        let client = server.client(WEBSOCKET).build().unwrap();
        let mut events = client.events();
        within(client.connect()).await.unwrap();
        let Lifecycle::Disconnect(disconnect) = named(&mut events, "disconnect").await else { panic!() };
        assert_eq!(disconnect.reason, DisconnectReason::ParseError, "{nonsense:?}");
        assert!(disconnect.details.is_some(), "{nonsense:?}");
    }
}

#[tokio::test]
async fn frames_that_break_the_rules_end_it_with_transport_error() {
    // A masked frame, declared lengths of 2^40 and 2^64 - 1, a reserved opcode, a text that is no UTF-8.
    let frames: [&[u8]; 5] = [
        b"\x81\x81\0\0\0\0x",
        b"\x81\x7f\0\0\x01\0\0\0\0\0xyz",
        b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x83\x01x",
        b"\x81\x02\xff\xff",
    ];
    for frame in frames {
        let server = Scripted::start(move |mut peer: Peer| async move {
            peer.agree("").await;
            peer.write(frame).await;
            peer.hold().await;
        })
        .await;
        let error = within(server.client(WEBSOCKET).connect()).await;
        assert!(matches!(error, Err(ConnectError::Transport(_))), "{frame:?}: {error:?}");
    }
}

#[tokio::test]
async fn pings_that_nobody_waits_for_are_answered_as_one() {
    const PINGS: usize = 20_000;
    let server = Scripted::start(async |mut peer: Peer| {
        peer.accept_socket_io().await;
        // Nothing is read while it pings, and what the client sends meanwhile fills the buffers between the two.
        assert_eq!(peer.next().await, Message::from(r#"42["go"]"#));
        for _ in 0..PINGS {
            peer.send("2").await;
        }
        peer.send(r#"42["done"]"#).await;
        let mut pongs = 0;
        loop {
            match peer.next().await {
                Message::Text(text) if text == "3" => pongs += 1,
                Message::Text(text) if text == r#"42["last"]"# => break,
                _ => {}
            }
        }
        peer.send(format!(r#"42["pongs",{pongs}]"#)).await;
        peer.hold().await;
    })
    .await;
    let client = server.client(WEBSOCKET).build().unwrap();
    let (sender, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let done = sender.clone();
    client.on("done", async move || done.send(0).unwrap());
    client.on("pongs", async move |count: usize| sender.send(count).unwrap());
    within(client.connect()).await.unwrap();
    client.emit("go", ());
    for _ in 0..100 {
        client.emit("filler", "x".repeat(100_000));
    }
    assert_eq!(within(heard.recv()).await, Some(0));
    client.emit("last", ());
    let pongs = within(heard.recv()).await.unwrap();
    assert!((1..PINGS).contains(&pongs), "{pongs}");
}

#[tokio::test]
async fn silence_is_a_ping_timeout() {
    let server = Scripted::start(async |mut peer: Peer| {
        // The shortest times that a client takes: one second each.
        peer.accept_websocket(r#"0{"sid":"x","upgrades":[],"pingInterval":1,"pingTimeout":1}"#).await;
        peer.next().await;
        peer.send(r#"40{"sid":"x"}"#).await;
        peer.hold().await;
    })
    .await;
    let client = server.client(WEBSOCKET).build().unwrap();
    let mut events = client.events();
    within(client.connect()).await.unwrap();
    let reason = life(&mut events, |lifecycle| match lifecycle {
        Lifecycle::Disconnect(disconnect) => Some(disconnect.reason),
        _ => None,
    });
    assert_eq!(reason.await, DisconnectReason::PingTimeout);
}

#[tokio::test]
async fn try_all_transports_goes_on_to_the_next() {
    let mut config = patera::Config::default();
    config.transports = vec![Transport::WebSocket];
    let server = Server::start_with(config, "127.0.0.1:0".parse().unwrap(), |_| {}).await;
    let all = [Transport::Polling, Transport::WebSocket];
    let refused = within(server.client(&all).connect()).await.unwrap_err();
    assert!(refused.to_string().contains("Transport unknown"), "{refused}");
    let client = server.client(&all).configure(|config| config.try_all_transports = true).connect();
    assert_eq!(within(client).await.unwrap().transport(), Some(Transport::WebSocket));
}
