//! `Io::listen_webtransport` and its kin: HTTP/3 sessions, of which each carries one Engine.IO session on one stream. PROTOCOL 3.4.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Instant;

use http::{Extensions, HeaderMap, Request, Uri};
use patera_protocol::engineio::{Transport, Version};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;
use wtransport::config::QuicTransportConfig;
use wtransport::endpoint::{IncomingSession, SessionRequest, endpoint_side};
use wtransport::quinn::IdleTimeout;
use wtransport::{Connection, Endpoint, SendStream, ServerConfig, VarInt};

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
use crate::tls::Tls;
use crate::trace::trace;
use crate::transport::{FirstPacket, Stream, WebSocketLink, WebTransportStream};

/// Accepts until the server is closed.
pub(crate) async fn serve(host: Arc<dyn Host>, socket: UdpSocket, tls: Tls) -> io::Result<()> {
    let core = host.core().clone();
    let mut served = tls.current();
    let endpoint = Endpoint::server(server_config(&served, &core.config, socket)?)?;
    let handshakes = Arc::new(Semaphore::new(core.config.webtransport_handshakes_max.min(Semaphore::MAX_PERMITS)));
    let mut connections = JoinSet::new();
    loop {
        let closed = core.closed.notified();
        if core.is_closing() && core.counters.snapshot().sessions == 0 {
            break;
        }
        let incoming = tokio::select! {
            incoming = endpoint.accept() => incoming,
            Some(_) = connections.join_next() => continue,
            () = closed => break,
        };
        let current = tls.current();
        if !Arc::ptr_eq(&served, &current) {
            renew(&endpoint, &current, &core.config);
            served = current;
        }
        match handshakes.clone().try_acquire_owned() {
            Err(_) => incoming.refuse(),
            Ok(permit) => {
                let host = host.clone();
                connections.spawn(async move {
                    let limit = host.core().config.upgrade_timeout;
                    let opened = timeout(limit, open(host, incoming)).await.ok().flatten();
                    drop(permit);
                    if let Some(opened) = opened {
                        opened.run().await;
                    }
                });
            }
        }
    }
    let _ = timeout(LINGER, async { while connections.join_next().await.is_some() {} }).await;
    endpoint.close(VarInt::from_u32(0), b"");
    let _ = timeout(LINGER, endpoint.wait_idle()).await;
    Ok(())
}

/// Serves new connections with the certificates of now; those that cannot be used here leave the old ones.
fn renew(endpoint: &Endpoint<endpoint_side::Server>, tls: &rustls::ServerConfig, config: &Config) {
    // The configuration names a socket, which is not bound again.
    let renewed = UdpSocket::bind(("127.0.0.1", 0)).and_then(|unused| server_config(tls, config, unused));
    if let Err(error) = renewed.and_then(|renewed| endpoint.reload_config(renewed, false)) {
        trace!(warn, "patera::engine", "certificates cannot be used for WebTransport", error = %error);
    }
}

fn server_config(tls: &rustls::ServerConfig, config: &Config, socket: UdpSocket) -> io::Result<ServerConfig> {
    let invalid = |why: &str| io::Error::new(io::ErrorKind::InvalidInput, why.to_owned());
    // QUIC's first packets are always under this one.
    let needed = rustls::CipherSuite::TLS13_AES_128_GCM_SHA256;
    if !tls.crypto_provider().cipher_suites.iter().any(|suite| suite.suite() == needed) {
        return Err(invalid("WebTransport needs TLS 1.3 with TLS13_AES_128_GCM_SHA256"));
    }
    let mut tls = tls.clone();
    tls.alpn_protocols = vec![b"h3".to_vec()];
    // Whoever replays a first flight opens a session that says nothing.
    tls.max_early_data_size = 0;
    let mut transport = QuicTransportConfig::default();
    // The heartbeat is heard in between.
    let idle = config.ping_interval.saturating_add(config.ping_timeout).max(config.upgrade_timeout);
    let idle = IdleTimeout::try_from(idle).map_err(|_| invalid("ping_interval and ping_timeout are too long"))?;
    transport.max_idle_timeout(Some(idle));
    transport.max_concurrent_bidi_streams(WEBTRANSPORT_STREAMS_MAX.into());
    transport.max_concurrent_uni_streams(WEBTRANSPORT_ONE_WAY_STREAMS_MAX.into());
    transport.stream_receive_window(WEBTRANSPORT_WINDOW_BYTES.into());
    transport.receive_window((2 * WEBTRANSPORT_WINDOW_BYTES).into());
    transport.send_window(WEBTRANSPORT_WINDOW_BYTES.into());
    transport.datagram_receive_buffer_size(Some(WEBTRANSPORT_DATAGRAM_BYTES));
    let builder = ServerConfig::builder().with_bind_socket(socket);
    Ok(builder.with_custom_tls_and_transport(tls, transport).build())
}

/// A connection whose stream a session has.
struct Opened {
    connection: Connection,
    handed_back: oneshot::Receiver<SendStream>,
}

impl Opened {
    /// Until the session is done with the stream: then what it has written may still arrive, and the connection ends.
    async fn run(self) {
        if let Ok(mut send) = self.handed_back.await {
            let _ = timeout(LINGER, send.finish()).await;
        }
        self.connection.close(VarInt::from_u32(0), b"");
    }
}

/// From a client's first datagram to its first packet. Dropped where that takes too long, which ends the connection.
async fn open(host: Arc<dyn Host>, incoming: IncomingSession) -> Option<Opened> {
    let request = match incoming.await {
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
    let opened = Opened { connection, handed_back };
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
