//! Limits that are no options: docs/guide/limits.md, "Fixed limits".

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll};

use futures_util::{SinkExt as _, StreamExt as _};
use patera::engine::{Engine, Session};
use patera::{Config, Io, MemoryBus};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::{Notify, Semaphore};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::streams::connect;
use crate::support::{Client, PATIENCE, eventually, serve};

#[tokio::test]
async fn a_turn_has_an_end() {
    const EVENTS: usize = 300;
    let io = Io::new();
    let handled = Arc::new(AtomicUsize::new(0));
    let counted = handled.clone();
    io.on("e", async move || {
        counted.fetch_add(1, SeqCst);
    });
    let (mut client, _) = Client::connect(serve(&io).await).await;
    let other = tokio::spawn(async move {
        let (mut before, mut most) = (0, 0);
        poll_fn(|cx| {
            let now = handled.load(SeqCst);
            (before, most) = (now, most.max(now - before));
            // Behind the session, if that has more to do.
            cx.waker().wake_by_ref();
            if now == EVENTS { Poll::Ready(most) } else { Poll::Pending }
        })
        .await
    });
    for _ in 0..EVENTS {
        client.0.feed(Message::text(r#"42["e"]"#)).await.unwrap();
    }
    client.0.flush().await.unwrap();
    assert_eq!(timeout(PATIENCE, other).await.expect("all of them").unwrap(), 64);
}

/// Tells the most bytes of one call.
struct Measured(DuplexStream, Arc<Calls>);

#[derive(Default)]
struct Calls {
    read: AtomicUsize,
    written: AtomicUsize,
}

impl AsyncRead for Measured {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.1.read.fetch_max(buffer.remaining(), SeqCst);
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Measured {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.1.written.fetch_max(data.len(), SeqCst);
        Pin::new(&mut self.0).poll_write(cx, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.1.written.fetch_max(data.iter().map(|slice| slice.len()).sum(), SeqCst);
        Pin::new(&mut self.0).poll_write_vectored(cx, data)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn reads_and_writes_are_bounded() {
    let io = Io::new();
    let (near, far) = tokio::io::duplex(1 << 20);
    let calls = Arc::new(Calls::default());
    let mut client = connect(&io, Measured(far, calls.clone()), near).await;
    for size in [7_000, 20_000] {
        let (socket, count) = (io.sockets().remove(0), 900_000 / size);
        (0..count).for_each(|_| socket.emit("e", "x".repeat(size)));
        for _ in 0..count {
            assert!(client.next().await.unwrap().unwrap().len() > size);
        }
        let written = calls.written.swap(0, SeqCst);
        assert!(((256 << 10) - size - 100..=256 << 10).contains(&written), "{written}");
    }
    for _ in 0..40 {
        client.send(Message::text(format!(r#"42["e","{}"]"#, "x".repeat(5_000)))).await.unwrap();
    }
    eventually(|| io.stats().packets_in == 41).await;
    assert_eq!(calls.read.load(SeqCst), 64 << 10);
}

#[tokio::test]
async fn messages_that_nobody_receives_are_bounded() {
    let engine = Engine::new();
    let gate = Arc::new(Notify::new());
    let closed = gate.clone();
    engine.on_connection(move |session: Session| {
        let gate = closed.clone();
        async move {
            gate.notified().await;
            let mut count = 0;
            while session.recv().await.is_some() {
                count += 1;
                if count == 1100 {
                    session.send("all");
                }
            }
        }
    });
    let address = crate::engine::serve(&engine).await;
    let mut client = Client::open(address, "/engine.io/?EIO=4&transport=websocket", None).await;
    client.text().await;
    for _ in 0..1100 {
        client.send("4message").await;
    }
    eventually(|| engine.stats().packets_in >= 1024).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(engine.stats().packets_in, 1024);
    gate.notify_one();
    client.expect("4all").await;
}

#[tokio::test]
async fn waiting_handlers_of_server_side_events_are_bounded() {
    const MAX: usize = 1024;
    let bus = MemoryBus::new();
    let server = || {
        let mut config = Config::default();
        config.bus(bus.clone());
        Io::with_config(config)
    };
    let (here, there) = (server(), server());
    eventually(|| here.server_count() == 2 && there.server_count() == 2).await;
    let (gate, held, ended) = (Arc::new(Semaphore::new(0)), Arc::new(()), Arc::new(AtomicUsize::new(0)));
    let (closed, holds, ends) = (gate.clone(), held.clone(), ended.clone());
    there.on_server_side("wait", async move || {
        closed.acquire().await.unwrap().forget();
        drop(holds);
        ends.fetch_add(1, SeqCst);
    });
    // One here, and one that the handler is made from.
    let waiting = || Arc::strong_count(&held) - 2;
    (0..MAX - 1).for_each(|_| here.server_side_emit("wait", ()));
    eventually(|| waiting() == MAX - 1).await;
    here.server_side_emit("wait", ());
    eventually(|| waiting() == MAX).await;
    let heard = there.stats().bus_in;
    here.server_side_emit("wait", ());
    eventually(|| there.stats().bus_in > heard).await;
    gate.add_permits(2 * MAX);
    eventually(|| waiting() == 0).await;
    assert_eq!(ended.load(SeqCst), MAX);
}
