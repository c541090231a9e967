//! What can go wrong: an event that cannot be sent, an acknowledgement that does not come, a connection that does not come
//! about, one that breaks.

use std::sync::Arc;
use std::{error, fmt, io};

use patera_protocol::engineio::payload::PayloadError;
use patera_protocol::engineio::{HandshakeError, PacketError};
use patera_protocol::socketio::{ArgumentError, EncodeError, Error as ProtocolError, Value};
use patera_websocket::stream::Error as WebSocketError;

use crate::address::UrlError;

/// Why [`try_emit`](crate::Socket::try_emit) sent nothing. `emit` traces it, and goes on.
#[derive(Debug)]
#[non_exhaustive]
pub enum EmitError {
    /// The event's name is reserved, or the arguments cannot be written.
    Encode(EncodeError),
    /// As much waits to be sent as [`Config::send_buffer_events_max`](crate::Config::send_buffer_events_max) or
    /// [`Config::send_buffer_bytes_max`](crate::Config::send_buffer_bytes_max) allows.
    Full,
    /// A message of it, or of polling a whole request, has more bytes than the server takes (`maxPayload`), which would end the
    /// connection for it. Known while there is one.
    TooLarge {
        /// The bytes.
        bytes: usize,
        /// What the server takes.
        max: usize,
    },
    /// The client has ended: its last handle was dropped.
    Ended,
}

impl fmt::Display for EmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EmitError::Encode(error) => error.fmt(f),
            EmitError::Full => f.write_str("too much waits to be sent"),
            EmitError::TooLarge { bytes, max } => {
                write!(f, "{} bytes; the server takes {}", grouped(*bytes), grouped(*max))
            }
            EmitError::Ended => f.write_str("the client has ended"),
        }
    }
}

impl error::Error for EmitError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            EmitError::Encode(error) => Some(error),
            EmitError::Full | EmitError::TooLarge { .. } | EmitError::Ended => None,
        }
    }
}

impl From<EncodeError> for EmitError {
    fn from(error: EncodeError) -> Self {
        EmitError::Encode(error)
    }
}

/// Why no acknowledgement came.
#[derive(Debug)]
#[non_exhaustive]
pub enum AckError {
    /// The event was not sent.
    Emit(EmitError),
    /// The server did not answer in time; with [`Config::retries`](crate::Config::retries), not once.
    Timeout,
    /// The socket was disconnected before the answer.
    Disconnected,
    /// As many answers are awaited as [`Config::pending_acks_max`](crate::Config::pending_acks_max) allows.
    TooMany,
    /// The event was volatile and the connection was not ready.
    Volatile,
    /// The answer is not of the type asked for.
    Answer(ArgumentError),
}

impl fmt::Display for AckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AckError::Emit(error) => error.fmt(f),
            AckError::Timeout => f.write_str("operation has timed out"),
            AckError::Disconnected => f.write_str("socket has been disconnected"),
            AckError::TooMany => f.write_str("too many acknowledgements are awaited"),
            AckError::Volatile => f.write_str("the connection is not ready for a volatile event"),
            AckError::Answer(error) => error.fmt(f),
        }
    }
}

impl error::Error for AckError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            AckError::Emit(error) => Some(error),
            AckError::Answer(error) => Some(error),
            AckError::Timeout | AckError::Disconnected | AckError::TooMany | AckError::Volatile => None,
        }
    }
}

impl From<EmitError> for AckError {
    fn from(error: EmitError) -> Self {
        AckError::Emit(error)
    }
}

/// Why a socket did not connect: `connect_error`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL, the namespace, the path or the proxy is none. The caller's mistake.
    Url(UrlError),
    /// The server has refused: a middleware said no, or there is no such namespace. It is not tried again by itself.
    Refused {
        /// The server's `err.message`.
        message: String,
        /// The server's `err.data`.
        data: Option<Box<Value>>,
    },
    /// No connection to the server.
    Transport(Arc<TransportError>),
    /// The server took longer than [`Config::timeout`](crate::Config::timeout).
    Timeout,
    /// The `auth` closure failed, with this text, or took longer than [`Config::timeout`](crate::Config::timeout).
    Auth(String),
    /// The server speaks an older protocol: its answer to CONNECT has no id.
    Incompatible,
    /// More namespaces than [`ConnectionConfig::namespaces_max`](patera_protocol::socketio::ConnectionConfig), or a name that is
    /// too long. The caller's mistake.
    Namespace(patera_protocol::socketio::ConnectError),
    /// `disconnect` was called, or the client dropped, before there was an answer.
    Closed,
}

impl ConnectError {
    /// What the server said besides its message.
    pub fn data(&self) -> Option<&Value> {
        match self {
            ConnectError::Refused { data, .. } => data.as_deref(),
            _ => None,
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectError::Url(error) => error.fmt(f),
            ConnectError::Refused { message, .. } => f.write_str(message),
            ConnectError::Transport(error) => error.fmt(f),
            ConnectError::Timeout => f.write_str("timeout"),
            ConnectError::Auth(error) => write!(f, "auth: {error}"),
            ConnectError::Incompatible => f.write_str("the server speaks an older Socket.IO protocol"),
            ConnectError::Namespace(error) => error.fmt(f),
            ConnectError::Closed => f.write_str("the client was closed"),
        }
    }
}

impl error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            ConnectError::Url(error) => Some(error),
            ConnectError::Transport(error) => Some(&**error),
            ConnectError::Namespace(error) => Some(error),
            ConnectError::Refused { .. }
            | ConnectError::Timeout
            | ConnectError::Auth(_)
            | ConnectError::Incompatible
            | ConnectError::Closed => None,
        }
    }
}

impl From<UrlError> for ConnectError {
    fn from(error: UrlError) -> Self {
        ConnectError::Url(error)
    }
}

/// Why a connection did not come about, or broke.
#[derive(Debug)]
#[non_exhaustive]
pub enum TransportError {
    /// The host was not found, refused, or the connection broke.
    Io(io::Error),
    /// The server could not prove who it is, or does not speak TLS.
    Tls(io::Error),
    /// `https` or `wss` without the feature `tls`.
    TlsMissing,
    /// The proxy did not open a way to the server: it answered so.
    Proxy(u16),
    /// The server answered a request with this status, and a text of at most 1 KiB: with 400 and
    /// `{"code":1,"message":"Session ID unknown"}`, for example.
    Status(u16, String),
    /// HTTP went wrong.
    Http(Box<dyn error::Error + Send + Sync>),
    /// The WebSocket went wrong, or did not come about.
    WebSocket(WebSocketError),
    /// No answer in time.
    Timeout,
    /// A message or a polling answer of more bytes than [`Config::message_bytes_max`](crate::Config::message_bytes_max).
    TooLarge {
        /// The most we take.
        max: usize,
    },
    /// What came is no Engine.IO packet.
    Packet(PacketError),
    /// What came is no polling payload.
    Payload(PayloadError),
    /// The first packet is no handshake.
    Handshake(Option<HandshakeError>),
    /// What came is no Socket.IO packet, or not one that may come now.
    Protocol(ProtocolError),
    /// [`Config::transports`](crate::Config::transports) is empty.
    NoTransport,
    /// The server sent more before it let the namespace in than
    /// [`Config::receive_buffer_bytes_max`](crate::Config::receive_buffer_bytes_max).
    ReceiveBufferFull,
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TransportError::Io(error) => write!(f, "connection: {error}"),
            TransportError::Tls(error) => write!(f, "tls: {error}"),
            TransportError::TlsMissing => f.write_str("this client was built without tls"),
            TransportError::Proxy(status) => write!(f, "the proxy answered {status}"),
            TransportError::Status(status, text) if text.is_empty() => write!(f, "the server answered {status}"),
            TransportError::Status(status, text) => write!(f, "the server answered {status}: {text}"),
            TransportError::Http(error) => write!(f, "http: {error}"),
            TransportError::WebSocket(error) => match error::Error::source(error) {
                Some(source) => write!(f, "websocket: {error}: {source}"),
                None => write!(f, "websocket: {error}"),
            },
            TransportError::Timeout => f.write_str("timeout"),
            TransportError::TooLarge { max } => write!(f, "a message of more than {max} bytes"),
            TransportError::Packet(error) => write!(f, "no engine.io packet: {error}"),
            TransportError::Payload(error) => write!(f, "no engine.io payload: {error}"),
            TransportError::Handshake(Some(error)) => error.fmt(f),
            TransportError::Handshake(None) => f.write_str("the server did not begin with a handshake"),
            TransportError::Protocol(error) => error.fmt(f),
            TransportError::NoTransport => f.write_str("no transport is allowed"),
            TransportError::ReceiveBufferFull => f.write_str("the server sent too much before it let the socket in"),
        }
    }
}

impl error::Error for TransportError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            TransportError::Io(error) | TransportError::Tls(error) => Some(error),
            TransportError::Http(error) => Some(&**error),
            TransportError::WebSocket(error) => Some(error),
            TransportError::Packet(error) => Some(error),
            TransportError::Payload(error) => Some(error),
            TransportError::Handshake(Some(error)) => Some(error),
            TransportError::Protocol(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for TransportError {
    fn from(error: io::Error) -> Self {
        TransportError::Io(error)
    }
}

impl From<hyper::Error> for TransportError {
    fn from(error: hyper::Error) -> Self {
        TransportError::Http(error.into())
    }
}

impl From<WebSocketError> for TransportError {
    fn from(error: WebSocketError) -> Self {
        match error {
            WebSocketError::Io(error) => TransportError::Io(error),
            other => TransportError::WebSocket(other),
        }
    }
}

/// `1200000` → `1,200,000`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        for (number, expected) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_200_000, "1,200,000")] {
            assert_eq!(grouped(number), expected);
        }
    }

    #[test]
    fn errors_are_small_and_readable() {
        assert!(size_of::<EmitError>() <= 32 && size_of::<AckError>() <= 32);
        assert!(size_of::<ConnectError>() <= 32, "{}", size_of::<ConnectError>());
        assert!(size_of::<TransportError>() <= 32, "{}", size_of::<TransportError>());
        let refused = ConnectError::Refused { message: "no".to_owned(), data: Some(Box::new(Value::from(7))) };
        assert_eq!((refused.to_string().as_str(), refused.data()), ("no", Some(&Value::from(7))));
        let broken = TransportError::WebSocket(WebSocketError::Disconnected);
        assert_eq!(broken.to_string(), "websocket: the connection ended without a closing handshake");
        let inside = TransportError::Protocol(ProtocolError::Empty);
        assert_eq!(ConnectError::Transport(Arc::new(inside)).to_string(), "empty packet");
    }
}
