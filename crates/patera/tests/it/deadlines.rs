//! How long a client may wait with what it must do: a millisecond less, and a millisecond more.

use std::time::Duration;

use patera::{Config, DisconnectReason, Io};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_tungstenite::tungstenite::Message;

use crate::memory::Client;

const MS: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn a_namespace_is_joined_within_connect_timeout() {
    let timeout = Duration::from_secs(3);
    for (after, in_time) in [(timeout - MS, true), (timeout + MS, false)] {
        let mut config = Config::default();
        config.connect_timeout = timeout;
        let io = Io::with_config(config);
        let mut client = Client::engine(&io, 4096).await;
        let started = Instant::now();
        if in_time {
            sleep(after).await;
            client.send("40").await;
            assert!(client.text().await.starts_with("40{"));
            sleep(timeout).await;
            assert_eq!(io.stats().sockets, 1, "it is over once it has joined");
        } else {
            client.closed().await;
            assert_eq!(started.elapsed(), timeout);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_pong_comes_within_ping_timeout() {
    let (interval, timeout) = (Duration::from_secs(5), Duration::from_secs(3));
    for (after, in_time) in [(timeout - MS, true), (timeout + MS, false)] {
        let mut config = Config::default();
        (config.ping_interval, config.ping_timeout) = (interval, timeout);
        let io = Io::with_config(config);
        let (reasons, mut ended) = mpsc::unbounded_channel();
        io.on_disconnect(async move |reason: DisconnectReason| reasons.send(reason).unwrap());
        let started = Instant::now();
        let mut client = Client::connect(&io).await;
        assert_eq!(client.next().await, Some(Message::text("2")));
        assert_eq!(started.elapsed(), interval);
        if in_time {
            sleep(after).await;
            client.send("3").await;
            assert_eq!(client.next().await, Some(Message::text("2")), "and the next one, as long behind it");
            assert_eq!(started.elapsed(), interval + after + interval);
        } else {
            assert_eq!(ended.recv().await, Some(DisconnectReason::PingTimeout));
            assert_eq!(started.elapsed(), interval + timeout);
        }
    }
}
