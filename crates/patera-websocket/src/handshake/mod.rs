//! The HTTP exchange before the first frame, as functions on `http` types. RFC 6455 §4. They neither read nor write: that is
//! the HTTP library's part.

mod client;
#[cfg(feature = "deflate")]
mod deflate;
mod extensions;
mod key;
#[cfg(feature = "deflate")]
mod offers;
mod server;
mod tokens;

#[cfg(feature = "deflate")]
pub use self::client::verify_response_with_deflate;
pub use self::client::{Agreed, InvalidRequest, InvalidResponse, client_request, verify_response};
#[cfg(feature = "deflate")]
pub use self::deflate::Deflate;
pub use self::extensions::Extensions;
pub use self::key::accept_key;
pub use self::server::{AcceptOptions, Accepted, Refusal, accept};
