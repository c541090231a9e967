//! `cargo xtask conformance`: other people's clients against our server, or against theirs.

use std::{ffi::OsString, path::PathBuf};

use clap::Args;

use crate::{
    client,
    command::{Failure, Outcome, Program},
    setup,
    workspace::{self, Workspace},
};

/// The options of `cargo xtask conformance`.
#[derive(Args)]
pub(crate) struct Options {
    /// The server under test: `patera`, or `node` for the official server, which judges the scenarios themselves.
    #[arg(long, default_value = "patera", value_parser = ["patera", "node"])]
    server: String,
    /// Run only the tests whose name matches this pattern.
    #[arg(long)]
    name: Option<String>,
    /// Test files, as paths inside conformance/; all by default.
    files: Vec<PathBuf>,
}

/// Setup, build, then the tests that were asked for.
pub(crate) fn run_command(options: &Options) -> Outcome {
    setup::run()?;
    let workspace = Workspace::load()?;
    let mut program = runner(&workspace);
    if options.server == "node" {
        Program::cargo().args(["build", "--package", "conformance-client"]).run()?;
        client::build_package()?;
        program = program.args(["--server", "node"]);
    } else {
        build(&workspace)?;
        program = with_our_programs(program, &workspace);
    }
    if let Some(name) = &options.name {
        program = program.args(["--name", name]);
    }
    program.args(&options.files).run()
}

/// Builds the server under test, the agent of our Rust client, the binary whose demo page is tested, the examples, and our own
/// client for Node.
pub(crate) fn build(workspace: &Workspace) -> Outcome {
    let mut arguments = vec!["build", "--all-features"];
    for package in ["conformance-server", "conformance-client", "patera-cli", "examples"] {
        if workspace.has(package) {
            arguments.extend(["--package", package]);
        }
    }
    Program::cargo().args(arguments).run()?;
    client::build_package()
}

/// Runs all of them against our server and gives the line of totals, `N passed, N failed`.
pub(crate) fn run_all(workspace: &Workspace) -> Outcome<String> {
    build(workspace)?;
    let mut totals = None;
    let ended = with_our_programs(runner(workspace), workspace).run_and_see(|line| {
        let is_totals = line.contains(" passed, ") && line.contains(" failed");
        if is_totals {
            totals = Some(line.to_owned());
        }
        is_totals
    });
    if let (Err(_), Some(line)) = (&ended, &totals) {
        println!("{line}");
    }
    ended?;
    totals.ok_or_else(|| Failure::own("the conformance tests printed no totals"))
}

fn runner(workspace: &Workspace) -> Program {
    let chromium = setup::chromium().map_or_else(|| OsString::from("/usr/bin/chromium"), OsString::from);
    let program = Program::new("node").args(["run.mjs"]).within(workspace::conformance()).env("CHROMIUM", chromium);
    program.env("PATERA_CLIENT", workspace.program("debug", "conformance-client"))
}

fn with_our_programs(program: Program, workspace: &Workspace) -> Program {
    let program = program.args(["--server".into(), workspace.program("debug", "conformance-server").into_os_string()]);
    if workspace.has("patera-cli") { program.env("PATERA", workspace.program("debug", "patera")) } else { program }
}
