//! The string behind an event's arguments that tells where a client stopped: `"k3_xQz.17"`.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::Rng as _;
use serde::Deserialize;

use crate::prepared::Flags;

/// Numbers events: `epoch.n`. The epoch is this server's, drawn at its start, so that what a client remembers of another server is
/// never taken for ours. An event has one number however many get it, so that they share its frame.
pub(crate) struct Offsets {
    epoch: [u8; EPOCH_LEN],
    last: AtomicU64,
}

/// 48 bits: servers that follow one another differ, which is all that is asked of them.
const EPOCH_LEN: usize = 8;

/// An event's number; none is 0.
pub(crate) type Number = NonZeroU64;

/// What stands behind the arguments of an event that recoverable sockets get, and not of one for others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Suffix {
    /// Of an event that is kept until the client has it.
    pub(crate) number: Option<Number>,
    /// How many bytes it takes in front of the last `]`.
    pub(crate) bytes: usize,
}

impl Offsets {
    pub(crate) fn new() -> Self {
        let mut epoch = [0; EPOCH_LEN];
        let mut bytes = [0; EPOCH_LEN / 4 * 3];
        rand::rng().fill_bytes(&mut bytes);
        URL_SAFE_NO_PAD.encode_slice(bytes, &mut epoch).expect("six bytes are eight characters of base64");
        Offsets { epoch, last: AtomicU64::new(0) }
    }

    fn epoch(&self) -> &str {
        std::str::from_utf8(&self.epoch).expect("base64 is ASCII")
    }

    /// Adds an offset to the array that ends here: `["e",1]` → `["e",1,"k3_xQz.17"]`.
    ///
    /// A volatile event is not kept and so has no offset. Clients take the last argument of whatever comes for the offset, if
    /// it is a string: behind a string a `null` stands in its place, `["e","text"]` → `["e","text",null]`.
    pub(crate) fn append(&self, packet: &mut Vec<u8>, flags: Flags) -> Suffix {
        debug_assert_eq!(packet.last(), Some(&b']'), "an event is an array");
        let end = packet.len() - 1;
        if flags.volatile {
            if !packet.ends_with(b"\"]") {
                return Suffix::default();
            }
            packet.truncate(end);
            packet.extend_from_slice(b",null");
            packet.push(b']');
            return Suffix { number: None, bytes: packet.len() - 1 - end };
        }
        let number = self.next();
        packet.truncate(end);
        let offset = format!(",\"{}.{number}\"]", self.epoch());
        packet.extend_from_slice(offset.as_bytes());
        Suffix { number: Some(number), bytes: packet.len() - 1 - end }
    }

    fn next(&self) -> Number {
        NonZeroU64::MIN.saturating_add(self.last.fetch_add(1, Ordering::Relaxed))
    }

    /// Where a client says it stopped.
    pub(crate) fn parse(&self, offset: Option<&serde_json::Value>) -> Result<Position, Malformed> {
        let text = match offset {
            None | Some(serde_json::Value::Null) => return Ok(Position::Start),
            Some(offset) => offset.as_str().ok_or(Malformed)?,
        };
        let (epoch, digits) = text.split_once('.').ok_or(Malformed)?;
        let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if epoch.len() != EPOCH_LEN || !epoch.bytes().all(is_base64) {
            return Err(Malformed);
        }
        let number: Number = digits.parse().map_err(|_| Malformed)?;
        if number.to_string() != digits {
            return Err(Malformed);
        }
        Ok(if epoch == self.epoch() { Position::Behind(number) } else { Position::Unknown })
    }
}

/// Where a client stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    /// It has got nothing.
    Start,
    /// This was the last it got.
    Behind(Number),
    /// It remembers an event of another server, and so has got nothing of ours.
    Unknown,
}

/// It is no offset of ours: the client may have got anything.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// What a client that comes back says in the payload of its CONNECT, beside its `auth`: `{"pid":"…","offset":"…"}`.
///
/// Values of other types are the application's, whose keys stock clients let win.
#[derive(Deserialize)]
pub(crate) struct Resume {
    #[serde(default)]
    pub(crate) pid: Option<serde_json::Value>,
    #[serde(default)]
    pub(crate) offset: Option<serde_json::Value>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn appended(offsets: &Offsets, packet: &str, flags: Flags) -> (String, Suffix) {
        let mut text = packet.as_bytes().to_vec();
        let suffix = offsets.append(&mut text, flags);
        let text = String::from_utf8(text).unwrap();
        let bare = format!("{}]", &text[..text.len() - 1 - suffix.bytes]);
        assert_eq!(bare, packet, "what others get");
        (text, suffix)
    }

    #[test]
    fn each_event_ends_with_an_offset_of_its_own() {
        let offsets = Offsets::new();
        let epoch = offsets.epoch().to_owned();
        for number in 1..4 {
            let (text, suffix) = appended(&offsets, r#"2["e",1]"#, Flags::default());
            assert_eq!(text, format!(r#"2["e",1,"{epoch}.{number}"]"#));
            assert_eq!(suffix.number.map(Number::get), Some(number));
            let position = offsets.parse(Some(&json!(format!("{epoch}.{number}"))));
            assert_eq!(position, Ok(Position::Behind(Number::new(number).unwrap())));
        }
        assert_ne!(Offsets::new().epoch(), epoch);
    }

    #[test]
    fn a_volatile_event_ends_with_no_string() {
        let offsets = Offsets::new();
        let volatile = Flags { volatile: true, ..Flags::default() };
        for (packet, expected) in [
            (r#"2["e",1]"#, r#"2["e",1]"#),
            (r#"2["e"]"#, r#"2["e",null]"#),
            (r#"2["e","AAAAAAAA.1"]"#, r#"2["e","AAAAAAAA.1",null]"#),
            (r#"2["e",["s"]]"#, r#"2["e",["s"]]"#),
            (r#"51-["e",{"_placeholder":true,"num":0}]"#, r#"51-["e",{"_placeholder":true,"num":0}]"#),
        ] {
            let (text, suffix) = appended(&offsets, packet, volatile);
            assert_eq!((&*text, suffix.number), (expected, None));
        }
    }

    #[test]
    fn positions_are_told_apart() {
        let offsets = Offsets::new();
        let parse = |offset: serde_json::Value| offsets.parse(Some(&offset));
        assert_eq!(offsets.parse(None), Ok(Position::Start));
        assert_eq!(parse(json!(null)), Ok(Position::Start));
        assert_eq!(parse(json!("AAAAAAAA.7")), Ok(Position::Unknown));
        let ours = offsets.epoch();
        for malformed in [
            json!(""),
            json!("text"),
            json!("Q89dBVM"),
            json!(format!("{ours}")),
            json!(format!("{ours}.")),
            json!(format!("{ours}.0")),
            json!(format!("{ours}.01")),
            json!(format!("{ours}.+1")),
            json!(format!("{ours}.1.1")),
            json!(format!("{ours}.18446744073709551616")),
            json!(format!("{ours}x.1")),
            json!("AAAA AAA.1"),
            json!(7),
            json!([]),
        ] {
            assert_eq!(parse(malformed.clone()), Err(Malformed), "{malformed}");
        }
    }
}
