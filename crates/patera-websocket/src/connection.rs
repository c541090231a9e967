//! The machine of one connection: bytes to messages, answers to pings, the closing handshake. RFC 6455 §5 to §7.
//!
//! Writing messages is not its affair: a frame is made by [`encode`] or, once for many, by
//! [`server_frame`](crate::server_frame).

use std::fmt;
use std::ops::Range;

use crate::assembler::Assembler;
use crate::close::{self, CloseCode};
use crate::config::Config;
use crate::error::{Error, Limit, Violation};
use crate::event::{Event, Progress};
use crate::frame::{Opcode, Role, encode};
#[cfg(feature = "deflate")]
use crate::handshake::Deflate;
use crate::handshake::Extensions;
use crate::header::{Header, HeaderBuffer};
use crate::inline::ControlPayload;
use crate::mask;

/// One side of a WebSocket, after the handshake.
///
/// ```text
///        ┌────────── close(), an error, or the peer's close frame ──────────┐
///        │                                                                  ▼
///      Open ─────────────────────────────────────────────────────────▶ close owed ── poll_output ──▶ close sent
///
///   reading goes on until the peer's close frame or an error; what comes behind those is ignored
/// ```
///
/// Between messages it owns no heap memory. It is used by one task at a time: every method takes `&mut self`.
///
/// # Examples
/// ```
/// # use patera_websocket::{Config, Connection, Event, Opcode, Role, encode};
/// # let mut client = |opcode, payload: &[u8], out: &mut Vec<u8>| encode(Role::Client, opcode, true, payload, [1; 4], out);
/// # let mut input = Vec::new();
/// # client(Opcode::Ping, b"?", &mut input);
/// # client(Opcode::Text, b"hello", &mut input);
/// let mut connection = Connection::new(Role::Server, Config::default());
/// // `input` is what one read brought: here a ping and a message.
/// let mut at = 0;
/// while at < input.len() {
///     let progress = connection.handle_read(&mut input[at..])?;
///     at += progress.consumed;
///     match progress.event {
///         Some(Event::Text(text)) => assert_eq!(text, "hello"),
///         Some(Event::Ping(_)) => {}                                       // its pong comes out below
///         _ => {}
///     }
/// }
/// let mut output = Vec::new();
/// connection.poll_output(|| unreachable!("a server does not mask"), &mut output);
/// assert_eq!(output, b"\x8a\x01?");
/// # Ok::<(), patera_websocket::Error>(())
/// ```
pub struct Connection {
    limits: Limits,
    role: Role,
    #[cfg(feature = "deflate")]
    deflate: Option<Deflate>,
    close_sent: bool,
    close_received: bool,
    failed: bool,
    delivered: Delivered,
    header: HeaderBuffer,
    frame: Option<Frame>,
    message: Option<Box<Assembler>>,
    /// A control frame that did not arrive whole.
    control: Option<Box<ControlPayload>>,
    /// The newest ping that is not answered.
    pong: Option<Box<ControlPayload>>,
    /// Our own close frame, while it is owed.
    close: Option<Box<ControlPayload>>,
}

/// What the last event lent out: it is freed at the next call.
enum Delivered {
    Nothing,
    Message,
    Control,
}

/// A frame whose header has been read.
struct Frame {
    opcode: Opcode,
    fin: bool,
    /// It begins a compressed message.
    #[cfg(feature = "deflate")]
    compressed: bool,
    /// Turned so that its first byte is for the next byte of the payload.
    mask: [u8; 4],
    /// Bytes of the payload to come.
    missing: usize,
}

#[cfg(feature = "deflate")]
impl Frame {
    fn is_compressed(&self) -> bool {
        self.compressed
    }

    /// For the message that this frame begins.
    fn assembler(&self) -> Assembler {
        if self.compressed { Assembler::inflating(self.opcode) } else { Assembler::new(self.opcode) }
    }
}

#[cfg(not(feature = "deflate"))]
impl Frame {
    fn is_compressed(&self) -> bool {
        false
    }

    fn assembler(&self) -> Assembler {
        Assembler::new(self.opcode)
    }
}

/// Where a complete message or control payload lies.
enum Ready {
    /// In the input: it came whole.
    Whole(Opcode, Range<usize>),
    /// In the assembler.
    Assembled,
    /// In `control`: it came in pieces.
    PiecedControl(Opcode),
}

impl Connection {
    /// A connection behind its handshake.
    pub fn new(role: Role, config: Config) -> Connection {
        Connection {
            limits: config.into(),
            role,
            #[cfg(feature = "deflate")]
            deflate: None,
            close_sent: false,
            close_received: false,
            failed: false,
            delivered: Delivered::Nothing,
            header: HeaderBuffer::default(),
            frame: None,
            message: None,
            control: None,
            pong: None,
            close: None,
        }
    }

    /// The same with what the handshake agreed on. Before the first byte of the peer is handed over.
    ///
    /// # Examples
    /// ```
    /// # #[cfg(feature = "deflate")] {
    /// use patera_websocket::{
    ///     AcceptOptions, Config, Connection, DeflateConfig, Opcode, Role, accept, deflated_server_frame, server_frame,
    /// };
    ///
    /// let config = DeflateConfig::default();
    /// let mut options = AcceptOptions::default();
    /// options.deflate = Some(config);
    /// # let request = http::Request::get("/").header("Upgrade", "websocket").header("Connection", "Upgrade")
    /// #     .header("Sec-WebSocket-Version", "13").header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
    /// #     .header("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits").body(()).unwrap();
    /// let accepted = accept(&request, &options)?;                   // its response has the answer to the client's offer
    /// let connection = Connection::new(Role::Server, Config::default()).with_extensions(&accepted.extensions);
    ///
    /// let text = "la ".repeat(1000);
    /// let deflated = connection
    ///     .deflate()
    ///     .and_then(|agreed| deflated_server_frame(Opcode::Text, text.as_bytes(), agreed.window_bits(Role::Server), &config));
    /// let frame = deflated.unwrap_or_else(|| server_frame(Opcode::Text, text.as_bytes()));
    /// assert!(frame.len() < 50);
    /// # }
    /// # Ok::<(), patera_websocket::Refusal>(())
    /// ```
    pub fn with_extensions(self, extensions: &Extensions) -> Connection {
        #[cfg(feature = "deflate")]
        return Connection { deflate: extensions.deflate, ..self };
        #[cfg(not(feature = "deflate"))]
        {
            // There are none.
            let Extensions {} = extensions;
            self
        }
    }

    /// Takes bytes from the peer, until one event is complete or all of `input` is used: then nothing of it need be kept.
    /// Call again with the rest, `input[progress.consumed..]`, while there is any, then [`poll_output`](Self::poll_output).
    ///
    /// Payloads are unmasked in place, and a message that lies whole in `input` is returned as a slice of it. Behind the
    /// peer's close frame, or behind an error, input is used and ignored.
    ///
    /// # Errors
    /// What the peer did wrong. The close frame that says so is owed, and the connection is of no further use: write that
    /// frame and hang up.
    pub fn handle_read<'a>(&'a mut self, input: &'a mut [u8]) -> Result<Progress<'a>, Error> {
        self.forget_delivered();
        if self.failed || self.close_received {
            return Ok(Progress { consumed: input.len(), event: None });
        }
        let (consumed, ready) = match self.advance(input) {
            Ok(step) => step,
            Err(error) => return Err(self.fail(error)),
        };
        let event = match ready {
            None => None,
            Some(Ready::Whole(opcode, range)) => match whole_event(opcode, input.get(range).unwrap_or_default()) {
                Ok(event) => {
                    self.note(&event);
                    Some(event)
                }
                Err(error) => return Err(self.fail(error)),
            },
            Some(Ready::Assembled) => {
                self.delivered = Delivered::Message;
                self.message.as_deref().map(Assembler::event)
            }
            Some(Ready::PiecedControl(opcode)) => {
                let payload = self.control.take().unwrap_or_default();
                match whole_event(opcode, &payload) {
                    Ok(event) => self.note(&event),
                    Err(error) => return Err(self.fail(error)),
                }
                self.delivered = Delivered::Control;
                whole_event(opcode, self.control.insert(payload)).ok()
            }
        };
        Ok(Progress { consumed, event })
    }

    /// Appends the control frames that this side owes, and tells whether there were any: the pong for the newest ping (older
    /// ones may go unanswered, §5.5.3), and behind it the close frame. `mask` is asked for four unpredictable bytes per frame
    /// by a client, never by a server. Call it after reading and before hanging up.
    pub fn poll_output(&mut self, mut mask: impl FnMut() -> [u8; 4], out: &mut Vec<u8>) -> bool {
        self.forget_delivered();
        let before = out.len();
        let role = self.role;
        let mut append = |opcode, payload: &[u8]| {
            let mask = if role == Role::Client { mask() } else { [0; 4] };
            encode(role, opcode, true, payload, mask, out);
        };
        if let Some(pong) = self.pong.take() {
            append(Opcode::Pong, &pong);
        }
        if let Some(close) = self.close.take() {
            append(Opcode::Close, &close);
            self.close_sent = true;
        }
        out.len() > before
    }

    /// Starts the closing handshake: the frame comes from [`poll_output`](Self::poll_output), and no message may be sent
    /// behind it. Messages of the peer still come, until its own close frame. Of `reason` as many characters are sent as
    /// fit in 123 bytes. If a close frame is owed or sent already, nothing happens.
    pub fn close(&mut self, code: CloseCode, reason: &str) {
        if !self.is_closing() {
            self.close = Some(Box::new(close::payload(code, reason)));
        }
    }

    /// Whether nothing is half read and nothing owed: it owns no heap memory.
    pub fn is_idle(&self) -> bool {
        let owed = self.pong.is_some() || self.close.is_some();
        let reading =
            self.frame.is_some() || self.message.is_some() || self.control.is_some() || !self.header.is_empty();
        !owed && !reading
    }

    /// Whether both close frames are exchanged: the server then closes the TCP connection first (§7.1.1).
    pub fn is_closed(&self) -> bool {
        self.close_sent() && self.close_received
    }

    /// Whether [`poll_output`](Self::poll_output) has given out our close frame.
    pub fn close_sent(&self) -> bool {
        self.close_sent
    }

    /// Whether the peer's close frame has come.
    pub fn close_received(&self) -> bool {
        self.close_received
    }

    /// Which side this is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// permessage-deflate as it was agreed on. What the peer compresses is inflated here; compressing is the caller's affair,
    /// with [`encode_deflated`](crate::encode_deflated) or [`deflated_server_frame`](crate::deflated_server_frame).
    #[cfg(feature = "deflate")]
    #[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
    pub fn deflate(&self) -> Option<Deflate> {
        self.deflate
    }

    /// Uses input up to the end of a message or control frame, or all of it.
    fn advance(&mut self, input: &mut [u8]) -> Result<(usize, Option<Ready>), Error> {
        let from = match self.role {
            Role::Server => Role::Client,
            Role::Client => Role::Server,
        };
        let mut at = 0;
        loop {
            let mut frame = match self.frame.take() {
                Some(frame) => frame,
                None => {
                    let (used, header) =
                        self.header.read(input.get(at..).unwrap_or_default(), from).map_err(Error::Protocol)?;
                    at = at.saturating_add(used);
                    match header {
                        Some(header) => self.begin_frame(&header)?,
                        None => return Ok((at, None)),
                    }
                }
            };
            let here = frame.missing.min(input.len().saturating_sub(at));
            let range = at..at.saturating_add(here);
            at = range.end;
            frame.missing = frame.missing.saturating_sub(here);
            if from == Role::Client {
                frame.mask = mask::apply(input.get_mut(range.clone()).unwrap_or_default(), frame.mask);
            }
            let ready = self.take_payload(&frame, input, range)?;
            if frame.missing > 0 {
                self.frame = Some(frame);
                return Ok((at, None));
            }
            if ready.is_some() {
                return Ok((at, ready));
            }
        }
    }

    /// Checks what a header says against the frames before it and the limits.
    fn begin_frame(&mut self, header: &Header) -> Result<Frame, Error> {
        // RFC 6455 §5.2: without an extension the bit must be 0. RFC 7692 §6: on the first frame of a message it means that
        // the message is compressed, on any other it must still be 0.
        if header.rsv1 && !self.may_be_compressed(header.opcode) {
            return Err(Error::Protocol(Violation::ReservedBit));
        }
        match (header.opcode, &mut self.message) {
            (Opcode::Continuation, None) => return Err(Error::Protocol(Violation::UnexpectedContinuation)),
            (Opcode::Text | Opcode::Binary, Some(_)) => return Err(Error::Protocol(Violation::ExpectedContinuation)),
            (Opcode::Continuation, Some(message)) => {
                message.fragments = message.fragments.saturating_add(1);
                check_limits(&self.limits, header, message.received(), message.fragments)?;
            }
            (Opcode::Text | Opcode::Binary, None) => check_limits(&self.limits, header, 0, 1)?,
            (Opcode::Close | Opcode::Ping | Opcode::Pong, _) => {}
        }
        Ok(Frame {
            opcode: header.opcode,
            fin: header.fin,
            #[cfg(feature = "deflate")]
            compressed: header.rsv1,
            mask: header.mask,
            missing: header.payload_len as usize,
        })
    }

    #[cfg(feature = "deflate")]
    fn may_be_compressed(&self, opcode: Opcode) -> bool {
        self.deflate.is_some() && matches!(opcode, Opcode::Text | Opcode::Binary)
    }

    #[cfg(not(feature = "deflate"))]
    fn may_be_compressed(&self, _: Opcode) -> bool {
        false
    }

    /// Takes a piece of a frame's payload, unmasked; `frame.missing` is what comes behind it.
    fn take_payload(&mut self, frame: &Frame, input: &[u8], range: Range<usize>) -> Result<Option<Ready>, Error> {
        let complete = frame.missing == 0;
        if !complete && range.is_empty() {
            // A header alone costs no memory.
            return Ok(None);
        }
        let piece = input.get(range.clone()).unwrap_or_default();
        if frame.opcode.is_control() {
            if complete && self.control.is_none() {
                return Ok(Some(Ready::Whole(frame.opcode, range)));
            }
            self.control.get_or_insert_default().extend(piece);
            return Ok(complete.then_some(Ready::PiecedControl(frame.opcode)));
        }
        if complete && frame.fin && self.message.is_none() && !frame.is_compressed() {
            return Ok(Some(Ready::Whole(frame.opcode, range)));
        }
        let message = self.message.get_or_insert_with(|| Box::new(frame.assembler()));
        message.push(piece, frame.fin.then_some(frame.missing), self.limits.message_bytes_max())?;
        if complete && frame.fin {
            message.finish()?;
            return Ok(Some(Ready::Assembled));
        }
        Ok(None)
    }

    /// Whether our close frame is owed or sent.
    fn is_closing(&self) -> bool {
        self.close_sent || self.close.is_some()
    }

    /// What an event means for this side.
    fn note(&mut self, event: &Event<'_>) {
        match event {
            Event::Text(_) | Event::Binary(_) | Event::Pong(_) => {}
            Event::Ping(payload) => {
                // RFC 6455 §5.5.1: nothing behind our close frame.
                if !self.is_closing() {
                    self.pong = Some(Box::new(ControlPayload::copy_of(payload)));
                }
            }
            Event::Close(frame) => {
                self.close_received = true;
                self.message = None;
                if !self.is_closing() {
                    let echo = frame.as_ref().map(|frame| close::payload(frame.code, ""));
                    self.close = Some(Box::new(echo.unwrap_or_default()));
                }
            }
        }
    }

    fn fail(&mut self, error: Error) -> Error {
        self.failed = true;
        self.header = HeaderBuffer::default();
        self.frame = None;
        self.message = None;
        self.control = None;
        self.close(error.close_code(), &error.to_string());
        error
    }

    /// Gives back the memory of the event that the last call returned.
    fn forget_delivered(&mut self) {
        match self.delivered {
            Delivered::Nothing => return,
            Delivered::Message => self.message = None,
            Delivered::Control => self.control = None,
        }
        self.delivered = Delivered::Nothing;
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("role", &self.role)
            .field("close_sent", &self.close_sent())
            .field("close_received", &self.close_received)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

fn whole_event(opcode: Opcode, payload: &[u8]) -> Result<Event<'_>, Error> {
    Ok(match opcode {
        Opcode::Text => Event::Text(simdutf8::basic::from_utf8(payload).map_err(|_| Error::InvalidUtf8)?),
        Opcode::Binary | Opcode::Continuation => Event::Binary(payload),
        Opcode::Close => Event::Close(close::parse(payload)?),
        Opcode::Ping => Event::Ping(payload),
        Opcode::Pong => Event::Pong(payload),
    })
}

/// A configuration in half the space: there is one in every connection. What does not fit is no limit.
#[derive(Clone, Copy)]
struct Limits {
    frame_bytes_max: u32,
    message_bytes_max: u32,
    fragments_max: u32,
}

impl From<Config> for Limits {
    fn from(config: Config) -> Self {
        let fit = |limit: usize| u32::try_from(limit).unwrap_or(u32::MAX);
        Limits {
            frame_bytes_max: fit(config.frame_bytes_max),
            message_bytes_max: fit(config.message_bytes_max),
            fragments_max: fit(config.fragments_max),
        }
    }
}

impl Limits {
    fn message_bytes_max(&self) -> usize {
        widen(self.message_bytes_max)
    }
}

fn widen(limit: u32) -> usize {
    if limit == u32::MAX { usize::MAX } else { limit as usize }
}

fn check_limits(limits: &Limits, header: &Header, before: usize, fragments: usize) -> Result<(), Error> {
    let check =
        |what, max: usize, got: u64| if got > max as u64 { Err(Error::Limit { what, max, got }) } else { Ok(()) };
    check(Limit::FrameBytes, widen(limits.frame_bytes_max), header.payload_len)?;
    check(Limit::MessageBytes, limits.message_bytes_max(), header.payload_len.saturating_add(before as u64))?;
    if fragments > 1 { check(Limit::Fragments, widen(limits.fragments_max), fragments as u64) } else { Ok(()) }
}
