//! A reader that stops: it is cut, and those who read do not feel it.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use patera::{Config, DisconnectReason, Io, Reply, Socket};
use tokio::sync::mpsc;

use crate::process::{all_gone, allow_files, alone, tasks};
use crate::support::{Client, serve};

/// `stall` joins the room of those who will not read; the reasons for which sockets end.
fn server(config: Config) -> (Io, mpsc::UnboundedReceiver<DisconnectReason>) {
    let io = Io::with_config(config);
    io.on("stall", async |socket: Socket| {
        socket.join("stalled");
        Reply(())
    });
    let (reasons, ended) = mpsc::unbounded_channel();
    io.on_disconnect(async move |reason: DisconnectReason| reasons.send(reason).unwrap());
    (io, ended)
}

async fn stalled(address: std::net::SocketAddr) -> Client {
    let (mut client, _) = Client::connect(address).await;
    client.send(r#"420["stall"]"#).await;
    client.expect("430[]").await;
    client
}

/// One broadcast to all who read, and how long each of them waits for it.
async fn broadcast(io: &Io, readers: &mut [Client], took: &mut Vec<Duration>) {
    let started = Instant::now();
    io.except("stalled").emit("news", ());
    took.extend(
        join_all(readers.iter_mut().map(async |client| {
            client.expect(r#"42["news"]"#).await;
            started.elapsed()
        }))
        .await,
    );
}

fn p99(took: &mut [Duration]) -> Duration {
    took.sort_unstable();
    took[took.len() * 99 / 100]
}

#[tokio::test]
async fn readers_that_stop_are_cut_while_a_thousand_keep_their_pace() {
    let _alone = alone().await;
    allow_files(20_000);
    let (io, mut ended) = server(Config::default());
    let address = serve(&io).await;
    let before = tasks();
    let mut readers = Vec::new();
    for _ in 0..1000 {
        readers.push(Client::connect(address).await.0);
    }
    let large = "x".repeat(300_000);
    let (mut quiet, mut disturbed) = (Vec::new(), Vec::new());
    broadcast(&io, &mut readers, &mut Vec::new()).await;
    // Turn by turn, so that a machine that is busy is so in both.
    for _ in 0..3 {
        for _ in 0..5 {
            broadcast(&io, &mut readers, &mut quiet).await;
        }
        let mut slow = Vec::new();
        for _ in 0..3 {
            slow.push(stalled(address).await);
        }
        for _ in 0..5 {
            io.to("stalled").emit("large", &large);
            broadcast(&io, &mut readers, &mut disturbed).await;
        }
        // Until what the kernel takes is full, and the outbox.
        while io.stats().sockets > 1000 {
            io.to("stalled").emit("large", &large);
            tokio::task::yield_now().await;
        }
        for _ in &slow {
            assert_eq!(ended.recv().await, Some(DisconnectReason::OutboxFull));
        }
    }
    let (quiet, disturbed) = (p99(&mut quiet), p99(&mut disturbed));
    assert!(disturbed < Duration::from_millis(50).max(quiet * 3), "{disturbed:?}, quiet {quiet:?}");
    assert_eq!(io.stats().sockets, 1000, "and nobody else");
    drop(readers);
    all_gone(&io, before).await;
}

#[tokio::test]
async fn a_reader_without_progress_is_cut_after_outbox_stall_timeout() {
    let _alone = alone().await;
    let mut config = Config::default();
    config.outbox_stall_timeout = Duration::from_millis(300);
    let (io, mut ended) = server(config);
    let address = serve(&io).await;
    let before = tasks();
    let client = stalled(address).await;
    let started = Instant::now();
    // More than the kernel takes on both sides; by itself it fits into any outbox.
    io.emit("large", "x".repeat(32 << 20));
    assert_eq!(ended.recv().await, Some(DisconnectReason::TransportError));
    assert!(started.elapsed() >= Duration::from_millis(300));
    all_gone(&io, before).await;
    drop(client);
}
