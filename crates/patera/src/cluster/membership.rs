//! One namespace of this server among those of others: its node, and who waits for what others answer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use patera_cluster::{Asker, Description, Encoded, Event, Message, Node, Outcome, Refused, RequestId, Target};
use rand::Rng as _;
use tokio::sync::oneshot;

use super::{Cluster, Job, now};
use crate::answers::Gathering;
use crate::remote::ClusterError;
use crate::sync::Mutex;

/// Safe from any thread. Its lock is held for no longer than the node needs, and what others hear is in the order in which it
/// was taken.
pub(crate) struct Membership {
    cluster: Arc<Cluster>,
    state: Mutex<State>,
}

struct State {
    node: Node,
    /// As many as the node has requests.
    waiting: HashMap<RequestId, Waiting>,
}

/// Who waits for answers.
enum Waiting {
    Sockets { found: Vec<Description>, tell: oneshot::Sender<Fetched> },
    Answers(Arc<Gathering>),
}

/// The sockets of all other servers.
pub(super) type Fetched = Result<Vec<Description>, ClusterError>;

/// What is to be told to who waits, without the lock.
enum Told {
    Sockets(oneshot::Sender<Fetched>, Fetched),
    Answer(Arc<Gathering>, Encoded),
    Done(Arc<Gathering>, Option<ClusterError>),
}

/// What is to be told to who waits, now that the namespace is left.
#[must_use = "who waits is to be told"]
pub(crate) struct Parting(Vec<Told>);

impl Parting {
    pub(crate) fn tell(self) {
        self.0.into_iter().for_each(Told::tell);
    }
}

impl Membership {
    /// Enters the namespace, and says hello.
    pub(crate) fn new(cluster: &Arc<Cluster>, namespace: &Arc<str>) -> Self {
        let (uid, seed) = (cluster.uid.clone(), rand::rng().next_u64());
        let node = Node::new(uid, namespace.clone(), cluster.config.clone(), seed, now());
        cluster.push(Job::Enter(namespace.clone()));
        let membership =
            Membership { cluster: cluster.clone(), state: Mutex::new(State { node, waiting: HashMap::new() }) };
        membership.with(|_, _| ());
        membership
    }

    pub(crate) fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    pub(crate) fn server_count(&self) -> usize {
        self.state.lock().node.server_count()
    }

    /// Leaves the namespace: others are told, and who waits is to be.
    pub(crate) fn leave(&self, namespace: &Arc<str>) -> Parting {
        let ((), told, _) = self.change_quietly(|state, now| state.node.close(now));
        self.cluster.push(Job::Leave(namespace.clone()));
        Parting(told)
    }

    /// How many wait for answers.
    #[cfg(test)]
    pub(super) fn waiting_count(&self) -> usize {
        let state = self.state.lock();
        assert_eq!(state.waiting.len(), state.node.request_count());
        state.waiting.len()
    }

    pub(super) fn announce(&self) {
        self.with(|state, now| state.node.announce(now));
    }

    pub(crate) fn broadcast(&self, event: Encoded, target: Target) {
        self.with(|state, now| state.node.broadcast(event, target, now));
    }

    pub(super) fn server_side_emit(&self, event: Encoded) {
        self.with(|state, now| state.node.server_side_emit(event, now));
    }

    pub(crate) fn sockets_join(&self, target: Target, rooms: Vec<Arc<str>>) {
        self.with(|state, now| state.node.sockets_join(target, rooms, now));
    }

    pub(crate) fn sockets_leave(&self, target: Target, rooms: Vec<Arc<str>>) {
        self.with(|state, now| state.node.sockets_leave(target, rooms, now));
    }

    pub(crate) fn disconnect_sockets(&self, target: Target, close: bool) {
        self.with(|state, now| state.node.disconnect_sockets(target, close, now));
    }

    /// What comes is [added](Gathering::add) to the gathering, which expects it.
    pub(crate) fn broadcast_with_ack(
        &self,
        event: Encoded,
        target: Target,
        timeout: Duration,
        gathering: &Arc<Gathering>,
    ) -> Result<RequestId, ClusterError> {
        let ask = |node: &mut Node, now| node.broadcast_with_ack(event, target, timeout, now);
        self.ask(ask, Waiting::Answers(gathering.clone()))
    }

    pub(super) fn server_side_emit_with_ack(
        &self,
        event: Encoded,
        gathering: &Arc<Gathering>,
    ) -> Result<RequestId, ClusterError> {
        let timeout = self.cluster.config.requests_timeout;
        let ask = |node: &mut Node, now| node.server_side_emit_with_ack(event, timeout, now);
        self.ask(ask, Waiting::Answers(gathering.clone()))
    }

    /// The request, and where its outcome comes.
    pub(super) fn fetch_sockets(
        &self,
        target: Target,
        timeout: Option<Duration>,
    ) -> Result<(RequestId, oneshot::Receiver<Fetched>), ClusterError> {
        let timeout = timeout.unwrap_or(self.cluster.config.requests_timeout);
        let (tell, told) = oneshot::channel();
        let ask = |node: &mut Node, now| node.fetch_sockets(target, timeout, now);
        let request = self.ask(ask, Waiting::Sockets { found: Vec::new(), tell })?;
        Ok((request, told))
    }

    /// Nobody waits for it any more. Tells how many servers have not said all; `None` if it is over.
    pub(crate) fn cancel(&self, request: &RequestId) -> Option<usize> {
        let (missing, waiting) = self.with(|state, _| (state.node.cancel(request), state.waiting.remove(request)));
        drop(waiting);
        missing
    }

    pub(crate) fn answer_client_count(&self, asker: &Asker, count: u64) {
        self.with(|state, _| state.node.answer_client_count(asker, count));
    }

    pub(crate) fn answer_ack(&self, asker: &Asker, answer: Encoded) {
        self.with(|state, _| state.node.answer_ack(asker, answer));
    }

    pub(super) fn answer_sockets(&self, asker: &Asker, sockets: Vec<Description>) {
        self.with(|state, _| state.node.answer_sockets(asker, sockets));
    }

    pub(super) fn answer_server_side(&self, asker: &Asker, answer: Encoded) {
        self.with(|state, _| state.node.answer_server_side(asker, answer));
    }

    /// What others ask of this server, in order.
    pub(super) fn handle_message(&self, message: Message) -> Vec<Event> {
        self.change(|state, now| state.node.handle_message(message, now)).1
    }

    pub(super) fn handle_timeout(&self) -> Vec<Event> {
        self.change(|state, now| state.node.handle_timeout(now)).1
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.state.lock().node.poll_timeout()
    }

    fn ask(
        &self,
        ask: impl FnOnce(&mut Node, Instant) -> Result<RequestId, Refused>,
        waiting: Waiting,
    ) -> Result<RequestId, ClusterError> {
        let request = self.with(|state, now| {
            let request = ask(&mut state.node, now)?;
            state.waiting.insert(request.clone(), waiting);
            Ok(request)
        });
        self.cluster.has_asked.notify_one();
        request.map_err(|refused| match refused {
            Refused::Closed => ClusterError::Closed,
            _ => ClusterError::TooMany,
        })
    }

    fn with<T>(&self, change: impl FnOnce(&mut State, Instant) -> T) -> T {
        let (result, others) = self.change(change);
        debug_assert!(others.is_empty(), "only messages and time bring what is of others");
        result
    }

    fn change<T>(&self, change: impl FnOnce(&mut State, Instant) -> T) -> (T, Vec<Event>) {
        let (result, told, others) = self.change_quietly(change);
        told.into_iter().for_each(Told::tell);
        (result, others)
    }

    fn change_quietly<T>(&self, change: impl FnOnce(&mut State, Instant) -> T) -> (T, Vec<Told>, Vec<Event>) {
        let mut state = self.state.lock();
        let result = change(&mut state, now());
        while let Some(transmit) = state.node.poll_transmit() {
            self.cluster.push(Job::Publish(Box::new(transmit)));
        }
        let (mut told, mut others) = (Vec::new(), Vec::new());
        while let Some(event) = state.node.poll_event() {
            state.sort(event, &mut told, &mut others);
        }
        (result, told, others)
    }
}

impl State {
    fn sort(&mut self, event: Event, told: &mut Vec<Told>, others: &mut Vec<Event>) {
        match event {
            Event::Sockets { request, sockets } => {
                if let Some(Waiting::Sockets { found, .. }) = self.waiting.get_mut(&request) {
                    found.extend(sockets);
                }
            }
            Event::Answer { request, answer } => {
                if let Some(Waiting::Answers(gathering)) = self.waiting.get(&request) {
                    told.push(Told::Answer(gathering.clone(), answer));
                }
            }
            Event::Finished { request, outcome } => {
                let failure = match outcome {
                    Outcome::Complete => None,
                    Outcome::TimedOut { missing } => Some(ClusterError::Timeout { missing }),
                    Outcome::Closed => Some(ClusterError::Closed),
                };
                told.extend(self.waiting.remove(&request).map(|waiting| match waiting {
                    Waiting::Sockets { found, tell } => Told::Sockets(tell, failure.map_or(Ok(found), Err)),
                    Waiting::Answers(gathering) => Told::Done(gathering, failure),
                }));
            }
            event => others.push(event),
        }
    }
}

impl Told {
    fn tell(self) {
        match self {
            // Whoever asked may have left, which is fine.
            Told::Sockets(tell, fetched) => drop(tell.send(fetched)),
            Told::Answer(gathering, answer) => gathering.add(answer.to_args()),
            Told::Done(gathering, failure) => gathering.others_done(failure),
        }
    }
}
