//! A WebSocket that is no Socket.IO: the same way to a server, with nothing on top. RFC 6455.

use form_urlencoded::Serializer;
use http::Uri;
use patera_websocket::stream::WebSocketStream;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::address::{Address, UrlError};
use crate::builder::ClientBuilder;
use crate::config::Config;
use crate::error::ConnectError;
use crate::net::{Connector, open_websocket};

impl ClientBuilder {
    /// Opens a plain WebSocket at the URL itself, `ws://localhost:3000/ws?name=ada`: for servers that speak no Socket.IO, or beside
    /// it.
    ///
    /// Of the options it has `query` (behind the URL's own), `extra_headers`, `protocols`, `timeout`, `tls`, the proxy,
    /// `message_bytes_max` and compression. It has no namespace, no heartbeat of its own, and is not opened again.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let builder = patera_client::Client::builder("ws://localhost:3000/ws");
    /// let mut websocket = builder.configure(|config| config.protocols.push("patera.json".into())).open_websocket().await?;
    /// websocket.send(r#"{"event":"hello","args":[]}"#).await?;
    /// while let Some(message) = websocket.next().await {
    ///     println!("{:?}", message?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The URL or the proxy is none, or there is no WebSocket there.
    ///
    /// # Cancel safety
    /// Dropped before it resolves, there is no connection.
    pub async fn open_websocket(
        self,
    ) -> Result<WebSocketStream<impl AsyncRead + AsyncWrite + Send + Unpin + 'static>, ConnectError> {
        let (url, config) = self.into_parts();
        let (uri, connector) = target(&url, &config)?;
        let opened = open_websocket(&connector, &uri, config.extra_headers.clone(), &config);
        let opened = match config.timeout {
            Some(timeout) => tokio::time::timeout(timeout, opened).await.map_err(|_| ConnectError::Timeout)?,
            None => opened.await,
        };
        opened.map_err(|error| ConnectError::Transport(error.into()))
    }
}

/// Where the WebSocket is asked for, and the way there.
fn target(url: &str, config: &Config) -> Result<(Uri, Connector), UrlError> {
    let url = url.split_once('#').map_or(url, |(url, _)| url);
    let (before_query, query) = url.split_once('?').unwrap_or((url, ""));
    let host = before_query.find("://").map_or(0, |colon| colon + 3);
    let end = before_query[host..].find('/').map_or(before_query.len(), |slash| host + slash);
    // The path is no namespace here, so it is no part of the address.
    let (origin, path) = before_query.split_at(end);
    let address = Address::parse(origin)?;
    let scheme = if address.secure { "wss" } else { "ws" };
    let own = Serializer::new(String::new()).extend_pairs(&config.query).finish();
    let query = [query, &own].into_iter().filter(|pairs| !pairs.is_empty()).collect::<Vec<_>>().join("&");
    let path = if path.is_empty() { "/" } else { path };
    let mark = if query.is_empty() { "" } else { "?" };
    let target = format!("{scheme}://{}{path}{mark}{query}", address.authority);
    Ok((target.parse().map_err(|_| UrlError::Path)?, Connector::new(address, config)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expected: Result<&str, UrlError>) {
        let config = Config { query: vec![("a b".into(), "é".into())], ..Config::default() };
        let uri = target(url, &config).map(|(uri, _)| uri.to_string());
        assert_eq!(uri.as_deref().map_err(|error| *error), expected, "{url}");
    }

    #[test]
    fn websocket_is_asked_for_at_the_url_itself() {
        check("ws://x", Ok("ws://x/?a+b=%C3%A9"));
        check("ws://x:80?b=1", Ok("ws://x/?b=1&a+b=%C3%A9"));
        check("http://x:3000/a,b/?b=%20#part", Ok("ws://x:3000/a,b/?b=%20&a+b=%C3%A9"));
        check("wss://[::1]/ws", Ok("wss://[::1]/ws?a+b=%C3%A9"));
        check("x/ws?to=http://y/", Ok("wss://x/ws?to=http://y/&a+b=%C3%A9"));
        check("ftp://x/ws", Err(UrlError::Scheme));
        check("ws:///ws", Err(UrlError::Host));
        check("ws://x/a b", Err(UrlError::Path));
    }
}
