//! What the crate promises, through its public API.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which the lint does not see as tests")]

mod support;

mod chunking;
mod closing;
mod conformance;
#[cfg(feature = "deflate")]
mod deflate;
#[cfg(feature = "deflate")]
mod deflate_oracle;
mod limits;
mod oracle;
mod pair;
mod sizes;
#[cfg(feature = "tokio")]
mod stream;
