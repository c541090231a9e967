//! Whom a message is for, and how it is to be delivered.

use std::sync::Arc;
use std::time::Duration;

/// The sockets of a namespace that a message is for: the union of `rooms` (everyone if there is none), without the members of
/// `except`. A socket's id is a room with just it.
///
/// On the wire `{"rooms":["lobby"],"except":[],"flags":{}}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// The rooms; each socket in any of them once.
    pub rooms: Vec<Arc<str>>,
    /// The rooms whose members are left out.
    pub except: Vec<Arc<str>>,
    /// How.
    pub flags: Flags,
}

impl Target {
    /// The members of one room.
    pub fn room(room: impl Into<Arc<str>>) -> Self {
        Target { rooms: vec![room.into()], ..Target::default() }
    }
}

/// How a message is to be delivered. On the wire an object with those that are set; `local` is not among them, for what is
/// local does not travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// Dropped where the client's transport is not ready.
    pub volatile: bool,
    /// Whether it may be compressed; `None` is what the receiving node does by itself.
    pub compress: Option<bool>,
    /// How long acknowledgements are awaited; on the wire in milliseconds.
    pub timeout: Option<Duration>,
    /// One answer is enough: the message is for one socket.
    pub expect_single_response: bool,
}
