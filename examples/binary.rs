//! Bytes, anywhere inside the arguments, in both directions: `Bytes` is a `Buffer`, a typed array or a `Blob` on the other side.
//!
//! Run `cargo run -p examples --bin binary`, then in a Socket.IO client:
//! `await socket.emitWithAck("upload", { name: "a.bin", content: new Uint8Array([1, 2, 3]) })`.

use bytes::Bytes;
use patera::{Io, Reply, Result, Socket, Value};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

#[derive(Serialize, Deserialize)]
struct File {
    name: String,
    content: Bytes,
}

#[tokio::main]
async fn main() -> Result {
    let io = Io::new();
    io.on("upload", async |socket: Socket, file: File| {
        let size = file.content.len();
        socket.broadcast().emit("file", file);
        Reply(size)
    });
    // Where the shape is not known, `Value` holds JSON and bytes.
    io.on("echo", async |value: Value| Reply(value));
    let port = std::env::var("PORT").unwrap_or("3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("listening on http://{}/socket.io/", listener.local_addr()?);
    io.serve(listener).await?;
    Ok(())
}
