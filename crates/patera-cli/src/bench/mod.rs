//! `patera bench`: a load generator for any server of Socket.IO 4 or later.
//!
//! It is to be cheap, so that it is never what is measured: one thread, one task per connection, one read and one write per
//! wake, frames made beforehand, replies compared and not parsed. It says what CPU time it used itself.
//!
//! | file | what |
//! |---|---|
//! | `options`, `target`, `limits` | the command line, the server's address, how many files may be open |
//! | `run`, `progress`, `pacer` | the phases of a run, the bar, the clock of the open loop |
//! | `tally`, `order`, `report` | what is counted, and how it is told |
//! | `server` | the server's process in `/proc` |
//! | `client`, `driver` | one connection and its task |
//! | `payload`, `frames`, `packet` | what is sent, and how what comes is recognised |
//! | `trips`, `fanout`, `polling`, `idle`, `opening` | the scenarios |

mod client;
mod driver;
mod error;
mod fanout;
mod frames;
mod idle;
mod limits;
mod opening;
mod options;
mod order;
mod pacer;
mod packet;
mod payload;
mod polling;
mod progress;
mod report;
mod run;
mod server;
mod tally;
mod target;
mod trips;

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::rc::Rc;

use tokio::runtime::LocalRuntime;

use self::frames::Verb;
use self::options::Scenario;
pub(crate) use self::options::{HELP, Options};
use self::progress::Progress;
use self::report::Report;
use self::run::Run;
use self::server::Process;
use self::tally::Tally;
use self::target::Target;

/// The command is wrong, as clap has it.
const USAGE: u8 = 2;

/// Measures and prints.
pub(crate) fn main(options: Options) -> ExitCode {
    let json = options.json;
    let report = match measure(options) {
        Ok(report) => report,
        Err(message) => {
            eprintln!("patera bench: {message}");
            return ExitCode::from(USAGE);
        }
    };
    if let Some(reason) = report.unreached().filter(|_| !json) {
        eprintln!("patera bench: {reason}");
        return ExitCode::FAILURE;
    }
    let text = if json { format!("{}\n", report.json()) } else { report.to_string() };
    // Who has stopped reading has what it wanted.
    let _ = io::stdout().write_all(text.as_bytes());
    if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Measures.
///
/// # Errors
/// Why it cannot be begun, for people.
fn measure(options: Options) -> Result<Report, String> {
    let options = options.complete();
    let target = Target::new(&options)?;
    limits::raise(&options)?;
    let process = options.pid.map(Process::new).transpose();
    let process = process.map_err(|error| format!("process {}: {error}", options.pid.unwrap_or_default()))?;
    let runtime = LocalRuntime::new().map_err(|error| format!("cannot start: {error}"))?;
    let run = Rc::new(Run {
        rss_before: process.and_then(|process| process.rss_bytes().ok()),
        tally: Rc::new(Tally::new(options.operations)),
        progress: Progress::new(),
        options,
        target,
        process,
    });
    let measured = runtime.block_on(async {
        match run.options.scenario {
            Scenario::Connect => opening::connect(&run).await,
            Scenario::Idle => idle::run(&run).await,
            Scenario::Echo => trips::run(&run, Verb::Echo).await,
            Scenario::Ack => trips::run(&run, Verb::Ack).await,
            Scenario::Broadcast => fanout::run(&run, Verb::Pub).await,
            Scenario::Rooms => fanout::run(&run, Verb::Room).await,
            Scenario::Polling => polling::run(&run).await,
            Scenario::Churn => opening::churn(&run).await,
            Scenario::Storm => opening::storm(&run).await,
        }
    });
    Ok(Report::new(&run, &measured))
}
