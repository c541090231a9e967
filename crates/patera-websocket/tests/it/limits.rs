//! The edges of every limit.

use patera_websocket::{CloseCode, Config, Connection, Error, Limit, Role};

use crate::support::{BINARY, CONTINUATION, Frame, Outcome, PING, TEXT, feed, run, wire};

fn config(frame: usize, message: usize, fragments: usize) -> Config {
    let mut config = Config::default();
    config.frame_bytes_max = frame;
    config.message_bytes_max = message;
    config.fragments_max = fragments;
    config
}

/// Checks whole and byte by byte.
fn check(config: Config, frames: &[Frame], expected: Option<(Limit, usize, u64)>) {
    let expected = expected.map(|(what, max, got)| Error::Limit { what, max, got });
    let bytes = wire(frames);
    assert_eq!(run(Role::Server, config, &[&bytes]).error, expected);
    let singly: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(run(Role::Server, config, &singly).error, expected);
}

#[test]
fn frame_bytes() {
    let check = |len: usize, expected| check(config(100, 1000, 9), &[Frame::new(BINARY, vec![0; len])], expected);
    check(99, None);
    check(100, None);
    check(101, Some((Limit::FrameBytes, 100, 101)));
}

#[test]
fn message_bytes() {
    let check = |sizes: &[usize], expected| {
        let last = sizes.len() - 1;
        let frames: Vec<Frame> = (sizes.iter().enumerate())
            .map(|(at, &size)| Frame {
                fin: at == last,
                ..Frame::new(if at == 0 { TEXT } else { CONTINUATION }, vec![b'a'; size])
            })
            .collect();
        check(config(1000, 100, 9), &frames, expected);
    };
    check(&[99], None);
    check(&[100], None);
    check(&[101], Some((Limit::MessageBytes, 100, 101)));
    check(&[50, 49], None);
    check(&[50, 50, 0], None);
    check(&[50, 51], Some((Limit::MessageBytes, 100, 101)));
    check(&[100, 1], Some((Limit::MessageBytes, 100, 101)));
}

#[test]
fn fragments() {
    let check = |count: usize, expected| {
        let mut frames = vec![Frame::first(TEXT, "")];
        frames.resize(count, Frame::first(CONTINUATION, "a"));
        frames.last_mut().unwrap().fin = true;
        frames.insert(1, Frame::new(PING, "does not count"));
        check(config(1000, 1000, 10), &frames, expected);
    };
    check(9, None);
    check(10, None);
    check(11, Some((Limit::Fragments, 10, 11)));
}

#[test]
fn zero_limits_still_take_empty_messages() {
    check(config(0, 0, 0), &[Frame::new(TEXT, ""), Frame::new(PING, "pings are not limited")], None);
    check(config(0, 0, 0), &[Frame::new(TEXT, "a")], Some((Limit::FrameBytes, 0, 1)));
    check(config(9, 9, 0), &[Frame::first(TEXT, ""), Frame::new(0, "")], Some((Limit::Fragments, 0, 2)));
}

#[test]
fn limits_are_checked_on_the_header() {
    let check = |header: &[u8], max: usize, got: u64| {
        let outcome = run(Role::Server, config(max, max, 9), &[header]);
        assert_eq!(outcome.error, Some(Error::Limit { what: Limit::FrameBytes, max, got }));
    };
    check(&[0x82, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4], 1_000_000, i64::MAX as u64);
    check(&[0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4], 1_000_000, 1 << 32);
    check(&[0x82, 0xfe, 0, 200, 1, 2, 3, 4], 199, 200);
}

#[test]
fn huge_lengths_do_not_overflow_where_nothing_is_limited() {
    let header = [0x80, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4];
    let mut connection = Connection::new(Role::Server, config(usize::MAX, usize::MAX, 9));
    let mut outcome = Outcome::default();
    feed(&mut connection, &Frame::first(BINARY, "abc").bytes(), &mut outcome);
    feed(&mut connection, &header, &mut outcome);
    feed(&mut connection, b"and a little of the payload", &mut outcome);
    assert_eq!(outcome, Outcome::default());
}

#[test]
fn default_limits_close_with_their_codes() {
    let code = |frames: &[Frame]| run(Role::Server, Config::default(), &[&wire(frames)]).error.map(|e| e.close_code());
    assert_eq!(code(&[Frame::new(BINARY, vec![0; 1_000_000])]), None);
    assert_eq!(code(&[Frame::new(BINARY, vec![0; 1_000_001])]), Some(CloseCode::TOO_BIG));
    let half = vec![0; 600_000];
    assert_eq!(code(&[Frame::first(BINARY, &half), Frame::new(CONTINUATION, &half)]), Some(CloseCode::TOO_BIG));
    let mut many = vec![Frame::first(BINARY, "")];
    many.resize(1025, Frame::first(CONTINUATION, ""));
    assert_eq!(code(&many[..1024]), None);
    assert_eq!(code(&many), Some(CloseCode::POLICY));
}
