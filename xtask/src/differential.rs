//! `cargo xtask differential`: holds our decoders against the parsers of JavaScript (`conformance/differential/parsers.mjs`), over
//! the seeds and the inputs that fuzzing has kept. What differs must stand in `fuzz/differences.json`, with its reason.

use clap::Args;

use crate::{
    command::{Outcome, Program},
    setup,
    workspace::{self, Workspace},
};

/// The options of `cargo xtask differential`.
#[derive(Args)]
pub(crate) struct Options {
    /// Over all inputs that `cargo xtask fuzz` has found on this machine, too.
    #[arg(long)]
    pub(crate) fuzzed: bool,
}

/// Compares, and fails where a difference is not known.
pub(crate) fn run_command(options: &Options) -> Outcome {
    setup::npm_packages(&workspace::conformance())?;
    let workspace = Workspace::load()?;
    Program::cargo().args(["build", "--quiet", "--package", "fuzz-targets", "--bin", "differential"]).run()?;
    let program = Program::new(workspace.program("debug", "differential"))
        .args([workspace::conformance().join("differential/parsers.mjs")])
        .args([workspace::root().join("fuzz/differences.json")]);
    if options.fuzzed { program.args([workspace.scratch()?.join("fuzz")]).run() } else { program.run() }
}
