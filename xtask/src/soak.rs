//! `cargo xtask soak`: every client, transport and trouble at once, for as long as one likes.

use clap::Args;

use crate::{
    client,
    command::{Outcome, Program},
    setup,
    workspace::{self, Workspace},
};

/// The options of `cargo xtask soak`.
#[derive(Args)]
pub(crate) struct Options {
    /// For how long.
    #[arg(long, default_value_t = 60.0)]
    minutes: f64,
    /// What the choices begin from: who comes next, which way a link breaks.
    #[arg(long, default_value_t = 1)]
    seed: u32,
    /// How much is going on: rounds per second, in which each of some eighty clients that stay says something to all others.
    #[arg(long, default_value_t = 4.0)]
    rate: f64,
}

/// Setup, build with optimisations, then the soak; its samples are left in the target directory.
pub(crate) fn run_command(options: &Options) -> Outcome {
    setup::run()?;
    let workspace = Workspace::load()?;
    let packages = ["--package", "conformance-server", "--package", "conformance-client"];
    Program::cargo().args(["build", "--release", "--all-features"]).args(packages).run()?;
    client::build_package()?;
    let report = workspace.scratch()?.join("soak.json");
    let program = Program::new("node").args(["soak.mjs"]).within(workspace::conformance());
    let program = program.env("PATERA_CLIENT", workspace.program("release", "conformance-client"));
    let program = program.args(["--server".as_ref(), workspace.program("release", "conformance-server").as_os_str()]);
    let program = program.args(["--minutes", &options.minutes.to_string(), "--rate", &options.rate.to_string()]);
    let program = program.args(["--seed", &options.seed.to_string()]);
    program.args(["--report".as_ref(), report.as_os_str()]).run()
}
