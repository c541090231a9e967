//! Socket.IO: namespaces, events, acknowledgements and binary attachments inside Engine.IO messages.
//!
//! | file | what |
//! |---|---|
//! | [`connection`](Connection) | the state machine of one connection: which namespaces, which attachments are missing |
//! | [`namespaces`](Slot) | the table of its namespaces |
//! | [`revision`](Revision) | the two revisions of the protocol, and what the older has of its own |
//! | `packet` | the header of a packet, up to its JSON |
//! | `json` | depth check, and the split of an array into its raw elements, in one pass |
//! | [`args`](Args) | the arguments of an event or an acknowledgement, not decoded yet |
//! | [`value`](Value), [`map`](Map) | JSON or bytes, for those who do not know the type |
//! | `de`, `ser`, `placeholder` | serde with attachments: placeholders become bytes, bytes become placeholders |
//! | [`encode`] | packets to send |
//! | [`config`](ConnectionConfig), [`error`](Error) | limits, and what goes wrong |
//!
//! # The wire
//!
//! A packet is one text message, `<type>[<attachments>-][<namespace>,][<ack id>][<JSON>]`, and the binary messages it
//! announces. The namespace `/` is left out.
//!
//! ```text
//! 0{"token":"123"}                                    CONNECT, answered by  0{"sid":"…"}  or  4{"message":"…"}
//! 2/admin,13["delete",["a","b"]]                      EVENT in /admin that wants an acknowledgement, answered by
//! 3/admin,13["done"]                                  ACK
//! 51-["file","a.txt",{"_placeholder":true,"num":0}]   BINARY_EVENT, and one binary message behind it
//! 1/admin,                                            DISCONNECT
//! ```

mod args;
mod config;
mod connection;
mod de;
pub mod encode;
mod error;
mod json;
mod map;
mod namespaces;
mod packet;
mod placeholder;
mod revision;
mod scan;
mod ser;
mod strings;
mod text;
mod value;

pub use args::{Args, ArgumentError, OwnedArgs};
pub use config::ConnectionConfig;
pub use connection::{Connection, Incoming};
pub use encode::EncodeError;
pub use error::{ConnectError, Error, Limit};
pub use map::Map;
pub use namespaces::Slot;
pub use revision::{Revision, socket_id_v4};
pub use value::Value;

pub(crate) use scan::DEPTH_MAX as JSON_DEPTH_MAX;
pub(crate) use text::first_special;

/// Event names that the API of Socket.IO uses itself: a packet that carries one is refused, both ways.
pub const RESERVED_EVENTS: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];
