//! Engine.IO and Socket.IO as pure code: packets, payloads and session state machines for both roles.
//!
//! Nothing here does I/O, reads a clock, draws randomness or awaits: the shell around it owns the sockets and the
//! timer, feeds `handle_*`, drains `poll_*` and passes `now` in. So the same code serves a server and a client, any
//! runtime, and tests with virtual time.
//!
//! - [`engineio`]: Engine.IO 4, and 3 for older clients. What is on a transport (packets, polling payloads), the
//!   handshake, the heartbeat, the upgrade from long-polling to WebSocket, and [`engineio::Session`], which joins them.
//! - [`socketio`]: Socket.IO 5, and 4 for older clients. What is inside an Engine.IO message (namespaces, events,
//!   acknowledgements, binary attachments), and [`socketio::Connection`], which keeps the state of one connection.
//! - [`parser`]: packets in other forms than text and attachments behind it, MessagePack among them.
//! - [`handler`]: async functions whose parameters say what they want of an event, for both sides.
//! - [`contract`]: the events of a side as a trait, which `patera-macros` makes handlers and senders of.
//!
//! ```
//! use std::{sync::Arc, time::Instant};
//! use patera_protocol::{engineio::Message, socketio::{Connection, ConnectionConfig, Incoming}};
//!
//! # #[allow(clippy::disallowed_methods)]
//! let now = Instant::now();
//! let mut connection = Connection::server(Arc::new(ConnectionConfig::default()));
//! let Some(Incoming::Connect { slot, .. }) = connection.handle_message(Message::Text("0"), now)? else { panic!() };
//! connection.accept(slot);
//! match connection.handle_message(Message::Text(r#"2["chat","hello"]"#), now)? {
//!     Some(Incoming::Event { name, args, .. }) => {
//!         assert_eq!(name, "chat");
//!         assert_eq!(args.decode::<String>(0).unwrap(), "hello");
//!     }
//!     other => panic!("{other:?}"),
//! }
//! # Ok::<(), patera_protocol::socketio::Error>(())
//! ```
#![forbid(unsafe_code)]
// Bytes from the network meet no operation that can panic or overflow.
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, clippy::arithmetic_side_effects)
)]

pub mod contract;
pub mod engineio;
pub mod handler;
pub mod parser;
pub mod socketio;
mod time;

#[cfg(test)]
mod tests;
