//! The server that the conformance tests judge: the contract of `conformance/README.md` on the crate `patera`.

#![forbid(unsafe_code)]

mod contract;
mod options;
#[cfg(tokio_unstable)]
mod polls;
mod values;
mod webtransport;

use std::{alloc::System, io::Read, net::SocketAddr};

use axum::{
    Json, Router,
    extract::{ConnectInfo, Request, State},
    middleware::{self, Next},
    response::Response,
    routing::get,
};
use cap::Cap;
use patera::{
    Io, RemoteAddress,
    engine::{Engine, Message, Session},
};
use serde_json::json;
use tokio::{net::TcpListener, runtime::Builder};

use crate::options::Options;

/// The system's allocator, counted: what it keeps for later is in the process's memory, and is nobody's.
#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, usize::MAX);

fn main() -> patera::Result {
    let mut runtime = Builder::new_multi_thread();
    runtime.enable_all();
    if let Ok(directives) = std::env::var("LOG") {
        tracing_subscriber::fmt().with_env_filter(directives).with_ansi(false).with_writer(std::io::stderr).init();
    }
    #[cfg(tokio_unstable)]
    polls::watch(&mut runtime);
    runtime.build()?.block_on(serve())
}

async fn serve() -> patera::Result {
    let options = Options::from_environment()?;
    let mut engine_config = options.engine_config();
    let over_http3 = options.webtransport;
    let config = options.config()?;
    engine_config.allow_eio3 = config.allow_eio3;
    let io = Io::with_config(config);
    contract::serve(&io);
    let engine = Engine::with_config(engine_config);
    engine.on_connection(echo_messages);

    if over_http3 {
        webtransport::listen(&io)?;
    }
    let routes =
        Router::new().route("/hello", get(|| async { "hello" })).route("/__stat", get(stat)).with_state(io.clone());

    let port: u16 = std::env::var("PORT").unwrap_or_default().parse().unwrap_or(0);
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on http://{}", listener.local_addr()?);
    if std::env::var_os("EXIT_WITH_STDIN").is_some() {
        std::thread::spawn(exit_with_standard_input);
    }
    if std::env::var_os("STANDALONE").is_some() {
        // The limits on heads and the pause of who can accept no more are those of patera's own listener.
        io.serve_with(listener, routes.layer(engine.layer())).await?;
    } else {
        let app = routes.layer(io.layer()).layer(engine.layer()).layer(middleware::from_fn(tell_address));
        axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    }
    Ok(())
}

/// Engine.IO alone: every message comes back.
async fn echo_messages(session: Session) {
    while let Some(message) = session.recv().await {
        if message == Message::from("close me") {
            session.close();
        } else {
            session.send(message);
        }
    }
}

/// What a watcher from outside wants to know; `polls` is there where polls can be watched.
async fn stat(State(io): State<Io>) -> Json<serde_json::Value> {
    let stats = io.stats();
    let told = json!({
        "pid": std::process::id(),
        "heap": HEAP.allocated(),
        "rss": resident("VmRSS:"),
        "anonymous": resident("RssAnon:"),
        "tasks": tokio::runtime::Handle::current().metrics().num_alive_tasks(),
        "sessions": stats.sessions,
        "sockets": stats.sockets,
        "rooms": stats.rooms,
        "recoverable": stats.recoverable,
        "handlers_pending": stats.handlers_pending,
        "acks_pending": stats.acks_pending,
    });
    #[cfg(tokio_unstable)]
    let told = with_polls(told);
    Json(told)
}

/// Bytes of this process in memory, by the line of proc(5), "status" that tells of them: `RssAnon:   1234 kB`.
fn resident(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let told = status.lines().find_map(|each| each.strip_prefix(line)).unwrap_or_default();
    told.trim().trim_end_matches(" kB").parse().map_or(0, |kibibytes: u64| kibibytes * 1024)
}

#[cfg(tokio_unstable)]
fn with_polls(mut told: serde_json::Value) -> serde_json::Value {
    told["polls"] = json!(polls::take());
    told
}

async fn tell_address(ConnectInfo(address): ConnectInfo<SocketAddr>, mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(RemoteAddress(address));
    next.run(request).await
}

/// The tests hold the other end: when they end, however they end, so does this process.
fn exit_with_standard_input() {
    let mut ignored = [0; 64];
    while std::io::stdin().read(&mut ignored).is_ok_and(|count| count > 0) {}
    std::process::exit(0);
}
