//! `cargo xtask hostile`: plays the inputs of `conformance/hostile/*.jsonl` against the conformance server, beside a client that behaves.
//!
//! The server is built with optimisations, so that times mean something, and with tokio's hooks around each poll: no task may keep
//! its thread. It fails where an entry's expectation does not hold, and where the process died, panicked or stopped answering.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead, BufReader},
    path::Path,
    process::Child,
};

use clap::Args;
use serde_json::Value;

use crate::{
    command::{Failure, Outcome, Program},
    workspace::{self, Workspace},
};

/// The options of `cargo xtask hostile`.
#[derive(Args)]
pub(crate) struct Options {
    /// Which entries: `base` are those against default options, the others against a server with an option. `resource`, `crowd` and
    /// `storm` take minutes, for they are thousands of clients; they are no part of `cargo xtask test`.
    #[arg(long, default_value = "base", value_delimiter = ',', value_parser = names())]
    set: Vec<String>,
    /// Only the entries whose id matches this regular expression.
    #[arg(long)]
    only: Option<String>,
}

/// The sets that are soon over.
const SETS: [&str; 7] = ["base", "eio3", "pmd", "origins", "msgpack", "recovery", "files"];

/// Those of thousands of clients.
const CROWDS: [&str; 3] = ["resource", "crowd", "storm"];

fn names() -> Vec<&'static str> {
    SETS.into_iter().chain(CROWDS).collect()
}

/// Plays what was asked for and prints each entry that differs.
pub(crate) fn run_command(options: &Options) -> Outcome {
    let workspace = Workspace::load()?;
    build()?;
    let mut rows = Vec::new();
    for set in &options.set {
        for only in parts(set, options.only.as_deref())? {
            rows.extend(play(&workspace, set, only.as_deref())?);
        }
    }
    judge(&rows)
}

/// All sets, as a part of `cargo xtask test`: one line of totals.
pub(crate) fn run_all(workspace: &Workspace) -> Outcome {
    build()?;
    let mut rows = Vec::new();
    for set in SETS {
        rows.extend(play(workspace, set, None)?);
    }
    judge(&rows)
}

/// What is played against one server: each crowd has its own, for an allocator keeps what it has had from the system.
fn parts(set: &str, only: Option<&str>) -> Outcome<Vec<Option<String>>> {
    if !CROWDS.contains(&set) {
        return Ok(vec![only.map(str::to_owned)]);
    }
    let listed = player("0", set, only).args(["--list"]).output();
    let ids = listed.ok_or_else(|| Failure::own(format!("no entry of {set} is called so")))?;
    Ok(ids.lines().map(|id| Some(format!("^{id}$"))).collect())
}

/// The player of one set against the server on a port.
fn player(port: &str, set: &str, only: Option<&str>) -> Program {
    let script = workspace::conformance().join("hostile/run.py");
    let program = Program::new("python3").args([script]).args([port, "--set", set]);
    match only {
        None => program,
        Some(pattern) => program.args(["--only", pattern]),
    }
}

/// The folder in the target directory for what is built so that tokio tells of polls: everything else would be built anew otherwise.
const POLLS: &str = "polls";

fn build() -> Outcome {
    let target = Workspace::load()?.program(POLLS, "");
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default() + " --cfg tokio_unstable";
    let program = Program::cargo().env("RUSTFLAGS", flags);
    let program = program.args(["build", "--profile", "hostile", "--all-features", "--package", "conformance-server"]);
    program.args(["--target-dir".as_ref(), target.as_os_str()]).run()
}

/// One row an entry; what is wrong with the set as a whole is a row too.
fn play(workspace: &Workspace, set: &str, only: Option<&str>) -> Outcome<Vec<Value>> {
    let scratch = workspace.scratch()?;
    let rows = scratch.join(format!("hostile-{set}.jsonl"));
    let log = scratch.join("hostile-server.log");
    let program = workspace.program(POLLS, "hostile").join("conformance-server");
    let mut server = Server::start(&program, set, &log)?;
    let program = player(&server.port, set, only);
    program.args(["--out".as_ref(), rows.as_os_str(), "--log".as_ref(), log.as_os_str()]).run()?;
    server.check_alive()?;
    check_log(&log)?;
    read_rows(&rows)
}

fn judge(rows: &[Value]) -> Outcome {
    for row in rows.iter().filter(|row| row["pass"] != true) {
        println!("{}: {}", row["id"].as_str().unwrap_or("?"), row["bad"]);
    }
    println!("{}", totals(rows));
    survived(rows)
}

/// A panic that a task or a handler swallowed is one all the same.
fn check_log(file: &Path) -> Outcome {
    let text = fs::read_to_string(file).map_err(Failure::io(file.display()))?;
    match text.lines().find(|line| line.contains("panicked at")) {
        Some(line) => Err(Failure::own(format!("the conformance server: {line}; see {}", file.display()))),
        None => Ok(()),
    }
}

fn read_rows(file: &Path) -> Outcome<Vec<Value>> {
    let text = fs::read_to_string(file).map_err(Failure::io(file.display()))?;
    let rows = text.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>();
    rows.map_err(|error| Failure::own(format!("{}: {error}", file.display())))
}

/// `hostile inputs: 250 as expected, 15 differ (H: 3, S: 12)`: the letters are the corpus's own groups.
fn totals(rows: &[Value]) -> String {
    let mut differing: BTreeMap<String, usize> = BTreeMap::new();
    for row in rows.iter().filter(|row| row["pass"] != true) {
        let group = row["id"].as_str().unwrap_or("?").split('-').next().unwrap_or("?");
        *differing.entry(group.to_owned()).or_default() += 1;
    }
    let count: usize = differing.values().sum();
    let mut line = format!("hostile inputs: {} as expected, {count} differ", rows.len() - count);
    if count > 0 {
        let groups: Vec<String> = differing.iter().map(|(group, count)| format!("{group}: {count}")).collect();
        line += &format!(" ({})", groups.join(", "));
    }
    line
}

fn survived(rows: &[Value]) -> Outcome {
    if rows.is_empty() {
        return Err(Failure::own("no hostile input was played"));
    }
    let stalled: Vec<&str> =
        rows.iter().filter(|row| row["alive"] != true).filter_map(|row| row["id"].as_str()).collect();
    if !stalled.is_empty() {
        return Err(Failure::own(format!("the server did not answer after {}", stalled.join(", "))));
    }
    let differing = rows.iter().filter(|row| row["pass"] != true).count();
    if differing > 0 { Err(Failure::own(format!("{differing} hostile inputs differ"))) } else { Ok(()) }
}

/// Files that the server may open, where they are to run out, and where they are not to.
const FILES_FEW: u32 = 1024;
const FILES_MANY: u32 = 20_000;

/// The conformance server on a port of its own; it ends with this handle.
struct Server {
    process: Child,
    port: String,
}

impl Server {
    /// With default options, and those that the set is about.
    fn start(program: &Path, set: &str, log: &Path) -> Outcome<Self> {
        let log = File::create(log).map_err(Failure::io(log.display()))?;
        let options = match set {
            "crowd" => r#"{"handshakes_max": 60000, "event_rate": {"per_second": 1000, "burst": 5000}}"#,
            "storm" => r#"{"connection_state_recovery": {"sessions_max": 20000}}"#,
            "origins" => r#"{"origins": ["https://good.example"]}"#,
            "msgpack" => r#"{"parser": "msgpack"}"#,
            "recovery" => r#"{"connection_state_recovery": {}}"#,
            _ => "{}",
        };
        let crowded = CROWDS.contains(&set);
        let program = match set == "files" || crowded {
            false => Program::new(program),
            // prlimit(1) becomes the server, so that it is that process which ends with this handle.
            true => {
                let files = format!("--nofile={}:", if crowded { FILES_MANY } else { FILES_FEW });
                // The limits that are played are those of patera's own listener.
                Program::new("prlimit").args([files.as_ref(), program.as_os_str()]).env("STANDALONE", "1")
            }
        };
        let program = program.env("PORT", "0").env("LOG", "info").env("OPTIONS", options).env("EXIT_WITH_STDIN", "1");
        let switch = |on| if on { "1" } else { "0" };
        let program = program.env("PER_MESSAGE_DEFLATE", switch(set == "pmd")).env("ALLOW_EIO3", switch(set == "eio3"));
        let mut server = Self { process: program.spawn_server(log)?, port: String::new() };
        let output = server.process.stdout.take().expect("spawn_server pipes standard output");
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if let Some(port) = line.strip_prefix("listening on http://127.0.0.1:") {
                server.port = port.trim().to_owned();
                return Ok(server);
            }
        }
        Err(Failure::own("the conformance server did not say where it listens"))
    }

    fn check_alive(&mut self) -> Outcome {
        match self.process.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(Failure::own(format!("the conformance server died: {status}"))),
            Err(error) => Err(Failure::own(format!("the conformance server cannot be asked: {error}"))),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Either may fail only because it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn totals_count_what_differs_by_group() {
        let rows = [
            json!({"id": "H-01", "pass": true, "alive": true}),
            json!({"id": "S-02", "pass": false, "alive": true}),
            json!({"id": "S-03", "pass": false, "alive": true}),
        ];
        assert_eq!(totals(&rows), "hostile inputs: 1 as expected, 2 differ (S: 2)");
        assert!(survived(&rows[..1]).is_ok());
        let failure = survived(&rows).expect_err("two differ");
        assert!(failure.to_string().contains("2 hostile inputs differ"), "{failure}");
    }

    #[test]
    fn a_server_that_did_not_answer_fails_and_is_named_by_the_entry() {
        let rows = [json!({"id": "H-01", "pass": false, "alive": false})];
        let failure = survived(&rows).expect_err("it did not survive");
        assert!(failure.to_string().contains("H-01"), "{failure}");
    }

    #[test]
    fn nothing_played_is_a_failure() {
        assert!(survived(&[]).is_err());
    }

    #[test]
    fn a_panic_in_the_log_is_a_failure() {
        let log = std::env::temp_dir().join(format!("xtask-hostile-{}.log", std::process::id()));
        fs::write(&log, "started\n").expect("the temporary folder is writable");
        assert!(check_log(&log).is_ok());
        fs::write(&log, "thread 'main' panicked at src/main.rs:1:1:\n").expect("the temporary folder is writable");
        assert!(check_log(&log).is_err());
        fs::remove_file(&log).expect("it was written above");
    }
}
