//! The header of a Socket.IO packet, up to its JSON. SIO 5 "Packet encoding", read more strictly than the reference
//! does: numbers are canonical decimals, nothing is skipped.

use super::{
    config::ConnectionConfig,
    error::{Error, Limit},
    revision::Revision,
};

/// The largest integer that every JavaScript peer keeps exactly: 2^53 − 1.
pub(super) const ACK_ID_MAX: u64 = (1 << 53) - 1;

/// A packet's type, without whether it has attachments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Connect,
    Disconnect,
    Event,
    Ack,
    ConnectError,
}

/// A packet up to its JSON: `51-/admin,7[…]` → a binary event, 1 attachment, `/admin`, id 7, and the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header<'a> {
    pub(super) kind: Kind,
    /// 0 for a packet that is text alone.
    pub(super) attachments: usize,
    /// Without the query that revision 4 has behind it; see [`query`].
    pub(super) namespace: &'a str,
    pub(super) ack: Option<u64>,
    /// Empty if there is none.
    pub(super) json: &'a str,
}

impl<'a> Header<'a> {
    #[inline]
    pub(super) fn parse(text: &'a str, revision: Revision, config: &ConnectionConfig) -> Result<Header<'a>, Error> {
        let first = *text.as_bytes().first().ok_or(Error::Empty)?;
        let (kind, binary) = match first {
            b'0' => (Kind::Connect, false),
            b'1' => (Kind::Disconnect, false),
            b'2' => (Kind::Event, false),
            b'3' => (Kind::Ack, false),
            b'4' => (Kind::ConnectError, false),
            b'5' => (Kind::Event, true),
            b'6' => (Kind::Ack, true),
            _ => return Err(Error::UnknownType),
        };
        let rest = text.get(1..).unwrap_or_default();
        let (attachments, rest) = if binary { attachments(rest, config.attachments_max)? } else { (0, rest) };
        let (namespace, rest) = match rest.as_bytes().first() {
            Some(b'/') => namespace(rest, revision, config)?,
            Some(_) | None => ("/", rest),
        };
        let (ack, json) = ack(rest)?;
        match (kind, ack) {
            (Kind::Event, _) | (Kind::Ack, Some(_)) | (Kind::Connect | Kind::Disconnect | Kind::ConnectError, None) => {
            }
            (Kind::Ack, None) | (Kind::Connect | Kind::Disconnect | Kind::ConnectError, Some(_)) => {
                return Err(Error::IllegalAckId);
            }
        }
        Ok(Header { kind, attachments, namespace, ack, json })
    }
}

fn attachments(text: &str, max: usize) -> Result<(usize, &str), Error> {
    let (digits, rest) = split_digits(text);
    let rest = rest.strip_prefix('-').ok_or(Error::IllegalAttachments)?;
    if digits.is_empty() || digits.starts_with('0') {
        return Err(Error::IllegalAttachments);
    }
    match digits.parse::<usize>() {
        Ok(count) if count <= max => Ok((count, rest)),
        Ok(_) | Err(_) => Err(Error::Limit { what: Limit::Attachments, max }),
    }
}

/// The namespace that is named, and the rest. Most packets name none, and do not come here.
#[inline(never)]
fn namespace<'a>(text: &'a str, revision: Revision, config: &ConnectionConfig) -> Result<(&'a str, &'a str), Error> {
    let (namespace, rest) = text.split_once(',').unwrap_or((text, ""));
    let (namespace, query) = match revision {
        Revision::V4 => split_query(namespace),
        Revision::V5 => (namespace, ""),
    };
    if namespace.len() > config.namespace_bytes_max {
        return Err(Error::Limit { what: Limit::NamespaceBytes, max: config.namespace_bytes_max });
    }
    if query.len() > config.query_bytes_max {
        return Err(Error::Limit { what: Limit::QueryBytes, max: config.query_bytes_max });
    }
    Ok((namespace, rest))
}

/// The query of a CONNECT of revision 4 that has been parsed: `0/chat?token=x,` → `token=x`. Empty if there is none.
pub(super) fn query(connect: &str) -> &str {
    let named = connect.get(1..).filter(|named| named.starts_with('/')).unwrap_or("");
    split_query(named.split_once(',').map_or(named, |(named, _)| named)).1
}

fn split_query(namespace: &str) -> (&str, &str) {
    namespace.split_once('?').unwrap_or((namespace, ""))
}

fn ack(text: &str) -> Result<(Option<u64>, &str), Error> {
    let (digits, rest) = split_digits(text);
    if digits.is_empty() {
        return Ok((None, rest));
    }
    let canonical = digits == "0" || !digits.starts_with('0');
    match digits.parse() {
        Ok(id) if canonical && id <= ACK_ID_MAX => Ok((Some(id), rest)),
        Ok(_) | Err(_) => Err(Error::IllegalAckId),
    }
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_apart() {
        check("0", Kind::Connect, 0, "/", None, "");
        check(r#"0{"a":1}"#, Kind::Connect, 0, "/", None, r#"{"a":1}"#);
        check("0/admin", Kind::Connect, 0, "/admin", None, "");
        check("0/admin,{}", Kind::Connect, 0, "/admin", None, "{}");
        check("0/a,b,", Kind::Connect, 0, "/a", None, "b,");
        check("0/é😀?x=y,", Kind::Connect, 0, "/é😀?x=y", None, "");
        check("1/", Kind::Disconnect, 0, "/", None, "");
        check("2[]", Kind::Event, 0, "/", None, "[]");
        check("20[]", Kind::Event, 0, "/", Some(0), "[]");
        check("2/a,9007199254740991[]", Kind::Event, 0, "/a", Some(ACK_ID_MAX), "[]");
        check("313[]", Kind::Ack, 0, "/", Some(13), "[]");
        check("51-[]", Kind::Event, 1, "/", None, "[]");
        check("510-/a,12[]", Kind::Event, 10, "/a", Some(12), "[]");
        check("61-0[]", Kind::Ack, 1, "/", Some(0), "[]");
        check("4x", Kind::ConnectError, 0, "/", None, "x");
    }

    #[test]
    fn revision_4_has_queries_behind_namespaces() {
        let config = ConnectionConfig::default();
        let parse = |text| {
            Header::parse(text, Revision::V4, &config).map(|header| (header.namespace, query(text), header.json))
        };
        assert_eq!(parse("0/chat?token=a&b=?,"), Ok(("/chat", "token=a&b=?", "")));
        assert_eq!(parse("0/chat?token=a"), Ok(("/chat", "token=a", "")));
        assert_eq!(parse("0/?a=b,"), Ok(("/", "a=b", "")));
        assert_eq!(parse("0/chat?,"), Ok(("/chat", "", "")));
        assert_eq!(parse(r#"2/chat?a,["?"]"#), Ok(("/chat", "a", r#"["?"]"#)));
        assert_eq!(parse(r#"0{"a":"/?,b"}"#), Ok(("/", "", r#"{"a":"/?,b"}"#)));
    }

    #[test]
    fn acknowledgement_ids_are_bounded() {
        for id in [ACK_ID_MAX - 1, ACK_ID_MAX] {
            check(&format!("2{id}[]"), Kind::Event, 0, "/", Some(id), "[]");
            check(&format!("3{id}[]"), Kind::Ack, 0, "/", Some(id), "[]");
        }
        check_refused(&format!("2{}[]", ACK_ID_MAX + 1), Error::IllegalAckId);
        check_refused(&format!("3{}[]", ACK_ID_MAX + 1), Error::IllegalAckId);
    }

    #[test]
    fn query_length_is_bounded() {
        let config = ConnectionConfig::default();
        let max = config.query_bytes_max;
        let parse =
            |bytes: usize| Header::parse(&format!("0/a?{},", "q".repeat(bytes)), Revision::V4, &config).map(|_| ());
        assert_eq!(parse(max - 1), Ok(()));
        assert_eq!(parse(max), Ok(()));
        assert_eq!(parse(max + 1), Err(Error::Limit { what: Limit::QueryBytes, max }));
    }

    #[test]
    fn malformed_headers_are_refused() {
        check_refused("", Error::Empty);
        for text in ["7", "a", "-", "٣", " 2[]"] {
            check_refused(text, Error::UnknownType);
        }
        for text in ["5", "5-[]", "5[]", "5a-[]", "50-[]", "501-[]", "50x1-[]", "5-1-[]", "51[]", "51 -[]", "5/a,[]"] {
            check_refused(text, Error::IllegalAttachments);
        }
        for text in ["511-[]", "51000000-[]", "518446744073709551616-[]"] {
            check_refused(text, Error::Limit { what: Limit::Attachments, max: 10 });
        }
        for text in ["2007[]", "200[]", "29007199254740992[]", "218446744073709551616[]", "3[]", "01", "11", "41"] {
            check_refused(text, Error::IllegalAckId);
        }
        check_refused(&format!("2{}[]", "9".repeat(400)), Error::IllegalAckId);
    }

    #[test]
    fn namespace_length_is_bounded() {
        let config = ConnectionConfig::default();
        let max = config.namespace_bytes_max;
        let parse =
            |bytes: usize| Header::parse(&format!("0/{},", "a".repeat(bytes - 1)), Revision::V5, &config).map(|_| ());
        assert_eq!(parse(max - 1), Ok(()));
        assert_eq!(parse(max), Ok(()));
        assert_eq!(parse(max + 1), Err(Error::Limit { what: Limit::NamespaceBytes, max }));
    }

    fn check(text: &str, kind: Kind, attachments: usize, namespace: &str, ack: Option<u64>, json: &str) {
        let expected = Header { kind, attachments, namespace, ack, json };
        assert_eq!(Header::parse(text, Revision::V5, &ConnectionConfig::default()), Ok(expected), "{text}");
    }

    fn check_refused(text: &str, error: Error) {
        for revision in [Revision::V4, Revision::V5] {
            assert_eq!(Header::parse(text, revision, &ConnectionConfig::default()), Err(error), "{text}");
        }
    }
}
