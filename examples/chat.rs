//! A chat: who is there, what they say, who is typing. The events are those of socket.io's own chat example.
//!
//! Run `cargo run -p examples --bin chat`, then connect with any Socket.IO client:
//! `io("http://127.0.0.1:3000")`, `emit("add user", "ada")`, `emit("new message", "hello")`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use patera::{Io, Socket, State};
use serde::Serialize;
use tokio::net::TcpListener;

/// How many have told their name. In an `Arc`, since state is cloned for each call.
#[derive(Clone, Default)]
struct Online(Arc<AtomicUsize>);

/// The name a client has told.
#[derive(Clone)]
struct Username(String);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Users {
    username: String,
    num_users: usize,
}

#[derive(Serialize)]
struct Message {
    username: String,
    message: String,
}

async fn add_user(socket: Socket, State(online): State<Online>, username: String) {
    if socket.extension::<Username>().is_some() {
        return;
    }
    socket.extension_set(Username(username.clone()));
    let num_users = online.0.fetch_add(1, Ordering::Relaxed) + 1;
    let users = Users { username, num_users };
    socket.emit("login", &users);
    socket.broadcast().emit("user joined", &users);
}

async fn new_message(socket: Socket, message: String) -> patera::Result {
    let Username(username) = socket.extension().ok_or("tell your name first")?;
    socket.broadcast().emit("new message", Message { username, message });
    Ok(())
}

async fn leave(socket: Socket, State(online): State<Online>) {
    if let Some(Username(username)) = socket.extension() {
        let num_users = online.0.fetch_sub(1, Ordering::Relaxed) - 1;
        socket.broadcast().emit("user left", Users { username, num_users });
    }
}

#[tokio::main]
async fn main() -> patera::Result {
    let io = Io::new().with_state(Online::default());
    io.on("add user", add_user);
    io.on("new message", new_message);
    io.on("typing", async |socket: Socket| {
        if let Some(Username(username)) = socket.extension() {
            socket.broadcast().emit("typing", username);
        }
    });
    io.on_disconnect(leave);
    let port = std::env::var("PORT").unwrap_or("3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("listening on http://{}/socket.io/", listener.local_addr()?);
    io.serve(listener).await?;
    Ok(())
}
