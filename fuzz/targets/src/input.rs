//! Raw bytes taken apart. What is missing at the end is zero or nothing, so that every input means something.

/// Reads from the front.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    rest: &'a [u8],
}

/// Between messages: no text has this byte.
const END: u8 = 0xff;
/// The first byte of a message of bytes.
const BINARY: u8 = 0x00;

/// A message, as [`Input::message`] reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Text.
    Text(&'a str),
    /// Bytes.
    Binary(&'a [u8]),
}

impl<'a> Input<'a> {
    /// Of all of it.
    pub fn new(rest: &'a [u8]) -> Self {
        Input { rest }
    }

    /// One byte.
    pub fn byte(&mut self) -> u8 {
        let (first, rest) = self.rest.split_first().unwrap_or((&0, &[]));
        self.rest = rest;
        *first
    }

    /// So many bytes, or what is left.
    pub fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(len.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// A length in one byte, and so many bytes.
    pub fn block(&mut self) -> &'a [u8] {
        let len = self.byte();
        self.take(len.into())
    }

    /// All that is left.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The bytes up to the next `ff`, which is passed over; `None` behind the last.
    pub fn part(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let mut parts = self.rest.splitn(2, |byte| *byte == END);
        let part = parts.next().unwrap_or_default();
        self.rest = parts.next().unwrap_or_default();
        Some(part)
    }

    /// The next part as a message: bytes behind `00`, else text up to where it is none. `None` behind the last.
    pub fn message(&mut self) -> Option<Piece<'a>> {
        Some(match self.part()? {
            [BINARY, data @ ..] => Piece::Binary(data),
            text => Piece::Text(text_of(text)),
        })
    }
}

/// The text that bytes begin with.
pub fn text_of(data: &[u8]) -> &str {
    data.utf8_chunks().next().map_or("", |chunk| chunk.valid())
}

/// Puts messages in the form that [`Input::message`] reads.
pub fn messages(flags: u8, pieces: &[Piece<'_>]) -> Vec<u8> {
    let mut out = vec![flags];
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
            Piece::Binary(data) => {
                out.push(BINARY);
                out.extend_from_slice(data);
            }
        }
        out.push(END);
    }
    out
}

/// Cuts bytes into pieces of lengths that follow from a seed: mostly short, now and then long.
pub fn pieces(mut data: &[u8], seed: u8) -> Vec<&[u8]> {
    let mut state = u32::from(seed).wrapping_mul(0x9e37_79b9) | 1;
    let mut pieces = Vec::new();
    while !data.is_empty() {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        let longest = if state & 0x700 == 0 { 700 } else { 9 };
        let len = (state >> 16) as usize % longest + 1;
        let (piece, rest) = data.split_at(len.min(data.len()));
        pieces.push(piece);
        data = rest;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_as_they_were_written() {
        let pieces = [Piece::Text("2[\"é\"]"), Piece::Binary(&[1, 0, 2]), Piece::Text("")];
        let bytes = messages(7, &pieces);
        let mut input = Input::new(&bytes);
        assert_eq!(input.byte(), 7);
        let read: Vec<_> = std::iter::from_fn(|| input.message()).collect();
        assert_eq!(read, pieces);
    }

    #[test]
    fn pieces_are_the_whole() {
        let data: Vec<u8> = (0..=255).cycle().take(5000).collect();
        for seed in 0..=255 {
            let pieces = pieces(&data, seed);
            assert!(pieces.iter().all(|piece| !piece.is_empty()) && pieces.len() > 5);
            assert_eq!(pieces.concat(), data);
        }
    }

    #[test]
    fn what_is_missing_is_nothing() {
        let mut input = Input::new(&[3, 1]);
        assert_eq!((input.block(), input.byte(), input.part()), (&[1][..], 0, None));
        assert_eq!(text_of(b"a\xffb"), "a");
    }
}
