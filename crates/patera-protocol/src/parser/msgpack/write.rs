//! Values as MessagePack, in the forms that notepack.io chooses: the shortest that holds a value, numbers that are no integers as 64-bit
//! floats.

use bytes::Bytes;
use serde::{Deserializer as _, de::Visitor};

use crate::socketio::first_special;

pub(super) fn unsigned(out: &mut Vec<u8>, number: u64) {
    match number {
        0..0x80 => out.push(number as u8),
        0x80..=0xff => out.extend_from_slice(&[0xcc, number as u8]),
        0x100..=0xffff => append(out, 0xcd, &(number as u16).to_be_bytes()),
        0x1_0000..=0xffff_ffff => append(out, 0xce, &(number as u32).to_be_bytes()),
        _ => append(out, 0xcf, &number.to_be_bytes()),
    }
}

/// Below zero.
fn negative(out: &mut Vec<u8>, number: i64) {
    match number {
        -0x20.. => out.push(number as u8),
        -0x80..-0x20 => out.extend_from_slice(&[0xd0, number as u8]),
        -0x8000..-0x80 => append(out, 0xd1, &(number as i16).to_be_bytes()),
        -0x8000_0000..-0x8000 => append(out, 0xd2, &(number as i32).to_be_bytes()),
        _ => append(out, 0xd3, &number.to_be_bytes()),
    }
}

pub(super) fn text(out: &mut Vec<u8>, text: &str) {
    match text.len() {
        len @ 0..0x20 => out.push(0xa0 | len as u8),
        len @ 0x20..=0xff => out.extend_from_slice(&[0xd9, len as u8]),
        len => long(out, 0xda, len),
    }
    out.extend_from_slice(text.as_bytes());
}

fn binary(out: &mut Vec<u8>, data: &[u8]) {
    match data.len() {
        len @ 0..=0xff => out.extend_from_slice(&[0xc4, len as u8]),
        len => long(out, 0xc5, len),
    }
    out.extend_from_slice(data);
}

pub(super) fn map(out: &mut Vec<u8>, len: usize) {
    if len < 16 { out.push(0x80 | len as u8) } else { long(out, 0xde, len) }
}

fn array(out: &mut Vec<u8>, len: usize) {
    if len < 16 { out.push(0x90 | len as u8) } else { long(out, 0xdc, len) }
}

/// A length of 16 bits behind this marker, or of 32 behind the next.
fn long(out: &mut Vec<u8>, marker: u8, len: usize) {
    match u16::try_from(len) {
        Ok(len) => append(out, marker, &len.to_be_bytes()),
        // No packet has 4 GiB.
        Err(_) => append(out, marker.saturating_add(1), &u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes()),
    }
}

fn append(out: &mut Vec<u8>, marker: u8, number: &[u8]) {
    out.push(marker);
    out.extend_from_slice(number);
}

/// JSON of our own, in which placeholders stand for the attachments. Depth costs no stack: MessagePack says lengths first, so those are
/// counted in a pass before, and then no container has an end to be remembered.
pub(super) fn json(out: &mut Vec<u8>, json: &str, attachments: &[Bytes]) {
    let mut lengths = lengths(json).into_iter();
    let mut rest = json;
    while let Some(byte) = rest.as_bytes().first() {
        let used = match byte {
            b'[' => {
                array(out, lengths.next().unwrap_or(0));
                1
            }
            b'{' => {
                let len = lengths.next().unwrap_or(0);
                match placeholder(rest, attachments) {
                    Some((data, len)) => {
                        binary(out, data);
                        len
                    }
                    None => {
                        map(out, len);
                        1
                    }
                }
            }
            b'"' => {
                let len = string_len(rest);
                string(out, rest.get(..len).unwrap_or_default());
                len
            }
            b'-' | b'0'..=b'9' => {
                let len = rest.find(|char: char| !is_in_number(char)).unwrap_or(rest.len());
                number(out, rest.get(..len).unwrap_or_default());
                len
            }
            b't' => literal(out, 0xc3, rest, "true"),
            b'f' => literal(out, 0xc2, rest, "false"),
            b'n' => literal(out, 0xc0, rest, "null"),
            // Commas, colons, ends and space.
            _ => first_len(rest),
        };
        rest = rest.get(used..).unwrap_or_default();
    }
}

/// How many elements or entries each container has, in the order in which they begin.
fn lengths(json: &str) -> Vec<usize> {
    let (mut lengths, mut open): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
    // Whether something stands behind the last bracket that was opened.
    let mut is_empty = false;
    let mut rest = json;
    while let Some(byte) = rest.as_bytes().first() {
        let is_space = matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        if is_empty
            && !is_space
            && !matches!(byte, b']' | b'}')
            && let Some(length) = open.last().and_then(|index| lengths.get_mut(*index))
        {
            *length = length.saturating_add(1);
        }
        is_empty &= is_space;
        match byte {
            b'[' | b'{' => {
                open.push(lengths.len());
                lengths.push(0);
                is_empty = true;
            }
            b']' | b'}' => drop(open.pop()),
            b',' => {
                if let Some(length) = open.last().and_then(|index| lengths.get_mut(*index)) {
                    *length = length.saturating_add(1);
                }
            }
            _ => {}
        }
        let used = if *byte == b'"' { string_len(rest) } else { first_len(rest) };
        rest = rest.get(used..).unwrap_or_default();
    }
    lengths
}

/// What the placeholder that stands here leads to, and how long it is. Our own encoder writes all of them like this.
fn placeholder<'a>(json: &str, attachments: &'a [Bytes]) -> Option<(&'a Bytes, usize)> {
    const START: &str = r#"{"_placeholder":true,"num":"#;
    let rest = json.strip_prefix(START)?;
    let (digits, behind) = rest.split_once('}')?;
    let data = attachments.get(digits.parse::<usize>().ok()?)?;
    Some((data, json.len().saturating_sub(behind.len())))
}

/// How long the string is that begins here, with its quotes.
fn string_len(json: &str) -> usize {
    let mut rest = json.get(1..).unwrap_or_default();
    while let Some((_, from_special)) = first_special(rest.as_bytes()).and_then(|at| rest.split_at_checked(at)) {
        rest = from_special.get(1..).unwrap_or_default();
        if from_special.starts_with('"') {
            return json.len().saturating_sub(rest.len());
        }
        if from_special.starts_with('\\') {
            rest = rest.get(first_len(rest)..).unwrap_or_default();
        }
    }
    json.len()
}

/// How long the first character is.
fn first_len(text: &str) -> usize {
    text.chars().next().map_or(1, char::len_utf8)
}

fn string(out: &mut Vec<u8>, json: &str) {
    match json.get(1..json.len().max(2).saturating_sub(1)) {
        Some(plain) if !plain.contains('\\') => text(out, plain),
        _ => text(out, &unescaped(json)),
    }
}

/// Half of a surrogate pair, which JSON can say, is replaced: it is no character.
fn unescaped(json: &str) -> String {
    struct Lossy;
    impl Visitor<'_> for Lossy {
        type Value = String;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a string")
        }
        fn visit_bytes<E: serde::de::Error>(self, data: &[u8]) -> Result<String, E> {
            Ok(String::from_utf8_lossy(data).into_owned())
        }
    }
    serde_json::Deserializer::from_str(json).deserialize_bytes(Lossy).unwrap_or_default()
}

fn is_in_number(char: char) -> bool {
    matches!(char, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')
}

/// 2^64 and −2^63, beyond which no integer can be written.
const UNSIGNED_END: f64 = 18_446_744_073_709_551_616.0;
const SIGNED_START: f64 = -9_223_372_036_854_775_808.0;

fn number(out: &mut Vec<u8>, json: &str) {
    if let Ok(number) = json.parse::<u64>() {
        return unsigned(out, number);
    }
    match (json.parse::<i64>(), json.parse::<f64>().unwrap_or(f64::NAN)) {
        (Ok(number @ ..0), _) => negative(out, number),
        // In JavaScript 1.0 is 1, and so it is written.
        (_, float) if float.fract() == 0.0 && (0.0..UNSIGNED_END).contains(&float) => unsigned(out, float as u64),
        (_, float) if float.fract() == 0.0 && (SIGNED_START..0.0).contains(&float) => negative(out, float as i64),
        (_, float) => append(out, 0xcb, &float.to_be_bytes()),
    }
}

fn literal(out: &mut Vec<u8>, marker: u8, rest: &str, literal: &str) -> usize {
    if !rest.starts_with(literal) {
        return 1;
    }
    out.push(marker);
    literal.len()
}
