//! `OPTIONS`: the library's options as JSON, so that a test can start the server it needs. `PER_MESSAGE_DEFLATE`,
//! `HTTP_COMPRESSION` and `ALLOW_EIO3`, beside it, turn those on (`1`) or off (`0`).

use std::sync::Arc;
use std::time::Duration;

use patera::parser::MessagePack;
use patera::{
    Config, ConnectionStateRecovery, Cookie, Cors, CorsOrigin, DeflateConfig, Error, HttpCompression, Rate, RatePolicy,
    Result, SameSite, Transport,
};
use serde::Deserialize;

/// What `OPTIONS` may say; what it leaves out keeps its default.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Options {
    ping_interval: Option<u64>,
    ping_timeout: Option<u64>,
    upgrade_timeout: Option<u64>,
    connect_timeout: Option<u64>,
    max_http_buffer_size: Option<usize>,
    handshakes_max: Option<usize>,
    event_rate: Option<EventRate>,
    transports: Option<Vec<String>>,
    allow_eio3: Option<bool>,
    allow_upgrades: Option<bool>,
    path: Option<String>,
    serve_client: Option<bool>,
    cors: Option<CorsOptions>,
    cookie: Option<CookieOptions>,
    origins: Option<Vec<String>>,
    extra_headers: bool,
    connection_state_recovery: Option<RecoveryOptions>,
    parser: Option<Form>,
    /// Over HTTP/3, on a port of its own.
    pub(crate) webtransport: bool,
    engine: Option<EngineOptions>,
}

/// Of the Engine.IO server beside.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct EngineOptions {
    initial_packet: Option<String>,
    own_ids: bool,
}

/// Above it a client is disconnected.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventRate {
    per_second: u32,
    burst: u32,
}

/// The parsers there are, but for JSON.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Form {
    Msgpack,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecoveryOptions {
    max_disconnection_duration: Option<u64>,
    skip_middlewares: Option<bool>,
    sessions_max: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CorsOptions {
    origin: Origin,
    #[serde(default)]
    credentials: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Origin {
    One(String),
    List(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CookieOptions {
    name: String,
    path: Option<String>,
    http_only: Option<bool>,
    same_site: Option<String>,
    max_age: Option<u64>,
}

impl Options {
    pub(crate) fn from_environment() -> Result<Self> {
        let text = std::env::var("OPTIONS").unwrap_or_else(|_| "{}".to_owned());
        Ok(serde_json::from_str(&text)?)
    }

    /// Of the Engine.IO server, as far as they are its own.
    pub(crate) fn engine_config(&self) -> Config {
        let mut config = Config::default();
        config.path = "/engine.io".to_owned();
        if let Some(EngineOptions { initial_packet, own_ids }) = &self.engine {
            config.initial_packet = initial_packet.as_deref().map(Into::into);
            if *own_ids {
                config.generate_id(async |request| request.query_value("id").ok_or_else(|| Error::new("no id")));
            }
        }
        config
    }

    pub(crate) fn config(self) -> Result<Config> {
        let mut config = Config::default();
        set(&mut config.ping_interval, self.ping_interval.map(Duration::from_millis));
        set(&mut config.ping_timeout, self.ping_timeout.map(Duration::from_millis));
        set(&mut config.upgrade_timeout, self.upgrade_timeout.map(Duration::from_millis));
        set(&mut config.connect_timeout, self.connect_timeout.map(Duration::from_millis));
        set(&mut config.max_http_buffer_size, self.max_http_buffer_size);
        set(&mut config.handshakes_max, self.handshakes_max);
        if let Some(EventRate { per_second, burst }) = self.event_rate {
            config.event_rate_max = Some(Rate::per_second(per_second).burst(burst));
            config.rate_policy = RatePolicy::Close;
        }
        set(&mut config.allow_eio3, switch("ALLOW_EIO3", ())?.map(|on| on.is_some()));
        set(&mut config.allow_eio3, self.allow_eio3);
        set(&mut config.allow_upgrades, self.allow_upgrades);
        set(&mut config.path, self.path);
        set(&mut config.serve_client, self.serve_client);
        if let Some(names) = self.transports {
            config.transports = names.iter().map(|name| transport(name)).collect::<Result<_>>()?;
        }
        if self.webtransport {
            config.transports.push(Transport::WebTransport);
        }
        config.cors = self.cors.map(CorsOptions::cors);
        config.cookie = self.cookie.map(CookieOptions::cookie).transpose()?;
        config.origins = self.origins;
        config.connection_state_recovery = self.connection_state_recovery.map(RecoveryOptions::recovery);
        if let Some(Form::Msgpack) = self.parser {
            config.parser = Some(Arc::new(MessagePack));
        }
        set(&mut config.per_message_deflate, switch("PER_MESSAGE_DEFLATE", DeflateConfig::default())?);
        set(&mut config.http_compression, switch("HTTP_COMPRESSION", HttpCompression::default())?);
        config.allow_request(|request| async move {
            match request.header("x-refuse") {
                Some(message) => Err(Error::new(message)),
                None => Ok(()),
            }
        });
        if self.extra_headers {
            let yes = axum::http::HeaderValue::from_static("yes");
            let also = yes.clone();
            config.initial_headers(move |headers, _| drop(headers.insert("x-initial", yes.clone())));
            config.headers(move |headers, _| drop(headers.insert("x-every", also.clone())));
        }
        Ok(config)
    }
}

impl RecoveryOptions {
    fn recovery(self) -> ConnectionStateRecovery {
        let mut recovery = ConnectionStateRecovery::default();
        set(&mut recovery.max_disconnection_duration, self.max_disconnection_duration.map(Duration::from_millis));
        set(&mut recovery.skip_middlewares, self.skip_middlewares);
        set(&mut recovery.sessions_max, self.sessions_max);
        recovery
    }
}

impl CorsOptions {
    fn cors(self) -> Cors {
        let mut cors = Cors::any();
        cors.origin = match self.origin {
            Origin::One(origin) if origin == "*" => CorsOrigin::Any,
            Origin::One(origin) => CorsOrigin::List(vec![origin]),
            Origin::List(origins) => CorsOrigin::List(origins),
        };
        cors.credentials = self.credentials;
        cors
    }
}

impl CookieOptions {
    fn cookie(self) -> Result<Cookie> {
        let mut cookie = Cookie { name: self.name, ..Cookie::default() };
        if let Some(path) = self.path {
            cookie.path = Some(path);
        }
        set(&mut cookie.http_only, self.http_only);
        cookie.same_site = match self.same_site.as_deref() {
            None => cookie.same_site,
            Some("lax") => Some(SameSite::Lax),
            Some("strict") => Some(SameSite::Strict),
            Some("none") => Some(SameSite::None),
            Some(other) => return Err(Error::new(format!("same_site: {other}?"))),
        };
        cookie.max_age = self.max_age.map(Duration::from_secs);
        Ok(cookie)
    }
}

/// What an environment variable makes of an option that is on or off; `None` leaves it as it is.
fn switch<T>(variable: &str, on: T) -> Result<Option<Option<T>>> {
    match std::env::var(variable).as_deref() {
        Err(_) => Ok(None),
        Ok("1") => Ok(Some(Some(on))),
        Ok("0") => Ok(Some(None)),
        Ok(other) => Err(Error::new(format!("{variable}: {other}?"))),
    }
}

fn set<T>(option: &mut T, given: Option<T>) {
    if let Some(value) = given {
        *option = value;
    }
}

fn transport(name: &str) -> Result<Transport> {
    match name {
        "polling" => Ok(Transport::Polling),
        "websocket" => Ok(Transport::WebSocket),
        other => Err(Error::new(format!("transports: {other}?"))),
    }
}
