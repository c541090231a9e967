//! Where what happens is told: lines for people, or JSON for programs.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::mpsc::{SyncSender, TrySendError};

use tokio::time::Instant;

use super::happening::{Happening, What};
use super::text;

/// Prints what happens, a line each.
pub(super) struct Output {
    begun: Instant,
    format: Format,
    sink: Sink,
}

enum Format {
    People { colours: bool },
    Json,
}

enum Sink {
    Stdout,
    /// A terminal where a line is being typed: its printer, and how many lines it could not take.
    Terminal {
        printer: SyncSender<String>,
        left_out: u64,
    },
}

impl Output {
    /// To standard output; who does not read keeps us.
    pub(super) fn stdout(json: bool) -> Self {
        let format = if json { Format::Json } else { Format::People { colours: has_colours() } };
        Output { begun: Instant::now(), format, sink: Sink::Stdout }
    }

    /// For people, by way of a printer. What it cannot take is left out.
    pub(super) fn terminal(printer: SyncSender<String>) -> Self {
        let format = Format::People { colours: has_colours() };
        Output { begun: Instant::now(), format, sink: Sink::Terminal { printer, left_out: 0 } }
    }

    /// Tells what happens.
    ///
    /// # Errors
    /// Nobody reads any more.
    pub(super) fn print(&mut self, happening: &Happening) -> io::Result<()> {
        let at = self.begun.elapsed();
        let line = match self.format {
            Format::Json => format!("{}\n", happening.to_json(at)),
            Format::People { colours } => text::lines(happening, at, colours),
        };
        match &mut self.sink {
            _ if line.is_empty() => Ok(()),
            Sink::Stdout => io::stdout().lock().write_all(line.as_bytes()),
            Sink::Terminal { printer, left_out } => match printer.try_send(noted(line, *left_out)) {
                Ok(()) => {
                    *left_out = 0;
                    Ok(())
                }
                Err(TrySendError::Full(_)) => {
                    *left_out += 1;
                    Ok(())
                }
                Err(TrySendError::Disconnected(_)) => Err(io::ErrorKind::BrokenPipe.into()),
            },
        }
    }

    /// Tells something that happens here, not on the connection.
    ///
    /// # Errors
    /// Nobody reads any more.
    pub(super) fn tell(&mut self, what: What) -> io::Result<()> {
        self.print(&Happening { namespace: None, what })
    }
}

/// A line, and before it how many are missing.
fn noted(line: String, left_out: u64) -> String {
    match left_out {
        0 => line,
        count => format!("          … {count} lines left out: they came faster than they can be shown\n{line}"),
    }
}

/// Whether standard output is a terminal that wants colours: <https://no-color.org>.
fn has_colours() -> bool {
    let says_no = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    io::stdout().is_terminal() && !says_no && !is_dumb
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_that_is_slow_misses_lines_and_is_told() {
        let (printer, lines) = std::sync::mpsc::sync_channel(2);
        let mut output = Output::terminal(printer);
        for _ in 0..5 {
            output.tell(What::Connecting).expect("the other end is there");
        }
        let first: Vec<String> = lines.try_iter().collect();
        assert_eq!(first.len(), 2);
        output.tell(What::Connecting).expect("the other end is there");
        let line = lines.recv().expect("it has just been told");
        assert!(line.contains("3 lines left out") && line.ends_with("connecting\n"), "{line}");
        drop(lines);
        assert!(output.tell(What::Connecting).is_err());
    }
}
