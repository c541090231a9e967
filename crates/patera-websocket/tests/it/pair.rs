//! A client and a server that talk to each other.

use patera_websocket::{CloseCode, Config, Connection, Opcode, Role, encode};
use proptest::prelude::*;

use crate::support::{Outcome, Seen, feed, text};

struct Side {
    connection: Connection,
    role: Role,
    outcome: Outcome,
    output: Vec<u8>,
    masks: u32,
}

impl Side {
    fn new(role: Role) -> Side {
        let connection = Connection::new(role, Config::default());
        Side { connection, role, outcome: Outcome::default(), output: Vec::new(), masks: 0 }
    }

    fn send(&mut self, opcode: Opcode, fin: bool, payload: &[u8]) {
        self.masks = self.masks.wrapping_mul(0x9e37_79b9).wrapping_add(12345);
        encode(self.role, opcode, fin, payload, self.masks.to_le_bytes(), &mut self.output);
    }

    fn flush(&mut self) -> Vec<u8> {
        let masks = &mut self.masks;
        self.connection.poll_output(
            || {
                *masks = masks.wrapping_add(0x0101_0101);
                masks.to_le_bytes()
            },
            &mut self.output,
        );
        std::mem::take(&mut self.output)
    }
}

/// Carries bytes both ways, in pieces of `piece`, until nobody has anything to say.
fn settle(a: &mut Side, b: &mut Side, piece: usize) {
    loop {
        let (from_a, from_b) = (a.flush(), b.flush());
        if from_a.is_empty() && from_b.is_empty() {
            return;
        }
        from_a.chunks(piece).for_each(|bytes| feed(&mut b.connection, bytes, &mut b.outcome));
        from_b.chunks(piece).for_each(|bytes| feed(&mut a.connection, bytes, &mut a.outcome));
    }
}

#[test]
fn whole_conversation_in_both_roles() {
    for piece in [1, 2, 3, 7, 64, 100_000] {
        let (mut client, mut server) = (Side::new(Role::Client), Side::new(Role::Server));
        client.send(Opcode::Text, true, "grüß dich".as_bytes());
        client.send(Opcode::Ping, true, b"1");
        server.send(Opcode::Binary, false, &[1; 70_000]);
        server.send(Opcode::Ping, true, b"2");
        server.send(Opcode::Continuation, true, &[2; 300]);
        settle(&mut client, &mut server, piece);
        server.connection.close(CloseCode::AWAY, "closing time");
        settle(&mut client, &mut server, piece);

        let close = Seen::Close(Some((1001, "closing time".to_owned())));
        let data = [vec![1; 70_000], vec![2; 300]].concat();
        let pongs = |at: &str| Seen::Pong(at.into());
        let pings = |at: &str| Seen::Ping(at.into());
        assert_eq!(client.outcome.seen, [pings("2"), Seen::Binary(data), pongs("1"), close]);
        let echo = Seen::Close(Some((1001, String::new())));
        assert_eq!(server.outcome.seen, [text("grüß dich"), pings("1"), pongs("2"), echo]);
        for side in [&client, &server] {
            assert_eq!(side.outcome.error, None);
            assert!(side.connection.is_closed() && side.connection.is_idle());
        }
    }
}

#[test]
fn both_may_close_at_once() {
    let (mut client, mut server) = (Side::new(Role::Client), Side::new(Role::Server));
    client.connection.close(CloseCode::NORMAL, "c");
    server.connection.close(CloseCode::AWAY, "s");
    settle(&mut client, &mut server, 1);
    assert!(client.connection.is_closed() && server.connection.is_closed());
    assert_eq!(client.outcome.seen, [Seen::Close(Some((1001, "s".to_owned())))]);
    assert_eq!(server.outcome.seen, [Seen::Close(Some((1000, "c".to_owned())))]);
}

#[test]
fn same_roles_do_not_understand_each_other() {
    for role in [Role::Client, Role::Server] {
        let (mut a, mut b) = (Side::new(role), Side::new(role));
        a.send(Opcode::Text, true, b"hello");
        settle(&mut a, &mut b, 100);
        assert_eq!(b.outcome.error.map(|error| error.close_code()), Some(CloseCode::PROTOCOL));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_sent_arrives(
        messages in prop::collection::vec((any::<bool>(), "\\PC{0,300}"), 0..8),
        piece in 1usize..50,
        from_client in any::<bool>(),
    ) {
        let (mut from, mut to) = (Side::new(Role::Client), Side::new(Role::Server));
        if !from_client {
            (from, to) = (to, from);
        }
        let mut expected = Vec::new();
        for (is_text, message) in messages {
            from.send(if is_text { Opcode::Text } else { Opcode::Binary }, true, message.as_bytes());
            expected.push(if is_text { Seen::Text(message) } else { Seen::Binary(message.into_bytes()) });
        }
        settle(&mut from, &mut to, piece);
        prop_assert_eq!(to.outcome, Outcome { seen: expected, error: None });
    }
}
