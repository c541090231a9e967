//! Why the runner ends early.

use std::{fmt, io, path::Path};

/// What went wrong, as a sentence for the person at the terminal.
#[derive(Debug)]
pub(crate) struct Failure(String);

/// The outcome of what can fail.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// An I/O error with the program or the file it happened to.
    pub(crate) fn io(what: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        move |error| Self(format!("{}: {error}", what.as_ref().display()))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
