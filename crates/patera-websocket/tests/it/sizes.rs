//! What a connection costs.

use patera_websocket::{Config, Connection, Event, Opcode, Role, encode, server_header};

use crate::support::{BINARY, CONTINUATION, Frame, Outcome, PING, TEXT, feed, output, wire};

#[test]
fn connection_is_small() {
    assert!(size_of::<Connection>() <= 88, "{}", size_of::<Connection>());
}

#[test]
fn connection_is_idle_between_messages() {
    let mut connection = Connection::new(Role::Server, Config::default());
    assert!(connection.is_idle());
    let frames = [Frame::first(TEXT, "a"), Frame::new(PING, "?"), Frame::new(CONTINUATION, "b")];
    let bytes = wire(&frames);
    for (at, byte) in bytes.iter().enumerate() {
        feed(&mut connection, &[*byte], &mut Outcome::default());
        assert!(!connection.is_idle(), "after byte {at}");
    }
    output(&mut connection);
    assert!(connection.is_idle());
}

#[test]
fn message_that_came_whole_is_a_slice_of_the_input() {
    for opcode in [TEXT, BINARY] {
        let mut input = Frame::new(opcode, "hello").bytes();
        let range = input.as_ptr_range();
        let mut connection = Connection::new(Role::Server, Config::default());
        let at = match connection.handle_read(&mut input).unwrap().event {
            Some(Event::Text(text)) => text.as_ptr(),
            Some(Event::Binary(data)) => data.as_ptr(),
            other => panic!("{other:?}"),
        };
        assert!(range.contains(&at));
        assert!(connection.is_idle());
    }
}

#[test]
fn server_header_is_the_head_of_the_frame() {
    for len in [0, 125, 126, 65535, 65536] {
        let mut frame = Vec::new();
        encode(Role::Server, Opcode::Text, true, &vec![b'a'; len], [0; 4], &mut frame);
        let header = server_header(Opcode::Text, len);
        assert_eq!(header[..], frame[..frame.len() - len]);
    }
}
