//! TLS in `listen`: real handshakes, certificates that are renewed, and clients that do not finish theirs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use allocation_counter::measure;
use futures_util::{SinkExt as _, StreamExt as _};
use patera::{Config, Io, Listener, Socket, Tls, TlsError};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{PATIENCE, eventually};

/// A certificate for `localhost` that nobody but itself has signed.
struct Identity {
    chain: String,
    key: String,
    der: CertificateDer<'static>,
}

fn identity() -> Identity {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    Identity { chain: cert.pem(), key: signing_key.serialize_pem(), der: cert.der().clone() }
}

impl Identity {
    fn tls(&self) -> Tls {
        Tls::from_pem(self.chain.as_bytes(), self.key.as_bytes()).expect("certificate and key")
    }

    /// A client that trusts it, and it alone.
    async fn connect(&self, address: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).expect("a root");
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from("localhost").expect("a name");
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }
}

async fn serve(io: &Io, tls: Tls) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let io = io.clone();
    tokio::spawn(async move { io.serve(Listener::tls(listener, tls)).await });
    address
}

/// Asks for `target` on a connection that is closed with the answer.
async fn get(mut stream: TlsStream<TcpStream>, target: &str) -> String {
    let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("a request");
    let mut answer = String::new();
    // A peer that closes without close_notify is an error to rustls.
    stream.read_to_string(&mut answer).await.expect("an answer and close_notify");
    answer
}

fn echo() -> Io {
    let io = Io::new();
    io.on("echo", async |socket: Socket, text: String| {
        let handshake = socket.handshake();
        socket.emit("echo", (text, handshake.secure(), handshake.address().is_some()));
    });
    io
}

#[tokio::test]
async fn polling_and_websocket_work_and_the_handshake_is_secure() {
    let identity = identity();
    let io = echo();
    let address = serve(&io, identity.tls()).await;
    let answer = get(identity.connect(address).await.expect("TLS"), "/socket.io/?EIO=4&transport=polling").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("0{\"sid\":"), "{answer}");

    let stream = identity.connect(address).await.expect("TLS");
    let target = "wss://localhost/socket.io/?EIO=4&transport=websocket";
    let (mut socket, _) = tokio_tungstenite::client_async(target, stream).await.expect("a WebSocket");
    socket.send(Message::text("40")).await.expect("sent");
    let long = "x".repeat(100_000);
    socket.send(Message::text(format!(r#"42["echo","{long}"]"#))).await.expect("sent");
    let mut texts = Vec::new();
    while texts.len() < 3 {
        let next = tokio::time::timeout(PATIENCE, socket.next()).await.expect("in time").expect("a message");
        texts.push(next.expect("a message").into_text().expect("a text").to_string());
    }
    assert_eq!(texts[2], format!(r#"42["echo","{long}",true,true]"#));
}

#[tokio::test]
async fn broadcasts_reach_who_sleeps_behind_tls() {
    let identity = identity();
    let io = echo();
    let address = serve(&io, identity.tls()).await;
    let stream = identity.connect(address).await.expect("TLS");
    let target = "wss://localhost/socket.io/?EIO=4&transport=websocket";
    let (mut socket, _) = tokio_tungstenite::client_async(target, stream).await.expect("a WebSocket");
    socket.send(Message::text("40")).await.expect("sent");
    eventually(|| io.sockets().len() == 1).await;
    for n in 0..100 {
        io.emit("n", n);
    }
    let mut next = 0;
    while next < 100 {
        let message = tokio::time::timeout(PATIENCE, socket.next()).await.expect("in time").expect("a message");
        let text = message.expect("a message").into_text().expect("a text");
        if text.starts_with("42") {
            assert_eq!(text.as_str(), format!(r#"42["n",{next}]"#));
            next += 1;
        }
    }
}

#[tokio::test]
async fn certificates_are_renewed_while_connections_stay() {
    let folder = Folder::new("renewal");
    let (old, new) = (identity(), identity());
    folder.write(&old);
    let tls = Tls::from_pem_files(folder.0.join("chain.pem"), folder.0.join("key.pem")).expect("certificates");
    let io = echo();
    let address = serve(&io, tls.clone()).await;
    let before = old.connect(address).await.expect("the old one");
    assert!(!tls.reload().expect("the same files"), "nothing has changed");

    folder.write(&new);
    assert!(tls.reload().expect("new files"));
    new.connect(address).await.expect("the new one");
    old.connect(address).await.expect_err("the old one is gone");
    let answer = get(before, "/socket.io/?EIO=4&transport=polling").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    // What cannot be used changes nothing.
    std::fs::write(folder.0.join("chain.pem"), "no certificate").expect("written");
    assert!(matches!(tls.reload(), Err(TlsError::Chain(_))));
    std::fs::write(folder.0.join("chain.pem"), &old.chain).expect("written");
    let error = tls.reload().expect_err("a key of another certificate");
    assert!(matches!(error, TlsError::Invalid(_)), "{error}");
    std::fs::remove_file(folder.0.join("key.pem")).expect("removed");
    assert!(matches!(tls.reload(), Err(TlsError::Read { .. })));
    new.connect(address).await.expect("still the new one");
    // And is tried again.
    folder.write(&old);
    assert!(tls.reload().expect("good files"));
    old.connect(address).await.expect("the old one again");
}

#[tokio::test]
async fn who_does_not_speak_tls_is_cut_off_and_disturbs_nobody() {
    let identity = identity();
    let mut config = Config::default();
    config.tls_timeout = Duration::from_millis(200);
    let io = Io::with_config(config);
    let address = serve(&io, identity.tls()).await;
    let mut silent = TcpStream::connect(address).await.expect("TCP");
    let mut plain = TcpStream::connect(address).await.expect("TCP");
    plain.write_all(b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("sent");
    let mut partial = TcpStream::connect(address).await.expect("TCP");
    partial.write_all(&[22, 3, 1, 0x40, 0]).await.expect("sent");
    for stream in [&mut silent, &mut plain, &mut partial] {
        let mut rest = Vec::new();
        // The end, or a reset where bytes were left unread.
        let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("in time");
        assert!(ended.is_err() || !rest.starts_with(b"HTTP"), "{rest:?}");
    }
    identity.connect(address).await.expect("others are served");
    assert_eq!(io.stats().sessions, 0);
}

/// Allocations are counted by thread: the server is on this one, its clients are on another.
#[test]
fn an_idle_tls_connection_owns_little_more_than_its_keys() {
    const CLIENTS: i64 = 10;
    let identity = Arc::new(identity());
    let io = echo();
    let server = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let clients = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let address = server.block_on(serve(&io, identity.tls()));
    let connect = |count: usize| {
        let known = io.sockets().len();
        let identity = identity.clone();
        // Their tasks are made over there too.
        clients.spawn(async move {
            for _ in 0..count {
                tokio::spawn(idle(identity.clone(), address));
            }
        });
        server.block_on(eventually(|| io.sockets().len() == known + count));
    };
    // The sessions that rustls keeps for clients which come back are bounded; here they are all there already.
    connect(150);
    let measured = measure(|| connect(10));
    let bytes = measured.bytes_current / CLIENTS;
    // 4 KiB of it are rustls' read buffer.
    assert!((1..9500).contains(&bytes), "{bytes} bytes a connection");
}

async fn idle(identity: Arc<Identity>, address: SocketAddr) {
    let stream = identity.connect(address).await.expect("TLS");
    let target = "wss://localhost/socket.io/?EIO=4&transport=websocket";
    let (mut socket, _) = tokio_tungstenite::client_async(target, stream).await.expect("a WebSocket");
    socket.send(Message::text("40")).await.expect("sent");
    while socket.next().await.is_some() {}
}

#[test]
fn what_is_no_certificate_is_refused_with_a_reason() {
    let identity = identity();
    let check = |chain: &str, key: &str, expected: &str| {
        let error = Tls::from_pem(chain.as_bytes(), key.as_bytes()).expect_err("refused");
        assert!(error.to_string().contains(expected), "{error}");
    };
    check("", &identity.key, "no certificate");
    check(&identity.key, &identity.key, "no certificate");
    check(&identity.chain, "", "no private key");
    check(&identity.chain, &identity.chain, "no private key");
    check(&identity.chain, &self::identity().key, "cannot be used");
    let error = Tls::from_pem_files("/nowhere/chain.pem", "/nowhere/key.pem").expect_err("refused");
    assert!(error.to_string().starts_with("cannot read /nowhere/chain.pem: "), "{error}");
}

/// A folder of its own, removed with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("patera-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }

    fn write(&self, identity: &Identity) {
        std::fs::write(self.0.join("chain.pem"), &identity.chain).expect("written");
        std::fs::write(self.0.join("key.pem"), &identity.key).expect("written");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
