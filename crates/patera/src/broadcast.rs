//! Emitting to many: whom, how, and the one packet they share.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use patera_protocol::handler::FromAnswer;
use patera_protocol::socketio::{EncodeError, encode};
use serde::Serialize;

use crate::acks::Awaiting;
use crate::answers::{Answers, Gathering};
use crate::error::EmitError;
use crate::flush::Sleepers;
use crate::namespace::NamespaceInner;
use crate::outbox::{Item, PendingAck};
use crate::outgoing;
use crate::prepared::{Flags, Prepared};
use crate::recovery::Event;
use crate::rooms::{IntoRooms, Target};
use crate::socket::SocketInner;

/// Whom to emit to and how, put together step by step: `io.to("lobby").except(socket.id()).volatile().emit("news", 1)`.
///
/// Each step returns a new value, so that one can be kept and used again. Nothing happens before `emit`.
#[derive(Clone)]
#[must_use = "nothing is sent before `emit`"]
pub struct Broadcast {
    namespace: Arc<NamespaceInner>,
    target: Target,
    flags: Flags,
    timeout: Option<Duration>,
}

impl Broadcast {
    pub(crate) fn new(namespace: Arc<NamespaceInner>) -> Self {
        Broadcast { namespace, target: Target::default(), flags: Flags::default(), timeout: None }
    }

    /// Whom another server means here.
    pub(crate) fn of_target(namespace: Arc<NamespaceInner>, target: patera_cluster::Target) -> Self {
        let patera_cluster::Target { rooms, except, flags } = target;
        let compress = flags.compress.unwrap_or(true);
        let flags = Flags { volatile: flags.volatile, compress, local: true, ..Flags::default() };
        Broadcast { flags, target: Target { rooms, except }, ..Self::new(namespace) }
    }

    /// The same, for other servers.
    pub(crate) fn to_target(&self) -> patera_cluster::Target {
        let mut flags = patera_cluster::Flags::default();
        flags.volatile = self.flags.volatile;
        flags.compress = (!self.flags.compress).then_some(false);
        patera_cluster::Target { rooms: self.target.rooms.clone(), except: self.target.except.clone(), flags }
    }

    /// The namespaces in which other servers are to do the same; none without a cluster, or with `local`.
    pub(crate) fn shared_namespaces(&self) -> Vec<Arc<NamespaceInner>> {
        if self.flags.local {
            return Vec::new();
        }
        let mut namespaces = self.namespace.children().unwrap_or_else(|| vec![self.namespace.clone()]);
        namespaces.retain(|namespace| namespace.membership().is_some());
        namespaces
    }

    /// What was said, if it was.
    pub(crate) fn own_timeout(&self) -> Option<Duration> {
        self.timeout
    }

    pub(crate) fn with_flags(mut self, flags: Flags) -> Self {
        self.flags = flags;
        self
    }

    /// Adds rooms: the packet goes to the union of all, each socket once. A socket's id is a room with just it.
    pub fn to(mut self, rooms: impl IntoRooms) -> Self {
        rooms.each_room(&mut |room| self.target.rooms.push(room.into()));
        self
    }

    /// Takes the members of rooms out. A socket's id is a room with just it.
    pub fn except(mut self, rooms: impl IntoRooms) -> Self {
        rooms.each_room(&mut |room| self.target.except.push(room.into()));
        self
    }

    /// Drops the packet where the transport is not ready, instead of keeping it.
    pub fn volatile(mut self) -> Self {
        self.flags.volatile = true;
        self
    }

    /// Whether the packet may be compressed. Default true. See
    /// [`Config::per_message_deflate`](crate::Config::per_message_deflate) and
    /// [`Config::http_compression`](crate::Config::http_compression).
    pub fn compress(mut self, compress: bool) -> Self {
        self.flags.compress = compress;
        self
    }

    /// Waits so long: for acknowledgements, by default [`Config::ack_timeout`](crate::Config::ack_timeout); for other servers' sockets,
    /// by default [`ClusterConfig::requests_timeout`](crate::ClusterConfig::requests_timeout).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Only to sockets of this server, where several form a cluster: [`Config::bus`](crate::Config::bus).
    pub fn local(mut self) -> Self {
        self.flags.local = true;
        self
    }

    /// Emits an event: `["news", …]` to every socket of the target, encoded once.
    ///
    /// In a cluster the sockets of other servers are among them: what is emitted here reaches each of them in this order, or not at all if
    /// the bus loses it.
    ///
    /// `args`: a tuple is several arguments, `()` none, anything else one; an array `[T; N]` is a tuple to serde, and bytes are
    /// `bytes::Bytes` (a `Vec<u8>` is an array of numbers).
    /// It never fails: what cannot be encoded or delivered is dropped, traced and counted. See [`try_emit`](Self::try_emit).
    pub fn emit(&self, event: &str, args: impl Serialize) {
        if let Err(error) = self.try_emit(event, args) {
            self.namespace.dropped(event, &error);
        }
    }

    /// As [`emit`](Self::emit), and says how many sockets of this server it was put on the way to.
    ///
    /// # Errors
    /// [`EmitError::Encode`]: the event's name is reserved, or the arguments cannot be written as JSON. Nobody gets anything.
    pub fn try_emit(&self, event: &str, args: impl Serialize) -> Result<usize, EmitError> {
        match self.namespace.children() {
            None => self.emit_in(&self.namespace, event, &args),
            Some(children) => children.iter().map(|child| self.emit_in(child, event, &args)).sum(),
        }
    }

    /// Emits an event to every socket of the target and waits for their acknowledgements, at most as long as
    /// [`timeout`](Self::timeout) says: all of them when awaited, each when it comes as a stream. See [`Answers`].
    ///
    /// An answer `T`: a tuple takes all its arguments, `()` none, [`Rest`](crate::Rest) however many there are, anything else the first.
    /// The event is encoded once, and emitted by this call. If it cannot be encoded, the only answer says so.
    pub fn emit_with_ack<T: FromAnswer>(&self, event: &str, args: impl Serialize) -> Answers<T> {
        let gathering = Arc::new(Gathering::default());
        let timeout = self.timeout.unwrap_or_else(|| self.namespace.ack_timeout());
        let ask_in = |namespace: &Arc<NamespaceInner>| {
            let encode = |out: &mut Vec<u8>, id| encode::event(out, &namespace.name, Some(id), event, &args);
            let prepared = self.ask(namespace, event, encode, &gathering)?;
            if let Some(membership) = namespace.membership().filter(|_| !self.flags.local) {
                gathering.ask_others(namespace, || {
                    membership.broadcast_with_ack(prepared.to_encoded(), self.to_target(), timeout, &gathering)
                });
            }
            Ok(())
        };
        let asked = match self.namespace.children() {
            None => ask_in(&self.namespace),
            Some(children) => children.iter().try_for_each(ask_in),
        };
        if let Err(error) = asked {
            gathering.fail(error);
        }
        Answers::new(gathering, timeout)
    }

    /// Asks the sockets of this server; `encode` is told the id.
    pub(crate) fn ask(
        &self,
        namespace: &NamespaceInner,
        event: &str,
        encode: impl FnOnce(&mut Vec<u8>, u64) -> Result<Vec<Bytes>, EncodeError>,
        gathering: &Arc<Gathering>,
    ) -> Result<Arc<Prepared>, EmitError> {
        let id = namespace.next_ack_id();
        let prepared = Prepared::packet(namespace.parser(), self.flags, |out| encode(out, id))?;
        let watched = namespace.is_outgoing_watched();
        let mut to_tell = Vec::new();
        namespace.rooms.for_each(&self.target, |socket| {
            let answer = Awaiting::many(&socket.session.core.counters, gathering.ask(socket, id));
            let ack = PendingAck { slot: socket.slot, number: socket.number, id, answer };
            match socket.push(Item { prepared: prepared.clone(), ack: Some(Box::new(ack)) }) {
                Ok(()) if watched => to_tell.push(socket.clone()),
                Ok(()) => {}
                Err(error) => {
                    socket.session.core.count_drop(&error);
                    gathering.not_sent(error);
                }
            }
        });
        if watched {
            outgoing::tell(namespace, &to_tell, event, &prepared);
        }
        Ok(prepared)
    }

    /// A copy of the target's sockets, so that each can be told something without the lock.
    pub(crate) fn matching(&self) -> Vec<Arc<SocketInner>> {
        let mut matching = Vec::new();
        let mut add = |namespace: &NamespaceInner| {
            namespace.rooms.for_each(&self.target, |socket| matching.push(socket.clone()));
        };
        match self.namespace.children() {
            None => add(&self.namespace),
            Some(children) => children.iter().for_each(|child| add(child)),
        }
        matching
    }

    fn emit_in(&self, namespace: &NamespaceInner, event: &str, args: &impl Serialize) -> Result<usize, EmitError> {
        let encode = |out: &mut Vec<u8>| encode::event(out, &namespace.name, None, event, args);
        let (count, prepared) = self.deliver(namespace, event, encode)?;
        if let Some(membership) = namespace.membership().filter(|_| !self.flags.local) {
            membership.broadcast(prepared.to_encoded(), self.to_target());
        }
        Ok(count)
    }

    /// Emits to the sockets of this server: how many, and the packet without an offset.
    pub(crate) fn deliver(
        &self,
        namespace: &NamespaceInner,
        event: &str,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<Vec<Bytes>, EncodeError>,
    ) -> Result<(usize, Arc<Prepared>), EmitError> {
        if let Some(recovery) = namespace.recovery() {
            let both = Event::encode(recovery, self.flags, encode)?;
            let reached = self.push(namespace, |socket, sleepers| socket.push_event(&both, sleepers));
            let prepared = both.bare().prepared;
            return Ok((tell(namespace, reached, event, &prepared), prepared));
        }
        let prepared = Prepared::packet(namespace.parser(), self.flags, encode)?;
        let reached = self.push(namespace, |socket, sleepers| {
            socket.push_for_flush(Item { prepared: prepared.clone(), ack: None }, sleepers)
        });
        Ok((tell(namespace, reached, event, &prepared), prepared))
    }

    /// Calls `push` for each socket of the target, then flushes those that sleep.
    fn push(
        &self,
        namespace: &NamespaceInner,
        push: impl Fn(&SocketInner, &mut Sleepers) -> Result<(), EmitError>,
    ) -> Reached {
        let watched = namespace.is_outgoing_watched();
        let (mut reached, mut sleepers) = (Reached::default(), Sleepers::default());
        namespace.rooms.for_each(&self.target, |socket| match push(socket, &mut sleepers) {
            Ok(()) => {
                reached.count += 1;
                if watched {
                    reached.to_tell.push(socket.clone());
                }
            }
            Err(error) => socket.session.core.count_drop(&error),
        });
        sleepers.flush();
        reached
    }
}

/// Whom a packet was put on the way to.
#[derive(Default)]
struct Reached {
    count: usize,
    /// Those among them, if somebody watches what goes out.
    to_tell: Vec<Arc<SocketInner>>,
}

/// Tells who watches what goes out, without a lock.
fn tell(namespace: &NamespaceInner, reached: Reached, event: &str, prepared: &Prepared) -> usize {
    if !reached.to_tell.is_empty() {
        outgoing::tell(namespace, &reached.to_tell, event, prepared);
    }
    reached.count
}

impl std::fmt::Debug for Broadcast {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broadcast").field("namespace", &self.namespace.name).field("target", &self.target).finish()
    }
}
