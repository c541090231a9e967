//! What comes too late: it meets a session, a socket or a server that ends.

use std::sync::{Arc, Weak};

use patera::{AckError, Config, DisconnectReason, Io, Socket};
use tokio::sync::{Notify, mpsc};

use crate::support::{Client, PATIENCE, Polling, eventually, serve};

#[tokio::test]
async fn a_post_that_crosses_the_goodbye_is_taken() {
    let io = Io::new();
    let polling = Polling::connect(serve(&io).await).await;
    let socket = io.sockets().remove(0);
    socket.emit("last", ());
    socket.close();
    eventually(|| io.stats().sockets == 0).await;
    // A stock client would take an error for a broken transport, forget the goodbye, and come back.
    assert_eq!(polling.post("3").await.brief(), (200, "ok"));
    assert_eq!(polling.get().await.body, "42[\"last\"]\u{1e}41");
    assert_eq!(polling.get().await.body, "1");
}

#[tokio::test]
async fn a_client_let_in_before_close_and_arriving_after_it_is_told() {
    let (asked, mut asks) = mpsc::unbounded_channel();
    let gate = Arc::new(Notify::new());
    let decide = gate.clone();
    let mut config = Config::default();
    config.allow_request(move |_| {
        let (asked, gate) = (asked.clone(), decide.clone());
        async move {
            asked.send(()).unwrap();
            gate.notified().await;
            Ok(())
        }
    });
    let io = Io::with_config(config);
    let app = axum::Router::new().layer(io.layer());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let late = tokio::spawn(Client::open(address, "/socket.io/?EIO=4&transport=websocket", None));
    asks.recv().await.unwrap();
    io.close().await;
    gate.notify_one();
    assert_eq!(late.await.unwrap().closed().await, Some(1001));
    eventually(|| io.stats().sessions == 0).await;
}

#[tokio::test]
async fn an_acknowledgement_awaited_by_a_socket_that_leaves_fails_at_once() {
    let io = Io::new();
    let (_client, _) = Client::connect(serve(&io).await).await;
    let socket = io.sockets().remove(0);
    let answer = socket.emit_with_ack::<u32>("question", ());
    socket.disconnect();
    let answer = tokio::time::timeout(PATIENCE, answer).await.expect("not after the time for acknowledgements");
    assert!(matches!(answer, Err(AckError::Disconnected)));
}

#[tokio::test]
async fn an_acknowledgement_is_not_awaited_from_the_next_socket_in_the_same_place() {
    let io = Io::new();
    let polling = Polling::connect(serve(&io).await).await;
    let socket = io.sockets().remove(0);
    let answer = socket.emit_with_ack::<u32>("question", ());
    assert_eq!(polling.post("41\u{1e}40").await.brief(), (200, "ok"));
    assert!(polling.get().await.body.starts_with(r#"420["question"]"#));
    let answer = tokio::time::timeout(PATIENCE, answer).await.expect("not after the time for acknowledgements");
    assert!(matches!(answer, Err(AckError::Disconnected)));
}

#[tokio::test]
async fn handlers_registered_behind_the_end_are_not_kept() {
    let io = Io::new();
    let gate = Arc::new(Notify::new());
    let (open, (made, mut kept)) = (gate.clone(), mpsc::unbounded_channel::<Weak<()>>());
    io.on_connection(move |s: Socket| {
        let (gate, made) = (gate.clone(), made.clone());
        async move {
            gate.notified().await;
            let own = Arc::new(());
            made.send(Arc::downgrade(&own)).unwrap();
            let captured = (s.clone(), own);
            s.on("x", async move || drop(captured));
            let captured = s.clone();
            s.on_disconnect(async move || drop(captured));
        }
    });
    let (client, _) = Client::connect(serve(&io).await).await;
    client.close().await;
    eventually(|| io.stats().sockets == 0).await;
    open.notify_one();
    let kept = kept.recv().await.unwrap();
    eventually(|| kept.strong_count() == 0).await;
}

#[tokio::test]
async fn a_panic_in_the_error_hook_leaves_no_socket_behind() {
    let io = Io::new();
    let (reasons, mut ended) = mpsc::unbounded_channel();
    io.on_disconnect(async move |reason: DisconnectReason| reasons.send(reason).unwrap());
    io.on_error(|_, _, _| panic!("the hook's own fault"));
    io.on("panic", async || -> () { panic!("a handler's own fault") });
    io.on("number", async |_: u32| {});
    let address = serve(&io).await;
    for event in [r#"42["panic"]"#, r#"42["number","x"]"#] {
        let (mut client, _) = Client::connect(address).await;
        client.send(event).await;
        client.send("41").await;
        ended.recv().await.unwrap();
    }
    eventually(|| io.sockets().is_empty()).await;
}

#[tokio::test]
async fn timeouts_of_never_are_taken() {
    let mut config = Config::default();
    config.ping_interval = std::time::Duration::MAX;
    config.connect_timeout = std::time::Duration::MAX;
    config.ack_timeout = std::time::Duration::MAX;
    let io = Io::with_config(config);
    io.on("ask", async |socket: Socket| socket.emit("answered", socket.emit_with_ack::<u8>("?", ()).await.unwrap()));
    let (mut client, _) = Client::connect(serve(&io).await).await;
    client.send(r#"42["ask"]"#).await;
    client.expect(r#"420["?"]"#).await;
    client.send("430[7]").await;
    client.expect(r#"42["answered",7]"#).await;
}

#[tokio::test]
async fn a_client_that_moves_to_websocket_is_let_move_before_its_session_ends() {
    let io = Io::new();
    let polling = Polling::connect(serve(&io).await).await;
    let target = format!("/socket.io/?EIO=4&transport=websocket&sid={}", polling.sid);
    let mut websocket = Client::open(polling.address, &target, None).await;
    websocket.send("2probe").await;
    websocket.expect("3probe").await;
    io.sockets()[0].close();
    // A stock client has stopped polling by now, and asks for nothing more but the end of its last poll.
    assert_eq!(polling.get().await.body, "41");
    websocket.send("5").await;
    assert_eq!(websocket.closed().await, Some(1000));
    drop(websocket);
    eventually(|| io.stats().sessions == 0).await;
}

#[tokio::test]
async fn what_was_answered_before_a_violation_arrives() {
    let io = Io::new();
    io.native("/ws");
    io.on("echo", async |n: u8| patera::Reply(n));
    let address = serve(&io).await;
    let (mut client, _) = Client::connect(address).await;
    client.send(r#"420["echo",7]"#).await;
    client.send("nonsense").await;
    client.expect("430[7]").await;
    assert_eq!(client.closed().await, Some(1008));
    let mut native = Client::open(address, "/ws", Some("patera.json")).await;
    native.text().await;
    native.send(r#"{"event":"echo","args":[7],"ack":0}"#).await;
    native.send("nonsense").await;
    native.expect(r#"{"args":[7],"ack":0}"#).await;
    assert_eq!(native.closed().await, Some(1008));
}
