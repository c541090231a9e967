//! The wire vectors of the repository's `vectors/`, which other implementations read too.

use std::{fs, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::Value as Json;

use super::{Several, at, connected_server_with_revision};
use crate::{
    engineio::{
        FrameHeader, Handshake, Message, Packet, Version, jsonp,
        payload::{Decoder, Encoder, Format},
        payload_v3::Reader,
    },
    parser::{MessagePack, PacketType},
    socketio::{Args, Connection, ConnectionConfig, Incoming, Revision, Value, encode, socket_id_v4},
};

#[test]
fn engineio_packets() {
    let vectors = read("engineio-packets.json");
    for row in rows(&vectors, "valid") {
        let (text, expected) = (string(&row["text"]), OwnedPacket::new(&row["packet"]));
        let mut scratch = Vec::new();
        assert_eq!(Packet::decode_with(text, &mut scratch), Ok(expected.borrow()), "{row}");
        if row["decode_only"] != true {
            let mut out = Vec::new();
            expected.borrow().encode_text(&mut out);
            assert_eq!(out, text.as_bytes(), "{row}");
        }
    }
    for row in rows(&vectors, "invalid") {
        let error = Packet::decode_with(string(&row["text"]), &mut Vec::new()).expect_err(&row.to_string()).name();
        assert_eq!(error, row["error"], "{row}");
    }
}

#[test]
fn engineio_frames() {
    let vectors = read("engineio-frames.json");
    for row in rows(&vectors, "valid") {
        let bytes = hex(string(&row["header_hex"]));
        let length = usize::try_from(row["length"].as_u64().unwrap()).unwrap();
        let header = FrameHeader { binary: row["binary"] == true, length };
        assert_eq!(FrameHeader::decode(&bytes, 1_000_000), Ok(Some((header, bytes.len()))), "{row}");
        for cut in 0..bytes.len() {
            assert_eq!(FrameHeader::decode(&bytes[..cut], 1_000_000), Ok(None), "{row} cut at {cut}");
        }
        if row["decode_only"] != true {
            let mut out = Vec::new();
            header.encode(&mut out);
            assert_eq!(out, bytes, "{row}");
        }
    }
    for row in rows(&vectors, "invalid") {
        let bytes = hex(string(&row["header_hex"]));
        let error = FrameHeader::decode(&bytes, 1_000_000).expect_err(&row.to_string());
        assert_eq!(error.name(), row["error"], "{row}");
    }
}

#[test]
fn engineio_payloads() {
    let vectors = read("engineio-payloads.json");
    for row in rows(&vectors, "valid") {
        let body = string(&row["body"]).as_bytes();
        let mut decoder = Decoder::new(body).unwrap();
        let mut encoder = Encoder::new();
        for packet in rows(row, "packets").iter().map(OwnedPacket::new) {
            assert_eq!(decoder.next_packet(), Some(Ok(packet.borrow())), "{row}");
            encoder.push(&packet.borrow());
        }
        assert_eq!(decoder.next_packet(), None, "{row}");
        assert_eq!(encoder.finish(), body, "{row}");
    }
    for row in rows(&vectors, "invalid") {
        let body = row["body_hex"].as_str().map_or_else(|| string(&row["body"]).as_bytes().to_vec(), hex);
        let mut before = rows(row, "before").iter().map(OwnedPacket::new);
        let error = match Decoder::new(&body) {
            Err(error) => error,
            Ok(mut decoder) => loop {
                match decoder.next_packet().expect("the error comes before the end") {
                    Ok(packet) => assert_eq!(Some(packet), before.next().as_ref().map(OwnedPacket::borrow), "{row}"),
                    Err(error) => break error,
                }
            },
        };
        assert_eq!(error.name(), row["error"], "{row}");
        assert!(before.next().is_none(), "{row}");
    }
}

#[test]
fn engineio_handshakes() {
    let vectors = read("engineio-handshakes.json");
    for row in rows(&vectors, "valid") {
        let (json, expected) = (string(&row["json"]), &row["handshake"]);
        let handshake = Handshake {
            sid: string(&expected["sid"]).to_owned(),
            upgrades: rows(expected, "upgrades").iter().map(|name| string(name).parse().unwrap()).collect(),
            ping_interval: Duration::from_millis(expected["pingInterval"].as_u64().unwrap()),
            ping_timeout: Duration::from_millis(expected["pingTimeout"].as_u64().unwrap()),
            max_payload: expected["maxPayload"].as_u64().unwrap() as usize,
        };
        assert_eq!(Handshake::parse(json), Ok(handshake.clone()), "{row}");
        if row["decode_only"] != true {
            assert_eq!(handshake.to_packet(), format!("0{json}"), "{row}");
        }
    }
    for row in rows(&vectors, "invalid") {
        let error = Handshake::parse(string(&row["json"])).expect_err(&row.to_string()).name();
        assert_eq!(error, row["error"], "{row}");
    }
}

#[test]
fn engineio3_packets() {
    let vectors = read("engineio3-packets.json");
    for row in rows(&vectors, "valid") {
        let expected = OwnedPacket::new(&row["packet"]);
        if let Some(digits) = row["frame_hex"].as_str() {
            let frame = hex(digits);
            assert_eq!(Version::V3.decode_binary(&frame), Ok(expected.borrow()), "{row}");
            let written = [Version::V3.binary_prefix(), &expected.binary.unwrap()].concat();
            assert_eq!(written, frame, "{row}");
            continue;
        }
        let text = string(&row["text"]);
        assert_eq!(Version::V3.decode_text(text, &mut Vec::new()), Ok(expected.borrow()), "{row}");
        if row["decode_only"] != true {
            let mut out = Vec::new();
            Version::V3.encode_text(&expected.borrow(), &mut out);
            assert_eq!(out, text.as_bytes(), "{row}");
        }
    }
    for row in rows(&vectors, "invalid") {
        let error = match row["frame_hex"].as_str().map(hex) {
            Some(frame) => Version::V3.decode_binary(&frame).map(|_| ()),
            None => Version::V3.decode_text(string(&row["text"]), &mut Vec::new()).map(|_| ()),
        };
        assert_eq!(error.expect_err(&row.to_string()).name(), row["error"], "{row}");
    }
}

#[test]
fn engineio3_payloads() {
    let vectors = read("engineio3-payloads.json");
    for row in rows(&vectors, "valid") {
        let (mut reader, body) = engineio3_body(row);
        let base64 = row["body"].is_string();
        let mut encoder = Encoder::with_format(Format { version: Version::V3, base64, jsonp: None });
        for packet in rows(row, "packets").iter().map(OwnedPacket::new) {
            assert_eq!(reader.next_packet(&body), Some(Ok(packet.borrow())), "{row}");
            encoder.push(&packet.borrow());
        }
        assert_eq!(reader.next_packet(&body), None, "{row}");
        if row["decode_only"] != true {
            assert_eq!(encoder.finish(), body, "{row}");
        }
    }
    for row in rows(&vectors, "invalid") {
        let (mut reader, body) = engineio3_body(row);
        for packet in rows(row, "before").iter().map(OwnedPacket::new) {
            assert_eq!(reader.next_packet(&body), Some(Ok(packet.borrow())), "{row}");
        }
        let end = reader.next_packet(&body).expect("the error comes before the end");
        assert_eq!(end.expect_err(&row.to_string()).name(), row["error"], "{row}");
        assert_eq!(reader.next_packet(&body), None, "{row}");
    }
}

fn engineio3_body(row: &Json) -> (Reader, Vec<u8>) {
    match (row["body"].as_str(), row["bytes_hex"].as_str(), row["not_text_hex"].as_str()) {
        (Some(text), None, None) => (Reader::text(), text.as_bytes().to_vec()),
        (None, Some(digits), None) => (Reader::bytes(), hex(digits)),
        (None, None, Some(digits)) => (Reader::text(), hex(digits)),
        _ => panic!("{row} has not just one body"),
    }
}

#[test]
fn engineio3_jsonp() {
    let vectors = read("engineio3-jsonp.json");
    for row in rows(&vectors, "calls") {
        let index = row["index"].as_u64().unwrap().try_into().unwrap();
        let script = jsonp::encode_call(index, string(&row["payload"]).as_bytes());
        assert_eq!(String::from_utf8(script).unwrap(), row["script"], "{row}");
    }
    for row in rows(&vectors, "valid") {
        let payload = jsonp::decode_form(string(&row["form"]).as_bytes()).unwrap();
        assert_eq!(String::from_utf8(payload).unwrap(), row["payload"], "{row}");
    }
    for row in rows(&vectors, "invalid") {
        let error = jsonp::decode_form(string(&row["form"]).as_bytes()).expect_err(&row.to_string());
        assert_eq!(error.name(), row["error"], "{row}");
    }
}

#[test]
fn socketio_packets() {
    let vectors = read("socketio-packets.json");
    rows(&vectors, "valid").iter().for_each(|row| check_packet(row, Revision::V5));
    rows(&vectors, "invalid").iter().for_each(|row| check_invalid_packet(row, Revision::V5));
}

#[test]
fn socketio_msgpack_packets() {
    let vectors = read("socketio-msgpack-packets.json");
    let config = ConnectionConfig::default();
    for row in rows(&vectors, "valid") {
        let Value::Object(fields) = value(&row["packet"]) else { panic!("{row}") };
        let kind = PacketType::from_number(fields["type"].as_u64().unwrap()).unwrap();
        let (namespace, id) = (fields["nsp"].as_str().unwrap(), fields.get("id").and_then(Value::as_u64));
        let bytes = hex(string(&row["hex"]));
        let packet = MessagePack::decode(Message::Binary(&bytes), &config).unwrap();
        assert_eq!((packet.kind(), packet.namespace(), packet.id()), (kind, namespace, id), "{row}");
        assert_eq!(packet.data(), Ok(fields.get("data").cloned()), "{row}");
        if row["decode_only"] != true {
            assert_eq!(MessagePack::encode(&packet), bytes, "{row}");
        }
    }
    for row in rows(&vectors, "invalid") {
        let mut server = server(Revision::V5, &["/"]);
        let taken = MessagePack::decode(Message::Binary(&hex(string(&row["hex"]))), &config)
            .and_then(|packet| packet.to_text())
            .and_then(|text| server.handle_message(Message::Text(&text), at(0)).map(|_| ()));
        assert_eq!(taken.expect_err(&row.to_string()).name(), row["error"], "{row}");
    }
}

#[test]
fn socketio4_packets() {
    let vectors = read("socketio4-packets.json");
    rows(&vectors, "valid").iter().for_each(|row| check_packet(row, Revision::V4));
    rows(&vectors, "invalid").iter().for_each(|row| check_invalid_packet(row, Revision::V4));
    for row in rows(&vectors, "server") {
        let mut out = Vec::new();
        assert!(encode(&mut out, &value(&row["packet"])).is_empty(), "{row}");
        assert_eq!(String::from_utf8(out).unwrap(), string(&row["text"]), "{row}");
    }
    for row in rows(&vectors, "ascii") {
        assert_eq!(encode::ascii(string(&row["text"])), string(&row["ascii"]), "{row}");
    }
    for row in rows(&vectors, "ids") {
        assert_eq!(socket_id_v4(string(&row["namespace"]), string(&row["sid"])), string(&row["id"]), "{row}");
    }
}

fn check_packet(row: &Json, revision: Revision) {
    let text = string(&row["text"]);
    let attachments: Vec<_> = row["attachments"].as_array().into_iter().flatten().map(|h| hex(string(h))).collect();
    let packet = value(&row["packet"]);
    let messages = [vec![Message::Text(text)], attachments.iter().map(|bytes| Message::Binary(bytes)).collect()];
    assert_eq!(decode(revision, &packet, &messages.concat()), packet, "{row}");
    if row["decode_only"] != true {
        let mut out = Vec::new();
        assert_eq!(encode(&mut out, &packet), attachments, "{row}");
        assert_eq!(String::from_utf8(out).unwrap(), text, "{row}");
    }
}

fn check_invalid_packet(row: &Json, revision: Revision) {
    let namespaces: Vec<_> = match row["connected"].as_array() {
        None => vec!["/", "/admin"],
        Some(names) => names.iter().map(string).collect(),
    };
    let mut server = server(revision, &namespaces);
    let mut last = Ok(());
    for message in rows(row, "messages") {
        assert_eq!(last, Ok(()), "only the last message is wrong: {row}");
        let bytes = message["binary"].as_str().map(hex);
        let message = bytes.as_deref().map_or_else(|| Message::Text(string(message)), Message::Binary);
        last = server.handle_message(message, at(0)).map(|_| ());
    }
    let error = last.expect_err(&row.to_string());
    assert_eq!(error.name(), row["error"], "{row}");
}

/// Feeds the messages to whichever role gets such a packet, and describes what came in the form of the vectors.
fn decode(revision: Revision, packet: &Value, messages: &[Message<'_>]) -> Value {
    let namespace = packet["namespace"].as_str().unwrap();
    let mut connection = match packet["type"].as_str().unwrap() {
        "connect_error" => {
            let mut client = Connection::client_with_revision(revision, Arc::new(ConnectionConfig::default()));
            client.connect(namespace).unwrap();
            client
        }
        "connect" => server(revision, &[]),
        _ => server(revision, &[namespace]),
    };
    let (last, first) = messages.split_last().unwrap();
    for message in first {
        assert!(connection.handle_message(*message, at(0)).unwrap().is_none());
    }
    let incoming = connection.handle_message(*last, at(0)).unwrap().unwrap();
    describe(incoming, namespace)
}

fn describe(incoming: Incoming<'_>, namespace: &str) -> Value {
    let all = |args: &Args<'_>| Value::Array((0..args.len()).map(|index| args.value(index).unwrap()).collect());
    let (kind, mut fields) = match incoming {
        Incoming::Connect { auth: payload, .. } => ("connect", payload_field(payload)),
        Incoming::ConnectError { payload, .. } => ("connect_error", payload_field(payload)),
        Incoming::Disconnect { .. } => ("disconnect", vec![]),
        Incoming::Event { name, args, ack, .. } => {
            let fields = vec![("name", name.as_ref().into()), ("args", all(&args))];
            ("event", [fields, ack.map(|id| ("id", id.into())).into_iter().collect()].concat())
        }
        Incoming::Ack { id, args, .. } => ("ack", vec![("id", id.into()), ("args", all(&args))]),
        Incoming::Connected { .. } => panic!("no vector is an answer"),
    };
    fields.extend([("type", kind.into()), ("namespace", namespace.into())]);
    Value::Object(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn payload_field(payload: Option<&serde_json::value::RawValue>) -> Vec<(&'static str, Value)> {
    let payload = payload.map(|raw| Args::from_raw(Some(raw)).value(0).unwrap());
    payload.into_iter().map(|payload| ("payload", payload)).collect()
}

fn encode(out: &mut Vec<u8>, packet: &Value) -> Vec<Bytes> {
    let (namespace, id) = (packet["namespace"].as_str().unwrap(), packet["id"].as_u64());
    match packet["type"].as_str().unwrap() {
        "connect" => encode::connect(out, namespace, &packet["payload"]).unwrap(),
        "disconnect" => encode::disconnect(out, namespace),
        "connect_error" => {
            let payload = &packet["payload"];
            let data = (!payload["data"].is_null()).then_some(&payload["data"]);
            encode::connect_error(out, namespace, payload["message"].as_str().unwrap(), data);
        }
        "error" => {
            let data = (!packet["data"].is_null()).then_some(&packet["data"]);
            encode::error_v4(out, namespace, packet["message"].as_str().unwrap(), data);
        }
        "event" => {
            let (name, args) = (packet["name"].as_str().unwrap(), Several(packet["args"].as_array().unwrap()));
            return encode::event(out, namespace, id, name, &args).unwrap();
        }
        "ack" => {
            return encode::ack(out, namespace, id.unwrap(), &Several(packet["args"].as_array().unwrap())).unwrap();
        }
        other => panic!("unknown type {other}"),
    }
    Vec::new()
}

fn server(revision: Revision, namespaces: &[&str]) -> Connection {
    connected_server_with_revision(revision, ConnectionConfig::default(), namespaces)
}

/// An Engine.IO packet of the vectors.
struct OwnedPacket {
    kind: String,
    data: String,
    binary: Option<Vec<u8>>,
}

impl OwnedPacket {
    fn new(json: &Json) -> Self {
        let data = json["data"].as_str().unwrap_or("").to_owned();
        OwnedPacket { kind: string(&json["type"]).to_owned(), data, binary: json["binary"].as_str().map(hex) }
    }

    fn borrow(&self) -> Packet<'_> {
        match (self.kind.as_str(), &self.binary) {
            ("open", None) => Packet::Open(&self.data),
            ("close", None) => Packet::Close,
            ("ping", None) => Packet::Ping(&self.data),
            ("pong", None) => Packet::Pong(&self.data),
            ("message", None) => Packet::Message(Message::Text(&self.data)),
            ("message", Some(bytes)) => Packet::Message(Message::Binary(bytes)),
            ("upgrade", None) => Packet::Upgrade,
            ("noop", None) => Packet::Noop,
            (kind, _) => panic!("unknown type {kind}"),
        }
    }
}

fn read(name: &str) -> Json {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors").join(name);
    let json = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&json).unwrap()
}

fn rows<'a>(json: &'a Json, name: &str) -> &'a [Json] {
    json[name].as_array().map_or_else(|| panic!("no {name} in {json}"), Vec::as_slice)
}

fn string(json: &Json) -> &str {
    json.as_str().unwrap_or_else(|| panic!("{json} is no text"))
}

fn hex(digits: &str) -> Vec<u8> {
    assert_eq!(digits.len() % 2, 0, "{digits}");
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

/// JSON of the vectors, where `{"$bytes": hex}` is bytes.
fn value(json: &Json) -> Value {
    match json {
        Json::Object(entries) => match entries.get("$bytes") {
            Some(digits) => Value::from(hex(string(digits))),
            None => Value::Object(entries.iter().map(|(key, json)| (key.clone(), value(json))).collect()),
        },
        Json::Array(elements) => Value::Array(elements.iter().map(value).collect()),
        plain => Value::from(plain.clone()),
    }
}
