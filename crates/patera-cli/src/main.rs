//! The program `patera`. Without a subcommand it serves.

mod argument;
mod bench;
mod certificates;
mod connect;
mod demo;
mod duration;
mod emit;
mod log;
mod page;
mod remote;
mod serve;
mod signal;
mod trouble;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A realtime server for every Socket.IO client since 1.4 and every plain WebSocket.
///
/// Without a subcommand it serves: http://127.0.0.1:3000/ is a page to try it with, in two tabs.
#[derive(Parser)]
#[command(name = "patera", version, args_conflicts_with_subcommands = true, after_long_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::Options,
}

const EXAMPLES: &str = "\
What it serves:
  /            the page: open it in two tabs
  /socket.io/  Socket.IO clients of any language (--path): polling, WebSocket, and the upgrade
  /ws          plain WebSockets, with the subprotocol patera.json or without
  /healthz     \"ok\", for whoever watches it

Ctrl-C or SIGTERM says goodbye to every client and lets handlers finish; once more ends at once.
RUST_LOG chooses the log lines on standard error: RUST_LOG=patera=debug shows every session.

Examples:
  patera                              http://127.0.0.1:3000/
  patera --host 0.0.0.0 --port 8080   for other machines too
  patera --cors-origin '*'            for clients on pages of other origins";

#[derive(Subcommand)]
enum Command {
    /// Serve the demo page and its events to Socket.IO clients and plain WebSockets (what happens without a subcommand)
    #[command(after_long_help = EXAMPLES)]
    Serve(serve::Options),
    /// Measure a server of Socket.IO 4 or later: latency, throughput, loss, and what they cost it
    #[command(after_long_help = bench::HELP)]
    Bench(bench::Options),
    /// Talk to a Socket.IO server or a plain WebSocket: events, acknowledgements, bytes; by hand, line by line, or by a script
    #[command(after_long_help = connect::HELP)]
    Connect(connect::Options),
    /// Emit one event to a Socket.IO server, and with --ack print the acknowledgement
    #[command(after_long_help = emit::HELP)]
    Emit(emit::Options),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Some(Command::Bench(options)) => bench::main(options),
        Some(Command::Connect(options)) => connect::run(options),
        Some(Command::Emit(options)) => emit::run(options),
        Some(Command::Serve(options)) => serve(&options),
        None => serve(&cli.serve),
    }
}

#[tokio::main]
async fn serve(options: &serve::Options) -> ExitCode {
    log::start();
    match serve::run(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("patera: {error}");
            ExitCode::FAILURE
        }
    }
}
