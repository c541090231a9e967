//! Damaged messages: what is taken for whole, `miniz_oxide`, which shares no code with what is in use, takes for the same.

use miniz_oxide::deflate::core::{
    CompressorOxide, TDEFLFlush, TDEFLStatus, compress, create_comp_flags_from_zip_params,
};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};
use patera_websocket::{AcceptOptions, Config, Connection, DeflateConfig, Role, accept, client_request};
use proptest::prelude::*;

use crate::support::{BINARY, Frame, Outcome, Seen, run_on};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn damaged_messages_are_not_taken_for_others(
        payload in payload(),
        level in 0..=10,
        strategy in 0..=4,
        changes in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 0..3),
        cut in prop::option::of(any::<prop::sample::Index>()),
        piece in 1usize..50,
    ) {
        let mut deflated = deflate(&payload, level, strategy);
        for (at, byte) in &changes {
            *at.get_mut(&mut deflated) ^= byte;
        }
        if let Some(cut) = &cut {
            deflated.truncate(cut.index(deflated.len() + 1));
        }
        let is_whole = changes.is_empty() && cut.is_none();
        check(&deflated, piece, is_whole.then_some(payload))?;
    }

    #[test]
    fn random_bytes_are_not_taken_for_others(deflated in prop::collection::vec(any::<u8>(), 0..100), piece in 1usize..20) {
        check(&deflated, piece, None)?;
    }
}

/// Checks that a server makes the same of the message whole and in pieces, that a message it takes is what the oracle makes of
/// it, and that it takes what is `whole`. (It may refuse what the oracle takes: zlib is the stricter of the two about codes
/// that are never used.)
fn check(deflated: &[u8], piece: usize, whole: Option<Vec<u8>>) -> Result<(), TestCaseError> {
    let outcome = receive(deflated, usize::MAX);
    prop_assert_eq!(&receive(deflated, piece), &outcome);
    match &outcome.seen[..] {
        [Seen::Binary(got)] => {
            prop_assert_eq!(inflate(deflated), Some(got.clone()));
            prop_assert_eq!(whole.unwrap_or_else(|| got.clone()), got.clone());
        }
        seen => {
            prop_assert!(seen.is_empty() && outcome.error.is_some());
            prop_assert_eq!(whole, None);
        }
    }
    Ok(())
}

/// What a server makes of one compressed message that comes in pieces of so many bytes.
fn receive(deflated: &[u8], piece: usize) -> Outcome {
    let mut request = client_request(&"ws://x/".parse().unwrap(), *b"the sample nonce", &[]).unwrap();
    request.headers_mut().insert("sec-websocket-extensions", DeflateConfig::default().offer());
    let mut options = AcceptOptions::default();
    options.deflate = Some(DeflateConfig::default());
    let extensions = accept(&request, &options).unwrap().extensions;
    let bytes = Frame { rsv: 4, ..Frame::new(BINARY, deflated) }.bytes();
    let pieces: Vec<&[u8]> = bytes.chunks(piece).collect();
    run_on(Connection::new(Role::Server, Config::default()).with_extensions(&extensions), &pieces)
}

/// A message as RFC 7692 §7.2.1 wants it.
fn deflate(payload: &[u8], level: i32, strategy: i32) -> Vec<u8> {
    let mut compressor = CompressorOxide::new(create_comp_flags_from_zip_params(level, -15, strategy));
    let mut out = vec![0; payload.len() * 2 + 1000];
    let (status, used, len) = compress(&mut compressor, payload, &mut out, TDEFLFlush::Sync);
    assert_eq!((status, used), (TDEFLStatus::Okay, payload.len()));
    out[..len].strip_suffix(&TAIL).expect("a flush ends so").to_vec()
}

const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
const EMPTY_LAST_BLOCK: [u8; 2] = [3, 0];

/// A message, if it is one: nothing, or DEFLATE streams one behind the other, of which the last needs the tail to end between
/// two blocks.
fn inflate(deflated: &[u8]) -> Option<Vec<u8>> {
    let input = [deflated, &TAIL, &EMPTY_LAST_BLOCK].concat();
    let mut buffer = vec![0; Config::default().message_bytes_max];
    let mut out = Vec::new();
    let mut at = 0;
    while at != deflated.len() {
        let flags = inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
        let (status, used, len) = decompress(&mut DecompressorOxide::new(), &input[at..], &mut buffer, 0, flags);
        out.extend(&buffer[..len]);
        at += used;
        match status {
            TINFLStatus::Done if at == input.len() => break,
            TINFLStatus::Done => {}
            _ => return None,
        }
    }
    Some(out)
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        "\\PC{0,300}".prop_map(String::into_bytes),
        ("[a-z ]{1,30}", 1usize..100).prop_map(|(text, times)| text.repeat(times).into_bytes()),
    ]
}
