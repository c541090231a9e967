//! The server that `patera connect` and `patera emit` talk to, and how to reach it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use form_urlencoded::Serializer;
use http::{HeaderName, HeaderValue};
use patera_client::{Client, ClientBuilder, Tls, Transport};
use serde_json::Value as Json;

use crate::duration::parse_duration;

#[derive(Args, Clone, Debug)]
pub(crate) struct Remote {
    /// The server, as in https://example.com/chat?room=1: for Socket.IO the path is the namespace; without a scheme it is https,
    /// and http on this machine
    #[arg(value_parser = parse_url)]
    url: String,
    /// What the server is told at each connection, as in '{"token":"…"}'
    #[arg(long, value_name = "JSON", value_parser = parse_auth, conflicts_with = "auth_file")]
    auth: Option<Json>,
    /// A file with that JSON, read again at each connection
    #[arg(long, value_name = "FILE")]
    auth_file: Option<PathBuf>,
    /// A header of every request, as in 'authorization: Bearer …'; may be given several times
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = parse_header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// A pair for the query of every request, as in room=1; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_pair)]
    query: Vec<(String, String)>,
    /// Path of the Socket.IO endpoint
    #[arg(long, default_value = "/socket.io")]
    path: String,
    /// Transports to use, the first one first: with both it begins with polling and changes to WebSocket
    #[arg(long, value_name = "LIST", default_value = "polling,websocket", value_delimiter = ',', value_parser = parse_transport)]
    transports: Vec<Transport>,
    /// Believe whoever answers, whatever its certificate says: for tests
    #[arg(short = 'k', long)]
    insecure: bool,
    /// An HTTP proxy, as in http://user:password@proxy:3128; without it the one of the environment (HTTPS_PROXY, http_proxy,
    /// ALL_PROXY, NO_PROXY)
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
    /// How long the server may take to let us in, and to acknowledge what asks for it: 20s, 500ms, 2m, a bare number is seconds
    #[arg(long, default_value = "20s", value_name = "TIME", value_parser = parse_duration)]
    pub(crate) timeout: Duration,
}

impl Remote {
    /// Host and port, as the URL has them.
    pub(crate) fn address(&self) -> &str {
        let (authority, _) = self.authority_and_path();
        // Who we are is nobody's business.
        authority.rsplit_once('@').map_or(authority, |(_, address)| address)
    }

    /// Whether the URL has more than a host: for Socket.IO a namespace.
    pub(crate) fn has_path(&self) -> bool {
        let (_, path) = self.authority_and_path();
        !path.trim_matches('/').is_empty()
    }

    fn authority_and_path(&self) -> (&str, &str) {
        let rest = self.scheme().map_or(self.url.as_str(), |scheme| &self.url[scheme.len() + "://".len()..]);
        let rest = rest.split(['?', '#']).next().unwrap_or(rest);
        rest.split_at(rest.find('/').unwrap_or(rest.len()))
    }

    /// Of the Socket.IO endpoint.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The proxy of the options.
    pub(crate) fn proxy(&self) -> Option<&str> {
        self.proxy.as_deref()
    }

    /// Whether it is TLS that is to be spoken.
    pub(crate) fn is_secure(&self) -> bool {
        let url = self.url();
        url.split_once("://")
            .is_some_and(|(scheme, _)| ["https", "wss"].iter().any(|name| scheme.eq_ignore_ascii_case(name)))
    }

    /// The URL with its scheme and the pairs of the options.
    pub(crate) fn url(&self) -> String {
        let url = self.url.split_once('#').map_or(self.url.as_str(), |(url, _)| url);
        let scheme = match self.scheme() {
            Some(_) => "",
            None if is_here(url) => "http://",
            None => "https://",
        };
        let pairs = Serializer::new(String::new()).extend_pairs(&self.query).finish();
        let separator = match url.split_once('?') {
            _ if pairs.is_empty() => "",
            None => "?",
            Some((_, "")) => "",
            Some(_) => "&",
        };
        format!("{scheme}{url}{separator}{pairs}")
    }

    /// Whether the URL's scheme is `ws` or `wss`.
    pub(crate) fn is_websocket_url(&self) -> bool {
        self.scheme().is_some_and(|scheme| ["ws", "wss"].iter().any(|name| scheme.eq_ignore_ascii_case(name)))
    }

    fn scheme(&self) -> Option<&str> {
        let (scheme, _) = self.url.split_once("://")?;
        scheme.chars().all(|c| c.is_ascii_alphabetic()).then_some(scheme)
    }

    /// A client with these options. It has no `auth` yet: see [`authorize`](Remote::authorize).
    pub(crate) fn builder(&self) -> ClientBuilder {
        let mut builder = Client::builder(self.url())
            .path(&self.path)
            .transports(self.transports.iter().copied())
            .timeout(self.timeout)
            .with_credentials(true)
            .configure(|config| config.proxy_from_environment = true);
        for (name, value) in &self.headers {
            builder = builder.extra_header(name.clone(), value.clone());
        }
        if let Some(proxy) = &self.proxy {
            builder = builder.proxy(proxy);
        }
        if self.insecure {
            builder = builder.tls(Tls::danger_accept_invalid_certs());
        }
        builder
    }

    /// Gives a client its `auth`.
    ///
    /// # Errors
    /// The file cannot be read now, or has no JSON object.
    pub(crate) fn authorize(&self, client: &Client) -> Result<(), String> {
        if let Some(auth) = &self.auth {
            client.set_auth(auth).map_err(|error| error.to_string())?;
        }
        if let Some(file) = self.auth_file.clone() {
            read_auth(&file)?;
            client.set_auth_with(move || {
                let auth = read_auth(&file);
                async { auth }
            });
        }
        Ok(())
    }
}

/// Whether a URL without a scheme names this machine.
fn is_here(url: &str) -> bool {
    let host = url.split(['/', '?']).next().unwrap_or(url);
    let host = host.strip_prefix("[::1]").map_or_else(|| host.split(':').next().unwrap_or(host), |_| "::1");
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

fn read_auth(file: &Path) -> Result<Json, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    parse_auth(text.trim()).map_err(|error| format!("{}: {error}", file.display()))
}

pub(crate) fn parse_auth(text: &str) -> Result<Json, String> {
    match serde_json::from_str::<Json>(text) {
        Ok(auth) if auth.is_object() => Ok(auth),
        Ok(_) => Err("it must be a JSON object".to_owned()),
        Err(error) => Err(format!("it must be a JSON object: {error}")),
    }
}

/// A URL, or the host of one.
fn parse_url(text: &str) -> Result<String, String> {
    let port = text.strip_prefix(':').unwrap_or(text);
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    if is_port { Err(format!("{text} is no host; localhost:{port}?")) } else { Ok(text.to_owned()) }
}

fn parse_header(text: &str) -> Result<(HeaderName, HeaderValue), &'static str> {
    const EXPECTED: &str = "it must be as in 'name: value'";
    let (name, value) = text.split_once(':').ok_or(EXPECTED)?;
    let name = name.trim().parse().map_err(|_| "its name is none that a header can have")?;
    let value = value.trim().parse().map_err(|_| "its value is none that a header can have")?;
    Ok((name, value))
}

fn parse_pair(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("it must be as in name=value")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn parse_transport(text: &str) -> Result<Transport, &'static str> {
    [Transport::Polling, Transport::WebSocket]
        .into_iter()
        .find(|transport| transport.as_str() == text.trim())
        .ok_or("it must be polling, websocket, or both with a comma between")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        remote: Remote,
    }

    fn remote(arguments: &[&str]) -> Result<Remote, String> {
        let arguments = Arguments::try_parse_from([&["patera"], arguments].concat());
        arguments.map(|arguments| arguments.remote).map_err(|error| error.to_string())
    }

    #[test]
    fn scheme_may_be_left_out() {
        let check = |url: &str, expected: &str| {
            assert_eq!(remote(&[url]).map(|remote| remote.url()).as_deref(), Ok(expected));
        };
        check("localhost:3000/chat", "http://localhost:3000/chat");
        check("127.0.0.1", "http://127.0.0.1");
        check("[::1]:3000", "http://[::1]:3000");
        check("example.com/?to=http://x", "https://example.com/?to=http://x");
        check("192.168.0.1:1", "https://192.168.0.1:1");
        check("WS://x", "WS://x");
        assert!(remote(&["WS://x"]).is_ok_and(|remote| remote.is_websocket_url()));
        assert!(remote(&["https://x"]).is_ok_and(|remote| !remote.is_websocket_url()));
    }

    #[test]
    fn url_has_an_address_and_maybe_a_path() {
        let check = |url: &str, address: &str, has_path: bool| {
            let remote = remote(&[url]).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!((remote.address(), remote.has_path()), (address, has_path), "{url}");
        };
        check("localhost:3000", "localhost:3000", false);
        check("http://localhost:3000/", "localhost:3000", false);
        check("https://me:secret@[::1]:1/chat?a=/b", "[::1]:1", true);
        check("x?a=/b", "x", false);
        check("http://t", "t", false);
    }

    #[test]
    fn pairs_go_behind_the_query_of_the_url() {
        let check = |url: &str, expected: &str| {
            let remote = remote(&[url, "--query", "a=1&2", "--query", "b="]);
            assert_eq!(remote.map(|remote| remote.url()).as_deref(), Ok(expected));
        };
        check("http://x", "http://x?a=1%262&b=");
        check("http://x/chat?#part", "http://x/chat?a=1%262&b=");
        check("http://x?c=3", "http://x?c=3&a=1%262&b=");
    }

    #[test]
    fn options_that_are_none_are_refused() {
        let check = |arguments: &[&str], complaint: &str| {
            let error = remote(&[&["x"], arguments].concat()).err().unwrap_or_default();
            assert!(error.contains(complaint), "{arguments:?}: {error}");
        };
        check(&["-H", "name"], "'name: value'");
        check(&["-H", "na me: value"], "its name");
        check(&["-H", "name: va\nlue"], "its value");
        check(&["--query", "name"], "name=value");
        check(&["--transports", "polling,pigeon"], "polling, websocket");
        check(&["--auth", "1"], "JSON object");
        check(&["--auth", "{"], "EOF");
        check(&["--auth", "{}", "--auth-file", "x"], "cannot be used with");
        check(&["--timeout", "soon"], "10s");
        for port in ["3711", ":3711"] {
            assert!(remote(&[port]).is_err_and(|error| error.contains("no host; localhost:3711?")), "{port}");
        }
    }
}
