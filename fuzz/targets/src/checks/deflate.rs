//! Compressed messages: what inflates, and what is deflated. The judge is miniz_oxide, which shares no code with what is in use.

use miniz_oxide::inflate::{
    TINFLStatus,
    core::{DecompressorOxide, decompress, inflate_flags},
};
use patera_websocket::{
    Config, Connection, DeflateConfig, Error, Limit, Opcode, Role, deflated_server_frame, encode_deflated,
};

use super::websocket::{Outcome, Seen, deflate, feed, frame_to, run as outcome};
use crate::{
    input::{Input, pieces},
    memory,
};

/// The input is a byte of flags (1: compress it; else it is compressed), a byte that says how it is cut, and a message.
pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (flags, seed) = (input.byte(), input.byte());
    if flags & 1 == 1 { round_trip(flags, input.rest()) } else { inflating(flags, seed, input.rest()) }
}

const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// Of the messages inflated here: small, so that it is reached.
const MESSAGE_BYTES_MAX: usize = 20_000;
/// What inflating holds besides the message: the state of the inflater and one piece.
const STATE_BYTES: usize = 64 * 1024;

fn config() -> Config {
    let mut config = Config::default();
    config.message_bytes_max = MESSAGE_BYTES_MAX;
    config
}

fn connection(config: Config) -> Connection {
    Connection::new(Role::Server, config).with_extensions(deflate())
}

/// A compressed message in one frame (flag 2: in two, cut in the middle). Flag 4: it is to be text.
fn inflating(flags: u8, seed: u8, deflated: &[u8]) {
    let opcode = if flags & 4 == 0 { Opcode::Binary } else { Opcode::Text };
    let mut bytes = Vec::new();
    if flags & 2 == 0 {
        frame_to(Role::Server, opcode, true, deflated, &mut bytes);
    } else {
        let (first, second) = deflated.split_at(deflated.len() / 2);
        frame_to(Role::Server, opcode, false, first, &mut bytes);
        frame_to(Role::Server, Opcode::Continuation, true, second, &mut bytes);
    }
    // RSV1: the message is compressed.
    bytes[0] |= 0x40;
    let (whole, _) = outcome(connection(config()), &[&bytes]);
    let (cut, _) = outcome(connection(config()), &pieces(&bytes, seed));
    assert_eq!(cut, whole, "wherever it is cut");

    let mut connection = connection(config());
    memory::within(STATE_BYTES + 2 * MESSAGE_BYTES_MAX + deflated.len(), || feed(&mut connection, &mut bytes, |_| {}));

    let judged = judge(deflated);
    match (&whole.seen[..], whole.error) {
        ([Seen::Binary(got)], None) => assert_eq!(judged.as_deref(), Some(&got[..])),
        ([Seen::Text(got)], None) => assert_eq!(judged.as_deref(), Some(got.as_bytes())),
        // zlib is the stricter of the two about codes that are never used.
        ([], Some(Error::InvalidDeflate)) => {}
        ([], Some(Error::InvalidUtf8)) => {
            assert!(opcode == Opcode::Text);
            if let Some(judged) = judged {
                assert!(std::str::from_utf8(&judged).is_err());
            }
        }
        ([], Some(Error::Limit { what: Limit::MessageBytes, .. })) => {
            assert!(judged.is_none_or(|judged| judged.len() > MESSAGE_BYTES_MAX) || deflated.len() > MESSAGE_BYTES_MAX);
        }
        other => panic!("{other:?}"),
    }
}

/// What the judge makes of a message: DEFLATE streams one behind the other, of which the last needs the tail to end between two
/// blocks. `None` if it is none, or is larger than this target looks at.
fn judge(deflated: &[u8]) -> Option<Vec<u8>> {
    let input = [deflated, &TAIL, &[3, 0]].concat();
    let mut buffer = vec![0; 64 * MESSAGE_BYTES_MAX];
    let mut out = Vec::new();
    let mut at = 0;
    while at != deflated.len() {
        let flags = inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
        let (status, used, len) = decompress(&mut DecompressorOxide::new(), &input[at..], &mut buffer, 0, flags);
        out.extend_from_slice(&buffer[..len]);
        at += used;
        match status {
            TINFLStatus::Done if at == input.len() => break,
            TINFLStatus::Done => {}
            _ => return None,
        }
    }
    Some(out)
}

/// Compressed with any window and any level, it inflates to what it was.
fn round_trip(flags: u8, payload: &[u8]) {
    let window_bits = 9 + (flags >> 1) % 7;
    let mut options = DeflateConfig::default();
    options.threshold_bytes = 0;
    options.level = (flags >> 4) % 10;
    let (opcode, expected) = match std::str::from_utf8(payload) {
        Ok(text) => (Opcode::Text, Seen::Text(text.to_owned())),
        Err(_) => (Opcode::Binary, Seen::Binary(payload.to_vec())),
    };
    let mut frame = Vec::new();
    let any = encode_deflated(Role::Client, opcode, payload, [9, 8, 7, 6], window_bits, &options, &mut frame);
    let shared = deflated_server_frame(opcode, payload, window_bits, &options);
    assert_eq!(any, shared.is_some(), "both roles compress the same");
    let Some(shared) = shared else { return assert!(frame.is_empty()) };
    assert_eq!(frame.len(), shared.len() + 4, "but for the mask");
    assert!(shared.len() < payload.len() + 10, "what does not become shorter is sent as it is");
    let connection = Connection::new(Role::Server, Config::default()).with_extensions(deflate());
    let (read, _) = outcome(connection, &[&frame]);
    assert_eq!(read, Outcome { seen: vec![expected], error: None });
    let header = if shared[1] < 126 { 2 } else { 4 };
    if shared[1] < 127 {
        assert_eq!(judge(&shared[header..]).as_deref(), Some(payload));
    }
}
