//! Inputs to begin with: the rows of `vectors/` and the hostile inputs of the conformance tests, in the form of each target.

use std::{fs, io, path::PathBuf};

use serde_json::Value;

use crate::input::{Piece, messages};

/// The seeds of a target.
///
/// # Errors
/// A file of vectors, or that of the hostile inputs, cannot be read.
pub fn of(target: &str) -> io::Result<Vec<Vec<u8>>> {
    Ok(match target {
        "http_query" => {
            let texts = [texts("engineio-handshakes.json", "json")?, texts("engineio3-jsonp.json", "form")?].concat();
            let queries =
                hostile("path")?.into_iter().filter_map(|path| path.split_once('?').map(|two| two.1.to_owned()));
            texts.into_iter().chain(queries).map(String::into_bytes).collect()
        }
        "websocket_handshake" => {
            let heads = hostile("text")?.into_iter().filter(|text| text.contains("HTTP/"));
            let heads = heads.chain(HEADS.map(str::to_owned));
            heads.map(|head| [&[0xff, 0xaf], head.as_bytes()].concat()).collect()
        }
        "websocket_frames" => both(&frames()?, |frames, flags| [&[flags, 3], frames].concat()),
        "websocket_deflate" => {
            let deflated = DEFLATED.map(|message| [&[0, 5], message].concat());
            let plain = texts("socketio-packets.json", "text")?;
            deflated.into_iter().chain(plain.iter().map(|text| [&[1, 0], text.as_bytes()].concat())).collect()
        }
        "engineio4_payload" => bodies(&["engineio-payloads.json", "engineio-packets.json"])?,
        "engineio4_frames" => {
            let headers = texts("engineio-frames.json", "header_hex")?;
            let packets = texts("engineio-packets.json", "text")?;
            let packets = packets.iter().map(|text| [&[text.len().min(125) as u8], text.as_bytes()].concat());
            headers.iter().map(|digits| [hex(digits), vec![b'4'; 130]].concat()).chain(packets).flat_map(cuts).collect()
        }
        "engineio3_payload" => {
            let bodies = bodies(&["engineio3-payloads.json", "engineio3-packets.json"])?;
            ["0", "1", "2"].iter().flat_map(|form| bodies.iter().map(|body| [form.as_bytes(), body].concat())).collect()
        }
        "socketio_text" => {
            let rows = [conversations("socketio-packets.json")?, conversations("socketio4-packets.json")?].concat();
            let flags = 0..8_u8;
            flags.flat_map(|flags| rows.iter().map(move |row| [&[flags], &row[1..]].concat())).collect()
        }
        "socketio_msgpack" => texts("socketio-msgpack-packets.json", "hex")?.iter().map(|digits| hex(digits)).collect(),
        "cluster_message" => {
            let rows = rows("cluster-messages.json")?;
            let lines: Vec<String> = rows.iter().map(|row| row["json"].to_string()).collect();
            let together = lines.join("\n....................\n");
            lines.into_iter().chain([together]).map(String::into_bytes).collect()
        }
        "connection" => both(&steps()?, |steps, flags| [&[flags, 3], steps].concat()),
        "server" => server()?,
        _ => Vec::new(),
    })
}

/// A request and a response that belong together.
const HEADS: [&str; 2] = [
    "GET /chat HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: a, chat\r\n\
     Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits; server_max_window_bits=\"10\", x\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: \
     permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits=9\r\n\r\n",
];

/// RFC 7692 §7.2.3, and a block that says where it refers to before the beginning.
const DEFLATED: [&[u8]; 6] = [
    b"\xf2\x48\xcd\xc9\xc9\x07\x00",
    b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
    b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
    b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
    b"\xf2\x00\x11\x00\x00",
    b"\x03\x84\x00\x00\x00\xff\xff",
];

/// Each for a server and for a client, in both revisions.
fn both(rows: &[Vec<u8>], make: impl Fn(&[u8], u8) -> Vec<u8>) -> Vec<Vec<u8>> {
    (0..4).flat_map(|flags| rows.iter().map(|row| make(row, flags)).collect::<Vec<_>>()).collect()
}

/// With packets of a kilobyte, and of a megabyte.
fn cuts(stream: Vec<u8>) -> [Vec<u8>; 2] {
    [[&[0, 3], &stream[..]].concat(), [&[7, 3], &stream[..]].concat()]
}

/// The frames of the hostile inputs that can be said in a few bytes: masked, as a client sends them.
fn frames() -> io::Result<Vec<Vec<u8>>> {
    let mut out: Vec<Vec<u8>> = hostile("hex")?.iter().map(|digits| hex(digits)).collect();
    for how in hostile_steps()? {
        if how["op"] == "frame" && (how["payload"].is_string() || how["payload_hex"].is_string()) {
            let payload = match how["payload_hex"].as_str() {
                Some(digits) => hex(digits),
                None => how["payload"].as_str().unwrap_or_default().as_bytes().to_vec(),
            };
            let bits = |name: &str| how[name].as_u64().unwrap_or(0) as u8;
            let first = bits("fin") << 7 | bits("rsv") << 4 | bits("opcode");
            let mask = if how["mask"] == false { &[][..] } else { &[0, 0, 0, 0] };
            let masked = if mask.is_empty() { 0 } else { 0x80 };
            let length = if payload.len() < 126 {
                vec![masked | payload.len() as u8]
            } else {
                [&[masked | 126], &(payload.len() as u16).to_be_bytes()[..]].concat()
            };
            out.push([&[first], &length[..], mask, &payload].concat());
        }
    }
    Ok(out)
}

/// Conversations as steps of the target `connection`.
fn steps() -> io::Result<Vec<Vec<u8>>> {
    let text = |text: &str| [&[3, text.len() as u8], text.as_bytes()].concat();
    let enter: Vec<u8> =
        ["0{\"sid\":\"x\",\"pingInterval\":2000,\"pingTimeout\":2000}", "40", "40/a,"].map(text).concat();
    let mut out = Vec::new();
    for file in ["socketio-packets.json", "socketio4-packets.json"] {
        for row in rows(file)?.iter().filter(|row| row["text"].as_str().is_some_and(|text| text.len() < 200)) {
            let mut steps = [&enter[..], &text(&format!("4{}", row["text"].as_str().unwrap_or_default()))].concat();
            for data in row["attachments"].as_array().into_iter().flatten().filter_map(Value::as_str).map(hex) {
                steps.extend_from_slice(&[&[4, data.len() as u8], &data[..]].concat());
            }
            steps.extend_from_slice(&[6, 8, 3, 1, b'2', 6, 90, 3, 1, b'3']);
            out.push(steps);
        }
    }
    for body in bodies(&["engineio-payloads.json", "engineio3-payloads.json"])?.iter().filter(|body| body.len() < 256) {
        out.push([&[5, body.len() as u8], &body[..], &[7, 0, 3, 6], b"2probe", &[5, 0, 3, 1], b"5"].concat());
    }
    out.extend(
        frames()?
            .iter()
            .filter(|frame| frame.len() < 256)
            .map(|frame| [&enter[..], &[0, frame.len() as u8], frame].concat()),
    );
    Ok(out)
}

/// Conversations as steps of the target `server`.
fn server() -> io::Result<Vec<Vec<u8>>> {
    let step = |kind: u8, data: &[u8]| [&[kind, data.len() as u8], data].concat();
    let mut out = Vec::new();
    for file in ["socketio-packets.json", "socketio4-packets.json"] {
        for row in rows(file)?.iter().filter(|row| row["text"].as_str().is_some_and(|text| text.len() < 200)) {
            let packet = format!("4{}", row["text"].as_str().unwrap_or_default());
            let eio: &[u8] = if file.contains('4') { b"EIO=3" } else { b"EIO=4" };
            let opened = [step(0, eio), step(3, b"40"), step(3, b"40/a,"), step(3, packet.as_bytes())].concat();
            out.push([&[0][..], &opened, &step(6, &[0; 30])].concat());
            let polled =
                [step(1, eio), step(5, format!("40\u{1e}{packet}").as_bytes()), step(4, b""), step(6, &[0; 200])];
            out.push([&[1][..], &polled.concat()].concat());
        }
    }
    for query in hostile("path")?.iter().filter_map(|path| path.split_once('?')).filter(|two| two.1.len() < 200) {
        out.push([&[0][..], &step(1, b"EIO=4"), &step(7, query.1.as_bytes())].concat());
    }
    for body in bodies(&["engineio-payloads.json", "engineio3-payloads.json"])?.iter().filter(|body| body.len() < 256) {
        out.push([&[0][..], &step(1, b"EIO=4"), &step(5, body), &step(4, b"")].concat());
        out.push([&[0][..], &step(1, b"EIO=3"), &step(5, body), &step(4, b"")].concat());
    }
    for frame in frames()?.iter().filter(|frame| frame.len() < 256) {
        out.push([&[0][..], &step(0, b"EIO=4"), &step(3, b"40"), &step(2, frame)].concat());
    }
    let upgrade = "GET /socket.io/?EIO=4&transport=websocket&sid={sid} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\
                   Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let probe = [step(1, b"EIO=4"), step(9, upgrade.as_bytes()), step(3, b"2probe"), step(3, b"5"), step(3, b"40")];
    out.push([&[1][..], &probe.concat()].concat());
    for event in
        [r#"42["join","r"]"#, r#"42["to","r",1]"#, r#"427["ask"]"#, r#"42["leave","r"]"#, r#"42["bye"]"#, r#"430["x"]"#]
    {
        let opened = [step(0, b"EIO=4"), step(3, b"40"), step(3, event.as_bytes()), step(3, event.as_bytes())].concat();
        out.push([&[1][..], &opened].concat());
    }
    for packed in
        texts("socketio-msgpack-packets.json", "hex")?.iter().map(|digits| hex(digits)).filter(|data| data.len() < 256)
    {
        out.push([&[2][..], &step(0, b"EIO=4"), &step(8, b"\x82\xa4type\x00\xa3nsp\xa1/"), &step(8, &packed)].concat());
    }
    Ok(out)
}

/// The rows of a file of vectors, those that are invalid included.
fn rows(file: &str) -> io::Result<Vec<Value>> {
    let vectors: Value = serde_json::from_str(&fs::read_to_string(root().join("vectors").join(file))?)?;
    let all = ["valid", "invalid"].iter().filter_map(|part| vectors[part].as_array());
    Ok(all.flatten().cloned().collect())
}

/// What stands in one field of each row.
fn texts(file: &str, field: &str) -> io::Result<Vec<String>> {
    Ok(rows(file)?.iter().filter_map(|row| row[field].as_str().map(str::to_owned)).collect())
}

fn bodies(files: &[&str]) -> io::Result<Vec<Vec<u8>>> {
    let mut out: Vec<Vec<u8>> = hostile("body")?.into_iter().map(String::into_bytes).collect();
    for file in files {
        for row in rows(file)? {
            for field in ["body", "text"] {
                out.extend(row[field].as_str().map(|text| text.as_bytes().to_vec()));
            }
            for field in ["body_hex", "bytes_hex", "not_text_hex", "frame_hex"] {
                out.extend(row[field].as_str().map(hex));
            }
        }
    }
    Ok(out)
}

/// The messages of each row.
fn conversations(file: &str) -> io::Result<Vec<Vec<u8>>> {
    let mut out = Vec::new();
    for row in rows(file)? {
        let listed = row["messages"].as_array().cloned().unwrap_or_default();
        let binary: Vec<Vec<u8>> =
            listed.iter().map(|each| each["binary"].as_str().map(hex).unwrap_or_default()).collect();
        let mut pieces: Vec<Piece<'_>> = row["text"].as_str().map(Piece::Text).into_iter().collect();
        let attachments: Vec<Vec<u8>> =
            row["attachments"].as_array().into_iter().flatten().filter_map(Value::as_str).map(hex).collect();
        pieces.extend(attachments.iter().map(|data| Piece::Binary(data)));
        pieces.extend(listed.iter().zip(&binary).map(|(each, data)| match each.as_str() {
            Some(text) => Piece::Text(text),
            None => Piece::Binary(data),
        }));
        out.push(messages(0, &pieces));
    }
    Ok(out)
}

/// All steps of the hostile inputs.
fn hostile_steps() -> io::Result<Vec<Value>> {
    let text = fs::read_to_string(root().join("conformance/hostile/hostile.jsonl"))?;
    let mut steps = Vec::new();
    for line in text.lines() {
        let entry: Value = serde_json::from_str(line)?;
        steps.extend(entry["how"].as_array().into_iter().flatten().cloned());
    }
    Ok(steps)
}

/// What stands in one field of their steps.
fn hostile(field: &str) -> io::Result<Vec<String>> {
    Ok(hostile_steps()?.iter().filter_map(|step| step[field].as_str().map(str::to_owned)).collect())
}

fn hex(digits: &str) -> Vec<u8> {
    digits
        .as_bytes()
        .chunks_exact(2)
        .filter_map(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok())
        .collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TARGETS;

    #[test]
    fn every_target_has_seeds() {
        for target in &TARGETS {
            assert!(of(target.name).unwrap().len() > 5, "{}", target.name);
        }
    }
}
