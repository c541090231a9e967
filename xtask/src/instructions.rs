//! `cargo xtask instructions`: counts what the hot paths of `bench/instructions` cost in user space, and holds it against
//! `bench/instructions/budget.json`.
//!
//! Callgrind counts instructions, so that the figure is the same whatever else the machine does. Each path is taken N times
//! and 2N times; the difference is what N cost, with nothing of the start.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::{Value, json};

use crate::{
    command::{Failure, Outcome, Program},
    setup,
    workspace::{self, Workspace},
};

/// The options of `cargo xtask instructions`.
#[derive(Args)]
pub(crate) struct Options {
    /// Write what was counted into the budget, instead of holding it against it.
    #[arg(long)]
    pub(crate) update: bool,
}

/// How often a path is taken.
const COUNT: u64 = 2000;
/// A broadcast to a thousand is a thousand deliveries.
const COUNT_BROADCAST: u64 = 20_000;
/// Another machine's libc may take another way through `memcpy`.
const TOLERANCE_PERCENT: f64 = 5.0;
/// How many functions of a path the budget names, and a regression.
const FUNCTIONS: usize = 25;
const FUNCTIONS_TOLD: usize = 5;

/// Instructions per function, and of all.
type Costs = BTreeMap<String, f64>;

/// Counts, and compares or writes.
pub(crate) fn run_command(options: &Options) -> Outcome {
    let folder = workspace::root().join("bench");
    let bench = Workspace::load_from(&folder)?;
    if !setup::is_on_path("valgrind") {
        return Err(Failure::own("valgrind is missing: `cargo xtask setup` installs it as root"));
    }
    let arguments = ["build", "--profile", "instructions", "--package", "bench-instructions"];
    Program::cargo().args(arguments).within(&folder).run()?;
    let program = bench.program("instructions", "bench-instructions");
    let scratch = Workspace::load()?.scratch()?;
    let paths = Program::new(&program).output().ok_or_else(|| Failure::own("bench-instructions lists no paths"))?;
    let mut counted = BTreeMap::new();
    for path in paths.lines() {
        counted.insert(path.to_owned(), count(&program, path, &scratch)?);
    }
    let file = folder.join("instructions/budget.json");
    if options.update { write(&file, &counted) } else { compare(&file, &counted) }
}

/// What one time costs, by function.
fn count(program: &Path, path: &str, scratch: &Path) -> Outcome<Costs> {
    let times = if path == "broadcast" { COUNT_BROADCAST } else { COUNT };
    let once = profile(program, path, times, scratch)?;
    let mut costs = profile(program, path, 2 * times, scratch)?;
    for (function, cost) in &mut costs {
        *cost = (*cost - once.get(function).copied().unwrap_or(0.0)) / times as f64;
    }
    Ok(costs)
}

fn profile(program: &Path, path: &str, times: u64, scratch: &Path) -> Outcome<Costs> {
    let output: PathBuf = scratch.join(format!("callgrind.{path}.{times}"));
    let mut to = std::ffi::OsString::from("--callgrind-out-file=");
    to.push(&output);
    let log = scratch.join("callgrind.log");
    let mut log_to = std::ffi::OsString::from("--log-file=");
    log_to.push(&log);
    let valgrind = Program::new("valgrind").args(["--tool=callgrind"]).args([to, log_to]).args([program]);
    valgrind.args([path, &times.to_string()]).run()?;
    let text = fs::read_to_string(&output).map_err(Failure::io(output.display()))?;
    Ok(parse(&text))
}

/// Callgrind's format: `fn=(id) name`, then lines of a place and its own cost; a line behind `calls=` is the callee's.
fn parse(text: &str) -> Costs {
    let mut names = BTreeMap::new();
    let mut costs = Costs::new();
    let (mut function, mut is_callee) = (String::new(), false);
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("fn=") {
            function = resolve(name, &mut names);
        } else if let Some(name) = line.strip_prefix("cfn=") {
            resolve(name, &mut names);
        } else if line.starts_with("calls=") {
            is_callee = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first))
            && !std::mem::take(&mut is_callee)
            && let Some(cost) = line.split(' ').nth(1).and_then(|cost| cost.parse::<f64>().ok())
        {
            *costs.entry(function.clone()).or_default() += cost;
        }
    }
    costs
}

/// `(7) name` names number 7; `(7)` is what was named so.
fn resolve(text: &str, names: &mut BTreeMap<String, String>) -> String {
    match text.split_once(' ') {
        Some((number, name)) => {
            names.insert(number.to_owned(), name.to_owned());
            name.to_owned()
        }
        None => names.get(text).cloned().unwrap_or_default(),
    }
}

fn write(file: &Path, counted: &BTreeMap<String, Costs>) -> Outcome {
    let path = |costs: &Costs| {
        let functions: serde_json::Map<String, Value> = largest(costs)
            .into_iter()
            .take(FUNCTIONS)
            .map(|(name, cost)| (name.to_owned(), json!(cost.round())))
            .collect();
        json!({ "instructions": costs.values().sum::<f64>().round(), "functions": functions })
    };
    let budget: serde_json::Map<String, Value> =
        counted.iter().map(|(name, costs)| (name.clone(), path(costs))).collect();
    let text = serde_json::to_string_pretty(&budget).unwrap_or_default() + "\n";
    fs::write(file, text).map_err(Failure::io(file.display()))?;
    println!("{}", table(counted, &Value::Object(budget)));
    Ok(())
}

fn compare(file: &Path, counted: &BTreeMap<String, Costs>) -> Outcome {
    let text = fs::read_to_string(file).map_err(Failure::io(file.display()))?;
    let budget = serde_json::from_str(&text).map_err(|error| Failure::own(format!("{}: {error}", file.display())))?;
    println!("{}", table(counted, &budget));
    let regressions: Vec<String> =
        counted.iter().filter_map(|(path, costs)| regression(path, costs, &budget[path])).collect();
    if regressions.is_empty() {
        return Ok(());
    }
    Err(Failure::own(format!("instructions above the budget; with a reason: --update\n{}", regressions.join("\n"))))
}

fn table(counted: &BTreeMap<String, Costs>, budget: &Value) -> String {
    let mut text = format!("{:<20} {:>12} {:>12}", "path", "instructions", "budget");
    for (path, costs) in counted {
        let allowed = budget[path]["instructions"].as_f64().unwrap_or(0.0);
        let _ = write!(text, "\n{path:<20} {:>12.0} {allowed:>12.0}", costs.values().sum::<f64>());
    }
    text
}

/// What to say of a path that costs more than its budget: the functions that grew most.
fn regression(path: &str, costs: &Costs, budget: &Value) -> Option<String> {
    let (total, allowed) = (costs.values().sum::<f64>(), budget["instructions"].as_f64().unwrap_or(0.0));
    if total <= allowed * (1.0 + TOLERANCE_PERCENT / 100.0) {
        return None;
    }
    let before = |name: &str| budget["functions"][name].as_f64().unwrap_or(0.0);
    let growth: Costs = costs.iter().map(|(name, cost)| (name.clone(), cost - before(name))).collect();
    let mut text = format!("{path}: {total:.0}, budget {allowed:.0}");
    for (name, more) in largest(&growth).into_iter().take(FUNCTIONS_TOLD) {
        let _ = write!(text, "\n  {more:>+8.0}  {name}");
    }
    Some(text)
}

fn largest(costs: &Costs) -> Vec<(&str, f64)> {
    let mut sorted: Vec<_> = costs.iter().map(|(name, cost)| (name.as_str(), *cost)).collect();
    sorted.sort_by(|one, other| other.1.total_cmp(&one.1));
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_costs_are_summed_and_callees_left_out() {
        let text =
            "events: Ir\n\nfn=(1) one\n16 5\n+2 3\ncfn=(2) two\ncalls=1 40\n+1 100\n* 2\nfn=(2)\n40 100\nfi=(9)\n7 1\n";
        let expected = Costs::from([("one".to_owned(), 10.0), ("two".to_owned(), 101.0)]);
        assert_eq!(parse(text), expected);
    }

    #[test]
    fn a_regression_names_the_function() {
        let costs = Costs::from([("fast".to_owned(), 50.0), ("slow".to_owned(), 70.0)]);
        let budget = json!({ "instructions": 100, "functions": { "fast": 50, "slow": 50 } });
        let told = regression("echo", &costs, &budget).expect("120 is more than 105");
        assert!(told.starts_with("echo: 120, budget 100\n       +20  slow"), "{told}");
        let within = Costs::from([("fast".to_owned(), 55.0), ("slow".to_owned(), 50.0)]);
        assert_eq!(regression("echo", &within, &budget), None);
    }
}
