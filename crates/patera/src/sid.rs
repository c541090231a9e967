//! Session and socket ids: 20 characters of base64url, 120 bits from a CSPRNG; or what a session was given.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use patera_protocol::engineio::Version;
use patera_protocol::socketio::socket_id_v4;
use rand::Rng as _;

use crate::config::SESSION_ID_BYTES_MAX;

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

/// The id of a session or of a socket.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Id {
    Drawn(Sid),
    /// A session's that [`Config::generate_id`](crate::Config::generate_id) gave, or what a client of Engine.IO 3 takes for its
    /// socket's: `/chat#PNxmU2I8qCW0jru7AAAA`.
    Other(Box<str>),
}

/// Why an id cannot be a session's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdError {
    Empty,
    TooLong,
    /// It has a character that does not stand in a query, a header and a cookie as it is.
    Character,
    /// Another session has it.
    Taken,
}

impl Id {
    pub(crate) fn random() -> Self {
        Id::Drawn(Sid::random())
    }

    /// A session's, from outside: letters, digits and `-._~:@/`.
    pub(crate) fn given(text: String) -> Result<Self, IdError> {
        if text.is_empty() {
            return Err(IdError::Empty);
        }
        if text.len() > SESSION_ID_BYTES_MAX {
            return Err(IdError::TooLong);
        }
        if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~:@/".contains(&byte)) {
            return Err(IdError::Character);
        }
        Ok(Id::Other(text.into()))
    }

    /// A socket's: drawn, or what a client of this session takes for it.
    pub(crate) fn of_socket(namespace: &str, version: Version, session: &Id) -> Self {
        if version == Version::V4 {
            return Id::random();
        }
        match socket_id_v4(namespace, session.as_str()) {
            Cow::Borrowed(_) => session.clone(),
            Cow::Owned(id) => Id::Other(id.into()),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        match self {
            Id::Drawn(sid) => sid.as_str(),
            Id::Other(id) => id,
        }
    }
}

impl From<Sid> for Id {
    fn from(sid: Sid) -> Self {
        Id::Drawn(sid)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl IdError {
    pub(crate) fn message(self) -> &'static str {
        match self {
            IdError::Empty => "the id is empty",
            IdError::TooLong => "the id is too long",
            IdError::Character => "the id has a character that no id may have",
            IdError::Taken => "another session has this id",
        }
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

    #[test]
    fn ids_from_outside_can_stand_in_a_url() {
        let given = |text: &str| Id::given(text.to_owned()).map(|id| id.as_str().to_owned());
        for text in
            ["a", "user:42@node-1/3.0_~", &"x".repeat(SESSION_ID_BYTES_MAX - 1), &"x".repeat(SESSION_ID_BYTES_MAX)]
        {
            assert_eq!(given(text).as_deref(), Ok(text));
        }
        assert_eq!(given(""), Err(IdError::Empty));
        assert_eq!(given(&"x".repeat(SESSION_ID_BYTES_MAX + 1)), Err(IdError::TooLong));
        for text in
            ["a b", "a&b", "a=b", "a%41", "a+b", "a#b", "a;b", "a,b", "a\"b", "a\\b", "a\r\nb", "a\0", "\u{7f}", "é"]
        {
            assert_eq!(given(text), Err(IdError::Character), "{text:?}");
        }
    }
}
