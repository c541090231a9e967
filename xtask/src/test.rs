//! `cargo xtask test`: everything that must hold before a commit, in the order in which a fault shows soonest.

use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};

use crate::{
    client,
    command::{Outcome, Program},
    conformance, differential, hostile, instructions, setup,
    workspace::Workspace,
};

/// The options of `cargo xtask test`.
#[derive(Args)]
pub(crate) struct Options {
    /// Run only these parts, in the usual order.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
}

/// One part of the tests; the order is the order in which they run.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Install what the machine lacks.
    Setup,
    /// `cargo fmt --check`.
    Format,
    /// `cargo clippy`, where a warning is an error.
    Clippy,
    /// `cargo doc`, where a warning is an error.
    Docs,
    /// The dependency edges between our own crates.
    Edges,
    /// Unit, integration and documentation tests.
    Tests,
    /// The hot paths take no more instructions than their budget.
    Instructions,
    /// The browser client: its types, its tests, and that the server's crate holds what is built from its sources.
    Client,
    /// The parsers of JavaScript read what we read, but for known differences.
    Differential,
    /// Every program and example builds.
    Examples,
    /// The hostile inputs: each comes to what it should, and nobody else notices.
    Hostile,
    /// Other people's clients against our server.
    Conformance,
}

/// Runs the parts until one fails. The last line is `N passed, N failed`, of the conformance tests if they ran.
pub(crate) fn run(options: &Options) -> Outcome {
    let parts: Vec<Part> =
        Part::value_variants().iter().copied().filter(|part| is_wanted(*part, &options.only)).collect();
    let mut times = Vec::new();
    let mut totals = format!("{} passed, 0 failed", parts.len());
    for part in parts {
        headline(part);
        let start = Instant::now();
        if let Some(line) = run_part(part)? {
            totals = line;
        }
        times.push((part, start.elapsed()));
    }
    println!("\n{}", table(&times));
    println!("{totals}");
    Ok(())
}

/// Setup comes first whatever was asked for: it is quick when all is there.
fn is_wanted(part: Part, only: &[Part]) -> bool {
    part == Part::Setup || only.is_empty() || only.contains(&part)
}

fn run_part(part: Part) -> Outcome<Option<String>> {
    let cargo = |arguments: &[&str]| Program::cargo().args(arguments);
    match part {
        Part::Setup => setup::run()?,
        Part::Format => cargo(&["fmt", "--all", "--check"]).run()?,
        Part::Clippy => {
            let arguments = ["clippy", "--workspace", "--all-targets", "--all-features", "--", "--deny", "warnings"];
            cargo(&arguments).run()?;
        }
        Part::Docs => {
            let program = cargo(&["doc", "--workspace", "--all-features", "--no-deps"]);
            program.env("RUSTDOCFLAGS", "--deny warnings").run()?;
        }
        Part::Edges => cargo(&["test", "--quiet", "--package", "xtask", "graph::"]).run()?,
        Part::Tests => cargo(&["test", "--workspace", "--all-features"]).run()?,
        Part::Instructions => instructions::run_command(&instructions::Options { update: false })?,
        Part::Client => client::test()?,
        Part::Differential => differential::run_command(&differential::Options { fuzzed: false })?,
        Part::Examples => cargo(&["build", "--workspace", "--all-features", "--bins", "--examples"]).run()?,
        Part::Hostile => hostile::run_all(&Workspace::load()?)?,
        Part::Conformance => return conformance::run_all(&Workspace::load()?).map(Some),
    }
    Ok(None)
}

fn name_of(part: Part) -> String {
    part.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

fn headline(part: Part) {
    let name = name_of(part);
    println!("\n── {name} {}", "─".repeat(76_usize.saturating_sub(name.len())));
}

/// How long each part took.
fn table(times: &[(Part, Duration)]) -> String {
    let line = |(part, time): &(Part, Duration)| format!("{:>7.1} s  {}", time.as_secs_f64(), name_of(*part));
    times.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_part_brings_only_setup_along() {
        let parts: Vec<String> = Part::value_variants()
            .iter()
            .filter(|part| is_wanted(**part, &[Part::Docs]))
            .map(|part| name_of(*part))
            .collect();
        assert_eq!(parts, ["setup", "docs"]);
    }

    #[test]
    fn times_are_listed_in_order() {
        let times = [(Part::Setup, Duration::from_millis(50)), (Part::Clippy, Duration::from_secs(61))];
        assert_eq!(table(&times), "    0.1 s  setup\n   61.0 s  clippy");
    }
}
