//! Every option and every limit of the server, with its unit, its default and what happens there.
//!
//! Options that socket.io has keep its name and its default. Limits on sizes, counts and times are on.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use patera_cluster::{Bus, ClusterConfig};
use patera_protocol::engineio::Transport;
use patera_protocol::parser::Parser;
use patera_protocol::socketio::ConnectionConfig;
use patera_websocket::DeflateConfig;

use crate::engine::Message;
use crate::error::Error;
use crate::handshake::{Handshake, forwarded_for};
use crate::http::{Cookie, Cors, HttpCompression};
use crate::rate::Rate;

/// What [`Config::allow_request`] keeps.
pub(crate) type AllowRequest =
    Arc<dyn Fn(Handshake) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send>> + Send + Sync>;
/// What [`Config::generate_id`] keeps.
pub(crate) type GenerateId =
    Arc<dyn Fn(Handshake) -> Pin<Box<dyn Future<Output = Result<String, Error>> + Send>> + Send + Sync>;
/// What [`Config::client_address`] keeps.
pub(crate) type ClientAddress = Arc<dyn Fn(&Handshake) -> Option<IpAddr> + Send + Sync>;
/// What [`Config::initial_headers`] and [`Config::headers`] keep.
pub(crate) type HeadersHook = Arc<dyn Fn(&mut HeaderMap, &Handshake) + Send + Sync>;

/// Options of a server: `let mut config = Config::default(); config.path = "/chat".into();`
///
/// ```
/// use std::time::Duration;
/// use patera::{Config, Io};
///
/// let mut config = Config::default();
/// config.ping_interval = Duration::from_secs(10);
/// config.allow_request(|request| async move {
///     match request.header("x-api-key") {
///         Some("secret") => Ok(()),
///         _ => Err("no key".into()),
///     }
/// });
/// let io = Io::with_config(config);
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Config {
    /// URL path of the endpoint. Default `/socket.io`. With [`add_trailing_slash`](Self::add_trailing_slash) it matches `/socket.io/` and what is below.
    pub path: String,
    /// Whether `path` needs a `/` behind it. Default true; off, `/socket.io?EIO=4…` is served too.
    pub add_trailing_slash: bool,
    /// Whether the browser client is served below `path`: `/socket.io/socket.io.js`, for `<script src>`, with `socket.io.min.js`,
    /// `socket.io.esm.min.js`, `socket.io.msgpack.min.js`, and the source maps. Default true; without the cargo feature
    /// `serve-client`, which is on by default, the files are not even in the program. An [`engine`](crate::engine) serves none.
    #[cfg(feature = "serve-client")]
    #[cfg_attr(docsrs, doc(cfg(feature = "serve-client")))]
    pub serve_client: bool,
    /// Transports a client may open a session with, or move to. Polling and WebSocket; WebTransport needs
    /// the feature `webtransport` and a listener of its own; another one is refused with code 0, "Transport unknown".
    pub transports: Vec<Transport>,
    /// Whether clients of Socket.IO 1 and 2 may connect, which speak Engine.IO 3: socket.io's `allowEIO3`. Default false; a request
    /// with another `EIO` than 4, or with none, is then refused with code 5, "Unsupported protocol version". On, it is Engine.IO 3.
    ///
    /// The [id of such a client's socket](crate::Socket::id) tells its session's id, as their protocol has it: who learns it can speak for
    /// that client while it polls. Where ids are told to other clients and these are not to be trusted, leave it off.
    ///
    /// Their JSONP can be read by pages of any origin, whatever [`cors`](Self::cors) says, since browsers let scripts be: to sessions
    /// that are known by a cookie, send nothing secret unasked. With [`origins`](Self::origins) JSONP is refused with code 4.
    pub allow_eio3: bool,
    /// Whether a polling session may move to another transport. Default true. Off, no upgrade is offered and one that is tried is refused.
    pub allow_upgrades: bool,
    /// From the last pong to the next ping. Default 25 s. Clients of Engine.IO 3 ping by themselves, so often.
    pub ping_interval: Duration,
    /// How long a pong may take; then the session ends with `ping timeout`. Default 20 s. In Engine.IO 3 it ends when nothing came
    /// for `ping_interval` and `ping_timeout` together.
    pub ping_timeout: Duration,
    /// How long a WebSocket, or a WebTransport stream, may take to take over a polling session; then it is closed and polling goes on.
    /// Default 10 s. It also bounds the opening of a WebTransport session as a whole: QUIC's handshake, the first packet, and what
    /// [`allow_request`](Self::allow_request) and [`generate_id`](Self::generate_id) wait for.
    pub upgrade_timeout: Duration,
    /// How long a client may stay without joining a namespace; then the session is closed. Default 45 s. So long, too, may a WebSocket's
    /// client take for the answer to its handshake, before its session begins.
    pub connect_timeout: Duration,
    /// Bytes of one polling body and of one message. Default 1,000,000. Over it: 413 on polling, close code 1009 on WebSocket, and the session ends.
    pub max_http_buffer_size: usize,
    /// Whether Engine.IO hands out a cookie with the session id at the first polling response. Default none.
    pub cookie: Option<Cookie>,
    /// Headers for pages of other origins. Default none. It never refuses a request: see [`origins`](Self::origins).
    pub cors: Option<Cors>,
    /// The `Origin` values that are served. Default: all. A request with another one is refused with 403 and code 4, be it a
    /// handshake, a WebSocket, or a request of a session that is open; a request without `Origin` comes from no browser and is let in.
    pub origins: Option<Vec<String>>,
    /// Compressed WebSocket messages (permessage-deflate, RFC 7692) with clients that offer them, browsers among them. Default
    /// none: compressing costs time, and memory on the client. What `compress(false)` is said of goes out as it is, as does
    /// a message below the threshold. An inflated message is bounded by `max_http_buffer_size` as any other.
    /// [`Io::accept`](crate::Io::accept) takes streams whose handshake is over, so nothing is negotiated there.
    pub per_message_deflate: Option<DeflateConfig>,
    /// Compressed answers to polling requests, for clients that say `Accept-Encoding`. Default on, from 1,024 bytes. What
    /// clients send must come uncompressed: a body with `Content-Encoding` gets 415.
    pub http_compression: Option<HttpCompression>,

    /// A message that each client gets right behind the open packet, in the same polling answer: `0{…}` and `4hello`. Default none. It is a
    /// message of Engine.IO: clients of Socket.IO want a packet of Socket.IO in it, such as `2["event"]`, and those of Engine.IO 3 too.
    /// Plain WebSockets get none.
    ///
    /// ```
    /// # let mut config = patera::Config::default();
    /// config.initial_packet = Some("hello".into());
    /// ```
    pub initial_packet: Option<Message>,

    /// Bytes that may wait for one client. Default 1 MiB. At the limit a volatile packet is dropped, else [`outbox_policy`](Self::outbox_policy) decides; one larger item is taken by an empty outbox.
    pub outbox_bytes_max: usize,
    /// What happens when the outbox is full. Default [`OutboxPolicy::Close`].
    pub outbox_policy: OutboxPolicy,
    /// How long a WebSocket, or a WebTransport stream, may take no byte while some are waiting; then the session ends with `transport error`. Default 10 s.
    pub outbox_stall_timeout: Duration,
    /// Handlers of one session that may wait at once, and events that wait for those before them. Default 1,024. At the limit, or when such
    /// events hold more bytes than `max_http_buffer_size`, no more is read from that client and its ping deadline rests.
    pub pending_handlers_max: usize,
    /// Acknowledgements that may be awaited from one client. Default 1,024. One more fails with [`AckError::TooMany`](crate::AckError::TooMany).
    pub pending_acks_max: usize,
    /// How long [`emit_with_ack`](crate::Socket::emit_with_ack) waits. Default 60 s.
    pub ack_timeout: Duration,
    /// Rooms one socket may be in. Default 10,000. One more is not joined, and `join` says so.
    pub rooms_per_socket_max: usize,
    /// Bytes of a room's name. Default 1,024. A longer one is not joined, and `join` says so.
    pub room_name_bytes_max: usize,
    /// Packets of Engine.IO itself (ping, pong, noop, …) in one polling body. Default 16. One more: 400, and the session ends.
    /// CONNECT packets are bounded by `protocol.namespaces_max`.
    pub control_packets_max: usize,
    /// Fragments of one WebSocket message. Default 1,024. Over it: close code 1008.
    pub fragments_max: usize,
    /// Sessions at a time, those that are being opened included. Default none: polling clients and WebSockets are as many as there
    /// are descriptors for. WebTransport sessions take none, so where they are served nothing else bounds them, and each may hold
    /// 256 KiB that are not read yet and as much that has not arrived: set it. One more is refused with 503 and `Retry-After`, code 4,
    /// "Too many connections"; a WebTransport client, which has been answered by then, with the end of its connection, code 503.
    pub connections_max: Option<usize>,
    /// Of those, sessions that have joined no namespace yet. Default 10,000; each has `connect_timeout` for it. One more is refused with
    /// 503 and `Retry-After`, code 4, "Too many handshakes".
    pub handshakes_max: usize,
    /// Sessions at a time of one [address](Self::client_address). Default none. One more is refused with 429 and `Retry-After`, code 4,
    /// "Too many connections from this address".
    pub connections_per_address_max: Option<usize>,
    /// How often one [address](Self::client_address) may open a session. Default none. Faster: 429 and `Retry-After`, code 4,
    /// "Too many connections from this address in this time".
    pub connect_rate_max: Option<Rate>,
    /// Addresses of which the last two limits keep something. Default 65,536, of some 50 bytes each: those that have a session now, and
    /// those that had one so lately that their rate is not as new. All beyond them count as one address.
    pub addresses_max: usize,
    /// Messages of one client: what joins and leaves (CONNECT, DISCONNECT), events, acknowledgements, each attachment, and a
    /// WebSocket's pings. Heartbeats are none. Default none. Over it [`rate_policy`](Self::rate_policy) decides.
    ///
    /// Timers tick each millisecond: who must wait waits for one at the least. A burst of less than a thousandth of what is allowed
    /// in a second makes of any rate one of the burst a millisecond.
    pub event_rate_max: Option<Rate>,
    /// Bytes of those messages, without framing. Default none. A message larger than the burst is taken, and what came
    /// behind it waits the longer. The burst is bound to the timers' tick as above. Over it [`rate_policy`](Self::rate_policy) decides.
    pub byte_rate_max: Option<Rate>,
    /// What happens to a client that sends more than `event_rate_max` or `byte_rate_max`. Default [`RatePolicy::Wait`].
    pub rate_policy: RatePolicy,
    /// With [`RatePolicy::Wait`], how long something of a client may lie unread because it was too fast: from when reading broke off
    /// until all that it had sent is read. Default 60 s, which is 1,200 messages on top of the burst at `Rate::per_second(20)`: more than
    /// who is fast for a moment sends. Then the session ends with the reason `rate exceeded`: while its pongs lie unread nobody
    /// knows whether the client is still there. The time in which handlers of ours keep it waiting does not count.
    pub rate_wait_timeout: Duration,
    /// Whether a child of [`Io::of_matching`](crate::Io::of_matching) that was made for a client goes with its last one. Default true:
    /// clients choose the names, and each would stay.
    pub cleanup_empty_child_namespaces: bool,
    /// Children that are there because of clients. Default 10,000. A client that asks for one more is refused with
    /// `Too many namespaces`.
    pub child_namespaces_max: usize,
    /// What packets are written in. Default none, which is JSON. [`MessagePack`](crate::parser::MessagePack) is what
    /// `socket.io-msgpack-parser` speaks; a form of your own is a [`Parser`]. Clients must have the same: one that has another is
    /// disconnected at its first packet. Plain WebSockets are not concerned, and an [`engine`](crate::engine) has no packets.
    ///
    /// What comes is held against `protocol`, as JSON is.
    pub parser: Option<Arc<dyn Parser>>,
    /// Limits of the Socket.IO decoder: attachments, arguments, names, nesting. The attachments of one packet are bounded in sum by
    /// `max_http_buffer_size`, whatever stands in here.
    pub protocol: ConnectionConfig,

    /// How long a polling body may take as a whole. Default 30 s; then 408, and the session ends.
    pub body_timeout: Duration,
    /// Bytes per second a polling body must bring after its first 5 s. Default 1,024; below: 408, and the session ends.
    pub body_rate_min: u32,
    /// [`Io::listen`](crate::Io::listen) only: bytes of a request's head. Default 16 KiB; over it: 431.
    pub header_bytes_max: usize,
    /// [`Io::listen`](crate::Io::listen) only: header lines of a request. Default 100; over it: 431.
    pub header_count_max: usize,
    /// [`Io::listen`](crate::Io::listen) only: bytes of a request's target. Default 8 KiB; over it: 414.
    pub target_bytes_max: usize,
    /// [`Io::listen`](crate::Io::listen) only: how long a request's head may take, counted from the last answer. Default 10 s; then
    /// the connection is closed, and so is one that is kept alive without a request. The first head of a connection has its time from when
    /// it was accepted, or its TLS handshake done.
    pub header_timeout: Duration,
    /// [`Io::listen_tls`](crate::Io::listen_tls) only: how long a TLS handshake may take. Default 10 s; then the connection is closed.
    #[cfg(feature = "tls")]
    pub tls_timeout: Duration,
    /// WebTransport connections that may be between their first datagram and their first packet, at once; more are refused. From
    /// half of them on a client must first prove its address, which takes it one more round trip. How long one may take is
    /// [`upgrade_timeout`](Self::upgrade_timeout). Default 1,024.
    #[cfg(feature = "webtransport")]
    #[cfg_attr(docsrs, doc(cfg(feature = "webtransport")))]
    pub webtransport_handshakes_max: usize,

    /// How long a closed polling session waits for the poll that tells the client. Default 30 s.
    pub close_timeout: Duration,
    /// How long [`Io::close`](crate::Io::close) spreads the goodbyes over, so that clients do not all return at once. Default 10 s.
    pub drain: Duration,

    /// Whether a client that lost its connection finds its socket again when it comes back: id, rooms, data, and the events it
    /// missed; see [`ConnectionStateRecovery`]. Default none. Clients of Socket.IO 1 and 2 and plain WebSockets cannot.
    pub connection_state_recovery: Option<ConnectionStateRecovery>,

    /// Heartbeats, timeouts and limits among the servers of a cluster; without a [bus](Self::bus) they say nothing.
    pub cluster: ClusterConfig,

    pub(crate) bus: Option<Arc<dyn Bus>>,
    pub(crate) allow_request: Option<AllowRequest>,
    pub(crate) generate_id: Option<GenerateId>,
    pub(crate) client_address: Option<ClientAddress>,
    pub(crate) initial_headers: Option<HeadersHook>,
    pub(crate) headers: Option<HeadersHook>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            path: "/socket.io".to_owned(),
            add_trailing_slash: true,
            #[cfg(feature = "serve-client")]
            serve_client: true,
            transports: vec![Transport::Polling, Transport::WebSocket],
            allow_eio3: false,
            allow_upgrades: true,
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            upgrade_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(45),
            max_http_buffer_size: 1_000_000,
            cookie: None,
            cors: None,
            origins: None,
            per_message_deflate: None,
            http_compression: Some(HttpCompression::default()),
            initial_packet: None,
            outbox_bytes_max: 1 << 20,
            outbox_policy: OutboxPolicy::Close,
            outbox_stall_timeout: Duration::from_secs(10),
            pending_handlers_max: 1024,
            pending_acks_max: 1024,
            ack_timeout: Duration::from_secs(60),
            rooms_per_socket_max: 10_000,
            room_name_bytes_max: 1024,
            control_packets_max: 16,
            fragments_max: 1024,
            connections_max: None,
            handshakes_max: 10_000,
            connections_per_address_max: None,
            connect_rate_max: None,
            addresses_max: 65_536,
            event_rate_max: None,
            byte_rate_max: None,
            rate_policy: RatePolicy::Wait,
            rate_wait_timeout: Duration::from_secs(60),
            cleanup_empty_child_namespaces: true,
            child_namespaces_max: 10_000,
            parser: None,
            protocol: ConnectionConfig::default(),
            body_timeout: Duration::from_secs(30),
            body_rate_min: 1024,
            header_bytes_max: 16 << 10,
            header_count_max: 100,
            target_bytes_max: 8 << 10,
            header_timeout: Duration::from_secs(10),
            #[cfg(feature = "tls")]
            tls_timeout: Duration::from_secs(10),
            #[cfg(feature = "webtransport")]
            webtransport_handshakes_max: 1024,
            close_timeout: Duration::from_secs(30),
            drain: Duration::from_secs(10),
            connection_state_recovery: None,
            cluster: ClusterConfig::default(),
            bus: None,
            allow_request: None,
            generate_id: None,
            client_address: None,
            initial_headers: None,
            headers: None,
        }
    }
}

impl Config {
    /// `Duration::MAX` stands for never; a year is as good, and can be added to any instant.
    pub(crate) fn bound_durations(&mut self) {
        let year = Duration::from_secs(365 * 24 * 60 * 60);
        let durations = [
            &mut self.ping_interval,
            &mut self.ping_timeout,
            &mut self.upgrade_timeout,
            &mut self.connect_timeout,
            &mut self.outbox_stall_timeout,
            &mut self.rate_wait_timeout,
            &mut self.ack_timeout,
            &mut self.protocol.attachments_timeout,
            &mut self.body_timeout,
            &mut self.header_timeout,
            #[cfg(feature = "tls")]
            &mut self.tls_timeout,
            &mut self.close_timeout,
            &mut self.drain,
            &mut self.cluster.heartbeat_interval,
            &mut self.cluster.heartbeat_timeout,
            &mut self.cluster.requests_timeout,
        ];
        for duration in durations {
            *duration = year.min(*duration);
        }
    }

    /// Puts the server on a bus: with all other servers on it, it forms a cluster. Broadcasts then go to the sockets of all, and
    /// so do [`fetch_sockets`](crate::Broadcast::fetch_sockets) and its kin; `local` keeps them here.
    ///
    /// ```
    /// use patera::{Config, Io, MemoryBus};
    ///
    /// let mut config = Config::default();
    /// config.bus(MemoryBus::new());                   // servers of one process: clones of a `MemoryBus` are the same bus
    /// let (one, two) = (Io::with_config(config.clone()), Io::with_config(config));
    /// one.emit("news", "for the clients of both");
    /// # drop(two);
    /// ```
    ///
    /// What goes to other servers waits in a queue of at most 16 MiB and 65,536 messages. More is lost, counted in
    /// [`Stats::bus_dropped`](crate::Stats::bus_dropped), and delivered here all the same. See [`Io::on_bus_error`](crate::Io::on_bus_error).
    pub fn bus(&mut self, bus: impl Bus) {
        self.bus = Some(Arc::new(bus));
    }

    /// Decides whether a client may open a session; called once per handshake, polling or WebSocket, before anything of it is kept.
    ///
    /// # Errors
    /// What the hook returns as `Err` refuses the request with status 403 and `{"code":4,"message":"<the error's text>"}`.
    pub fn allow_request<F, Fut>(&mut self, hook: F)
    where
        F: Fn(Handshake) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Error>> + Send + 'static,
    {
        self.allow_request = Some(Arc::new(move |request| Box::pin(hook(request))));
    }

    /// Makes the id of each session, `sid` in the open packet; without it they are 20 random characters. Called once per handshake,
    /// behind [`allow_request`](Self::allow_request). Ids of sockets are drawn all the same, but for those of Engine.IO 3.
    ///
    /// ```
    /// # let mut config = patera::Config::default();
    /// # fn random() -> String { "…".to_owned() }
    /// config.generate_id(async |_| Ok(format!("node-7.{}", random())));   // for a balancer that routes by the id
    /// ```
    ///
    /// Who knows a session's id can speak for it while it polls: do not let it be guessed. Letters, digits and `-._~:@/`, at most
    /// 128 bytes.
    ///
    /// # Errors
    /// What the hook returns as `Err`, an id that is empty, too long, or has other characters, and the id of a session that lives
    /// refuse the request with status 400 and code 3, "Bad request". Why is in the context of
    /// [`on_connection_error`](crate::engine::Server::on_connection_error): `ID_GENERATION_ERROR`.
    pub fn generate_id<F, Fut>(&mut self, hook: F)
    where
        F: Fn(Handshake) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, Error>> + Send + 'static,
    {
        self.generate_id = Some(Arc::new(move |request| Box::pin(hook(request))));
    }

    /// Says which address a client has, for the limits that count by it: `connections_per_address_max`, `connect_rate_max`. Without it,
    /// and where it says `None`, that is the [address of its connection](Handshake::address), so behind a proxy all clients are one.
    /// [`trusted_proxies`](Self::trusted_proxies) is this hook for the usual proxies. Called once per handshake, before
    /// [`allow_request`](Self::allow_request).
    ///
    /// ```
    /// # let mut config = patera::Config::default();
    /// config.client_address(|request| request.header("cf-connecting-ip")?.parse().ok());    // if nobody but that proxy can connect
    /// ```
    ///
    /// Addresses of IPv6 count by their first 64 bits. Clients without an address, as beside another HTTP server that does not
    /// put a [`RemoteAddress`](crate::RemoteAddress) into its requests, count as one.
    pub fn client_address(&mut self, hook: impl Fn(&Handshake) -> Option<IpAddr> + Send + Sync + 'static) {
        self.client_address = Some(Arc::new(hook));
    }

    /// Proxies in front of this server, whose `X-Forwarded-For` is believed: a [`client_address`](Self::client_address) of theirs is the
    /// last one there that is not a proxy itself. By default none is: anybody can send this header.
    ///
    /// ```
    /// # let mut config = patera::Config::default();
    /// config.trusted_proxies(["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()]);
    /// ```
    pub fn trusted_proxies(&mut self, proxies: impl IntoIterator<Item = IpAddr>) {
        let proxies: Vec<IpAddr> = proxies.into_iter().map(|proxy| proxy.to_canonical()).collect();
        self.client_address(move |request| forwarded_for(request, &proxies));
    }

    /// The address a client is counted by.
    pub(crate) fn address_of(&self, handshake: &Handshake) -> Option<IpAddr> {
        let told = self.client_address.as_ref().and_then(|hook| hook(handshake));
        told.or_else(|| handshake.address().map(|address| address.ip()))
    }

    /// Adds headers to the first response of each session: the first polling answer or the 101.
    pub fn initial_headers(&mut self, hook: impl Fn(&mut HeaderMap, &Handshake) + Send + Sync + 'static) {
        self.initial_headers = Some(Arc::new(hook));
    }

    /// Adds headers to every response of a session, the 101 included.
    pub fn headers(&mut self, hook: impl Fn(&mut HeaderMap, &Handshake) + Send + Sync + 'static) {
        self.headers = Some(Arc::new(hook));
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("path", &self.path).field("transports", &self.transports).finish_non_exhaustive()
    }
}

/// What happens to a packet that does not fit into a full outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutboxPolicy {
    /// The session ends with the reason `outbox full`: a client that cannot keep up comes back with nothing missing in between.
    Close,
    /// The event or acknowledgement is dropped and counted in [`Stats::dropped_full`](crate::Stats::dropped_full); the session
    /// goes on. A packet without which the client would be out of step (CONNECT, DISCONNECT) still closes it.
    DropNewest,
}

/// What happens to a client that sends faster than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RatePolicy {
    /// Nothing is read from it until it may send again, and its ping deadline rests. Nothing is lost: what it sends waits on its
    /// side, and a polling client's POST is answered so much later. Counted in [`Stats::throttled`](crate::Stats::throttled). A client
    /// that is behind for [`Config::rate_wait_timeout`] on end is closed all the same.
    Wait,
    /// The session ends with the reason `rate exceeded`, behind what it was still sent, and with close code 1008.
    Close,
}

/// How long, and how much, is kept for clients that may come back: [`Config::connection_state_recovery`].
///
/// ```
/// use patera::{Config, ConnectionStateRecovery, Io, Socket};
///
/// let mut config = Config::default();
/// config.connection_state_recovery = Some(ConnectionStateRecovery::default());
/// let io = Io::with_config(config);
/// io.on_connection(async |socket: Socket| {
///     if !socket.recovered() {
///         socket.join("news");    // one that was recovered is in its rooms already
///     }
/// });
/// ```
///
/// A client is told a private id; each event that is neither volatile nor waits for an acknowledgement ends with one more
/// argument, an offset. Stock clients of Socket.IO since 4.6 send both when they reconnect. What a client may have missed is kept from the
/// moment it is emitted until a heartbeat shows that it arrived, and when the connection is lost, until the client is back: every event
/// exactly once and in order, or `recovered` is false on both sides. At each limit it is the latter.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionStateRecovery {
    /// How long a client may be away. Default 2 minutes. Then its socket leaves its rooms, and what it kept is dropped.
    pub max_disconnection_duration: Duration,
    /// Whether a client that is recovered is let in without asking the middlewares again. Default false: what they check may
    /// have changed. (socket.io's default is true.)
    pub skip_middlewares: bool,
    /// Events kept for one client, connected or not. Default 10,000. At the limit the oldest is dropped: a client that has not got it
    /// is not recovered.
    pub packets_max: usize,
    /// Bytes of the events kept for one client, connected or not. Default 512 KiB. At the limit the oldest are dropped, as above. What
    /// many get is kept once, but counted for each.
    pub bytes_max: usize,
    /// Clients of the whole server that are away. Default 10,000. One more, and the one that has been away longest is given up.
    pub sessions_max: usize,
    /// Bytes kept for all clients that are away, counted in the same way. Default 256 MiB. At the limit each client that would
    /// get one more event is given up.
    pub away_bytes_max: usize,
}

impl Default for ConnectionStateRecovery {
    fn default() -> Self {
        ConnectionStateRecovery {
            max_disconnection_duration: Duration::from_secs(2 * 60),
            skip_middlewares: false,
            packets_max: 10_000,
            bytes_max: 512 << 10,
            sessions_max: 10_000,
            away_bytes_max: 256 << 20,
        }
    }
}

/// Bytes of an id that [`Config::generate_id`] makes. With a longer one the request is refused.
pub(crate) const SESSION_ID_BYTES_MAX: usize = 128;
/// Warnings or errors of one kind in a second; of more it is told how many there were.
#[cfg(feature = "tracing")]
pub(crate) const LOG_LINES_PER_SECOND_MAX: u64 = 100;
/// What `Retry-After` says where a session must end first.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(5);
/// From one look for addresses that can be forgotten to the next, at the least.
pub(crate) const ADDRESSES_SWEEP_GAP: Duration = Duration::from_secs(1);
/// Packets handled in one turn of a session before other sessions run.
pub(crate) const PACKETS_PER_TURN: usize = 64;
/// Sessions whose outboxes one task flushes after a broadcast: other workers take other tasks.
pub(crate) const SESSIONS_PER_FLUSH: usize = 256;
/// Sessions flushed in one turn of that task before other tasks run.
pub(crate) const SESSIONS_PER_TURN: usize = 32;
/// Bytes written with one system call at the most; more waits for the next one.
pub(crate) const WRITE_BYTES_MAX: usize = 256 << 10;
/// Bytes read with one system call at the most: the size of the per-thread read buffer.
pub(crate) const READ_BYTES_MAX: usize = 64 << 10;
/// An item up to this size is copied into the write buffer; a larger one is written from where it lies.
pub(crate) const COPY_BYTES_MAX: usize = 8 << 10;
/// How long accepting rests when the process has no descriptor left.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long a body may take before its speed counts.
pub(crate) const BODY_GRACE: Duration = Duration::from_secs(5);
/// Messages of `patera::engine` that wait to be received, at the most; then the client is not read from.
pub(crate) const INBOX_MESSAGES_MAX: usize = 1024;
/// How long an ended WebSocket is read on, so that the peer sees the close frame and not a reset.
pub(crate) const LINGER: Duration = Duration::from_secs(2);
/// Room events that wait for a hook which is at work on another one, in one namespace; one more is not told, and traced.
pub(crate) const ROOM_EVENTS_MAX: usize = 65_536;
/// Messages to other servers that wait for the bus; one more is lost, and counted.
pub(crate) const BUS_QUEUE_MESSAGES_MAX: usize = 65_536;
/// Bytes of those messages. More is lost; one larger message is taken by an empty queue.
pub(crate) const BUS_QUEUE_BYTES_MAX: usize = 16 << 20;
/// How long a server whose bus is out of reach waits before it subscribes again.
pub(crate) const BUS_RETRY: Duration = Duration::from_secs(1);
/// How long a server that is closed goes on to publish what waits, its goodbye at last; then that is lost.
pub(crate) const BUS_FAREWELL: Duration = Duration::from_secs(1);
/// Broadcasts of other servers whose acknowledgements are awaited here. One more is emitted without waiting, and its server is
/// told that nobody will answer.
pub(crate) const ASKS_MAX: usize = 10_000;
/// Handlers of server-side events that wait at once. One more is dropped, and traced.
pub(crate) const SERVER_SIDE_HANDLERS_MAX: usize = 1024;

/// What a WebTransport client may say first, in bytes; longer, it is cut off. A sid is at most 128.
#[cfg(feature = "webtransport")]
pub(crate) const FIRST_PACKET_BYTES_MAX: usize = 1024;

/// How much of a WebTransport stream is translated at once, in bytes: on the stack where it comes in, and what a stream that takes no
/// more keeps of what goes out. 8 KiB; the rest waits where it is.
#[cfg(feature = "webtransport")]
pub(crate) const WEBTRANSPORT_COPY_BYTES_MAX: usize = 8 << 10;

/// What a WebTransport client may have sent that is not read yet, on all its streams, and what may be on its way to it without its
/// acknowledgement, in bytes. 256 KiB; then it waits, or its transport is not ready.
#[cfg(feature = "webtransport")]
pub(crate) const WEBTRANSPORT_WINDOW_BYTES: u32 = 256 << 10;

/// Streams that a WebTransport client may open: two, the session's and the one of Engine.IO; more wait for ever, or break QUIC.
#[cfg(feature = "webtransport")]
pub(crate) const WEBTRANSPORT_STREAMS_MAX: u32 = 2;

/// One-way streams that it may open: HTTP/3 has three, and browsers add one of no meaning.
#[cfg(feature = "webtransport")]
pub(crate) const WEBTRANSPORT_ONE_WAY_STREAMS_MAX: u32 = 8;

/// Datagrams of a WebTransport client that are kept, in bytes; nobody reads them, so newer ones push older ones out.
#[cfg(feature = "webtransport")]
pub(crate) const WEBTRANSPORT_DATAGRAM_BYTES: usize = 4 << 10;
