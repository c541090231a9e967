//! `polling`: echo over HTTP long-polling. Each client has two connections, as a browser would: one for the GET that waits,
//! one for POSTs.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderValue};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::task::spawn_local;
use tokio::time::timeout;

use super::client::{CONNECT_TIMEOUT, is_connected};
use super::driver::{Script as _, Slot};
use super::error::Failure;
use super::frames::{Template, Verb};
use super::packet::Message;
use super::run::{Measured, Run};
use super::target::Target;
use super::trips::{Trip, Trips};

/// The largest body that is taken.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
const SEPARATOR: char = '\x1e';

pub(crate) async fn run(run: &Rc<Run>) -> Measured {
    let template = |payload: &_| Template::body(Verb::Echo, run.target.namespace(), payload, run.options.binary);
    let shared = Trips::new(run, Verb::Echo, template);
    let mut slots: Vec<Rc<Slot>> = Vec::new();
    let open = async |run: Rc<Run>, _| {
        let opened = timeout(CONNECT_TIMEOUT, Poller::open(&run.target)).await;
        opened.unwrap_or(Err(Failure::Timeout))
    };
    run.open_all(open, |poller, number| {
        let slot = Rc::new(Slot::default());
        slots.push(slot.clone());
        spawn_local(poller.run(Trip::new(shared.clone(), number), slot));
    })
    .await;
    shared.measure(run, slots).await
}

/// One client.
struct Poller {
    reader: Http,
    writer: Http,
    /// With the session's id in it.
    uri: Uri,
}

impl Poller {
    /// Opens a session and connects to the namespace.
    async fn open(target: &Target) -> Result<Poller, Failure> {
        let uri = target.uri("polling");
        let mut reader = Http::open(target, &uri).await?;
        let writer = Http::open(target, &uri).await?;
        let body = reader.request(Method::GET, &uri, Bytes::new()).await?;
        let open = body.strip_prefix('0').ok_or(Failure::Unreadable)?;
        let open: serde_json::Value = serde_json::from_str(open).map_err(|_| Failure::Unreadable)?;
        let sid = open["sid"].as_str().filter(|sid| is_plain(sid)).ok_or(Failure::Unreadable)?;
        let mut poller = Poller { reader, writer, uri: target.uri(&format!("polling&sid={sid}")) };

        poller.post(target.connect_packet().into()).await?;
        loop {
            let body = poller.reader.request(Method::GET, &poller.uri, Bytes::new()).await?;
            for packet in body.split(SEPARATOR) {
                if packet == "2" {
                    poller.post(Bytes::from_static(b"3")).await?;
                } else if is_connected(packet, target)? {
                    return Ok(poller);
                }
            }
        }
    }

    async fn post(&mut self, body: Bytes) -> Result<(), Failure> {
        self.writer.request(Method::POST, &self.uri, body).await.map(drop)
    }

    /// Runs a script until the connection ends.
    async fn run(self, script: Trip, slot: Rc<Slot>) {
        let Poller { mut reader, mut writer, uri } = self;
        let script = RefCell::new(script);
        let pong_owed = Cell::new(false);
        let read = async {
            loop {
                let body = reader.request(Method::GET, &uri, Bytes::new()).await?;
                for packet in body.split(SEPARATOR) {
                    take(packet, &pong_owed, |message| script.borrow_mut().receive(message))?;
                }
                slot.wake();
            }
        };
        let write = async {
            loop {
                let mut body = Vec::new();
                poll_fn(|cx| {
                    slot.register(cx);
                    if pong_owed.take() {
                        body.push(b'3');
                    }
                    script.borrow_mut().send(slot.due(), &mut body);
                    if body.is_empty() { Poll::Pending } else { Poll::Ready(()) }
                })
                .await;
                writer.request(Method::POST, &uri, body.into()).await?;
            }
        };
        let failure: Result<(), Failure> = tokio::select! {
            ended = read => ended,
            ended = write => ended,
        };
        if let Err(failure) = failure {
            script.borrow_mut().end(&failure);
        }
    }
}

/// Takes one packet of a body.
fn take(
    packet: &str,
    pong_owed: &Cell<bool>,
    receive: impl FnOnce(Message<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    if let Some(base64) = packet.strip_prefix('b') {
        let bytes = BASE64_STANDARD.decode(base64).map_err(|_| Failure::Unreadable)?;
        return receive(Message::Binary(&bytes));
    }
    match packet {
        "1" => return Err(Failure::Closed),
        "2" => pong_owed.set(true),
        "6" => {}
        text => return receive(Message::Text(text)),
    }
    Ok(())
}

/// Whether it can stand in a query as it is.
fn is_plain(sid: &str) -> bool {
    sid.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte))
}

/// One connection, kept alive.
struct Http {
    sender: SendRequest<Full<Bytes>>,
    host: HeaderValue,
}

impl Http {
    async fn open(target: &Target, uri: &Uri) -> Result<Http, Failure> {
        let stream = target.connect().await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // Ends with its sender; errors come out there.
        spawn_local(async move { drop(connection.await) });
        let host = uri.authority().and_then(|authority| authority.as_str().parse().ok());
        Ok(Http { sender, host: host.ok_or(Failure::Unreadable)? })
    }

    /// The answer's text.
    async fn request(&mut self, method: Method, uri: &Uri, body: Bytes) -> Result<String, Failure> {
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::builder().method(&method).uri(path).header(HOST, &self.host);
        if method == Method::POST {
            request = request.header(CONTENT_TYPE, "text/plain;charset=UTF-8");
        }
        let request = request.body(Full::new(body)).map_err(|_| Failure::Unreadable)?;
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        if response.status() != StatusCode::OK {
            return Err(Failure::Status(response.status()));
        }
        let body = Limited::new(response.into_body(), BODY_BYTES_MAX).collect().await;
        let body = body.map_err(|_| Failure::Closed)?.to_bytes();
        String::from_utf8(body.into()).map_err(|_| Failure::Unreadable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_a_body_are_told_apart() {
        let check = |packet: &str, expected: Result<Option<&str>, Failure>, pong| {
            let pong_owed = Cell::new(false);
            let mut heard = None;
            let taken = take(packet, &pong_owed, |message| {
                heard = Some(format!("{message:?}"));
                Ok(())
            });
            assert_eq!(taken.map(|()| heard), expected.map(|text| text.map(str::to_owned)), "{packet}");
            assert_eq!(pong_owed.get(), pong, "{packet}");
        };
        check("42[]", Ok(Some(r#"Text("42[]")"#)), false);
        check("bAQI=", Ok(Some("Binary([1, 2])")), false);
        check("b?", Err(Failure::Unreadable), false);
        check("2", Ok(None), true);
        check("6", Ok(None), false);
        check("1", Err(Failure::Closed), false);
    }

    #[test]
    fn ids_need_no_escape() {
        assert!(is_plain("lv_VI97HAXpY6yYWAAAC"));
        assert!(!is_plain("a&b"));
        assert!(!is_plain("a b"));
    }
}
