//! Where the server is: its URLs, what goes along with every request, the cookies.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use form_urlencoded::Serializer;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use http_body_util::Full;
use parking_lot::Mutex;
use patera_protocol::engineio::Transport;

use crate::address::{Address, UrlError};
use crate::config::Config;
use crate::cookies::Cookies;
use crate::net::{Answer, Connector};

/// Path and query of the URL and of the options together, in bytes: servers take less, 8 to 16 KiB.
const TARGET_BYTES_MAX: usize = 32 * 1024;
/// The name of the parameter that makes URLs differ, in bytes.
const TARGET_PARAM_BYTES_MAX: usize = 256;

/// One server as one manager sees it.
pub(crate) struct Endpoint {
    pub(crate) config: Arc<Config>,
    pub(crate) connector: Arc<Connector>,
    secure: bool,
    authority: HeaderValue,
    /// Path and the query that all requests have.
    target: String,
    cookies: Mutex<Cookies>,
    /// The last connection ended up on WebSocket.
    prefers_websocket: AtomicBool,
}

impl Endpoint {
    /// # Errors
    /// A part of the URL, the path or the proxy is none.
    pub(crate) fn new(address: Address, config: Arc<Config>) -> Result<Self, UrlError> {
        let slash = if config.add_trailing_slash { "/" } else { "" };
        let path = format!("/{}{slash}", config.path.trim_matches('/'));
        let path = if path == "//" { "/".to_owned() } else { path };
        let mut query = Serializer::new(String::new());
        // The query of the URL is used if the options have none, as in the reference.
        query.extend_pairs(if config.query.is_empty() { &address.query } else { &config.query });
        query.append_pair("EIO", "4");
        if config.force_base64 {
            query.append_pair("b64", "1");
        }
        let target = format!("{path}?{}", query.finish());
        target.parse::<Uri>().map_err(|_| UrlError::Path)?;
        // What is added to each request is far less than what is left up to the longest URI there is, 64 KiB.
        if target.len() > TARGET_BYTES_MAX || config.timestamp_param.len() > TARGET_PARAM_BYTES_MAX {
            return Err(UrlError::Path);
        }
        Ok(Endpoint {
            secure: address.secure,
            authority: HeaderValue::from_str(&address.authority).map_err(|_| UrlError::Host)?,
            target,
            cookies: Mutex::new(Cookies::new(config.cookies_max)),
            prefers_websocket: AtomicBool::new(false),
            connector: Arc::new(Connector::new(address, &config)?),
            config,
        })
    }

    /// The transports in the order to try them; this client has no WebTransport.
    pub(super) fn transports(&self) -> Vec<Transport> {
        let mut transports = self.config.transports.clone();
        transports.retain(|transport| *transport != Transport::WebTransport);
        if self.config.remember_upgrade && self.prefers_websocket.load(Ordering::Relaxed) {
            transports.sort_by_key(|transport| *transport != Transport::WebSocket);
        }
        transports
    }

    /// Where a connection has ended up, for the next one.
    pub(super) fn remember(&self, transport: Option<Transport>) {
        self.prefers_websocket.store(transport == Some(Transport::WebSocket), Ordering::Relaxed);
    }

    fn target(&self, transport: Transport, sid: Option<&str>) -> String {
        let mut query = Serializer::new(String::new());
        query.append_pair("transport", transport.as_str());
        if let Some(sid) = sid {
            query.append_pair("sid", sid);
        }
        if self.config.timestamp_requests.unwrap_or(transport == Transport::Polling) {
            let unique: [u8; 6] = rand::random();
            query.append_pair(&self.config.timestamp_param, &URL_SAFE_NO_PAD.encode(unique));
        }
        format!("{}&{}", self.target, query.finish())
    }

    fn authority(&self) -> &str {
        self.authority.to_str().expect("it was made from text")
    }

    fn absolute(&self, scheme: &str, target: &str) -> Uri {
        let uri = format!("{scheme}{}://{}{target}", if self.secure { "s" } else { "" }, self.authority());
        uri.parse().expect("its parts were parsed before, and what was added is escaped")
    }

    /// What every request has: the caller's headers and the cookies.
    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = self.config.extra_headers.clone();
        for name in [CONNECTION, UPGRADE, CONTENT_LENGTH, TRANSFER_ENCODING] {
            headers.remove(name);
        }
        if self.config.with_credentials
            && let Some(cookies) = self.cookies.lock().header(wall_clock())
        {
            headers.append(COOKIE, cookies);
        }
        headers
    }

    /// A polling request: a POST if there is a body.
    pub(super) fn polling_request(&self, sid: Option<&str>, body: Option<Vec<u8>>) -> Request<Full<Bytes>> {
        let target = self.target(Transport::Polling, sid);
        let proxied = self.connector.wants_absolute_form();
        let mut request = Request::new(Full::default());
        *request.uri_mut() = match proxied {
            Some(_) => self.absolute("http", &target),
            None => target.parse().expect("its parts were parsed before, and what was added is escaped"),
        };
        let headers = request.headers_mut();
        headers.insert(HOST, self.authority.clone());
        if let Some(Some(authorization)) = proxied {
            headers.insert(http::header::PROXY_AUTHORIZATION, authorization);
        }
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain;charset=UTF-8"));
        }
        let mut last = None;
        for (name, value) in self.headers() {
            match name {
                Some(name) => {
                    headers.insert(name.clone(), value);
                    last = Some(name);
                }
                None => {
                    if let Some(name) = &last {
                        headers.append(name, value);
                    }
                }
            }
        }
        if let Some(body) = body {
            *request.method_mut() = Method::POST;
            *request.body_mut() = Full::new(body.into());
        }
        request
    }

    /// Keeps what a polling answer has set.
    pub(super) fn keep_cookies(&self, answer: &Answer) {
        if self.config.with_credentials {
            self.cookies.lock().keep(&answer.headers, wall_clock());
        }
    }

    /// Where a WebSocket is asked for.
    pub(super) fn websocket_uri(&self, sid: Option<&str>) -> Uri {
        self.absolute("ws", &self.target(Transport::WebSocket, sid))
    }
}

#[allow(clippy::disallowed_methods, reason = "a cookie's end is told as a date; nothing else here knows one")]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str, change: impl FnOnce(&mut Config)) -> Result<Endpoint, UrlError> {
        let mut config = Config { timestamp_requests: Some(false), ..Config::default() };
        change(&mut config);
        Endpoint::new(Address::parse(url).unwrap(), Arc::new(config))
    }

    fn check(url: &str, change: impl FnOnce(&mut Config), expected: &str) {
        let endpoint = endpoint(url, change).unwrap();
        assert_eq!(endpoint.websocket_uri(Some("a/b")).to_string(), expected);
    }

    #[test]
    fn url_path_and_query_meet() {
        let rest = "EIO=4&transport=websocket&sid=a%2Fb";
        check("http://x:3000/chat", |_| {}, &format!("ws://x:3000/socket.io/?{rest}"));
        check("https://x?a=1", |config| config.path = "/a/b/".into(), &format!("wss://x/a/b/?a=1&{rest}"));
        check("http://x", |config| config.add_trailing_slash = false, &format!("ws://x/socket.io?{rest}"));
        check("http://x", |config| config.path = "/".into(), &format!("ws://x/?{rest}"));
        let own = |config: &mut Config| config.query = vec![("token".into(), "é&".into())];
        check("http://x?a=1", own, &format!("ws://x/socket.io/?token=%C3%A9%26&{rest}"));
    }

    #[test]
    fn path_that_is_none_is_refused() {
        assert_eq!(endpoint("http://x", |config| config.path = "/a b".into()).err(), Some(UrlError::Path));
        assert_eq!(endpoint("http://x", |config| config.path = "/a\r\nb".into()).err(), Some(UrlError::Path));
        let long = |bytes: usize| move |config: &mut Config| config.path = format!("/{}/", "a".repeat(bytes));
        // `/a…a/?EIO=4`
        assert!(endpoint("http://x", long(TARGET_BYTES_MAX - 8)).is_ok());
        assert_eq!(endpoint("http://x", long(TARGET_BYTES_MAX - 7)).err(), Some(UrlError::Path));
        assert_eq!(endpoint("http://x", |config| config.proxy = Some("ftp://y".into())).err(), Some(UrlError::Proxy));
    }

    #[test]
    fn polling_urls_differ_each_time() {
        let endpoint = endpoint("http://x", |config| config.timestamp_requests = None).unwrap();
        let [one, other] = [(); 2].map(|()| endpoint.polling_request(None, None).uri().to_string());
        assert!(one.contains("&transport=polling&t="), "{one}");
        assert_ne!(one, other);
    }

    #[test]
    fn headers_of_the_caller_go_along_but_not_those_of_the_connection() {
        let endpoint = endpoint("http://x", |config| {
            for (name, value) in [("x-a", "1"), ("x-a", "2"), ("connection", "close"), ("content-length", "9")] {
                config.extra_headers.append(name, HeaderValue::from_static(value));
            }
        });
        let request = endpoint.unwrap().polling_request(Some("a"), Some(b"4x".to_vec()));
        assert_eq!(request.method(), Method::POST);
        assert_eq!(request.headers().get_all("x-a").iter().collect::<Vec<_>>(), ["1", "2"]);
        assert!(!request.headers().contains_key(CONNECTION) && !request.headers().contains_key(CONTENT_LENGTH));
    }
}
