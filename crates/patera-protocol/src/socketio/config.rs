//! Limits of one Socket.IO connection, on what the peer sends. A violation closes the connection.

use std::time::Duration;

/// What a [`Connection`](super::Connection) takes from its peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionConfig {
    /// Attachments of one packet. 10. A packet that announces more is refused at its header.
    pub attachments_max: usize,
    /// The sum of the bytes of one packet's attachments. 1,000,000.
    pub attachments_bytes_max: usize,
    /// From the header to the last attachment. 30 s.
    pub attachments_timeout: Duration,
    /// Arguments of one event or acknowledgement. 1,024.
    pub arguments_max: usize,
    /// An event's name, decoded, in bytes. 1,024.
    pub event_name_bytes_max: usize,
    /// A namespace's name, in bytes. 512.
    pub namespace_bytes_max: usize,
    /// Revision 4: the query behind a namespace's name, in bytes. 8,192: tokens stand there.
    pub query_bytes_max: usize,
    /// Namespaces of one connection at a time. 32.
    pub namespaces_max: usize,
    /// Arrays and objects inside each other, the array of the arguments included. 128, and never more: deeper values
    /// could not be decoded.
    pub json_depth_max: usize,
}

impl Default for ConnectionConfig {
    fn default() -> Self {
        ConnectionConfig {
            attachments_max: 10,
            attachments_bytes_max: 1_000_000,
            attachments_timeout: Duration::from_secs(30),
            arguments_max: 1024,
            event_name_bytes_max: 1024,
            namespace_bytes_max: 512,
            query_bytes_max: 8192,
            namespaces_max: 32,
            json_depth_max: 128,
        }
    }
}
