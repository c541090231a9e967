//! Emitting to many: whom, how, and the one packet they share.

use std::sync::Arc;
use std::time::Duration;

use patera_protocol::handler::FromAnswer;
use patera_protocol::socketio::encode;
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
    timeout: Duration,
}

impl Broadcast {
    pub(crate) fn new(namespace: Arc<NamespaceInner>) -> Self {
        let timeout = namespace.ack_timeout();
        Broadcast { namespace, target: Target::default(), flags: Flags::default(), timeout }
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

    /// Waits so long for acknowledgements. Default [`Config::ack_timeout`](crate::Config::ack_timeout).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Only to sockets of this server; no effect as long as there are no clusters.
    pub fn local(mut self) -> Self {
        self.flags.local = true;
        self
    }

    /// Emits an event: `["news", …]` to every socket of the target, encoded once.
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
        let asked = match self.namespace.children() {
            None => self.ask_in(&self.namespace, event, &args, &gathering),
            Some(children) => children.iter().try_for_each(|child| self.ask_in(child, event, &args, &gathering)),
        };
        if let Err(error) = asked {
            gathering.fail(error);
        }
        Answers::new(gathering, self.timeout)
    }

    fn ask_in(
        &self,
        namespace: &NamespaceInner,
        event: &str,
        args: &impl Serialize,
        gathering: &Arc<Gathering>,
    ) -> Result<(), EmitError> {
        let id = namespace.next_ack_id();
        let encode = |out: &mut Vec<u8>| encode::event(out, &namespace.name, Some(id), event, args);
        let prepared = Prepared::packet(self.flags, encode)?;
        let watched = namespace.is_outgoing_watched();
        let mut to_tell = Vec::new();
        namespace.rooms.for_each(&self.target, |socket| {
            let answer = Awaiting::Many(gathering.ask(socket, id));
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
        Ok(())
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
        let name = &namespace.name;
        let encode = |out: &mut Vec<u8>| encode::event(out, name, None, event, args);
        if let Some(recovery) = namespace.recovery() {
            let both = Event::encode(recovery, self.flags, encode)?;
            let reached = self.push(namespace, |socket| socket.push_event(&both).map(|()| false));
            return Ok(tell(namespace, reached, event, &both.bare().prepared));
        }
        let prepared = Prepared::packet(self.flags, encode)?;
        let reached =
            self.push(namespace, |socket| socket.push_for_flush(Item { prepared: prepared.clone(), ack: None }));
        Ok(tell(namespace, reached, event, &prepared))
    }

    /// Calls `push` for each socket of the target: true means that it is to be flushed.
    fn push(&self, namespace: &NamespaceInner, push: impl Fn(&SocketInner) -> Result<bool, EmitError>) -> Reached {
        let watched = namespace.is_outgoing_watched();
        let (mut reached, mut sleepers) = (Reached::default(), Sleepers::default());
        namespace.rooms.for_each(&self.target, |socket| match push(socket) {
            Ok(asleep) => {
                reached.count += 1;
                if asleep {
                    sleepers.add(&socket.session);
                }
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
