//! Bytes, anywhere inside the arguments, in both directions: `Bytes` is a `Buffer`, a typed array or a `Blob` on the other side.
//!
//! Run `cargo run -p examples --bin binary`, then in a Socket.IO client:
//! `await socket.emitWithAck("upload", { name: "a.bin", content: new Uint8Array([1, 2, 3]) })`.

use bytes::Bytes;
use patera::{Io, Reply, Result, Socket, Value};
use serde::{Deserialize, Serialize};

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
    println!("listening on http://127.0.0.1:3000/socket.io/");
    io.listen("127.0.0.1:3000").await?;
    Ok(())
}
