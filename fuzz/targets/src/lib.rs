//! What must hold for every input: the bodies of the fuzz targets.
//!
//! One function a target, called by its program in `fuzz/fuzz_targets`, and by `tests/replay.rs`, which plays the seeds and every
//! input that fuzzing has kept. It panics where something does not hold.
//!
//! | file | what |
//! |---|---|
//! | `checks/` | the bodies, a file each |
//! | [`input`] | raw bytes taken apart: flags, cuts, messages |
//! | [`memory`] | how much a piece of work may hold at once |
//! | [`seeds`] | inputs to begin with, from `vectors/` and `conformance/hostile` |
//! | [`corpus`] | the inputs kept: a line of JSON each |
//! | [`differential`] | the same inputs, as they are held against the parsers of JavaScript |
#![forbid(unsafe_code)]

mod checks;
pub mod corpus;
pub mod differential;
pub mod input;
pub mod memory;
pub mod seeds;

pub use checks::{TARGETS, Target};

/// Runs a target on an input.
///
/// # Panics
/// When something does not hold; or when there is no such target.
pub fn run(name: &str, data: &[u8]) {
    let target = Target::named(name).unwrap_or_else(|| panic!("no target is called {name}"));
    (target.run)(data);
}
