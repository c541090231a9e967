//! Events and acknowledgements: order, bytes, buffers, limits, retries.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use patera::{Config, Io, Socket as ServerSocket};
use patera_client::{AckError, CallError, EmitError, Event, Failure, Lifecycle, Reply, Rest, Socket, Transport, Value};
use tokio::sync::mpsc;

use crate::support::{MODES, POLLING, Peer, Scripted, Server, UPGRADE, WEBSOCKET, named, until, within};

fn echo(io: &Io) {
    io.of("/").on("echo", async |value: Value| Reply(value));
}

#[tokio::test]
async fn flood_both_ways_during_the_upgrade_arrives_once_and_in_order() {
    const COUNT: u32 = 2_000;
    let (sender, mut seen) = mpsc::unbounded_channel();
    let server = Server::start(|io| {
        io.of("/").on("up", async move |number: u32| sender.send(number).unwrap());
        io.of("/").on("flood me", async |socket: ServerSocket| {
            for number in 0..COUNT {
                socket.emit("down", number);
                if number % 20 == 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        });
    })
    .await;
    let client = server.client(UPGRADE).build().unwrap();
    let mut events = client.events();
    within(client.connect()).await.unwrap();
    client.emit("flood me", ());
    let mut down = 0;
    let mut upgraded_at = None;
    for up in 0..COUNT {
        client.emit("up", up);
        if up % 20 != 0 {
            continue;
        }
        let Some(event) = within(events.next()).await else { panic!("the client has ended") };
        take(event, &mut down, &mut upgraded_at, up);
    }
    while down < COUNT {
        take(within(events.next()).await.unwrap(), &mut down, &mut upgraded_at, COUNT);
    }
    for number in 0..COUNT {
        assert_eq!(within(seen.recv()).await, Some(number));
    }
    let (down_at, up_at) = upgraded_at.expect("it has upgraded");
    assert!(down_at < COUNT && up_at < COUNT, "the flood was over before the upgrade: {down_at}, {up_at}");
    assert_eq!(client.transport(), Some(Transport::WebSocket));

    fn take(event: Event, down: &mut u32, upgraded_at: &mut Option<(u32, u32)>, up: u32) {
        match event {
            Event::Received(received) => {
                assert_eq!(received.decode::<u32>().unwrap(), *down);
                *down += 1;
            }
            Event::Lifecycle(Lifecycle::Upgrade(_)) => *upgraded_at = Some((*down, up)),
            Event::Lagged(count) => panic!("{count} were left out"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn bytes_go_both_ways() {
    let server = Server::start(|io| {
        echo(io);
        io.of("/").on("ask", async |socket: ServerSocket, bytes: Bytes| {
            Reply(socket.emit_with_ack::<(Bytes, u8)>("turn", (bytes, 7)).await.unwrap())
        });
    })
    .await;
    for transports in MODES {
        let client = server.client(transports).on("turn", async |bytes: Bytes, number: u8| {
            Reply((bytes.iter().rev().copied().collect::<Bytes>(), number + 1))
        });
        let client = within(client.connect()).await.unwrap();
        let large = Bytes::from(vec![42; 300_000]);
        let answer: Bytes = within(client.emit_with_ack("echo", &large)).await.unwrap();
        assert_eq!(answer, large);
        let (turned, number): (Bytes, u8) =
            within(client.emit_with_ack("ask", Bytes::from_static(b"abc"))).await.unwrap();
        assert_eq!((&turned[..], number), (&b"cba"[..], 8));
        let Rest(all) = within(client.emit_with_ack("echo", Value::from(Bytes::new()))).await.unwrap();
        assert_eq!(all, [Value::from(Bytes::new())]);
    }
}

#[tokio::test]
async fn bytes_as_base64_arrive_too() {
    let server = Server::start(echo).await;
    for transports in MODES {
        let client = server.client(transports).configure(|config| config.force_base64 = true).connect();
        let client = within(client).await.unwrap();
        let answer: Bytes = within(client.emit_with_ack("echo", Bytes::from_static(b"abc"))).await.unwrap();
        assert_eq!(answer, "abc");
    }
}

#[tokio::test]
async fn what_was_buffered_goes_out_before_connect_is_told() {
    let server = Server::start(|io| {
        // It greets before it lets in: the client has to keep that.
        io.of("/").on("a", async || ());
        io.on_connection(async |socket: ServerSocket| socket.emit("welcome", ()));
    })
    .await;
    let client = server.client(WEBSOCKET).build().unwrap();
    let order = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let (outgoing, connected) = (order.clone(), order.clone());
    client.on_any_outgoing(move |_, name, _| outgoing.lock().push(name.to_owned()));
    client.on_connect(async move |socket: Socket| {
        connected.lock().push("connect".to_owned());
        socket.emit("c", ());
    });
    client.emit("a", ());
    client.send("b");
    client.volatile().emit("never", ());
    within(client.connect()).await.unwrap();
    until(|| order.lock().len() == 4).await;
    assert_eq!(*order.lock(), ["a", "message", "connect", "c"]);
}

#[tokio::test]
async fn send_buffer_has_a_limit() {
    let server = Server::start(echo).await;
    let client = server.client(WEBSOCKET).configure(|config| config.send_buffer_events_max = 3).build().unwrap();
    for _ in 0..3 {
        client.try_emit("x", ()).unwrap();
    }
    assert!(matches!(client.try_emit("x", ()), Err(EmitError::Full)));
    assert!(matches!(client.emit_with_ack::<()>("x", ()).await, Err(AckError::Emit(EmitError::Full))));
    within(client.connect()).await.unwrap();
    until(|| client.try_emit("x", ()).is_ok()).await;
    let reserved = client.try_emit("disconnect", ());
    assert!(matches!(reserved, Err(EmitError::Encode(_))), "{reserved:?}");
}

#[tokio::test]
async fn server_that_does_not_read_fills_the_send_buffer_and_no_more() {
    // It takes the WebSocket, lets in, and reads nothing more.
    let server = Scripted::start(async |mut peer: Peer| {
        peer.accept_socket_io().await;
        peer.hold().await;
    })
    .await;
    let client = server.client(WEBSOCKET).configure(|config| config.send_buffer_bytes_max = 1 << 20).connect();
    let client = within(client).await.unwrap();
    let text = "x".repeat(100_000);
    let mut taken = 0_usize;
    within(async {
        loop {
            match client.try_emit("x", &text) {
                Ok(()) => taken += text.len(),
                Err(EmitError::Full) => break,
                Err(error) => panic!("{error}"),
            }
            assert!(taken < 64 << 20, "there is no end of it");
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn acknowledgements_end_one_way_or_another() {
    let server = Server::start(|io| {
        io.of("/").on("silence", async || ());
        io.of("/").on("text", async || Reply("no number"));
        io.of("/").on("fail", async || -> patera::Result<Reply<u8>> { Err("said no")? });
    })
    .await;
    let client = server.client(WEBSOCKET).configure(|config| config.pending_acks_max = 2).build().unwrap();
    let soon = Duration::from_millis(20);
    let offline = client.timeout(soon).emit_with_ack::<()>("silence", ());
    assert!(matches!(within(offline).await, Err(AckError::Timeout)), "it was never sent");
    within(client.connect()).await.unwrap();
    let late = client.timeout(soon).emit_with_ack::<()>("silence", ());
    assert!(matches!(within(late).await, Err(AckError::Timeout)));
    assert!(matches!(within(client.emit_with_ack::<u8>("text", ())).await, Err(AckError::Answer(_))));
    let refused: Value = within(client.emit_with_ack("fail", ())).await.unwrap();
    assert_eq!(refused["error"].as_str(), Some("said no"));
    let waiting = [(); 2].map(|()| client.emit_with_ack::<()>("silence", ()));
    assert!(matches!(within(client.emit_with_ack::<()>("silence", ())).await, Err(AckError::TooMany)));
    within(client.disconnect()).await;
    for answer in waiting {
        assert!(matches!(within(answer).await, Err(AckError::Disconnected)));
    }
}

#[tokio::test]
async fn handlers_fail_for_themselves() {
    let server = Server::start(|io| {
        io.of("/").on("call", async |socket: ServerSocket, event: String| {
            Reply(socket.emit_with_ack::<Value>(&event, "text").await.unwrap())
        });
    })
    .await;
    let client = server.client(WEBSOCKET).build().unwrap();
    client.on("number", async |number: u8| Reply(number));
    client.on("panic", async || -> () { panic!("on purpose") });
    client.on("panic", async || Reply("the next one"));
    client.on("error", async || -> patera_client::Result<Reply<()>> { Err("not today")? });
    let (sender, mut failures) = mpsc::unbounded_channel();
    client.on_error(move |_, event, failure| {
        let kind = match failure {
            Failure::Call(CallError::Argument(_)) => "argument",
            Failure::Handler(_) => "handler",
            Failure::Panic => "panic",
            _ => "other",
        };
        sender.send(format!("{event}: {kind}")).unwrap();
    });
    within(client.connect()).await.unwrap();
    let answer: Value = within(client.emit_with_ack("call", "number")).await.unwrap();
    assert!(answer["error"].as_str().unwrap().starts_with("argument 1"), "{answer}");
    let answer: Value = within(client.emit_with_ack("call", "panic")).await.unwrap();
    assert_eq!(answer.as_str(), Some("the next one"));
    let answer: Value = within(client.emit_with_ack("call", "error")).await.unwrap();
    assert_eq!(answer["error"].as_str(), Some("not today"));
    let mut heard = Vec::new();
    for _ in 0..3 {
        heard.push(within(failures.recv()).await.unwrap());
    }
    assert_eq!(heard, ["number: argument", "panic: panic", "error: handler"]);
}

#[tokio::test]
async fn stream_acknowledges_and_ends_with_the_client() {
    let server = Server::start(|io| {
        io.on_connection(async |socket: ServerSocket| {
            let answer: (u8, u8) = socket.emit_with_ack("ask", (1, 2)).await.unwrap();
            socket.emit("told", answer);
        });
    })
    .await;
    let client = server.client(WEBSOCKET).build().unwrap();
    let mut events = client.events();
    client.connect();
    let mut heard = Vec::new();
    while heard.last() != Some(&"told".to_owned()) {
        match within(events.next()).await.unwrap() {
            Event::Received(received) => {
                heard.push(received.name().to_owned());
                let (one, other): (u8, u8) = received.decode().unwrap();
                assert_eq!(received.wants_ack(), received.name() == "ask");
                received.acknowledge((one + 1, other + 1));
            }
            Event::Lifecycle(lifecycle) => heard.push(lifecycle.name().to_owned()),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(heard, ["connecting", "connect", "ask", "told"]);
}

/// A server that answers an `x` from the third time on that it gets it, and tells what it got.
async fn hard_of_hearing() -> (Server, mpsc::UnboundedReceiver<u32>) {
    let (sender, seen) = mpsc::unbounded_channel();
    let counts = Arc::new(parking_lot::Mutex::new(HashMap::<u32, u32>::new()));
    let server = Server::start(|io| {
        io.of("/").on("x", async move |number: u32, ack: patera::Ack<u32>| {
            sender.send(number).unwrap();
            let mut counts = counts.lock();
            let count = counts.entry(number).or_default();
            *count += 1;
            if *count >= 3 {
                ack.send(number);
            }
        });
        io.of("/").on("never", async || ());
    })
    .await;
    (server, seen)
}

#[tokio::test]
async fn retries_go_on_until_the_server_answers() {
    let (server, mut seen) = hard_of_hearing().await;
    let client = server.client(WEBSOCKET).retries(1_000).ack_timeout(Duration::from_millis(20)).build().unwrap();
    client.emit("x", 1);
    let answer = client.emit_with_ack::<u32>("x", 2);
    within(client.connect()).await.unwrap();
    assert_eq!(within(answer).await.unwrap(), 2);
    within(client.disconnect()).await;
    drop(server);
    let mut got = Vec::new();
    while let Some(number) = within(seen.recv()).await {
        got.push(number);
    }
    assert!(got.is_sorted(), "one after the other: {got:?}");
    let count = |number: u32| got.iter().filter(|each| **each == number).count();
    assert!(count(1) >= 3 && count(2) >= 3, "{got:?}");
}

#[tokio::test]
async fn retries_come_to_an_end_and_the_next_has_its_turn() {
    let (server, mut seen) = hard_of_hearing().await;
    let client = server.client(WEBSOCKET).retries(1).ack_timeout(Duration::from_millis(20)).connect();
    let client = within(client).await.unwrap();
    let given_up = client.emit_with_ack::<()>("never", ());
    client.emit("x", 3);
    assert!(matches!(within(given_up).await, Err(AckError::Timeout)));
    assert_eq!(within(seen.recv()).await, Some(3));
}

#[tokio::test]
async fn retried_event_survives_the_server() {
    let delay = Duration::from_millis(10);
    let server = Server::start(|io| {
        io.of("/").on("x", async || ());
    })
    .await;
    let address = server.address;
    let client = server.client(WEBSOCKET).retries(5).reconnection(true);
    let client = client.reconnection_delay(delay).reconnection_delay_max(delay).build().unwrap();
    let mut events = client.events();
    within(client.connect()).await.unwrap();
    let answer = client.emit_with_ack::<u8>("x", ());
    let _: Result<(), _> = client.volatile().timeout(delay).emit_with_ack("x", ()).await;
    server.kill();
    named(&mut events, "disconnect").await;
    let _server = Server::start_with(Config::default(), address, |io| {
        io.of("/").on("x", async || Reply(9));
    })
    .await;
    assert_eq!(within(answer).await.unwrap(), 9);
}

#[tokio::test]
async fn volatile_events_are_dropped_where_they_cannot_go_out() {
    let (sender, mut seen) = mpsc::unbounded_channel();
    let server = Server::start(|io| {
        io.of("/").on("x", async move |number: u32| {
            sender.send(number).unwrap();
            Reply(())
        });
    })
    .await;
    let client = server.client(WEBSOCKET).build().unwrap();
    client.volatile().emit("x", 1);
    assert!(matches!(within(client.volatile().emit_with_ack::<()>("x", 2)).await, Err(AckError::Volatile)));
    within(client.connect()).await.unwrap();
    let () = within(client.volatile().emit_with_ack("x", 3)).await.unwrap();
    assert_eq!(seen.recv().await, Some(3));
    assert!(seen.try_recv().is_err());
}

#[tokio::test]
async fn payloads_of_polling_are_as_large_as_the_server_takes() {
    let (sender, mut seen) = mpsc::unbounded_channel();
    let mut config = Config::default();
    config.max_http_buffer_size = 10_000;
    let server = Server::start_with(config, "127.0.0.1:0".parse().unwrap(), |io| {
        io.of("/").on("x", async move |number: u32, _text: String| sender.send(number).unwrap());
    })
    .await;
    let client = within(server.client(POLLING).connect()).await.unwrap();
    for number in 0..200 {
        client.emit("x", (number, "y".repeat(900)));
    }
    for number in 0..200 {
        assert_eq!(within(seen.recv()).await, Some(number));
    }
}

#[tokio::test]
async fn event_that_the_server_would_not_take_is_refused() {
    for transports in [POLLING, WEBSOCKET] {
        let mut config = Config::default();
        config.max_http_buffer_size = 10_000;
        let server = Server::start_with(config, "127.0.0.1:0".parse().unwrap(), echo).await;
        let client = server.client(transports).build().unwrap();
        let text = |packet: usize| "y".repeat(packet - r#"42["echo",""]"#.len());
        // Without a connection nobody knows what it takes.
        let buffered = server.client(transports).build().unwrap();
        assert!(buffered.try_emit("echo", text(10_001)).is_ok());
        within(client.connect()).await.unwrap();
        assert!(client.try_emit("echo", text(10_000)).is_ok());
        let refused = client.try_emit("echo", text(10_001));
        assert!(matches!(refused, Err(EmitError::TooLarge { bytes: 10_001, max: 10_000 })), "{refused:?}");
        assert_eq!(refused.unwrap_err().to_string(), "10,001 bytes; the server takes 10,000");
        // In polling bytes are base64.
        let most = if transports == POLLING { 7_497 } else { 10_000 };
        assert!(client.try_emit("echo", Bytes::from(vec![0; most])).is_ok());
        let refused = client.try_emit("echo", Bytes::from(vec![0; most + 1]));
        assert!(matches!(refused, Err(EmitError::TooLarge { max: 10_000, .. })), "{refused:?}");
        let answer: u32 = within(client.emit_with_ack("echo", 7)).await.unwrap();
        assert_eq!(answer, 7, "the connection stands");
    }
}

#[tokio::test]
async fn parsers_that_differ_are_told_apart() {
    use patera_client::Parser;

    let server = Server::start(echo).await;
    let client = server.client(WEBSOCKET).parser(Parser::MessagePack).build().unwrap();
    let mut events = client.events();
    assert!(within(client.connect()).await.is_err());
    named(&mut events, "connect_error").await;
}

#[tokio::test]
async fn stream_that_is_not_read_holds_so_many_bytes() {
    let server = Server::start(|io| {
        io.of("/").on("flood me", async |socket: ServerSocket| {
            for _ in 0..10 {
                socket.emit("x", "y".repeat(400));
            }
            Reply(())
        });
    })
    .await;
    let client = server.client(WEBSOCKET).configure(|config| config.stream_bytes_max = 1_000).build().unwrap();
    within(client.connect()).await.unwrap();
    let mut events = client.events();
    let () = within(client.emit_with_ack("flood me", ())).await.unwrap();
    for _ in 0..2 {
        assert!(matches!(within(events.next()).await, Some(Event::Received(_))));
    }
    let () = within(client.emit_with_ack("flood me", ())).await.unwrap();
    assert!(matches!(within(events.next()).await, Some(Event::Lagged(8))));
    assert!(matches!(within(events.next()).await, Some(Event::Received(_))));
}

#[cfg(feature = "deflate")]
#[tokio::test]
async fn events_are_compressed_unless_told_otherwise() {
    let (sender, mut frames) = mpsc::unbounded_channel();
    let server = Scripted::start(move |mut peer: Peer| {
        let sender = sender.clone();
        async move {
            let parameters = "client_no_context_takeover; server_no_context_takeover";
            peer.agree(&format!("Sec-WebSocket-Extensions: permessage-deflate; {parameters}\r\n")).await;
            peer.write_text(crate::support::OPEN).await;
            peer.frame().await;
            peer.write_text(r#"40{"sid":"x"}"#).await;
            for _ in 0..2 {
                sender.send(peer.frame().await).unwrap();
            }
            peer.hold().await;
        }
    })
    .await;
    let client = within(server.client(WEBSOCKET).connect()).await.unwrap();
    let text = "again ".repeat(10_000);
    client.emit("x", &text);
    client.compress(false).emit("x", &text);
    let (compressed, plain) = (within(frames.recv()).await.unwrap(), within(frames.recv()).await.unwrap());
    assert!(compressed.0 && compressed.1 < 1_000, "{compressed:?}");
    assert_eq!(plain, (false, r#"42["x",""]"#.len() + text.len()));
}
