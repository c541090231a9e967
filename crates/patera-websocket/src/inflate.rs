//! Inflating a compressed message as it arrives. RFC 7692 §7.2.2. Whether a message is compressed is `connection.rs`.

use std::cell::Cell;

use flate2::{Decompress, FlushDecompress, Status};

use crate::error::Error;

/// How much is inflated at a time: what is checked against the message's limit in one piece.
const PIECE_BYTES: usize = 8 * 1024;

/// The end of every compressed message, which its sender leaves out. §7.2.1
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];
/// A last block without content: whatever stands on a boundary between blocks ends with it, without output.
const EMPTY_LAST_BLOCK: [u8; 2] = [0x03, 0x00];

/// One compressed message. It holds 57 KB from its first byte on, and nothing before; a thread keeps one such state
/// spare, so that connections which take turns do not allocate.
#[derive(Default)]
pub(crate) struct Inflation {
    inflater: Option<Box<Inflater>>,
    /// Compressed bytes that have come.
    pub(crate) received: usize,
}

struct Inflater {
    decompress: Decompress,
    piece: Vec<u8>,
    /// A block marked as the last has ended, and nothing has come behind it.
    at_last_end: bool,
}

thread_local! {
    static SPARE: Cell<Option<Box<Inflater>>> = const { Cell::new(None) };
}

impl Inflation {
    /// Takes a piece of the message, and hands on what it inflates to.
    ///
    /// # Errors
    /// `InvalidDeflate`, and what `take` says to a piece of at most 8 KiB: then no more is inflated.
    pub(crate) fn push(&mut self, input: &[u8], take: impl FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error> {
        if input.is_empty() {
            return Ok(());
        }
        self.received = self.received.saturating_add(input.len());
        self.inflater.get_or_insert_with(Inflater::take).push(input, take)
    }

    /// Tells that no piece is to come: all that it inflates to has been handed on. (§7.2.3.6 writes an empty message as one
    /// byte; without any it is as empty.)
    ///
    /// # Errors
    /// `InvalidDeflate` if the message ends in the middle of a block.
    pub(crate) fn finish(&mut self) -> Result<(), Error> {
        let result = self.inflater.as_mut().map_or(Ok(()), |inflater| inflater.finish());
        self.give_back();
        result
    }

    fn give_back(&mut self) {
        if let Some(inflater) = self.inflater.take() {
            // Where the thread ends and has no spare place any more, it is just freed.
            let _ = SPARE.try_with(|spare| spare.set(Some(inflater)));
        }
    }
}

impl Drop for Inflation {
    fn drop(&mut self) {
        self.give_back();
    }
}

impl Inflater {
    fn take() -> Box<Inflater> {
        let spare = SPARE.try_with(Cell::take).ok().flatten();
        let mut inflater = spare.unwrap_or_else(|| {
            // A peer with a smaller window refers no further back than it allows: the largest fits all.
            let decompress = Decompress::new_with_window_bits(false, 15);
            Box::new(Inflater { decompress, piece: Vec::with_capacity(PIECE_BYTES), at_last_end: false })
        });
        inflater.decompress.reset(false);
        inflater.at_last_end = false;
        inflater
    }

    fn push(&mut self, mut input: &[u8], mut take: impl FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error> {
        loop {
            let step = self.step(input);
            // Also what lies before an error is looked at, so that the verdict does not depend on how the message was cut.
            if !self.piece.is_empty() {
                take(&self.piece)?;
            }
            let (used, status) = step?;
            input = input.get(used..).unwrap_or_default();
            if status == Status::StreamEnd {
                // §7.2.3.4: behind a block that is marked as the last, others may follow.
                self.decompress.reset(false);
                self.at_last_end = true;
            } else if used > 0 {
                self.at_last_end = false;
            }
            let is_full = self.piece.len() == self.piece.capacity();
            if input.is_empty() && !is_full {
                return Ok(());
            }
            if used == 0 && self.piece.is_empty() && status != Status::StreamEnd {
                return Err(Error::InvalidDeflate);
            }
        }
    }

    fn finish(&mut self) -> Result<(), Error> {
        if self.at_last_end {
            // Its sender has left out more than it should; nothing is missing.
            return Ok(());
        }
        // The tail has no content: where it becomes some, it fell into a block.
        for (bytes, end) in [(&TAIL[..], false), (&EMPTY_LAST_BLOCK, true)] {
            let (used, status) = self.step(bytes)?;
            if used < bytes.len() || !self.piece.is_empty() || (status == Status::StreamEnd) != end {
                return Err(Error::InvalidDeflate);
            }
        }
        Ok(())
    }

    /// Inflates into `piece`, and tells how much of the input that took.
    fn step(&mut self, input: &[u8]) -> Result<(usize, Status), Error> {
        self.piece.clear();
        let before = self.decompress.total_in();
        let status = self
            .decompress
            .decompress_vec(input, &mut self.piece, FlushDecompress::None)
            .map_err(|_| Error::InvalidDeflate)?;
        Ok((self.decompress.total_in().saturating_sub(before) as usize, status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Inflates a message that comes in pieces of `size`.
    fn inflate(message: &[u8], size: usize) -> Result<Vec<u8>, Error> {
        let mut inflation = Inflation::default();
        let mut output = Vec::new();
        let mut take = |piece: &[u8]| {
            assert!(!piece.is_empty() && piece.len() <= PIECE_BYTES);
            output.extend_from_slice(piece);
            Ok(())
        };
        for piece in message.chunks(size) {
            inflation.push(piece, &mut take)?;
        }
        inflation.finish()?;
        assert_eq!(inflation.received, message.len());
        Ok(output)
    }

    fn check(message: &[u8], expected: Result<&[u8], Error>) {
        for size in [1, 2, 3, 5, 1000] {
            let got = inflate(message, size);
            assert_eq!(got.as_deref(), expected.as_ref().copied(), "{message:x?} in pieces of {size}");
        }
    }

    /// RFC 7692 §7.2.3, but for the examples of context takeover.
    #[test]
    fn examples_of_the_rfc() {
        check(b"\xf2\x48\xcd\xc9\xc9\x07\x00", Ok(b"Hello")); // §7.2.3.1, one block
        check(b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", Ok(b"Hello")); // §7.2.3.3, not compressed
        check(b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", Ok(b"Hello")); // §7.2.3.4, marked as the last
        check(b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", Ok(b"Hello")); // §7.2.3.5, two blocks
        check(b"\x00", Ok(b"")); // §7.2.3.6
        // §7.2.3.2, with the context taken over: we do not agree to that, and it shows.
        check(b"\xf2\x00\x11\x00\x00", Err(Error::InvalidDeflate));
    }

    #[test]
    fn blocks_marked_as_the_last_may_be_followed() {
        let last = b"\xf3\x48\xcd\xc9\xc9\x07\x00";
        check(&[&last[..], last, b"\x00"].concat(), Ok(b"HelloHello"));
        check(&[&last[..], b"\xf2\x48\xcd\xc9\xc9\x07\x00"].concat(), Ok(b"HelloHello"));
        check(&[&b"\x03\x00".repeat(1000)[..], last, b"\x00"].concat(), Ok(b"Hello"));
        // The byte behind it was forgotten.
        check(last, Ok(b"Hello"));
        check(b"\x03\x00", Ok(b""));
    }

    #[test]
    fn what_is_no_deflate_is_refused() {
        for message in [
            &b"\x06"[..],                    // a block of no kind
            b"\x00\x05\x00\x00\x00\x34\x32", // a length that is not its complement
            b"\x03\x84\x00\x00\x00\xff\xff", // refers to before the beginning
            b"\xff\xff\xff\xff",
        ] {
            check(message, Err(Error::InvalidDeflate));
        }
    }

    #[test]
    fn message_that_ends_inside_a_block_is_refused() {
        let whole = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
        for len in 1..whole.len() {
            check(&whole[..len], Err(Error::InvalidDeflate));
        }
        let stored = b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00";
        for len in 2..stored.len() {
            check(&stored[..len], Err(Error::InvalidDeflate));
        }
    }

    #[test]
    fn refusal_of_a_piece_ends_the_work() {
        // A block of 258 bytes from 10 bits, again and again: 100 KB of it is 20 MB.
        let mut compress = flate2::Compress::new(flate2::Compression::best(), false);
        let mut bomb = Vec::with_capacity(100_000);
        compress.compress_vec(&vec![0; 20_000_000], &mut bomb, flate2::FlushCompress::Sync).unwrap();
        let mut seen = 0;
        let error = Error::Limit { what: crate::error::Limit::MessageBytes, max: 0, got: 0 };
        let result = Inflation::default().push(&bomb, |piece| {
            seen += piece.len();
            if seen > 100_000 { Err(error) } else { Ok(()) }
        });
        assert_eq!(result, Err(error));
        assert!(seen <= 100_000 + PIECE_BYTES, "{seen}");
    }

    #[test]
    fn spare_state_remembers_nothing() {
        let whole = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
        assert_eq!(inflate(whole, 100).unwrap(), b"Hello");
        // Cut off, broken, or refused: the next message does not notice.
        drop(inflate(&whole[..3], 100));
        assert_eq!(inflate(whole, 100).unwrap(), b"Hello");
        drop(inflate(b"\x06", 100));
        assert_eq!(inflate(whole, 100).unwrap(), b"Hello");
        let mut held = Inflation::default();
        held.push(&whole[..3], |_| Ok(())).unwrap();
        assert_eq!(inflate(whole, 100).unwrap(), b"Hello");
        assert_eq!(inflate(b"\xf2\x00\x11\x00\x00", 100), Err(Error::InvalidDeflate));
        let mut rest = Vec::new();
        let mut take = |piece: &[u8]| {
            rest.extend_from_slice(piece);
            Ok(())
        };
        held.push(&whole[3..], &mut take).unwrap();
        held.finish().unwrap();
        assert!(b"Hello".ends_with(&rest));
    }
}
