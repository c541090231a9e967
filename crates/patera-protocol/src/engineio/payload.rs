//! Several packets in one HTTP body: `4hello␞2␞bAQID`, where `␞` is the byte 0x1e. EIO 4 "Packet encoding". How bodies of
//! revision 3 are read is in [`payload_v3`](super::payload_v3).

use std::{error, fmt};

use super::{
    jsonp,
    packet::{Message, Packet, PacketError, encode_base64},
    payload_v3::Parts,
    version::Version,
};

/// The byte between two packets. It cannot be inside one: JSON escapes it, base64 has no use for it.
pub const SEPARATOR: u8 = 0x1e;

/// Control packets (all but messages) that one payload may hold, by default: 16. A client sends one or two, so more is
/// an attempt to keep the server busy.
pub const CONTROL_PACKETS_MAX: usize = 16;

/// Reads the packets of one body, one at a time, allocating only for binary ones (one buffer for the whole body).
///
/// Ends for good at the first error: what came before it stands, what comes after is not looked at.
#[derive(Debug)]
pub struct Decoder<'a> {
    rest: Option<&'a str>,
    scratch: Vec<u8>,
    controls_left: usize,
    controls_max: usize,
}

impl<'a> Decoder<'a> {
    /// Checks that the body is text.
    ///
    /// # Errors
    /// `Utf8` if it is not strict UTF-8, `Empty` if there is nothing.
    pub fn new(body: &'a [u8]) -> Result<Self, PayloadError> {
        Decoder::with_control_packets_max(body, CONTROL_PACKETS_MAX)
    }

    /// As [`Decoder::new`], with another limit than [`CONTROL_PACKETS_MAX`].
    ///
    /// # Errors
    /// As [`Decoder::new`].
    pub fn with_control_packets_max(body: &'a [u8], max: usize) -> Result<Self, PayloadError> {
        if body.is_empty() {
            return Err(PayloadError::Empty);
        }
        let text = simdutf8::basic::from_utf8(body).map_err(|_| PayloadError::Utf8)?;
        Ok(Decoder { rest: Some(text), scratch: Vec::new(), controls_left: max, controls_max: max })
    }

    /// The next packet, or `None` at the end.
    ///
    /// # Errors
    /// `Packet` for what is no packet, an empty one included (so `␞` alone, or at either end, is an error);
    /// `TooManyControlPackets` past the limit.
    pub fn next_packet(&mut self) -> Option<Result<Packet<'_>, PayloadError>> {
        let rest = self.rest.take()?;
        let (text, after) = match separator_at(rest.as_bytes()).and_then(|at| rest.split_at_checked(at)) {
            Some((text, after)) => (text, after.get(1..)),
            None => (rest, None),
        };
        let packet = match Packet::decode_with(text, &mut self.scratch) {
            Ok(packet) => packet,
            Err(error) => return Some(Err(PayloadError::Packet(error))),
        };
        if !matches!(packet, Packet::Message(_)) {
            let Some(left) = self.controls_left.checked_sub(1) else {
                return Some(Err(PayloadError::TooManyControlPackets { max: self.controls_max }));
            };
            self.controls_left = left;
        }
        self.rest = after;
        Some(Ok(packet))
    }
}

/// Where the first separator is. What is long is passed over in chunks without a branch, so that the compiler can use wide
/// registers.
#[inline]
fn separator_at(text: &[u8]) -> Option<usize> {
    const CHUNK: usize = 32;
    let (chunks, _) = text.as_chunks::<CHUNK>();
    let has_one = |chunk: &[u8; CHUNK]| chunk.iter().fold(false, |found, byte| found | (*byte == SEPARATOR));
    let passed = chunks.iter().take_while(|chunk| !has_one(chunk)).count().saturating_mul(CHUNK);
    text.get(passed..)?.iter().position(|byte| *byte == SEPARATOR).map(|at| passed.saturating_add(at))
}

/// How a client wants the answer to a GET, from the query of that request or of the handshake:
/// [`Query::format`](super::Query::format).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// The session's revision.
    pub version: Version,
    /// Revision 3: bytes are base64 in any case (`b64=1`). In revision 4 they always are.
    pub base64: bool,
    /// Revision 3: the number of the function that is to be called with the payload (`j=0`). Bytes are base64 then.
    pub jsonp: Option<u32>,
}

/// A few small packets, in bytes.
const CAPACITY: usize = 128;

/// Builds one body.
#[derive(Debug, Default)]
pub struct Encoder {
    body: Vec<u8>,
    any: bool,
    /// In revision 3 everything waits here, and `body` stays empty.
    v3: Option<Box<V3>>,
}

#[derive(Debug)]
struct V3 {
    parts: Parts,
    jsonp: Option<u32>,
}

impl Encoder {
    /// An empty body of revision 4, with room for what most answers hold.
    pub fn new() -> Self {
        Encoder::with_capacity(CAPACITY)
    }

    /// An empty body of revision 4, with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Encoder { body: Vec::with_capacity(bytes), ..Encoder::default() }
    }

    /// An empty body of either revision.
    ///
    /// In revision 3 it becomes text, `6:4hello`; bytes, if a binary message is in it and the client takes bytes; or a
    /// script. Ask [`content_type`](Encoder::content_type) when all packets are in it.
    pub fn with_format(format: Format) -> Self {
        let Format { version, base64, jsonp } = format;
        let v3 = match version {
            Version::V3 => Some(Box::new(V3 { parts: Parts::new(base64 || jsonp.is_some()), jsonp })),
            Version::V4 => return Encoder::new(),
        };
        Encoder { v3, ..Encoder::default() }
    }

    /// Appends a packet that is already text, with its type digit: `4hello`.
    pub fn push_text(&mut self, packet: &[u8]) {
        if let Some(v3) = &mut self.v3 {
            return v3.parts.push_text(packet);
        }
        self.separate();
        self.body.extend_from_slice(packet);
    }

    /// Appends a binary message: `b` and base64, or as the format has it.
    pub fn push_binary(&mut self, data: &[u8]) {
        if let Some(v3) = &mut self.v3 {
            return v3.parts.push(&Packet::Message(Message::Binary(data)));
        }
        self.separate();
        encode_base64(data, &mut self.body);
    }

    /// Appends a packet.
    pub fn push(&mut self, packet: &Packet<'_>) {
        if let Some(v3) = &mut self.v3 {
            return v3.parts.push(packet);
        }
        self.separate();
        packet.encode_text(&mut self.body);
    }

    /// Whether there is no packet in it yet.
    pub fn is_empty(&self) -> bool {
        self.v3.as_ref().map_or(!self.any, |v3| v3.parts.is_empty())
    }

    /// The length of the body so far, in bytes; in revision 3 that of the packets, without their lengths.
    pub fn len(&self) -> usize {
        self.v3.as_ref().map_or(self.body.len(), |v3| v3.parts.len())
    }

    /// The `Content-Type` of the body with what is in it: text, or bytes or a script in revision 3.
    pub fn content_type(&self) -> &'static str {
        match self.v3.as_deref() {
            Some(V3 { jsonp: Some(_), .. }) => "text/javascript; charset=UTF-8",
            Some(V3 { parts, .. }) if parts.is_binary() => "application/octet-stream",
            Some(_) | None => "text/plain; charset=UTF-8",
        }
    }

    /// The body. An empty one is no valid payload: send a noop instead.
    pub fn finish(self) -> Vec<u8> {
        let Some(v3) = self.v3 else { return self.body };
        let V3 { parts, jsonp } = *v3;
        let body = parts.finish();
        match jsonp {
            Some(index) => jsonp::encode_call(index, &body),
            None => body,
        }
    }

    fn separate(&mut self) {
        if self.any {
            self.body.push(SEPARATOR);
        }
        self.any = true;
    }
}

/// Why a body is no payload. The peer broke the protocol: answer 400 and close with "parse error".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PayloadError {
    /// A body of no bytes.
    Empty,
    /// Not UTF-8.
    Utf8,
    /// Something between two separators, or behind a length, is no packet.
    Packet(PacketError),
    /// Revision 3: a length that is no canonical decimal, is larger than what is left, or ends within a character.
    Length,
    /// Revision 3: a body of bytes with something that is neither text nor binary, or a form without just one payload.
    Form,
    /// More control packets than a client has use for.
    TooManyControlPackets {
        /// The limit.
        max: usize,
    },
}

impl PayloadError {
    /// A short name that does not change, for logs, counters and the test vectors; of an invalid packet, the packet
    /// error's.
    pub fn name(&self) -> &'static str {
        match self {
            PayloadError::Empty => "empty_payload",
            PayloadError::Utf8 => "utf8",
            PayloadError::Packet(error) => error.name(),
            PayloadError::Length => "length",
            PayloadError::Form => "form",
            PayloadError::TooManyControlPackets { .. } => "too_many_control_packets",
        }
    }
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PayloadError::Empty => f.write_str("empty payload"),
            PayloadError::Utf8 => f.write_str("payload is not utf-8"),
            PayloadError::Packet(_) => f.write_str("payload holds an invalid packet"),
            PayloadError::Length => f.write_str("payload holds an invalid length"),
            PayloadError::Form => f.write_str("payload has no known form"),
            PayloadError::TooManyControlPackets { max } => {
                write!(f, "more than {max} control packets in one payload")
            }
        }
    }
}

impl error::Error for PayloadError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            PayloadError::Packet(error) => Some(error),
            PayloadError::Empty
            | PayloadError::Utf8
            | PayloadError::Length
            | PayloadError::Form
            | PayloadError::TooManyControlPackets { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_split_at_the_separator() {
        check("4hello", &[text("hello")], Ok(()));
        check("4hello\x1e2\x1e4world", &[text("hello"), Packet::Ping(""), text("world")], Ok(()));
        check("bAQIDBA==\x1ebBQ==", &[binary(&[1, 2, 3, 4]), binary(&[5])], Ok(()));
    }

    #[test]
    fn an_invalid_packet_ends_the_payload() {
        let empty = Err(PayloadError::Packet(PacketError::Empty));
        check("\x1e", &[], empty);
        check("4a\x1e", &[text("a")], empty);
        check("4a\x1e\x1e4b", &[text("a")], empty);
        check("4a\x1e7\x1e4b", &[text("a")], Err(PayloadError::Packet(PacketError::UnknownType(b'7'))));
        check("bAQI\x1e4b", &[], Err(PayloadError::Packet(PacketError::Base64)));
    }

    #[test]
    fn control_packets_are_counted() {
        let max = CONTROL_PACKETS_MAX;
        let body = |controls: usize| ["3"].repeat(controls).join("\x1e") + "\x1e4a";
        let pongs = |count: usize| vec![Packet::Pong(""); count];
        check(&body(max - 1), &[pongs(max - 1), vec![text("a")]].concat(), Ok(()));
        check(&body(max), &[pongs(max), vec![text("a")]].concat(), Ok(()));
        check(&body(max + 1), &pongs(max), Err(PayloadError::TooManyControlPackets { max }));
    }

    #[test]
    fn what_is_not_text_is_refused() {
        assert_eq!(Decoder::new(b"").unwrap_err(), PayloadError::Empty);
        for body in [&b"42\xff\xfe"[..], b"42\xe2\x82", b"42\xed\xa0\x80", b"42\xf8\x88\x80\x80\x80"] {
            assert_eq!(Decoder::new(body).unwrap_err(), PayloadError::Utf8, "{body:x?}");
        }
    }

    #[test]
    fn an_encoded_payload_has_no_separator_at_its_ends() {
        let mut encoder = Encoder::new();
        assert!(encoder.is_empty());
        encoder.push_text(b"4a");
        encoder.push_binary(&[1, 2, 3]);
        encoder.push(&Packet::Noop);
        assert!(!encoder.is_empty());
        assert_eq!(encoder.len(), 10);
        assert_eq!(encoder.finish(), b"4a\x1ebAQID\x1e6");
    }

    fn check(body: &str, packets: &[Packet<'_>], end: Result<(), PayloadError>) {
        let mut decoder = Decoder::new(body.as_bytes()).unwrap();
        for expected in packets {
            assert_eq!(decoder.next_packet(), Some(Ok(*expected)), "{body:?}");
        }
        assert_eq!(decoder.next_packet(), end.err().map(Err), "{body:?}");
        assert_eq!(decoder.next_packet(), None, "{body:?}");
    }

    fn text(text: &str) -> Packet<'_> {
        Packet::Message(Message::Text(text))
    }

    fn binary(bytes: &[u8]) -> Packet<'_> {
        Packet::Message(Message::Binary(bytes))
    }
}
