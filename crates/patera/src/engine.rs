//! Engine.IO sessions without Socket.IO on top, for those who use engine.io alone: ordered text and binary messages, over
//! polling and WebSocket, with heartbeat and upgrade.
//!
//! ```no_run
//! use patera::engine::{Engine, Session};
//!
//! #[tokio::main]
//! async fn main() -> patera::Result {
//!     let engine = Engine::new();
//!     engine.on_connection(async |session: Session| {
//!         while let Some(message) = session.recv().await {
//!             session.send(message);
//!         }
//!     });
//!     engine.listen("127.0.0.1:3000").await?;
//!     Ok(())
//! }
//! ```

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use patera_protocol::engineio;
use patera_protocol::engineio::{Transport, Version};
use patera_protocol::socketio::Slot;
use tokio::net::{TcpListener, ToSocketAddrs};

pub use crate::connection_error::ConnectionError;

use crate::config::{Config, INBOX_MESSAGES_MAX};
use crate::core::{Core, Shared};
use crate::error::{DisconnectReason, EmitError};
use crate::handshake::Handshake;
use crate::http::{Host, Layer, Listener, NotFound, Paths, Service};
use crate::outbox::{Command, Item, PendingAck};
use crate::prepared::Prepared;
use crate::session;
use crate::session::{Application, Link, Scope};
use crate::stats::Stats;
use crate::tasks::catch;
use crate::trace::trace;

type ConnectionHandler = Arc<dyn Fn(Session) -> SessionTask + Send + Sync>;
type SessionTask = Pin<Box<dyn Future<Output = ()> + Send>>;

struct EngineInner {
    core: Arc<Core>,
    paths: Paths,
    handler: RwLock<Option<ConnectionHandler>>,
}

/// An Engine.IO server. Cheap to clone; clones are the same server. Its default path is `/engine.io`.
#[derive(Clone)]
pub struct Engine(Arc<EngineInner>);

impl Engine {
    /// A server with the default options, at `/engine.io`.
    pub fn new() -> Self {
        let mut config = Config::default();
        "/engine.io".clone_into(&mut config.path);
        Self::with_config(config)
    }

    /// A server with these options; those of Socket.IO are not used.
    pub fn with_config(config: Config) -> Self {
        let config = Config {
            #[cfg(feature = "serve-client")]
            serve_client: false,
            ..config
        };
        let paths = Paths::new(&config);
        Engine(Arc::new(EngineInner { core: Arc::new(Core::new(config)), paths, handler: RwLock::default() }))
    }

    /// Sets what runs for each session. When it returns, the session is closed, behind what was sent.
    pub fn on_connection<F, Fut>(&self, handler: F)
    where
        F: Fn(Session) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let old = self.0.handler.write().replace(Arc::new(move |session| Box::pin(handler(session))));
        drop(old);
    }

    /// A tower layer that answers the engine's path and leaves all others to the service below.
    pub fn layer(&self) -> Layer {
        Layer::new(self.0.clone())
    }

    /// A tower service that answers the engine's path, and 404 to all others.
    pub fn service(&self) -> Service<NotFound> {
        Service::new(self.0.clone(), NotFound)
    }

    /// Serves HTTP/1 on an address until [`close`](Self::close).
    ///
    /// # Errors
    /// The address cannot be listened on.
    ///
    /// # Cancel safety
    /// Dropped, it stops accepting and cuts HTTP connections off; sessions on a WebSocket go on.
    pub async fn listen(&self, address: impl ToSocketAddrs) -> std::io::Result<()> {
        self.serve(TcpListener::bind(address).await?).await
    }

    /// As [`listen`](Self::listen), on a listener of yours, a `TcpListener` or `Listener::tls`.
    ///
    /// # Errors
    /// None today; out of descriptors, it waits and goes on.
    pub async fn serve(&self, listener: impl Into<Listener>) -> std::io::Result<()> {
        crate::http::serve(listener.into(), self.service(), &self.0.core).await;
        Ok(())
    }

    /// Closes the server as [`Io::close`](crate::Io::close) does.
    ///
    /// # Cancel safety
    /// Dropped, the sessions not told yet stay open; call it again.
    pub async fn close(&self) {
        self.0.core.close().await;
    }

    /// Counters of the whole server.
    pub fn stats(&self) -> Stats {
        self.0.core.counters.snapshot()
    }

    /// Sets what is told of requests that are refused: see [`Server::on_connection_error`].
    pub fn on_connection_error(&self, hook: impl Fn(&ConnectionError) + Send + Sync + 'static) {
        self.0.core.connection_errors.set_hook(hook);
    }
}

/// The Engine.IO server below a Socket.IO server: [`Io::engine`](crate::Io::engine). Cheap to clone.
#[derive(Clone)]
pub struct Server(Arc<Core>);

impl Server {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Server(core)
    }

    /// Sets what is told of requests that are refused with one of Engine.IO's codes, before they are answered.
    ///
    /// ```no_run
    /// # let io = patera::Io::new();
    /// io.engine().on_connection_error(|error| {
    ///     eprintln!("{}: {} {} {:?}", error.request().url(), error.code(), error.message(), error.context());
    /// });
    /// ```
    ///
    /// Anybody can cause these: do not let it do much. While it is set, what each request says is copied.
    pub fn on_connection_error(&self, hook: impl Fn(&ConnectionError) + Send + Sync + 'static) {
        self.0.connection_errors.set_hook(hook);
    }

    /// How many sessions are open: socket.io's `clientsCount`.
    pub fn clients_count(&self) -> u64 {
        self.0.counters.snapshot().sessions
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("path", &self.0.config.path).finish_non_exhaustive()
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("path", &self.0.core.config.path).finish_non_exhaustive()
    }
}

impl Host for EngineInner {
    fn core(&self) -> &Arc<Core> {
        &self.core
    }

    fn paths(&self) -> &Paths {
        &self.paths
    }

    fn is_native(&self, _: &str) -> bool {
        false
    }

    fn start(self: Arc<Self>, shared: Arc<Shared>, link: Link) {
        let handler = self.handler.read().clone();
        let session = Session { shared: shared.clone(), inbox: Arc::default() };
        session::Session::spawn(shared, link, EngineConnection { handler, session, task: None });
    }

    fn start_native(self: Arc<Self>, _: Arc<Shared>, _: Link, _: &str) {}
}

/// A message of Engine.IO.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A text: `4hello`.
    Text(String),
    /// Bytes: a binary frame, or `b` and base64 over polling.
    Binary(Bytes),
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Message::Text(text.to_owned())
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Message::Text(text)
    }
}

impl From<Bytes> for Message {
    fn from(data: Bytes) -> Self {
        Message::Binary(data)
    }
}

impl From<Vec<u8>> for Message {
    fn from(data: Vec<u8>) -> Self {
        Message::Binary(data.into())
    }
}

/// One client. Cheap to clone; clones are the same session. Safe to use from any task or thread.
#[derive(Clone)]
pub struct Session {
    shared: Arc<Shared>,
    inbox: Arc<Mutex<Inbox>>,
}

/// Messages that came and were not received yet: while they are more than a payload's limit, nothing is read from the client.
#[derive(Default)]
struct Inbox {
    messages: VecDeque<Message>,
    bytes: usize,
    /// Who waits for one; seldom more than one task.
    receivers: Vec<Waker>,
    /// The session's task, while it does not read.
    reader: Option<Waker>,
    closed: Option<DisconnectReason>,
}

impl Session {
    /// The session's id, as in `?sid=…`.
    pub fn id(&self) -> &str {
        self.shared.sid.as_str()
    }

    /// The request that opened it.
    pub fn handshake(&self) -> &Handshake {
        &self.shared.handshake
    }

    /// The revision of Engine.IO that the client speaks: 4, or 3 with [`Config::allow_eio3`].
    pub fn protocol(&self) -> Version {
        self.shared.dialect.version
    }

    /// The transport it is on now.
    pub fn transport(&self) -> Transport {
        self.shared.transport()
    }

    /// Puts a message on its way; in order, whatever the transport does meanwhile. What cannot be sent is dropped and counted.
    pub fn send(&self, message: impl Into<Message>) {
        if let Err(error) = self.try_send(message) {
            self.shared.core.count_drop(&error);
        }
    }

    /// As [`send`](Self::send), and says why nothing was sent.
    ///
    /// # Errors
    /// The session has ended, or its outbox is full.
    pub fn try_send(&self, message: impl Into<Message>) -> Result<(), EmitError> {
        let prepared = match message.into() {
            Message::Text(text) => Prepared::text(&text),
            Message::Binary(data) => Prepared::binary(data),
        };
        self.shared.outbox.push(Item { prepared, ack: None }, &self.shared.core.config)
    }

    /// The next message of the client; `None` when the session has ended and all are received.
    ///
    /// # Cancel safety
    /// Dropped before it resolves, no message is lost.
    pub async fn recv(&self) -> Option<Message> {
        poll_fn(|cx| self.inbox.lock().poll_recv(cx)).await
    }

    /// Why the session has ended; `None` while it has not.
    pub fn close_reason(&self) -> Option<DisconnectReason> {
        self.inbox.lock().closed
    }

    /// Ends the session, behind what was sent: reason `forced close`.
    pub fn close(&self) {
        self.shared.outbox.command(Command::Close { reason: DisconnectReason::ForcedClose, flush: true });
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("id", &self.id()).finish()
    }
}

impl Inbox {
    fn poll_recv(&mut self, cx: &Context<'_>) -> Poll<Option<Message>> {
        match self.messages.pop_front() {
            Some(message) => {
                self.bytes -= message.len();
                if let Some(reader) = self.reader.take() {
                    reader.wake();
                }
                Poll::Ready(Some(message))
            }
            None if self.closed.is_some() => Poll::Ready(None),
            None => {
                if !self.receivers.iter().any(|receiver| receiver.will_wake(cx.waker())) {
                    self.receivers.push(cx.waker().clone());
                }
                Poll::Pending
            }
        }
    }

    fn push(&mut self, message: Message) {
        self.bytes += message.len();
        self.messages.push_back(message);
        self.wake_receivers();
    }

    fn wake_receivers(&mut self) {
        self.receivers.drain(..).for_each(Waker::wake);
    }

    /// While it is full, taking a message out wakes the session's task. Seen and set under one lock, so that none is missed.
    fn wake_reader_when_taken_from(&mut self, reader: &Waker, bytes_max: usize) {
        if self.is_full(bytes_max) {
            self.reader = Some(reader.clone());
        }
    }

    fn is_full(&self, bytes_max: usize) -> bool {
        self.messages.len() >= INBOX_MESSAGES_MAX || self.bytes > bytes_max
    }
}

impl Message {
    fn len(&self) -> usize {
        match self {
            Message::Text(text) => text.len(),
            Message::Binary(data) => data.len(),
        }
    }
}

struct EngineConnection {
    handler: Option<ConnectionHandler>,
    session: Session,
    task: Option<SessionTask>,
}

impl EngineConnection {
    /// Polls the user's function; `None` if it panicked.
    fn poll_task(&mut self, scope: &Scope<'_>) -> Option<Poll<()>> {
        let Some(task) = &mut self.task else { return Some(Poll::Ready(())) };
        let polled = catch(|| task.as_mut().poll(&mut Context::from_waker(scope.waker)));
        if !matches!(polled, Some(Poll::Pending)) {
            self.task = None;
        }
        polled
    }
}

impl Application for EngineConnection {
    fn open(&mut self, _: &Scope<'_>) {
        let started = self.handler.take().and_then(|handler| catch(|| handler(self.session.clone())));
        match started {
            Some(task) => self.task = Some(task),
            None => self.session.close(),
        }
    }

    fn handle_message(&mut self, message: engineio::Message<'_>, scope: &Scope<'_>) -> Result<(), DisconnectReason> {
        let message = match message {
            engineio::Message::Text(text) => Message::Text(text.to_owned()),
            engineio::Message::Binary(data) => Message::Binary(Bytes::copy_from_slice(data)),
        };
        let mut inbox = self.session.inbox.lock();
        inbox.push(message);
        inbox.wake_reader_when_taken_from(scope.waker, scope.shared.core.config.max_http_buffer_size);
        Ok(())
    }

    fn handle_leave(&mut self, _: Slot, _: u64, _: &Scope<'_>) {}

    fn handle_leave_all(&mut self, _: &Scope<'_>) {}

    fn handle_sent(&mut self, _: PendingAck) {}

    fn handle_forget(&mut self, _: Slot, _: u64) {}

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    fn handle_timeout(&mut self, _: &Scope<'_>) -> Result<(), DisconnectReason> {
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.session.inbox.lock().is_full(self.session.shared.core.config.max_http_buffer_size)
    }

    fn poll(&mut self, scope: &Scope<'_>) -> Result<(), DisconnectReason> {
        if self.task.is_some() {
            match self.poll_task(scope) {
                Some(Poll::Ready(())) => self.session.close(),
                Some(Poll::Pending) => {}
                None => {
                    trace!(warn, "patera::engine", "connection handler panicked", sid = %self.session.id());
                    return Err(DisconnectReason::HandlerPanicked);
                }
            }
        }
        let bytes_max = scope.shared.core.config.max_http_buffer_size;
        self.session.inbox.lock().wake_reader_when_taken_from(scope.waker, bytes_max);
        Ok(())
    }

    fn close(&mut self, reason: DisconnectReason, _: &Scope<'_>) {
        let mut inbox = self.session.inbox.lock();
        inbox.closed = Some(reason);
        inbox.wake_receivers();
    }

    fn poll_closed(&mut self, scope: &Scope<'_>) -> Poll<()> {
        self.poll_task(scope).unwrap_or(Poll::Ready(()))
    }
}
