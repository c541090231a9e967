//! Paths of the pure crates.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use patera_protocol::engineio::Message;
use patera_protocol::socketio::{self, ConnectionConfig, Incoming, encode};
use patera_websocket::{Config, Connection, Event, Opcode, Role};

use crate::memory;

/// A text frame of so many bytes, from the wire to its message.
pub(crate) fn frame(size: usize, count: usize) {
    let wire = memory::frame(Opcode::Text, "x".repeat(size).as_bytes());
    let mut connection = Connection::new(Role::Server, Config::default());
    let mut input = wire.clone();
    for _ in 0..count {
        input.copy_from_slice(&wire);
        let progress = connection.handle_read(black_box(&mut input)).expect("it is a good frame");
        assert!(matches!(progress.event, Some(Event::Text(text)) if text.len() == size));
    }
}

/// An event with two arguments, from its text to what a handler takes.
pub(crate) fn decode(count: usize) {
    let mut connection = socketio::Connection::server(Arc::new(ConnectionConfig::default()));
    let now = Instant::now();
    let slot = match connection.handle_message(Message::Text("0"), now) {
        Ok(Some(Incoming::Connect { slot, .. })) => slot,
        other => unreachable!("a CONNECT, not {other:?}"),
    };
    connection.accept(slot);
    for _ in 0..count {
        let message = Message::Text(black_box(r#"2["chat","hello everyone",17]"#));
        let Ok(Some(Incoming::Event { name, args, .. })) = connection.handle_message(message, now) else {
            unreachable!("an event")
        };
        let text: String = args.decode(0).expect("the first is text");
        let number: u32 = args.decode(1).expect("the second is a number");
        assert!(name == "chat" && text.len() == 14 && number == 17);
    }
}

/// An event with two arguments, to its text.
pub(crate) fn encode(count: usize) {
    let mut out = Vec::new();
    for _ in 0..count {
        out.clear();
        let attachments = encode::event(&mut out, "/", None, "chat", black_box(&("hello everyone", 17)));
        assert!(attachments.is_ok() && out.len() == 29);
    }
}
