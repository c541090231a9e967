//! The program as it is run.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bench;
mod emit;
mod lines;
#[cfg(target_os = "linux")]
mod link;
#[cfg(unix)]
mod peers;
mod script;
mod serve;
mod serve_tls;
mod support;
#[cfg(unix)]
mod terminal;
mod trouble;
