//! HTTP routes and realtime in one server, as people mount socket.io in express.
//!
//! Run `cargo run -p examples --bin axum`, connect with a Socket.IO client, then
//! `curl -d 'hello everyone' http://127.0.0.1:3000/news`: the client gets the event `news`.

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use patera::{Io, Socket};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> patera::Result {
    let io = Io::new();
    io.on_connection(async |socket: Socket| {
        socket.emit("welcome", socket.id());
        socket.on("hello", async |socket: Socket, name: String| socket.emit("hello", format!("hello, {name}")));
    });

    let app = Router::new()
        .route("/", get(async || "an HTTP route; Socket.IO is at /socket.io/"))
        .route("/news", post(async |State(io): State<Io>, body: String| io.emit("news", body)))
        .route("/online", get(async |State(io): State<Io>| io.stats().sockets.to_string()))
        .layer(io.layer())
        .with_state(io.clone());

    let port = std::env::var("PORT").unwrap_or("3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("listening on http://{}/", listener.local_addr()?);
    // Upgraded connections are not waited for by axum: the server says goodbye to them itself.
    let goodbye = async move {
        let _ = tokio::signal::ctrl_c().await;
        io.close().await;
    };
    axum::serve(listener, app).with_graceful_shutdown(goodbye).await?;
    Ok(())
}
