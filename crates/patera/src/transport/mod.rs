//! The ways packets travel: HTTP long-polling, WebSocket and WebTransport, and the byte streams below them.

mod batch;
mod outlet;
mod polling;
mod stream;
mod websocket;
#[cfg(feature = "webtransport")]
mod webtransport;

pub(crate) use batch::Batch;
pub(crate) use outlet::{Leftover, Outlet};
pub(crate) use polling::{PollingLink, Post, PostAnswer};
pub(crate) use stream::{Duplex, Stream};
pub(crate) use websocket::{Dialect, ReadEnd, WebSocketLink};
#[cfg(feature = "webtransport")]
pub(crate) use webtransport::{FirstPacket, WebTransportStream};
