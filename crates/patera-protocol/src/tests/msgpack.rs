//! What the vectors do not say: depth, lengths of JSON, limits at their edges, JSON as text, and what holds for every input.

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{socketio::Limit, tests::properties::value};

fn packet(json: &str) -> Packet<'static> {
    Packet::new(PacketType::Event, "/").with_json(json.to_owned(), Vec::new())
}

fn read(data: &[u8], limits: &ConnectionConfig) -> Result<Packet<'static>, Error> {
    MessagePack::decode(Message::Binary(data), limits)
}

fn read_json(text: &str) -> Result<Packet<'static>, Error> {
    MessagePack::decode(Message::Text(text), &ConnectionConfig::default())
}

/// What comes back of JSON that goes out.
fn check(json: &str, expected: &str) {
    let back = read(&MessagePack::encode(&packet(json)), &ConnectionConfig::default()).unwrap();
    assert_eq!(back.json(), expected, "{json}");
}

#[test]
fn json_is_written_whatever_its_space_and_escapes() {
    check(" [ ] ", "[]");
    check("[ 1 ,\t[ ] , { } ,{ \"a\" : [ 2 ,3 ] }\n]", r#"[1,[],{},{"a":[2,3]}]"#);
    check(r#"["\u00e9\/\"\\","[{,:}]","\\\"",""]"#, r#"["é/\"\\","[{,:}]","\\\"",""]"#);
    check(r#"[{"a\"b":1,"c":{"d":[]}}]"#, r#"[{"a\"b":1,"c":{"d":[]}}]"#);
    check(r#"["\ud83d\ude00"]"#, r#"["😀"]"#);
}

#[test]
fn half_a_surrogate_pair_is_replaced() {
    check(r#"["a\ud800"]"#, "[\"a\u{fffd}\u{fffd}\u{fffd}\"]");
}

#[test]
fn integers_of_64_bits_are_exact() {
    for number in ["18446744073709551615", "9223372036854775808", "-9223372036854775808", "9007199254740993"] {
        check(&format!("[{number}]"), &format!("[{number}]"));
    }
}

#[test]
fn what_is_an_integer_in_javascript_is_one() {
    check("[1.0,-1.0,-0,-0.0,1e3,1.5e0]", "[1,-1,0,0,1000,1.5]");
    check("[18446744073709551616,-9223372036854775809,1e300]", "[1.8446744073709552e+19,-9223372036854775808,1e+300]");
}

#[test]
fn numbers_beyond_floats_are_null() {
    check("[1e400,-1e400]", "[null,null]");
}

#[test]
fn values_that_look_like_placeholders_are_values() {
    check(r#"[{"_placeholder":true,"num":0}]"#, r#"[{"_placeholder":true,"num":0}]"#);
    let bytes = vec![Bytes::from_static(b"x")];
    let json = r#"[{"_placeholder":true,"num":1},{"_placeholder":false,"num":0},{"_placeholder":true,"num":0}]"#;
    let out = MessagePack::encode(&packet("").with_json(json, bytes.clone()));
    let back = read(&out, &ConnectionConfig::default()).unwrap();
    assert_eq!((back.json(), back.attachments()), (json, &bytes[..]));
}

#[test]
fn depth_is_bounded_and_costs_no_stack() {
    let nested = |levels: usize| [vec![b'['; levels], vec![b']'; levels]].concat();
    let limits = ConnectionConfig { json_depth_max: 5, ..ConnectionConfig::default() };
    for (levels, limits, taken) in [
        (4, &limits, true),
        (5, &limits, true),
        (6, &limits, false),
        (128, &ConnectionConfig::default(), true),
        (129, &ConnectionConfig { json_depth_max: usize::MAX, ..ConnectionConfig::default() }, false),
        (200_000, &limits, false),
    ] {
        let json = String::from_utf8(nested(levels)).unwrap();
        let max = limits.json_depth_max.min(128);
        let expected = if taken { Ok(packet(&json)) } else { Err(Error::Limit { what: Limit::JsonDepth, max }) };
        assert_eq!(read(&MessagePack::encode(&packet(&json)), limits), expected, "{levels}");
    }
}

#[test]
fn attachments_are_bounded() {
    let limits = ConnectionConfig { attachments_max: 2, ..ConnectionConfig::default() };
    let of = |count: usize| {
        let data: Vec<_> = (0..count).map(|at| crate::socketio::Value::from(vec![at as u8])).collect();
        MessagePack::encode(&packet("").with_data(&data).unwrap())
    };
    for count in [1, 2] {
        assert_eq!(read(&of(count), &limits).unwrap().attachments().len(), count);
    }
    assert_eq!(read(&of(3), &limits), Err(Error::Limit { what: Limit::Attachments, max: 2 }));
}

#[test]
fn a_declared_length_allocates_nothing() {
    // "data": an array of arrays, each of which says that it has 2^32 - 1 elements.
    let head = b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data";
    let mut packet = head.to_vec();
    (0..100).for_each(|_| packet.extend_from_slice(b"\xdd\xff\xff\xff\xff"));
    assert_eq!(read(&packet, &ConnectionConfig::default()), Err(Error::InvalidPayload));
}

#[test]
fn text_is_the_json_of_a_packet() {
    let event = Packet::new(PacketType::Event, "/chat").with_id(Some(7)).with_json(r#"["a", {"b":[]}]"#, Vec::new());
    let text = r#" {"id":7,"options":{"compress":true},"data":["a", {"b":[]}],"nsp":"/chat","type":2}"#;
    assert_eq!(read_json(text), Ok(event));
    assert_eq!(read_json(r#"{"type":1,"nsp":"/","data":null}"#), Ok(Packet::new(PacketType::Disconnect, "/")));
    assert_eq!(read_json(r#"{"type":5,"nsp":"/"}"#), Err(Error::UnknownType));
    for text in [
        "",
        "0",
        r#"[2,"/"]"#,
        r#"{"type":0}"#,
        r#"{"nsp":"/"}"#,
        r#"{"type":0.5,"nsp":"/"}"#,
        r#"{"type":-1,"nsp":"/"}"#,
        r#"{"type":2,"nsp":1,"data":["a"]}"#,
        r#"{"type":2,"nsp":"/","data":["a"],"id":"1"}"#,
        r#"{"type":2,"nsp":"/","data":["a"],"id":1.5}"#,
        r#"{"type":2,"nsp":"/","data":["a"]}x"#,
    ] {
        assert_eq!(read_json(text), Err(Error::InvalidPayload), "{text}");
    }
    // What is deep costs no stack here, and is refused by whoever takes the packet.
    let data = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(read_json(&format!(r#"{{"type":2,"nsp":"/","data":{data}}}"#)), Ok(packet(&data)));
}

proptest! {
    #[test]
    fn packets_read_back(
        data in vec(value(), 0..6),
        namespace in "/[^,]{0,20}",
        id in prop::option::of(0..1_u64 << 53),
    ) {
        let limits = ConnectionConfig { attachments_max: usize::MAX, ..ConnectionConfig::default() };
        let packet = Packet::new(PacketType::Event, namespace).with_id(id).with_data(&data).unwrap();
        let back = read(&MessagePack::encode(&packet), &limits).unwrap();
        prop_assert_eq!(back.attachments(), packet.attachments());
        // Floats that are integers come back as such; once is enough.
        let again = read(&MessagePack::encode(&back), &limits).unwrap();
        prop_assert_eq!(&again, &back);
        let text = back.to_text().unwrap();
        let parsed = Packet::of_text(&text, back.attachments()).unwrap();
        prop_assert_eq!(&parsed, &back);
    }

    #[test]
    fn no_bytes_panic(data in vec(any::<u8>(), 0..200), head in any::<bool>()) {
        let head: &[u8] = if head { b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data" } else { b"" };
        let data = [head, &data].concat();
        if let Ok(packet) = read(&data, &ConnectionConfig::default()) {
            prop_assert!(packet.json().len() <= 6 * data.len() + 45 * packet.attachments().len());
            prop_assert!(packet.json().is_empty() || serde_json::from_str::<&RawValue>(packet.json()).is_ok());
        }
        let _ = MessagePack::decode(Message::Text(&String::from_utf8_lossy(&data)), &ConnectionConfig::default());
    }

    #[test]
    fn no_json_panics(json in ".{0,60}", pieces in vec(prop::sample::select(vec!["[", "]", "{", "}", "\"", "\\", ",", ":", "1", "-", "t", "true", "é", " "]), 0..20)) {
        MessagePack::encode(&packet(&json));
        MessagePack::encode(&packet(&pieces.concat()));
    }
}
