//! A socket: this client in one namespace.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use patera_protocol::engineio::Transport;
use patera_protocol::handler::{FromAnswer, Handler, IntoReply};
use patera_protocol::socketio::Value;
use serde::Serialize;
use tokio::sync::oneshot;

use crate::auth::Auth;
use crate::client::Client;
use crate::codec::Codec;
use crate::emitter::{Acknowledgement, Emitter};
use crate::error::{ConnectError, EmitError};
use crate::events::{self, Events};
use crate::handler::{AckTarget, Failure, event_handler};
use crate::listeners::{ListenerId, Listeners, Place};
use crate::shared::{Answer, Command, Shared};
use crate::trace::trace;

/// This client in one namespace: what handlers get, and what a [`Client`] dereferences to. Cheap to clone.
///
/// Unlike a [`Client`] it does not keep the connection: capture it in handlers as you like. When the last [`Client`] of its
/// namespace is gone it has ended, and emitting fails with [`EmitError::Ended`].
#[derive(Clone)]
pub struct Socket(pub(crate) Arc<SocketInner>);

pub(crate) struct SocketInner {
    pub(crate) number: u64,
    pub(crate) namespace: String,
    pub(crate) shared: Arc<Shared>,
    pub(crate) listeners: Listeners,
    pub(crate) auth: Mutex<Auth>,
    pub(crate) state: Mutex<State>,
    ack_ids: AtomicU64,
}

/// What the task tells about a socket.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) id: Option<Arc<str>>,
    pub(crate) recovered: bool,
    /// The server recovers connections: it has told a private id.
    pub(crate) recovers: bool,
    pub(crate) active: bool,
    /// Counts the times it was connected, so that an answer goes over the connection that the question came over.
    pub(crate) generation: u64,
}

impl Socket {
    pub(crate) fn new(namespace: String, shared: Arc<Shared>) -> Self {
        Socket(Arc::new(SocketInner {
            number: shared.next_number(),
            namespace,
            shared,
            listeners: Listeners::default(),
            auth: Mutex::default(),
            state: Mutex::default(),
            ack_ids: AtomicU64::new(0),
        }))
    }

    /// The socket's id, which the server knows it by; `None` while it is not connected. Each connection has a new one, unless the
    /// server recovers it.
    pub fn id(&self) -> Option<String> {
        self.0.state.lock().id.as_deref().map(str::to_owned)
    }

    /// Whether the server has let it in.
    pub fn connected(&self) -> bool {
        self.0.state.lock().id.is_some()
    }

    /// Whether the server has recovered the state of the connection before: same id and rooms, missed events sent again.
    pub fn recovered(&self) -> bool {
        self.0.state.lock().recovered
    }

    /// Whether it is connected or will be by itself. False before the first `connect`, after `disconnect` of either side, a
    /// refusal, and the last attempt.
    pub fn active(&self) -> bool {
        self.0.state.lock().active
    }

    /// The namespace's name.
    pub fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// What the connection goes over now; `None` while there is none.
    pub fn transport(&self) -> Option<Transport> {
        self.0.shared.transport()
    }

    /// Connects, and keeps connected. The attempt begins with the call; the future tells what became of the first one.
    ///
    /// If that fails and [`Config::reconnection`](crate::Config::reconnection) is on, further attempts follow, also when nobody
    /// awaits this. Only a refusal by the server ends them.
    ///
    /// # Errors
    /// The first attempt failed.
    ///
    /// # Cancel safety
    /// Dropped, nothing changes; [`disconnect`](Socket::disconnect) ends the attempts.
    pub fn connect(&self) -> Connecting {
        let (sender, receiver) = oneshot::channel();
        // Once it has ended, the dropped sender says so.
        if self.0.shared.command(Command::Connect(self.0.number, sender)).is_ok() {
            self.0.state.lock().active = true;
        }
        Connecting(receiver)
    }

    /// Leaves the namespace; if no other needs the connection, ends it, once what was emitted has been sent. It begins with the
    /// call, and is done when the future resolves.
    ///
    /// What was emitted while there was no connection is kept for the next `connect`, as in JavaScript.
    ///
    /// # Cancel safety
    /// Dropped, it goes on.
    pub fn disconnect(&self) -> Disconnecting {
        let (sender, receiver) = oneshot::channel();
        let _ = self.0.shared.command(Command::Disconnect(self.0.number, sender));
        Disconnecting(receiver)
    }

    /// What the server is told at each connection from the next one on: see [`ClientBuilder::auth`](crate::ClientBuilder::auth).
    ///
    /// # Errors
    /// It cannot be JSON.
    pub fn set_auth(&self, auth: impl Serialize) -> Result<(), serde_json::Error> {
        let auth = Auth::Value(serde_json::to_value(auth)?);
        self.replace_auth(auth);
        Ok(())
    }

    /// The same by a closure: see [`ClientBuilder::auth_with`](crate::ClientBuilder::auth_with).
    pub fn set_auth_with<F, Fut, T, E>(&self, auth: F)
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: Serialize,
        E: fmt::Display,
    {
        self.replace_auth(Auth::closure(auth));
    }

    pub(crate) fn replace_auth(&self, auth: Auth) {
        let before = std::mem::replace(&mut *self.0.auth.lock(), auth);
        drop(before);
    }

    /// Calls a handler for each event of this name: an async function or closure whose parameters are the event's arguments, and
    /// whose return value is the acknowledgement, see [`Handler`]. Several handlers of one event start in the order in which they
    /// were registered; an event's handlers start before those of the next event.
    ///
    /// Handlers run in the task of the connection: what takes long without waiting keeps it from reading. What a handler waits
    /// for keeps nobody.
    ///
    /// ```no_run
    /// # use patera_client::{Client, Reply, Socket};
    /// # fn register(client: &Client) {
    /// client.on("news", async |text: String, tags: Vec<String>| println!("{text} {tags:?}"));
    /// client.on("add", async |a: i64, b: i64| Reply(a + b));
    /// client.on("greet", async |socket: Socket, name: String| socket.emit("hello", name));
    /// # }
    /// ```
    pub fn on<P: 'static, H>(&self, event: &str, handler: H) -> ListenerId
    where
        H: Handler<Client, P>,
        H::Output: IntoReply,
    {
        self.0.listeners.on(event, event_handler(handler), false)
    }

    /// As [`on`](Socket::on), for the next event of this name only.
    pub fn once<P: 'static, H>(&self, event: &str, handler: H) -> ListenerId
    where
        H: Handler<Client, P>,
        H::Output: IntoReply,
    {
        self.0.listeners.on(event, event_handler(handler), true)
    }

    /// Removes one listener, of whatever kind. Whether it was there. Calls that have begun go on.
    pub fn off(&self, id: ListenerId) -> bool {
        self.0.listeners.off(id)
    }

    /// Removes all handlers of an event; false if there were none.
    pub fn off_event(&self, event: &str) -> bool {
        self.0.listeners.off_event(event)
    }

    /// Removes all handlers of events, of one name and of any. Those of the socket's life stay, and those of what goes out.
    pub fn off_all(&self) {
        self.0.listeners.off_all();
    }

    /// Calls a handler for every event that comes, before the handlers of its name. It may take the
    /// [`EventName`](crate::EventName).
    ///
    /// ```no_run
    /// # use patera_client::{Client, EventName, Rest};
    /// # fn register(client: &Client) {
    /// client.on_any(async |EventName(name): EventName, Rest(args): Rest| println!("{name} {args:?}"));
    /// # }
    /// ```
    pub fn on_any<P: 'static, H>(&self, handler: H) -> ListenerId
    where
        H: Handler<Client, P>,
        H::Output: IntoReply,
    {
        self.0.listeners.on_any(event_handler(handler), Place::Last)
    }

    /// As [`on_any`](Socket::on_any), in front of those that are there.
    pub fn prepend_any<P: 'static, H>(&self, handler: H) -> ListenerId
    where
        H: Handler<Client, P>,
        H::Output: IntoReply,
    {
        self.0.listeners.on_any(event_handler(handler), Place::First)
    }

    /// Removes all handlers of any event.
    pub fn off_any(&self) {
        self.0.listeners.off_any();
    }

    /// Calls a function with every event that goes out, when it does: what was buffered counts when the connection stands.
    pub fn on_any_outgoing(&self, hook: impl Fn(&Socket, &str, &[Value]) + Send + Sync + 'static) -> ListenerId {
        self.0.listeners.on_any_outgoing(Arc::new(hook), Place::Last)
    }

    /// As [`on_any_outgoing`](Socket::on_any_outgoing), in front of those that are there.
    pub fn prepend_any_outgoing(&self, hook: impl Fn(&Socket, &str, &[Value]) + Send + Sync + 'static) -> ListenerId {
        self.0.listeners.on_any_outgoing(Arc::new(hook), Place::First)
    }

    /// Removes all functions of [`on_any_outgoing`](Socket::on_any_outgoing).
    pub fn off_any_outgoing(&self) {
        self.0.listeners.off_any_outgoing();
    }

    /// Calls a handler with everything that happens to the socket: it takes a [`Lifecycle`](crate::Lifecycle), and may take the
    /// [`Socket`].
    pub fn on_lifecycle<P: 'static, H>(&self, handler: H) -> ListenerId
    where
        H: Handler<Client, P, Output = ()>,
    {
        self.0.listeners.on_lifecycle(None, event_handler(handler))
    }

    /// Calls a handler each time the socket is connected. What it emits comes behind what was buffered.
    pub fn on_connect<P: 'static, H>(&self, handler: H) -> ListenerId
    where
        H: Handler<Client, P, Output = ()>,
    {
        self.0.listeners.on_lifecycle(Some("connect"), event_handler(handler))
    }

    /// Calls a handler each time an attempt fails: it may take the [`ConnectError`].
    pub fn on_connect_error<P: 'static, H>(&self, handler: H) -> ListenerId
    where
        H: Handler<Client, P, Output = ()>,
    {
        self.0.listeners.on_lifecycle(Some("connect_error"), event_handler(handler))
    }

    /// Calls a handler each time the socket is disconnected: it may take the [`DisconnectReason`](crate::DisconnectReason), or
    /// the whole [`Disconnect`](crate::Disconnect).
    pub fn on_disconnect<P: 'static, H>(&self, handler: H) -> ListenerId
    where
        H: Handler<Client, P, Output = ()>,
    {
        self.0.listeners.on_lifecycle(Some("disconnect"), event_handler(handler))
    }

    /// Calls a closure when a handler fails: with the event's name and what went wrong. One at a time; without it failures are
    /// logged. The server has been told already if it awaits an acknowledgement.
    pub fn on_error(&self, hook: impl Fn(&Socket, &str, &Failure) + Send + Sync + 'static) {
        self.0.listeners.on_error(Arc::new(hook));
    }

    /// Everything that comes from now on, as a stream, instead of callbacks or beside them.
    pub fn events(&self) -> Events {
        let config = &self.0.shared.config;
        let (sender, events) = events::channel(config.stream_events_max, config.stream_bytes_max);
        self.0.listeners.stream(sender);
        events
    }

    /// Emits an event. A tuple is several arguments, `()` none, anything else one; bytes are `bytes::Bytes`, anywhere inside.
    ///
    /// Without a connection it is kept, and sent when there is one. It never fails here: what cannot be sent is logged and
    /// dropped. [`try_emit`](Socket::try_emit) tells.
    pub fn emit(&self, event: &str, args: impl Serialize) {
        self.emitter().emit(event, args);
    }

    /// Emits an event, or tells why not.
    ///
    /// # Errors
    /// See [`EmitError`].
    pub fn try_emit(&self, event: &str, args: impl Serialize) -> Result<(), EmitError> {
        self.emitter().try_emit(event, args)
    }

    /// Emits an event and waits for the server's acknowledgement: a tuple takes several answers, `()` none,
    /// [`Rest`](crate::Rest) all, any other type the first.
    ///
    /// ```no_run
    /// # async fn ask(client: patera_client::Client) -> Result<(), patera_client::AckError> {
    /// let sum: i64 = client.emit_with_ack("add", (1, 2)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`AckError`](crate::AckError). Without a [`timeout`](Socket::timeout) and
    /// [`Config::ack_timeout`](crate::Config::ack_timeout) it waits as long as the connection stands.
    ///
    /// # Cancel safety
    /// The event is emitted by the call, not by the first poll. Dropped before it resolves, the answer is forgotten.
    pub fn emit_with_ack<T: FromAnswer>(&self, event: &str, args: impl Serialize) -> Acknowledgement<T> {
        self.emitter().emit_with_ack(event, args)
    }

    /// The event `message`, as in JavaScript.
    pub fn send(&self, args: impl Serialize) {
        self.emit("message", args);
    }

    /// Waits so long for the acknowledgement of what is emitted with it.
    pub fn timeout(&self, timeout: Duration) -> Emitter {
        self.emitter().timeout(timeout)
    }

    /// What is emitted with it is dropped if it cannot go out at once.
    pub fn volatile(&self) -> Emitter {
        self.emitter().volatile()
    }

    /// Whether what is emitted with it may be compressed, where there is compression. Not for events that hold both a secret and
    /// what a stranger has chosen: their compressed length tells of the secret.
    pub fn compress(&self, compress: bool) -> Emitter {
        self.emitter().compress(compress)
    }

    fn emitter(&self) -> Emitter {
        Emitter::new(self.clone())
    }

    pub(crate) fn codec(&self) -> Codec {
        Codec(self.0.shared.config.parser)
    }

    pub(crate) fn next_ack_id(&self) -> u64 {
        self.0.ack_ids.fetch_add(1, Ordering::Relaxed)
    }

    /// Sends an acknowledgement of ours.
    pub(crate) fn acknowledge(&self, AckTarget { id, generation }: AckTarget, answer: &impl Serialize) {
        match self.codec().ack(&self.0.namespace, id, answer) {
            Ok(packet) => {
                let permit = self.0.shared.answers.take_any(packet.len());
                let answer = Answer { socket: self.0.number, generation, packet, permit: Some(permit) };
                // The end of the client is the end of its answers.
                let _ = self.0.shared.command(Command::Answer(answer));
            }
            Err(error) => {
                trace!(warn, "acknowledgement dropped", error = %error);
            }
        }
    }

    /// A handler has failed.
    pub(crate) fn report(&self, event: &str, failure: &Failure) {
        match self.0.listeners.error_hook() {
            Some(hook) => hook(self, event, failure),
            None => {
                trace!(error, "handler failed", event = %event, error = %failure);
            }
        }
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("namespace", &self.0.namespace).field("id", &self.id()).finish_non_exhaustive()
    }
}

/// An attempt to connect, under way: see [`Socket::connect`].
#[derive(Debug)]
pub struct Connecting(oneshot::Receiver<Result<(), ConnectError>>);

impl Future for Connecting {
    type Output = Result<(), ConnectError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|outcome| outcome.unwrap_or(Err(ConnectError::Closed)))
    }
}

/// A socket, or all of a connection, on the way out: see [`Socket::disconnect`].
#[derive(Debug)]
pub struct Disconnecting(pub(crate) oneshot::Receiver<()>);

impl Future for Disconnecting {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // A dropped sender is a task that has ended, which is the end too.
        Pin::new(&mut self.0).poll(cx).map(drop)
    }
}
