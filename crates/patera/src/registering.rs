//! How listeners come and go: the methods of namespaces and sockets that register, and `off`.

use patera_protocol::handler::IntoReply;
use patera_protocol::socketio::Value;

use crate::handler::{ANY, CONNECTION, DISCONNECT, DISCONNECTING, Handler, IntoDecision, middleware};
use crate::listeners::{Listener, ListenerId, Listeners, Outgoing, Removed, RoomListener, listens};
use crate::namespace::Namespace;
use crate::room_events::RoomEvent;
use crate::socket::Socket;

/// Handlers of a namespace's events: of all its sockets, at no cost for each.
impl Namespace {
    /// Adds a handler for an event of any socket. Several may be registered for one event; where more than one acknowledges,
    /// the client sees the first.
    ///
    /// For connections and disconnections there are [`on_connection`](Self::on_connection) and [`on_disconnect`](Self::on_disconnect):
    /// no client can send events of such names.
    pub fn on<P: 'static, H>(&self, event: &str, handler: H) -> ListenerId
    where
        H: Handler<P>,
        H::Output: IntoReply,
    {
        self.listen(Listener::new(event, handler), |listeners, listener| listeners.on(event, listener))
    }

    /// As [`on`](Self::on), for the next event of this name alone, whichever socket sends it.
    pub fn once<P: 'static, H>(&self, event: &str, handler: H) -> ListenerId
    where
        H: Handler<P>,
        H::Output: IntoReply,
    {
        self.listen(Listener::once(event, handler), |listeners, listener| listeners.on(event, listener))
    }

    /// Adds a handler for every event of any socket, before those of [`on`](Self::on); an [`EventName`](crate::EventName)
    /// parameter tells which it is.
    ///
    /// ```no_run
    /// # use patera::{EventName, Io, Rest, Socket};
    /// # let io = Io::new();
    /// io.on_any(async |socket: Socket, EventName(event): EventName, Rest(args): Rest| {
    ///     println!("{} sends {event} with {} arguments", socket.id(), args.len());
    /// });
    /// ```
    ///
    /// Arguments that do not fit are reported, and the client is not told.
    pub fn on_any<P: 'static, H>(&self, handler: H) -> ListenerId
    where
        H: Handler<P>,
        H::Output: IntoReply,
    {
        self.listen(Listener::new(ANY, handler), |listeners, listener| listeners.any.push(listener))
    }

    /// As [`on_any`](Self::on_any), in front of those that are there.
    pub fn prepend_any<P: 'static, H>(&self, handler: H) -> ListenerId
    where
        H: Handler<P>,
        H::Output: IntoReply,
    {
        self.listen(Listener::new(ANY, handler), |listeners, listener| listeners.any.insert(0, listener))
    }

    /// Adds a middleware of events: an async function that lets each event of any socket through to its handlers, or refuses it.
    ///
    /// ```no_run
    /// # use patera::{EventName, Io, Result, Socket};
    /// # let io = Io::new();
    /// io.event_middleware(async |socket: Socket, EventName(event): EventName| -> Result {
    ///     if event == "delete" && !socket.rooms().iter().any(|room| &**room == "admins") {
    ///         Err("not allowed")?;
    ///     }
    ///     Ok(())
    /// });
    /// ```
    ///
    /// Parameters as for handlers. They run one after the other, behind the handlers of [any](Self::on_any) event; the socket's next
    /// event waits until they have decided, so that order is kept. Acknowledgements, heartbeats and disconnections do not wait. An `Err`, or
    /// arguments that do not fit, is told to [`on_error`](Self::on_error), acknowledged as `{"error": …}`, and no handler sees the event.
    ///
    /// Events that wait count for [`Config::pending_handlers_max`](crate::Config::pending_handlers_max).
    pub fn event_middleware<P: 'static, H>(&self, handler: H) -> &Self
    where
        H: Handler<P>,
        H::Output: IntoDecision,
    {
        let middleware = middleware(handler);
        self.inner.change(|hooks| hooks.listeners.middlewares.push(middleware.clone()));
        self
    }

    /// From now on each handler of a socket's event ends before the next handler of that socket starts, be it of the same event or
    /// of the next. Without it handlers start in order and run side by side.
    ///
    /// Acknowledgements, heartbeats and disconnections do not wait: a handler may await the client's answer. What waits counts for
    /// [`Config::pending_handlers_max`](crate::Config::pending_handlers_max).
    pub fn sequential(&self) -> &Self {
        self.inner.change(|hooks| hooks.is_sequential = true);
        self
    }

    /// Adds a function that hears of every event sent to a socket of this namespace: the socket, the event, its arguments.
    ///
    /// It is called by whoever emits, behind the emit, for each socket that the event was put on the way to, of a broadcast
    /// too. Acknowledgements are no events. It costs each emit a copy of the arguments. A panic ends the connection that it was called
    /// for, and is reported as a handler's.
    pub fn on_any_outgoing(&self, hook: impl Fn(&Socket, &str, &[Value]) + Send + Sync + 'static) -> ListenerId {
        self.inner.watch_outgoing();
        let outgoing = Outgoing::new(hook);
        self.inner.change(|hooks| hooks.listeners.outgoing.push(outgoing.clone()));
        outgoing.id
    }

    /// As [`on_any_outgoing`](Self::on_any_outgoing), in front of those that are there.
    pub fn prepend_any_outgoing(&self, hook: impl Fn(&Socket, &str, &[Value]) + Send + Sync + 'static) -> ListenerId {
        self.inner.watch_outgoing();
        let outgoing = Outgoing::new(hook);
        self.inner.change(|hooks| hooks.listeners.outgoing.insert(0, outgoing.clone()));
        outgoing.id
    }

    /// Adds a handler for sockets that have connected: `socket.on(…)` goes here. The one argument is the client's `auth`.
    ///
    /// It has run to its first wait before any event of that socket is handled: what it registers until then misses nothing.
    /// An `auth` that does not fit is only reported, and the socket stays: what must be checked is a [`middleware`](Self::middleware)'s.
    pub fn on_connection<P: 'static, H>(&self, handler: H) -> ListenerId
    where
        H: Handler<P>,
        H::Output: IntoReply,
    {
        self.listen(Listener::new(CONNECTION, handler), |listeners, listener| listeners.connection.push(listener))
    }

    /// Adds a handler for sockets that are about to leave their rooms because they were disconnected; parameters as for
    /// [`on_disconnect`](Self::on_disconnect). [`Socket::rooms`] tells the rooms until its first wait.
    pub fn on_disconnecting<P: 'static, H>(&self, handler: H) -> ListenerId
    where
        H: Handler<P>,
        H::Output: IntoReply,
    {
        self.listen(Listener::new(DISCONNECTING, handler), |listeners, listener| listeners.disconnecting.push(listener))
    }

    /// Adds a handler for sockets that have disconnected; a [`DisconnectReason`](crate::DisconnectReason) parameter tells why,
    /// and [`DisconnectDetails`](crate::DisconnectDetails) what more is known.
    pub fn on_disconnect<P: 'static, H>(&self, handler: H) -> ListenerId
    where
        H: Handler<P>,
        H::Output: IntoReply,
    {
        self.listen(Listener::new(DISCONNECT, handler), |listeners, listener| listeners.disconnect.push(listener))
    }

    /// Adds a function that hears what happens to rooms: which come and go, who joins and leaves.
    ///
    /// ```no_run
    /// # use patera::{Io, RoomEvent};
    /// # let io = Io::new();
    /// io.on_room_event(|event| match event {
    ///     RoomEvent::Join { room, socket } => println!("{} is in {room}", socket.id()),
    ///     RoomEvent::Delete { room } => println!("nobody is in {room} any more"),
    ///     _ => {}
    /// });
    /// ```
    ///
    /// It is called in the order in which things happened, behind them, by whoever joins or leaves; by one thread at a time: while
    /// it is at work, at most 65,536 events of others wait for it, and more are lost and traced.
    pub fn on_room_event(&self, hook: impl Fn(&RoomEvent) + Send + Sync + 'static) -> ListenerId {
        let listener = RoomListener::new(hook);
        self.inner.change(|hooks| hooks.listeners.rooms.push(listener.clone()));
        self.inner.rooms.events.watch();
        listener.id
    }

    /// Removes what was registered under this id, whatever it listens to; false if it was not there. Calls under way go on.
    pub fn off(&self, id: ListenerId) -> bool {
        self.unlisten(|listeners| listeners.off(id)) || self.off_server_side(id)
    }

    /// Removes all handlers of one event; false if there were none.
    pub fn off_event(&self, event: &str) -> bool {
        self.unlisten(|listeners| listeners.off_event(event))
    }

    /// Removes all handlers of [`on`](Self::on) and [`once`](Self::once).
    pub fn off_all(&self) {
        self.unlisten(Listeners::off_all);
    }

    /// Removes all handlers of [`on_any`](Self::on_any).
    pub fn off_any(&self) {
        self.unlisten(Listeners::off_any);
    }

    /// Removes all functions of [`on_any_outgoing`](Self::on_any_outgoing).
    pub fn off_any_outgoing(&self) {
        self.unlisten(Listeners::off_any_outgoing);
    }

    fn listen(&self, listener: Listener, add: impl Fn(&mut Listeners, Listener)) -> ListenerId {
        self.inner.change(|hooks| add(&mut hooks.listeners, listener.clone()));
        listener.id
    }

    fn unlisten(&self, take: impl Fn(&mut Listeners) -> Removed) -> bool {
        let mut any = false;
        self.inner.change(|hooks| any = !take(&mut hooks.listeners).is_empty());
        any
    }
}

/// Handlers of one socket's events. They are kept until it is disconnected and its disconnect handlers have ended.
impl Socket {
    /// Adds a handler for an event of this socket. Several may be registered for one event; they start in that order.
    pub fn on<P: 'static, H>(&self, event: &str, handler: H) -> ListenerId
    where
        H: Handler<P>,
        H::Output: IntoReply,
    {
        self.0.listen(listens::EVENTS, Listener::new(event, handler), |all, listener| all.on(event, listener))
    }

    /// As [`on`](Self::on), for the next event of this name alone.
    pub fn once<P: 'static, H>(&self, event: &str, handler: H) -> ListenerId
    where
        H: Handler<P>,
        H::Output: IntoReply,
    {
        self.0.listen(listens::EVENTS, Listener::once(event, handler), |all, listener| all.on(event, listener))
    }

    /// Adds a handler for every event of this socket: see [`Namespace::on_any`], whose handlers come first.
    pub fn on_any<P: 'static, H>(&self, handler: H) -> ListenerId
    where
        H: Handler<P>,
        H::Output: IntoReply,
    {
        self.0.listen(listens::ANY, Listener::new(ANY, handler), |all, listener| all.any.push(listener))
    }

    /// As [`on_any`](Self::on_any), in front of those that are there.
    pub fn prepend_any<P: 'static, H>(&self, handler: H) -> ListenerId
    where
        H: Handler<P>,
        H::Output: IntoReply,
    {
        self.0.listen(listens::ANY, Listener::new(ANY, handler), |all, listener| all.any.insert(0, listener))
    }

    /// Adds a middleware of this socket's events: see [`Namespace::event_middleware`], whose come first. It stays.
    pub fn event_middleware<P: 'static, H>(&self, handler: H)
    where
        H: Handler<P>,
        H::Output: IntoDecision,
    {
        let middleware = middleware(handler);
        self.0.add_middleware(middleware);
    }

    /// Adds a function that hears of every event sent to this socket: see [`Namespace::on_any_outgoing`], whose come first.
    pub fn on_any_outgoing(&self, hook: impl Fn(&Socket, &str, &[Value]) + Send + Sync + 'static) -> ListenerId {
        self.0.listen_outgoing(Outgoing::new(hook), |all, outgoing| all.push(outgoing))
    }

    /// As [`on_any_outgoing`](Self::on_any_outgoing), in front of those that are there.
    pub fn prepend_any_outgoing(&self, hook: impl Fn(&Socket, &str, &[Value]) + Send + Sync + 'static) -> ListenerId {
        self.0.listen_outgoing(Outgoing::new(hook), |all, outgoing| all.insert(0, outgoing))
    }

    /// Adds a handler for the time when it is about to leave its rooms, because it was disconnected: until the handler's first
    /// wait [`rooms`](Self::rooms) tells them.
    pub fn on_disconnecting<P: 'static, H>(&self, handler: H) -> ListenerId
    where
        H: Handler<P>,
        H::Output: IntoReply,
    {
        self.0.listen(listens::NOTHING, Listener::new(DISCONNECTING, handler), |all, new| all.disconnecting.push(new))
    }

    /// Adds a handler for the end of this socket; a [`DisconnectReason`](crate::DisconnectReason) parameter tells why, and
    /// [`DisconnectDetails`](crate::DisconnectDetails) what more is known. The socket has left its rooms by then, unless its
    /// client may come back for it: [`Config::connection_state_recovery`](crate::Config::connection_state_recovery).
    pub fn on_disconnect<P: 'static, H>(&self, handler: H) -> ListenerId
    where
        H: Handler<P>,
        H::Output: IntoReply,
    {
        self.0.listen(listens::NOTHING, Listener::new(DISCONNECT, handler), |all, new| all.disconnect.push(new))
    }

    /// Removes what was registered on this socket under this id; false if it was not there. Calls under way go on.
    pub fn off(&self, id: ListenerId) -> bool {
        self.0.unlisten(|listeners| listeners.off(id))
    }

    /// Removes all handlers that this socket has for one event; false if there were none.
    pub fn off_event(&self, event: &str) -> bool {
        self.0.unlisten(|listeners| listeners.off_event(event))
    }

    /// Removes all handlers of [`on`](Self::on) and [`once`](Self::once).
    pub fn off_all(&self) {
        self.0.unlisten(Listeners::off_all);
    }

    /// Removes all handlers of [`on_any`](Self::on_any).
    pub fn off_any(&self) {
        self.0.unlisten(Listeners::off_any);
    }

    /// Removes all functions of [`on_any_outgoing`](Self::on_any_outgoing).
    pub fn off_any_outgoing(&self) {
        self.0.unlisten(Listeners::off_any_outgoing);
    }
}
