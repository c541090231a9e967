//! Emitting to one socket: how, and waiting for the client's answer.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use patera_protocol::handler::FromAnswer;
use patera_protocol::socketio::{OwnedArgs, encode};
use serde::Serialize;
use tokio::sync::oneshot;

use crate::acks::Awaiting;
use crate::broadcast::Broadcast;
use crate::error::{AckError, EmitError};
use crate::outbox::{Command, Item, PendingAck};
use crate::outgoing;
use crate::prepared::{Flags, Prepared};
use crate::rooms::IntoRooms;
use crate::socket::Socket;

/// How to emit to one socket, put together step by step: `socket.timeout(limit).emit_with_ack("ready?", ())`.
#[derive(Clone, Debug)]
#[must_use = "nothing is sent before `emit`"]
pub struct Emitter {
    socket: Socket,
    flags: Flags,
    timeout: Duration,
}

impl Emitter {
    pub(crate) fn new(socket: Socket) -> Self {
        let timeout = socket.0.session.core.config.ack_timeout;
        Emitter { socket, flags: Flags::default(), timeout }
    }

    /// Waits so long for acknowledgements.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Drops the event where the transport is not ready, instead of keeping it.
    pub fn volatile(mut self) -> Self {
        self.flags.volatile = true;
        self
    }

    /// Whether the event may be compressed, where there is compression. Default true.
    pub fn compress(mut self, compress: bool) -> Self {
        self.flags.compress = compress;
        self
    }

    /// To the sockets of rooms, without this one, with these flags.
    pub fn to(&self, rooms: impl IntoRooms) -> Broadcast {
        self.broadcast().to(rooms)
    }

    /// To every socket of the namespace but this one and the members of rooms, with these flags.
    pub fn except(&self, rooms: impl IntoRooms) -> Broadcast {
        self.broadcast().except(rooms)
    }

    /// To every socket of the namespace but this one, with these flags.
    pub fn broadcast(&self) -> Broadcast {
        self.socket.broadcast().with_flags(self.flags).timeout(self.timeout)
    }

    /// See [`Socket::emit`].
    pub fn emit(&self, event: &str, args: impl Serialize) {
        if let Err(error) = self.try_emit(event, args) {
            self.socket.0.namespace.dropped(event, &error);
        }
    }

    /// See [`Socket::try_emit`].
    ///
    /// # Errors
    /// See [`EmitError`].
    pub fn try_emit(&self, event: &str, args: impl Serialize) -> Result<(), EmitError> {
        self.socket.0.emit(event, &args, self.flags)
    }

    /// See [`Socket::emit_with_ack`].
    ///
    /// # Errors
    /// See [`AckError`].
    ///
    /// # Cancel safety
    /// The event is emitted by the call, not by the first poll. Dropped before it resolves, the answer is forgotten.
    pub fn emit_with_ack<T: FromAnswer>(&self, event: &str, args: impl Serialize) -> Acknowledgement<T> {
        let sent = self.send_with_ack(event, &args);
        let timeout = self.timeout;
        let answer = async move {
            let (mut question, answer) = sent?;
            let answered = tokio::time::timeout(timeout, answer).await;
            question.is_open = answered.is_err();
            match answered {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) => Err(AckError::Disconnected),
                Err(_) => Err(AckError::Timeout),
            }
        };
        Acknowledgement { answer: Box::pin(answer), wanted: PhantomData }
    }

    fn send_with_ack(
        &self,
        event: &str,
        args: &impl Serialize,
    ) -> Result<(Question, oneshot::Receiver<Result<OwnedArgs, AckError>>), AckError> {
        let inner = &self.socket.0;
        let id = inner.namespace.next_ack_id();
        let encode = |out: &mut Vec<u8>| encode::event(out, &inner.namespace.name, Some(id), event, args);
        let prepared = Prepared::packet(inner.namespace.parser(), self.flags, encode).map_err(EmitError::from)?;
        let (answer, receiver) = oneshot::channel();
        let answer = Awaiting::one(&inner.session.core.counters, answer);
        let ack = Some(Box::new(PendingAck { slot: inner.slot, number: inner.number, id, answer }));
        let watched = inner.namespace.is_outgoing_watched().then(|| prepared.clone());
        inner.push(Item { prepared, ack })?;
        if let Some(prepared) = watched {
            outgoing::tell(&inner.namespace, [inner], event, &prepared);
        }
        Ok((Question { socket: self.socket.clone(), id, is_open: true }, receiver))
    }
}

/// Dropped while it is open, it has the session forget that somebody waits.
struct Question {
    socket: Socket,
    id: u64,
    is_open: bool,
}

impl Drop for Question {
    fn drop(&mut self) {
        if self.is_open {
            let (slot, id) = (self.socket.0.slot, self.id);
            self.socket.0.session.outbox.command(Command::Forget { slot, id });
        }
    }
}

/// A client's answer on its way: see [`Socket::emit_with_ack`].
#[must_use = "the event is sent, but the answer is only seen by who awaits it"]
pub struct Acknowledgement<T> {
    answer: Pin<Box<dyn Future<Output = Result<OwnedArgs, AckError>> + Send>>,
    wanted: PhantomData<fn() -> T>,
}

impl<T: FromAnswer> Future for Acknowledgement<T> {
    type Output = Result<T, AckError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(self.answer.as_mut().poll(cx));
        Poll::Ready(answer.and_then(|answer| T::from_answer(&answer).map_err(AckError::Answer)))
    }
}

impl<T> std::fmt::Debug for Acknowledgement<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Acknowledgement").finish_non_exhaustive()
    }
}
