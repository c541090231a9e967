//! A WebSocket on a way of ours.

use http::{HeaderMap, Uri};
use patera_websocket::stream::{ConnectOptions, WebSocketStream};

use super::{Connector, Route, Stream};
use crate::config::Config;
use crate::error::TransportError;

/// Opens a WebSocket, with the limits and offers of the configuration.
pub(crate) async fn open_websocket(
    connector: &Connector,
    uri: &Uri,
    headers: HeaderMap,
    config: &Config,
) -> Result<WebSocketStream<Stream>, TransportError> {
    let stream = connector.connect(Route::Tunnel).await?;
    let subprotocols: Vec<&str> = config.protocols.iter().map(String::as_str).collect();
    let mut options = ConnectOptions { subprotocols: &subprotocols, headers, ..Default::default() };
    options.config.message_bytes_max = config.message_bytes_max;
    options.config.frame_bytes_max = config.message_bytes_max;
    #[cfg(feature = "deflate")]
    {
        options.deflate = config.per_message_deflate;
    }
    Ok(WebSocketStream::connect_with(stream, uri, options).await?)
}
