//! `cargo xtask fuzz`: looks for inputs for which something does not hold, with cargo-fuzz and libFuzzer.
//!
//! A run begins with the seeds and with what earlier runs have kept, and is bounded in time. With `--keep`, the inputs that reach all
//! code reached so far, the shortest of them, become `fuzz/corpus/<target>.jsonl`: `cargo test` plays those, without any of this.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::Args;

use crate::{
    command::{Failure, Outcome, Program},
    workspace::{self, Workspace},
};

/// The options of `cargo xtask fuzz`.
#[derive(Args)]
pub(crate) struct Options {
    /// Which targets; all if none is named.
    targets: Vec<String>,
    /// How long each is fuzzed.
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// Write the inputs that reach something into `fuzz/corpus`.
    #[arg(long)]
    keep: bool,
    /// Watch the memory too, of dependencies that use `unsafe`: half as fast.
    #[arg(long)]
    address_sanitizer: bool,
}

/// The compiler that instruments.
const TOOLCHAIN: &str = "nightly";
/// Longer inputs are seldom about anything else.
const INPUT_BYTES_MAX: usize = 4096;
/// What is kept of a target: it is read by people, and played by every test run.
const KEPT_INPUT_BYTES_MAX: usize = 512;

/// Fuzzes each target, and prints what came of it.
pub(crate) fn run_command(options: &Options) -> Outcome {
    check_tools()?;
    let fuzzing = Fuzzing::new(options)?;
    let targets = fuzzing.targets()?;
    if let Some(unknown) = options.targets.iter().find(|name| !targets.contains(name)) {
        return Err(Failure::own(format!("no target is called {unknown}; there are {}", targets.join(", "))));
    }
    let wanted: Vec<String> =
        if options.targets.is_empty() { targets } else { options.targets.iter().map(String::clone).collect() };
    let mut lines = Vec::new();
    for target in &wanted {
        let line = fuzzing.fuzz(target)?;
        println!("{line}");
        lines.push(line);
        if options.keep {
            fuzzing.keep(target)?;
        }
    }
    println!("\n| target | executions | seconds | coverage |\n|---|---:|---:|---|");
    lines.iter().for_each(|line| println!("{line}"));
    Ok(())
}

/// Says what to install.
fn check_tools() -> Outcome {
    if rustup(&["rustc", "--version"]).output().is_none() {
        return Err(Failure::own(format!("the nightly compiler is missing: `rustup toolchain install {TOOLCHAIN}`")));
    }
    if rustup(&["cargo", "fuzz", "--version"]).output().is_none() {
        return Err(Failure::own("cargo-fuzz is missing: `cargo install cargo-fuzz`"));
    }
    Ok(())
}

fn rustup(arguments: &[&str]) -> Program {
    Program::new("rustup").args(["run", TOOLCHAIN]).args(arguments)
}

struct Fuzzing<'a> {
    options: &'a Options,
    /// Where everything is that need not be kept.
    scratch: PathBuf,
    /// The program that knows seeds and kept inputs.
    corpus: PathBuf,
}

impl<'a> Fuzzing<'a> {
    fn new(options: &'a Options) -> Outcome<Self> {
        let workspace = Workspace::load()?;
        Program::cargo().args(["build", "--quiet", "--package", "fuzz-targets", "--bin", "corpus"]).run()?;
        let scratch = workspace.scratch()?.join("fuzz");
        make(&scratch)?;
        Ok(Fuzzing { options, scratch, corpus: workspace.program("debug", "corpus") })
    }

    fn targets(&self) -> Outcome<Vec<String>> {
        let listed = Program::new(&self.corpus).args(["list"]).output();
        let listed = listed.ok_or_else(|| Failure::own("the program `corpus` lists no targets"))?;
        Ok(listed.lines().map(str::to_owned).collect())
    }

    /// The inputs of a target, a file each.
    fn inputs(&self, target: &str) -> PathBuf {
        self.scratch.join(target)
    }

    /// A line of the table.
    fn fuzz(&self, target: &str) -> Outcome<String> {
        let inputs = self.inputs(target);
        Program::new(&self.corpus).args(["unpack", target]).args([&inputs]).run()?;
        self.cargo_fuzz("build", target).run()?;
        let log = self.scratch.join(format!("{target}.log"));
        let seconds = (self.options.minutes * 60.0).max(1.0) as u64;
        let program = self.cargo_fuzz("run", target).args([&inputs]).args([
            "--".to_owned(),
            format!("-max_total_time={seconds}"),
            format!("-max_len={INPUT_BYTES_MAX}"),
            format!("-dict={}", folder().join(format!("dictionaries/{target}.dict")).display()),
            "-timeout=10".to_owned(),
            "-print_final_stats=1".to_owned(),
        ]);
        let start = Instant::now();
        let ended = program.run_into(File::create(&log).map_err(Failure::io(log.display()))?);
        let text = fs::read(&log).map_err(Failure::io(log.display()))?;
        let text = String::from_utf8_lossy(&text);
        if let Err(failure) = ended {
            let why = text.lines().skip_while(|line| !line.contains("panicked at") && !line.contains("ERROR")).take(40);
            return Err(Failure::own(format!(
                "{}\n{failure}; see {}",
                why.collect::<Vec<_>>().join("\n"),
                log.display()
            )));
        }
        Ok(row(target, &text, start.elapsed()))
    }

    /// The shortest inputs that reach all that was reached.
    fn keep(&self, target: &str) -> Outcome {
        let kept = self.scratch.join(format!("{target}-kept"));
        let _ = fs::remove_dir_all(&kept);
        make(&kept)?;
        let log = self.scratch.join(format!("{target}-kept.log"));
        let program = self.cargo_fuzz("run", target).args([&kept, &self.inputs(target)]).args([
            "--".to_owned(),
            "-merge=1".to_owned(),
            "-use_counters=0".to_owned(),
            format!("-max_len={KEPT_INPUT_BYTES_MAX}"),
        ]);
        program.run_into(File::create(&log).map_err(Failure::io(log.display()))?)?;
        Program::new(&self.corpus).args(["pack", target]).args([&kept]).run()
    }

    fn cargo_fuzz(&self, command: &str, target: &str) -> Program {
        let sanitizer = if self.options.address_sanitizer { "address" } else { "none" };
        // A target directory of its own: two compilers in one build everything anew, time and again.
        rustup(&["cargo", "fuzz", command, "--fuzz-dir", "fuzz", "--sanitizer", sanitizer, target])
            .env("CARGO_TARGET_DIR", self.scratch.join("target"))
            .within(workspace::root())
    }
}

fn folder() -> PathBuf {
    workspace::root().join("fuzz")
}

fn make(folder: &Path) -> Outcome {
    fs::create_dir_all(folder).map_err(Failure::io(folder.display()))
}

/// `| http_query | 1136605 | 31 | cov: 1494 ft: 4202 corp: 1632/81Kb |`, from what libFuzzer says at the end.
fn row(target: &str, log: &str, elapsed: Duration) -> String {
    let executions = log.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    let done = log.lines().rev().find(|line| line.contains("DONE") && line.contains("cov:"));
    let coverage = done.and_then(|line| line.split_once("cov:")).map(|two| two.1.split("lim:").next().unwrap_or(two.1));
    format!(
        "| {target} | {} | {} | cov: {} |",
        executions.unwrap_or("?").trim(),
        elapsed.as_secs(),
        coverage.unwrap_or("?").trim()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_that_libfuzzer_tells_last() {
        let log = "#2\tINITED cov: 5 ft: 6 corp: 1/1b exec/s: 0 rss: 30Mb\n\
                   #900\tDONE   cov: 324 ft: 1305 corp: 466/43Kb lim: 4096 exec/s: 71055 rss: 33Mb\n\
                   stat::number_of_executed_units: 900\n";
        let line = row("http_query", log, Duration::from_millis(2900));
        assert_eq!(line, "| http_query | 900 | 2 | cov: 324 ft: 1305 corp: 466/43Kb |");
    }

    #[test]
    fn a_log_without_figures_is_no_panic() {
        assert_eq!(row("x", "", Duration::ZERO), "| x | ? | 0 | cov: ? |");
    }
}
