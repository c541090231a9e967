//! What a handler returns to say no, and what of it the peer reads.

use std::{any::TypeId, borrow::Cow, error, fmt};

use crate::socketio::Value;

/// What a handler, a middleware or a hook returns to say no. `Result` alone is `Result<(), Error>`.
///
/// It is made with `?` or `.into()` from any error and from text. What was made from **text** is sent to the peer as
/// that text; any other error is sent as `internal error` and traced, so that no inner detail leaks.
///
/// ```
/// use patera_protocol::handler::{Error, Result};
///
/// fn check(token: Option<&str>) -> Result {
///     let token = token.ok_or("missing token")?;      // the peer reads "missing token"
///     let _number: u32 = token.parse()?;              // the peer reads "internal error"
///     Ok(())
/// }
/// assert_eq!(check(None).unwrap_err().message(), "missing token");
/// assert_eq!(check(Some("x")).unwrap_err().message(), "internal error");
/// ```
pub struct Error {
    source: Box<dyn error::Error + Send + Sync>,
    public: bool,
    data: Option<Box<Value>>,
}

/// `Result` with [`Error`], and `()` unless said otherwise.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error whose text the peer reads.
    pub fn new(message: impl Into<String>) -> Self {
        Error { source: message.into().into(), public: true, data: None }
    }

    /// Adds details: from a middleware the client gets them as `err.data` of its `connect_error`.
    #[must_use]
    pub fn with_data(mut self, data: impl Into<Value>) -> Self {
        self.data = Some(Box::new(data.into()));
        self
    }

    /// What the peer is told: the text the error was made from, or `internal error`.
    pub fn message(&self) -> Cow<'_, str> {
        if self.public { Cow::Owned(self.source.to_string()) } else { Cow::Borrowed("internal error") }
    }

    /// The details given with [`with_data`](Self::with_data).
    pub fn data(&self) -> Option<&Value> {
        self.data.as_deref()
    }

    /// The error this one was made from.
    pub fn inner(&self) -> &(dyn error::Error + Send + Sync + 'static) {
        &*self.source
    }
}

// `Error` must not be a `std::error::Error` itself, or this would collide with `From<T> for T`.
impl<E: Into<Box<dyn error::Error + Send + Sync>> + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        let kind = TypeId::of::<E>();
        let text = [TypeId::of::<&'static str>(), TypeId::of::<String>(), TypeId::of::<Cow<'static, str>>()];
        Error { source: error.into(), public: text.contains(&kind), data: None }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.source, f)
    }
}
