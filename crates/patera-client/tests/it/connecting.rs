//! Coming in: transports, namespaces, auth, refusals.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use patera::{Io, Socket as ServerSocket};
use patera_client::{Client, ConnectError, EventName, Lifecycle, Reply, Rest, Transport, Value};
use serde_json::json;

use crate::support::{MODES, Server, UPGRADE, WEBSOCKET, life, named, within};

fn echo(io: &Io) {
    io.of("/").on("echo", async |value: Value| Reply(value));
    io.of("/").on("pair", async |one: Value, other: Value| Reply((one, other)));
    io.of("/").on("auth", async |socket: ServerSocket| Reply(socket.auth()));
    io.of("/chat").on("where", async || Reply("chat"));
}

#[tokio::test]
async fn all_transports_carry_events_and_acknowledgements() {
    let server = Server::start(|io| {
        echo(io);
        io.on_connection(async |socket: ServerSocket| {
            let sum: i64 = socket.emit_with_ack("add", (1, 2)).await.unwrap();
            socket.emit("sum", sum);
        });
    })
    .await;
    for transports in MODES {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let sender = Arc::new(std::sync::Mutex::new(Some(sender)));
        let client = server
            .client(transports)
            .on("add", async |a: i64, b: i64| Reply(a + b))
            .on("sum", async move |sum: i64| {
                sender.lock().unwrap().take().unwrap().send(sum).unwrap();
            })
            .connect();
        let client = within(client).await.unwrap();
        assert!(client.connected() && client.active() && !client.recovered());
        assert_eq!(client.id().map(|id| id.len()), Some(20));
        assert_eq!(within(receiver).await.unwrap(), 3);
        let answer: (u8, String) = within(client.emit_with_ack("pair", (7, "é"))).await.unwrap();
        assert_eq!(answer, (7, "é".to_owned()));
        within(client.disconnect()).await;
        assert!(!client.connected() && !client.active());
        assert_eq!((client.id(), client.transport()), (None, None));
    }
}

#[tokio::test]
async fn upgrade_is_told_and_the_transport_changes() {
    let server = Server::start(echo).await;
    let client = server.client(UPGRADE).build().unwrap();
    let mut events = client.events();
    within(client.connect()).await.unwrap();
    let transport = life(&mut events, |lifecycle| match lifecycle {
        Lifecycle::Upgrade(transport) => Some(transport),
        _ => None,
    });
    assert_eq!(transport.await, Transport::WebSocket);
    assert_eq!(client.transport(), Some(Transport::WebSocket));
    let answer: String = within(client.emit_with_ack("echo", "still here")).await.unwrap();
    assert_eq!(answer, "still here");
}

#[tokio::test]
async fn namespaces_share_a_connection() {
    let server = Server::start(echo).await;
    let manager = server.client(WEBSOCKET).manager().unwrap();
    let (root, chat) = (manager.socket("/").unwrap(), manager.socket("chat").unwrap());
    within(root.connect()).await.unwrap();
    within(chat.connect()).await.unwrap();
    assert_eq!(server.io.stats().sessions, 1);
    assert_ne!(root.id(), chat.id());
    let place: String = within(chat.emit_with_ack("where", ())).await.unwrap();
    assert_eq!(place, "chat");
    // Who asks for the same again gets the same.
    assert_eq!(manager.socket("/chat").unwrap().id(), chat.id());
    within(chat.disconnect()).await;
    let answer: u8 = within(root.emit_with_ack("echo", 1)).await.unwrap();
    assert_eq!(answer, 1, "the other namespace is not touched");
    within(chat.connect()).await.unwrap();
    within(manager.disconnect()).await;
    assert!(!root.connected() && !chat.connected());
}

#[tokio::test]
async fn auth_is_asked_for_at_every_connection() {
    let server = Server::start(echo).await;
    let count = Arc::new(AtomicU32::new(0));
    let counted = count.clone();
    let client = server.client(WEBSOCKET).auth_with(move || {
        let token = counted.fetch_add(1, Ordering::Relaxed);
        async move { if token == 1 { Err("no token today") } else { Ok(json!({ "token": token })) } }
    });
    let client = within(client.connect()).await.unwrap();
    let auth: serde_json::Value = within(client.emit_with_ack("auth", ())).await.unwrap();
    assert_eq!(auth, json!({"token": 0}));
    within(client.disconnect()).await;
    let error = within(client.connect()).await.unwrap_err();
    assert!(matches!(&error, ConnectError::Auth(text) if text == "no token today"), "{error:?}");
    within(client.connect()).await.unwrap();
    let auth: serde_json::Value = within(client.emit_with_ack("auth", ())).await.unwrap();
    assert_eq!(auth, json!({"token": 2}));
    within(client.disconnect()).await;
    client.set_auth(json!({"token": "mine"})).unwrap();
    within(client.connect()).await.unwrap();
    let auth: serde_json::Value = within(client.emit_with_ack("auth", ())).await.unwrap();
    assert_eq!(auth, json!({"token": "mine"}));
}

#[tokio::test]
async fn refusal_tells_message_and_data() {
    let server = Server::start(|io| {
        io.of("/admin").middleware(async || -> patera::Result {
            Err(patera::Error::new("not authorised").with_data(Value::from(4001)))
        });
    })
    .await;
    for transports in MODES {
        let error = within(server.client_of("/admin", transports).connect()).await.unwrap_err();
        assert_eq!(error.to_string(), "not authorised");
        assert_eq!(error.data().and_then(|data| data.as_i64()), Some(4001));
        let client = server.client_of("/nowhere", transports).reconnection(true).build().unwrap();
        let mut events = client.events();
        let error = within(client.connect()).await.unwrap_err();
        assert_eq!(error.to_string(), "Invalid namespace");
        assert!(!client.active(), "a refusal is not tried again");
        named(&mut events, "connect_error").await;
    }
}

#[tokio::test]
async fn what_cannot_be_is_an_error_of_the_builder() {
    let error = Client::builder("ftp://x").build().unwrap_err();
    assert!(matches!(error, ConnectError::Url(_)), "{error:?}");
    let error = Client::builder("http://127.0.0.1:1").reconnection(false).connect();
    let error = within(error).await.unwrap_err();
    assert!(matches!(error, ConnectError::Transport(_)), "{error:?}");
    let error = Client::builder("http://127.0.0.1:1").transports([]).connect();
    assert!(matches!(within(error).await.unwrap_err(), ConnectError::Transport(_)));
}

#[tokio::test]
async fn once_off_and_catch_alls() {
    let server = Server::start(|io| {
        io.of("/").on("twice", async |socket: ServerSocket| {
            socket.emit("x", 1);
            socket.emit("x", 2);
            Reply(())
        });
    })
    .await;
    let client = server.client(WEBSOCKET).build().unwrap();
    let (sender, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let tell = |what: &'static str| {
        let sender = sender.clone();
        async move |rest: Rest| sender.send(format!("{what} {:?}", rest.0.len())).unwrap()
    };
    client.once("x", tell("once"));
    let on = client.on("x", tell("on"));
    let incoming = sender.clone();
    let any = client.on_any(async move |EventName(name): EventName, number: u32| {
        incoming.send(format!("any {name} {number}")).unwrap();
    });
    let outgoing = sender.clone();
    client.on_any_outgoing(move |_, name, args| outgoing.send(format!("out {name} {}", args.len())).unwrap());
    within(client.connect()).await.unwrap();
    let () = within(client.emit_with_ack("twice", ("a", 1))).await.unwrap();
    let mut heard = Vec::new();
    while heard.len() < 6 {
        heard.push(within(seen.recv()).await.unwrap());
    }
    assert_eq!(heard, ["out twice 2", "any x 1", "once 1", "on 1", "any x 2", "on 1"]);
    assert!(client.off(on) && client.off(any) && !client.off(on));
    let () = within(client.emit_with_ack("twice", ())).await.unwrap();
    assert_eq!(seen.recv().await.unwrap(), "out twice 0");
    assert!(seen.try_recv().is_err());
}
