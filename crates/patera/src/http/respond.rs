//! One request to the endpoint: checked in the reference's order, then handed to polling or WebSocket.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::header::{HOST, ORIGIN, UPGRADE};
use http::request::Parts;
use http::{Method, Request, Response};
use patera_protocol::engineio::{Query, RequestError, Transport, Version};

#[cfg(feature = "serve-client")]
use super::client;
use super::paths::Paths;
use super::refusal::Refusal;
use super::{polling, websocket};
use crate::admission::Reserved;
use crate::connection_error::Watched;
use crate::core::{Core, EngineDialect, LinkState, Shared};
use crate::handshake::Handshake;
use crate::opening::Opening;
use crate::session::Link;
use crate::sid::Id;
use crate::stats::count;
use crate::trace::trace;

/// What serves the sessions that HTTP opens: Socket.IO, or a user's protocol on Engine.IO.
pub(crate) trait Host: Send + Sync + 'static {
    fn core(&self) -> &Arc<Core>;
    fn paths(&self) -> &Paths;
    /// Whether plain WebSockets are served at this path.
    fn is_native(&self, path: &str) -> bool;
    fn start(self: Arc<Self>, opening: Opening, link: Link);
    fn start_native(self: Arc<Self>, opening: Opening, link: Link, path: &str);
}

impl dyn Host {
    pub(crate) fn serves(&self, path: &str) -> bool {
        self.paths().matches(path) || self.is_native(path)
    }
}

/// What is called here are users' hooks. One that panics costs its request, and no other on the same HTTP connection.
pub(crate) async fn respond<B>(host: Arc<dyn Host>, request: Request<B>) -> Response<Bytes>
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
{
    let core = host.core().clone();
    let answered = AssertUnwindSafe(answer(host, request)).catch_unwind().await;
    answered.unwrap_or_else(|_| {
        trace!(error, "patera::engine", "a hook of requests panicked");
        refuse(&core, &Refusal::Panicked, None);
        Refusal::Panicked.response(false)
    })
}

async fn answer<B>(host: Arc<dyn Host>, request: Request<B>) -> Response<Bytes>
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
{
    let core = host.core().clone();
    let (parts, body) = request.into_parts();
    let preflight = core.config.cors.as_ref().filter(|_| parts.method == Method::OPTIONS);
    if let Some(answer) = preflight.and_then(|cors| cors.preflight(&parts.headers)) {
        return answer.map(|()| Bytes::new());
    }
    // Kept only where it is needed: header values are slices of the connection's read buffer.
    let headers = core.config.cors.as_ref().map(|_| parts.headers.clone());
    let method = parts.method.clone();
    let asked = is_upgrade(&parts);
    let watched = core.connection_errors.watch(&parts, asked);
    let mut response = match route(host, parts, body).await {
        Ok(response) => response,
        Err(refusal) => {
            refuse(&core, &refusal, watched);
            refusal.response(asked)
        }
    };
    if let (Some(cors), Some(headers)) = (&core.config.cors, headers) {
        if method == Method::OPTIONS {
            cors.apply_preflight(&headers, response.headers_mut());
        } else {
            cors.apply(&headers, response.headers_mut());
        }
    }
    response
}

/// A request is refused: counted, traced, and told to who wants to hear of it.
pub(super) fn refuse(core: &Core, refusal: &Refusal, watched: Option<Watched>) {
    trace!(debug, "patera::engine", "request refused", why = ?refusal);
    count(&core.counters.refused, 1);
    if matches!(refusal, Refusal::Crowded(_)) {
        count(&core.counters.crowded, 1);
    }
    match (watched, refusal) {
        (Some(watched), Refusal::Engine(error)) => watched.refused(core, error),
        (Some(watched), Refusal::WebSocket(_)) => watched.handshake_refused(),
        (Some(watched), Refusal::Crowded(why)) => watched.refused(core, &RequestError::Forbidden(why.message().into())),
        (Some(watched), Refusal::Id(why)) => watched.id_refused(why),
        (_, _) => {}
    }
}

async fn route<B>(host: Arc<dyn Host>, parts: Parts, body: B) -> Result<Response<Bytes>, Refusal>
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
{
    if parts.headers.get_all(HOST).iter().count() > 1 {
        return Err(RequestError::BadRequest.into());
    }
    if host.is_native(parts.uri.path()) {
        check_origin(host.core(), &parts)?;
        return websocket::open_native(host, parts).await;
    }
    #[cfg(feature = "serve-client")]
    if host.core().config.serve_client
        && let Some(file) = client::find(host.paths(), &parts)
    {
        return Ok(file.respond(&parts.headers).await);
    }
    let uri = parts.uri.clone();
    let query = Query::parse(uri.query().unwrap_or_default())?;
    let transport = query.transport.as_deref().and_then(|name| name.parse::<Transport>().ok());
    // WebTransport has no request of its own here, as in the reference.
    let transport = transport.filter(|transport| *transport != Transport::WebTransport);
    let transport = transport.filter(|transport| host.core().config.transports.contains(transport));
    let transport = transport.ok_or(RequestError::UnknownTransport)?;
    check_origin(host.core(), &parts)?;
    if let Some(sid) = &query.sid {
        let session = host.core().registry.find(sid).ok_or(RequestError::UnknownSid)?;
        return match (transport, is_upgrade(&parts)) {
            (Transport::WebSocket, true) => websocket::take_over(host, parts, &query, session).await,
            (Transport::Polling, false) => {
                let exchange = polling::Exchange::new(&parts, &query, session)?;
                drop(query);
                drop(uri);
                exchange.run(parts, body).await
            }
            (Transport::WebSocket | Transport::WebTransport, false)
            | (Transport::Polling | Transport::WebTransport, true) => Err(RequestError::BadRequest.into()),
        };
    }
    if parts.method != Method::GET {
        return Err(RequestError::BadHandshakeMethod.into());
    }
    if (transport == Transport::WebSocket) != is_upgrade(&parts) {
        return Err(RequestError::BadRequest.into());
    }
    match transport {
        Transport::WebSocket => websocket::open(host, parts, &query).await,
        Transport::Polling => polling::open(host, parts, &query).await,
        Transport::WebTransport => Err(RequestError::UnknownTransport.into()),
    }
}

/// Lets a client in or not, and opens a session for it. Plain WebSockets have no query of ours.
pub(super) async fn admit(
    core: &Arc<Core>,
    parts: &Parts,
    query: Option<&Query<'_>>,
    state: LinkState,
) -> Result<Opening, Refusal> {
    if core.is_closing() {
        return Err(Refusal::Closing);
    }
    let handshake = Handshake::new(&parts.uri, &parts.headers, parts.extensions.clone(), Instant::now());
    let dialect = || match query {
        None => Ok(EngineDialect::default()),
        Some(query) => {
            let version = query.version_with_eio3(core.config.allow_eio3)?;
            Ok(EngineDialect { version, base64: query.base64, recovers: version == Version::V4 })
        }
    };
    admit_handshake(core, handshake, dialect, state).await
}

/// The same, of a client whose handshake is known.
pub(super) async fn admit_handshake(
    core: &Arc<Core>,
    handshake: Handshake,
    dialect: impl FnOnce() -> Result<EngineDialect, RequestError>,
    state: LinkState,
) -> Result<Opening, Refusal> {
    if core.is_closing() {
        return Err(Refusal::Closing);
    }
    let reserved = Reserved::new(core, &handshake, tokio::time::Instant::now().into_std())?;
    if let Some(hook) = &core.config.allow_request {
        let allowed = hook(handshake.clone()).await;
        allowed.map_err(|error| RequestError::Forbidden(error.message().into_owned().into()))?;
    }
    let dialect = dialect()?;
    let id = match &core.config.generate_id {
        None => Id::random(),
        Some(hook) => {
            let id = hook(handshake.clone()).await.map_err(|error| Refusal::Id(error.message().into_owned().into()))?;
            Id::given(id)?
        }
    };
    Ok(Opening::new(Shared::new(core.clone(), reserved.take(), id, handshake, dialect, state))?)
}

pub(super) fn is_upgrade(parts: &Parts) -> bool {
    let value = parts.headers.get(UPGRADE).and_then(|value| value.to_str().ok());
    value.is_some_and(|value| value.split(',').any(|token| token.trim().eq_ignore_ascii_case("websocket")))
}

/// `Origin` must be text, and one of the list where there is one. A request without it comes from no browser.
pub(super) fn check_origin(core: &Core, parts: &Parts) -> Result<(), RequestError> {
    for origin in parts.headers.get_all(ORIGIN) {
        let origin = origin.to_str().map_err(|_| RequestError::BadRequest)?;
        let allowed = core.config.origins.as_ref();
        if allowed.is_some_and(|allowed| !allowed.iter().any(|allowed| allowed == origin)) {
            return Err(RequestError::forbidden());
        }
    }
    Ok(())
}
