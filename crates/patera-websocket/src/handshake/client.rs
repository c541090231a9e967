//! The client's side: the request, and whether the response agrees. RFC 6455 §4.1.

use std::{error, fmt};

use http::header::{
    CONNECTION, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri};

use super::extensions::Extensions;
use super::{key, tokens};
#[cfg(feature = "deflate")]
use crate::config::DeflateConfig;

/// What a server agreed to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Agreed {
    /// The subprotocol it chose of those offered.
    pub subprotocol: Option<String>,
    /// The extensions it chose.
    pub extensions: Extensions,
}

/// Why a request cannot be made: the caller's mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidRequest {
    /// The scheme is not `ws`, `wss`, `http` or `https`.
    Scheme,
    /// No host, or none that can stand in a header.
    Host,
    /// A path that no request can have.
    Target,
    /// A subprotocol that is no token or is there twice.
    Subprotocol,
}

/// Why a response does not make the connection a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidResponse {
    /// The server refuses: a status other than 101.
    Status(StatusCode),
    /// No `Upgrade: websocket`.
    Upgrade,
    /// No `Connection: Upgrade`.
    Connection,
    /// A `Sec-WebSocket-Accept` that does not answer the key.
    Accept,
    /// A subprotocol that was not offered.
    Subprotocol,
    /// An extension that was not offered, or a list of extensions that is malformed.
    Extension,
    /// permessage-deflate with parameters that do not answer the offer, or that we cannot keep to.
    Deflate,
}

/// The request that asks for a WebSocket: its target is path and query, `Host` is the rest of the URI. More headers, as
/// cookies or an origin, are the caller's to add. `key` is 16 random bytes, new for each connection.
///
/// # Errors
/// What is wrong with the URI or the subprotocols.
///
/// # Examples
/// ```
/// let request = patera_websocket::client_request(&"ws://example.com/chat?room=1".parse().unwrap(), *b"the sample nonce", &[])?;
/// assert_eq!(request.uri(), "/chat?room=1");
/// assert_eq!(request.headers()["Host"], "example.com");
/// assert_eq!(request.headers()["Sec-WebSocket-Key"], "dGhlIHNhbXBsZSBub25jZQ==");
/// # Ok::<(), patera_websocket::InvalidRequest>(())
/// ```
pub fn client_request(uri: &Uri, key: [u8; 16], subprotocols: &[&str]) -> Result<Request<()>, InvalidRequest> {
    let mut request = Request::new(());
    let host = host(uri)?;
    // `path` is "/" where the URI has none, even before a query; `path_and_query` is not.
    let target = match uri.query() {
        Some(query) => Uri::try_from(format!("{}?{query}", uri.path())),
        None => Uri::try_from(uri.path()),
    };
    *request.uri_mut() = target.map_err(|_| InvalidRequest::Target)?;
    let headers = request.headers_mut();
    headers.insert(HOST, host);
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    headers.insert(SEC_WEBSOCKET_KEY, key::encode(key).parse().expect("base64 is visible ASCII"));
    if !subprotocols.is_empty() {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, list(subprotocols)?);
    }
    Ok(request)
}

/// Host and port, the port only where it is not the scheme's own; never the user's name and password.
fn host(uri: &Uri) -> Result<HeaderValue, InvalidRequest> {
    let default_port = match uri.scheme_str() {
        Some("ws" | "http") => 80,
        Some("wss" | "https") => 443,
        _ => return Err(InvalidRequest::Scheme),
    };
    let host = uri.host().filter(|host| !host.is_empty()).ok_or(InvalidRequest::Host)?;
    let value = match uri.port_u16().filter(|&port| port != default_port) {
        Some(port) => HeaderValue::try_from(format!("{host}:{port}")),
        None => HeaderValue::from_str(host),
    };
    value.map_err(|_| InvalidRequest::Host)
}

fn list(subprotocols: &[&str]) -> Result<HeaderValue, InvalidRequest> {
    for (at, name) in subprotocols.iter().enumerate() {
        if !tokens::is_token(name) || subprotocols.iter().take(at).any(|before| before == name) {
            return Err(InvalidRequest::Subprotocol);
        }
    }
    HeaderValue::try_from(subprotocols.join(", ")).map_err(|_| InvalidRequest::Subprotocol)
}

/// Checks the response to a [`client_request`] with the same key and subprotocols, which offered no extensions. That none of
/// the subprotocols was chosen is no error here: the caller knows whether it can live without.
///
/// # Errors
/// What the server did not agree to.
pub fn verify_response<B>(
    response: &Response<B>,
    key: [u8; 16],
    subprotocols: &[&str],
) -> Result<Agreed, InvalidResponse> {
    let subprotocol = verify(response, key, subprotocols)?;
    if response.headers().contains_key(SEC_WEBSOCKET_EXTENSIONS) {
        return Err(InvalidResponse::Extension);
    }
    Ok(Agreed { subprotocol, extensions: Extensions::default() })
}

/// [`verify_response`] for a request that had the header `Sec-WebSocket-Extensions` with [`DeflateConfig::offer`]. A server
/// may choose not to compress.
///
/// # Errors
/// What the server did not agree to.
#[cfg(feature = "deflate")]
#[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
pub fn verify_response_with_deflate<B>(
    response: &Response<B>,
    key: [u8; 16],
    subprotocols: &[&str],
    deflate: &DeflateConfig,
) -> Result<Agreed, InvalidResponse> {
    let subprotocol = verify(response, key, subprotocols)?;
    let deflate = deflate.verify(response.headers())?;
    Ok(Agreed { subprotocol, extensions: Extensions { deflate } })
}

/// All but the extensions.
fn verify<B>(response: &Response<B>, key: [u8; 16], subprotocols: &[&str]) -> Result<Option<String>, InvalidResponse> {
    let headers = response.headers();
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(InvalidResponse::Status(response.status()));
    }
    if !tokens::lists(headers, UPGRADE, "websocket") {
        return Err(InvalidResponse::Upgrade);
    }
    if !tokens::lists(headers, CONNECTION, "upgrade") {
        return Err(InvalidResponse::Connection);
    }
    let expected = key::accept_key(key::encode(key).as_bytes());
    if tokens::only(headers, SEC_WEBSOCKET_ACCEPT) != Some(expected.as_bytes()) {
        return Err(InvalidResponse::Accept);
    }
    chosen(headers, subprotocols)
}

fn chosen(headers: &HeaderMap, subprotocols: &[&str]) -> Result<Option<String>, InvalidResponse> {
    if !headers.contains_key(SEC_WEBSOCKET_PROTOCOL) {
        return Ok(None);
    }
    let chosen = tokens::only(headers, SEC_WEBSOCKET_PROTOCOL).ok_or(InvalidResponse::Subprotocol)?;
    let offered = subprotocols.iter().find(|name| name.as_bytes() == chosen).ok_or(InvalidResponse::Subprotocol)?;
    Ok(Some((*offered).to_owned()))
}

impl fmt::Display for InvalidRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            InvalidRequest::Scheme => "the scheme of the URL is not ws or wss",
            InvalidRequest::Host => "the URL names no valid host",
            InvalidRequest::Target => "the URL has no valid path",
            InvalidRequest::Subprotocol => "subprotocols must be different tokens",
        })
    }
}

impl error::Error for InvalidRequest {}

impl fmt::Display for InvalidResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InvalidResponse::Status(status) => write!(f, "the server answered {status}"),
            InvalidResponse::Upgrade => f.write_str("the server does not upgrade to WebSocket"),
            InvalidResponse::Connection => f.write_str("the server does not upgrade the connection"),
            InvalidResponse::Accept => f.write_str("the server did not answer the key"),
            InvalidResponse::Subprotocol => f.write_str("the server chose a subprotocol that was not offered"),
            InvalidResponse::Extension => f.write_str("the server chose an extension that was not offered"),
            InvalidResponse::Deflate => {
                f.write_str("the server's parameters of permessage-deflate do not answer the offer")
            }
        }
    }
}

impl error::Error for InvalidResponse {}

#[cfg(test)]
mod tests {
    use super::super::{AcceptOptions, accept};
    use super::*;

    const KEY: [u8; 16] = *b"the sample nonce";

    #[test]
    fn host_and_target_come_from_the_uri() {
        let check = |uri: &str, expected: Result<(&str, &str), InvalidRequest>| {
            let request = client_request(&uri.parse().unwrap(), KEY, &[]);
            let got = request
                .map(|request| (request.headers()[HOST].to_str().unwrap().to_owned(), request.uri().to_string()));
            assert_eq!(got, expected.map(|(host, target)| (host.to_owned(), target.to_owned())), "{uri}");
        };
        check("ws://example.com", Ok(("example.com", "/")));
        check("ws://example.com:80/a?b=c", Ok(("example.com", "/a?b=c")));
        check("wss://example.com:443?b", Ok(("example.com", "/?b")));
        check("wss://example.com:80/", Ok(("example.com:80", "/")));
        check("ws://[::1]:3000/x", Ok(("[::1]:3000", "/x")));
        check("ws://user:secret@example.com/", Ok(("example.com", "/")));
        check("ftp://example.com/", Err(InvalidRequest::Scheme));
        check("/only/a/path", Err(InvalidRequest::Scheme));
        check("example.com", Err(InvalidRequest::Scheme));
    }

    #[test]
    fn subprotocols_are_tokens() {
        let check = |subprotocols: &[&str], expected: Result<&str, InvalidRequest>| {
            let request = client_request(&"ws://x".parse().unwrap(), KEY, subprotocols);
            let got = request.map(|request| request.headers()[SEC_WEBSOCKET_PROTOCOL].clone());
            assert_eq!(got, expected.map(|list| list.parse().unwrap()), "{subprotocols:?}");
        };
        check(&["chat"], Ok("chat"));
        check(&["chat", "superchat"], Ok("chat, superchat"));
        check(&["chat", "chat"], Err(InvalidRequest::Subprotocol));
        check(&["a b"], Err(InvalidRequest::Subprotocol));
        check(&["a\r\nb"], Err(InvalidRequest::Subprotocol));
    }

    #[test]
    fn both_sides_agree() {
        let request = client_request(&"ws://x/".parse().unwrap(), KEY, &["a", "b"]).unwrap();
        for (ours, expected) in [(vec![], None), (vec!["b".to_owned(), "a".to_owned()], Some("b"))] {
            let response =
                accept(&request, &AcceptOptions { subprotocols: ours, ..AcceptOptions::default() }).unwrap().response();
            let agreed = verify_response(&response, KEY, &["a", "b"]).unwrap();
            assert_eq!(agreed.subprotocol.as_deref(), expected);
        }
    }

    #[test]
    fn bad_responses_are_refused() {
        let request = client_request(&"ws://x/".parse().unwrap(), KEY, &["a"]).unwrap();
        let good = accept(&request, &AcceptOptions::default()).unwrap().response();
        let check = |change: &dyn Fn(&mut Response<()>), expected: InvalidResponse| {
            let mut response = good.clone();
            change(&mut response);
            assert_eq!(verify_response(&response, KEY, &["a"]), Err(expected));
        };
        let set = |name: &'static str, value: &'static str| {
            move |response: &mut Response<()>| {
                response.headers_mut().append(name, HeaderValue::from_static(value));
            }
        };
        check(&|response| *response.status_mut() = StatusCode::OK, InvalidResponse::Status(StatusCode::OK));
        check(&|response| drop(response.headers_mut().remove(UPGRADE)), InvalidResponse::Upgrade);
        check(&|response| drop(response.headers_mut().remove(CONNECTION)), InvalidResponse::Connection);
        check(&|response| drop(response.headers_mut().remove(SEC_WEBSOCKET_ACCEPT)), InvalidResponse::Accept);
        check(&set("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), InvalidResponse::Accept);
        check(&set("sec-websocket-extensions", "permessage-deflate"), InvalidResponse::Extension);
        check(&set("sec-websocket-protocol", "evil"), InvalidResponse::Subprotocol);
        assert_eq!(verify_response(&good, [0; 16], &[]), Err(InvalidResponse::Accept));
    }
}
