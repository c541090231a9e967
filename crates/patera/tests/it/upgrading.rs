//! From polling to WebSocket, with packets under way in both directions.

use std::time::{Duration, Instant};

use patera::{Config, Io, Reply, Socket};

use crate::support::{Client, Polling, eventually, http, serve};

async fn probe(polling: &Polling) -> Client {
    let target = format!("/socket.io/?EIO=4&transport=websocket&sid={}", polling.sid);
    Client::open(polling.address, &target, None).await
}

#[tokio::test]
async fn upgrade_releases_the_poll_and_moves_everything() {
    let io = Io::new();
    io.on("transport", async |s: Socket| Reply(s.transport().as_str()));
    let polling = Polling::connect(serve(&io).await).await;
    let mut websocket = probe(&polling).await;
    websocket.send("2probe").await;
    websocket.expect("3probe").await;
    assert_eq!(polling.get().await.brief(), (200, "6"), "the client must not be kept waiting");
    websocket.send("5").await;
    websocket.send(r#"420["transport"]"#).await;
    websocket.expect(r#"430["websocket"]"#).await;
    assert_eq!(polling.get().await.brief(), (400, r#"{"code":3,"message":"Bad request"}"#));
    websocket.send(r#"421["transport"]"#).await;
    websocket.expect(r#"431["websocket"]"#).await;
}

#[tokio::test]
async fn nothing_is_lost_doubled_or_reordered_while_upgrading() {
    let io = Io::new();
    io.on("n", async |s: Socket, n: u32| s.emit("n", n));
    let polling = Polling::connect(serve(&io).await).await;
    let mut got = Vec::new();
    let mut take = |body: &str| {
        let events =
            body.split('\u{1e}').filter_map(|packet| packet.strip_prefix("42[\"n\",")?.strip_suffix(']')?.parse().ok());
        got.extend(events.collect::<Vec<u32>>());
    };
    let event = |n: u32| format!("42[\"n\",{n}]");
    polling.post(&(0..50).map(event).collect::<Vec<_>>().join("\u{1e}")).await;
    let mut websocket = probe(&polling).await;
    websocket.send("2probe").await;
    websocket.expect("3probe").await;
    polling.post(&(50..100).map(event).collect::<Vec<_>>().join("\u{1e}")).await;
    take(&polling.get().await.body);
    polling.post(&(100..150).map(event).collect::<Vec<_>>().join("\u{1e}")).await;
    websocket.send("5").await;
    for n in 150..200 {
        websocket.send(&event(n)).await;
    }
    websocket.send(&event(999)).await;
    loop {
        let text = websocket.text().await;
        if text == event(999) {
            break;
        }
        take(&text);
    }
    assert_eq!(got, (0..200).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_first_message_behind_the_upgrade_is_read_when_it_comes() {
    let io = Io::new();
    io.on("echo", async |n: u32| Reply(n));
    let address = serve(&io).await;
    let mut fastest = Duration::MAX;
    for _ in 0..5 {
        let polling = Polling::connect(address).await;
        let mut websocket = probe(&polling).await;
        websocket.send("2probe").await;
        websocket.expect("3probe").await;
        websocket.send("5").await;
        eventually(|| io.sockets().iter().all(|socket| socket.transport().as_str() == "websocket")).await;
        let sent = Instant::now();
        websocket.send(r#"421["echo",1]"#).await;
        websocket.expect("431[1]").await;
        fastest = fastest.min(sent.elapsed());
    }
    // Not when the next timer of the upgrade fires, 100 ms after the last.
    assert!(fastest < Duration::from_millis(40), "{fastest:?}");
}

#[tokio::test]
async fn a_wrong_probe_is_closed_and_polling_goes_on() {
    let io = Io::new();
    io.on("echo", async |text: String| Reply(text));
    let polling = Polling::connect(serve(&io).await).await;
    for wrong in ["2", "2prob", "42[\"echo\",\"x\"]", "1"] {
        let mut websocket = probe(&polling).await;
        websocket.send(wrong).await;
        websocket.closed().await;
        polling.post(r#"420["echo","still here"]"#).await;
        assert_eq!(polling.get().await.brief(), (200, r#"430["still here"]"#), "{wrong}");
    }
}

#[tokio::test]
async fn a_silent_probe_is_closed_after_upgrade_timeout() {
    let mut config = Config::default();
    config.upgrade_timeout = Duration::from_millis(50);
    let io = Io::with_config(config);
    io.on("echo", async |text: String| Reply(text));
    let polling = Polling::connect(serve(&io).await).await;
    let mut websocket = probe(&polling).await;
    websocket.send("2probe").await;
    websocket.expect("3probe").await;
    websocket.closed().await;
    polling.post(r#"420["echo","still here"]"#).await;
    assert_eq!(polling.get().await.body, r#"430["still here"]"#);
}

#[tokio::test]
async fn a_second_websocket_is_refused_before_101() {
    let io = Io::new();
    let polling = Polling::connect(serve(&io).await).await;
    let mut websocket = probe(&polling).await;
    websocket.send("2probe").await;
    websocket.expect("3probe").await;
    websocket.send("5").await;
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    let target = format!("/socket.io/?EIO=4&transport=websocket&sid={}", polling.sid);
    eventually(|| io.sockets().iter().all(|socket| socket.transport().as_str() == "websocket")).await;
    assert_eq!(http(polling.address, "GET", &target, upgrade, "").await.brief(), (400, "Bad request"));
    assert_eq!(io.stats().sessions, 1);
}

#[tokio::test]
async fn upgrades_can_be_forbidden() {
    let mut config = Config::default();
    config.allow_upgrades = false;
    let io = Io::with_config(config);
    let address = serve(&io).await;
    let open = http(address, "GET", "/socket.io/?EIO=4&transport=polling", "", "").await;
    assert!(open.body.contains(r#""upgrades":[]"#));
    let sid = open.body.split('"').nth(3).unwrap();
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    let target = format!("/socket.io/?EIO=4&transport=websocket&sid={sid}");
    assert_eq!(http(address, "GET", &target, upgrade, "").await.status, 400);
}
