//! Ways to the server: TCP, through a proxy or not, with TLS or not.

mod connector;
mod lane;
mod proxy;
mod websocket;

use tokio::io::{AsyncRead, AsyncWrite};

pub(crate) use connector::{Connector, Route};
pub(crate) use lane::{Answer, Lane};
pub(crate) use websocket::open_websocket;

/// A connection of whatever kind.
pub(crate) type Stream = Box<dyn Io>;

/// What bytes go over.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}
