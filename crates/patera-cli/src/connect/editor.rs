//! The line at the bottom of a terminal: editing, history, and printing above it.

use std::fs;
use std::path::PathBuf;
use std::sync::mpsc as blocking;
use std::thread;

use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Editor as LineEditor, ExternalPrinter};
use tokio::sync::mpsc;

use super::config::{HISTORY_LINES_MAX, WAITING_COMMANDS_MAX, WAITING_LINES_MAX};
use super::history;
use super::lines::Input;

/// A terminal where lines are typed. Its threads end when it does, or with the program.
pub(super) struct Editor {
    /// What was typed; it ends when the user wants to leave.
    pub(super) input: mpsc::Receiver<Input>,
    /// What is to be printed above the line.
    pub(super) printer: blocking::SyncSender<String>,
    prompts: blocking::Sender<String>,
    reader: thread::JoinHandle<()>,
    writer: thread::JoinHandle<()>,
    #[cfg(unix)]
    before: Option<rustix::termios::Termios>,
}

type Lines = LineEditor<(), FileHistory>;

impl Editor {
    /// Begins to read lines, once there is a prompt.
    ///
    /// # Errors
    /// It is no terminal, for people.
    pub(super) fn start(keeps_history: bool) -> Result<Self, String> {
        let config = rustyline::Config::builder()
            .max_history_size(HISTORY_LINES_MAX)
            .and_then(|config| config.history_ignore_dups(true))
            .map_err(|error| error.to_string())?
            .history_ignore_space(true)
            .build();
        #[cfg(unix)]
        let before = rustix::termios::tcgetattr(std::io::stdin()).ok();
        let mut lines = Lines::with_config(config).map_err(|error| error.to_string())?;
        let mut printer = lines.create_external_printer().map_err(|error| error.to_string())?;
        let file = if keeps_history { history::path() } else { None };
        if let Some(file) = &file {
            // There may be none yet.
            let _ = lines.load_history(file);
        }
        let (input_sender, input) = mpsc::channel(WAITING_COMMANDS_MAX);
        let (prompts, prompt_receiver) = blocking::channel();
        let (line_sender, line_receiver) = blocking::sync_channel::<String>(WAITING_LINES_MAX);
        // While a line has just been read the printer waits for the next prompt: whoever gives it must not wait for the printer.
        let writer = thread::spawn(move || {
            for line in line_receiver {
                if printer.print(line.clone()).is_err() {
                    // No line is being typed any more.
                    print!("{line}");
                }
            }
        });
        let reader = thread::spawn(move || read(lines, &prompt_receiver, &input_sender, file));
        Ok(Editor {
            input,
            printer: line_sender,
            prompts,
            reader,
            writer,
            #[cfg(unix)]
            before,
        })
    }

    /// Makes the terminal as it was before, although a line is still being read: before the program is ended from outside.
    pub(super) fn restore(&self) {
        #[cfg(unix)]
        if let Some(before) = &self.before {
            // A terminal that is gone needs nothing.
            let _ = rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Drain, before);
            println!();
        }
    }

    /// Reads the next line, with this before it.
    pub(super) fn prompt(&self, prompt: String) {
        // Who has left needs none.
        let _ = self.prompts.send(prompt);
    }

    /// Waits until the terminal is as it was before and all is printed. Only after the input has ended.
    pub(super) fn join(self) {
        let Editor { input, printer, prompts, reader, writer, .. } = self;
        drop((input, prompts));
        // A thread that panicked has said so.
        let _ = reader.join();
        drop(printer);
        let _ = writer.join();
    }
}

/// Reads lines until the user leaves.
fn read(mut lines: Lines, prompts: &blocking::Receiver<String>, input: &mpsc::Sender<Input>, file: Option<PathBuf>) {
    for prompt in prompts {
        let next = match lines.readline(&prompt) {
            Ok(line) => {
                keep(&mut lines, &line, file.as_ref());
                Input::Line(line)
            }
            Err(ReadlineError::Eof | ReadlineError::Interrupted) => return,
            // The window has another size; the line begins anew.
            Err(ReadlineError::Signal(_)) => Input::Line(String::new()),
            Err(error) => Input::Failed(error.to_string()),
        };
        let is_last = matches!(next, Input::Failed(_));
        if input.blocking_send(next).is_err() || is_last {
            return;
        }
    }
}

fn keep(lines: &mut Lines, line: &str, file: Option<&PathBuf>) {
    if !history::is_kept(line) || !lines.add_history_entry(line).unwrap_or(false) {
        return;
    }
    // At once, so that it is there whatever ends the program. Where it cannot be written it is kept in memory.
    if let Some(file) = file {
        let folder = file.parent().map_or(Ok(()), fs::create_dir_all);
        let _ = folder.and_then(|()| lines.append_history(file).map_err(std::io::Error::other));
    }
}
