//! Engine.IO sessions without Socket.IO on top, for those who use engine.io alone: ordered text and binary messages, over
//! polling and WebSocket, with heartbeat and upgrade.
//!
//! ```no_run
//! use patera::engine::{Engine, Session};
//!
//! #[tokio::main]
//! async fn main() -> patera::Result {
//!     let engine = Engine::new();
//!     engine.on_connection(async |session: Session| {
//!         while let Some(message) = session.recv().await {
//!             session.send(message);
//!         }
//!     });
//!     engine.listen("127.0.0.1:3000").await?;
//!     Ok(())
//! }
//! ```

mod message;
mod serving;
mod session;

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use tokio::net::{TcpListener, ToSocketAddrs};

pub use patera_protocol::engineio::{Message as PacketMessage, Packet};

pub use self::message::Message;
use self::serving::{ConnectionHandler, Serving};
pub use self::session::Session;
use crate::config::Config;
pub use crate::conn::{Conn, ReadyState};
pub use crate::connection_error::ConnectionError;
use crate::core::Core;
use crate::http::{Host, Layer, Listener, NotFound, Paths, Service};
use crate::opening::Opening;
use crate::session::Link;
use crate::stats::Stats;
use crate::sync::RwLock;

struct EngineInner {
    core: Arc<Core>,
    paths: Paths,
    handler: RwLock<Option<ConnectionHandler>>,
}

/// An Engine.IO server. Cheap to clone; clones are the same server. Its default path is `/engine.io`.
#[derive(Clone)]
pub struct Engine(Arc<EngineInner>);

impl Engine {
    /// A server with the default options, at `/engine.io`.
    pub fn new() -> Self {
        let mut config = Config::default();
        "/engine.io".clone_into(&mut config.path);
        Self::with_config(config)
    }

    /// A server with these options; those of Socket.IO are not used.
    pub fn with_config(config: Config) -> Self {
        let config = Config {
            #[cfg(feature = "serve-client")]
            serve_client: false,
            ..config
        };
        let paths = Paths::new(&config);
        Engine(Arc::new(EngineInner { core: Arc::new(Core::new(config)), paths, handler: RwLock::default() }))
    }

    /// Sets what runs for each session. When it returns, the session is closed, behind what was sent.
    pub fn on_connection<F, Fut>(&self, handler: F)
    where
        F: Fn(Session) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let old = self.0.handler.write().replace(Arc::new(move |session| Box::pin(handler(session))));
        drop(old);
    }

    /// A tower layer that answers the engine's path and leaves all others to the service below.
    pub fn layer(&self) -> Layer {
        Layer::new(self.0.clone())
    }

    /// A tower service that answers the engine's path, and 404 to all others.
    pub fn service(&self) -> Service<NotFound> {
        Service::new(self.0.clone(), NotFound)
    }

    /// Serves HTTP/1 on an address until [`close`](Self::close).
    ///
    /// # Errors
    /// The address cannot be listened on.
    ///
    /// # Cancel safety
    /// Dropped, it stops accepting and cuts HTTP connections off; sessions on a WebSocket go on.
    pub async fn listen(&self, address: impl ToSocketAddrs) -> std::io::Result<()> {
        self.serve(TcpListener::bind(address).await?).await
    }

    /// As [`listen`](Self::listen), on a listener of yours, a `TcpListener` or `Listener::tls`.
    ///
    /// # Errors
    /// None today; out of descriptors, it waits and goes on.
    pub async fn serve(&self, listener: impl Into<Listener>) -> std::io::Result<()> {
        crate::http::serve(listener.into(), self.service(), &self.0.core).await;
        Ok(())
    }

    /// Closes the server as [`Io::close`](crate::Io::close) does.
    ///
    /// # Cancel safety
    /// Dropped, the sessions not told yet stay open; call it again.
    pub async fn close(&self) {
        self.0.core.close().await;
    }

    /// Counters of the whole server.
    pub fn stats(&self) -> Stats {
        self.0.core.stats()
    }

    /// Sets what is told of requests that are refused: see [`Server::on_connection_error`].
    pub fn on_connection_error(&self, hook: impl Fn(&ConnectionError) + Send + Sync + 'static) {
        self.0.core.connection_errors.set_hook(hook);
    }
}

/// The Engine.IO server below a Socket.IO server: [`Io::engine`](crate::Io::engine). Cheap to clone.
#[derive(Clone)]
pub struct Server(Arc<Core>);

impl Server {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Server(core)
    }

    /// Sets what is told of requests that are refused with one of Engine.IO's codes, before they are answered.
    ///
    /// ```no_run
    /// # let io = patera::Io::new();
    /// io.engine().on_connection_error(|error| {
    ///     eprintln!("{}: {} {} {:?}", error.request().url(), error.code(), error.message(), error.context());
    /// });
    /// ```
    ///
    /// Anybody can cause these: do not let it do much. While it is set, what each request says is copied.
    pub fn on_connection_error(&self, hook: impl Fn(&ConnectionError) + Send + Sync + 'static) {
        self.0.connection_errors.set_hook(hook);
    }

    /// How many sessions are open: socket.io's `clientsCount`.
    pub fn clients_count(&self) -> u64 {
        self.0.counters.snapshot().sessions
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("path", &self.0.config.path).finish_non_exhaustive()
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("path", &self.0.core.config.path).finish_non_exhaustive()
    }
}

impl Host for EngineInner {
    fn core(&self) -> &Arc<Core> {
        &self.core
    }

    fn paths(&self) -> &Paths {
        &self.paths
    }

    fn is_native(&self, _: &str) -> bool {
        false
    }

    fn start(self: Arc<Self>, opening: Opening, link: Link) {
        let handler = self.handler.read().clone();
        let serving = Serving::new(handler, opening.clone());
        crate::session::Session::spawn(opening, link, serving);
    }

    fn start_native(self: Arc<Self>, _: Opening, _: Link, _: &str) {}
}
