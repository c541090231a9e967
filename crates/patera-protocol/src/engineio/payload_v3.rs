//! Several packets in one HTTP body, as Engine.IO 3 has it: each behind its length, as text or as bytes. EIO 3
//! "Payload". What is to be sent is built by [`payload::Encoder`](super::payload::Encoder), as in revision 4.
//!
//! ```text
//! 6:4hello2:4€10:b4AQIDBA==                    text: lengths count UTF-16 code units, bytes are base64
//! 00 04 ff "4€"   01 05 ff 04 01 02 03 04      bytes: 0 text or 1 binary, digits 0 to 9, ff; lengths count bytes
//! ```

use super::{
    packet::{Message, Packet},
    payload::{CONTROL_PACKETS_MAX, PayloadError},
    version::Version,
};

/// A length with more digits than this is larger than any body.
const LENGTH_DIGITS_MAX: usize = 10;
/// Behind the digits of a length in the form of bytes.
const LENGTH_END: u8 = 0xff;

/// How far one body has been read. It does not hold the body, so that a shell may stop between two packets and keep
/// both.
///
/// A declared length is compared with what is there, and nothing is allocated by it. Ends for good at the first error,
/// as [`payload::Decoder`](super::payload::Decoder) does.
#[derive(Debug)]
pub struct Reader {
    form: Form,
    at: usize,
    controls_left: usize,
    controls_max: usize,
    /// What a packet is decoded into that cannot stand for itself: base64, and text that was encoded twice.
    bytes: Vec<u8>,
    text: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text { undo_double_utf8: bool },
    Bytes,
}

impl Reader {
    /// A body of text: that of a POST of any type but `application/octet-stream`, or what
    /// [`jsonp::decode_form`](super::jsonp::decode_form) made of one.
    ///
    /// Clients of Socket.IO 1 encode text as UTF-8 twice, and nothing in the body says so. So a packet whose characters are
    /// all below U+0100, and are valid UTF-8 when taken as bytes, is decoded once more. A newer client that means just
    /// such characters (`Ã©`) is misread: [`Reader::text_as_is`].
    pub fn text() -> Self {
        Reader::new(Form::Text { undo_double_utf8: true })
    }

    /// As [`Reader::text`], for a server without clients of Socket.IO 1: text is what it is.
    pub fn text_as_is() -> Self {
        Reader::new(Form::Text { undo_double_utf8: false })
    }

    /// A body of bytes: `application/octet-stream`.
    pub fn bytes() -> Self {
        Reader::new(Form::Bytes)
    }

    /// The form that a POST's `Content-Type` tells: bytes or text.
    pub fn for_content_type(content_type: &[u8]) -> Self {
        let media_type = content_type.split(|byte| *byte == b';').next().unwrap_or_default();
        if media_type.trim_ascii().eq_ignore_ascii_case(b"application/octet-stream") {
            Reader::bytes()
        } else {
            Reader::text()
        }
    }

    fn new(form: Form) -> Self {
        let controls_max = CONTROL_PACKETS_MAX;
        Reader { form, at: 0, controls_left: controls_max, controls_max, bytes: Vec::new(), text: Vec::new() }
    }

    /// With another limit than [`CONTROL_PACKETS_MAX`].
    #[must_use]
    pub fn with_control_packets_max(mut self, max: usize) -> Self {
        (self.controls_left, self.controls_max) = (max, max);
        self
    }

    /// The next packet of the body, which must be the same at every call; `None` at the end.
    ///
    /// # Errors
    /// `Empty` if the body is; `Length` if a length is no canonical decimal, is larger than what is left, or ends within a
    /// character; `Form` in a body of bytes for what is neither text nor binary; `Utf8` for text that is none; `Packet` for
    /// what is no packet, an empty one included; `TooManyControlPackets` past the limit.
    pub fn next_packet<'a>(&'a mut self, body: &'a [u8]) -> Option<Result<Packet<'a>, PayloadError>> {
        // The first error, or the end, is for good.
        let at = std::mem::replace(&mut self.at, usize::MAX);
        match body.get(at..)? {
            [] if body.is_empty() => Some(Err(PayloadError::Empty)),
            [] => None,
            rest => Some(self.read(at, rest)),
        }
    }

    fn read<'a>(&'a mut self, at: usize, rest: &'a [u8]) -> Result<Packet<'a>, PayloadError> {
        let (part, len) = match self.form {
            Form::Text { .. } => split_text(rest)?,
            Form::Bytes => split_bytes(rest)?,
        };
        let undo_double_utf8 = self.form == Form::Text { undo_double_utf8: true };
        let packet = decode(part, undo_double_utf8, &mut self.text, &mut self.bytes)?;
        if !matches!(packet, Packet::Message(_)) {
            let left = self.controls_left.checked_sub(1);
            self.controls_left = left.ok_or(PayloadError::TooManyControlPackets { max: self.controls_max })?;
        }
        self.at = at.saturating_add(len);
        Ok(packet)
    }

    /// Whether [`next_packet`](Reader::next_packet) has nothing more to say about this body.
    pub fn is_done(&self, body: &[u8]) -> bool {
        self.at > body.len() || (self.at == body.len() && !body.is_empty())
    }
}

/// What stands behind a length.
#[derive(Clone, Copy)]
enum Part<'a> {
    Text(&'a [u8]),
    Binary(&'a [u8]),
}

fn decode<'a>(
    part: Part<'a>,
    undo_double_utf8: bool,
    text: &'a mut Vec<u8>,
    bytes: &'a mut Vec<u8>,
) -> Result<Packet<'a>, PayloadError> {
    let packet = match part {
        Part::Binary(data) => Version::V3.decode_binary(data),
        Part::Text(data) => {
            let once = simdutf8::basic::from_utf8(data).map_err(|_| PayloadError::Utf8)?;
            let twice = if undo_double_utf8 { undo(once, text) } else { None };
            Version::V3.decode_text(twice.unwrap_or(once), bytes)
        }
    };
    packet.map_err(PayloadError::Packet)
}

/// `Ã©` → `é`, if all of it was encoded twice.
fn undo<'a>(once: &str, text: &'a mut Vec<u8>) -> Option<&'a str> {
    // U+0080 to U+00FF begin with c2 or c3, and what is larger begins with more.
    if once.is_ascii() || once.bytes().any(|byte| byte > 0xc3) {
        return None;
    }
    text.clear();
    text.extend(once.chars().filter_map(|char| u8::try_from(char).ok()));
    simdutf8::basic::from_utf8(text).ok()
}

/// `6:4hello…` → `4hello`, and how much that took.
fn split_text(body: &[u8]) -> Result<(Part<'_>, usize), PayloadError> {
    let (digits, rest) = split_length(body, b':')?;
    let units = decimal(digits, b'0')?;
    let len = utf16_prefix(rest, units).ok_or(PayloadError::Length)?;
    let (text, rest) = rest.split_at_checked(len).ok_or(PayloadError::Length)?;
    Ok((Part::Text(text), body.len().saturating_sub(rest.len())))
}

/// `00 06 ff 4hello…` → `4hello`, and how much that took.
fn split_bytes(body: &[u8]) -> Result<(Part<'_>, usize), PayloadError> {
    let (&form, rest) = body.split_first().ok_or(PayloadError::Length)?;
    if form > 1 {
        return Err(PayloadError::Form);
    }
    let (digits, rest) = split_length(rest, LENGTH_END)?;
    let len = decimal(digits, 0)?;
    let (data, rest) = rest.split_at_checked(len).ok_or(PayloadError::Length)?;
    let part = if form == 0 { Part::Text(data) } else { Part::Binary(data) };
    Ok((part, body.len().saturating_sub(rest.len())))
}

/// The digits in front of `end`, and what is behind it.
fn split_length(body: &[u8], end: u8) -> Result<(&[u8], &[u8]), PayloadError> {
    let at = body.iter().take(LENGTH_DIGITS_MAX.saturating_add(1)).position(|byte| *byte == end);
    let (digits, rest) = at.and_then(|at| body.split_at_checked(at)).ok_or(PayloadError::Length)?;
    Ok((digits, rest.get(1..).unwrap_or_default()))
}

/// A canonical decimal, whose digit for nothing is `zero`.
fn decimal(digits: &[u8], zero: u8) -> Result<usize, PayloadError> {
    let canonical = match digits {
        [] => false,
        [first, rest @ ..] => *first != zero || rest.is_empty(),
    };
    let mut number = 0_usize;
    for digit in digits.iter().map(|digit| digit.wrapping_sub(zero)) {
        let larger = number.checked_mul(10).and_then(|number| number.checked_add(usize::from(digit)));
        number = larger.filter(|_| digit < 10 && canonical).ok_or(PayloadError::Length)?;
    }
    if canonical { Ok(number) } else { Err(PayloadError::Length) }
}

/// How many bytes so many UTF-16 code units at the start take, if they end between two characters.
fn utf16_prefix(text: &[u8], units: usize) -> Option<usize> {
    // Nothing takes fewer bytes than code units.
    if text.get(..units)?.is_ascii() {
        return Some(units);
    }
    let mut left = units;
    for (at, &byte) in text.iter().enumerate() {
        let more = utf16_units(byte);
        if more > 0 && left == 0 {
            return Some(at);
        }
        left = left.checked_sub(more)?;
    }
    (left == 0).then_some(text.len())
}

/// What the character adds that begins with this byte, or nothing if none begins.
fn utf16_units(byte: u8) -> usize {
    match byte {
        0x80..=0xbf => 0,
        0xf0..=0xf4 => 2,
        _ => 1,
    }
}

/// The packets of a body that is to be sent, until it is known whether one of them is binary. Most bodies are of revision 4,
/// so the functions that those do not need are marked cold.
#[derive(Debug)]
pub(super) struct Parts {
    base64: bool,
    any_binary: bool,
    data: Vec<u8>,
    /// Where each ends in `data`, and whether it is binary.
    ends: Vec<(usize, bool)>,
}

impl Parts {
    pub(super) fn new(base64: bool) -> Self {
        Parts { base64, any_binary: false, data: Vec::new(), ends: Vec::new() }
    }

    #[cold]
    pub(super) fn push_text(&mut self, packet: &[u8]) {
        self.data.extend_from_slice(packet);
        self.ends.push((self.data.len(), false));
    }

    #[cold]
    pub(super) fn push(&mut self, packet: &Packet<'_>) {
        let binary = match packet {
            Packet::Message(Message::Binary(bytes)) if !self.base64 => {
                self.data.extend_from_slice(Version::V3.binary_prefix());
                self.data.extend_from_slice(bytes);
                true
            }
            packet => {
                Version::V3.encode_text(packet, &mut self.data);
                false
            }
        };
        self.any_binary |= binary;
        self.ends.push((self.data.len(), binary));
    }

    /// The bytes of the packets, without their lengths.
    pub(super) fn len(&self) -> usize {
        self.data.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Whether the body will be bytes.
    pub(super) fn is_binary(&self) -> bool {
        self.any_binary
    }

    #[cold]
    pub(super) fn finish(self) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.data.len().saturating_add(self.ends.len().saturating_mul(4)));
        let mut start = 0;
        for (end, binary) in self.ends {
            let packet = self.data.get(start..end).unwrap_or_default();
            if self.any_binary {
                body.push(u8::from(binary));
                body.extend(packet.len().to_string().bytes().map(|digit| digit.wrapping_sub(b'0')));
                body.push(LENGTH_END);
            } else {
                let units: usize = packet.iter().copied().map(utf16_units).sum();
                body.extend_from_slice(units.to_string().as_bytes());
                body.push(b':');
            }
            body.extend_from_slice(packet);
            start = end;
        }
        body
    }
}

#[cfg(test)]
#[path = "../tests/payload_v3.rs"]
mod tests;
