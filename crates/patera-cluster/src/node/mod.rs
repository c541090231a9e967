//! One namespace of one server, among those of other servers: a pure state machine. PROTOCOL 7.3.

mod peers;
mod requests;

use std::collections::VecDeque;
use std::error;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::{ClusterConfig, TIMEOUT_MAX};
use crate::encoded::Encoded;
use crate::ids::{RequestId, RequestIds, Uid};
use crate::message::{Body, Description, Message};
use crate::target::Target;
use peers::Peers;
use requests::{Kind, Requests, Taken};

/// One namespace of one server. What happens to it is `handle_*`, what it wants done is `poll_*`: after each call drain
/// [`poll_transmit`](Self::poll_transmit) and [`poll_event`](Self::poll_event).
///
/// ```text
///           broadcast, fetch_sockets, …          ┌──────┐  poll_transmit ─▶ bus
/// application ─────────────────────────────────▶ │ Node │
///           ◀── poll_event ──────────────────────│      │ ◀─ handle_message ── bus
///                                                └──────┘ ◀─ handle_timeout ── timer, at poll_timeout
/// ```
///
/// **Order.** Messages are transmitted in the order of the calls, and told in the order in which they are handled: on a bus that
/// keeps the order of each sender, what one node broadcasts, with or without acknowledgement, to many or to one socket, arrives in
/// that order.
///
/// **Requests end.** Each request ends with exactly one [`Event::Finished`]: when all nodes that were known at its beginning have
/// answered or are gone, or at its timeout, or with [`close`](Self::close); or silently with [`cancel`](Self::cancel).
#[derive(Debug)]
pub struct Node {
    uid: Uid,
    namespace: Arc<str>,
    config: Arc<ClusterConfig>,
    ids: RequestIds,
    peers: Peers,
    requests: Requests,
    /// When it last said something to all.
    spoken: Instant,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
    closed: bool,
}

/// A message to be put on the bus.
#[derive(Clone, Debug, PartialEq)]
pub struct Transmit {
    /// The message.
    pub message: Message,
    /// The one node it is for; `None` is all others.
    pub to: Option<Uid>,
}

/// Whom to answer, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker {
    uid: Uid,
    request: RequestId,
}

/// What the shell around a node is to do, or has been waiting for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Another node is there.
    PeerJoined {
        /// Which.
        uid: Uid,
    },
    /// A node has left, or has been silent for too long.
    PeerLeft {
        /// Which.
        uid: Uid,
    },
    /// Emit an event to sockets of this server. With an asker: tell it [how many](Node::answer_client_count) get it, and
    /// [what each acknowledges](Node::answer_ack).
    Broadcast {
        /// Its name and arguments.
        event: Encoded,
        /// To which sockets.
        target: Target,
        /// Whom to answer.
        asker: Option<Asker>,
    },
    /// Let sockets of this server join rooms.
    SocketsJoin {
        /// Which sockets.
        target: Target,
        /// Which rooms.
        rooms: Vec<Arc<str>>,
    },
    /// Let sockets of this server leave rooms.
    SocketsLeave {
        /// Which sockets.
        target: Target,
        /// Which rooms.
        rooms: Vec<Arc<str>>,
    },
    /// Disconnect sockets of this server.
    DisconnectSockets {
        /// Which sockets.
        target: Target,
        /// Whether their connections are closed too.
        close: bool,
    },
    /// [Describe](Node::answer_sockets) sockets of this server.
    FetchSockets {
        /// Which sockets.
        target: Target,
        /// Whom to answer.
        asker: Asker,
    },
    /// Tell the application of an event from another server. With an asker: [pass on](Node::answer_server_side) what it says.
    ServerSideEmit {
        /// Its name and arguments.
        event: Encoded,
        /// Whom to answer.
        asker: Option<Asker>,
    },
    /// An answer to [`fetch_sockets`](Node::fetch_sockets) has come: one node's sockets.
    Sockets {
        /// The request.
        request: RequestId,
        /// What that node has.
        sockets: Vec<Description>,
    },
    /// An answer has come to a server-side event (one of each node) or to a broadcast (one of each client).
    Answer {
        /// The request.
        request: RequestId,
        /// An array of at most one element.
        answer: Encoded,
    },
    /// A request is over; nothing more comes of it.
    Finished {
        /// The request.
        request: RequestId,
        /// How.
        outcome: Outcome,
    },
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All nodes have said all, but for those that are gone.
    Complete,
    /// The time is over.
    TimedOut {
        /// How many nodes have not said all.
        missing: usize,
    },
    /// This node is closed.
    Closed,
}

/// Why a request was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// [`ClusterConfig::requests_max`] are open.
    TooMany,
    /// The node is closed.
    Closed,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refused::TooMany => "too many requests to other servers are open",
            Refused::Closed => "the server has left its cluster",
        })
    }
}

impl error::Error for Refused {}

impl Node {
    /// A node that says hello. `seed` is for the names of its requests: draw another one for each node.
    pub fn new(uid: Uid, namespace: Arc<str>, config: Arc<ClusterConfig>, seed: u64, now: Instant) -> Self {
        let mut node = Node {
            peers: Peers::new(config.heartbeat_timeout, config.peers_max),
            requests: Requests::new(config.requests_max, config.answers_max),
            uid,
            namespace,
            config,
            ids: RequestIds::new(seed),
            spoken: now,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            closed: false,
        };
        node.say(Body::InitialHeartbeat, now);
        node
    }

    /// Its name.
    pub fn uid(&self) -> &Uid {
        &self.uid
    }

    /// How many nodes there are, this one included.
    pub fn server_count(&self) -> usize {
        self.peers.len().saturating_add(1)
    }

    /// The other nodes.
    pub fn peers(&self) -> impl Iterator<Item = &Uid> {
        self.peers.iter()
    }

    /// How many requests await answers.
    pub fn request_count(&self) -> usize {
        self.requests.len()
    }

    /// Says hello again: after the bus was lost, others may have forgotten this node.
    pub fn announce(&mut self, now: Instant) {
        self.say(Body::InitialHeartbeat, now);
    }

    /// Emits an event to sockets of other nodes.
    pub fn broadcast(&mut self, event: Encoded, target: Target, now: Instant) {
        self.say(Body::Broadcast { event, target, request: None }, now);
    }

    /// Emits an event to sockets of other nodes, whose clients are to acknowledge it: an [`Event::Answer`] for each.
    ///
    /// # Errors
    /// See [`Refused`]; nothing is emitted then.
    pub fn broadcast_with_ack(
        &mut self,
        event: Encoded,
        mut target: Target,
        timeout: Duration,
        now: Instant,
    ) -> Result<RequestId, Refused> {
        target.flags.timeout = Some(timeout);
        let request = |request| Body::Broadcast { event, target, request: Some(request) };
        self.ask(Kind::Acks, timeout, now, request)
    }

    /// Lets sockets of other nodes join rooms.
    pub fn sockets_join(&mut self, target: Target, rooms: Vec<Arc<str>>, now: Instant) {
        self.say(Body::SocketsJoin { target, rooms }, now);
    }

    /// Lets sockets of other nodes leave rooms.
    pub fn sockets_leave(&mut self, target: Target, rooms: Vec<Arc<str>>, now: Instant) {
        self.say(Body::SocketsLeave { target, rooms }, now);
    }

    /// Disconnects sockets of other nodes.
    pub fn disconnect_sockets(&mut self, target: Target, close: bool, now: Instant) {
        self.say(Body::DisconnectSockets { target, close }, now);
    }

    /// Asks other nodes for their sockets: an [`Event::Sockets`] of each.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn fetch_sockets(&mut self, target: Target, timeout: Duration, now: Instant) -> Result<RequestId, Refused> {
        self.ask(Kind::Sockets, timeout, now, |request| Body::FetchSockets { target, request })
    }

    /// Emits an event to the applications of other nodes.
    pub fn server_side_emit(&mut self, event: Encoded, now: Instant) {
        self.say(Body::ServerSideEmit { event, request: None }, now);
    }

    /// Emits an event to the applications of other nodes, which are to answer: an [`Event::Answer`] of each.
    ///
    /// # Errors
    /// See [`Refused`]; nothing is emitted then.
    pub fn server_side_emit_with_ack(
        &mut self,
        event: Encoded,
        timeout: Duration,
        now: Instant,
    ) -> Result<RequestId, Refused> {
        let request = |request| Body::ServerSideEmit { event, request: Some(request) };
        self.ask(Kind::ServerSide, timeout, now, request)
    }

    /// Forgets a request: nothing more comes of it. Tells how many nodes have not said all; `None` if it is over already.
    pub fn cancel(&mut self, request: &RequestId) -> Option<usize> {
        self.requests.remove(request)
    }

    /// Answers [`Event::Broadcast`]: so many clients of this node get the event. Before any acknowledgement, and for none too.
    pub fn answer_client_count(&mut self, asker: &Asker, count: u64) {
        self.answer(asker, |request| Body::BroadcastClientCount { request, count });
    }

    /// Answers [`Event::Broadcast`]: what one client acknowledges.
    pub fn answer_ack(&mut self, asker: &Asker, answer: Encoded) {
        self.answer(asker, |request| Body::BroadcastAck { request, answer });
    }

    /// Answers [`Event::FetchSockets`].
    pub fn answer_sockets(&mut self, asker: &Asker, sockets: Vec<Description>) {
        self.answer(asker, |request| Body::FetchSocketsResponse { request, sockets });
    }

    /// Answers [`Event::ServerSideEmit`].
    pub fn answer_server_side(&mut self, asker: &Asker, answer: Encoded) {
        self.answer(asker, |request| Body::ServerSideEmitResponse { request, answer });
    }

    /// Takes a message from the bus. One of its own, or of another namespace, is none.
    pub fn handle_message(&mut self, message: Message, now: Instant) {
        let Message { uid, namespace, body } = message;
        if self.closed || uid == self.uid || namespace != self.namespace {
            return;
        }
        if body == Body::AdapterClose {
            return self.part(&uid);
        }
        if self.peers.heard(&uid, now) {
            self.events.push_back(Event::PeerJoined { uid: uid.clone() });
        }
        let asker = |request| Asker { uid: uid.clone(), request };
        let event = match body {
            Body::InitialHeartbeat => return self.say(Body::Heartbeat, now),
            Body::Heartbeat | Body::AdapterClose => return,
            Body::Broadcast { event, target, request } => Event::Broadcast { event, target, asker: request.map(asker) },
            Body::SocketsJoin { target, rooms } => Event::SocketsJoin { target, rooms },
            Body::SocketsLeave { target, rooms } => Event::SocketsLeave { target, rooms },
            Body::DisconnectSockets { target, close } => Event::DisconnectSockets { target, close },
            Body::FetchSockets { target, request } => Event::FetchSockets { target, asker: asker(request) },
            Body::ServerSideEmit { event, request } => Event::ServerSideEmit { event, asker: request.map(asker) },
            Body::FetchSocketsResponse { request, sockets } => {
                let taken = self.requests.answer(&request, Kind::Sockets, &uid);
                return self.take(taken, Some(Event::Sockets { request: request.clone(), sockets }), request);
            }
            Body::ServerSideEmitResponse { request, answer } => {
                let taken = self.requests.answer(&request, Kind::ServerSide, &uid);
                return self.take(taken, Some(Event::Answer { request: request.clone(), answer }), request);
            }
            Body::BroadcastClientCount { request, count } => {
                let taken = self.requests.client_count(&request, &uid, count);
                return self.take(taken, None, request);
            }
            Body::BroadcastAck { request, answer } => {
                let taken = self.requests.ack(&request, &uid);
                return self.take(taken, Some(Event::Answer { request: request.clone(), answer }), request);
            }
        };
        self.events.push_back(event);
    }

    /// Time has passed: see [`poll_timeout`](Self::poll_timeout).
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.closed {
            return;
        }
        for uid in self.peers.expire(now) {
            self.lose(uid);
        }
        for (request, outcome) in self.requests.expire(now) {
            self.events.push_back(Event::Finished { request, outcome });
        }
        if now.saturating_duration_since(self.spoken) >= self.config.heartbeat_interval {
            self.say(Body::Heartbeat, now);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do; `None` once it is closed.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.closed {
            return None;
        }
        let heartbeat = self.spoken.checked_add(self.config.heartbeat_interval);
        [self.peers.next_expiry(), self.requests.next_expiry(), heartbeat].into_iter().flatten().min()
    }

    /// The next message to put on the bus.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next thing to do or to tell.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Leaves: others are told, requests end, and from now on it says and hears nothing.
    pub fn close(&mut self, now: Instant) {
        self.say(Body::AdapterClose, now);
        for request in self.requests.close() {
            self.events.push_back(Event::Finished { request, outcome: Outcome::Closed });
        }
        self.closed = true;
    }

    fn say(&mut self, body: Body, now: Instant) {
        if !self.closed {
            self.spoken = now;
            self.transmit(body, None);
        }
    }

    fn transmit(&mut self, body: Body, to: Option<Uid>) {
        let message = Message { uid: self.uid.clone(), namespace: self.namespace.clone(), body };
        self.transmits.push_back(Transmit { message, to });
    }

    /// Others do not hear an answer, so it is no sign of life.
    fn answer(&mut self, asker: &Asker, body: impl FnOnce(RequestId) -> Body) {
        if !self.closed {
            self.transmit(body(asker.request.clone()), Some(asker.uid.clone()));
        }
    }

    fn ask(
        &mut self,
        kind: Kind,
        timeout: Duration,
        now: Instant,
        body: impl FnOnce(RequestId) -> Body,
    ) -> Result<RequestId, Refused> {
        if self.closed {
            return Err(Refused::Closed);
        }
        let deadline = now.checked_add(timeout.min(TIMEOUT_MAX)).unwrap_or(now);
        let request = self.ids.next();
        self.requests.open(request.clone(), kind, self.peers.iter(), deadline)?;
        // Somebody may be there who is not known yet.
        self.say(body(request.clone()), now);
        if self.requests.is_complete(&request) {
            self.finish(request.clone());
        }
        Ok(request)
    }

    fn take(&mut self, taken: Taken, event: Option<Event>, request: RequestId) {
        if taken == Taken::No {
            return;
        }
        self.events.extend(event);
        if taken == Taken::Last {
            self.finish(request);
        }
    }

    fn finish(&mut self, request: RequestId) {
        self.requests.remove(&request);
        self.events.push_back(Event::Finished { request, outcome: Outcome::Complete });
    }

    fn part(&mut self, uid: &Uid) {
        if self.peers.remove(uid) {
            self.lose(uid.clone());
        }
    }

    fn lose(&mut self, uid: Uid) {
        for request in self.requests.forget(&uid) {
            self.events.push_back(Event::Finished { request, outcome: Outcome::Complete });
        }
        self.events.push_back(Event::PeerLeft { uid });
    }
}
