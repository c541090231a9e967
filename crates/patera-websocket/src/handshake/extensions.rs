//! What both sides agree on beyond RFC 6455. §9.

#[cfg(feature = "deflate")]
use super::deflate::Deflate;

/// The extensions of one connection, for [`Connection::with_extensions`](crate::Connection::with_extensions). None by
/// default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Extensions {
    /// permessage-deflate, RFC 7692: both sides may compress messages.
    #[cfg(feature = "deflate")]
    #[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
    pub deflate: Option<Deflate>,
}
