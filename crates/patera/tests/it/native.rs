//! Plain WebSockets beside Socket.IO clients.

use patera::{Config, Io, Reply, Result, Socket, Value};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Client, eventually, serve};

const JSON: Option<&str> = Some("patera.json");

#[tokio::test]
async fn json_clients_share_events_rooms_and_acknowledgements() {
    let io = Io::new();
    io.native("/ws");
    io.on("join", async |s: Socket, room: String| {
        s.join(room);
        Reply(true)
    });
    io.on("ask", async |s: Socket| {
        let (a, b): (u32, String) = s.emit_with_ack("question", ("q", 1)).await.unwrap();
        Reply((a, b))
    });
    let address = serve(&io).await;
    let mut native = Client::open(address, "/ws", JSON).await;
    let first = native.text().await;
    let id = io.sockets().remove(0).id().to_owned();
    assert_eq!(first, format!(r#"{{"event":"connect","args":[{{"sid":"{id}"}}]}}"#));
    native.send(r#"{"event":"join","args":["lobby"],"ack":7}"#).await;
    native.expect(r#"{"args":[true],"ack":7}"#).await;
    let (mut client, _) = Client::connect(address).await;
    client.send(r#"420["join","lobby"]"#).await;
    client.expect("430[true]").await;
    io.to("lobby").emit("news", ("é", [1].to_vec()));
    native.expect(r#"{"event":"news","args":["é",[1]]}"#).await;
    client.expect(r#"42["news","é",[1]]"#).await;
    native.send(r#"{"event":"ask","ack":8}"#).await;
    native.expect(r#"{"event":"question","args":["q",1],"ack":0}"#).await;
    native.send(r#"{"ack":0,"args":[5,"five"]}"#).await;
    native.expect(r#"{"args":[5,"five"],"ack":8}"#).await;
}

#[tokio::test]
async fn bytes_are_base64_in_json_and_frames_without_it() {
    let io = Io::new();
    io.native("/ws");
    io.on("echo", async |s: Socket, value: Value| s.emit("echo", value));
    io.on("message", async |s: Socket, value: Value| s.emit("message", value));
    let address = serve(&io).await;
    let mut json = Client::open(address, "/ws", JSON).await;
    json.text().await;
    json.send(r#"{"event":"echo","args":[{"a":{"base64":"AQID"}}]}"#).await;
    json.expect(r#"{"event":"echo","args":[{"a":{"base64":"AQID"}}]}"#).await;
    let mut raw = Client::open(address, "/ws", None).await;
    raw.send("plain \"text\"").await;
    raw.expect("plain \"text\"").await;
    raw.send_binary(&[0, 255]).await;
    assert_eq!(raw.binary().await, [0, 255]);
    io.emit("other", 1);
    raw.expect(r#"{"event":"other","args":[1]}"#).await;
}

#[tokio::test]
async fn query_is_the_auth_and_a_refusal_closes() {
    let io = Io::new();
    let admin = io.of("/admin");
    admin.native("/admin-ws");
    admin.middleware(async |auth: Value| -> Result {
        if auth["token"].as_str() == Some("abc") { Ok(()) } else { Err("no".into()) }
    });
    let address = serve(&io).await;
    let mut refused = Client::open(address, "/admin-ws?token=x", JSON).await;
    refused.expect(r#"{"event":"connect_error","args":[{"message":"no"}]}"#).await;
    refused.closed().await;
    let mut native = Client::open(address, "/admin-ws?token=abc", JSON).await;
    assert!(native.text().await.starts_with(r#"{"event":"connect""#));
    admin.sockets()[0].disconnect();
    native.closed().await;
    eventually(|| io.stats().sessions == 0).await;
}

#[tokio::test]
async fn what_is_no_message_closes_with_a_reason() {
    let io = Io::new();
    io.native("/ws");
    io.on("boom", async || -> () { panic!("on purpose") });
    let address = serve(&io).await;
    let faults = [
        "{bad",
        "[1]",
        r#"{"ev":1}"#,
        r#"{"event":"x","args":5}"#,
        r#"{"event":"x","args":{"a":[]}}"#,
        r#"{"event":"connect"}"#,
    ];
    for (text, code, reason) in faults.map(|text| (text, 1008, "parse error")).into_iter().chain([(
        r#"{"event":"boom"}"#,
        1011,
        "handler panicked",
    )]) {
        let mut native = Client::open(address, "/ws", JSON).await;
        native.text().await;
        native.send(text).await;
        assert_eq!(native.close_frame().await, Some((code, reason.to_owned())), "{text}");
    }
}

#[tokio::test]
async fn what_is_sent_while_a_middleware_waits_is_not_lost() {
    let io = Io::new();
    io.native("/ws");
    io.middleware(async || tokio::task::yield_now().await);
    io.on("message", async |s: Socket, text: String| s.emit("message", text));
    let mut raw = Client::open(serve(&io).await, "/ws", None).await;
    for text in ["one", "two", "three"] {
        raw.send(text).await;
    }
    for text in ["one", "two", "three"] {
        raw.expect(text).await;
    }
}

#[tokio::test]
async fn what_is_not_told_does_not_fill_the_outbox() {
    let mut config = Config::default();
    config.outbox_bytes_max = 1000;
    config.outbox_policy = patera::OutboxPolicy::DropNewest;
    let io = Io::with_config(config);
    io.native("/ws");
    let mut raw = Client::open(serve(&io).await, "/ws", None).await;
    eventually(|| io.stats().sockets == 1).await;
    // An empty outbox takes one item over its limit.
    let large = "x".repeat(2000);
    io.sockets()[0].try_emit("message", &large).unwrap();
    raw.expect(&large).await;
}

#[tokio::test]
async fn heartbeat_is_websocket_ping() {
    let mut config = Config::default();
    config.ping_interval = std::time::Duration::from_millis(20);
    let io = Io::with_config(config);
    io.native("/ws");
    let mut raw = Client::open(serve(&io).await, "/ws", None).await;
    for _ in 0..3 {
        assert!(matches!(raw.next().await, Some(Message::Ping(_))));
    }
    assert_eq!(io.stats().sockets, 1);
}

#[tokio::test]
async fn bad_json_closes_and_plain_requests_are_told() {
    let io = Io::new();
    io.native("/ws");
    let address = serve(&io).await;
    for bad in ["nonsense", r#"{"event":1}"#, r#"{"event":"connect","args":[]}"#, r#"{"event":"x","args":{}}"#, "{}x"] {
        let mut native = Client::open(address, "/ws", JSON).await;
        native.text().await;
        native.send(bad).await;
        native.closed().await;
        drop(native);
        eventually(|| io.stats().sessions == 0).await;
    }
    assert_eq!(crate::support::http(address, "GET", "/ws", "", "").await.status, 426);
}
