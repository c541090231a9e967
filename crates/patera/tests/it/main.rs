//! The server's public API, driven over real connections on port 0 by other people's WebSocket client and by raw HTTP.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod allocations;
mod awaiting;
mod bounds;
mod breaking;
mod broadcast_acks;
#[cfg(feature = "serve-client")]
mod client;
mod closing;
mod cluster;
mod compression;
mod conn;
mod connecting;
mod connection_errors;
mod crowds;
mod deadlines;
mod deflate;
mod dynamic;
mod emitting;
mod engine;
mod events;
mod fixed;
mod flushing;
mod hyper;
mod ids;
mod initial_packet;
mod late;
mod legacy;
mod limits;
mod lines;
mod listeners;
mod memory;
mod mounting;
mod native;
mod order;
mod parsers;
mod polling;
mod rates;
mod recovery;
mod recovery_simulation;
mod remote;
mod resting;
mod room_events;
mod rooms;
mod streams;
mod support;
#[cfg(feature = "tls")]
mod tls;
mod upgrading;
#[cfg(feature = "webtransport")]
mod webtransport;
mod wire;
