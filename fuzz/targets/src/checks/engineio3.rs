//! Payloads and frames of Engine.IO 3.

use patera_protocol::engineio::{
    Packet, Version,
    payload::{Encoder, Format, PayloadError},
    payload_v3::Reader,
};

use crate::{
    input::{Input, text_of},
    memory,
};

/// The input is a digit, which says how the body behind it is to be read; the body is a frame too.
pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let form = input.byte() % 3;
    let body = input.rest();
    payload(form, body);
    frame(body);
}

fn reader(form: u8) -> Reader {
    match form {
        0 => Reader::text(),
        1 => Reader::text_as_is(),
        _ => Reader::bytes(),
    }
}

fn payload(form: u8, body: &[u8]) {
    let count = memory::within(8 * body.len() + 64, || count(reader(form), body));
    let (packets, _) = read(reader(form), body);
    assert_eq!(packets.len(), count);
    assert!(packets.len() <= body.len());
    if packets.is_empty() {
        return;
    }
    for base64 in [false, true] {
        let mut encoder = Encoder::with_format(Format { version: Version::V3, base64, jsonp: None });
        for packet in &packets {
            let text = text_of(packet);
            let mut scratch = Vec::new();
            let packet = Version::V3.decode_text(text, &mut scratch).expect("we wrote it");
            encoder.push(&packet);
        }
        let is_binary = encoder.content_type() == "application/octet-stream";
        assert!(!(base64 && is_binary));
        let body = encoder.finish();
        let reader = if is_binary { Reader::bytes() } else { Reader::text_as_is() };
        assert_eq!(read(reader, &body), (packets.clone(), None), "what is written reads back");
    }
}

fn count(mut reader: Reader, body: &[u8]) -> usize {
    let mut count = 0;
    while let Some(Ok(_)) = reader.next_packet(body) {
        count += 1;
    }
    assert!(reader.is_done(body) && reader.next_packet(body).is_none(), "the first error is the end");
    count
}

/// The packets, each as text as we write it, and why no more came.
fn read(mut reader: Reader, body: &[u8]) -> (Vec<Vec<u8>>, Option<PayloadError>) {
    let mut packets = Vec::new();
    while let Some(packet) = reader.next_packet(body) {
        match packet {
            Ok(packet) => packets.push(written(&packet)),
            Err(error) => return (packets, Some(error)),
        }
    }
    (packets, None)
}

fn written(packet: &Packet<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    Version::V3.encode_text(packet, &mut out);
    out
}

fn frame(body: &[u8]) {
    let text = text_of(body);
    if let Ok(packet) = Version::V3.decode_text(text, &mut Vec::new()) {
        let text = written(&packet);
        let again = Version::V3.decode_text(text_of(&text), &mut Vec::new()).map(|packet| written(&packet));
        assert_eq!(again, Ok(text));
    }
    if let Ok(Packet::Message(message)) = Version::V3.decode_binary(body) {
        assert_eq!(message.len() + Version::V3.binary_prefix().len(), body.len());
    }
}
