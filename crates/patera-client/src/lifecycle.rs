//! The life of a socket: what happens to it besides events, and why it ends.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use patera_protocol::engineio::{CloseReason, Transport};
use serde::{Serialize, Serializer};

use crate::error::{ConnectError, TransportError};

/// What has happened to a socket; each has its name from JavaScript.
///
/// By callback with [`Socket::on_lifecycle`](crate::Socket::on_lifecycle), in order with the events by
/// [`Socket::events`](crate::Socket::events). What happens to a connection is told to every socket on it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Lifecycle {
    /// An attempt begins.
    Connecting,
    /// The server has let the socket in. What was buffered has been sent before.
    Connect,
    /// The server has refused, or there is no connection. Once for each attempt.
    ConnectError(ConnectError),
    /// Something is wrong and the connection goes on, or ends with a `Disconnect` of its own.
    Error(Arc<TransportError>),
    /// The socket was connected and is not any more.
    Disconnect(Disconnect),
    /// The next attempt will begin after this delay.
    Reconnecting {
        /// 1 for the first.
        attempt: u32,
        /// The time until it begins.
        delay: Duration,
    },
    /// The connection stands again. The socket's own `Connect` follows.
    Reconnect {
        /// Which attempt it was.
        attempt: u32,
    },
    /// An attempt to reconnect has failed.
    ReconnectError(ConnectError),
    /// There will be no more attempts.
    ReconnectFailed,
    /// The connection has changed to this transport.
    Upgrade(Transport),
}

impl Lifecycle {
    /// The name it has in JavaScript: `connecting`, `connect`, `connect_error`, `error`, `disconnect`, `reconnecting`,
    /// `reconnect`, `reconnect_error`, `reconnect_failed`, `upgrade`.
    pub fn name(&self) -> &'static str {
        match self {
            Lifecycle::Connecting => "connecting",
            Lifecycle::Connect => "connect",
            Lifecycle::ConnectError(_) => "connect_error",
            Lifecycle::Error(_) => "error",
            Lifecycle::Disconnect(_) => "disconnect",
            Lifecycle::Reconnecting { .. } => "reconnecting",
            Lifecycle::Reconnect { .. } => "reconnect",
            Lifecycle::ReconnectError(_) => "reconnect_error",
            Lifecycle::ReconnectFailed => "reconnect_failed",
            Lifecycle::Upgrade(_) => "upgrade",
        }
    }
}

/// How a socket was disconnected.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Disconnect {
    /// The reason, as in JavaScript.
    pub reason: DisconnectReason,
    /// What went wrong underneath, if anything did.
    pub details: Option<Arc<TransportError>>,
}

/// Why a socket was disconnected; the texts are those of socket.io-client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// `io server disconnect`: the server called `disconnect`. The socket does not connect again by itself.
    IoServerDisconnect,
    /// `io client disconnect`: this side called `disconnect`, or dropped the client.
    IoClientDisconnect,
    /// `ping timeout`: nothing came from the server for too long.
    PingTimeout,
    /// `transport close`: the connection was closed.
    TransportClose,
    /// `transport error`: the connection broke, or the server broke the rules of the transport.
    TransportError,
    /// `parse error`: the server sent what is no packet.
    ParseError,
}

impl DisconnectReason {
    /// The text.
    pub fn as_str(self) -> &'static str {
        match self {
            DisconnectReason::IoServerDisconnect => "io server disconnect",
            DisconnectReason::IoClientDisconnect => "io client disconnect",
            DisconnectReason::PingTimeout => "ping timeout",
            DisconnectReason::TransportClose => "transport close",
            DisconnectReason::TransportError => "transport error",
            DisconnectReason::ParseError => "parse error",
        }
    }
}

impl From<CloseReason> for DisconnectReason {
    fn from(reason: CloseReason) -> Self {
        match reason {
            CloseReason::TransportError => DisconnectReason::TransportError,
            CloseReason::TransportClose | CloseReason::ServerShuttingDown | CloseReason::ForcedServerClose => {
                DisconnectReason::TransportClose
            }
            CloseReason::PingTimeout => DisconnectReason::PingTimeout,
            CloseReason::ForcedClose => DisconnectReason::IoClientDisconnect,
            CloseReason::ParseError => DisconnectReason::ParseError,
        }
    }
}

impl fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for DisconnectReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
