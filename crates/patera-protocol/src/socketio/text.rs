//! Looking for what is special in the text of a JSON string, many bytes at a time. RFC 8259 §7.

const WORD: usize = size_of::<u64>();
const LOW: u64 = u64::from_ne_bytes([0x01; WORD]);
const HIGH: u64 = u64::from_ne_bytes([0x80; WORD]);

/// Where the first quote, backslash or control character is: what ends a string, or may only stand in it escaped.
pub(crate) fn first_special(text: &[u8]) -> Option<usize> {
    // In what is long whole chunks are passed over without a branch, so that the compiler can use wide registers.
    let (chunks, _) = text.as_chunks::<CHUNK>();
    let has_special = |chunk: &[u8; CHUNK]| chunk.iter().fold(false, |found, byte| found | is_special(*byte));
    let passed = chunks.iter().take_while(|chunk| !has_special(chunk)).count();
    // No text is so long that a place in it could overflow.
    let mut at = passed.wrapping_mul(CHUNK);
    let (words, rest) = text.get(at..)?.as_chunks::<WORD>();
    for word in words {
        let special = special_bytes(u64::from_le_bytes(*word));
        if special != 0 {
            return Some(at.wrapping_add(special.trailing_zeros() as usize / 8));
        }
        at = at.wrapping_add(WORD);
    }
    rest.iter().position(|byte| is_special(*byte)).map(|more| at.wrapping_add(more))
}

const CHUNK: usize = 64;

fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// The high bit of each byte that is special, exact up to the first. Bit Twiddling Hacks, "Determine if a word has a byte less than n".
fn special_bytes(word: u64) -> u64 {
    let below = |word: u64, limit: u8| word.wrapping_sub(LOW * u64::from(limit)) & !word;
    let control = below(word, 0x20);
    let quote = below(word ^ (LOW * u64::from(b'"')), 1);
    let backslash = below(word ^ (LOW * u64::from(b'\\')), 1);
    (control | quote | backslash) & HIGH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_special_byte_is_found_wherever_it_stands() {
        for len in [0, 1, 7, 8, 9, 31, 32, 33, 95, 96, 97, 200] {
            for at in 0..len {
                for byte in 0..=255_u8 {
                    let mut text = vec![b'x'; len];
                    text[at] = byte;
                    assert_eq!(first_special(&text), is_special(byte).then_some(at), "{byte} at {at} of {len}");
                    // Behind the first nothing counts.
                    text[len - 1] = b'"';
                    let expected = if is_special(byte) { at } else { len - 1 };
                    assert_eq!(first_special(&text), Some(expected), "{byte} at {at} of {len}, then a quote");
                }
            }
            assert_eq!(first_special(&vec![0xff; len]), None);
            assert_eq!(first_special(&vec![b' '; len]), None);
        }
    }
}
