//! The server's side: a request, and what answers it. RFC 6455 §4.2.

use std::{error, fmt};

#[cfg(feature = "deflate")]
use http::header::SEC_WEBSOCKET_EXTENSIONS;
use http::header::{
    ALLOW, CONNECTION, CONTENT_TYPE, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};

use super::extensions::Extensions;
use super::{key, tokens};
#[cfg(feature = "deflate")]
use crate::config::DeflateConfig;

/// What a server offers.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct AcceptOptions {
    /// The subprotocols it speaks, the preferred first. None by default; then what a client lists is ignored.
    pub subprotocols: Vec<String>,
    /// permessage-deflate, if a client offers it. Off by default; then offers are ignored.
    #[cfg(feature = "deflate")]
    #[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
    pub deflate: Option<DeflateConfig>,
}

/// A request that may become a WebSocket: the proof that it asked for one in due form.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accepted {
    /// The subprotocol chosen: of those that the client lists, the one that the server prefers.
    pub subprotocol: Option<String>,
    /// The extensions chosen.
    pub extensions: Extensions,
    accept: String,
}

/// What is wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Not a GET: 405.
    Method,
    /// Not HTTP/1.1, which is what an upgrade needs: 400.
    HttpVersion,
    /// No `Upgrade: websocket`: 426.
    Upgrade,
    /// No `Connection: Upgrade`: 400.
    Connection,
    /// A `Sec-WebSocket-Version` that is missing, double or not 13: 426.
    Version,
    /// A `Sec-WebSocket-Key` that is missing, double or not the base64 of 16 bytes: 400.
    Key,
    /// A `Sec-WebSocket-Protocol` that is no list of different tokens: 400.
    Subprotocol,
}

/// Checks a request to become a WebSocket. Who may connect (origin, cookies, path) is the caller's to decide;
/// offers of extensions that are malformed or cannot be taken are ignored.
///
/// # Errors
/// What is wrong, with the response that says so.
///
/// # Examples
/// ```
/// use patera_websocket::{AcceptOptions, accept};
///
/// let request = http::Request::get("/chat")
///     .header("Host", "example.com")
///     .header("Upgrade", "websocket")
///     .header("Connection", "Upgrade")
///     .header("Sec-WebSocket-Version", "13")
///     .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
///     .body(())
///     .unwrap();
/// let response = accept(&request, &AcceptOptions::default())?.response();
/// assert_eq!(response.status(), 101);
/// assert_eq!(response.headers()["Sec-WebSocket-Accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// # Ok::<(), patera_websocket::Refusal>(())
/// ```
pub fn accept<B>(request: &Request<B>, options: &AcceptOptions) -> Result<Accepted, Refusal> {
    let headers = request.headers();
    if request.method() != Method::GET {
        return Err(Refusal::Method);
    }
    if request.version() != Version::HTTP_11 {
        return Err(Refusal::HttpVersion);
    }
    if !tokens::lists(headers, UPGRADE, "websocket") {
        return Err(Refusal::Upgrade);
    }
    if !tokens::lists(headers, CONNECTION, "upgrade") {
        return Err(Refusal::Connection);
    }
    if tokens::only(headers, SEC_WEBSOCKET_VERSION) != Some(b"13") {
        return Err(Refusal::Version);
    }
    let accept = tokens::only(headers, SEC_WEBSOCKET_KEY).and_then(key::answer).ok_or(Refusal::Key)?;
    let offered = subprotocols(headers)?;
    let subprotocol = options.subprotocols.iter().find(|ours| offered.contains(&ours.as_str())).cloned();
    let extensions = Extensions {
        #[cfg(feature = "deflate")]
        deflate: options.deflate.as_ref().and_then(|config| config.agree(headers)),
    };
    Ok(Accepted { subprotocol, extensions, accept })
}

/// The subprotocols a client lists.
fn subprotocols(headers: &HeaderMap) -> Result<Vec<&str>, Refusal> {
    let mut offered = Vec::new();
    for value in headers.get_all(SEC_WEBSOCKET_PROTOCOL) {
        for name in value.to_str().map_err(|_| Refusal::Subprotocol)?.split(',') {
            let name = name.trim_ascii();
            // RFC 6455 §4.1, item 10 of the request: tokens, each of them once.
            if !tokens::is_token(name) || offered.len() == SUBPROTOCOLS_MAX || offered.contains(&name) {
                return Err(Refusal::Subprotocol);
            }
            offered.push(name);
        }
    }
    Ok(offered)
}

/// How many subprotocols a client may list: comparing each with each must stay cheap.
const SUBPROTOCOLS_MAX: usize = 64;

impl Accepted {
    /// The response that makes the connection a WebSocket: status 101, without a body.
    pub fn response(&self) -> Response<()> {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, self.accept.parse().expect("base64 is visible ASCII"));
        // Public, so it may have been changed into what is no header; then it is not sent.
        if let Some(Ok(subprotocol)) = self.subprotocol.as_deref().map(HeaderValue::from_str) {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, subprotocol);
        }
        #[cfg(feature = "deflate")]
        if let Some(deflate) = &self.extensions.deflate {
            headers.insert(SEC_WEBSOCKET_EXTENSIONS, deflate.answer());
        }
        response
    }
}

impl Refusal {
    /// The status: 400, 405 or 426.
    pub fn status(&self) -> StatusCode {
        match self {
            Refusal::Method => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::Upgrade | Refusal::Version => StatusCode::UPGRADE_REQUIRED,
            Refusal::HttpVersion | Refusal::Connection | Refusal::Key | Refusal::Subprotocol => StatusCode::BAD_REQUEST,
        }
    }

    /// The response: plain text that says what is wrong, and the headers that belong to the status.
    pub fn response(&self) -> Response<String> {
        let mut response = Response::new(self.to_string());
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        match self {
            Refusal::Method => {
                headers.insert(ALLOW, HeaderValue::from_static("GET"));
            }
            Refusal::Upgrade | Refusal::Version => {
                // RFC 9110 §15.5.22 wants Upgrade, RFC 6455 §4.4 the version.
                headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
                headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
                headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            }
            Refusal::HttpVersion | Refusal::Connection | Refusal::Key | Refusal::Subprotocol => {}
        }
        response
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Method => "a WebSocket begins with GET",
            Refusal::HttpVersion => "a WebSocket begins with HTTP/1.1",
            Refusal::Upgrade => "the header Upgrade must list websocket",
            Refusal::Connection => "the header Connection must list Upgrade",
            Refusal::Version => "Sec-WebSocket-Version must be 13",
            Refusal::Key => "Sec-WebSocket-Key must be the base64 of 16 bytes",
            Refusal::Subprotocol => "Sec-WebSocket-Protocol must list different tokens, at most 64",
        })
    }
}

impl error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 5] = [
        ("Host", "x"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    /// A good request with one header replaced by these, all of the same name.
    fn request(changes: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::get("/");
        for (name, value) in GOOD.iter().filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name)) {
            request = request.header(*name, *value);
        }
        for (name, value) in changes.iter().filter(|(_, value)| *value != "(none)") {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    fn check(changes: &[(&str, &str)], expected: Result<(), Refusal>) {
        let result = accept(&request(changes), &AcceptOptions::default());
        assert_eq!(result.map(|_| ()), expected, "{changes:?}");
    }

    #[test]
    fn good_requests_are_accepted() {
        check(&[], Ok(()));
        check(&[("Connection", "keep-alive, Upgrade"), ("Upgrade", "WebSocket")], Ok(()));
        check(
            &[("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits=abc, __proto__; a=1")],
            Ok(()),
        );
    }

    #[test]
    fn bad_requests_are_refused() {
        check(&[("Upgrade", "(none)")], Err(Refusal::Upgrade));
        check(&[("Upgrade", "h2c")], Err(Refusal::Upgrade));
        check(&[("Connection", "(none)")], Err(Refusal::Connection));
        check(&[("Connection", "close")], Err(Refusal::Connection));
        for version in ["(none)", "", "7", "8", "12", "013", "13, 8"] {
            check(&[("Sec-WebSocket-Version", version)], Err(Refusal::Version));
        }
        check(&[("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Version", "13")], Err(Refusal::Version));
        for key in ["(none)", "", "AAAA"] {
            check(&[("Sec-WebSocket-Key", key)], Err(Refusal::Key));
        }
        let key = GOOD[4];
        check(&[key, key], Err(Refusal::Key));
    }

    #[test]
    fn method_and_http_version_matter() {
        let mut post = request(&[]);
        *post.method_mut() = Method::POST;
        assert_eq!(accept(&post, &AcceptOptions::default()), Err(Refusal::Method));
        let mut old = request(&[]);
        *old.version_mut() = Version::HTTP_10;
        assert_eq!(accept(&old, &AcceptOptions::default()), Err(Refusal::HttpVersion));
    }

    #[test]
    fn preferred_subprotocol_is_chosen() {
        let options =
            AcceptOptions { subprotocols: vec!["best".to_owned(), "good".to_owned()], ..AcceptOptions::default() };
        let check = |offered: &[&str], expected: Result<Option<&str>, Refusal>| {
            let headers: Vec<_> = offered.iter().map(|value| ("Sec-WebSocket-Protocol", *value)).collect();
            let accepted = accept(&request(&headers), &options);
            let chosen = accepted.as_ref().map(|accepted| accepted.subprotocol.as_deref());
            assert_eq!(chosen, expected.as_ref().copied(), "{offered:?}");
        };
        check(&[], Ok(None));
        check(&["other"], Ok(None));
        check(&["good, best"], Ok(Some("best")));
        check(&["other", "good"], Ok(Some("good")));
        check(&["Good"], Ok(None));
        for bad in ["", "chat, chat", "a b", "good,", ",good", "a/b", "é"] {
            check(&[bad], Err(Refusal::Subprotocol));
        }
        check(&["chat", "chat"], Err(Refusal::Subprotocol));
        let names = |count: usize| (0..count).map(|at| format!("n{at}")).collect::<Vec<_>>().join(",");
        check(&[&names(64)], Ok(None));
        check(&[&names(65)], Err(Refusal::Subprotocol));
    }

    #[test]
    fn response_has_the_headers_of_the_handshake() {
        let options = AcceptOptions { subprotocols: vec!["chat".to_owned()], ..AcceptOptions::default() };
        let accepted = accept(&request(&[("Sec-WebSocket-Protocol", "chat")]), &options).unwrap();
        let response = accepted.response();
        assert_eq!(response.status(), 101);
        assert_eq!(response.headers()[UPGRADE], "websocket");
        assert_eq!(response.headers()[CONNECTION], "Upgrade");
        assert_eq!(response.headers()[SEC_WEBSOCKET_ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(response.headers()[SEC_WEBSOCKET_PROTOCOL], "chat");
        assert_eq!(response.headers().len(), 4);
    }

    #[test]
    fn refusal_says_what_is_wrong() {
        let response = Refusal::Version.response();
        assert_eq!(response.status(), 426);
        assert_eq!(response.headers()[SEC_WEBSOCKET_VERSION], "13");
        assert_eq!(response.headers()[UPGRADE], "websocket");
        assert_eq!(response.body(), "Sec-WebSocket-Version must be 13");
        assert_eq!(Refusal::Method.response().headers()[ALLOW], "GET");
        assert_eq!(Refusal::Key.status(), 400);
    }
}
