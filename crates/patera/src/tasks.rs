//! The handlers of one session that wait: polled by the session's own task, in arrival order at first.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_util::stream::{FuturesUnordered, Stream as _};

use crate::error::Error;
use crate::handler::Failure;
use crate::socket::Socket;
use crate::stats::{count, uncount};

/// A started handler.
pub(crate) type Task = Pin<Box<dyn TaskFuture>>;

/// A future that is told with each poll whose it is: most end at their first, and need not own it.
pub(crate) trait TaskFuture: Send {
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>, socket: &Socket, event: &str) -> Poll<Outcome>;
}

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
#[derive(Default)]
pub(crate) struct Tasks(Option<Box<FuturesUnordered<Waiting>>>);

impl Tasks {
    /// Keeps a task that was polled and waits.
    pub(crate) fn keep(&mut self, task: Task, socket: &Socket, event: &Arc<str>) {
        count(&socket.0.session.core.counters.handlers_pending, 1);
        let waiting = Waiting { task, socket: socket.clone(), event: event.clone() };
        self.0.get_or_insert_default().push(waiting);
    }

    /// The next outcome of a task that waited. `Pending` if all still wait, `None` if there is none.
    pub(crate) fn poll_next(&mut self, waker: &Waker) -> Poll<Option<Outcome>> {
        let Some(waiting) = &mut self.0 else { return Poll::Ready(None) };
        let polled = Pin::new(&mut **waiting).poll_next(&mut Context::from_waker(waker));
        if let Poll::Ready(None) = polled {
            self.0 = None;
        }
        polled
    }

    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |waiting| waiting.len())
    }
}

/// A task with what it must be told.
struct Waiting {
    task: Task,
    socket: Socket,
    event: Arc<str>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        uncount(&self.socket.0.session.core.counters.handlers_pending, 1);
    }
}

impl Future for Waiting {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let Waiting { task, socket, event } = &mut *self;
        match catch(|| task.as_mut().poll(cx, socket, event)) {
            Some(polled) => polled,
            None => {
                socket.report(event, &Failure::Panic);
                Poll::Ready(Outcome::Panicked)
            }
        }
    }
}

/// Runs user code; `None` if it panicked. What it worked on is dropped and never used again.
pub(crate) fn catch<T>(run: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(run)).ok()
}
