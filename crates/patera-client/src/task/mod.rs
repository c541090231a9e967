//! The task that owns a connection: its sockets, its session, its timers, the calls of handlers. Nothing else touches them; it ends
//! with the last handle.
//!
//! | file | what |
//! |---|---|
//! | here | the turn: commands, session, calls, timers |
//! | `link` | attempts, reconnection, the end of a connection |
//! | `sockets` | what handles want of a socket |
//! | `incoming` | what the server sends |

mod incoming;
mod link;
mod sockets;

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::time::{Instant, Sleep};

use crate::backoff::Backoff;
use crate::calls::Calls;
use crate::config::Config;
use crate::engine::{Boxed, Endpoint};
use crate::namespace::Namespace;
use crate::shared::{Command, Shared};
use link::Link;

/// So much happens in one turn before others have theirs.
const TURN_STEPS: usize = 64;

/// One connection's task.
pub(crate) struct Task {
    shared: Arc<Shared>,
    config: Arc<Config>,
    endpoint: Arc<Endpoint>,
    link: Link,
    /// By number, so that what happens to all happens in the order they were made.
    namespaces: BTreeMap<u64, Namespace>,
    backoff: Backoff,
    random: StdRng,
    calls: Calls,
    /// Sessions on their way out.
    closing: FuturesUnordered<Boxed<()>>,
    commands: VecDeque<Command>,
    timer: Pin<Box<Sleep>>,
    is_ending: bool,
}

impl Task {
    pub(crate) fn new(shared: Arc<Shared>, endpoint: Arc<Endpoint>) -> Self {
        let config = shared.config.clone();
        Task {
            link: Link::Down,
            namespaces: BTreeMap::new(),
            backoff: Backoff::new(
                config.reconnection_delay,
                config.reconnection_delay_max,
                config.randomization_factor,
            ),
            random: StdRng::seed_from_u64(config.random_seed.unwrap_or_else(rand::random)),
            calls: Calls::default(),
            closing: FuturesUnordered::new(),
            commands: VecDeque::new(),
            timer: Box::pin(tokio::time::sleep_until(Instant::now())),
            is_ending: false,
            shared,
            config,
            endpoint,
        }
    }

    /// One step of everything. Whether anything has moved.
    fn step(&mut self, cx: &mut Context<'_>) -> bool {
        let now = Instant::now();
        let mut has_moved = self.take_commands(cx);
        has_moved |= self.poll_link(cx, now);
        has_moved |= self.poll_auth(cx);
        has_moved |= self.calls.poll(cx);
        has_moved |= matches!(self.closing.poll_next_unpin(cx), Poll::Ready(Some(())));
        has_moved |= self.handle_timeouts(cx, now);
        has_moved
    }

    fn is_over(&self) -> bool {
        self.is_ending && self.closing.is_empty()
    }

    /// What is due. Whether anything was.
    fn handle_timeouts(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        if self.next_timeout().is_none_or(|next| next > now) {
            return false;
        }
        let mut was_due = self.handle_link_timeout(cx, now);
        let numbers: Vec<u64> = self.namespaces.keys().copied().collect();
        for number in numbers {
            let engine = self.link.engine();
            if let Some(namespace) = self.namespaces.get_mut(&number) {
                was_due |= namespace.handle_timeout(now, engine);
            }
            was_due |= self.handle_phase_timeout(number, cx, now);
        }
        was_due
    }

    /// When something will be due, if nothing happens until then.
    fn next_timeout(&self) -> Option<Instant> {
        let sockets = self.namespaces.values().filter_map(Namespace::poll_timeout).min();
        [sockets, self.link.poll_timeout()].into_iter().flatten().min()
    }

    /// Sleeps until the next thing is due. Whether it is already.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(next) = self.next_timeout() else { return false };
        if self.timer.deadline() != next {
            self.timer.as_mut().reset(next);
        }
        self.timer.as_mut().poll(cx).is_ready()
    }
}

impl Future for Task {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..TURN_STEPS {
            let has_moved = self.step(cx);
            if self.is_over() {
                return Poll::Ready(());
            }
            if !has_moved && !self.poll_timer(cx) {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Task {
    /// Also when the runtime ends before the handles do: nobody waits for ever, and handlers keep nothing alive.
    fn drop(&mut self) {
        self.shared.end();
        self.shared.set_transport(None);
        let waker = std::task::Waker::noop();
        self.shared.take_commands(&mut self.commands, waker);
        for command in self.commands.drain(..) {
            if let Command::Add(socket) = command {
                socket.0.listeners.clear();
            }
        }
        for namespace in self.namespaces.values_mut() {
            namespace.disconnect();
            namespace.set_active(false);
            namespace.socket.0.listeners.clear();
        }
    }
}
