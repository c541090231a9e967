//! A start in time, and nodes that talk to each other without a bus.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::{ClusterConfig, Encoded, Event, Message, Node, Outcome, RequestId, Transmit, Uid};

/// The beginning of time. Only differences count.
#[expect(clippy::disallowed_methods, reason = "a test begins somewhere")]
pub(super) fn start() -> Instant {
    Instant::now()
}

/// Nodes on a perfect bus: what one says arrives at once.
pub(super) struct World {
    pub(super) now: Instant,
    pub(super) nodes: Vec<Node>,
}

impl World {
    pub(super) fn new(count: u64, config: ClusterConfig) -> Self {
        let (now, config) = (start(), Arc::new(config));
        let node = |number| Node::new(Uid::from_bits(number), "/".into(), config.clone(), number, now);
        let mut world = World { now, nodes: (0..count).map(node).collect() };
        world.settle();
        world.events();
        world
    }

    /// Passes on what is to be transmitted until nobody has anything to say.
    pub(super) fn settle(&mut self) {
        while let Some(Transmit { message, to }) = self.nodes.iter_mut().find_map(Node::poll_transmit) {
            for node in self.nodes.iter_mut().filter(|node| to.as_ref().is_none_or(|to| to == node.uid())) {
                node.handle_message(message.clone(), self.now);
            }
        }
    }

    /// What each was told.
    pub(super) fn events(&mut self) -> Vec<Vec<Event>> {
        self.nodes.iter_mut().map(|node| std::iter::from_fn(|| node.poll_event()).collect()).collect()
    }

    /// Lets time pass for all but some, which are as good as dead.
    pub(super) fn pass(&mut self, by: Duration, dead: &[usize]) {
        let end = self.now + by;
        loop {
            let alive = || (0..self.nodes.len()).filter(|number| !dead.contains(number));
            let next = alive().filter_map(|number| self.nodes[number].poll_timeout()).min();
            self.now = next.filter(|next| *next <= end).unwrap_or(end);
            for number in alive().collect::<Vec<_>>() {
                self.nodes[number].handle_timeout(self.now);
            }
            self.settle();
            if self.now == end {
                return;
            }
        }
    }
}

pub(super) fn event(name: &str) -> Encoded {
    Encoded::of(&name).unwrap()
}

pub(super) fn finished(request: &RequestId, outcome: Outcome) -> Event {
    Event::Finished { request: request.clone(), outcome }
}

pub(super) fn message(from: u64, body: crate::Body) -> Message {
    Message { uid: Uid::from_bits(from), namespace: "/".into(), body }
}
