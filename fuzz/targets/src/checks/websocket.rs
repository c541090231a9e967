//! A WebSocket connection that is fed, and what it made of that: shared by several targets.

use std::sync::OnceLock;

use patera_websocket::{
    AcceptOptions, Config, Connection, DeflateConfig, Error, Event, Extensions, Opcode, Role, accept, client_request,
    encode,
};

/// An event that is owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
}

impl From<Event<'_>> for Seen {
    fn from(event: Event<'_>) -> Seen {
        match event {
            Event::Text(text) => Seen::Text(text.to_owned()),
            Event::Binary(data) => Seen::Binary(data.to_owned()),
            Event::Ping(data) => Seen::Ping(data.to_owned()),
            Event::Pong(data) => Seen::Pong(data.to_owned()),
            Event::Close(frame) => Seen::Close(frame.map(|frame| (frame.code.get(), frame.reason))),
            other => panic!("an event that nobody knows here: {other:?}"),
        }
    }
}

/// What a connection made of some bytes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) seen: Vec<Seen>,
    pub(super) error: Option<Error>,
}

/// Hands over what one read would bring, and tells of each event.
pub(super) fn feed(connection: &mut Connection, input: &mut [u8], mut see: impl FnMut(Event<'_>)) -> Option<Error> {
    let mut at = 0;
    while at < input.len() {
        let left = input.len() - at;
        match connection.handle_read(&mut input[at..]) {
            Ok(progress) => {
                assert!(progress.consumed > 0 && progress.consumed <= left);
                assert!(progress.event.is_some() || progress.consumed == left, "without an event all is used");
                at += progress.consumed;
                progress.event.into_iter().for_each(&mut see);
            }
            Err(error) => {
                let silent = connection.handle_read(&mut input[at..]).is_ok_and(|progress| progress.event.is_none());
                assert!(silent, "behind an error all is ignored");
                return Some(error);
            }
        }
    }
    None
}

/// What comes of these pieces, and what is owed at the end.
pub(super) fn run(mut connection: Connection, pieces: &[&[u8]]) -> (Outcome, Vec<u8>) {
    let mut outcome = Outcome::default();
    for piece in pieces {
        let error = feed(&mut connection, &mut piece.to_vec(), |event| outcome.seen.push(event.into()));
        if error.is_some() {
            assert!(outcome.error.is_none(), "an error comes once");
            outcome.error = error;
        }
    }
    let owed = owed(&mut connection);
    assert!(owed.is_empty() || !connection.close_sent() || is_closing(&owed, connection.role()));
    (outcome, owed)
}

/// The frames that a connection owes.
pub(super) fn owed(connection: &mut Connection) -> Vec<u8> {
    let mut owed = Vec::new();
    let any = connection.poll_output(|| [1, 2, 3, 4], &mut owed);
    assert_eq!(any, !owed.is_empty());
    assert!(!connection.poll_output(|| [1, 2, 3, 4], &mut Vec::new()), "it is owed once");
    owed
}

/// Whether the peer reads the last of these frames as a close frame, without fault.
fn is_closing(owed: &[u8], role: Role) -> bool {
    let peer = match role {
        Role::Server => Role::Client,
        Role::Client => Role::Server,
    };
    let mut last = None;
    let mut connection = Connection::new(peer, Config::default());
    let error = feed(&mut connection, &mut owed.to_vec(), |event| last = Some(Seen::from(event)));
    error.is_none() && matches!(last, Some(Seen::Close(_)))
}

/// A frame of the peer of this role.
pub(super) fn frame_to(role: Role, opcode: Opcode, fin: bool, payload: &[u8], out: &mut Vec<u8>) {
    let sender = match role {
        Role::Server => Role::Client,
        Role::Client => Role::Server,
    };
    encode(sender, opcode, fin, payload, [0x12, 0xab, 0x00, 0xff], out);
}

/// What a handshake comes to in which both sides want permessage-deflate.
pub(super) fn deflate() -> &'static Extensions {
    static AGREED: OnceLock<Extensions> = OnceLock::new();
    AGREED.get_or_init(|| {
        let uri = "ws://x/".parse().expect("it is one");
        let mut request = client_request(&uri, *b"the sample nonce", &[]).expect("nothing is wrong with it");
        request.headers_mut().insert("sec-websocket-extensions", DeflateConfig::default().offer());
        let mut options = AcceptOptions::default();
        options.deflate = Some(DeflateConfig::default());
        accept(&request, &options).expect("both are ours").extensions
    })
}
