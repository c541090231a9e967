//! What can go wrong with a stream.

use std::{error, fmt, io};

use crate::error::Error as ProtocolError;
use crate::handshake::{InvalidRequest, InvalidResponse, Refusal};

/// Why a stream cannot go on, or did not come to be.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The peer broke RFC 6455 or sent more than is taken. It has been told.
    Protocol(ProtocolError),
    /// The stream below broke.
    Io(io::Error),
    /// The stream below ended without a closing handshake, or in the middle of the opening one.
    Disconnected,
    /// The caller sends after a close frame: what is sent now cannot arrive.
    Closed,
    /// A server got a request that is no WebSocket handshake. The client has been told.
    Refused(Refusal),
    /// The head of a request or response is no HTTP.
    MalformedHead,
    /// The head of a request or response is longer than 16 KiB or has more than 100 headers.
    LongHead,
    /// The caller connects to what is no WebSocket URL, or with subprotocols that are none.
    InvalidRequest(InvalidRequest),
    /// A client got a response that does not agree to a WebSocket.
    InvalidResponse(InvalidResponse),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Protocol(_) => f.write_str("the peer broke the protocol"),
            Error::Io(_) => f.write_str("the connection broke"),
            Error::Disconnected => f.write_str("the connection ended without a closing handshake"),
            Error::Closed => f.write_str("the WebSocket is closed"),
            Error::Refused(_) => f.write_str("the request is no WebSocket handshake"),
            Error::MalformedHead => f.write_str("malformed HTTP"),
            Error::LongHead => f.write_str("HTTP head too long"),
            Error::InvalidRequest(_) => f.write_str("no WebSocket can be asked for"),
            Error::InvalidResponse(_) => f.write_str("the server does not agree to a WebSocket"),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Error::Protocol(error) => Some(error),
            Error::Io(error) => Some(error),
            Error::Refused(refusal) => Some(refusal),
            Error::InvalidRequest(error) => Some(error),
            Error::InvalidResponse(error) => Some(error),
            Error::Disconnected | Error::Closed | Error::MalformedHead | Error::LongHead => None,
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Error::Io(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_is_small() {
        assert!(size_of::<Error>() <= 32);
    }
}
