#![doc = include_str!("../README.md")]
//!
//! # Inside
//!
//! | file | what |
//! |---|---|
//! | [`builder`](ClientBuilder), [`client`](Client), [`manager`](Manager), [`socket`](Socket), [`emitter`](Emitter) | the API |
//! | [`handler`](Handler), [`listeners`](ListenerId), [`events`](Events), [`lifecycle`](Lifecycle) | what comes, by callback and by stream |
//! | [`config`](Config), [`error`](ConnectError), [`tls`](Tls), `address`, `auth` | options and limits, what goes wrong, the URL, what the server is told |
//! | [`contract`], `contracts` | the events of a side as a trait |
//! | `shared`, `task`, `namespace`, `calls` | what crosses threads; the task that owns a connection, its sockets, the calls of handlers |
//! | `acks`, `retries`, `backoff`, `cookies` | pure parts |
//! | `codec` | Socket.IO packets to messages |
//! | `engine` | one Engine.IO session and its transports |
//! | `net` | TCP, proxy, TLS, HTTP, the WebSocket |
//! | `plain` | a WebSocket without Socket.IO |
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod acks;
mod address;
mod auth;
mod backoff;
mod builder;
mod calls;
mod client;
mod codec;
mod config;
mod contracts;
mod cookies;
mod emitter;
mod engine;
mod error;
mod events;
mod handler;
mod lifecycle;
mod listeners;
mod manager;
mod namespace;
mod net;
mod plain;
mod retries;
mod shared;
mod socket;
mod task;
mod tls;
mod trace;

#[cfg(feature = "macros")]
#[cfg_attr(docsrs, doc(cfg(feature = "macros")))]
pub use patera_macros::events_of_client as events;
pub use patera_protocol::contract;
pub use patera_protocol::engineio::Transport;
pub use patera_protocol::handler::{CallError, Error, FromAnswer, FromEvent, Handler, IntoReply, Reply, Rest, Result};
pub use patera_protocol::socketio::{ArgumentError, ConnectionConfig, EncodeError, Map, Value};
#[cfg(feature = "deflate")]
#[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
pub use patera_websocket::DeflateConfig;
pub use patera_websocket::stream::{Message, WebSocketStream};

pub use crate::address::UrlError;
pub use crate::builder::ClientBuilder;
pub use crate::client::Client;
pub use crate::config::{Config, Parser};
pub use crate::emitter::{Acknowledgement, Emitter};
pub use crate::error::{AckError, ConnectError, EmitError, TransportError};
pub use crate::events::{Event, Events, Received};
pub use crate::handler::{Ack, Call, EventContext, EventName, Failure};
pub use crate::lifecycle::{Disconnect, DisconnectReason, Lifecycle};
pub use crate::listeners::ListenerId;
pub use crate::manager::Manager;
pub use crate::socket::{Connecting, Disconnecting, Socket};
pub use crate::tls::Tls;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/rust-client.md")]
mod guide {}
