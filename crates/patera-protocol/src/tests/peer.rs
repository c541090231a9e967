//! One side of a simulated pair: the machines, an outbox, and an application that numbers what it sends and checks what
//! it gets.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use bytes::Bytes;

use crate::{
    engineio::{
        CloseReason, Packet, Session, SessionConfig, SessionEvent, Transmit, Transport, Version, payload, payload_v3,
    },
    socketio::{Connection, ConnectionConfig, Incoming, Slot, encode},
};

/// A whole Engine.IO packet on its way.
#[derive(Clone, Debug)]
pub(super) enum Frame {
    Text(String),
    Binary(Bytes),
}

impl Frame {
    pub(super) fn text(packet: &Packet<'_>) -> Self {
        let mut out = Vec::new();
        packet.encode_text(&mut out);
        Frame::Text(String::from_utf8(out).expect("packets of the session are text"))
    }
}

pub(super) struct Peer {
    pub(super) session: Session,
    pub(super) outbox: VecDeque<Frame>,
    pub(super) closed: Option<CloseReason>,
    version: Version,
    connection: Connection,
    slot: Option<Slot>,
    /// The number of the next event that we send, and of the next that we should get.
    sent: u64,
    expected: u64,
    /// Ids whose acknowledgement has not come, in the order in which the peer will answer.
    awaited: VecDeque<u64>,
}

impl Peer {
    pub(super) fn server(version: Version, transport: Transport, config: &SessionConfig, now: Instant) -> Self {
        let connection = Connection::server_with_revision(version.into(), Arc::new(ConnectionConfig::default()));
        let session = Session::server_with_version(version, transport, config, now);
        let mut peer = Peer::new(version, session, connection);
        if version == Version::V3 {
            let slot = peer.connection.enter_root().expect("nothing is entered yet");
            peer.accept(slot);
        }
        peer
    }

    pub(super) fn client(version: Version, transport: Transport, config: &SessionConfig, now: Instant) -> Self {
        let connection = Connection::client_with_revision(version.into(), Arc::new(ConnectionConfig::default()));
        Peer::new(version, Session::client_with_version(version, transport, config, now), connection)
    }

    fn new(version: Version, session: Session, connection: Connection) -> Self {
        let (slot, outbox, awaited) = (None, VecDeque::new(), VecDeque::new());
        Peer { session, outbox, closed: None, version, connection, slot, sent: 0, expected: 0, awaited }
    }

    /// Client: asks for the namespace, once the session is open; in revision 3 that is asking.
    pub(super) fn connect(&mut self) {
        self.connection.connect("/").expect("nothing is connected yet");
        if self.version == Version::V4 {
            self.send(|out| {
                encode::connect(out, "/", &()).expect("nothing is always JSON");
                Vec::new()
            });
        }
    }

    /// Sends the next event, with so many attachments, and with or without the wish for an acknowledgement.
    pub(super) fn emit(&mut self, attachments: usize, ack: bool) {
        if self.slot.is_none() || self.closed.is_some() {
            return;
        }
        let number = self.sent;
        self.sent += 1;
        let id = ack.then_some(number);
        self.awaited.extend(id);
        let bytes: Vec<_> = (0..attachments).map(|index| attachment(number, index)).collect();
        self.send(|out| encode::event(out, "/", id, "n", &(number, bytes)).expect("numbers and bytes can be sent"));
    }

    /// A packet came. Whatever the link does, what the machines hand up must be the next in line.
    pub(super) fn handle_frame(&mut self, transport: Transport, frame: &Frame, now: Instant) {
        let mut scratch = Vec::new();
        let packet = match frame {
            Frame::Text(text) => self.version.decode_text(text, &mut scratch).expect("our packets are packets"),
            Frame::Binary(bytes) => self.version.decode_binary(bytes).expect("our frames are packets"),
        };
        self.handle_packet(transport, packet, now);
    }

    /// An HTTP body came.
    pub(super) fn handle_payload(&mut self, body: &[u8], now: Instant) {
        if self.version == Version::V4 {
            let mut packets =
                payload::Decoder::with_control_packets_max(body, usize::MAX).expect("our payloads are payloads");
            while let Some(packet) = packets.next_packet() {
                self.handle_packet(Transport::Polling, packet.expect("our packets are packets"), now);
            }
            return;
        }
        // The shell would know it by the content type.
        let is_text = body.first().is_some_and(u8::is_ascii_digit);
        let reader = if is_text { payload_v3::Reader::text() } else { payload_v3::Reader::bytes() };
        let mut reader = reader.with_control_packets_max(usize::MAX);
        while let Some(packet) = reader.next_packet(body) {
            self.handle_packet(Transport::Polling, packet.expect("our packets are packets"), now);
        }
    }

    pub(super) fn handle_packet(&mut self, transport: Transport, packet: Packet<'_>, now: Instant) {
        let Ok(Some(message)) = self.session.handle_packet(transport, packet, now) else { return };
        let (mut accepted, mut answer) = (None, None);
        match self.connection.handle_message(message, now).expect("our packets are right") {
            Some(Incoming::Connect { slot, .. }) => accepted = Some(slot),
            Some(Incoming::Connected { slot, .. }) => self.slot = Some(slot),
            Some(Incoming::Event { args, ack, .. }) => {
                let number: u64 = args.decode(0).unwrap();
                assert_eq!(number, self.expected, "events come complete, once and in order");
                let bytes: Vec<Bytes> = args.decode(1).unwrap();
                for (index, bytes) in bytes.iter().enumerate() {
                    assert_eq!(*bytes, attachment(number, index), "attachments are those of their event");
                }
                self.expected += 1;
                answer = ack.map(|id| (id, bytes.into_iter().next()));
            }
            Some(Incoming::Ack { id, args, .. }) => {
                assert_eq!(Some(id), self.awaited.pop_front(), "acknowledgements come once and in order");
                assert_eq!(args.decode::<u64>(0).unwrap(), id);
            }
            Some(Incoming::Disconnect { .. } | Incoming::ConnectError { .. }) => panic!("nobody sent that"),
            None => {}
        }
        if let Some(slot) = accepted {
            self.accept(slot);
        }
        if let Some(answer) = answer {
            self.send(|out| encode::ack(out, "/", answer.0, &answer).expect("numbers and bytes can be sent"));
        }
    }

    /// What the session wants. What belongs behind the messages goes into the outbox; the rest is returned.
    pub(super) fn drain(&mut self) -> (Vec<Transmit>, Vec<SessionEvent>) {
        let mut at_once = Vec::new();
        while let Some(transmit) = self.session.poll_transmit() {
            match transmit.packet {
                Packet::Ping("") | Packet::Pong("") | Packet::Close => {
                    self.outbox.push_back(Frame::text(&transmit.packet));
                }
                _ => at_once.push(transmit),
            }
        }
        let events: Vec<_> = std::iter::from_fn(|| self.session.poll_event()).collect();
        for event in &events {
            if let SessionEvent::Closed(reason) = event {
                assert_eq!(self.closed.replace(*reason), None, "a session closes once");
            }
        }
        (at_once, events)
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.session.handle_timeout(now);
        if self.closed.is_none() && self.connection.handle_timeout(now).is_err() {
            self.session.close(CloseReason::ParseError);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let connection = if self.closed.is_none() { self.connection.poll_timeout() } else { None };
        self.session.poll_timeout().into_iter().chain(connection).min()
    }

    /// How many events were sent, how many came, and how many acknowledgements are awaited.
    pub(super) fn counts(&self) -> (u64, u64, usize) {
        (self.sent, self.expected, self.awaited.len())
    }

    fn accept(&mut self, slot: Slot) {
        self.connection.accept(slot);
        self.slot = Some(slot);
        let payload = (self.version == Version::V4).then_some(serde_json::json!({"sid": "x"}));
        self.send(|out| {
            encode::connect(out, "/", &payload).expect("text is always JSON");
            Vec::new()
        });
    }

    fn send(&mut self, encode: impl FnOnce(&mut Vec<u8>) -> Vec<Bytes>) {
        let mut out = b"4".to_vec();
        let attachments = encode(&mut out);
        self.outbox.push_back(Frame::Text(String::from_utf8(out).expect("packets are text")));
        self.outbox.extend(attachments.into_iter().map(Frame::Binary));
    }
}

fn attachment(number: u64, index: usize) -> Bytes {
    Bytes::from(format!("{number}/{index}"))
}
