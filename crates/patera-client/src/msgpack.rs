//! Packets as `socket.io-msgpack-parser` writes them: one MessagePack map `{type, nsp[, data][, id]}` in one binary message. It is
//! a translation: what comes becomes the text and the attachments that the rest of the crate reads, what goes out is made of them.

use bytes::Bytes;
use patera_protocol::socketio::ConnectionConfig;
use rmp::Marker;
use rmp::decode::{RmpRead as _, read_marker};
use rmp::encode::{self, RmpWrite as _};
use serde_json::Value;

use crate::engine::{Packet, Payload};

/// A packet of ours, as the protocol crate has written it: `51-/chat,7["file",{"_placeholder":true,"num":0}]`.
///
/// # Errors
/// It is nested deeper than JSON is read here.
pub(crate) fn encode(text: &[u8], attachments: &[Bytes]) -> serde_json::Result<Packet> {
    let text = std::str::from_utf8(text).expect("JSON and namespaces are text");
    let Header { kind, namespace, id, json } = header(text);
    let data: Option<Value> = if json.is_empty() { None } else { Some(serde_json::from_str(json)?) };
    let mut out = Vec::with_capacity(text.len() + 32);
    let len = 2 + u32::from(data.is_some()) + u32::from(id.is_some());
    let written = (|| -> Result<(), encode::ValueWriteError> {
        encode::write_map_len(&mut out, len)?;
        encode::write_str(&mut out, "type")?;
        encode::write_uint(&mut out, kind)?;
        encode::write_str(&mut out, "nsp")?;
        encode::write_str(&mut out, namespace)?;
        if let Some(data) = &data {
            encode::write_str(&mut out, "data")?;
            write(&mut out, data, attachments)?;
        }
        if let Some(id) = id {
            encode::write_str(&mut out, "id")?;
            encode::write_uint(&mut out, id)?;
        }
        Ok(())
    })();
    written.expect("a vector takes every write");
    Ok(Packet { payloads: vec![Payload::Binary(out.into())], ..Packet::default() })
}

struct Header<'a> {
    kind: u64,
    namespace: &'a str,
    id: Option<u64>,
    json: &'a str,
}

/// Takes apart what the protocol crate has written.
fn header(text: &str) -> Header<'_> {
    let (kind, rest) = text.split_at(1);
    let kind = match kind {
        "5" => 2,
        "6" => 3,
        kind => kind.parse().expect("a packet begins with its type"),
    };
    // `1-` before the namespace; what has no attachments has no `-` before its id.
    let digits = rest.find(|char: char| !char.is_ascii_digit()).unwrap_or(rest.len());
    let rest = rest[digits..].strip_prefix('-').unwrap_or(rest);
    let (namespace, rest) = match rest.starts_with('/') {
        true => rest.split_once(',').unwrap_or((rest, "")),
        false => ("/", rest),
    };
    let digits = rest.find(|char: char| !char.is_ascii_digit()).unwrap_or(rest.len());
    Header { kind, namespace, id: rest[..digits].parse().ok(), json: &rest[digits..] }
}

fn write(out: &mut Vec<u8>, value: &Value, attachments: &[Bytes]) -> Result<(), encode::ValueWriteError> {
    match value {
        Value::Null => encode::write_nil(out).map_err(encode::ValueWriteError::InvalidMarkerWrite)?,
        Value::Bool(value) => encode::write_bool(out, *value).map_err(encode::ValueWriteError::InvalidMarkerWrite)?,
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => drop(encode::write_uint(out, number)?),
            (None, Some(number)) => drop(encode::write_sint(out, number)?),
            (None, None) => encode::write_f64(out, number.as_f64().unwrap_or(f64::NAN))?,
        },
        Value::String(text) => encode::write_str(out, text)?,
        Value::Array(values) => {
            encode::write_array_len(out, u32::try_from(values.len()).unwrap_or(u32::MAX))?;
            values.iter().try_for_each(|value| write(out, value, attachments))?;
        }
        Value::Object(entries) => match attachment(entries, attachments) {
            Some(bytes) => {
                encode::write_bin_len(out, u32::try_from(bytes.len()).unwrap_or(u32::MAX))?;
                out.write_bytes(bytes).map_err(encode::ValueWriteError::InvalidDataWrite)?;
            }
            None => {
                encode::write_map_len(out, u32::try_from(entries.len()).unwrap_or(u32::MAX))?;
                for (key, value) in entries {
                    encode::write_str(out, key)?;
                    write(out, value, attachments)?;
                }
            }
        },
    }
    Ok(())
}

fn attachment<'a>(entries: &serde_json::Map<String, Value>, attachments: &'a [Bytes]) -> Option<&'a Bytes> {
    let number = entries.get("num").filter(|_| entries.get("_placeholder") == Some(&Value::Bool(true)))?;
    attachments.get(usize::try_from(number.as_u64()?).ok()?)
}

/// A packet of the server, as the text and the attachments that stand for it. `None` if it is none, or more than is taken.
pub(crate) fn decode(data: &[u8], config: &ConnectionConfig) -> Option<(String, Vec<Bytes>)> {
    let mut reader = Reader { rest: data, attachments: Vec::new(), attachments_max: config.attachments_max };
    let (mut kind, mut namespace, mut id, mut json) = (None, None, None, String::new());
    for _ in 0..reader.map_len()? {
        let mut value = String::new();
        let key = reader.text()?;
        match key {
            "nsp" => namespace = Some(reader.text()?),
            "data" => reader.json(&mut json, config.json_depth_max)?,
            _ => reader.json(&mut value, config.json_depth_max)?,
        }
        match key {
            "type" => kind = Some(value),
            "id" => id = Some(value),
            _ => {}
        }
    }
    let namespace = namespace.filter(|name| name.starts_with('/') && !name.contains([',', '?']))?;
    let count = reader.attachments.len();
    let kind = match (kind?.as_str(), count) {
        (kind @ ("0" | "1" | "2" | "3" | "4"), 0) => kind.to_owned(),
        ("2", count) => format!("5{count}-"),
        ("3", count) => format!("6{count}-"),
        _ => return None,
    };
    let namespace = if namespace == "/" { String::new() } else { format!("{namespace},") };
    // Undefined is null there.
    let (id, json) = (id.filter(|id| id != "null").unwrap_or_default(), if json == "null" { "" } else { &json });
    reader.rest.is_empty().then(|| (format!("{kind}{namespace}{id}{json}"), reader.attachments))
}

/// Reads one value after another, and writes them as JSON.
struct Reader<'a> {
    rest: &'a [u8],
    attachments: Vec<Bytes>,
    attachments_max: usize,
}

impl<'a> Reader<'a> {
    fn marker(&mut self) -> Option<Marker> {
        read_marker(&mut self.rest).ok()
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    /// A number of this many bytes, the highest first.
    fn number(&mut self, bytes: usize) -> Option<u64> {
        self.take(bytes).map(|taken| taken.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn len(&mut self, bytes: usize) -> Option<usize> {
        usize::try_from(self.number(bytes)?).ok()
    }

    fn map_len(&mut self) -> Option<usize> {
        match self.marker()? {
            Marker::FixMap(len) => Some(usize::from(len)),
            Marker::Map16 => self.len(2),
            Marker::Map32 => self.len(4),
            _ => None,
        }
    }

    fn text(&mut self) -> Option<&'a str> {
        let marker = self.marker()?;
        self.text_of(marker)
    }

    fn text_of(&mut self, marker: Marker) -> Option<&'a str> {
        let len = match marker {
            Marker::FixStr(len) => usize::from(len),
            Marker::Str8 => self.len(1)?,
            Marker::Str16 => self.len(2)?,
            Marker::Str32 => self.len(4)?,
            _ => return None,
        };
        std::str::from_utf8(self.take(len)?).ok()
    }

    /// One value, with so many levels below it.
    fn json(&mut self, out: &mut String, depth: usize) -> Option<()> {
        let marker = self.marker()?;
        match marker {
            Marker::Null => out.push_str("null"),
            Marker::True => out.push_str("true"),
            Marker::False => out.push_str("false"),
            Marker::FixPos(number) => push(out, number),
            Marker::FixNeg(number) => push(out, number),
            Marker::U8 => push(out, self.number(1)?),
            Marker::U16 => push(out, self.number(2)?),
            Marker::U32 => push(out, self.number(4)?),
            Marker::U64 => push(out, self.number(8)?),
            Marker::I8 => push(out, self.number(1)? as i8),
            Marker::I16 => push(out, self.number(2)? as i16),
            Marker::I32 => push(out, self.number(4)? as i32),
            Marker::I64 => push(out, self.number(8)? as i64),
            Marker::F32 => push_float(out, f32::from_bits(self.rest.read_data_u32().ok()?).into()),
            Marker::F64 => push_float(out, f64::from_bits(self.number(8)?)),
            Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => push_text(out, self.text_of(marker)?),
            Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => self.bytes(out, marker)?,
            Marker::FixArray(len) => self.array(out, usize::from(len), depth)?,
            Marker::Array16 => {
                let len = self.len(2)?;
                self.array(out, len, depth)?;
            }
            Marker::Array32 => {
                let len = self.len(4)?;
                self.array(out, len, depth)?;
            }
            Marker::FixMap(len) => self.map(out, usize::from(len), depth)?,
            Marker::Map16 => {
                let len = self.len(2)?;
                self.map(out, len, depth)?;
            }
            Marker::Map32 => {
                let len = self.len(4)?;
                self.map(out, len, depth)?;
            }
            Marker::FixExt1 | Marker::FixExt2 | Marker::FixExt4 | Marker::FixExt8 | Marker::FixExt16 => {
                self.extension(out, 1 << (marker.to_u8() - Marker::FixExt1.to_u8()))?;
            }
            Marker::Ext8 | Marker::Ext16 | Marker::Ext32 => {
                let len = self.len(1 << (marker.to_u8() - Marker::Ext8.to_u8()))?;
                self.extension(out, len)?;
            }
            Marker::Reserved => return None,
        }
        Some(())
    }

    /// Undefined is one; dates and a user's own are not known here either.
    fn extension(&mut self, out: &mut String, len: usize) -> Option<()> {
        self.take(len.checked_add(1)?)?;
        out.push_str("null");
        Some(())
    }

    fn bytes(&mut self, out: &mut String, marker: Marker) -> Option<()> {
        let len = self.len(1 << (marker.to_u8() - Marker::Bin8.to_u8()))?;
        if self.attachments.len() == self.attachments_max {
            return None;
        }
        let bytes = self.take(len)?;
        out.push_str("{\"_placeholder\":true,\"num\":");
        push(out, self.attachments.len());
        out.push('}');
        self.attachments.push(Bytes::copy_from_slice(bytes));
        Some(())
    }

    fn array(&mut self, out: &mut String, len: usize, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        out.push('[');
        for index in 0..len {
            if index > 0 {
                out.push(',');
            }
            self.json(out, depth)?;
        }
        out.push(']');
        Some(())
    }

    fn map(&mut self, out: &mut String, len: usize, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        out.push('{');
        for index in 0..len {
            if index > 0 {
                out.push(',');
            }
            let key = self.text()?;
            push_text(out, key);
            out.push(':');
            self.json(out, depth)?;
        }
        out.push('}');
        Some(())
    }
}

fn push(out: &mut String, number: impl std::fmt::Display) {
    out.push_str(&number.to_string());
}

/// What JSON has no word for is null, as in JavaScript.
fn push_float(out: &mut String, number: f64) {
    out.push_str(&serde_json::to_string(&number).expect("a number is JSON"));
}

fn push_text(out: &mut String, text: &str) {
    out.push_str(&serde_json::to_string(text).expect("a text is JSON"));
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    /// Both ways; the bytes are those that the reference was seen to write.
    fn check(text: &str, attachments: &[&[u8]], expected: &str) {
        let attachments: Vec<Bytes> = attachments.iter().map(|data| Bytes::copy_from_slice(data)).collect();
        let Packet { payloads, .. } = encode(text.as_bytes(), &attachments).unwrap();
        let [Payload::Binary(data)] = &payloads[..] else { panic!("{payloads:?}") };
        assert_eq!(hex(data), expected, "{text}");
        let decoded = decode(data, &ConnectionConfig::default());
        assert_eq!(decoded, Some((text.to_owned(), attachments)));
    }

    #[test]
    fn packets_are_those_of_the_reference() {
        check("0", &[], "82a47479706500a36e7370a12f");
        check(r#"2["hello",1,{"a":true}]"#, &[], "83a47479706502a36e7370a12fa46461746193a568656c6c6f0181a161c3");
        check(
            r#"51-/admin,13["x",{"_placeholder":true,"num":0}]"#,
            &[&[1, 2]],
            "84a47479706502a36e7370a62f61646d696ea46461746192a178c4020102a269640d",
        );
        check("313[]", &[], "84a47479706503a36e7370a12fa46461746190a269640d");
        check("1/chat,", &[], "82a47479706501a36e7370a52f63686174");
    }

    #[test]
    fn numbers_and_texts_come_back() {
        let long =
            format!(r#"2["n",-1,-33,-40000,70000,5000000000,0.5,null,"é","{}",[[]],{{"k":{{}}}}]"#, "x".repeat(300));
        let Packet { payloads, .. } = encode(long.as_bytes(), &[]).unwrap();
        let [Payload::Binary(data)] = &payloads[..] else { panic!("{payloads:?}") };
        assert_eq!(decode(data, &ConnectionConfig::default()), Some((long, Vec::new())));
    }

    #[test]
    fn what_is_nested_too_deep_is_not_written() {
        let nested = |levels: usize| format!("2{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(encode(nested(127).as_bytes(), &[]).is_ok());
        assert!(encode(nested(128).as_bytes(), &[]).is_err());
        assert!(encode(nested(100_000).as_bytes(), &[]).is_err());
    }

    #[test]
    fn undefined_and_null_data_are_none() {
        for data in ["c0", "d40000"] {
            let packet = bytes(&format!("83a47479706501a36e7370a12fa464617461{data}"));
            assert_eq!(decode(&packet, &ConnectionConfig::default()), Some(("1".to_owned(), Vec::new())), "{data}");
        }
    }

    #[test]
    fn what_is_no_packet_is_refused() {
        let config = ConnectionConfig { attachments_max: 1, json_depth_max: 3, ..ConnectionConfig::default() };
        let head = "83a47479706502a36e7370a12fa464617461";
        for (name, data) in [
            ("nothing", String::new()),
            ("no map", "90".to_owned()),
            ("no type", "81a36e7370a12f".to_owned()),
            ("no namespace", "81a47479706502".to_owned()),
            ("type 7", "82a47479706507a36e7370a12f".to_owned()),
            ("a namespace with a comma", "82a47479706502a36e7370a32f2c61".to_owned()),
            ("more behind", "82a47479706500a36e7370a12fc0".to_owned()),
            ("an end too early", format!("{head}93c0")),
            ("a length that is not there", format!("{head}ddffffffff")),
            ("bytes that are not there", format!("{head}c6ffffffff")),
            ("text that is none", format!("{head}91a1ff")),
            ("a reserved marker", format!("{head}91c1")),
            ("too deep", format!("{head}91919190")),
            ("too many attachments", format!("{head}92c40101c40101")),
            ("a key that is no text", format!("{head}91810101")),
        ] {
            assert_eq!(decode(&bytes(&data), &config), None, "{name}");
        }
        assert!(decode(&bytes(&format!("{head}919190")), &config).is_some());
        assert!(decode(&bytes(&format!("{head}91c40101")), &config).is_some());
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_bad(bytes in vec(any::<u8>(), 0..300)) {
            let _ = decode(&bytes, &ConnectionConfig::default());
        }

        /// Near to a packet, where more of the reader is reached.
        #[test]
        fn no_change_is_too_bad(at in 0_usize..60, byte in any::<u8>()) {
            let text = r#"51-/admin,13["x",{"_placeholder":true,"num":0},-7,1.5,{"k":[null,"é"]}]"#;
            let Packet { payloads, .. } = encode(text.as_bytes(), &[Bytes::from_static(b"abc")]).unwrap();
            let [Payload::Binary(data)] = &payloads[..] else { panic!("{payloads:?}") };
            let mut data = data.to_vec();
            let at = at % data.len();
            data[at] = byte;
            if let Some((text, _)) = decode(&data, &ConnectionConfig::default()) {
                prop_assert!(text.starts_with(|char: char| char.is_ascii_digit()), "{}", text);
            }
        }
    }
}
