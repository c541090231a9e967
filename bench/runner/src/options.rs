//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use regex::Regex;

use crate::server::Kind;

/// Measures Patera beside its peers: server CPU per operation, and bytes per connection.
#[derive(Parser)]
#[command(name = "bench-runner", version)]
pub(crate) struct Options {
    /// What to measure.
    #[arg(value_enum, default_value = "table")]
    pub(crate) what: What,
    /// Only the scenarios whose name matches this regular expression.
    #[arg(long)]
    pub(crate) only: Option<Regex>,
    /// Only these servers.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) servers: Vec<Kind>,
    /// How often each run is made; the tables show medians. By default 3, and 1 for growth and sessions.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) repetitions: Option<u32>,
    /// Short runs and smaller counts: to see whether all works, not to measure.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Measure nothing: write the tables and plots of this record again.
    #[arg(long, value_name = "FILE")]
    pub(crate) report_only: Option<PathBuf>,
    /// The core that servers are pinned to.
    #[arg(long, default_value_t = 0)]
    pub(crate) server_core: u32,
    /// The core that the load generator is pinned to.
    #[arg(long, default_value_t = 1)]
    pub(crate) generator_core: u32,
    /// The program `patera`, for `patera bench`.
    #[arg(long, value_name = "PROGRAM", default_value = "target/release/patera")]
    pub(crate) generator: PathBuf,
    /// The folder with the programs `bench-patera`, `bench-socketioxide`, `bench-floor` and `bench-sessions`.
    #[arg(long, value_name = "FOLDER", default_value = "bench/target/release")]
    pub(crate) programs: PathBuf,
    /// The repository's root.
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub(crate) root: PathBuf,
}

/// What to measure.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum What {
    /// Every scenario against every server.
    Table,
    /// The same figures for 10, 100, 1,000 and 10,000 connections.
    Growth,
    /// Patera with 1 and 2 worker threads.
    Cores,
    /// A million sessions in one process, in memory.
    Sessions,
}

impl What {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Growth => "growth",
            Self::Cores => "cores",
            Self::Sessions => "sessions",
        }
    }
}

impl Options {
    /// Whether it measures all there is: only then is what it writes for people.
    pub(crate) fn is_whole(&self) -> bool {
        self.only.is_none() && self.servers.is_empty() && !self.quick
    }

    pub(crate) fn wants_scenario(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|pattern| pattern.is_match(name))
    }

    pub(crate) fn wants_server(&self, kind: Kind) -> bool {
        self.servers.is_empty() || self.servers.contains(&kind)
    }

    pub(crate) fn repetitions(&self) -> u32 {
        self.repetitions.unwrap_or(match self.what {
            _ if self.quick => 1,
            What::Table | What::Cores => 3,
            What::Growth | What::Sessions => 1,
        })
    }
}
