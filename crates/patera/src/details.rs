//! What is known of a session's end beside its reason.

/// What exactly ended a socket, where more is known than the [`DisconnectReason`](crate::DisconnectReason): a parameter of disconnect handlers.
///
/// ```no_run
/// # use patera::{DisconnectDetails, DisconnectReason, Io};
/// # let io = Io::new();
/// io.on_disconnect(async |reason: DisconnectReason, details: DisconnectDetails| {
///     // "transport error: data request overlap from client"
///     println!("{reason}: {}", details.description().unwrap_or("no more is known"));
/// });
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DisconnectDetails {
    description: Option<Box<str>>,
    close_code: Option<u16>,
}

impl DisconnectDetails {
    pub(crate) fn described(description: impl Into<Box<str>>) -> Self {
        DisconnectDetails { description: Some(description.into()), close_code: None }
    }

    pub(crate) fn closed(code: Option<u16>, reason: &str) -> Self {
        DisconnectDetails { description: (!reason.is_empty()).then(|| reason.into()), close_code: code }
    }

    /// What happened, for people: which rule the client broke, or the reason in its close frame.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// The code of the close frame with which the client closed its WebSocket, if there was one: 1001 is a page that was left.
    pub fn close_code(&self) -> Option<u16> {
        self.close_code
    }
}
