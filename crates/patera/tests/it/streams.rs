//! Streams that are not TCP, and clocks that stand still: what only shows where a write, a flush or a timer is slow.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use parking_lot::Mutex;
use patera::{Config, EmitError, Io};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Message, protocol::Role};

use crate::support::eventually;

/// A stream whose flushes wait while the valve is shut, as those of TLS do behind a full socket.
struct Valved(DuplexStream, Arc<Valve>);

#[derive(Default)]
struct Valve {
    shut: AtomicBool,
    waiting: Mutex<Option<Waker>>,
}

impl Valve {
    fn open(&self) {
        self.shut.store(false, Ordering::SeqCst);
        self.waiting.lock().take().expect("somebody flushes").wake();
    }
}

impl AsyncRead for Valved {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Valved {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.1.shut.load(Ordering::SeqCst) {
            *self.1.waiting.lock() = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

pub(crate) async fn connect<S>(io: &Io, far: S, near: DuplexStream) -> WebSocketStream<DuplexStream>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let request = http::Request::get("/socket.io/?EIO=4&transport=websocket").body(()).unwrap();
    io.accept(far, request).await.unwrap();
    let mut client = WebSocketStream::from_raw_socket(near, Role::Client, None).await;
    client.next().await.unwrap().unwrap();
    client.send(Message::text("40")).await.unwrap();
    client.next().await.unwrap().unwrap();
    client
}

#[tokio::test]
async fn volatile_events_pass_again_when_a_slow_flush_is_through() {
    let io = Io::new();
    let (near, far) = tokio::io::duplex(1 << 16);
    let valve = Arc::new(Valve::default());
    let mut client = connect(&io, Valved(far, valve.clone()), near).await;
    let socket = io.sockets().remove(0);
    valve.shut.store(true, Ordering::SeqCst);
    socket.emit("kept", 1);
    assert_eq!(client.next().await.unwrap().unwrap(), Message::text(r#"42["kept",1]"#));
    eventually(|| matches!(socket.volatile().try_emit("v", 2), Err(EmitError::Volatile))).await;
    valve.open();
    eventually(|| socket.volatile().try_emit("v", 3).is_ok()).await;
}

#[tokio::test(start_paused = true)]
async fn an_ended_websocket_lingers_its_full_time_whatever_was_timed_before() {
    let mut config = Config::default();
    config.ping_interval = Duration::from_millis(500);
    let io = Io::with_config(config);
    let (near, far) = tokio::io::duplex(1 << 16);
    let mut client = connect(&io, far, near).await;
    io.sockets()[0].close();
    while !matches!(client.next().await.unwrap().unwrap(), Message::Close(_)) {}
    tokio::time::sleep(Duration::from_secs(1)).await;
    // Dropped too early, what the client had under way would reset the connection before it has read our close frame.
    client.get_mut().write_all(b"under way").await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(client.get_mut().write_all(b"too late").await.is_err());
}

/// A stream that takes nothing from some moment on, and breaks at another; it never uses up a task's budget.
struct Breaking(DuplexStream, Arc<Break>);

#[derive(Default)]
struct Break {
    stuck: AtomicBool,
    broken: AtomicBool,
    writer: Mutex<Option<Waker>>,
}

impl AsyncRead for Breaking {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Breaking {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        if self.1.broken.load(Ordering::SeqCst) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if self.1.stuck.load(Ordering::SeqCst) {
            *self.1.writer.lock() = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Pin::new(&mut self.0).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn a_stream_that_breaks_while_it_is_flushed_ends_the_session() {
    let io = Io::new();
    let (near, far) = tokio::io::duplex(1 << 16);
    let stream = Arc::new(Break::default());
    let client = connect(&io, Breaking(far, stream.clone()), near).await;
    let socket = io.sockets().remove(0);
    stream.stuck.store(true, Ordering::SeqCst);
    for number in 0..100 {
        socket.emit("waiting", number);
    }
    socket.close();
    eventually(|| stream.writer.lock().is_some()).await;
    stream.broken.store(true, Ordering::SeqCst);
    stream.writer.lock().take().expect("somebody writes").wake();
    // The client does not even go away.
    eventually(|| io.stats().sessions == 0).await;
    drop(client);
}

/// Handlers run on the session's task and use up its budget of tokio's: the timer must stand all the same.
#[tokio::test(start_paused = true)]
async fn timers_stand_whatever_handlers_use_up() {
    let mut config = Config::default();
    config.ping_interval = Duration::from_millis(500);
    config.ping_timeout = Duration::from_millis(500);
    let io = Io::with_config(config);
    io.on("busy", async || {
        let until = tokio::time::Instant::now() + Duration::from_millis(700);
        let lock = tokio::sync::Mutex::new(());
        std::future::poll_fn(|cx| {
            if tokio::time::Instant::now() >= until {
                return Poll::Ready(());
            }
            while std::pin::pin!(lock.lock()).poll(cx).is_ready() {}
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    });
    let (near, far) = tokio::io::duplex(1 << 16);
    let mut client = connect(&io, far, near).await;
    client.send(Message::text(r#"42["busy"]"#)).await.unwrap();
    for _ in 0..20 {
        tokio::time::advance(Duration::from_millis(50)).await;
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }
    // It answers no ping.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(io.stats().sessions, 0);
}
