//! Bodies of revision 3, read and written.

use super::*;
use crate::engineio::{
    PacketError,
    payload::{Encoder, Format},
};

const PLAIN: Format = Format { version: Version::V3, base64: false, jsonp: None };

#[test]
fn lengths_are_utf16_code_units() {
    check_both("6:4hello", &[text("hello")]);
    check_both("6:4hello2:4€1:2", &[text("hello"), text("€"), Packet::Ping("")]);
    check_both("3:4😀6:3probe", &[text("😀"), Packet::Pong("probe")]);
    check_both("1:46:4a😀éb", &[text(""), text("a😀éb")]);
    check_both("11:4\u{ffff}\u{10ffff}{:1:4}\u{80}", &[text("\u{ffff}\u{10ffff}{:1:4}\u{80}")]);
    check_both("10:b4AQIDBA==2:b4", &[binary(&[1, 2, 3, 4]), binary(&[])]);
    check_both("4:4\x1e\0\n1:1", &[text("\x1e\0\n"), Packet::Close]);
    check_both(r#"21:42["\ud800","\udc00"]"#, &[text(r#"2["\ud800","\udc00"]"#)]);
}

#[test]
fn wrong_lengths_are_refused() {
    let wrong = [
        "99:4hello",
        "7:4hello",
        "4:4€",
        "2:4😀",
        "1e1:4hello",
        "01:4",
        "00:",
        "+1:4",
        "-1:4",
        " 1:4",
        "1 :4",
        "1",
        "1;4",
        ":4hello",
        "hello",
        "4hello",
        "٣:4aa",
        "9999999999:4",
        "99999999999:4",
        "18446744073709551616:4",
        "18446744073709551617:4",
    ];
    for body in wrong {
        check_text(body, &[], Err(PayloadError::Length));
        check_text(&format!("2:4a{body}"), &[text("a")], Err(PayloadError::Length));
    }
    // A length that is too short leaves a rest that is none.
    check_text("2:4hello", &[text("h")], Err(PayloadError::Length));
    let digits = "9".repeat(400_000);
    check_text(&digits, &[], Err(PayloadError::Length));
    check_text(&format!("{digits}:4"), &[], Err(PayloadError::Length));
}

#[test]
fn lengths_end_exactly() {
    for characters in [1_usize, 2, 1000] {
        for (character, units) in [('a', 1), ('é', 1), ('€', 1), ('😀', 2)] {
            let packet = format!("4{}", character.to_string().repeat(characters));
            let length = 1 + characters * units;
            check_text(&format!("{}:{packet}", length + 1), &[], Err(PayloadError::Length));
            check_text(&format!("{length}:{packet}"), &[text(&packet[1..])], Ok(()));
            let short = format!("{}:{packet}", length - 1);
            let mut reader = Reader::text();
            while let Some(Ok(_)) = reader.next_packet(short.as_bytes()) {}
            assert!(reader.is_done(short.as_bytes()), "one too short does not go on");
        }
    }
}

#[test]
fn invalid_packet_ends_the_payload() {
    check_text("0:0:0:0:", &[], Err(PayloadError::Packet(PacketError::Empty)));
    check_text("2:4a0:2:4b", &[text("a")], Err(PayloadError::Packet(PacketError::Empty)));
    check_text("1:7", &[], Err(PayloadError::Packet(PacketError::UnknownType(b'7'))));
    check_text("5:bAQID", &[], Err(PayloadError::Packet(PacketError::UnknownType(b'b'))));
    check_text("5:b4AQI2:4a", &[], Err(PayloadError::Packet(PacketError::Base64)));
    check_bytes(&[0, 0, 0xff], &[], Err(PayloadError::Packet(PacketError::Empty)));
    check_bytes(&[1, 0, 0xff], &[], Err(PayloadError::Packet(PacketError::Empty)));
    check_bytes(&[1, 2, 0xff, 2, 9], &[], Err(PayloadError::Packet(PacketError::UnknownType(2))));
    check_bytes(&[1, 1, 0xff, b'4'], &[], Err(PayloadError::Packet(PacketError::UnknownType(b'4'))));
}

#[test]
fn bodies_of_bytes_have_both_kinds() {
    let body = [0, 4, 0xff, b'4', 0xe2, 0x82, 0xac, 1, 5, 0xff, 4, 1, 2, 3, 4];
    check_bytes(&body, &[text("€"), binary(&[1, 2, 3, 4])], Ok(()));
    check_bytes(&[&[0, 1, 2, 0xff, b'4'][..], &[b'a'; 11]].concat(), &[text("aaaaaaaaaaa")], Ok(()));
    check_bytes(&[1, 1, 0xff, 4, 0, 1, 0xff, b'6'], &[binary(&[]), Packet::Noop], Ok(()));
    check_bytes(&[&[0, 1, 0, 0xff][..], b"b4AQIDBA=="].concat(), &[binary(&[1, 2, 3, 4])], Ok(()));
    let wrong = [
        &[0][..],
        &[1],
        &[0, 1],
        &[0, 0xff],
        &[0, 1, 0xff],
        &[0, 2, 0xff, b'4'],
        &[0, 0, 1, 0xff, b'4'],
        &[0, 10, 0xff, b'4'],
        &[0, b'1', 0xff, b'4'],
        &[&[0][..], &[9; 310], &[0xff, b'4']].concat(),
        &[&[0][..], &[9; 500]].concat(),
        &[&[0][..], &[0; 500], &[0xff]].concat(),
    ];
    for body in wrong {
        check_bytes(body, &[], Err(PayloadError::Length));
    }
    check_bytes(&[2, 1, 0xff, b'4'], &[], Err(PayloadError::Form));
    check_bytes(b"1:4", &[], Err(PayloadError::Form));
    check_bytes(&[0, 1, 0xff, b'4', 7], &[text("")], Err(PayloadError::Form));
}

#[test]
fn what_is_not_text_is_refused() {
    check_text("", &[], Err(PayloadError::Empty));
    check_bytes(&[], &[], Err(PayloadError::Empty));
    for text in [&b"4\xff"[..], b"4\xe2\x82", b"4\xed\xa0\x80", b"4\xc0\x80", b"4\x80\x80", b"4\xf8\x88\x80\x80\x80"] {
        check_bytes(&[&[0, text.len() as u8, 0xff], text].concat(), &[], Err(PayloadError::Utf8));
        let body = [b"2:", text].concat();
        let mut reader = Reader::text();
        let refused = matches!(reader.next_packet(&body), Some(Err(PayloadError::Utf8 | PayloadError::Length)));
        assert!(refused, "{text:x?}");
        assert_eq!(reader.next_packet(&body), None);
    }
}

#[test]
fn text_that_was_encoded_twice_is_decoded_twice() {
    // What Socket.IO 1 sends for `42["m","é"]`; the length counts é as two.
    let body = "12:42[\"m\",\"\u{c3}\u{a9}\"]";
    check_text(body, &[text(r#"2["m","é"]"#)], Ok(()));
    check_text("6:4\u{e2}\u{82}\u{ac}\u{c2}\u{80}", &[text("€\u{80}")], Ok(()));
    check_text("5:4\u{f0}\u{9f}\u{98}\u{80}", &[text("😀")], Ok(()));
    check(Reader::text_as_is(), body.as_bytes(), &[text("2[\"m\",\"\u{c3}\u{a9}\"]")], Ok(()));
    // In a body of bytes nothing is encoded twice.
    check_bytes(&[0, 5, 0xff, b'4', 0xc3, 0x83, 0xc2, 0xa9], &[text("\u{c3}\u{a9}")], Ok(()));
}

#[test]
fn text_that_only_looks_a_little_like_it_stays() {
    for text in ["é", "über", "ÿ", "Ã", "Ã©€", "Ã©é", "\u{c2}", "naïve Ã©", "ascii"] {
        assert_eq!(undo(text, &mut Vec::new()), None, "{text}");
    }
}

#[test]
fn control_packets_are_counted() {
    let max = CONTROL_PACKETS_MAX;
    let body = |controls: usize| "1:2".repeat(controls) + "2:4a";
    let pings = |count: usize| vec![Packet::Ping(""); count];
    check_text(&body(max - 1), &[pings(max - 1), vec![text("a")]].concat(), Ok(()));
    check_text(&body(max), &[pings(max), vec![text("a")]].concat(), Ok(()));
    check_text(&body(max + 1), &pings(max), Err(PayloadError::TooManyControlPackets { max }));
    let one = Reader::text().with_control_packets_max(1);
    check(one, b"1:21:2", &[Packet::Ping("")], Err(PayloadError::TooManyControlPackets { max: 1 }));
}

#[test]
fn reader_can_be_put_aside() {
    let body = b"2:4a1:22:4b";
    let mut reader = Reader::text();
    assert!(!reader.is_done(body));
    assert_eq!(reader.next_packet(body), Some(Ok(text("a"))));
    let mut later = reader;
    assert_eq!(later.next_packet(body), Some(Ok(Packet::Ping(""))));
    assert!(!later.is_done(body));
    assert_eq!(later.next_packet(body), Some(Ok(text("b"))));
    assert!(later.is_done(body));
}

#[test]
fn content_type_tells_the_form() {
    for value in ["application/octet-stream", "Application/Octet-Stream", "application/octet-stream; a=b"] {
        check(Reader::for_content_type(value.as_bytes()), &[0, 1, 0xff, b'2'], &[Packet::Ping("")], Ok(()));
    }
    for value in ["", "text/plain;charset=UTF-8", "application/octet-streams", "text/plain;application/octet-stream"] {
        check(Reader::for_content_type(value.as_bytes()), b"1:2", &[Packet::Ping("")], Ok(()));
    }
}

#[test]
fn bodies_are_written_in_the_form_the_client_takes() {
    let packets = [text("€"), Packet::Noop, binary(&[1, 2, 3, 4])];
    check_written(PLAIN, &packets[..2], "text/plain; charset=UTF-8", "2:4€1:6".as_bytes());
    let bytes = [0, 4, 0xff, b'4', 0xe2, 0x82, 0xac, 0, 1, 0xff, b'6', 1, 5, 0xff, 4, 1, 2, 3, 4];
    check_written(PLAIN, &packets, "application/octet-stream", &bytes);
    let base64 = Format { base64: true, ..PLAIN };
    check_written(base64, &packets, "text/plain; charset=UTF-8", "2:4€1:610:b4AQIDBA==".as_bytes());
    let jsonp = Format { jsonp: Some(3), ..PLAIN };
    let script = br#"___eio[3]("2:4\u20ac1:610:b4AQIDBA==");"#;
    check_written(jsonp, &packets, "text/javascript; charset=UTF-8", script);
    let v4 = Format { version: Version::V4, ..PLAIN };
    check_written(v4, &packets, "text/plain; charset=UTF-8", "4€\x1e6\x1ebAQIDBA==".as_bytes());
}

#[test]
fn long_packets_have_long_lengths() {
    let long = "x".repeat(122);
    check_written(PLAIN, &[text(&long)], "text/plain; charset=UTF-8", format!("123:4{long}").as_bytes());
    let bytes = [&[1, 1, 2, 3, 0xff, 4][..], long.as_bytes()].concat();
    check_written(PLAIN, &[binary(long.as_bytes())], "application/octet-stream", &bytes);
}

fn check_both(body: &str, packets: &[Packet<'_>]) {
    check_text(body, packets, Ok(()));
    check_written(Format { base64: true, ..PLAIN }, packets, "text/plain; charset=UTF-8", body.as_bytes());
}

fn check_text(body: &str, packets: &[Packet<'_>], end: Result<(), PayloadError>) {
    check(Reader::text(), body.as_bytes(), packets, end);
}

fn check_bytes(body: &[u8], packets: &[Packet<'_>], end: Result<(), PayloadError>) {
    check(Reader::bytes(), body, packets, end);
}

fn check(mut reader: Reader, body: &[u8], packets: &[Packet<'_>], end: Result<(), PayloadError>) {
    let shown = String::from_utf8_lossy(&body[..body.len().min(60)]);
    for expected in packets {
        assert_eq!(reader.next_packet(body), Some(Ok(*expected)), "{shown:?}");
    }
    assert_eq!(reader.next_packet(body), end.err().map(Err), "{shown:?}");
    assert_eq!(reader.next_packet(body), None, "{shown:?}");
    assert!(reader.is_done(body), "{shown:?}");
}

fn check_written(format: Format, packets: &[Packet<'_>], content_type: &str, body: &[u8]) {
    let mut encoder = Encoder::with_format(format);
    assert!(encoder.is_empty());
    for packet in packets {
        match packet {
            Packet::Message(Message::Binary(data)) => encoder.push_binary(data),
            Packet::Message(Message::Text(data)) => encoder.push_text(format!("4{data}").as_bytes()),
            packet => encoder.push(packet),
        }
    }
    assert!(!encoder.is_empty());
    assert!(encoder.len() <= body.len(), "what is told so far is in it");
    assert_eq!(encoder.content_type(), content_type);
    assert_eq!(encoder.finish(), body, "{packets:?}");
}

fn text(text: &str) -> Packet<'_> {
    Packet::Message(Message::Text(text))
}

fn binary(bytes: &[u8]) -> Packet<'_> {
    Packet::Message(Message::Binary(bytes))
}
