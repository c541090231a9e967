//! Typed contracts: what the traits that `patera-macros` writes stand on. They hold for both sides, whose types implement these.
//!
//! A contract is a trait of events under `#[patera::events]`. Of it come a trait of handlers, which registers with what is
//! [`Listen`], and a trait of methods for all that is [`Emit`].

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::handler::{FromAnswer, FromEvent, Handler, IntoReply, Side};

pub use crate::handler::{Reply, Result};

/// Whose handlers of a contract they are: a side whose events come to a socket.
pub trait Party: Side + Sized {
    /// What each handler gets first.
    type Socket: FromEvent<Self> + Send + 'static;
}

/// Where the handlers of a contract are registered: a namespace, a socket, a client.
pub trait Listen<S: Party> {
    /// Adds a handler of an event.
    fn on<P: 'static, H>(&self, event: &str, handler: H)
    where
        H: Handler<S, P>,
        H::Output: IntoReply;
}

/// What events of a contract are emitted by: a socket, a namespace, a broadcast on its way.
pub trait Emit {
    /// The acknowledgement on its way, or those of a broadcast.
    type Answer<T: FromAnswer>;

    /// Emits an event.
    fn emit(&self, event: &str, args: impl Serialize);

    /// Emits an event and waits for the acknowledgement.
    fn emit_with_ack<T: FromAnswer>(&self, event: &str, args: impl Serialize) -> Self::Answer<T>;
}

/// What a contract's arguments and acknowledgements may be: anything owned that serde can write and read, for each side does one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of an event",
    note = "arguments and acknowledgements of a contract implement both `serde::Serialize` and `serde::Deserialize`, are owned and `Send`"
)]
pub trait Argument: Serialize + DeserializeOwned + Send + 'static {}

impl<T: Serialize + DeserializeOwned + Send + 'static> Argument for T {}

/// Compiles if a type is an [`Argument`].
#[doc(hidden)]
pub const fn check_argument<T: Argument>() {}
