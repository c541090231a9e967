//! Payloads and frames of Engine.IO 4.

use patera_protocol::engineio::{
    Packet, Version,
    payload::{Decoder, Encoder, PayloadError, SEPARATOR},
};

use crate::{input::text_of, memory};

/// The input is the body of a request, and a text frame.
pub(super) fn run(data: &[u8]) {
    payload(data);
    frame(text_of(data));
}

fn payload(data: &[u8]) {
    let count = memory::within(3 * data.len() + 64, || count(data));
    let (packets, error) = read(data);
    assert_eq!(packets.len(), count);
    assert!(packets.len() <= data.len());
    if packets.is_empty() {
        return;
    }
    let mut encoder = Encoder::new();
    packets.iter().for_each(|packet| encoder.push_text(packet));
    let body = encoder.finish();
    assert_eq!(read(&body), (packets, None), "what is written reads back");
    if error.is_none() {
        assert!(body.len() <= data.len(), "nothing is shorter than what we write");
    }
}

fn count(data: &[u8]) -> usize {
    let Ok(mut decoder) = Decoder::new(data) else { return 0 };
    let mut count = 0;
    while let Some(Ok(_)) = decoder.next_packet() {
        count += 1;
    }
    assert!(decoder.next_packet().is_none(), "the first error is the end");
    count
}

/// The packets, each as we write it, and why no more came.
fn read(data: &[u8]) -> (Vec<Vec<u8>>, Option<PayloadError>) {
    let mut packets = Vec::new();
    let mut decoder = match Decoder::new(data) {
        Ok(decoder) => decoder,
        Err(error) => return (packets, Some(error)),
    };
    while let Some(packet) = decoder.next_packet() {
        match packet {
            Ok(packet) => packets.push(written(&packet)),
            Err(error) => return (packets, Some(error)),
        }
    }
    (packets, None)
}

fn written(packet: &Packet<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    packet.encode_text(&mut out);
    out
}

fn frame(text: &str) {
    let mut scratch = Vec::new();
    let frame = Version::V4.decode_text(text, &mut scratch).map(|packet| written(&packet));
    if text.is_empty() || text.as_bytes().contains(&SEPARATOR) {
        return;
    }
    let (packets, error) = read(text.as_bytes());
    match frame {
        Ok(frame) => assert_eq!((packets, error), (vec![frame], None), "a frame is a payload of one packet"),
        Err(_) => assert!(packets.is_empty() && error.is_some()),
    }
    if !text.starts_with('b') {
        let packet = Packet::decode(text).map(|packet| written(&packet));
        assert_eq!(packet, Version::V4.decode_text(text, &mut Vec::new()).map(|packet| written(&packet)));
    }
}
