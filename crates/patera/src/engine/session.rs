//! One client of an [`Engine`](super::Engine), as its users see it, and the messages that wait for them.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use patera_protocol::engineio::{Transport, Version};

use super::message::Message;
use crate::config::INBOX_MESSAGES_MAX;
use crate::conn::Conn;
use crate::core::Shared;
use crate::error::{DisconnectReason, EmitError};
use crate::handshake::Handshake;
use crate::outbox::{Command, Item};
use crate::sync::Mutex;

/// One client. Cheap to clone; clones are the same session. Safe to use from any task or thread.
#[derive(Clone)]
pub struct Session {
    pub(super) shared: Arc<Shared>,
    pub(super) inbox: Arc<Mutex<Inbox>>,
}

/// Messages that came and were not received yet: while they are more than a payload's limit, nothing is read from the client.
#[derive(Default)]
pub(super) struct Inbox {
    messages: VecDeque<Message>,
    bytes: usize,
    /// Who waits for one; seldom more than one task.
    receivers: Vec<Waker>,
    /// The session's task, while it does not read.
    reader: Option<Waker>,
    pub(super) closed: Option<DisconnectReason>,
}

impl Session {
    /// The session's id, as in `?sid=…`.
    pub fn id(&self) -> &str {
        self.shared.sid.as_str()
    }

    /// The connection, with what happens to it.
    pub fn conn(&self) -> Conn {
        Conn::new(self.shared.clone())
    }

    /// The request that opened it.
    pub fn handshake(&self) -> &Handshake {
        &self.shared.handshake
    }

    /// The revision of Engine.IO that the client speaks: 4, or 3 with [`Config::allow_eio3`](crate::Config::allow_eio3).
    pub fn protocol(&self) -> Version {
        self.shared.dialect.version
    }

    /// The transport it is on now.
    pub fn transport(&self) -> Transport {
        self.shared.transport()
    }

    /// Puts a message on its way; in order, whatever the transport does meanwhile. What cannot be sent is dropped and counted.
    pub fn send(&self, message: impl Into<Message>) {
        if let Err(error) = self.try_send(message) {
            self.shared.core.count_drop(&error);
        }
    }

    /// As [`send`](Self::send), and says why nothing was sent.
    ///
    /// # Errors
    /// The session has ended, or its outbox is full.
    pub fn try_send(&self, message: impl Into<Message>) -> Result<(), EmitError> {
        let prepared = message.into().prepare();
        self.shared.outbox.push(Item { prepared, ack: None }, &self.shared.core.config)
    }

    /// The next message of the client; `None` when the session has ended and all are received.
    ///
    /// # Cancel safety
    /// Dropped before it resolves, no message is lost.
    pub async fn recv(&self) -> Option<Message> {
        poll_fn(|cx| self.inbox.lock().poll_recv(cx)).await
    }

    /// Why the session has ended; `None` while it has not.
    pub fn close_reason(&self) -> Option<DisconnectReason> {
        self.inbox.lock().closed
    }

    /// Ends the session, behind what was sent: reason `forced close`.
    pub fn close(&self) {
        self.shared.outbox.command(Command::Close { reason: DisconnectReason::ForcedClose, flush: true });
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("id", &self.id()).finish()
    }
}

impl Inbox {
    fn poll_recv(&mut self, cx: &Context<'_>) -> Poll<Option<Message>> {
        match self.messages.pop_front() {
            Some(message) => {
                self.bytes -= message.len();
                if let Some(reader) = self.reader.take() {
                    reader.wake();
                }
                Poll::Ready(Some(message))
            }
            None if self.closed.is_some() => Poll::Ready(None),
            None => {
                if !self.receivers.iter().any(|receiver| receiver.will_wake(cx.waker())) {
                    self.receivers.push(cx.waker().clone());
                }
                Poll::Pending
            }
        }
    }

    pub(super) fn push(&mut self, message: Message) {
        self.bytes += message.len();
        self.messages.push_back(message);
        self.wake_receivers();
    }

    pub(super) fn wake_receivers(&mut self) {
        self.receivers.drain(..).for_each(Waker::wake);
    }

    /// While it is full, taking a message out wakes the session's task. Seen and set under one lock, so that none is missed.
    pub(super) fn wake_reader_when_taken_from(&mut self, reader: &Waker, bytes_max: usize) {
        if self.is_full(bytes_max) {
            self.reader = Some(reader.clone());
        }
    }

    pub(super) fn is_full(&self, bytes_max: usize) -> bool {
        self.messages.len() >= INBOX_MESSAGES_MAX || self.bytes > bytes_max
    }
}
