//! Ways to the server: TLS, proxies, headers, cookies.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use patera::{Config, Cookie, Socket as ServerSocket};
use patera_client::{ConnectError, Reply, TransportError, Value};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::support::{MODES, POLLING, Server, UPGRADE, WEBSOCKET, named, within};

async fn headers_server() -> Server {
    let mut config = Config::default();
    config.cookie = Some(Cookie::default());
    Server::start_with(config, "127.0.0.1:0".parse().unwrap(), |io| {
        io.of("/").on("echo", async |value: Value| Reply(value));
        io.of("/").on("header", async |socket: ServerSocket, name: String| {
            Reply(socket.handshake().header(&name).map(str::to_owned))
        });
        io.of("/").on("query", async |socket: ServerSocket, name: String| Reply(socket.handshake().query_value(&name)));
    })
    .await
}

#[tokio::test]
async fn headers_and_query_reach_the_handshake() {
    let server = headers_server().await;
    for transports in MODES {
        let client = server
            .client(transports)
            .query("token", "é &=")
            .extra_header("x-token".parse().unwrap(), "secret".parse().unwrap());
        let client = within(client.connect()).await.unwrap();
        let header: String = within(client.emit_with_ack("header", "x-token")).await.unwrap();
        let query: String = within(client.emit_with_ack("query", "token")).await.unwrap();
        assert_eq!((header.as_str(), query.as_str()), ("secret", "é &="));
    }
}

#[tokio::test]
async fn cookies_come_back_to_the_server() {
    let server = headers_server().await;
    let proxy = Proxy::start(None).await;
    for with_credentials in [false, true] {
        let client = server.client(UPGRADE).proxy(proxy.url()).with_credentials(with_credentials).build().unwrap();
        let mut events = client.events();
        within(client.connect()).await.unwrap();
        named(&mut events, "upgrade").await;
        within(client.disconnect()).await;
        let heads = std::mem::take(&mut *proxy.heads.lock());
        let polls = heads.iter().filter(|head| head.starts_with("GET") || head.starts_with("POST"));
        let with_cookie = polls.filter(|head| head.contains("cookie: io=")).count();
        assert_eq!(with_cookie > 0, with_credentials, "{heads:?}");
    }
}

#[tokio::test]
async fn proxy_takes_polling_as_it_is_and_tunnels_websockets() {
    let server = headers_server().await;
    let proxy = Proxy::start(None).await;
    for transports in MODES {
        let client = server.client(transports).proxy(proxy.url().replace("//", "//user:pass@")).build().unwrap();
        let mut events = client.events();
        within(client.connect()).await.unwrap();
        if transports == UPGRADE {
            named(&mut events, "upgrade").await;
        }
        let answer: u8 = within(client.emit_with_ack("echo", 7)).await.unwrap();
        assert_eq!(answer, 7);
        within(client.disconnect()).await;
        let heads = std::mem::take(&mut *proxy.heads.lock());
        let address = server.address;
        let gets = heads.iter().filter(|head| head.starts_with(&format!("GET http://{address}/socket.io/?"))).count();
        let tunnels = heads.iter().filter(|head| head.starts_with(&format!("CONNECT {address} HTTP/1.1"))).count();
        assert_eq!((gets > 0, tunnels), (transports != WEBSOCKET, usize::from(transports != POLLING)), "{heads:?}");
        assert!(heads.iter().all(|head| head.contains("proxy-authorization: Basic dXNlcjpwYXNz")), "{heads:?}");
    }
}

#[tokio::test]
async fn proxy_that_refuses_is_told() {
    let server = headers_server().await;
    let proxy = Proxy::start(Some("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")).await;
    let error = within(server.client(WEBSOCKET).proxy(proxy.url()).connect()).await.unwrap_err();
    let ConnectError::Transport(error) = error else { panic!("{error:?}") };
    assert!(matches!(*error, TransportError::Proxy(407)), "{error:?}");
    let error = within(server.client(POLLING).proxy(proxy.url()).connect()).await.unwrap_err();
    let ConnectError::Transport(error) = error else { panic!("{error:?}") };
    assert!(matches!(*error, TransportError::Status(407, _)), "{error:?}");
    let error = within(server.client(WEBSOCKET).proxy("http://127.0.0.1:1").connect()).await.unwrap_err();
    let ConnectError::Transport(error) = error else { panic!("{error:?}") };
    assert!(matches!(*error, TransportError::Io(_)), "{error:?}");
}

#[cfg(feature = "tls")]
mod tls {
    use patera_client::{Client, Tls};
    use rustls::pki_types::{PrivateKeyDer, pem::PemObject as _};
    use tokio_rustls::TlsAcceptor;

    use super::*;

    /// A server behind TLS, with a certificate of its own making.
    struct TlsRelay {
        address: SocketAddr,
        certificate: rustls::pki_types::CertificateDer<'static>,
        task: JoinHandle<()>,
    }

    impl TlsRelay {
        async fn start(server: SocketAddr) -> Self {
            let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
            let certificate = made.cert.der().clone();
            let key = PrivateKeyDer::from_pem_slice(made.signing_key.serialize_pem().as_bytes()).unwrap();
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let config = rustls::ServerConfig::builder_with_provider(provider);
            let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
            let config = config.with_single_cert(vec![certificate.clone()], key).unwrap();
            let acceptor = TlsAcceptor::from(Arc::new(config));
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let task = tokio::spawn(async move {
                let mut connections = JoinSet::new();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let acceptor = acceptor.clone();
                    connections.spawn(async move {
                        let Ok(mut near) = acceptor.accept(stream).await else { return };
                        let mut far = TcpStream::connect(server).await.unwrap();
                        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                    });
                }
            });
            TlsRelay { address, certificate, task }
        }
    }

    impl Drop for TlsRelay {
        fn drop(&mut self) {
            self.task.abort();
        }
    }

    fn trusting(certificate: &rustls::pki_types::CertificateDer<'static>) -> Tls {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        Tls::custom(config.unwrap().with_root_certificates(roots).with_no_client_auth())
    }

    #[tokio::test]
    async fn certificates_are_looked_at_unless_told_otherwise() {
        let server = headers_server().await;
        let relay = TlsRelay::start(server.address).await;
        let proxy = Proxy::start(None).await;
        for transports in MODES {
            for url in [format!("https://{}", relay.address), format!("wss://localhost:{}", relay.address.port())] {
                let client = || Client::builder(&url).transports(transports.iter().copied()).reconnection(false);
                let error = within(client().connect()).await.unwrap_err();
                let ConnectError::Transport(error) = error else { panic!("{error:?}") };
                assert!(matches!(*error, TransportError::Tls(_)), "nobody vouches for it: {error:?}");
                let plain = client().tls(trusting(&relay.certificate));
                let proxied = client().tls(trusting(&relay.certificate)).proxy(proxy.url());
                for client in [plain, proxied, client().tls(Tls::danger_accept_invalid_certs())] {
                    let client = within(client.connect()).await.unwrap();
                    let answer: String = within(client.emit_with_ack("echo", "over tls")).await.unwrap();
                    assert_eq!(answer, "over tls");
                    within(client.disconnect()).await;
                }
            }
        }
        let heads = proxy.heads.lock();
        assert!(heads.iter().all(|head| head.starts_with("CONNECT ")), "{heads:?}");
    }

    #[tokio::test]
    async fn plain_server_is_no_tls() {
        let server = headers_server().await;
        let url = format!("https://{}", server.address);
        let error = within(Client::builder(url).reconnection(false).connect()).await.unwrap_err();
        let ConnectError::Transport(error) = error else { panic!("{error:?}") };
        assert!(matches!(*error, TransportError::Tls(_)), "{error:?}");
    }
}

/// A proxy that remembers the head of every connection's first request.
struct Proxy {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// One that works, or one that always gives this answer.
    async fn start(answer: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = heads.clone();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(proxy(stream, answer, seen.clone()));
            }
        });
        Proxy { address, heads, task }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn proxy(mut near: TcpStream, answer: Option<&str>, heads: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match near.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let text = String::from_utf8(head.clone()).unwrap();
    heads.lock().push(text.clone());
    if let Some(answer) = answer {
        let _ = near.write_all(answer.as_bytes()).await;
        return;
    }
    let target = text.split(' ').nth(1).unwrap();
    let authority = target.strip_prefix("http://").unwrap_or(target).split('/').next().unwrap();
    let mut far = TcpStream::connect(authority).await.unwrap();
    if text.starts_with("CONNECT ") {
        near.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
    } else {
        // What a server gets by way of a proxy may name the whole URL too. RFC 9112 §3.2.2.
        far.write_all(&head).await.unwrap();
    }
    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
}
