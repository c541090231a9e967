//! One Socket.IO client over WebSocket: its connection, and the bytes that wait to be written. It owns no read buffer: the
//! thread has one, taken for the time of a read.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Response, StatusCode};
use patera_websocket::{CloseCode, Config, Connection, Event, Opcode, Role, client_request, encode, verify_response};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::TcpStream;

use super::error::Failure;
use super::packet::{Message, Packet};
use super::target::Target;

/// How long connecting may take.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

const BUFFER_BYTES: usize = 256 * 1024;
/// A client that has written everything keeps no more memory than this.
const OUTPUT_BYTES_KEPT: usize = 64 * 1024;
const HEAD_BYTES_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 64;

/// Predictable, and it may be: no proxy is to be protected here (RFC 6455 §10.3). With it frames can be made beforehand.
pub(crate) const MASK: [u8; 4] = [0x5a, 0x3c, 0x96, 0xe1];

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; BUFFER_BYTES]);
}

pub(crate) struct Client {
    stream: TcpStream,
    connection: Connection,
    /// Frames to be written.
    output: Vec<u8>,
    written: usize,
    heartbeats: u64,
    closed: bool,
}

impl Client {
    /// Connects: TCP, the upgrade, the open packet, CONNECT and its answer.
    pub(crate) async fn open(target: &Target) -> Result<Client, Failure> {
        match tokio::time::timeout(CONNECT_TIMEOUT, Client::open_for_ever(target)).await {
            Ok(opened) => opened,
            Err(_) => Err(Failure::Timeout),
        }
    }

    async fn open_for_ever(target: &Target) -> Result<Client, Failure> {
        let stream = target.connect().await?;
        let mut config = Config::default();
        config.frame_bytes_max = 16 * 1024 * 1024;
        config.message_bytes_max = 16 * 1024 * 1024;
        let connection = Connection::new(Role::Client, config);
        let mut client = Client { stream, connection, output: Vec::new(), written: 0, heartbeats: 0, closed: false };
        let mut behind = client.upgrade(target).await?;

        let mut opened = false;
        client.take(&mut behind, &mut |message| {
            opened |= is_open(message);
            Ok(())
        })?;
        if !opened {
            client.wait_for(|message| Ok(is_open(message))).await?;
        }
        client.push(target.connect_packet().as_bytes());
        client
            .wait_for(|message| match message {
                Message::Text(text) => is_connected(text, target),
                Message::Binary(_) => Ok(false),
            })
            .await?;
        Ok(client)
    }

    /// The HTTP upgrade. Returns what came behind the response's head.
    async fn upgrade(&mut self, target: &Target) -> Result<Vec<u8>, Failure> {
        // Need not be unpredictable, only be a new one.
        let key = u128::from(self.stream.local_addr()?.port()).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        let key = key.to_be_bytes();
        let request = client_request(&target.uri("websocket"), key, &[]).map_err(|_| Failure::Unreadable)?;
        self.output.extend_from_slice(format!("GET {} HTTP/1.1\r\n", request.uri()).as_bytes());
        for (name, value) in request.headers() {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                self.output.extend_from_slice(part);
            }
        }
        self.output.extend_from_slice(b"\r\n");

        let mut head = Vec::new();
        loop {
            poll_fn(|cx| {
                if self.poll_write(cx)?.is_pending() {
                    return Poll::Pending;
                }
                self.poll_bytes(cx, |bytes| head.extend_from_slice(bytes))
            })
            .await?;
            if let Some(at) = head.windows(4).position(|window| window == b"\r\n\r\n") {
                let behind = head.split_off(at + 4);
                let response = parse_response(&head)?;
                if response.status() != StatusCode::SWITCHING_PROTOCOLS {
                    return Err(Failure::Status(response.status()));
                }
                verify_response(&response, key, &[]).map_err(Failure::Upgrade)?;
                return Ok(behind);
            }
            if head.len() > HEAD_BYTES_MAX {
                return Err(Failure::Unreadable);
            }
        }
    }

    /// Queues one Engine.IO message of text.
    pub(crate) fn push(&mut self, text: &[u8]) {
        encode(Role::Client, Opcode::Text, true, text, MASK, &mut self.output);
    }

    /// Where frames are appended to be written.
    pub(crate) fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Whether everything has been written.
    pub(crate) fn is_flushed(&self) -> bool {
        self.written == self.output.len()
    }

    /// Heartbeats answered since the last call.
    pub(crate) fn take_heartbeats(&mut self) -> u64 {
        std::mem::take(&mut self.heartbeats)
    }

    /// Writes what is queued and reads until a message is the one that is waited for; others are ignored.
    pub(crate) async fn wait_for(
        &mut self,
        mut is_it: impl FnMut(Message<'_>) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let mut found = false;
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(Err(failure)) = self.poll_write(cx) {
                    return Poll::Ready(Err(failure));
                }
                if found {
                    return Poll::Ready(Ok(()));
                }
                ready!(self.poll_read(cx, &mut |message| {
                    found |= is_it(message)?;
                    Ok(())
                }))?;
            }
        })
        .await
    }

    /// Disconnects from the namespace and closes the WebSocket, as clients do; until the server has agreed.
    pub(crate) async fn close(mut self, target: &Target) -> Result<(), Failure> {
        self.push(target.disconnect_packet().as_bytes());
        self.connection.close(CloseCode::NORMAL, "");
        self.connection.poll_output(|| MASK, &mut self.output);
        let closed = poll_fn(|cx| {
            loop {
                if let Poll::Ready(Err(failure)) = self.poll_write(cx) {
                    return Poll::Ready(Err(failure));
                }
                ready!(self.poll_read(cx, &mut |_| Ok(())))?;
            }
        });
        match tokio::time::timeout(CONNECT_TIMEOUT, closed).await {
            Ok(Err(Failure::Closed)) => Ok(()),
            Ok(other) => other,
            Err(_) => Err(Failure::Timeout),
        }
    }

    /// Reads once and hands on every message that is complete; answers heartbeats itself. Ready after each successful read.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        receive: &mut impl FnMut(Message<'_>) -> Result<(), Failure>,
    ) -> Poll<Result<(), Failure>> {
        if self.closed {
            return Poll::Ready(Err(Failure::Closed));
        }
        BUFFER.with_borrow_mut(|buffer| {
            let mut space = ReadBuf::new(buffer);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut space))?;
            let len = space.filled().len();
            if len == 0 {
                return Poll::Ready(Err(Failure::Closed));
            }
            Poll::Ready(self.take(&mut buffer[..len], receive))
        })
    }

    /// Reads once, into bytes.
    fn poll_bytes(&mut self, cx: &mut Context<'_>, take: impl FnOnce(&[u8])) -> Poll<Result<(), Failure>> {
        BUFFER.with_borrow_mut(|buffer| {
            let mut space = ReadBuf::new(buffer);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut space))?;
            if space.filled().is_empty() {
                return Poll::Ready(Err(Failure::Closed));
            }
            take(space.filled());
            Poll::Ready(Ok(()))
        })
    }

    /// Takes bytes that came.
    fn take(
        &mut self,
        input: &mut [u8],
        receive: &mut impl FnMut(Message<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut at = 0;
        while at < input.len() {
            let progress = self.connection.handle_read(&mut input[at..])?;
            at += progress.consumed;
            match progress.event {
                Some(Event::Text("2")) => {
                    self.heartbeats += 1;
                    encode(Role::Client, Opcode::Text, true, b"3", MASK, &mut self.output);
                }
                Some(Event::Text("1")) => self.closed = true,
                Some(Event::Text(text)) => receive(Message::Text(text))?,
                Some(Event::Binary(bytes)) => receive(Message::Binary(bytes))?,
                Some(Event::Ping(_)) => {
                    self.connection.poll_output(|| MASK, &mut self.output);
                }
                Some(Event::Close(_)) => {
                    self.connection.poll_output(|| MASK, &mut self.output);
                    self.closed = true;
                }
                Some(_) | None => {}
            }
        }
        Ok(())
    }

    /// Writes what is queued, in one go where the system takes it; without system call if there is nothing.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        while !self.is_flushed() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.output[self.written..]))?;
            self.written += written;
        }
        self.written = 0;
        self.output.clear();
        if self.output.capacity() > OUTPUT_BYTES_KEPT {
            self.output = Vec::new();
        }
        Poll::Ready(Ok(()))
    }
}

fn is_open(message: Message<'_>) -> bool {
    matches!(message, Message::Text(text) if text.starts_with('0'))
}

/// Whether this says that the namespace is connected to. Where it brings a private id, the server recovers connections.
///
/// # Errors
/// It says that it is refused.
pub(crate) fn is_connected(text: &str, target: &Target) -> Result<bool, Failure> {
    match Packet::parse(text).filter(|packet| packet.namespace == target.namespace()) {
        Some(Packet { kind: b'0', data, .. }) => {
            if data.contains(r#""pid""#) {
                target.recovers().set(true);
            }
            Ok(true)
        }
        Some(Packet { kind: b'4', data, .. }) => Err(Failure::Refused(refusal(data))),
        Some(_) | None => Ok(false),
    }
}

fn parse_response(head: &[u8]) -> Result<Response<()>, Failure> {
    let mut slots = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Response::new(&mut slots);
    parsed.parse(head).map_err(|_| Failure::Unreadable)?;
    let mut response = Response::builder().status(parsed.code.unwrap_or_default());
    for header in parsed.headers {
        response = response.header(header.name, header.value);
    }
    response.body(()).map_err(|_| Failure::Unreadable)
}

/// The message of a refusal: `{"message":"missing token"}` → `missing token`.
fn refusal(data: &str) -> String {
    let data: serde_json::Value = serde_json::from_str(data).unwrap_or_default();
    data["message"].as_str().unwrap_or_default().chars().take(100).collect()
}
