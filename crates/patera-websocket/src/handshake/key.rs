//! The key and the proof that its receiver speaks WebSocket. RFC 6455 §4.2.2, step 5.4.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha1::{Digest as _, Sha1};

/// The length of a key as it stands in its header: 16 bytes in base64.
const KEY_LEN: usize = 24;

/// The `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key`, as it stands in its header.
///
/// ```
/// use patera_websocket::accept_key;
///
/// assert_eq!(accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
pub fn accept_key(key: &[u8]) -> String {
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(hash.finalize())
}

/// The header for 16 random bytes.
pub(super) fn encode(key: [u8; 16]) -> String {
    STANDARD.encode(key)
}

/// The accept key, if `key` is the canonical base64 of 16 bytes.
pub(super) fn answer(key: &[u8]) -> Option<String> {
    let mut decoded = [0; KEY_LEN];
    let canonical = key.len() == KEY_LEN && STANDARD.decode_slice(key, &mut decoded) == Ok(16);
    canonical.then(|| accept_key(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_the_canonical_base64_of_16_bytes() {
        let check = |key: &str, valid: bool| assert_eq!(answer(key.as_bytes()).is_some(), valid, "{key}");
        check("dGhlIHNhbXBsZSBub25jZQ==", true);
        check("AAAAAAAAAAAAAAAAAAAAAA==", true);
        check("", false);
        check("AAAAAAAAAAAAAAAAAAAAAA=", false);
        check("AAAAAAAAAAAAAAAAAAAAAA", false);
        check("AAAAAAAAAAAAAAAAAAAAAB==", false); // bits behind the last byte
        check("AAAAAAAAAAAAAAAAAAAAAAA=", false); // 17 bytes
        check("AAAAAAAAAAAAAAAAAAAAAAAA", false); // 18 bytes
        check("AAAAAAAAAAAAAAAAAAAA====", false);
        check("!!!!!!!!!!!!!!!!!!!!!!==", false);
        check(" AAAAAAAAAAAAAAAAAAAAA==", false);
        check(&"A".repeat(4096), false);
    }

    #[test]
    fn own_key_is_valid() {
        assert!(answer(encode([0xff; 16]).as_bytes()).is_some());
    }
}
