//! `cargo xtask fuzz`: looks for inputs for which something does not hold, with cargo-fuzz and libFuzzer.
//!
//! A run begins with the seeds and with what earlier runs have kept, and is bounded in time: that of the processor, for a busy machine is
//! slow. With `--keep`, the inputs that reach all
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
    /// How long each is fuzzed, in minutes of processor time.
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
/// How long a process of libFuzzer lives, in seconds by the clock.
const ROUND_SECONDS_MAX: u64 = 60;
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
    println!("\n| target | executions | processor s | coverage |\n|---|---:|---:|---|");
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
        Program::new(&self.corpus).args(["unpack", target]).args([&self.inputs(target)]).run()?;
        self.cargo_fuzz("build", target).run()?;
        let mut left = Duration::from_secs_f64(self.options.minutes * 60.0);
        let mut total = Figures::default();
        while left > Duration::ZERO {
            let round = self.round(target, left.as_secs().clamp(1, ROUND_SECONDS_MAX))?;
            left = left.saturating_sub(round.time.max(Duration::from_secs(1)));
            total = total.and(round);
        }
        Ok(total.row(target))
    }

    /// Goes on from the inputs of the rounds before.
    fn round(&self, target: &str, seconds: u64) -> Outcome<Figures> {
        let log = self.scratch.join(format!("{target}.log"));
        let program = self.cargo_fuzz("run", target).args([&self.inputs(target)]).args([
            "--".to_owned(),
            format!("-max_total_time={seconds}"),
            format!("-max_len={INPUT_BYTES_MAX}"),
            format!("-dict={}", folder().join(format!("dictionaries/{target}.dict")).display()),
            "-timeout=10".to_owned(),
            "-print_final_stats=1".to_owned(),
        ]);
        let (before, start) = (children_time(), Instant::now());
        let ended = program.run_into(File::create(&log).map_err(Failure::io(log.display()))?);
        let time = match (before, children_time()) {
            (Some(before), Some(after)) => after.saturating_sub(before),
            _ => start.elapsed(),
        };
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
        Ok(Figures::read(&text, time))
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

/// Processor time of all children that have ended, and theirs, where the system tells: proc(5), "stat", fields 16 and 17, in hundredths.
fn children_time() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let behind_name = stat.rsplit_once(") ")?.1;
    let hundredths = behind_name.split(' ').skip(13).take(2).map(|field| field.parse::<u64>().ok());
    Some(Duration::from_millis(10 * hundredths.sum::<Option<u64>>()?))
}

/// What libFuzzer says at the end.
#[derive(Debug, Default, PartialEq)]
struct Figures {
    executions: u64,
    time: Duration,
    /// `324 ft: 1305 corp: 466/43Kb`.
    coverage: String,
}

impl Figures {
    fn read(log: &str, time: Duration) -> Self {
        let executions = log.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
        let done = log.lines().rev().find(|line| line.contains("DONE") && line.contains("cov:"));
        let coverage = done.and_then(|line| line.split_once("cov:")).map_or("?", |two| two.1);
        Figures {
            executions: executions.and_then(|text| text.trim().parse().ok()).unwrap_or(0),
            time,
            coverage: coverage.split("lim:").next().unwrap_or(coverage).trim().to_owned(),
        }
    }

    fn and(self, later: Figures) -> Figures {
        Figures {
            executions: self.executions + later.executions,
            time: self.time + later.time,
            coverage: later.coverage,
        }
    }

    /// `| http_query | 1136605 | 31 | cov: 1494 ft: 4202 corp: 1632/81Kb |`.
    fn row(&self, target: &str) -> String {
        format!("| {target} | {} | {} | cov: {} |", self.executions, self.time.as_secs(), self.coverage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_that_libfuzzer_tells_last() {
        let log = "#2\tINITED cov: 5 ft: 6 corp: 1/1b exec/s: 0 rss: 30Mb\n\
                   #900\tDONE   cov: 324 ft: 1305 corp: 466/43Kb lim: 4096 exec/s: 71055 rss: 33Mb\n\
                   stat::number_of_executed_units: 900\n";
        let figures = Figures::read(log, Duration::from_millis(2900));
        assert_eq!(figures.row("http_query"), "| http_query | 900 | 2 | cov: 324 ft: 1305 corp: 466/43Kb |");
        let both = Figures { executions: 100, time: Duration::from_secs(1), coverage: "9".to_owned() }.and(figures);
        assert_eq!(both.row("http_query"), "| http_query | 1000 | 3 | cov: 324 ft: 1305 corp: 466/43Kb |");
    }

    #[test]
    fn a_log_without_figures_is_no_panic() {
        assert_eq!(Figures::read("", Duration::ZERO).row("x"), "| x | 0 | 0 | cov: ? |");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_time_of_children_is_counted() {
        let before = children_time().expect("Linux tells");
        Program::new("sh").args(["-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"]).run().expect("it counts");
        assert!(children_time().expect("Linux tells") > before);
    }
}
