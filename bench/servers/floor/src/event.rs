//! What a text message says, read at fixed places: enough for the events of the benchmark.

/// One message of a client.
#[derive(Debug, PartialEq)]
pub(crate) enum Packet<'a> {
    Connect,
    Disconnect,
    Close,
    Event(Event<'a>),
    /// A pong, or anything else that needs no answer.
    Other,
}

/// `42["echo",…]`, `421["ack",…]`, `451-["echo",{"_placeholder":true,"num":0}]`.
#[derive(Debug, PartialEq)]
pub(crate) struct Event<'a> {
    pub(crate) name: &'a [u8],
    /// How many attachments follow.
    pub(crate) attachments: usize,
    /// The digits of `1-` in a binary event, with the hyphen.
    pub(crate) count: &'a [u8],
    /// The digits of the acknowledgement's number, if there are any.
    pub(crate) id: &'a [u8],
    /// What stands behind the name and its comma, with the closing bracket: `"x"]`.
    pub(crate) arguments: &'a [u8],
}

impl<'a> Event<'a> {
    /// The first argument, a string without escapes, and what stands behind it and its comma, with the closing bracket.
    pub(crate) fn split_room(&self) -> Option<(&'a [u8], &'a [u8])> {
        let rest = self.arguments.strip_prefix(b"\"")?;
        let end = rest.iter().position(|&byte| byte == b'"')?;
        Some((&rest[..end], rest[end + 1..].strip_prefix(b",").unwrap_or(&rest[end + 1..])))
    }
}

pub(crate) fn parse(text: &[u8]) -> Packet<'_> {
    match text {
        [b'4', b'0', ..] => Packet::Connect,
        [b'4', b'1', ..] => Packet::Disconnect,
        [b'1'] => Packet::Close,
        [b'4', b'2', rest @ ..] => event(rest, b"").map_or(Packet::Other, Packet::Event),
        [b'4', b'5', rest @ ..] => binary_event(rest).map_or(Packet::Other, Packet::Event),
        _ => Packet::Other,
    }
}

fn binary_event(rest: &[u8]) -> Option<Event<'_>> {
    let hyphen = rest.iter().position(|&byte| byte == b'-')?;
    let (count, rest) = rest.split_at(hyphen + 1);
    event(rest, count)
}

fn event<'a>(rest: &'a [u8], count: &'a [u8]) -> Option<Event<'a>> {
    let (id, rest) = rest.split_at(rest.iter().position(|&byte| byte == b'[')?);
    let rest = rest.strip_prefix(b"[\"")?;
    let (name, rest) = rest.split_at(rest.iter().position(|&byte| byte == b'"')?);
    let arguments = rest[1..].strip_prefix(b",").unwrap_or(&rest[1..]);
    let attachments =
        count.strip_suffix(b"-").map_or(Some(0), |digits| std::str::from_utf8(digits).ok()?.parse().ok())?;
    Some(Event { name, attachments, count, id, arguments })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, name: &str, attachments: usize, id: &str, arguments: &str) {
        let Packet::Event(event) = parse(text.as_bytes()) else { panic!("{text} is an event") };
        assert_eq!((event.name, event.attachments), (name.as_bytes(), attachments), "{text}");
        assert_eq!((event.id, event.arguments), (id.as_bytes(), arguments.as_bytes()), "{text}");
    }

    #[test]
    fn events_are_read_with_number_and_attachments() {
        check(r#"42["echo","x"]"#, "echo", 0, "", r#""x"]"#);
        check(r#"4212["ack","x"]"#, "ack", 0, "12", r#""x"]"#);
        check(r#"451-["pub",{"_placeholder":true,"num":0}]"#, "pub", 1, "", r#"{"_placeholder":true,"num":0}]"#);
        check(r#"451-3["ack",{"_placeholder":true,"num":0}]"#, "ack", 1, "3", r#"{"_placeholder":true,"num":0}]"#);
    }

    #[test]
    fn a_room_is_split_from_what_goes_to_it() {
        let Packet::Event(event) = parse(br#"42["room","r1","x"]"#) else { panic!("it is an event") };
        assert_eq!(event.split_room(), Some((&b"r1"[..], &b"\"x\"]"[..])));
        let Packet::Event(event) = parse(br#"420["join","r1"]"#) else { panic!("it is an event") };
        assert_eq!(event.split_room(), Some((&b"r1"[..], &b"]"[..])));
    }

    #[test]
    fn what_is_no_event_is_told_apart() {
        assert_eq!(parse(b"40"), Packet::Connect);
        assert_eq!(parse(b"41"), Packet::Disconnect);
        assert_eq!(parse(b"1"), Packet::Close);
        assert_eq!(parse(b"3"), Packet::Other);
        assert_eq!(parse(b"42nonsense"), Packet::Other);
    }
}
