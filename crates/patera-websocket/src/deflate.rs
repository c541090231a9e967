//! Compressing messages. RFC 7692 §7.2.1. What both sides agreed on is `handshake/deflate.rs`.
//!
//! Every message is compressed by itself, so that what comes out depends on the message, the window and the level alone.

use std::cell::{Cell, RefCell};

use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress};

use crate::config::DeflateConfig;
use crate::frame::{FIN, FrameHeader, Opcode, RSV1, Role, append};

/// A whole compressed message in one server's frame, for all connections whose
/// [window](crate::Deflate::window_bits) for [`Role::Server`] has this size; `None` if it is to be sent as it is, because it is
/// shorter than the threshold, does not become shorter, or is no text or binary message.
///
/// # Panics
/// When `window_bits` is not 9 to 15.
///
/// # Examples
/// ```
/// use patera_websocket::{DeflateConfig, Opcode, deflated_server_frame, server_frame};
///
/// let text = "la ".repeat(1000);
/// let config = DeflateConfig::default();
/// let frame = deflated_server_frame(Opcode::Text, text.as_bytes(), 15, &config)
///     .unwrap_or_else(|| server_frame(Opcode::Text, text.as_bytes()));
/// assert!(frame.len() < 50);
/// ```
pub fn deflated_server_frame(opcode: Opcode, payload: &[u8], window_bits: u8, config: &DeflateConfig) -> Option<Bytes> {
    deflate(opcode, payload, window_bits, config, |first, deflated| {
        let header = FrameHeader::new(first, 0, deflated.len());
        let mut frame = Vec::with_capacity(header.len().saturating_add(deflated.len()));
        frame.extend_from_slice(&header);
        frame.extend_from_slice(deflated);
        frame.into()
    })
}

/// Appends a whole compressed message in one frame, as [`encode`](crate::encode), if it becomes shorter; otherwise appends
/// nothing and returns false.
///
/// # Panics
/// When `window_bits` is not 9 to 15.
pub fn encode_deflated(
    role: Role,
    opcode: Opcode,
    payload: &[u8],
    mask: [u8; 4],
    window_bits: u8,
    config: &DeflateConfig,
    out: &mut Vec<u8>,
) -> bool {
    let appended =
        deflate(opcode, payload, window_bits, config, |first, deflated| append(role, first, deflated, mask, out));
    appended.is_some()
}

/// Makes something of the frame's first byte and its compressed payload.
fn deflate<T>(
    opcode: Opcode,
    payload: &[u8],
    window_bits: u8,
    config: &DeflateConfig,
    make: impl FnOnce(u8, &[u8]) -> T,
) -> Option<T> {
    assert!((9..=15).contains(&window_bits), "a window of {window_bits} bits");
    let is_message = matches!(opcode, Opcode::Text | Opcode::Binary);
    if !is_message || payload.len() < config.threshold_bytes {
        return None;
    }
    let mut output = OUTPUT.take();
    output.clear();
    // What has no room here has not become shorter. The compressor stops with its room; that it may end there exactly, not
    // having written all, is what the slack is for.
    output.reserve(payload.len().saturating_add(SLACK));
    let level = config.level.min(9);
    let done = COMPRESSORS.with_borrow_mut(|compressors| {
        let compressor = window_bits.checked_sub(9).and_then(|at| compressors.get_mut(usize::from(at)));
        compressor.is_some_and(|compressor| compress(compressor, window_bits, level, payload, &mut output))
    });
    let deflated = output.strip_suffix(&TAIL).filter(|deflated| done && deflated.len() < payload.len());
    let made = deflated.map(|deflated| make(FIN | RSV1 | opcode as u8, deflated));
    if output.capacity() <= OUTPUT_BYTES_KEPT {
        OUTPUT.set(output);
    }
    made
}

/// The end of what a compressor has flushed, which is not sent. §7.2.1
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];
const SLACK: usize = TAIL.len() + 16;
/// A buffer that one large message needed is not kept.
const OUTPUT_BYTES_KEPT: usize = 64 * 1024;

/// A compressor and its level: some 300 KB, of which a thread keeps one for each window it has met.
struct Compressor {
    compress: Compress,
    level: u8,
}

thread_local! {
    static COMPRESSORS: RefCell<[Option<Compressor>; 7]> = const { RefCell::new([const { None }; 7]) };
    static OUTPUT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Whether all of `payload` is compressed and flushed into the room that `output` has.
fn compress(
    compressor: &mut Option<Compressor>,
    window_bits: u8,
    level: u8,
    payload: &[u8],
    output: &mut Vec<u8>,
) -> bool {
    let fresh = || {
        let compress = Compress::new_with_window_bits(Compression::new(level.into()), false, window_bits);
        Compressor { compress, level }
    };
    let compress = match compressor {
        Some(same) if same.level == level => {
            same.compress.reset();
            &mut same.compress
        }
        other => &mut other.insert(fresh()).compress,
    };
    let status = compress.compress_vec(payload, output, FlushCompress::Sync);
    status.is_ok() && compress.total_in() == payload.len() as u64 && output.len() < output.capacity()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(threshold_bytes: usize, level: u8) -> DeflateConfig {
        DeflateConfig { threshold_bytes, level, ..DeflateConfig::default() }
    }

    /// Text that no window of less than 4 KiB finds repetitions in.
    fn far() -> Vec<u8> {
        let mut state = 1u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let once: Vec<u8> = (0..4000).map(|_| random()).collect();
        once.repeat(4)
    }

    #[test]
    fn short_and_incompressible_messages_are_left_as_they_are() {
        let check = |payload: &[u8], config: DeflateConfig, expected: bool| {
            assert_eq!(deflated_server_frame(Opcode::Text, payload, 15, &config).is_some(), expected);
        };
        check(&[b'a'; 1023], DeflateConfig::default(), false);
        check(&[b'a'; 1024], DeflateConfig::default(), true);
        check(&[b'a'; 100], config(100, 6), true);
        check(&[b'a'; 99], config(100, 6), false);
        check(b"", config(0, 6), false);
        check(b"a", config(0, 6), false);
        check(&far()[..4000], config(0, 9), false);
        check(&[b'a'; 5000], config(0, 0), false);
        check(&[b'a'; 5000], config(0, 200), true);
    }

    #[test]
    fn only_messages_are_compressed() {
        for opcode in [Opcode::Continuation, Opcode::Ping, Opcode::Pong, Opcode::Close] {
            assert_eq!(deflated_server_frame(opcode, &[b'a'; 100], 15, &config(0, 6)), None);
        }
    }

    #[test]
    fn frame_depends_on_message_window_and_level_alone() {
        let (payload, other) = (far(), vec![b'x'; 10_000]);
        for bits in 9..=15 {
            let frame = |payload: &[u8], level| deflated_server_frame(Opcode::Binary, payload, bits, &config(0, level));
            let first = frame(&payload, 6);
            assert_eq!(first.is_some(), bits >= 13, "{bits}");
            let text = frame(&other, 6);
            assert_eq!(frame(&payload, 6), first);
            assert!(frame(&other, 1).is_some());
            assert_eq!(frame(&payload, 6), first);
            assert_eq!(frame(&other, 6), text);
        }
    }

    #[test]
    fn frame_is_the_encoded_one() {
        let payload = b"Hello, Hello, Hello, Hello!";
        let frame = deflated_server_frame(Opcode::Text, payload, 15, &config(0, 6)).unwrap();
        assert_eq!(frame[..2], [0xc1, frame.len() as u8 - 2]);
        let mut out = b"before".to_vec();
        assert!(encode_deflated(Role::Server, Opcode::Text, payload, [1; 4], 15, &config(0, 6), &mut out));
        assert_eq!(out, [b"before", &frame[..]].concat());

        let mut out = Vec::new();
        assert!(encode_deflated(Role::Client, Opcode::Text, payload, [1; 4], 15, &config(0, 6), &mut out));
        assert_eq!(out[..6], [0xc1, 0x80 | (frame.len() as u8 - 2), 1, 1, 1, 1]);
        let unmasked: Vec<u8> = out[6..].iter().map(|byte| byte ^ 1).collect();
        assert_eq!(unmasked, frame[2..]);

        assert!(!encode_deflated(Role::Client, Opcode::Text, b"short", [1; 4], 15, &config(0, 6), &mut out));
        assert_eq!(out.len(), 6 + unmasked.len());
    }

    #[test]
    #[should_panic = "a window of 8 bits"]
    fn window_of_eight_bits_is_refused() {
        deflated_server_frame(Opcode::Text, b"", 8, &config(0, 6));
    }
}
