//! Handlers of events: what the server and the client have in common. Pure traits and a macro over the number of
//! parameters; who polls the futures, and what a socket is, is each side's own.
//!
//! | file | what |
//! |---|---|
//! | [`call`](Handler) | an async function and its parameters, each taken from the event |
//! | [`reply`](IntoReply) | its return value as the acknowledgement |
//! | [`answer`](FromAnswer) | the peer's acknowledgement, read |
//! | [`error`](Error) | what a handler returns to say no |

mod answer;
mod call;
mod error;
mod reply;

pub use answer::FromAnswer;
pub use call::{CallError, EventContext, FromEvent, Handler, Rest, Side};
pub use error::{Error, Result};
pub use reply::{Answer, IntoReply, Refusal, Reply};
