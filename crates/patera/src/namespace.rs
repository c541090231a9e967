//! A namespace: its middlewares, its handlers, its sockets and rooms.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use patera_protocol::handler::IntoReply;
use serde::Serialize;
use smallvec::SmallVec;

use crate::broadcast::Broadcast;
use crate::core::Core;
use crate::error::EmitError;
use crate::handler::{
    CONNECTION, DISCONNECT, EventHandler, Failure, Handler, IntoDecision, Middleware, event_handler, middleware,
};
use crate::io::IoInner;
use crate::rooms::{IntoRooms, Rooms};
use crate::socket::Socket;
use crate::tasks::catch;
use crate::trace::trace;

/// The handlers of one event; seldom more than one.
pub(crate) type Handlers = SmallVec<[Arc<dyn EventHandler>; 1]>;
type ErrorHook = Arc<dyn Fn(&Socket, &str, &Failure) + Send + Sync>;

pub(crate) struct NamespaceInner {
    pub(crate) name: Arc<str>,
    core: Arc<Core>,
    pub(crate) rooms: Rooms,
    /// One counter for all sockets, so that a packet with an acknowledgement can be shared too.
    ack_ids: AtomicU64,
    hooks: ArcSwap<Hooks>,
}

/// Read per connection and per event, by all threads, without a lock; added to by replacing it, which is rare.
#[derive(Clone, Default)]
pub(crate) struct Hooks {
    pub(crate) middlewares: Vec<Arc<dyn Middleware>>,
    pub(crate) connection: Handlers,
    pub(crate) disconnect: Handlers,
    pub(crate) events: EventHandlers,
    error: Option<ErrorHook>,
}

/// The keys are ours: clients can only look up.
type EventHandlers = HashMap<Box<str>, Handlers, foldhash::fast::RandomState>;

impl NamespaceInner {
    pub(crate) fn new(name: &str, core: Arc<Core>) -> Self {
        NamespaceInner {
            name: name.into(),
            core,
            rooms: Rooms::default(),
            ack_ids: AtomicU64::new(0),
            hooks: ArcSwap::default(),
        }
    }

    pub(crate) fn next_ack_id(&self) -> u64 {
        self.ack_ids.fetch_add(1, Ordering::Relaxed)
    }

    /// What is registered now. Handlers may run while it is held.
    pub(crate) fn hooks(&self) -> arc_swap::Guard<Arc<Hooks>> {
        self.hooks.load()
    }

    fn add(&self, add: impl Fn(&mut Hooks)) {
        self.hooks.rcu(|hooks| {
            let mut hooks = Hooks::clone(hooks);
            add(&mut hooks);
            hooks
        });
    }

    /// Tells the error hook, or traces what went wrong.
    pub(crate) fn report(&self, socket: &Socket, event: &str, failure: &Failure) {
        match &self.hooks().error {
            Some(hook) => {
                if catch(|| hook(socket, event, failure)).is_none() {
                    trace!(error, "patera::socket", "the error hook itself panicked", namespace = %self.name);
                }
            }
            None => {
                trace!(warn, "patera::socket", "handler failed", namespace = %self.name, event = ?event, failure = %failure);
            }
        }
    }

    /// A packet of this namespace was not sent: counted and traced.
    pub(crate) fn dropped(&self, event: &str, error: &EmitError) {
        self.core.count_drop(error);
        match error {
            EmitError::Encode(_) | EmitError::Full => {
                trace!(warn, "patera::outbox", "event not sent", namespace = %self.name, event = ?event, error = %error);
            }
            EmitError::Volatile | EmitError::Disconnected => {
                trace!(debug, "patera::outbox", "event not sent", namespace = %self.name, event = ?event, error = %error);
            }
        }
    }
}

/// A namespace: `io.of("/chat")`. Cheap to clone; clones are the same namespace.
///
/// What is registered here costs nothing per socket. Handlers run in the order they were registered, these before the socket's own.
#[derive(Clone)]
pub struct Namespace {
    pub(crate) inner: Arc<NamespaceInner>,
    pub(crate) io: Arc<IoInner>,
}

impl Namespace {
    /// Its name, as in `/chat`; the default namespace is `/`.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Adds a middleware: an async function that lets a socket in or refuses it, once per connection to this namespace.
    ///
    /// Middlewares run one after the other. Parameters as for handlers; the one argument is the client's `auth` (`{}` if it sent none).
    /// `Err` sends `connect_error` with the error's message and data, and the next ones do not run.
    pub fn middleware<P: 'static, H>(&self, handler: H) -> &Self
    where
        H: Handler<P>,
        H::Output: IntoDecision,
    {
        let middleware = middleware(handler);
        self.inner.add(|hooks| hooks.middlewares.push(middleware.clone()));
        self
    }

    /// Adds a handler for sockets that have connected: `socket.on(…)` goes here. The one argument is the client's `auth`.
    ///
    /// It has run to its first wait before any event of that socket is handled: what it registers until then misses nothing.
    /// An `auth` that does not fit is only reported, and the socket stays: what must be checked is a [`middleware`](Self::middleware)'s.
    pub fn on_connection<P: 'static, H>(&self, handler: H) -> &Self
    where
        H: Handler<P>,
        H::Output: IntoReply,
    {
        let handler = event_handler(CONNECTION, handler);
        self.inner.add(|hooks| hooks.connection.push(handler.clone()));
        self
    }

    /// Adds a handler for sockets that have disconnected; a [`DisconnectReason`](crate::DisconnectReason) parameter tells why.
    pub fn on_disconnect<P: 'static, H>(&self, handler: H) -> &Self
    where
        H: Handler<P>,
        H::Output: IntoReply,
    {
        let handler = event_handler(DISCONNECT, handler);
        self.inner.add(|hooks| hooks.disconnect.push(handler.clone()));
        self
    }

    /// Adds a handler for an event of any socket. Several may be registered for one event; where more than one acknowledges,
    /// the client sees the first.
    ///
    /// For connections and disconnections there are [`on_connection`](Self::on_connection) and [`on_disconnect`](Self::on_disconnect):
    /// no client can send events of such names.
    pub fn on<P: 'static, H>(&self, event: &str, handler: H) -> &Self
    where
        H: Handler<P>,
        H::Output: IntoReply,
    {
        let handler = event_handler(event, handler);
        self.inner.add(|hooks| hooks.events.entry(event.into()).or_default().push(handler.clone()));
        self
    }

    /// Sets what is told of failures in handlers: arguments that do not fit, errors returned, panics. Without it they are traced.
    ///
    /// The text is the event, or `(connection)`, `(disconnect)`, `(middleware)`.
    pub fn on_error(&self, hook: impl Fn(&Socket, &str, &Failure) + Send + Sync + 'static) -> &Self {
        let hook: ErrorHook = Arc::new(hook);
        self.inner.add(|hooks| hooks.error = Some(hook.clone()));
        self
    }

    /// Serves plain WebSockets at a path of their own: a browser's `new WebSocket("ws://…/ws")` becomes a socket of this namespace.
    ///
    /// It goes through the same middlewares (its `auth` is the URL's query), handlers and rooms, with a heartbeat of WebSocket
    /// pings. With the subprotocol `patera.json` it speaks JSON, both ways:
    ///
    /// ```text
    /// {"event":"chat","args":["hello",1],"ack":7}          an event; `args` and `ack` may be left out
    /// {"args":["ok"],"ack":7}                              the acknowledgement of 7
    /// {"base64":"AQID"}                                    bytes, anywhere in `args`
    /// {"event":"connect","args":[{"sid":"…"}]}             the first message to the client: its id
    /// {"event":"connect_error","args":[{"message":"…"}]}   to the client: refused; the connection closes
    /// ```
    ///
    /// Without it every text or binary message is the event `message`, and `message` with one string or bytes goes out as just
    /// that; other events go out as the JSON above, but there is no `connect`, and no way to acknowledge.
    /// What is no such JSON closes with 1008.
    pub fn native(&self, path: &str) -> &Self {
        self.io.add_native(path, self.inner.clone());
        self
    }

    /// Emits to every socket of the namespace; see [`Broadcast::emit`].
    pub fn emit(&self, event: &str, args: impl Serialize) {
        self.broadcast().emit(event, args);
    }

    /// To the sockets of rooms; see [`Broadcast::to`].
    pub fn to(&self, rooms: impl IntoRooms) -> Broadcast {
        self.broadcast().to(rooms)
    }

    /// To all but the sockets of rooms; see [`Broadcast::except`].
    pub fn except(&self, rooms: impl IntoRooms) -> Broadcast {
        self.broadcast().except(rooms)
    }

    /// To all whose transport is ready; see [`Broadcast::volatile`].
    pub fn volatile(&self) -> Broadcast {
        self.broadcast().volatile()
    }

    /// See [`Broadcast::compress`].
    pub fn compress(&self, compress: bool) -> Broadcast {
        self.broadcast().compress(compress)
    }

    /// See [`Broadcast::local`].
    pub fn local(&self) -> Broadcast {
        self.broadcast().local()
    }

    /// To every socket of the namespace, for further steps.
    pub fn broadcast(&self) -> Broadcast {
        Broadcast::new(self.inner.clone())
    }

    /// The sockets connected to this namespace on this server now.
    pub fn sockets(&self) -> Vec<Socket> {
        self.inner.rooms.sockets().into_iter().map(Socket).collect()
    }

    /// The socket with this id, if it is connected to this server now.
    pub fn socket(&self, id: &str) -> Option<Socket> {
        self.inner.rooms.find(id).map(Socket)
    }
}

impl std::fmt::Debug for Namespace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Namespace").field(&self.inner.name).finish()
    }
}
