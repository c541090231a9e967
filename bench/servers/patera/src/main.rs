//! The benchmark's server on Patera: the five handlers of `bench/README.md`, registered at the namespace.

#![forbid(unsafe_code)]

use std::time::Duration;

use patera::{Config, Io, Reply, Socket, Value};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> patera::Result {
    let runtime = runtime()?;
    // Within a worker where there are some: `block_on` itself would be one more thread.
    runtime.block_on(async { tokio::spawn(serve()).await })??;
    Ok(())
}

async fn serve() -> patera::Result {
    let mut config = Config::default();
    if let Some(milliseconds) = from_environment("PING_INTERVAL") {
        config.ping_interval = Duration::from_millis(milliseconds);
    }
    let io = Io::with_config(config);
    io.on("echo", async |socket: Socket, x: Value| socket.emit("echo", x));
    io.on("ack", async |x: Value| Reply(x));
    io.on("pub", async |io: Io, x: Value| io.emit("pub", x));
    io.on("join", async |socket: Socket, room: String| {
        socket.join(room);
        Reply(())
    });
    io.on("room", async |io: Io, room: String, x: Value| io.to(room).emit("room", x));

    let port = from_environment("PORT").unwrap_or(3000);
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("listening on http://{}", listener.local_addr()?);
    io.serve(listener).await?;
    Ok(())
}

/// One thread for all, or as many workers as `WORKERS` says.
fn runtime() -> std::io::Result<Runtime> {
    match from_environment("WORKERS") {
        None => Builder::new_current_thread().enable_all().build(),
        Some(count) => {
            let count = usize::try_from(count).unwrap_or(usize::MAX).clamp(1, 256);
            Builder::new_multi_thread().worker_threads(count).enable_all().build()
        }
    }
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
