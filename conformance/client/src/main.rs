//! An agent of the conformance tests: carries out a scenario's commands with the crate `patera-client`.
//!
//! A line of JSON on standard input is a command, a line on standard output its answer, as in `clients/agent.py`:
//! `{"number": 1, "operation": "call", "handle": "client 1", "args": […]}` → `{"number": 1, "result": …}`. Bytes are
//! `{"$bytes": "<base64>"}` both ways. It ends with its standard input.

#![forbid(unsafe_code)]

mod agent;
mod inbox;
mod options;
mod values;

use std::io::Write as _;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::agent::Agent;

/// A line of standard input.
#[derive(Deserialize)]
struct Command {
    number: u64,
    operation: String,
    handle: serde_json::Value,
    args: Vec<serde_json::Value>,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let agent = Arc::new(Agent::default());
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let command: Command = serde_json::from_str(&line)?;
        let agent = agent.clone();
        // A command may wait for ever for an event, so each has a task; they end with the process.
        tokio::spawn(async move {
            let outcome = agent.run(&command.operation, &command.handle, command.args).await;
            let answer = match outcome {
                Ok(result) => json!({"number": command.number, "result": result}),
                // The scenario decides what a failure means.
                Err(error) => json!({"number": command.number, "error": error.to_string()}),
            };
            let mut out = std::io::stdout().lock();
            // Without anybody to answer to, the process is about to end.
            let _ = writeln!(out, "{answer}").and_then(|()| out.flush());
        });
    }
    Ok(())
}
