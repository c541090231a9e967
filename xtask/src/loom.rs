//! `cargo xtask loom`: plays the models of `crates/patera/src/models` under loom, in every order of a bounded number of
//! preemptions. No part of the continuous integration: it is for who changes a lock, a wake, or what is done under them.

use std::ffi::OsStr;

use clap::Args;

use crate::{
    command::{Outcome, Program},
    workspace::Workspace,
};

/// The options of `cargo xtask loom`.
#[derive(Args)]
pub(crate) struct Options {
    /// Play only the models of this file, such as `outbox`, or one of them, as in `outbox::nothing_follows`.
    #[arg(default_value = "")]
    filter: String,
    /// How often a thread is interrupted where it need not be. One more takes about five times as long.
    #[arg(long)]
    preemptions: Option<usize>,
}

/// Builds the models, apart from all else that is built, and plays them one after the other, each with its time.
pub(crate) fn run_command(options: &Options) -> Outcome {
    let target = Workspace::load()?.program("loom", "");
    let build = ["test", "--package", "patera", "--lib", "--profile", "loom", "--no-default-features"];
    // Other tests fail under this cfg: their locks would want a model around them.
    let models = format!("models::{}", options.filter);
    let play = ["--test-threads=1", "--nocapture", &models];
    let target = [OsStr::new("--target-dir"), target.as_os_str(), OsStr::new("--")];
    let mut program = Program::cargo().args(build).args(target).args(play).env("RUSTFLAGS", "--cfg patera_loom");
    if let Some(preemptions) = options.preemptions {
        program = program.env("LOOM_MAX_PREEMPTIONS", preemptions.to_string());
    }
    program.run()
}
