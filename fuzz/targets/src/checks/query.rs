//! What stands in URLs, in open packets and in forms.

use std::fmt::Write as _;

use patera_protocol::engineio::{Handshake, Query, Version, jsonp};

use crate::{input::text_of, memory};

/// The input is a query, the JSON of an open packet, and the body of a form.
pub(super) fn run(data: &[u8]) {
    let text = text_of(data);
    query(text);
    handshake(text);
    form(data);
    call(text);
}

fn query(text: &str) {
    let Ok(query) = memory::within(4 * text.len() + 256, || Query::parse(text)) else { return };
    let mut again = String::new();
    let base64 = query.base64.then(|| "1".into());
    let fields = [
        ("EIO", &query.eio),
        ("transport", &query.transport),
        ("sid", &query.sid),
        ("j", &query.callback),
        ("b64", &base64),
    ];
    for (name, value) in fields {
        let Some(value) = value else { continue };
        let _ = write!(again, "&{name}=");
        for byte in value.bytes() {
            let _ = write!(again, "%{byte:02X}");
        }
    }
    assert_eq!(Query::parse(&again).as_ref(), Ok(&query), "every byte escaped, it says the same");

    if let Ok(version) = query.version() {
        assert_eq!(query.version_with_eio3(true), Ok(version), "who takes older clients takes the newer as they are");
    }
    assert!(query.version_with_eio3(true).is_ok());
    if let Ok(transport) = query.transport() {
        assert_eq!(query.transport.as_deref(), Some(transport.as_str()));
    }
    assert!(query.format(Version::V4).is_ok_and(|format| format.jsonp.is_none()));
    if let Ok(format) = query.format(Version::V3) {
        assert_eq!(format.jsonp.is_some(), query.callback.is_some());
    }
}

fn handshake(text: &str) {
    let Ok(handshake) = memory::within(64 * text.len() + 2048, || Handshake::parse(text)) else { return };
    assert!((1..=1024).contains(&handshake.sid.len()) && handshake.max_payload > 0);
    for interval in [handshake.ping_interval, handshake.ping_timeout] {
        assert!((1..=3600).contains(&interval.as_secs()), "{interval:?}");
    }
    let packet = handshake.to_packet();
    let json = packet.strip_prefix('0').expect("it begins with its type");
    assert_eq!(Handshake::parse(json), Ok(handshake), "what is written reads back");
}

fn form(data: &[u8]) {
    let Ok(payload) = memory::within(4 * data.len() + 64, || jsonp::decode_form(data)) else { return };
    assert!(payload.len() <= data.len());
    if payload.is_empty() || payload.windows(2).any(|two| two == b"\\\n") {
        // A backslash before a line feed is written as a backslash before an n is.
        return;
    }
    let mut form = b"d=".to_vec();
    escape_line_feeds(&payload).iter().for_each(|byte| form.extend_from_slice(format!("%{byte:02x}").as_bytes()));
    assert_eq!(jsonp::decode_form(&form), Ok(payload), "what a client writes reads back");
}

/// As engine.io-client does: `\n` becomes `\\n`, then a line feed becomes `\n`.
fn escape_line_feeds(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for (at, byte) in payload.iter().enumerate() {
        match byte {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\\' if payload.get(at + 1) == Some(&b'n') => out.extend_from_slice(b"\\\\"),
            byte => out.push(*byte),
        }
    }
    out
}

fn call(payload: &str) {
    let script = jsonp::encode_call(7, payload.as_bytes());
    let script = std::str::from_utf8(&script).expect("it is ASCII");
    assert!(script.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'<'));
    let argument = script.strip_prefix("___eio[7](").and_then(|rest| rest.strip_suffix(");")).expect("it is a call");
    assert_eq!(serde_json::from_str::<String>(argument).ok().as_deref(), Some(payload));
}
