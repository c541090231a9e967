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
fn encoded_event_gets_another_header() {
    let check = |packet: &str, attachments, namespace, id, expected: &str| {
        let mut out = b"kept".to_vec();
        event_of_array(&mut out, namespace, id, event_array(packet), attachments);
        assert_eq!(text(&out), format!("kept{expected}"));
    };
    check(r#"2["a",1]"#, 0, "/", None, r#"2["a",1]"#);
    check(r#"2/[1,["a",1]"#, 0, "/", Some(7), r#"27["a",1]"#);
    check(r#"2["a",1]"#, 0, "/b", Some(7), r#"2/b,7["a",1]"#);
    check(r#"51-/b,7["a",{"_placeholder":true,"num":0}]"#, 1, "/", None, r#"51-["a",{"_placeholder":true,"num":0}]"#);
    check(r#"2["a"]"#, 12, "/b", Some(0), r#"512-/b,0["a"]"#);
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
fn errors_of_revision_4_are_text_or_data() {
    let error = |namespace: &str, message: &str, data: Option<&Value>| {
        let mut out = b"kept".to_vec();
        error_v4(&mut out, namespace, message, data);
        text(&out).to_owned()
    };
    assert_eq!(error("/", "not \"you\"", None), r#"kept4"not \"you\"""#);
    assert_eq!(error("/admin", "no", None), r#"kept4/admin,"no""#);
    let data = Value::from(json!({"code": 42}));
    assert_eq!(error("/admin", "no", Some(&data)), r#"kept4/admin,{"code":42}"#);
    assert_eq!(error("/", "no", Some(&Value::from(true))), "kept4true");
    for nothing in [json!(null), json!(false), json!(0), json!(-0.0), json!("")] {
        assert_eq!(error("/", "no", Some(&nothing.into())), "kept4\"no\"");
    }
    assert_eq!(error("/", "no", Some(&Value::from(&b"\x01"[..]))), r#"kept4{"base64":"AQ=="}"#);
}

#[test]
fn json_can_be_ascii() {
    check_ascii(r#"2["é"]"#, r#"2["\u00e9"]"#);
    check_ascii("2[\"€😀\u{2028}\u{10ffff}\",{\"ü\":1}]", r#"2["\u20ac\ud83d\ude00\u2028\udbff\udfff",{"\u00fc":1}]"#);
    check_ascii(
        r#"52-/admin,13["é",{"_placeholder":true,"num":0}]"#,
        r#"52-/admin,13["\u00e9",{"_placeholder":true,"num":0}]"#,
    );
    check_ascii(r#"4/a,"né""#, r#"4/a,"n\u00e9""#);
    check_ascii("2[\"\\\\é\"]", "2[\"\\\\\\u00e9\"]");
    check_ascii(r#"42/é,["é"]"#, r#"42/é,["\u00e9"]"#);
    check_ascii(r#"451-["é"]"#, r#"451-["\u00e9"]"#);
    // A namespace is no JSON.
    check_ascii(r#"2/é,["é"]"#, r#"2/é,["\u00e9"]"#);
    check_ascii(r#"51-/é,7["é"]"#, r#"51-/é,7["\u00e9"]"#);
    for same in ["", "0", "0/admin,", "2[\"a\"]", "2/é,[\"a\"]", "1/é", "1/é,", "313[]", r#"2["\ud800\u00e9"]"#] {
        assert!(matches!(ascii(same), Cow::Borrowed(text) if text == same), "{same}");
    }
}

fn check_ascii(packet: &str, expected: &str) {
    assert_eq!(ascii(packet), expected, "{packet}");
    let json = |packet: &str| {
        serde_json::from_str::<serde_json::Value>(
            packet[json_at(packet)..].trim_start_matches(|c: char| c.is_ascii_digit()),
        )
        .unwrap()
    };
    assert_eq!(json(packet), json(expected), "{packet}");
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
