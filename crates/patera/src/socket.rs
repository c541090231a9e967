//! A socket: one client in one namespace.

mod inner;
mod kept;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use patera_protocol::engineio::{Transport, Version};
use patera_protocol::handler::FromAnswer;
use patera_protocol::socketio::{Value, encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use self::inner::SocketInner;
pub(crate) use self::kept::Data;
use crate::broadcast::Broadcast;
use crate::conn::Conn;
use crate::emitter::{Acknowledgement, Emitter};
use crate::error::{DisconnectReason, EmitError, JoinError};
use crate::handler::Failure;
use crate::handshake::Handshake;
use crate::io::Io;
use crate::namespace::Namespace;
use crate::outbox::{Command, Item};
use crate::prepared::{Flags, Prepared};
use crate::rooms::IntoRooms;

/// A client in a namespace. Cheap to clone; clones are the same socket. Safe to use from any task or thread.
///
/// ```no_run
/// # use patera::{Io, Reply, Socket};
/// # let io = Io::new();
/// io.on_connection(async |socket: Socket| {
///     socket.emit("welcome", ("hello", 1));
///     socket.on("add", async |a: i64, b: i64| Reply(a + b));
///     socket.on("private message", async |socket: Socket, to: String, text: String| {
///         socket.to(to).emit("private message", (socket.id(), text));
///     });
/// });
/// ```
#[derive(Clone)]
pub struct Socket(pub(crate) Arc<SocketInner>);

impl Socket {
    /// Its id: 20 random characters, another one after each reconnection. It is also the name of a room with just this socket.
    ///
    /// Clients of Socket.IO 1 and 2 make up theirs from the session's: `<session_id>`, and `/chat#<session_id>` in `/chat`. Who knows a
    /// session's id can speak for it: see [`Config::allow_eio3`](crate::Config::allow_eio3).
    pub fn id(&self) -> &str {
        self.0.id.as_str()
    }

    /// Its namespace.
    pub fn namespace(&self) -> Namespace {
        Namespace { inner: self.0.namespace.clone(), io: self.0.io.clone() }
    }

    /// The server.
    pub fn io(&self) -> Io {
        Io::from_inner(self.0.io.clone())
    }

    /// The request that opened the connection.
    pub fn handshake(&self) -> &Handshake {
        &self.0.session.handshake
    }

    /// What the client sent as `auth` with its CONNECT packet; an empty object if it sent none.
    ///
    /// Clients of Socket.IO 1 and 2 send none. Theirs is the query behind the namespace, `/chat?token=x` → `{"token":"x"}`; what they
    /// say in the URL is [`Handshake::query`], for every client.
    pub fn auth(&self) -> Value {
        self.0.auth().decode(0).unwrap_or(Value::Null)
    }

    /// The connection below, which the client's sockets in all namespaces share.
    pub fn conn(&self) -> Conn {
        Conn::new(self.0.session.clone())
    }

    /// The transport the client is on now.
    pub fn transport(&self) -> Transport {
        self.0.session.transport()
    }

    /// The revision of Engine.IO that the client speaks: 3 for clients of Socket.IO 1 and 2.
    pub fn protocol(&self) -> Version {
        self.0.session.dialect.version
    }

    /// The id of the Engine.IO session below, shared by the client's sockets in all namespaces.
    pub fn session_id(&self) -> &str {
        self.0.session.sid.as_str()
    }

    /// Whether it has been let in and not disconnected since.
    pub fn is_connected(&self) -> bool {
        self.0.is_connected()
    }

    /// Whether its client lost its connection and has come back for it: it has the id, the rooms and the data it had, and is being
    /// sent what it missed. Handlers are those of the new connection; extensions are not kept. See
    /// [`Config::connection_state_recovery`](crate::Config::connection_state_recovery).
    pub fn recovered(&self) -> bool {
        self.0.recovered()
    }

    /// Emits an event to this client: `42["event", …]`.
    ///
    /// `args`: a tuple is several arguments, `()` none, anything else one; an array `[T; N]` is a tuple to serde, and bytes are
    /// `bytes::Bytes` (a `Vec<u8>` is an array of numbers).
    /// It never fails: what cannot be sent is dropped, traced and counted. See [`try_emit`](Self::try_emit).
    pub fn emit(&self, event: &str, args: impl Serialize) {
        if let Err(error) = self.try_emit(event, args) {
            self.0.namespace.dropped(event, &error);
        }
    }

    /// As [`emit`](Self::emit), and says why nothing was sent.
    ///
    /// # Errors
    /// See [`EmitError`].
    pub fn try_emit(&self, event: &str, args: impl Serialize) -> Result<(), EmitError> {
        self.0.emit(event, &args, Flags::default())
    }

    /// Emits an event and waits for the client's acknowledgement, at most [`Config::ack_timeout`](crate::Config::ack_timeout).
    ///
    /// The answer `T`: a tuple takes all its arguments, `()` none, [`Rest`](crate::Rest) however many there are, anything else the first.
    ///
    /// # Errors
    /// See [`AckError`](crate::AckError).
    ///
    /// # Cancel safety
    /// The event is emitted by the call, not by the first poll. Dropped before it resolves, the answer is forgotten.
    pub fn emit_with_ack<T: FromAnswer>(&self, event: &str, args: impl Serialize) -> Acknowledgement<T> {
        self.emitter().emit_with_ack(event, args)
    }

    /// An emitter that waits so long for acknowledgements.
    pub fn timeout(&self, timeout: Duration) -> Emitter {
        self.emitter().timeout(timeout)
    }

    /// An emitter whose events are dropped where the transport is not ready.
    pub fn volatile(&self) -> Emitter {
        self.emitter().volatile()
    }

    /// An emitter whose events may be compressed or not, where there is compression. Default true.
    pub fn compress(&self, compress: bool) -> Emitter {
        self.emitter().compress(compress)
    }

    /// To the sockets of rooms, without this one.
    pub fn to(&self, rooms: impl IntoRooms) -> Broadcast {
        self.broadcast().to(rooms)
    }

    /// To every socket of the namespace but this one and the members of rooms.
    pub fn except(&self, rooms: impl IntoRooms) -> Broadcast {
        self.broadcast().except(rooms)
    }

    /// To every socket of the namespace but this one.
    pub fn broadcast(&self) -> Broadcast {
        Broadcast::new(self.0.namespace.clone()).except(self.id())
    }

    /// As [`broadcast`](Self::broadcast), only to sockets of this server, where several form a cluster.
    pub fn local(&self) -> Broadcast {
        self.broadcast().local()
    }

    /// Joins rooms. Joining twice is joining once.
    ///
    /// # Errors
    /// See [`JoinError`]; rooms before the one that failed are joined.
    pub fn try_join(&self, rooms: impl IntoRooms) -> Result<(), JoinError> {
        let config = &self.0.session.core.config;
        let mut result = Ok(());
        rooms.each_room(&mut |room| {
            if result.is_ok() {
                result = if room.len() > config.room_name_bytes_max {
                    Err(JoinError::NameTooLong)
                } else {
                    self.0.namespace.rooms.join(&self.0, room, config.rooms_per_socket_max)
                };
            }
        });
        self.0.namespace.tell_room_events();
        result
    }

    /// As [`try_join`](Self::try_join); what fails is traced.
    pub fn join(&self, rooms: impl IntoRooms) {
        if let Err(error) = self.try_join(rooms) {
            crate::trace::trace!(warn, "patera::socket", "room not joined", socket = %self.0.id, error = %error);
        }
    }

    /// Leaves rooms.
    pub fn leave(&self, rooms: impl IntoRooms) {
        rooms.each_room(&mut |room| self.0.namespace.rooms.leave(&self.0, room));
        self.0.namespace.tell_room_events();
    }

    /// The rooms it is in, without its own.
    pub fn rooms(&self) -> Vec<Arc<str>> {
        self.0.rooms.lock().names().cloned().collect()
    }

    /// Sets the socket's data: one value, which travels where the socket's description does. See [`extension_set`](Self::extension_set).
    pub fn data_set<T: Serialize + DeserializeOwned + Send + Sync + 'static>(&self, data: T) {
        let data = Arc::new(data);
        match self.0.recoverable() {
            Some(recoverable) if self.0.was_let_in() => drop(recoverable.set_data(data)),
            _ => drop(self.0.keep(|kept| kept.data.replace(data))),
        }
    }

    /// The socket's data, if it is a `T`.
    pub fn data<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let data: Arc<dyn Any + Send + Sync> = self.0.any_data()?;
        data.downcast().ok()
    }

    /// Keeps a value of any type with the socket, one a type; the newest wins.
    pub fn extension_set<T: Send + Sync + 'static>(&self, value: T) {
        drop(self.0.keep(|kept| kept.extensions.get_or_insert_default().insert(value)));
    }

    /// A copy of the value of this type: keep what is large or shared in an `Arc`.
    pub fn extension<T: Clone + Send + Sync + 'static>(&self) -> Option<T> {
        let value: Arc<T> = self.0.kept.lock().get()?.extensions.as_ref()?.get()?;
        Some(T::clone(&value))
    }

    /// Takes the value of this type away.
    pub fn extension_remove<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.0.kept.lock().get_mut()?.extensions.as_mut()?.remove()
    }

    /// Disconnects it from its namespace, behind what was emitted before: `41`. The connection stays. A stock client does not come back by itself.
    pub fn disconnect(&self) {
        if self.0.leave() {
            self.0.session.outbox.command(Command::Leave { slot: self.0.slot, number: self.0.number });
        }
    }

    /// Disconnects the client from all its namespaces and closes its connection, behind what was emitted before.
    pub fn close(&self) {
        self.0.leave();
        let reason = DisconnectReason::ServerNamespaceDisconnect;
        self.0.session.outbox.command(Command::Close { reason, flush: true });
    }

    fn emitter(&self) -> Emitter {
        Emitter::new(self.clone())
    }

    pub(crate) fn acknowledge(&self, id: u64, answer: &impl Serialize) {
        let name = &self.0.namespace.name;
        let encode = |out: &mut Vec<u8>| encode::ack(out, name, id, answer);
        let sent = Prepared::packet(self.0.namespace.parser(), Flags::default(), encode)
            .map_err(EmitError::from)
            .and_then(|prepared| self.0.push(Item { prepared, ack: None }));
        if let Err(error) = sent {
            self.0.namespace.dropped("(acknowledgement)", &error);
        }
    }

    /// The user's code panicked for it where nobody returns that: nothing more is emitted, and the connection ends.
    pub(crate) fn end_after_panic(&self) {
        self.0.leave();
        let reason = DisconnectReason::HandlerPanicked;
        self.0.session.outbox.command(Command::Close { reason, flush: false });
    }

    pub(crate) fn report(&self, event: &str, failure: &Failure) {
        self.0.namespace.report(self, event, failure);
    }
}

impl PartialEq for Socket {
    fn eq(&self, other: &Self) -> bool {
        self.0.number == other.0.number
    }
}

impl Eq for Socket {}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket").field("id", &self.id()).field("namespace", &self.0.namespace.name).finish()
    }
}
