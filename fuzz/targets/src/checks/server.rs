//! The whole server in memory, in virtual time: requests of HTTP as a tower service gets them, and WebSockets as bytes.

use std::{
    sync::{
        Arc, Once,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use patera::{Config, ConnectionStateRecovery, Io, Reply, Rest, Socket, Value, parser::MessagePack};
use patera_websocket::{DeflateConfig, Opcode, Role};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    runtime::Builder,
    task::{JoinHandle, spawn},
    time::{sleep, timeout},
};
use tower_service::Service as _;

use super::{socketio::Several, websocket::frame_to};
use crate::input::{Input, text_of};

/// The input is a byte of flags (1: connections are recovered; 2: MessagePack; 4: compressed messages) and steps: a number, a
/// length, and so many bytes.
pub(super) fn run(data: &[u8]) {
    note_panics();
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("there is memory");
    let before = PANICS.load(Ordering::SeqCst);
    runtime.block_on(play(data));
    assert_eq!(PANICS.load(Ordering::SeqCst), before, "nothing panics, not even where it is caught");
}

/// Panics so far, those included that the server has caught.
static PANICS: AtomicUsize = AtomicUsize::new(0);

fn note_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // What the test thread itself says goes on as usual.
            if info.location().is_some_and(|location| location.file().contains("crates/patera")) {
                PANICS.fetch_add(1, Ordering::SeqCst);
            }
            told(info);
        }));
    });
}

async fn play(data: &[u8]) {
    let mut input = Input::new(data);
    let io = server(input.byte());
    let mut client = Client { io: io.clone(), sid: String::new(), stream: None, requests: Vec::new() };
    // Each step may let seconds pass: enough is enough.
    for _ in 0..64 {
        if input.is_empty() {
            break;
        }
        let (kind, block) = (input.byte(), input.block());
        client.step(kind % 10, block).await;
    }
    drop(client);
    let closed = timeout(Duration::from_secs(600), io.close()).await;
    assert!(closed.is_ok(), "a server that closes is closed in time");
    sleep(Duration::from_secs(600)).await;
    let stats = io.stats();
    assert_eq!((stats.sessions, stats.rooms, stats.recoverable), (0, 0, 0), "nothing is left");
}

fn server(flags: u8) -> Io {
    let mut config = Config::default();
    config.allow_eio3 = true;
    config.outbox_bytes_max = 4096;
    config.max_http_buffer_size = 2000;
    if flags & 1 != 0 {
        config.connection_state_recovery = Some(ConnectionStateRecovery::default());
    }
    if flags & 2 != 0 {
        config.parser = Some(Arc::new(MessagePack));
    }
    if flags & 4 != 0 {
        config.per_message_deflate = Some(DeflateConfig::default());
    }
    let io = Io::with_config(config);
    application(&io);
    io.of("/a").on_connection(async |socket: Socket| socket.emit("hello", socket.id()));
    io
}

fn application(io: &Io) {
    io.on("echo", async |socket: Socket, Rest(values): Rest| socket.emit("echo", Several(&values)));
    io.on("ask", async |Rest(values): Rest| Reply(values));
    io.on("join", async |socket: Socket, room: String| socket.join(room));
    io.on("leave", async |socket: Socket, room: String| socket.leave(room));
    io.on("to", async |socket: Socket, room: String, value: Value| socket.namespace().to(room).emit("to", value));
    io.on("slow", async || {
        sleep(Duration::from_secs(3)).await;
        Reply("at last")
    });
    io.on("want", async |socket: Socket| drop(socket.emit_with_ack::<Value>("want", ()).await));
    io.on("bye", async |socket: Socket| socket.disconnect());
}

/// What the peer does.
struct Client {
    io: Io,
    /// Of the session opened last; where a step says `{sid}`, this is meant.
    sid: String,
    /// The byte stream opened last.
    stream: Option<DuplexStream>,
    /// Requests that are under way.
    requests: Vec<JoinHandle<()>>,
}

impl Client {
    async fn step(&mut self, kind: u8, block: &[u8]) {
        let text = text_of(block).replace("{sid}", &self.sid);
        match kind {
            0 => self.open_websocket(&text).await,
            1 => self.open_polling(&text).await,
            2 => self.write(block).await,
            3 => self.write_frame(Opcode::Text, block).await,
            4 => self.request(Method::GET, &format!("transport=polling&sid={}&EIO=4&{text}", self.sid), &[]),
            5 => self.request(Method::POST, &format!("transport=polling&EIO=4&sid={}", self.sid), block),
            6 => sleep(Duration::from_millis(250 * block.len() as u64)).await,
            7 => self.request(Method::GET, &text, &[]),
            8 => self.write_frame(Opcode::Binary, block).await,
            _ => {
                self.connect();
                self.write(text.as_bytes()).await;
            }
        }
        self.settle().await;
    }

    /// A WebSocket of which somebody else has made the handshake.
    async fn open_websocket(&mut self, query: &str) {
        let Ok(request) = Request::get(format!("/socket.io/?transport=websocket&{query}")).body(()) else { return };
        let (near, far) = tokio::io::duplex(1 << 16);
        if self.io.accept(far, request).await.is_ok() {
            self.stream = Some(near);
        }
    }

    async fn open_polling(&mut self, query: &str) {
        let target = format!("/socket.io/?transport=polling&{query}");
        let Ok(request) = Request::get(target).body(Full::new(Bytes::new())) else { return };
        let Ok(response) = self.io.service().call(request).await;
        let Ok(body) = response.into_body().collect().await;
        let body = body.to_bytes();
        if let Some((_, rest)) = text_of(&body).split_once("\"sid\":\"") {
            self.sid = rest.split('"').next().unwrap_or_default().to_owned();
        }
    }

    /// A request whose answer may take its time.
    fn request(&mut self, method: Method, query: &str, body: &[u8]) {
        let body = Full::new(Bytes::copy_from_slice(body));
        let Ok(request) = Request::builder().method(method).uri(format!("/socket.io/?{query}")).body(body) else {
            return;
        };
        let answer = self.io.service().call(request);
        self.requests.push(spawn(async move {
            let Ok(response) = answer.await;
            let _ = response.into_body().collect().await;
        }));
    }

    /// A connection on which HTTP is spoken, as yet.
    fn connect(&mut self) {
        let (near, far) = tokio::io::duplex(1 << 16);
        let service = TowerToHyperService::new(self.io.service());
        let connection = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(far), service);
        self.requests.push(spawn(async move { drop(connection.with_upgrades().await) }));
        self.stream = Some(near);
    }

    async fn write(&mut self, bytes: &[u8]) {
        if let Some(stream) = &mut self.stream {
            // What nobody reads any more may be refused, or never be taken.
            let _ = timeout(Duration::from_secs(1), stream.write_all(bytes)).await;
        }
    }

    async fn write_frame(&mut self, opcode: Opcode, payload: &[u8]) {
        let mut frame = Vec::new();
        frame_to(Role::Server, opcode, true, payload, &mut frame);
        self.write(&frame).await;
    }

    /// Lets the server do what it can without waiting, and reads what it says.
    async fn settle(&mut self) {
        sleep(Duration::from_millis(1)).await;
        let mut buffer = [0; 4096];
        while let Some(stream) = &mut self.stream {
            match timeout(Duration::from_millis(1), stream.read(&mut buffer)).await {
                Ok(Ok(1..)) => {}
                Ok(Ok(0) | Err(_)) => self.stream = None,
                Err(_) => return,
            }
        }
    }
}
