//! Packets as `socket.io-msgpack-parser` 3 writes them: one MessagePack map `{type, nsp[, data][, id]}` in one binary message, with
//! bytes where they belong. <https://github.com/msgpack/msgpack/blob/master/spec.md>
//!
//! Its codec is notepack.io, which has a form of its own for three values of JavaScript; see [`read`].

mod date;
mod read;
mod write;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use self::read::Reader;
use super::{Decoder, OwnedMessage, Packet, PacketType, Parser};
use crate::{
    engineio::Message,
    socketio::{ConnectionConfig, Error},
};

/// The parser of `socket.io-msgpack-parser`: `{"type":2,"nsp":"/","data":["hello",1]}` in one binary message.
///
/// What goes out are the bytes that package writes: integers as short as they can be, other numbers as 64-bit floats. Over polling they are
/// base64. What comes is taken from any encoder:
///
/// | MessagePack | here |
/// |---|---|
/// | integers of 64 bits | exact; JavaScript has no more than 53 bits |
/// | floats | their value; NaN and infinities are `null`, as in JSON |
/// | bin, and ext type 0 with a length before it (an `ArrayBuffer`) | bytes: attachments, with their limits |
/// | fixext 1 of type 0 (`undefined`) | `null` |
/// | fixext 8 of type 0 (a `Date`) | its text in ISO 8601, as in JSON |
/// | any other ext | an array of its type and its bytes, as the package has it |
/// | keys that are integers | their decimal text, as in JavaScript; other keys but text are refused |
/// | a key twice | twice in the JSON too: maps take the last, structs refuse it. In the packet itself the last counts |
/// | text that is no UTF-8, a length beyond the end, anything behind the packet | refused |
///
/// A text is taken for the JSON of a packet. Bytes in what a client says to connect (`auth`), or in the refusal, are refused.
#[derive(Clone, Copy, Debug, Default)]
pub struct MessagePack;

impl MessagePack {
    /// The one message of a packet.
    pub fn encode(packet: &Packet<'_>) -> Bytes {
        let mut out =
            Vec::with_capacity(packet.json().len().saturating_add(packet.namespace().len()).saturating_add(32));
        let entries =
            [true, true, !packet.json().is_empty(), packet.id().is_some()].into_iter().filter(|there| *there).count();
        write::map(&mut out, entries);
        write::text(&mut out, "type");
        write::unsigned(&mut out, packet.kind().number().into());
        write::text(&mut out, "nsp");
        write::text(&mut out, packet.namespace());
        if !packet.json().is_empty() {
            write::text(&mut out, "data");
            write::json(&mut out, packet.json(), packet.attachments());
        }
        if let Some(id) = packet.id() {
            write::text(&mut out, "id");
            write::unsigned(&mut out, id);
        }
        out.into()
    }

    /// The packet that a message is.
    ///
    /// # Errors
    /// It is none, or has more levels or attachments than are taken.
    pub fn decode(message: Message<'_>, limits: &ConnectionConfig) -> Result<Packet<'static>, Error> {
        match message {
            Message::Binary(data) => of_bytes(data, limits),
            Message::Text(text) => of_json(text),
        }
    }
}

impl Parser for MessagePack {
    fn encode(&self, packet: &Packet<'_>) -> Vec<OwnedMessage> {
        vec![OwnedMessage::Binary(MessagePack::encode(packet))]
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(MessagePack)
    }
}

impl Decoder for MessagePack {
    fn decode(&mut self, message: Message<'_>, limits: &ConnectionConfig) -> Result<Option<Packet<'static>>, Error> {
        MessagePack::decode(message, limits).map(Some)
    }
}

fn of_bytes(data: &[u8], limits: &ConnectionConfig) -> Result<Packet<'static>, Error> {
    let mut reader = Reader::new(data, limits);
    let (mut kind, mut namespace, mut id, mut json) = (None, None, None, String::new());
    for _ in 0..reader.map_len()? {
        match reader.text()? {
            "type" => kind = reader.integer()?,
            "nsp" => namespace = Some(reader.text()?),
            "id" => id = Some(reader.integer_or_nothing()?),
            "data" => {
                json.clear();
                reader.attachments.clear();
                reader.json(&mut json)?;
            }
            // The client of JavaScript says `options` too.
            _ => reader.skip()?,
        }
    }
    if !reader.is_at_end() {
        return Err(Error::InvalidPayload);
    }
    let kind = kind.and_then(PacketType::from_number).ok_or(Error::UnknownType)?;
    let namespace = namespace.ok_or(Error::InvalidNamespace)?.to_owned();
    Ok(packet(kind, namespace, id.flatten(), json, reader.attachments))
}

fn of_json(text: &str) -> Result<Packet<'static>, Error> {
    #[derive(Deserialize)]
    struct Fields<'a> {
        #[serde(rename = "type")]
        kind: u64,
        nsp: String,
        #[serde(borrow, default)]
        data: Option<&'a RawValue>,
        #[serde(default)]
        id: Option<u64>,
    }
    // serde would take an array for the fields in order.
    if !text.trim_start().starts_with('{') {
        return Err(Error::InvalidPayload);
    }
    let Fields { kind, nsp, data, id } = serde_json::from_str(text).map_err(|_| Error::InvalidPayload)?;
    let kind = PacketType::from_number(kind).ok_or(Error::UnknownType)?;
    Ok(packet(kind, nsp, id, data.map_or_else(String::new, |data| data.get().to_owned()), Vec::new()))
}

/// `null` is no data: so `undefined` is read.
fn packet(
    kind: PacketType,
    namespace: String,
    id: Option<u64>,
    json: String,
    attachments: Vec<Bytes>,
) -> Packet<'static> {
    let json = if json == "null" { String::new() } else { json };
    Packet::new(kind, namespace).with_id(id).with_json(json, attachments)
}

#[cfg(test)]
#[path = "../tests/msgpack.rs"]
mod tests;
