//! Emitting: how, and waiting for the server's answer.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use patera_protocol::handler::FromAnswer;
use patera_protocol::socketio::OwnedArgs;
use serde::Serialize;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::engine::Compression;
use crate::error::{AckError, EmitError};
use crate::shared::{AckRequest, Command, Item};
use crate::socket::Socket;
use crate::trace::trace;

/// How to emit, put together step by step: `client.timeout(limit).emit_with_ack("ready?", ())`.
#[derive(Clone, Debug)]
#[must_use = "nothing is sent before `emit`"]
pub struct Emitter {
    socket: Socket,
    volatile: bool,
    compression: Compression,
    timeout: Option<Duration>,
}

impl Emitter {
    pub(crate) fn new(socket: Socket) -> Self {
        let timeout = socket.0.shared.config.ack_timeout;
        Emitter { socket, volatile: false, compression: Compression::Allowed, timeout }
    }

    /// Waits so long for acknowledgements, from the call on.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Drops the event if it cannot go out at once: there is no connection, or what was emitted before is still waiting.
    pub fn volatile(mut self) -> Self {
        self.volatile = true;
        self
    }

    /// Whether the event may be compressed, where there is compression. Default true.
    pub fn compress(mut self, compress: bool) -> Self {
        self.compression = if compress { Compression::Allowed } else { Compression::Never };
        self
    }

    /// See [`Socket::emit`].
    pub fn emit(&self, event: &str, args: impl Serialize) {
        if let Err(error) = self.try_emit(event, args) {
            trace!(warn, "event dropped", event = %event, error = %error);
        }
    }

    /// See [`Socket::try_emit`]. A volatile event that is dropped later is no error.
    ///
    /// # Errors
    /// See [`EmitError`].
    pub fn try_emit(&self, event: &str, args: impl Serialize) -> Result<(), EmitError> {
        let is_retried = self.socket.0.shared.config.retries > 0 && !self.volatile;
        if is_retried {
            // Whether it has arrived is known by the answer, which nobody else waits for.
            return self.push(event, &args, true).map(drop);
        }
        self.push(event, &args, false).map(drop)
    }

    /// See [`Socket::emit_with_ack`].
    ///
    /// # Errors
    /// See [`AckError`].
    ///
    /// # Cancel safety
    /// The event is emitted by the call, not by the first poll. Dropped before it resolves, the answer is forgotten.
    pub fn emit_with_ack<T: FromAnswer>(&self, event: &str, args: impl Serialize) -> Acknowledgement<T> {
        let answer = self.push(event, &args, true).map_err(Some);
        Acknowledgement { answer, wanted: PhantomData }
    }

    fn push(&self, event: &str, args: &impl Serialize, with_ack: bool) -> Result<Answer, EmitError> {
        let Socket(inner) = &self.socket;
        let id = with_ack.then(|| self.socket.next_ack_id());
        let codec = self.socket.codec();
        let (mut packet, outgoing) = if inner.listeners.has_outgoing() {
            let (packet, args) = codec.event_with_args(&inner.namespace, id, event, args)?;
            (packet, Some(Box::new((event.to_owned(), args))))
        } else {
            (codec.event(&inner.namespace, id, event, args)?, None)
        };
        packet.compression = self.compression;
        inner.shared.check_size(&packet)?;
        let permit = inner.shared.quota.take(packet.len()).ok_or(EmitError::Full)?;
        let (sender, receiver) = oneshot::channel();
        let ack = id.map(|id| {
            let deadline = self.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
            Box::new(AckRequest { id, timeout: self.timeout, deadline, answer: sender })
        });
        let item = Item { packet, permit, volatile: self.volatile, ack, outgoing };
        inner.shared.command(Command::Emit(inner.number, item))?;
        Ok(receiver)
    }
}

type Answer = oneshot::Receiver<Result<OwnedArgs, AckError>>;

/// The server's answer on its way: see [`Socket::emit_with_ack`].
#[must_use = "the event is sent, but the answer is only seen by who awaits it"]
pub struct Acknowledgement<T> {
    /// The error until it is told.
    answer: Result<Answer, Option<EmitError>>,
    wanted: PhantomData<fn() -> T>,
}

impl<T: FromAnswer> Future for Acknowledgement<T> {
    type Output = Result<T, AckError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = match &mut self.answer {
            Ok(receiver) => std::task::ready!(Pin::new(receiver).poll(cx)),
            Err(error) => return Poll::Ready(Err(AckError::Emit(error.take().unwrap_or(EmitError::Ended)))),
        };
        // Without an answer the client has ended.
        let answer = answer.unwrap_or(Err(AckError::Disconnected));
        Poll::Ready(answer.and_then(|answer| T::from_answer(&answer).map_err(AckError::Answer)))
    }
}

impl<T> fmt::Debug for Acknowledgement<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acknowledgement").finish_non_exhaustive()
    }
}
