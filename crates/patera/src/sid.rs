//! Session and socket ids: 20 characters of base64url, 120 bits from a CSPRNG.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use patera_protocol::engineio::Version;
use patera_protocol::socketio::socket_id_v4;
use rand::Rng as _;

/// The id of an Engine.IO session, as in `?sid=PNxmU2I8qCW0jru7AAAA`: whoever knows it can speak for the session. Or of a socket,
/// which others may know.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Sid([u8; Sid::LEN]);

impl Sid {
    const LEN: usize = 20;

    pub(crate) fn random() -> Self {
        let mut bytes = [0; 15];
        rand::rng().fill_bytes(&mut bytes);
        let mut text = [0; Sid::LEN];
        URL_SAFE_NO_PAD.encode_slice(bytes, &mut text).expect("15 bytes are 20 characters of base64");
        Sid(text)
    }

    /// The id a client named, if it can be one of ours.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        text.as_bytes().try_into().ok().filter(|text: &[u8; Sid::LEN]| text.is_ascii()).map(Sid)
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("both constructors make ASCII")
    }
}

/// The id of a socket.
#[derive(PartialEq, Eq)]
pub(crate) enum SocketId {
    Sid(Sid),
    /// `/chat#PNxmU2I8qCW0jru7AAAA`: Engine.IO 3 alone, and not in `/`.
    Long(Box<str>),
}

impl SocketId {
    /// Drawn, or what a client of this session takes for it.
    pub(crate) fn new(namespace: &str, version: Version, session: Sid) -> Self {
        if version == Version::V4 {
            return SocketId::Sid(Sid::random());
        }
        match socket_id_v4(namespace, session.as_str()) {
            Cow::Borrowed(_) => SocketId::Sid(session),
            Cow::Owned(id) => SocketId::Long(id.into()),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        match self {
            SocketId::Sid(sid) => sid.as_str(),
            SocketId::Long(id) => id,
        }
    }
}

impl From<Sid> for SocketId {
    fn from(sid: Sid) -> Self {
        SocketId::Sid(sid)
    }
}

impl fmt::Display for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_twenty_url_safe_characters() {
        let sid = Sid::random();
        assert_eq!(sid.as_str().len(), 20);
        assert!(sid.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
        assert!(Sid::parse(sid.as_str()) == Some(sid));
        assert!(Sid::random() != sid);
    }

    #[test]
    fn foreign_ids_are_not_parsed() {
        for text in ["", "short", "nineteen-characters", "twenty-one-characters", "äöüäöüäöüä"] {
            assert!(Sid::parse(text).is_none(), "{text:?}");
        }
    }
}
