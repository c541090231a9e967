//! What slow, dead and hostile peers, and panics of users' code, leave behind: nothing. In a process of its own and one test after
//! the other, since what is measured here is the process: its tasks, its memory, its files.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod declared;
mod faults;
mod process;
mod silent;
mod slow;
#[path = "../it/support.rs"]
#[allow(dead_code, reason = "made for the other tests; these use less of it")]
mod support;
