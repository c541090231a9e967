//! Intervals, timeouts and limits of one Engine.IO session.

use std::time::Duration;

/// What a [`Session`](super::Session) is set up with. Names and defaults are those of engine.io.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    /// From one pong to the next ping. 25 s. A client takes it from the handshake instead.
    pub ping_interval: Duration,
    /// How long a pong may take; then the session closes with "ping timeout". 20 s. A client takes it from the
    /// handshake instead, and until then it is how long the open packet may take.
    pub ping_timeout: Duration,
    /// From the opening of the probing WebSocket to the end of the upgrade; then the probe is dropped and
    /// long-polling goes on. 10 s.
    pub upgrade_timeout: Duration,
    /// The largest message and the largest HTTP body taken, in bytes. 1,000,000. Told to the client in the handshake;
    /// the shell enforces it, since it is the shell that reads.
    pub max_payload: usize,
    /// Whether a session may change from long-polling to WebSocket. True. When false, none is announced and a probe is
    /// refused.
    pub allow_upgrades: bool,
}

impl Default for SessionConfig {
    fn default() -> Self {
        SessionConfig {
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            upgrade_timeout: Duration::from_secs(10),
            max_payload: 1_000_000,
            allow_upgrades: true,
        }
    }
}
