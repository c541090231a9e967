//! Connection state recovery, against the server's own: the connection is cut under both.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use patera::{Config, ConnectionStateRecovery, Socket as ServerSocket};
use patera_client::{Event, Events, Lifecycle, Reply, Socket, Value};
use patera_websocket::stream::Message;

use crate::support::{MODES, OPEN, Peer, Relay, Scripted, Server, WEBSOCKET, named, until, within};

fn recovering() -> Config {
    let mut config = Config::default();
    config.connection_state_recovery = Some(ConnectionStateRecovery::default());
    config
}

/// The numbers that come until one is the last, and whether the socket was recovered when it came back.
async fn numbers(events: &mut Events, last: u32) -> Vec<u32> {
    let mut numbers = Vec::new();
    while numbers.last() != Some(&last) {
        match within(events.next()).await.unwrap() {
            Event::Received(received) => numbers.push(received.decode::<u32>().unwrap()),
            Event::Lagged(count) => panic!("{count} were left out"),
            _ => {}
        }
    }
    numbers
}

#[tokio::test]
async fn offset_behind_the_arguments_is_told_apart() {
    for (config, recovers) in [(recovering(), true), (Config::default(), false)] {
        let server = Server::start_with(config, "127.0.0.1:0".parse().unwrap(), |io| {
            io.of("/").on("go", async |socket: ServerSocket| {
                socket.emit("plain", (1, "text"));
                socket.volatile().emit("volatile", "text");
                let _ = socket.emit_with_ack::<()>("asked", "text").await;
            });
        })
        .await;
        let client = server.client(WEBSOCKET).build().unwrap();
        let mut events = client.events();
        within(client.connect()).await.unwrap();
        client.emit("go", ());
        let mut received = Vec::new();
        while received.len() < 3 {
            if let Event::Received(event) = within(events.next()).await.unwrap() {
                received.push((event.name().to_owned(), event.args().len(), event.offset()));
            }
        }
        let plain = received.remove(0);
        assert_eq!((plain.1, plain.2.is_some()), (2 + usize::from(recovers), recovers));
        // Where something else could be taken for an offset, the server puts null behind it.
        let expected = [("volatile".to_owned(), 1 + usize::from(recovers), None), ("asked".to_owned(), 1, None)];
        assert_eq!(received, expected);
    }
}

#[tokio::test]
async fn missed_events_come_once_and_in_order() {
    for transports in MODES {
        let server = Server::start_with(recovering(), "127.0.0.1:0".parse().unwrap(), |io| {
            io.of("/").on("join", async |socket: ServerSocket| {
                socket.join("room");
                Reply(())
            });
        })
        .await;
        let relay = Relay::start(server.address).await;
        let delay = Duration::from_millis(50);
        let client = relay.client(transports).reconnection(true).reconnection_delay(delay).randomization_factor(0.0);
        let client = client.build().unwrap();
        let mut events = client.events();
        within(client.connect()).await.unwrap();
        let first = client.id();
        let () = within(client.emit_with_ack("join", ())).await.unwrap();
        if transports.len() == 2 {
            named(&mut events, "upgrade").await;
        }
        for number in 0..10 {
            server.io.to("room").emit("n", number);
        }
        assert_eq!(numbers(&mut events, 9).await, (0..10).collect::<Vec<_>>());
        relay.cut();
        named(&mut events, "disconnect").await;
        for number in 10..20 {
            server.io.to("room").emit("n", number);
        }
        assert_eq!(numbers(&mut events, 19).await, (10..20).collect::<Vec<_>>());
        until(|| client.connected()).await;
        assert!(client.recovered(), "{transports:?}");
        assert_eq!(client.id(), first);
    }
}

#[tokio::test]
async fn who_leaves_by_itself_is_another_one_when_it_comes_back() {
    let server = Server::start_with(recovering(), "127.0.0.1:0".parse().unwrap(), |_| {}).await;
    let client = within(server.client(WEBSOCKET).connect()).await.unwrap();
    let mut events = client.events();
    server.io.emit("n", 0);
    assert_eq!(numbers(&mut events, 0).await, [0]);
    within(client.disconnect()).await;
    within(client.connect()).await.unwrap();
    assert!(!client.recovered());
}

#[tokio::test]
async fn replay_that_comes_before_the_welcome_is_kept_until_then() {
    // As the official server does it.
    let server = Scripted::start(async |mut peer: Peer| {
        peer.accept_websocket(OPEN).await;
        let Message::Text(connect) = peer.next().await else { return };
        if connect == "40" {
            peer.send(r#"40{"sid":"s","pid":"p"}"#).await;
            peer.send(r#"42["n",1,"offset 1"]"#).await;
            peer.send(r#"42["n",2]"#).await;
            // No offset stands in an event that wants an answer.
            peer.send(r#"427["n",3,"no offset"]"#).await;
            while peer.next().await != Message::from("437[]") {}
            return;
        }
        peer.send(r#"42["n",4,"offset 4"]"#).await;
        peer.send(format!(r#"42["asked",{}]"#, &connect[2..])).await;
        peer.send(r#"40{"sid":"s","pid":"p"}"#).await;
        peer.hold().await;
    })
    .await;
    let delay = Duration::from_millis(10);
    let client = server.client(WEBSOCKET).reconnection(true).reconnection_delay(delay).build().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (numbers, lives, asked) = (seen.clone(), seen.clone(), seen.clone());
    client.on("n", async move |socket: Socket, number: u32| {
        numbers.lock().push(format!("{number} {}", socket.id().is_some()));
        Reply(())
    });
    client.on("asked", async move |value: Value| asked.lock().push(value.to_string()));
    client.on_lifecycle(async move |lifecycle: Lifecycle| lives.lock().push(lifecycle.name().to_owned()));
    client.connect();
    let expected = [
        "connecting",
        "connect",
        "1 true",
        "2 true",
        "3 true",
        "error",
        "disconnect",
        "reconnecting",
        "connecting",
        "reconnect",
        "4 true",
        r#"{"offset":"offset 1","pid":"p"}"#,
        "connect",
    ];
    until(|| seen.lock().len() >= expected.len()).await;
    assert_eq!(*seen.lock(), expected);
    assert!(client.recovered());
}
