//! What models have in common: a server, a session that is polled when it was woken, a client at the other end of its stream.

use std::future::Future as _;
use std::io::Read as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Wake, Waker};
use std::time::Instant;

use bytes::Bytes;
use http::{Extensions, HeaderMap, Uri};
use patera_protocol::engineio::Version;
use patera_protocol::engineio::payload::Format;
use patera_protocol::socketio::{self, OwnedArgs};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::admission::Reserved;
use crate::config::Config;
use crate::connection::Connection;
use crate::core::{EngineDialect, LinkState, Shared};
use crate::dispatch;
use crate::error::{DisconnectReason, EmitError};
use crate::flush::Sleepers;
use crate::handshake::Handshake;
use crate::io::Io;
use crate::opening::Opening;
use crate::outbox::{self, Command, Item, PollAnswer};
use crate::prepared::Prepared;
use crate::session::{Link, Session};
use crate::sid::Id;
use crate::socket::{Socket, SocketInner};
use crate::sync::AtomicBool;
use crate::tasks::Tasks;
use crate::transport::{Dialect, PollingLink, Stream, WebSocketLink};

/// Loom's threads have 32 KiB; a session wants more. In words.
const STACK_WORDS: usize = 0x8000;

const FORMAT: Format = Format { version: Version::V4, base64: false, jsonp: None };

/// For timers and TCP streams. Nobody drives it, so that no time passes and only what was ready is.
pub(super) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("the machine has a runtime's resources")
    })
}

pub(super) fn spawn<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> loom::thread::JoinHandle<T> {
    loom::thread::Builder::new().stack_size(STACK_WORDS).spawn(run).expect("loom has room for five threads")
}

pub(super) fn join<T>(thread: loom::thread::JoinHandle<T>) -> T {
    thread.join().expect("a panic would have ended the model")
}

pub(super) fn io(config: Config) -> Io {
    Io::with_config(config)
}

/// A session that no task owns yet.
pub(super) fn shared(io: &Io, state: LinkState) -> Arc<Shared> {
    let dialect = EngineDialect { version: Version::V4, base64: false, recovers: true };
    shared_with_id(io, Id::random(), dialect, state)
}

pub(super) fn shared_with_id(io: &Io, id: Id, dialect: EngineDialect, state: LinkState) -> Arc<Shared> {
    let handshake = Handshake::new(&Uri::from_static("/"), &HeaderMap::new(), Extensions::new(), Instant::now());
    let place = Reserved::new(&io.io.core, &handshake, Instant::now()).expect("nothing is full").take();
    Shared::new(io.io.core.clone(), place, id, handshake, dialect, state)
}

fn item(text: &str) -> Item {
    Item { prepared: Prepared::text(text), ack: None }
}

/// Says that it was woken, as a task of a runtime would be put into its queue.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        // Loom would let a mere store come before an exchange that did not see it.
        self.0.swap(true, Ordering::AcqRel);
    }
}

/// A session and what a runtime is to it: it is polled when it has been woken, and not otherwise.
pub(super) struct Task {
    pub(super) shared: Arc<Shared>,
    /// `None` when it has ended.
    session: Option<Session<Connection>>,
    woken: Arc<Woken>,
    waker: Waker,
}

impl Task {
    pub(super) fn new(io: &Io, opening: Opening, link: Link) -> Self {
        let shared = opening.clone();
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        let connection = Connection::new(io.io.clone(), Version::V4);
        let session = Some(Session::new(opening, link, connection));
        Task { session, shared, waker: woken.clone().into(), woken }
    }

    pub(super) fn polling(io: &Io) -> Self {
        let opening = Opening::new(shared(io, LinkState::Polling)).expect("the id is new");
        Task::new(io, opening, Link::Polling(PollingLink::default()))
    }

    /// Over TCP, which can be written to at once or not yet.
    pub(super) fn websocket(io: &Io, is_ready: bool) -> (Self, Client) {
        let opening = Opening::new(shared(io, LinkState::WebSocket)).expect("the id is new");
        let (link, client) = websocket(io, is_ready, Bytes::new());
        (Task::new(io, opening, Link::WebSocket(link)), client)
    }

    /// Until it sleeps, as far as this thread can see.
    pub(super) fn run(&mut self) {
        while self.woken.0.swap(false, Ordering::AcqRel) {
            let Some(session) = &mut self.session else { return };
            if Pin::new(session).poll(&mut Context::from_waker(&self.waker)).is_ready() {
                self.session = None;
            }
        }
    }

    /// Whether it has ended, or is about to.
    pub(super) fn refuses_packets(&self) -> bool {
        matches!(push(&self.shared, "late"), Err(EmitError::Disconnected))
    }
}

/// The other end of a TCP stream.
pub(super) struct Client(TcpStream);

pub(super) fn websocket(io: &Io, is_ready: bool, unread: Bytes) -> (WebSocketLink, Client) {
    let (stream, client) = tcp(is_ready).expect("the loopback device takes connections");
    (WebSocketLink::new(stream, unread, Dialect::Engine { base64: false }, &io.io.core.config), client)
}

fn tcp(is_ready: bool) -> std::io::Result<(Stream, Client)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    let (stream, _) = listener.accept()?;
    stream.set_nonblocking(true)?;
    let stream = tokio::net::TcpStream::from_std(stream)?;
    if is_ready {
        runtime().block_on(stream.writable())?;
    }
    Ok((Stream::tcp(stream), Client(client)))
}

/// The runtime looks once which streams take something now, and wakes who waits for that.
pub(super) fn let_streams_take() {
    runtime().block_on(tokio::task::yield_now());
}

impl Client {
    /// All that it was sent, once the session is dropped: messages of Engine.IO, and `close` for a close frame.
    pub(super) fn read(mut self) -> Vec<String> {
        let mut bytes = Vec::new();
        // A reset says no more than an end.
        let _ = self.0.read_to_end(&mut bytes);
        // Gone at once: thousands of connections a second would else be waited for.
        let _ = self.0.set_nonblocking(true);
        let _ = tokio::net::TcpStream::from_std(self.0).and_then(|stream| stream.set_zero_linger());
        frames(&bytes)
    }
}

fn frames(mut bytes: &[u8]) -> Vec<String> {
    let mut frames = Vec::new();
    while let [first, len, rest @ ..] = bytes {
        let (payload, rest) = rest.split_at(usize::from(*len));
        frames.push(if first & 0xf == 8 { "close".to_owned() } else { String::from_utf8_lossy(payload).into_owned() });
        bytes = rest;
    }
    frames
}

/// A client's frames, masked with zeros.
pub(super) fn masked(packets: &[&str]) -> Bytes {
    let frame = |packet: &&str| {
        let len = u8::try_from(packet.len()).expect("packets here are short");
        [&[0x81, 0x80 | len, 0, 0, 0, 0], packet.as_bytes()].concat()
    };
    packets.iter().flat_map(frame).collect()
}

/// As an emit to this session.
pub(super) fn push(shared: &Shared, text: &str) -> Result<(), EmitError> {
    shared.outbox.push(item(text), &shared.core.config)
}

/// As a broadcast to this session alone; `Err` if the outbox does not take it.
pub(super) fn broadcast(shared: &Arc<Shared>, text: &str) -> Result<(), EmitError> {
    let mut sleepers = Sleepers::default();
    let pushed = sleepers.push(shared, item(text));
    sleepers.flush();
    pushed
}

/// A polling GET, and where its answer comes.
pub(super) fn poll(shared: &Shared) -> oneshot::Receiver<PollAnswer> {
    let (answer, receiver) = oneshot::channel();
    shared.outbox.command(Command::Poll(outbox::Poll { format: FORMAT, stamp: None, answer }));
    receiver
}

/// What a GET was answered, if it was.
pub(super) fn answer(receiver: &mut oneshot::Receiver<PollAnswer>) -> Option<String> {
    match receiver.try_recv() {
        Ok(PollAnswer::Payload { body, .. }) => Some(String::from_utf8_lossy(&body).into_owned()),
        Ok(PollAnswer::Overlap) | Err(_) => None,
    }
}

pub(super) fn close(shared: &Shared, flush: bool) {
    shared.outbox.command(Command::Close { reason: DisconnectReason::ForcedServerClose, flush });
}

/// What of `messages` begins so, in order.
pub(super) fn of<'a>(messages: &'a [String], prefix: &str) -> Vec<&'a str> {
    messages.iter().map(String::as_str).filter(|message| message.starts_with(prefix)).collect()
}

/// A socket of a session whose outbox nobody drains, with what its client sent as `auth`. It is not let in yet.
pub(super) fn newcomer(io: &Io, auth: Option<&str>) -> Socket {
    let mut protocol = socketio::Connection::server_with_revision(Version::V3.into(), io.io.core.protocol.clone());
    let slot = protocol.enter_root().expect("it is the first");
    let auth = auth.map(|auth| Box::new(OwnedArgs::of_array(auth, &[]).expect("a model's JSON is valid")));
    let session = shared(io, LinkState::Polling);
    Socket(SocketInner::new(io.io.clone(), slot, io.inner.clone(), session, auth))
}

/// Lets a socket in; `Err` if it was to be recovered and cannot be any more.
pub(super) fn connect(socket: &Socket) -> Result<(), DisconnectReason> {
    dispatch::connect(socket, Prepared::text("connect"), &mut Tasks::default(), Waker::noop())
}

pub(super) fn socket(io: &Io) -> Socket {
    let socket = newcomer(io, None);
    connect(&socket).expect("it is new");
    socket
}

/// As its session does when the connection is lost.
pub(super) fn disconnect(socket: &Socket) {
    let reason = DisconnectReason::TransportClose;
    dispatch::disconnect(socket, reason, &mut Tasks::default(), Waker::noop()).expect("no handler panics");
}
