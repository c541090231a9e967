//! Messages over a stream: reading, writing, the closing handshake.

use std::future::{Future as _, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::{fmt, io};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use super::error::Error;
use super::message::Message;
use crate::close::{CloseCode, CloseFrame};
use crate::config::Config;
#[cfg(feature = "deflate")]
use crate::config::DeflateConfig;
use crate::connection::Connection;
#[cfg(feature = "deflate")]
use crate::deflate::encode_deflated;
use crate::error::Error as ProtocolError;
use crate::event::Event;
use crate::frame::{Opcode, Role, encode};
#[cfg(feature = "deflate")]
use crate::handshake::Extensions;

/// What one read takes.
const READ_BYTES: usize = 16 * 1024;

/// A WebSocket that owns its stream. One task uses it at a time: every method takes `&mut self`.
///
/// ```text
/// Open ── the peer's close frame, or an error ──▶ Closing ── our close frame is written and the stream has ended ──▶ Ended
///   └──────────── the stream ends or breaks ─────────────────────────────────────────────────────────────────────────▲
/// ```
///
/// Pings are answered and the closing handshake is done while [`next`](Self::next) is awaited. Waiting in it with nothing
/// read and nothing to write, the stream owns no buffer.
pub struct WebSocketStream<S> {
    io: S,
    connection: Connection,
    phase: Phase,
    /// Read but not handled.
    input: BytesMut,
    /// Encoded, and of that, how much is written.
    output: Vec<u8>,
    written: usize,
    /// Something is written that is not flushed.
    unflushed: bool,
    subprotocol: Option<String>,
    /// How our messages are compressed, if it was agreed that they may be.
    #[cfg(feature = "deflate")]
    deflate: DeflateConfig,
    close_frame: Option<CloseFrame>,
}

#[derive(Clone, Copy)]
enum Phase {
    Open,
    Closing {
        failure: Option<ProtocolError>,
        /// We have ended our direction of the stream.
        shut_down: bool,
    },
    Ended,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocketStream<S> {
    /// A WebSocket behind a handshake that was done elsewhere; `leftover` is what was read behind the handshake.
    pub fn from_upgraded(io: S, role: Role, config: Config, leftover: Bytes) -> Self {
        Self::new(io, role, config, leftover.into(), None)
    }

    pub(super) fn new(io: S, role: Role, config: Config, input: BytesMut, subprotocol: Option<String>) -> Self {
        WebSocketStream {
            io,
            connection: Connection::new(role, config),
            phase: Phase::Open,
            input,
            output: Vec::new(),
            written: 0,
            unflushed: false,
            subprotocol,
            #[cfg(feature = "deflate")]
            deflate: DeflateConfig::default(),
            close_frame: None,
        }
    }

    /// The same with permessage-deflate, as the handshake agreed on it and as `config` says. Before the first message.
    #[cfg(feature = "deflate")]
    #[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
    pub fn with_deflate(self, extensions: &Extensions, config: DeflateConfig) -> Self {
        WebSocketStream { connection: self.connection.with_extensions(extensions), deflate: config, ..self }
    }

    /// The next message. `None` when the WebSocket is closed: by the peer's close frame, or because the stream ended after our
    /// own; before that our close frame is written and the stream is read to its end.
    ///
    /// # Errors
    /// Once, then `None`: `Protocol` when the peer broke the protocol (its close frame is written first), `Disconnected`
    /// when the stream ended without a close frame, `Io`.
    ///
    /// # Cancel safety
    /// Cancel safe: if this does not resolve, no message is lost.
    pub async fn next(&mut self) -> Option<Result<Message, Error>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Sends a message, compressed where that was agreed on and is worth it, and waits until it is handed to the stream below. Nothing is read meanwhile: two peers that both only
    /// send can wait for each other.
    ///
    /// # Errors
    /// `Closed` behind a close frame of either side, `Io`.
    ///
    /// # Cancel safety
    /// If this does not resolve, either nothing was sent, or the whole message goes out with the next call of any method.
    pub async fn send(&mut self, message: impl Into<Message>) -> Result<(), Error> {
        let message = message.into();
        poll_fn(|cx| self.poll_written(cx)).await?;
        self.start_send(message)?;
        poll_fn(|cx| self.poll_written(cx)).await?;
        Ok(())
    }

    /// Encodes a message behind those that are not written yet, and writes nothing: [`poll_flush`](Self::poll_flush) and
    /// [`poll_next`](Self::poll_next) do. For whoever reads and writes in one task. There is no limit to what waits here: look
    /// at [`unsent_bytes`](Self::unsent_bytes) first.
    ///
    /// # Errors
    /// `Closed` behind a close frame of either side.
    pub fn start_send(&mut self, message: impl Into<Message>) -> Result<(), Error> {
        self.check_open()?;
        let message = message.into();
        self.append(message.opcode(), message.payload());
        Ok(())
    }

    /// As [`start_send`](Self::start_send), and never compressed: for what holds a secret beside what a stranger has chosen, whose
    /// length would tell of it.
    ///
    /// # Errors
    /// As `start_send`.
    pub fn start_send_uncompressed(&mut self, message: impl Into<Message>) -> Result<(), Error> {
        self.check_open()?;
        let message = message.into();
        self.append_uncompressed(message.opcode(), message.payload());
        Ok(())
    }

    fn check_open(&self) -> Result<(), Error> {
        let is_open = matches!(self.phase, Phase::Open) && !self.connection.close_sent();
        if is_open { Ok(()) } else { Err(Error::Closed) }
    }

    /// How many encoded bytes are not handed to the stream below yet.
    pub fn unsent_bytes(&self) -> usize {
        self.output.len().saturating_sub(self.written)
    }

    /// Polls until all that is encoded is handed to the stream below and that is flushed.
    ///
    /// # Errors
    /// `Io`.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_written(cx).map_err(Error::Io)
    }

    /// Starts the closing handshake and waits until its frame is handed to the stream below; `reason` is for people and cut
    /// at 123 bytes. Messages of the peer may still come: call [`next`](Self::next) until it gives `None`, which also
    /// closes the stream. Nothing happens if the handshake has started already.
    ///
    /// # Errors
    /// `Io`.
    ///
    /// # Cancel safety
    /// If this does not resolve, the close frame goes out with the next call of any method.
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        self.connection.close(code, reason);
        poll_fn(|cx| self.poll_written(cx)).await?;
        Ok(())
    }

    /// What the peer's close frame said; `None` before it has come, or when it said nothing.
    pub fn close_frame(&self) -> Option<&CloseFrame> {
        self.close_frame.as_ref()
    }

    /// Whether the end has come that [`next`](Self::next) will tell once the stream below has ended, which is the peer's to do: its
    /// close frame is here, or it broke the protocol. For whoever does not want to wait for it; our close frame has been written as
    /// far as the stream below took it.
    pub fn is_closing(&self) -> bool {
        !matches!(self.phase, Phase::Open)
    }

    /// How the peer broke the protocol, if it did.
    pub fn failure(&self) -> Option<ProtocolError> {
        match self.phase {
            Phase::Closing { failure, .. } => failure,
            Phase::Open | Phase::Ended => None,
        }
    }

    /// The subprotocol that client and server agreed on.
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// Polls for the next message, as [`next`](Self::next).
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Message, Error>>> {
        loop {
            match self.phase {
                Phase::Open => {
                    if let Some(message) = self.take_message() {
                        return Poll::Ready(Some(Ok(message)));
                    }
                    if let Phase::Open = self.phase
                        && let Err(error) = ready!(self.poll_input(cx))
                    {
                        return self.end(error);
                    }
                }
                Phase::Closing { failure, .. } => {
                    ready!(self.poll_closing(cx));
                    return self.end(failure.map(Error::Protocol));
                }
                Phase::Ended => return Poll::Ready(None),
            }
        }
    }

    fn end(&mut self, error: Option<Error>) -> Poll<Option<Result<Message, Error>>> {
        self.phase = Phase::Ended;
        self.input = BytesMut::new();
        self.output = Vec::new();
        self.written = 0;
        Poll::Ready(error.map(Err))
    }

    /// Takes the next message out of what has been read; `None` when that is used up or the phase has changed.
    fn take_message(&mut self) -> Option<Message> {
        while !self.input.is_empty() {
            let progress = match self.connection.handle_read(&mut self.input) {
                Ok(progress) => progress,
                Err(error) => {
                    self.phase = Phase::Closing { failure: Some(error), shut_down: false };
                    return None;
                }
            };
            let consumed = progress.consumed;
            let message = match progress.event {
                Some(Event::Text(text)) => Some(Message::Text(text.to_owned())),
                Some(Event::Binary(data)) => Some(Message::Binary(Bytes::copy_from_slice(data))),
                Some(Event::Close(frame)) => {
                    self.close_frame = frame;
                    self.phase = Phase::Closing { failure: None, shut_down: false };
                    return None;
                }
                Some(Event::Ping(_) | Event::Pong(_)) | None => None,
            };
            self.input.advance(consumed);
            if message.is_some() {
                return message;
            }
        }
        None
    }

    /// Reads once. What is owed for what was read before goes out first, as far as it goes: a peer that does not read does
    /// not keep us from reading.
    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Option<Error>>> {
        if let Poll::Ready(Err(error)) = self.poll_written(cx) {
            return Poll::Ready(Err(Some(Error::Io(error))));
        }
        match self.poll_fill(cx) {
            Poll::Pending => {
                self.input = BytesMut::new();
                if self.output.is_empty() {
                    self.output = Vec::new();
                }
                Poll::Pending
            }
            // RFC 6455 §7.1.5 calls it abnormal (1006), but who has said that it closes got what it wanted.
            Poll::Ready(Ok(0)) => Poll::Ready(Err((!self.connection.close_sent()).then_some(Error::Disconnected))),
            Poll::Ready(Ok(_)) => Poll::Ready(Ok(())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(Some(Error::Io(error)))),
        }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.input.reserve(READ_BYTES);
        // A read holds no state between polls, so that a new one for each poll loses nothing.
        pin!(self.io.read_buf(&mut self.input)).poll(cx)
    }

    /// Writes our close frame, ends our direction, and reads and forgets until the peer has ended its own: hanging up while
    /// it still sends could destroy our close frame on its way.
    fn poll_closing(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            self.input.clear();
            match self.poll_fill(cx) {
                Poll::Ready(Ok(count)) if count > 0 => {}
                Poll::Ready(_) => {
                    // RFC 6455 §7.1.1: the server ends first, so a client has waited for this.
                    let _ = ready!(self.poll_hang_up(cx));
                    return Poll::Ready(());
                }
                Poll::Pending => {
                    let ends_first = self.connection.role() == Role::Server || self.is_failed();
                    let written = if ends_first { self.poll_hang_up(cx) } else { self.poll_written(cx) };
                    return match written {
                        Poll::Ready(Err(_)) => Poll::Ready(()),
                        Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
                    };
                }
            }
        }
    }

    fn is_failed(&self) -> bool {
        matches!(self.phase, Phase::Closing { failure: Some(_), .. })
    }

    fn poll_hang_up(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_written(cx))?;
        if let Phase::Closing { shut_down: shut_down @ false, .. } = &mut self.phase {
            ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
            *shut_down = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what is encoded, then what the connection owes, until both are empty.
    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            while let Some(unsent @ [_, ..]) = self.output.get(self.written..) {
                match ready!(Pin::new(&mut self.io).poll_write(cx, unsent))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    count => self.written = self.written.saturating_add(count),
                }
                self.unflushed = true;
            }
            self.output.clear();
            self.written = 0;
            if !self.connection.poll_output(rand::random, &mut self.output) {
                break;
            }
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn append(&mut self, opcode: Opcode, payload: &[u8]) {
        #[cfg(feature = "deflate")]
        if let Some(agreed) = self.connection.deflate() {
            let (role, mask) = (self.connection.role(), self.mask());
            let bits = agreed.window_bits(role);
            if encode_deflated(role, opcode, payload, mask, bits, &self.deflate, &mut self.output) {
                return;
            }
        }
        self.append_uncompressed(opcode, payload);
    }

    fn append_uncompressed(&mut self, opcode: Opcode, payload: &[u8]) {
        encode(self.connection.role(), opcode, true, payload, self.mask(), &mut self.output);
    }

    /// A server's frames have none.
    fn mask(&self) -> [u8; 4] {
        if self.connection.role() == Role::Client { rand::random() } else { [0; 4] }
    }
}

impl<S> fmt::Debug for WebSocketStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketStream")
            .field("role", &self.connection.role())
            .field("close_frame", &self.close_frame)
            .finish_non_exhaustive()
    }
}
