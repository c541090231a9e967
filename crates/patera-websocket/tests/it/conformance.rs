//! The cases that WebSocket conformance suites play, by their subjects: framing, pings, reserved bits, opcodes,
//! fragmentation, UTF-8, closing, and sizes.

use patera_websocket::{CloseCode, Error, Violation};

use crate::support::{BINARY, CLOSE, CONTINUATION, Frame, PING, PONG, Seen, TEXT, run, serve, text, wire};

fn check(frames: &[Frame], seen: &[Seen], code: Option<CloseCode>) {
    let outcome = serve(frames);
    assert_eq!(outcome.seen, seen, "{frames:?}");
    assert_eq!(outcome.error.map(|error| error.close_code()), code, "{frames:?}");
}

fn check_violation(frame: Frame, violation: Violation) {
    let outcome = serve(&[Frame::new(TEXT, "before"), frame, Frame::new(PING, "behind")]);
    assert_eq!(outcome.seen, [text("before")]);
    assert_eq!(outcome.error, Some(Error::Protocol(violation)));
}

#[test]
fn framing_takes_every_size() {
    for len in [0, 1, 125, 126, 127, 128, 65535, 65536, 1_000_000] {
        check(&[Frame::new(TEXT, vec![b'*'; len])], &[Seen::Text("*".repeat(len))], None);
        check(&[Frame::new(BINARY, vec![0xfe; len])], &[Seen::Binary(vec![0xfe; len])], None);
        let bytes = Frame::new(TEXT, vec![b'*'; len]).bytes();
        let chunks: Vec<&[u8]> = bytes.chunks(997).collect();
        let chopped = run(patera_websocket::Role::Server, patera_websocket::Config::default(), &chunks);
        assert_eq!(chopped.seen, [Seen::Text("*".repeat(len))]);
    }
}

#[test]
fn pings_and_pongs() {
    for payload in [&b""[..], b"Hello, world!", b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff", &[0xfe; 125]] {
        check(&[Frame::new(PING, payload)], &[Seen::Ping(payload.to_vec())], None);
        check(&[Frame::new(PONG, payload)], &[Seen::Pong(payload.to_vec())], None);
    }
    check_violation(Frame::new(PING, [0xfe; 126]), Violation::LongControl);
    check_violation(Frame::first(PING, ""), Violation::FragmentedControl);
}

#[test]
fn reserved_bits_are_refused() {
    for rsv in 1..8 {
        for opcode in [TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG] {
            check_violation(Frame { rsv, ..Frame::new(opcode, "") }, Violation::ReservedBit);
        }
    }
}

#[test]
fn reserved_opcodes_are_refused() {
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        check_violation(Frame::new(opcode, ""), Violation::ReservedOpcode);
        check_violation(Frame::new(opcode, "payload"), Violation::ReservedOpcode);
    }
}

#[test]
fn masks_are_required() {
    check_violation(Frame { mask: None, ..Frame::new(TEXT, "hi") }, Violation::Unmasked);
    check(&[Frame { mask: Some([0; 4]), ..Frame::new(TEXT, "zero") }], &[text("zero")], None);
}

#[test]
fn fragmentation() {
    let ping = || Seen::Ping(b"p".to_vec());
    let two = [Frame::first(TEXT, "frag1"), Frame::new(CONTINUATION, "frag2")];
    check(&two, &[text("frag1frag2")], None);
    let with_ping = [two[0].clone(), Frame::new(PING, "p"), two[1].clone()];
    check(&with_ping, &[ping(), text("frag1frag2")], None);
    let both = [&two[..], &with_ping[..]].concat();
    check(&both, &[text("frag1frag2"), ping(), text("frag1frag2")], None);
    let empty = [Frame::first(TEXT, ""), Frame::first(CONTINUATION, ""), Frame::new(CONTINUATION, "")];
    check(&empty, &[text("")], None);
    let middle = [Frame::first(BINARY, ""), Frame::first(CONTINUATION, "middle"), Frame::new(CONTINUATION, "")];
    check(&middle, &[Seen::Binary(b"middle".to_vec())], None);

    check_violation(Frame::new(CONTINUATION, "no start"), Violation::UnexpectedContinuation);
    check_violation(Frame::first(CONTINUATION, "no start"), Violation::UnexpectedContinuation);
    for opcode in [TEXT, BINARY] {
        let outcome = serve(&[Frame::first(TEXT, "a"), Frame::new(opcode, "b")]);
        assert_eq!(outcome.error, Some(Error::Protocol(Violation::ExpectedContinuation)));
    }
    let after_the_end = [two[0].clone(), two[1].clone(), Frame::new(CONTINUATION, "frag3")];
    check(&after_the_end, &[text("frag1frag2")], Some(CloseCode::PROTOCOL));
}

#[test]
fn utf8_is_valid_whole_and_in_single_bytes() {
    let valid = [
        "Hello-µ@ßöäüàá-UTF-8!!",
        "κόσμε",
        "\u{0}",
        "\u{80}",
        "\u{800}",
        "\u{10000}",
        "\u{7f}",
        "\u{7ff}",
        "\u{ffff}",
        "\u{10ffff}",
        "\u{d7ff}",
        "\u{e000}",
        "\u{fffd}",
        "\u{fffe}",
        "\u{1ffff}",
    ];
    for case in valid {
        check(&[Frame::new(TEXT, case)], &[text(case)], None);
        check(&fragments_of_one_byte(case.as_bytes()), &[text(case)], None);
    }
}

#[test]
fn utf8_is_invalid_whole_and_in_single_bytes() {
    let invalid: [&[u8]; 21] = [
        b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited", // surrogate
        b"\xce\xba\xf4\x90\x80\x80edited",                                 // above U+10FFFF
        b"\x80",
        b"\xbf",
        b"\x80\xbf\x80",
        b"\xc0 ",
        b"\xe0 ",
        b"\xf0 ",
        b"\xf8 ",
        b"\xfc ",
        b"\xc3",
        b"\xe2\x82",
        b"\xf0\x9f\x98",
        b"\xfe",
        b"\xff",
        b"\xc0\xaf",
        b"\xe0\x80\xaf",
        b"\xf0\x80\x80\xaf",
        b"\xf8\x80\x80\x80\xaf",
        b"\xed\xad\xbf\xed\xbe\x80",
        b"\xf5\x80\x80\x80",
    ];
    for case in invalid {
        check(&[Frame::new(TEXT, case)], &[], Some(CloseCode::INVALID_DATA));
        check(&fragments_of_one_byte(case), &[], Some(CloseCode::INVALID_DATA));
        // Binary messages are bytes.
        check(&[Frame::new(BINARY, case)], &[Seen::Binary(case.to_vec())], None);
    }
}

fn fragments_of_one_byte(payload: &[u8]) -> Vec<Frame> {
    let mut frames: Vec<Frame> = payload.iter().map(|byte| Frame::first(CONTINUATION, [*byte])).collect();
    frames[0].opcode = TEXT;
    frames.last_mut().unwrap().fin = true;
    frames
}

#[test]
fn utf8_fails_with_the_fragment_that_breaks_it() {
    // The continuation never comes; the first fragment is enough.
    let first = Frame::first(TEXT, b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90");
    check(&[first], &[], Some(CloseCode::INVALID_DATA));
    let may_go_on = Frame::first(TEXT, b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4");
    check(std::slice::from_ref(&may_go_on), &[], None);
    check(&[may_go_on, Frame::first(CONTINUATION, b"\x90")], &[], Some(CloseCode::INVALID_DATA));
}

#[test]
fn closing() {
    let close = |code, reason: &str| Seen::Close(Some((code, reason.to_owned())));
    check(&[Frame::new(CLOSE, "")], &[Seen::Close(None)], None);
    check(&[Frame::new(CLOSE, "\u{3}")], &[], Some(CloseCode::PROTOCOL));
    check(&[Frame::close(1000, "")], &[close(1000, "")], None);
    check(&[Frame::close(1000, "Hello World!")], &[close(1000, "Hello World!")], None);
    check(&[Frame::close(1000, "*".repeat(123))], &[close(1000, &"*".repeat(123))], None);
    check(&[Frame::close(1000, "*".repeat(124))], &[], Some(CloseCode::PROTOCOL));
    check(&[Frame::close(1000, b"\xce\xba\xed\xa0\x80")], &[], Some(CloseCode::INVALID_DATA));
    for frame in [Frame::new(TEXT, "late"), Frame::new(PING, ""), Frame::new(CLOSE, ""), Frame::new(3, "nonsense")] {
        check(&[Frame::close(1000, ""), frame], &[close(1000, "")], None);
    }
    let unfinished = [Frame::first(TEXT, "frag1"), Frame::close(1000, ""), Frame::new(CONTINUATION, "frag2")];
    check(&unfinished, &[close(1000, "")], None);
    check(
        &[Frame::new(TEXT, vec![b'a'; 262_144]), Frame::new(CLOSE, "")],
        &[text(&"a".repeat(262_144)), Seen::Close(None)],
        None,
    );
}

#[test]
fn one_message_in_fragments_of_every_size() {
    let data: Vec<u8> = (0..65536usize).map(|at| (at * 7) as u8).collect();
    for size in [64, 256, 1024, 4096, 16384, 65536] {
        let mut frames: Vec<Frame> = data.chunks(size).map(|piece| Frame::first(CONTINUATION, piece)).collect();
        frames[0].opcode = BINARY;
        frames.last_mut().unwrap().fin = true;
        check(&frames, &[Seen::Binary(data.clone())], None);
    }
}

#[test]
fn many_messages_in_one_read() {
    let bytes = wire(&vec![Frame::new(TEXT, "6"); 10_000]);
    let outcome = run(patera_websocket::Role::Server, patera_websocket::Config::default(), &[&bytes]);
    assert_eq!(outcome.seen.len(), 10_000);
}
