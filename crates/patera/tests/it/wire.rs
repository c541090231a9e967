//! Raw HTTP and WebSocket over memory, for tests that look at every byte, and for those in which time stands still.

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use patera::engine::Engine;
use patera::{Io, NotFound, Service};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Message, protocol::Role};
use tower_service::Service as _;

/// A server that hyper serves over a pipe for each connection.
#[derive(Clone)]
pub(crate) struct Server {
    service: Service<NotFound>,
    path: &'static str,
}

impl Server {
    pub(crate) fn new(io: &Io) -> Self {
        Server { service: io.service(), path: "/socket.io/" }
    }

    pub(crate) fn of_engine(engine: &Engine) -> Self {
        Server { service: engine.service(), path: "/engine.io/" }
    }

    fn connect(&self) -> DuplexStream {
        let (near, far) = tokio::io::duplex(1 << 20);
        let service = self.service.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let mut service = service.clone();
            async move { service.call(request).await }
        });
        // Ends with the pipe.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(far), service).with_upgrades());
        near
    }

    /// One request on a connection of its own.
    pub(crate) async fn request(&self, method: &str, target: &str, headers: &str, body: &[u8]) -> Answer {
        let mut stream = self.connect();
        let length = if method == "POST" { format!("Content-Length: {}\r\n", body.len()) } else { String::new() };
        let head = format!("{method} {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{length}{headers}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
        let mut response = Vec::new();
        stream.read_to_end(&mut response).await.unwrap();
        let end = response.windows(4).position(|window| window == b"\r\n\r\n").expect("a whole response");
        let head = String::from_utf8(response[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head, body: response[end + 4..].to_vec() }
    }

    /// A WebSocket's handshake; status and body if it is refused.
    pub(crate) async fn upgrade(&self, target: &str) -> Result<WebSocket, (u16, String)> {
        let mut stream = self.connect();
        let head = format!(
            "GET {target} HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut response = Vec::new();
        while !response.ends_with(b"\r\n\r\n") {
            response.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(response).unwrap();
        if head.starts_with("HTTP/1.1 101 ") {
            return Ok(WebSocket(WebSocketStream::from_raw_socket(stream, Role::Client, None).await));
        }
        let mut body = String::new();
        stream.read_to_string(&mut body).await.unwrap();
        Err((head.split(' ').nth(1).unwrap().parse().unwrap(), body))
    }
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find_map(|(field, value)| field.eq_ignore_ascii_case(name).then_some(value))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// `(status, body)`, to compare with.
    pub(crate) fn brief(&self) -> (u16, &str) {
        (self.status, self.text())
    }
}

/// A polling session, of whatever revision its query says.
#[derive(Clone)]
pub(crate) struct Polling {
    server: Server,
    query: String,
    pub(crate) sid: String,
}

impl Polling {
    pub(crate) async fn open(server: &Server, query: &str) -> (Self, Answer) {
        let open = server.request("GET", &format!("{}?{query}", server.path), "", b"").await;
        let (_, rest) = open.text().split_once("sid").expect("an open packet");
        let sid = rest.split(|c: char| "\\\":".contains(c)).find(|part| part.len() == 20).unwrap().to_owned();
        (Polling { server: server.clone(), query: query.to_owned(), sid }, open)
    }

    /// In the default namespace of revision 3; that has been read.
    pub(crate) async fn connect(server: &Server, query: &str) -> Self {
        let (polling, _) = Self::open(server, query).await;
        let connected = polling.get().await;
        assert!(connected.text().contains("2:40"), "{}", connected.text());
        polling
    }

    pub(crate) fn with_query(self, query: &str) -> Self {
        Polling { query: query.to_owned(), ..self }
    }

    fn target(&self) -> String {
        format!("{}?{}&sid={}", self.server.path, self.query, self.sid)
    }

    pub(crate) async fn get(&self) -> Answer {
        self.server.request("GET", &self.target(), "", b"").await
    }

    pub(crate) async fn post(&self, headers: &str, body: impl AsRef<[u8]>) -> Answer {
        self.server.request("POST", &self.target(), headers, body.as_ref()).await
    }

    /// A WebSocket that is to take the session over.
    pub(crate) async fn probe(&self, query: &str) -> WebSocket {
        let target = format!("{}?{query}&sid={}", self.server.path, self.sid);
        self.server.upgrade(&target).await.expect("it is let in")
    }
}

/// A WebSocket client that answers nothing by itself.
pub(crate) struct WebSocket(WebSocketStream<DuplexStream>);

impl WebSocket {
    pub(crate) async fn open(server: &Server, query: &str) -> Self {
        server.upgrade(&format!("{}?{query}", server.path)).await.expect("it is let in")
    }

    /// In the default namespace of revision 3; that has been read.
    pub(crate) async fn connect(server: &Server, query: &str) -> Self {
        let mut client = Self::open(server, query).await;
        assert!(client.text().await.starts_with("0{\"sid\":\""));
        client.expect("40").await;
        client
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    pub(crate) async fn send_binary(&mut self, data: &[u8]) {
        self.0.send(Message::binary(Bytes::copy_from_slice(data))).await.unwrap();
    }

    pub(crate) async fn text(&mut self) -> String {
        match self.0.next().await {
            Some(Ok(Message::Text(text))) => text.as_str().to_owned(),
            other => panic!("a text, not {other:?}"),
        }
    }

    pub(crate) async fn expect(&mut self, text: &str) {
        assert_eq!(self.text().await, text);
    }

    pub(crate) async fn binary(&mut self) -> Vec<u8> {
        match self.0.next().await {
            Some(Ok(Message::Binary(data))) => data.to_vec(),
            other => panic!("bytes, not {other:?}"),
        }
    }

    /// The close code, if that is what comes next.
    pub(crate) async fn closed(&mut self) -> Option<u16> {
        match self.0.next().await {
            Some(Ok(Message::Close(frame))) => frame.map(|frame| frame.code.into()),
            other => panic!("the end, not {other:?}"),
        }
    }
}
