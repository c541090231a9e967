//! Programs that are run, and how their failure is told: by the command line itself, so that it can be run again by hand.

use std::{
    ffi::OsStr,
    fmt,
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

/// Why a command of ours ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A program ended with another status than success.
    Ended { line: String, status: String },
    /// A program could not be started.
    NotStarted { line: String, error: io::Error },
    /// What we did ourselves went wrong.
    Own(String),
}

impl Failure {
    /// A failure of ours, in a sentence for the person at the terminal.
    pub(crate) fn own(text: impl Into<String>) -> Self {
        Self::Own(text.into())
    }

    /// An I/O error with what was being done.
    pub(crate) fn io(what: impl fmt::Display) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Own(format!("{what}: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended { line, status } => write!(f, "`{line}` ({status})"),
            Self::NotStarted { line, error } => write!(f, "`{line}` could not be started: {error}"),
            Self::Own(text) => f.write_str(text),
        }
    }
}

/// The outcome of a command of ours.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// One program to run; a thin layer over [`Command`] that remembers its command line.
pub(crate) struct Program {
    command: Command,
}

impl Program {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        Self { command: Command::new(program) }
    }

    /// The cargo that runs us.
    pub(crate) fn cargo() -> Self {
        Self::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn within(mut self, folder: impl AsRef<Path>) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Runs it with our own standard streams.
    pub(crate) fn run(mut self) -> Outcome {
        let line = self.line();
        match self.command.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Failure::Ended { line, status: status.to_string() }),
            Err(error) => Err(Failure::NotStarted { line, error }),
        }
    }

    /// Runs it and passes its standard output on, line by line, except for the lines that `keep` takes.
    pub(crate) fn run_and_see(mut self, mut keep: impl FnMut(&str) -> bool) -> Outcome {
        let line = self.line();
        let not_started = |error| Failure::NotStarted { line: line.clone(), error };
        let mut child = self.command.stdout(Stdio::piped()).spawn().map_err(not_started)?;
        let output = child.stdout.take().expect("standard output is piped, a line above");
        for text in BufReader::new(output).lines() {
            let text = text.map_err(Failure::io("its output cannot be read"))?;
            if !keep(&text) {
                println!("{text}");
            }
        }
        let status = child.wait().map_err(Failure::io("its end cannot be awaited"))?;
        if status.success() { Ok(()) } else { Err(Failure::Ended { line, status: status.to_string() }) }
    }

    /// Runs it with all that it says in a file.
    pub(crate) fn run_into(mut self, log: File) -> Outcome {
        let error = log.try_clone().map_err(Failure::io("its output cannot be kept"))?;
        self.command.stdout(log).stderr(error);
        self.run()
    }

    /// What it prints, if it is there and succeeds.
    pub(crate) fn output(mut self) -> Option<String> {
        let output = self.command.stderr(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The child process itself, for servers. Its standard input stays open as long as the handle lives; what it says on
    /// standard error goes to `log`.
    pub(crate) fn spawn_server(mut self, log: File) -> Outcome<Child> {
        let line = self.line();
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        self.command.spawn().map_err(|error| Failure::NotStarted { line, error })
    }

    fn line(&self) -> String {
        // A path in front of `cargo` or of a program of the environment tells nobody anything.
        let program = self.command.get_program();
        let name = Path::new(program).file_name().unwrap_or(program);
        let words = std::iter::once(name).chain(self.command.get_args());
        words.map(|word| quoted(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
    }
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=:@+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{word}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_program_is_named_with_its_arguments() {
        let failure = Program::new("false").args(["two words", "--flag"]).run().expect_err("false fails");
        assert!(failure.to_string().starts_with("`false 'two words' --flag`"), "{failure}");
    }

    #[test]
    fn a_missing_program_is_told_as_such() {
        let failure = Program::new("no-such-program-here").run().expect_err("it is missing");
        assert!(failure.to_string().contains("could not be started"), "{failure}");
    }

    #[test]
    fn kept_lines_are_seen_and_others_pass() {
        let mut seen = Vec::new();
        let program = Program::new("printf").args(["a\nb\n"]);
        program
            .run_and_see(|line| {
                seen.push(line.to_owned());
                true
            })
            .expect("printf succeeds");
        assert_eq!(seen, ["a", "b"]);
    }
}
