//! `Io::listen_webtransport` and its kin: HTTP/3 sessions, of which each carries one Engine.IO session on one stream. PROTOCOL 3.4.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Weak};
use std::time::Instant;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use http::{Extensions, HeaderMap, Request, Uri};
use patera_protocol::engineio::{Transport, Version};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;
use wtransport::endpoint::{IncomingSessionFuture, SessionRequest};
use wtransport::quinn::crypto::rustls::QuicServerConfig;
use wtransport::quinn::{Endpoint, EndpointConfig, IdleTimeout, Incoming, ServerConfig, TokioRuntime, TransportConfig};
use wtransport::{Connection, SendStream, VarInt};

use super::respond::{Host, admit_handshake, check_origin, refuse};
use super::websocket::owe_begin;
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
            Err(_) => incoming.refuse(),
            Ok(permit) => {
                let (host, endpoint, config) = (host.clone(), listening.0.clone(), config.clone());
                openings.spawn(async move {
                    let limit = host.core().config.upgrade_timeout;
                    let opened = timeout(limit, open(host, endpoint, (incoming, config))).await.ok().flatten();
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
    let address = request.remote_address();
    let path = request.path().to_owned();
    let connection = accept(&*host, request).await?;
    let (send, mut recv) = connection.accept_bi().await.ok()?;
    let first = FirstPacket::read(&mut recv).await;
    let (hand_back, handed_back) = oneshot::channel();
    let stream = WebTransportStream::new((send, recv), host.core().config.max_http_buffer_size, hand_back);
    let opened = Opened { connection, handed_back, endpoint };
    match first {
        Some(FirstPacket::Open) => begin(host, stream, &path, address).await,
        Some(FirstPacket::Upgrade(sid)) => take_over(host.core(), stream, &sid),
        None => trace!(debug, "patera::engine", "no first packet on a WebTransport stream", address = %address),
    }
    Some(opened)
}

/// 404 for another path, 403 for an origin that is not one of `origins`. Without the header it comes from no browser.
async fn accept(host: &dyn Host, request: SessionRequest) -> Option<Connection> {
    let core = host.core();
    let path = request.path().split_once('?').map_or(request.path(), |(path, _)| path);
    if !host.paths().matches(path) || !core.config.transports.contains(&Transport::WebTransport) {
        request.not_found().await;
        return None;
    }
    let headers = request.origin().map(|origin| Request::builder().header(http::header::ORIGIN, origin).body(()));
    let allowed = match headers {
        None => true,
        Some(Err(_)) => false,
        Some(Ok(request)) => check_origin(core, &request.into_parts().0).is_ok(),
    };
    if !allowed || core.is_closing() {
        request.forbidden().await;
        return None;
    }
    request.accept().await.ok()
}

/// A session that begins here. Its handshake has no header and no query, as the reference's.
async fn begin(host: Arc<dyn Host>, stream: WebTransportStream, path: &str, address: SocketAddr) {
    let core = host.core().clone();
    let uri = path.parse().unwrap_or_else(|_| Uri::from_static("/"));
    let mut extensions = Extensions::new();
    extensions.insert(RemoteAddress(address));
    extensions.insert(Secure);
    let handshake = Handshake::new(&uri, &HeaderMap::new(), extensions, Instant::now());
    let dialect = EngineDialect { version: Version::V4, base64: false, recovers: true };
    match admit_handshake(&core, handshake, || Ok(dialect), LinkState::WebTransport).await {
        Err(refusal) => refuse(&core, &refusal, None),
        Ok(opening) => {
            let mut link = link(&opening, stream);
            owe_begin(&mut link, &opening);
            host.start(opening, Link::WebSocket(link));
        }
    }
}

/// A stream for a session that polls so far; any other is dropped, and so ended.
fn take_over(core: &Core, stream: WebTransportStream, sid: &str) {
    let session = core.registry.find(sid).filter(|session| {
        let polls = core.engine.allow_upgrades && session.link() == LinkState::Polling;
        polls && session.dialect.version == Version::V4
    });
    if let Some(session) = session {
        let link = link(&session, stream);
        session.outbox.command(Command::Probe(Box::new(link)));
    }
}

fn link(session: &Shared, stream: WebTransportStream) -> WebSocketLink {
    let stream = Stream::Other(Box::new(stream));
    let dialect = EngineDialect { base64: false, ..session.dialect };
    WebSocketLink::translated(stream, Transport::WebTransport, dialect.into(), &session.core.config)
}
