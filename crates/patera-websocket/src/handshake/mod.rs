//! The HTTP exchange before the first frame, as functions on `http` types. RFC 6455 §4. They neither read nor write: that is
//! the HTTP library's part.

mod client;
mod extensions;
mod key;
mod server;
mod tokens;

pub use self::client::{Agreed, InvalidRequest, InvalidResponse, client_request, verify_response};
pub use self::extensions::Extensions;
pub use self::key::accept_key;
pub use self::server::{AcceptOptions, Accepted, Refusal, accept};
