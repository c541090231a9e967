//! A contract: the events of both sides as traits, which the compiler checks here and TypeScript in the browser.
//!
//! Run `cargo run -p examples --bin contracts`, then in a Socket.IO client:
//! `await socket.emitWithAck("private message", id, "hello")`. `cargo run -p examples --bin contracts -- --typescript` writes the
//! types for `Socket<ServerToClient, ClientToServer>`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use patera::{Io, Result, Socket};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Message {
    from: String,
    text: String,
    picture: Option<Bytes>,
}

/// A type of our own is in the interfaces by its name: this is its definition.
const MESSAGE_TYPESCRIPT: &str = "export interface Message {
  from: string;
  text: string;
  picture: ArrayBuffer | Uint8Array | null;
}
";

/// What clients send.
#[patera::events]
trait ClientToServer {
    /// Tells one other, and is answered with how many messages were sent so far.
    #[event("private message")]
    fn private_message(to: String, text: String, picture: Option<Bytes>) -> u64;
    /// The messages to everyone from this one on.
    fn history(from: usize) -> Vec<Message>;
    fn say(text: String);
}

/// What the server sends.
#[patera::events]
trait ServerToClient {
    fn message(message: Message, is_private: bool);
    /// Whether the user wants to see it.
    #[event("wants?")]
    fn wants(topic: String, tags: Vec<String>) -> bool;
}

#[derive(Default)]
struct Chat {
    messages: Mutex<Vec<Message>>,
    private: AtomicU64,
}

impl Chat {
    fn messages(&self) -> MutexGuard<'_, Vec<Message>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientToServer for Chat {
    async fn private_message(&self, socket: Socket, to: String, text: String, picture: Option<Bytes>) -> Result<u64> {
        if text.is_empty() && picture.is_none() {
            Err("nothing to say")?;
        }
        socket.to(to).message(&Message { from: socket.id().to_owned(), text, picture }, true);
        Ok(self.private.fetch_add(1, Ordering::Relaxed) + 1)
    }

    async fn history(&self, _: Socket, from: usize) -> Result<Vec<Message>> {
        let messages = self.messages();
        Ok(messages.get(from..).ok_or("there are not so many messages")?.to_vec())
    }

    async fn say(&self, socket: Socket, text: String) {
        let message = Message { from: socket.id().to_owned(), text, picture: None };
        let is_wanted = socket.wants("an echo", &["test".to_owned()]).await;
        if is_wanted.unwrap_or(false) {
            socket.message(&message, false);
        }
        socket.broadcast().message(&message, false);
        self.messages().push(message);
    }
}

#[tokio::main]
async fn main() -> Result {
    if std::env::args().any(|argument| argument == "--typescript") {
        print!("{MESSAGE_TYPESCRIPT}\n{CLIENT_TO_SERVER_TYPESCRIPT}\n{SERVER_TO_CLIENT_TYPESCRIPT}");
        return Ok(());
    }
    let io = Io::new();
    Chat::default().serve(&io);
    let port = std::env::var("PORT").unwrap_or("3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("listening on http://{}/socket.io/", listener.local_addr()?);
    io.serve(listener).await?;
    Ok(())
}
