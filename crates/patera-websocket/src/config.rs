//! Limits of one connection, and how it compresses.

/// What a [`Connection`](crate::Connection) takes before it closes. Each is checked on a frame's header, before any
/// byte of its payload is kept; the size of a compressed message also while it is inflated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The largest payload of one data frame, in bytes, compressed or not. 1,000,000. Past it: close 1009.
    pub frame_bytes_max: usize,
    /// The largest message, in bytes, all its frames together; of a compressed one both what arrives and what it inflates
    /// to. 1,000,000. Past it: close 1009.
    pub message_bytes_max: usize,
    /// How many frames one message may be cut into. 1,024. Past it: close 1008.
    pub fragments_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config { frame_bytes_max: 1_000_000, message_bytes_max: 1_000_000, fragments_max: 1024 }
    }
}

/// How one side compresses with permessage-deflate (RFC 7692), once both agree to it. Off unless one is given, as in
/// [`AcceptOptions::deflate`](crate::AcceptOptions::deflate).
///
/// Every message is compressed by itself (`server_no_context_takeover` and `client_no_context_takeover`): a connection
/// keeps no state of the compressor between messages, and one compressed frame serves all connections with the same window.
/// A compressed message that is on its way in holds 57 KB besides what it has come to.
///
/// The length of a message that holds both a secret and what a stranger has chosen tells of the secret, once compressed:
/// send such messages as they are.
#[cfg(feature = "deflate")]
#[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeflateConfig {
    /// Messages of fewer bytes are sent as they are. 1,024.
    pub threshold_bytes: usize,
    /// How hard to look for repetitions: 0 (not at all) to 9. 6; more than 9 counts as 9.
    pub level: u8,
    /// The largest window a server compresses with, as a power of two: 9 to 15, that is 512 bytes to 32 KiB. 15; what lies
    /// outside counts as the nearer end. A client may ask for less, and asks for this if it is less than 15.
    pub server_max_window_bits: u8,
    /// The same for what a client compresses. 15.
    pub client_max_window_bits: u8,
}

#[cfg(feature = "deflate")]
impl Default for DeflateConfig {
    fn default() -> Self {
        DeflateConfig { threshold_bytes: 1024, level: 6, server_max_window_bits: 15, client_max_window_bits: 15 }
    }
}
