//! Scripts: commands and expectations from a file, for tests.
//!
//! | file | what |
//! |---|---|
//! | `statement` | a line taken apart |
//! | `pattern` | what an expectation compares |
//! | `run` | the lines carried out |

mod pattern;
mod run;
mod statement;

use std::fs::File;
use std::future::Future;
use std::io::{self, Read as _};
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use self::run::{Failure, Run};
use self::statement::Statement;
use super::command::Dialect;
use super::config::SCRIPT_BYTES_MAX;
use super::link::Link;
use super::output::Output;
use super::{FAILED, INTERRUPTED, talk};

/// A script that can be carried out.
pub(super) struct Script {
    name: String,
    lines: Vec<Line>,
}

/// One line of it that says something.
struct Line {
    number: usize,
    text: String,
    statement: Statement,
}

impl Script {
    /// Reads a file; `-` is standard input.
    ///
    /// # Errors
    /// It cannot be read, or has a line that says nothing that can be done: which one and why, for people.
    pub(super) fn read(file: &Path, dialect: Dialect) -> Result<Self, String> {
        let name = if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() };
        let text = match file == Path::new("-") {
            true => content(io::stdin().lock()),
            false => File::open(file).and_then(content),
        };
        let text = text.map_err(|error| format!("{name}: {error}"))?;
        let mut lines = Vec::new();
        for (index, text) in text.lines().enumerate() {
            let number = index + 1;
            let statement = Statement::parse(text, dialect).map_err(|error| format!("{name}:{number}: {error}"))?;
            if let Some(statement) = statement {
                lines.push(Line { number, text: text.trim().to_owned(), statement });
            }
        }
        Ok(Script { name, lines })
    }

    /// Carries it out and gives the exit code: 0 if every line held. What failed is told on standard error.
    pub(super) async fn run(&self, link: Link, output: Output, end: impl Future<Output = ()>, timeout: Duration) -> u8 {
        let mut run = Run::new(link, output);
        let end = pin!(end);
        let outcome = tokio::select! {
            outcome = run.lines(&self.lines) => outcome,
            () = end => Err(Failure { line: None, message: "interrupted".to_owned(), code: INTERRUPTED }),
        };
        let (link, mut output) = run.into_parts();
        talk::leave(link, &mut output, timeout).await;
        match outcome {
            Ok(()) => 0,
            Err(Failure { line, message, code }) => {
                let line = line.map(|line| format!(":{line}")).unwrap_or_default();
                eprintln!("patera connect: {}{line}: {message}", self.name);
                code
            }
        }
    }
}

fn content(from: impl io::Read) -> io::Result<String> {
    let mut text = String::new();
    from.take(SCRIPT_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > SCRIPT_BYTES_MAX {
        return Err(io::Error::other(format!("more than {SCRIPT_BYTES_MAX} bytes")));
    }
    Ok(text)
}

impl Failure {
    fn at(line: usize, message: impl Into<String>) -> Self {
        Failure { line: Some(line), message: message.into(), code: FAILED }
    }
}
