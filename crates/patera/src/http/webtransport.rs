//! `Io::listen_webtransport` and its kin: HTTP/3 sessions, of which each carries one Engine.IO session on one stream. PROTOCOL 3.4.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Weak};
use std::time::Instant;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use http::header::ORIGIN;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use patera_protocol::engineio::{RequestError, Transport, Version};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;
use wtransport::endpoint::IncomingSessionFuture;
use wtransport::quinn::crypto::rustls::QuicServerConfig;
use wtransport::quinn::{Endpoint, EndpointConfig, IdleTimeout, Incoming, ServerConfig, TokioRuntime, TransportConfig};
use wtransport::{Connection, SendStream, VarInt};

use super::refusal::Refusal;
use super::respond::{Host, admit_handshake, check_origin, refuse};
use super::websocket::owe_begin;
use crate::admission::Crowded;
use crate::config::{
    Config, LINGER, WEBTRANSPORT_DATAGRAM_BYTES, WEBTRANSPORT_ONE_WAY_STREAMS_MAX, WEBTRANSPORT_STREAMS_MAX,
    WEBTRANSPORT_WINDOW_BYTES,
};
use crate::core::{Core, EngineDialect, LinkState, Shared};
use crate::handshake::{Handshake, RemoteAddress, Secure};
use crate::outbox::Command;
use crate::session::Link;
use crate::sync::Mutex;
use crate::tls::Tls;
use crate::trace::trace;
use crate::transport::{FirstPacket, Stream, WebSocketLink, WebTransportStream};

/// Accepts until the server is closed.
pub(crate) async fn serve(host: Arc<dyn Host>, socket: UdpSocket, tls: Tls) -> io::Result<()> {
    let core = host.core().clone();
    let mut served = tls.current();
    let mut config = ServerConfig::with_crypto(crypto(&served)?);
    config.transport_config(Arc::new(transport(&core.config)?));
    let mut config = Arc::new(config);
    let listening = Listening::new((*config).clone(), socket)?;
    core.endpoints.add(&listening.0);
    let handshakes_max = core.config.webtransport_handshakes_max.min(Semaphore::MAX_PERMITS);
    let handshakes = Arc::new(Semaphore::new(handshakes_max));
    // Dropped with this future; sessions are not, which have tasks of their own.
    let mut openings = JoinSet::new();
    loop {
        let closed = core.closed.notified();
        if core.is_closing() && core.counters.snapshot().sessions == 0 {
            break;
        }
        let incoming = tokio::select! {
            incoming = listening.0.accept() => incoming,
            Some(_) = openings.join_next() => continue,
            () = closed => break,
        };
        let Some(incoming) = incoming else {
            if core.is_closing() {
                break;
            }
            return Err(io::Error::other("the socket of WebTransport is served no more"));
        };
        let current = tls.current();
        if !Arc::ptr_eq(&served, &current) {
            match crypto(&current) {
                Ok(crypto) => Arc::make_mut(&mut config).crypto = crypto,
                // The old ones are as good as before.
                Err(error) => trace!(warn, "patera::engine", "certificates are not for WebTransport", error = %error),
            }
            served = current;
        }
        // Anybody can send a first datagram in anybody's name: the second half is for those who get our answers.
        if handshakes.available_permits() <= handshakes_max / 2 && !incoming.remote_address_validated() {
            // It may be asked to, for its address is not proven.
            let _ = incoming.retry();
            continue;
        }
        match handshakes.clone().try_acquire_owned() {
            Err(_) => {
                let watched = core.connection_errors.watch(&parts("/", None, incoming.remote_address()), false);
                refuse(&core, &Crowded::Handshakes.into(), watched);
                incoming.refuse();
            }
            Ok(permit) => {
                let (host, endpoint, config) = (host.clone(), listening.0.clone(), config.clone());
                openings.spawn(async move {
                    let opened = open_in_time(host, endpoint, (incoming, config)).await;
                    drop(permit);
                    if let Some(opened) = opened {
                        // It ends when the session hands its stream back.
                        tokio::spawn(opened.run());
                    }
                });
            }
        }
    }
    drop(openings);
    farewell(&listening.0).await;
    Ok(())
}

/// What accepts connections. Dropped, it does so no more; those that are there go on, and the socket with them.
struct Listening(Arc<Endpoint>);

impl Listening {
    fn new(config: ServerConfig, socket: UdpSocket) -> io::Result<Self> {
        let endpoint = Endpoint::new(EndpointConfig::default(), Some(config), socket, Arc::new(TokioRuntime))?;
        Ok(Listening(Arc::new(endpoint)))
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.set_server_config(None);
        while let Some(Some(incoming)) = self.0.accept().now_or_never() {
            incoming.refuse();
        }
    }
}

/// The endpoints of a server that are served, or that one of its sessions is on.
#[derive(Default)]
pub(crate) struct Endpoints(Mutex<Vec<Weak<Endpoint>>>);

impl Endpoints {
    fn add(&self, endpoint: &Arc<Endpoint>) {
        let mut endpoints = self.0.lock();
        endpoints.retain(|known| known.strong_count() > 0);
        endpoints.push(Arc::downgrade(endpoint));
    }

    /// Held until the [`farewell`](Self::farewell) of sessions that are about to end.
    pub(crate) fn hold(&self) -> Vec<Arc<Endpoint>> {
        self.0.lock().iter().filter_map(Weak::upgrade).collect()
    }

    /// The sessions have ended: until what they have written has arrived, for a process may end then.
    pub(crate) async fn farewell(held: Vec<Arc<Endpoint>>) {
        join_all(held.iter().map(|endpoint| farewell(endpoint))).await;
    }
}

/// Whoever does not take what is on its way is cut off.
async fn farewell(endpoint: &Endpoint) {
    let _ = timeout(LINGER, endpoint.wait_idle()).await;
    endpoint.close(0_u32.into(), b"");
    let _ = timeout(LINGER, endpoint.wait_idle()).await;
}

/// How new connections are secured, with the certificates of now.
fn crypto(tls: &rustls::ServerConfig) -> io::Result<Arc<QuicServerConfig>> {
    let mut tls = tls.clone();
    tls.alpn_protocols = vec![b"h3".to_vec()];
    // Whoever replays a first flight opens a session that says nothing.
    tls.max_early_data_size = 0;
    // QUIC's first packets are always under this one.
    let needed = "WebTransport needs TLS 1.3 with TLS13_AES_128_GCM_SHA256";
    QuicServerConfig::try_from(tls).map(Arc::new).map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, needed))
}

fn transport(config: &Config) -> io::Result<TransportConfig> {
    let mut transport = TransportConfig::default();
    // The heartbeat is heard in between.
    let idle = config.ping_interval.saturating_add(config.ping_timeout).max(config.upgrade_timeout);
    let too_long = |_| io::Error::new(io::ErrorKind::InvalidInput, "ping_interval and ping_timeout are too long");
    transport.max_idle_timeout(Some(IdleTimeout::try_from(idle).map_err(too_long)?));
    transport.max_concurrent_bidi_streams(WEBTRANSPORT_STREAMS_MAX.into());
    transport.max_concurrent_uni_streams(WEBTRANSPORT_ONE_WAY_STREAMS_MAX.into());
    transport.stream_receive_window(WEBTRANSPORT_WINDOW_BYTES.into());
    // As much in all: the other streams bring next to nothing.
    transport.receive_window(WEBTRANSPORT_WINDOW_BYTES.into());
    transport.send_window(WEBTRANSPORT_WINDOW_BYTES.into());
    transport.datagram_receive_buffer_size(Some(WEBTRANSPORT_DATAGRAM_BYTES));
    Ok(transport)
}

/// A connection whose stream a session has.
struct Opened {
    connection: Connection,
    handed_back: oneshot::Receiver<SendStream>,
    /// So that who closes the server finds it, though nobody listens any more.
    endpoint: Arc<Endpoint>,
}

impl Opened {
    /// Until the session is done with the stream: then what it has written may still arrive, and the connection ends.
    async fn run(self) {
        if let Ok(mut send) = self.handed_back.await {
            let _ = timeout(LINGER, send.finish()).await;
        }
        self.connection.close(VarInt::from_u32(0), b"");
        drop(self.endpoint);
    }
}

/// What is called meanwhile are users' hooks. One that panics costs this connection, and no other.
async fn open_in_time(
    host: Arc<dyn Host>,
    endpoint: Arc<Endpoint>,
    incoming: (Incoming, Arc<ServerConfig>),
) -> Option<Opened> {
    let core = host.core().clone();
    let opening = timeout(core.config.upgrade_timeout, open(host, endpoint, incoming));
    let opened = AssertUnwindSafe(opening).catch_unwind().await.unwrap_or_else(|_| {
        trace!(error, "patera::engine", "a hook of WebTransport handshakes panicked");
        refuse(&core, &Refusal::Panicked, None);
        Ok(None)
    });
    opened.ok().flatten()
}

/// From a client's first datagram to its first packet. Dropped where that takes too long, which ends the connection.
async fn open(
    host: Arc<dyn Host>,
    endpoint: Arc<Endpoint>,
    (incoming, config): (Incoming, Arc<ServerConfig>),
) -> Option<Opened> {
    let connecting = incoming.accept_with(config).ok()?;
    let request = match IncomingSessionFuture::with_quic_connecting(connecting).await {
        Ok(request) => request,
        Err(error) => {
            trace!(debug, "patera::engine", "WebTransport handshake failed", error = %error);
            return None;
        }
    };
    let core = host.core().clone();
    let parts = parts(request.path(), request.origin(), request.remote_address());
    let watched = core.connection_errors.watch(&parts, false);
    if let Err(refusal) = check(&*host, &parts) {
        refuse(&core, &refusal, watched);
        match refusal {
            Refusal::NotFound | Refusal::Engine(RequestError::UnknownTransport) => request.not_found().await,
            _ => request.forbidden().await,
        }
        return None;
    }
    let connection = request.accept().await.ok()?;
    let (send, mut recv) = connection.accept_bi().await.ok()?;
    let first = FirstPacket::read(&mut recv).await;
    let (hand_back, handed_back) = oneshot::channel();
    let stream = WebTransportStream::new((send, recv), core.config.max_http_buffer_size, hand_back);
    let begun = match first {
        Some(FirstPacket::Open) => begin(host, stream, &parts).await,
        Some(FirstPacket::Upgrade(sid)) => take_over(&core, stream, &sid),
        None => {
            trace!(debug, "patera::engine", "no first packet on a WebTransport stream");
            return None;
        }
    };
    if let Err(refusal) = begun {
        refuse(&core, &refusal, watched);
        // The request has been answered with 200 long since: what HTTP would say is how the connection ends.
        let response = refusal.response(true);
        connection.close(VarInt::from_u32(response.status().as_u16().into()), response.body());
        return None;
    }
    Some(Opened { connection, handed_back, endpoint })
}

/// A request for a session, as HTTP would have it.
fn parts(path: &str, origin: Option<&str>, address: SocketAddr) -> Parts {
    let mut request = Request::new(());
    *request.method_mut() = Method::CONNECT;
    *request.uri_mut() = path.parse().unwrap_or_else(|_| Uri::from_static("/"));
    if let Some(origin) = origin {
        // What is no text to HTTP stays none.
        let origin = HeaderValue::try_from(origin.replace(char::is_control, "\u{fffd}"));
        request.headers_mut().insert(ORIGIN, origin.expect("only control characters cannot be in a header"));
    }
    request.extensions_mut().insert(RemoteAddress(address));
    request.extensions_mut().insert(Secure);
    request.into_parts().0
}

/// Before it is accepted. Without an `Origin` it comes from no browser.
fn check(host: &dyn Host, parts: &Parts) -> Result<(), Refusal> {
    let core = host.core();
    if !host.paths().matches(parts.uri.path()) {
        return Err(Refusal::NotFound);
    }
    if !core.config.transports.contains(&Transport::WebTransport) {
        return Err(RequestError::UnknownTransport.into());
    }
    check_origin(core, parts)?;
    if core.is_closing() { Err(Refusal::Closing) } else { Ok(()) }
}

/// A session that begins here. Its handshake has no header and no query, as the reference's.
async fn begin(host: Arc<dyn Host>, stream: WebTransportStream, parts: &Parts) -> Result<(), Refusal> {
    let core = host.core().clone();
    let handshake = Handshake::new(&parts.uri, &HeaderMap::new(), parts.extensions.clone(), Instant::now());
    let dialect = EngineDialect { version: Version::V4, base64: false, recovers: true };
    let opening = admit_handshake(&core, handshake, || Ok(dialect), LinkState::WebTransport).await?;
    let mut link = link(&opening, stream);
    owe_begin(&mut link, &opening);
    host.start(opening, Link::WebSocket(link));
    Ok(())
}

/// A stream for a session that polls so far.
fn take_over(core: &Core, stream: WebTransportStream, sid: &str) -> Result<(), Refusal> {
    let session = core.registry.find(sid).ok_or(RequestError::UnknownSid)?;
    let polls = core.engine.allow_upgrades && session.link() == LinkState::Polling;
    if !polls || session.dialect.version != Version::V4 {
        return Err(RequestError::BadRequest.into());
    }
    let link = link(&session, stream);
    session.outbox.command(Command::Probe(Box::new(link)));
    Ok(())
}

fn link(session: &Shared, stream: WebTransportStream) -> WebSocketLink {
    let stream = Stream::Other(Box::new(stream));
    let dialect = EngineDialect { base64: false, ..session.dialect };
    WebSocketLink::translated(stream, Transport::WebTransport, dialect.into(), &session.core.config)
}
