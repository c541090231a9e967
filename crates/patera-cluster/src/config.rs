//! Intervals and limits of a node, and of the bus in memory.

use std::time::Duration;

/// What the nodes of one server are set up with. Names and defaults are those of socket.io's adapters, where they have them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterConfig {
    /// How long a node may say nothing to all before it says that it is there. Default 5 s. Each namespace of each server does.
    pub heartbeat_interval: Duration,
    /// How long another node may be silent; then it counts as gone, and nobody waits for its answers. Default 10 s.
    pub heartbeat_timeout: Duration,
    /// How long other nodes may take to answer, where the caller does not say it: sockets asked for, server-side events with
    /// acknowledgement. Default 5 s. Then those who asked get what has come.
    pub requests_timeout: Duration,
    /// Other nodes of one namespace that are known at once. Default 1,024. Whoever else speaks is heard, but not counted, and nobody
    /// waits for it.
    pub peers_max: usize,
    /// Requests of one namespace that await answers at once. Default 10,000. One more is refused with
    /// [`Refused::TooMany`](crate::Refused::TooMany).
    pub requests_max: usize,
    /// Answers taken for one request: of a broadcast one for each client, of other requests one for each node. Default 1,000,000.
    /// What comes after that is dropped.
    pub answers_max: usize,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        ClusterConfig {
            heartbeat_interval: Duration::from_secs(5),
            heartbeat_timeout: Duration::from_secs(10),
            requests_timeout: Duration::from_secs(5),
            peers_max: 1024,
            requests_max: 10_000,
            answers_max: 1_000_000,
        }
    }
}

/// No request waits longer; a longer timeout, such as `Duration::MAX`, is as good as this one.
pub(crate) const TIMEOUT_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Messages that wait for one subscriber of a [`MemoryBus`](crate::MemoryBus), on their way included. One more is lost, and the
/// subscriber is told so.
pub(crate) const INBOX_MESSAGES_MAX: usize = 65_536;
