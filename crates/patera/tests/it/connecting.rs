//! Namespaces, middlewares, and the life of a socket from CONNECT to its disconnect handlers.

use std::sync::Arc;

use patera::{Config, DisconnectReason, Error, Io, Reply, Result, Socket, Value};
use tokio::sync::{Notify, mpsc};

use crate::support::{Client, eventually, serve};

#[tokio::test]
async fn middleware_lets_in_or_refuses_with_data() {
    let io = Io::new();
    io.of("/admin").middleware(async |s: Socket, auth: Value| -> Result {
        let token = auth["token"].as_str().ok_or("missing token")?;
        if token != "abc" {
            return Err(Error::new("not authorized").with_data(serde_json::json!({"code": 42})));
        }
        s.data_set(token.to_owned());
        Ok(())
    });
    io.of("/admin").on("data", async |s: Socket| Reply(s.data::<String>().map(|data| data.as_ref().clone())));
    let address = serve(&io).await;
    let mut client = Client::engine(address).await;
    client.send("40/admin,").await;
    client.expect(r#"44/admin,{"message":"missing token"}"#).await;
    client.send(r#"40/admin,{"token":"x"}"#).await;
    client.expect(r#"44/admin,{"message":"not authorized","data":{"code":42}}"#).await;
    client.send(r#"40/admin,{"token":"abc"}"#).await;
    assert!(client.text().await.starts_with(r#"40/admin,{"sid":""#));
    client.send(r#"42/admin,0["data"]"#).await;
    client.expect(r#"43/admin,0["abc"]"#).await;
}

#[tokio::test]
async fn unknown_namespace_is_refused_and_the_connection_stays() {
    let io = Io::new();
    let mut client = Client::engine(serve(&io).await).await;
    client.send("40/nope,").await;
    client.expect(r#"44/nope,{"message":"Invalid namespace"}"#).await;
    client.send("40").await;
    assert!(client.text().await.starts_with("40{"));
}

#[tokio::test]
async fn connect_packet_comes_before_what_a_middleware_emits() {
    let io = Io::new();
    io.middleware(async |io: Io, s: Socket| {
        s.join("early");
        s.emit("from the middleware", 1);
        io.to("early").emit("from the room", 2);
    });
    io.on_connection(async |s: Socket| s.emit("connected", 3));
    let mut client = Client::engine(serve(&io).await).await;
    client.send("40").await;
    assert!(client.text().await.starts_with("40{"));
    client.expect(r#"42["from the middleware",1]"#).await;
    client.expect(r#"42["from the room",2]"#).await;
    client.expect(r#"42["connected",3]"#).await;
}

#[tokio::test]
async fn connection_handler_registers_before_the_first_event() {
    let io = Io::new();
    io.on_connection(async |s: Socket| s.on("x", async || Reply("heard")));
    let (mut client, _) = Client::connect(serve(&io).await).await;
    client.send(r#"420["x"]"#).await;
    client.expect(r#"430["heard"]"#).await;
}

#[tokio::test]
async fn leaving_while_a_middleware_waits_cancels_the_connect() {
    let io = Io::new();
    let gate = Arc::new(Notify::new());
    let asked = gate.clone();
    io.of("/slow").middleware(move || {
        let gate = gate.clone();
        async move { gate.notified().await }
    });
    let (mut client, _) = Client::connect(serve(&io).await).await;
    client.send("40/slow,").await;
    client.send("41/slow,").await;
    client.send("40/slow,").await;
    eventually(|| io.stats().handlers_pending == 2).await;
    asked.notify_waiters();
    // The second CONNECT is a new one, and the only one that is answered.
    assert!(client.text().await.starts_with(r#"40/slow,{"sid":""#));
    assert_eq!(io.of("/slow").sockets().len(), 1);
    client.send("41/slow,").await;
    eventually(|| io.stats().sockets == 1).await;
}

#[tokio::test]
async fn second_connect_closes_the_connection() {
    let io = Io::new();
    let (mut client, _) = Client::connect(serve(&io).await).await;
    client.send("40").await;
    client.closed().await;
    eventually(|| io.stats().sessions == 0).await;
}

async fn check_disconnect(act: impl AsyncFnOnce(Client, Socket), reason: DisconnectReason) {
    let io = Io::new();
    let (sockets, mut connected) = mpsc::unbounded_channel();
    let (reasons, mut ended) = mpsc::unbounded_channel();
    io.on_connection(move |s: Socket| {
        sockets.send(s.clone()).unwrap();
        let reasons = reasons.clone();
        s.on_disconnect(move |s: Socket, reason: DisconnectReason| async move {
            assert!(!s.is_connected());
            reasons.send(reason).unwrap();
        });
        async {}
    });
    let (client, _) = Client::connect(serve(&io).await).await;
    act(client, connected.recv().await.unwrap()).await;
    assert_eq!(ended.recv().await, Some(reason));
    eventually(|| io.stats().sockets == 0).await;
}

#[tokio::test]
async fn disconnect_tells_its_reason() {
    use DisconnectReason as Reason;
    let left = async |mut client: Client, _| client.send("41").await;
    check_disconnect(left, Reason::ClientNamespaceDisconnect).await;
    let closed = async |client: Client, _| client.close().await;
    check_disconnect(closed, Reason::TransportClose).await;
    let gone = async |client: Client, _| drop(client);
    check_disconnect(gone, Reason::TransportClose).await;
    let garbage = async |mut client: Client, _| client.send("nonsense").await;
    check_disconnect(garbage, Reason::ParseError).await;
    let violation = async |mut client: Client, _| client.send("42[]").await;
    check_disconnect(violation, Reason::ForcedClose).await;
    let disconnected = async |mut client: Client, socket: Socket| {
        socket.emit("bye", ());
        socket.disconnect();
        socket.emit("too late", ());
        client.expect(r#"42["bye"]"#).await;
        client.expect("41").await;
        // What was under way is ignored, and the connection stays.
        client.send(r#"42["late"]"#).await;
        client.send("40").await;
        assert!(client.text().await.starts_with("40{"));
        std::mem::forget(client);
    };
    check_disconnect_without_zero(disconnected).await;
    let closed_by_us = async |mut client: Client, socket: Socket| {
        socket.emit("bye", ());
        socket.close();
        client.expect(r#"42["bye"]"#).await;
        client.expect("41").await;
        client.closed().await;
    };
    check_disconnect(closed_by_us, Reason::ServerNamespaceDisconnect).await;
}

/// As above where the client comes back at once.
async fn check_disconnect_without_zero(act: impl AsyncFnOnce(Client, Socket)) {
    let io = Io::new();
    let (sockets, mut connected) = mpsc::unbounded_channel();
    let (reasons, mut ended) = mpsc::unbounded_channel();
    io.on_connection(async move |s: Socket| sockets.send(s).unwrap());
    io.on_disconnect(async move |reason: DisconnectReason| reasons.send(reason).unwrap());
    let (client, _) = Client::connect(serve(&io).await).await;
    act(client, connected.recv().await.unwrap()).await;
    assert_eq!(ended.recv().await, Some(DisconnectReason::ServerNamespaceDisconnect));
    assert_eq!(io.stats().sockets, 1);
}

#[tokio::test]
async fn silent_client_is_closed_after_connect_timeout() {
    let mut config = Config::default();
    config.connect_timeout = std::time::Duration::from_millis(50);
    let io = Io::with_config(config);
    let mut client = Client::engine(serve(&io).await).await;
    client.closed().await;
    eventually(|| io.stats().sessions == 0).await;
}

#[tokio::test]
async fn missing_pong_ends_the_session() {
    let mut config = Config::default();
    config.ping_interval = std::time::Duration::from_millis(20);
    config.ping_timeout = std::time::Duration::from_millis(20);
    let io = Io::with_config(config);
    let (reasons, mut ended) = mpsc::unbounded_channel();
    io.on_disconnect(async move |reason: DisconnectReason| reasons.send(reason).unwrap());
    let (mut client, _) = Client::connect(serve(&io).await).await;
    client.closed().await;
    assert_eq!(ended.recv().await, Some(DisconnectReason::PingTimeout));
}

#[tokio::test]
async fn handlers_and_data_are_dropped_after_the_disconnect_handlers() {
    let io = Io::new();
    let kept = Arc::new(());
    let weak = Arc::downgrade(&kept);
    let gate = Arc::new(Notify::new());
    let open = gate.clone();
    io.on_connection(move |s: Socket| {
        let (kept, gate) = (kept.clone(), gate.clone());
        // A closure that holds its own socket is no leak.
        let own = s.clone();
        s.on("x", move || {
            let _both = (own.clone(), kept.clone());
            async {}
        });
        s.extension_set(Arc::new(7));
        s.on_disconnect(move |s: Socket| {
            let gate = gate.clone();
            async move {
                gate.notified().await;
                assert!(s.extension::<Arc<i32>>().is_some());
            }
        });
        async {}
    });
    let (client, _) = Client::connect(serve(&io).await).await;
    assert_eq!(weak.strong_count(), 2);
    client.close().await;
    eventually(|| io.stats().sockets == 0).await;
    assert_eq!(weak.strong_count(), 2);
    open.notify_one();
    eventually(|| weak.strong_count() == 1).await;
    eventually(|| io.stats().sessions == 0).await;
}
