//! The handlers of one session that wait: polled by the session's own task, in arrival order at first.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_util::stream::{FuturesUnordered, Stream as _};
use patera_protocol::socketio::Slot;

use crate::choosing::{Choosing, Chosen};
use crate::config::Config;
use crate::error::Error;
use crate::handler::Failure;
use crate::lines::Lines;
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
    /// What the line of the socket with this number waited for has ended: a handler, or a middleware that has decided.
    Stepped {
        number: u64,
        decision: Result<(), Error>,
    },
    /// User code panicked.
    Panicked,
}

/// All that is under way for one session's sockets. Idle it owns nothing, and a pointer is all that a session has of it.
#[derive(Default)]
pub(crate) struct Tasks(Option<Box<UnderWay>>);

#[derive(Default)]
struct UnderWay {
    handlers: FuturesUnordered<Waiting>,
    choosing: Choosing,
    lines: Lines,
}

impl Tasks {
    /// Keeps a task that was polled and waits.
    pub(crate) fn keep(&mut self, task: Task, socket: &Socket, event: &Arc<str>) {
        count(&socket.0.session.core.counters.handlers_pending, 1);
        let waiting = Waiting { task, socket: socket.clone(), event: event.clone() };
        self.0.get_or_insert_default().handlers.push(waiting);
    }

    /// The next outcome of a task that waited. `Pending` if all still wait, `None` if there is none.
    pub(crate) fn poll_next(&mut self, waker: &Waker) -> Poll<Option<Outcome>> {
        let Some(under_way) = &mut self.0 else { return Poll::Ready(None) };
        let polled = Pin::new(&mut under_way.handlers).poll_next(&mut Context::from_waker(waker));
        if let Poll::Ready(None) = polled
            && under_way.choosing.is_idle()
            && under_way.lines.is_empty()
        {
            self.0 = None;
        }
        polled
    }

    /// The events that are handled one after the other.
    pub(crate) fn lines(&mut self) -> &mut Lines {
        &mut self.0.get_or_insert_default().lines
    }

    /// The socket with this number has ended.
    pub(crate) fn end_line(&mut self, number: u64) {
        if let Some(under_way) = &mut self.0 {
            under_way.lines.remove(number);
        }
    }

    /// Whether so many handlers and events wait, or events with so many bytes, that no more may be read.
    pub(crate) fn is_full(&self, config: &Config) -> bool {
        let Some(under_way) = &self.0 else { return false };
        let (events, bytes) = under_way.lines.waiting();
        under_way.handlers.len() + events >= config.pending_handlers_max || bytes > config.max_http_buffer_size
    }

    /// The namespaces that the client has asked for.
    pub(crate) fn choosing(&mut self) -> &mut Choosing {
        &mut self.0.get_or_insert_default().choosing
    }

    /// As [`Choosing::poll_next`], of what may be idle.
    pub(crate) fn next_chosen(&mut self, waker: &Waker) -> Option<Chosen> {
        self.0.as_mut()?.choosing.poll_next(waker)
    }

    /// Whether the client waits for a namespace to be found.
    pub(crate) fn is_choosing(&self) -> bool {
        self.0.as_ref().is_some_and(|under_way| !under_way.choosing.is_empty())
    }

    /// The client does not want the namespace of this slot any more.
    pub(crate) fn cancel_choice(&mut self, slot: Slot) {
        if let Some(under_way) = &mut self.0 {
            under_way.choosing.cancel(slot);
        }
    }

    /// The client does not want any namespace any more.
    pub(crate) fn cancel_choices(&mut self) {
        if let Some(under_way) = &mut self.0 {
            under_way.choosing = Choosing::default();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |under_way| under_way.handlers.len())
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

/// Drops what is the user's, one by one: two that panicked in one go would abort the process. False if one did.
pub(crate) fn drop_each<T>(values: impl IntoIterator<Item = T>) -> bool {
    values.into_iter().map(|value| catch(|| drop(value))).filter(Option::is_none).count() == 0
}
