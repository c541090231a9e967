//! Options and limits. Options that socket.io-client has keep its name in snake_case, and its default.

use std::time::Duration;

use http::HeaderMap;
use patera_protocol::engineio::Transport;
use patera_protocol::socketio::ConnectionConfig;
#[cfg(feature = "deflate")]
use patera_websocket::DeflateConfig;

use crate::tls::Tls;

/// All options of a connection. The builder's methods set the usual ones; the rest by
/// [`ClientBuilder::configure`](crate::ClientBuilder::configure).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Where the server listens, as a path. `/socket.io`.
    pub path: String,
    /// Whether the path ends with a slash. True.
    pub add_trailing_slash: bool,
    /// Transports to try, the first one first. Polling, then WebSocket; WebTransport is passed over.
    pub transports: Vec<Transport>,
    /// Whether to change from polling to WebSocket where both are in `transports` and the server offers it. True.
    pub upgrade: bool,
    /// Whether to begin with WebSocket when the last connection ended up there. False.
    pub remember_upgrade: bool,
    /// Whether to try the next of `transports` within the same attempt when one fails to open. False.
    pub try_all_transports: bool,
    /// Added to the query of every request.
    pub query: Vec<(String, String)>,
    /// Added to every request. Those that make the WebSocket handshake or frame a body cannot be changed.
    pub extra_headers: HeaderMap,
    /// Whether cookies that the server sets over polling are kept and sent along, also by the next connection of the same
    /// manager. False. For load balancers that mark their clients this way.
    pub with_credentials: bool,
    /// Whether a parameter of the query makes each URL different. `None`: over polling, not for WebSockets.
    pub timestamp_requests: Option<bool>,
    /// The name of that parameter. `t`.
    pub timestamp_param: String,
    /// Whether bytes are sent as base64, for servers or proxies that cannot take others. False.
    pub force_base64: bool,
    /// WebSocket subprotocols to offer. None.
    pub protocols: Vec<String>,

    /// Whether a connection that is lost, or does not come about, is tried again. True.
    pub reconnection: bool,
    /// How many attempts before giving up. `None`: no end; 0 counts as `None`.
    pub reconnection_attempts: Option<u32>,
    /// The delay before the first attempt; it doubles each time. 1 s.
    pub reconnection_delay: Duration,
    /// The longest delay. 5 s.
    pub reconnection_delay_max: Duration,
    /// How far delays scatter, from 0 to 1. 0.5: the first is between 0.5 s and 1.5 s.
    pub randomization_factor: f64,
    /// Makes the delays the same each time, for tests. `None`.
    pub random_seed: Option<u64>,
    /// How long the server may take to open the connection, and again to let a namespace in; also an `auth` closure. 20 s.
    /// `None`: no end.
    pub timeout: Option<Duration>,

    /// For [`Config::retries`], and for every acknowledgement that asks for no other time. `None`: as long as it takes.
    pub ack_timeout: Option<Duration>,
    /// How often an event is sent again until it is acknowledged. 0: never. More: each event waits for the acknowledgement of the
    /// one before, for `ack_timeout`, and is sent again after a reconnection; it may arrive twice.
    pub retries: u32,

    /// How packets are written. Both sides must have the same; it is not negotiated.
    pub parser: Parser,
    /// Compression to offer for WebSocket messages. The defaults of [`DeflateConfig`].
    #[cfg(feature = "deflate")]
    #[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
    pub per_message_deflate: Option<DeflateConfig>,

    /// An HTTP proxy, as in `http://user:password@proxy:3128`. `None`. TLS and WebSockets go through it by CONNECT, plain polling by
    /// requests for the whole URL.
    pub proxy: Option<String>,
    /// Whether to take the proxy from `HTTPS_PROXY`, `HTTP_PROXY` (in lower case), `ALL_PROXY` and `NO_PROXY` if
    /// `proxy` is none. False.
    pub proxy_from_environment: bool,
    /// How servers prove who they are. By the roots of the Mozilla program.
    pub tls: Tls,

    /// The largest WebSocket message and the largest answer to a poll, in bytes. 16 MiB. Past it the connection is closed with
    /// `transport error`.
    pub message_bytes_max: usize,
    /// What is taken of the server inside a message. A violation closes the connection with `parse error`.
    pub protocol: ConnectionConfig,
    /// Events that wait to be sent, of all namespaces of a connection: offline, or because the server reads slowly. 10,000. Past it
    /// `try_emit` fails with `Full`, and `emit` drops.
    pub send_buffer_events_max: usize,
    /// The same in bytes. 16 MiB. One event larger than that is taken when nothing else waits.
    pub send_buffer_bytes_max: usize,
    /// Events that a server may send before it has let a namespace in, in bytes: what is replayed by connection state recovery.
    /// 16 MiB. Past it the connection is closed with `parse error`.
    pub receive_buffer_bytes_max: usize,
    /// Acknowledgements awaited by one namespace. 1,024. Past it `emit_with_ack` fails with `TooMany`.
    pub pending_acks_max: usize,
    /// Calls of handlers that have not ended. 1,024. Past it nothing is read until one ends.
    pub pending_handlers_max: usize,
    /// What a stream of events holds until it is asked for. 1,024. Past it events are left out, and the stream tells how many.
    pub stream_events_max: usize,
    /// The same in bytes of arguments. 16 MiB. One event larger than that is held when nothing else is.
    pub stream_bytes_max: usize,
    /// Cookies that are kept. 50. Past it the oldest goes.
    pub cookies_max: usize,
    /// How long the end of a connection may take: what waits is sent, and the server is told. 2 s. Then it is cut.
    pub close_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        const MEBIBYTE: usize = 1 << 20;
        let bytes_max = 16 * MEBIBYTE;
        Config {
            path: "/socket.io".to_owned(),
            add_trailing_slash: true,
            transports: vec![Transport::Polling, Transport::WebSocket],
            upgrade: true,
            remember_upgrade: false,
            try_all_transports: false,
            query: Vec::new(),
            extra_headers: HeaderMap::new(),
            with_credentials: false,
            timestamp_requests: None,
            timestamp_param: "t".to_owned(),
            force_base64: false,
            protocols: Vec::new(),
            reconnection: true,
            reconnection_attempts: None,
            reconnection_delay: Duration::from_secs(1),
            reconnection_delay_max: Duration::from_secs(5),
            randomization_factor: 0.5,
            random_seed: None,
            timeout: Some(Duration::from_secs(20)),
            ack_timeout: None,
            retries: 0,
            parser: Parser::Json,
            #[cfg(feature = "deflate")]
            per_message_deflate: Some(DeflateConfig::default()),
            proxy: None,
            proxy_from_environment: false,
            tls: Tls::default(),
            message_bytes_max: bytes_max,
            protocol: ConnectionConfig { attachments_bytes_max: bytes_max, ..ConnectionConfig::default() },
            send_buffer_events_max: 10_000,
            send_buffer_bytes_max: bytes_max,
            receive_buffer_bytes_max: bytes_max,
            pending_acks_max: 1024,
            pending_handlers_max: 1024,
            stream_events_max: 1024,
            stream_bytes_max: bytes_max,
            cookies_max: 50,
            close_timeout: Duration::from_secs(2),
        }
    }
}

impl Config {
    /// Whether attempts are at an end.
    pub(crate) fn gives_up_after(&self, attempts: u32) -> bool {
        self.reconnection_attempts.is_some_and(|max| max > 0 && attempts >= max)
    }
}

/// How packets are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Parser {
    /// JSON, and bytes behind it: the default of every server.
    #[default]
    Json,
    /// One MessagePack map a packet: `socket.io-msgpack-parser`.
    MessagePack,
}
