//! What a scenario says about a connection.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use patera_client::{Client, DeflateConfig, Manager, Parser, Transport};
use serde::Deserialize;

/// Beside what a kind of client cannot do, which is not asked for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Options {
    url: String,
    mode: String,
    pub(crate) namespaces: Vec<String>,
    pub(crate) auth: Option<serde_json::Value>,
    /// The acknowledgements of events by name: these arguments, or `"echo"` for those that came.
    #[serde(default)]
    pub(crate) replies: BTreeMap<String, serde_json::Value>,
    query: Option<BTreeMap<String, serde_json::Value>>,
    headers: Option<BTreeMap<String, String>>,
    #[serde(default)]
    reconnection: bool,
    /// Off unless something is said, as in the agent for JavaScript.
    per_message_deflate: Option<serde_json::Value>,
    parser: Option<String>,
}

impl Options {
    /// The connection.
    pub(crate) fn manager(&self) -> Result<Manager, Box<dyn std::error::Error + Send + Sync>> {
        let transports: &[Transport] = match self.mode.as_str() {
            "polling" => &[Transport::Polling],
            "websocket" => &[Transport::WebSocket],
            "upgrade" => &[Transport::Polling, Transport::WebSocket],
            mode => return Err(format!("no transport mode {mode}").into()),
        };
        let mut builder = Client::builder(&self.url)
            .transports(transports.iter().copied())
            .reconnection(self.reconnection)
            .reconnection_delay(Duration::from_millis(50))
            .reconnection_delay_max(Duration::from_millis(200));
        for (name, value) in self.query.iter().flatten() {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            builder = builder.query(name, value);
        }
        for (name, value) in self.headers.iter().flatten() {
            builder = builder.extra_header(name.parse::<HeaderName>()?, HeaderValue::from_str(value)?);
        }
        if self.parser.as_deref() == Some("msgpack") {
            builder = builder.parser(Parser::MessagePack);
        }
        let deflate = match &self.per_message_deflate {
            None | Some(serde_json::Value::Bool(false) | serde_json::Value::Null) => None,
            Some(_) => Some(DeflateConfig::default()),
        };
        Ok(builder.configure(|config| config.per_message_deflate = deflate).manager()?)
    }
}
