//! What the session's task does for an [`Engine`](super::Engine): it drives the user's function, and fills its inbox.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use patera_protocol::engineio;
use patera_protocol::socketio::Slot;

use super::message::Message;
use super::session::Session;
use crate::core::Shared;
use crate::error::DisconnectReason;
use crate::outbox::PendingAck;
use crate::session::{Application, Scope};
use crate::tasks::catch;
use crate::trace::trace;

/// What runs for each session.
pub(super) type ConnectionHandler = Arc<dyn Fn(Session) -> SessionTask + Send + Sync>;
type SessionTask = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(super) struct Serving {
    handler: Option<ConnectionHandler>,
    session: Session,
    task: Option<SessionTask>,
}

impl Serving {
    pub(super) fn new(handler: Option<ConnectionHandler>, shared: Arc<Shared>) -> Self {
        Serving { handler, session: Session { shared, inbox: Arc::default() }, task: None }
    }

    /// Polls the user's function; `None` if it panicked.
    fn poll_task(&mut self, scope: &Scope<'_>) -> Option<Poll<()>> {
        let Some(task) = &mut self.task else { return Some(Poll::Ready(())) };
        let polled = catch(|| task.as_mut().poll(&mut Context::from_waker(scope.waker)));
        if !matches!(polled, Some(Poll::Pending)) {
            self.task = None;
        }
        polled
    }
}

impl Application for Serving {
    fn open(&mut self, scope: &Scope<'_>) {
        scope.shared.join();
        let started = self.handler.take().and_then(|handler| catch(|| handler(self.session.clone())));
        match started {
            Some(task) => self.task = Some(task),
            None => self.session.close(),
        }
    }

    fn handle_message(&mut self, message: engineio::Message<'_>, scope: &Scope<'_>) -> Result<(), DisconnectReason> {
        let message = match message {
            engineio::Message::Text(text) => Message::Text(text.to_owned()),
            engineio::Message::Binary(data) => Message::Binary(Bytes::copy_from_slice(data)),
        };
        let mut inbox = self.session.inbox.lock();
        inbox.push(message);
        inbox.wake_reader_when_taken_from(scope.waker, scope.shared.core.config.max_http_buffer_size);
        Ok(())
    }

    fn handle_leave(&mut self, _: Slot, _: u64, _: &Scope<'_>) {}

    fn handle_leave_all(&mut self, _: &Scope<'_>) {}

    fn handle_sent(&mut self, _: PendingAck) {}

    fn handle_forget(&mut self, _: Slot, _: u64) {}

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    fn handle_timeout(&mut self, _: &Scope<'_>) -> Result<(), DisconnectReason> {
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.session.inbox.lock().is_full(self.session.shared.core.config.max_http_buffer_size)
    }

    fn poll(&mut self, scope: &Scope<'_>) -> Result<(), DisconnectReason> {
        if self.task.is_some() {
            match self.poll_task(scope) {
                Some(Poll::Ready(())) => self.session.close(),
                Some(Poll::Pending) => {}
                None => {
                    trace!(warn, "patera::engine", "connection handler panicked", sid = %self.session.id());
                    return Err(DisconnectReason::HandlerPanicked);
                }
            }
        }
        let bytes_max = scope.shared.core.config.max_http_buffer_size;
        self.session.inbox.lock().wake_reader_when_taken_from(scope.waker, bytes_max);
        Ok(())
    }

    fn close(&mut self, reason: DisconnectReason, _: &Scope<'_>) {
        let mut inbox = self.session.inbox.lock();
        inbox.closed = Some(reason);
        inbox.wake_receivers();
    }

    fn poll_closed(&mut self, scope: &Scope<'_>) -> Poll<()> {
        self.poll_task(scope).unwrap_or(Poll::Ready(()))
    }
}
