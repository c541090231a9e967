//! The same seven events and a disconnect handler, once for the namespace or once more for every socket.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use clap::ValueEnum;
use patera::{Ack, DisconnectReason, Io, Reply, Rest, Result, Socket, State};

/// Who has handlers.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Handlers {
    /// Nobody: no server, the streams alone.
    None,
    /// The namespace, for all its sockets.
    Namespace,
    /// Each socket, registered when it connects.
    Socket,
}

impl Handlers {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Namespace => "namespace",
            Self::Socket => "socket",
        }
    }

    pub(crate) fn register(self, io: &Io) {
        let _ = io.clone().with_state(Online::default());
        match self {
            Self::None => {}
            Self::Namespace => {
                io.on_connection(async |State(online): State<Online>| online.arrive());
                io.on("login", login);
                io.on("private message", private_message);
                io.on("add", add);
                io.on("load", load);
                io.on("slow", slow);
                io.on("log", log);
                io.on("join", join);
                io.on_disconnect(leave);
            }
            Self::Socket => {
                io.on_connection(async |socket: Socket, State(online): State<Online>| {
                    online.arrive();
                    socket.on("login", login);
                    socket.on("private message", private_message);
                    socket.on("add", add);
                    socket.on("load", load);
                    socket.on("slow", slow);
                    socket.on("log", log);
                    socket.on("join", join);
                    socket.on_disconnect(leave);
                });
            }
        }
    }
}

/// How many are connected.
#[derive(Clone, Default)]
struct Online(Arc<AtomicUsize>);

impl Online {
    fn arrive(&self) {
        self.0.fetch_add(1, SeqCst);
    }
}

async fn login(socket: Socket, name: String, age: u8, tags: Vec<String>) {
    socket.broadcast().emit("user joined", (name, age, tags));
}

async fn private_message(socket: Socket, to: String, text: String) {
    socket.to(to).emit("private message", (socket.id(), text));
}

async fn add(a: i64, b: i64) -> Reply<i64> {
    Reply(a + b)
}

async fn load(id: u32) -> Result<Reply<String>> {
    if id == 0 {
        Err("no such id")?
    }
    Ok(Reply(format!("doc {id}")))
}

async fn slow(question: String, ack: Ack<Vec<String>>) {
    ack.send(vec![question]);
}

async fn log(level: String, Rest(arguments): Rest) {
    eprintln!("{level} {arguments:?}");
}

async fn join(socket: Socket, io: Io, room: String) -> Reply<()> {
    socket.join(room.clone());
    io.to(room).except(socket.id()).emit("joined", socket.id());
    Reply(())
}

async fn leave(socket: Socket, reason: DisconnectReason, State(online): State<Online>) {
    online.0.fetch_sub(1, SeqCst);
    socket.broadcast().emit("user left", (socket.id(), reason.to_string()));
}
