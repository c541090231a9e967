//! Rooms: join, leave, and emit to their members; with namespaces to keep things apart.
//!
//! Run `cargo run -p examples --bin rooms`, then in a Socket.IO client of `http://127.0.0.1:3000/docs`:
//! `emit("open", "doc-1")`, `emit("edit", "doc-1", "a change")`.

use patera::{Io, Reply, Result, Socket};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result {
    let io = Io::new();
    let docs = io.of("/docs");
    docs.on("open", async |socket: Socket, doc: String| {
        socket.join(&doc);
        socket.to(&doc).emit("opened", (&doc, socket.id()));
        Reply(socket.rooms().iter().map(ToString::to_string).collect::<Vec<_>>())
    });
    docs.on("edit", async |socket: Socket, doc: String, change: String| {
        // Everyone in the room but the sender; `io.of("/docs").to(…)` would be everyone in it.
        socket.to(&doc).emit("edited", (&doc, change));
    });
    docs.on("close", async |socket: Socket, doc: String| {
        socket.leave(&doc);
        socket.to(&doc).emit("closed", (&doc, socket.id()));
    });
    let port = std::env::var("PORT").unwrap_or("3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("listening on http://{}/socket.io/, namespace /docs", listener.local_addr()?);
    io.serve(listener).await?;
    Ok(())
}
