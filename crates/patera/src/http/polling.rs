//! HTTP long-polling: the handshake, a GET that waits, a POST that brings packets. And JSONP, which old browsers do it by.

use std::hash::{DefaultHasher, Hasher as _};
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
use super::encodings::Encoding;
use super::refusal::Refusal;
use super::respond::{Host, admit};
use crate::core::{Core, EngineDialect, LinkState, Shared};
use crate::error::DisconnectReason;
use crate::outbox::{Command, Poll, PollAnswer, Stamp};
use crate::session::Link;
use crate::tasks::catch;
use crate::trace::trace;
use crate::transport::{PollingLink, Post, PostAnswer};

const HTML: HeaderValue = HeaderValue::from_static("text/html");

/// `GET …EIO=4&transport=polling`: opens a session, answers the open packet, and the initial one if there is one.
pub(super) async fn open(host: Arc<dyn Host>, parts: Parts, query: &Query<'_>) -> Result<Response<Bytes>, Refusal> {
    let core = host.core().clone();
    let opening = admit(&core, &parts, Some(query), LinkState::Polling).await?;
    let format = format(&core, query, opening.dialect)?;
    let mut payload = payload::Encoder::with_format(format);
    payload.push_text(core.open_packet(&opening.sid, Transport::Polling).as_bytes());
    if let Some(initial) = &core.initial_packet {
        initial.write_payload(opening.dialect.version, &mut payload);
        core.counters.sent(1, initial.size());
    }
    let content_type = HeaderValue::from_static(payload.content_type());
    let asked = Asked::new(&core, &parts.headers);
    let response = asked.answer(payload.finish().into(), content_type);
    let mut response = asked.compress(&core, response).await;
    let headers = response.headers_mut();
    if let Some(cookie) = core.config.cookie.as_ref().and_then(|cookie| cookie.header(opening.sid.as_str())) {
        headers.append(SET_COOKIE, cookie);
    }
    if let Some(hook) = &core.config.initial_headers {
        hook(headers, &opening.handshake);
    }
    add_headers(&opening, headers)?;
    host.start(opening, Link::Polling(PollingLink::default()));
    Ok(response)
}

/// A request of a session that is there, and may be.
pub(super) struct Exchange {
    session: Arc<Shared>,
    format: Format,
    stamp: Option<Stamp>,
    asked: Asked,
}

impl Exchange {
    /// # Errors
    /// The request does not fit the session.
    pub(super) fn new(parts: &Parts, query: &Query<'_>, session: Arc<Shared>) -> Result<Self, Refusal> {
        if parts.method != Method::GET && parts.method != Method::POST {
            return Err(Refusal::Method);
        }
        if session.transport() != Transport::Polling {
            return Err(RequestError::BadRequest.into());
        }
        if query.version_with_eio3(session.core.config.allow_eio3) != Ok(session.dialect.version) {
            return Err(RequestError::BadRequest.into());
        }
        let format = format(&session.core, query, session.dialect)?;
        let asked = Asked::new(&session.core, &parts.headers);
        // Elsewhere nobody is promised every event.
        let is_promised = session.dialect.recovers && session.core.recovery.is_some();
        let stamp = if is_promised { stamp(parts) } else { None };
        Ok(Exchange { session, format, stamp, asked })
    }

    /// Waits, without the request: while its headers live, the HTTP server cannot use its read buffer again.
    pub(super) async fn run<B>(self, parts: Parts, body: B) -> Result<Response<Bytes>, Refusal>
    where
        B: http_body::Body + Send + 'static,
        B::Data: Send,
    {
        let mut response = if parts.method == Method::GET {
            drop((parts, body));
            self.poll().await?
        } else {
            self.post(parts, body).await?
        };
        add_headers(&self.session, response.headers_mut())?;
        Ok(response)
    }

    async fn poll(&self) -> Result<Response<Bytes>, Refusal> {
        let Exchange { session, format, stamp, asked } = self;
        let (sender, receiver) = oneshot::channel();
        session.outbox.command(Command::Poll(Poll { format: *format, stamp: *stamp, answer: sender }));
        match receiver.await {
            Ok(PollAnswer::Payload { body, content_type, compress }) => {
                let response = asked.answer(body.into(), HeaderValue::from_static(content_type));
                Ok(if compress { asked.compress(&session.core, response).await } else { response })
            }
            Ok(PollAnswer::Overlap) => Err(Refusal::Overlap),
            // The session ended, or moved to another transport, before it saw the request.
            Err(_) if session.transport() != Transport::Polling => Err(RequestError::BadRequest.into()),
            Err(_) => Err(RequestError::UnknownSid.into()),
        }
    }

    async fn post<B>(&self, parts: Parts, body: B) -> Result<Response<Bytes>, Refusal>
    where
        B: http_body::Body + Send + 'static,
        B::Data: Send,
    {
        let Exchange { session, format, asked, .. } = self;
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
                let (body, reader) = read_v3(body, kind, *format).map_err(|_| end_invalid(session))?;
                (body, Some(Box::new(reader.with_control_packets_max(control_packets_max))))
            }
        };
        drop(parts);
        let (sender, receiver) = oneshot::channel();
        session.outbox.command(Command::Post(Post { body, reader_v3, answer: sender }));
        match receiver.await {
            Ok(PostAnswer::Taken) => Ok(asked.answer(Bytes::from_static(b"ok"), HTML)),
            Ok(PostAnswer::Invalid) => Err(RequestError::BadRequest.into()),
            Err(_) => Err(RequestError::UnknownSid.into()),
        }
    }
}

/// Stock clients make the URL of each request unique by `t`, so that no cache answers it.
fn stamp(parts: &Parts) -> Option<Stamp> {
    let stamp = parts.uri.query()?.split('&').find_map(|pair| pair.strip_prefix("t="))?;
    let mut hasher = DefaultHasher::new();
    hasher.write(stamp.as_bytes());
    Some(Stamp(hasher.finish()))
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

/// What a request's headers say about its answer.
struct Asked {
    by_old_explorer: bool,
    encoding: Option<Encoding>,
}

impl Asked {
    fn new(core: &Core, headers: &HeaderMap) -> Self {
        let agent = headers.get(USER_AGENT).map(HeaderValue::as_bytes).unwrap_or_default();
        let contains = |part: &[u8]| agent.windows(part.len()).any(|window| window == part);
        let compression = core.config.http_compression.as_ref();
        Asked {
            by_old_explorer: contains(b";MSIE") || contains(b"Trident/"),
            encoding: compression.and_then(|compression| compression.choose(headers)),
        }
    }

    fn answer(&self, body: Bytes, content_type: HeaderValue) -> Response<Bytes> {
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, content_type);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.by_old_explorer {
            // They take a payload for an attack.
            headers.insert("x-xss-protection", HeaderValue::from_static("0"));
        }
        response
    }

    async fn compress(&self, core: &Core, response: Response<Bytes>) -> Response<Bytes> {
        match &core.config.http_compression {
            Some(compression) => compression.apply(self.encoding, response).await,
            None => response,
        }
    }
}

/// The user's headers for every response of a session.
///
/// # Errors
/// Their hook panicked. The session ends: what this response was to bring is lost.
pub(super) fn add_headers(session: &Shared, headers: &mut HeaderMap) -> Result<(), Refusal> {
    let Some(hook) = &session.core.config.headers else { return Ok(()) };
    catch(|| hook(headers, &session.handshake)).ok_or_else(|| {
        trace!(error, "patera::engine", "the hook of headers panicked", sid = %session.sid);
        session.outbox.command(Command::Close { reason: DisconnectReason::HandlerPanicked, flush: false });
        Refusal::Panicked
    })
}
