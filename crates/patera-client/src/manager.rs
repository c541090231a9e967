//! A connection to one server, with any number of namespaces.

use std::fmt;
use std::sync::Arc;

use patera_protocol::engineio::Transport;
use tokio::sync::oneshot;

use crate::address::{UrlError, namespace};
use crate::client::Client;
use crate::engine::Endpoint;
use crate::shared::{Command, Shared};
use crate::socket::{Disconnecting, Socket};
use crate::task::Task;

/// One connection, whatever namespaces are on it. Cheap to clone.
///
/// It connects when the first of its sockets does, and closes when the last has left. Dropped with all its clients, its task ends.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let manager = patera_client::Client::builder("http://localhost:3000").manager()?;
/// let chat = manager.socket("/chat")?;
/// let admin = manager.socket("/admin")?;
/// admin.set_auth(serde_json::json!({"token": "let me in"}))?;
/// chat.connect().await?;
/// admin.connect().await?;                                              // over the same connection
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Manager(Arc<ManagerOwner>);

/// Its end is the end of the task.
struct ManagerOwner {
    shared: Arc<Shared>,
}

impl Manager {
    /// Starts the task.
    pub(crate) fn start(endpoint: Endpoint) -> Self {
        let shared = Shared::new(endpoint.config.clone());
        tokio::spawn(Task::new(shared.clone(), Arc::new(endpoint)));
        Manager(Arc::new(ManagerOwner { shared }))
    }

    /// A client in a namespace, not connected yet: register handlers, then [`connect`](Socket::connect). The name may do without its
    /// slash. A namespace that has a client already gives that one.
    ///
    /// # Errors
    /// The name has a comma or a question mark in it.
    pub fn socket(&self, name: &str) -> Result<Client, UrlError> {
        let name = namespace(name)?;
        let shared = &self.0.shared;
        let mut sockets = shared.sockets.lock();
        if let Some(owner) = sockets.get(&name).and_then(std::sync::Weak::upgrade) {
            return Ok(Client { owner });
        }
        sockets.retain(|_, owner| owner.strong_count() > 0);
        let socket = Socket::new(name.clone(), shared.clone());
        // Whoever has a manager has its task.
        let _ = shared.command(Command::Add(socket.clone()));
        let client = Client::new(socket, self.clone());
        sockets.insert(name, Arc::downgrade(&client.owner));
        Ok(client)
    }

    /// Disconnects all sockets and closes the connection, once what was emitted has been sent.
    ///
    /// # Cancel safety
    /// Dropped, it goes on.
    pub fn disconnect(&self) -> Disconnecting {
        let (sender, receiver) = oneshot::channel();
        let _ = self.0.shared.command(Command::Close(sender));
        Disconnecting(receiver)
    }

    /// What the connection goes over now; `None` while there is none.
    pub fn transport(&self) -> Option<Transport> {
        self.0.shared.transport()
    }
}

impl fmt::Debug for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manager").field("transport", &self.transport()).finish_non_exhaustive()
    }
}

impl Drop for ManagerOwner {
    fn drop(&mut self) {
        self.shared.end();
    }
}
