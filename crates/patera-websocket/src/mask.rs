//! Masking, RFC 6455 §5.3: every byte of a client's payload is xored with a key of four.

/// Xors `payload` with `mask` repeated, and returns the mask for the byte that follows, so that a payload can be masked
/// in pieces of any length.
///
/// Blocks of fixed length let the compiler use vector instructions; no alignment is needed for them.
pub(crate) fn apply(payload: &mut [u8], mask: [u8; 4]) -> [u8; 4] {
    const BLOCK: usize = 32;
    let mut key = [0; BLOCK];
    for quarter in key.chunks_exact_mut(4) {
        quarter.copy_from_slice(&mask);
    }
    let mut blocks = payload.chunks_exact_mut(BLOCK);
    for block in &mut blocks {
        for (byte, key) in block.iter_mut().zip(&key) {
            *byte ^= key;
        }
    }
    let rest = blocks.into_remainder();
    for (byte, key) in rest.iter_mut().zip(&key) {
        *byte ^= key;
    }
    let mut next = mask;
    next.rotate_left(rest.len() % 4);
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    #[test]
    fn example_of_the_rfc() {
        let mut payload = *b"\x7f\x9f\x4d\x51\x58";
        apply(&mut payload, MASK);
        assert_eq!(&payload, b"Hello");
    }

    #[test]
    fn every_length_alignment_and_cut_agrees_with_the_plain_loop() {
        let source: Vec<u8> = (0..200u8).collect();
        for start in 0..64 {
            for len in 0..=128 {
                let mut plain = source[start..start + len].to_vec();
                plain.iter_mut().enumerate().for_each(|(at, byte)| *byte ^= MASK[at % 4]);

                let mut buffer = source.clone();
                let next = apply(&mut buffer[start..start + len], MASK);
                assert_eq!(buffer[start..start + len], plain, "start {start}, length {len}");
                assert_eq!(buffer[..start], source[..start]);
                assert_eq!(buffer[start + len..], source[start + len..]);
                assert_eq!(next[0], MASK[len % 4]);

                let cut = len / 3;
                let mut pieces = source[start..start + len].to_vec();
                let between = apply(&mut pieces[..cut], MASK);
                apply(&mut pieces[cut..], between);
                assert_eq!(pieces, plain, "start {start}, length {len}, cut {cut}");
            }
        }
    }
}
