//! What waits for the bus, in the order in which it was said. Anyone may push; only the task takes.

use std::collections::VecDeque;
use std::sync::Arc;

use patera_cluster::Transmit;
use tokio::sync::Notify;

use crate::config::{BUS_QUEUE_BYTES_MAX, BUS_QUEUE_MESSAGES_MAX};
use crate::sync::Mutex;

/// One thing to do with the bus.
pub(super) enum Job {
    Enter(Arc<str>),
    Leave(Arc<str>),
    Publish(Box<Transmit>),
}

/// What the task finds.
pub(super) enum Next {
    Job(Job),
    /// So much was lost that the bus does not know which namespaces there are: begin anew.
    Subscribe,
    /// Nothing more comes.
    End,
}

/// Bounded in messages and in bytes; what does not fit is lost.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    pushed: Notify,
    closed: Notify,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<(Job, usize)>,
    bytes: usize,
    lost_namespaces: bool,
    is_closed: bool,
}

impl Queue {
    /// False if it is lost.
    pub(super) fn push(&self, job: Job) -> bool {
        let size = match &job {
            Job::Enter(name) | Job::Leave(name) => name.len(),
            Job::Publish(transmit) => transmit.message.size(),
        };
        let mut state = self.state.lock();
        let is_full =
            state.jobs.len() >= BUS_QUEUE_MESSAGES_MAX || (state.bytes > 0 && state.bytes + size > BUS_QUEUE_BYTES_MAX);
        if state.is_closed || is_full {
            state.lost_namespaces |= !matches!(job, Job::Publish(_));
            return false;
        }
        state.bytes += size;
        state.jobs.push_back((job, size));
        drop(state);
        self.pushed.notify_one();
        true
    }

    /// Takes what waits longest, or waits. Dropped before that, it has taken nothing.
    pub(super) async fn next(&self) -> Next {
        loop {
            if let Some(next) = self.state.lock().next() {
                return next;
            }
            self.pushed.notified().await;
        }
    }

    /// Forgets what waits. The number of messages.
    pub(super) fn clear(&self) -> usize {
        let mut state = self.state.lock();
        state.bytes = 0;
        std::mem::take(&mut state.jobs).len()
    }

    /// What waits is still taken; nothing more gets in.
    pub(super) fn close(&self) {
        self.state.lock().is_closed = true;
        self.pushed.notify_one();
        self.closed.notify_one();
    }

    /// Waits for `close`.
    pub(super) async fn closed(&self) {
        self.closed.notified().await;
    }
}

impl State {
    fn next(&mut self) -> Option<Next> {
        if let Some((job, size)) = self.jobs.pop_front() {
            self.bytes -= size;
            return Some(Next::Job(job));
        }
        match (self.is_closed, std::mem::take(&mut self.lost_namespaces)) {
            (true, _) => Some(Next::End),
            (false, true) => Some(Next::Subscribe),
            (false, false) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use patera_cluster::{Body, Encoded, Message, Target};

    use super::*;

    fn broadcast(bytes: usize) -> Job {
        let event = Encoded::of(&"x".repeat(bytes)).unwrap();
        let body = Body::Broadcast { event, target: Target::default(), request: None };
        let message = Message { uid: "a".into(), namespace: "/".into(), body };
        Job::Publish(Box::new(Transmit { message, to: None }))
    }

    #[tokio::test]
    async fn what_is_said_comes_in_order_and_then_the_end() {
        let queue = Queue::default();
        assert!(queue.push(Job::Enter("/".into())) && queue.push(broadcast(1)));
        queue.close();
        assert!(!queue.push(broadcast(1)));
        assert!(matches!(queue.next().await, Next::Job(Job::Enter(_))));
        assert!(matches!(queue.next().await, Next::Job(Job::Publish(_))));
        assert!(matches!(queue.next().await, Next::End));
        queue.closed().await;
    }

    #[tokio::test]
    async fn bytes_are_bounded_and_one_larger_message_is_taken() {
        let queue = Queue::default();
        assert!(queue.push(broadcast(BUS_QUEUE_BYTES_MAX + 1)), "by an empty queue");
        assert!(!queue.push(broadcast(1)));
        assert!(matches!(queue.next().await, Next::Job(_)));
        assert!(queue.push(broadcast(1)));
        assert_eq!(queue.clear(), 1);
        assert!(queue.push(broadcast(BUS_QUEUE_BYTES_MAX + 1)));
    }

    #[tokio::test]
    async fn messages_are_bounded_and_lost_namespaces_begin_anew() {
        let queue = Queue::default();
        for _ in 0..BUS_QUEUE_MESSAGES_MAX {
            assert!(queue.push(Job::Leave("/".into())));
        }
        assert!(!queue.push(Job::Enter("/a".into())));
        queue.clear();
        assert!(matches!(queue.next().await, Next::Subscribe));
        assert!(queue.push(broadcast(1)));
        assert!(matches!(queue.next().await, Next::Job(Job::Publish(_))));
    }
}
