//! A server on a port of its own, and clients for it: raw HTTP, and WebSocket by tokio-tungstenite.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use patera::Io;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// Nothing here takes longer, however slow the machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Serves on a free port of the loopback.
pub(crate) async fn serve(io: &Io) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let io = io.clone();
    tokio::spawn(async move { io.serve(listener).await });
    address
}

pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find_map(|(field, value)| field.eq_ignore_ascii_case(name).then_some(value))
    }

    /// `(status, body)`, to compare with.
    pub(crate) fn brief(&self) -> (u16, &str) {
        (self.status, &self.body)
    }
}

/// One request on a connection of its own.
pub(crate) async fn http(address: SocketAddr, method: &str, target: &str, headers: &str, body: &str) -> Response {
    let (head, body) = http_bytes(address, method, target, headers, body).await;
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Response { status, head, body: String::from_utf8(body).unwrap() }
}

/// The same, for answers that are no text: head and body.
pub(crate) async fn http_bytes(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &str,
    body: &str,
) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let request =
        format!("{method} {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{length}{headers}\r\n{body}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut response)).await;
    read.expect("an answer in time").unwrap();
    let end = response.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole response");
    let body = response.split_off(end + 4);
    response.truncate(end);
    (String::from_utf8(response).unwrap(), body)
}

/// A polling session of Engine.IO.
pub(crate) struct Polling {
    pub(crate) address: SocketAddr,
    pub(crate) sid: String,
}

impl Polling {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let response = http(address, "GET", "/socket.io/?EIO=4&transport=polling", "", "").await;
        let sid = response.body.split('"').nth(3).expect("an open packet").to_owned();
        Polling { address, sid }
    }

    /// Joins a namespace; the answer has been read.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let polling = Self::open(address).await;
        assert_eq!(polling.post("40").await.brief(), (200, "ok"));
        let connected = polling.get().await;
        assert!(connected.body.starts_with("40{"), "{}", connected.body);
        polling
    }

    pub(crate) fn target(&self) -> String {
        format!("/socket.io/?EIO=4&transport=polling&sid={}", self.sid)
    }

    pub(crate) async fn get(&self) -> Response {
        http(self.address, "GET", &self.target(), "", "").await
    }

    pub(crate) async fn post(&self, body: &str) -> Response {
        http(self.address, "POST", &self.target(), "", body).await
    }
}

const ENGINE: &str = "/socket.io/?EIO=4&transport=websocket";

/// A WebSocket, whatever is spoken over it.
pub(crate) struct Client(pub(crate) WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    pub(crate) async fn open(address: SocketAddr, target: &str, protocol: Option<&'static str>) -> Self {
        let mut request = format!("ws://{address}{target}").into_client_request().unwrap();
        if let Some(protocol) = protocol {
            request.headers_mut().insert("sec-websocket-protocol", protocol.parse().unwrap());
        }
        let no_delay = true;
        let connecting = tokio_tungstenite::connect_async_with_config(request, None, no_delay);
        let (stream, _) = connecting.await.unwrap();
        Client(stream)
    }

    /// A Socket.IO client with the open packet read, in no namespace yet.
    pub(crate) async fn engine(address: SocketAddr) -> Self {
        Self::open(address, ENGINE, None).await.opened().await
    }

    async fn opened(mut self) -> Self {
        let open = self.text().await;
        assert!(open.starts_with("0{\"sid\":\""), "{open}");
        self
    }

    /// A Socket.IO client in the default namespace, with its id.
    pub(crate) async fn connect(address: SocketAddr) -> (Self, String) {
        Self::engine(address).await.joined().await
    }

    /// As [`connect`](Self::connect), over a connection that is there already.
    pub(crate) async fn connect_over(stream: TcpStream) -> (Self, String) {
        let target = format!("ws://localhost{ENGINE}");
        let (stream, _) = tokio_tungstenite::client_async(target, MaybeTlsStream::Plain(stream)).await.unwrap();
        Client(stream).opened().await.joined().await
    }

    async fn joined(mut self) -> (Self, String) {
        self.send("40").await;
        let connected = self.text().await;
        let id = connected.strip_prefix("40{\"sid\":\"").and_then(|rest| rest.strip_suffix("\"}"));
        let id = id.unwrap_or_else(|| panic!("{connected}")).to_owned();
        (self, id)
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    pub(crate) async fn send_binary(&mut self, data: &[u8]) {
        self.0.send(Message::binary(data.to_vec())).await.unwrap();
    }

    /// The next message, whatever it is; `None` when the connection has ended without a close frame.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        let next = tokio::time::timeout(PATIENCE, self.0.next()).await.expect("a message in time");
        next.and_then(Result::ok)
    }

    /// The next text; pings of Engine.IO are answered and passed over.
    pub(crate) async fn text(&mut self) -> String {
        loop {
            match self.next().await {
                Some(Message::Text(text)) if text == "2" => self.send("3").await,
                Some(Message::Text(text)) => return text.as_str().to_owned(),
                other => panic!("a text, not {other:?}"),
            }
        }
    }

    pub(crate) async fn binary(&mut self) -> Vec<u8> {
        match self.next().await {
            Some(Message::Binary(data)) => data.to_vec(),
            other => panic!("bytes, not {other:?}"),
        }
    }

    pub(crate) async fn expect(&mut self, text: &str) {
        assert_eq!(self.text().await, text);
    }

    /// Reads until the connection ends; the close code, if there was one.
    pub(crate) async fn closed(&mut self) -> Option<u16> {
        self.close_frame().await.map(|(code, _)| code)
    }

    /// The same, with the reason.
    pub(crate) async fn close_frame(&mut self) -> Option<(u16, String)> {
        loop {
            match self.next().await {
                Some(Message::Close(frame)) => {
                    return frame.map(|frame| (frame.code.into(), frame.reason.as_str().to_owned()));
                }
                Some(_) => {}
                None => return None,
            }
        }
    }

    pub(crate) async fn close_with(mut self, code: u16, reason: &'static str) {
        let frame = CloseFrame { code: code.into(), reason: reason.into() };
        self.0.close(Some(frame)).await.unwrap();
    }

    pub(crate) async fn close(mut self) {
        self.0.close(None).await.unwrap();
    }
}

/// Waits until `done`; for what another task does in its own time.
pub(crate) async fn eventually(mut done: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !done() {
            tokio::task::yield_now().await;
        }
    });
    waited.await.expect("it happens in time");
}
