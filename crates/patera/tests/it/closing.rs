//! `close`: goodbyes without losses, and nothing new let in.

use std::sync::Arc;
use std::time::Duration;

use patera::{DisconnectReason, Io, Reply, Socket};
use tokio::sync::{Notify, mpsc};

use crate::support::{Client, Polling, eventually, http, serve};

#[tokio::test]
async fn close_flushes_says_goodbye_and_waits_for_handlers() {
    let io = Io::new();
    let (reasons, mut ended) = mpsc::unbounded_channel();
    let gate = Arc::new(Notify::new());
    let open = gate.clone();
    io.on_disconnect(async move |reason: DisconnectReason| reasons.send(reason).unwrap());
    io.on("wait", move |s: Socket| {
        let gate = gate.clone();
        async move {
            s.emit("waiting", ());
            gate.notified().await;
        }
    });
    let address = serve(&io).await;
    let (mut client, _) = Client::connect(address).await;
    let polling = Polling::connect(address).await;
    client.send(r#"42["wait"]"#).await;
    client.expect(r#"42["waiting"]"#).await;
    io.emit("last", ());
    let closing = tokio::spawn({
        let io = io.clone();
        async move { io.close().await }
    });
    client.expect(r#"42["last"]"#).await;
    assert_eq!(client.closed().await, Some(1001));
    // Stock clients handle a close packet before the events of the same payload: it comes alone.
    assert_eq!(polling.get().await.brief(), (200, "42[\"last\"]"));
    assert_eq!(polling.get().await.brief(), (200, "1"));
    assert_eq!(ended.recv().await, Some(DisconnectReason::ServerShuttingDown));
    assert_eq!(ended.recv().await, Some(DisconnectReason::ServerShuttingDown));
    assert!(!closing.is_finished(), "a handler still waits");
    open.notify_one();
    closing.await.unwrap();
    assert_eq!(io.stats().sessions, 0);
}

#[tokio::test]
async fn handshakes_are_refused_while_closing() {
    let io = Io::new();
    let app = axum::Router::new().layer(io.layer());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    io.close().await;
    let refused = http(address, "GET", "/socket.io/?EIO=4&transport=polling", "", "").await;
    assert_eq!(refused.status, 503);
}

#[tokio::test]
async fn handler_runs_to_its_end_when_its_client_leaves() {
    let io = Io::new();
    let gate = Arc::new(Notify::new());
    let (open, (done, mut finished)) = (gate.clone(), mpsc::unbounded_channel());
    io.on("work", move |s: Socket| {
        let (gate, done) = (gate.clone(), done.clone());
        async move {
            s.emit("started", ());
            gate.notified().await;
            done.send(s.is_connected()).unwrap();
        }
    });
    let (mut client, _) = Client::connect(serve(&io).await).await;
    client.send(r#"42["work"]"#).await;
    client.expect(r#"42["started"]"#).await;
    client.close().await;
    eventually(|| io.stats().sockets == 0).await;
    open.notify_one();
    assert_eq!(finished.recv().await, Some(false));
    eventually(|| io.stats().handlers_pending == 0).await;
}

#[tokio::test]
async fn a_waiting_handler_delays_no_pong_and_no_other_event() {
    let mut config = patera::Config::default();
    config.ping_interval = Duration::from_millis(20);
    config.ping_timeout = Duration::from_millis(500);
    let io = Io::with_config(config);
    io.on("wait", async || std::future::pending::<()>().await);
    io.on("echo", async |n: u32| Reply(n));
    let (mut client, _) = Client::connect(serve(&io).await).await;
    client.send(r#"42["wait"]"#).await;
    for n in 0..3 {
        // A ping of Engine.IO comes between; `text` answers it.
        match client.next().await {
            Some(message) if message.to_text().is_ok_and(|text| text == "2") => client.send("3").await,
            other => panic!("a ping, not {other:?}"),
        }
        client.send(&format!(r#"42{n}["echo",{n}]"#)).await;
        client.expect(&format!("43{n}[{n}]")).await;
    }
}
