//! Errors of the server: one each for what can fail locally. The one of handlers and middleware is the protocol crate's, for the
//! client has it too.

use std::fmt;

use patera_protocol::engineio::CloseReason;
pub use patera_protocol::handler::{Error, Result};
use patera_protocol::socketio::{ArgumentError, EncodeError};

use crate::remote::ClusterError;

/// Why [`try_emit`](crate::Socket::try_emit) sent nothing. `emit` counts it in [`Stats`](crate::Stats), traces it, and goes on.
#[derive(Debug)]
#[non_exhaustive]
pub enum EmitError {
    /// The event's name is reserved, or the arguments cannot be written as JSON.
    Encode(EncodeError),
    /// The socket is not connected any more.
    Disconnected,
    /// The client cannot keep up: its outbox is full.
    Full,
    /// The event was volatile and the transport was not ready.
    Volatile,
}

impl fmt::Display for EmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EmitError::Encode(error) => error.fmt(f),
            EmitError::Disconnected => f.write_str("the socket is disconnected"),
            EmitError::Full => f.write_str("the outbox is full"),
            EmitError::Volatile => f.write_str("the transport is not ready for a volatile event"),
        }
    }
}

impl std::error::Error for EmitError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            EmitError::Encode(error) => Some(error),
            EmitError::Disconnected | EmitError::Full | EmitError::Volatile => None,
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
    /// The client did not answer in time.
    Timeout,
    /// The socket was disconnected before the answer.
    Disconnected,
    /// As many answers are awaited from this client as [`Config::pending_acks_max`](crate::Config::pending_acks_max) allows.
    TooMany,
    /// The answer is not of the type asked for.
    Answer(ArgumentError),
    /// Not all other servers of the cluster have passed on the answers of their sockets; those that came are there.
    Cluster(ClusterError),
}

impl fmt::Display for AckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AckError::Emit(error) => error.fmt(f),
            AckError::Timeout => f.write_str("operation has timed out"),
            AckError::Disconnected => f.write_str("socket has been disconnected"),
            AckError::TooMany => f.write_str("too many acknowledgements are awaited from this client"),
            AckError::Answer(error) => error.fmt(f),
            AckError::Cluster(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for AckError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            AckError::Emit(error) => Some(error),
            AckError::Answer(error) => Some(error),
            AckError::Cluster(error) => Some(error),
            AckError::Timeout | AckError::Disconnected | AckError::TooMany => None,
        }
    }
}

impl From<EmitError> for AckError {
    fn from(error: EmitError) -> Self {
        AckError::Emit(error)
    }
}

/// Why [`Socket::join`](crate::Socket::join) did not join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JoinError {
    /// The socket is disconnected.
    Disconnected,
    /// The socket is in as many rooms as [`Config::rooms_per_socket_max`](crate::Config::rooms_per_socket_max) allows.
    TooMany,
    /// The name is longer than [`Config::room_name_bytes_max`](crate::Config::room_name_bytes_max).
    NameTooLong,
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            JoinError::Disconnected => "the socket is disconnected",
            JoinError::TooMany => "the socket is in too many rooms",
            JoinError::NameTooLong => "the room's name is too long",
        })
    }
}

impl std::error::Error for JoinError {}

/// Why a socket or a session ended; the texts are socket.io's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// `transport error`: the connection broke, or the client sent what the transport does not allow.
    TransportError,
    /// `transport close`: the client closed the connection.
    TransportClose,
    /// `ping timeout`: no pong came in time.
    PingTimeout,
    /// `forced close`: the client broke the Socket.IO protocol, or this side closed the Engine.IO session.
    ForcedClose,
    /// `parse error`: the client sent an invalid Engine.IO packet.
    ParseError,
    /// `server shutting down`: the server was closed.
    ServerShuttingDown,
    /// `forced server close`: this side closed the connection under the socket.
    ForcedServerClose,
    /// `client namespace disconnect`: the client left the namespace.
    ClientNamespaceDisconnect,
    /// `server namespace disconnect`: this side called `disconnect`.
    ServerNamespaceDisconnect,
    /// `outbox full`: the client did not read as fast as it was sent to. Not a reason of the reference, whose buffers have no limit.
    OutboxFull,
    /// `rate exceeded`: the client sent faster than it may, and [`RatePolicy::Close`](crate::RatePolicy::Close) is on, or it did so for
    /// longer than [`Config::rate_wait_timeout`](crate::Config::rate_wait_timeout). Not a reason of the reference.
    RateExceeded,
    /// `handler panicked`: a handler of this socket's connection panicked. Not a reason of the reference.
    HandlerPanicked,
}

impl DisconnectReason {
    /// The text, as socket.io has it.
    pub fn as_str(self) -> &'static str {
        match self {
            DisconnectReason::TransportError => CloseReason::TransportError.as_str(),
            DisconnectReason::TransportClose => CloseReason::TransportClose.as_str(),
            DisconnectReason::PingTimeout => CloseReason::PingTimeout.as_str(),
            DisconnectReason::ForcedClose => CloseReason::ForcedClose.as_str(),
            DisconnectReason::ParseError => CloseReason::ParseError.as_str(),
            DisconnectReason::ServerShuttingDown => CloseReason::ServerShuttingDown.as_str(),
            DisconnectReason::ForcedServerClose => CloseReason::ForcedServerClose.as_str(),
            DisconnectReason::ClientNamespaceDisconnect => "client namespace disconnect",
            DisconnectReason::ServerNamespaceDisconnect => "server namespace disconnect",
            DisconnectReason::OutboxFull => "outbox full",
            DisconnectReason::RateExceeded => "rate exceeded",
            DisconnectReason::HandlerPanicked => "handler panicked",
        }
    }
}

impl From<CloseReason> for DisconnectReason {
    fn from(reason: CloseReason) -> Self {
        match reason {
            CloseReason::TransportError => DisconnectReason::TransportError,
            CloseReason::TransportClose => DisconnectReason::TransportClose,
            CloseReason::PingTimeout => DisconnectReason::PingTimeout,
            CloseReason::ForcedClose => DisconnectReason::ForcedClose,
            CloseReason::ParseError => DisconnectReason::ParseError,
            CloseReason::ServerShuttingDown => DisconnectReason::ServerShuttingDown,
            CloseReason::ForcedServerClose => DisconnectReason::ForcedServerClose,
        }
    }
}

impl fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for DisconnectReason {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
