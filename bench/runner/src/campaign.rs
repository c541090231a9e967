//! Which runs are made, and in which order: within a repetition every scenario meets the servers one after the other, so
//! that what the machine does meanwhile meets them all.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::Value;

use crate::{
    failure::{Failure, Outcome},
    generator::{self, Running},
    machine::{self, Machine},
    options::{Options, What},
    record::{Record, Run, Settings},
    scenario::{CORES, GROWTH, IDLE_PING_INTERVAL, Metric, SIZES, Scenario, TABLE, WORKERS},
    server::{Kind, Server, owned},
    summary, table,
};

/// How long a process with a million sessions may take.
const SESSIONS_MAX: Duration = Duration::from_secs(300);
/// What `sessions` compares: handlers registered at the namespace, and at each socket.
pub(crate) const HANDLERS: &[&str] = &["namespace", "socket"];

/// One run to be made.
struct Plan<'a> {
    scenario: &'a Scenario,
    kind: Kind,
    variant: String,
    connections: u32,
    environment: Vec<(&'static str, String)>,
}

/// Makes all the runs asked for. One that fails is recorded as such, and the others go on.
pub(crate) fn run(options: &Options) -> Outcome<Record> {
    raise_descriptor_limit()?;
    let mut record = Record {
        what: options.what.name().to_owned(),
        date: machine::date(),
        commit: machine::commit(&options.root),
        machine: Machine::read()?,
        versions: machine::versions(&options.root)?,
        settings: Settings {
            repetitions: options.repetitions(),
            quick: options.quick,
            server_core: options.server_core,
            generator_core: options.generator_core,
            idle_ping_interval_ms: IDLE_PING_INTERVAL,
        },
        request_head_bytes: None,
        runs: Vec::new(),
    };
    if options.what == What::Sessions {
        record.runs = run_sessions(options)?;
        return Ok(record);
    }
    record.request_head_bytes = Some(generator::request_head_bytes(options)?);
    let log = log_file(options)?;
    let total = plans(options, 0).len() * options.repetitions() as usize;
    for repetition in 1..=options.repetitions() {
        for plan in plans(options, repetition) {
            let at = record.runs.len() + 1;
            print!("[{at:3}/{total}] {:16} {:>6} {:13}", plan.scenario.name, plan.variant, plan.kind.title());
            // Without a line's end the terminal shows nothing yet; that it cannot be shown is no reason to end.
            let _ = io::stdout().flush();
            let run = make(options, &plan, repetition, &log);
            println!("{}", told(&run, plan.scenario.metric));
            record.runs.push(run);
        }
    }
    Ok(record)
}

/// The runs of one repetition; the server that begins is another one each time.
fn plans(options: &Options, repetition: u32) -> Vec<Plan<'static>> {
    let wanted =
        |scenarios: &'static [Scenario]| scenarios.iter().filter(|scenario| options.wants_scenario(scenario.name));
    let mut kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|&kind| options.wants_server(kind)).collect();
    if !kinds.is_empty() {
        let first = repetition as usize % kinds.len();
        kinds.rotate_left(first);
    }
    let mut plans = Vec::new();
    let mut add = |scenario: &'static Scenario, kind, variant: String, connections, more: &[(&'static str, String)]| {
        let environment = [&scenario.environment()[..], more].concat();
        plans.push(Plan { scenario, kind, variant, connections, environment });
    };
    match options.what {
        What::Table => {
            for scenario in wanted(TABLE) {
                for &kind in kinds.iter().filter(|&&kind| scenario.suits(kind)) {
                    add(scenario, kind, String::new(), scenario.connections, &[]);
                }
            }
        }
        What::Growth => {
            let sizes = if options.quick { &SIZES[..3] } else { SIZES };
            for scenario in wanted(GROWTH) {
                for &size in sizes {
                    for &kind in kinds.iter().filter(|&&kind| scenario.suits(kind)) {
                        add(scenario, kind, size.to_string(), size, &[]);
                    }
                }
            }
        }
        What::Cores => {
            for scenario in wanted(CORES) {
                for workers in WORKERS {
                    let workers = workers.to_string();
                    add(scenario, Kind::Patera, workers.clone(), scenario.connections, &[("WORKERS", workers)]);
                }
            }
        }
        What::Sessions => {}
    }
    plans
}

fn make(options: &Options, plan: &Plan<'_>, repetition: u32, log: &Path) -> Run {
    let scenario = plan.scenario;
    let outcome = Server::start(plan.kind, options, &plan.environment, log).and_then(|server| {
        let arguments = scenario.command_line(plan.connections, options.quick);
        generator::run(options, scenario.command, &server, &arguments)
    });
    to_run(scenario.name, &plan.variant, plan.kind, repetition, outcome)
}

fn to_run(scenario: &str, variant: &str, server: Kind, repetition: u32, outcome: Outcome<Value>) -> Run {
    let (report, failure) = match outcome {
        Ok(report) => (report, None),
        Err(failure) => (Value::Null, Some(failure.to_string())),
    };
    Run { scenario: scenario.to_owned(), variant: variant.to_owned(), server, repetition, report, failure }
}

fn told(run: &Run, metric: Metric) -> String {
    match (&run.failure, summary::figure(metric, &run.report)) {
        (Some(failure), _) => format!("failed: {failure}"),
        (None, Some(figure)) => format!("{:>12}", table::with_unit(figure, metric)),
        (None, None) => "the server's figures are missing".to_owned(),
    }
}

/// One process for each way to register handlers: memory that was freed before would be no measure.
fn run_sessions(options: &Options) -> Outcome<Vec<Run>> {
    let program = options.programs.join("bench-sessions");
    let (count, interval) = if options.quick { ("50000", "5000") } else { ("1000000", "25000") };
    let mut runs = Vec::new();
    for repetition in 1..=options.repetitions() {
        for &handlers in HANDLERS.iter().filter(|handlers| options.wants_scenario(handlers)) {
            println!("{count} sessions, handlers: {handlers}");
            let mut command = owned(&program, Some(options.server_core));
            command.args(["--handlers", handlers, "--count", count, "--ping-interval", interval, "--json"]);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let process = command.spawn().map_err(Failure::io(&program))?;
            let outcome = Running(process).finish(SESSIONS_MAX).and_then(|(output, complaint)| {
                let no_report = |error| format!("`bench-sessions` printed no report ({error}): {}", complaint.trim());
                serde_json::from_str(&output).map_err(|error| Failure::new(no_report(error)))
            });
            let run = to_run("sessions", handlers, Kind::Patera, repetition, outcome);
            println!("  {}", run.failure.as_deref().unwrap_or("done"));
            runs.push(run);
        }
    }
    Ok(runs)
}

/// Where servers' complaints go: the last one's are there to be read.
fn log_file(options: &Options) -> Outcome<PathBuf> {
    let folder = options.root.join("bench/results/partial");
    fs::create_dir_all(&folder).map_err(Failure::io(&folder))?;
    Ok(folder.join("server.log"))
}

/// Up to what the system allows, for this process and those it starts.
fn raise_descriptor_limit() -> Outcome {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
        .map_err(|error| Failure::new(format!("the limit of open files cannot be raised: {error}")))
}
