//! The benchmark's server on socketioxide and axum: the five handlers of `bench/README.md`, registered as its guide does.
//!
//! `rmpv::Value` is what the guide recommends where an argument may be anything, bytes among it.

#![forbid(unsafe_code)]

use std::{error::Error, time::Duration};

use rmpv::Value;
use socketioxide::{
    SocketIo,
    extract::{AckSender, Data, SocketRef},
};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

fn main() -> Outcome {
    let runtime = runtime()?;
    // Within a worker where there are some: `block_on` itself would be one more thread.
    runtime.block_on(async { tokio::spawn(serve()).await })?
}

async fn serve() -> Outcome {
    let mut builder = SocketIo::builder();
    if let Some(milliseconds) = from_environment("PING_INTERVAL") {
        builder = builder.ping_interval(Duration::from_millis(milliseconds));
    }
    let (layer, io) = builder.build_layer();
    io.ns("/", on_connection);

    let app = axum::Router::new().layer(layer);
    let port = from_environment("PORT").unwrap_or(3000);
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(axum::serve::ListenerExt::tap_io(listener, |stream| drop(stream.set_nodelay(true))), app).await?;
    Ok(())
}

async fn on_connection(socket: SocketRef) {
    socket.on("echo", async |socket: SocketRef, Data::<Value>(x)| {
        socket.emit("echo", &x).ok();
    });
    socket.on("ack", async |Data::<Value>(x), ack: AckSender| {
        ack.send(&x).ok();
    });
    socket.on("pub", async |io: SocketIo, Data::<Value>(x)| {
        io.emit("pub", &x).await.ok();
    });
    socket.on("join", async |socket: SocketRef, Data::<String>(room), ack: AckSender| {
        socket.join(room);
        ack.send(&()).ok();
    });
    socket.on("room", async |io: SocketIo, Data::<(String, Value)>((room, x))| {
        io.to(room).emit("room", &x).await.ok();
    });
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
