//! Pings and the closing handshake.

use patera_websocket::{CloseCode, Config, Connection, Error, Role, Violation};

use crate::support::{CLOSE, Frame, Outcome, PING, PONG, Seen, TEXT, close_output, feed, output, serve, text, wire};

fn server() -> Connection {
    Connection::new(Role::Server, Config::default())
}

fn take(connection: &mut Connection, frames: &[Frame]) -> Outcome {
    let mut outcome = Outcome::default();
    feed(connection, &wire(frames), &mut outcome);
    outcome
}

#[test]
fn only_the_newest_ping_is_answered() {
    let mut connection = server();
    take(&mut connection, &[Frame::new(PING, "1"), Frame::new(PING, "2"), Frame::new(PING, "3")]);
    assert!(!connection.is_idle());
    assert_eq!(output(&mut connection), b"\x8a\x013");
    assert_eq!(output(&mut connection), b"");
    assert!(connection.is_idle());
}

#[test]
fn ping_of_every_size_is_answered_also_in_pieces() {
    for len in 0..=125u8 {
        let payload: Vec<u8> = (0..len).collect();
        let bytes = Frame::new(PING, &payload).bytes();
        let expected = [&[0x8a, len], &payload[..]].concat();
        let mut connection = server();
        let mut outcome = Outcome::default();
        feed(&mut connection, &bytes, &mut outcome);
        assert_eq!(output(&mut connection), expected);
        bytes.iter().for_each(|byte| feed(&mut connection, &[*byte], &mut outcome));
        assert_eq!(output(&mut connection), expected);
        assert_eq!(outcome.seen, [Seen::Ping(payload.clone()), Seen::Ping(payload)]);
    }
}

#[test]
fn pong_is_not_answered() {
    let mut connection = server();
    let outcome = take(&mut connection, &[Frame::new(PONG, "unasked")]);
    assert_eq!(outcome.seen, [Seen::Pong(b"unasked".to_vec())]);
    assert_eq!(output(&mut connection), b"");
}

#[test]
fn peers_close_is_echoed_once() {
    let mut connection = server();
    let outcome =
        take(&mut connection, &[Frame::close(3000, "bye"), Frame::close(1000, "again"), Frame::new(TEXT, "x")]);
    assert_eq!(outcome.seen, [Seen::Close(Some((3000, "bye".to_owned())))]);
    assert!(connection.close_received() && !connection.close_sent() && !connection.is_closed());
    assert_eq!(output(&mut connection), b"\x88\x02\x0b\xb8");
    assert!(connection.is_closed());
    assert_eq!(output(&mut connection), b"");
    assert!(connection.is_idle());
}

#[test]
fn close_without_a_code_is_echoed_without() {
    let mut connection = server();
    assert_eq!(take(&mut connection, &[Frame::new(CLOSE, "")]).seen, [Seen::Close(None)]);
    assert_eq!(output(&mut connection), b"\x88\x00");
}

#[test]
fn pong_goes_before_the_close_and_never_behind_it() {
    let mut connection = server();
    take(&mut connection, &[Frame::new(PING, "?"), Frame::close(1000, "")]);
    assert_eq!(output(&mut connection), b"\x8a\x01?\x88\x02\x03\xe8");

    let mut connection = server();
    connection.close(CloseCode::AWAY, "");
    take(&mut connection, &[Frame::new(PING, "?")]);
    assert_eq!(output(&mut connection), b"\x88\x02\x03\xe9");
    take(&mut connection, &[Frame::new(PING, "?")]);
    assert_eq!(output(&mut connection), b"");
}

#[test]
fn messages_still_come_after_our_own_close() {
    let mut connection = server();
    connection.close(CloseCode::AWAY, "restart");
    connection.close(CloseCode::NORMAL, "the first stands");
    assert_eq!(output(&mut connection), b"\x88\x09\x03\xe9restart");
    assert!(connection.close_sent() && !connection.is_closed());
    let outcome = take(&mut connection, &[Frame::new(TEXT, "late"), Frame::close(1001, "")]);
    assert_eq!(outcome.seen, [text("late"), Seen::Close(Some((1001, String::new())))]);
    assert!(connection.is_closed());
    assert_eq!(output(&mut connection), b"");
}

#[test]
fn error_is_told_once_and_then_nothing_is_heard() {
    let mut connection = server();
    let outcome = take(&mut connection, &[Frame::new(TEXT, "ok"), Frame::new(0, "x"), Frame::new(TEXT, "not heard")]);
    assert_eq!(outcome.seen, [text("ok")]);
    assert_eq!(outcome.error, Some(Error::Protocol(Violation::UnexpectedContinuation)));
    let out = output(&mut connection);
    assert_eq!(out[2..4], close_output(CloseCode::PROTOCOL)[2..]);
    assert_eq!(&out[4..], b"continuation of no message");
    assert_eq!(take(&mut connection, &[Frame::new(TEXT, "nor this"), Frame::close(1000, "")]), Outcome::default());
    assert_eq!(output(&mut connection), b"");
    assert!(connection.is_idle());
}

#[test]
fn connection_is_idle_after_an_error_in_the_middle_of_a_header() {
    for bytes in [&[0x83][..], &[0x81, 0x05], &[0x81, 0xfe, 0, 5], &[0x01, 0x81, 0, 0, 0, 0, 0xff]] {
        let mut connection = server();
        let mut outcome = Outcome::default();
        bytes.iter().for_each(|byte| feed(&mut connection, &[*byte], &mut outcome));
        assert!(outcome.error.is_some(), "{bytes:x?}");
        output(&mut connection);
        assert!(connection.is_idle(), "{bytes:x?}");
    }
}

#[test]
fn error_behind_our_own_close_sends_no_second_one() {
    let mut connection = server();
    connection.close(CloseCode::NORMAL, "");
    output(&mut connection);
    assert!(take(&mut connection, &[Frame::new(3, "")]).error.is_some());
    assert_eq!(output(&mut connection), b"");
}

#[test]
fn every_close_code_is_taken_or_refused() {
    for code in 0..=u16::MAX {
        let outcome = serve(&[Frame::close(code, "")]);
        if CloseCode::new(code).is_some() {
            assert_eq!(outcome.seen, [Seen::Close(Some((code, String::new())))]);
        } else {
            assert_eq!(outcome.error, Some(Error::Protocol(Violation::CloseCode)), "{code}");
        }
    }
}
