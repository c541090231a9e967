//! The same bytes, the same verdict as tungstenite, where both follow RFC 6455.
//!
//! Known differences, which the cases avoid: tungstenite takes lengths that are not in their shortest form, refuses close code
//! 1014, and of a close frame with a bad code and a reason that is not UTF-8 names the latter.

use std::io::{self, Read, Write};

use patera_websocket::{CloseCode, Config, Error, Role};
use proptest::prelude::*;
use tokio_tungstenite::tungstenite::protocol::{Role as TheirRole, WebSocket, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as TheirError, Message};

use crate::support::{CLOSE, CONTINUATION, Frame, Outcome, PING, Seen, TEXT, frames, run, wire};

/// What comes of some bytes: events, and then perhaps the code of the close frame that an error calls for.
type Verdict = (Vec<Seen>, Option<u16>);

/// Brings bytes in pieces and swallows the answers.
struct Wire<'a> {
    chunks: Vec<&'a [u8]>,
}

impl Read for Wire<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunks.first().is_some_and(|chunk| chunk.is_empty()) {
            self.chunks.remove(0);
        }
        let chunk = self.chunks.first_mut().ok_or(io::ErrorKind::WouldBlock)?;
        chunk.read(buffer)
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn theirs(role: Role, chunks: &[&[u8]]) -> Verdict {
    let role = match role {
        Role::Server => TheirRole::Server,
        Role::Client => TheirRole::Client,
    };
    let config = WebSocketConfig::default().max_frame_size(Some(1_000_000)).max_message_size(Some(1_000_000));
    let mut socket = WebSocket::from_raw_socket(Wire { chunks: chunks.to_vec() }, role, Some(config));
    let mut seen = Vec::new();
    loop {
        seen.push(match socket.read() {
            Ok(Message::Text(text)) => Seen::Text(text.to_string()),
            Ok(Message::Binary(data)) => Seen::Binary(data.to_vec()),
            Ok(Message::Ping(data)) => Seen::Ping(data.to_vec()),
            Ok(Message::Pong(data)) => Seen::Pong(data.to_vec()),
            // So it says that a close frame had a code that must not be sent.
            Ok(Message::Close(Some(frame))) if frame.reason == "Protocol violation" => return (seen, Some(1002)),
            Ok(Message::Close(frame)) => {
                seen.push(Seen::Close(frame.map(|frame| (frame.code.into(), frame.reason.to_string()))));
                return (seen, None);
            }
            Ok(Message::Frame(frame)) => panic!("a raw frame is never read: {frame}"),
            Err(TheirError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return (seen, None),
            Err(TheirError::Protocol(_)) => return (seen, Some(1002)),
            Err(TheirError::Utf8(_)) => return (seen, Some(1007)),
            Err(TheirError::Capacity(_)) => return (seen, Some(1009)),
            Err(error) => panic!("{error}"),
        });
    }
}

fn ours(role: Role, chunks: &[&[u8]]) -> Verdict {
    let Outcome { seen, error } = run(role, Config::default(), chunks);
    (seen, error.as_ref().map(Error::close_code).map(CloseCode::get))
}

/// Whether a close frame is among the known differences.
fn is_known_difference(frame: &Frame) -> bool {
    let [high, low, reason @ ..] = &frame.payload[..] else { return false };
    let code = u16::from_be_bytes([*high, *low]);
    frame.opcode == CLOSE && (code == 1014 || CloseCode::new(code).is_none() && str::from_utf8(reason).is_err())
}

fn check(frames: &[Frame]) {
    let bytes = wire(frames);
    assert_eq!(ours(Role::Server, &[&bytes]), theirs(Role::Server, &[&bytes]), "{frames:?}");
}

#[test]
fn fixed_cases_agree() {
    check(&[Frame::new(TEXT, "hello"), Frame::new(CLOSE, "")]);
    check(&[Frame::first(TEXT, b"\xf0\x9f"), Frame::new(PING, "?"), Frame::new(CONTINUATION, b"\x98\x80")]);
    check(&[Frame::first(TEXT, b"\xf0\x9f"), Frame::new(CONTINUATION, b"\x98")]);
    check(&[Frame::first(TEXT, "a"), Frame::new(TEXT, "b")]);
    check(&[Frame::new(CONTINUATION, "a")]);
    check(&[Frame::new(PING, [0; 126])]);
    check(&[Frame::new(TEXT, vec![b'a'; 1_000_001])]);
    check(&[Frame::first(TEXT, vec![b'a'; 600_000]), Frame::new(CONTINUATION, vec![b'a'; 600_000])]);
}

#[test]
fn close_codes_agree_but_for_1014() {
    for code in (0..=u16::MAX).filter(|&code| code != 1014) {
        check(&[Frame::close(code, "bye")]);
    }
}

#[test]
fn first_bytes_agree() {
    for first in 0..=u8::MAX {
        for masked in [true, false] {
            let frame = Frame {
                fin: first & 0x80 != 0,
                rsv: first >> 4 & 7,
                opcode: first & 15,
                mask: masked.then_some([1, 2, 3, 4]),
                payload: b"\x03\xe8".to_vec(),
            };
            let bytes = [frame.bytes(), Frame::new(PING, "next").bytes()].concat();
            assert_eq!(ours(Role::Server, &[&bytes]), theirs(Role::Server, &[&bytes]), "{first:08b} masked {masked}");
            // A client, too, is told apart from its first byte on.
            let frame = frame.bytes();
            assert_eq!(ours(Role::Client, &[&frame]), theirs(Role::Client, &[&frame]), "{first:08b} masked {masked}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn generated_frames_agree_at_any_cut(frames in frames(), cut in any::<prop::sample::Index>()) {
        prop_assume!(!frames.iter().any(is_known_difference));
        let bytes = wire(&frames);
        let (before, behind) = bytes.split_at(cut.index(bytes.len() + 1));
        let mine = ours(Role::Server, &[before, behind]);
        prop_assert_eq!(&mine, &theirs(Role::Server, &[before, behind]));
        prop_assert_eq!(&mine, &ours(Role::Server, &[&bytes]));
    }

    #[test]
    fn generated_frames_of_a_server_agree(mut frames in frames()) {
        prop_assume!(!frames.iter().any(is_known_difference));
        frames.iter_mut().for_each(|frame| frame.mask = None);
        let bytes = wire(&frames);
        prop_assert_eq!(ours(Role::Client, &[&bytes]), theirs(Role::Client, &[&bytes]));
    }
}
