//! What can go wrong with one connection or one operation. Errors are counted by kind: the kind is the text.

use std::{fmt, io};

use http::StatusCode;
use patera_websocket::InvalidResponse;

/// Why a connection failed or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The TCP connection could not be made.
    Connect(io::ErrorKind),
    /// Reading or writing failed.
    Io(io::ErrorKind),
    /// No answer in time.
    Timeout,
    /// The server closed the connection.
    Closed,
    /// The server disconnected the socket from its namespace.
    Disconnected,
    /// The server answered a request with this status.
    Status(StatusCode),
    /// The server did not upgrade to WebSocket.
    Upgrade(InvalidResponse),
    /// The server refused the connection to the namespace, with this message.
    Refused(String),
    /// What came is no HTTP, no WebSocket frame, or no packet of Socket.IO 5.
    Unreadable,
    /// A payload came back different.
    Changed,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                Failure::Closed
            }
            kind => Failure::Io(kind),
        }
    }
}

impl From<patera_websocket::Error> for Failure {
    fn from(_: patera_websocket::Error) -> Failure {
        Failure::Unreadable
    }
}

impl From<hyper::Error> for Failure {
    fn from(error: hyper::Error) -> Failure {
        if error.is_parse() { Failure::Unreadable } else { Failure::Closed }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Connect(kind) => write!(f, "cannot connect: {kind}"),
            Failure::Io(kind) => write!(f, "input or output failed: {kind}"),
            Failure::Timeout => f.write_str("no answer in time"),
            Failure::Closed => f.write_str("closed by the server"),
            Failure::Disconnected => f.write_str("disconnected by the server"),
            Failure::Status(status) => write!(f, "answered {}", status.as_u16()),
            Failure::Upgrade(error) => write!(f, "no WebSocket: {error}"),
            Failure::Refused(message) => write!(f, "refused: {message}"),
            Failure::Unreadable => f.write_str("unreadable answer"),
            Failure::Changed => f.write_str("payload changed"),
        }
    }
}
