//! The life of a client: reconnection, cancellation, the end; and that nothing stays behind.

use std::time::Duration;

use patera::{Config, Io};
use patera_client::{Client, ClientBuilder, ConnectError, DisconnectReason, Lifecycle, Reply};
use tokio::runtime::Handle;

use crate::support::{MODES, Server, WEBSOCKET, life, named, until, within};

fn echo(io: &Io) {
    io.of("/").on("echo", async |number: u32| Reply(number));
}

fn impatient(builder: ClientBuilder) -> ClientBuilder {
    let delay = Duration::from_millis(10);
    builder.reconnection(true).reconnection_delay(delay).reconnection_delay_max(delay).randomization_factor(0.0)
}

#[tokio::test]
async fn server_that_comes_back_is_found_again() {
    for transports in MODES {
        let server = Server::start(echo).await;
        let address = server.address;
        let client = impatient(server.client(transports)).build().unwrap();
        let mut events = client.events();
        within(client.connect()).await.unwrap();
        let first = client.id();
        server.kill();
        let lost = life(&mut events, |lifecycle| match lifecycle {
            Lifecycle::Disconnect(disconnect) => Some(disconnect.reason),
            _ => None,
        })
        .await;
        assert!(matches!(lost, DisconnectReason::TransportClose | DisconnectReason::TransportError), "{lost}");
        assert!(client.active() && !client.connected());
        client.emit("echo", 1);
        let answer = client.emit_with_ack::<u32>("echo", 2);
        let Lifecycle::Reconnecting { attempt, delay } = named(&mut events, "reconnecting").await else { panic!() };
        assert_eq!((attempt, delay), (1, Duration::from_millis(10)));
        named(&mut events, "connecting").await;
        named(&mut events, "connect_error").await;
        named(&mut events, "reconnect_error").await;
        let _server = Server::start_with(Config::default(), address, echo).await;
        let Lifecycle::Reconnect { attempt } = named(&mut events, "reconnect").await else { panic!() };
        assert!(attempt >= 2, "{attempt}");
        named(&mut events, "connect").await;
        assert_eq!(within(answer).await.unwrap(), 2, "what was emitted offline is sent");
        assert_ne!(client.id(), first);
    }
}

#[tokio::test]
async fn attempts_come_to_an_end() {
    let client = impatient(Client::builder("http://127.0.0.1:1")).reconnection_attempts(2).build().unwrap();
    let mut events = client.events();
    assert!(within(client.connect()).await.is_err());
    let mut names = Vec::new();
    while names.last() != Some(&"reconnect_failed") {
        names.push(life(&mut events, |lifecycle| Some(lifecycle.name())).await);
    }
    let round = ["reconnecting", "connecting", "connect_error", "reconnect_error"];
    let expected = [&["connecting", "connect_error"][..], &round, &round, &["reconnect_failed"]].concat();
    assert_eq!(names, expected);
    assert!(!client.active());
}

#[tokio::test]
async fn dropped_clients_leave_no_task_behind() {
    let server = Server::start(echo).await;
    let before = Handle::current().metrics().num_alive_tasks();
    for transports in MODES {
        let client = impatient(server.client(transports)).build().unwrap();
        let socket = client.socket();
        client.on("x", async move || socket.emit("y", ()));
        within(client.connect()).await.unwrap();
        let (other, events) = (client.manager().socket("/other").unwrap(), client.events());
        drop(client);
        drop(other);
        drop(events);
    }
    // One that waits, one that never came to anything, one that was never connected.
    let waiting = impatient(Client::builder("http://127.0.0.1:1")).build().unwrap();
    let _ = within(waiting.connect()).await;
    drop((waiting, Client::builder("http://127.0.0.1:1").build().unwrap()));
    drop(impatient(server.client(WEBSOCKET)).connect());
    until(|| Handle::current().metrics().num_alive_tasks() == before).await;
    until(|| server.io.stats().sessions == 0).await;
}

#[tokio::test]
async fn cancelled_connect_leaves_nothing() {
    let server = Server::start(echo).await;
    let before = Handle::current().metrics().num_alive_tasks();
    let connecting = tokio::spawn(server.client(WEBSOCKET).connect());
    tokio::task::yield_now().await;
    connecting.abort();
    let _ = within(connecting).await;
    until(|| Handle::current().metrics().num_alive_tasks() == before).await;
    until(|| server.io.stats().sessions == 0).await;
}

#[tokio::test]
async fn what_was_emitted_before_the_end_arrives() {
    let (sender, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(|io| {
        io.of("/").on("x", async move |number: u32| sender.send(number).unwrap());
    })
    .await;
    for transports in MODES {
        let client = within(server.client(transports).connect()).await.unwrap();
        for number in 0..100 {
            client.emit("x", number);
        }
        drop(client);
        for number in 0..100 {
            assert_eq!(within(seen.recv()).await, Some(number));
        }
        until(|| server.io.stats().sessions == 0).await;
    }
}

#[tokio::test]
async fn ended_client_answers_at_once() {
    let server = Server::start(|_| {}).await;
    let client = within(server.client(WEBSOCKET).connect()).await.unwrap();
    let (socket, answer) = (client.socket(), client.emit_with_ack::<u32>("nobody answers", ()));
    let mut events = client.events();
    drop(client);
    assert!(within(answer).await.is_err());
    named(&mut events, "disconnect").await;
    assert!(within(events.next()).await.is_none());
    assert!(socket.try_emit("x", ()).is_err() || !socket.connected());
    until(|| socket.try_emit("x", ()).is_err()).await;
    assert!(matches!(within(socket.connect()).await, Err(ConnectError::Closed)));
    within(socket.disconnect()).await;
}

#[tokio::test]
async fn server_side_disconnect_is_final() {
    let server = Server::start(|io| {
        io.of("/").on("throw me out", async |socket: patera::Socket| socket.disconnect());
    })
    .await;
    let client = impatient(server.client(WEBSOCKET)).build().unwrap();
    let mut events = client.events();
    within(client.connect()).await.unwrap();
    client.emit("throw me out", ());
    let Lifecycle::Disconnect(disconnect) = named(&mut events, "disconnect").await else { panic!() };
    assert_eq!(disconnect.reason, DisconnectReason::IoServerDisconnect);
    assert!(!client.active());
    until(|| server.io.stats().sessions == 0).await;
    within(client.connect()).await.unwrap();
    assert!(client.connected());
}

#[tokio::test]
async fn socket_whose_namesake_is_still_leaving_comes_in() {
    let server = Server::start(|io| {
        // The server takes its time, so that the first is gone before it is let in.
        io.of("/slow").middleware(async || tokio::time::sleep(Duration::from_millis(30)).await);
    })
    .await;
    let manager = server.client(WEBSOCKET).manager().unwrap();
    let root = manager.socket("/").unwrap();
    within(root.connect()).await.unwrap();
    let first = manager.socket("/slow").unwrap();
    first.connect();
    drop(first);
    let second = manager.socket("/slow").unwrap();
    within(second.connect()).await.unwrap();
    assert!(root.connected(), "the connection was not touched");
    assert_eq!(server.io.stats().sessions, 1);
}

#[tokio::test]
async fn remembered_upgrade_begins_with_websocket() {
    let server = Server::start(|_| {}).await;
    let client = server.client(crate::support::UPGRADE).configure(|config| config.remember_upgrade = true);
    let client = client.build().unwrap();
    let mut events = client.events();
    within(client.connect()).await.unwrap();
    named(&mut events, "upgrade").await;
    within(client.disconnect()).await;
    within(client.connect()).await.unwrap();
    assert_eq!(client.transport(), Some(patera_client::Transport::WebSocket));
}

#[tokio::test]
async fn handlers_that_wait_keep_the_client_from_reading_but_not_from_living() {
    let mut config = Config::default();
    config.ping_interval = Duration::from_secs(1);
    config.ping_timeout = Duration::from_secs(1);
    let server = Server::start_with(config, "127.0.0.1:0".parse().unwrap(), |io| {
        io.on_connection(async |socket: patera::Socket| {
            for number in 0..5 {
                socket.emit("x", number);
            }
        });
    })
    .await;
    let (gate, opened) = tokio::sync::watch::channel(false);
    let (sender, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let client = server.client(WEBSOCKET).configure(|config| config.pending_handlers_max = 2);
    let client = client
        .on("x", async move |number: u32| {
            sender.send(number).unwrap();
            let mut opened = opened;
            opened.wait_for(|open| *open).await.unwrap();
        })
        .connect();
    let client = within(client).await.unwrap();
    assert_eq!((within(seen.recv()).await, within(seen.recv()).await), (Some(0), Some(1)));
    // Another one comes, and hears all five: by then they are here too.
    let other = server.client(WEBSOCKET).build().unwrap();
    let mut events = other.events();
    other.connect();
    let mut heard = 0;
    while heard < 5 {
        heard += u32::from(matches!(within(events.next()).await, Some(patera_client::Event::Received(_))));
    }
    assert!(seen.try_recv().is_err(), "the third waits");
    gate.send(true).unwrap();
    for number in 2..5 {
        assert_eq!(within(seen.recv()).await, Some(number));
    }
    assert!(client.connected());
}
