//! A packet made once and shared by every session it goes to: its text, its attachments, its whole WebSocket frame.

use std::borrow::Cow;
use std::cell::Cell;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use bytes::{Buf as _, Bytes};
use patera_cluster::Encoded;
use patera_protocol::engineio::{Message, Packet, Version, payload};
use patera_protocol::parser::{self, OwnedMessage, Parser};
use patera_protocol::socketio::{EncodeError, encode};
use patera_websocket::{DeflateConfig, Opcode, SERVER_HEADER_BYTES_MAX, server_frame, server_header};

use crate::config::COPY_BYTES_MAX;
use crate::deflated::{Deflated, Frames};
use crate::native;
use crate::tasks::catch;
use crate::trace::trace;
use crate::transport::{Batch, Dialect};

/// ```text
/// buffer:  [ WebSocket header ][ '4' ][ Socket.IO packet ]
///                              ^ text_at
/// ```
/// One buffer serves both forms: a polling payload takes what follows `text_at`, a WebSocket all.
pub(crate) struct Prepared {
    buffer: Buffer,
    text_at: u8,
    kind: Kind,
    pub(crate) flags: Flags,
    attachments: Box<[Bytes]>,
    size: usize,
    /// What few audiences need, once one of those is there.
    rare: OnceLock<Box<Rare>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A message of Engine.IO, and no more than that.
    Message,
    /// A packet of Socket.IO, whose text may be written in other ways.
    Packet,
    /// A packet that clients of Socket.IO get as a parser has written it.
    Parsed,
}

/// Most packets are short, and stand in the packet's own allocation.
enum Buffer {
    Short { bytes: [u8; SHORT_BYTES_MAX], len: u8 },
    Long(Bytes),
}

const SHORT_BYTES_MAX: usize = 94;

impl Buffer {
    fn copy_of(bytes: &[u8]) -> Self {
        let mut short = [0; SHORT_BYTES_MAX];
        match (short.get_mut(..bytes.len()), u8::try_from(bytes.len())) {
            (Some(place), Ok(len)) => {
                place.copy_from_slice(bytes);
                Buffer::Short { bytes: short, len }
            }
            _ => Buffer::Long(Bytes::copy_from_slice(bytes)),
        }
    }

    fn write(&self, batch: &mut Batch) {
        match self {
            Buffer::Short { .. } => batch.copy(self),
            Buffer::Long(bytes) => batch.push(bytes),
        }
    }

    fn to_bytes(&self) -> Bytes {
        match self {
            Buffer::Short { .. } => Bytes::copy_from_slice(self),
            Buffer::Long(bytes) => bytes.clone(),
        }
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Buffer::Short { bytes, len } => &bytes[..usize::from(*len)],
            Buffer::Long(bytes) => bytes,
        }
    }
}

/// Other forms of a packet, each made once, when the first of those who need it is in the audience.
#[derive(Default)]
struct Rare {
    /// What a plain WebSocket gets instead.
    native: OnceLock<native::Forms>,
    /// What the polling of Engine.IO 3 gets instead, with the `4`; nothing if that is the same.
    ascii: OnceLock<Option<Box<[u8]>>>,
    /// What clients with permessage-deflate get instead, if the packet is long enough.
    deflated: OnceLock<Box<Deflated>>,
    /// What clients of Socket.IO get instead where there is a parser: messages that are nothing more than that. Made with the packet, and
    /// not when the first client is there: users write parsers, and packets are sent under locks.
    parsed: OnceLock<Box<[Arc<Prepared>]>>,
}

/// How a packet is to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flags {
    /// Dropped where the transport is not ready, never waited for.
    pub(crate) volatile: bool,
    /// Whether it may be compressed.
    pub(crate) compress: bool,
    /// A packet the client must get to stay in step: never dropped by `OutboxPolicy::DropNewest`.
    pub(crate) control: bool,
    /// Not to other servers of a cluster.
    pub(crate) local: bool,
}

impl Flags {
    /// Of CONNECT, CONNECT_ERROR and DISCONNECT.
    pub(crate) fn control() -> Self {
        Flags { control: true, ..Flags::default() }
    }
}

impl Default for Flags {
    fn default() -> Self {
        Flags { volatile: false, compress: true, control: false, local: false }
    }
}

/// Room in front of the text for the longest header.
const GAP: usize = SERVER_HEADER_BYTES_MAX;

thread_local! {
    /// Where packets are written before their length is known.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Prepared {
    /// A Socket.IO packet, for clients that speak `parser`; `encode` appends its text and returns its attachments.
    #[inline]
    pub(crate) fn packet(
        parser: Option<&dyn Parser>,
        flags: Flags,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<Vec<Bytes>, EncodeError>,
    ) -> Result<Arc<Self>, EncodeError> {
        let mut scratch = SCRATCH.take();
        scratch.clear();
        scratch.extend_from_slice(&[0; GAP]);
        scratch.push(b'4');
        let attachments = encode(&mut scratch)?;
        let (kind, rare) = match parser {
            None => (Kind::Packet, OnceLock::new()),
            Some(parser) => (Kind::Parsed, parse(parser, &scratch[GAP + 1..], &attachments, flags)),
        };
        Ok(Self::framed(scratch, kind, attachments, flags, rare))
    }

    /// What clients of Socket.IO get instead.
    #[inline]
    pub(crate) fn parsed(&self) -> Option<&[Arc<Prepared>]> {
        match self.kind {
            Kind::Message | Kind::Packet => None,
            Kind::Parsed => self.rare.get()?.parsed.get().map(|messages| &**messages),
        }
    }

    /// An Engine.IO text message.
    pub(crate) fn text(text: &str) -> Arc<Self> {
        Self::text_with(text, Flags::default())
    }

    fn text_with(text: &str, flags: Flags) -> Arc<Self> {
        let mut buffer = Vec::with_capacity(GAP + 1 + text.len());
        buffer.extend_from_slice(&[0; GAP]);
        buffer.push(b'4');
        buffer.extend_from_slice(text.as_bytes());
        Self::framed(buffer, Kind::Message, Vec::new(), flags, OnceLock::new())
    }

    /// An Engine.IO binary message.
    pub(crate) fn binary(data: Bytes) -> Arc<Self> {
        Self::binary_with(data, Flags::default())
    }

    fn binary_with(data: Bytes, flags: Flags) -> Arc<Self> {
        Arc::new(Prepared {
            buffer: Buffer::Long(Bytes::new()),
            text_at: 0,
            kind: Kind::Message,
            flags,
            size: data.len() + SERVER_HEADER_BYTES_MAX,
            attachments: Box::new([data]),
            rare: OnceLock::new(),
        })
    }

    /// `text`: behind a gap for the header. What is small is copied, and the buffer used again; what is large is kept as it is.
    fn framed(
        mut text: Vec<u8>,
        kind: Kind,
        attachments: Vec<Bytes>,
        flags: Flags,
        rare: OnceLock<Box<Rare>>,
    ) -> Arc<Self> {
        let header = server_header(Opcode::Text, text.len() - GAP);
        let at = GAP - header.len();
        text[at..GAP].copy_from_slice(&header);
        let buffer = if text.len() <= COPY_BYTES_MAX {
            let copy = Buffer::copy_of(&text[at..]);
            SCRATCH.set(text);
            copy
        } else {
            let mut buffer = Bytes::from(text);
            buffer.advance(at);
            Buffer::Long(buffer)
        };
        // A header is at most `GAP` bytes, which is 10.
        let text_at = header.len() as u8;
        let mut prepared =
            Prepared { buffer, text_at, kind, flags, attachments: attachments.into_boxed_slice(), size: 0, rare };
        prepared.size = match prepared.parsed() {
            None => prepared.size_as_it_is(),
            Some(messages) => messages.iter().map(|message| message.size).sum(),
        };
        Arc::new(prepared)
    }

    /// What it counts in an outbox.
    #[inline]
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// The same where no parser has written it.
    fn size_as_it_is(&self) -> usize {
        let attachments: usize = self.attachments.iter().map(|data| data.len() + SERVER_HEADER_BYTES_MAX).sum();
        self.buffer.len() + attachments
    }

    /// The Socket.IO packet's text.
    pub(crate) fn packet_text(&self) -> &[u8] {
        self.buffer.get(usize::from(self.text_at) + 1..).unwrap_or_default()
    }

    /// The messages of Engine.IO that it is, in order.
    #[cold]
    pub(crate) fn each_message(&self, each: &mut dyn FnMut(Message<'_>)) {
        if let Some(messages) = self.parsed() {
            return messages.iter().for_each(|message| message.each_message(each));
        }
        if !self.buffer.is_empty() {
            each(Message::Text(std::str::from_utf8(self.packet_text()).expect("packets are written as text")));
        }
        self.attachments.iter().for_each(|data| each(Message::Binary(data)));
    }

    /// The event in it, for other servers.
    pub(crate) fn to_encoded(&self) -> Encoded {
        let text = std::str::from_utf8(self.packet_text()).expect("packets are written as text");
        Encoded::of_packet(text, &self.attachments)
    }

    pub(crate) fn attachments(&self) -> &[Bytes] {
        &self.attachments
    }

    /// As Engine.IO WebSocket frames; with `base64` bytes are text, `bAQID`.
    pub(crate) fn write_frames(&self, version: Version, base64: bool, batch: &mut Batch) {
        self.buffer.write(batch);
        for data in &*self.attachments {
            if base64 {
                batch.copy(&server_frame(Opcode::Text, &base64_text(version, data)));
            } else {
                let prefix = version.binary_prefix();
                batch.copy(&server_header(Opcode::Binary, prefix.len() + data.len()));
                batch.copy(prefix);
                batch.push(data);
            }
        }
    }

    /// As packets of a polling payload.
    pub(crate) fn write_payload(&self, version: Version, payload: &mut payload::Encoder) {
        if let Some(messages) = self.parsed() {
            return messages.iter().for_each(|message| message.write_payload(version, payload));
        }
        if !self.buffer.is_empty() {
            let text = &self.buffer[usize::from(self.text_at)..];
            payload.push_text(if version == Version::V4 { text } else { self.ascii().unwrap_or(text) });
        }
        for data in &*self.attachments {
            payload.push_binary(data);
        }
    }

    /// As frames for a plain WebSocket.
    pub(crate) fn write_native(&self, raw: bool, batch: &mut Batch) {
        batch.push(self.native().frame(raw));
    }

    fn native(&self) -> &native::Forms {
        self.rare().native.get_or_init(|| native::Forms::of(self))
    }

    /// Whether a message of it may reach the threshold: if not, no form of its own need be kept.
    pub(crate) fn may_deflate(&self, dialect: Dialect, config: &DeflateConfig) -> bool {
        let longest = match dialect {
            Dialect::Engine { base64: false } => {
                self.attachments.iter().map(Bytes::len).fold(self.buffer.len(), usize::max)
            }
            // Base64 makes four bytes of three, a plain WebSocket's JSON is somewhat longer than the packet, and revision 3
            // has one byte more.
            Dialect::Engine { base64: true } | Dialect::EngineV3 { .. } | Dialect::Native { .. } => {
                2 * self.size_as_it_is() + 64
            }
        };
        self.flags.compress && longest >= config.threshold_bytes
    }

    /// As frames for a client with permessage-deflate, each compressed if that is worth it: once per kind of client and
    /// window, however many get it.
    pub(crate) fn write_deflated(&self, dialect: Dialect, window_bits: u8, config: &DeflateConfig, batch: &mut Batch) {
        let dialect = match dialect {
            // Only bytes tell them apart.
            Dialect::Engine { .. } | Dialect::EngineV3 { .. } if self.attachments.is_empty() => {
                Dialect::Engine { base64: false }
            }
            dialect => dialect,
        };
        let deflated = self.rare().deflated.get_or_init(Box::default);
        deflated.write(dialect, window_bits, batch, || {
            let mut frames = Frames::new(window_bits, config);
            match dialect {
                Dialect::Engine { base64 } => self.deflate(Version::V4, base64, &mut frames),
                Dialect::EngineV3 { base64 } => self.deflate(Version::V3, base64, &mut frames),
                Dialect::Native { raw } => frames.push(self.native().frame(raw)),
            }
            frames
        });
    }

    fn deflate(&self, version: Version, base64: bool, frames: &mut Frames<'_>) {
        frames.push(&self.buffer.to_bytes());
        for data in &*self.attachments {
            if base64 {
                frames.push(&server_frame(Opcode::Text, &base64_text(version, data)));
            } else {
                frames.push_binary(version.binary_prefix(), data);
            }
        }
    }

    /// Clients of Socket.IO 1 read nothing else right over polling; those of Socket.IO 2 read both. `None` if it is so already.
    fn ascii(&self) -> Option<&[u8]> {
        if self.kind == Kind::Message {
            return None;
        }
        let escaped = || match encode::ascii(std::str::from_utf8(self.packet_text()).ok()?) {
            Cow::Borrowed(_) => None,
            Cow::Owned(text) => Some([b"4", text.as_bytes()].concat().into()),
        };
        self.rare().ascii.get_or_init(escaped).as_deref()
    }

    fn rare(&self) -> &Rare {
        self.rare.get_or_init(Box::default)
    }
}

/// What a parser makes of a packet: a form of it that is there from the beginning.
#[cold]
fn parse(parser: &dyn Parser, text: &[u8], attachments: &[Bytes], flags: Flags) -> OnceLock<Box<Rare>> {
    let text = std::str::from_utf8(text).unwrap_or_default();
    let packet = parser::Packet::of_text(text, attachments);
    let messages = packet.and_then(|packet| {
        let messages = catch(|| parser.encode(&packet));
        if messages.is_none() {
            trace!(error, "patera::socket", "a parser panicked", namespace = %packet.namespace());
        }
        messages
    });
    let prepare = |message| match message {
        OwnedMessage::Text(text) => Prepared::text_with(&text, flags),
        OwnedMessage::Binary(data) => Prepared::binary_with(data, flags),
    };
    let messages: Box<[_]> = messages.unwrap_or_default().into_iter().map(prepare).collect();
    Box::new(Rare { parsed: messages.into(), ..Rare::default() }).into()
}

/// `bAQID`, for clients that cannot take bytes.
fn base64_text(version: Version, data: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    version.encode_text(&Packet::Message(Message::Binary(data)), &mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(json: &str) -> Arc<Prepared> {
        let append = |out: &mut Vec<u8>| {
            out.extend_from_slice(json.as_bytes());
            Ok(Vec::new())
        };
        Prepared::packet(None, Flags::default(), append).unwrap()
    }

    #[test]
    fn a_packet_is_small() {
        // With the counts of its `Arc` an allocation of 160 bytes.
        assert!(size_of::<Prepared>() <= 144, "{}", size_of::<Prepared>());
    }

    #[test]
    fn what_old_clients_get_is_made_once_and_only_if_it_differs() {
        let escaped = event(r#"2["é"]"#);
        assert!(escaped.rare.get().is_none(), "nothing before somebody needs it");
        let form = escaped.ascii().unwrap();
        assert_eq!(form, br#"42["\u00e9"]"#);
        assert!(std::ptr::eq(form, escaped.ascii().unwrap()));
        assert_eq!(event(r#"2["e"]"#).ascii(), None);
    }

    #[test]
    fn the_type_of_bytes_is_compressed_with_them() {
        let data = Bytes::from(vec![7; 5000]);
        let json = r#"51-["e",{"_placeholder":true,"num":0}]"#;
        let append = |out: &mut Vec<u8>| {
            out.extend_from_slice(json.as_bytes());
            Ok(vec![data.clone()])
        };
        let prepared = Prepared::packet(None, Flags::default(), append).unwrap();
        let config = DeflateConfig::default();
        let written = |dialect| {
            assert!(prepared.may_deflate(dialect, &config));
            let mut batch = Batch::take();
            prepared.write_deflated(dialect, 15, &config, &mut batch);
            batch.as_small().unwrap().to_vec()
        };
        let with_type = [&[4], &data[..]].concat();
        let text = base64_text(Version::V3, &data);
        assert!(text.starts_with(b"b4BwcH"));
        for (base64, opcode, payload) in [(false, Opcode::Binary, with_type), (true, Opcode::Text, text)] {
            let deflated = patera_websocket::deflated_server_frame(opcode, &payload, 15, &config).unwrap();
            assert_eq!(written(Dialect::EngineV3 { base64 }), [&prepared.buffer[..], &deflated].concat());
        }
    }

    #[test]
    fn text_is_compressed_once_for_both_revisions() {
        // Squares are hard to compress: the frame stays long enough to be shared and not copied.
        let squares: String = (0..20_000_u64).map(|n| (n * n * 7919 % 1_000_003).to_string()).collect();
        let prepared = event(&format!("2[{squares}]"));
        let frames = [Dialect::Engine { base64: false }, Dialect::EngineV3 { base64: true }].map(|dialect| {
            let mut batch = Batch::take();
            prepared.write_deflated(dialect, 15, &DeflateConfig::default(), &mut batch);
            batch.into_queue(0).remove(0).unwrap()
        });
        assert!(frames[0].len() > COPY_BYTES_MAX && frames[0].len() < prepared.buffer.len());
        assert_eq!(frames[0].as_ptr(), frames[1].as_ptr());
    }

    #[test]
    fn a_message_of_engine_io_is_nothing_that_could_be_escaped() {
        assert_eq!(Prepared::text("2[\"é\"]").ascii(), None);
    }

    #[test]
    fn short_and_long_packets_are_written_alike() {
        for len in [0, 1, SHORT_BYTES_MAX - 1, SHORT_BYTES_MAX, SHORT_BYTES_MAX + 1, COPY_BYTES_MAX + 1] {
            let bytes: Vec<u8> = (0..len).map(|at| at as u8).collect();
            let buffer = Buffer::copy_of(&bytes);
            assert_eq!(matches!(buffer, Buffer::Short { .. }), len <= SHORT_BYTES_MAX, "{len}");
            assert_eq!((&*buffer, &*buffer.to_bytes()), (&*bytes, &*bytes));
            let mut batch = Batch::take();
            buffer.write(&mut batch);
            let written: Vec<u8> = batch.into_queue(0).into_iter().flatten().collect();
            assert_eq!(written, bytes, "{len}");
        }
    }
}
