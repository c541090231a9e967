//! Plain WebSockets and Socket.IO clients in one room.
//!
//! Run `cargo run -p examples --bin native_websocket`, then in any browser's console:
//!
//! ```js
//! const ws = new WebSocket("ws://127.0.0.1:3000/ws?name=ada", "patera.json");
//! ws.onmessage = ({ data }) => console.log(data);
//! ws.onopen = () => ws.send(JSON.stringify({ event: "chat", args: ["hello"], ack: 1 }));
//! ```

use patera::{Io, Reply, Result, Socket, Value};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result {
    let io = Io::new();
    // The URL's query is the `auth` of a plain WebSocket.
    io.on_connection(async |socket: Socket, auth: Value| {
        println!("{} is {}", socket.id(), auth["name"].as_str().unwrap_or("somebody"));
        socket.join("lobby");
    });
    io.on("chat", async |io: Io, socket: Socket, text: String| {
        io.to("lobby").emit("chat", (socket.id(), text));
        Reply("sent")
    });
    // Without the subprotocol every text or binary message is the event `message`.
    io.on("message", async |socket: Socket, message: Value| socket.emit("message", message));
    io.native("/ws");
    let port = std::env::var("PORT").unwrap_or("3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    let address = listener.local_addr()?;
    println!("listening on ws://{address}/ws and http://{address}/socket.io/");
    io.serve(listener).await?;
    Ok(())
}
