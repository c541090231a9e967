//! WebSocket: each frame is a packet. EIO 4 "WebSocket".

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use patera_websocket::stream::{Error, Message, WebSocketStream};

use super::Boxed;
use super::endpoint::Endpoint;
use super::frame::{Compression, Frame, Payload};
use crate::error::TransportError;
use crate::net::{Stream, open_websocket};

/// So much is encoded ahead of what the socket below has taken; the rest waits in the queue, where it can still move to another
/// transport or be counted.
const AHEAD_BYTES: usize = 64 * 1024;

/// The transport: on its way, or open.
pub(super) enum WebSocket {
    Opening(Boxed<Result<WebSocketStream<Stream>, TransportError>>),
    Open { stream: Box<WebSocketStream<Stream>>, base64: bool },
}

impl WebSocket {
    /// Begins to open one, for a session that is there already or for a new one.
    pub(super) fn open(endpoint: Arc<Endpoint>, sid: Option<String>) -> Self {
        WebSocket::Opening(Box::pin(async move {
            let opened = open(&endpoint, sid.as_deref());
            // A probe must not hang: a session that is opened here has a limit of its own, which is the same.
            match endpoint.config.timeout {
                Some(timeout) => tokio::time::timeout(timeout, opened).await.map_err(|_| TransportError::Timeout)?,
                None => opened.await,
            }
        }))
    }

    /// Whether it has just opened. Pending if it was open before.
    pub(super) fn poll_opened(&mut self, cx: &mut Context<'_>, base64: bool) -> Poll<Result<(), TransportError>> {
        let WebSocket::Opening(opening) = self else { return Poll::Pending };
        let stream = Box::new(ready!(opening.as_mut().poll(cx))?);
        *self = WebSocket::Open { stream, base64 };
        Poll::Ready(Ok(()))
    }

    /// Encodes one frame.
    pub(super) fn start_send(&mut self, frame: Frame) -> Result<(), TransportError> {
        let WebSocket::Open { stream, base64 } = self else { return Ok(()) };
        let message = match frame.payload {
            Payload::Text(text) => Message::Text(text),
            Payload::Binary(data) if *base64 => Message::Text(format!("b{}", STANDARD.encode(&data))),
            Payload::Binary(data) => Message::Binary(data),
        };
        let sent = match frame.compression {
            Compression::Allowed => stream.start_send(message),
            Compression::Never => stream.start_send_uncompressed(message),
        };
        sent.map_err(TransportError::from)
    }

    /// Writes what it can, from the queue too. Ready when all is handed to the socket below.
    pub(super) fn poll_send(
        &mut self,
        queue: &mut VecDeque<Frame>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), TransportError>> {
        loop {
            while self.unsent_bytes() < AHEAD_BYTES
                && let Some(frame) = queue.pop_front()
            {
                self.start_send(frame)?;
            }
            let WebSocket::Open { stream, .. } = self else { return Poll::Pending };
            ready!(stream.poll_flush(cx)).map_err(TransportError::from)?;
            if queue.is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// What is encoded and not handed to the socket below.
    pub(super) fn unsent_bytes(&self) -> usize {
        match self {
            WebSocket::Open { stream, .. } => stream.unsent_bytes(),
            WebSocket::Opening(_) => usize::MAX,
        }
    }

    /// The next message; `None` when the server has closed. Pending until it is open. That the server hangs up too is not waited
    /// for: it might never.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Message, TransportError>>> {
        let WebSocket::Open { stream, .. } = self else { return Poll::Pending };
        match stream.poll_next(cx) {
            Poll::Pending if stream.is_closing() => {
                let failure = stream.failure().map(|error| TransportError::WebSocket(Error::Protocol(error)));
                Poll::Ready(failure.map(Err))
            }
            message => message.map_err(TransportError::from),
        }
    }
}

async fn open(endpoint: &Endpoint, sid: Option<&str>) -> Result<WebSocketStream<Stream>, TransportError> {
    let uri = endpoint.websocket_uri(sid);
    open_websocket(&endpoint.connector, &uri, endpoint.headers(), &endpoint.config).await
}
