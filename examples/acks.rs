//! Acknowledgements, both ways: a handler's return value answers the client; `emit_with_ack` waits for the client's answer.
//!
//! Run `cargo run -p examples --bin acks`, then in a Socket.IO client:
//! `await socket.emitWithAck("add", 1, 2)` is 3; `await socket.emitWithAck("load", 0)` is `{error: "no such id"}`.

use std::time::Duration;

use patera::{Ack, AckError, Io, Reply, Result, Socket};
use tokio::net::TcpListener;

async fn load(id: u32) -> Result<Reply<String>> {
    if id == 0 {
        Err("no such id")?;
    }
    Ok(Reply(format!("document {id}")))
}

#[tokio::main]
async fn main() -> Result {
    let io = Io::new();
    io.on("add", async |a: i64, b: i64| Reply(a + b));
    io.on("load", load);
    // Answered later, from elsewhere.
    io.on("slow", async |query: String, ack: Ack<Vec<String>>| {
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            ack.send(vec![query]);
        });
    });
    io.on_connection(async |socket: Socket| {
        let answer: Result<String, AckError> =
            socket.timeout(Duration::from_secs(5)).emit_with_ack("what is your name?", ()).await;
        match answer {
            Ok(name) => println!("{} is {name}", socket.id()),
            Err(error) => println!("{} does not say: {error}", socket.id()),
        }
    });
    let port = std::env::var("PORT").unwrap_or("3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("listening on http://{}/socket.io/", listener.local_addr()?);
    io.serve(listener).await?;
    Ok(())
}
