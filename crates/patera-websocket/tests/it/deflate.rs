//! Compressed messages, judged by an implementation of DEFLATE that is not the one in use.

use miniz_oxide::deflate::core::{CompressorOxide, TDEFLFlush, compress_to_output, create_comp_flags_from_zip_params};
use patera_websocket::{
    AcceptOptions, CloseCode, Config, Connection, DeflateConfig, Error, Extensions, Limit, Opcode, Role, Violation,
    accept, client_request, deflated_server_frame, encode, encode_deflated, verify_response,
    verify_response_with_deflate,
};
use proptest::prelude::*;

use crate::support::{
    BINARY, CLOSE, CONTINUATION, Frame, Outcome, PING, PONG, Seen, TEXT, feed, output, run_on, text, wire,
};

const KEY: [u8; 16] = *b"the sample nonce";

/// What client and server make of their handshake.
fn negotiate(client: Option<DeflateConfig>, server: Option<DeflateConfig>) -> (Extensions, Extensions) {
    let mut request = client_request(&"ws://x/".parse().unwrap(), KEY, &[]).unwrap();
    if let Some(config) = &client {
        request.headers_mut().insert("sec-websocket-extensions", config.offer());
    }
    let mut options = AcceptOptions::default();
    options.deflate = server;
    let accepted = accept(&request, &options).unwrap();
    let response = accepted.response();
    let agreed = match &client {
        Some(config) => verify_response_with_deflate(&response, KEY, &[], config).unwrap(),
        None => verify_response(&response, KEY, &[]).unwrap(),
    };
    (agreed.extensions, accepted.extensions)
}

fn deflating() -> Extensions {
    negotiate(Some(DeflateConfig::default()), Some(DeflateConfig::default())).1
}

fn server(config: Config) -> Connection {
    Connection::new(Role::Server, config).with_extensions(&deflating())
}

fn limited(message_bytes_max: usize) -> Config {
    let mut config = Config::default();
    config.message_bytes_max = message_bytes_max;
    config
}

/// Compresses as RFC 7692 §7.2.1 says.
fn compress(payload: &[u8]) -> Vec<u8> {
    let mut compressor = CompressorOxide::new(create_comp_flags_from_zip_params(6, 0, 0));
    let mut deflated = Vec::new();
    compress_to_output(&mut compressor, payload, TDEFLFlush::Sync, |piece| {
        deflated.extend_from_slice(piece);
        true
    });
    deflated.strip_suffix(b"\x00\x00\xff\xff").expect("a flush ends so").to_vec()
}

/// The first frame of a compressed message.
fn compressed(opcode: u8, payload: impl AsRef<[u8]>) -> Frame {
    Frame { rsv: 4, ..Frame::new(opcode, payload) }
}

/// A compressed message cut into so many frames.
fn fragments(opcode: u8, deflated: &[u8], count: usize) -> Vec<Frame> {
    let size = deflated.len().div_ceil(count).max(1);
    let mut frames: Vec<Frame> = deflated.chunks(size).map(|piece| Frame::first(CONTINUATION, piece)).collect();
    frames[0].opcode = opcode;
    frames[0].rsv = 4;
    frames.last_mut().unwrap().fin = true;
    frames
}

/// Checks whole and byte by byte.
fn check(frames: &[Frame], seen: &[Seen], error: Option<Error>) {
    check_limited(Config::default(), frames, seen, error);
}

fn check_limited(config: Config, frames: &[Frame], seen: &[Seen], error: Option<Error>) {
    let bytes = wire(frames);
    let expected = Outcome { seen: seen.to_vec(), error };
    assert_eq!(run_on(server(config), &[&bytes]), expected);
    let singly: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(run_on(server(config), &singly), expected, "byte by byte");
}

fn violation(violation: Violation) -> Option<Error> {
    Some(Error::Protocol(violation))
}

/// RFC 7692 §7.2.3: each of its examples that does without context takeover.
#[test]
fn examples_of_the_rfc() {
    let hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
    check(&[compressed(TEXT, hello)], &[text("Hello")], None);
    let cut = [Frame { fin: false, ..compressed(TEXT, &hello[..3]) }, Frame::new(CONTINUATION, &hello[3..])];
    check(&cut, &[text("Hello")], None);
    check(&[compressed(TEXT, b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00")], &[text("Hello")], None);
    check(&[compressed(TEXT, b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00")], &[text("Hello")], None);
    check(&[compressed(TEXT, b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00")], &[text("Hello")], None);
    check(&[compressed(TEXT, b"\x00")], &[text("")], None);
    // §7.2.3.2: the second message refers to the first.
    let second = compressed(TEXT, b"\xf2\x00\x11\x00\x00");
    check(&[compressed(TEXT, hello), second], &[text("Hello")], Some(Error::InvalidDeflate));
    // And what is compressed here is understood.
    let mut config = DeflateConfig::default();
    config.threshold_bytes = 0;
    let frame = deflated_server_frame(Opcode::Text, &b"Hello".repeat(3), 15, &config).unwrap();
    let mut client = Connection::new(Role::Client, Config::default()).with_extensions(&deflating());
    let mut outcome = Outcome::default();
    feed(&mut client, &frame, &mut outcome);
    assert_eq!(outcome.seen, [text("HelloHelloHello")]);
}

#[test]
fn compressed_and_plain_messages_mix() {
    let long = "grüß dich, ".repeat(5000);
    let deflated = compress(long.as_bytes());
    let mut frames = vec![Frame::new(TEXT, "plain"), compressed(TEXT, &deflated)];
    frames.extend([Frame::new(BINARY, "plain"), compressed(BINARY, &deflated)]);
    let (plain, binary) = (Seen::Binary(b"plain".to_vec()), Seen::Binary(long.clone().into_bytes()));
    check(&frames, &[text("plain"), Seen::Text(long), plain, binary], None);
}

#[test]
fn control_frames_come_between_the_fragments() {
    let payload = "as it was in the beginning, ".repeat(100);
    let deflated = compress(payload.as_bytes());
    for count in [1, 2, 3, deflated.len()] {
        let mut frames = fragments(TEXT, &deflated, count);
        let mut seen = vec![Seen::Text(payload.clone())];
        if frames.len() > 1 {
            frames.insert(1, Frame::new(PING, "?"));
            frames.insert(frames.len() - 1, Frame::new(PONG, "!"));
            seen.splice(0..0, [Seen::Ping(b"?".to_vec()), Seen::Pong(b"!".to_vec())]);
        }
        check(&frames, &seen, None);
    }
    // Empty frames at either end are none the worse.
    let mut frames = fragments(TEXT, &deflated, 2);
    frames.insert(0, Frame { fin: false, ..compressed(TEXT, "") });
    (frames[1].opcode, frames[1].rsv, frames[2].fin) = (CONTINUATION, 0, false);
    frames.push(Frame::new(CONTINUATION, ""));
    check(&frames, &[Seen::Text(payload)], None);
}

#[test]
fn empty_messages() {
    for payload in [&b""[..], b"\x00", b"\x03\x00", b"\x03\x00\x00", b"\x02\x00", b"\x00\x00\x00\xff\xff\x00"] {
        check(&[compressed(TEXT, payload)], &[text("")], None);
        check(&[compressed(BINARY, payload)], &[Seen::Binary(Vec::new())], None);
    }
    let none = [Frame { fin: false, ..compressed(TEXT, "") }, Frame::new(CONTINUATION, "")];
    check(&none, &[text("")], None);
}

#[test]
fn first_frame_of_a_message_alone_says_that_it_is_compressed() {
    let reserved = violation(Violation::ReservedBit);
    for opcode in [PING, PONG, CLOSE] {
        check(&[compressed(opcode, "")], &[], reserved);
    }
    let deflated = compress(b"Hello, Hello");
    let mut frames = fragments(TEXT, &deflated, 2);
    frames[1].rsv = 4;
    check(&frames, &[], reserved);
    let plain = [Frame::first(TEXT, "a"), compressed(CONTINUATION, &deflated)];
    check(&plain, &[], reserved);
    check(&[compressed(CONTINUATION, &deflated)], &[], reserved);
    check(&[Frame::first(TEXT, "a"), compressed(TEXT, &deflated)], &[], violation(Violation::ExpectedContinuation));
    for rsv in [1, 2, 3, 5, 6, 7] {
        check(&[Frame { rsv, ..Frame::new(TEXT, &deflated) }], &[], reserved);
    }
}

#[test]
fn what_was_not_agreed_on_is_refused() {
    let on = Some(DeflateConfig::default());
    for (client, server) in [(None, None), (on, None), (None, on)] {
        let (client, server) = negotiate(client, server);
        assert!(client.deflate.is_none() && server.deflate.is_none());
        let connection = Connection::new(Role::Server, Config::default()).with_extensions(&server);
        let outcome = run_on(connection, &[&compressed(TEXT, compress(b"Hello")).bytes()]);
        assert_eq!(outcome, Outcome { seen: Vec::new(), error: violation(Violation::ReservedBit) });
    }
}

#[test]
fn broken_data_ends_the_connection() {
    // A block of no kind, a length that is not its complement, a reference to before the beginning, a message cut off.
    for payload in [&b"\x06"[..], b"\x00\x05\x00\x00\x00\x34\x32", b"\x03\x84\x00\x00\x00\xff\xff", b"\xf2\x48\xcd"] {
        check(&[compressed(TEXT, payload)], &[], Some(Error::InvalidDeflate));
    }
    let mut connection = server(Config::default());
    feed(&mut connection, &compressed(TEXT, b"\x06").bytes(), &mut Outcome::default());
    assert_eq!(output(&mut connection)[2..4], CloseCode::INVALID_DATA.get().to_be_bytes());
    assert!(connection.is_idle());
}

#[test]
fn inflated_text_is_checked_as_it_comes() {
    for bad in [&b"ok \xe2\x82\x28"[..], b"\xff", b"ends inside \xf0\x9f\x98"] {
        let deflated = compress(bad);
        check(&[compressed(TEXT, &deflated)], &[], Some(Error::InvalidUtf8));
        check(&fragments(TEXT, &deflated, 4), &[], Some(Error::InvalidUtf8));
        check(&[compressed(BINARY, &deflated)], &[Seen::Binary(bad.to_vec())], None);
    }
    // The rest of the message never comes; what has come is enough.
    let deflated = compress(&[&b"\xff"[..], &[b'a'; 100_000]].concat());
    let mut first = Frame { fin: false, ..compressed(TEXT, &deflated[..deflated.len() / 2]) };
    check(&[first.clone()], &[], Some(Error::InvalidUtf8));
    first.opcode = BINARY;
    check(&[first], &[], None);
}

#[test]
fn bomb_ends_at_the_limit() {
    // 10 KB of it are 10 MB.
    let bomb = compress(&vec![0; 10_000_000]);
    assert!(bomb.len() < 50_000, "{}", bomb.len());
    for frames in [vec![compressed(BINARY, &bomb)], fragments(BINARY, &bomb, 100)] {
        let limit = Error::Limit { what: Limit::MessageBytes, max: 1_000_000, got: 1_000_001 };
        let outcome = run_on(server(Config::default()), &[&wire(&frames)]);
        assert_eq!(outcome, Outcome { seen: Vec::new(), error: Some(limit) });
        assert_eq!(limit.close_code(), CloseCode::TOO_BIG);
    }
}

#[test]
fn message_limit_is_of_the_inflated_message() {
    for (opcode, len) in [(BINARY, 50_000), (TEXT, 50_000), (BINARY, 8192), (TEXT, 1)] {
        let payload = vec![b'a'; len];
        let frames = fragments(opcode, &compress(&payload), 3);
        let whole = if opcode == TEXT { Seen::Text("a".repeat(len)) } else { Seen::Binary(payload) };
        for max in [len, len + 1] {
            check_limited(limited(max.max(20)), &frames, std::slice::from_ref(&whole), None);
        }
        if len > 20 {
            let limit = Error::Limit { what: Limit::MessageBytes, max: len - 1, got: len as u64 };
            check_limited(limited(len - 1), &frames, &[], Some(limit));
        }
    }
}

#[test]
fn what_arrives_is_limited_too() {
    // Empty blocks come to nothing, but they come.
    let blocks = b"\x00\x00\x00\xff\xff".repeat(20);
    let mut frames = fragments(BINARY, &blocks, 2);
    check_limited(limited(100), &frames, &[], Some(Error::InvalidDeflate));
    frames[1].payload.push(0);
    let limit = Error::Limit { what: Limit::MessageBytes, max: 100, got: 101 };
    check_limited(limited(100), &frames, &[], Some(limit));
    check_limited(limited(101), &frames, &[Seen::Binary(Vec::new())], None);
    // As many as a message can hold.
    for block in [&b"\x00\x00\x00\xff\xff"[..], b"\x03\x00"] {
        let many = [&block.repeat(900_000 / block.len())[..], b"\x00"].concat();
        let outcome = run_on(server(Config::default()), &[&compressed(BINARY, &many).bytes()]);
        assert_eq!(outcome, Outcome { seen: vec![Seen::Binary(Vec::new())], error: None });
    }
}

#[test]
fn connection_is_idle_behind_a_compressed_message() {
    let payload = b"Hello, ".repeat(1000);
    let bytes = compressed(BINARY, compress(&payload)).bytes();
    let mut connection = server(Config::default());
    let mut outcome = Outcome::default();
    for byte in &bytes {
        feed(&mut connection, &[*byte], &mut outcome);
        assert!(!connection.is_idle());
    }
    assert_eq!(outcome.seen, [Seen::Binary(payload)]);
    output(&mut connection);
    assert!(connection.is_idle());
}

#[test]
fn every_window_keeps_to_its_size() {
    let mut random = 1u32;
    let mut noise = |len: usize| -> Vec<u8> {
        (0..len)
            .map(|_| {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (random >> 24) as u8
            })
            .collect()
    };
    for bits in 9..=15 {
        // Repetitions just inside the window, and far outside of it.
        let (near, far) = (noise((1 << bits) / 2), noise(40_000));
        let payload = [&near[..], &near, &far, &near, &far].concat();
        for level in [1, 6, 9] {
            let mut config = DeflateConfig::default();
            config.level = level;
            let frame = deflated_server_frame(Opcode::Binary, &payload, bits, &config);
            let Some(frame) = frame else { continue };
            let deflated = [&frame[header_len(&frame)..], b"\x00\x00\xff\xff\x03\x00"].concat();
            let inflated = miniz_oxide::inflate::decompress_to_vec(&deflated).unwrap();
            assert!(inflated == payload, "{bits} bits, level {level}");
            // An inflater that has no more than this window understands it.
            let mut small = flate2::Decompress::new_with_window_bits(false, bits);
            let mut output = Vec::new();
            let mut piece = vec![0; 64];
            let mut at = 0;
            loop {
                let (before_in, before_out) = (small.total_in(), small.total_out());
                small.decompress(&deflated[at..], &mut piece, flate2::FlushDecompress::None).unwrap();
                at += (small.total_in() - before_in) as usize;
                let count = (small.total_out() - before_out) as usize;
                output.extend_from_slice(&piece[..count]);
                if count == 0 {
                    break;
                }
            }
            assert!(output == payload, "{bits} bits, level {level}");
        }
    }
}

/// Of a server's frame.
fn header_len(frame: &[u8]) -> usize {
    match frame[1] {
        126 => 4,
        127 => 10,
        _ => 2,
    }
}

fn message() -> impl Strategy<Value = (bool, Vec<u8>)> {
    let words = prop::collection::vec("[a-zé€😀]{1,8}", 0..6);
    let repetitive = (words, 0usize..400).prop_map(|(words, count)| words.join(" ").repeat(count).into_bytes());
    prop_oneof![
        3 => repetitive.prop_map(|payload| (true, payload)),
        2 => "\\PC{0,300}".prop_map(|text| (true, text.into_bytes())),
        2 => prop::collection::vec(any::<u8>(), 0..3000).prop_map(|payload| (false, payload)),
        1 => prop::collection::vec(0u8..4, 0..20_000).prop_map(|payload| (false, payload)),
    ]
}

fn seen((is_text, payload): &(bool, Vec<u8>)) -> Seen {
    if *is_text { Seen::Text(String::from_utf8(payload.clone()).unwrap()) } else { Seen::Binary(payload.clone()) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_one_side_compresses_the_other_inflates(
        messages in prop::collection::vec(message(), 0..6),
        from_client in any::<bool>(),
        bits in (9u8..=15, 9u8..=15),
        level in 0u8..=9,
        threshold_bytes in 0usize..100,
        piece in 1usize..5000,
    ) {
        let mut config = DeflateConfig::default();
        (config.server_max_window_bits, config.client_max_window_bits) = bits;
        (config.level, config.threshold_bytes) = (level, threshold_bytes);
        let (client, server) = negotiate(Some(config), Some(DeflateConfig::default()));
        let (from, to) = if from_client { (Role::Client, Role::Server) } else { (Role::Server, Role::Client) };
        let window_bits = if from_client { &client } else { &server }.deflate.unwrap().window_bits(from);
        let mut stream = Vec::new();
        for (is_text, payload) in &messages {
            let opcode = if *is_text { Opcode::Text } else { Opcode::Binary };
            if !encode_deflated(from, opcode, payload, [1, 2, 3, 4], window_bits, &config, &mut stream) {
                encode(from, opcode, true, payload, [1, 2, 3, 4], &mut stream);
            }
        }
        let connection = Connection::new(to, Config::default()).with_extensions(if from_client { &server } else { &client });
        let chunks: Vec<&[u8]> = stream.chunks(piece).collect();
        let expected: Vec<Seen> = messages.iter().map(seen).collect();
        prop_assert_eq!(run_on(connection, &chunks), Outcome { seen: expected, error: None });
    }

    #[test]
    fn what_others_compress_is_inflated_at_any_cut(
        messages in prop::collection::vec((message(), 1usize..5), 0..5),
        piece in 1usize..3000,
    ) {
        let frames: Vec<Frame> = (messages.iter())
            .flat_map(|((is_text, payload), count)| {
                fragments(if *is_text { TEXT } else { BINARY }, &compress(payload), *count)
            })
            .collect();
        let bytes = wire(&frames);
        let chunks: Vec<&[u8]> = bytes.chunks(piece).collect();
        let expected: Vec<Seen> = messages.iter().map(|(message, _)| seen(message)).collect();
        prop_assert_eq!(run_on(server(Config::default()), &chunks), Outcome { seen: expected, error: None });
    }

    #[test]
    fn others_inflate_what_we_compress(message in message(), level in 1u8..=9, bits in 9u8..=15) {
        let mut config = DeflateConfig::default();
        (config.level, config.threshold_bytes) = (level, 0);
        if let Some(frame) = deflated_server_frame(Opcode::Binary, &message.1, bits, &config) {
            prop_assert_eq!(frame[0], 0xc2);
            prop_assert!(frame.len() - header_len(&frame) < message.1.len());
            let deflated = [&frame[header_len(&frame)..], b"\x00\x00\xff\xff\x03\x00"].concat();
            prop_assert_eq!(miniz_oxide::inflate::decompress_to_vec(&deflated).unwrap(), message.1);
        }
    }

    #[test]
    fn any_offer_is_answered_or_ignored(
        offers in prop::collection::vec(
            prop_oneof!["[ -~\\t]{0,40}", "permessage-deflate(; ?(server|client)_(max_window_bits(=\"?[0-9]{1,2}\"?)?|no_context_takeover)){0,4}"],
            0..5,
        ),
    ) {
        let mut request = client_request(&"ws://x/".parse().unwrap(), KEY, &[]).unwrap();
        request.headers_mut().insert("sec-websocket-extensions", offers.join(",").parse().unwrap());
        let mut options = AcceptOptions::default();
        options.deflate = Some(DeflateConfig::default());
        let accepted = accept(&request, &options).unwrap();
        let response = accepted.response();
        prop_assert_eq!(accepted.extensions.deflate.is_some(), response.headers().contains_key("sec-websocket-extensions"));
        if let Some(agreed) = accepted.extensions.deflate {
            prop_assert!((9..=15).contains(&agreed.window_bits(Role::Server)));
            let verified = verify_response_with_deflate(&response, KEY, &[], &DeflateConfig::default()).unwrap();
            prop_assert_eq!(verified.extensions.deflate.unwrap().window_bits(Role::Server), agreed.window_bits(Role::Server));
        }
    }

    #[test]
    fn random_bytes_give_the_same_however_they_are_cut(payload in prop::collection::vec(any::<u8>(), 0..200), piece in 1usize..20) {
        let bytes = compressed(TEXT, &payload).bytes();
        let whole = run_on(server(Config::default()), &[&bytes]);
        let chunks: Vec<&[u8]> = bytes.chunks(piece).collect();
        prop_assert_eq!(run_on(server(Config::default()), &chunks), whole);
    }
}
