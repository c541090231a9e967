//! A session's WebSocket: bytes from the stream to messages, packets to one write. RFC 6455 itself is `patera-websocket`.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::mem;
use std::ops::ControlFlow;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use patera_protocol::engineio::{Packet, Transport, Version};
use patera_websocket as ws;
use patera_websocket::{CloseCode, Event, Opcode, Role};

use super::batch::ReadBuffer;
use super::outlet::Form;
use super::{Batch, Leftover, Outlet, Stream};
use crate::config::{Config, READ_BYTES_MAX};
use crate::core::EngineDialect;
use crate::prepared::Prepared;

/// What is spoken over the WebSocket.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Engine.IO packets; with `base64` bytes go out as text, for clients that asked for it with `b64=1`.
    Engine { base64: bool },
    /// The same in revision 3, where binary frames begin with a type.
    EngineV3 { base64: bool },
    /// Messages of a plain WebSocket; `raw` without the subprotocol `patera.json`.
    Native { raw: bool },
}

impl From<EngineDialect> for Dialect {
    fn from(EngineDialect { version, base64, .. }: EngineDialect) -> Self {
        match version {
            Version::V4 => Dialect::Engine { base64 },
            _ => Dialect::EngineV3 { base64 },
        }
    }
}

/// Idle it owns no buffer: reading borrows the thread's, and `unread` and `unsent` are empty.
pub(crate) struct WebSocketLink {
    stream: Stream,
    connection: ws::Connection,
    /// WebSocket, or what is made to look like one.
    transport: Transport,
    pub(crate) dialect: Dialect,
    /// Read but not handled: what hyper had read, or what a turn left. Never empty; rare, so boxed.
    unread: Option<Box<Unread>>,
    /// Taken from the outbox but not written; rare, so boxed.
    unsent: Option<Box<Unsent>>,
    /// What counts in the outbox until `unsent` is written.
    in_flight: usize,
    unflushed: bool,
}

/// Handled where it lies, from `at` on, so that a client which is read an event at a time does not have the rest copied for each.
struct Unread {
    data: Vec<u8>,
    at: usize,
}

/// Never empty.
struct Unsent {
    queue: VecDeque<Bytes>,
    /// Since when the peer takes nothing.
    stalled_since: Option<Instant>,
}

/// Why reading ended.
pub(crate) enum ReadEnd {
    /// The stream ended or broke, which is the same to the official server: `transport close`.
    Gone,
    /// A close frame came; ours is owed.
    Closed(Option<ws::CloseFrame>),
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
            transport: Transport::WebSocket,
            dialect,
            unread: (!unread.is_empty()).then(|| Box::new(Unread { data: unread.into(), at: 0 })),
            unsent: None,
            in_flight: 0,
            unflushed: false,
        }
    }

    /// A stream of another transport, whose frames are translated below.
    #[cfg(feature = "webtransport")]
    pub(crate) fn translated(stream: Stream, transport: Transport, dialect: Dialect, config: &Config) -> Self {
        WebSocketLink { transport, ..WebSocketLink::new(stream, Bytes::new(), dialect, config) }
    }

    pub(crate) fn transport(&self) -> Transport {
        self.transport
    }

    /// With what the handshake agreed on.
    pub(crate) fn with_extensions(self, extensions: &ws::Extensions) -> Self {
        WebSocketLink { connection: self.connection.with_extensions(extensions), ..self }
    }

    /// Reads once and hands each event to `on_event`, until it breaks or `budget` events are handled. What is then left is kept.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        budget: &mut usize,
        on_event: impl FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Poll<Result<(), ReadEnd>> {
        if let Some(mut unread) = self.unread.take() {
            unread.at += handle_read(&mut self.connection, &mut unread.data[unread.at..], budget, on_event)?;
            self.unread = (unread.at < unread.data.len()).then_some(unread);
            return Poll::Ready(Ok(()));
        }
        let mut buffer = ReadBuffer::take();
        let count = match ready!(self.stream.poll_read(cx, &mut buffer)) {
            Ok(0) | Err(_) => return Poll::Ready(Err(ReadEnd::Gone)),
            Ok(count) => count,
        };
        let at = handle_read(&mut self.connection, &mut buffer[..count], budget, on_event)?;
        if at < count {
            self.unread = Some(Box::new(Unread { data: buffer[at..count].to_vec(), at: 0 }));
        }
        Poll::Ready(Ok(()))
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
    pub(crate) fn close(&mut self, code: CloseCode, reason: &str) {
        self.connection.close(code, reason);
    }

    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.stream.poll_shutdown(cx).map(|_| ())
    }

    /// Whether the peer has taken all that was written.
    pub(crate) fn is_writable(&self) -> bool {
        self.unsent.is_none() && !self.unflushed
    }

    /// Since when the peer takes nothing, though something waits.
    pub(crate) fn stalled_since(&self) -> Option<Instant> {
        self.unsent.as_ref()?.stalled_since
    }

    /// Writes what waits here, then what `fill` adds to the batch. `fill` is told how many bytes of what it added before
    /// are written now, and returns how many those it adds count.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        fill: impl FnOnce(&mut Self, &mut Batch, usize) -> usize,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_unsent(cx, now))?;
        let written = mem::take(&mut self.in_flight);
        let mut batch = Batch::take();
        self.connection.poll_output(|| [0; 4], batch.buffer());
        self.in_flight = fill(self, &mut batch, written);
        if !batch.is_empty() {
            self.unflushed = true;
            let done = match batch.as_small() {
                None => 0,
                Some(small) => match self.stream.poll_write(cx, small) {
                    Poll::Ready(count) => count?,
                    Poll::Pending => 0,
                },
            };
            if batch.as_small().is_none_or(|small| done < small.len()) {
                self.unsent = Some(Box::new(Unsent { queue: batch.into_queue(done), stalled_since: None }));
                ready!(self.poll_unsent(cx, now))?;
            }
        }
        self.poll_flush(cx)
    }

    /// What `fill` added last: written, but not given back yet.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Bytes to give back to the outbox: all that was taken is written.
    pub(crate) fn take_written(&mut self) -> usize {
        if self.unsent.is_none() { mem::take(&mut self.in_flight) } else { 0 }
    }

    fn poll_unsent(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<io::Result<()>> {
        while let Some(unsent) = &mut self.unsent {
            let mut slices = [IoSlice::new(&[]); 16];
            for (slice, data) in slices.iter_mut().zip(&unsent.queue) {
                *slice = IoSlice::new(data);
            }
            let filled = unsent.queue.len().min(slices.len());
            match self.stream.poll_write_vectored(cx, &slices[..filled]) {
                Poll::Ready(Ok(0)) => {
                    self.unsent = None;
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                Poll::Ready(Ok(count)) => {
                    if unsent.advance(count) {
                        self.unsent = None;
                    }
                }
                Poll::Ready(Err(error)) => {
                    // Nobody gets it any more, and a session that flushes is done.
                    self.unsent = None;
                    return Poll::Ready(Err(error));
                }
                Poll::Pending => {
                    unsent.stalled_since.get_or_insert(now);
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.unflushed {
            ready!(self.stream.poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Adds a packet of the application in this link's dialect.
    #[inline]
    pub(crate) fn write(&self, prepared: &Prepared, config: &Config, batch: &mut Batch) {
        self.form().write(prepared, config, batch);
    }

    fn form(&self) -> Form {
        Form {
            dialect: self.dialect,
            window_bits: self.connection.deflate().map(|agreed| agreed.window_bits(Role::Server)),
        }
    }

    /// Lends the way out to the outbox; `None` where others cannot write.
    pub(crate) fn lend_outlet(&mut self) -> Option<Outlet> {
        let form = self.form();
        match &mut self.stream {
            Stream::Tcp(_, write) => write.take().map(|stream| Outlet { stream, form }),
            Stream::Other(_) => None,
        }
    }

    /// Takes back what was lent.
    pub(crate) fn take_back(&mut self, outlet: Outlet) {
        if let Stream::Tcp(_, write) = &mut self.stream {
            *write = Some(outlet.stream);
        }
    }

    /// Puts in front of everything what others have not written to the end.
    pub(crate) fn take_over(&mut self, rest: Leftover) {
        self.in_flight += rest.bytes;
        rest.queue.into_iter().for_each(|data| self.owe(data));
    }

    /// Adds a packet of the Engine.IO session itself.
    pub(crate) fn write_control(&mut self, packet: &Packet<'_>, batch: &mut Batch) {
        match (self.dialect, packet) {
            // The peer is told by the close frame; official servers send no packet `1` here either.
            (_, Packet::Close) => {}
            (Dialect::Engine { .. } | Dialect::EngineV3 { .. }, packet) => {
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

    /// Puts a message behind the open packet.
    pub(crate) fn owe_message(&mut self, prepared: &Prepared, config: &Config) {
        let mut batch = Batch::take();
        self.write(prepared, config, &mut batch);
        batch.into_queue(0).into_iter().for_each(|frame| self.owe(frame));
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
        let empty = || Box::new(Unsent { queue: VecDeque::new(), stalled_since: None });
        self.unsent.get_or_insert_with(empty).queue.push_back(frame);
        self.unflushed = true;
    }

    /// Whether our close frame is written or about to be.
    pub(crate) fn is_closing(&self) -> bool {
        self.connection.close_sent()
    }
}

/// Hands the events of what was read to `on_event`; how many bytes are done.
fn handle_read(
    connection: &mut ws::Connection,
    data: &mut [u8],
    budget: &mut usize,
    mut on_event: impl FnMut(Event<'_>) -> ControlFlow<()>,
) -> Result<usize, ReadEnd> {
    let mut at = 0;
    let mut flow = ControlFlow::Continue(());
    while at < data.len() && *budget > 0 && flow.is_continue() {
        let progress = connection.handle_read(&mut data[at..]).map_err(ReadEnd::Protocol)?;
        at += progress.consumed;
        match progress.event {
            Some(Event::Close(frame)) => return Err(ReadEnd::Closed(frame)),
            Some(event) => {
                *budget = budget.saturating_sub(cost(&event));
                flow = on_event(event);
            }
            None => {}
        }
    }
    Ok(at)
}

/// What an event takes of a turn. One, and as much again for each read buffer's worth of bytes: a compressed message may be a
/// thousand times what was read, and as much work.
fn cost(event: &Event<'_>) -> usize {
    let bytes = match event {
        Event::Text(text) => text.len(),
        Event::Binary(data) => data.len(),
        _ => 0,
    };
    1 + bytes / READ_BYTES_MAX
}

impl Unsent {
    /// `count` bytes are written; true if those were all.
    fn advance(&mut self, mut count: usize) -> bool {
        self.stalled_since = None;
        while let Some(front) = self.queue.front_mut() {
            if count < front.len() {
                *front = front.split_off(count);
                return false;
            }
            count -= front.len();
            self.queue.pop_front();
        }
        true
    }
}
