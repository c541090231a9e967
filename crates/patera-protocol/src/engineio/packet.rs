//! One Engine.IO packet, as it stands in a WebSocket text frame or between the separators of a polling payload.
//! EIO 4 "Packet encoding".

use std::{error, fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// A way to carry packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// HTTP long-polling: a GET that waits for packets, a POST that brings some.
    Polling,
    /// WebSocket: a frame is a packet.
    WebSocket,
    /// WebTransport: a packet behind its length, on one bidirectional stream; see [`FrameHeader`](super::FrameHeader).
    WebTransport,
}

impl Transport {
    /// The name in the query and in the handshake: `polling`, `websocket` or `webtransport`.
    pub fn as_str(self) -> &'static str {
        match self {
            Transport::Polling => "polling",
            Transport::WebSocket => "websocket",
            Transport::WebTransport => "webtransport",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Transport {
    type Err = UnknownTransport;

    fn from_str(name: &str) -> Result<Self, UnknownTransport> {
        match name {
            "polling" => Ok(Transport::Polling),
            "websocket" => Ok(Transport::WebSocket),
            "webtransport" => Ok(Transport::WebTransport),
            _ => Err(UnknownTransport),
        }
    }
}

/// A name that is no transport of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownTransport;

impl fmt::Display for UnknownTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown transport")
    }
}

impl error::Error for UnknownTransport {}

/// What the layer above sends and gets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// Text.
    Text(&'a str),
    /// Bytes.
    Binary(&'a [u8]),
}

impl Message<'_> {
    /// The length of the text or of the bytes, in bytes.
    pub fn len(&self) -> usize {
        match self {
            Message::Text(text) => text.len(),
            Message::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Message::Text(text) => f.debug_tuple("Text").field(text).finish(),
            Message::Binary(bytes) => write!(f, "Binary({} bytes)", bytes.len()),
        }
    }
}

/// One packet. Borrows its data.
///
/// ```text
/// 0{"sid":…}  1  2  2probe  3  3probe  4hello  5  6      text
/// bAQID                                                  a binary message where only text can go (long-polling)
/// ```
///
/// This is revision 4's form. Revision 3 has another one for bytes alone: see [`Version`](super::Version).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// `0` and the handshake's JSON. From the server, once.
    Open(&'a str),
    /// `1`. The sender ends the session.
    Close,
    /// `2`. A heartbeat from the server (in revision 3 from the client), or `2probe` from a client that tries an upgrade.
    Ping(&'a str),
    /// `3`. The answer to a ping, with the same data.
    Pong(&'a str),
    /// `4`, or a binary frame.
    Message(Message<'a>),
    /// `5`. The client has moved to this transport.
    Upgrade,
    /// `6`. Nothing; ends a GET that waits.
    Noop,
}

impl<'a> Packet<'a> {
    /// Reads a text frame: `4hello` → `Message(Text("hello"))`. Data after `1`, `5` and `6` has no meaning and is
    /// passed over.
    ///
    /// # Errors
    /// On an empty frame and on an unknown type. `b…` is one here, since it needs room to decode into:
    /// [`Packet::decode_with`].
    pub fn decode(text: &'a str) -> Result<Packet<'a>, PacketError> {
        let kind = *text.as_bytes().first().ok_or(PacketError::Empty)?;
        if !kind.is_ascii_digit() {
            return Err(PacketError::UnknownType(kind));
        }
        let data = text.get(1..).unwrap_or_default();
        match kind {
            b'0' => Ok(Packet::Open(data)),
            b'1' => Ok(Packet::Close),
            b'2' => Ok(Packet::Ping(data)),
            b'3' => Ok(Packet::Pong(data)),
            b'4' => Ok(Packet::Message(Message::Text(data))),
            b'5' => Ok(Packet::Upgrade),
            b'6' => Ok(Packet::Noop),
            _ => Err(PacketError::UnknownType(kind)),
        }
    }

    /// As [`Packet::decode`], and takes `b` with padded standard base64 for a binary message, whose bytes replace what
    /// is in `scratch`. Clients that asked for `b64=1` send it on a WebSocket too.
    ///
    /// # Errors
    /// As [`Packet::decode`], and on anything that is not strict base64.
    pub fn decode_with(text: &'a str, scratch: &'a mut Vec<u8>) -> Result<Packet<'a>, PacketError> {
        let Some(encoded) = text.strip_prefix('b') else {
            return Packet::decode(text);
        };
        decode_base64(encoded, scratch)
    }

    /// Appends the packet in its text form: `Ping("probe")` → `2probe`, `Message(Binary([1]))` → `bAQ==`.
    pub fn encode_text(&self, out: &mut Vec<u8>) {
        let (kind, data) = match *self {
            Packet::Open(data) => (b'0', data),
            Packet::Close => (b'1', ""),
            Packet::Ping(data) => (b'2', data),
            Packet::Pong(data) => (b'3', data),
            Packet::Message(Message::Text(data)) => (b'4', data),
            Packet::Message(Message::Binary(bytes)) => return encode_base64(bytes, out),
            Packet::Upgrade => (b'5', ""),
            Packet::Noop => (b'6', ""),
        };
        out.reserve(data.len().saturating_add(1));
        out.push(kind);
        out.extend_from_slice(data.as_bytes());
    }
}

/// A binary message, whose bytes replace what is in `scratch`.
pub(super) fn decode_base64<'a>(encoded: &str, scratch: &'a mut Vec<u8>) -> Result<Packet<'a>, PacketError> {
    scratch.clear();
    STANDARD.decode_vec(encoded, scratch).map_err(|_| PacketError::Base64)?;
    Ok(Packet::Message(Message::Binary(scratch)))
}

/// Appends `b` and the bytes in base64.
pub(super) fn encode_base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'b');
    append_base64(bytes, out);
}

/// Appends the bytes in padded standard base64.
pub(super) fn append_base64(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let encoded = bytes.len().div_ceil(3).saturating_mul(4);
    out.resize(start.saturating_add(encoded), 0);
    let room = out.get_mut(start..).unwrap_or_default();
    let written = STANDARD.encode_slice(bytes, room).expect("four bytes for every three begun");
    debug_assert_eq!(written, encoded);
}

/// Why a frame is no packet. The peer broke the protocol: close with "parse error".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PacketError {
    /// No type digit.
    Empty,
    /// A first byte that is not `0` to `6`; in a binary frame of revision 3, one that is not 4.
    UnknownType(u8),
    /// `b` with something that is not padded standard base64.
    Base64,
}

impl PacketError {
    /// A short name that does not change, for logs, counters and the test vectors: `unknown_type`.
    pub fn name(&self) -> &'static str {
        match self {
            PacketError::Empty => "empty",
            PacketError::UnknownType(_) => "unknown_type",
            PacketError::Base64 => "base64",
        }
    }
}

impl fmt::Display for PacketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PacketError::Empty => f.write_str("empty packet"),
            PacketError::UnknownType(kind) => {
                write!(f, "unknown packet type {:?}", char::from(*kind))
            }
            PacketError::Base64 => f.write_str("binary packet is not padded standard base64"),
        }
    }
}

impl error::Error for PacketError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_reads_back_as_written() {
        check("0{}", Packet::Open("{}"));
        check("1", Packet::Close);
        check("2", Packet::Ping(""));
        check("2probe", Packet::Ping("probe"));
        check("3probe", Packet::Pong("probe"));
        check("4", Packet::Message(Message::Text("")));
        check("4é😀", Packet::Message(Message::Text("é😀")));
        check("5", Packet::Upgrade);
        check("6", Packet::Noop);
        check("b", Packet::Message(Message::Binary(b"")));
        check("bAQIDBA==", Packet::Message(Message::Binary(&[1, 2, 3, 4])));
    }

    #[test]
    fn data_without_meaning_is_passed_over() {
        assert_eq!(Packet::decode("1x"), Ok(Packet::Close));
        assert_eq!(Packet::decode("5x"), Ok(Packet::Upgrade));
        assert_eq!(Packet::decode("6x"), Ok(Packet::Noop));
    }

    #[test]
    fn garbage_is_refused() {
        check_refused("", PacketError::Empty);
        check_refused("7", PacketError::UnknownType(b'7'));
        check_refused("a", PacketError::UnknownType(b'a'));
        check_refused("  ", PacketError::UnknownType(b' '));
        check_refused("٤", PacketError::UnknownType(0xd9));
        check_refused("\u{feff}42", PacketError::UnknownType(0xef));
        check_refused("bAQI", PacketError::Base64);
        check_refused("b====", PacketError::Base64);
        check_refused("b-_-_", PacketError::Base64);
        check_refused("bAQ==\n", PacketError::Base64);
        check_refused("bAQ=", PacketError::Base64);
        check_refused("bAR==", PacketError::Base64);
    }

    #[test]
    fn base64_needs_room() {
        assert_eq!(Packet::decode("bAQ=="), Err(PacketError::UnknownType(b'b')));
    }

    #[test]
    fn transports_have_their_names() {
        assert_eq!("polling".parse(), Ok(Transport::Polling));
        assert_eq!("websocket".parse(), Ok(Transport::WebSocket));
        assert_eq!("webtransport".parse(), Ok(Transport::WebTransport));
        for name in ["", "Polling", "WebTransport", "__proto__"] {
            assert_eq!(name.parse::<Transport>(), Err(UnknownTransport), "{name}");
        }
    }

    fn check(text: &str, packet: Packet<'_>) {
        let mut scratch = b"old".to_vec();
        assert_eq!(Packet::decode_with(text, &mut scratch), Ok(packet), "{text}");
        let mut out = b"before".to_vec();
        packet.encode_text(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), format!("before{text}"));
    }

    fn check_refused(text: &str, error: PacketError) {
        assert_eq!(Packet::decode_with(text, &mut Vec::new()), Err(error), "{text:?}");
    }
}
