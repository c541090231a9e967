//! How one manager gets to its server.

use http::HeaderValue;
use tokio::net::TcpStream;

use super::Stream;
use super::proxy::Proxy;
use crate::address::{Address, UrlError};
use crate::config::Config;
use crate::engine::Boxed;
use crate::error::TransportError;

/// Opens connections to one server.
pub(crate) struct Connector {
    address: Address,
    proxy: Option<Proxy>,
    #[cfg(feature = "tls")]
    tls: tokio_rustls::TlsConnector,
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// HTTP requests: a proxy takes those without TLS as they are.
    Requests,
    /// A WebSocket: a proxy opens a tunnel.
    Tunnel,
}

impl Connector {
    pub(crate) fn new(address: Address, config: &Config) -> Result<Self, UrlError> {
        let proxy = match &config.proxy {
            Some(url) => Some(Proxy::parse(url)?),
            None if config.proxy_from_environment => Proxy::from_environment(&address)?,
            None => None,
        };
        Ok(Connector {
            address,
            proxy,
            #[cfg(feature = "tls")]
            tls: config.tls.connector(),
        })
    }

    /// Whether requests go to a proxy that wants to know the whole URL; then also what lets us use it.
    pub(crate) fn wants_absolute_form(&self) -> Option<Option<HeaderValue>> {
        let proxy = self.proxy.as_ref().filter(|_| !self.address.secure)?;
        Some(proxy.authorization.clone())
    }

    /// Connects.
    pub(crate) fn connect(&self, route: Route) -> Boxed<Result<Stream, TransportError>> {
        let Address { secure, host, port, .. } = self.address.clone();
        let proxy = self.proxy.clone();
        #[cfg(feature = "tls")]
        let tls = self.tls.clone();
        Box::pin(async move {
            let stream = match proxy {
                None => tcp(host.clone(), port).await?,
                Some(proxy) => {
                    let stream = tcp(proxy.host.clone(), proxy.port).await?;
                    let is_tunnel = secure || route == Route::Tunnel;
                    if is_tunnel { proxy.tunnel(stream, with_port(&host, port)).await? } else { stream }
                }
            };
            if !secure {
                return Ok(stream);
            }
            #[cfg(feature = "tls")]
            return crate::tls::connect(tls, host, stream).await;
            #[cfg(not(feature = "tls"))]
            Err(TransportError::TlsMissing)
        })
    }
}

async fn tcp(host: String, port: u16) -> Result<Stream, TransportError> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    Ok(Box::new(stream))
}

fn with_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
