//! permessage-deflate, seen by a client that looks at the frames themselves.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use patera::{Config, DeflateConfig, Io, Socket};
use patera_websocket::{
    CloseCode, Connection, Event, Opcode, Role, client_request, encode, encode_deflated, verify_response_with_deflate,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Client, PATIENCE, Polling, eventually, serve};

const ENGINE: &str = "/socket.io/?EIO=4&transport=websocket";
const KEY: [u8; 16] = *b"the sample nonce";
const MASK: [u8; 4] = [1, 2, 3, 4];

#[tokio::test]
async fn negotiated_where_both_want_it() {
    let check = async |server: Option<DeflateConfig>, offer: Option<DeflateConfig>, expected: Option<&str>| {
        let io = with_deflate(server);
        io.native("/ws");
        let address = serve(&io).await;
        let polling = Polling::open(address).await;
        for target in [ENGINE, "/ws", &format!("{ENGINE}&sid={}", polling.sid)] {
            let raw = Raw::open(address, target, &[], offer).await;
            assert_eq!(raw.answer.as_deref(), expected, "{target} {server:?} {offer:?}");
        }
    };
    let both = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    let default = Some(DeflateConfig::default());
    check(None, None, None).await;
    check(None, default, None).await;
    check(default, None, None).await;
    check(default, default, Some(both)).await;
    let narrow = Some(windows(9, 10));
    let with_windows = format!("{both}; server_max_window_bits=9; client_max_window_bits=10");
    check(narrow, default, Some(&with_windows)).await;
}

#[tokio::test]
async fn long_events_are_compressed_both_ways() {
    let io = with_deflate(Some(DeflateConfig::default()));
    io.on("echo", async |socket: Socket, text: String| socket.emit("echo", text));
    let mut raw = Raw::connect(serve(&io).await, Some(DeflateConfig::default())).await;
    for text in ["la ".repeat(10_000), "é".repeat(600), "x".repeat(990_000)] {
        let event = format!(r#"42["echo","{text}"]"#);
        raw.send(&event).await;
        let message = raw.message().await;
        assert!(message.compressed && message.bytes < 3000, "{} bytes", message.bytes);
        assert_eq!(message.text(), event);
    }
    // Among compressed ones.
    raw.send_plain(r#"42["echo","short"]"#).await;
    assert_eq!(raw.message().await, Message::plain(r#"42["echo","short"]"#));
}

#[tokio::test]
async fn upgraded_session_compresses() {
    let io = with_deflate(Some(DeflateConfig::default()));
    let address = serve(&io).await;
    let polling = Polling::connect(address).await;
    let target = format!("{ENGINE}&sid={}", polling.sid);
    let mut raw = Raw::open(address, &target, &[], Some(DeflateConfig::default())).await;
    raw.send_plain("2probe").await;
    assert_eq!(raw.message().await, Message::plain("3probe"));
    raw.send_plain("5").await;
    eventually(|| io.sockets()[0].transport() == patera::Transport::WebSocket).await;
    let text = "la ".repeat(1000);
    io.emit("e", &text);
    let message = raw.message().await;
    assert!(message.compressed);
    assert_eq!(message.text(), format!(r#"42["e","{text}"]"#));
}

#[tokio::test]
async fn threshold_counts_the_message() {
    let mut config = DeflateConfig::default();
    config.threshold_bytes = 100;
    let io = with_deflate(Some(config));
    io.native("/ws");
    let address = serve(&io).await;
    let mut raw = Raw::connect(address, Some(config)).await;
    let mut native = Raw::open(address, "/ws", &[], Some(config)).await;
    eventually(|| io.sockets().len() == 2).await;
    for (bytes, compressed) in [(99, false), (100, true), (101, true)] {
        // 42["e",""] is around the text of an event.
        io.emit("e", "x".repeat(bytes - 10));
        let message = raw.message().await;
        assert_eq!((message.data.len(), message.compressed), (bytes, compressed));
        native.message().await;
        io.emit("message", "x".repeat(bytes));
        let message = native.message().await;
        assert_eq!((message.data.len(), message.compressed), (bytes, compressed));
        raw.message().await;
    }
}

#[tokio::test]
async fn compress_false_is_obeyed() {
    let io = with_deflate(Some(DeflateConfig::default()));
    let mut raw = Raw::connect(serve(&io).await, Some(DeflateConfig::default())).await;
    let text = "la ".repeat(1000);
    for compress in [false, true] {
        io.compress(compress).emit("e", &text);
        assert_eq!(raw.message().await.compressed, compress);
        io.sockets()[0].compress(compress).emit("e", &text);
        assert_eq!(raw.message().await.compressed, compress);
    }
}

#[tokio::test]
async fn attachments_are_compressed_each_by_itself() {
    let io = with_deflate(Some(DeflateConfig::default()));
    let address = serve(&io).await;
    let mut raw = Raw::connect(address, Some(DeflateConfig::default())).await;
    let mut base64 = Raw::open(address, &format!("{ENGINE}&b64=1"), &[], Some(DeflateConfig::default())).await;
    base64.join().await;
    let (zeros, few) = (vec![0; 20_000], vec![1, 2, 3]);
    io.emit("e", (bytes::Bytes::from(zeros.clone()), bytes::Bytes::from(few.clone())));

    let placeholder = |num| format!(r#"{{"_placeholder":true,"num":{num}}}"#);
    let packet = format!(r#"452-["e",{},{}]"#, placeholder(0), placeholder(1));
    for client in [&mut raw, &mut base64] {
        assert_eq!(client.message().await, Message::plain(&packet));
    }
    let message = raw.message().await;
    assert!(message.compressed && message.opcode == Opcode::Binary);
    assert_eq!(message.data, zeros);
    let message = raw.message().await;
    assert_eq!((message.compressed, message.opcode, message.data), (false, Opcode::Binary, few));

    let message = base64.message().await;
    assert!(message.compressed && message.opcode == Opcode::Text);
    assert!(message.text().starts_with("bAAAA"));
    assert_eq!(base64.message().await, Message::plain("bAQID"));
}

#[tokio::test]
async fn attachments_of_revision_3_have_their_type_in_front() {
    let mut config = Config::default();
    config.allow_eio3 = true;
    config.per_message_deflate = Some(DeflateConfig::default());
    let io = Io::with_config(config);
    let address = serve(&io).await;
    let target = "/socket.io/?EIO=3&transport=websocket";
    let mut raw = Raw::open(address, target, &[], Some(DeflateConfig::default())).await;
    let mut base64 = Raw::open(address, &format!("{target}&b64=1"), &[], Some(DeflateConfig::default())).await;
    for client in [&mut raw, &mut base64] {
        assert!(client.message().await.text().starts_with("0{"));
        assert_eq!(client.message().await, Message::plain("40"));
    }
    eventually(|| io.sockets().len() == 2).await;
    io.emit("e", (bytes::Bytes::from(vec![0; 20_000]), bytes::Bytes::from(vec![1, 2, 3])));
    for client in [&mut raw, &mut base64] {
        assert!(client.message().await.text().starts_with("452-"));
    }
    let message = raw.message().await;
    assert!(message.compressed && message.opcode == Opcode::Binary);
    assert_eq!(message.data, [&[4][..], &[0; 20_000]].concat());
    let message = raw.message().await;
    assert_eq!((message.compressed, message.data), (false, vec![4, 1, 2, 3]));

    let message = base64.message().await;
    assert!(message.compressed && message.text().starts_with("b4AAAA"));
    assert_eq!(base64.message().await, Message::plain("b4AQID"));
}

#[tokio::test]
async fn one_broadcast_reaches_a_mixed_audience() {
    let io = with_deflate(Some(DeflateConfig::default()));
    io.native("/ws");
    let address = serve(&io).await;
    let offer = Some(DeflateConfig::default());
    let mut widest = [Raw::connect(address, offer).await, Raw::connect(address, offer).await];
    let mut narrow = Raw::connect(address, Some(windows(9, 15))).await;
    let mut plain = Raw::connect(address, None).await;
    let mut json = Raw::open(address, "/ws", &["patera.json"], offer).await;
    assert!(json.message().await.text().starts_with(r#"{"event":"connect""#));
    let mut raw = Raw::open(address, "/ws", &[], offer).await;
    let polling = Polling::connect(address).await;
    eventually(|| io.sockets().len() == 7).await;

    // Repeats after 4,000 bytes: too far for a window of 512.
    let line: String = (0..4000u32).map(|at| char::from(b'a' + (at.wrapping_mul(at) % 97 % 26) as u8)).collect();
    let text = line.repeat(3);
    io.emit("message", &text);
    let packet = format!(r#"42["message","{text}"]"#);
    let mut frames = Vec::new();
    for client in &mut widest {
        let message = client.message().await;
        assert_eq!((message.compressed, message.text()), (true, &*packet));
        frames.push(message.frame);
    }
    assert_eq!(frames[0], frames[1]);
    let message = narrow.message().await;
    assert_eq!((message.compressed, message.text()), (true, &*packet));
    assert_ne!(frames[0], message.frame);
    assert_eq!(plain.message().await, Message::plain(&packet));
    let message = json.message().await;
    assert!(message.compressed);
    assert_eq!(message.text(), format!(r#"{{"event":"message","args":["{text}"]}}"#));
    let message = raw.message().await;
    assert_eq!((message.compressed, message.text()), (true, &*text));
    assert_eq!(polling.get().await.body, packet);
}

#[tokio::test]
async fn what_belongs_to_the_session_is_never_compressed() {
    let mut deflate = DeflateConfig::default();
    deflate.threshold_bytes = 0;
    let mut config = Config::default();
    config.per_message_deflate = Some(deflate);
    config.ping_interval = Duration::from_millis(20);
    let io = Io::with_config(config);
    let mut raw = Raw::open(serve(&io).await, ENGINE, &[], Some(deflate)).await;
    let open = raw.message().await;
    assert!(!open.compressed && open.text().starts_with("0{"));
    assert_eq!(raw.message().await, Message::plain("2"));
}

#[tokio::test]
async fn bomb_ends_its_session_alone() {
    let io = with_deflate(Some(DeflateConfig::default()));
    io.on("echo", async |socket: Socket, text: String| socket.emit("echo", text));
    let address = serve(&io).await;
    let (mut neighbour, _) = Client::connect(address).await;
    let mut config = DeflateConfig::default();
    config.level = 9;
    for (bytes, code) in
        [(1_000_000, None), (1_000_001, Some(CloseCode::TOO_BIG)), (50_000_000, Some(CloseCode::TOO_BIG))]
    {
        let mut raw = Raw::connect(address, Some(config)).await;
        let packet = format!(r#"42["echo","{}"]"#, " ".repeat(bytes - 13));
        raw.send(&packet).await;
        match code {
            None => assert_eq!(raw.message().await.text(), packet),
            Some(code) => assert_eq!(raw.closed().await, Some(code)),
        }
        neighbour.send(r#"42["echo","alive"]"#).await;
        neighbour.expect(r#"42["echo","alive"]"#).await;
    }
    eventually(|| io.stats().sessions == 1).await;
}

#[tokio::test]
async fn inflated_bytes_count_in_a_turn() {
    let io = with_deflate(Some(DeflateConfig::default()));
    let handled = Arc::new(AtomicUsize::new(0));
    let (counter, counted) = (handled.clone(), handled.clone());
    io.on("big", async move |_: String| {
        counter.fetch_add(1, Ordering::Relaxed);
    });
    io.on("count", async move |socket: Socket| socket.emit("count", counted.load(Ordering::Relaxed)));
    let address = serve(&io).await;
    let mut raw = Raw::connect(address, Some(DeflateConfig::default())).await;
    let (mut neighbour, _) = Client::connect(address).await;
    // 60 messages of half a megabyte arrive in one read of 36 KB.
    let frame = raw.deflated(&format!(r#"42["big","{}"]"#, " ".repeat(500_000)));
    let all = frame.repeat(60);
    assert!(all.len() < 64 << 10, "{} bytes", all.len());
    raw.stream.write_all(&all).await.unwrap();
    neighbour.send(r#"42["count"]"#).await;
    let count = neighbour.text().await;
    let before: usize = count.strip_prefix(r#"42["count","#).unwrap().trim_end_matches(']').parse().unwrap();
    assert!(before < 40, "{before} before the neighbour had its turn");
    eventually(|| handled.load(Ordering::Relaxed) == 60).await;
}

#[tokio::test]
async fn bad_compressed_messages_close() {
    let io = with_deflate(Some(DeflateConfig::default()));
    let address = serve(&io).await;
    for (offer, payload, code) in [
        (Some(DeflateConfig::default()), &[0xff, 0xff][..], Some(CloseCode::INVALID_DATA)),
        // Nothing is no packet of Engine.IO: a parse error.
        (Some(DeflateConfig::default()), &[0x00], Some(CloseCode::POLICY)),
        (Some(DeflateConfig::default()), &[], Some(CloseCode::POLICY)),
        (None, &[0x00], Some(CloseCode::PROTOCOL)),
    ] {
        let mut raw = Raw::connect(address, offer).await;
        let mut frame = Vec::new();
        encode(Role::Client, Opcode::Text, true, payload, MASK, &mut frame);
        frame[0] |= 0x40;
        raw.stream.write_all(&frame).await.unwrap();
        assert_eq!(raw.closed().await, code, "{payload:?}");
        eventually(|| io.stats().sessions == 0).await;
    }
}

fn with_deflate(deflate: Option<DeflateConfig>) -> Io {
    let mut config = Config::default();
    config.per_message_deflate = deflate;
    Io::with_config(config)
}

fn windows(server: u8, client: u8) -> DeflateConfig {
    let mut config = DeflateConfig::default();
    config.server_max_window_bits = server;
    config.client_max_window_bits = client;
    config
}

/// A message as it came.
#[derive(Debug, PartialEq)]
struct Message {
    opcode: Opcode,
    compressed: bool,
    /// Of the whole frame.
    bytes: usize,
    frame: Vec<u8>,
    data: Vec<u8>,
}

impl Message {
    /// A text that is not compressed.
    fn plain(text: &str) -> Self {
        let frame = patera_websocket::server_frame(Opcode::Text, text.as_bytes()).to_vec();
        Message { opcode: Opcode::Text, compressed: false, bytes: frame.len(), frame, data: text.into() }
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.data).unwrap()
    }
}

/// A WebSocket client that sees frames.
struct Raw {
    stream: TcpStream,
    connection: Connection,
    /// `Sec-WebSocket-Extensions` of the server.
    answer: Option<String>,
    unread: Vec<u8>,
}

impl Raw {
    async fn open(address: SocketAddr, target: &str, protocols: &[&str], offer: Option<DeflateConfig>) -> Self {
        let mut request = client_request(&format!("ws://{address}{target}").parse().unwrap(), KEY, protocols).unwrap();
        if let Some(config) = &offer {
            request.headers_mut().insert("sec-websocket-extensions", config.offer());
        }
        let mut head = format!("GET {target} HTTP/1.1\r\n");
        for (name, value) in request.headers() {
            head.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
        }
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();

        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().lines();
        assert_eq!(lines.next(), Some("HTTP/1.1 101 Switching Protocols"));
        let mut response = http::Response::builder().status(101);
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            response = response.header(name, value);
        }
        let response = response.body(()).unwrap();
        let answer = response.headers().get("sec-websocket-extensions");
        let answer = answer.map(|value| value.to_str().unwrap().to_owned());
        let agreed = verify_response_with_deflate(&response, KEY, protocols, &offer.unwrap_or_default()).unwrap();
        let mut config = patera_websocket::Config::default();
        config.frame_bytes_max = 2_000_000;
        config.message_bytes_max = 2_000_000;
        let connection = Connection::new(Role::Client, config).with_extensions(&agreed.extensions);
        Raw { stream, connection, answer, unread: Vec::new() }
    }

    /// A Socket.IO client in the default namespace.
    async fn connect(address: SocketAddr, offer: Option<DeflateConfig>) -> Self {
        let mut raw = Self::open(address, ENGINE, &[], offer).await;
        raw.join().await;
        raw
    }

    async fn join(&mut self) {
        assert!(self.message().await.text().starts_with("0{"));
        self.send_plain("40").await;
        assert!(self.message().await.text().starts_with("40{"));
    }

    /// Sends a text compressed.
    async fn send(&mut self, text: &str) {
        let frame = self.deflated(text);
        self.stream.write_all(&frame).await.unwrap();
    }

    fn deflated(&self, text: &str) -> Vec<u8> {
        let window_bits = self.connection.deflate().unwrap().window_bits(Role::Client);
        let mut config = DeflateConfig::default();
        config.threshold_bytes = 0;
        let mut frame = Vec::new();
        let payload = text.as_bytes();
        assert!(encode_deflated(Role::Client, Opcode::Text, payload, MASK, window_bits, &config, &mut frame));
        frame
    }

    async fn send_plain(&mut self, text: &str) {
        let mut frame = Vec::new();
        encode(Role::Client, Opcode::Text, true, text.as_bytes(), MASK, &mut frame);
        self.stream.write_all(&frame).await.unwrap();
    }

    async fn message(&mut self) -> Message {
        let frame = self.frame().await.expect("a message");
        let mut input = frame.clone();
        let progress = self.connection.handle_read(&mut input).unwrap();
        let (opcode, data) = match progress.event {
            Some(Event::Text(text)) => (Opcode::Text, text.as_bytes().to_vec()),
            Some(Event::Binary(data)) => (Opcode::Binary, data.to_vec()),
            other => panic!("a message, not {other:?}"),
        };
        assert_eq!(progress.consumed, frame.len());
        Message { opcode, compressed: frame[0] & 0x40 != 0, bytes: frame.len(), frame, data }
    }

    /// The code of the close frame; messages before it are passed over.
    async fn closed(&mut self) -> Option<CloseCode> {
        while let Some(mut frame) = self.frame().await {
            if let Some(Event::Close(close)) = self.connection.handle_read(&mut frame).unwrap().event {
                return close.map(|close| close.code);
            }
        }
        panic!("no close frame");
    }

    /// The next frame as it stands on the wire; `None` at the end.
    async fn frame(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(len) = frame_len(&self.unread).filter(|len| *len <= self.unread.len()) {
                let rest = self.unread.split_off(len);
                return Some(std::mem::replace(&mut self.unread, rest));
            }
            let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.unread)).await;
            if read.expect("a frame in time").unwrap_or(0) == 0 {
                return None;
            }
        }
    }
}

fn frame_len(bytes: &[u8]) -> Option<usize> {
    Some(match bytes.get(1)? {
        126 => 4 + usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().unwrap())),
        127 => 10 + u64::from_be_bytes(bytes.get(2..10)?.try_into().unwrap()) as usize,
        len => 2 + usize::from(*len),
    })
}
