//! A message that each client gets behind the open packet.

use bytes::Bytes;
use patera::engine::{Engine, Message, Session};
use patera::{Config, DeflateConfig, Io};

use crate::support::eventually;
use crate::wire::{Server, WebSocket};

/// An engine that greets, echoes, and speaks both revisions.
fn greeting(message: impl Into<Message>) -> (Engine, Server) {
    let mut config = Config::default();
    "/engine.io".clone_into(&mut config.path);
    config.allow_eio3 = true;
    config.per_message_deflate = Some(DeflateConfig::default());
    config.initial_packet = Some(message.into());
    let engine = Engine::with_config(config);
    engine.on_connection(async |session: Session| {
        session.send("second");
        while let Some(message) = session.recv().await {
            session.send(message);
        }
    });
    let server = Server::of_engine(&engine);
    (engine, server)
}

/// The first answer to a client that polls, without its open packet.
async fn polled(server: &Server, query: &str) -> Vec<u8> {
    let answer = server.request("GET", &format!("/engine.io/?transport=polling&{query}"), "", b"").await;
    assert_eq!(answer.status, 200);
    let open = answer.body.windows(2).position(|two| two == b"0{").expect("an open packet");
    let end = open + answer.body[open..].iter().position(|byte| *byte == b'}').unwrap() + 1;
    answer.body[end..].to_vec()
}

async fn connected(server: &Server, query: &str) -> WebSocket {
    let mut client = WebSocket::open(server, &format!("transport=websocket&{query}")).await;
    assert!(client.text().await.starts_with("0{"));
    client
}

#[tokio::test]
async fn a_text_comes_right_behind_the_open_packet() {
    let (engine, server) = greeting("é!");
    assert_eq!(polled(&server, "EIO=4").await, "\u{1e}4é!".as_bytes());
    assert_eq!(polled(&server, "EIO=3").await, "3:4é!".as_bytes());
    let sent = engine.stats().bytes_out;
    for query in ["EIO=4", "EIO=3"] {
        let mut client = connected(&server, query).await;
        client.expect("4é!").await;
        client.expect("4second").await;
    }
    assert!(engine.stats().bytes_out > sent);
}

#[tokio::test]
async fn bytes_have_the_form_that_the_client_takes() {
    let (_engine, server) = greeting(Bytes::from_static(&[1, 2, 3]));
    assert_eq!(polled(&server, "EIO=4").await, b"\x1ebAQID");
    assert_eq!(polled(&server, "EIO=3&b64=1").await, b"6:b4AQID");
    // Behind a type (1 for bytes), the length in decimal digits, and 255.
    assert_eq!(polled(&server, "EIO=3").await, [1, 4, 255, 4, 1, 2, 3]);
    assert_eq!(connected(&server, "EIO=4").await.binary().await, [1, 2, 3]);
    assert_eq!(connected(&server, "EIO=3").await.binary().await, [4, 1, 2, 3]);
    connected(&server, "EIO=4&b64=1").await.expect("bAQID").await;
}

#[tokio::test]
async fn one_of_any_size_goes_out_before_all_else() {
    let long = "x".repeat(200_000);
    let (_engine, server) = greeting(long.clone());
    assert_eq!(polled(&server, "EIO=4").await.len(), long.len() + 2);
    let mut client = connected(&server, "EIO=4").await;
    client.expect(&format!("4{long}")).await;
    client.expect("4second").await;
}

#[tokio::test]
async fn clients_of_socket_io_get_it_too_and_plain_websockets_do_not() {
    let mut config = Config::default();
    config.initial_packet = Some(r#"2["hello"]"#.into());
    let io = Io::with_config(config);
    io.native("/ws");
    let server = Server::new(&io);
    let mut client = WebSocket::open(&server, "EIO=4&transport=websocket").await;
    assert!(client.text().await.starts_with("0{"));
    client.expect(r#"42["hello"]"#).await;
    client.send("40").await;
    assert!(client.text().await.starts_with("40{"));
    let mut native = server.upgrade("/ws").await.unwrap_or_else(|refused| panic!("{refused:?}"));
    eventually(|| io.stats().sockets == 2).await;
    io.emit("message", "first");
    native.expect("first").await;
}
