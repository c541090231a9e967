//! HTTP long-polling: the handshake, a GET that waits, a POST that brings packets.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, SET_COOKIE, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response};
use patera_protocol::engineio::{Query, RequestError, Transport};
use tokio::sync::oneshot;

use super::body;
use super::refusal::Refusal;
use super::respond::{Host, admit};
use crate::core::{Core, LinkState, Shared};
use crate::error::DisconnectReason;
use crate::outbox::{Command, PollAnswer};
use crate::session::Link;
use crate::transport::{PollingLink, Post, PostAnswer};

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=UTF-8");
const HTML: HeaderValue = HeaderValue::from_static("text/html");

/// `GET …EIO=4&transport=polling`: opens a session, answers the open packet.
pub(super) async fn open(host: Arc<dyn Host>, parts: Parts, query: &Query<'_>) -> Result<Response<Bytes>, Refusal> {
    let core = host.core().clone();
    let handshake = admit(&core, &parts, Some(query)).await?;
    let shared = Shared::new(core.clone(), handshake, LinkState::Polling);
    let response = answer(core.open_packet(&shared.sid, Transport::Polling).into(), TEXT, &parts.headers);
    let mut response = compress(&core, &parts, response).await;
    let headers = response.headers_mut();
    if let Some(cookie) = core.config.cookie.as_ref().and_then(|cookie| cookie.header(shared.sid.as_str())) {
        headers.append(SET_COOKIE, cookie);
    }
    if let Some(hook) = &core.config.initial_headers {
        hook(headers, &shared.handshake);
    }
    add_headers(&shared, headers);
    host.start(shared, Link::Polling(PollingLink::default()));
    Ok(response)
}

/// A request of a session that is there.
pub(super) async fn exchange<B>(parts: Parts, body: B, session: Arc<Shared>) -> Result<Response<Bytes>, Refusal>
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
{
    if parts.method != Method::GET && parts.method != Method::POST {
        return Err(Refusal::Method);
    }
    if session.link() == LinkState::WebSocket {
        return Err(RequestError::BadRequest.into());
    }
    let mut response = match parts.method {
        Method::GET => poll(&parts, &session).await,
        _ => post(&parts, body, &session).await,
    }?;
    add_headers(&session, response.headers_mut());
    Ok(response)
}

async fn poll(parts: &Parts, session: &Arc<Shared>) -> Result<Response<Bytes>, Refusal> {
    let (sender, receiver) = oneshot::channel();
    session.outbox.command(Command::Poll(sender));
    match receiver.await {
        Ok(PollAnswer::Payload { body, compress: may }) => {
            let response = answer(body.into(), TEXT, &parts.headers);
            Ok(if may { compress(&session.core, parts, response).await } else { response })
        }
        Ok(PollAnswer::Overlap) => Err(Refusal::Overlap),
        // The session ended, or moved to WebSocket, before it saw the request.
        Err(_) if session.link() == LinkState::WebSocket => Err(RequestError::BadRequest.into()),
        Err(_) => Err(RequestError::UnknownSid.into()),
    }
}

async fn post<B>(parts: &Parts, body: B, session: &Arc<Shared>) -> Result<Response<Bytes>, Refusal>
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
{
    let end = |refusal| {
        session.outbox.command(Command::Close { reason: DisconnectReason::TransportError, flush: false });
        refusal
    };
    if session.posting.swap(true, Ordering::AcqRel) {
        return Err(end(Refusal::Overlap));
    }
    let _posting = Posting(session);
    let kind = parts.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    if kind.is_some_and(|kind| kind.starts_with(b"application/octet-stream")) {
        return Err(end(Refusal::Overlap));
    }
    if parts.headers.contains_key(CONTENT_ENCODING) {
        return Err(end(Refusal::Encoded));
    }
    let body = body::read(body, &parts.headers, &session.core.config).await.map_err(end)?;
    let (sender, receiver) = oneshot::channel();
    session.outbox.command(Command::Post(Post { body, answer: sender }));
    match receiver.await {
        Ok(PostAnswer::Taken) => Ok(answer(Bytes::from_static(b"ok"), HTML, &parts.headers)),
        Ok(PostAnswer::Invalid) => Err(RequestError::BadRequest.into()),
        Err(_) => Err(RequestError::UnknownSid.into()),
    }
}

/// One POST at a time; the next one may come when this is dropped, whatever became of it.
struct Posting<'a>(&'a Shared);

impl Drop for Posting<'_> {
    fn drop(&mut self) {
        self.0.posting.store(false, Ordering::Release);
    }
}

fn answer(body: Bytes, content_type: HeaderValue, request: &HeaderMap) -> Response<Bytes> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Old Internet Explorers take a payload for an attack.
    let agent = request.get(USER_AGENT).map(HeaderValue::as_bytes).unwrap_or_default();
    let contains = |part: &[u8]| agent.windows(part.len()).any(|window| window == part);
    if contains(b";MSIE") || contains(b"Trident/") {
        headers.insert("x-xss-protection", HeaderValue::from_static("0"));
    }
    response
}

async fn compress(core: &Core, parts: &Parts, response: Response<Bytes>) -> Response<Bytes> {
    match &core.config.http_compression {
        Some(compression) => compression.apply(&parts.headers, response).await,
        None => response,
    }
}

/// The user's headers for every response of a session.
pub(super) fn add_headers(session: &Shared, headers: &mut HeaderMap) {
    if let Some(hook) = &session.core.config.headers {
        hook(headers, &session.handshake);
    }
}
