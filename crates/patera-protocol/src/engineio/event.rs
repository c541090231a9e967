//! What a session says to its shell: packets to send, things that happened, and why it ended.

use std::fmt;

use serde::{Serialize, Serializer};

#[cfg(doc)]
use super::session::Session;
use super::{
    handshake::Handshake,
    packet::{Packet, Transport},
};

/// A packet that the session wants sent.
///
/// What is for the main transport goes into the outbox, behind the messages that wait there, and leaves over whichever
/// transport is the main one by then. What is for a probe is sent at once. A [`Packet::Noop`] for long-polling answers
/// the GET that waits, if one does and there is nothing else to answer it with; else it is dropped. A
/// [`Packet::Close`] for a WebSocket is a close frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where it goes.
    pub transport: Transport,
    /// What goes.
    pub packet: Packet<'static>,
}

/// What has happened to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionEvent {
    /// Client: the open packet came.
    Opened(Box<Handshake>),
    /// The probe was answered. A client stops polling, keeps new messages back, and calls
    /// [`Session::handle_polling_paused`] when no request is on its way.
    Upgrading,
    /// The WebSocket is the main transport. A server answers a GET that still waits with a noop, and sends its outbox on
    /// the WebSocket from here on.
    Upgraded,
    /// The probe is over: close its WebSocket; polling goes on.
    UpgradeFailed,
    /// The session has ended, once, for this reason. A probe ends with it.
    Closed(CloseReason),
}

/// Why a session ended; the strings are those of the reference implementation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The transport failed, or the peer broke the rules of the transport.
    TransportError,
    /// The transport ended, or the peer sent a close packet.
    TransportClose,
    /// The peer was silent for too long.
    PingTimeout,
    /// We closed it.
    ForcedClose,
    /// The peer sent what is no packet.
    ParseError,
    /// The server ends.
    ServerShuttingDown,
    /// The server closed it while it could not tell the client.
    ForcedServerClose,
}

impl CloseReason {
    /// `transport error`, `transport close`, `ping timeout`, `forced close`, `parse error`, `server shutting down` or
    /// `forced server close`.
    pub fn as_str(self) -> &'static str {
        match self {
            CloseReason::TransportError => "transport error",
            CloseReason::TransportClose => "transport close",
            CloseReason::PingTimeout => "ping timeout",
            CloseReason::ForcedClose => "forced close",
            CloseReason::ParseError => "parse error",
            CloseReason::ServerShuttingDown => "server shutting down",
            CloseReason::ForcedServerClose => "forced server close",
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for CloseReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
