//! Packets to send, byte for byte.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

use super::*;

#[test]
fn events_have_their_arguments() {
    check_event("/", None, "chat", &"hello", r#"2["chat","hello"]"#);
    check_event("/", None, "none", &(), r#"2["none"]"#);
    check_event("/", None, "many", &("a", 1, json!({"b": null})), r#"2["many","a",1,{"b":null}]"#);
    check_event("/", None, "one", &(json!([1, 2]),), r#"2["one",[1,2]]"#);
    check_event("/", None, "vec", &vec![1, 2], r#"2["vec",[1,2]]"#);
    check_event("/", None, "array", &[1, 2], r#"2["array",1,2]"#);
    check_event("/", None, "empty", &[0_u8; 0], r#"2["empty"]"#);
    check_event("/", None, "null", &None::<u8>, r#"2["null",null]"#);
    check_event("/", Some(0), "a", &(), r#"20["a"]"#);
    check_event("/admin", None, "a", &(), r#"2/admin,["a"]"#);
    check_event("/admin", Some(13), "a", &1, r#"2/admin,13["a",1]"#);
    check_event("/", None, "é \"\n\u{2028}", &"😀", "2[\"é \\\"\\n\u{2028}\",\"😀\"]");
    check_event("/", None, "nan", &f64::NAN, r#"2["nan",null]"#);
}

#[test]
fn bytes_make_a_binary_packet() {
    let bytes = Bytes::from_static(&[1, 2, 3]);
    let mut out = b"kept".to_vec();
    let attachments = event(&mut out, "/a", Some(7), "file", &("x", &bytes, json!({}), vec![&bytes])).unwrap();
    let placeholders = r#"{"_placeholder":true,"num":0},{},[{"_placeholder":true,"num":1}]"#;
    assert_eq!(text(&out), format!(r#"kept52-/a,7["file","x",{placeholders}]"#));
    assert_eq!(attachments, [&bytes, &bytes]);

    let mut out = Vec::new();
    assert_eq!(ack(&mut out, "/", 0, &bytes).unwrap(), [&bytes]);
    assert_eq!(text(&out), r#"61-0[{"_placeholder":true,"num":0}]"#);
}

#[test]
fn more_attachments_than_a_peer_takes_is_the_callers_choice() {
    let mut out = Vec::new();
    let many = vec![Bytes::from_static(b"x"); 12];
    assert_eq!(event(&mut out, "/", None, "a", &many).unwrap().len(), 12);
    assert!(text(&out).starts_with("512-["));
}

#[test]
fn acknowledgements_have_an_array() {
    check_ack("/", 13, &"ok", r#"313["ok"]"#);
    check_ack("/admin", 0, &(), r#"3/admin,0[]"#);
    check_ack("/", 1, &(1, "b"), r#"31[1,"b"]"#);
    check_ack("/", 1, &[0_u8; 0], r#"31[]"#);
    check_ack("/", u64::MAX, &vec![1], r#"318446744073709551615[[1]]"#);
}

#[test]
fn connect_and_disconnect() {
    check_connect("/", &(), "0");
    check_connect("/admin", &None::<String>, "0/admin,");
    check_connect("/", &json!({"sid": "x"}), r#"0{"sid":"x"}"#);
    check_connect("/admin", &Some(json!({})), "0/admin,{}");
    for (namespace, expected) in [("/", "1"), ("/admin", "1/admin,")] {
        let mut out = Vec::new();
        disconnect(&mut out, namespace);
        assert_eq!(text(&out), expected);
    }
}

#[test]
fn connect_errors_have_a_message() {
    let mut out = Vec::new();
    connect_error(&mut out, "/admin", "not \"you\"", None);
    assert_eq!(text(&out), r#"4/admin,{"message":"not \"you\""}"#);
    out.clear();
    let data = Value::from(serde_json::json!({"code": 42, "bytes": null}));
    connect_error(&mut out, "/", "x", Some(&data));
    assert_eq!(text(&out), r#"4{"message":"x","data":{"bytes":null,"code":42}}"#);
}

#[test]
fn arguments_alone() {
    let bytes = Bytes::from_static(&[1, 2, 3]);
    let mut out = Vec::new();
    assert_eq!(args_json(&mut out, &("a", &bytes)).unwrap(), [&bytes]);
    assert_eq!(text(&out), r#"["a",{"_placeholder":true,"num":0}]"#);
    out.clear();
    args_json_base64(&mut out, &("a", &bytes)).unwrap();
    assert_eq!(text(&out), r#"["a",{"base64":"AQID"}]"#);
}

#[test]
fn nothing_is_left_of_what_fails() {
    let unsayable = BTreeMap::from([(vec![1_u8], 1)]);
    let mut out = b"kept".to_vec();
    for name in RESERVED_EVENTS {
        assert!(matches!(event(&mut out, "/", None, name, &()), Err(EncodeError::ReservedEventName)));
    }
    assert!(matches!(event(&mut out, "/", None, "a", &(1, &unsayable)), Err(EncodeError::Json(_))));
    assert!(ack(&mut out, "/a", 1, &unsayable).is_err());
    assert!(connect(&mut out, "/a", &unsayable).is_err());
    assert!(args_json(&mut out, &unsayable).is_err());
    assert!(args_json_base64(&mut out, &(1, unsayable)).is_err());
    assert_eq!(out, b"kept");
    assert!(size_of::<EncodeError>() <= 32);
}

fn check_event<T: Serialize>(namespace: &str, ack: Option<u64>, name: &str, args: &T, expected: &str) {
    let mut out = b"kept".to_vec();
    assert!(event(&mut out, namespace, ack, name, args).unwrap().is_empty(), "{expected}");
    assert_eq!(text(&out), format!("kept{expected}"));
}

fn check_ack<T: Serialize>(namespace: &str, id: u64, args: &T, expected: &str) {
    let mut out = b"kept".to_vec();
    assert!(ack(&mut out, namespace, id, args).unwrap().is_empty(), "{expected}");
    assert_eq!(text(&out), format!("kept{expected}"));
}

fn check_connect<T: Serialize>(namespace: &str, payload: &T, expected: &str) {
    let mut out = Vec::new();
    connect(&mut out, namespace, payload).unwrap();
    assert_eq!(text(&out), expected);
}

fn text(out: &[u8]) -> &str {
    std::str::from_utf8(out).unwrap()
}
