//! A million sessions in one process, without a descriptor: what one costs in memory, and all of them in time.
//!
//! Each session has a stream in memory whose far end is a client small enough to be the stream itself: it joins `/`, answers
//! heartbeats, and counts what it is sent. What the streams cost alone is measured by a process of its own and taken off.
//!
//! One JSON object goes to standard output, and nothing else.

#![forbid(unsafe_code)]

mod handlers;
mod measure;
mod peer;

use std::{error::Error, process::Command, time::Duration};

use clap::Parser;
use patera::{Config, Io};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    handlers::Handlers,
    measure::{cpu_time, resident_bytes},
    peer::Peer,
};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// How long all sessions may take to open, or a broadcast to arrive.
const PATIENCE: Duration = Duration::from_secs(300);

/// Sessions in memory: bytes each, CPU while idle, one broadcast to all.
#[derive(Parser)]
struct Options {
    /// What the server listens to; `none` measures the streams alone.
    #[arg(long, value_enum, default_value_t = Handlers::Namespace)]
    handlers: Handlers,
    /// Sessions.
    #[arg(long, default_value_t = 1_000_000)]
    count: usize,
    /// From one heartbeat to the next, and how long they are watched, in milliseconds.
    #[arg(long, default_value_t = 25_000)]
    ping_interval: u64,
    /// Accepted for symmetry with the other tools: the output is JSON always.
    #[arg(long)]
    json: bool,
}

fn main() -> Outcome<()> {
    let options = Options::parse();
    let report = match options.handlers {
        Handlers::None => measure_streams(options.count),
        handlers => {
            let stream_bytes = stream_bytes(options.count)?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let report = runtime.block_on(measure_sessions(handlers, &options, stream_bytes))?;
            // A million goodbyes are not measured.
            std::mem::forget(runtime);
            report
        }
    };
    println!("{report}");
    Ok(())
}

/// The streams alone, boxed as the server boxes them.
fn measure_streams(count: usize) -> Value {
    // Where the boxes are kept is no part of a stream: written once, it is resident before.
    let mut streams: Vec<Option<Box<Peer>>> = Vec::new();
    streams.resize_with(count, || None);
    let before = resident_bytes();
    streams.fill_with(|| Some(Box::default()));
    let resident = resident_bytes();
    let report = json!({
        "handlers": Handlers::None.name(),
        "count": count,
        "rss_bytes": resident,
        "stream_bytes": resident.saturating_sub(before) as f64 / count as f64,
    });
    drop(streams);
    report
}

/// [`measure_streams`] in a process of its own, whose memory is not reused here.
fn stream_bytes(count: usize) -> Outcome<f64> {
    let output = Command::new(std::env::current_exe()?)
        .args(["--handlers", Handlers::None.name(), "--count", &count.to_string()])
        .output()?;
    let report: Value = serde_json::from_slice(&output.stdout)?;
    report["stream_bytes"].as_f64().ok_or_else(|| "the streams alone were not measured".into())
}

async fn measure_sessions(handlers: Handlers, options: &Options, stream_bytes: f64) -> Outcome<Value> {
    let mut config = Config::default();
    config.ping_interval = Duration::from_millis(options.ping_interval);
    let io = Io::with_config(config);
    handlers.register(&io);

    // The first session brings what is there once: timers, the thread's buffers.
    open(&io, 1).await?;
    let before = resident_bytes();
    let (started, cpu) = (Instant::now(), cpu_time());
    open(&io, options.count).await?;
    let accept_seconds = started.elapsed().as_secs_f64();
    let accept_cpu = cpu_time() - cpu;
    let resident = resident_bytes();
    let bytes = resident.saturating_sub(before) as f64 / options.count as f64;

    let (started, cpu, heartbeats) = (Instant::now(), cpu_time(), peer::counts().heartbeats);
    sleep(Duration::from_millis(options.ping_interval)).await;
    let hold_seconds = started.elapsed().as_secs_f64();
    let hold_cpu = cpu_time() - cpu;
    let heartbeats = peer::counts().heartbeats - heartbeats;

    let broadcast = broadcast(&io, options.count as u64 + 1).await?;
    Ok(json!({
        "handlers": handlers.name(),
        "count": options.count,
        "stream_bytes": stream_bytes,
        "session_bytes": bytes - stream_bytes,
        "rss_bytes": resident,
        "rss_after_bytes": resident_bytes(),
        "accept_seconds": accept_seconds,
        "accept_cpu_us_per_session": micros(accept_cpu) / options.count as f64,
        "hold_seconds": hold_seconds,
        "heartbeats": heartbeats,
        "cpu_us_per_second": micros(hold_cpu) / hold_seconds,
        "cpu_us_per_heartbeat": micros(hold_cpu) / heartbeats.max(1) as f64,
        "broadcast": broadcast,
    }))
}

/// Opens sessions until this many more are members of `/`.
async fn open(io: &Io, count: usize) -> Outcome<()> {
    let connected = peer::counts().connected + count as u64;
    for index in 0..count {
        let request = http::Request::get("/socket.io/?EIO=4&transport=websocket").body(())?;
        if let Err(refusal) = io.accept(Peer::default(), request).await {
            return Err(format!("a session was refused: {}", refusal.status()).into());
        }
        // The sessions run in between: one burst would need memory for all at once.
        if index % 64 == 63 {
            tokio::task::yield_now().await;
        }
    }
    wait_until(|| peer::counts().connected >= connected, "all sessions to join").await
}

/// One event to all; how long until the last has it.
async fn broadcast(io: &Io, count: u64) -> Outcome<Value> {
    let expected = peer::counts().deliveries + count;
    let (started, cpu) = (Instant::now(), cpu_time());
    io.emit("pub", "0123456789abcdef");
    let emit_seconds = started.elapsed().as_secs_f64();
    wait_until(|| peer::counts().deliveries >= expected, "the broadcast to arrive").await?;
    let seconds = started.elapsed().as_secs_f64();
    let cpu = micros(cpu_time() - cpu);
    Ok(json!({
        "emit_seconds": emit_seconds,
        "seconds": seconds,
        "cpu_us": cpu,
        "cpu_us_per_delivery": cpu / count as f64,
        "deliveries": count,
    }))
}

async fn wait_until(done: impl Fn() -> bool, what: &str) -> Outcome<()> {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        if Instant::now() > deadline {
            return Err(format!("waited {} s for {what}", PATIENCE.as_secs()).into());
        }
        tokio::task::yield_now().await;
    }
    Ok(())
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
