//! A namespace: its middlewares, its handlers, its sockets and rooms.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use patera_protocol::handler::FromAnswer;
use patera_protocol::parser::Parser;
use serde::Serialize;

use crate::answers::Answers;
use crate::broadcast::Broadcast;
use crate::cluster::{Membership, Parting, ServerSideListeners};
use crate::core::Core;
use crate::error::EmitError;
use crate::handler::{Failure, Handler, IntoDecision, Middleware, middleware};
use crate::io::IoInner;
use crate::listeners::{Listeners, RoomListener};
use crate::namespaces::Kind;
use crate::recovery::Recovery;
use crate::rooms::{IntoRooms, Rooms};
use crate::socket::{Socket, SocketInner};
use crate::sync::AtomicBool;
use crate::tasks::catch;
use crate::trace::trace;

type ErrorHook = Arc<dyn Fn(&Socket, &str, &Failure) + Send + Sync>;

pub(crate) struct NamespaceInner {
    pub(crate) name: Arc<str>,
    core: Arc<Core>,
    pub(crate) kind: Kind,
    pub(crate) rooms: Rooms,
    /// One counter for all sockets, so that a packet with an acknowledgement can be shared too.
    ack_ids: AtomicU64,
    hooks: ArcSwap<Hooks>,
    /// Whether anyone hears of outgoing events; once true it stays.
    outgoing: AtomicBool,
    /// Of a server with a bus.
    membership: Option<Box<Membership>>,
}

/// Read per connection and per event, by all threads, without a lock; added to by replacing it, which is rare.
#[derive(Clone, Default)]
pub(crate) struct Hooks {
    pub(crate) middlewares: Vec<Arc<dyn Middleware>>,
    pub(crate) listeners: Listeners,
    /// Whether each handler of a socket waits for the one before.
    pub(crate) is_sequential: bool,
    /// Whether an event needs more than the handlers of its name.
    pub(crate) is_special: bool,
    /// Whether an event may have to wait for the one before.
    pub(crate) is_ordered: bool,
    /// Of events from other servers.
    pub(crate) server_side: ServerSideListeners,
    error: Option<ErrorHook>,
}

impl NamespaceInner {
    pub(crate) fn new(name: &str, core: Arc<Core>, kind: Kind) -> Self {
        let name: Arc<str> = name.into();
        // In a parent are no clients, here or elsewhere.
        let cluster = core.cluster.as_ref().filter(|_| !matches!(kind, Kind::Parent(_)));
        NamespaceInner {
            membership: cluster.map(|cluster| Box::new(Membership::new(cluster, &name))),
            name,
            core,
            kind,
            rooms: Rooms::default(),
            ack_ids: AtomicU64::new(0),
            hooks: ArcSwap::default(),
            outgoing: AtomicBool::new(false),
        }
    }

    /// What its packets are written in, if that is not JSON.
    pub(crate) fn parser(&self) -> Option<&dyn Parser> {
        self.core.parser()
    }

    /// The server's recoverable sockets, where there are such.
    pub(crate) fn recovery(&self) -> Option<&Arc<Recovery>> {
        self.core.recovery.as_ref()
    }

    /// Its part of the cluster, if the server is in one.
    pub(crate) fn membership(&self) -> Option<&Membership> {
        self.membership.as_deref()
    }

    /// Nobody hears of it from other servers any more. What is returned is to be told without a lock.
    pub(crate) fn leave_cluster(&self) -> Option<Parting> {
        Some(self.membership()?.leave(&self.name))
    }

    /// With all that is registered on `parent` now.
    pub(crate) fn child(name: &str, parent: &Self, kind: Kind) -> Self {
        let mut child = Self::new(name, parent.core.clone(), kind);
        child.hooks = ArcSwap::new(parent.hooks.load_full());
        child.outgoing = AtomicBool::new(parent.is_outgoing_watched());
        if parent.rooms.events.is_watched() {
            child.rooms.events.watch();
        }
        child
    }

    /// The children of a parent; `None` of a namespace that clients are in.
    pub(crate) fn children(&self) -> Option<Vec<Arc<NamespaceInner>>> {
        match &self.kind {
            Kind::Parent(children) => Some(children.read().clone()),
            Kind::Plain | Kind::Child(_) => None,
        }
    }

    pub(crate) fn ack_timeout(&self) -> Duration {
        self.core.config.ack_timeout
    }

    pub(crate) fn next_ack_id(&self) -> u64 {
        self.ack_ids.fetch_add(1, Ordering::Relaxed)
    }

    /// What is registered now. Handlers may run while it is held.
    pub(crate) fn hooks(&self) -> arc_swap::Guard<Arc<Hooks>> {
        self.hooks.load()
    }

    /// Changes what is registered; `change` may be called more than once.
    pub(crate) fn change(&self, mut change: impl FnMut(&mut Hooks)) {
        self.hooks.rcu(|hooks| {
            let mut hooks = Hooks::clone(hooks);
            change(&mut hooks);
            hooks.is_ordered = hooks.is_sequential || !hooks.listeners.middlewares.is_empty();
            hooks.is_special = hooks.is_ordered || !hooks.listeners.any.is_empty();
            hooks
        });
    }

    /// Somebody wants to hear of outgoing events, of all sockets or of one.
    pub(crate) fn watch_outgoing(&self) {
        self.outgoing.store(true, Ordering::Release);
    }

    pub(crate) fn is_outgoing_watched(&self) -> bool {
        self.outgoing.load(Ordering::Acquire)
    }

    /// Takes a socket out, and out of all its rooms.
    pub(crate) fn leave(&self, socket: &Arc<SocketInner>) {
        self.rooms.remove(socket);
        self.tell_room_events();
    }

    /// The sockets in it now, or in the children of a parent.
    pub(crate) fn sockets(&self) -> Vec<Arc<SocketInner>> {
        match self.children() {
            None => self.rooms.sockets(),
            Some(children) => children.iter().flat_map(|child| child.rooms.sockets()).collect(),
        }
    }

    /// Tells what has happened to rooms, without any lock; nothing if nobody wants to hear of it.
    pub(crate) fn tell_room_events(&self) {
        if !self.rooms.events.is_watched() {
            return;
        }
        self.rooms.events.tell_all(|event| {
            for RoomListener { hook, .. } in &self.hooks().listeners.rooms {
                if catch(|| hook(event)).is_none() {
                    trace!(error, "patera::socket", "a hook of room events panicked", namespace = %self.name, event = ?event);
                }
            }
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
        self.inner.change(|hooks| hooks.middlewares.push(middleware.clone()));
        self
    }

    /// Sets what is told of failures in handlers: arguments that do not fit, errors returned, panics. Without it they are traced.
    ///
    /// The text is the event, or `(connection)`, `(disconnecting)`, `(disconnect)`, `(middleware)`; `(drop)` where what was kept with a
    /// socket panicked when it was dropped.
    pub fn on_error(&self, hook: impl Fn(&Socket, &str, &Failure) + Send + Sync + 'static) -> &Self {
        let hook: ErrorHook = Arc::new(hook);
        self.inner.change(|hooks| hooks.error = Some(hook.clone()));
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
    /// What is no such JSON closes with 1008 and the reason `parse error`.
    pub fn native(&self, path: &str) -> &Self {
        self.io.add_native(path, self.inner.clone());
        self
    }

    /// Emits to every socket of the namespace; see [`Broadcast::emit`].
    pub fn emit(&self, event: &str, args: impl Serialize) {
        self.broadcast().emit(event, args);
    }

    /// Emits to every socket of the namespace and waits for their answers; see [`Broadcast::emit_with_ack`].
    pub fn emit_with_ack<T: FromAnswer>(&self, event: &str, args: impl Serialize) -> Answers<T> {
        self.broadcast().emit_with_ack(event, args)
    }

    /// To all, waiting so long for acknowledgements; see [`Broadcast::timeout`].
    pub fn timeout(&self, timeout: Duration) -> Broadcast {
        self.broadcast().timeout(timeout)
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
        self.inner.sockets().into_iter().map(Socket).collect()
    }

    /// The socket with this id, if it is connected to this server now.
    pub fn socket(&self, id: &str) -> Option<Socket> {
        let find = |namespace: &NamespaceInner| namespace.rooms.find(id).filter(|socket| !socket.is_away());
        let found = match self.inner.children() {
            None => find(&self.inner),
            Some(children) => children.iter().find_map(|child| find(child)),
        };
        found.map(Socket)
    }
}

impl std::fmt::Debug for Namespace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Namespace").field(&self.inner.name).finish()
    }
}
