//! Commands in, what happens out, until the user or the server ends it.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::command::Request;
use super::editor::Editor;
use super::happening::What;
use super::lines::Input;
use super::link::{Link, Outcome};
use super::output::Output;
use super::{FAILED, INTERRUPTED, USAGE};

/// How long a command waits that found no room, before it is tried again: nobody tells when there is some.
const ROOM_AGAIN: Duration = Duration::from_millis(5);

/// Where commands come from that nobody types.
pub(super) enum Commands {
    /// There are none: what comes is of interest.
    None,
    /// Lines; after the last one what comes is of interest for so long.
    Lines(mpsc::Receiver<Input>, Duration),
    /// There are no more, and it is left then.
    Ended(Instant),
}

/// Carries out commands, and gives the exit code. A line is read once it is connected; after the last one answers are waited for.
pub(super) async fn by_lines(
    mut link: Link,
    mut output: Output,
    mut commands: Commands,
    end: impl Future<Output = ()>,
    timeout: Duration,
) -> u8 {
    let mut end = pin!(end);
    let mut busy: Option<Request> = None;
    // What cannot be written has no reader, who is who wanted to know.
    let code: io::Result<u8> = async {
        loop {
            // After the last line answers are waited for.
            let is_asking = matches!(commands, Commands::Ended(_)) && link.is_asking();
            let may_read = busy.is_none() && !link.must_wait() && !is_asking;
            tokio::select! {
                () = &mut end => return Ok(if matches!(commands, Commands::None) { 0 } else { INTERRUPTED }),
                happening = link.next() => {
                    output.print(&happening)?;
                    if link.is_over() && !link.is_asking() {
                        return Ok(FAILED);
                    }
                }
                () = tokio::time::sleep(ROOM_AGAIN), if busy.is_some() => {
                    if let Some(request) = busy.take() {
                        busy = perform(&mut link, &mut output, request)?.into_busy();
                    }
                }
                line = commands.next(), if may_read => match line {
                    None if link.is_asking() => {}
                    None => return Ok(if link.is_over() { FAILED } else { 0 }),
                    Some(Input::Failed(message)) => {
                        output.tell(What::Complaint { message })?;
                        return Ok(USAGE);
                    }
                    Some(Input::Line(line)) => match obey(&mut link, &mut output, &line)? {
                        Some(Outcome::Quit) => return Ok(0),
                        Some(outcome) => busy = outcome.into_busy(),
                        None => {}
                    },
                },
            }
        }
    }
    .await;
    leave(link, &mut output, timeout).await;
    code.unwrap_or(FAILED)
}

impl Commands {
    /// The next line; `None` when it is time to leave.
    async fn next(&mut self) -> Option<Input> {
        loop {
            match self {
                Commands::None => std::future::pending().await,
                Commands::Ended(until) => {
                    tokio::time::sleep_until(*until).await;
                    return None;
                }
                Commands::Lines(lines, linger) => match lines.recv().await {
                    Some(line) => return Some(line),
                    None => *self = Commands::Ended(Instant::now() + *linger),
                },
            }
        }
    }
}

/// Carries out what a user types, and gives the exit code. The user is asked on, whatever becomes of the connection.
///
/// # Errors
/// There is no terminal that lines can be typed at.
pub(super) async fn interactively(
    mut link: Link,
    no_history: bool,
    end: impl Future<Output = ()>,
    timeout: Duration,
) -> Result<u8, String> {
    let mut end = pin!(end);
    let mut editor = Editor::start(!no_history)?;
    let mut output = Output::terminal(editor.printer.clone());
    let text = "help tells the commands, Ctrl-D leaves".to_owned();
    let _ = output.tell(What::Notice { text });
    editor.prompt(prompt(&link));
    let is_killed = loop {
        tokio::select! {
            biased;
            () = &mut end => break true,
            line = editor.input.recv() => match line {
                None => break false,
                Some(Input::Failed(message)) => {
                    let _ = output.tell(What::Complaint { message });
                    break false;
                }
                Some(Input::Line(line)) => {
                    let outcome = obey(&mut link, &mut output, &line);
                    match outcome {
                        Ok(Some(Outcome::Busy(_))) => {
                            let _ = output.tell(What::Complaint { message: "too much waits to be sent".to_owned() });
                        }
                        Ok(Some(Outcome::Quit)) | Err(_) => break false,
                        Ok(_) => {}
                    }
                    editor.prompt(prompt(&link));
                }
            },
            happening = link.next() => {
                if output.print(&happening).is_err() {
                    break false;
                }
            }
        }
    };
    if is_killed {
        editor.restore();
    }
    leave(link, &mut output, timeout).await;
    drop(output);
    if !is_killed {
        editor.join();
    }
    Ok(0)
}

/// Carries out a line; `None` if there was nothing to do.
fn obey(link: &mut Link, output: &mut Output, line: &str) -> io::Result<Option<Outcome>> {
    match link.dialect().parse(line) {
        Ok(None) => Ok(None),
        Ok(Some(request)) => perform(link, output, request).map(Some),
        Err(message) => output.tell(What::Complaint { message }).map(|()| None),
    }
}

fn perform(link: &mut Link, output: &mut Output, request: Request) -> io::Result<Outcome> {
    match link.perform(request) {
        Ok(Outcome::Told(text)) => output.tell(What::Notice { text }).map(|()| Outcome::Done),
        Ok(outcome) => Ok(outcome),
        Err(message) => output.tell(What::Complaint { message }).map(|()| Outcome::Done),
    }
}

/// Says goodbye to the server.
pub(super) async fn leave(link: Link, output: &mut Output, timeout: Duration) {
    let was_connected = link.is_connected();
    link.close(timeout).await;
    if was_connected {
        // Nobody may read any more.
        let _ = output.tell(What::Disconnect { reason: "io client disconnect".to_owned(), details: None, code: None });
    }
}

fn prompt(link: &Link) -> String {
    match link.current().as_deref() {
        None | Some("/") => "> ".to_owned(),
        Some(namespace) => format!("{namespace}> "),
    }
}

impl Outcome {
    /// What is to be tried again.
    fn into_busy(self) -> Option<Request> {
        if let Outcome::Busy(request) = self { Some(request) } else { None }
    }
}
