//! Messages as they stand on the wire: the vectors, which are written from what socket.io's adapters send.

use std::time::Duration;
use std::{fs, path::Path};

use patera_protocol::socketio::Value;
use proptest::prelude::*;
use serde_json::Value as Json;

use crate::{Body, Encoded, Message, Target};

#[test]
fn vectors_read_and_write_as_they_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/cluster-messages.json");
    let text = fs::read_to_string(&path).unwrap();
    let vectors: Json = serde_json::from_str(&text).unwrap();
    for row in vectors["valid"].as_array().unwrap() {
        let message: Message = serde_json::from_str(&row["json"].to_string()).unwrap();
        let name = format!("{:?}", message.body);
        assert_eq!(name.split([' ', '{']).next(), row["message"].as_str(), "{row}");
        let written = serde_json::to_value(&message).unwrap();
        if row["decode_only"] != true {
            assert_eq!(written, row["json"], "{row}");
        }
        assert_eq!(serde_json::from_value::<Message>(written).unwrap(), message, "{row}");
    }
    for row in vectors["invalid"].as_array().unwrap() {
        let error = serde_json::from_str::<Message>(&row["json"].to_string()).expect_err(&row.to_string());
        assert_eq!(error.to_string(), row["error"].as_str().unwrap(), "{row}");
    }
}

#[test]
fn keys_are_in_the_order_of_the_reference() {
    let target = Target::room("room1");
    let event = Encoded::of(&"hello").unwrap();
    let body = Body::Broadcast { event, target, request: None };
    let message = Message { uid: "3d911c243b3008ec".into(), namespace: "/".into(), body };
    let json = r#"{"type":3,"data":{"packet":{"type":2,"data":["hello"]},"opts":{"rooms":["room1"],"except":[],"flags":{}}},"uid":"3d911c243b3008ec","nsp":"/"}"#;
    assert_eq!(serde_json::to_string(&message).unwrap(), json);
}

#[test]
fn what_an_emitter_sends_names_its_namespace_in_the_packet() {
    let json = r#"{"type":3,"data":{"packet":{"type":2,"data":["hi",1],"nsp":"/a"},"opts":{"rooms":[],"except":[],"flags":{}}},"uid":"emitter"}"#;
    let message: Message = serde_json::from_str(json).unwrap();
    assert_eq!(&*message.namespace, "/a");
}

#[test]
fn nothing_acknowledged_is_nothing_and_one_answer_is_one() {
    let answer = |json: &str| match serde_json::from_str::<Message>(json).unwrap().body {
        Body::BroadcastAck { answer, .. } => answer.json().to_owned(),
        body => panic!("{body:?}"),
    };
    let with = |data: &str| answer(&format!(r#"{{"type":12,"data":{{"requestId":"r"{data}}},"uid":"x","nsp":"/"}}"#));
    assert_eq!(with(""), "[]");
    assert_eq!(with(r#","packet":null"#), "[]");
    assert_eq!(with(r#","packet":[1,2]"#), "[[1,2]]");
    assert_eq!(with(r#","packet":false"#), "[false]");
}

#[test]
fn timeouts_are_milliseconds() {
    let mut target = Target::default();
    target.flags.timeout = Some(Duration::from_micros(1_500_900));
    assert_eq!(serde_json::to_value(&target).unwrap()["flags"]["timeout"], 1500);
    target.flags.timeout = Some(Duration::MAX);
    assert_eq!(serde_json::to_value(&target).unwrap()["flags"]["timeout"], u64::MAX);
}

#[test]
fn bytes_are_in_place() {
    let event = Encoded::of(&("file", bytes::Bytes::from_static(b"ab"))).unwrap();
    let body = Body::ServerSideEmit { event: event.clone(), request: None };
    let message = Message { uid: "x".into(), namespace: "/".into(), body };
    // JSON has no bytes, so they are numbers there; what has bytes gets them as such.
    assert_eq!(serde_json::to_value(&message).unwrap()["data"]["packet"], serde_json::json!(["file", [97, 98]]));
    assert_eq!(event.to_values()[1], Value::from(&b"ab"[..]));
}

const WORDS: &[&str] =
    &["type", "data", "uid", "nsp", "packet", "opts", "rooms", "requestId", "flags", "sockets", "id", "a"];

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        (0_u64..15).prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        prop::sample::select(WORDS).prop_map(Json::from),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::vec((prop::sample::select(WORDS), inner), 0..8).prop_map(|entries| Json::Object(
                entries.into_iter().map(|(key, value)| (key.into(), value)).collect()
            )),
        ]
    })
}

proptest! {
    #[test]
    fn anything_is_read_or_refused_and_reads_back(kind in 0_u64..15, data in json()) {
        let json = serde_json::json!({"type": kind, "data": data, "uid": "x", "nsp": "/"});
        if let Ok(message) = serde_json::from_value::<Message>(json) {
            let written = serde_json::to_string(&message).unwrap();
            prop_assert_eq!(serde_json::from_str::<Message>(&written).unwrap(), message);
        }
    }

    #[test]
    fn any_json_is_no_panic(json in json()) {
        let _ = serde_json::from_value::<Message>(json);
    }
}
