//! Frames of Engine.IO on a byte stream, cut anywhere.

use patera_protocol::engineio::{FrameError, FrameHeader, Packet};

use crate::{
    input::{Input, pieces},
    memory,
};

/// What a stream brought: frames, and what is wrong with the one behind them.
#[derive(Debug, Default, PartialEq)]
struct Read {
    /// Binary, payload.
    frames: Vec<(bool, Vec<u8>)>,
    error: Option<FrameError>,
}

/// The input is a byte that says how long a packet may be, a byte that says how the stream is cut, and the stream.
pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let max = [1024, 0, 1, 125, 126, 65_535, 65_536, 1_000_000][usize::from(input.byte()) % 8];
    let seed = input.byte();
    let bytes = input.rest();
    let _ = memory::within(0, || FrameHeader::decode(bytes, max));

    let whole = read(&[bytes], max);
    assert_eq!(read(&pieces(bytes, seed), max), whole, "wherever it is cut");
    if bytes.len() <= 600 {
        let singly: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(read(&singly, max), whole, "byte by byte");
    }
    check_reads_back(&whole, bytes, max);
    for (binary, payload) in &whole.frames {
        assert!(payload.len() <= max && (*binary || !payload.is_empty()));
        if let (false, Ok(text)) = (binary, std::str::from_utf8(payload)) {
            // Any text may stand in a frame; what it says is for the packet to know.
            let _ = Packet::decode(text);
        }
    }
}

/// The header is looked for in all that came since the last frame, as a stream is read.
fn read(pieces: &[&[u8]], max: usize) -> Read {
    let mut read = Read::default();
    let mut waiting = Vec::new();
    for piece in pieces {
        waiting.extend_from_slice(piece);
        loop {
            match FrameHeader::decode(&waiting, max) {
                Err(error) => {
                    read.error = Some(error);
                    return read;
                }
                Ok(Some((header, bytes))) if waiting.len() - bytes >= header.length => {
                    let rest = waiting.split_off(bytes + header.length);
                    read.frames.push((header.binary, waiting.split_off(bytes)));
                    waiting = rest;
                }
                Ok(header) => {
                    assert!(header.is_some() || waiting.len() < FrameHeader::BYTES_MAX);
                    break;
                }
            }
        }
    }
    read
}

fn check_reads_back(whole: &Read, bytes: &[u8], max: usize) {
    let mut written = Vec::new();
    for (binary, payload) in &whole.frames {
        FrameHeader { binary: *binary, length: payload.len() }.encode(&mut written);
        written.extend_from_slice(payload);
    }
    assert!(written.len() <= bytes.len(), "nothing is shorter than what we write");
    let again = read(&[&written], max);
    assert_eq!((&again.frames, again.error), (&whole.frames, None), "what is written reads back");
}
