//! What both sides agree on beyond RFC 6455. §9.

/// The extensions of one connection. There are none yet: a server ignores every offer, which §9.1 allows, and a client
/// offers nothing. (permessage-deflate, RFC 7692, is to be a field here.)
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Extensions {}
