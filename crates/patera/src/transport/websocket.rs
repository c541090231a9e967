//! A session's WebSocket: bytes from the stream to messages, packets to one write. RFC 6455 itself is `patera-websocket`.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::ops::ControlFlow;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use patera_protocol::engineio::Packet;
use patera_websocket as ws;
use patera_websocket::{CloseCode, Event, Opcode, Role};

use super::batch::ReadBuffer;
use super::{Batch, Stream};
use crate::config::Config;
use crate::prepared::Prepared;

/// What is spoken over the WebSocket.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Engine.IO packets.
    Engine,
    /// Messages of a plain WebSocket; `raw` without the subprotocol `patera.json`.
    Native { raw: bool },
}

/// Idle it owns no buffer: reading borrows the thread's, and `unread` and `unsent` are empty.
pub(crate) struct WebSocketLink {
    stream: Stream,
    connection: ws::Connection,
    pub(crate) dialect: Dialect,
    /// Read but not handled: what hyper had read, or what a turn left.
    unread: Bytes,
    /// Taken from the outbox but not written.
    unsent: VecDeque<Bytes>,
    /// What counts in the outbox until `unsent` is written.
    in_flight: usize,
    /// Since when the peer takes nothing.
    pub(crate) stalled_since: Option<Instant>,
    unflushed: bool,
}

/// Why reading ended.
pub(crate) enum ReadEnd {
    /// The stream ended or broke.
    Gone { error: bool },
    /// A close frame came; ours is owed.
    Closed,
    /// The peer broke RFC 6455; a close frame is owed.
    Protocol(ws::Error),
}

impl WebSocketLink {
    pub(crate) fn new(stream: Stream, unread: Bytes, dialect: Dialect, config: &Config) -> Self {
        let mut limits = ws::Config::default();
        limits.frame_bytes_max = config.max_http_buffer_size;
        limits.message_bytes_max = config.max_http_buffer_size;
        limits.fragments_max = config.fragments_max;
        WebSocketLink {
            stream,
            connection: ws::Connection::new(Role::Server, limits),
            dialect,
            unread,
            unsent: VecDeque::new(),
            in_flight: 0,
            stalled_since: None,
            unflushed: false,
        }
    }

    /// Reads once and hands each event to `on_event`, until it breaks or `budget` events are handled. What is then left is kept.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        budget: &mut usize,
        mut on_event: impl FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Poll<Result<(), ReadEnd>> {
        let mut buffer = ReadBuffer::take();
        let count = if self.unread.is_empty() {
            match ready!(self.stream.poll_read(cx, &mut buffer)) {
                Ok(0) => return Poll::Ready(Err(ReadEnd::Gone { error: false })),
                Ok(count) => count,
                Err(_) => return Poll::Ready(Err(ReadEnd::Gone { error: true })),
            }
        } else {
            let count = self.unread.len().min(buffer.len());
            buffer[..count].copy_from_slice(&self.unread.split_to(count));
            count
        };
        let mut at = 0;
        let mut flow = ControlFlow::Continue(());
        while at < count {
            if *budget == 0 || flow.is_break() {
                self.keep_unread(&buffer[at..count]);
                break;
            }
            let progress = self.connection.handle_read(&mut buffer[at..count]).map_err(ReadEnd::Protocol)?;
            at += progress.consumed;
            match progress.event {
                Some(Event::Close(_)) => return Poll::Ready(Err(ReadEnd::Closed)),
                Some(event) => {
                    *budget -= 1;
                    flow = on_event(event);
                }
                None => {}
            }
        }
        Poll::Ready(Ok(()))
    }

    fn keep_unread(&mut self, rest: &[u8]) {
        self.unread =
            if self.unread.is_empty() { Bytes::copy_from_slice(rest) } else { [rest, &self.unread].concat().into() };
    }

    /// Reads and forgets, until the peer has closed: so that it sees our close frame and not a reset.
    pub(crate) fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut buffer = ReadBuffer::take();
        loop {
            match ready!(self.stream.poll_read(cx, &mut buffer)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(_) => {}
            }
        }
    }

    /// Starts the closing handshake: the frame goes out behind what waits.
    pub(crate) fn close(&mut self, code: CloseCode) {
        self.connection.close(code, "");
    }

    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.stream.poll_shutdown(cx).map(|_| ())
    }

    /// Whether the peer has taken all that was written.
    pub(crate) fn is_writable(&self) -> bool {
        self.unsent.is_empty()
    }

    /// Writes until nothing is left: what waits here, then what `fill` adds to the batch. `fill` returns the bytes to
    /// give back to the outbox when they are written, and `written` gives them back.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        mut fill: impl FnMut(&mut Self, &mut Batch) -> usize,
        mut written: impl FnMut(usize),
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_unsent(cx, now))?;
            if self.in_flight > 0 {
                written(self.in_flight);
                self.in_flight = 0;
            }
            let mut batch = Batch::take();
            self.connection.poll_output(|| [0; 4], batch.buffer());
            self.in_flight = fill(self, &mut batch);
            if batch.is_empty() {
                return self.poll_flush(cx);
            }
            self.unflushed = true;
            let done = match batch.as_small() {
                None => 0,
                Some(small) => match self.stream.poll_write(cx, small) {
                    Poll::Ready(count) => count?,
                    Poll::Pending => 0,
                },
            };
            if batch.as_small().is_none_or(|small| done < small.len()) {
                self.unsent = batch.into_queue(done);
            }
        }
    }

    fn poll_unsent(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            let mut slices = [IoSlice::new(&[]); 16];
            for (slice, data) in slices.iter_mut().zip(&self.unsent) {
                *slice = IoSlice::new(data);
            }
            let filled = self.unsent.len().min(slices.len());
            match self.stream.poll_write_vectored(cx, &slices[..filled]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => self.advance(count),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.stalled_since.get_or_insert(now);
                    return Poll::Pending;
                }
            }
        }
        self.stalled_since = None;
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, mut count: usize) {
        self.stalled_since = None;
        while let Some(front) = self.unsent.front_mut() {
            if count < front.len() {
                *front = front.split_off(count);
                return;
            }
            count -= front.len();
            self.unsent.pop_front();
        }
        // A burst's queue must not stay as memory for ever.
        self.unsent = VecDeque::new();
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.unflushed {
            ready!(self.stream.poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Adds a packet of the application in this link's dialect.
    pub(crate) fn write(&self, prepared: &Prepared, batch: &mut Batch) {
        match self.dialect {
            Dialect::Engine => prepared.write_frames(batch),
            Dialect::Native { raw } => prepared.write_native(raw, batch),
        }
    }

    /// Adds a packet of the Engine.IO session itself.
    pub(crate) fn write_control(&mut self, packet: &Packet<'_>, batch: &mut Batch) {
        match (self.dialect, packet) {
            // The peer is told by the close frame; official servers send no packet `1` here either.
            (_, Packet::Close) => {}
            (Dialect::Engine, packet) => {
                let mut text = Vec::with_capacity(8);
                packet.encode_text(&mut text);
                batch.copy(&ws::server_frame(Opcode::Text, &text));
            }
            (Dialect::Native { .. }, Packet::Ping(_)) => batch.copy(&ws::server_header(Opcode::Ping, 0)),
            (Dialect::Native { .. }, _) => {}
        }
    }

    /// Puts the Engine.IO open packet in front of everything.
    pub(crate) fn owe_open(&mut self, packet: &str) {
        self.owe(ws::server_frame(Opcode::Text, packet.as_bytes()));
    }

    /// Puts packets of the Engine.IO session in front of what is not written yet.
    pub(crate) fn owe_control(&mut self, packets: Vec<Packet<'_>>) {
        for packet in packets {
            let mut batch = Batch::take();
            self.write_control(&packet, &mut batch);
            batch.into_queue(0).into_iter().for_each(|frame| self.owe(frame));
        }
    }

    fn owe(&mut self, frame: Bytes) {
        self.unsent.push_back(frame);
        self.unflushed = true;
    }

    /// Whether our close frame is written or about to be.
    pub(crate) fn is_closing(&self) -> bool {
        self.connection.close_sent()
    }
}
