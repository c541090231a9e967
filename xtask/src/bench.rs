//! `cargo xtask bench`: builds the servers of `bench/`, the generator and the runner, and lets the runner measure.
//!
//! `bench/` is a workspace of its own. What comes behind `bench` is the runner's: `cargo xtask bench -- --help` tells.

use std::path::Path;

use clap::Args;

use crate::{
    command::{Failure, Outcome, Program},
    setup,
    workspace::{self, Workspace},
};

/// The options of `cargo xtask bench`.
#[derive(Args)]
pub(crate) struct Options {
    /// What the runner gets: `table` (or nothing), `growth`, `cores`, `sessions`; `--only REGEX`, `--servers LIST`,
    /// `--repetitions N`, `--quick`, `--report-only FILE`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Builds everything and runs what was asked for.
pub(crate) fn run_command(options: &Options) -> Outcome {
    let folder = workspace::root().join("bench");
    let bench = Workspace::load_from(&folder)?;
    let root = Workspace::load()?;
    if options.arguments.iter().any(|word| word.starts_with("--report-only")) {
        Program::cargo().args(["build", "--release", "--package", "bench-runner"]).within(&folder).run()?;
    } else {
        build(&folder)?;
    }
    owned(&bench.program("release", "bench-runner"))
        .args(&options.arguments)
        .args([Path::new("--root"), workspace::root()])
        .args(["--programs".as_ref(), bench.program("release", "").as_os_str()])
        .args(["--generator".as_ref(), root.program("release", "patera").as_os_str()])
        .run()
}

fn build(folder: &Path) -> Outcome {
    for tool in ["taskset", "setpriv", "node", "npm"] {
        if !setup::is_on_path(tool) {
            return Err(Failure::own(format!(
                "{tool} is missing: install util-linux, and Node.js 20 or later with npm"
            )));
        }
    }
    setup::npm_packages(&folder.join("servers/node"))?;
    Program::cargo().args(["build", "--release", "--workspace"]).within(folder).run()?;
    Program::cargo().args(["build", "--release", "--package", "patera-cli"]).within(workspace::root()).run()
}

/// A program that the kernel ends when this one ends, however that ends.
fn owned(program: &Path) -> Program {
    Program::new("setpriv").args(["--pdeathsig", "TERM"]).args([program])
}
