//! Frames of both roles, cut anywhere.

use patera_websocket::{Config, Connection, Opcode, Role};

use super::websocket::{self, Outcome, Seen, feed, frame_to, run as outcome};
use crate::{
    input::{Input, pieces},
    memory,
};

/// The input is a byte of flags (1: a client; 2: small limits), a byte that says how it is cut, and what a peer sends.
pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (flags, seed) = (input.byte(), input.byte());
    let bytes = input.rest();
    let role = if flags & 1 == 0 { Role::Server } else { Role::Client };
    let config = config(flags & 2 != 0);
    let whole = outcome(Connection::new(role, config), &[bytes]);

    let mut connection = Connection::new(role, config);
    let mut copy = bytes.to_vec();
    // While it grows, a message is there twice, and has room for as much again.
    let held = 3 * bytes.len().min(config.message_bytes_max) + 1024;
    memory::within(held, || feed(&mut connection, &mut copy, |_| {}));

    assert_eq!(outcome(Connection::new(role, config), &pieces(bytes, seed)), whole, "wherever it is cut");
    if bytes.len() <= 600 {
        let singly: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(outcome(Connection::new(role, config), &singly), whole, "byte by byte");
    }
    check_limits(&whole.0, &config);
    check_reads_back(role, config, &whole.0);
    check_memory_in_pieces(role, config, bytes, seed);
}

fn config(small: bool) -> Config {
    let mut config = Config::default();
    if small {
        config.frame_bytes_max = 100;
        config.message_bytes_max = 150;
        config.fragments_max = 3;
    }
    config
}

fn check_limits(outcome: &Outcome, config: &Config) {
    for seen in &outcome.seen {
        match seen {
            Seen::Text(text) => assert!(text.len() <= config.message_bytes_max),
            Seen::Binary(data) => assert!(data.len() <= config.message_bytes_max),
            Seen::Ping(data) | Seen::Pong(data) => assert!(data.len() <= 125),
            Seen::Close(frame) => assert!(frame.as_ref().is_none_or(|(_, reason)| reason.len() <= 123)),
        }
    }
    let closes = outcome.seen.iter().filter(|seen| matches!(seen, Seen::Close(_))).count();
    assert!(closes <= 1 && (closes == 0 || matches!(outcome.seen.last(), Some(Seen::Close(_)))));
    assert!(closes == 0 || outcome.error.is_none(), "behind a close frame nothing is looked at");
}

/// The same messages in one frame each say the same.
fn check_reads_back(role: Role, config: Config, outcome: &Outcome) {
    let mut bytes = Vec::new();
    let mut sent = Vec::new();
    for seen in &outcome.seen {
        let (opcode, payload) = match seen {
            Seen::Text(text) => (Opcode::Text, text.as_bytes()),
            Seen::Binary(data) => (Opcode::Binary, &data[..]),
            Seen::Ping(data) => (Opcode::Ping, &data[..]),
            Seen::Pong(data) => (Opcode::Pong, &data[..]),
            Seen::Close(_) => continue,
        };
        if payload.len() <= config.frame_bytes_max {
            frame_to(role, opcode, true, payload, &mut bytes);
            sent.push(seen.clone());
        }
    }
    let (again, _) = websocket::run(Connection::new(role, config), &[&bytes]);
    assert_eq!(again, Outcome { seen: sent, error: None });
}

/// What comes in pieces is kept, but no more of it than came and than a message may have.
fn check_memory_in_pieces(role: Role, config: Config, bytes: &[u8], seed: u8) {
    let mut connection = Connection::new(role, config);
    let mut pieces: Vec<Vec<u8>> = pieces(bytes, seed).into_iter().map(<[u8]>::to_vec).collect();
    let held = 3 * bytes.len().min(config.message_bytes_max) + 2048;
    memory::within(held, || {
        for piece in &mut pieces {
            feed(&mut connection, piece, |_| {});
        }
        websocket::owed(&mut connection);
    });
    if connection.is_idle() {
        memory::within(0, || drop(connection));
    }
}
