//! The client: a socket, and the right to its connection.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::builder::ClientBuilder;
use crate::manager::Manager;
use crate::shared::Command;
use crate::socket::Socket;

/// A [`Socket`] and the right to its connection: everything that a socket can do, and the connection stays as long as there is
/// one. Cheap to clone.
///
/// When the last `Client` of a namespace is dropped, the namespace is left; when the last of a connection is dropped (and its
/// [`Manager`]), the connection is closed once what was emitted has been sent, for at most
/// [`Config::close_timeout`](crate::Config::close_timeout), and its task ends. Handlers that still wait are dropped.
///
/// Do not capture a `Client` in a handler of its own: it would keep itself. Take a [`Socket`] as a parameter, or capture
/// [`client.socket()`](Client::socket).
///
/// ```no_run
/// use patera_client::{Client, Reply};
///
/// #[tokio::main]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let client = Client::builder("http://localhost:3000/chat")
///         .on("news", async |text: String| println!("{text}"))
///         .on("are you there", async || Reply("yes"))                  // the return value is the acknowledgement
///         .connect()
///         .await?;
///     client.emit("chat message", ("hello", 1));
///     let sum: i64 = client.emit_with_ack("add", (1, 2)).await?;
///     println!("{sum}");
///     client.disconnect().await;
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Client {
    pub(crate) owner: Arc<Owner>,
}

/// Its end is the end of the socket.
pub(crate) struct Owner {
    socket: Socket,
    manager: Manager,
}

impl Client {
    /// A client of this server: `http://localhost:3000/chat?token=x`, where the path is the namespace and the query goes along with
    /// every request. The schemes are `http`, `https`, `ws` and `wss`; without one it is `https`.
    pub fn builder(url: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(url.into())
    }

    pub(crate) fn new(socket: Socket, manager: Manager) -> Self {
        Client { owner: Arc::new(Owner { socket, manager }) }
    }

    /// The socket alone, for handlers to capture.
    pub fn socket(&self) -> Socket {
        self.owner.socket.clone()
    }

    /// The connection, for further namespaces.
    pub fn manager(&self) -> Manager {
        self.owner.manager.clone()
    }
}

impl Deref for Client {
    type Target = Socket;

    fn deref(&self) -> &Socket {
        &self.owner.socket
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.owner.socket).finish()
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // If the task has ended there is nothing to leave.
        let _ = self.socket.0.shared.command(Command::Remove(self.socket.0.number));
    }
}
