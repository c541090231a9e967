//! What went wrong between us and a server, in one line for people, and what may help.

use std::fmt;
use std::io;
use std::time::Duration;

use patera_client::{AckError, ConnectError, TransportError, UrlError};
use patera_websocket::stream::Error as WebSocketError;
use rustls::{CertificateError, Error as TlsError};
use serde_json::Value as Json;

use crate::remote::Remote;

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) message: String,
    pub(crate) advice: Option<String>,
}

impl Trouble {
    pub(crate) fn new(remote: &Remote, error: &ConnectError) -> Self {
        match error {
            ConnectError::Transport(error) => transport(remote, error),
            ConnectError::Refused { message, .. } if message == "Invalid namespace" && remote.has_path() => advised(
                message.clone(),
                "the path of the URL is a namespace; ws:// is for plain WebSockets, --path for the endpoint",
            ),
            ConnectError::Url(UrlError::Proxy) => plain(match remote.proxy() {
                Some(proxy) => format!("--proxy {proxy} is no http:// URL"),
                None => "HTTPS_PROXY, http_proxy or ALL_PROXY is no http:// URL; NO_PROXY=* does without".to_owned(),
            }),
            other => plain(other),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.advice.as_ref().map_or(Ok(()), |advice| write!(f, "; {advice}"))
    }
}

/// Why there is no acknowledgement, of a server that had so long for it.
pub(crate) fn unanswered(error: &AckError, limit: Duration) -> String {
    match error {
        AckError::Timeout => format!("none in {} s; has the server this event?", limit.as_secs_f64()),
        other => other.to_string(),
    }
}

fn plain(error: impl fmt::Display) -> Trouble {
    Trouble { message: error.to_string(), advice: None }
}

fn advised(message: impl Into<String>, advice: impl Into<String>) -> Trouble {
    Trouble { message: message.into(), advice: Some(advice.into()) }
}

fn transport(remote: &Remote, error: &TransportError) -> Trouble {
    let address = remote.address();
    let elsewhere = || format!("is Socket.IO at {} there? --path", remote.path());
    match error {
        TransportError::Io(error) => unreached(remote, error),
        TransportError::Tls(error) => untrusted(remote, error),
        TransportError::Http(inner) if is_no_http(&**inner) => no_http(remote),
        // Servers of TLS end what is none of it, with a few bytes or without.
        TransportError::WebSocket(WebSocketError::MalformedHead | WebSocketError::Disconnected) => no_http(remote),
        TransportError::WebSocket(WebSocketError::InvalidResponse(_)) if !remote.is_websocket_url() => {
            advised(error.to_string(), elsewhere())
        }
        TransportError::Status(404, _) => {
            advised(format!("no Socket.IO at {} of {address}: 404", remote.path()), "is it elsewhere? --path")
        }
        TransportError::Status(status, text) => plain(format!("{address} answered {status}{}", said(text))),
        TransportError::Packet(_) | TransportError::Payload(_) | TransportError::Handshake(_) => {
            advised(error.to_string(), elsewhere())
        }
        other => plain(other),
    }
}

/// The host was not found, or did not let us in.
fn unreached(remote: &Remote, error: &io::Error) -> Trouble {
    let (peer, question) = match remote.proxy() {
        Some(proxy) => (format!("the proxy {proxy}"), "is it running? --proxy"),
        None => (remote.address().to_owned(), "is the server running?"),
    };
    match error.kind() {
        io::ErrorKind::ConnectionRefused => advised(format!("{peer}: connection refused"), question),
        _ => plain(format!("{peer}: {error}")),
    }
}

fn untrusted(remote: &Remote, error: &io::Error) -> Trouble {
    let address = remote.address();
    let without = if remote.is_websocket_url() { "ws" } else { "http" };
    match error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>()) {
        Some(TlsError::InvalidMessage(_)) => {
            advised(format!("tls: {address} speaks no TLS"), format!("try {without}://{address}"))
        }
        Some(TlsError::InvalidCertificate(reason)) => {
            let reason = match reason {
                CertificateError::UnknownIssuer => "nobody known vouches for it".to_owned(),
                // Of webpki: it is a certificate of those that vouch for others.
                CertificateError::Other(_) => "it vouches for itself, or is no server's".to_owned(),
                other => other.to_string(),
            };
            let message = format!("tls: the certificate of {address} is not to be trusted: {reason}");
            advised(message, "-k accepts it, for tests")
        }
        _ => plain(format!("tls: {address}: {error}")),
    }
}

fn is_no_http(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse)
}

fn no_http(remote: &Remote) -> Trouble {
    let address = remote.address();
    let with = if remote.is_websocket_url() { "wss" } else { "https" };
    let message = format!("{address} does not answer in HTTP");
    if remote.is_secure() { plain(message) } else { advised(message, format!("try {with}://{address}")) }
}

/// What an answer's text says, where it is for us: an Engine.IO server's is JSON, others' are pages.
fn said(text: &str) -> String {
    let message = serde_json::from_str::<Json>(text).ok().and_then(|json| json["message"].as_str().map(str::to_owned));
    match message {
        Some(message) => format!(": {message}"),
        None if text.is_empty() || text.contains(['<', '\n']) => String::new(),
        None => format!(": {text}"),
    }
}
