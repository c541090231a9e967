//! How fast one client may send, and what becomes of one that is faster.

use std::time::Duration;

use bytes::Bytes;
use futures_util::SinkExt as _;
use patera::Reply;
use patera::{Config, DisconnectReason, Io, Rate, RatePolicy, Rest};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

use crate::memory::{Client, Polling};
use crate::support;

const MS: Duration = Duration::from_millis(1);
/// As they are by default.
const PING_INTERVAL: Duration = Duration::from_secs(25);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// A server with these options that answers `echo`, and the reasons for which its sockets end.
fn server(change: impl FnOnce(&mut Config)) -> (Io, mpsc::UnboundedReceiver<DisconnectReason>) {
    let mut config = Config::default();
    config.ping_interval = Duration::from_secs(3600);
    change(&mut config);
    let io = Io::with_config(config);
    let (reasons, ended) = mpsc::unbounded_channel();
    io.on_disconnect(async move |reason: DisconnectReason| reasons.send(reason).unwrap());
    io.on("echo", async |Rest(args): Rest| Reply(args.len()));
    (io, ended)
}

#[tokio::test(start_paused = true)]
async fn events_over_the_rate_wait_and_none_is_lost() {
    // The first message is the CONNECT.
    let (io, _ended) = server(|config| config.event_rate_max = Some(Rate::per_second(10).burst(1 + 3)));
    let mut client = Client::connect(&io).await;
    let started = Instant::now();
    for n in 0..6 {
        client.send(&format!(r#"42{n}["echo",{n}]"#)).await;
    }
    for (n, millis) in [(0, 0), (1, 0), (2, 0), (3, 100), (4, 200), (5, 300)] {
        client.expect(&format!("43{n}[1]")).await;
        assert_eq!(started.elapsed(), millis * MS, "{n}");
    }
    // Each time its last token was taken.
    assert_eq!(io.stats().throttled, 4);
    // What was not used is there again, and no more than that.
    sleep(Duration::from_secs(60)).await;
    let started = Instant::now();
    for n in 0..5 {
        client.send(&format!(r#"42{n}["echo",{n}]"#)).await;
    }
    for (n, millis) in [(0, 0), (1, 0), (2, 0), (3, 0), (4, 100)] {
        client.expect(&format!("43{n}[1]")).await;
        assert_eq!(started.elapsed(), millis * MS, "{n}");
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_over_the_rate_wait() {
    for (bytes, wait) in [(999, 0), (1000, 1), (1001, 2), (2000, 1001)] {
        let (io, _ended) = server(|config| config.byte_rate_max = Some(Rate::per_second(1000)));
        let mut client = Client::connect(&io).await;
        sleep(Duration::from_secs(60)).await;
        let started = Instant::now();
        // As it is counted, without the `4` of Engine.IO.
        let text = "x".repeat(bytes - r#"20["echo",""]"#.len());
        client.send(&format!(r#"420["echo","{text}"]"#)).await;
        client.send(r#"421["echo"]"#).await;
        client.expect("430[1]").await;
        assert_eq!(started.elapsed(), Duration::ZERO);
        client.expect("431[0]").await;
        assert_eq!(started.elapsed(), wait * MS, "{bytes} bytes");
        // The second message goes over it in any case.
        assert_eq!(io.stats().throttled, 1 + u64::from(wait > 0), "{bytes} bytes");
    }
}

#[tokio::test(start_paused = true)]
async fn pings_count() {
    for (pings, closes) in [(2, false), (3, false), (4, true)] {
        let (io, mut ended) = server(|config| {
            config.event_rate_max = Some(Rate::per_second(10).burst(1 + 3));
            config.rate_policy = RatePolicy::Close;
        });
        let mut client = Client::connect(&io).await;
        for _ in 0..pings {
            client.0.send(Message::Ping(Bytes::new())).await.unwrap();
        }
        let reason = timeout(Duration::from_secs(1), ended.recv()).await.ok().flatten();
        assert_eq!(reason, closes.then_some(DisconnectReason::RateExceeded), "{pings} pings");
    }
    let (io, _ended) = server(|config| config.event_rate_max = Some(Rate::per_second(10).burst(1 + 3)));
    let mut client = Client::connect(&io).await;
    let started = Instant::now();
    for _ in 0..6 {
        client.0.send(Message::Ping(Bytes::new())).await.unwrap();
    }
    client.send(r#"420["echo"]"#).await;
    while client.next().await.expect("an answer") != Message::text("430[0]") {}
    assert_eq!(started.elapsed(), 400 * MS);
}

#[tokio::test(start_paused = true)]
async fn a_session_over_its_rate_can_be_closed_instead() {
    for (events, closes) in [(2, false), (3, false), (4, true)] {
        let (io, mut ended) = server(|config| {
            config.event_rate_max = Some(Rate::per_second(10).burst(1 + 3));
            config.rate_policy = RatePolicy::Close;
        });
        let mut client = Client::connect(&io).await;
        for n in 0..events {
            client.send(&format!(r#"42{n}["echo"]"#)).await;
        }
        for n in 0..events.min(3) {
            client.expect(&format!("43{n}[0]")).await;
        }
        if closes {
            assert_eq!(client.closed().await, Some(1008));
            assert_eq!(ended.recv().await, Some(DisconnectReason::RateExceeded));
        } else {
            assert!(timeout(Duration::from_secs(1), ended.recv()).await.is_err());
        }
        assert_eq!(io.stats().throttled, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_post_over_the_rate_is_answered_later() {
    let (io, _ended) = server(|config| config.event_rate_max = Some(Rate::per_second(10).burst(1 + 3)));
    let polling = Polling::connect(&io).await;
    let started = Instant::now();
    for (events, millis) in [(2, 0), (1, 0), (2, 200)] {
        let body = vec![r#"42["echo"]"#; events].join("\u{1e}");
        assert_eq!(polling.post(&body).await, (200, "ok".to_owned()));
        assert_eq!(started.elapsed(), millis * MS);
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_not_read_from_is_not_gone() {
    let (io, mut ended) = server(|config| {
        config.event_rate_max = Some(Rate::per_minute(1).burst(2));
        config.rate_wait_timeout = Duration::from_secs(600);
        config.ping_interval = Duration::from_secs(1);
        config.ping_timeout = Duration::from_secs(1);
    });
    let mut client = Client::connect(&io).await;
    client.send(r#"420["echo"]"#).await;
    client.send(r#"421["echo"]"#).await;
    client.expect("430[0]").await;
    let started = Instant::now();
    io.emit("news", 1);
    client.expect(r#"42["news",1]"#).await;
    assert!(started.elapsed() < MS, "what is sent to it does not wait");
    // Its pongs are not read for a minute.
    client.expect("431[0]").await;
    assert_eq!(started.elapsed(), Duration::from_secs(60));
    assert_eq!(io.stats().sockets, 1);
    assert!(ended.try_recv().is_err());
    // Heartbeats do not count: it stays, silent as it is.
    assert!(timeout(Duration::from_secs(600), client.expect("")).await.is_err());
    assert_eq!(io.stats().sockets, 1);
}

#[tokio::test(start_paused = true)]
async fn who_is_steadily_too_fast_is_not_gone() {
    let (io, ended) = server(|config| {
        config.event_rate_max = Some(Rate::per_second(20).burst(100));
        config.rate_wait_timeout = Duration::from_secs(600);
        config.ping_interval = PING_INTERVAL;
    });
    check_is_heard_to_the_end(&io, ended, "echo").await;
}

#[tokio::test(start_paused = true)]
async fn who_is_steadily_faster_than_its_handlers_is_not_gone() {
    let (io, ended) = server(|config| {
        config.pending_handlers_max = 1;
        config.ping_interval = PING_INTERVAL;
    });
    io.on("slow", async || {
        sleep(50 * MS).await;
        Reply(())
    });
    check_is_heard_to_the_end(&io, ended, "slow").await;
}

#[tokio::test(start_paused = true)]
async fn pings_go_on_while_it_is_not_read() {
    let (io, ended) = server(|config| {
        config.event_rate_max = Some(Rate::per_second(20).burst(100));
        config.rate_wait_timeout = Duration::from_secs(600);
        config.ping_interval = PING_INTERVAL;
    });
    // Something else wakes its session, again and again.
    let news = async {
        for _ in 0..4000 {
            sleep(17 * MS).await;
            io.emit("news", 1);
        }
    };
    tokio::join!(check_is_heard_to_the_end(&io, ended, "echo"), news);
}

/// A client sends 75 seconds' worth of an event, and answers pings as soon as they are there: each event is acknowledged.
async fn check_is_heard_to_the_end(io: &Io, mut ended: mpsc::UnboundedReceiver<DisconnectReason>, event: &str) {
    let mut client = Client::connect(io).await;
    let (started, mut last_ping, mut pings) = (Instant::now(), Instant::now(), 0);
    for n in 0..1500 {
        client.send(&format!(r#"42{n}["{event}"]"#)).await;
    }
    let mut answers = 0;
    while answers < 1500 {
        match client.next().await {
            Some(Message::Text(text)) if text == "2" => {
                // After 45 s without one the server counts as gone, with stock clients.
                assert!(last_ping.elapsed() <= PING_INTERVAL + 60 * MS, "{:?} behind {pings}", last_ping.elapsed());
                (last_ping, pings) = (Instant::now(), pings + 1);
                client.send("3").await;
            }
            Some(Message::Text(text)) if text.starts_with(&format!("43{answers}[")) => answers += 1,
            Some(Message::Text(text)) if text == r#"42["news",1]"# => {}
            other => panic!("{other:?} behind {answers}: {:?}", ended.try_recv()),
        }
    }
    assert!(started.elapsed() >= PING_INTERVAL + PING_TIMEOUT + PING_TIMEOUT, "{:?}", started.elapsed());
    assert!(pings >= 2, "{pings}");
    // And when it falls silent, that is noticed.
    let gone = timeout(PING_INTERVAL + PING_TIMEOUT + 1000 * MS, ended.recv()).await;
    assert_eq!(gone, Ok(Some(DisconnectReason::PingTimeout)));
}

#[tokio::test(start_paused = true)]
async fn who_is_behind_for_too_long_is_given_up() {
    // Each takes a second, and at the end of the last one there is nothing more to read.
    for (events, ends) in [(9, false), (10, true), (11, true)] {
        let (io, mut ended) = server(|config| {
            config.event_rate_max = Some(Rate::per_second(1));
            config.rate_wait_timeout = Duration::from_secs(10);
        });
        let mut client = Client::connect(&io).await;
        for _ in 0..2 {
            sleep(Duration::from_secs(60)).await;
            let started = Instant::now();
            for n in 0..events {
                client.send(&format!(r#"42{n}["echo"]"#)).await;
            }
            for n in 0..events.min(10) {
                client.expect(&format!("43{n}[0]")).await;
                assert_eq!(started.elapsed(), n * 1000 * MS);
            }
            if ends {
                assert_eq!(client.closed().await, Some(1008));
                assert_eq!(started.elapsed(), Duration::from_secs(10));
                assert_eq!(ended.recv().await, Some(DisconnectReason::RateExceeded));
                break;
            }
            assert!(ended.try_recv().is_err());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_post_that_is_behind_for_too_long_is_given_up() {
    let (io, mut ended) = server(|config| {
        config.event_rate_max = Some(Rate::per_second(1));
        config.rate_wait_timeout = Duration::from_secs(3);
    });
    let polling = Polling::connect(&io).await;
    sleep(Duration::from_secs(60)).await;
    // One POST after the other is slow, and none of them for too long.
    for _ in 0..3 {
        assert_eq!(polling.post("42[\"echo\"]\u{1e}42[\"echo\"]").await, (200, "ok".to_owned()));
    }
    assert!(ended.try_recv().is_err());
    sleep(Duration::from_secs(60)).await;
    let started = Instant::now();
    let body: Vec<String> = (0..5).map(|n| format!(r#"42{n}["echo"]"#)).collect();
    assert_eq!(polling.post(&body.join("\u{1e}")).await, (200, "ok".to_owned()));
    assert_eq!(started.elapsed(), Duration::from_secs(3));
    assert_eq!(ended.recv().await, Some(DisconnectReason::RateExceeded));
    assert_eq!(polling.get().await.1, "430[0]\u{1e}431[0]\u{1e}432[0]");
    assert_eq!(polling.get().await.1, "1");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_handlers_is_not_behind() {
    let (io, _ended) = server(|config| {
        config.event_rate_max = Some(Rate::per_second(1));
        config.rate_wait_timeout = Duration::from_secs(10);
        config.pending_handlers_max = 1;
    });
    io.on("slow", async || {
        sleep(Duration::from_secs(30)).await;
        Reply(())
    });
    let mut client = Client::connect(&io).await;
    for n in 0..5 {
        client.send(&format!(r#"42{n}["slow"]"#)).await;
    }
    for n in 0..5 {
        client.expect(&format!("43{n}[]")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn attachments_have_their_time_when_they_are_read() {
    // The second one lies unread for longer than `attachments_timeout`.
    let (io, mut ended) = server(|config| config.byte_rate_max = Some(Rate::per_second(1000)));
    let mut client = Client::connect(&io).await;
    sleep(Duration::from_secs(60)).await;
    let started = Instant::now();
    client.send(r#"452-7["echo",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#).await;
    client.send_binary(&[0; 32_000]).await;
    client.send_binary(&[0]).await;
    client.expect("437[2]").await;
    assert!(started.elapsed() > Duration::from_secs(31));
    // One that never comes has what was left of it.
    sleep(Duration::from_secs(60)).await;
    let started = Instant::now();
    client.send(r#"452-8["echo",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#).await;
    client.send_binary(&[0; 2000]).await;
    assert_eq!(ended.recv().await, Some(DisconnectReason::ForcedClose));
    let rested = started.elapsed() - Duration::from_secs(30);
    assert!((1000 * MS..1200 * MS).contains(&rested), "{rested:?}");
}

#[tokio::test(start_paused = true)]
async fn polling_hears_what_was_sent_before_it_was_too_fast() {
    let (io, mut ended) = server(|config| {
        config.event_rate_max = Some(Rate::per_second(10).burst(1 + 2));
        config.rate_policy = RatePolicy::Close;
    });
    let polling = Polling::connect(&io).await;
    let post = polling.post("420[\"echo\"]\u{1e}421[\"echo\"]\u{1e}422[\"echo\"]\u{1e}423[\"echo\"]");
    let (posted, got) = tokio::join!(post, polling.get());
    assert_eq!(ended.recv().await, Some(DisconnectReason::RateExceeded));
    // A stock client whose POST fails does not come for the rest.
    assert_eq!(posted, (200, "ok".to_owned()));
    assert_eq!(got, (200, "430[0]\u{1e}431[0]".to_owned()));
    assert_eq!(polling.get().await, (200, "1".to_owned()));
}

/// A client that moves and, as stock ones do, says `5` when its POST is done: the status of that, and the WebSocket.
async fn move_behind_a_post(io: &Io, events: usize) -> (u16, support::Client) {
    let polling = support::Polling::connect(support::serve(io).await).await;
    let target = format!("/socket.io/?EIO=4&transport=websocket&sid={}", polling.sid);
    let body = vec![r#"42["echo"]"#; events].join("\u{1e}");
    let mut websocket = support::Client::open(polling.address, &target, None).await;
    let probe = async {
        websocket.send("2probe").await;
        websocket.expect("3probe").await;
    };
    let (posted, ()) = tokio::join!(polling.post(&body), probe);
    websocket.send("5").await;
    (posted.brief().0, websocket)
}

#[tokio::test]
async fn an_upgrade_waits_for_a_post_that_waits() {
    let (io, mut ended) = server(|config| {
        config.event_rate_max = Some(Rate::per_second(10).burst(1 + 2));
        config.upgrade_timeout = 500 * MS;
    });
    let (posted, mut websocket) = move_behind_a_post(&io, 12).await;
    assert_eq!(posted, 200);
    websocket.send(r#"420["echo"]"#).await;
    websocket.expect("430[0]").await;
    assert!(ended.try_recv().is_err());
}

#[tokio::test]
async fn who_is_behind_for_too_long_moves_before_it_is_given_up() {
    let (io, mut ended) = server(|config| {
        config.event_rate_max = Some(Rate::per_minute(1).burst(1 + 2));
        config.rate_wait_timeout = 200 * MS;
    });
    let (posted, mut websocket) = move_behind_a_post(&io, 12).await;
    assert_eq!(posted, 200);
    assert_eq!(websocket.closed().await, Some(1008));
    assert_eq!(ended.recv().await, Some(DisconnectReason::RateExceeded));
}
