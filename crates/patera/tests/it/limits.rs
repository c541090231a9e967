//! What a client can make grow, and where it stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use patera::{AckError, Config, DisconnectReason, EmitError, Io, OutboxPolicy, Reply, Socket};
use tokio::sync::{Notify, mpsc};

use crate::support::{Client, Polling, eventually, serve};

#[tokio::test]
async fn full_outbox_closes_the_session_with_its_reason() {
    let mut config = Config::default();
    config.outbox_bytes_max = 10_000;
    let io = Io::with_config(config);
    let (reasons, mut ended) = mpsc::unbounded_channel();
    io.on_disconnect(async move |reason: DisconnectReason| reasons.send(reason).unwrap());
    // It polls no more, so nothing leaves the outbox.
    let _polling = Polling::connect(serve(&io).await).await;
    let socket = io.sockets().remove(0);
    let big = "x".repeat(9000);
    socket.try_emit("one", &big).unwrap();
    assert!(matches!(socket.try_emit("two", &big), Err(EmitError::Full)));
    assert_eq!(ended.recv().await, Some(DisconnectReason::OutboxFull));
}

#[tokio::test]
async fn outbox_can_drop_instead_and_takes_one_large_item() {
    let mut config = Config::default();
    config.outbox_bytes_max = 1000;
    config.outbox_policy = OutboxPolicy::DropNewest;
    let io = Io::with_config(config);
    let polling = Polling::connect(serve(&io).await).await;
    let socket = io.sockets().remove(0);
    socket.try_emit("large", "x".repeat(5000)).unwrap();
    assert!(matches!(socket.try_emit("dropped", 1), Err(EmitError::Full)));
    io.emit("dropped", 2);
    assert_eq!(io.stats().dropped_full, 1);
    assert!(polling.get().await.body.starts_with(r#"42["large","xxx"#));
    socket.try_emit("room again", 3).unwrap();
    assert_eq!(polling.get().await.body, r#"42["room again",3]"#);
}

#[tokio::test]
async fn outbox_takes_up_to_its_limit() {
    let mut config = Config::default();
    config.outbox_bytes_max = 1000;
    config.outbox_policy = OutboxPolicy::DropNewest;
    let io = Io::with_config(config);
    let _polling = Polling::connect(serve(&io).await).await;
    let socket = io.sockets().remove(0);
    // An item counts as the frame it is: 4 bytes of header, then `42["e","…"]`.
    let item = |bytes: usize| "x".repeat(bytes - 14);
    socket.try_emit("e", item(500)).unwrap();
    assert!(matches!(socket.try_emit("e", item(501)), Err(EmitError::Full)));
    socket.try_emit("e", item(500)).unwrap();
}

#[tokio::test]
async fn volatile_is_dropped_where_nobody_polls() {
    let io = Io::new();
    let polling = Polling::connect(serve(&io).await).await;
    let socket = io.sockets().remove(0);
    assert!(matches!(socket.volatile().try_emit("v", 1), Err(EmitError::Volatile)));
    io.volatile().emit("v", 2);
    assert_eq!(io.stats().dropped_volatile, 1);
    io.emit("kept", 3);
    assert_eq!(polling.get().await.body, r#"42["kept",3]"#);
    let (mut client, _) = Client::connect(polling.address).await;
    io.volatile().emit("v", 4);
    client.expect(r#"42["v",4]"#).await;
}

#[tokio::test]
async fn waiting_handlers_are_bounded_and_nothing_is_lost() {
    let mut config = Config::default();
    config.pending_handlers_max = 4;
    let io = Io::with_config(config);
    let running = Arc::new(AtomicUsize::new(0));
    let gate = Arc::new(Notify::new());
    let (open, most) = (gate.clone(), running.clone());
    io.on("work", move |n: u32| {
        let (running, gate) = (running.clone(), gate.clone());
        async move {
            assert!(running.fetch_add(1, Ordering::SeqCst) < 4);
            gate.notified().await;
            running.fetch_sub(1, Ordering::SeqCst);
            Reply(n)
        }
    });
    let (mut client, _) = Client::connect(serve(&io).await).await;
    for n in 0..20 {
        client.send(&format!(r#"42{n}["work",{n}]"#)).await;
    }
    eventually(|| most.load(Ordering::SeqCst) == 4).await;
    assert_eq!(io.stats().handlers_pending, 4);
    for n in 0..20 {
        eventually(|| most.load(Ordering::SeqCst) > 0).await;
        open.notify_one();
        client.expect(&format!("43{n}[{n}]")).await;
    }
}

#[tokio::test]
async fn awaited_acknowledgements_are_bounded() {
    let mut config = Config::default();
    config.pending_acks_max = 2;
    let io = Io::with_config(config);
    io.on("go", async |s: Socket| {
        let first = s.emit_with_ack::<u8>("a", 1);
        let second = s.emit_with_ack::<u8>("a", 2);
        let third = s.emit_with_ack::<u8>("a", 3).await;
        assert!(matches!(third, Err(AckError::TooMany)));
        s.emit("sum", first.await.unwrap() + second.await.unwrap());
    });
    let (mut client, _) = Client::connect(serve(&io).await).await;
    client.send(r#"42["go"]"#).await;
    for n in 0..3 {
        client.expect(&format!(r#"42{n}["a",{}]"#, n + 1)).await;
    }
    client.send("430[10]").await;
    client.send("431[20]").await;
    client.expect(r#"42["sum",30]"#).await;
}

#[tokio::test]
async fn websocket_message_is_bounded() {
    let mut config = Config::default();
    config.max_http_buffer_size = 100;
    let io = Io::with_config(config);
    io.on("e", async |text: String| Reply(text.len()));
    let address = serve(&io).await;
    for (bytes, taken) in [(99, true), (100, true), (101, false)] {
        let (mut client, _) = Client::connect(address).await;
        let text = "x".repeat(bytes - 11);
        client.send(&format!(r#"420["e","{text}"]"#)).await;
        if taken {
            client.expect(&format!("430[{}]", text.len())).await;
        } else {
            assert_eq!(client.closed().await, Some(1009));
        }
    }
}
