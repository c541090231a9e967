//! The ways packets travel: HTTP long-polling and WebSocket, and the byte streams below them.

mod batch;
mod outlet;
mod polling;
mod stream;
mod websocket;

pub(crate) use batch::Batch;
pub(crate) use outlet::{Leftover, Outlet};
pub(crate) use polling::{PollingLink, Post, PostAnswer};
pub(crate) use stream::{Duplex, Stream};
pub(crate) use websocket::{Dialect, ReadEnd, WebSocketLink};
