//! Lists of tokens in headers. RFC 9110 §5.6.

use http::{HeaderMap, HeaderName};

/// Whether any of the headers with this name lists `token`, in whatever case.
pub(super) fn lists(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    headers.get_all(name).iter().any(|value| {
        value
            .as_bytes()
            .split(|&byte| byte == b',')
            .any(|part| part.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    })
}

/// The one header with this name; `None` if there is none, or more than one.
pub(super) fn only(headers: &HeaderMap, name: HeaderName) -> Option<&[u8]> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value.as_bytes()),
        _ => None,
    }
}

/// Whether this is a token: visible ASCII but for the separators.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&byte)
}

#[cfg(test)]
mod tests {
    use http::header::CONNECTION;

    use super::*;

    #[test]
    fn token_is_found_in_any_list_and_case() {
        let check = |values: &[&str], found: bool| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONNECTION, value.parse().unwrap());
            }
            assert_eq!(lists(&headers, CONNECTION, "upgrade"), found, "{values:?}");
        };
        check(&["Upgrade"], true);
        check(&["keep-alive, Upgrade"], true);
        check(&["keep-alive ,\tUPGRADE ,"], true);
        check(&["keep-alive", "upgrade"], true);
        check(&[], false);
        check(&["keep-alive"], false);
        check(&["upgrades"], false);
        check(&["up grade"], false);
    }

    #[test]
    fn token_has_no_separators() {
        for token in ["chat", "patera.json", "a-b_c!#$%&'*+.^`|~9"] {
            assert!(is_token(token), "{token}");
        }
        for other in ["", "a b", "a,b", "a;b", "\"a\"", "a/b", "é", "a\u{7f}"] {
            assert!(!is_token(other), "{other}");
        }
    }
}
