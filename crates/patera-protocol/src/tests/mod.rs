//! Tests of more than one file, and what the others' tests share.

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

/// Virtual time: so many milliseconds after the start of the tests.
#[allow(clippy::disallowed_methods, reason = "some origin is needed, and `Instant` has no other")]
pub(crate) fn at(milliseconds: u64) -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    *ORIGIN.get_or_init(Instant::now) + Duration::from_millis(milliseconds)
}
