//! WebSocket frames (RFC 6455 §5): found in what was read, unmasked in place, written without a mask.

use std::ops::Range;

pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// A client's frame: where its payload is in the buffer, which starts with its header.
#[derive(Debug, PartialEq)]
pub(crate) struct Frame {
    pub(crate) opcode: u8,
    mask: [u8; 4],
    pub(crate) payload: Range<usize>,
}

impl Frame {
    /// The frame that starts at `at`; `None` until all of it was read.
    pub(crate) fn find(buffer: &[u8], at: usize) -> Option<Self> {
        let &[first, second, ..] = buffer.get(at..)? else { return None };
        let (length, mask_at) = match second & 0x7f {
            126 => (usize::from(u16::from_be_bytes(*buffer[at + 2..].first_chunk()?)), at + 4),
            127 => (u64::from_be_bytes(*buffer[at + 2..].first_chunk()?) as usize, at + 10),
            length => (usize::from(length), at + 2),
        };
        let mask = *buffer.get(mask_at..)?.first_chunk()?;
        let payload = mask_at + 4..(mask_at + 4).checked_add(length)?;
        (payload.end <= buffer.len()).then_some(Self { opcode: first & 0x0f, mask, payload })
    }

    /// A byte of the payload while that is still masked; `None` past the end.
    pub(crate) fn peek(&self, buffer: &[u8], index: usize) -> Option<u8> {
        (index < self.payload.len()).then(|| buffer[self.payload.start + index] ^ self.mask[index % 4])
    }

    pub(crate) fn unmask(&self, buffer: &mut [u8]) {
        let payload = &mut buffer[self.payload.clone()];
        let [a, b, c, d] = self.mask;
        let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
        let (chunks, rest) = payload.as_chunks_mut::<8>();
        for chunk in chunks {
            *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
        }
        for (byte, mask) in rest.iter_mut().zip(self.mask.iter().cycle()) {
            *byte ^= mask;
        }
    }
}

/// Appends a server's frame whose payload is these parts, one after the other.
pub(crate) fn write(opcode: u8, parts: &[&[u8]], out: &mut Vec<u8>) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    out.push(0x80 | opcode);
    match length {
        0..=125 => out.push(length as u8),
        126..=0xffff => {
            out.push(126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    for part in parts {
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_comes_back_unmasked_at_every_length() {
        for length in [0, 1, 7, 8, 16, 125, 126, 1024, 65535, 65536] {
            let payload: Vec<u8> = (0..length).map(|index| index as u8).collect();
            let mut buffer = client_frame(&payload);
            let frame = Frame::find(&buffer, 0).expect("it is whole");
            assert_eq!(frame.peek(&buffer, 5), payload.get(5).copied());
            frame.unmask(&mut buffer);
            assert_eq!(buffer[frame.payload.clone()], payload, "length {length}");
            assert_eq!(frame.payload.end, buffer.len());
            assert_eq!(Frame::find(&buffer[..buffer.len() - 1], 0), None);
        }
    }

    #[test]
    fn header_alone_is_no_frame() {
        for length in 0..6 {
            assert_eq!(Frame::find(&client_frame(b"hello")[..length], 0), None);
        }
    }

    fn client_frame(payload: &[u8]) -> Vec<u8> {
        let mask = [1, 2, 3, 4];
        let mut frame = Vec::new();
        write(TEXT, &[payload], &mut frame);
        frame[1] |= 0x80;
        let header = frame.len() - payload.len();
        frame.truncate(header);
        frame.extend_from_slice(&mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }
}
