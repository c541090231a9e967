//! What a peer can do wrong. Every one of these ends the connection, with the close code that RFC 6455 §7.4.1 gives it.

use std::{error, fmt};

use crate::close::CloseCode;

/// Why a connection cannot go on. The close frame that says so is owed from then on: see
/// [`Connection::poll_output`](crate::Connection::poll_output).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The peer broke RFC 6455: 1002.
    Protocol(Violation),
    /// A text message, or the reason of a close frame, is not UTF-8: 1007.
    InvalidUtf8,
    /// A compressed message is not DEFLATE, or ends in the middle of it: 1007.
    InvalidDeflate,
    /// More than we take: 1009 for bytes, 1008 for fragments.
    Limit {
        /// Of what.
        what: Limit,
        /// The most we take.
        max: usize,
        /// What the peer announced; of a message that inflates past the limit, one more than that.
        got: u64,
    },
}

/// What is limited; see [`Config`](crate::Config).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// `frame_bytes_max`.
    FrameBytes,
    /// `message_bytes_max`.
    MessageBytes,
    /// `fragments_max`.
    Fragments,
}

/// A rule of RFC 6455 that the peer broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// A reserved bit that no extension gives a meaning. §5.2
    ReservedBit,
    /// An opcode that is not assigned. §5.2
    ReservedOpcode,
    /// A client's frame without a mask. §5.1
    Unmasked,
    /// A server's frame with a mask. §5.1
    Masked,
    /// A control frame that is not the whole message. §5.5
    FragmentedControl,
    /// A control frame of more than 125 bytes. §5.5
    LongControl,
    /// A length in a longer form than it needs. §5.2
    NonMinimalLength,
    /// A length of 2^63 or more. §5.2
    LengthTopBit,
    /// A continuation frame, but no message to continue. §5.4
    UnexpectedContinuation,
    /// A new message before the last one ended. §5.4
    ExpectedContinuation,
    /// A close frame with one byte, half a code. §5.5.1
    CloseLength,
    /// A close code that must not be sent. §7.4
    CloseCode,
}

impl Error {
    /// The code that the peer is told.
    pub fn close_code(&self) -> CloseCode {
        match self {
            Error::Protocol(_) => CloseCode::PROTOCOL,
            Error::InvalidUtf8 | Error::InvalidDeflate => CloseCode::INVALID_DATA,
            Error::Limit { what: Limit::Fragments, .. } => CloseCode::POLICY,
            Error::Limit { what: Limit::FrameBytes | Limit::MessageBytes, .. } => CloseCode::TOO_BIG,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Protocol(violation) => violation.fmt(f),
            Error::InvalidUtf8 => f.write_str("text is not UTF-8"),
            Error::InvalidDeflate => f.write_str("compressed message is not DEFLATE"),
            Error::Limit { what: Limit::FrameBytes, max, got } => write!(f, "frame of {got} bytes, at most {max}"),
            Error::Limit { what: Limit::MessageBytes, max, got } => write!(f, "message of {got} bytes, at most {max}"),
            Error::Limit { what: Limit::Fragments, max, got } => write!(f, "message of {got} fragments, at most {max}"),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Error::Protocol(violation) => Some(violation),
            Error::InvalidUtf8 | Error::InvalidDeflate | Error::Limit { .. } => None,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Violation::ReservedBit => "reserved bit set",
            Violation::ReservedOpcode => "reserved opcode",
            Violation::Unmasked => "client frame without a mask",
            Violation::Masked => "server frame with a mask",
            Violation::FragmentedControl => "fragmented control frame",
            Violation::LongControl => "control frame of more than 125 bytes",
            Violation::NonMinimalLength => "length not in its shortest form",
            Violation::LengthTopBit => "length of 2^63 or more",
            Violation::UnexpectedContinuation => "continuation of no message",
            Violation::ExpectedContinuation => "new message inside another",
            Violation::CloseLength => "close frame of one byte",
            Violation::CloseCode => "close code that must not be sent",
        })
    }
}

impl error::Error for Violation {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_is_small() {
        assert!(size_of::<Error>() <= 32);
    }

    #[test]
    fn close_code_tells_whose_limit_it_was() {
        let limit = |what| Error::Limit { what, max: 1, got: 2 }.close_code();
        assert_eq!(Error::Protocol(Violation::Masked).close_code(), CloseCode::PROTOCOL);
        assert_eq!(Error::InvalidUtf8.close_code(), CloseCode::INVALID_DATA);
        assert_eq!(Error::InvalidDeflate.close_code(), CloseCode::INVALID_DATA);
        assert_eq!(limit(Limit::FrameBytes), CloseCode::TOO_BIG);
        assert_eq!(limit(Limit::MessageBytes), CloseCode::TOO_BIG);
        assert_eq!(limit(Limit::Fragments), CloseCode::POLICY);
    }

    #[test]
    fn text_of_an_error_fits_a_close_frame() {
        let longest = Error::Limit { what: Limit::Fragments, max: usize::MAX, got: u64::MAX };
        assert!(longest.to_string().len() <= 123);
    }
}
