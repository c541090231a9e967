//! What is sent, so that every copy of it is known again: a sequence number, the sender, and filler up to the size asked for.
//!
//! ```text
//! [ sequence: 6 characters, or fewer if x is shorter ][ sender: 4, or what is left ][ filler … ]
//! ```
//!
//! Characters are those of base64url: none is escaped in JSON, and an attachment carries the same ones as bytes.

use std::rc::Rc;

const SEQUENCE_LEN: usize = 6;
const SENDER_LEN: usize = 4;
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The digits of one number, least first.
pub(crate) type Digits = [u8; SEQUENCE_LEN];

/// The payloads of one run: all of one size.
#[derive(Clone)]
pub(crate) struct Payload {
    sequence_len: usize,
    sender_len: usize,
    /// A payload of sender 0 with sequence number 0.
    pattern: Rc<[u8]>,
}

impl Payload {
    pub(crate) fn new(size: usize) -> Payload {
        let sequence_len = size.min(SEQUENCE_LEN);
        let sender_len = (size - sequence_len).min(SENDER_LEN);
        let filler = (0..size).map(|at| if at < sequence_len + sender_len { DIGITS[0] } else { DIGITS[26 + at % 26] });
        Payload { sequence_len, sender_len, pattern: filler.collect() }
    }

    /// A payload of sender 0 with sequence number 0.
    pub(crate) fn pattern(&self) -> &[u8] {
        &self.pattern
    }

    /// Where the sender's characters are.
    pub(crate) fn sender_at(&self) -> usize {
        self.sequence_len
    }

    /// What stands for a sequence number: the first of these characters, as many as there is room for.
    pub(crate) fn sequence(&self, sequence: u64) -> (Digits, usize) {
        (digits(sequence), self.sequence_len)
    }

    /// What stands for a sender.
    pub(crate) fn sender(&self, sender: u64) -> (Digits, usize) {
        (digits(sender), self.sender_len)
    }

    /// The sequence number of a payload that came: of all that it may stand for, the one closest to `near`. `None` if this is
    /// no payload of `sender`, or was changed under way.
    pub(crate) fn check(&self, payload: &[u8], sender: u64, near: u64) -> Option<u64> {
        let (sequence, rest) = payload.split_at_checked(self.sequence_len)?;
        let (from, filler) = rest.split_at_checked(self.sender_len)?;
        let (expected, len) = self.sender(sender);
        if from != &expected[..len] || filler != &self.pattern[self.sequence_len + self.sender_len..] {
            return None;
        }
        let number = number(sequence)?;
        let modulus = 64u64.pow(self.sequence_len as u32);
        // A power of two: the numbers wrap as u64 does.
        let ahead = number.wrapping_sub(near) & (modulus - 1);
        let behind = modulus - ahead;
        Some(if ahead <= behind || behind > near { near + ahead } else { near - behind })
    }
}

fn digits(mut number: u64) -> Digits {
    let mut digits = Digits::default();
    for digit in &mut digits {
        *digit = DIGITS[(number % 64) as usize];
        number /= 64;
    }
    digits
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().rev().try_fold(0, |number, digit| Some(number * 64 + u64::from(value(*digit)?)))
}

fn value(digit: u8) -> Option<u8> {
    Some(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'-' => 62,
        b'_' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(size: usize, sender: u64, sequence: u64) -> (Payload, Vec<u8>) {
        let payload = Payload::new(size);
        let mut bytes = payload.pattern().to_vec();
        let (digits, len) = payload.sequence(sequence);
        bytes[..len].copy_from_slice(&digits[..len]);
        let (digits, len) = payload.sender(sender);
        bytes[payload.sender_at()..][..len].copy_from_slice(&digits[..len]);
        (payload, bytes)
    }

    #[test]
    fn number_and_sender_come_back_in_every_size() {
        for size in [0, 1, 2, 5, 6, 7, 9, 10, 11, 16, 1024] {
            for sequence in [0, 1, 63, 64, 4095, 1_000_000, 64u64.pow(6) - 1, 64u64.pow(6), u64::MAX / 2] {
                let (payload, bytes) = payload(size, 12_345, sequence);
                assert_eq!(bytes.len(), size);
                assert_eq!(payload.check(&bytes, 12_345, sequence), Some(sequence), "{size} {sequence}");
            }
        }
    }

    #[test]
    fn number_is_the_one_closest_to_what_is_expected() {
        let check = |size, sequence: u64, near| {
            let (payload, bytes) = payload(size, 0, sequence);
            assert_eq!(payload.check(&bytes, 0, near), Some(sequence), "{size} {sequence} {near}");
        };
        check(1, 64, 60);
        check(1, 60, 64);
        check(1, 3, 0);
        check(1, 1000, 1020);
        check(16, 70, 0);
        check(16, 0, 70);
        check(16, 64u64.pow(6) + 5, 64u64.pow(6) - 5);
        check(16, 64u64.pow(6) - 5, 64u64.pow(6) + 5);
    }

    #[test]
    fn changed_payload_is_none() {
        let (payload, good) = payload(16, 7, 9);
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] = b'!';
            assert_eq!(payload.check(&bad, 7, 9), None, "{at}");
        }
        assert_eq!(payload.check(&good, 8, 9), None);
        assert_eq!(payload.check(&good[1..], 7, 9), None);
        assert_eq!(payload.check(&[], 7, 9), None);
    }
}
