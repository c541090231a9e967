//! Engine.IO without Socket.IO on top.

use patera::DisconnectReason;
use patera::engine::{Engine, Message, Session};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::support::{Client, http};

pub(crate) async fn serve(engine: &Engine) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let engine = engine.clone();
    tokio::spawn(async move { engine.serve(listener).await });
    address
}

fn echo() -> (Engine, mpsc::UnboundedReceiver<Option<DisconnectReason>>) {
    let engine = Engine::new();
    let (reasons, ended) = mpsc::unbounded_channel();
    engine.on_connection(move |session: Session| {
        let reasons = reasons.clone();
        async move {
            while let Some(message) = session.recv().await {
                if message == Message::Text("quit".to_owned()) {
                    session.send("bye");
                    break;
                }
                session.send(message);
            }
            reasons.send(session.close_reason()).unwrap();
        }
    });
    (engine, ended)
}

#[tokio::test]
async fn messages_of_both_kinds_in_order_over_websocket() {
    let (engine, mut ended) = echo();
    let address = serve(&engine).await;
    let mut client = Client::open(address, "/engine.io/?EIO=4&transport=websocket", None).await;
    assert!(client.text().await.starts_with("0{"));
    client.send("4one").await;
    client.send_binary(&[1, 2]).await;
    client.send("4three").await;
    client.expect("4one").await;
    assert_eq!(client.binary().await, [1, 2]);
    client.expect("4three").await;
    client.close().await;
    assert_eq!(ended.recv().await, Some(Some(DisconnectReason::TransportClose)));
    crate::support::eventually(|| engine.stats().sessions == 0).await;
}

#[tokio::test]
async fn handler_that_returns_closes_behind_what_it_sent() {
    let (engine, mut ended) = echo();
    let address = serve(&engine).await;
    let mut client = Client::open(address, "/engine.io/?EIO=4&transport=websocket", None).await;
    client.text().await;
    client.send("4quit").await;
    client.expect("4bye").await;
    assert_eq!(client.closed().await, Some(1000));
    assert_eq!(ended.recv().await, Some(None));
}

#[tokio::test]
async fn polling_carries_both_kinds() {
    let (engine, _ended) = echo();
    let address = serve(&engine).await;
    let open = http(address, "GET", "/engine.io/?EIO=4&transport=polling", "", "").await;
    let target = format!("/engine.io/?EIO=4&transport=polling&sid={}", open.body.split('"').nth(3).unwrap());
    assert_eq!(http(address, "POST", &target, "", "4hello\u{1e}bAQI=").await.brief(), (200, "ok"));
    assert_eq!(http(address, "GET", &target, "", "").await.body, "4hello\u{1e}bAQI=");
}

#[tokio::test]
async fn unreceived_messages_stop_the_reading_and_none_is_lost() {
    let engine = Engine::new();
    engine.on_connection(async |session: Session| {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        let mut count = 0;
        while let Some(Message::Text(text)) = session.recv().await {
            assert_eq!(text, count.to_string());
            count += 1;
            if count == 5000 {
                session.send("all");
            }
        }
    });
    let address = serve(&engine).await;
    let mut client = Client::open(address, "/engine.io/?EIO=4&transport=websocket", None).await;
    client.text().await;
    for n in 0..5000 {
        client.send(&format!("4{n}")).await;
    }
    client.expect("4all").await;
}

#[tokio::test]
async fn several_tasks_may_receive_and_each_is_told_of_the_end() {
    let engine = Engine::new();
    let (counts, mut counted) = mpsc::unbounded_channel();
    engine.on_connection(move |session: Session| {
        let counts = counts.clone();
        async move {
            let count = async |session: &Session| {
                let mut count = 0;
                while session.recv().await.is_some() {
                    count += 1;
                }
                count
            };
            let (one, two) = (session.clone(), session.clone());
            let one = tokio::spawn(async move { count(&one).await });
            let two = tokio::spawn(async move { count(&two).await });
            session.send("ready");
            counts.send(one.await.unwrap() + two.await.unwrap()).unwrap();
        }
    });
    let mut client = Client::open(serve(&engine).await, "/engine.io/?EIO=4&transport=websocket", None).await;
    client.text().await;
    client.expect("4ready").await;
    for _ in 0..10 {
        client.send("4x").await;
    }
    client.close().await;
    let counted = tokio::time::timeout(crate::support::PATIENCE, counted.recv()).await;
    assert_eq!(counted.unwrap(), Some(10));
}
