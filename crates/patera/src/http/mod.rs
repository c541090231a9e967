//! HTTP: which requests are ours, what they get, and how the server is mounted. HTTP itself is hyper's.

mod accept;
mod body;
#[cfg(feature = "serve-client")]
mod client;
mod compression;
mod cookie;
mod cors;
mod encodings;
mod head;
mod listen;
mod listener;
mod paths;
mod polling;
mod refusal;
mod respond;
mod service;
mod websocket;
#[cfg(feature = "webtransport")]
mod webtransport;

pub use compression::HttpCompression;
pub use cookie::{Cookie, SameSite};
pub use cors::{Cors, CorsOrigin};
pub use listener::Listener;
pub use service::{Body, Layer, NoBody, NotFound, ResponseFuture, Service};

pub(crate) use accept::accept;
pub(crate) use head::Prefixed;
pub(crate) use listen::serve;
pub(crate) use paths::Paths;
pub(crate) use respond::Host;
#[cfg(feature = "webtransport")]
pub(crate) use webtransport::{Endpoints, serve as serve_webtransport};
