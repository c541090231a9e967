//! The packets a scenario sends and expects, made once: then only numbers are written into them.
//!
//! | scenario | sent | expected |
//! |---|---|---|
//! | echo | `42["echo",x]` | the same |
//! | ack | `42100000["ack",x]` | `43100000[x]` |
//! | broadcast | `42["pub",x]` | the same |
//! | rooms | `42["room","r00000",x]` | `42["room",x]` |
//!
//! An acknowledgement's id and a room's number always have as many digits, so that a packet keeps its length. With
//! `--binary`, `x` is a placeholder, and its bytes follow: `451-["echo",{"_placeholder":true,"num":0}]`.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use patera_websocket::{Opcode, Role, encode};

use super::payload::Payload;

const PLACEHOLDER: &str = r#"{"_placeholder":true,"num":0}"#;
/// The first acknowledgement id, and how many there are: all of them have six digits.
const ACK_FIRST: u64 = 100_000;
const ACK_COUNT: u64 = 900_000;
const ACK_DIGITS: usize = 6;
const ROOM_DIGITS: usize = 5;

/// What is emitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Echo,
    Ack,
    Pub,
    Room,
}

/// A message in two parts: `x`, or its bytes, come between or behind them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Up to the acknowledgement's id.
    before: String,
    /// There is an id.
    has_ack: bool,
    /// Behind the id, up to `x`, or with the placeholder of `x`.
    after: String,
    is_binary: bool,
}

/// What a text message turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// What was expected, with this `x` and, for an acknowledgement, this id.
    Payload(&'a [u8], Option<u64>),
    /// The same, its `x` is the next binary message.
    Attachment(Option<u64>),
}

impl Verb {
    /// The event.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Verb::Echo => "echo",
            Verb::Ack => "ack",
            Verb::Pub => "pub",
            Verb::Room => "room",
        }
    }

    /// What is sent.
    fn request(self, namespace: &str, binary: bool) -> Shape {
        let name = match self {
            Verb::Echo => r#"["echo","#,
            Verb::Ack => r#"["ack","#,
            Verb::Pub => r#"["pub","#,
            Verb::Room => r#"["room","r00000","#,
        };
        Shape::new('2', '5', namespace, self == Verb::Ack, name, binary)
    }

    /// What must come.
    pub(crate) fn reply(self, namespace: &str, binary: bool) -> Shape {
        match self {
            Verb::Ack => Shape::new('3', '6', namespace, true, "[", binary),
            Verb::Room => Shape::new('2', '5', namespace, false, r#"["room","#, binary),
            Verb::Echo | Verb::Pub => self.request(namespace, binary),
        }
    }
}

impl Shape {
    fn new(text: char, binary_text: char, namespace: &str, has_ack: bool, name: &str, binary: bool) -> Shape {
        let kind = if binary { format!("4{binary_text}1-") } else { format!("4{text}") };
        let before = format!("{kind}{}", namespace_part(namespace));
        let after = if binary { format!("{name}{PLACEHOLDER}") } else { format!("{name}\"") };
        Shape { before, has_ack, after, is_binary: binary }
    }

    /// Behind `x`.
    fn tail(&self) -> &'static str {
        if self.is_binary { "]" } else { "\"]" }
    }

    /// Compares a message that came; `None` if it is another one, or is written in another way. Where the server recovers
    /// connections, an event may end with one more string, its offset.
    pub(crate) fn find<'a>(&self, text: &'a str, recovers: bool) -> Option<Found<'a>> {
        let mut rest = text.as_bytes().strip_prefix(self.before.as_bytes())?;
        let mut ack = None;
        if self.has_ack {
            let (digits, behind) = rest.split_at_checked(ACK_DIGITS)?;
            ack = Some(decimal(digits)?);
            rest = behind;
        }
        let rest = rest.strip_prefix(self.after.as_bytes())?.strip_suffix(self.tail().as_bytes())?;
        let has_offset = recovers && !self.has_ack;
        if self.is_binary {
            let is_whole = rest.is_empty() || has_offset && rest.starts_with(b",\"") && rest.ends_with(b"\"");
            return is_whole.then_some(Found::Attachment(ack));
        }
        let x = if has_offset { without_offset(rest) } else { rest };
        Some(Found::Payload(x, ack))
    }
}

/// `x","offset` → `x`, which has no quotation mark in it.
fn without_offset(rest: &[u8]) -> &[u8] {
    let quote = rest.iter().rposition(|byte| *byte == b'"');
    quote.and_then(|quote| rest[..quote].strip_suffix(b"\",")).unwrap_or(rest)
}

/// `""`, or `"/chat,"`.
pub(crate) fn namespace_part(namespace: &str) -> String {
    if namespace == "/" { String::new() } else { format!("{namespace},") }
}

/// The acknowledgement id of the packet with this number.
pub(crate) fn ack_id(sequence: u64) -> u64 {
    ACK_FIRST + sequence % ACK_COUNT
}

/// One message that is sent again and again with other numbers in it: as masked frames, or as text for polling.
pub(crate) struct Template {
    bytes: Vec<u8>,
    /// In a polling body: what follows `bytes` in base64.
    attachment: Option<Vec<u8>>,
    is_body: bool,
    /// Where `x` begins: in `attachment` if there is one.
    payload: Hole,
    sender_at: usize,
    ack: Option<Hole>,
    room: Option<Hole>,
    mask: [u8; 4],
}

/// A place in a frame.
#[derive(Clone, Copy)]
struct Hole {
    at: usize,
    /// Where it is in its frame's payload: which byte of the mask is the first.
    turn: usize,
}

impl Template {
    /// Masked frames of a WebSocket.
    pub(crate) fn frames(verb: Verb, namespace: &str, payload: &Payload, binary: bool, mask: [u8; 4]) -> Template {
        let (text, holes) = Template::text(verb, namespace, payload, binary);
        let mut bytes = Vec::new();
        encode(Role::Client, Opcode::Text, true, &text, mask, &mut bytes);
        let start = bytes.len() - text.len();
        let hole = |at: usize| Hole { at: start + at, turn: at };
        let mut payload_hole = hole(holes.payload);
        if binary {
            encode(Role::Client, Opcode::Binary, true, payload.pattern(), mask, &mut bytes);
            payload_hole = Hole { at: bytes.len() - payload.pattern().len(), turn: 0 };
        }
        Template {
            bytes,
            attachment: None,
            is_body: false,
            payload: payload_hole,
            sender_at: payload.sender_at(),
            ack: holes.ack.map(hole),
            room: holes.room.map(hole),
            mask,
        }
    }

    /// Packets of a polling body: `42["echo",…]\x1e42["echo",…]`, attachments as `b` and base64.
    pub(crate) fn body(verb: Verb, namespace: &str, payload: &Payload, binary: bool) -> Template {
        let (mut bytes, holes) = Template::text(verb, namespace, payload, binary);
        let mut at = holes.payload;
        if binary {
            bytes.extend_from_slice(b"\x1eb");
            at = 0;
        }
        let hole = |at| Hole { at, turn: 0 };
        Template {
            bytes,
            attachment: binary.then(|| payload.pattern().to_vec()),
            is_body: true,
            payload: hole(at),
            sender_at: payload.sender_at(),
            ack: holes.ack.map(hole),
            room: holes.room.map(hole),
            mask: [0; 4],
        }
    }

    /// The text of the one message, and where its numbers stand.
    fn text(verb: Verb, namespace: &str, payload: &Payload, binary: bool) -> (Vec<u8>, Holes) {
        let shape = verb.request(namespace, binary);
        let tail = shape.tail();
        let mut text = shape.before.into_bytes();
        let ack = shape.has_ack.then_some(text.len());
        if shape.has_ack {
            text.extend_from_slice(ACK_FIRST.to_string().as_bytes());
        }
        // Behind `["room","r`.
        let room = (verb == Verb::Room).then_some(text.len() + r#"["room","r"#.len());
        text.extend_from_slice(shape.after.as_bytes());
        let at = text.len();
        if !binary {
            text.extend_from_slice(payload.pattern());
        }
        text.extend_from_slice(tail.as_bytes());
        (text, Holes { payload: at, ack, room })
    }

    /// Appends the message with these numbers.
    pub(crate) fn append(&mut self, payload: &Payload, sender: u64, sequence: u64, out: &mut Vec<u8>) {
        let mask = self.mask;
        let Hole { at, turn } = self.payload;
        let target = self.attachment.as_mut().unwrap_or(&mut self.bytes);
        let (digits, len) = payload.sequence(sequence);
        write(target, self.payload, mask, &digits[..len]);
        let (digits, len) = payload.sender(sender);
        write(target, Hole { at: at + self.sender_at, turn: turn + self.sender_at }, mask, &digits[..len]);
        if let Some(hole) = self.ack {
            self.write_decimal(hole, ACK_DIGITS, ack_id(sequence));
        }
        if self.is_body && !out.is_empty() {
            out.push(0x1e);
        }
        out.extend_from_slice(&self.bytes);
        if let Some(attachment) = &self.attachment {
            out.extend_from_slice(BASE64_STANDARD.encode(attachment).as_bytes());
        }
    }

    /// From here on it is for this room.
    pub(crate) fn set_room(&mut self, room: u64) {
        if let Some(hole) = self.room {
            self.write_decimal(hole, ROOM_DIGITS, room);
        }
    }

    fn write_decimal(&mut self, hole: Hole, len: usize, mut number: u64) {
        let mut digits = [0; ACK_DIGITS];
        for digit in digits[..len].iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
        write(&mut self.bytes, hole, self.mask, &digits[..len]);
    }
}

fn write(bytes: &mut [u8], hole: Hole, mask: [u8; 4], plain: &[u8]) {
    for (at, byte) in plain.iter().enumerate() {
        bytes[hole.at + at] = byte ^ mask[(hole.turn + at) % 4];
    }
}

struct Holes {
    payload: usize,
    ack: Option<usize>,
    room: Option<usize>,
}

/// The name of a room as [`Template::set_room`] writes it.
pub(crate) fn room_name(room: u64) -> String {
    format!("r{room:0ROOM_DIGITS$}")
}

fn decimal(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use patera_websocket::{Config, Connection, Event};

    use super::*;

    /// What a server reads of a template's messages.
    fn read(mut frames: Vec<u8>) -> Vec<String> {
        let mut server = Connection::new(Role::Server, Config::default());
        let mut at = 0;
        let mut messages = Vec::new();
        while at < frames.len() {
            let progress = server.handle_read(&mut frames[at..]).unwrap();
            at += progress.consumed;
            match progress.event {
                Some(Event::Text(text)) => messages.push(text.to_owned()),
                Some(Event::Binary(bytes)) => messages.push(format!("b{}", str::from_utf8(bytes).unwrap())),
                other => panic!("{other:?}"),
            }
        }
        messages
    }

    fn check(verb: Verb, namespace: &str, binary: bool, expected: &[&str]) {
        let payload = Payload::new(11);
        let mut template = Template::frames(verb, namespace, &payload, binary, [1, 2, 3, 4]);
        let mut out = Vec::new();
        template.set_room(9);
        template.append(&payload, 3, 7, &mut out);
        template.set_room(12);
        template.append(&payload, 4, 900_065, &mut out);
        assert_eq!(read(out), expected);
    }

    #[test]
    fn numbers_are_written_through_the_mask() {
        check(Verb::Echo, "/", false, &[r#"42["echo","HAAAAADAAAk"]"#, r#"42["echo","hvbDAAEAAAk"]"#]);
        check(Verb::Ack, "/", false, &[r#"42100007["ack","HAAAAADAAAk"]"#, r#"42100065["ack","hvbDAAEAAAk"]"#]);
        check(Verb::Pub, "/a", false, &[r#"42/a,["pub","HAAAAADAAAk"]"#, r#"42/a,["pub","hvbDAAEAAAk"]"#]);
        check(
            Verb::Room,
            "/",
            false,
            &[r#"42["room","r00009","HAAAAADAAAk"]"#, r#"42["room","r00012","hvbDAAEAAAk"]"#],
        );
    }

    #[test]
    fn attachments_follow() {
        let text = r#"451-["echo",{"_placeholder":true,"num":0}]"#;
        check(Verb::Echo, "/", true, &[text, "bHAAAAADAAAk", text, "bhvbDAAEAAAk"]);
        let first = r#"451-/a,100007["ack",{"_placeholder":true,"num":0}]"#;
        let second = r#"451-/a,100065["ack",{"_placeholder":true,"num":0}]"#;
        check(Verb::Ack, "/a", true, &[first, "bHAAAAADAAAk", second, "bhvbDAAEAAAk"]);
        let first = r#"451-["room","r00009",{"_placeholder":true,"num":0}]"#;
        let second = r#"451-["room","r00012",{"_placeholder":true,"num":0}]"#;
        check(Verb::Room, "/", true, &[first, "bHAAAAADAAAk", second, "bhvbDAAEAAAk"]);
    }

    #[test]
    fn bodies_have_packets_with_separators() {
        let check = |binary, expected: &str| {
            let payload = Payload::new(11);
            let mut template = Template::body(Verb::Echo, "/", &payload, binary);
            let mut out = Vec::new();
            template.append(&payload, 3, 7, &mut out);
            template.append(&payload, 4, 8, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        };
        check(false, "42[\"echo\",\"HAAAAADAAAk\"]\x1e42[\"echo\",\"IAAAAAEAAAk\"]");
        let text = r#"451-["echo",{"_placeholder":true,"num":0}]"#;
        check(true, &format!("{text}\x1ebSEFBQUFBREFBQWs=\x1e{text}\x1ebSUFBQUFBRUFBQWs="));
    }

    #[test]
    fn replies_are_found() {
        let check = |verb: Verb, namespace, binary, text, expected| {
            assert_eq!(verb.reply(namespace, binary).find(text, false), expected, "{text}");
        };
        check(Verb::Echo, "/", false, r#"42["echo","abc"]"#, Some(Found::Payload(b"abc", None)));
        check(Verb::Echo, "/a", false, r#"42/a,["echo","abc"]"#, Some(Found::Payload(b"abc", None)));
        check(Verb::Echo, "/a", false, r#"42["echo","abc"]"#, None);
        check(Verb::Echo, "/", false, r#"42["echo","abc"#, None);
        check(Verb::Ack, "/", false, r#"43100012["abc"]"#, Some(Found::Payload(b"abc", Some(100_012))));
        check(Verb::Ack, "/", false, r#"4310001["abc"]"#, None);
        check(Verb::Ack, "/", false, "43", None);
        check(Verb::Room, "/", false, r#"42["room","abc"]"#, Some(Found::Payload(b"abc", None)));
        let text = r#"461-100012[{"_placeholder":true,"num":0}]"#;
        check(Verb::Ack, "/", true, text, Some(Found::Attachment(Some(100_012))));
        check(Verb::Pub, "/", true, r#"451-["pub",{"_placeholder":true,"num":0}]"#, Some(Found::Attachment(None)));
        check(Verb::Pub, "/", true, r#"451-["pub",{"_placeholder":true,"num":0}] "#, None);
    }

    #[test]
    fn offsets_are_no_part_of_replies_where_the_server_recovers() {
        let check = |verb: Verb, binary, text, recovers, expected| {
            assert_eq!(verb.reply("/", binary).find(text, recovers), expected, "{text}");
        };
        let text = r#"42["echo","abc","8C4wkCA_.1"]"#;
        check(Verb::Echo, false, text, true, Some(Found::Payload(b"abc", None)));
        check(Verb::Echo, false, text, false, Some(Found::Payload(br#"abc","8C4wkCA_.1"#, None)));
        check(Verb::Echo, false, r#"42["echo","abc"]"#, true, Some(Found::Payload(b"abc", None)));
        check(Verb::Echo, false, r#"42["echo","a","b","c"]"#, true, Some(Found::Payload(br#"a","b"#, None)));
        check(Verb::Echo, false, r#"42["echo","abc",7]"#, true, None);
        let text = r#"43100012["abc","8C4wkCA_.1"]"#;
        check(Verb::Ack, false, text, true, Some(Found::Payload(br#"abc","8C4wkCA_.1"#, Some(100_012))));
        let text = r#"451-["pub",{"_placeholder":true,"num":0},"8C4wkCA_.1"]"#;
        check(Verb::Pub, true, text, true, Some(Found::Attachment(None)));
        check(Verb::Pub, true, text, false, None);
    }
}
