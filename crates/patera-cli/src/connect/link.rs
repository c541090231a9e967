//! The connection, of either dialect: what is to be done goes in, what happens comes out.

use std::time::Duration;

use super::command::{Dialect, Request};
use super::happening::Happening;
use super::plain::Plain;
use super::sockets::Sockets;

/// A connection to one server.
pub(super) enum Link {
    SocketIo(Box<Sockets>),
    Plain(Box<Plain>),
}

/// What became of a request.
#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    Done,
    /// The answer to this call is on its way.
    Called(u64),
    /// There is something to read.
    Told(String),
    /// Too much waits to be sent: later.
    Busy(Request),
    /// The user wants to leave.
    Quit,
}

impl Link {
    pub(super) fn dialect(&self) -> Dialect {
        match self {
            Link::SocketIo(_) => Dialect::SocketIo,
            Link::Plain(_) => Dialect::Plain,
        }
    }

    /// Begins what is asked for. It does not wait.
    ///
    /// # Errors
    /// Why it cannot be done, for people.
    pub(super) fn perform(&mut self, request: Request) -> Result<Outcome, String> {
        match self {
            Link::SocketIo(sockets) => sockets.perform(request),
            Link::Plain(plain) => plain.perform(request.command),
        }
    }

    /// What happens next.
    ///
    /// # Cancel safety
    /// Dropped before it resolves, nothing is lost.
    pub(super) async fn next(&mut self) -> Happening {
        match self {
            Link::SocketIo(sockets) => sockets.next().await,
            Link::Plain(plain) => plain.next().await,
        }
    }

    /// Whether commands had better wait: it is on the way to be connected, or the server does not read.
    pub(super) fn must_wait(&self) -> bool {
        match self {
            Link::SocketIo(sockets) => sockets.is_connecting(),
            Link::Plain(plain) => plain.must_wait(),
        }
    }

    /// Whether answers to calls are awaited.
    pub(super) fn is_asking(&self) -> bool {
        match self {
            Link::SocketIo(sockets) => sockets.is_asking(),
            Link::Plain(_) => false,
        }
    }

    /// Whether the connection has ended, by the server's doing or for want of one, and will not come back by itself.
    pub(super) fn is_over(&self) -> bool {
        match self {
            Link::SocketIo(sockets) => sockets.is_over(),
            Link::Plain(plain) => plain.is_over(),
        }
    }

    /// Whether somebody is told when we leave.
    pub(super) fn is_connected(&self) -> bool {
        match self {
            Link::SocketIo(sockets) => sockets.is_connected(),
            Link::Plain(plain) => plain.is_connected(),
        }
    }

    /// The namespace that commands go to, for the prompt and for scripts.
    pub(super) fn current(&self) -> Option<String> {
        match self {
            Link::SocketIo(sockets) => Some(sockets.current().to_owned()),
            Link::Plain(_) => None,
        }
    }

    /// Sends what waits, for at most so long, and says goodbye.
    pub(super) async fn close(self, timeout: Duration) {
        match self {
            Link::SocketIo(sockets) => sockets.close().await,
            Link::Plain(plain) => plain.close(timeout).await,
        }
    }
}
