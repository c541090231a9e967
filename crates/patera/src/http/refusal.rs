//! A request that is refused: what it gets. PROTOCOL "Errors".

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use patera_protocol::engineio::RequestError;

use crate::admission::Crowded;
use crate::sid::IdError;

/// Why a request is refused.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// An Engine.IO error, with its code.
    Engine(RequestError),
    /// The session cannot get the id that was made for it: code 3, as a bad request. Why is for the server alone.
    Id(Cow<'static, str>),
    /// There is no room for one more: 503, or 429 for its address alone.
    Crowded(Crowded),
    /// The WebSocket handshake is malformed.
    WebSocket(patera_websocket::Refusal),
    /// Not GET or POST on a living session: 405.
    Method,
    /// Two requests at once where the protocol allows one, or a body of the wrong type: 400, empty.
    Overlap,
    /// A body over the limit: 413.
    TooLarge,
    /// A body that came too slowly: 408.
    TooSlow,
    /// A body with a Content-Encoding: 415, nothing is inflated.
    Encoded,
    /// Nothing is served at this path, and nobody else is there to say so: 404.
    #[cfg(feature = "webtransport")]
    NotFound,
    /// The server is closing: 503.
    Closing,
    /// A hook of the user's panicked: 500.
    Panicked,
    /// A plain request where only a WebSocket is served: 426.
    WebSocketOnly,
}

impl From<RequestError> for Refusal {
    fn from(error: RequestError) -> Self {
        Refusal::Engine(error)
    }
}

impl From<Crowded> for Refusal {
    fn from(why: Crowded) -> Self {
        Refusal::Crowded(why)
    }
}

impl From<IdError> for Refusal {
    fn from(error: IdError) -> Self {
        Refusal::Id(error.message().into())
    }
}

impl Refusal {
    /// The response; `upgrade` tells whether the request asked for a WebSocket, which gets its message as plain text.
    pub(crate) fn response(&self, upgrade: bool) -> Response<Bytes> {
        let (status, body) = match self {
            Refusal::Engine(error) => return engine(error, upgrade),
            Refusal::Id(_) => return engine(&RequestError::BadRequest, upgrade),
            Refusal::Crowded(why) => return crowded(*why, upgrade),
            Refusal::WebSocket(refusal) => {
                let (parts, body) = refusal.response().into_parts();
                return closing(Response::from_parts(parts, body.into()));
            }
            Refusal::Method => (StatusCode::METHOD_NOT_ALLOWED, ""),
            Refusal::Overlap => (StatusCode::BAD_REQUEST, ""),
            Refusal::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, ""),
            Refusal::TooSlow => (StatusCode::REQUEST_TIMEOUT, ""),
            Refusal::Encoded => (StatusCode::UNSUPPORTED_MEDIA_TYPE, ""),
            #[cfg(feature = "webtransport")]
            Refusal::NotFound => (StatusCode::NOT_FOUND, ""),
            Refusal::Closing => (StatusCode::SERVICE_UNAVAILABLE, "server shutting down"),
            Refusal::Panicked => (StatusCode::INTERNAL_SERVER_ERROR, ""),
            Refusal::WebSocketOnly => (StatusCode::UPGRADE_REQUIRED, "a WebSocket is served here"),
        };
        let mut response = plain(status, Bytes::from_static(body.as_bytes()));
        let headers = response.headers_mut();
        match self {
            Refusal::Method => {
                headers.insert(ALLOW, HeaderValue::from_static("GET, POST"));
                // The connection is as good as before.
                headers.remove(CONNECTION);
            }
            Refusal::WebSocketOnly => {
                headers.insert("upgrade", HeaderValue::from_static("websocket"));
            }
            _ => {}
        }
        response
    }
}

/// As the reference refuses what `allowRequest` does not like, with a status that says when to come again.
fn crowded(why: Crowded, upgrade: bool) -> Response<Bytes> {
    let mut response = engine(&RequestError::Forbidden(why.message().into()), upgrade);
    *response.status_mut() = match why.is_of_address() {
        true => StatusCode::TOO_MANY_REQUESTS,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    response.headers_mut().insert(RETRY_AFTER, why.retry_after().into());
    response
}

fn engine(error: &RequestError, upgrade: bool) -> Response<Bytes> {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
    match upgrade {
        true => plain(status, error.message().to_owned().into()),
        false => json(status, error.body().into()),
    }
}

fn json(status: StatusCode, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn plain(status: StatusCode, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    if !response.body().is_empty() {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    }
    closing(response)
}

fn closing(mut response: Response<Bytes>) -> Response<Bytes> {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
