//! The targets.

mod cluster;
mod connection;
mod deflate;
mod engineio3;
mod engineio4;
mod engineio4_frames;
mod frames;
mod handshake;
mod msgpack;
mod query;
mod server;
mod socketio;
mod websocket;

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

/// One target.
pub struct Target {
    /// Its name: that of its program, of its corpus, of its dictionary.
    pub name: &'static str,
    /// Its body: panics where something does not hold for this input.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: [Target; 12] = [
    Target { name: "http_query", run: query::run },
    Target { name: "websocket_handshake", run: handshake::run },
    Target { name: "websocket_frames", run: frames::run },
    Target { name: "websocket_deflate", run: deflate::run },
    Target { name: "engineio3_payload", run: engineio3::run },
    Target { name: "engineio4_payload", run: engineio4::run },
    Target { name: "engineio4_frames", run: engineio4_frames::run },
    Target { name: "socketio_text", run: socketio::run },
    Target { name: "socketio_msgpack", run: msgpack::run },
    Target { name: "cluster_message", run: cluster::run },
    Target { name: "connection", run: connection::run },
    Target { name: "server", run: server::run },
];

impl Target {
    /// The target of this name.
    pub fn named(name: &str) -> Option<&'static Target> {
        TARGETS.iter().find(|target| target.name == name)
    }
}

/// Virtual time: so many milliseconds after the start of the process.
pub(crate) fn at(milliseconds: u64) -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    *ORIGIN.get_or_init(Instant::now) + Duration::from_millis(milliseconds)
}
