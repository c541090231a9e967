//! A session that may read no more for a while, because its handlers wait: what goes on, and that it starts again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use patera::{Config, DisconnectReason, Io, Reply};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};

use crate::support::{Client, Polling, eventually, serve};

/// `wait` waits for the gate, `echo` does not. One handler may wait.
fn full_with_one(mut config: Config) -> (Io, Arc<Notify>) {
    config.pending_handlers_max = 1;
    let io = Io::with_config(config);
    let gate = Arc::new(Notify::new());
    let closed = gate.clone();
    io.on("wait", move || {
        let gate = closed.clone();
        async move {
            gate.notified().await;
            Reply(())
        }
    });
    io.on("echo", async |n: u32| Reply(n));
    (io, gate)
}

#[tokio::test]
async fn reading_goes_on_when_a_handler_ends_and_nothing_else_happens() {
    let (io, gate) = full_with_one(Config::default());
    let (mut client, _) = Client::connect(serve(&io).await).await;
    client.send(r#"420["wait"]"#).await;
    eventually(|| io.stats().handlers_pending == 1).await;
    client.send(r#"421["echo",1]"#).await;
    gate.notify_one();
    client.expect("430[]").await;
    client.expect("431[1]").await;
}

#[tokio::test]
async fn a_pong_that_is_not_read_yet_is_no_ping_timeout() {
    let mut config = Config::default();
    config.ping_interval = Duration::from_millis(50);
    config.ping_timeout = Duration::from_millis(100);
    let (io, gate) = full_with_one(config);
    let (mut client, _) = Client::connect(serve(&io).await).await;
    assert_eq!(client.next().await.unwrap().to_text().unwrap(), "2");
    client.send(r#"420["wait"]"#).await;
    client.send("3").await;
    for _ in 0..3 {
        assert_eq!(client.next().await.unwrap().to_text().unwrap(), "2", "pings go on, and nobody is gone");
    }
    gate.notify_one();
    client.expect("430[]").await;
}

#[tokio::test]
async fn a_polling_body_starts_no_more_handlers_than_may_wait() {
    let (most, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let mut config = Config::default();
    config.pending_handlers_max = 2;
    let io = Io::with_config(config);
    let (started, open) = (most.clone(), gate.clone());
    io.on("work", move || {
        let (started, gate) = (started.clone(), gate.clone());
        async move {
            started.fetch_add(1, Ordering::SeqCst);
            gate.notified().await;
        }
    });
    io.on("last", async || Reply("done"));
    let polling = Polling::connect(serve(&io).await).await;
    let body = [r#"42["work"]"#; 5].join("\u{1e}") + "\u{1e}" + r#"420["last"]"#;
    let (answer, ()) = tokio::join!(polling.post(&body), async {
        eventually(|| io.stats().handlers_pending > 0).await;
        assert_eq!(most.load(Ordering::SeqCst), 2);
        for ended in 0..5 {
            eventually(|| most.load(Ordering::SeqCst) > ended).await;
            open.notify_one();
        }
    });
    assert_eq!(answer.brief(), (200, "ok"));
    assert_eq!(polling.get().await.body, r#"430["done"]"#);
}

#[tokio::test]
async fn a_post_behind_one_that_was_given_up_unfinished_ends_the_session() {
    let (io, _gate) = full_with_one(Config::default());
    let (reasons, mut ended) = mpsc::unbounded_channel();
    io.on_disconnect(async move |reason: DisconnectReason| reasons.send(reason).unwrap());
    let polling = Polling::connect(serve(&io).await).await;
    let body = "42[\"wait\"]\u{1e}42[\"echo\",1]";
    let mut stream = TcpStream::connect(polling.address).await.unwrap();
    let head = format!("POST {} HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n", polling.target(), body.len());
    stream.write_all((head + body).as_bytes()).await.unwrap();
    eventually(|| io.stats().handlers_pending == 1).await;
    drop(stream);
    // Until the server has seen that, the second one is refused as an overlap, which ends the session just the same.
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(polling.post(r#"42["echo",2]"#).await.status, 400);
    assert_eq!(ended.recv().await, Some(DisconnectReason::TransportError));
}
