//! A realtime server that every Socket.IO client since 3.0 and every plain WebSocket can talk to.
//!
//! Mounted beside HTTP routes in axum, tower or hyper as people mount socket.io in express, or standing alone with
//! [`Io::listen`]. Who knows socket.io knows the names: [`Io::emit`](Namespace::emit), [`to`](Namespace::to),
//! [`join`](Socket::join), [`emit_with_ack`](Socket::emit_with_ack).
//!
//! ```no_run
//! use patera::{Io, Reply, Socket};
//!
//! #[tokio::main]
//! async fn main() -> patera::Result {
//!     let io = Io::new();
//!     io.on_connection(async |socket: Socket| {
//!         socket.on("chat", async |socket: Socket, text: String| {
//!             socket.broadcast().emit("chat", (socket.id(), text));           // everyone but the sender
//!         });
//!         socket.on("add", async |a: i64, b: i64| Reply(a + b));              // the return value is the acknowledgement
//!     });
//!     io.listen("127.0.0.1:3000").await?;
//!     Ok(())
//! }
//! ```
//!
//! | file | what |
//! |---|---|
//! | [`io`](Io), [`namespace`](Namespace), [`socket`](Socket), [`emitter`](Emitter), [`broadcast`](Broadcast) | the API |
//! | `registering`, [`listeners`](ListenerId), `outgoing`, [`room_events`](RoomEvent) | what is registered, for events and for what else happens |
//! | [`handler`](Handler), `dispatch`, `lines`, `tasks` | handlers: their parameters, when they start, in which order, those that wait |
//! | `namespaces`, `choosing` | which namespaces there are, and those that come when a client asks |
//! | [`answers`](Answers), `acks`, [`remote`](RemoteSocket) | acknowledgements awaited, and sockets from afar |
//! | [`conn`](engine::Conn) | the connection below a socket: its state, what is told of it |
//! | [`config`](Config), [`error`](Error), [`stats`](Stats) | options and limits, what goes wrong, counters |
//! | `connection`, [`parser`], `native`, [`engine`] | what a session carries: Socket.IO, in other forms than JSON, a plain WebSocket, a user's own protocol |
//! | `opening`, `session`, `transport` | how a session begins, the task that owns it, and how its packets travel |
//! | `outbox`, `prepared`, `deflated`, `rooms`, `registry` | what crosses threads: packets and who gets them |
//! | [`contract`], `contracts` | the events of a side as a trait |
//! | `cluster` | other servers: what is said to them, what they ask |
//! | `http` | requests, compression, CORS, cookie, tower, listening |
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod acks;
mod admission;
mod answers;
mod broadcast;
mod choosing;
mod cluster;
mod config;
mod conn;
mod connection;
mod connection_error;
mod contracts;
mod core;
mod deflated;
mod details;
mod dispatch;
mod emitter;
pub mod engine;
mod error;
mod flush;
mod handler;
mod handshake;
mod http;
mod io;
mod lines;
mod listeners;
#[cfg(all(test, patera_loom))]
mod models;
mod namespace;
mod namespaces;
mod native;
mod opening;
mod outbox;
mod outgoing;
pub mod parser;
mod prepared;
mod rate;
mod recovery;
mod registering;
mod registry;
mod remote;
mod room_events;
mod rooms;
mod session;
mod sid;
mod socket;
mod state;
mod stats;
mod sync;
mod tasks;
#[cfg(feature = "tls")]
mod tls;
mod trace;
mod transport;

pub use patera_cluster::{Bus, BusError, ClusterConfig, Faults, MemoryBus, Uid};
#[cfg(feature = "macros")]
#[cfg_attr(docsrs, doc(cfg(feature = "macros")))]
pub use patera_macros::events_of_server as events;
pub use patera_protocol::contract;
pub use patera_protocol::engineio::{Transport, Version};
pub use patera_protocol::handler::{CallError, FromAnswer, FromEvent, IntoReply, Reply, Rest};
pub use patera_protocol::socketio::{ArgumentError, ConnectionConfig, EncodeError, Map, Value};
pub use patera_websocket::DeflateConfig;

pub use crate::answers::{Answers, PartialAnswers};
pub use crate::broadcast::Broadcast;
pub use crate::cluster::{ServerSide, ServerSideCall};
pub use crate::config::{Config, ConnectionStateRecovery, OutboxPolicy, RatePolicy};
pub use crate::details::DisconnectDetails;
pub use crate::emitter::{Acknowledgement, Emitter};
pub use crate::error::{AckError, DisconnectReason, EmitError, Error, JoinError, Result};
pub use crate::handler::{Ack, Call, EventContext, EventName, Failure, Handler, IntoDecision, Server, State};
pub use crate::handshake::{Handshake, RemoteAddress, Secure};
pub use crate::http::{
    Body, Cookie, Cors, CorsOrigin, HttpCompression, Layer, Listener, NoBody, NotFound, ResponseFuture, SameSite,
    Service,
};
pub use crate::io::Io;
pub use crate::listeners::ListenerId;
pub use crate::namespace::Namespace;
pub use crate::rate::Rate;
pub use crate::remote::{ClusterError, OneAnswer, RemoteSocket};
pub use crate::room_events::RoomEvent;
pub use crate::rooms::IntoRooms;
pub use crate::socket::Socket;
pub use crate::stats::Stats;
#[cfg(feature = "tls")]
#[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
pub use crate::tls::{Tls, TlsError};

/// The blocks of the guide are compiled with the tests.
#[cfg(doctest)]
mod guide {
    #[doc = include_str!("../../../docs/guide/first-server.md")]
    mod first_server {}
    #[doc = include_str!("../../../docs/guide/axum.md")]
    mod axum {}
    #[doc = include_str!("../../../docs/guide/events.md")]
    mod events {}
    #[cfg(feature = "macros")]
    #[doc = include_str!("../../../docs/guide/contracts.md")]
    mod contracts {}
    #[doc = include_str!("../../../docs/guide/rooms.md")]
    mod rooms {}
    #[doc = include_str!("../../../docs/guide/namespaces.md")]
    mod namespaces {}
    #[doc = include_str!("../../../docs/guide/auth.md")]
    mod auth {}
    #[doc = include_str!("../../../docs/guide/binary.md")]
    mod binary {}
    #[doc = include_str!("../../../docs/guide/parsers.md")]
    mod parsers {}
    #[doc = include_str!("../../../docs/guide/limits.md")]
    mod limits {}
    #[doc = include_str!("../../../docs/guide/recovery.md")]
    mod recovery {}
    #[doc = include_str!("../../../docs/guide/deploying.md")]
    mod deploying {}
    #[doc = include_str!("../../../docs/guide/security.md")]
    mod security {}
    #[doc = include_str!("../../../docs/guide/cluster.md")]
    mod cluster {}
    #[doc = include_str!("../../../docs/guide/coming-from-socketio.md")]
    mod coming_from_socketio {}
    #[doc = include_str!("../../../docs/guide/coming-from-socketioxide.md")]
    mod coming_from_socketioxide {}
}
