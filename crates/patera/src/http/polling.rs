//! HTTP long-polling: the handshake, a GET that waits, a POST that brings packets. And JSONP, which old browsers do it by.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, SET_COOKIE, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response};
use patera_protocol::engineio::payload::{self, Format, PayloadError};
use patera_protocol::engineio::{Query, RequestError, Transport, Version, jsonp, payload_v3};
use tokio::sync::oneshot;

use super::body;
use super::refusal::Refusal;
use super::respond::{Host, admit};
use crate::core::{Core, EngineDialect, LinkState, Shared};
use crate::error::DisconnectReason;
use crate::outbox::{Command, Poll, PollAnswer};
use crate::session::Link;
use crate::transport::{PollingLink, Post, PostAnswer};

const HTML: HeaderValue = HeaderValue::from_static("text/html");

/// `GET …EIO=4&transport=polling`: opens a session, answers the open packet and nothing else.
pub(super) async fn open(host: Arc<dyn Host>, parts: Parts, query: &Query<'_>) -> Result<Response<Bytes>, Refusal> {
    let core = host.core().clone();
    let (handshake, dialect) = admit(&core, &parts, Some(query)).await?;
    let format = format(&core, query, dialect)?;
    let shared = Shared::new(core.clone(), (handshake, dialect), LinkState::Polling);
    let mut payload = payload::Encoder::with_format(format);
    payload.push_text(core.open_packet(&shared.sid, Transport::Polling).as_bytes());
    let content_type = HeaderValue::from_static(payload.content_type());
    let response = answer(payload.finish().into(), content_type, &parts.headers);
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
pub(super) async fn exchange<B>(
    parts: Parts,
    body: B,
    query: &Query<'_>,
    session: Arc<Shared>,
) -> Result<Response<Bytes>, Refusal>
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
    if query.version_with_eio3(session.core.config.allow_eio3) != Ok(session.dialect.version) {
        return Err(RequestError::BadRequest.into());
    }
    let format = format(&session.core, query, session.dialect)?;
    let mut response = match parts.method {
        Method::GET => poll(&parts, format, &session).await,
        _ => post(&parts, body, format, &session).await,
    }?;
    add_headers(&session, response.headers_mut());
    Ok(response)
}

/// How a request is answered. The handshake has said about base64 what the requests behind it do not repeat.
fn format(core: &Core, query: &Query<'_>, dialect: EngineDialect) -> Result<Format, RequestError> {
    let format = query.format(dialect.version)?;
    // A script tag does not say whose page it is on, and hands the answer to that page.
    if format.jsonp.is_some() && core.config.origins.is_some() {
        return Err(RequestError::forbidden());
    }
    Ok(Format { base64: format.base64 || dialect.base64, ..format })
}

async fn poll(parts: &Parts, format: Format, session: &Arc<Shared>) -> Result<Response<Bytes>, Refusal> {
    let (sender, receiver) = oneshot::channel();
    session.outbox.command(Command::Poll(Poll { format, answer: sender }));
    match receiver.await {
        Ok(PollAnswer::Payload { body, content_type, compress: may }) => {
            let response = answer(body.into(), HeaderValue::from_static(content_type), &parts.headers);
            Ok(if may { compress(&session.core, parts, response).await } else { response })
        }
        Ok(PollAnswer::Overlap) => Err(Refusal::Overlap),
        // The session ended, or moved to WebSocket, before it saw the request.
        Err(_) if session.link() == LinkState::WebSocket => Err(RequestError::BadRequest.into()),
        Err(_) => Err(RequestError::UnknownSid.into()),
    }
}

async fn post<B>(parts: &Parts, body: B, format: Format, session: &Arc<Shared>) -> Result<Response<Bytes>, Refusal>
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
    if format.version == Version::V4 && kind.is_some_and(|kind| kind.starts_with(b"application/octet-stream")) {
        return Err(end(Refusal::Overlap));
    }
    if parts.headers.contains_key(CONTENT_ENCODING) {
        return Err(end(Refusal::Encoded));
    }
    let body = body::read(body, &parts.headers, &session.core.config).await.map_err(end)?;
    let (body, reader_v3) = match format.version {
        Version::V4 => (body, None),
        _ => {
            let control_packets_max = session.core.config.control_packets_max;
            let (body, reader) = read_v3(body, kind, format).map_err(|_| end_invalid(session))?;
            (body, Some(Box::new(reader.with_control_packets_max(control_packets_max))))
        }
    };
    let (sender, receiver) = oneshot::channel();
    session.outbox.command(Command::Post(Post { body, reader_v3, answer: sender }));
    match receiver.await {
        Ok(PostAnswer::Taken) => Ok(answer(Bytes::from_static(b"ok"), HTML, &parts.headers)),
        Ok(PostAnswer::Invalid) => Err(RequestError::BadRequest.into()),
        Err(_) => Err(RequestError::UnknownSid.into()),
    }
}

/// The payload in a body of Engine.IO 3, and what reads it.
fn read_v3(body: Bytes, kind: Option<&[u8]>, format: Format) -> Result<(Bytes, payload_v3::Reader), PayloadError> {
    match format.jsonp {
        Some(_) => Ok((jsonp::decode_form(&body)?.into(), payload_v3::Reader::text())),
        None => Ok((body, payload_v3::Reader::for_content_type(kind.unwrap_or_default()))),
    }
}

/// Ends the session for a body that is no payload.
fn end_invalid(session: &Shared) -> Refusal {
    session.outbox.command(Command::Close { reason: DisconnectReason::ParseError, flush: false });
    RequestError::BadRequest.into()
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
