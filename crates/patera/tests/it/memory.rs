//! Clients without sockets, for tests in which time stands still: with no network to wait for, it only moves when all wait.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::Request;
use http_body_util::{BodyExt as _, Full};
use patera::Io;
use tokio::io::DuplexStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tower_service::Service as _;

/// Far longer than any option, and over at once where time is virtual.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// A Socket.IO client over a WebSocket over memory.
pub(crate) struct Client(pub(crate) WebSocketStream<DuplexStream>);

impl Client {
    /// With the open packet read, in no namespace yet. `buffer_bytes` wait on the way, in each direction, at the most.
    pub(crate) async fn engine(io: &Io, buffer_bytes: usize) -> Self {
        let (near, far) = tokio::io::duplex(buffer_bytes);
        let request = Request::get("/socket.io/?EIO=4&transport=websocket").body(()).unwrap();
        io.accept(far, request).await.unwrap();
        let mut client = Client(WebSocketStream::from_raw_socket(near, Role::Client, None).await);
        let open = client.text().await;
        assert!(open.starts_with("0{\"sid\":\""), "{open}");
        client
    }

    /// In the default namespace.
    pub(crate) async fn connect(io: &Io) -> Self {
        let mut client = Self::engine(io, 1 << 16).await;
        client.send("40").await;
        let connected = client.text().await;
        assert!(connected.starts_with("40{"), "{connected}");
        client
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    pub(crate) async fn send_binary(&mut self, data: &[u8]) {
        self.0.send(Message::binary(data.to_vec())).await.unwrap();
    }

    pub(crate) async fn send_frame(&mut self, frame: Frame) {
        self.0.send(Message::Frame(frame)).await.unwrap();
    }

    /// The next message, whatever it is; `None` when the connection has ended.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        let next = tokio::time::timeout(PATIENCE, self.0.next()).await.expect("a message, some day");
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

    pub(crate) async fn expect(&mut self, text: &str) {
        assert_eq!(self.text().await, text);
    }

    /// The next text that is no ping; `None` if the connection ends.
    pub(crate) async fn closed_or_text(&mut self) -> Option<String> {
        match self.next().await? {
            Message::Text(text) => Some(text.as_str().to_owned()),
            _ => None,
        }
    }

    /// Reads until the connection ends; the close code, if there was one.
    pub(crate) async fn closed(&mut self) -> Option<u16> {
        loop {
            match self.next().await {
                Some(Message::Close(frame)) => return frame.map(|frame| frame.code.into()),
                Some(_) => {}
                None => return None,
            }
        }
    }
}

/// A polling client that calls the server's tower service.
pub(crate) struct Polling {
    io: Io,
    target: String,
    pub(crate) sid: String,
    /// Where connections can be recovered.
    pub(crate) pid: String,
    /// What came behind the answer to CONNECT.
    pub(crate) first: Vec<String>,
}

impl Polling {
    /// In the default namespace.
    pub(crate) async fn connect(io: &Io) -> Self {
        Self::connect_with(io, "40").await
    }

    pub(crate) async fn connect_with(io: &Io, connect: &str) -> Self {
        let target = "/socket.io/?EIO=4&transport=polling".to_owned();
        let [sid, pid] = [String::new(), String::new()];
        let mut polling = Polling { io: io.clone(), target, sid, pid, first: Vec::new() };
        let (_, open) = polling.get().await;
        polling.target = format!("{}&sid={}", polling.target, open.split('"').nth(3).expect("an open packet"));
        assert_eq!(polling.post(connect).await, (200, "ok".to_owned()));
        let (_, connected) = polling.get().await;
        let mut packets = connected.split('\u{1e}');
        let ids = packets.next().and_then(|packet| packet.strip_prefix("40")).expect(&connected);
        let ids: serde_json::Value = serde_json::from_str(ids).unwrap();
        [polling.sid, polling.pid] = ["sid", "pid"].map(|key| ids[key].as_str().unwrap_or_default().to_owned());
        polling.first = packets.map(str::to_owned).collect();
        polling
    }

    /// Status and body.
    pub(crate) async fn get(&self) -> (u16, String) {
        self.get_with("").await
    }

    /// With more behind its query.
    pub(crate) async fn get_with(&self, more: &str) -> (u16, String) {
        let request = Request::get(format!("{}{more}", self.target)).body(Full::new(Bytes::new())).unwrap();
        self.call(request).await
    }

    pub(crate) async fn post(&self, body: &str) -> (u16, String) {
        self.post_body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).await
    }

    pub(crate) async fn post_body<B>(&self, body: B) -> (u16, String)
    where
        B: http_body::Body<Data = Bytes, Error = Infallible> + Send + 'static,
    {
        self.call(Request::post(&self.target).body(body).unwrap()).await
    }

    async fn call<B>(&self, request: Request<B>) -> (u16, String)
    where
        B: http_body::Body<Data = Bytes, Error = Infallible> + Send + 'static,
    {
        let response = self.io.service().call(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }
}
