//! Packets of Socket.IO as text with attachments behind it: both revisions, both roles.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use patera_protocol::{
    engineio::Message,
    parser::{MessagePack, Packet},
    socketio::{Args, Connection, ConnectionConfig, Incoming, OwnedArgs, RESERVED_EVENTS, Revision, Value, encode},
};
use serde::{Serialize, Serializer, ser::SerializeTuple};

use super::at;
use crate::{
    input::{Input, Piece},
    memory,
};

/// The input is a byte of flags (1: revision 4; 2: a client; 4: small limits) and messages.
pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.byte();
    let revision = if flags & 1 == 0 { Revision::V5 } else { Revision::V4 };
    let config = Arc::new(config(flags & 4 != 0));
    let mut connection = if flags & 2 == 0 { server(revision, &config) } else { client(revision, &config) };
    for number in 0.. {
        let Some(piece) = input.message() else { break };
        if !handle(&mut connection, revision, &config, piece, number) {
            break;
        }
    }
}

fn config(small: bool) -> ConnectionConfig {
    if !small {
        return ConnectionConfig::default();
    }
    ConnectionConfig {
        attachments_max: 3,
        attachments_bytes_max: 20,
        arguments_max: 4,
        event_name_bytes_max: 8,
        namespace_bytes_max: 10,
        query_bytes_max: 12,
        namespaces_max: 3,
        json_depth_max: 5,
        ..ConnectionConfig::default()
    }
}

/// A server whose client is in `/` and `/a`.
pub(super) fn server(revision: Revision, config: &Arc<ConnectionConfig>) -> Connection {
    let mut server = Connection::server_with_revision(revision, config.clone());
    let root = server.enter_root().expect("nothing is entered yet");
    server.accept(root);
    let Ok(Some(Incoming::Connect { slot, .. })) = server.handle_message(Message::Text("0/a,"), at(0)) else {
        panic!("it is a CONNECT");
    };
    server.accept(slot);
    server
}

fn client(revision: Revision, config: &Arc<ConnectionConfig>) -> Connection {
    let mut client = Connection::client_with_revision(revision, config.clone());
    for namespace in ["/", "/a"] {
        client.connect(namespace).expect("nothing is entered yet");
    }
    client
}

/// Handles a message; whether the connection goes on.
fn handle(
    connection: &mut Connection,
    revision: Revision,
    config: &ConnectionConfig,
    piece: Piece<'_>,
    number: usize,
) -> bool {
    let (message, len) = match piece {
        Piece::Text(text) => {
            let ascii = encode::ascii(text);
            assert_eq!(encode::ascii(&ascii), ascii, "what is ASCII stays as it is");
            (Message::Text(text), text.len())
        }
        Piece::Binary(data) => (Message::Binary(data), data.len()),
    };
    let now = at(number as u64);
    // Of the arguments, each is remembered; of placeholders, one may be looked at ahead.
    let held = 16 * len + 64 * config.arguments_max + 4096;
    let asks = match memory::within(held, || connection.handle_message(message, now)) {
        Err(_) => return false,
        Ok(None) => None,
        Ok(Some(Incoming::Connect { slot, namespace, auth })) => {
            assert!(namespace.starts_with('/') && namespace.len() <= config.namespace_bytes_max);
            check_payload(auth);
            Some(slot)
        }
        Ok(Some(Incoming::Connected { payload, .. } | Incoming::ConnectError { payload, .. })) => {
            check_payload(payload);
            None
        }
        Ok(Some(Incoming::Disconnect { .. })) => None,
        Ok(Some(Incoming::Event { name, args, ack, .. })) => {
            assert!(!RESERVED_EVENTS.contains(&&*name) && name.len() <= config.event_name_bytes_max);
            check_args(&args, config);
            check_event_reads_back(revision, &name, &args, ack);
            None
        }
        Ok(Some(Incoming::Ack { id, args, .. })) => {
            check_args(&args, config);
            check_ack_reads_back(revision, id, &args);
            None
        }
    };
    match (asks, number % 3) {
        (None, _) => {}
        (Some(slot), 0) => connection.accept(slot),
        (Some(slot), 1) => connection.refuse(slot),
        (Some(slot), _) => connection.leave(slot),
    }
    connection.release();
    if let Some(deadline) = connection.poll_timeout() {
        let before = deadline - Duration::from_millis(1);
        assert!(deadline > now && connection.handle_timeout(before).is_ok());
        assert!(connection.handle_timeout(deadline).is_err(), "attachments have come, or it is over");
    }
    true
}

fn check_payload(payload: Option<&serde_json::value::RawValue>) {
    let args = Args::from_raw(payload);
    let (shared, copied) = (args.value(0), args.decode::<Value>(0));
    assert_eq!(shared.is_ok() || payload.is_none(), copied.is_ok() || payload.is_none());
}

/// All ways to decode agree with each other.
pub(super) fn check_args(args: &Args<'_>, config: &ConnectionConfig) {
    assert!(args.len() <= config.arguments_max && args.attachments().len() <= config.attachments_max);
    let bytes: usize = args.attachments().iter().map(Bytes::len).sum();
    assert!(bytes <= config.attachments_bytes_max);
    let owned = args.to_owned_args();
    for index in 0..=args.len() {
        let (shared, copied) = (args.value(index), args.decode::<Value>(index));
        match (shared, copied) {
            (Ok(shared), Ok(copied)) => {
                assert_eq!(shared, copied);
                assert_eq!(owned.as_args().value(index).ok(), Some(shared));
            }
            (shared, copied) => assert!(shared.is_err() && copied.is_err()),
        }
        let plain = args.decode::<serde_json::Value>(index);
        if let (Ok(plain), Ok(value)) = (plain, args.value(index)) {
            assert_eq!(Value::from(plain), value, "without bytes it is what serde_json makes of it");
        }
        let _ = args.decode::<Option<Bytes>>(index);
        let _ = args.decode::<Vec<Option<Bytes>>>(index);
        let _ = args.decode::<String>(index);
        let _ = args.decode::<(i64, f64, Option<u8>)>(index);
    }
    let _ = owned.decode_answer::<(Value, Option<String>)>();
}

/// A tuple whose length is only known now.
pub(super) struct Several<'a>(pub(super) &'a [Value]);

impl Serialize for Several<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        self.0.iter().try_for_each(|value| tuple.serialize_element(value))?;
        tuple.end()
    }
}

/// The arguments, if all can be held and none looks like a placeholder: that would become one.
pub(super) fn values(args: &Args<'_>) -> Option<Vec<Value>> {
    let values: Vec<Value> = (0..args.len()).map(|index| args.value(index).ok()).collect::<Option<_>>()?;
    values.iter().all(is_plain).then_some(values)
}

fn is_plain(value: &Value) -> bool {
    match value {
        Value::Array(values) => values.iter().all(is_plain),
        Value::Object(entries) => entries.iter().all(|(key, value)| key != "_placeholder" && is_plain(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Binary(_) => true,
    }
}

fn check_event_reads_back(revision: Revision, name: &str, args: &Args<'_>, ack: Option<u64>) {
    let Some(values) = values(args) else { return };
    let mut out = Vec::new();
    let attachments = encode::event(&mut out, "/a", ack, name, &Several(&values)).expect("it was an event");
    let text = std::str::from_utf8(&out).expect("packets are text");
    check_other_forms(text, &attachments);
    let owned = OwnedArgs::of_event(text, &attachments).expect("it is an event");
    assert_eq!(self::values(&owned.as_args()).as_ref(), Some(&values));
    read_back(revision, text, &attachments, |incoming| match incoming {
        Incoming::Event { name: read, args, ack: id, .. } => {
            assert_eq!((&*read, id), (name, ack));
            assert_eq!(self::values(&args), Some(values));
        }
        other => panic!("{other:?}"),
    });
}

fn check_ack_reads_back(revision: Revision, id: u64, args: &Args<'_>) {
    let Some(values) = values(args) else { return };
    let mut out = Vec::new();
    let attachments = encode::ack(&mut out, "/", id, &Several(&values)).expect("it was one");
    let text = std::str::from_utf8(&out).expect("packets are text");
    check_other_forms(text, &attachments);
    read_back(revision, text, &attachments, |incoming| match incoming {
        Incoming::Ack { id: read, args, .. } => {
            assert_eq!(read, id);
            assert_eq!(self::values(&args), Some(values));
        }
        other => panic!("{other:?}"),
    });
}

fn read_back(revision: Revision, text: &str, attachments: &[Bytes], check: impl FnOnce(Incoming<'_>)) {
    // A value may hold the same attachment twice; then it is sent twice.
    let config =
        ConnectionConfig { attachments_max: usize::MAX, attachments_bytes_max: usize::MAX, ..Default::default() };
    let mut server = server(revision, &Arc::new(config));
    let messages = std::iter::once(Message::Text(text)).chain(attachments.iter().map(|data| Message::Binary(data)));
    let messages: Vec<_> = messages.collect();
    let (last, first) = messages.split_last().expect("there is the text");
    for message in first {
        assert!(matches!(server.handle_message(*message, at(0)), Ok(None)));
    }
    check(server.handle_message(*last, at(0)).expect("it is well-formed").expect("it is complete"));
}

/// As a packet for parsers, and as MessagePack, it says the same.
fn check_other_forms(text: &str, attachments: &[Bytes]) {
    let packet = Packet::of_text(text, attachments).expect("we wrote it");
    assert_eq!(packet.to_text().as_deref(), Ok(text));
    let limits = ConnectionConfig { attachments_max: usize::MAX, ..Default::default() };
    let packed = MessagePack::encode(&packet);
    let read = MessagePack::decode(Message::Binary(&packed), &limits).expect("we wrote it");
    assert_eq!((read.kind(), read.namespace(), read.id()), (packet.kind(), packet.namespace(), packet.id()));
    match (read.data(), packet.data()) {
        (Ok(Some(read)), Ok(Some(value))) => assert!(is_same(&read, &value), "{read} is not {value}"),
        other => panic!("{other:?}"),
    }
}

/// Whether both are the same in JavaScript, where 1.0 is 1.
pub(super) fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().zip(other.iter()).all(|(one, other)| one.0 == other.0 && is_same(one.1, other.1))
        }
        (one, other) => one == other,
    }
}

#[cfg(test)]
mod tests {
    use patera_protocol::socketio::{Error, Limit};

    use super::*;

    #[test]
    fn limits_are_small_where_they_are_to_be_reached() {
        let config = Arc::new(config(true));
        let mut server = server(Revision::V5, &config);
        let error = server.handle_message(Message::Text(r#"2["a",1,2,3,4,5]"#), at(0)).expect_err("five are too many");
        assert!(matches!(error, Error::Limit { what: Limit::Arguments, max: 4 }));
    }
}
