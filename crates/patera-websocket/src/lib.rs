//! WebSocket (RFC 6455) as a pure state machine: bytes in, messages out, and the other way round, in both roles.
//!
//! No I/O, no clock, no randomness, no async: the caller owns the socket. What that buys:
//!
//! - **No copy.** A message that arrived whole in one read is returned as a slice of the caller's own buffer.
//! - **No buffer while idle.** A [`Connection`] between messages is a hundred bytes and owns no heap memory.
//! - **One frame for everybody.** A server frame carries no mask, so [`server_frame`] makes it once and any number of
//!   connections share it.
//!
//! ```
//! use patera_websocket::{Config, Connection, Event, Opcode, Role, encode, server_frame};
//!
//! let mut connection = Connection::new(Role::Server, Config::default());
//! let mut input = Vec::new();                                              // what a client would send
//! encode(Role::Client, Opcode::Text, true, b"hello", [1, 2, 3, 4], &mut input);
//!
//! let progress = connection.handle_read(&mut input)?;
//! let Some(Event::Text(text)) = progress.event else { panic!() };
//! let frame = server_frame(Opcode::Text, text.as_bytes());                 // to this client, or to thousands
//! assert_eq!(&frame[..], b"\x81\x05hello");
//! # Ok::<(), patera_websocket::Error>(())
//! ```
//!
//! Features, none of them on by default: `tokio`, a WebSocket over any `AsyncRead + AsyncWrite`; `deflate`, compressed messages
//! (permessage-deflate, RFC 7692).
//!
//! | file | what |
//! |---|---|
//! | [`connection`](Connection) | bytes to messages, pings, the closing handshake: the machine that joins the rest |
//! | [`event`](Event), [`error`](Error), [`config`](Config) | what comes out, what the peer did wrong, limits |
//! | [`frame`](encode), `header` | writing frames, reading their headers |
//! | `mask`, `utf8`, `assembler`, `inline` | payloads: unmasked, checked, joined |
//! | [`close`](CloseCode) | close codes and close frames |
//! | `deflate`, `inflate` | with the feature `deflate`: compressed messages |
//! | `handshake` | the HTTP request and response before all that: [`accept`], [`client_request`], [`verify_response`] |
//! | `stream` | with the feature `tokio`: a WebSocket over any `AsyncRead + AsyncWrite` |
#![forbid(unsafe_code)]
// Bytes from the network meet no operation that can panic or overflow.
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, clippy::arithmetic_side_effects)
)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod assembler;
mod close;
mod config;
mod connection;
#[cfg(feature = "deflate")]
mod deflate;
mod error;
mod event;
mod frame;
mod handshake;
mod header;
#[cfg(feature = "deflate")]
mod inflate;
mod inline;
mod mask;
#[cfg(feature = "tokio")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
pub mod stream;
mod utf8;

pub use crate::close::{CloseCode, CloseFrame};
pub use crate::config::Config;
#[cfg(feature = "deflate")]
#[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
pub use crate::config::DeflateConfig;
pub use crate::connection::Connection;
#[cfg(feature = "deflate")]
#[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
pub use crate::deflate::{deflated_server_frame, encode_deflated};
pub use crate::error::{Error, Limit, Violation};
pub use crate::event::{Event, Progress};
pub use crate::frame::{FrameHeader, Opcode, Role, SERVER_HEADER_BYTES_MAX, encode, server_frame, server_header};
pub use crate::handshake::{
    AcceptOptions, Accepted, Agreed, Extensions, InvalidRequest, InvalidResponse, Refusal, accept, accept_key,
    client_request, verify_response,
};
#[cfg(feature = "deflate")]
#[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
pub use crate::handshake::{Deflate, verify_response_with_deflate};
