//! Frames as bytes, right or wrong, and what a connection makes of them.

use patera_websocket::{CloseCode, Config, Connection, Error, Event, Opcode, Role};
use proptest::prelude::*;

/// A frame as it is to stand on the wire. `Frame::new` makes a right one of a client; change it to make it wrong.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) fin: bool,
    pub(crate) rsv: u8,
    pub(crate) opcode: u8,
    pub(crate) mask: Option<[u8; 4]>,
    pub(crate) payload: Vec<u8>,
}

pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

impl Frame {
    pub(crate) fn new(opcode: u8, payload: impl AsRef<[u8]>) -> Frame {
        let mask = Some([0x12, 0xab, 0x00, 0xff]);
        Frame { fin: true, rsv: 0, opcode, mask, payload: payload.as_ref().to_vec() }
    }

    /// Not the last of its message.
    pub(crate) fn first(opcode: u8, payload: impl AsRef<[u8]>) -> Frame {
        Frame { fin: false, ..Frame::new(opcode, payload) }
    }

    pub(crate) fn close(code: u16, reason: impl AsRef<[u8]>) -> Frame {
        Frame::new(CLOSE, [&code.to_be_bytes()[..], reason.as_ref()].concat())
    }

    /// Written here once more and in the plainest way, so that the crate is not judged by itself.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![(self.fin as u8) << 7 | self.rsv << 4 | self.opcode];
        let masked = if self.mask.is_some() { 0x80 } else { 0 };
        match self.payload.len() {
            len @ 0..=125 => bytes.push(masked | len as u8),
            len @ 126..=65535 => {
                bytes.push(masked | 126);
                bytes.extend((len as u16).to_be_bytes());
            }
            len => {
                bytes.push(masked | 127);
                bytes.extend((len as u64).to_be_bytes());
            }
        }
        match self.mask {
            Some(mask) => {
                bytes.extend(mask);
                bytes.extend(self.payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]));
            }
            None => bytes.extend(&self.payload),
        }
        bytes
    }
}

pub(crate) fn wire(frames: &[Frame]) -> Vec<u8> {
    frames.iter().flat_map(Frame::bytes).collect()
}

/// An event that is owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
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
            other => panic!("an event these tests do not know: {other:?}"),
        }
    }
}

pub(crate) fn text(text: &str) -> Seen {
    Seen::Text(text.to_owned())
}

/// What a connection made of some bytes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) seen: Vec<Seen>,
    pub(crate) error: Option<Error>,
}

/// Hands over bytes as one read would bring them.
pub(crate) fn feed(connection: &mut Connection, bytes: &[u8], outcome: &mut Outcome) {
    let mut input = bytes.to_vec();
    let mut at = 0;
    while at < input.len() {
        let left = input.len() - at;
        match connection.handle_read(&mut input[at..]) {
            Ok(progress) => {
                assert!(progress.event.is_some() || progress.consumed == left, "without an event all is consumed");
                assert!(progress.consumed > 0);
                at += progress.consumed;
                outcome.seen.extend(progress.event.map(Seen::from));
            }
            Err(error) => {
                assert!(outcome.error.is_none(), "an error comes once");
                outcome.error = Some(error);
                at = input.len();
            }
        }
    }
}

pub(crate) fn run(role: Role, config: Config, chunks: &[&[u8]]) -> Outcome {
    run_on(Connection::new(role, config), chunks)
}

pub(crate) fn run_on(mut connection: Connection, chunks: &[&[u8]]) -> Outcome {
    let mut outcome = Outcome::default();
    chunks.iter().for_each(|chunk| feed(&mut connection, chunk, &mut outcome));
    outcome
}

/// What a server makes of frames, with its default limits.
pub(crate) fn serve(frames: &[Frame]) -> Outcome {
    run(Role::Server, Config::default(), &[&wire(frames)])
}

/// What a server owes.
pub(crate) fn output(connection: &mut Connection) -> Vec<u8> {
    let mut out = Vec::new();
    let any = connection.poll_output(|| panic!("a server does not mask"), &mut out);
    assert_eq!(any, !out.is_empty());
    out
}

pub(crate) fn close_output(code: CloseCode) -> Vec<u8> {
    let mut out = Vec::new();
    patera_websocket::encode(Role::Server, Opcode::Close, true, &code.get().to_be_bytes(), [0; 4], &mut out);
    out
}

/// Frames of a client, mostly right: what random bytes would hardly ever be.
pub(crate) fn frames() -> impl Strategy<Value = Vec<Frame>> {
    prop::collection::vec(message(), 0..6).prop_map(|messages| messages.concat()).prop_flat_map(|frames| {
        let count = frames.len();
        let fault = prop::option::weighted(0.4, (0..count.max(1), fault()));
        (Just(frames), fault).prop_map(|(mut frames, fault)| {
            if let Some((at, fault)) = fault
                && let Some(frame) = frames.get_mut(at)
            {
                fault.apply(frame);
            }
            frames
        })
    })
}

fn message() -> impl Strategy<Value = Vec<Frame>> {
    prop_oneof![
        6 => data_message(),
        2 => (PING..=PONG, prop::collection::vec(any::<u8>(), 0..126))
            .prop_map(|(opcode, payload)| vec![Frame::new(opcode, payload)]),
        1 => (valid_code(), "\\PC{0,20}").prop_map(|(code, reason)| vec![Frame::close(code, reason)]),
    ]
}

fn valid_code() -> impl Strategy<Value = u16> {
    prop_oneof![1000u16..=1003, 1007u16..=1013, 3000u16..=4999]
}

/// One message, whole or in fragments, pings between them.
fn data_message() -> impl Strategy<Value = Vec<Frame>> {
    let payload = prop_oneof![
        4 => "\\PC{0,40}".prop_map(|text| (TEXT, text.into_bytes())),
        1 => "\\PC{60,200}".prop_map(|text| (TEXT, text.into_bytes())),
        3 => prop::collection::vec(any::<u8>(), 0..200).prop_map(|data| (BINARY, data)),
        1 => prop::collection::vec(any::<u8>(), 0..20).prop_map(|data| (TEXT, data)),
        1 => (65530usize..65540).prop_map(|len| (BINARY, vec![7; len])),
    ];
    let cuts = prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..4);
    (payload, cuts, any::<[u8; 4]>()).prop_map(|((opcode, payload), cuts, mask)| {
        let mut cuts: Vec<_> = cuts.iter().map(|(cut, ping)| (cut.index(payload.len() + 1), *ping)).collect();
        cuts.sort_unstable();
        let mut frames = Vec::new();
        let mut start = 0;
        for (cut, ping) in cuts.into_iter().chain([(payload.len(), false)]) {
            let opcode = if start == 0 && frames.is_empty() { opcode } else { CONTINUATION };
            frames.push(Frame { mask: Some(mask), ..Frame::first(opcode, &payload[start..cut]) });
            if ping {
                frames.push(Frame::new(PING, format!("at {cut}")));
            }
            start = cut;
        }
        if let Some(last) = frames.last_mut() {
            last.fin = true;
        }
        frames
    })
}

/// One thing wrong with a frame.
#[derive(Clone, Debug)]
enum Fault {
    Rsv(u8),
    Opcode(u8),
    Fin,
    Unmasked,
    CloseCode(u16),
    CloseReason(Vec<u8>),
    HalfCode,
    LongControl,
    NotUtf8(u8),
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        (1u8..8).prop_map(Fault::Rsv),
        (0u8..16).prop_map(Fault::Opcode),
        Just(Fault::Fin),
        Just(Fault::Unmasked),
        prop_oneof![0u16..1000, 1004u16..=1006, 1015u16..3000, 5000u16..].prop_map(Fault::CloseCode),
        prop::collection::vec(0x80u8.., 1..5).prop_map(Fault::CloseReason),
        Just(Fault::HalfCode),
        Just(Fault::LongControl),
        (0x80u8..).prop_map(Fault::NotUtf8),
    ]
}

impl Fault {
    fn apply(self, frame: &mut Frame) {
        match self {
            Fault::Rsv(bits) => frame.rsv = bits,
            Fault::Opcode(opcode) => frame.opcode = opcode,
            Fault::Fin => frame.fin = !frame.fin,
            Fault::Unmasked => frame.mask = None,
            Fault::CloseCode(code) => *frame = Frame::close(code, "bad"),
            Fault::CloseReason(reason) => *frame = Frame::close(1000, reason),
            Fault::HalfCode => *frame = Frame::new(CLOSE, [3]),
            Fault::LongControl => *frame = Frame::new(PING, [0; 126]),
            Fault::NotUtf8(byte) => {
                if let Some(at) = frame.payload.len().checked_sub(1) {
                    frame.payload[at / 2] = byte;
                }
            }
        }
    }
}
