//! An HTTP proxy: which one, and the tunnel through it. RFC 9110 §9.3.6 (CONNECT).

use std::env;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{HOST, PROXY_AUTHORIZATION};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::Empty;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;

use super::Stream;
use crate::address::{Address, UrlError};
use crate::engine::Boxed;
use crate::error::TransportError;

/// Where a proxy is.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// `Basic …`, if its URL has a user's name.
    pub(crate) authorization: Option<HeaderValue>,
}

impl Proxy {
    /// Takes `http://user:password@host:port` apart; without a scheme it is `http`.
    pub(crate) fn parse(url: &str) -> Result<Self, UrlError> {
        let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let address = Address::parse(&url).map_err(|_| UrlError::Proxy)?;
        if address.secure {
            return Err(UrlError::Proxy);
        }
        let user = url.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or(""));
        let authorization = user.rsplit_once('@').map(|(user, _)| {
            let decoded = percent_decoded(user);
            HeaderValue::try_from(format!("Basic {}", STANDARD.encode(decoded))).expect("base64 is visible ASCII")
        });
        Ok(Proxy { host: address.host, port: address.port, authorization })
    }

    /// What the environment says for a server, by the names that curl and others know.
    pub(crate) fn from_environment(address: &Address) -> Result<Option<Self>, UrlError> {
        Proxy::from_variables(address, |name| env::var(name).ok())
    }

    fn from_variables(address: &Address, value: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, UrlError> {
        let either = |name: &str| value(&name.to_lowercase()).or_else(|| value(name)).filter(|value| !value.is_empty());
        if either("NO_PROXY").is_some_and(|list| is_listed(&address.host, &list)) {
            return Ok(None);
        }
        // HTTP_PROXY in capitals may be a request's header `Proxy` in CGI programs, so it is not asked for.
        let url =
            if address.secure { either("HTTPS_PROXY") } else { value("http_proxy").filter(|url| !url.is_empty()) };
        url.or_else(|| either("ALL_PROXY")).map(|url| Proxy::parse(&url)).transpose()
    }

    /// Asks for a way to `authority` (with its port), and gives it back.
    pub(crate) async fn tunnel(self, stream: Stream, authority: String) -> Result<Stream, TransportError> {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let mut request = Request::new(Empty::<bytes::Bytes>::new());
        *request.method_mut() = Method::CONNECT;
        *request.uri_mut() = authority.parse::<Uri>().map_err(|error| TransportError::Http(error.into()))?;
        let host = HeaderValue::from_str(&authority).map_err(|error| TransportError::Http(error.into()))?;
        request.headers_mut().insert(HOST, host);
        if let Some(authorization) = self.authorization {
            request.headers_mut().insert(PROXY_AUTHORIZATION, authorization);
        }
        let asked: Boxed<Result<Upgraded, TransportError>> = Box::pin(async move {
            let response = sender.send_request(request).await?;
            if response.status() != StatusCode::OK {
                return Err(TransportError::Proxy(response.status().as_u16()));
            }
            Ok(hyper::upgrade::on(response).await?)
        });
        // The connection moves the bytes of the exchange, and ends when it hands the stream over or has nobody to send for.
        let driver: Boxed<hyper::Result<()>> = Box::pin(connection.with_upgrades());
        let (upgraded, _) = futures_util::future::join(asked, driver).await;
        Ok(Box::new(TokioIo::new(upgraded?)))
    }
}

/// Whether a host is on a list as in `localhost,.example.com`: itself, or a domain that it is in. `*` is everyone.
fn is_listed(host: &str, list: &str) -> bool {
    list.split(',').map(|entry| entry.trim().trim_start_matches('.')).filter(|entry| !entry.is_empty()).any(|entry| {
        entry == "*"
            || host.eq_ignore_ascii_case(entry)
            || host.len() > entry.len()
                && host.as_bytes()[host.len() - entry.len() - 1] == b'.'
                && host.is_char_boundary(host.len() - entry.len())
                && host[host.len() - entry.len()..].eq_ignore_ascii_case(entry)
    })
}

/// `a%40b` → `a@b`; what is no escape stays.
fn percent_decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expected: Result<(&str, u16, Option<&str>), UrlError>) {
        let proxy = Proxy::parse(url);
        let got = proxy.as_ref().map(|proxy| {
            let authorization = proxy.authorization.as_ref().map(|value| value.to_str().unwrap());
            (proxy.host.as_str(), proxy.port, authorization)
        });
        assert_eq!(got.map_err(|error| *error), expected, "{url}");
    }

    #[test]
    fn proxy_is_a_host_and_a_port() {
        check("http://proxy:3128", Ok(("proxy", 3128, None)));
        check("proxy:3128/", Ok(("proxy", 3128, None)));
        check("http://[::1]:1/", Ok(("::1", 1, None)));
        // user:pa@ss
        check("http://user:pa%40ss@proxy", Ok(("proxy", 80, Some("Basic dXNlcjpwYUBzcw=="))));
        check("https://proxy:3128", Err(UrlError::Proxy));
        check("socks5://proxy:3128", Err(UrlError::Proxy));
        check("", Err(UrlError::Proxy));
    }

    #[test]
    fn environment_names_a_proxy() {
        let check = |url: &str, variables: &[(&str, &str)], expected: Option<&str>| {
            let value =
                |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            let proxy = Proxy::from_variables(&Address::parse(url).unwrap(), value).unwrap();
            assert_eq!(proxy.map(|proxy| proxy.host).as_deref(), expected, "{url} {variables:?}");
        };
        check("http://x", &[], None);
        check("http://x", &[("http_proxy", "a")], Some("a"));
        check("http://x", &[("HTTP_PROXY", "a")], None);
        check("https://x", &[("HTTPS_PROXY", "a"), ("http_proxy", "b")], Some("a"));
        check("https://x", &[("https_proxy", ""), ("ALL_PROXY", "c")], Some("c"));
        check("http://x", &[("all_proxy", "c"), ("no_proxy", "y, x")], None);
        check("http://a.example.com", &[("all_proxy", "c"), ("NO_PROXY", ".example.com")], None);
        check("http://example.com", &[("all_proxy", "c"), ("NO_PROXY", ".EXAMPLE.com")], None);
        check("http://notexample.com", &[("all_proxy", "c"), ("NO_PROXY", "example.com")], Some("c"));
        check("http://x", &[("all_proxy", "c"), ("NO_PROXY", "*")], None);
    }
}
