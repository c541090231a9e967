//! Text that arrives in pieces: checked as it comes, so that a bad byte ends the connection at once and not when the
//! message is complete. RFC 6455 §8.1.

use crate::error::Error;
use crate::inline::Inline;

/// ```text
/// text: checked, whole characters      tail: the first 1 to 3 bytes of a character that a piece ended in
/// [ h é l l o ]                        [ e2 82 ]
/// ```
#[derive(Default)]
pub(crate) struct StreamedText {
    pub(crate) text: String,
    tail: Inline<4>,
}

impl StreamedText {
    pub(crate) fn len(&self) -> usize {
        self.text.len().saturating_add(self.tail.len())
    }

    /// Adds a piece.
    ///
    /// # Errors
    /// `InvalidUtf8` as soon as no further byte could make it UTF-8 again.
    pub(crate) fn push(&mut self, mut piece: &[u8]) -> Result<(), Error> {
        while !self.tail.is_empty() {
            let Some((&byte, rest)) = piece.split_first() else { return Ok(()) };
            piece = rest;
            self.extend_tail(byte)?;
        }
        let (whole, tail) = piece.split_at(piece.len().saturating_sub(cut_character(piece)));
        self.text.push_str(simdutf8::basic::from_utf8(whole).map_err(|_| Error::InvalidUtf8)?);
        for &byte in tail {
            self.extend_tail(byte)?;
        }
        Ok(())
    }

    /// Tells that no piece is to come.
    ///
    /// # Errors
    /// `InvalidUtf8` if the text ends inside a character.
    pub(crate) fn finish(&self) -> Result<(), Error> {
        if self.tail.is_empty() { Ok(()) } else { Err(Error::InvalidUtf8) }
    }

    fn extend_tail(&mut self, byte: u8) -> Result<(), Error> {
        // A fourth byte always makes a character or an error, so there is room.
        self.tail.extend(&[byte]);
        match str::from_utf8(&self.tail) {
            Ok(character) => {
                self.text.push_str(character);
                self.tail.clear();
                Ok(())
            }
            Err(error) if error.error_len().is_none() => Ok(()),
            Err(_) => Err(Error::InvalidUtf8),
        }
    }
}

/// How many bytes at the end begin a character that lacks its rest: 0 to 3.
fn cut_character(piece: &[u8]) -> usize {
    for (count, &byte) in (1..).zip(piece.iter().rev().take(3)) {
        let needed = match byte {
            0x80..=0xbf => continue,
            0xf0.. => 4,
            0xe0.. => 3,
            0xc0.. => 2,
            _ => 1,
        };
        return if count < needed { count } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_of_every_length_survive_every_cut() {
        let text = "aé€😀\u{0}\u{7ff}\u{800}\u{d7ff}\u{e000}\u{ffff}\u{10000}\u{10ffff} end";
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let bytes = text.as_bytes();
                let mut stream = StreamedText::default();
                for piece in [&bytes[..first], &bytes[first..second], &bytes[second..]] {
                    stream.push(piece).unwrap();
                }
                assert_eq!(stream.finish(), Ok(()));
                assert_eq!(stream.text, text, "cut at {first} and {second}");
                assert_eq!(stream.len(), text.len());
            }
        }
    }

    #[test]
    fn bad_byte_is_refused_when_it_arrives() {
        // The bytes before the last may still become UTF-8; with the last nothing can.
        let cases: &[&[u8]] = &[
            b"\x80",
            b"a\xbf",
            b"\xc0",
            b"\xc1",
            b"\xe0\x80",
            b"\xe0\x9f",
            b"\xed\xa0",
            b"\xf0\x8f",
            b"\xf4\x90",
            b"\xf5",
            b"\xff",
            b"\xc3(",
            b"\xe2\x82(",
            b"\xf0\x9f\x98(",
            b"ok \xf0\x9f\x98\x80 \xe2\xe2",
        ];
        for case in cases {
            let (last, before) = case.split_last().unwrap();
            let mut stream = StreamedText::default();
            before.iter().for_each(|&byte| stream.push(&[byte]).unwrap());
            assert_eq!(stream.push(&[*last]), Err(Error::InvalidUtf8), "{case:x?} byte by byte");
            assert_eq!(StreamedText::default().push(case), Err(Error::InvalidUtf8), "{case:x?} at once");
            let padded = [&[b'x'; 100][..], case, &[b'x'; 100]].concat();
            assert_eq!(StreamedText::default().push(&padded), Err(Error::InvalidUtf8), "{case:x?} among text");
        }
    }

    #[test]
    fn text_that_ends_inside_a_character_is_refused() {
        for cut in [&b"\xc3"[..], b"a\xe2\x82", b"\xf0\x9f\x98"] {
            let mut stream = StreamedText::default();
            stream.push(cut).unwrap();
            assert_eq!(stream.len(), cut.len());
            assert_eq!(stream.finish(), Err(Error::InvalidUtf8));
        }
    }
}
