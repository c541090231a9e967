//! The program `patera`. Without a subcommand it serves.

mod demo;
mod log;
mod page;
mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A realtime server for every Socket.IO client since 3.0 and every plain WebSocket.
///
/// Without a subcommand it serves: http://127.0.0.1:3000/ is a page to try it with, in two tabs.
#[derive(Parser)]
#[command(name = "patera", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::Options,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the demo page and its events to Socket.IO clients and plain WebSockets (what happens without a subcommand)
    Serve(serve::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let options = match cli.command {
        Some(Command::Serve(options)) => options,
        None => cli.serve,
    };
    log::start();
    match serve::run(&options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("patera: {error}");
            ExitCode::FAILURE
        }
    }
}
