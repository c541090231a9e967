//! Limits of one connection.

/// What a [`Connection`](crate::Connection) takes before it closes. Each is checked on a frame's header, before any
/// byte of its payload is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The largest payload of one data frame, in bytes. 1,000,000. Past it: close 1009.
    pub frame_bytes_max: usize,
    /// The largest message, in bytes, all its frames together. 1,000,000. Past it: close 1009.
    pub message_bytes_max: usize,
    /// How many frames one message may be cut into. 1,024. Past it: close 1008.
    pub fragments_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config { frame_bytes_max: 1_000_000, message_bytes_max: 1_000_000, fragments_max: 1024 }
    }
}
