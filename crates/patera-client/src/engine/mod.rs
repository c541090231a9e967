//! One Engine.IO session as a client: its transports, their upgrade, and what waits to be sent. Polled by the task that owns it;
//! it spawns nothing.
//!
//! | file | what |
//! |---|---|
//! | `session` ([`Engine`]) | the protocol's state machine and the transports, joined |
//! | `polling`, `websocket` | one transport each |
//! | `frame` | what goes out, and what it counts against |
//! | `endpoint` | the server's URLs, the headers, the cookies |
//! | `closing` | the end: what waits is sent, and the server is told |

mod closing;
mod endpoint;
mod frame;
mod polling;
mod session;
mod websocket;

pub(crate) use endpoint::Endpoint;
pub(crate) use frame::{Compression, Packet, Payload, Permit, Quota};
pub(crate) use session::{Engine, EngineEvent};

use std::pin::Pin;

/// A future of this crate's own.
pub(crate) type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;
