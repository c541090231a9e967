//! `patera connect`: a client in the terminal, for Socket.IO and plain WebSockets.
//!
//! | file | what |
//! |---|---|
//! | `options`, `config` | the command line, limits |
//! | `talk` | commands in, what happens out, until the user or the server ends it |
//! | `link`, `sockets`, `plain` | the connection of either dialect |
//! | `words`, `command` | a line taken apart, and what it asks for |
//! | `happening`, `output`, `text`, `saving` | what happens, as JSON, as lines for people, and as files |
//! | `lines`, `editor`, `history` | where commands come from |
//! | `script` | commands and expectations from a file |

mod command;
mod config;
mod editor;
mod happening;
mod history;
mod lines;
mod link;
mod options;
mod output;
mod plain;
mod saving;
mod script;
mod sockets;
mod talk;
mod text;
mod words;

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::time::Duration;

use self::command::Dialect;
use self::config::CLOSING_MAX;
use self::link::Link;
pub(crate) use self::options::{HELP, Options};
use self::output::Output;
use self::plain::Plain;
use self::saving::Saving;
use self::script::Script;
use self::sockets::Sockets;
use self::talk::Commands;
use crate::signal::signal;

/// The connection could not be made, was lost for good, or the script did not hold.
const FAILED: u8 = 1;
/// The command is wrong, as clap has it.
const USAGE: u8 = 2;
/// Ended by Ctrl-C before it was done, as shells have it.
const INTERRUPTED: u8 = 130;

/// Connects, and does what is asked for.
#[tokio::main]
pub(crate) async fn run(options: Options) -> ExitCode {
    match exit_code(options).await {
        Ok(0) => ExitCode::SUCCESS,
        Ok(code) => ExitCode::from(code),
        Err(message) => {
            eprintln!("patera connect: {message}");
            ExitCode::from(USAGE)
        }
    }
}

/// Gives the exit code.
///
/// # Errors
/// What is wrong with the command, for people.
async fn exit_code(options: Options) -> Result<u8, String> {
    // Before anything is told: who reads it may ask for the end at once.
    let end = signal();
    let is_interactive = options.script.is_none()
        && !(options.json || options.listen)
        && io::stdin().is_terminal()
        && io::stdout().is_terminal();
    // A user who wants to leave does not want to wait; a program wants all that it has said to arrive.
    let closing = if is_interactive { CLOSING_MAX } else { options.remote.timeout };
    let script = match &options.script {
        Some(file) => Some(Script::read(file, options.dialect())?),
        None => None,
    };
    let link = link(&options, closing)?;
    if let Some(script) = script {
        return Ok(script.run(link, Output::stdout(options.json), end, closing).await);
    }
    let code = if is_interactive {
        talk::interactively(link, options.no_history, end, closing).await?
    } else {
        let input = match options.listen {
            true => Commands::None,
            false => Commands::Lines(lines::read(), options.linger),
        };
        talk::by_lines(link, Output::stdout(options.json), input, end, closing).await
    };
    Ok(code)
}

fn link(options: &Options, closing: Duration) -> Result<Link, String> {
    let saving = options.save.as_deref().map(Saving::new).transpose();
    let saving = saving.map_err(|error| {
        let folder = options.save.as_deref().unwrap_or("".as_ref()).display();
        format!("--save {folder}: {error}")
    })?;
    if options.dialect() == Dialect::Plain {
        return Ok(Link::Plain(Box::new(Plain::new(&options.remote, options.subprotocols.clone(), saving))));
    }
    let sockets = Sockets::new(&options.remote, &options.namespaces, !options.no_reconnect, closing, saving)?;
    Ok(Link::SocketIo(Box::new(sockets)))
}
