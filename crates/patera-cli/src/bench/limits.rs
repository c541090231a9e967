//! How many files this process may have open: each connection is one.

use super::options::{Options, Scenario};

/// Those that are no connections, and some to spare.
const OTHERS: u64 = 64;

/// Files needed for a run.
fn needed(options: &Options) -> u64 {
    let each = if options.scenario == Scenario::Polling { 2 } else { 1 };
    u64::from(options.connections) * each + OTHERS
}

/// How many files may be open: at most the hard limit, up to which the soft one is raised.
#[cfg(unix)]
pub(crate) fn files_max() -> u64 {
    use rustix::process::{Resource, getrlimit, setrlimit};

    let mut limit = getrlimit(Resource::Nofile);
    let before = limit.current;
    limit.current = limit.maximum;
    let now = if setrlimit(Resource::Nofile, limit).is_ok() { limit.maximum } else { before };
    now.unwrap_or(u64::MAX)
}

/// No such limit is known here.
#[cfg(not(unix))]
pub(crate) fn files_max() -> u64 {
    u64::MAX
}

/// Raises the limit.
///
/// # Errors
/// It cannot be raised far enough for the run.
pub(crate) fn raise(options: &Options) -> Result<(), String> {
    check(options, files_max())
}

fn check(options: &Options, max: u64) -> Result<(), String> {
    let needed = needed(options);
    if needed <= max {
        return Ok(());
    }
    Err(format!(
        "{} connections need {needed} open files, and the system allows {max} per process: raise the hard limit (ulimit -Hn), \
         or use fewer --connections",
        options.connections
    ))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn each_connection_is_a_file_or_two() {
        let fits = |scenario: &str, max: u64, expected: bool| {
            let options = Command::parse_from(["bench", scenario, "-c", "1000"]).options;
            assert_eq!(check(&options, max).is_ok(), expected, "{scenario} {max}");
        };
        fits("echo", 1000 + OTHERS - 1, false);
        fits("echo", 1000 + OTHERS, true);
        fits("polling", 2000 + OTHERS - 1, false);
        fits("polling", 2000 + OTHERS, true);
    }
}
