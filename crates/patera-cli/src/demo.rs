//! The events of the demo, the same for the page, for Socket.IO clients and for plain WebSockets: public and private messages,
//! rooms, server push.

use std::time::Duration;

use patera::{DisconnectReason, Io, Map, Reply, Socket, Value};
use tracing::info;

/// Registers the events on the default namespace.
pub(crate) fn register(io: &Io) {
    io.on_connection(async |io: Io, socket: Socket| {
        let (id, recovered) = (socket.id(), socket.recovered());
        info!(socket = id, transport = socket.transport().as_str(), recovered, "joined");
        if recovered {
            return socket.broadcast().emit("pub", format!("{id} is back"));
        }
        io.emit("pub", format!("{id} joined"));
        socket.emit("news", Value::from(Map::from_iter([("hello", "world")])));
    });
    io.on_disconnect(async |io: Io, socket: Socket, reason: DisconnectReason| {
        info!(socket = socket.id(), %reason, "left");
        io.emit("pub", format!("{} left: {reason}", socket.id()));
    });
    io.on("my other event", async |socket: Socket, data: Value| info!(socket = socket.id(), %data, "my other event"));
    io.on("message", async |socket: Socket, data: Value| socket.emit("message", (data,)));
    io.on("echo", async |data: Value| Reply((data,)));
    io.on("add", async |a: f64, b: f64| Reply(number(a + b)));
    register_public_and_private(io);
    register_rooms(io);
}

/// As JavaScript writes it: 3, not 3.0.
fn number(number: f64) -> Value {
    let is_whole = number.fract() == 0.0 && number.abs() < (1_u64 << 53) as f64;
    if is_whole { (number as i64).into() } else { number.into() }
}

/// What is said to everyone, or to one. A picture is bytes beside the text: `{"name": …, "text": …, "image": bytes}`.
fn register_public_and_private(io: &Io) {
    io.on("sendMessageToServer", async |io: Io, data: Value| {
        io.emit("sendMessageToAllClient", (data,));
        Reply(())
    });
    io.on("sendMessageToOne", async |io: Io, data: Value| -> patera::Result {
        let to = data["toId"].as_str().ok_or("toId is missing")?;
        io.to(to).emit("getMessage", (&data,));
        Ok(())
    });
    io.on("private message", async |io: Io, from: Value, to: String, message: Value| {
        let there = io.socket(&to).is_some();
        io.to(to.as_str()).emit("private message", (from, &to, message));
        Reply(there)
    });
}

fn register_rooms(io: &Io) {
    io.on("join", async |socket: Socket, room: String| -> patera::Result<Reply<()>> {
        socket.try_join(room).map_err(|error| error.to_string())?;
        Ok(Reply(()))
    });
    io.on("leave", async |socket: Socket, room: String| {
        socket.leave(room);
        Reply(())
    });
    io.on("sendMessageToRoom", async |io: Io, room: String, data: Value| {
        io.to(room.as_str()).emit("roomMessage", (&room, data));
        Reply(())
    });
}

/// Registers what `patera bench` asks of a server, in a namespace apart: `patera bench echo --namespace /bench`.
pub(crate) fn register_bench(io: &Io) {
    let bench = io.of("/bench");
    bench.on("echo", async |socket: Socket, x: Value| socket.emit("echo", (x,)));
    bench.on("ack", async |x: Value| Reply((x,)));
    bench.on("pub", async |socket: Socket, x: Value| socket.namespace().emit("pub", (x,)));
    bench.on("join", async |socket: Socket, room: String| {
        socket.join(room);
        Reply(())
    });
    bench.on("room", async |socket: Socket, room: String, x: Value| {
        socket.namespace().to(room).emit("room", (x,));
    });
}

/// Emits a number to everyone, once a second, until the server's runtime ends.
pub(crate) async fn push(io: Io) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    for number in 0u64.. {
        second.tick().await;
        io.emit("getServerMessage", number);
    }
}
