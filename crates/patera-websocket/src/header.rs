//! Reading a frame's header, also byte by byte. RFC 6455 §5.2. What one header says is checked here; what depends on the
//! frames before is checked in `connection.rs`.

use crate::error::Violation;
use crate::frame::{FIN, MASK, Opcode, Role};
use crate::inline::Inline;

/// What the header of a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) fin: bool,
    /// RSV1, the one bit that an extension may give a meaning (RFC 7692 §6: the message is compressed).
    pub(crate) rsv1: bool,
    pub(crate) opcode: Opcode,
    /// Zeros from a server: xoring with them changes nothing.
    pub(crate) mask: [u8; 4],
    /// Less than 2^63.
    pub(crate) payload_len: u64,
}

/// The longest header, in bytes.
const BYTES_MAX: usize = 14;

/// The bytes of a header that is not complete.
#[derive(Default)]
pub(crate) struct HeaderBuffer(Inline<BYTES_MAX>);

impl HeaderBuffer {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the bytes of one header from the front of `input`, and tells how many; `None` when there are too few, which
    /// are kept for the next call.
    #[inline]
    pub(crate) fn read(&mut self, input: &[u8], from: Role) -> Result<(usize, Option<Header>), Violation> {
        if self.is_empty()
            && let Some((header, used)) = parse(input, from)?
        {
            return Ok((used, Some(header)));
        }
        self.read_bytes(input, from)
    }

    #[cold]
    fn read_bytes(&mut self, input: &[u8], from: Role) -> Result<(usize, Option<Header>), Violation> {
        for (used, &byte) in (1..).zip(input) {
            // A header that is complete is given out below, and 14 bytes are always complete: there is room.
            self.0.extend(&[byte]);
            if let Some((header, _)) = parse(&self.0, from)? {
                self.0.clear();
                return Ok((used, Some(header)));
            }
        }
        Ok((input.len(), None))
    }
}

/// Reads a header from the front of `bytes`, and how long it is; `None` if it goes on behind them. Each byte is checked as
/// soon as it is there, so that a peer that talks nonsense does not get to wait.
#[inline]
fn parse(bytes: &[u8], from: Role) -> Result<Option<(Header, usize)>, Violation> {
    let Some((&first, behind)) = bytes.split_first() else { return Ok(None) };
    if first & 0x30 != 0 {
        return Err(Violation::ReservedBit);
    }
    let fin = first & FIN != 0;
    let opcode = Opcode::from_bits(first & 0x0f).ok_or(Violation::ReservedOpcode)?;
    if opcode.is_control() && !fin {
        return Err(Violation::FragmentedControl);
    }

    let Some((&second, behind)) = behind.split_first() else { return Ok(None) };
    match (from, second & MASK != 0) {
        (Role::Client, false) => return Err(Violation::Unmasked),
        (Role::Server, true) => return Err(Violation::Masked),
        (Role::Client, true) | (Role::Server, false) => {}
    }
    let short = second & !MASK;
    if opcode.is_control() && short > 125 {
        return Err(Violation::LongControl);
    }

    let Some((payload_len, rest)) = parse_length(short, behind)? else { return Ok(None) };
    let (mask, rest) = match from {
        Role::Server => ([0; 4], rest),
        Role::Client => match rest.split_first_chunk() {
            Some((mask, rest)) => (*mask, rest),
            None => return Ok(None),
        },
    };
    let header = Header { fin, rsv1: first & 0x40 != 0, opcode, mask, payload_len };
    Ok(Some((header, bytes.len().saturating_sub(rest.len()))))
}

/// The length, and what is behind it.
#[inline]
fn parse_length(short: u8, bytes: &[u8]) -> Result<Option<(u64, &[u8])>, Violation> {
    let (len, min, rest) = match short {
        0..=125 => (u64::from(short), 0, bytes),
        126 => match bytes.split_first_chunk() {
            Some((len, rest)) => (u64::from(u16::from_be_bytes(*len)), 126, rest),
            None => return Ok(None),
        },
        _ => match bytes.split_first_chunk() {
            Some((len, rest)) => (u64::from_be_bytes(*len), 0x1_0000, rest),
            None => return Ok(None),
        },
    };
    if len >> 63 != 0 {
        return Err(Violation::LengthTopBit);
    }
    if len < min {
        return Err(Violation::NonMinimalLength);
    }
    Ok(Some((len, rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whole, and byte by byte with and without something behind it.
    fn check(bytes: &[u8], from: Role, expected: Result<Option<(bool, Opcode, u64)>, Violation>) {
        let seen = |result: Result<(usize, Option<Header>), Violation>| {
            result.map(|(used, header)| header.map(|header| (used, (header.fin, header.opcode, header.payload_len))))
        };
        let whole = seen(HeaderBuffer::default().read(bytes, from));
        assert_eq!(whole, expected.map(|header| header.map(|header| (bytes.len(), header))), "{bytes:x?}");

        let mut buffer = HeaderBuffer::default();
        let mut last = Ok(None);
        for byte in bytes {
            last = seen(buffer.read(&[*byte], from));
            if last != Ok(None) {
                break;
            }
        }
        assert_eq!(last, expected.map(|header| header.map(|header| (1, header))), "{bytes:x?} byte by byte");

        if let Ok(Some(header)) = expected {
            let more = [bytes, b"more"].concat();
            assert_eq!(seen(HeaderBuffer::default().read(&more, from)), Ok(Some((bytes.len(), header))));
        }
    }

    #[test]
    fn lengths_and_their_edges() {
        let check = |bytes: &[u8], len| check(bytes, Role::Server, Ok(Some((true, Opcode::Text, len))));
        check(&[0x81, 0], 0);
        check(&[0x81, 125], 125);
        check(&[0x81, 126, 0, 126], 126);
        check(&[0x81, 126, 255, 255], 65535);
        check(&[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0], 65536);
        check(&[0x81, 127, 0x7f, 255, 255, 255, 255, 255, 255, 255], (1 << 63) - 1);
    }

    #[test]
    fn length_in_a_longer_form_is_refused() {
        for bytes in [&[0x81, 126, 0, 125][..], &[0x81, 126, 0, 0], &[0x81, 127, 0, 0, 0, 0, 0, 0, 255, 255]] {
            check(bytes, Role::Server, Err(Violation::NonMinimalLength));
        }
        check(&[0x81, 127, 0x80, 0, 0, 0, 0, 0, 0, 0], Role::Server, Err(Violation::LengthTopBit));
    }

    #[test]
    fn mask_is_a_matter_of_role() {
        check(&[0x81, 0x85, 1, 2, 3, 4], Role::Client, Ok(Some((true, Opcode::Text, 5))));
        check(&[0x81, 0x05], Role::Server, Ok(Some((true, Opcode::Text, 5))));
        check(&[0x81, 0x05], Role::Client, Err(Violation::Unmasked));
        check(&[0x81, 0x85], Role::Server, Err(Violation::Masked));
    }

    #[test]
    fn incomplete_header_is_kept() {
        for bytes in [&[0x01][..], &[0x81, 0xfe], &[0x81, 0xfe, 1], &[0x81, 0x81, 1, 2, 3], &[0x82, 0xff, 0, 0, 0, 1]] {
            check(bytes, Role::Client, Ok(None));
        }
    }

    #[test]
    fn reserved_bits_and_opcodes_are_refused_at_the_first_byte() {
        for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
            check(&[0x80 | opcode], Role::Client, Err(Violation::ReservedOpcode));
        }
        for bits in [0x10, 0x20, 0x30, 0x50, 0x60, 0x70] {
            check(&[0x81 | bits], Role::Client, Err(Violation::ReservedBit));
        }
        let (_, header) = HeaderBuffer::default().read(&[0xc1, 0], Role::Server).unwrap();
        assert!(header.unwrap().rsv1);
    }

    #[test]
    fn control_frames_are_short_and_whole() {
        for opcode in [8, 9, 10] {
            check(&[opcode], Role::Server, Err(Violation::FragmentedControl));
            check(&[0x80 | opcode, 126], Role::Server, Err(Violation::LongControl));
            check(&[0x80 | opcode, 127], Role::Server, Err(Violation::LongControl));
            check(&[0x80 | opcode, 125], Role::Server, Ok(Some((true, Opcode::from_bits(opcode).unwrap(), 125))));
        }
    }
}
