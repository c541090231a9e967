//! How a stream is cut into reads changes nothing.

use patera_websocket::{Config, Connection, Role};
use proptest::prelude::*;

use crate::support::{BINARY, CONTINUATION, Frame, Outcome, PING, TEXT, feed, frames, run, wire};

fn check_every_cut(bytes: &[u8]) {
    let config = Config::default();
    let whole = run(Role::Server, config, &[bytes]);
    for first in 0..=bytes.len() {
        let cut = run(Role::Server, config, &[&bytes[..first], &bytes[first..]]);
        assert_eq!(cut, whole, "cut at {first}");
    }
    let singly: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(run(Role::Server, config, &singly), whole, "byte by byte");
}

#[test]
fn conversation_is_the_same_at_every_cut() {
    let frames = [
        Frame::new(TEXT, "whole: é€😀"),
        Frame::first(TEXT, "in fragments: \u{20ac}".as_bytes().split_last().unwrap().1),
        Frame::new(PING, "between"),
        Frame::first(CONTINUATION, ""),
        Frame::new(CONTINUATION, [0xac]),
        Frame::new(BINARY, [0xff; 130]),
        Frame::new(PING, ""),
        Frame::new(TEXT, ""),
        Frame::close(1000, "bye €"),
        Frame::new(TEXT, "behind the end"),
    ];
    let bytes = wire(&frames);
    assert_eq!(run(Role::Server, Config::default(), &[&bytes]).seen.len(), 7);
    check_every_cut(&bytes);
    for first in 0..bytes.len() {
        let second = (first + bytes.len()) / 2;
        let chunks = [&bytes[..first], &bytes[first..second], &bytes[second..]];
        assert_eq!(run(Role::Server, Config::default(), &chunks), run(Role::Server, Config::default(), &[&bytes]));
    }
}

#[test]
fn wrong_text_is_refused_before_its_frame_is_complete() {
    let mut bytes = Frame::new(TEXT, [b"ok \xe2\x82\x28".as_slice(), &[b'x'; 100]].concat()).bytes();
    bytes.truncate(6 + 6);
    let mut connection = Connection::new(Role::Server, Config::default());
    let mut outcome = Outcome::default();
    feed(&mut connection, &bytes[..11], &mut outcome);
    assert_eq!(outcome, Outcome::default());
    feed(&mut connection, &bytes[11..], &mut outcome);
    assert_eq!(outcome.error, Some(patera_websocket::Error::InvalidUtf8));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_chunks_give_the_same_events(frames in frames(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8)) {
        let bytes = wire(&frames);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        let config = Config::default();
        prop_assert_eq!(run(Role::Server, config, &chunks), run(Role::Server, config, &[&bytes]));
    }

    #[test]
    fn every_cut_of_a_short_stream_gives_the_same_events(frames in frames()) {
        let bytes = wire(&frames);
        if bytes.len() < 500 {
            check_every_cut(&bytes);
        }
    }

    #[test]
    fn random_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..300), client in any::<bool>()) {
        let role = if client { Role::Client } else { Role::Server };
        let whole = run(role, Config::default(), &[&bytes]);
        let singly: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(run(role, Config::default(), &singly), whole);
    }
}
