//! A packet's frames as permessage-deflate has them, made once for each kind of client and each size of window.

use std::borrow::Cow;
use std::sync::OnceLock;

use bytes::Bytes;
use patera_websocket::{DeflateConfig, Opcode, deflated_server_frame, server_header};

use crate::transport::{Batch, Dialect};

/// The sizes that a window may have: 9 to 15 bits.
const WINDOWS: usize = 7;
/// The kinds of clients: with bytes or with base64, of either revision; native with JSON or raw.
const DIALECTS: usize = 6;

/// Shared by all sessions that get the packet; whoever comes first compresses, and others of its kind wait for that.
#[derive(Default)]
pub(crate) struct Deflated([OnceLock<Box<Windows>>; DIALECTS]);

#[derive(Default)]
struct Windows([OnceLock<Box<[Bytes]>>; WINDOWS]);

impl Deflated {
    /// Adds the frames for such a client, which `make` makes if they are not there.
    pub(crate) fn write<'a>(
        &self,
        dialect: Dialect,
        window_bits: u8,
        batch: &mut Batch,
        make: impl FnOnce() -> Frames<'a>,
    ) {
        let dialect = match dialect {
            Dialect::Engine { base64: false } => 0,
            Dialect::Engine { base64: true } => 1,
            Dialect::EngineV3 { base64: false } => 2,
            Dialect::EngineV3 { base64: true } => 3,
            Dialect::Native { raw: false } => 4,
            Dialect::Native { raw: true } => 5,
        };
        let windows = self.0[dialect].get_or_init(Box::default);
        let pieces = windows.0[usize::from(window_bits) - 9].get_or_init(|| make().pieces.into());
        pieces.iter().for_each(|piece| batch.push(piece));
    }
}

/// Frames for clients whose window has one size, in order.
pub(crate) struct Frames<'a> {
    window_bits: u8,
    config: &'a DeflateConfig,
    pieces: Vec<Bytes>,
}

impl<'a> Frames<'a> {
    pub(crate) fn new(window_bits: u8, config: &'a DeflateConfig) -> Self {
        Frames { window_bits, config, pieces: Vec::new() }
    }

    /// Adds a whole frame, text or binary, compressed if that is worth it. Nothing for an empty one, which is no frame.
    pub(crate) fn push(&mut self, frame: &Bytes) {
        let Some((opcode, payload)) = parse(frame) else { return };
        let deflated = deflated_server_frame(opcode, payload, self.window_bits, self.config);
        self.pieces.push(deflated.unwrap_or_else(|| frame.clone()));
    }

    /// Adds a binary message, `prefix` in front of it; if it is not worth compressing, without a copy of `data`.
    pub(crate) fn push_binary(&mut self, prefix: &[u8], data: &Bytes) {
        let payload = match prefix {
            [] => Cow::Borrowed(&data[..]),
            prefix => Cow::Owned([prefix, data].concat()),
        };
        match deflated_server_frame(Opcode::Binary, &payload, self.window_bits, self.config) {
            Some(frame) => self.pieces.push(frame),
            None => {
                let header = server_header(Opcode::Binary, payload.len());
                self.pieces.push([&header[..], prefix].concat().into());
                self.pieces.push(data.clone());
            }
        }
    }
}

/// Opcode and payload of a frame of ours: a whole message, without a mask.
fn parse(frame: &[u8]) -> Option<(Opcode, &[u8])> {
    let opcode = if frame.first()? & 0x0f == Opcode::Binary as u8 { Opcode::Binary } else { Opcode::Text };
    // RFC 6455 §5.2: 126 and 127 say that the length follows in 2 or 8 bytes.
    let header = match frame.get(1)? {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    Some((opcode, frame.get(header..)?))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use patera_websocket::server_frame;

    use super::*;

    const DIALECT: Dialect = Dialect::Engine { base64: false };

    #[test]
    fn a_packet_is_compressed_once_for_each_dialect_and_window() {
        let dialects = [
            DIALECT,
            Dialect::Engine { base64: true },
            Dialect::EngineV3 { base64: false },
            Dialect::EngineV3 { base64: true },
            Dialect::Native { raw: false },
            Dialect::Native { raw: true },
        ];
        let frame = server_frame(Opcode::Text, &[b'a'; 5000]);
        let config = DeflateConfig::default();
        let (deflated, made) = (Deflated::default(), Cell::new(0));
        for _ in 0..10 {
            for dialect in dialects {
                for window_bits in 9..=15 {
                    let mut batch = Batch::take();
                    deflated.write(dialect, window_bits, &mut batch, || {
                        made.set(made.get() + 1);
                        let mut frames = Frames::new(window_bits, &config);
                        frames.push(&frame);
                        frames
                    });
                    let expected = deflated_server_frame(Opcode::Text, &[b'a'; 5000], window_bits, &config);
                    assert_eq!(batch.as_small(), expected.as_deref(), "{window_bits}");
                }
            }
        }
        assert_eq!(made.get(), 6 * 7);
    }

    #[test]
    fn frames_of_every_length_are_taken_apart() {
        for len in [0, 1, 125, 126, 127, 65_535, 65_536] {
            for opcode in [Opcode::Text, Opcode::Binary] {
                let payload = vec![b'x'; len];
                assert_eq!(parse(&server_frame(opcode, &payload)), Some((opcode, &payload[..])), "{len}");
            }
        }
        assert_eq!(parse(b""), None);
    }

    #[test]
    fn what_does_not_become_shorter_stays_as_it_is() {
        let frame = server_frame(Opcode::Text, b"short");
        let data = Bytes::from_static(b"\x01\x02\x03");
        let config = DeflateConfig::default();
        let mut frames = Frames::new(15, &config);
        frames.push(&frame);
        frames.push(&Bytes::new());
        frames.push_binary(&[], &data);
        frames.push_binary(&[4], &data);
        let headers = [Bytes::from_static(b"\x82\x03"), Bytes::from_static(b"\x82\x04\x04")];
        let [header, header_v3] = headers;
        assert_eq!(frames.pieces, [frame, header, data.clone(), header_v3, data.clone()]);
        assert_eq!(frames.pieces[2].as_ptr(), data.as_ptr());
    }
}
