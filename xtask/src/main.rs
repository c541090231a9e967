//! The project's own commands: `cargo xtask setup`, `cargo xtask test`, `cargo xtask --help`.
//!
//! What a person, the README and the continuous integration call is one and the same, and it is Rust: no shell script.

#![forbid(unsafe_code)]

mod bench;
mod client;
mod command;
mod compatibility;
mod conformance;
mod differential;
mod fuzz;
mod graph;
mod hostile;
mod instructions;
mod limits;
mod loom;
mod setup;
mod soak;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The project's own commands.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what the tests need and the machine lacks: Chromium, npm packages, a Python environment.
    Setup,
    /// Run everything that must hold before a commit: setup, then every check and every test.
    Test(test::Options),
    /// Run the conformance tests alone, against Patera or against the official Node server.
    Conformance(conformance::Options),
    /// Play the hostile inputs against the conformance server.
    Hostile(hostile::Options),
    /// Let every client, every transport and every trouble loose on one server, for an hour or as long as you like.
    Soak(soak::Options),
    /// Measure Patera beside its peers, and write docs/performance.md's tables and plots.
    Bench(bench::Options),
    /// Hold our decoders against the parsers of JavaScript, over the inputs that fuzzing has kept.
    Differential(differential::Options),
    /// Look for inputs for which something does not hold: each target for some minutes.
    Fuzz(fuzz::Options),
    /// Count the instructions of the hot paths, and hold them against their budget.
    Instructions(instructions::Options),
    /// Play small scenes of several threads in many orders, to find races in what sessions share.
    Loom(loom::Options),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Setup => setup::run(),
        Command::Test(options) => test::run(&options),
        Command::Conformance(options) => conformance::run_command(&options),
        Command::Hostile(options) => hostile::run_command(&options),
        Command::Soak(options) => soak::run_command(&options),
        Command::Bench(options) => bench::run_command(&options),
        Command::Differential(options) => differential::run_command(&options),
        Command::Fuzz(options) => fuzz::run_command(&options),
        Command::Instructions(options) => instructions::run_command(&options),
        Command::Loom(options) => loom::run_command(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nfailed: {failure}");
            ExitCode::FAILURE
        }
    }
}
