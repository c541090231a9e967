//! WebTransport: a client of wtransport's own against the real server.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures_util::FutureExt as _;
use patera::{Config, Io, Socket, Tls, Transport};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::sync::Notify;
use tokio::time::timeout;
use wtransport::endpoint::ConnectOptions;
use wtransport::error::ConnectionError;
use wtransport::{ClientConfig, Connection, Endpoint, RecvStream, SendStream, VarInt};

use crate::support::{PATIENCE, Polling, eventually, serve};

fn tls() -> Tls {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    Tls::from_pem(cert.pem().as_bytes(), signing_key.serialize_pem().as_bytes()).expect("certificate and key")
}

/// The same, as `Tls::replace` takes it.
fn configuration() -> rustls::ServerConfig {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], signing_key.into())
        .expect("certificate and key")
}

fn config() -> Config {
    let mut config = Config::default();
    config.transports.push(Transport::WebTransport);
    config
}

fn echo(config: Config) -> Io {
    let io = Io::with_config(config);
    io.on("echo", async |socket: Socket, value: patera::Value| socket.emit("echo", value));
    io.on("transport", async |socket: Socket| {
        let handshake = socket.handshake();
        let known = handshake.address().is_some() && handshake.headers().is_empty() && handshake.secure();
        socket.emit("transport", (socket.transport().as_str(), known));
    });
    io
}

fn listen(io: &Io) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("an address");
    let io = io.clone();
    tokio::spawn(async move { io.serve_webtransport(socket, tls()).await });
    address
}

async fn connect(address: SocketAddr, path: &str, origin: Option<&str>) -> Option<Connection> {
    let client = ClientConfig::builder().with_bind_default().with_no_cert_validation().build();
    let mut options = ConnectOptions::builder(format!("https://{address}{path}"));
    if let Some(origin) = origin {
        options = options.add_header("origin", origin);
    }
    let endpoint = Endpoint::client(client).expect("an endpoint");
    timeout(PATIENCE, endpoint.connect(options.build())).await.expect("in time").ok()
}

/// A connection with its one stream.
struct Client {
    connection: Connection,
    send: SendStream,
    recv: RecvStream,
}

impl Client {
    async fn new(address: SocketAddr) -> Self {
        let connection = connect(address, "/socket.io/", None).await.expect("a session");
        let (send, recv) = connection.open_bi().await.expect("a stream").await.expect("a stream");
        Client { connection, send, recv }
    }

    async fn write(&mut self, bytes: &[u8]) {
        self.send.write_all(bytes).await.expect("written");
    }

    async fn text(&mut self, packet: &str) {
        let length = u8::try_from(packet.len()).ok().filter(|length| *length < 126).expect("a short packet");
        self.write(&[&[length], packet.as_bytes()].concat()).await;
    }

    /// The next packet, and whether it is binary; `None` when the stream or the connection has ended.
    async fn next(&mut self) -> Option<(bool, Vec<u8>)> {
        let read = async {
            let mut first = [0];
            self.recv.read_exact(&mut first).await.ok()?;
            let mut length = [0; 8];
            let length = match first[0] & 0x7f {
                126 => {
                    self.recv.read_exact(&mut length[6..]).await.ok()?;
                    u64::from_be_bytes(length)
                }
                127 => {
                    self.recv.read_exact(&mut length).await.ok()?;
                    u64::from_be_bytes(length)
                }
                short => u64::from(short),
            };
            let mut packet = vec![0; length as usize];
            self.recv.read_exact(&mut packet).await.ok()?;
            Some((first[0] & 0x80 != 0, packet))
        };
        timeout(PATIENCE, read).await.expect("in time")
    }

    async fn next_text(&mut self) -> String {
        let (binary, packet) = self.next().await.expect("a packet");
        assert!(!binary, "{packet:?}");
        String::from_utf8(packet).expect("text")
    }

    /// In the namespace `/`.
    async fn open(address: SocketAddr) -> Self {
        let mut client = Client::new(address).await;
        client.text("0").await;
        let open = client.next_text().await;
        assert!(open.starts_with("0{\"sid\":") && open.contains(r#""upgrades":[]"#), "{open}");
        client.text("40").await;
        let connected = client.next_text().await;
        assert!(connected.starts_with("40{\"sid\":"), "{connected}");
        client
    }

    async fn ended(mut self) {
        while self.next().await.is_some() {}
        timeout(PATIENCE, self.connection.closed()).await.expect("the connection ends too");
    }
}

#[tokio::test]
async fn a_session_opens_and_both_kinds_of_frames_pass() {
    let io = echo(config());
    let mut client = Client::open(listen(&io)).await;
    client.text(r#"42["transport"]"#).await;
    assert_eq!(client.next_text().await, r#"42["transport","webtransport",true]"#);
    client.text(r#"451-["echo",{"_placeholder":true,"num":0}]"#).await;
    let data = vec![7; 70_000];
    client.write(b"\xff\x00\x00\x00\x00\x00\x01\x11\x70").await;
    client.write(&data).await;
    assert_eq!(client.next_text().await, r#"451-["echo",{"_placeholder":true,"num":0}]"#);
    assert_eq!(client.next().await, Some((true, data)));
    client.text(r#"451-["echo",{"_placeholder":true,"num":0}]"#).await;
    client.write(b"\x80").await;
    assert_eq!(client.next_text().await, r#"451-["echo",{"_placeholder":true,"num":0}]"#);
    assert_eq!(client.next_text().await, "b", "empty bytes go as text: stock clients take no empty frame");
    for n in 0..100 {
        io.emit("n", n);
    }
    for n in 0..100 {
        assert_eq!(client.next_text().await, format!(r#"42["n",{n}]"#));
    }
}

#[tokio::test]
async fn a_polling_session_moves() {
    let io = echo(config());
    let (http, udp) = (serve(&io).await, listen(&io));
    let polling = Polling::open(http).await;
    let mut client = Client::new(udp).await;
    let first = format!(r#"0{{"sid":"{}"}}"#, polling.sid);
    client.text(&first).await;
    client.text("2probe").await;
    assert_eq!(client.next_text().await, "3probe");
    client.text("5").await;
    client.text("40").await;
    assert!(client.next_text().await.starts_with("40{"));
    assert_eq!(io.sockets()[0].transport(), Transport::WebTransport);
    assert!(io.sockets()[0].conn().upgraded());
}

#[tokio::test]
async fn what_breaks_the_frames_ends_the_session() {
    let io = echo(config());
    let address = listen(&io);
    for bad in [
        &b"\x00"[..],
        b"\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x7f\x00\x20\x00\x00\x00\x00\x00\x00",
        b"\x7f\x00\x00\x00\x00\x00\x0f\x42\x41",
        b"\x02\xff\xff",
    ] {
        let mut client = Client::open(address).await;
        client.write(bad).await;
        client.ended().await;
        eventually(|| io.stats().sessions == 0).await;
    }
}

#[tokio::test]
async fn who_says_nothing_or_nonsense_first_is_cut_off() {
    let mut config = config();
    config.upgrade_timeout = Duration::from_millis(300);
    let io = echo(config);
    let address = listen(&io);
    let silent = connect(address, "/socket.io/", None).await.expect("a session");
    timeout(PATIENCE, silent.closed()).await.expect("without a stream it is over");
    let names = [&b"\x100{\"sid\":\"nobody\"}"[..], b"\x140{\"sid\":\"__proto__\"}", b"0{\"sid\":\"__proto__\"}"];
    for first in [&b""[..], b"\x7e", b"\x0240", b"\x810", b"\x7e\xff\xff0"].into_iter().chain(names) {
        let mut client = Client::new(address).await;
        client.write(first).await;
        client.ended().await;
    }
    assert_eq!(io.stats().sessions_opened, 0);
}

/// Passes datagrams on, and of the large ones that are for the server each second after the one behind it; how many those are.
async fn disorder(server: SocketAddr) -> (SocketAddr, Arc<AtomicUsize>) {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let address = socket.local_addr().expect("an address");
    let swapped = Arc::new(AtomicUsize::new(0));
    let count = swapped.clone();
    tokio::spawn(async move {
        let (mut client, mut held, mut datagram) = (server, None::<Vec<u8>>, [0; 2048]);
        loop {
            let (length, from) = match timeout(Duration::from_millis(5), socket.recv_from(&mut datagram)).await {
                Ok(received) => received.expect("a datagram"),
                // None came behind it.
                Err(_) => {
                    if let Some(held) = held.take() {
                        socket.send_to(&held, server).await.expect("sent");
                    }
                    continue;
                }
            };
            if from == server {
                socket.send_to(&datagram[..length], client).await.expect("sent");
                continue;
            }
            client = from;
            if length > 1000 && held.is_none() {
                held = Some(datagram[..length].to_vec());
                continue;
            }
            socket.send_to(&datagram[..length], server).await.expect("sent");
            if let Some(held) = held.take() {
                socket.send_to(&held, server).await.expect("sent");
                count.fetch_add(1, Relaxed);
            }
        }
    });
    (address, swapped)
}

#[tokio::test]
async fn fragments_that_come_out_of_order_are_put_in_order() {
    let io = echo(config());
    let (address, swapped) = disorder(listen(&io)).await;
    let mut client = Client::open(address).await;
    let placeholder = r#"451-["echo",{"_placeholder":true,"num":0}]"#;
    let data: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
    client.text(placeholder).await;
    client.write(b"\xff\x00\x00\x00\x00\x00\x03\x0d\x40").await;
    client.write(&data).await;
    assert_eq!(client.next_text().await, placeholder);
    assert_eq!(client.next().await, Some((true, data)));
    assert!(swapped.load(Relaxed) > 20, "{swapped:?}");
}

#[tokio::test]
async fn other_paths_and_origins_are_refused() {
    let mut config = config();
    config.origins = Some(vec!["https://good.example".to_owned()]);
    let address = listen(&echo(config));
    assert!(connect(address, "/other/", None).await.is_none());
    assert!(connect(address, "/socket.io/", Some("https://bad.example")).await.is_none());
    assert!(connect(address, "/socket.io/", Some("https://good.example")).await.is_some());
    assert!(connect(address, "/socket.io/", None).await.is_some(), "no browser");
    let not_enabled = listen(&echo(Config::default()));
    assert!(connect(not_enabled, "/socket.io/", None).await.is_none());
}

#[tokio::test]
async fn a_client_that_leaves_is_a_transport_close() {
    let io = echo(config());
    let (sender, mut reasons) = tokio::sync::mpsc::unbounded_channel();
    io.on_disconnect(async move |_: Socket, reason: patera::DisconnectReason| {
        let _ = sender.send(reason);
    });
    let client = Client::open(listen(&io)).await;
    eventually(|| io.sockets().len() == 1).await;
    client.connection.close(VarInt::from_u32(0), b"");
    let reason = timeout(PATIENCE, reasons.recv()).await.expect("in time");
    assert_eq!(reason, Some(patera::DisconnectReason::TransportClose));
}

#[tokio::test]
async fn what_was_sent_before_the_end_arrives() {
    let io = echo(config());
    let address = listen(&io);
    let mut client = Client::open(address).await;
    eventually(|| io.sockets().len() == 1).await;
    io.emit("last", "x".repeat(200_000));
    let closing = tokio::spawn({
        let io = io.clone();
        async move { io.close().await }
    });
    assert_eq!(client.next_text().await.len(), 200_000 + r#"42["last",""]"#.len());
    client.ended().await;
    timeout(PATIENCE, closing).await.expect("in time").expect("closed");
    eventually(|| UdpSocket::bind(address).is_ok()).await;
}

#[tokio::test]
async fn sessions_go_on_without_the_listener_and_get_their_goodbye() {
    let io = echo(config());
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("an address");
    let mut listening = Box::pin(io.serve_webtransport(socket, tls()));
    let mut client = tokio::select! {
        client = Client::open(address) => client,
        ended = &mut listening => panic!("{ended:?}"),
    };
    drop(listening);
    client.text(r#"42["echo",1]"#).await;
    assert_eq!(client.next_text().await, r#"42["echo",1]"#);
    io.emit("last", "x".repeat(200_000));
    let closing = tokio::spawn(async move { io.close().await });
    assert_eq!(client.next_text().await.len(), 200_000 + r#"42["last",""]"#.len());
    client.ended().await;
    timeout(PATIENCE, closing).await.expect("in time").expect("closed");
    eventually(|| UdpSocket::bind(address).is_ok()).await;
}

/// As `main` does that selects between the listener and a signal, closes and returns.
#[tokio::test]
async fn a_program_may_end_when_the_server_is_closed() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("an address");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let program = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let io = echo(config());
            tokio::select! {
                ended = io.serve_webtransport(socket, tls()) => panic!("{ended:?}"),
                _ = stopped => {}
            }
            io.emit("last", "x".repeat(200_000));
            io.close().await;
        });
    });
    let mut client = Client::open(address).await;
    stop.send(()).expect("it runs");
    assert_eq!(client.next_text().await.len(), 200_000 + r#"42["last",""]"#.len());
    assert_eq!(client.next().await, None);
    let closed = timeout(PATIENCE, client.connection.closed()).await.expect("in time");
    assert!(matches!(closed, ConnectionError::ApplicationClosed(_)), "{closed:?}");
    tokio::task::spawn_blocking(|| program.join()).await.expect("joined").expect("no panic");
}

/// QUIC's own task ends with its runtime.
#[tokio::test]
async fn a_listener_whose_socket_is_served_no_more_ends_with_an_error() {
    let io = echo(config());
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut listening = Box::pin(io.serve_webtransport(socket, tls()));
    let there = runtime.enter();
    assert!(listening.as_mut().now_or_never().is_none(), "it listens");
    drop(there);
    runtime.shutdown_background();
    let ended = timeout(PATIENCE, listening).await.expect("in time");
    assert_eq!(ended.expect_err("an error").kind(), std::io::ErrorKind::Other);
    timeout(PATIENCE, io.close()).await.expect("in time");
}

#[tokio::test]
async fn new_connections_are_served_with_the_certificates_of_now() {
    let io = echo(config());
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("an address");
    let (first, second) = (configuration(), configuration());
    let serving = Tls::custom(first);
    tokio::spawn({
        let (io, tls) = (io.clone(), serving.clone());
        async move { io.serve_webtransport(socket, tls).await }
    });
    let certificate = async || {
        let connection = connect(address, "/socket.io/", None).await.expect("a session");
        connection.peer_identity().expect("a certificate").as_slice()[0].hash()
    };
    let before = certificate().await;
    assert_eq!(certificate().await, before);
    serving.replace(second);
    assert_ne!(certificate().await, before);
}

#[tokio::test]
async fn handshakes_are_bounded() {
    let mut config = config();
    config.webtransport_handshakes_max = 1;
    let io = echo(config);
    let address = listen(&io);
    let silent = connect(address, "/socket.io/", None).await.expect("a session");
    assert!(connect(address, "/socket.io/", None).await.is_none(), "one at a time");
    assert_eq!((io.stats().refused, io.stats().crowded), (1, 1));
    silent.close(VarInt::from_u32(0), b"");
    while connect(address, "/socket.io/", None).await.is_none() {}
}

#[tokio::test]
async fn refusals_are_counted_and_told_as_those_of_http() {
    let mut config = config();
    config.origins = Some(vec!["https://good.example".to_owned()]);
    config.connections_max = Some(1);
    let io = echo(config);
    let (sender, mut told) = tokio::sync::mpsc::unbounded_channel();
    io.engine().on_connection_error(move |error| {
        let origin = error.request().header("origin").map(str::to_owned);
        let _ = sender.send((error.code(), error.message().to_owned(), origin));
    });
    let address = listen(&io);
    assert!(connect(address, "/other/", None).await.is_none());
    assert_eq!((io.stats().refused, io.stats().crowded), (1, 0));
    let bad = "https://bad.example";
    assert!(connect(address, "/socket.io/", Some(bad)).await.is_none());
    assert_eq!(told.recv().await, Some((4, "Forbidden".to_owned(), Some(bad.to_owned()))));
    let _first = Client::open(address).await;
    for (first, code, status, message) in
        [("0", 4, 503, "Too many connections"), (r#"0{"sid":"nobody"}"#, 1, 400, "Session ID unknown")]
    {
        let mut client = Client::new(address).await;
        client.text(first).await;
        let closed = timeout(PATIENCE, client.connection.closed()).await.expect("in time");
        let ConnectionError::ApplicationClosed(close) = closed else { panic!("{closed:?}") };
        assert_eq!((close.code(), close.reason()), (VarInt::from_u32(status), message.as_bytes()));
        assert_eq!(told.recv().await, Some((code, message.to_owned(), None)));
    }
    assert_eq!((io.stats().refused, io.stats().crowded, io.stats().sessions_opened), (4, 1, 1));
}

#[tokio::test]
async fn a_hook_that_panics_costs_its_connection() {
    let mut config = config();
    config.webtransport_handshakes_max = 1;
    config.allow_request(|request| async move {
        assert!(request.query_value("panics").is_none(), "a hook's own fault");
        Ok(())
    });
    let io = echo(config);
    let address = listen(&io);
    for refused in 1..3 {
        let connection = connect(address, "/socket.io/?panics=1", None).await.expect("a session");
        let (mut send, _recv) = connection.open_bi().await.expect("a stream").await.expect("a stream");
        send.write_all(b"\x010").await.expect("written");
        timeout(PATIENCE, connection.closed()).await.expect("in time");
        assert_eq!((io.stats().refused, io.stats().handshakes), (refused, 0));
    }
    Client::open(address).await;
}

/// First datagrams from an address where nobody hears the answers take half of the places, and no more.
#[tokio::test]
async fn who_does_not_prove_its_address_shuts_nobody_out() {
    let mut config = config();
    config.webtransport_handshakes_max = 4;
    let address = listen(&echo(config));
    let spoofing = UdpSocket::bind("127.0.0.1:0").expect("a port");
    for _ in 0..8 {
        spoofing.send_to(&first_datagram().await, address).expect("sent");
    }
    let mut client = Client::open(address).await;
    client.text(r#"42["echo",1]"#).await;
    assert_eq!(client.next_text().await, r#"42["echo",1]"#);
}

/// What a client begins with, which then hears nothing.
async fn first_datagram() -> Vec<u8> {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let address = socket.local_addr().expect("an address");
    let connecting = connect(address, "/socket.io/", None);
    let mut datagram = vec![0; 2048];
    let length = tokio::select! {
        received = socket.recv(&mut datagram) => received.expect("a datagram"),
        _ = connecting => panic!("nobody answers"),
    };
    datagram.truncate(length);
    datagram
}

#[tokio::test]
async fn the_first_packet_is_bounded() {
    let io = echo(config());
    let (http, udp) = (serve(&io).await, listen(&io));
    for (length, is_taken) in [(1023, true), (1024, true), (1025, false)] {
        let polling = Polling::open(http).await;
        let mut packet = format!(r#"0{{"sid":"{}"}}"#, polling.sid).into_bytes();
        packet.resize(length, b' ');
        let mut client = Client::new(udp).await;
        client
            .write(&[&[0x7e][..], &u16::try_from(length).expect("a short one").to_be_bytes(), &packet].concat())
            .await;
        if is_taken {
            client.text("2probe").await;
            assert_eq!(client.next_text().await, "3probe", "{length}");
        } else {
            client.ended().await;
        }
    }
}

/// The session's and the one of Engine.IO; one-way ones those of HTTP/3 and some of no meaning.
#[tokio::test]
async fn streams_are_bounded() {
    let io = echo(config());
    let mut client = Client::open(listen(&io)).await;
    assert!(client.connection.open_bi().now_or_never().is_none(), "there are two");
    let mut one_way = Vec::new();
    while let Some(opened) = client.connection.open_uni().now_or_never() {
        one_way.push(opened.expect("a stream"));
        assert!(one_way.len() <= 8);
    }
    // HTTP/3 has opened a few before.
    assert!(one_way.len() >= 8 - 3, "{}", one_way.len());
    client.text(r#"42["echo",1]"#).await;
    assert_eq!(client.next_text().await, r#"42["echo",1]"#);
}

#[tokio::test]
async fn what_is_not_read_is_bounded() {
    const WINDOW: usize = 256 << 10;
    let mut config = config();
    config.pending_handlers_max = 1;
    let io = echo(config);
    let gate = Arc::new(Notify::new());
    let closed = gate.clone();
    io.on("wait", async move || closed.notified().await);
    io.on("length", async |socket: Socket, text: String| socket.emit("length", text.len()));
    let mut client = Client::open(listen(&io)).await;
    client.text(r#"42["wait"]"#).await;
    eventually(|| io.stats().handlers_pending == 1).await;
    let packet = format!(r#"42["length","{}"]"#, "x".repeat(2 * WINDOW));
    let frame = [&[0x7f][..], &(packet.len() as u64).to_be_bytes(), packet.as_bytes()].concat();
    let mut taken = 0;
    while let Ok(written) = timeout(Duration::from_millis(500), client.send.write(&frame[taken..])).await {
        taken += written.expect("written");
    }
    assert!((WINDOW / 2..=WINDOW).contains(&taken), "{taken}");
    gate.notify_one();
    client.write(&frame[taken..]).await;
    assert_eq!(client.next_text().await, format!(r#"42["length",{}]"#, 2 * WINDOW));
}

#[tokio::test]
async fn datagrams_mean_nothing() {
    let io = echo(config());
    let mut client = Client::open(listen(&io)).await;
    for _ in 0..1000 {
        client.connection.send_datagram([7; 1000]).expect("sent");
    }
    client.text(r#"42["echo",1]"#).await;
    assert_eq!(client.next_text().await, r#"42["echo",1]"#);
}

#[tokio::test]
async fn a_session_is_not_polled() {
    let io = echo(config());
    let (http, udp) = (serve(&io).await, listen(&io));
    let mut client = Client::new(udp).await;
    client.text("0").await;
    let open = client.next_text().await;
    let sid = open.split('"').nth(3).expect("an open packet").to_owned();
    let polling = Polling { address: http, sid };
    let bad_request = (400, r#"{"code":3,"message":"Bad request"}"#);
    assert_eq!(polling.get().await.brief(), bad_request);
    assert_eq!(polling.post("no packet").await.brief(), bad_request);
    client.text("40").await;
    assert!(client.next_text().await.starts_with("40{"), "it goes on");
}

#[tokio::test]
async fn polling_clients_are_told_of_it() {
    let address = serve(&echo(config())).await;
    let answer = crate::support::http(address, "GET", "/socket.io/?EIO=4&transport=polling", "", "").await;
    assert!(answer.body.contains(r#""upgrades":["websocket","webtransport"]"#), "{}", answer.body);
    let refused = crate::support::http(address, "GET", "/socket.io/?EIO=4&transport=webtransport", "", "").await;
    assert_eq!(refused.brief(), (400, r#"{"code":0,"message":"Transport unknown"}"#));
}
