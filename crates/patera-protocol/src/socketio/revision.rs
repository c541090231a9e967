//! The two revisions of the Socket.IO protocol, and what revision 4 has of its own: a namespace that is entered unasked, a
//! query behind a namespace's name, and ids that follow from the session's. SIO 4.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{map::Map, value::Value};
use crate::engineio::{Version, percent_decode};

/// The revision of the Socket.IO protocol. It follows from the revision of Engine.IO below it.
///
/// ```text
///                     revision 5                          revision 4 (Socket.IO 1 and 2)
///   entering /        0{"token":"x"}, then 0{"sid":"…"}   the server says 0, unasked
///   entering /chat    0/chat,{"token":"x"}                0/chat?token=x,
///   and the answer    0/chat,{"sid":"…"}                  0/chat,
///   refusal           4/chat,{"message":"no"}             4/chat,"no"
///   the socket's id   told by the server                  the session's, /chat#<the session's>
/// ```
///
/// Events, acknowledgements and DISCONNECT are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Revision {
    /// Revision 4, on Engine.IO 3.
    V4,
    /// Revision 5, on Engine.IO 4.
    V5,
}

impl From<Version> for Revision {
    fn from(version: Version) -> Self {
        match version {
            Version::V3 => Revision::V4,
            Version::V4 => Revision::V5,
        }
    }
}

/// The id that a client of revision 4 has in a namespace: `<sid>` in `/`, `/chat#<sid>` in `/chat`.
pub fn socket_id_v4<'a>(namespace: &str, sid: &'a str) -> Cow<'a, str> {
    if namespace == "/" { Cow::Borrowed(sid) } else { Cow::Owned(format!("{namespace}#{sid}")) }
}

/// The query behind a namespace as an object: `a=1&b=2&b=3` → `{"a":"1","b":["2","3"]}`. So what a client of revision 4
/// says about itself looks as in revision 5.
pub(super) fn query_to_object(query: &str) -> Option<Box<RawValue>> {
    let mut entries = Map::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (percent_decode(name), Value::String(percent_decode(value).into_owned()));
        match entries.get_mut(&name) {
            None => drop(entries.insert(name, value)),
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![std::mem::take(first), value]),
        }
    }
    if entries.is_empty() {
        return None;
    }
    Some(serde_json::value::to_raw_value(&entries).expect("text is always JSON"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_from_the_session() {
        assert_eq!(socket_id_v4("/", "x1"), "x1");
        assert_eq!(socket_id_v4("/chat", "x1"), "/chat#x1");
    }

    #[test]
    fn revision_follows_from_engine_io() {
        assert_eq!(Revision::from(Version::V3), Revision::V4);
        assert_eq!(Revision::from(Version::V4), Revision::V5);
    }

    #[test]
    fn queries_become_objects() {
        check("token=abc", r#"{"token":"abc"}"#);
        check("a=1&b=2&b=3&c", r#"{"a":"1","b":["2","3"],"c":""}"#);
        check("a=%22%0A+%C3%A9&=x&b=c=d", r#"{"a":"\"\n é","":"x","b":"c=d"}"#);
        check("__proto__=1&&a=%ff%", "{\"__proto__\":\"1\",\"a\":\"\u{fffd}%\"}");
        for query in ["", "&", "&&&"] {
            assert!(query_to_object(query).is_none(), "{query}");
        }
    }

    fn check(query: &str, object: &str) {
        assert_eq!(query_to_object(query).unwrap().get(), object, "{query}");
    }
}
