//! Requests that are refused are told with code, message and context.

use std::sync::Arc;

use parking_lot::Mutex;
use patera::engine::Engine;
use patera::{Config, Io, Value};

use crate::support::{Client, Polling, http, serve};

type Told = Arc<Mutex<Vec<(u8, String, String)>>>;

fn watch(io: &Io) -> Told {
    let told = Told::default();
    let tells = told.clone();
    io.engine().on_connection_error(move |error| {
        let context = Value::from(error.context().clone()).to_string();
        tells.lock().push((error.code(), error.message().to_owned(), context));
    });
    told
}

#[track_caller]
fn check(told: &Told, code: u8, message: &str, context: &str) {
    assert_eq!(std::mem::take(&mut *told.lock()), [(code, message.to_owned(), context.to_owned())]);
}

const WEBSOCKET: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";

#[tokio::test]
async fn each_code_has_its_context() {
    let mut config = Config::default();
    config.allow_request(async |request| match request.header("x-refuse") {
        Some(text) => Err(text.to_owned().into()),
        None => Ok(()),
    });
    let io = Io::with_config(config);
    let told = watch(&io);
    let address = serve(&io).await;
    let get = async |query: &str, headers: &str| {
        http(address, "GET", &format!("/socket.io/?{query}"), headers, "").await;
    };
    get("EIO=4&transport=pigeon", "").await;
    check(&told, 0, "Transport unknown", r#"{"transport":"pigeon"}"#);
    get("EIO=4", "").await;
    check(&told, 0, "Transport unknown", r#"{"transport":null}"#);
    get("EIO=4&transport=polling&sid=unknown", "").await;
    check(&told, 1, "Session ID unknown", r#"{"sid":"unknown"}"#);
    http(address, "POST", "/socket.io/?EIO=4&transport=polling", "", "x").await;
    check(&told, 2, "Bad handshake method", r#"{"method":"POST"}"#);
    get("EIO=4&transport=websocket", "").await;
    check(&told, 3, "Bad request", r#"{"name":"TRANSPORT_MISMATCH"}"#);
    get("EIO=4&transport=websocket", &WEBSOCKET.replace(": 13", ": 12")).await;
    check(&told, 3, "Bad request", r#"{"name":"TRANSPORT_HANDSHAKE_ERROR"}"#);
    get("EIO=4&EIO=4&transport=polling", "").await;
    check(&told, 3, "Bad request", r#"{"name":"BAD_REQUEST"}"#);
    get("EIO=4&transport=polling", "Origin: http://\u{e9}\r\n").await;
    check(&told, 3, "Bad request", r#"{"name":"INVALID_ORIGIN"}"#);
    get("EIO=4&transport=polling", "X-Refuse: not you\r\n").await;
    check(&told, 4, "not you", r#"{"message":"not you"}"#);
    get("EIO=2&transport=polling", "").await;
    check(&told, 5, "Unsupported protocol version", r#"{"protocol":"2"}"#);
}

#[tokio::test]
async fn a_takeover_in_another_revision_is_told() {
    let mut config = Config::default();
    config.allow_eio3 = true;
    let io = Io::with_config(config);
    let told = watch(&io);
    let address = serve(&io).await;
    let polling = Polling::connect(address).await;
    let target = polling.target().replace("polling", "websocket").replace("EIO=4", "EIO=3");
    http(address, "GET", &target, WEBSOCKET, "").await;
    check(&told, 3, "Bad request", r#"{"name":"PROTOCOL_MISMATCH"}"#);
}

#[tokio::test]
async fn what_a_living_session_does_wrong_is_no_connection_error() {
    let io = Io::new();
    let told = watch(&io);
    let address = serve(&io).await;
    let polling = Polling::connect(address).await;
    assert_eq!(polling.post("garbage").await.status, 400);
    assert_eq!(io.engine().clients_count(), 0);
    let (_client, _) = Client::connect(address).await;
    assert_eq!(io.engine().clients_count(), 1);
    assert_eq!(*told.lock(), []);
}

#[tokio::test]
async fn the_request_can_be_read_and_a_hook_that_panics_changes_nothing() {
    let io = Io::new();
    let urls = Arc::new(Mutex::new(Vec::new()));
    let seen = urls.clone();
    io.engine().on_connection_error(move |error| {
        seen.lock().push((error.request().url().to_owned(), error.request().header("x-test").map(str::to_owned)));
        panic!("a hook's own fault");
    });
    let address = serve(&io).await;
    let refused = http(address, "GET", "/socket.io/?EIO=4&transport=no", "X-Test: yes\r\n", "").await;
    assert_eq!(refused.brief(), (400, r#"{"code":0,"message":"Transport unknown"}"#));
    assert_eq!(*urls.lock(), [("/socket.io/?EIO=4&transport=no".to_owned(), Some("yes".to_owned()))]);
}

#[tokio::test]
async fn an_engine_alone_and_streams_tell_too() {
    let engine = Engine::new();
    let codes = Arc::new(Mutex::new(Vec::new()));
    let told = codes.clone();
    engine.on_connection_error(move |error| told.lock().push(error.code()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { engine.serve(listener).await });
    http(address, "GET", "/engine.io/?EIO=4&transport=polling&sid=x", "", "").await;
    assert_eq!(*codes.lock(), [1]);

    let io = Io::new();
    let told = watch(&io);
    let (_near, far) = tokio::io::duplex(64);
    let request = ::http::Request::get("/socket.io/?EIO=4&transport=polling").body(()).unwrap();
    assert!(io.accept(far, request).await.is_err());
    check(&told, 0, "Transport unknown", r#"{"transport":"polling"}"#);
    assert_eq!(io.stats().refused, 1);
}
