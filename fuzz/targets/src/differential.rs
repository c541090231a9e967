//! What our decoders make of an input, in a form that can be compared with what the parsers of JavaScript make of it
//! (`conformance/differential/parsers.mjs`).

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use patera_protocol::{
    engineio::{FrameHeader, Message, Packet, payload::Decoder, payload_v3::Reader},
    parser::MessagePack,
    socketio::{Args, Connection, ConnectionConfig, Error, Incoming, Revision, Value},
};
use serde_json::{Value as Json, json};

use crate::{
    checks::at,
    input::{Input, Piece, messages},
};

/// As `parsers.mjs` has it.
const PAYLOAD_BYTES_MAX: usize = 1_000_000;

/// A wire format that both sides read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Payloads of Engine.IO 4.
    EngineIo4,
    /// Frames of Engine.IO 4 on a byte stream.
    EngineIo4Stream,
    /// Payloads of Engine.IO 3, as text.
    EngineIo3,
    /// The same as bytes.
    EngineIo3Bytes,
    /// A packet of Socket.IO 5: text and attachments.
    SocketIo5,
    /// A packet of Socket.IO 4.
    SocketIo4,
    /// A packet as MessagePack.
    MessagePack,
}

impl Format {
    /// As `parsers.mjs` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Format::EngineIo4 => "engineio4",
            Format::EngineIo4Stream => "engineio4_stream",
            Format::EngineIo3 => "engineio3",
            Format::EngineIo3Bytes => "engineio3_bytes",
            Format::SocketIo5 => "socketio5",
            Format::SocketIo4 => "socketio4",
            Format::MessagePack => "msgpack",
        }
    }

    /// What we make of it, or the name of the error.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn read(self, data: &[u8]) -> Result<Json, &'static str> {
        match self {
            Format::EngineIo4 => engineio4(data),
            Format::EngineIo4Stream => engineio4_stream(data),
            Format::EngineIo3 => engineio3(Reader::text_as_is(), data),
            Format::EngineIo3Bytes => engineio3(Reader::bytes(), data),
            Format::SocketIo5 => socketio(Revision::V5, data),
            Format::SocketIo4 => socketio(Revision::V4, data),
            Format::MessagePack => msgpack(data),
        }
    }
}

/// The target whose inputs can be compared, and what they are then.
pub fn questions(target: &str, data: &[u8]) -> Vec<(Format, Vec<u8>)> {
    let mut input = Input::new(data);
    match target {
        "engineio4_payload" => vec![(Format::EngineIo4, data.to_vec())],
        "engineio4_frames" => vec![(Format::EngineIo4Stream, data.get(2..).unwrap_or_default().to_vec())],
        "engineio3_payload" => match input.byte() % 3 {
            0 | 1 => vec![(Format::EngineIo3, input.rest().to_vec())],
            _ => vec![(Format::EngineIo3Bytes, input.rest().to_vec())],
        },
        "socketio_text" => {
            let format = if input.byte() & 1 == 0 { Format::SocketIo5 } else { Format::SocketIo4 };
            packets(input).into_iter().map(|packet| (format, packet)).collect()
        }
        "socketio_msgpack" if !declares_much(data) => vec![(Format::MessagePack, data.to_vec())],
        _ => Vec::new(),
    }
}

/// Whether it may declare an array, a map or bytes beyond all measure: notepack.io goes on for minutes then, element by element, though
/// nothing is there.
fn declares_much(data: &[u8]) -> bool {
    let long = [0xc6, 0xc9, 0xdb, 0xdd, 0xdf];
    data.windows(5)
        .any(|five| long.contains(&five[0]) && u32::from_be_bytes([five[1], five[2], five[3], five[4]]) > 1 << 16)
}

/// Each text with the bytes behind it.
fn packets(mut input: Input<'_>) -> Vec<Vec<u8>> {
    let mut packets: Vec<Vec<Piece<'_>>> = Vec::new();
    while let Some(piece) = input.message() {
        match (piece, packets.last_mut()) {
            (Piece::Binary(_), Some(packet)) => packet.push(piece),
            (piece, _) => packets.push(vec![piece]),
        }
    }
    packets.iter().map(|packet| messages(0, packet).split_off(1)).collect()
}

fn engineio4(data: &[u8]) -> Result<Json, &'static str> {
    // How many packets that are no messages may come is no matter of the format.
    let mut decoder = Decoder::with_control_packets_max(data, usize::MAX).map_err(|error| error.name())?;
    let mut packets = Vec::new();
    while let Some(packet) = decoder.next_packet() {
        packets.push(engineio_packet(&packet.map_err(|error| error.name())?));
    }
    Ok(packets.into())
}

/// As many frames as are whole.
fn engineio4_stream(mut data: &[u8]) -> Result<Json, &'static str> {
    let mut packets = Vec::new();
    while let Some((header, bytes)) = FrameHeader::decode(data, PAYLOAD_BYTES_MAX).map_err(|error| error.name())? {
        let Some((payload, rest)) = data[bytes..].split_at_checked(header.length) else { break };
        data = rest;
        packets.push(if header.binary {
            engineio_packet(&Packet::Message(Message::Binary(payload)))
        } else {
            let text = std::str::from_utf8(payload).map_err(|_| "utf8")?;
            engineio_packet(&Packet::decode_with(text, &mut Vec::new()).map_err(|error| error.name())?)
        });
    }
    Ok(packets.into())
}

fn engineio3(reader: Reader, data: &[u8]) -> Result<Json, &'static str> {
    let mut reader = reader.with_control_packets_max(usize::MAX);
    let mut packets = Vec::new();
    while let Some(packet) = reader.next_packet(data) {
        packets.push(engineio_packet(&packet.map_err(|error| error.name())?));
    }
    Ok(packets.into())
}

fn engineio_packet(packet: &Packet<'_>) -> Json {
    match *packet {
        Packet::Open(data) => json!(["open", data]),
        Packet::Close => json!(["close", ""]),
        Packet::Ping(data) => json!(["ping", data]),
        Packet::Pong(data) => json!(["pong", data]),
        Packet::Message(Message::Text(data)) => json!(["message", data]),
        Packet::Message(Message::Binary(data)) => json!(["message", bytes(data)]),
        Packet::Upgrade => json!(["upgrade", ""]),
        Packet::Noop => json!(["noop", ""]),
    }
}

fn bytes(data: &[u8]) -> Json {
    json!({"$bytes": STANDARD.encode(data)})
}

fn msgpack(data: &[u8]) -> Result<Json, &'static str> {
    let packet =
        MessagePack::decode(Message::Binary(data), &ConnectionConfig::default()).map_err(|error| error.name())?;
    let text = packet.to_text().map_err(|error| error.name())?;
    one_packet(Revision::V5, &text, packet.attachments())
}

fn socketio(revision: Revision, data: &[u8]) -> Result<Json, &'static str> {
    let mut input = Input::new(data);
    let Some(Piece::Text(text)) = input.message() else { return Err(Error::UnexpectedBinary.name()) };
    let mut attachments = Vec::new();
    while let Some(Piece::Binary(data)) = input.message() {
        attachments.push(Bytes::copy_from_slice(data));
    }
    one_packet(revision, text, &attachments)
}

/// A packet, given to whichever side gets such a one in a state where it may come.
fn one_packet(revision: Revision, text: &str, attachments: &[Bytes]) -> Result<Json, &'static str> {
    let namespace = namespace(text);
    let name = if revision == Revision::V4 { namespace.split('?').next().unwrap_or_default() } else { namespace };
    let mut connection = ready(revision, text, name)?;
    let messages = std::iter::once(Message::Text(text)).chain(attachments.iter().map(|data| Message::Binary(data)));
    let messages: Vec<_> = messages.collect();
    let (last, first) = messages.split_last().ok_or("empty")?;
    for message in first {
        if connection.handle_message(*message, at(0)).map_err(|error| error.name())?.is_some() {
            return Err(Error::UnexpectedBinary.name());
        }
    }
    let incoming = connection.handle_message(*last, at(0)).map_err(|error| error.name())?.ok_or("incomplete")?;
    describe(revision, incoming, name)
}

fn ready(revision: Revision, text: &str, namespace: &str) -> Result<Connection, &'static str> {
    let config = Arc::new(ConnectionConfig::default());
    let kind = text.as_bytes().first();
    if kind == Some(&b'4') {
        let mut client = Connection::client_with_revision(revision, config);
        // A name that is none cannot be connected to; then the packet is what is refused.
        let _ = client.connect(namespace);
        return Ok(client);
    }
    let mut server = Connection::server_with_revision(revision, config);
    if kind != Some(&b'0') {
        let connect = if namespace == "/" { "0".to_owned() } else { format!("0{namespace},") };
        let slot = match server.handle_message(Message::Text(&connect), at(0)) {
            Ok(Some(Incoming::Connect { slot, .. })) => slot,
            Ok(_) => return Err("no connect"),
            Err(error) => return Err(error.name()),
        };
        server.accept(slot);
    }
    Ok(server)
}

/// The name that a packet says.
fn namespace(text: &str) -> &str {
    let rest = text.get(1..).unwrap_or_default();
    let rest = match (text.as_bytes().first(), rest.split_once('-')) {
        (Some(b'5' | b'6'), Some((_, rest))) => rest,
        _ => rest,
    };
    if rest.starts_with('/') { rest.split(',').next().unwrap_or("/") } else { "/" }
}

fn describe(revision: Revision, incoming: Incoming<'_>, namespace: &str) -> Result<Json, &'static str> {
    let payload = |payload: Option<&serde_json::value::RawValue>| match payload {
        None => Ok(Json::Null),
        Some(_) => value(&Args::from_raw(payload), 0),
    };
    let (kind, id, data) = match incoming {
        // In revision 4 what a client says stands in the query.
        Incoming::Connect { .. } if revision == Revision::V4 => (0, None, Json::Null),
        Incoming::Connect { auth, .. } => (0, None, payload(auth)?),
        Incoming::Connected { payload: said, .. } => (0, None, payload(said)?),
        Incoming::Disconnect { .. } => (1, None, Json::Null),
        Incoming::Event { name, args, ack, .. } => {
            let mut data = vec![Json::from(&*name)];
            for index in 0..args.len() {
                data.push(value(&args, index)?);
            }
            (2, ack, data.into())
        }
        Incoming::Ack { id, args, .. } => {
            let data = (0..args.len()).map(|index| value(&args, index)).collect::<Result<Vec<_>, _>>()?;
            (3, Some(id), data.into())
        }
        Incoming::ConnectError { payload: said, .. } => (4, None, payload(said)?),
    };
    Ok(json!({"type": kind, "nsp": namespace, "id": id, "data": data}))
}

fn value(args: &Args<'_>, index: usize) -> Result<Json, &'static str> {
    args.value(index).map(|value| comparable(&value)).map_err(|_| "value")
}

fn comparable(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => (*value).into(),
        Value::Number(number) => Json::Number(number.clone()),
        Value::String(text) => text.as_str().into(),
        Value::Binary(data) => bytes(data),
        Value::Array(values) => values.iter().map(comparable).collect(),
        Value::Object(entries) => {
            Json::Object(entries.iter().map(|(key, value)| (key.to_owned(), comparable(value))).collect())
        }
    }
}

/// What `parsers.mjs` says in place of what could not be read here.
const TOO_DEEP: &str = "too deep to be told";

/// Where two readings of one input differ first; `None` if nowhere. To JavaScript 1.0 is 1.
pub fn difference(ours: &Json, theirs: &Json) -> Option<String> {
    match (ours, theirs) {
        (Json::Number(ours), Json::Number(theirs)) => (ours.as_f64() != theirs.as_f64()).then(|| "number".to_owned()),
        (Json::Array(ours), Json::Array(theirs)) if ours.len() == theirs.len() => {
            ours.iter().zip(theirs).find_map(|(ours, theirs)| difference(ours, theirs))
        }
        (Json::Object(ours), Json::Object(theirs)) if ours.keys().eq(theirs.keys()) => {
            ours.iter().zip(theirs.values()).find_map(|((key, ours), theirs)| {
                let inner = difference(ours, theirs)?;
                // The fields of a packet are named, once; what is inside of a message may be called anything, and that, too.
                let is_field = matches!(key.as_str(), "type" | "nsp" | "id" | "data");
                Some(if is_field && !inner.starts_with(key) { format!("{key}.{inner}") } else { inner })
            })
        }
        (_, Json::String(theirs)) if theirs == TOO_DEEP => None,
        (ours, theirs) if ours == theirs => None,
        (ours, theirs) => Some(format!("{}/{}", kind(ours), kind(theirs))),
    }
}

fn kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "bool",
        Json::Number(_) => "number",
        Json::String(_) => "text",
        Json::Array(_) => "array",
        Json::Object(entries) if entries.contains_key("$bytes") => "bytes",
        Json::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_put_as_both_sides_can_say_them() {
        let read = |text: &str| Format::SocketIo5.read(text.as_bytes());
        assert_eq!(read(r#"2/a,7["x",1]"#), Ok(json!({"type": 2, "nsp": "/a", "id": 7, "data": ["x", 1]})));
        assert_eq!(read("0/b"), Ok(json!({"type": 0, "nsp": "/b", "id": null, "data": null})));
        assert_eq!(read("4/b,\"no\""), Ok(json!({"type": 4, "nsp": "/b", "id": null, "data": "no"})));
        assert_eq!(read("2[]"), Err("invalid_payload"));
        let binary = b"51-[\"x\",{\"_placeholder\":true,\"num\":0}]\xff\x00\x01\x02\xff";
        let read = Format::SocketIo5.read(binary);
        assert_eq!(read.map(|read| read["data"][1].clone()), Ok(json!({"$bytes": "AQI="})));
    }

    #[test]
    fn differences_are_told_by_where_they_are() {
        let check = |ours: Json, theirs: Json, expected: Option<&str>| {
            assert_eq!(difference(&ours, &theirs).as_deref(), expected);
        };
        check(json!([1, "a"]), json!([1.0, "a"]), None);
        check(json!({"id": 1}), json!({"id": 2}), Some("id.number"));
        check(json!({"data": ["1"]}), json!({"data": [1]}), Some("data.text/number"));
        check(json!([]), json!([1]), Some("array/array"));
    }
}
