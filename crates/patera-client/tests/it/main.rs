//! The client against the server of this workspace, and against servers that are no good.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod connecting;
mod contracts;
mod crowd;
mod cuts;
mod hostile;
mod life;
mod network;
mod plain;
mod recovery;
mod support;
mod traffic;
