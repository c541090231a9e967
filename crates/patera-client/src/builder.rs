//! Building a client: options, handlers, then connect.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use patera_protocol::engineio::Transport;
use patera_protocol::handler::{Handler, IntoReply};
use serde::Serialize;

use crate::address::Address;
use crate::auth::Auth;
use crate::client::Client;
use crate::config::{Config, Parser};
use crate::engine::Endpoint;
use crate::error::ConnectError;
use crate::handler::{EventHandler, event_handler};
use crate::manager::Manager;
use crate::tls::Tls;

/// Options and handlers of a client to be: [`Client::builder`].
#[must_use = "nothing happens before `connect`"]
pub struct ClientBuilder {
    url: String,
    config: Config,
    auth: Result<Auth, serde_json::Error>,
    handlers: Vec<(String, Arc<dyn EventHandler>)>,
    lifecycle: Vec<Arc<dyn EventHandler>>,
}

impl ClientBuilder {
    pub(crate) fn new(url: String) -> Self {
        ClientBuilder {
            url,
            config: Config::default(),
            auth: Ok(Auth::None),
            handlers: Vec::new(),
            lifecycle: Vec::new(),
        }
    }

    /// What the server is told at each connection: an object, such as `json!({"token": "…"})`.
    pub fn auth(mut self, auth: impl Serialize) -> Self {
        self.auth = serde_json::to_value(auth).map(Auth::Value);
        self
    }

    /// As [`auth`](ClientBuilder::auth), asked for at each connection and reconnection: a token that is fresh each time. Where it
    /// fails, the attempt fails with [`ConnectError::Auth`] and is repeated like any other.
    ///
    /// ```no_run
    /// # use patera_client::Client;
    /// # async fn fetch_token() -> Result<String, std::io::Error> { Ok(String::new()) }
    /// let builder = Client::builder("https://example.com").auth_with(async || {
    ///     let token = fetch_token().await?;
    ///     Ok::<_, std::io::Error>(serde_json::json!({"token": token}))
    /// });
    /// ```
    pub fn auth_with<F, Fut, T, E>(mut self, auth: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: Serialize,
        E: fmt::Display,
    {
        self.auth = Ok(Auth::closure(auth));
        self
    }

    /// A handler of an event: see [`Socket::on`](crate::Socket::on).
    pub fn on<P: 'static, H>(mut self, event: &str, handler: H) -> Self
    where
        H: Handler<Client, P>,
        H::Output: IntoReply,
    {
        self.handlers.push((event.to_owned(), event_handler(handler)));
        self
    }

    /// A handler of the socket's life: see [`Socket::on_lifecycle`](crate::Socket::on_lifecycle).
    pub fn on_lifecycle<P: 'static, H>(mut self, handler: H) -> Self
    where
        H: Handler<Client, P, Output = ()>,
    {
        self.lifecycle.push(event_handler(handler));
        self
    }

    /// Where the server listens, as a path. `/socket.io`.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.config.path = path.into();
        self
    }

    /// Transports to try, the first one first. Polling, then WebSocket.
    pub fn transports(mut self, transports: impl IntoIterator<Item = Transport>) -> Self {
        self.config.transports = transports.into_iter().collect();
        self
    }

    /// Whether to change from polling to WebSocket. True.
    pub fn upgrade(mut self, upgrade: bool) -> Self {
        self.config.upgrade = upgrade;
        self
    }

    /// Adds a pair to the query of every request.
    pub fn query(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.config.query.push((name.into(), value.into()));
        self
    }

    /// Adds a header to every request.
    pub fn extra_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.config.extra_headers.append(name, value);
        self
    }

    /// Whether cookies of the server are kept and sent along. False.
    pub fn with_credentials(mut self, with_credentials: bool) -> Self {
        self.config.with_credentials = with_credentials;
        self
    }

    /// Whether a connection that is lost is tried again. True.
    pub fn reconnection(mut self, reconnection: bool) -> Self {
        self.config.reconnection = reconnection;
        self
    }

    /// How many attempts before giving up. No end.
    pub fn reconnection_attempts(mut self, attempts: u32) -> Self {
        self.config.reconnection_attempts = Some(attempts);
        self
    }

    /// The delay before the first attempt, which doubles each time. 1 s.
    pub fn reconnection_delay(mut self, delay: Duration) -> Self {
        self.config.reconnection_delay = delay;
        self
    }

    /// The longest delay. 5 s.
    pub fn reconnection_delay_max(mut self, delay: Duration) -> Self {
        self.config.reconnection_delay_max = delay;
        self
    }

    /// How far delays scatter, from 0 to 1. 0.5.
    pub fn randomization_factor(mut self, factor: f64) -> Self {
        self.config.randomization_factor = factor;
        self
    }

    /// How long the server may take to let us in. 20 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.config.timeout = Some(timeout);
        self
    }

    /// How long every acknowledgement may take that asks for no other time. As long as it takes.
    pub fn ack_timeout(mut self, timeout: Duration) -> Self {
        self.config.ack_timeout = Some(timeout);
        self
    }

    /// How often an event is sent again until it is acknowledged. 0: see [`Config::retries`].
    pub fn retries(mut self, retries: u32) -> Self {
        self.config.retries = retries;
        self
    }

    /// How packets are written. JSON.
    pub fn parser(mut self, parser: Parser) -> Self {
        self.config.parser = parser;
        self
    }

    /// An HTTP proxy: `http://user:password@proxy:3128`.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.config.proxy = Some(url.into());
        self
    }

    /// How servers prove who they are.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.config.tls = tls;
        self
    }

    /// Changes any option.
    pub fn configure(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// The connection alone, for several namespaces; the URL's own, `auth` and the handlers are passed over.
    ///
    /// # Errors
    /// The URL, the path or the proxy is none.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn manager(self) -> Result<Manager, ConnectError> {
        Ok(Manager::start(Endpoint::new(Address::parse(&self.url)?, Arc::new(self.config))?))
    }

    /// The URL and the options, for what is no client.
    pub(crate) fn into_parts(self) -> (String, Config) {
        (self.url, self.config)
    }

    /// The client, not connected yet: [`connect`](crate::Socket::connect) when all is ready. For clients that are to keep trying
    /// from the start: `client.connect();` without awaiting it.
    ///
    /// # Errors
    /// The URL, the path or the proxy is none, or `auth` cannot be JSON.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn build(self) -> Result<Client, ConnectError> {
        let address = Address::parse(&self.url)?;
        let namespace = address.namespace.clone();
        let auth = self.auth.map_err(|error| ConnectError::Auth(error.to_string()))?;
        let client = Manager::start(Endpoint::new(address, Arc::new(self.config))?).socket(&namespace)?;
        client.replace_auth(auth);
        for (event, handler) in self.handlers {
            client.0.listeners.on(&event, handler, false);
        }
        for handler in self.lifecycle {
            client.0.listeners.on_lifecycle(None, handler);
        }
        Ok(client)
    }

    /// Connects, and gives the client once the server has let it in. From then on it reconnects by itself; if this first attempt
    /// fails there is no client, and nothing goes on.
    ///
    /// # Errors
    /// See [`ConnectError`].
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    ///
    /// # Cancel safety
    /// Dropped before it resolves, there is no client and no connection.
    pub async fn connect(self) -> Result<Client, ConnectError> {
        let client = self.build()?;
        client.connect().await?;
        Ok(client)
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder").field("url", &self.url).field("config", &self.config).finish_non_exhaustive()
    }
}
