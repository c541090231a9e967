//! The whole connection, pure: WebSocket frames or payloads, Engine.IO, Socket.IO, in either role and revision, in virtual time. A
//! byte stream that is cut anywhere says the same.

use std::{fmt::Write as _, sync::Arc, time::Instant};

use patera_protocol::{
    engineio::{
        CloseReason, Message, Packet, Session, SessionConfig, SessionEvent, Transport, Version, payload::Decoder,
        payload_v3::Reader,
    },
    socketio::{Connection, ConnectionConfig, Incoming, encode},
};
use patera_websocket::{self as websocket, Config, Opcode, Role};

use super::{
    at,
    websocket::{deflate, feed, frame_to, owed},
};
use crate::input::{Input, pieces, text_of};

/// The input is a byte of flags (1: a client; 2: revision 3; 4: begin with polling; 8: compressed messages), a byte that says how it
/// is cut, and steps: see [`Step`].
pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (flags, seed) = (input.byte(), input.byte());
    let mut whole = Side::new(flags);
    let mut cut = Side::new(flags);
    while !input.is_empty() {
        let step = Step::read(&mut input);
        whole.take(&step, |bytes| vec![bytes]);
        cut.take(&step, |bytes| pieces(bytes, seed));
        assert_eq!(cut.told, whole.told, "wherever it is cut");
    }
    whole.end();
}

/// One thing that happens. In the input: its number, a length, and so many bytes.
enum Step<'a> {
    /// 0, 1, 2: bytes on the WebSocket.
    Bytes(&'a [u8]),
    /// 3: a text frame.
    Text(&'a [u8]),
    /// 4: a binary frame.
    Binary(&'a [u8]),
    /// 5: a payload of long-polling; without any, the client's requests are over.
    Payload(&'a [u8]),
    /// 6: the length is a time, in 250 ms.
    Time(u64),
    /// 7: a WebSocket opens as a probe; with an odd length the transport ends.
    Transport(bool),
}

impl<'a> Step<'a> {
    fn read(input: &mut Input<'a>) -> Self {
        let kind = input.byte() % 8;
        match kind {
            6 => Step::Time(250 * u64::from(input.byte())),
            7 => Step::Transport(input.byte() % 2 == 1),
            0..=2 => Step::Bytes(input.block()),
            3 => Step::Text(input.block()),
            4 => Step::Binary(input.block()),
            _ => Step::Payload(input.block()),
        }
    }
}

struct Side {
    role: Role,
    version: Version,
    now: u64,
    websocket: websocket::Connection,
    session: Session,
    connection: Connection,
    failed: bool,
    /// All that happened, in order.
    told: String,
}

impl Side {
    fn new(flags: u8) -> Self {
        let role = if flags & 1 == 0 { Role::Server } else { Role::Client };
        let version = if flags & 2 == 0 { Version::V4 } else { Version::V3 };
        let transport = if flags & 4 == 0 { Transport::WebSocket } else { Transport::Polling };
        let mut websocket = websocket::Connection::new(role, Config::default());
        if flags & 8 != 0 {
            websocket = websocket.with_extensions(deflate());
        }
        let (session_config, config) = (SessionConfig::default(), Arc::new(ConnectionConfig::default()));
        let (session, mut connection) = match role {
            Role::Server => (
                Session::server_with_version(version, transport, &session_config, at(0)),
                Connection::server_with_revision(version.into(), config),
            ),
            Role::Client => (
                Session::client_with_version(version, transport, &session_config, at(0)),
                Connection::client_with_revision(version.into(), config),
            ),
        };
        match (role, version) {
            (Role::Client, _) => {
                for namespace in ["/", "/a"] {
                    connection.connect(namespace).expect("nothing is entered yet");
                }
            }
            (Role::Server, Version::V3) => {
                let root = connection.enter_root().expect("nothing is entered yet");
                connection.accept(root);
            }
            (Role::Server, _) => {}
        }
        Side { role, version, now: 0, websocket, session, connection, failed: false, told: String::new() }
    }

    fn take<'a>(&mut self, step: &Step<'a>, cut: impl Fn(&'a [u8]) -> Vec<&'a [u8]>) {
        match *step {
            Step::Bytes(bytes) => cut(bytes).into_iter().for_each(|piece| self.handle_bytes(piece)),
            Step::Text(text) => self.handle_frame(Opcode::Text, text_of(text).as_bytes()),
            Step::Binary(data) => self.handle_frame(Opcode::Binary, data),
            Step::Payload([]) => self.session.handle_polling_paused(),
            Step::Payload(body) => self.handle_payload(body),
            Step::Time(milliseconds) => self.handle_time(milliseconds),
            Step::Transport(false) => {
                let probe = self.session.handle_probe(at(self.now));
                self.tell(format_args!("probe {probe:?}"));
            }
            Step::Transport(true) => self.session.handle_transport_closed(Transport::WebSocket, false),
        }
        self.drain();
    }

    /// Bytes on the WebSocket, as one read would bring them.
    fn handle_bytes(&mut self, bytes: &[u8]) {
        let mut messages = Vec::new();
        let error = feed(&mut self.websocket, &mut bytes.to_vec(), |event| match event {
            websocket::Event::Text(text) => messages.push(Ok(text.to_owned())),
            websocket::Event::Binary(data) => messages.push(Err(data.to_owned())),
            _ => {}
        });
        for message in messages {
            let mut scratch = Vec::new();
            let packet = match &message {
                Ok(text) => self.version.decode_text(text, &mut scratch),
                Err(data) => self.version.decode_binary(data),
            };
            match packet {
                Ok(packet) => self.handle_packet(Transport::WebSocket, packet),
                Err(error) => self.tell(format_args!("{error:?}")),
            }
        }
        if let Some(error) = error {
            self.tell(format_args!("{error:?}"));
            self.session.handle_transport_closed(Transport::WebSocket, true);
        }
    }

    fn handle_frame(&mut self, opcode: Opcode, payload: &[u8]) {
        let mut frame = Vec::new();
        frame_to(self.role, opcode, true, payload, &mut frame);
        self.handle_bytes(&frame);
    }

    fn handle_payload(&mut self, body: &[u8]) {
        let error = match self.version {
            Version::V3 => {
                let mut reader = Reader::text();
                loop {
                    match reader.next_packet(body) {
                        Some(Ok(packet)) => self.handle_packet(Transport::Polling, packet),
                        Some(Err(error)) => break Some(error),
                        None => break None,
                    }
                }
            }
            _ => match Decoder::new(body) {
                Err(error) => Some(error),
                Ok(mut decoder) => loop {
                    match decoder.next_packet() {
                        Some(Ok(packet)) => self.handle_packet(Transport::Polling, packet),
                        Some(Err(error)) => break Some(error),
                        None => break None,
                    }
                },
            },
        };
        if let Some(error) = error {
            self.tell(format_args!("{error:?}"));
            self.session.handle_transport_closed(Transport::Polling, true);
        }
    }

    fn handle_packet(&mut self, transport: Transport, packet: Packet<'_>) {
        let was_closed = self.session.is_closed();
        let handled = self.session.handle_packet(transport, packet, at(self.now));
        assert!(!was_closed || handled == Ok(None), "nothing passes a closed session");
        match handled {
            Ok(Some(message)) => self.handle_message(message),
            Ok(None) => {}
            Err(reason) => {
                assert!(self.session.is_closed());
                self.tell(format_args!("{reason}"));
            }
        }
    }

    fn handle_message(&mut self, message: Message<'_>) {
        if self.failed {
            return;
        }
        let mut told = String::new();
        let mut asks = None;
        let mut answer = Vec::new();
        match self.connection.handle_message(message, at(self.now)) {
            Err(error) => {
                self.failed = true;
                told = error.name().to_owned();
                self.session.close(CloseReason::ForcedClose);
            }
            Ok(None) => {}
            Ok(Some(Incoming::Connect { slot, namespace, .. })) => {
                encode::connect(&mut answer, namespace, &()).expect("nothing is JSON");
                asks = Some(slot);
            }
            Ok(Some(Incoming::Event { name, args, ack, .. })) => {
                let _ = write!(told, "{name} {:?}", args.iter().collect::<Vec<_>>());
                if let Some(id) = ack {
                    encode::ack(&mut answer, "/", id, &args.value(0).unwrap_or_default()).expect("a value is JSON");
                }
            }
            Ok(Some(Incoming::Ack { id, args, .. })) => {
                let _ = write!(told, "{id} {:?}", args.iter().collect::<Vec<_>>());
            }
            Ok(Some(other)) => {
                let _ = write!(told, "{other:?}");
            }
        }
        if let Some(slot) = asks {
            self.connection.accept(slot);
        }
        self.connection.release();
        self.tell(format_args!("{told} {}", String::from_utf8_lossy(&answer)));
    }

    fn handle_time(&mut self, milliseconds: u64) {
        self.now += milliseconds;
        let now = at(self.now);
        self.session.handle_timeout(now);
        assert!(is_later(self.session.poll_timeout(), now), "what was due has been dealt with");
        if self.connection.handle_timeout(now).is_err() && !self.failed {
            self.failed = true;
            self.tell(format_args!("attachments are late"));
            self.session.close(CloseReason::ForcedClose);
        }
    }

    /// All that the session wants.
    fn drain(&mut self) {
        let mut count = 0;
        while let Some(transmit) = self.session.poll_transmit() {
            count += 1;
            self.tell(format_args!("{transmit:?}"));
        }
        while let Some(event) = self.session.poll_event() {
            count += 1;
            let is_end = matches!(event, SessionEvent::Closed(_));
            assert!(!is_end || self.session.is_closed());
            self.tell(format_args!("{event:?}"));
        }
        assert!(count <= 16, "each is due at most once");
        if self.session.is_closed() {
            assert!(self.session.poll_timeout().is_none(), "an end is the end");
        }
        let owed = owed(&mut self.websocket);
        self.tell_control(&owed);
    }

    /// Of pings only the newest is answered, so how many pongs there are depends on the cuts; close frames do not.
    fn tell_control(&mut self, owed: &[u8]) {
        let closing = self.websocket.close_sent();
        if closing && !owed.is_empty() {
            self.tell(format_args!("close"));
        }
    }

    /// Silent from now on, it ends: a client believes in intervals of an hour at the most.
    fn end(mut self) {
        for _ in 0..8 {
            self.handle_time(3_600_000);
            self.drain();
        }
        assert!(self.session.is_closed(), "who is silent for ever is gone");
    }

    fn tell(&mut self, what: std::fmt::Arguments<'_>) {
        let _ = writeln!(self.told, "{what}");
    }
}

fn is_later(time: Option<Instant>, now: Instant) -> bool {
    time.is_none_or(|time| time > now)
}
