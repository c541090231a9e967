//! Lines of commands that come on standard input where nobody types.

use std::io::{self, BufRead as _, Read as _};

use tokio::sync::mpsc;

use super::config::{LINE_BYTES_MAX, WAITING_COMMANDS_MAX};

/// What comes from whoever gives commands.
#[derive(Debug)]
pub(super) enum Input {
    Line(String),
    /// Reading has failed, and ends.
    Failed(String),
}

/// Reads lines from here on. The channel ends with the input; the thread that reads ends with it, or with the program.
pub(super) fn read() -> mpsc::Receiver<Input> {
    let (sender, receiver) = mpsc::channel(WAITING_COMMANDS_MAX);
    // A thread and not a task: what waits for input could not be ended.
    std::thread::spawn(move || {
        let mut input = io::stdin().lock();
        loop {
            let mut line = Vec::new();
            let next = match input.by_ref().take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut line) {
                Ok(0) => return,
                Ok(_) if line.len() as u64 > LINE_BYTES_MAX => Input::Failed("a line is too long".to_owned()),
                Ok(_) => match String::from_utf8(line) {
                    Ok(line) => Input::Line(line),
                    Err(_) => Input::Failed("standard input is no text".to_owned()),
                },
                Err(error) => Input::Failed(format!("standard input: {error}")),
            };
            let is_last = matches!(next, Input::Failed(_));
            if sender.blocking_send(next).is_err() || is_last {
                return;
            }
        }
    });
    receiver
}
