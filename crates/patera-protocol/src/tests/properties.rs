//! What holds for every input: what is written reads back the same, and no bytes panic.

use std::sync::Arc;

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};

use super::{Several, at, connected_server, connected_server_with_revision};
use crate::{
    engineio::{
        FrameHeader, Handshake, Message, Packet, Query, Version, jsonp,
        payload::{Decoder, Encoder, Format},
        payload_v3::Reader,
    },
    socketio::{Args, Connection, ConnectionConfig, Incoming, RESERVED_EVENTS, Revision, Value, encode},
};

proptest! {
    #[test]
    fn engineio_packet_reads_back(kind in 0..6_u8, data in ".*", bytes in vec(any::<u8>(), 0..64)) {
        let packet = match kind {
            0 => Packet::Open(&data),
            1 => Packet::Ping(&data),
            2 => Packet::Pong(&data),
            3 => Packet::Message(Message::Text(&data)),
            4 => Packet::Message(Message::Binary(&bytes)),
            _ => Packet::Noop,
        };
        let mut out = Vec::new();
        packet.encode_text(&mut out);
        let text = String::from_utf8(out).unwrap();
        let mut scratch = Vec::new();
        prop_assert_eq!(Packet::decode_with(&text, &mut scratch), Ok(packet));
    }

    #[test]
    fn frame_header_reads_back(binary: bool, length in 1..usize::MAX, behind in vec(any::<u8>(), 0..8)) {
        let header = FrameHeader { binary, length };
        let mut out = Vec::new();
        header.encode(&mut out);
        let bytes = out.len();
        out.extend(behind);
        prop_assert_eq!(FrameHeader::decode(&out, length), Ok(Some((header, bytes))));
        prop_assert!(FrameHeader::decode(&out, length - 1).is_err());
    }

    #[test]
    fn frame_header_takes_any_bytes(data in vec(any::<u8>(), 0..12), max in 0..2_000_000_usize) {
        if let Ok(Some((header, bytes))) = FrameHeader::decode(&data, max) {
            prop_assert!(header.length <= max && bytes <= data.len());
        }
    }

    #[test]
    fn payload_reads_back(messages in vec(prop_oneof![text().prop_map(Ok), vec(any::<u8>(), 0..64).prop_map(Err)], 1..20)) {
        let mut encoder = Encoder::new();
        let packets: Vec<_> = messages.iter().map(|message| Packet::Message(match message {
            Ok(text) => Message::Text(text),
            Err(bytes) => Message::Binary(bytes),
        })).collect();
        packets.iter().for_each(|packet| encoder.push(packet));
        let body = encoder.finish();
        let mut decoder = Decoder::new(&body).unwrap();
        for packet in packets {
            prop_assert_eq!(decoder.next_packet(), Some(Ok(packet)));
        }
        prop_assert_eq!(decoder.next_packet(), None);
    }

    #[test]
    fn payload_of_revision_3_reads_back(
        messages in vec(prop_oneof![text_of_revision_3().prop_map(Ok), vec(any::<u8>(), 0..64).prop_map(Err)], 1..20),
        base64 in any::<bool>(),
        pings in 0..3_usize,
    ) {
        let packets = messages.iter().map(|message| Packet::Message(match message {
            Ok(text) => Message::Text(text),
            Err(bytes) => Message::Binary(bytes),
        }));
        let packets: Vec<_> = packets.chain(std::iter::repeat_n(Packet::Ping(""), pings)).collect();
        let mut encoder = Encoder::with_format(Format { version: Version::V3, base64, jsonp: None });
        packets.iter().for_each(|packet| encoder.push(packet));
        let binary = encoder.content_type() == "application/octet-stream";
        prop_assert_eq!(binary, !base64 && messages.iter().any(Result::is_err));
        let body = encoder.finish();
        let mut reader = if binary { Reader::bytes() } else { Reader::text_as_is() };
        for packet in packets {
            prop_assert_eq!(reader.next_packet(&body), Some(Ok(packet)));
        }
        prop_assert_eq!(reader.next_packet(&body), None);
    }

    #[test]
    fn text_encoded_twice_reads_back(text in ".*") {
        let twice: String = format!("4{text}").bytes().map(char::from).collect();
        let body = format!("{}:{twice}", twice.encode_utf16().count());
        let mut reader = Reader::text();
        prop_assert_eq!(reader.next_packet(body.as_bytes()), Some(Ok(Packet::Message(Message::Text(&text)))));
    }

    #[test]
    fn callback_gets_the_payload(payload in any::<String>(), index in any::<u32>()) {
        let script = String::from_utf8(jsonp::encode_call(index, payload.as_bytes())).unwrap();
        let argument = script.strip_prefix(&format!("___eio[{index}](")).unwrap().strip_suffix(");").unwrap();
        prop_assert!(script.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'<'));
        // Our strings are JSON as well.
        prop_assert_eq!(serde_json::from_str::<String>(argument).unwrap(), payload);
    }

    #[test]
    fn no_bytes_panic_engineio_3(body in prop_oneof![vec(any::<u8>(), 0..200), near_payload_of_revision_3()]) {
        for mut reader in [Reader::text(), Reader::text_as_is(), Reader::bytes()] {
            let mut count = 0;
            while let Some(packet) = reader.next_packet(&body) {
                count += 1;
                prop_assert!(packet.is_ok() || reader.is_done(&body));
            }
            prop_assert!(reader.is_done(&body) && count <= body.len().max(1));
        }
        let _ = Version::V3.decode_binary(&body);
        let _ = Version::V3.decode_text(&String::from_utf8_lossy(&body), &mut Vec::new());
        let _ = jsonp::decode_form(&body);
    }

    #[test]
    fn event_reads_back(
        namespace in namespace(),
        name in ".{0,20}",
        args in vec(value(), 0..6),
        id in proptest::option::of(0..1_u64 << 53),
    ) {
        prop_assume!(!RESERVED_EVENTS.contains(&name.as_str()));
        let mut out = Vec::new();
        let attachments = encode::event(&mut out, &namespace, id, &name, &Several(&args)).unwrap();
        check_reads_back(&mut server(&[&namespace]), &out, &attachments, |incoming| match incoming {
            Incoming::Event { name: read, args: read_args, ack, .. } => {
                assert_eq!((read.as_ref(), ack), (name.as_str(), id));
                check_args(&read_args, &args);
            }
            other => panic!("{other:?}"),
        });
    }

    #[test]
    fn event_in_ascii_reads_back_in_revision_4(
        namespace in namespace_v4(),
        name in ".{0,20}",
        args in vec(value(), 0..6),
        id in proptest::option::of(0..1_u64 << 53),
    ) {
        prop_assume!(!RESERVED_EVENTS.contains(&name.as_str()));
        let mut out = Vec::new();
        let attachments = encode::event(&mut out, &namespace, id, &name, &Several(&args)).unwrap();
        let text = String::from_utf8(out).unwrap();
        let ascii = encode::ascii(&text);
        prop_assert!(ascii.is_ascii() || !namespace.is_ascii());
        prop_assert_eq!(&encode::ascii(&ascii), &ascii);
        let mut server = connected_server_with_revision(Revision::V4, many_attachments(), &[&namespace]);
        check_reads_back(&mut server, ascii.as_bytes(), &attachments, |incoming| match incoming {
            Incoming::Event { name: read, args: read_args, ack, .. } => {
                assert_eq!((read.as_ref(), ack), (name.as_str(), id));
                check_args(&read_args, &args);
            }
            other => panic!("{other:?}"),
        });
    }

    #[test]
    fn any_text_has_an_ascii_form(text in prop_oneof![near_packet(), ".{0,40}"]) {
        let ascii = encode::ascii(&text);
        prop_assert_eq!(&encode::ascii(&ascii), &ascii);
        if let Ok(json) = serde_json::from_str::<serde_json::Value>(&text) {
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&ascii).unwrap(), json);
        }
    }

    #[test]
    fn query_is_what_the_client_said(pairs in vec(("[a-z_é😀 &=+%]{1,6}", "[a-z_é😀 &=+%]{0,6}"), 1..5)) {
        let escape = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
        let query: Vec<_> = pairs.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
        let mut server = connected_server_with_revision(Revision::V4, ConnectionConfig::default(), &["/"]);
        let text = format!("0/chat?{},", query.join("&"));
        let Ok(Some(Incoming::Connect { namespace: "/chat", auth, .. })) = server.handle_message(Message::Text(&text), at(0))
        else {
            panic!("{text}");
        };
        let auth = Args::from_raw(auth).value(0).unwrap();
        for (name, _) in &pairs {
            let values: Vec<_> = pairs.iter().filter(|pair| pair.0 == *name).map(|pair| Value::from(pair.1.as_str())).collect();
            let expected = if let [value] = values.as_slice() { value.clone() } else { Value::from(values) };
            prop_assert_eq!(&auth[name.as_str()], &expected);
        }
    }

    #[test]
    fn acknowledgement_reads_back(namespace in namespace(), args in vec(value(), 0..6), id in 0..1_u64 << 53) {
        let mut out = Vec::new();
        let attachments = encode::ack(&mut out, &namespace, id, &Several(&args)).unwrap();
        check_reads_back(&mut server(&[&namespace]), &out, &attachments, |incoming| match incoming {
            Incoming::Ack { id: read, args: read_args, .. } => {
                assert_eq!(read, id);
                check_args(&read_args, &args);
            }
            other => panic!("{other:?}"),
        });
    }

    #[test]
    fn value_reads_back_through_json(value in value()) {
        let json = value.to_string();
        let plain: serde_json::Value = serde_json::from_str(&json).unwrap();
        if !json.contains("base64") {
            prop_assert_eq!(Value::from(plain), value);
        }
    }

    #[test]
    fn no_bytes_panic_engineio(body in vec(any::<u8>(), 0..200)) {
        if let Ok(mut decoder) = Decoder::new(&body) {
            while decoder.next_packet().is_some() {}
        }
        let text = String::from_utf8_lossy(&body);
        let _ = Packet::decode_with(&text, &mut Vec::new());
        let _ = Handshake::parse(&text);
        let _ = Query::parse(&text);
    }

    #[test]
    fn no_near_packet_panics_socketio(messages in vec(prop_oneof![near_packet().prop_map(Ok), vec(any::<u8>(), 0..8).prop_map(Err)], 1..12)) {
        let server_v4 = connected_server_with_revision(Revision::V4, many_attachments(), &["/", "/a"]);
        for mut connection in [server(&["/", "/a"]), client(), server_v4, client_v4()] {
            for message in &messages {
                let message = match message {
                    Ok(text) => Message::Text(text),
                    Err(bytes) => Message::Binary(bytes),
                };
                // What comes after an error is not to be understood, but must not do harm either.
                if let Ok(Some(Incoming::Event { args, .. } | Incoming::Ack { args, .. })) = connection.handle_message(message, at(0)) {
                    touch(&args);
                }
            }
        }
    }
}

/// Both ways to decode agree with each other, whatever came.
fn touch(args: &Args<'_>) {
    let owned = args.to_owned_args();
    for index in 0..=args.len() {
        let (shared, copied) = (args.value(index), args.decode::<Value>(index));
        match (shared, copied) {
            (Ok(shared), Ok(copied)) => assert_eq!(shared, copied),
            (shared, copied) => assert!(shared.is_err() && copied.is_err()),
        }
        let _ = args.decode::<Bytes>(index);
        let _ = args.decode::<Vec<Option<Bytes>>>(index);
    }
    let _ = owned.decode_answer::<(Value, Option<String>)>();
}

fn check_args(args: &Args<'_>, expected: &[Value]) {
    assert_eq!(args.len(), expected.len());
    for (index, expected) in expected.iter().enumerate() {
        assert_eq!(args.value(index).unwrap(), *expected);
        assert_eq!(args.decode::<Value>(index).unwrap(), *expected);
    }
}

fn check_reads_back(server: &mut Connection, out: &[u8], attachments: &[Bytes], check: impl FnOnce(Incoming<'_>)) {
    let text = std::str::from_utf8(out).unwrap();
    let messages = [Message::Text(text)].into_iter().chain(attachments.iter().map(|bytes| Message::Binary(bytes)));
    let messages: Vec<_> = messages.collect();
    let (last, first) = messages.split_last().unwrap();
    for message in first {
        assert!(server.handle_message(*message, at(0)).unwrap().is_none());
    }
    check(server.handle_message(*last, at(0)).unwrap().unwrap());
}

fn server(namespaces: &[&str]) -> Connection {
    connected_server(many_attachments(), namespaces)
}

fn many_attachments() -> ConnectionConfig {
    ConnectionConfig { attachments_max: 200, ..ConnectionConfig::default() }
}

fn client_v4() -> Connection {
    let mut client = Connection::client_with_revision(Revision::V4, Arc::new(ConnectionConfig::default()));
    client.connect("/").unwrap();
    client.connect("/a").unwrap();
    client
}

fn client() -> Connection {
    let mut client = Connection::client(Arc::new(ConnectionConfig::default()));
    client.connect("/").unwrap();
    client.connect("/a").unwrap();
    client
}

/// Text without the separator, which a JSON encoder escapes.
fn text() -> impl Strategy<Value = String> {
    "[^\u{1e}]{0,40}"
}

/// Any text, but often with characters of all lengths.
fn text_of_revision_3() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[a-zé€😀\u{ffff}:0-9]{0,40}"]
}

/// Lengths, right and wrong, and packets of both forms.
fn near_payload_of_revision_3() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&[u8]> = vec![
        b"2:4a",
        b"1:2",
        b"0:",
        b"9:",
        b"1",
        b":",
        "2:4€".as_bytes(),
        "3:4😀".as_bytes(),
        "3:4Ã©".as_bytes(),
        b"b4AQ==",
        b"6:b4AQ==",
        &[0, 2, 255, b'4', b'a'],
        &[1, 2, 255, 4, 9],
        &[0],
        &[1, 9, 9, 255],
        &[255],
        b"99999999999999999999:",
        &[0x80],
        &[0xf0, 0x9f],
    ];
    vec(prop::sample::select(pieces), 0..12).prop_map(|pieces| pieces.concat())
}

fn namespace() -> impl Strategy<Value = String> {
    prop_oneof![Just("/".to_owned()), "/[a-z0-9_?=/é-]{1,20}"]
}

/// Without a query.
fn namespace_v4() -> impl Strategy<Value = String> {
    prop_oneof![Just("/".to_owned()), "/[a-z0-9_=/é-]{1,20}"]
}

pub(crate) fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1_000_000_i32..1_000_000).prop_map(|number| Value::from(f64::from(number) / 64.0)),
        ".{0,12}".prop_map(Value::from),
        vec(any::<u8>(), 0..16).prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            // An object of the application that looks like a placeholder is one to the peer, here as in the reference.
            proptest::collection::btree_map("[a-z0-9 \"]{0,6}", inner, 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

/// Text made of the pieces that packets are made of, so that most of it gets past the first check.
fn near_packet() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => prop::sample::select(vec![
            "0", "1", "2", "3", "4", "5", "6", "0/a?b=%c,", "?", "51-", "52-", "61-", "/", "/a,", "/a", ",", "[", "]", "{", "}", "\"a\"", "\"", ":",
            "{\"_placeholder\":true,\"num\":0}", "{\"num\":1,\"_placeholder\":true}", "{\"_placeholder\":", "\"num\":", "[\"x\",",
            "true", "null", "1e400", "-0", "\\ud800", "\"\\ud800\"", "9007199254740991", "[\"a\",{\"_placeholder\":true,\"num\":0}]",
        ]).prop_map(str::to_owned),
        1 => ".{0,3}",
    ];
    let head = prop::sample::select(vec!["", "2[\"a\",", "51-[\"a\",", "52-/a,7[\"a\",", "61-1[", "0{", "2/a,", "31["]);
    let tail = prop::sample::select(vec!["", "]", "}", "}]"]);
    (head, vec(piece, 0..8), tail).prop_map(|(head, pieces, tail)| [head, &pieces.concat(), tail].concat())
}
