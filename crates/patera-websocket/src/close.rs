//! Close codes and the payload of a close frame. RFC 6455 §5.5.1, §7.4.

use std::fmt;

use crate::error::{Error, Violation};
use crate::inline::{CONTROL_BYTES_MAX, ControlPayload};

/// Why a connection is closed. Only codes that may stand in a frame: 1005, 1006 and 1015 exist in other libraries to
/// say what was *not* received, and cannot be made here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CloseCode(u16);

/// What a close frame says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseFrame {
    /// Why, for programs.
    pub code: CloseCode,
    /// Why, for people: at most 123 bytes, often empty.
    pub reason: String,
}

impl CloseCode {
    /// 1000: the purpose is fulfilled.
    pub const NORMAL: CloseCode = CloseCode(1000);
    /// 1001: a server shuts down, or a browser leaves the page.
    pub const AWAY: CloseCode = CloseCode(1001);
    /// 1002: the peer broke RFC 6455.
    pub const PROTOCOL: CloseCode = CloseCode(1002);
    /// 1003: a kind of data that cannot be taken, as binary by an endpoint for text.
    pub const UNSUPPORTED: CloseCode = CloseCode(1003);
    /// 1007: data that does not fit its type, as text that is not UTF-8.
    pub const INVALID_DATA: CloseCode = CloseCode(1007);
    /// 1008: against a policy, when no other code fits.
    pub const POLICY: CloseCode = CloseCode(1008);
    /// 1009: a message that is too big to process.
    pub const TOO_BIG: CloseCode = CloseCode(1009);
    /// 1010: a client misses an extension that it needs.
    pub const EXTENSION_REQUIRED: CloseCode = CloseCode(1010);
    /// 1011: an unexpected condition on the server.
    pub const INTERNAL: CloseCode = CloseCode(1011);
    /// 1012: the server restarts.
    pub const RESTART: CloseCode = CloseCode(1012);
    /// 1013: the server is overloaded: try again later.
    pub const TRY_AGAIN: CloseCode = CloseCode(1013);
    /// 1014: a gateway got an invalid response.
    pub const BAD_GATEWAY: CloseCode = CloseCode(1014);

    /// The code, if it may stand in a frame: 1000–1003, 1007–1014, 3000–4999.
    pub const fn new(code: u16) -> Option<CloseCode> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(CloseCode(code)),
            _ => None,
        }
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> u16 {
        code.0
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The longest reason, in bytes: what a control frame carries, less the code.
const REASON_BYTES_MAX: usize = CONTROL_BYTES_MAX - 2;

/// Reads a close frame's payload.
pub(crate) fn parse(payload: &[u8]) -> Result<Option<CloseFrame>, Error> {
    match payload {
        [] => Ok(None),
        [_] => Err(Error::Protocol(Violation::CloseLength)),
        [high, low, reason @ ..] => {
            let code =
                CloseCode::new(u16::from_be_bytes([*high, *low])).ok_or(Error::Protocol(Violation::CloseCode))?;
            let reason = str::from_utf8(reason).map_err(|_| Error::InvalidUtf8)?;
            Ok(Some(CloseFrame { code, reason: reason.to_owned() }))
        }
    }
}

/// A close frame's payload; of a reason that is too long, as many characters as fit.
pub(crate) fn payload(code: CloseCode, reason: &str) -> ControlPayload {
    let (reason, _) = reason.split_at(reason.floor_char_boundary(REASON_BYTES_MAX));
    let mut payload = ControlPayload::default();
    payload.extend(&code.0.to_be_bytes());
    payload.extend(reason.as_bytes());
    payload
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_may_be_sent() {
        let valid: Vec<u16> = (0..=u16::MAX).filter(|&code| CloseCode::new(code).is_some()).collect();
        let expected: Vec<u16> = (1000..=1003).chain(1007..=1014).chain(3000..=4999).collect();
        assert_eq!(valid, expected);
    }

    #[test]
    fn payload_is_read_back() {
        let check = |bytes: &[u8], expected: Result<Option<(u16, &str)>, Error>| {
            let frame = parse(bytes);
            let got = frame.as_ref().map(|frame| frame.as_ref().map(|frame| (frame.code.get(), &*frame.reason)));
            assert_eq!(got, expected.as_ref().map(|&expected| expected), "{bytes:?}");
        };
        check(b"", Ok(None));
        check(b"\x03", Err(Error::Protocol(Violation::CloseLength)));
        check(b"\x03\xe8", Ok(Some((1000, ""))));
        check("\u{3}\u{0}".as_bytes(), Err(Error::Protocol(Violation::CloseCode)));
        check(b"\x0b\xb8bye", Ok(Some((3000, "bye"))));
        check(b"\x03\xee", Err(Error::Protocol(Violation::CloseCode)));
        check(b"\x03\xe8\xff", Err(Error::InvalidUtf8));
        check(b"\x03\xe8\xe2\x82", Err(Error::InvalidUtf8));
    }

    #[test]
    fn reason_is_cut_between_characters() {
        let check = |reason: &str, kept: usize| {
            let payload = payload(CloseCode::NORMAL, reason);
            assert_eq!(&payload[..2], [0x03, 0xe8]);
            assert_eq!(&payload[2..], &reason.as_bytes()[..kept]);
        };
        check("", 0);
        check(&"a".repeat(122), 122);
        check(&"a".repeat(123), 123);
        check(&"a".repeat(124), 123);
        check(&"é".repeat(62), 122);
    }
}
