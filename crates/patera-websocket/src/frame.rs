//! Writing frames. RFC 6455 §5.2. Reading them is `header.rs` and `connection.rs`.
//!
//! ```text
//!  FIN, RSV1-3, opcode   MASK, length   length, if 126 or 127   mask, if MASK   payload
//! [ 1 byte             ][ 1 byte      ][ 0, 2 or 8 bytes       ][ 0 or 4      ][ …     ]
//! ```

use std::ops::Deref;

use bytes::Bytes;

use crate::mask;

/// Which side of the connection this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Sends frames as they are and takes masked ones.
    Server,
    /// Masks its frames and takes unmasked ones.
    Client,
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Opcode {
    /// More of the message before.
    Continuation = 0,
    /// A text message, or its first part.
    Text = 1,
    /// A binary message, or its first part.
    Binary = 2,
    /// The last frame of its direction.
    Close = 8,
    /// Asks for a pong with the same payload.
    Ping = 9,
    /// Answers a ping, or just says that its sender is there.
    Pong = 10,
}

impl Opcode {
    /// Whether it is of a control frame: at most 125 bytes, never cut, allowed between the frames of a message.
    pub const fn is_control(self) -> bool {
        match self {
            Opcode::Continuation | Opcode::Text | Opcode::Binary => false,
            Opcode::Close | Opcode::Ping | Opcode::Pong => true,
        }
    }

    /// The opcode with this number, if one is assigned.
    pub(crate) const fn from_bits(bits: u8) -> Option<Opcode> {
        Some(match bits {
            0 => Opcode::Continuation,
            1 => Opcode::Text,
            2 => Opcode::Binary,
            8 => Opcode::Close,
            9 => Opcode::Ping,
            10 => Opcode::Pong,
            _ => return None,
        })
    }
}

/// The longest header of a server's frame, in bytes.
pub const SERVER_HEADER_BYTES_MAX: usize = 10;

/// The first bit of a frame: it is the last of its message.
pub(crate) const FIN: u8 = 0x80;
/// The second bit: the message is compressed. RFC 7692 §6
#[cfg(feature = "deflate")]
pub(crate) const RSV1: u8 = 0x40;
/// The first bit of the second byte: a mask follows the length.
pub(crate) const MASK: u8 = 0x80;

/// A header as inline bytes; dereferences to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    bytes: [u8; SERVER_HEADER_BYTES_MAX],
    len: u8,
}

impl FrameHeader {
    pub(crate) fn new(first: u8, masked: u8, payload_len: usize) -> Self {
        let mut bytes = [0; SERVER_HEADER_BYTES_MAX];
        bytes[0] = first;
        let len = match payload_len {
            0..=125 => {
                bytes[1] = masked | payload_len as u8;
                2
            }
            126..=0xffff => {
                bytes[1] = masked | 126;
                bytes[2..4].copy_from_slice(&(payload_len as u16).to_be_bytes());
                4
            }
            _ => {
                bytes[1] = masked | 127;
                bytes[2..].copy_from_slice(&(payload_len as u64).to_be_bytes());
                10
            }
        };
        FrameHeader { bytes, len }
    }
}

impl Deref for FrameHeader {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// The header of a whole message in one server's frame: for a caller that writes header and payload itself.
///
/// ```
/// use patera_websocket::{Opcode, server_header};
///
/// assert_eq!(&*server_header(Opcode::Text, 5), [0x81, 5]);
/// assert_eq!(&*server_header(Opcode::Binary, 300), [0x82, 126, 1, 44]);
/// ```
pub fn server_header(opcode: Opcode, payload_len: usize) -> FrameHeader {
    FrameHeader::new(FIN | opcode as u8, 0, payload_len)
}

/// A whole message in one server's frame, made once and shared by any number of connections.
///
/// ```
/// use patera_websocket::{Opcode, server_frame};
///
/// assert_eq!(&server_frame(Opcode::Text, b"hello")[..], b"\x81\x05hello");
/// ```
pub fn server_frame(opcode: Opcode, payload: &[u8]) -> Bytes {
    let header = server_header(opcode, payload.len());
    let mut frame = Vec::with_capacity(header.len().saturating_add(payload.len()));
    frame.extend_from_slice(&header);
    frame.extend_from_slice(payload);
    frame.into()
}

/// Appends one frame to `out`; `fin` tells that it is the last of its message. A server ignores `mask`, a client needs
/// four bytes nobody can predict for each frame (RFC 6455 §5.3).
///
/// What is allowed where is the caller's affair: that continuations follow a first frame, that text is UTF-8, that
/// control frames are whole and short. Pongs and close frames come from
/// [`Connection::poll_output`](crate::Connection::poll_output).
pub fn encode(role: Role, opcode: Opcode, fin: bool, payload: &[u8], mask: [u8; 4], out: &mut Vec<u8>) {
    append(role, opcode as u8 | if fin { FIN } else { 0 }, payload, mask, out);
}

/// Appends a frame with this first byte.
pub(crate) fn append(role: Role, first: u8, payload: &[u8], mask: [u8; 4], out: &mut Vec<u8>) {
    match role {
        Role::Server => {
            out.extend_from_slice(&FrameHeader::new(first, 0, payload.len()));
            out.extend_from_slice(payload);
        }
        Role::Client => {
            out.extend_from_slice(&FrameHeader::new(first, MASK, payload.len()));
            out.extend_from_slice(&mask);
            let at = out.len();
            out.extend_from_slice(payload);
            mask::apply(out.get_mut(at..).unwrap_or_default(), mask);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_takes_its_shortest_form() {
        let check = |len: usize, expected: &[u8]| assert_eq!(&*server_header(Opcode::Binary, len), expected, "{len}");
        check(0, &[0x82, 0]);
        check(125, &[0x82, 125]);
        check(126, &[0x82, 126, 0, 126]);
        check(65535, &[0x82, 126, 0xff, 0xff]);
        check(65536, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
        check(usize::MAX, &[0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255]);
    }

    #[test]
    fn examples_of_the_rfc() {
        let check = |role, opcode, fin, payload: &[u8], expected: &[u8]| {
            let mut out = b"before".to_vec();
            encode(role, opcode, fin, payload, [0x37, 0xfa, 0x21, 0x3d], &mut out);
            assert_eq!(out, [b"before", expected].concat());
        };
        check(Role::Server, Opcode::Text, true, b"Hello", b"\x81\x05Hello");
        check(Role::Client, Opcode::Text, true, b"Hello", b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
        check(Role::Server, Opcode::Text, false, b"Hel", b"\x01\x03Hel");
        check(Role::Server, Opcode::Continuation, true, b"lo", b"\x80\x02lo");
        check(Role::Server, Opcode::Ping, true, b"Hello", b"\x89\x05Hello");
        check(Role::Client, Opcode::Pong, true, b"Hello", b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
    }

    #[test]
    fn shared_frame_is_the_encoded_one() {
        for len in [0, 1, 125, 126, 65535, 65536] {
            let payload = vec![7; len];
            let mut out = Vec::new();
            encode(Role::Server, Opcode::Binary, true, &payload, [9; 4], &mut out);
            assert_eq!(server_frame(Opcode::Binary, &payload), out);
        }
    }
}
