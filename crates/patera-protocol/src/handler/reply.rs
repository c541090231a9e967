//! The return value of a handler: the acknowledgement.

use serde::Serialize;

use super::error::Error;

/// The acknowledgement, as a handler's return value: a tuple is several arguments, `()` none, anything else one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply<T>(pub T);

/// Where a handler's outcome goes; each side has its own.
pub trait Answer {
    /// Acknowledges, if the peer asked for that.
    fn send(&self, answer: &impl Serialize);

    /// The handler has failed, and [`Refusal`] was sent: say so where failures are told.
    fn report(&self, error: Error);
}

/// What a handler may return: `()` acknowledges nothing, [`Reply`] its value, `Err` of a `Result` acknowledges `{"error": …}`.
#[diagnostic::on_unimplemented(
    message = "a handler cannot return `{Self}`",
    note = "a handler returns `()`, `Reply<T>` to acknowledge with `T`, or a `Result` of either; one that never returns says so with `-> ()`"
)]
pub trait IntoReply {
    /// Sends the acknowledgement, if there is one to send.
    #[doc(hidden)]
    fn reply(self, to: &impl Answer);
}

impl IntoReply for () {
    fn reply(self, _: &impl Answer) {}
}

impl<T: Serialize> IntoReply for Reply<T> {
    fn reply(self, to: &impl Answer) {
        to.send(&self.0);
    }
}

impl<R: IntoReply, E: Into<Error>> IntoReply for Result<R, E> {
    fn reply(self, to: &impl Answer) {
        match self {
            Ok(reply) => reply.reply(to),
            Err(error) => {
                let error = error.into();
                to.send(&Refusal { error: &error.message() });
                to.report(error);
            }
        }
    }
}

/// The acknowledgement of an event that failed: `{"error":"no such id"}`.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Refusal<'a> {
    /// What the peer reads.
    pub error: &'a str,
}
