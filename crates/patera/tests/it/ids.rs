//! Ids of sessions that the user makes.

use std::sync::Arc;

use parking_lot::Mutex;
use patera::{Config, Io, Reply, Socket, Value};
use tokio::sync::{Barrier, Notify};

use crate::support::{Client, Polling, eventually, http, serve};

const POLLING: &str = "/socket.io/?EIO=4&transport=polling";
const WEBSOCKET: &str = "/socket.io/?EIO=4&transport=websocket";
const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
const BAD_REQUEST: &str = r#"{"code":3,"message":"Bad request"}"#;

/// A session has the id that its request asks for: `id=…`, or it has none.
fn config() -> Config {
    let mut config = Config::default();
    config.allow_eio3 = true;
    config.generate_id(async |request| {
        tokio::task::yield_now().await;
        request.query_value("id").ok_or_else(|| "who are you?".into())
    });
    config
}

/// With what is told of requests that are refused.
fn server() -> (Io, Arc<Mutex<Vec<String>>>) {
    let io = Io::with_config(config());
    let told = Arc::new(Mutex::new(Vec::new()));
    let tells = told.clone();
    io.engine().on_connection_error(move |error| {
        tells.lock().push(format!("{} {}", error.code(), Value::from(error.context().clone())));
    });
    (io, told)
}

#[tokio::test]
async fn sessions_have_the_ids_that_were_made_for_them() {
    let (io, _) = server();
    io.native("/ws");
    io.on("ids", async |socket: Socket| Reply([socket.session_id().to_owned(), socket.id().to_owned()]));
    let address = serve(&io).await;

    let open = http(address, "GET", &format!("{POLLING}&id=user:42@a/b"), "", "").await;
    assert!(open.body.starts_with(r#"0{"sid":"user:42@a/b","upgrades""#), "{}", open.body);
    let polling = Polling { address, sid: "user:42@a/b".to_owned() };
    assert_eq!(polling.post("40").await.brief(), (200, "ok"));
    let id = polling.get().await.body.split('"').nth(3).unwrap().to_owned();
    assert_eq!(id.len(), 20, "a socket has an id of its own");
    polling.post(r#"420["ids"]"#).await;
    assert_eq!(polling.get().await.body, format!(r#"430["user:42@a/b","{id}"]"#));

    let mut probe = Client::open(address, &format!("{WEBSOCKET}&sid=user%3A42%40a%2Fb"), None).await;
    probe.send("2probe").await;
    probe.expect("3probe").await;
    probe.send("5").await;
    probe.send(r#"421["ids"]"#).await;
    probe.expect(&format!(r#"431["user:42@a/b","{id}"]"#)).await;

    let mut client = Client::open(address, &format!("{WEBSOCKET}&id=direct"), None).await;
    assert!(client.text().await.starts_with(r#"0{"sid":"direct","#));

    let mut old = Client::open(address, &format!("{}&id=old", WEBSOCKET.replace('4', "3")), None).await;
    assert!(old.text().await.starts_with(r#"0{"sid":"old","#));
    old.expect("40").await;
    old.send(r#"420["ids"]"#).await;
    old.expect(r#"430["old","old"]"#).await;

    let mut native = Client::open(address, "/ws?id=plain", Some("patera.json")).await;
    native.text().await;
    native.send(r#"{"event":"ids","ack":1}"#).await;
    assert!(native.text().await.starts_with(r#"{"args":["plain",""#));
}

#[tokio::test]
async fn what_cannot_be_an_id_is_refused() {
    let (io, told) = server();
    let address = serve(&io).await;
    let _taken = http(address, "GET", &format!("{POLLING}&id=taken"), "", "").await;
    let (longest, too_long) = ("x".repeat(128), "x".repeat(129));
    let table = [
        ("", "who are you?"),
        ("&id=", "the id is empty"),
        (&format!("&id={too_long}"), "the id is too long"),
        ("&id=a%20b", "the id has a character that no id may have"),
        ("&id=a%0D%0ASet-Cookie:b", "the id has a character that no id may have"),
        ("&id=%C3%A9", "the id has a character that no id may have"),
        ("&id=taken", "another session has this id"),
    ];
    for (query, why) in table {
        let polling = http(address, "GET", &format!("{POLLING}{query}"), "", "").await;
        assert_eq!(polling.brief(), (400, BAD_REQUEST), "{query}");
        let websocket = http(address, "GET", &format!("{WEBSOCKET}{query}"), UPGRADE, "").await;
        assert_eq!(websocket.brief(), (400, "Bad request"), "{query}");
        let error = format!(r#"3 {{"name":"ID_GENERATION_ERROR","error":"{why}"}}"#);
        assert_eq!(std::mem::take(&mut *told.lock()), [error.clone(), error], "{query}");
    }
    assert_eq!(io.stats().sessions, 1);
    let open = http(address, "GET", &format!("{POLLING}&id={longest}"), "", "").await;
    assert_eq!(open.status, 200);
}

#[tokio::test]
async fn of_two_that_want_an_id_at_once_one_gets_it() {
    let mut config = Config::default();
    let both = Arc::new(Barrier::new(2));
    config.generate_id(move |_| {
        let both = both.clone();
        async move {
            both.wait().await;
            Ok("same".to_owned())
        }
    });
    let io = Io::with_config(config);
    let address = serve(&io).await;
    let open = || http(address, "GET", POLLING, "", "");
    let (one, two) = tokio::join!(open(), open());
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400]);
    assert_eq!(io.stats().sessions, 1);
}

#[tokio::test]
async fn an_id_is_free_when_its_session_has_ended() {
    let (io, _) = server();
    let (left, free) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (leaves, frees) = (left.clone(), free.clone());
    io.on_disconnect(move || {
        let (left, free) = (leaves.clone(), frees.clone());
        async move {
            left.notify_one();
            free.notified().await;
        }
    });
    let address = serve(&io).await;
    let target = format!("{POLLING}&id=mine");
    let polling = Polling { address, sid: "mine".to_owned() };
    assert_eq!(http(address, "GET", &target, "", "").await.status, 200);
    polling.post("40").await;
    polling.post("1").await;
    left.notified().await;
    // The first session's last handler still waits: its end must not take the second one's id away.
    let mut status = 400;
    while status == 400 {
        status = http(address, "GET", &target, "", "").await.status;
    }
    assert_eq!(io.stats().sessions, 2);
    free.notify_one();
    eventually(|| io.stats().sessions == 1).await;
    assert_eq!(polling.post("40").await.brief(), (200, "ok"));
    assert!(polling.get().await.body.starts_with("40{"));
    assert_eq!(http(address, "GET", &target, "", "").await.brief(), (400, BAD_REQUEST));
}

#[tokio::test]
async fn a_handshake_that_comes_to_nothing_gives_its_id_back() {
    let (io, _) = server();
    let address = serve(&io).await;
    // A query that the handshake of revision 3 takes and its format does not: refused when the id is taken.
    let refused = http(address, "GET", &format!("{}&j=no&id=a", POLLING.replace('4', "3")), "", "").await;
    assert_eq!(refused.status, 400);
    let (near, far) = tokio::io::duplex(64);
    drop(near);
    let request = ::http::Request::get(format!("{WEBSOCKET}&id=a")).body(()).unwrap();
    io.accept(far, request).await.unwrap();
    eventually(|| io.stats().sessions == 0).await;
    assert_eq!(http(address, "GET", &format!("{POLLING}&id=a"), "", "").await.status, 200);
}
