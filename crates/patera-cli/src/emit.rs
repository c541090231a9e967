//! `patera emit`: one event, and with `--ack` its acknowledgement.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use patera_client::{AckError, Client, ConnectError, EmitError, Rest, Value};
use tokio::time::Instant;

use crate::argument::{self, Arguments};
use crate::remote::Remote;
use crate::trouble::{Trouble, unanswered};

/// What the help says besides the options.
pub(crate) const HELP: &str = "\
It connects, emits, sees to it that everything is on its way, and leaves. Any URL is one of Socket.IO here, ws: and wss: too.

Arguments: JSON is itself: 1, true, null, '{\"a\":[1,2]}'; any other word is a string: hello. What is to be a string although it is
JSON is written as JSON: '\"1\"'. @FILE is the content of a file as bytes, @- what comes on standard input; - is standard input as JSON
or text. @@name is the string \"@name\". What begins with {, [ or \" has to be JSON: a mistake in it is an error, not a string.

With --ack the answer is printed: a line of JSON for each argument of it, bytes as {\"base64\":\"…\"}. The exit code is 0 only if
the server has answered in time. Without --ack it is 0 if the event was sent. 1 says that it was not, 2 that the command is wrong.

Examples:
  patera emit localhost:3000 chat hello
  patera emit https://example.com/chat message '{\"text\":\"hi\"}' 7 --auth '{\"token\":\"…\"}'
  patera emit localhost:3000 add 1 2 --ack --timeout 2s
  patera emit localhost:3000 upload @photo.jpg
  date | patera emit localhost:3000 now -";

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    remote: Remote,
    /// The event's name
    event: String,
    /// Its arguments: JSON, words, @FILE for bytes, - for standard input
    #[arg(value_name = "ARG", allow_negative_numbers = true)]
    args: Vec<String>,
    /// Wait for the acknowledgement and print it
    #[arg(long)]
    ack: bool,
}

/// The command is wrong, as clap has it.
const USAGE: u8 = 2;

/// Emits.
#[tokio::main]
pub(crate) async fn run(options: Options) -> ExitCode {
    let args: Result<Vec<Value>, String> = options.args.iter().map(|word| argument::parse(word)).collect();
    let args = match args {
        Ok(args) => args,
        Err(error) => return fail(USAGE, &error),
    };
    match emit(&options, &args).await {
        Ok(answer) => {
            let mut lines = String::new();
            for argument in answer {
                lines += &format!("{argument}\n");
            }
            let mut out = io::stdout();
            match out.write_all(lines.as_bytes()).and_then(|()| out.flush()) {
                // Who has stopped reading has what it wanted.
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                    fail(1, &format!("standard output: {error}"))
                }
                _ => ExitCode::SUCCESS,
            }
        }
        Err(Failure::Usage(error)) => fail(USAGE, &error),
        Err(Failure::Failed(error)) => fail(1, &error),
    }
}

enum Failure {
    Usage(String),
    Failed(String),
}

/// Emits, and gives the answer's arguments; none without `--ack`.
async fn emit(options: &Options, args: &[Value]) -> Result<Vec<Value>, Failure> {
    let limit = options.remote.timeout;
    let builder = options.remote.builder().reconnection(false).configure(|config| config.close_timeout = limit);
    let mistaken = |error| Failure::Usage(Trouble::new(&options.remote, &error).to_string());
    let client = builder.build().map_err(mistaken)?;
    options.remote.authorize(&client).map_err(Failure::Usage)?;
    let deadline = Instant::now() + limit;
    match tokio::time::timeout_at(deadline, client.connect()).await {
        Ok(Ok(())) => {}
        Ok(Err(ConnectError::Timeout)) | Err(_) => {
            return Err(Failure::Failed("the server took too long to let us in".to_owned()));
        }
        Ok(Err(error)) => return Err(Failure::Failed(Trouble::new(&options.remote, &error).to_string())),
    }
    if options.ack {
        ask(&client, &options.event, args, limit).await
    } else {
        client.try_emit(&options.event, Arguments(args)).map_err(unsent)?;
        leave(&client, limit).await?;
        Ok(Vec::new())
    }
}

async fn ask(client: &Client, event: &str, args: &[Value], limit: Duration) -> Result<Vec<Value>, Failure> {
    let answer = client.timeout(limit).emit_with_ack::<Rest>(event, Arguments(args));
    let Rest(answer) = answer.await.map_err(|error| match error {
        AckError::Emit(error) => unsent(error),
        error => Failure::Failed(format!("no acknowledgement: {}", unanswered(&error, limit))),
    })?;
    client.disconnect().await;
    Ok(answer)
}

fn unsent(error: EmitError) -> Failure {
    match error {
        EmitError::Encode(error) => Failure::Usage(error.to_string()),
        error => Failure::Failed(error.to_string()),
    }
}

/// Sends what waits, and says goodbye.
async fn leave(client: &Client, limit: Duration) -> Result<(), Failure> {
    let begun = Instant::now();
    let was_connected = client.connected();
    client.disconnect().await;
    // The end is cut when it takes too long, and does not tell.
    if !was_connected || begun.elapsed() >= limit {
        return Err(Failure::Failed("the connection was lost before all was sent".to_owned()));
    }
    Ok(())
}

fn fail(code: u8, error: &str) -> ExitCode {
    eprintln!("patera emit: {error}");
    ExitCode::from(code)
}
