//! The answer of the peer to an event of ours.

use serde::de::DeserializeOwned;

use super::call::Rest;
use crate::socketio::{ArgumentError, OwnedArgs};

/// What an acknowledgement may be read as: a tuple takes all its arguments, `()` none, [`Rest`] all of them however many,
/// anything else that implements `Deserialize` the first.
#[diagnostic::on_unimplemented(
    message = "an acknowledgement cannot be read as `{Self}`",
    note = "it is read as `Rest`, `()`, or any owned type that implements `serde::Deserialize`"
)]
pub trait FromAnswer: Sized {
    /// Reads the answer.
    ///
    /// # Errors
    /// An argument is missing or of another type.
    #[doc(hidden)]
    fn from_answer(answer: &OwnedArgs) -> Result<Self, ArgumentError>;
}

impl<T: DeserializeOwned> FromAnswer for T {
    fn from_answer(answer: &OwnedArgs) -> Result<Self, ArgumentError> {
        answer.decode_answer()
    }
}

impl FromAnswer for Rest {
    fn from_answer(answer: &OwnedArgs) -> Result<Self, ArgumentError> {
        let args = answer.as_args();
        (0..args.len()).map(|index| args.value(index)).collect::<Result<_, _>>().map(Rest)
    }
}
