//! A packet as parsers see it: `{type, nsp, data, id}`. Inside it is what the rest of the crate writes and reads: JSON, and the
//! attachments that placeholders in it stand for.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::socketio::{Args, EncodeError, Error, OwnedArgs, Value, encode};

/// What a packet is for. Whether it has attachments is no matter of the type here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketType {
    /// 0: a client asks to join a namespace, the server lets it in. The data is an object, or nothing.
    Connect,
    /// 1: one side leaves a namespace. No data.
    Disconnect,
    /// 2: the data is an array of the name and the arguments.
    Event,
    /// 3: the data is an array of arguments.
    Ack,
    /// 4: the server refuses. The data is an object, `{message, data}`, or text.
    ConnectError,
}

impl PacketType {
    const ALL: [PacketType; 5] =
        [PacketType::Connect, PacketType::Disconnect, PacketType::Event, PacketType::Ack, PacketType::ConnectError];

    /// As it is written: 0 to 4.
    pub fn number(self) -> u8 {
        match self {
            PacketType::Connect => 0,
            PacketType::Disconnect => 1,
            PacketType::Event => 2,
            PacketType::Ack => 3,
            PacketType::ConnectError => 4,
        }
    }

    /// The inverse of [`number`](Self::number).
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }
}

/// A packet of Socket.IO: what a [`Parser`](super::Parser) writes, and what a [`Decoder`](super::Decoder) has read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    kind: PacketType,
    namespace: Cow<'a, str>,
    id: Option<u64>,
    /// Empty if there is no data.
    json: Cow<'a, str>,
    attachments: Cow<'a, [Bytes]>,
}

impl<'a> Packet<'a> {
    /// A packet without an id and without data.
    pub fn new(kind: PacketType, namespace: impl Into<Cow<'a, str>>) -> Self {
        Packet { kind, namespace: namespace.into(), id: None, json: Cow::Borrowed(""), attachments: Cow::Borrowed(&[]) }
    }

    /// With the id that an event asks to be acknowledged with, or that an acknowledgement answers.
    #[must_use]
    pub fn with_id(self, id: Option<u64>) -> Self {
        Packet { id, ..self }
    }

    /// With data: an array or a tuple for events and acknowledgements, an object for the others. Bytes, wherever they are in it, become
    /// attachments.
    ///
    /// # Errors
    /// It cannot be JSON.
    pub fn with_data(self, data: &(impl Serialize + ?Sized)) -> Result<Self, EncodeError> {
        let mut json = Vec::new();
        let attachments = encode::value_json(&mut json, data)?;
        let json = String::from_utf8(json).expect("JSON is text");
        Ok(self.with_json(json, attachments))
    }

    /// With data as JSON, in which `{"_placeholder":true,"num":0}` stands for the first of the attachments. Empty: without data. It need
    /// not be valid: then the packet is refused by whoever takes it.
    #[must_use]
    pub fn with_json(self, json: impl Into<Cow<'a, str>>, attachments: impl Into<Cow<'a, [Bytes]>>) -> Self {
        Packet { json: json.into(), attachments: attachments.into(), ..self }
    }

    /// What is in a packet that [`encode`] has written: `51-/chat,7["file",{"_placeholder":true,"num":0}]`.
    ///
    /// `None` if it is none.
    pub fn of_text(text: &'a str, attachments: &'a [Bytes]) -> Option<Self> {
        let number = match text.as_bytes().first()? {
            b'5' => 2,
            b'6' => 3,
            digit => u64::from(digit.wrapping_sub(b'0')),
        };
        let kind = PacketType::from_number(number)?;
        // A number of attachments has a `-` behind it; what has none begins with its namespace or its id.
        let rest = if attachments.is_empty() { text.get(1..)? } else { text.split_once('-')?.1 };
        let (namespace, rest) = match rest.starts_with('/') {
            true => rest.split_once(',').unwrap_or((rest, "")),
            false => ("/", rest),
        };
        let json = rest.trim_start_matches(|char: char| char.is_ascii_digit());
        let id = rest.strip_suffix(json).and_then(|digits| digits.parse().ok());
        Some(Packet::new(kind, namespace).with_id(id).with_json(json, attachments))
    }

    /// The inverse of [`of_text`](Self::of_text): what a [`Connection`](crate::socketio::Connection) reads before the attachments.
    ///
    /// # Errors
    /// `InvalidNamespace` if the name does not begin with `/`, or has a comma. `IllegalAttachments` if there are some, and it is
    /// neither event nor acknowledgement.
    pub fn to_text(&self) -> Result<String, Error> {
        if !self.namespace.starts_with('/') || self.namespace.contains(',') {
            return Err(Error::InvalidNamespace);
        }
        let mut text = String::with_capacity(self.json.len().saturating_add(self.namespace.len()).saturating_add(16));
        match (self.kind, self.attachments.len()) {
            (kind, 0) => push(&mut text, kind.number()),
            (PacketType::Event | PacketType::Ack, count) => {
                push(&mut text, self.kind.number().saturating_add(3));
                push(&mut text, count);
                text.push('-');
            }
            (PacketType::Connect | PacketType::Disconnect | PacketType::ConnectError, _) => {
                return Err(Error::IllegalAttachments);
            }
        }
        if self.namespace != "/" {
            text.push_str(&self.namespace);
            text.push(',');
        }
        if let Some(id) = self.id {
            push(&mut text, id);
        }
        text.push_str(&self.json);
        Ok(text)
    }

    /// What it is for.
    pub fn kind(&self) -> PacketType {
        self.kind
    }

    /// The namespace: `/`, `/chat`.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The id that an event asks to be acknowledged with, or that an acknowledgement answers.
    pub fn id(&self) -> Option<u64> {
        self.id
    }

    /// The data as JSON, with placeholders for bytes. Empty if there is none.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// The bytes that the placeholders stand for.
    pub fn attachments(&self) -> &[Bytes] {
        &self.attachments
    }

    /// The data, its bytes where they belong: with serde it can be written in any format. `None` if there is none.
    ///
    /// # Errors
    /// `InvalidPayload` if it is no JSON, or is nested deeper than JSON is decoded here.
    pub fn data(&self) -> Result<Option<Value>, Error> {
        if self.json.is_empty() {
            return Ok(None);
        }
        if !self.json.starts_with('[') {
            let raw: &RawValue = serde_json::from_str(&self.json).map_err(|_| Error::InvalidPayload)?;
            return Args::from_raw(Some(raw)).value(0).map(Some).map_err(|_| Error::InvalidPayload);
        }
        let args = OwnedArgs::of_array(&self.json, &self.attachments).ok_or(Error::InvalidPayload)?;
        let args = args.as_args();
        let values: Result<Vec<Value>, _> = (0..args.len()).map(|index| args.value(index)).collect();
        values.map(|values| Some(Value::Array(values))).map_err(|_| Error::InvalidPayload)
    }

    /// A copy that borrows nothing.
    pub fn into_owned(self) -> Packet<'static> {
        Packet {
            kind: self.kind,
            namespace: self.namespace.into_owned().into(),
            id: self.id,
            json: self.json.into_owned().into(),
            attachments: self.attachments.into_owned().into(),
        }
    }
}

fn push(text: &mut String, number: impl std::fmt::Display) {
    // A string takes every write.
    let _ = std::fmt::Write::write_fmt(text, format_args!("{number}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, attachments: &[&[u8]], expected: &Packet<'_>) {
        let attachments: Vec<Bytes> = attachments.iter().map(|data| Bytes::copy_from_slice(data)).collect();
        let packet = Packet::of_text(text, &attachments).unwrap();
        assert_eq!(&packet, expected, "{text}");
        assert_eq!(packet.to_text().as_deref(), Ok(text));
    }

    #[test]
    fn texts_are_packets_and_packets_are_texts() {
        check("0", &[], &Packet::new(PacketType::Connect, "/"));
        check("1/a-1,", &[], &Packet::new(PacketType::Disconnect, "/a-1"));
        let error = Packet::new(PacketType::ConnectError, "/chat").with_json(r#"{"message":"a,b"}"#, Vec::new());
        check(r#"4/chat,{"message":"a,b"}"#, &[], &error);
        let event = Packet::new(PacketType::Event, "/").with_id(Some(7)).with_data(&("a-1", [1])).unwrap();
        check(r#"27["a-1",[1]]"#, &[], &event);
        let file = Value::from(vec![1, 2]);
        let event = Packet::new(PacketType::Event, "/n").with_id(Some(0)).with_data(&("file", file.clone())).unwrap();
        check(r#"51-/n,0["file",{"_placeholder":true,"num":0}]"#, &[&[1, 2]], &event);
        assert_eq!(event.data(), Ok(Some(Value::Array(vec!["file".into(), file.clone()]))));
        let ack = Packet::new(PacketType::Ack, "/").with_id(Some(3)).with_data(&[file]).unwrap();
        check(r#"61-3[{"_placeholder":true,"num":0}]"#, &[&[1, 2]], &ack);
    }

    #[test]
    fn what_is_no_packet_has_no_text() {
        for name in ["", "chat", "/a,b", "a/b"] {
            assert_eq!(Packet::new(PacketType::Event, name).to_text(), Err(Error::InvalidNamespace), "{name}");
        }
        let bytes = vec![Bytes::from_static(b"x")];
        for kind in [PacketType::Connect, PacketType::Disconnect, PacketType::ConnectError] {
            let packet = Packet::new(kind, "/").with_json("{}", bytes.clone());
            assert_eq!(packet.to_text(), Err(Error::IllegalAttachments), "{kind:?}");
        }
        for text in ["", "7", "é", "/", "5"] {
            assert_eq!(Packet::of_text(text, &bytes), None, "{text}");
        }
    }

    #[test]
    fn data_that_is_no_json_is_refused() {
        let packet = |json: &'static str| Packet::new(PacketType::Event, "/").with_json(json, Vec::new());
        assert_eq!(packet("").data(), Ok(None));
        assert_eq!(packet("null").data(), Ok(Some(Value::Null)));
        for json in ["[", "{}x", "nul"] {
            assert_eq!(packet(json).data(), Err(Error::InvalidPayload), "{json}");
            let with_bytes = packet(json).with_json(json, vec![Bytes::new()]);
            assert_eq!(with_bytes.data(), Err(Error::InvalidPayload), "{json}");
        }
    }

    #[test]
    fn types_are_numbers() {
        for (number, kind) in PacketType::ALL.into_iter().enumerate() {
            assert_eq!((usize::from(kind.number()), PacketType::from_number(number as u64)), (number, Some(kind)));
        }
        assert_eq!(PacketType::from_number(5), None);
    }
}
