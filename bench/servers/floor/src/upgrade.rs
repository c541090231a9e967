//! The HTTP answer to a WebSocket handshake, and the two packets that open a session.

use base64::{Engine, prelude::BASE64_STANDARD};
use sha1::{Digest, Sha1};

use crate::frame::{self, TEXT};

/// RFC 6455 §1.3.
const KEY_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The end of a request's head, if it was read: the index after the empty line.
pub(crate) fn head_end(buffer: &[u8]) -> Option<usize> {
    buffer.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

/// Appends `101` and the Engine.IO open packet; false, and appends nothing, if there is no key.
pub(crate) fn write_answer(head: &[u8], sid: u64, out: &mut Vec<u8>) -> bool {
    let Some(key) = find_key(head) else { return false };
    let digest = Sha1::new().chain_update(key).chain_update(KEY_SUFFIX).finalize();
    out.extend_from_slice(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
    );
    let start = out.len();
    out.resize(start + 28, 0);
    BASE64_STANDARD.encode_slice(digest, &mut out[start..]).expect("20 bytes are 28 characters");
    out.extend_from_slice(b"\r\n\r\n");
    // No heartbeat is sent, so none may be expected for as long as a measurement lasts: a day.
    let open = format!(
        r#"0{{"sid":"{sid:020}","upgrades":[],"pingInterval":86400000,"pingTimeout":20000,"maxPayload":1000000}}"#
    );
    frame::write(TEXT, &[open.as_bytes()], out);
    true
}

/// Appends the answer to Socket.IO's CONNECT.
pub(crate) fn write_connected(sid: u64, out: &mut Vec<u8>) {
    frame::write(TEXT, &[format!(r#"40{{"sid":"{sid:020}"}}"#).as_bytes()], out);
}

fn find_key(head: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b"sec-websocket-key:";
    head.split(|byte| *byte == b'\n')
        .find(|line| line.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME)))
        .map(|line| line[NAME.len()..].trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_has_the_accept_of_the_specification() {
        let head = b"GET / HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        let mut out = Vec::new();
        assert!(write_answer(head, 7, &mut out));
        let text = String::from_utf8_lossy(&out);
        assert!(text.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"), "{text}");
        assert!(text.contains(r#"0{"sid":"00000000000000000007","#), "{text}");
    }

    #[test]
    fn request_without_a_key_is_not_answered() {
        let mut out = Vec::new();
        assert!(!write_answer(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 0, &mut out));
        assert!(out.is_empty());
    }

    #[test]
    fn head_ends_after_the_empty_line() {
        assert_eq!(head_end(b"GET / HTTP/1.1\r\n\r"), None);
        assert_eq!(head_end(b"a\r\n\r\nb"), Some(5));
    }
}
