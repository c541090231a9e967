//! The handlers of one session that wait: polled by the session's own task, in arrival order at first.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_util::stream::{FuturesUnordered, Stream as _};

use crate::core::Core;
use crate::error::Error;
use crate::handler::Failure;
use crate::socket::Socket;
use crate::stats::{count, uncount};

/// A started handler.
pub(crate) type Task = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// What came of a task.
pub(crate) enum Outcome {
    Done,
    /// The middlewares of the socket with this number have decided.
    Connect {
        number: u64,
        decision: Result<(), Error>,
    },
    /// User code panicked.
    Panicked,
}

/// Idle it owns nothing.
pub(crate) struct Tasks {
    core: Arc<Core>,
    waiting: Option<Box<FuturesUnordered<Guarded>>>,
}

impl Tasks {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Tasks { core, waiting: None }
    }

    /// Polls a task once, now; what does not finish is kept.
    pub(crate) fn start(&mut self, task: Task, socket: &Socket, event: &Arc<str>, waker: &Waker) -> Option<Outcome> {
        let mut task = Guarded { task, socket: socket.clone(), event: event.clone() };
        match Pin::new(&mut task).poll(&mut Context::from_waker(waker)) {
            Poll::Ready(outcome) => Some(outcome),
            Poll::Pending => {
                count(&self.core.counters.handlers_pending, 1);
                self.waiting.get_or_insert_default().push(task);
                None
            }
        }
    }

    /// The next outcome of a task that waited. `Pending` if all still wait, `None` if there is none.
    pub(crate) fn poll_next(&mut self, waker: &Waker) -> Poll<Option<Outcome>> {
        let Some(waiting) = &mut self.waiting else { return Poll::Ready(None) };
        let polled = Pin::new(&mut **waiting).poll_next(&mut Context::from_waker(waker));
        match &polled {
            Poll::Ready(Some(_)) => uncount(&self.core.counters.handlers_pending, 1),
            Poll::Ready(None) => self.waiting = None,
            Poll::Pending => {}
        }
        polled
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.as_ref().map_or(0, |waiting| waiting.len())
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        uncount(&self.core.counters.handlers_pending, self.len() as u64);
    }
}

/// Catches a panic of user code, so that it ends its connection and no more.
struct Guarded {
    task: Task,
    socket: Socket,
    event: Arc<str>,
}

impl Future for Guarded {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        match catch(|| self.task.as_mut().poll(cx)) {
            Some(polled) => polled,
            None => {
                self.socket.report(&self.event, &Failure::Panic);
                Poll::Ready(Outcome::Panicked)
            }
        }
    }
}

/// Runs user code; `None` if it panicked. What it worked on is dropped and never used again.
pub(crate) fn catch<T>(run: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(run)).ok()
}
