//! The frames of Engine.IO on a byte stream, as WebTransport has it: each packet behind its length. EIO 4 "WebTransport".

use std::{error, fmt};

/// What stands in front of one packet on a byte stream.
///
/// ```text
/// B L L L L L L L                            B: the packet is a binary message; L < 126: its length in bytes
/// B 1 1 1 1 1 1 0  length: 2 bytes, big-endian
/// B 1 1 1 1 1 1 1  length: 8 bytes, big-endian
/// ```
/// A text packet begins with its type, `4hello`; a binary message is its bytes and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Whether the packet is a binary message.
    pub binary: bool,
    /// The packet's length in bytes.
    pub length: usize,
}

impl FrameHeader {
    /// The longest header, in bytes.
    pub const BYTES_MAX: usize = 9;

    /// Reads the header that `data` begins with, and says how many bytes it takes; `None` while it is not all there. Nothing is
    /// allocated. A length in a longer form than it needs is taken.
    ///
    /// # Errors
    /// `Empty` for a text packet without a type, `TooLarge` past `payload_bytes_max`: as soon as the header is there. The stream
    /// cannot be read on.
    pub fn decode(data: &[u8], payload_bytes_max: usize) -> Result<Option<(FrameHeader, usize)>, FrameError> {
        let Some((&first, rest)) = data.split_first() else { return Ok(None) };
        let (length, bytes) = match first & 0x7f {
            126 => match rest.first_chunk::<2>() {
                Some(length) => (u64::from(u16::from_be_bytes(*length)), 3),
                None => return Ok(None),
            },
            127 => match rest.first_chunk::<8>() {
                Some(length) => (u64::from_be_bytes(*length), FrameHeader::BYTES_MAX),
                None => return Ok(None),
            },
            length => (u64::from(length), 1),
        };
        let binary = first & 0x80 != 0;
        if length == 0 && !binary {
            return Err(FrameError::Empty);
        }
        match usize::try_from(length) {
            Ok(length) if length <= payload_bytes_max => Ok(Some((FrameHeader { binary, length }, bytes))),
            _ => Err(FrameError::TooLarge),
        }
    }

    /// Appends the header, its length in the shortest form.
    pub fn encode(self, out: &mut Vec<u8>) {
        let binary = if self.binary { 0x80 } else { 0 };
        match (u8::try_from(self.length), u16::try_from(self.length)) {
            (Ok(length @ 0..126), _) => out.push(binary | length),
            (_, Ok(length)) => {
                out.push(binary | 126);
                out.extend_from_slice(&length.to_be_bytes());
            }
            (_, Err(_)) => {
                out.push(binary | 127);
                out.extend_from_slice(&(self.length as u64).to_be_bytes());
            }
        }
    }
}

/// Why a frame cannot be read. The peer broke the protocol: close with "parse error".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// A text packet without its type.
    Empty,
    /// Longer than a packet may be.
    TooLarge,
}

impl FrameError {
    /// A short name that does not change, for logs, counters and the test vectors: `too_large`.
    pub fn name(&self) -> &'static str {
        match self {
            FrameError::Empty => "empty",
            FrameError::TooLarge => "too_large",
        }
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FrameError::Empty => "empty frame",
            FrameError::TooLarge => "the frame is longer than a packet may be",
        })
    }
}

impl error::Error for FrameError {}
