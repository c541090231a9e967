//! What happens to rooms, told in order to whoever asks.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::config::ROOM_EVENTS_MAX;
use crate::socket::Socket;
use crate::sync::{AtomicBool, Mutex};
use crate::trace::trace;

/// What happened to a room of a namespace: see [`Namespace::on_room_event`](crate::Namespace::on_room_event).
///
/// A socket's own room is none of these: it comes and goes with the socket.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RoomEvent {
    /// Its first member is about to join: socket.io's `create-room`.
    Create {
        /// The room.
        room: Arc<str>,
    },
    /// A socket has joined: `join-room`.
    Join {
        /// The room.
        room: Arc<str>,
        /// Who.
        socket: Socket,
    },
    /// A socket has left, by itself or with its disconnection: `leave-room`.
    Leave {
        /// The room.
        room: Arc<str>,
        /// Who.
        socket: Socket,
    },
    /// Its last member has left: `delete-room`.
    Delete {
        /// The room.
        room: Arc<str>,
    },
}

/// Events on their way from where they happen, under the rooms' lock, to the hooks, which run without one. One thread tells
/// them at a time, so that they arrive in order; who finds another at it leaves its own to it. At most `ROOM_EVENTS_MAX` wait.
#[derive(Default)]
pub(crate) struct RoomEvents {
    watched: AtomicBool,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    events: VecDeque<RoomEvent>,
    telling: bool,
}

impl RoomEvents {
    /// From now on they are collected.
    pub(crate) fn watch(&self) {
        self.watched.store(true, Ordering::Release);
    }

    pub(crate) fn is_watched(&self) -> bool {
        self.watched.load(Ordering::Acquire)
    }

    pub(crate) fn push(&self, event: RoomEvent) {
        let mut queue = self.queue.lock();
        if queue.events.len() < ROOM_EVENTS_MAX {
            queue.events.push_back(event);
        } else {
            drop(queue);
            trace!(error, "patera::socket", "room event not told: its hook cannot keep up", event = ?event);
        }
    }

    /// Calls `tell` for each that waits, unless another thread is at it, or this one further up. `tell` does not panic.
    pub(crate) fn tell_all(&self, mut tell: impl FnMut(&RoomEvent)) {
        if std::mem::replace(&mut self.queue.lock().telling, true) {
            return;
        }
        while let Some(event) = self.pop_or_rest() {
            tell(&event);
        }
    }

    fn pop_or_rest(&self) -> Option<RoomEvent> {
        let mut queue = self.queue.lock();
        let event = queue.events.pop_front();
        queue.telling = event.is_some();
        event
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_wait_are_bounded() {
        let room: Arc<str> = "room".into();
        for (happened, told) in [ROOM_EVENTS_MAX - 1, ROOM_EVENTS_MAX, ROOM_EVENTS_MAX + 1]
            .into_iter()
            .zip([1, 0, 0].map(|few| ROOM_EVENTS_MAX - few))
        {
            let events = RoomEvents::default();
            (0..happened).for_each(|_| events.push(RoomEvent::Create { room: room.clone() }));
            let mut count = 0;
            events.tell_all(|_| count += 1);
            assert_eq!(count, told, "of {happened}");
        }
    }
}
