//! Polling by those who cannot make HTTP requests of their own: a GET is a script tag whose script calls a function with
//! the payload, a POST is a form whose field `d` holds it. Only clients of revision 3 do. EIO 3 "JSONP".

use super::{payload::PayloadError, request::percent_decode};

/// Reads the payload out of the body of a POST: `d=6%3A4hello` → `6:4hello`, to be read with
/// [`payload_v3::Reader::text`](super::payload_v3::Reader::text).
///
/// Browsers change line ends in forms, so clients write a line feed as `\n`, and what was `\n` already as `\\n`.
///
/// # Errors
/// `Form` unless there is exactly one field `d`; `Empty` if there is nothing in it.
pub fn decode_form(body: &[u8]) -> Result<Vec<u8>, PayloadError> {
    let mut fields = body.split(|byte| *byte == b'&').filter_map(|field| field.strip_prefix(b"d="));
    let (Some(field), None) = (fields.next(), fields.next()) else {
        return Err(PayloadError::Form);
    };
    if field.is_empty() {
        return Err(PayloadError::Empty);
    }
    Ok(unescape_line_feeds(&percent_decode(field)))
}

/// Of backslashes before an `n`, the last goes; if it was the only one, it was a line feed.
fn unescape_line_feeds(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut backslashes = 0_usize;
    for &byte in text {
        match (byte, backslashes) {
            (b'\\', _) => {
                backslashes = backslashes.saturating_add(1);
                out.push(b'\\');
                continue;
            }
            (b'n', 1) => {
                out.pop();
                out.push(b'\n');
            }
            (b'n', 2..) => {
                out.pop();
                out.push(b'n');
            }
            (byte, _) => out.push(byte),
        }
        backslashes = 0;
    }
    out
}

/// The script that answers a GET: `___eio[0]("6:4hello");`, to be sent as `text/javascript`.
///
/// The payload is a string of JavaScript in plain ASCII, so that neither the page's charset nor U+2028 can break it, and
/// without a `<`, so that nothing that takes it for HTML finds a tag.
pub fn encode_call(index: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = format!("___eio[{index}](\"").into_bytes();
    out.reserve(payload.len().saturating_add(payload.len() / 8));
    for char in String::from_utf8_lossy(payload).chars() {
        match char {
            '"' | '\\' => out.extend([b'\\', char as u8]),
            '\n' => out.extend_from_slice(b"\\n"),
            ' '..='~' if char != '<' => out.push(char as u8),
            _ => {
                for unit in char.encode_utf16(&mut [0; 2]) {
                    out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
                }
            }
        }
    }
    out.extend_from_slice(b"\");");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_is_the_field_d() {
        check("d=6%3A4hello", "6:4hello");
        check("d=6:4hello", "6:4hello");
        check("x=1&d=3%3A4a+b&t=2", "3:4a b");
        check("d=2%3A4%E2%82%AC", "2:4€");
        check("d=%", "%");
    }

    #[test]
    fn line_feeds_are_unescaped() {
        check(r"d=a\nb", "a\nb");
        check(r"d=a\\nb", r"a\nb");
        check(r"d=a\\\nb", r"a\\nb");
        check(r"d=a%5C%5C%5C%5Cnb", r"a\\\nb");
        check(r"d=\n\n\\n", "\n\n\\n");
        check(r"d=\\x\\", r"\\x\\");
        check(r"d=\t\\\", r"\t\\\");
    }

    #[test]
    fn line_feeds_read_back_as_browsers_escape_them() {
        // A line feed behind a backslash could not be told apart; no JSON has one.
        for text in ["\n", r"\n", r"\\n", r#"["a\n\\n"#, "\n\n\\n\n\\\\\\n", "n\\", "\r\n", r"\t\"] {
            let escaped = text.replace(r"\n", "\\\n").replace('\n', r"\n");
            assert_eq!(unescape_line_feeds(escaped.as_bytes()), text.as_bytes(), "{text:?} as {escaped:?}");
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for body in ["", "x", "d", "D=1", "xd=1", "d=1&d=2", "d%3D1"] {
            assert_eq!(decode_form(body.as_bytes()), Err(PayloadError::Form), "{body}");
        }
        assert_eq!(decode_form(b"d="), Err(PayloadError::Empty));
    }

    #[test]
    fn script_is_ascii_without_tags() {
        check_call(0, "6:4hello", r#"___eio[0]("6:4hello");"#);
        check_call(4_294_967_295, "", r#"___eio[4294967295]("");"#);
        check_call(1, "4[\"a\\\n\"]", r#"___eio[1]("4[\"a\\\n\"]");"#);
        check_call(1, "</script><!--", r#"___eio[1]("\u003c/script>\u003c!--");"#);
        check_call(1, "\u{2028}\u{2029}\u{7f}\0\r", r#"___eio[1]("\u2028\u2029\u007f\u0000\u000d");"#);
        check_call(1, "é😀", r#"___eio[1]("\u00e9\ud83d\ude00");"#);
    }

    fn check(body: &str, payload: &str) {
        assert_eq!(decode_form(body.as_bytes()), Ok(payload.as_bytes().to_vec()), "{body}");
    }

    fn check_call(index: u32, payload: &str, script: &str) {
        assert_eq!(String::from_utf8(encode_call(index, payload.as_bytes())).unwrap(), script);
    }
}
