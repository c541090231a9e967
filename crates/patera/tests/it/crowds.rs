//! How many may come, in all and from one address, and how fast: one below, just there, one above.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use patera::{Config, Io, Rate, RemoteAddress, Value};
use tokio::io::{AsyncWriteExt as _, DuplexStream};
use tokio::time::{Instant, sleep};
use tower_service::Service as _;

use crate::support::{self, Polling, eventually, http, serve};

const OPEN: &str = "/socket.io/?EIO=4&transport=polling";

fn server(change: impl FnOnce(&mut Config)) -> Io {
    let mut config = Config::default();
    change(&mut config);
    Io::with_config(config)
}

/// A WebSocket from this address; it is there while the stream is.
///
/// # Errors
/// Status, body and `Retry-After`.
async fn come(io: &Io, from: &str) -> Result<DuplexStream, (u16, String, Option<String>)> {
    let (near, far) = tokio::io::duplex(1 << 16);
    let mut request = Request::get("/socket.io/?EIO=4&transport=websocket").body(()).unwrap();
    let address: IpAddr = from.parse().unwrap();
    request.extensions_mut().insert(RemoteAddress((address, 9).into()));
    match io.accept(far, request).await {
        Ok(()) => Ok(near),
        Err(refusal) => {
            let retry = refusal.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
            Err((refusal.status().as_u16(), String::from_utf8(refusal.body().to_vec()).unwrap(), retry))
        }
    }
}

fn refused(status: u16, message: &str, retry: &str) -> (u16, String, Option<String>) {
    (status, message.to_owned(), Some(retry.to_owned()))
}

#[tokio::test]
async fn connections_are_bounded_in_all() {
    let io = server(|config| config.connections_max = Some(3));
    let told = Arc::new(Mutex::new(Vec::new()));
    let tells = told.clone();
    io.engine().on_connection_error(move |error| {
        tells.lock().push((error.code(), Value::from(error.context().clone()).to_string()));
    });
    let address = serve(&io).await;
    let (first, _) = support::Client::connect(address).await;
    Polling::open(address).await;
    Polling::connect(address).await;
    let refusal = http(address, "GET", OPEN, "", "").await;
    assert_eq!(refusal.brief(), (503, r#"{"code":4,"message":"Too many connections"}"#));
    assert_eq!(refusal.header("retry-after"), Some("5"));
    assert_eq!(refusal.header("content-type"), Some("application/json"));
    assert_eq!(come(&io, "192.0.2.1").await.unwrap_err(), refused(503, "Too many connections", "5"));
    assert_eq!(*told.lock(), vec![(4, r#"{"message":"Too many connections"}"#.to_owned()); 2]);
    let stats = io.stats();
    assert_eq!((stats.sessions, stats.handshakes, stats.crowded, stats.refused), (3, 1, 2, 2));
    first.close().await;
    eventually(|| io.stats().sessions == 2).await;
    Polling::open(address).await;
    assert_eq!(http(address, "GET", OPEN, "", "").await.status, 503);
    io.close().await;
    let stats = io.stats();
    assert_eq!((stats.sessions, stats.handshakes, stats.addresses), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn clients_without_a_namespace_are_bounded() {
    let io = server(|config| config.handshakes_max = 3);
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(crate::memory::Client::engine(&io, 4096).await);
    }
    assert_eq!(come(&io, "192.0.2.1").await.unwrap_err(), refused(503, "Too many handshakes", "5"));
    // One that joins makes room for one more.
    clients[0].send("40").await;
    assert!(clients[0].text().await.starts_with("40{"));
    assert_eq!(io.stats().handshakes, 2);
    clients.push(crate::memory::Client::engine(&io, 4096).await);
    assert!(come(&io, "192.0.2.1").await.is_err());
    // So do those that never join, when their time is over.
    for client in &mut clients[1..] {
        client.closed().await;
    }
    assert_eq!(io.stats().handshakes, 0);
    assert!(come(&io, "192.0.2.1").await.is_ok());
}

/// Its 101 does not fit into what the connection holds, and it reads none of it.
#[tokio::test(start_paused = true)]
async fn who_does_not_take_the_answer_to_its_handshake_has_its_time() {
    for target in ["/socket.io/?EIO=4&transport=websocket", "/plain"] {
        let io = server(|config| config.handshakes_max = 1);
        io.native("/plain");
        let (mut near, far) = tokio::io::duplex(64);
        let service = io.service();
        let serve = service_fn(move |request| service.clone().call(request));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(far), serve).with_upgrades());
        let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n";
        let request =
            format!("GET {target} HTTP/1.1\r\nHost: h\r\n{upgrade}Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n");
        near.write_all(request.as_bytes()).await.unwrap();
        eventually(|| io.stats().handshakes == 1).await;
        assert!(come(&io, "192.0.2.1").await.is_err());
        sleep(io.config().connect_timeout + Duration::from_millis(1)).await;
        assert_eq!((io.stats().handshakes, io.stats().sessions), (0, 0), "{target}");
        assert!(come(&io, "192.0.2.1").await.is_ok());
    }
}

#[tokio::test]
async fn connections_of_one_address_are_bounded() {
    for (one, same, other) in [
        ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
        ("192.0.2.1", "::ffff:192.0.2.1", "::ffff:192.0.2.2"),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:2::1"),
    ] {
        let io = server(|config| config.connections_per_address_max = Some(3));
        let first = come(&io, one).await.unwrap();
        let others = [come(&io, same).await.unwrap(), come(&io, one).await.unwrap()];
        let refusal = refused(429, "Too many connections from this address", "5");
        assert_eq!(come(&io, same).await.unwrap_err(), refusal);
        let elsewhere = come(&io, other).await.unwrap();
        assert_eq!((io.stats().sessions, io.stats().addresses, io.stats().crowded), (4, 2, 1));
        drop(first);
        eventually(|| io.stats().sessions == 3).await;
        let again = come(&io, same).await.unwrap();
        assert!(come(&io, one).await.is_err());
        drop((again, others, elsewhere));
        eventually(|| io.stats().sessions == 0).await;
        assert_eq!((io.stats().addresses, io.stats().handshakes), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn connects_of_one_address_keep_a_rate() {
    let io = server(|config| config.connect_rate_max = Some(Rate::per_minute(30).burst(3)));
    let mut kept = Vec::new();
    for _ in 0..3 {
        kept.push(come(&io, "192.0.2.1").await.unwrap());
    }
    let refusal = |retry| refused(429, "Too many connections from this address in this time", retry);
    assert_eq!(come(&io, "192.0.2.1").await.unwrap_err(), refusal("2"));
    kept.push(come(&io, "192.0.2.2").await.unwrap());
    sleep(Duration::from_millis(1999)).await;
    assert_eq!(come(&io, "192.0.2.1").await.unwrap_err(), refusal("1"));
    sleep(Duration::from_millis(1)).await;
    kept.push(come(&io, "192.0.2.1").await.unwrap());
    assert!(come(&io, "192.0.2.1").await.is_err());
    // Who leaves has not come the less.
    kept.clear();
    while io.stats().sessions > 0 {
        tokio::task::yield_now().await;
    }
    assert!(come(&io, "192.0.2.1").await.is_err());
    sleep(Duration::from_secs(6)).await;
    for _ in 0..3 {
        kept.push(come(&io, "192.0.2.1").await.unwrap());
    }
    assert!(come(&io, "192.0.2.1").await.is_err());
}

#[tokio::test]
async fn who_is_refused_by_the_hook_takes_no_place() {
    let io = server(|config| {
        config.connections_max = Some(1);
        config.connections_per_address_max = Some(1);
        config.allow_request(async |_| Err("no".into()));
    });
    let address = serve(&io).await;
    for _ in 0..3 {
        assert_eq!(http(address, "GET", OPEN, "", "").await.status, 403);
    }
    let stats = io.stats();
    assert_eq!((stats.handshakes, stats.addresses, stats.crowded), (0, 0, 0));
}

#[tokio::test]
async fn a_proxy_is_believed_if_it_is_trusted() {
    let statuses = async |change: fn(&mut Config)| {
        let io = server(|config| {
            config.connections_per_address_max = Some(1);
            change(config);
        });
        let address = serve(&io).await;
        let mut statuses = Vec::new();
        for from in ["192.0.2.1", "192.0.2.2", "192.0.2.3, 192.0.2.2"] {
            let header = format!("X-Forwarded-For: {from}\r\n");
            statuses.push(http(address, "GET", OPEN, &header, "").await.status);
        }
        statuses
    };
    assert_eq!(statuses(|_| {}).await, [200, 429, 429]);
    assert_eq!(statuses(|config| config.trusted_proxies([[10, 0, 0, 1].into()])).await, [200, 429, 429]);
    assert_eq!(statuses(|config| config.trusted_proxies([[127, 0, 0, 1].into()])).await, [200, 200, 429]);
    let last_of_all =
        |config: &mut Config| config.client_address(|request| request.header("x-forwarded-for")?.parse().ok());
    // The last one is no address, so that of its connection counts.
    assert_eq!(statuses(last_of_all).await, [200, 200, 200]);
}

#[tokio::test]
async fn clients_of_unknown_address_count_as_one() {
    let io = server(|config| config.connections_per_address_max = Some(2));
    let mut clients = Vec::new();
    for _ in 0..2 {
        clients.push(crate::memory::Client::engine(&io, 4096).await);
    }
    let (_near, far) = tokio::io::duplex(4096);
    let request = Request::get("/socket.io/?EIO=4&transport=websocket").body(()).unwrap();
    assert_eq!(io.accept(far, request).await.unwrap_err().status(), 429);
    let started = Instant::now();
    assert!(come(&io, "192.0.2.1").await.is_ok(), "after {:?}", started.elapsed());
}
