//! The URL a client is given: where the server is, which namespace, which query.

use std::{error, fmt};

use http::uri::Authority;

/// A URL taken apart: `https://example.com:8080/chat?room=1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) secure: bool,
    /// Host, and port if it is not the scheme's own: what stands in `Host`.
    pub(crate) authority: String,
    /// Without the brackets of an IPv6 address.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The path, which is the namespace; `/` if there is none.
    pub(crate) namespace: String,
    /// Decoded.
    pub(crate) query: Vec<(String, String)>,
}

impl Address {
    /// Takes a URL apart. The scheme is `http`, `https`, `ws` or `wss`; without one it is `https`, as in the reference. A user's
    /// name and password, and a fragment, are passed over.
    pub(crate) fn parse(url: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
        let secure = match scheme {
            _ if ["https", "wss"].iter().any(|name| scheme.eq_ignore_ascii_case(name)) => true,
            _ if ["http", "ws"].iter().any(|name| scheme.eq_ignore_ascii_case(name)) => false,
            _ => return Err(UrlError::Scheme),
        };
        let rest = rest.split_once('#').map_or(rest, |(rest, _)| rest);
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let authority = authority.rsplit_once('@').map_or(authority, |(_, authority)| authority);
        let authority: Authority = authority.parse().map_err(|_| UrlError::Host)?;
        let default_port = if secure { 443 } else { 80 };
        let host = authority.host();
        let port = match authority.as_str()[host.len()..].strip_prefix(':') {
            Some(port) => port.parse().map_err(|_| UrlError::Host)?,
            None => default_port,
        };
        if host.is_empty() || host == "[]" {
            return Err(UrlError::Host);
        }
        Ok(Address {
            secure,
            authority: if port == default_port { host.to_owned() } else { format!("{host}:{port}") },
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port,
            namespace: namespace(path)?,
            query: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
        })
    }
}

/// A namespace's name as one writes it, with or without its slash.
pub(crate) fn namespace(name: &str) -> Result<String, UrlError> {
    let name = if name.starts_with('/') { name.to_owned() } else { format!("/{name}") };
    if name.contains([',', '?']) { Err(UrlError::Namespace) } else { Ok(name) }
}

/// Why a URL, or a namespace, is none. The caller's mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UrlError {
    /// The scheme is not `http`, `https`, `ws` or `wss`.
    Scheme,
    /// No host, or no valid one, or no valid port.
    Host,
    /// A namespace with a `,` or a `?` in it.
    Namespace,
    /// A path (the option) that no request can have, or that makes more than 32 KiB with the query.
    Path,
    /// A proxy whose URL is not `http://host:port`.
    Proxy,
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UrlError::Scheme => "the scheme of the URL is not http, https, ws or wss",
            UrlError::Host => "the URL names no valid host and port",
            UrlError::Namespace => "a namespace has no comma and no question mark",
            UrlError::Path => "no request can have this path and query",
            UrlError::Proxy => "the proxy is no http:// URL",
        })
    }
}

impl error::Error for UrlError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expected: Result<(bool, &str, &str, u16, &str), UrlError>) {
        let address = Address::parse(url);
        let got = address.as_ref().map(|address| {
            let Address { secure, authority, host, port, namespace, .. } = address;
            (*secure, authority.as_str(), host.as_str(), *port, namespace.as_str())
        });
        assert_eq!(got.map_err(|error| *error), expected, "{url}");
    }

    #[test]
    fn path_is_the_namespace() {
        check("http://example.com", Ok((false, "example.com", "example.com", 80, "/")));
        check("https://example.com/", Ok((true, "example.com", "example.com", 443, "/")));
        check("ws://example.com:80/chat", Ok((false, "example.com", "example.com", 80, "/chat")));
        check("WSS://example.com:444/custom-ü", Ok((true, "example.com:444", "example.com", 444, "/custom-ü")));
        check("http://[::1]:3000/a/b#part", Ok((false, "[::1]:3000", "::1", 3000, "/a/b")));
        check("localhost:3000", Ok((true, "localhost:3000", "localhost", 3000, "/")));
        check("http://user:secret@example.com/", Ok((false, "example.com", "example.com", 80, "/")));
    }

    #[test]
    fn query_is_decoded() {
        let address = Address::parse("http://x?token=a%20b&flag&x=1=2").unwrap();
        let pairs = [("token", "a b"), ("flag", ""), ("x", "1=2")].map(|(name, value)| (name.into(), value.into()));
        assert_eq!(address.query, pairs);
    }

    #[test]
    fn what_is_no_url_is_refused() {
        check("ftp://example.com", Err(UrlError::Scheme));
        check("", Err(UrlError::Host));
        check("http://", Err(UrlError::Host));
        check("http:///chat", Err(UrlError::Host));
        check("http://a b/", Err(UrlError::Host));
        check("http://x:99999/", Err(UrlError::Host));
        check("http://x:/", Err(UrlError::Host));
        check("http://x/a,b", Err(UrlError::Namespace));
    }
}
