//! Sockets wherever they are, on this server or on another one: described, and told what to do, by id.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream as _;
use patera_cluster::Description;
use patera_protocol::handler::FromAnswer;
use patera_protocol::socketio::{Map, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::answers::Answers;
use crate::broadcast::Broadcast;
use crate::cluster::description;
use crate::error::{AckError, EmitError};
use crate::handshake::Handshake;
use crate::namespace::{Namespace, NamespaceInner};
use crate::rooms::IntoRooms;
use crate::socket::{Socket, SocketInner};

/// Why not all servers of a cluster did what was asked of them. A server alone never fails to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClusterError {
    /// So many of the other servers did not answer in time.
    Timeout {
        /// Servers without an answer.
        missing: usize,
    },
    /// As many requests to other servers are open as [`ClusterConfig::requests_max`](crate::ClusterConfig::requests_max) allows.
    TooMany,
    /// The server is closed.
    Closed,
}

impl fmt::Display for ClusterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClusterError::Timeout { missing } => write!(f, "{missing} servers did not answer in time"),
            ClusterError::TooMany => f.write_str("too many requests to other servers are open"),
            ClusterError::Closed => f.write_str("the server is closed"),
        }
    }
}

impl std::error::Error for ClusterError {}

/// A socket as it was when [`fetch_sockets`](Broadcast::fetch_sockets) found it, on this server or another one: what can be said of it,
/// and what it can be told.
#[derive(Clone)]
pub struct RemoteSocket {
    namespace: Arc<NamespaceInner>,
    id: Box<str>,
    handshake: Handshake,
    auth: Value,
    rooms: Vec<Arc<str>>,
    /// JSON.
    data: Option<Box<str>>,
}

impl RemoteSocket {
    /// One of another server.
    pub(crate) fn from_afar(namespace: &Arc<NamespaceInner>, description: Description) -> Self {
        let Description { id, handshake, rooms, data } = description;
        let is_empty = data.is_null() || data.as_object().is_some_and(Map::is_empty);
        RemoteSocket {
            namespace: namespace.clone(),
            handshake: description::read_handshake(&handshake),
            auth: handshake["auth"].clone(),
            rooms: rooms.into_iter().filter(|room| *room != id).collect(),
            data: (!is_empty).then(|| serde_json::to_string(&data).ok().map(Into::into)).flatten(),
            id: (*id).into(),
        }
    }

    fn of(socket: &Arc<SocketInner>) -> Self {
        let data = socket.any_data().and_then(|data| data.to_json());
        let socket = Socket(socket.clone());
        RemoteSocket {
            namespace: socket.0.namespace.clone(),
            id: socket.id().into(),
            handshake: socket.handshake().clone(),
            auth: socket.auth(),
            rooms: socket.rooms(),
            data,
        }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The name of its namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace.name
    }

    /// The request that opened its connection.
    pub fn handshake(&self) -> &Handshake {
        &self.handshake
    }

    /// What its client sent as `auth`; see [`Socket::auth`].
    pub fn auth(&self) -> &Value {
        &self.auth
    }

    /// The rooms it was in, without its own.
    pub fn rooms(&self) -> &[Arc<str>] {
        &self.rooms
    }

    /// The data of [`Socket::data_set`], as it travels between servers: through JSON. `None` if there was none, or it is no `T`.
    pub fn data<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(self.data.as_deref()?).ok()
    }

    /// Emits to it; see [`Broadcast::emit`].
    pub fn emit(&self, event: &str, args: impl Serialize) {
        self.broadcast().emit(event, args);
    }

    /// Emits to it and waits for its answer, at most [`Config::ack_timeout`](crate::Config::ack_timeout); for another time there
    /// is `io.to(socket.id()).timeout(…)`.
    ///
    /// # Errors
    /// See [`AckError`].
    ///
    /// # Cancel safety
    /// The event is emitted by the call, not by the first poll. Dropped before it resolves, the answer is forgotten.
    pub fn emit_with_ack<T: FromAnswer>(&self, event: &str, args: impl Serialize) -> OneAnswer<T> {
        OneAnswer(self.broadcast().emit_with_ack(event, args))
    }

    /// Makes it join rooms.
    ///
    /// # Errors
    /// See [`ClusterError`].
    ///
    /// # Cancel safety
    /// As for [`Broadcast::sockets_join`], as all below.
    pub async fn join(&self, rooms: impl IntoRooms) -> Result<(), ClusterError> {
        self.broadcast().sockets_join(rooms).await
    }

    /// Makes it leave rooms.
    ///
    /// # Errors
    /// See [`ClusterError`].
    pub async fn leave(&self, rooms: impl IntoRooms) -> Result<(), ClusterError> {
        self.broadcast().sockets_leave(rooms).await
    }

    /// See [`Socket::disconnect`].
    ///
    /// # Errors
    /// See [`ClusterError`].
    pub async fn disconnect(&self) -> Result<(), ClusterError> {
        self.broadcast().disconnect_sockets().await
    }

    /// See [`Socket::close`].
    ///
    /// # Errors
    /// See [`ClusterError`].
    pub async fn close(&self) -> Result<(), ClusterError> {
        self.broadcast().close_sockets().await
    }

    /// To it alone, whichever server it is on.
    fn broadcast(&self) -> Broadcast {
        Broadcast::new(self.namespace.clone()).to(&*self.id)
    }
}

impl fmt::Debug for RemoteSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteSocket")
            .field("id", &self.id)
            .field("namespace", &self.namespace())
            .finish_non_exhaustive()
    }
}

/// The answer of a [`RemoteSocket`] on its way: see [`RemoteSocket::emit_with_ack`].
#[derive(Debug)]
#[must_use = "the event is sent, but the answer is only seen by who awaits it"]
pub struct OneAnswer<T>(Answers<T>);

impl<T: FromAnswer> Future for OneAnswer<T> {
    type Output = Result<T, AckError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.0).poll_next(cx));
        // Without any the socket is not there.
        Poll::Ready(answer.unwrap_or(Err(AckError::Emit(EmitError::Disconnected))))
    }
}

/// What can be asked of all sockets of the target at once, on all servers.
///
/// What sockets are to do is done here by the first poll, and other servers are told: nobody says when they have done it, but it
/// is in order with what is emitted.
impl Broadcast {
    /// The sockets of the target that are connected now, those of other servers included.
    ///
    /// # Errors
    /// See [`ClusterError`]; [`local`](Self::local) never fails.
    ///
    /// # Cancel safety
    /// Nothing changes.
    pub async fn fetch_sockets(&self) -> Result<Vec<RemoteSocket>, ClusterError> {
        let connected = self.matching().into_iter().filter(|socket| socket.is_connected());
        let mut sockets: Vec<_> = connected.map(|socket| RemoteSocket::of(&socket)).collect();
        self.fetch_from_others(&mut sockets).await?;
        Ok(sockets)
    }

    /// Makes all sockets of the target join rooms. What one cannot join is traced, as by [`Socket::join`].
    ///
    /// ```no_run
    /// # async fn example(io: patera::Io) -> patera::Result {
    /// io.to("lobby").sockets_join(["game", "team-1"]).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// See [`ClusterError`].
    ///
    /// # Cancel safety
    /// On this server the first poll does it.
    pub async fn sockets_join(&self, rooms: impl IntoRooms) -> Result<(), ClusterError> {
        let rooms = names(rooms);
        self.each(|socket| socket.join(&rooms));
        self.tell_others(|membership, target| membership.sockets_join(target, rooms.clone()));
        Ok(())
    }

    /// Makes all sockets of the target leave rooms.
    ///
    /// # Errors
    /// See [`ClusterError`].
    ///
    /// # Cancel safety
    /// On this server the first poll does it.
    pub async fn sockets_leave(&self, rooms: impl IntoRooms) -> Result<(), ClusterError> {
        let rooms = names(rooms);
        self.each(|socket| socket.leave(&rooms));
        self.tell_others(|membership, target| membership.sockets_leave(target, rooms.clone()));
        Ok(())
    }

    /// Disconnects all sockets of the target from the namespace: see [`Socket::disconnect`].
    ///
    /// # Errors
    /// See [`ClusterError`].
    ///
    /// # Cancel safety
    /// On this server the first poll does it.
    pub async fn disconnect_sockets(&self) -> Result<(), ClusterError> {
        self.each(Socket::disconnect);
        self.tell_others(|membership, target| membership.disconnect_sockets(target, false));
        Ok(())
    }

    /// Disconnects the clients of all sockets of the target and closes their connections: see [`Socket::close`].
    ///
    /// # Errors
    /// See [`ClusterError`].
    ///
    /// # Cancel safety
    /// On this server the first poll does it.
    pub async fn close_sockets(&self) -> Result<(), ClusterError> {
        self.each(Socket::close);
        self.tell_others(|membership, target| membership.disconnect_sockets(target, true));
        Ok(())
    }

    pub(crate) fn each(&self, call: impl Fn(&Socket)) {
        self.matching().into_iter().map(Socket).for_each(|socket| call(&socket));
    }
}

/// All sockets of the namespace at once: see [`Broadcast`].
impl Namespace {
    /// See [`Broadcast::fetch_sockets`].
    ///
    /// # Errors
    /// See [`ClusterError`].
    ///
    /// # Cancel safety
    /// Nothing changes.
    pub async fn fetch_sockets(&self) -> Result<Vec<RemoteSocket>, ClusterError> {
        self.broadcast().fetch_sockets().await
    }

    /// See [`Broadcast::sockets_join`].
    ///
    /// # Errors
    /// See [`ClusterError`].
    ///
    /// # Cancel safety
    /// On this server the first poll does it, as all below.
    pub async fn sockets_join(&self, rooms: impl IntoRooms) -> Result<(), ClusterError> {
        self.broadcast().sockets_join(rooms).await
    }

    /// See [`Broadcast::sockets_leave`].
    ///
    /// # Errors
    /// See [`ClusterError`].
    pub async fn sockets_leave(&self, rooms: impl IntoRooms) -> Result<(), ClusterError> {
        self.broadcast().sockets_leave(rooms).await
    }

    /// See [`Broadcast::disconnect_sockets`].
    ///
    /// # Errors
    /// See [`ClusterError`].
    pub async fn disconnect_sockets(&self) -> Result<(), ClusterError> {
        self.broadcast().disconnect_sockets().await
    }

    /// See [`Broadcast::close_sockets`].
    ///
    /// # Errors
    /// See [`ClusterError`].
    pub async fn close_sockets(&self) -> Result<(), ClusterError> {
        self.broadcast().close_sockets().await
    }
}

fn names(rooms: impl IntoRooms) -> Vec<Arc<str>> {
    let mut names = Vec::new();
    rooms.each_room(&mut |room| names.push(room.into()));
    names
}
