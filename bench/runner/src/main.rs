//! Runs the servers of `bench/servers` side by side under `patera bench`, and writes what comes out: records, tables, plots.
//!
//! | module | what |
//! |---|---|
//! | `options` | the command line |
//! | `scenario` | what is measured, and what Patera must reach |
//! | `server`, `generator` | the processes: pinned, bounded in time, ended with their handles |
//! | `campaign` | which runs, in which order |
//! | `machine`, `record` | what a record says beside the runs, and the record |
//! | `summary` | medians, ratios, targets |
//! | `table`, `document`, `plot` | what is written for people |
//!
//! Everything that is written comes from a record: `--report-only FILE` writes it again.

#![forbid(unsafe_code)]

mod campaign;
mod document;
mod failure;
mod generator;
mod machine;
mod options;
mod plot;
mod record;
mod report;
mod scenario;
mod server;
mod summary;
mod table;

use std::process::ExitCode;

use clap::Parser as _;

use crate::{failure::Outcome, options::Options, record::Record};

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every run ended well; a missed target is told, and no failure.
fn run(options: &Options) -> Outcome<bool> {
    let (record, whole) = match &options.report_only {
        Some(file) => (Record::load(file)?, true),
        None => {
            let record = campaign::run(options)?;
            let whole = options.is_whole();
            let file = record.save(&options.root, whole)?;
            println!("\nrecord: {}", file.display());
            (record, whole)
        }
    };
    report::print(&record);
    if whole {
        report::write(&record, &options.root)?;
    } else {
        println!("\na part or a quick run: docs/performance.md and the plots stay as they are");
    }
    let troubles = summary::troubles(&record);
    for trouble in &troubles {
        eprintln!("bench: {trouble}");
    }
    Ok(troubles.is_empty())
}
