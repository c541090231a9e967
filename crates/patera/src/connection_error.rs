//! Requests that were refused, told to whoever asks: socket.io's `connection_error` of the engine.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwapOption;
use http::request::Parts;
use hyper::upgrade::OnUpgrade;
use patera_protocol::engineio::{Query, RequestError, Transport};
use patera_protocol::socketio::{Map, Value};

use crate::core::Core;
use crate::handshake::Handshake;
use crate::tasks::catch;
use crate::trace::trace;

/// A request that opened no session, or found none: what [`on_connection_error`](crate::engine::Server::on_connection_error)
/// gets.
#[derive(Clone, Debug)]
pub struct ConnectionError {
    request: Handshake,
    error: RequestError,
    context: Map,
}

impl ConnectionError {
    /// The code in the answer: 0 unknown transport, 1 unknown session id, 2 bad handshake method, 3 bad request, 4 forbidden,
    /// 5 unsupported protocol version.
    pub fn code(&self) -> u8 {
        self.error.code()
    }

    /// The message in the answer, such as `Session ID unknown`.
    pub fn message(&self) -> &str {
        self.error.message()
    }

    /// What was wrong with it, by code:
    ///
    /// ```text
    /// 0 {"transport":"carrier pigeon"}   1 {"sid":"unknown"}   2 {"method":"POST"}
    /// 3 {"name":"TRANSPORT_MISMATCH"}, or INVALID_ORIGIN, PROTOCOL_MISMATCH, TRANSPORT_HANDSHAKE_ERROR, BAD_REQUEST,
    ///   {"name":"ID_GENERATION_ERROR","error":"another session has this id"}
    /// 4 {"message":"Forbidden"}          5 {"protocol":"2"}
    /// ```
    pub fn context(&self) -> &Map {
        &self.context
    }

    /// The request: its URL, headers and address.
    pub fn request(&self) -> &Handshake {
        &self.request
    }
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for ConnectionError {}

type Hook = Arc<dyn Fn(&ConnectionError) + Send + Sync>;

/// Who wants to hear of them; nobody, most often.
#[derive(Default)]
pub(crate) struct ConnectionErrors(ArcSwapOption<Hook>);

impl ConnectionErrors {
    pub(crate) fn set_hook(&self, hook: impl Fn(&ConnectionError) + Send + Sync + 'static) {
        self.0.store(Some(Arc::new(Arc::new(hook))));
    }

    /// What a request says, kept before it is answered, if somebody wants to hear of it should it be refused.
    pub(crate) fn watch(&self, parts: &Parts, upgrade: bool) -> Option<Watched> {
        let hook = self.0.load_full()?;
        let mut extensions = parts.extensions.clone();
        extensions.remove::<OnUpgrade>();
        let request = Handshake::new(&parts.uri, &parts.headers, extensions, Instant::now());
        Some(Watched { hook, request, method: parts.method.to_string(), upgrade })
    }
}

/// A request that somebody wants to hear of.
pub(crate) struct Watched {
    hook: Arc<Hook>,
    request: Handshake,
    method: String,
    upgrade: bool,
}

impl Watched {
    pub(crate) fn refused(self, core: &Core, error: &RequestError) {
        let context = match error {
            RequestError::UnknownTransport => self.parameter("transport", "transport"),
            RequestError::UnknownSid => self.parameter("sid", "sid"),
            RequestError::UnsupportedProtocolVersion => self.parameter("protocol", "EIO"),
            RequestError::BadHandshakeMethod => entry("method", &self.method),
            RequestError::Forbidden(message) => entry("message", message),
            RequestError::BadRequest => match self.fault(core) {
                Some(name) => entry("name", name),
                None => return,
            },
        };
        self.tell(error.clone(), context);
    }

    pub(crate) fn handshake_refused(self) {
        self.tell(RequestError::BadRequest, entry("name", "TRANSPORT_HANDSHAKE_ERROR"));
    }

    pub(crate) fn id_refused(self, why: &str) {
        let mut context = entry("name", "ID_GENERATION_ERROR");
        context.insert("error", Value::from(why));
        self.tell(RequestError::BadRequest, context);
    }

    fn tell(self, error: RequestError, context: Map) {
        let error = ConnectionError { request: self.request, error, context };
        if catch(|| (self.hook)(&error)).is_none() {
            trace!(error, "patera::engine", "the hook of connection errors panicked");
        }
    }

    fn parameter(&self, key: &str, name: &str) -> Map {
        let value = self.request.query_value(name).map_or(Value::Null, Value::from);
        let mut context = Map::new();
        context.insert(key, value);
        context
    }

    /// What is bad about a bad request. A packet that a living session does not like is its own matter: `None`.
    fn fault(&self, core: &Core) -> Option<&'static str> {
        let origin = self.request.headers();
        if origin.get_all("origin").iter().any(|origin| origin.to_str().is_err()) {
            return Some("INVALID_ORIGIN");
        }
        let query = self.request.url().split_once('?').map_or("", |(_, query)| query);
        let Ok(query) = Query::parse(query) else { return Some("BAD_REQUEST") };
        let websocket = query.transport() == Ok(Transport::WebSocket);
        match &query.sid {
            _ if websocket != self.upgrade => Some("TRANSPORT_MISMATCH"),
            None => Some("BAD_REQUEST"),
            Some(sid) => {
                let session = core.registry.find(sid)?;
                let version = query.version_with_eio3(true).ok()?;
                (version != session.dialect.version).then_some("PROTOCOL_MISMATCH")
            }
        }
    }
}

fn entry(key: &str, value: &str) -> Map {
    let mut context = Map::new();
    context.insert(key, value);
    context
}
