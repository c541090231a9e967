//! The server: `Io`, its namespaces, its state, how it is mounted and closed.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use patera_cluster::{BusError, Uid};
use patera_protocol::socketio::Value;
use tokio::net::{TcpListener, ToSocketAddrs};

use crate::config::Config;
use crate::connection::Connection;
use crate::core::{Core, Shared};
use crate::engine;
#[cfg(feature = "regex")]
use crate::error::Error;
use crate::http::{Host, Layer, Listener, NotFound, Paths, Service};
use crate::namespace::{Namespace, NamespaceInner};
use crate::namespaces;
use crate::namespaces::{Kind, Namespaces, Pattern};
use crate::native::NativeConnection;
use crate::opening::Opening;
use crate::parser::ParsedConnection;
use crate::session::{Link, Session};
use crate::state::TypeMap;
use crate::stats::Stats;
use crate::sync::RwLock;
use crate::transport::Dialect;

pub(crate) struct IoInner {
    pub(crate) core: Arc<Core>,
    paths: Paths,
    /// The default namespace, which is in the map too.
    root: Arc<NamespaceInner>,
    pub(crate) namespaces: Namespaces,
    /// Path to namespace, for plain WebSockets.
    natives: RwLock<HashMap<Box<str>, Arc<NamespaceInner>>>,
    state: RwLock<TypeMap>,
}

impl Drop for IoInner {
    fn drop(&mut self) {
        if let Some(cluster) = &self.core.cluster {
            cluster.end(self);
        }
    }
}

impl IoInner {
    pub(crate) fn add_native(&self, path: &str, namespace: Arc<NamespaceInner>) {
        self.natives.write().insert(path.into(), namespace);
    }
}

/// A Socket.IO server. Cheap to clone; clones are the same server, and it works as axum state.
///
/// It derefs to its default namespace `/`: `io.on_connection(…)`, `io.emit(…)`, `io.to(…)` are that namespace's.
///
/// ```no_run
/// use patera::{Io, Socket};
///
/// #[tokio::main]
/// async fn main() -> patera::Result {
///     let io = Io::new();
///     io.on_connection(async |socket: Socket| {
///         socket.on("hello", async |socket: Socket, name: String| socket.emit("hello", format!("hello, {name}")));
///     });
///     io.listen("127.0.0.1:3000").await?;
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Io {
    root: Namespace,
}

impl Io {
    /// A server with the default [`Config`].
    pub fn new() -> Self {
        Self::with_config(Config::default())
    }

    /// A server with these options.
    pub fn with_config(config: Config) -> Self {
        let paths = Paths::new(&config);
        let core = Arc::new(Core::new(config));
        let root = Arc::new(NamespaceInner::new("/", core.clone(), Kind::Plain));
        let inner = Arc::new(IoInner {
            paths,
            core,
            namespaces: Namespaces::new(root.clone()),
            root,
            natives: RwLock::default(),
            state: RwLock::default(),
        });
        let io = Self::from_inner(inner);
        io.start_cluster();
        io
    }

    pub(crate) fn from_inner(inner: Arc<IoInner>) -> Self {
        Io { root: Namespace { inner: inner.root.clone(), io: inner } }
    }

    fn inner(&self) -> &Arc<IoInner> {
        &self.root.io
    }

    /// Keeps a value for [`State<T>`](crate::State) parameters, one a type; the newest wins. It takes and returns the `Io`:
    /// `let io = Io::new().with_state(Users::default());`
    #[must_use]
    pub fn with_state<T: Clone + Send + Sync + 'static>(self, state: T) -> Self {
        let old = self.inner().state.write().insert(state);
        drop(old);
        self
    }

    pub(crate) fn state<T: Clone + Send + Sync + 'static>(&self) -> Option<T> {
        let state: Arc<T> = self.inner().state.read().get()?;
        Some(T::clone(&state))
    }

    /// The namespace of this name, made if it is new; a missing `/` in front is added. Clients can join it from now on.
    ///
    /// If it is new and [`of_matching`](Self::of_matching) takes its name, it is a child of that one, and stays. A child that is there
    /// because of a client goes with its last one, and then what is kept of it reaches nobody: ask again.
    pub fn of(&self, name: &str) -> Namespace {
        let inner = if name.starts_with('/') {
            namespaces::of(self.inner(), name)
        } else {
            namespaces::of(self.inner(), &format!("/{name}"))
        };
        self.namespace_of(inner)
    }

    /// The namespace of this name, if it is there: to emit to one without making it.
    pub fn find(&self, name: &str) -> Option<Namespace> {
        self.inner().namespaces.find(name).map(|inner| self.namespace_of(inner))
    }

    /// All namespaces that clients can be in now.
    pub fn namespaces(&self) -> Vec<Namespace> {
        self.inner().namespaces.all().into_iter().map(|inner| self.namespace_of(inner)).collect()
    }

    /// Namespaces whose names `matches` takes: socket.io's `io.of(/regex/)`. What is registered on the returned *parent* holds for
    /// each of them, and what is emitted by it goes to all.
    ///
    /// ```no_run
    /// # use patera::{Io, Socket};
    /// # let io = Io::new();
    /// let workspaces = io.of_matching(|name| name.strip_prefix("/workspace-").is_some_and(|id| id.parse::<u32>().is_ok()));
    /// workspaces.on_connection(async |socket: Socket| {
    ///     socket.broadcast().emit("joined", socket.namespace().name());       // in this workspace only
    /// });
    /// ```
    ///
    /// Such a *child* is made for the first client that joins it, with the parent's middlewares and handlers of that moment; later
    /// ones reach new children only. It goes with its last client, unless
    /// [`Config::cleanup_empty_child_namespaces`](crate::Config::cleanup_empty_child_namespaces) is off; there are at most
    /// [`Config::child_namespaces_max`](crate::Config::child_namespaces_max), since clients choose the names. Several parents are
    /// asked in the order in which they were made, and the first that takes the name has it.
    pub fn of_matching(&self, matches: impl Fn(&str) -> bool + Send + Sync + 'static) -> Namespace {
        self.add_parent(Pattern::Matching(Arc::new(matches)))
    }

    /// As [`of_matching`](Self::of_matching), by an async function of the name and the client's `auth`: it may ask a database.
    ///
    /// ```no_run
    /// # use patera::{Io, Value};
    /// # async fn may_enter(_: &str, _: &str) -> bool { true }
    /// # let io = Io::new();
    /// io.of_fn(async |name: String, auth: Value| match auth["token"].as_str() {
    ///     Some(token) => may_enter(&name, token).await,
    ///     None => false,
    /// });
    /// ```
    ///
    /// It is asked once for each child, and cloned for that as handlers are. What is to be checked for each client is a [middleware](Namespace::middleware)'s.
    pub fn of_fn<F, Fut>(&self, decides: F) -> Namespace
    where
        F: FnOnce(String, Value) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = bool> + Send + 'static,
    {
        self.add_parent(Pattern::Deciding(Arc::new(move |name, auth| Box::pin(decides.clone()(name, auth)))))
    }

    /// As [`of_matching`](Self::of_matching), by a regular expression in the syntax of the crate `regex`: `^/workspace-\d+$`.
    ///
    /// # Errors
    /// It is no regular expression.
    #[cfg(feature = "regex")]
    pub fn of_regex(&self, pattern: &str) -> Result<Namespace, Error> {
        let pattern = regex::Regex::new(pattern)?;
        Ok(self.of_matching(move |name| pattern.is_match(name)))
    }

    /// Adds a function that is told of each namespace when it is made, by [`of`](Self::of) or for a client, who is let in when it
    /// has returned: what it registers there misses nothing.
    pub fn on_new_namespace(&self, hook: impl Fn(&Namespace) + Send + Sync + 'static) {
        self.inner().namespaces.add_hook(Arc::new(hook));
    }

    /// Where there is a runtime by now, and was none before.
    fn start_cluster(&self) {
        if let Some(cluster) = &self.inner().core.cluster {
            cluster.start(self.inner());
        }
    }

    fn add_parent(&self, pattern: Pattern) -> Namespace {
        self.namespace_of(self.inner().namespaces.add_parent(&self.inner().core, pattern))
    }

    fn namespace_of(&self, inner: Arc<NamespaceInner>) -> Namespace {
        Namespace { inner, io: self.inner().clone() }
    }

    /// A tower layer that answers the Socket.IO path, and native WebSocket paths, and leaves all others to the service below.
    pub fn layer(&self) -> Layer {
        Layer::new(self.inner().clone())
    }

    /// A tower service that answers the same paths, and 404 to all others.
    pub fn service(&self) -> Service<NotFound> {
        Service::new(self.inner().clone(), NotFound)
    }

    /// Serves HTTP/1 on an address until [`close`](Self::close) is through: the Socket.IO path, and 404 for all others.
    ///
    /// # Errors
    /// The address cannot be listened on.
    ///
    /// # Cancel safety
    /// Dropped, it stops accepting and cuts HTTP connections off; sessions on a WebSocket go on.
    pub async fn listen(&self, address: impl ToSocketAddrs) -> std::io::Result<()> {
        self.serve(TcpListener::bind(address).await?).await
    }

    /// As [`listen`](Self::listen), with TLS: `https` and `wss`. [`Tls::reload`](crate::Tls::reload) renews the certificates.
    ///
    /// A client that does not finish its TLS handshake within [`Config::tls_timeout`](crate::Config::tls_timeout) is cut off.
    ///
    /// ```no_run
    /// # use patera::{Io, Result, Tls};
    /// # async fn serve(io: Io) -> Result {
    /// let tls = Tls::from_pem_files("fullchain.pem", "privkey.pem")?;
    /// io.listen_tls("0.0.0.0:443", tls).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The address cannot be listened on.
    ///
    /// # Cancel safety
    /// As [`listen`](Self::listen).
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub async fn listen_tls(&self, address: impl ToSocketAddrs, tls: crate::Tls) -> std::io::Result<()> {
        self.serve(Listener::tls(TcpListener::bind(address).await?, tls)).await
    }

    /// Serves WebTransport on this UDP address, until the server is [closed](Self::close): beside what serves HTTP, commonly on the same
    /// port, for clients that come by [`Config::transports`](crate::Config::transports) with `WebTransport` in it.
    ///
    /// ```no_run
    /// # use patera::{Config, Io, Result, Tls, Transport};
    /// # async fn serve() -> Result {
    /// let mut config = Config::default();
    /// config.transports.push(Transport::WebTransport);
    /// let io = Io::with_config(config);
    /// let tls = Tls::from_pem_files("fullchain.pem", "privkey.pem")?;
    /// tokio::try_join!(io.listen_tls("0.0.0.0:443", tls.clone()), io.listen_webtransport("0.0.0.0:443", tls))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The address cannot be listened on, or the certificates cannot be used for QUIC; later, QUIC's own task has ended, as with a
    /// runtime that is shut down.
    ///
    /// # Cancel safety
    /// Dropped, it stops accepting and cuts off those who have not said yet what they want; sessions go on, and the port is taken until
    /// the last of them ends.
    #[cfg(feature = "webtransport")]
    #[cfg_attr(docsrs, doc(cfg(feature = "webtransport")))]
    pub async fn listen_webtransport(&self, address: impl ToSocketAddrs, tls: crate::Tls) -> std::io::Result<()> {
        self.serve_webtransport(tokio::net::UdpSocket::bind(address).await?.into_std()?, tls).await
    }

    /// As [`listen_webtransport`](Self::listen_webtransport), on a socket of yours: one on port 0 tells its address.
    ///
    /// # Errors
    /// As [`listen_webtransport`](Self::listen_webtransport).
    ///
    /// # Cancel safety
    /// As [`listen_webtransport`](Self::listen_webtransport).
    #[cfg(feature = "webtransport")]
    #[cfg_attr(docsrs, doc(cfg(feature = "webtransport")))]
    pub async fn serve_webtransport(&self, socket: std::net::UdpSocket, tls: crate::Tls) -> std::io::Result<()> {
        self.start_cluster();
        crate::http::serve_webtransport(self.inner().clone(), socket, tls).await
    }

    /// As [`listen`](Self::listen), on a listener of yours, a `TcpListener` or [`Listener::tls`]: one on port 0 tells its address.
    ///
    /// # Errors
    /// None today; out of descriptors, it waits and goes on.
    pub async fn serve(&self, listener: impl Into<Listener>) -> std::io::Result<()> {
        self.start_cluster();
        crate::http::serve(listener.into(), self.service(), &self.inner().core).await;
        Ok(())
    }

    /// As [`serve`](Self::serve), with a tower service of yours for all other paths, an axum `Router` among them.
    ///
    /// Beside [`layer`](Self::layer) it brings this server's limits on the heads of requests, and the client's address in
    /// [`Handshake::address`](crate::Handshake::address).
    ///
    /// # Errors
    /// None today; out of descriptors, it waits and goes on.
    pub async fn serve_with<S, R>(&self, listener: impl Into<Listener>, service: S) -> std::io::Result<()>
    where
        S: tower_service::Service<Request<Incoming>, Response = Response<R>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send,
        R: http_body::Body<Data = Bytes> + Send + 'static,
        R::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.start_cluster();
        crate::http::serve(listener.into(), Service::new(self.inner().clone(), service), &self.inner().core).await;
        Ok(())
    }

    /// Serves one client over any byte stream that has been upgraded to WebSocket already: tests in memory, other HTTP stacks.
    ///
    /// `request` is what asked for the upgrade: its query says `EIO=4&transport=websocket`. Checks and hooks apply as on HTTP.
    ///
    /// # Errors
    /// The response to send instead, where the request is refused.
    pub async fn accept<S>(&self, stream: S, request: Request<()>) -> Result<(), Response<Bytes>>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
    {
        crate::http::accept(self.inner().clone(), Box::new(stream), request).await
    }

    /// The Engine.IO server below: requests that it refuses, how many sessions there are.
    pub fn engine(&self) -> engine::Server {
        engine::Server::new(self.inner().core.clone())
    }

    /// Counters of the whole server.
    pub fn stats(&self) -> Stats {
        let namespaces = self.inner().namespaces.all();
        let rooms = namespaces.iter().map(|namespace| namespace.rooms.room_count() as u64).sum();
        let core = &self.inner().core;
        let recoverable = core.recovery.as_ref().map_or(0, |recovery| recovery.away_count() as u64);
        let stats = Stats { rooms, recoverable, ..core.stats() };
        match &core.cluster {
            Some(cluster) => cluster.add_to(stats),
            None => stats,
        }
    }

    /// Closes the server: handshakes are refused with 503, every client gets what waits for it and a goodbye, handlers finish.
    ///
    /// The goodbyes are spread, so that clients do not all come back at once: [`Config::drain`] for a thousand sessions
    /// or more, proportionally less for fewer. A polling client has as long again to come for its goodbye; handlers that wait are
    /// waited for without limit. Clients get no `41`, with which stock clients would stay away: WebSockets close
    /// with 1001, polls with a close packet; what WebTransport clients have not taken within two seconds is lost. At last it leaves its cluster. What is kept for clients that may come back is dropped at once. Beside axum call it within `with_graceful_shutdown`, which does not wait for upgraded connections.
    ///
    /// # Cancel safety
    /// Dropped, the sessions not told yet stay open; call it again.
    pub async fn close(&self) {
        self.inner().core.close().await;
        if let Some(cluster) = &self.inner().core.cluster {
            cluster.close(self.inner()).await;
        }
    }

    /// The name under which other servers of the cluster know this one; `None` without a [bus](crate::Config::bus).
    pub fn server_uid(&self) -> Option<&Uid> {
        self.inner().core.cluster.as_ref().map(|cluster| cluster.uid())
    }

    /// Sets what is told when the bus fails: it is out of reach, or messages of other servers were lost. Clients of this server are
    /// not disturbed by that. It is traced too, and counted in [`Stats::bus_errors`].
    pub fn on_bus_error(&self, hook: impl Fn(&BusError) + Send + Sync + 'static) {
        if let Some(cluster) = &self.inner().core.cluster {
            cluster.set_hook(Arc::new(hook));
        }
    }

    /// The options it was made with.
    pub fn config(&self) -> &Config {
        &self.inner().core.config
    }
}

impl Default for Io {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Io {
    type Target = Namespace;

    fn deref(&self) -> &Namespace {
        &self.root
    }
}

impl std::fmt::Debug for Io {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Io").field("path", &self.config().path).finish_non_exhaustive()
    }
}

impl Host for IoInner {
    fn core(&self) -> &Arc<Core> {
        &self.core
    }

    fn paths(&self) -> &Paths {
        &self.paths
    }

    fn is_native(&self, path: &str) -> bool {
        self.natives.read().contains_key(path)
    }

    fn start(self: Arc<Self>, opening: Opening, link: Link) {
        if let Some(cluster) = &self.core.cluster {
            cluster.start(&self);
        }
        let version = opening.dialect.version;
        let parser = self.core.config.parser.clone();
        let connection = Connection::new(self, version);
        match parser {
            None => Session::spawn(opening, link, connection),
            Some(parser) => Session::spawn(opening, link, ParsedConnection::new(connection, &*parser)),
        }
    }

    fn start_native(self: Arc<Self>, opening: Opening, link: Link, path: &str) {
        let Link::WebSocket(websocket) = &link else { return };
        let Dialect::Native { raw } = websocket.dialect else { return };
        let Some(namespace) = self.natives.read().get(path).cloned() else { return };
        Session::spawn(opening, link, NativeConnection::new(self.clone(), namespace, raw));
    }
}

impl Core {
    /// See [`Io::close`].
    pub(crate) async fn close(&self) {
        use crate::error::DisconnectReason::ServerShuttingDown;
        use crate::outbox::Command;

        #[cfg(feature = "webtransport")]
        let endpoints = self.endpoints.hold();
        let sessions = self.begin_closing();
        let gap = self.config.drain / u32::try_from(sessions.len().max(1000)).unwrap_or(u32::MAX);
        let started = tokio::time::Instant::now();
        for (told, session) in (0u32..).zip(sessions) {
            tokio::time::sleep_until(started + gap * told).await;
            session.outbox.command(Command::Close { reason: ServerShuttingDown, flush: true });
        }
        loop {
            let ended = self.session_ended.notified();
            if self.counters.snapshot().sessions == 0 {
                break;
            }
            // A session may end between the count and the wait.
            let _ = tokio::time::timeout(Duration::from_millis(100), ended).await;
        }
        self.closed.notify_waiters();
        #[cfg(feature = "webtransport")]
        crate::http::Endpoints::farewell(endpoints).await;
    }

    /// From now on no session opens; those that are there, or are being opened and may not have seen it, are to be told.
    pub(crate) fn begin_closing(&self) -> Vec<Arc<Shared>> {
        self.closing.store(true, Ordering::Release);
        if let Some(recovery) = &self.recovery {
            recovery.close();
        }
        self.registry.all()
    }
}
