//! Reading what comes from the server: by comparison with what is expected, and by a real parse where that fails.

use std::borrow::Cow;
use std::cell::Cell;
use std::rc::Rc;

use serde_json::Value;

use super::error::Failure;
use super::frames::{Found, Shape, Verb};
use super::target::Target;

/// One Engine.IO message.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Message<'a> {
    Text(&'a str),
    Binary(&'a [u8]),
}

/// What a message means to a scenario.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard<'a> {
    /// A reply or delivery with this `x`, and the id it acknowledges.
    Payload(Cow<'a, [u8]>, Option<u64>),
    /// A part of one, or something else that a server may send at any time.
    Nothing,
}

/// Reads the messages of one connection. It is a pointer and two words.
pub(crate) struct Reader<'s> {
    expected: &'s Expected,
    /// The text was there; `x` is the next binary message.
    attachment: Option<Option<u64>>,
}

/// What all connections of a run expect.
pub(crate) struct Expected {
    verb: Verb,
    shape: Shape,
    namespace: String,
    /// Whether the server recovers connections, as far as is known.
    recovers: Rc<Cell<bool>>,
}

impl Expected {
    pub(crate) fn new(verb: Verb, target: &Target, binary: bool) -> Expected {
        let namespace = target.namespace();
        let shape = verb.reply(namespace, binary);
        Expected { verb, shape, namespace: namespace.to_owned(), recovers: target.recovers() }
    }
}

impl<'s> Reader<'s> {
    /// A reader where the last one of the same connection [paused](Self::pause); at first with `None`.
    pub(crate) fn resume(expected: &'s Expected, attachment: Option<Option<u64>>) -> Self {
        Reader { expected, attachment }
    }

    /// What is to be kept until the next message.
    pub(crate) fn pause(self) -> Option<Option<u64>> {
        self.attachment
    }

    /// Takes the next message.
    ///
    /// # Errors
    /// The server ended the connection to the namespace, or what it sent cannot be read.
    pub(crate) fn read<'a>(&mut self, message: Message<'a>) -> Result<Heard<'a>, Failure> {
        let text = match (message, self.attachment.take()) {
            (Message::Binary(bytes), Some(ack)) => return Ok(Heard::Payload(Cow::Borrowed(bytes), ack)),
            (Message::Binary(_), None) => return Ok(Heard::Nothing),
            (Message::Text(text), _) => text,
        };
        match self.expected.shape.find(text, self.expected.recovers.get()) {
            Some(Found::Payload(x, ack)) => Ok(Heard::Payload(Cow::Borrowed(x), ack)),
            Some(Found::Attachment(ack)) => {
                self.attachment = Some(ack);
                Ok(Heard::Nothing)
            }
            None => self.parse(text),
        }
    }

    fn parse<'a>(&mut self, text: &str) -> Result<Heard<'a>, Failure> {
        let Some(packet) = Packet::parse(text) else { return Err(Failure::Unreadable) };
        if packet.kind == b'1' && packet.namespace == self.expected.namespace {
            return Err(Failure::Disconnected);
        }
        let is_ack = matches!(packet.kind, b'3' | b'6');
        let is_event = matches!(packet.kind, b'2' | b'5');
        if packet.namespace != self.expected.namespace
            || is_ack != (self.expected.verb == Verb::Ack)
            || !is_ack && !is_event
        {
            return Ok(Heard::Nothing);
        }
        let Ok(mut args) = serde_json::from_str::<Vec<Value>>(packet.data) else { return Err(Failure::Unreadable) };
        if is_event {
            if args.first().is_none_or(|first| first != self.expected.verb.name()) {
                return Ok(Heard::Nothing);
            }
            args.remove(0);
        }
        match args.first_mut().map(Value::take) {
            Some(Value::String(x)) => Ok(Heard::Payload(Cow::Owned(x.into_bytes()), packet.ack)),
            Some(Value::Object(object)) if object.contains_key("_placeholder") => {
                self.attachment = Some(packet.ack);
                Ok(Heard::Nothing)
            }
            _ => Err(Failure::Changed),
        }
    }
}

/// A Socket.IO packet taken apart: `461-/chat,12["x"]`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Packet<'a> {
    /// `0` CONNECT … `6` BINARY_ACK.
    pub(crate) kind: u8,
    pub(crate) namespace: &'a str,
    pub(crate) ack: Option<u64>,
    pub(crate) data: &'a str,
}

impl<'a> Packet<'a> {
    /// Takes apart an Engine.IO message (`4…`) of text.
    pub(crate) fn parse(text: &'a str) -> Option<Packet<'a>> {
        let mut rest = text.strip_prefix('4')?;
        let kind = *rest.as_bytes().first().filter(|kind| kind.is_ascii_digit())?;
        rest = &rest[1..];
        if matches!(kind, b'5' | b'6') {
            let (count, behind) = rest.split_once('-')?;
            count.parse::<u32>().ok()?;
            rest = behind;
        }
        let mut namespace = "/";
        if rest.starts_with('/') {
            (namespace, rest) = rest.split_once(',').unwrap_or((rest, ""));
        }
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, data) = rest.split_at(digits);
        let ack = if number.is_empty() { None } else { Some(number.parse().ok()?) };
        Some(Packet { kind, namespace, ack, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_taken_apart() {
        let check = |text, expected: Option<(u8, &str, Option<u64>, &str)>| {
            let packet = Packet::parse(text).map(|packet| (packet.kind, packet.namespace, packet.ack, packet.data));
            assert_eq!(packet, expected, "{text}");
        };
        check(r#"40{"sid":"x"}"#, Some((b'0', "/", None, r#"{"sid":"x"}"#)));
        check(r#"40/a,{"sid":"x"}"#, Some((b'0', "/a", None, r#"{"sid":"x"}"#)));
        check("41/a", Some((b'1', "/a", None, "")));
        check("4212[]", Some((b'2', "/", Some(12), "[]")));
        check("461-/a,12[]", Some((b'6', "/a", Some(12), "[]")));
        check("46[]", None);
        check("4", None);
        check("", None);
        check("3", None);
        check("42999999999999999999999[]", None);
    }

    #[test]
    fn replies_written_otherwise_are_understood() {
        let check = |verb: Verb, binary, messages: &[&str], expected: Result<Option<(&str, Option<u64>)>, Failure>| {
            let (shape, namespace) = (verb.reply("/", binary), "/".to_owned());
            let wanted = Expected { verb, shape, namespace, recovers: Rc::default() };
            let mut reader = Reader::resume(&wanted, None);
            let mut last = Ok(Heard::Nothing);
            for message in messages {
                let message = match message.strip_prefix('b') {
                    Some(bytes) => Message::Binary(bytes.as_bytes()),
                    None => Message::Text(message),
                };
                last = reader.read(message);
            }
            let got = last.map(|heard| match heard {
                Heard::Payload(x, ack) => Some((String::from_utf8(x.into_owned()).unwrap(), ack)),
                Heard::Nothing => None,
            });
            assert_eq!(got, expected.map(|found| found.map(|(x, ack)| (x.to_owned(), ack))), "{messages:?}");
        };
        check(Verb::Echo, false, &[r#"42["echo","abc"]"#], Ok(Some(("abc", None))));
        check(Verb::Echo, false, &[r#"42[ "echo", "\u0061bc" ]"#], Ok(Some(("abc", None))));
        check(Verb::Echo, false, &[r#"42["news","abc"]"#], Ok(None));
        check(Verb::Echo, false, &[r#"42/a,["echo","abc"]"#], Ok(None));
        check(Verb::Echo, false, &[r#"4312["abc"]"#], Ok(None));
        check(Verb::Echo, false, &["2"], Err(Failure::Unreadable));
        check(Verb::Echo, false, &[r#"42["echo",7]"#], Err(Failure::Changed));
        check(Verb::Echo, false, &[r#"42["echo"]"#], Err(Failure::Changed));
        check(Verb::Echo, false, &["41"], Err(Failure::Disconnected));
        check(Verb::Ack, false, &[r#"43100000[ "abc"]"#], Ok(Some(("abc", Some(100_000)))));
        let text = r#"451-["echo",{"num":0,"_placeholder":true}]"#;
        check(Verb::Echo, true, &[text], Ok(None));
        check(Verb::Echo, true, &[text, "babc"], Ok(Some(("abc", None))));
        check(Verb::Echo, true, &["babc"], Ok(None));
    }
}
