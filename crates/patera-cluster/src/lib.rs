//! What the servers of one cluster say to each other: the messages of socket.io's cluster adapters, a node as a pure state
//! machine, the trait of the bus that carries them, and a bus in memory.
//!
//! Nothing here does I/O, reads a clock or draws randomness: the shell around a [`Node`] owns the bus and the timer, feeds
//! `handle_*`, drains `poll_*` and passes `now` in.
//!
//! | file | what |
//! |---|---|
//! | [`message`](Message) | what is said, and by whom |
//! | [`target`](Target) | whom a message is for: rooms, without rooms, how |
//! | [`encoded`](Encoded) | an event or an answer that is encoded already |
//! | [`ids`](Uid) | names of nodes and requests |
//! | `wire` | the serde forms of all of them |
//! | [`node`](Node) | one namespace of one server: its peers, its requests |
//! | [`config`](ClusterConfig) | intervals and limits |
//! | [`bus`](Bus) | what carries messages |
//! | [`memory`](MemoryBus) | a bus within a process, with faults on demand |
//!
//! ```
//! use std::{sync::Arc, time::Instant};
//! use patera_cluster::{ClusterConfig, Encoded, Event, Node, Target, Uid};
//!
//! # #[allow(clippy::disallowed_methods)]
//! let now = Instant::now();
//! let config = Arc::new(ClusterConfig::default());
//! let mut here = Node::new(Uid::from_bits(1), "/".into(), config.clone(), 1, now);
//! let mut there = Node::new(Uid::from_bits(2), "/".into(), config, 2, now);
//!
//! here.broadcast(Encoded::of(&("news", 1))?, Target::room("lobby"), now);
//! while let Some(transmit) = here.poll_transmit() {
//!     there.handle_message(transmit.message, now);
//! }
//! assert!(matches!(there.poll_event(), Some(Event::PeerJoined { .. })));
//! let Some(Event::Broadcast { event, target, .. }) = there.poll_event() else { panic!() };
//! assert_eq!((event.json(), &*target.rooms[0]), (r#"["news",1]"#, "lobby"));
//! # Ok::<(), patera_protocol::socketio::EncodeError>(())
//! ```
#![forbid(unsafe_code)]
// Bytes from the network meet no operation that can panic or overflow.
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, clippy::arithmetic_side_effects)
)]

mod bus;
mod config;
mod encoded;
mod ids;
mod memory;
mod message;
mod node;
mod target;
mod wire;

#[cfg(test)]
mod tests;

pub use bus::{Bus, BusError, BusFuture, Incoming};
pub use config::ClusterConfig;
pub use encoded::Encoded;
pub use ids::{RequestId, Uid};
pub use memory::{Faults, MemoryBus};
pub use message::{Body, Description, Message};
pub use node::{Asker, Event, Node, Outcome, Refused, Transmit};
pub use target::{Flags, Target};
