//! Engine.IO: one ordered, full-duplex session of text and binary messages over HTTP long-polling, WebSocket or
//! WebTransport.
//!
//! | file | what |
//! |---|---|
//! | [`packet`](Packet) | one packet, as it stands in a WebSocket text frame |
//! | [`version`](Version) | the two revisions, and what differs between their packets |
//! | [`payload`] | several packets in one HTTP body |
//! | [`payload_v3`] | the same in revision 3: lengths instead of separators, as text or as bytes |
//! | [`jsonp`] | polling by script tags and forms, in revision 3 |
//! | [`frame`](FrameHeader) | one packet on a byte stream, behind its length: WebTransport |
//! | [`handshake`](Handshake) | the open packet |
//! | [`request`](Query) | the query of a request, and the six ways to refuse one |
//! | [`heartbeat`](Heartbeat) | who pings when, and when the peer counts as gone |
//! | [`upgrade`](ProbeRefused) | from long-polling to WebSocket or WebTransport |
//! | [`session`](Session) | the state machine over all of them |
//! | [`event`](SessionEvent) | what the session says: packets to send, what happened, why it ended |
//! | [`config`](SessionConfig) | intervals, timeouts and limits |
//!
//! # Terms
//!
//! The same words are used in every crate, in the browser client and in the documentation.
//!
//! | term | meaning |
//! |---|---|
//! | transport | one way to carry packets: `polling`, `websocket` or `webtransport` |
//! | packet | the unit of Engine.IO: a type digit and data; binary messages have their own form |
//! | revision | 4, or the older 3 of Socket.IO 1 and 2: the client pings, and payloads have lengths instead of separators |
//! | payload | one HTTP body: packets joined by `0x1e`, or each behind its length |
//! | message | the data of a packet of type 4: text or bytes. What the layer above sends and gets |
//! | session | one Engine.IO connection with its sid, whatever transports it uses over time |
//! | sid | the session's id, made by the server |
//! | main transport | the one that carries messages now |
//! | probe | a second transport, a WebSocket or a WebTransport stream, on which an upgrade is being tried |
//! | upgrade | the change of the main transport from polling to the probe's |
//! | attachment | bytes that belong to a Socket.IO packet and follow it as binary messages |
//! | namespace, slot | a channel of a Socket.IO connection, such as `/admin`; its index on this connection |
//! | shell | the code around a state machine that owns sockets and timers |

mod config;
mod event;
mod frame;
mod handshake;
mod heartbeat;
pub mod jsonp;
mod packet;
pub mod payload;
pub mod payload_v3;
mod request;
mod session;
mod upgrade;
mod version;

pub use config::SessionConfig;
pub use event::{CloseReason, SessionEvent, Transmit};
pub use frame::{FrameError, FrameHeader};
pub use handshake::{Handshake, HandshakeError};
pub use heartbeat::{Heartbeat, HeartbeatAction};
pub use packet::{Message, Packet, PacketError, Transport, UnknownTransport};
pub(crate) use request::decode as percent_decode;
pub use request::{Query, RequestError};
pub use session::Session;
pub use upgrade::ProbeRefused;
pub use version::Version;
