//! What a peer can do wrong on a Socket.IO connection. Every one of these closes it: the two sides no longer agree on
//! what was said.

use std::{error, fmt};

/// Why a connection cannot go on. All variants but `Limit` and `AttachmentsTimeout` mean that the peer broke the
/// protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A text message of no characters.
    Empty,
    /// A first character that is not `0` to `6`.
    UnknownType,
    /// A binary packet whose number of attachments is missing, zero, or not a canonical decimal before a `-`.
    IllegalAttachments,
    /// An acknowledgement id that is no canonical decimal up to 2^53 − 1, is missing where it must stand, or stands where
    /// it must not.
    IllegalAckId,
    /// A payload that is no JSON, has something behind it, or is not of the kind its packet type wants.
    InvalidPayload,
    /// An event whose name is neither text nor number.
    InvalidEventName,
    /// An event whose name is one of [`RESERVED_EVENTS`](super::RESERVED_EVENTS).
    ReservedEventName,
    /// A placeholder for an attachment that was not announced.
    IllegalPlaceholder,
    /// A name of a namespace that does not begin with `/`, or has a `,` in it: only [parsers](crate::parser) can say such a one.
    InvalidNamespace,
    /// A packet for a namespace that this peer is not connected to.
    NotConnected,
    /// A CONNECT for a namespace that is connecting or connected.
    AlreadyConnected,
    /// A packet type that only the other role sends.
    WrongDirection,
    /// Text while attachments are missing.
    UnexpectedText,
    /// A binary message that no packet announced.
    UnexpectedBinary,
    /// The attachments did not arrive in time.
    AttachmentsTimeout,
    /// More than we take.
    Limit {
        /// Of what.
        what: Limit,
        /// The most we take.
        max: usize,
    },
}

/// What is limited; see [`ConnectionConfig`](super::ConnectionConfig).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// `attachments_max`.
    Attachments,
    /// `attachments_bytes_max`.
    AttachmentsBytes,
    /// `arguments_max`.
    Arguments,
    /// `event_name_bytes_max`.
    EventNameBytes,
    /// `namespace_bytes_max`.
    NamespaceBytes,
    /// `query_bytes_max`.
    QueryBytes,
    /// `namespaces_max`.
    Namespaces,
    /// `json_depth_max`.
    JsonDepth,
}

impl Error {
    /// A short name that does not change, for logs, counters and the test vectors: `illegal_attachments`.
    pub fn name(&self) -> &'static str {
        match self {
            Error::Empty => "empty",
            Error::UnknownType => "unknown_type",
            Error::IllegalAttachments => "illegal_attachments",
            Error::IllegalAckId => "illegal_ack_id",
            Error::InvalidPayload => "invalid_payload",
            Error::InvalidEventName => "invalid_event_name",
            Error::ReservedEventName => "reserved_event_name",
            Error::IllegalPlaceholder => "illegal_placeholder",
            Error::InvalidNamespace => "invalid_namespace",
            Error::NotConnected => "not_connected",
            Error::AlreadyConnected => "already_connected",
            Error::WrongDirection => "wrong_direction",
            Error::UnexpectedText => "unexpected_text",
            Error::UnexpectedBinary => "unexpected_binary",
            Error::AttachmentsTimeout => "attachments_timeout",
            Error::Limit { what, .. } => match what {
                Limit::Attachments => "limit_attachments",
                Limit::AttachmentsBytes => "limit_attachments_bytes",
                Limit::Arguments => "limit_arguments",
                Limit::EventNameBytes => "limit_event_name_bytes",
                Limit::NamespaceBytes => "limit_namespace_bytes",
                Limit::QueryBytes => "limit_query_bytes",
                Limit::Namespaces => "limit_namespaces",
                Limit::JsonDepth => "limit_json_depth",
            },
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::Empty => "empty packet",
            Error::UnknownType => "unknown packet type",
            Error::IllegalAttachments => "illegal number of attachments",
            Error::IllegalAckId => "illegal acknowledgement id",
            Error::InvalidPayload => "invalid payload",
            Error::InvalidEventName => "event name is neither text nor number",
            Error::ReservedEventName => "event name is reserved",
            Error::IllegalPlaceholder => "placeholder for an attachment that was not announced",
            Error::InvalidNamespace => "invalid namespace name",
            Error::NotConnected => "packet for a namespace that is not connected",
            Error::AlreadyConnected => "second connect for the same namespace",
            Error::WrongDirection => "packet type that only the other side sends",
            Error::UnexpectedText => "text while attachments are missing",
            Error::UnexpectedBinary => "binary message that no packet announced",
            Error::AttachmentsTimeout => "attachments did not arrive in time",
            Error::Limit { what, max } => return write!(f, "{what} exceed the limit of {max}"),
        })
    }
}

impl error::Error for Error {}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Limit::Attachments => "attachments",
            Limit::AttachmentsBytes => "bytes of attachments",
            Limit::Arguments => "arguments",
            Limit::EventNameBytes => "bytes of the event name",
            Limit::NamespaceBytes => "bytes of the namespace",
            Limit::QueryBytes => "bytes of the namespace's query",
            Limit::Namespaces => "namespaces",
            Limit::JsonDepth => "levels of json",
        })
    }
}

/// Why a client cannot connect to a namespace. The caller's mistake; nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectError {
    /// The name does not begin with `/`, or has a `,` in it, or is too long.
    InvalidName,
    /// It is connecting or connected already.
    AlreadyConnected,
    /// `namespaces_max` are in use.
    TooMany,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ConnectError::InvalidName => "invalid namespace name",
            ConnectError::AlreadyConnected => "namespace is connecting or connected already",
            ConnectError::TooMany => "too many namespaces",
        })
    }
}

impl error::Error for ConnectError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_small_and_readable() {
        assert!(size_of::<Error>() <= 32);
        let error = Error::Limit { what: Limit::Attachments, max: 10 };
        assert_eq!(error.to_string(), "attachments exceed the limit of 10");
        assert_eq!(error.name(), "limit_attachments");
    }
}
