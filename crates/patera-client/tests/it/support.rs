//! A server on a port of its own that can be killed, and a way to wait for what must happen.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use patera::{Config, Io};
use patera_client::{Client, ClientBuilder, Event, Events, Lifecycle, Transport};
use patera_websocket::stream::{Message, WebSocketStream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// Nothing here takes longer, however slow the machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const POLLING: &[Transport] = &[Transport::Polling];
pub(crate) const WEBSOCKET: &[Transport] = &[Transport::WebSocket];
pub(crate) const UPGRADE: &[Transport] = &[Transport::Polling, Transport::WebSocket];
pub(crate) const MODES: [&[Transport]; 3] = [POLLING, WEBSOCKET, UPGRADE];

/// A server with threads of its own: killed, it is gone at once, with all its connections.
pub(crate) struct Server {
    pub(crate) io: Io,
    pub(crate) address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Server {
    pub(crate) async fn start(setup: impl FnOnce(&Io)) -> Self {
        Self::start_with(Config::default(), "127.0.0.1:0".parse().unwrap(), setup).await
    }

    pub(crate) async fn start_with(config: Config, address: SocketAddr, setup: impl FnOnce(&Io)) -> Self {
        let io = Io::with_config(config);
        setup(&io);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let server = io.clone();
        let (sender, receiver) = tokio::sync::oneshot::channel();
        runtime.spawn(async move {
            let listener = TcpListener::bind(address).await.unwrap();
            sender.send(listener.local_addr().unwrap()).unwrap();
            server.serve(listener).await
        });
        let address = within(receiver).await.unwrap();
        Server { io, address, runtime: Some(runtime) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A client of the namespace `/` in this mode, which does not reconnect.
    pub(crate) fn client(&self, transports: &[Transport]) -> ClientBuilder {
        self.client_of("", transports)
    }

    pub(crate) fn client_of(&self, path: &str, transports: &[Transport]) -> ClientBuilder {
        Client::builder(self.url() + path).transports(transports.iter().copied()).reconnection(false)
    }

    pub(crate) fn kill(mut self) {
        self.kill_now();
    }

    fn kill_now(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill_now();
    }
}

/// Waits for something that must happen.
#[track_caller]
pub(crate) fn within<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(PATIENCE, future).await {
            Ok(output) => output,
            Err(_) => panic!("waited in vain at {caller}"),
        }
    }
}

/// The next thing that happens to a socket and that this takes.
#[track_caller]
pub(crate) fn life<'a, T>(
    events: &'a mut Events,
    mut take: impl FnMut(Lifecycle) -> Option<T> + 'a,
) -> impl Future<Output = T> + 'a {
    within(async move {
        loop {
            match events.next().await.expect("the client has not ended") {
                Event::Lifecycle(lifecycle) => {
                    if let Some(taken) = take(lifecycle) {
                        return taken;
                    }
                }
                Event::Lagged(count) => panic!("{count} events were left out"),
                _ => {}
            }
        }
    })
}

/// Waits for the next lifecycle event of this name.
#[track_caller]
pub(crate) fn named<'a>(events: &'a mut Events, name: &'a str) -> impl Future<Output = Lifecycle> + 'a {
    life(events, move |lifecycle| (lifecycle.name() == name).then_some(lifecycle))
}

/// Waits until something holds. There is no event for it, so it is looked at again and again.
#[track_caller]
pub(crate) fn until(mut holds: impl FnMut() -> bool) -> impl Future<Output = ()> {
    within(async move {
        while !holds() {
            tokio::task::yield_now().await;
        }
    })
}

/// Between a client and a server: it can cut what goes through.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    /// Each value is a cut.
    cuts: watch::Sender<u32>,
    task: JoinHandle<()>,
}

impl Relay {
    pub(crate) async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (cuts, cut) = watch::channel(0);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let mut cut = cut.clone();
                cut.mark_unchanged();
                connections.spawn(async move {
                    let mut far = TcpStream::connect(server).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        Relay { address, cuts, task }
    }

    pub(crate) fn client(&self, transports: &[Transport]) -> ClientBuilder {
        Client::builder(format!("http://{}", self.address)).transports(transports.iter().copied())
    }

    /// Cuts every connection that is there now.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|count| *count += 1);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A server that does what it is told with each connection, however wrong.
pub(crate) struct Scripted {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Scripted {
    pub(crate) async fn start<F, Fut>(script: F) -> Self
    where
        F: Fn(Peer) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(script(Peer { stream: Some(stream), websocket: None }));
            }
        });
        Scripted { address, task }
    }

    pub(crate) fn client(&self, transports: &[Transport]) -> ClientBuilder {
        let client = Client::builder(format!("http://{}", self.address));
        client.transports(transports.iter().copied()).reconnection(false)
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One connection of a scripted server. What fails on it has failed for the client, so nothing is asserted here.
pub(crate) struct Peer {
    pub(crate) stream: Option<TcpStream>,
    websocket: Option<WebSocketStream<TcpStream>>,
}

impl Peer {
    /// Reads the head of a WebSocket handshake: its key.
    pub(crate) async fn websocket_key(&mut self) -> String {
        let head = self.request().await;
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        let key = lines.find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"));
        key.map(|(_, key)| key.to_owned()).unwrap_or_default()
    }

    /// Reads the head of a request.
    pub(crate) async fn request(&mut self) -> String {
        let mut head = Vec::new();
        let stream = self.stream.as_mut().unwrap();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => break,
            }
        }
        String::from_utf8_lossy(&head).into_owned()
    }

    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.as_mut().unwrap().write_all(bytes.as_ref()).await;
    }

    /// Agrees to a WebSocket with these further headers; frames are read and written by hand from there.
    pub(crate) async fn agree(&mut self, headers: &str) {
        let key = self.websocket_key().await;
        let accept = patera_websocket::accept_key(key.as_bytes());
        let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade";
        self.write(format!("{head}\r\nSec-WebSocket-Accept: {accept}\r\n{headers}\r\n")).await;
    }

    /// Writes a frame by hand.
    #[cfg(feature = "deflate")]
    pub(crate) async fn write_text(&mut self, text: &str) {
        self.write(patera_websocket::server_frame(patera_websocket::Opcode::Text, text.as_bytes())).await;
    }

    /// Reads a frame by hand: whether it is compressed, and the length of its payload. RFC 6455 §5.2.
    #[cfg(feature = "deflate")]
    pub(crate) async fn frame(&mut self) -> (bool, usize) {
        let stream = self.stream.as_mut().unwrap();
        let head = [stream.read_u8().await.unwrap(), stream.read_u8().await.unwrap()];
        let len = match head[1] & 0x7f {
            126 => stream.read_u16().await.unwrap().into(),
            127 => stream.read_u64().await.unwrap() as usize,
            len => len.into(),
        };
        let mut rest = vec![0; 4 + len];
        stream.read_exact(&mut rest).await.unwrap();
        (head[0] & 0x40 != 0, len)
    }

    /// Agrees to a WebSocket and sends this text.
    pub(crate) async fn accept_websocket(&mut self, open: &str) {
        let stream = self.stream.take().unwrap();
        let Ok(mut websocket) = WebSocketStream::accept(stream, patera_websocket::Config::default()).await else {
            return std::future::pending().await;
        };
        let _ = websocket.send(open).await;
        self.websocket = Some(websocket);
    }

    pub(crate) async fn send(&mut self, text: impl Into<Message>) {
        let _ = self.websocket.as_mut().unwrap().send(text).await;
    }

    /// The next message; waits for ever if there is none any more.
    pub(crate) async fn next(&mut self) -> Message {
        match self.websocket.as_mut().unwrap().next().await {
            Some(Ok(message)) => message,
            _ => std::future::pending().await,
        }
    }

    /// A WebSocket with a client in the namespace `/`.
    pub(crate) async fn accept_socket_io(&mut self) {
        self.accept_websocket(OPEN).await;
        self.next().await;
        self.send(r#"40{"sid":"x"}"#).await;
    }

    /// Does nothing more, and keeps the connection.
    pub(crate) async fn hold(self) {
        std::future::pending().await
    }
}

/// A handshake as a server's.
pub(crate) const OPEN: &str =
    r#"0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
