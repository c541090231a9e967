//! The command line of `patera bench`.

use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::duration::parse_duration;

/// What a server must do for the scenarios.
pub(crate) const HELP: &str = "\
Scenarios, and what one operation is:
  connect    a WebSocket, from TCP to the answered CONNECT; --connections of them are being opened at any time,
             and the newest 15,000 are kept
  churn      the same, then one echo, then disconnecting: one whole cycle
  storm      --connections at once, from nothing: the latency is from the start until each is connected
  idle       --connections that do nothing but answer heartbeats: one heartbeat; see the server's memory and CPU
  echo, ack  one round trip of an event, or of an event and its acknowledgement
  broadcast  one client emits, all receive: one delivery, from the emit to the receiver
  rooms      the same, to one room after the other
  polling    echo over HTTP long-polling only

The server may be any of Socket.IO 4 or later (Engine.IO 4) with these handlers, which `patera serve` has in --namespace /bench;
connect, storm and idle need none:
  echo(x)       emits echo(x) back                ack(x)        acknowledges with x
  pub(x)        emits pub(x) to everyone          join(room)    joins the room
  room(room, x) emits room(x) to the room

Every payload has a number: what is lost, double or out of order is counted. Operations that are under way at the end are
waited for (--timeout). The exit code is 1 if anything was lost, doubled, reordered or failed, and 2 if the command is wrong.

Examples:
  patera bench echo --namespace /bench                      the server that `patera serve` is
  patera bench echo -c 64 -d 10s --pid $(pgrep -x server)   with the server's CPU time per operation
  patera bench broadcast http://127.0.0.1:8080 -c 1000 --window 8
  patera bench ack --rate 20000 --json                      open loop: 20,000 a second, whatever the server does";

/// What to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scenario {
    Connect,
    Idle,
    Echo,
    Ack,
    Broadcast,
    Rooms,
    Polling,
    Churn,
    Storm,
}

/// The options; they stand in the report as they were given or chosen.
#[derive(Args, Clone, Debug, Serialize)]
pub(crate) struct Options {
    /// What to measure
    #[serde(skip)]
    pub(crate) scenario: Scenario,
    /// The server: http or ws; without a scheme http
    #[arg(default_value = "http://127.0.0.1:3000")]
    #[serde(skip)]
    pub(crate) url: String,
    /// How many connections; for connect and churn how many at a time
    #[arg(short, long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) connections: u32,
    /// How long to measure: 10s, 500ms, 2m, a bare number is seconds; 10s unless --operations is given
    #[arg(short, long, value_name = "TIME", value_parser = parse_duration)]
    #[serde(serialize_with = "seconds_or_null")]
    pub(crate) duration: Option<Duration>,
    /// How many operations to measure
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) operations: Option<u64>,
    /// How long to run before measuring, as --duration
    #[arg(long, default_value = "1s", value_name = "TIME", value_parser = parse_duration)]
    #[serde(serialize_with = "seconds")]
    pub(crate) warmup: Duration,
    /// Operations per second in all, sent when they are due and measured from then (open loop); without it each waits for
    /// the one before it
    #[arg(long, value_name = "OPERATIONS", value_parser = parse_rate)]
    pub(crate) rate: Option<f64>,
    /// Bytes of a payload
    #[arg(long, default_value_t = 16, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(..=900_000))]
    pub(crate) size: u32,
    /// Payloads are binary: an attachment to each event
    #[arg(long)]
    pub(crate) binary: bool,
    /// Operations under way per connection, for broadcast and rooms broadcasts in all [default: 1, with --rate no limit]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) window: Option<u32>,
    /// How many rooms the connections are spread over [default: a tenth of --connections]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=99_999))]
    pub(crate) rooms: Option<u32>,
    /// The server's process, on this machine: reports its CPU time and memory
    #[arg(long)]
    #[serde(skip)]
    pub(crate) pid: Option<u32>,
    /// Print one JSON object instead of a table
    #[arg(long)]
    #[serde(skip)]
    pub(crate) json: bool,
    /// Path of the Socket.IO endpoint
    #[arg(long, default_value = "/socket.io")]
    pub(crate) path: String,
    /// Namespace to connect to
    #[arg(long, default_value = "/", value_parser = parse_namespace)]
    pub(crate) namespace: String,
    /// The auth object for the namespace
    #[arg(long, value_name = "JSON", value_parser = parse_auth)]
    #[serde(skip)]
    pub(crate) auth: Option<String>,
    /// Connections that are being opened at a time
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) ramp: u32,
    /// Connect from this many addresses of 127.0.0.0/8, so that ports suffice; chosen for connect, churn and above 20,000
    /// connections
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=250))]
    pub(crate) source_addresses: Option<u32>,
    /// How long to wait for replies at the end, and when nothing comes at all, as --duration
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = parse_duration)]
    #[serde(serialize_with = "seconds")]
    pub(crate) timeout: Duration,
}

impl Options {
    /// Fills in what depends on other options, so that the report says it.
    pub(crate) fn complete(mut self) -> Options {
        if self.duration.is_none() && self.operations.is_none() {
            self.duration = Some(Duration::from_secs(10));
        }
        if self.window.is_none() && self.rate.is_none() {
            self.window = Some(1);
        }
        if self.scenario == Scenario::Rooms {
            let rooms = self.rooms.unwrap_or(self.connections / 10);
            self.rooms = Some(rooms.clamp(1, self.connections));
        } else {
            self.rooms = None;
        }
        let opens_many = matches!(self.scenario, Scenario::Connect | Scenario::Churn) || self.connections > 20_000;
        if self.source_addresses.is_none() && opens_many {
            self.source_addresses = Some(32);
        }
        self
    }

    /// Operations under way at most, per connection or in all.
    pub(crate) fn window(&self) -> u64 {
        self.window.map_or(u64::MAX, u64::from)
    }
}

fn parse_rate(text: &str) -> Result<f64, &'static str> {
    let rate: f64 = text.parse().map_err(|_| "it must be a number")?;
    if (0.001..=1e9).contains(&rate) { Ok(rate) } else { Err("it must be from 0.001 to 1,000,000,000") }
}

fn parse_namespace(text: &str) -> Result<String, &'static str> {
    if text.starts_with('/') && !text.contains(',') {
        Ok(text.to_owned())
    } else {
        Err("it must begin with a slash and have no comma")
    }
}

fn parse_auth(text: &str) -> Result<String, String> {
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(value) if value.is_object() => Ok(value.to_string()),
        Ok(_) => Err("it must be a JSON object".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    duration.as_secs_f64().serialize(serializer)
}

fn seconds_or_null<S: serde::Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    duration.map(|duration| duration.as_secs_f64()).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_positive_numbers() {
        for (text, expected) in [("1000", Some(1000.0)), ("0.5", Some(0.5)), ("0", None), ("-1", None), ("NaN", None)] {
            assert_eq!(parse_rate(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn auth_is_an_object() {
        assert_eq!(parse_auth(r#"{ "a": 1 }"#), Ok(r#"{"a":1}"#.to_owned()));
        assert!(parse_auth("1").is_err());
        assert!(parse_auth("{").is_err());
        assert!(parse_namespace("chat").is_err());
        assert!(parse_namespace("/a,b").is_err());
        assert_eq!(parse_namespace("/chat").as_deref(), Ok("/chat"));
    }
}
