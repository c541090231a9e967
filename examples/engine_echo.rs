//! Engine.IO alone: ordered messages over polling and WebSocket, no Socket.IO on top.
//!
//! Run `cargo run -p examples --bin engine_echo`, then with the npm package engine.io-client:
//! `new Socket("ws://127.0.0.1:3000")`, `send("hello")`.

use patera::engine::{Engine, Session};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> patera::Result {
    let engine = Engine::new();
    engine.on_connection(async |session: Session| {
        while let Some(message) = session.recv().await {
            session.send(message);
        }
        println!("{} has left: {:?}", session.id(), session.close_reason());
    });
    let port = std::env::var("PORT").unwrap_or("3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("listening on http://{}/engine.io/", listener.local_addr()?);
    engine.serve(listener).await?;
    Ok(())
}
