//! Which event a text is, by the bytes at fixed places, and the bytes that answer it.
//!
//! ```text
//! 42["echo",x]      420["ack",x]      451-["echo",{"_placeholder":true,"num":0}]      451-0["ack",{…}]
//! ▲ ▲ ▲             ▲ ▲▲ ▲            ▲ ▲  ▲                                          ▲ ▲  ▲▲
//! │ │ event         │ │id event       │ │  event                                      │ │  │event
//! │ arguments       message, event    message, binary event, attachments              binary id
//! ```

use crate::frame::{self, TEXT};

/// What to do with a text.
#[derive(Debug, PartialEq)]
pub(crate) enum Packet<'a> {
    /// `40`: into the namespace.
    Connect,
    /// `42["echo",x]`: back as it came.
    Echo,
    /// `42["pub",x]`: to all as it came.
    Publish,
    /// `42["join",room]`, with an id or without.
    Join { room: &'a [u8], id: &'a [u8] },
    /// `42["room",room,x]`: `arguments` is `x]`.
    Room { room: &'a [u8], arguments: &'a [u8] },
    /// `420["ack",x]`: `arguments` is `x]`.
    Ack { id: &'a [u8], arguments: &'a [u8] },
    /// `1`: the session ends.
    Close,
    /// Pongs, `41`, events without a handler.
    Other,
}

impl<'a> Packet<'a> {
    /// A room is the quoted string, quotes and all.
    pub(crate) fn parse(text: &'a [u8]) -> Self {
        match text {
            [b'4', b'0', ..] => Self::Connect,
            [b'4', b'2', rest @ ..] => Self::event(rest),
            [b'4', b'5', b'1', b'-', rest @ ..] => Self::event(rest),
            [b'1', ..] => Self::Close,
            _ => Self::Other,
        }
    }

    /// `rest` is an id, or none, and the array.
    fn event(rest: &'a [u8]) -> Self {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (id, array) = rest.split_at(digits);
        match array {
            [b'[', b'"', b'e', b'c', b'h', b'o', b'"', b',', ..] => Self::Echo,
            [b'[', b'"', b'p', b'u', b'b', b'"', b',', ..] => Self::Publish,
            [b'[', b'"', b'a', b'c', b'k', b'"', b',', arguments @ ..] => Self::Ack { id, arguments },
            [b'[', b'"', b'j', b'o', b'i', b'n', b'"', b',', room @ .., b']'] => Self::Join { room, id },
            [b'[', b'"', b'r', b'o', b'o', b'm', b'"', b',', rest @ ..] => {
                match rest.iter().position(|byte| *byte == b',') {
                    Some(comma) => Self::Room { room: &rest[..comma], arguments: &rest[comma + 1..] },
                    None => Self::Other,
                }
            }
            _ => Self::Other,
        }
    }
}

/// Whether this starts a binary event or acknowledgement: an attachment follows.
pub(crate) fn is_binary(first: Option<u8>, second: Option<u8>) -> bool {
    first == Some(b'4') && matches!(second, Some(b'5' | b'6'))
}

/// Appends the acknowledgement `430[x]`, or `461-0[x]` before an attachment.
pub(crate) fn write_ack(id: &[u8], arguments: &[u8], binary: bool, out: &mut Vec<u8>) {
    let kind: &[u8] = if binary { b"461-" } else { b"43" };
    frame::write(TEXT, &[kind, id, b"[", arguments], out);
}

/// Appends the event `42["room",x]`, or `451-["room",x]` before an attachment.
pub(crate) fn write_room_event(arguments: &[u8], binary: bool, out: &mut Vec<u8>) {
    let start: &[u8] = if binary { b"451-[\"room\"," } else { b"42[\"room\"," };
    frame::write(TEXT, &[start, arguments], out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_told_apart() {
        check("40", Packet::Connect);
        check(r#"42["echo","x"]"#, Packet::Echo);
        check(r#"451-["echo",{"_placeholder":true,"num":0}]"#, Packet::Echo);
        check(r#"42["pub","x"]"#, Packet::Publish);
        check(r#"4217["ack","x"]"#, Packet::Ack { id: b"17", arguments: b"\"x\"]" });
        check(r#"42["join","r"]"#, Packet::Join { room: b"\"r\"", id: b"" });
        check(r#"423["join","r"]"#, Packet::Join { room: b"\"r\"", id: b"3" });
        check(r#"42["room","r","x"]"#, Packet::Room { room: b"\"r\"", arguments: b"\"x\"]" });
        check("3", Packet::Other);
        check("41", Packet::Other);
        check("1", Packet::Close);
    }

    #[test]
    fn acknowledgement_has_the_id_and_the_arguments() {
        let mut out = Vec::new();
        write_ack(b"17", b"\"x\"]", false, &mut out);
        assert_eq!(out, b"\x81\x0943".iter().chain(b"17[\"x\"]").copied().collect::<Vec<u8>>());
    }

    fn check(text: &str, packet: Packet<'_>) {
        assert_eq!(Packet::parse(text.as_bytes()), packet, "{text}");
    }
}
