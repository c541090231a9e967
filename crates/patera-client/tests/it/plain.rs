//! Plain WebSockets, by the builder of a client.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use patera::Socket as ServerSocket;
use patera_client::{Client, ConnectError, Message, TransportError, Value};
use serde_json::{Value as Json, json};

use crate::support::{Server, within};

#[tokio::test]
async fn websocket_of_no_socket_io_passes_messages_both_ways() {
    let server = Server::start(|io| {
        io.native("/ws");
        io.on_connection(async |socket: ServerSocket| {
            let header = socket.handshake().headers()["x-name"].to_str().unwrap_or_default().to_owned();
            socket.emit("hello", (header, socket.auth()));
        });
        io.on("echo", async |socket: ServerSocket, x: Value| socket.emit("echo", x));
    })
    .await;
    let opened = Client::builder(server.url().replace("http", "ws") + "/ws?a=1")
        .query("b", "2")
        .extra_header(HeaderName::from_static("x-name"), HeaderValue::from_static("ada"))
        .configure(|config| config.protocols = vec!["patera.json".to_owned()])
        .open_websocket();
    let mut websocket = within(opened).await.unwrap();
    assert_eq!(websocket.subprotocol(), Some("patera.json"));
    let mut next = async || match within(websocket.next()).await.unwrap().unwrap() {
        Message::Text(text) => serde_json::from_str::<Json>(&text).unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!(next().await["event"], "connect");
    assert_eq!(next().await, json!({"event": "hello", "args": ["ada", {"a": "1", "b": "2"}]}));
    within(websocket.send(r#"{"event":"echo","args":["é"]}"#)).await.unwrap();
    let echo = within(websocket.next()).await.unwrap().unwrap();
    assert_eq!(echo, Message::Text(r#"{"event":"echo","args":["é"]}"#.to_owned()));
}

#[tokio::test]
async fn where_no_websocket_is_there_is_none() {
    let server = Server::start(|_| {}).await;
    let error = within(Client::builder(server.url() + "/ws").open_websocket()).await.err();
    assert!(
        matches!(&error, Some(ConnectError::Transport(error)) if matches!(**error, TransportError::WebSocket(_))),
        "{error:?}"
    );
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let builder = Client::builder(format!("ws://{}", silent.local_addr().unwrap())).timeout(Duration::from_millis(50));
    let error = within(builder.open_websocket()).await.err();
    assert!(matches!(error, Some(ConnectError::Timeout)), "{error:?}");
}
