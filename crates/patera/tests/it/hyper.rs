//! On bare hyper, without axum: `service`, `layer`, `serve_with`, and HTTP/2.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use patera::{DisconnectReason, Io, Reply, Socket};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tower_layer::Layer as _;
use tower_service::Service;

use crate::support::{Client, Polling, http};

/// Somebody's service for all other paths: says the path.
#[derive(Clone)]
struct Paths;

impl Service<Request<Incoming>> for Paths {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        ready(Ok(Response::new(request.uri().path().to_owned().into())))
    }
}

/// Tells of each request, on its way to another service.
#[derive(Clone)]
struct Telling<S>(S, mpsc::UnboundedSender<()>);

impl<S: Service<Request<Incoming>>> Service<Request<Incoming>> for Telling<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        // Who asked for it has seen enough.
        let _ = self.1.send(());
        self.0.call(request)
    }
}

fn echo() -> Io {
    let io = Io::new();
    io.on("echo", async |text: String| Reply(text));
    io.on("address", async |s: Socket| Reply(s.handshake().address().is_some()));
    io
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Versions {
    Http1,
    Both,
}

/// Serves on a free port of the loopback, on hyper alone.
async fn serve<S, R>(service: S, versions: Versions) -> SocketAddr
where
    S: Service<Request<Incoming>, Response = Response<R>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let stream = TokioIo::new(listener.accept().await.unwrap().0);
            let service = service.clone();
            tokio::spawn(async move {
                let serve = service_fn(move |request| service.clone().call(request));
                // How a connection ends is the clients' business.
                match versions {
                    Versions::Http1 => {
                        let _ = http1::Builder::new().serve_connection(stream, serve).with_upgrades().await;
                    }
                    Versions::Both => {
                        let server = auto::Builder::new(TokioExecutor::new());
                        let _ = server.serve_connection_with_upgrades(stream, serve).await;
                    }
                }
            });
        }
    });
    address
}

/// Both transports answer, and one becomes the other.
async fn check_transports(address: SocketAddr) {
    let (mut client, _) = Client::connect(address).await;
    client.send(r#"420["echo","websocket"]"#).await;
    client.expect(r#"430["websocket"]"#).await;
    let polling = Polling::connect(address).await;
    assert_eq!(polling.post(r#"420["echo","polling"]"#).await.brief(), (200, "ok"));
    assert_eq!(polling.get().await.brief(), (200, r#"430["polling"]"#));
    let target = format!("/socket.io/?EIO=4&transport=websocket&sid={}", polling.sid);
    let mut upgraded = Client::open(address, &target, None).await;
    upgraded.send("2probe").await;
    upgraded.expect("3probe").await;
    upgraded.send("5").await;
    upgraded.send(r#"421["echo","upgraded"]"#).await;
    upgraded.expect(r#"431["upgraded"]"#).await;
}

#[tokio::test]
async fn the_service_alone_serves_both_transports_and_404() {
    for versions in [Versions::Http1, Versions::Both] {
        let address = serve(echo().service(), versions).await;
        check_transports(address).await;
        assert_eq!(http(address, "GET", "/other", "", "").await.brief(), (404, ""));
    }
}

#[tokio::test]
async fn the_layer_leaves_other_paths_to_the_service_below() {
    for versions in [Versions::Http1, Versions::Both] {
        let address = serve(echo().layer().layer(Paths), versions).await;
        check_transports(address).await;
        assert_eq!(http(address, "GET", "/other", "", "").await.brief(), (200, "/other"));
        assert_eq!(http(address, "POST", "/socket.io", "", "body").await.brief(), (200, "/socket.io"));
    }
}

#[tokio::test]
async fn serve_with_brings_limits_and_addresses_to_a_service() {
    let io = echo();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn({
        let io = io.clone();
        async move { io.serve_with(listener, Paths).await }
    });
    check_transports(address).await;
    assert_eq!(http(address, "GET", "/other", "", "").await.brief(), (200, "/other"));
    let long = format!("/{}", "x".repeat(8 << 10));
    assert_eq!(http(address, "GET", &long, "", "").await.status, 414);
    let many = "X: y\r\n".repeat(100);
    assert_eq!(http(address, "GET", "/other", &many, "").await.status, 431);
    let polling = Polling::connect(address).await;
    polling.post(r#"420["address"]"#).await;
    assert_eq!(polling.get().await.body, "430[true]");
    let (closed, goodbye) = tokio::join!(io.close(), polling.get());
    assert_eq!((closed, goodbye.body.as_str()), ((), "1"));
    serving.await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "it listens no more");
}

#[tokio::test]
async fn a_poll_whose_connection_breaks_is_a_transport_error() {
    let io = echo();
    let (reasons, mut ended) = mpsc::unbounded_channel();
    io.on_disconnect(async move |reason: DisconnectReason| reasons.send(reason).unwrap());
    let (asked, mut asks) = mpsc::unbounded_channel();
    let polling = Polling::connect(serve(Telling(io.service(), asked), Versions::Http1).await).await;
    while asks.try_recv().is_ok() {}
    let mut stream = TcpStream::connect(polling.address).await.unwrap();
    stream.write_all(format!("GET {} HTTP/1.1\r\nHost: test\r\n\r\n", polling.target()).as_bytes()).await.unwrap();
    asks.recv().await.unwrap();
    drop(stream);
    assert_eq!(ended.recv().await, Some(DisconnectReason::TransportError));
    assert_eq!(polling.get().await.status, 400);
}

/// A client of HTTP/2 by prior knowledge, all requests on one connection.
struct Http2(http2::SendRequest<Full<Bytes>>);

impl Http2 {
    async fn open(address: SocketAddr) -> Self {
        let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
        let (requests, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection);
        Http2(requests)
    }

    async fn request(&self, method: &str, target: &str, body: &str) -> (u16, String) {
        let request = Request::builder().method(method).uri(format!("http://test{target}"));
        let request = request.body(Full::from(body.to_owned())).unwrap();
        let response = self.0.clone().send_request(request).await.unwrap();
        assert_eq!(response.version(), http::Version::HTTP_2);
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }
}

#[tokio::test]
async fn polling_over_one_connection_of_http2() {
    let io = echo();
    io.on("url", async |s: Socket| Reply(s.handshake().url().to_owned()));
    let (reasons, mut ended) = mpsc::unbounded_channel();
    io.on_disconnect(async move |reason: DisconnectReason| reasons.send(reason).unwrap());
    let client = Http2::open(serve(io.layer().layer(Paths), Versions::Both).await).await;
    assert_eq!(client.request("GET", "/other", "").await, (200, "/other".to_owned()));
    let open = "/socket.io/?EIO=4&transport=polling";
    let (_, opened) = client.request("GET", open, "").await;
    let target = format!("{open}&sid={}", opened.split('"').nth(3).unwrap());
    let ok = (200, "ok".to_owned());
    assert_eq!(client.request("POST", &target, "40").await, ok);
    assert!(client.request("GET", &target, "").await.1.starts_with("40{"));
    let (got, posted) = tokio::join!(
        client.request("GET", &target, ""),
        client.request("POST", &target, "420[\"echo\",\"é\"]\u{1e}421[\"url\"]")
    );
    assert_eq!(posted, ok);
    assert_eq!(got, (200, format!("430[\"é\"]\u{1e}431[\"{open}\"]")));
    let refused = client.request("GET", "/socket.io/?EIO=4", "").await;
    assert_eq!(refused, (400, r#"{"code":0,"message":"Transport unknown"}"#.to_owned()));
    // A bad body closes a connection of HTTP/1; here the others on it go on.
    assert_eq!(client.request("POST", &target, "nonsense").await.0, 400);
    assert_eq!(ended.recv().await, Some(DisconnectReason::ParseError));
    assert_eq!(client.request("GET", "/other", "").await.0, 200);
}

#[tokio::test]
async fn a_poll_given_up_on_http2_is_a_transport_error() {
    let io = echo();
    let (reasons, mut ended) = mpsc::unbounded_channel();
    io.on_disconnect(async move |reason: DisconnectReason| reasons.send(reason).unwrap());
    let (asked, mut asks) = mpsc::unbounded_channel();
    let client = Http2::open(serve(Telling(io.service(), asked), Versions::Both).await).await;
    let open = "/socket.io/?EIO=4&transport=polling";
    let (_, opened) = client.request("GET", open, "").await;
    let target = format!("{open}&sid={}", opened.split('"').nth(3).unwrap());
    client.request("POST", &target, "40").await;
    client.request("GET", &target, "").await;
    while asks.try_recv().is_ok() {}
    tokio::select! {
        answer = client.request("GET", &target, "") => panic!("nothing to answer with, but {answer:?}"),
        _ = asks.recv() => {}
    }
    assert_eq!(ended.recv().await, Some(DisconnectReason::TransportError));
    assert_eq!(client.request("GET", &target, "").await.0, 400);
}
