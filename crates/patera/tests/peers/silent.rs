//! Peers that say nothing, too little, or too much of what means nothing.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use allocation_counter::measure;
use futures_util::SinkExt as _;
use patera::{Config, DisconnectReason, Io, Reply};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

use crate::process::{all_gone, allow_files, alone, resident_bytes, tasks};
use crate::support::{Client, PATIENCE, Polling, eventually, serve};

/// How much the allocator may keep of what was freed between two rounds of the same.
const GROWTH_BYTES_MAX: usize = 4 << 20;

fn echo(config: Config) -> Io {
    let io = Io::with_config(config);
    io.on("echo", async |n: u32| Reply(n));
    io
}

/// True when the server has closed it, whatever it has said before.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut rest = [0; 1024];
    loop {
        match timeout(PATIENCE, stream.read(&mut rest)).await {
            Ok(Ok(0)) => return true,
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return error.kind() == ErrorKind::ConnectionReset,
            Err(_) => return false,
        }
    }
}

const HEAD: &str = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: test\r\n";
const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: \
                       AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";

/// 5,000 at once: a third says nothing, a third stops within its head, a third within Engine.IO. What is resident then.
async fn round(io: &Io, address: SocketAddr, neighbour: &mut Client, tasks_before: usize) -> usize {
    let mut silent = Vec::new();
    for number in 0..5000 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let said = match number % 3 {
            0 => String::new(),
            1 => HEAD.to_owned(),
            _ => format!("{HEAD}{UPGRADE}"),
        };
        stream.write_all(said.as_bytes()).await.unwrap();
        silent.push(stream);
    }
    eventually(|| io.stats().sessions == 1 + 1666).await;
    assert!(tasks() >= 5000, "each is there");
    let resident = resident_bytes();
    neighbour.send(r#"421["echo",7]"#).await;
    neighbour.expect("431[7]").await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(601)).await;
    tokio::time::resume();
    for stream in &mut silent {
        assert!(is_closed(stream).await);
    }
    eventually(|| io.stats().sessions == 1 && tasks() == tasks_before + 1).await;
    resident
}

#[test]
fn five_thousand_silent_sockets_are_closed_and_leave_nothing() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let _alone = runtime.block_on(alone());
    allow_files(20_000);
    let mut config = Config::default();
    // Longer than it takes to open them all, shorter than what is skipped then.
    (config.header_timeout, config.connect_timeout) = (Duration::from_secs(600), Duration::from_secs(600));
    config.ping_interval = Duration::from_secs(3600);
    let io = echo(config);
    let (address, before, mut neighbour) = runtime.block_on(async {
        let address = serve(&io).await;
        (address, tasks(), Client::connect(address).await.0)
    });
    let mut resident = Vec::new();
    let mut left =
        || measure(|| resident.push(runtime.block_on(round(&io, address, &mut neighbour, before)))).bytes_current;
    // Tables keep what they have grown to.
    left();
    for _ in 0..2 {
        let bytes = left();
        // Not even the smallest allocation for each session.
        assert!(bytes < 1666 * 16, "{bytes} bytes are never freed");
    }
    // What the allocator keeps, it gives out again.
    assert!(resident[2] < resident[1] + resident[1] / 4, "{resident:?}");
    runtime.block_on(async {
        neighbour.close().await;
        all_gone(&io, before).await;
    });
}

#[test]
fn a_connection_has_no_buffer_before_its_first_byte() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let _alone = runtime.block_on(alone());
    let io = echo(Config::default());
    let address = runtime.block_on(serve(&io));
    let mut silent = Vec::with_capacity(200);
    // The first of all are for tables of the server and of its runtime.
    let mut connect = |count| {
        runtime.block_on(async {
            let wanted = tasks() + count;
            for _ in 0..count {
                silent.push(TcpStream::connect(address).await.unwrap());
            }
            eventually(|| tasks() == wanted).await;
        });
    };
    connect(100);
    let bytes = measure(|| connect(100)).bytes_current / 100;
    // Both ends; hyper begins with 8 KiB.
    assert!(bytes < 3000, "{bytes} bytes for each");
}

#[tokio::test(start_paused = true)]
async fn a_head_that_comes_byte_by_byte_is_given_up_with_its_time() {
    let _alone = alone().await;
    let io = echo(Config::default());
    let address = serve(&io).await;
    let before = tasks();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let started = Instant::now();
    let mut sent = 0;
    for byte in HEAD.bytes() {
        if stream.write_all(&[byte]).await.is_err() {
            break;
        }
        sent += 1;
        sleep(Duration::from_secs(1)).await;
    }
    assert!((10..=12).contains(&sent), "{sent} bytes in {:?}", started.elapsed());
    assert!(is_closed(&mut stream).await);
    all_gone(&io, before).await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_comes_byte_by_byte_is_given_up_with_its_time() {
    let _alone = alone().await;
    let mut config = Config::default();
    config.ping_interval = Duration::from_secs(3600);
    let io = echo(config);
    let address = serve(&io).await;
    let before = tasks();
    let polling = Polling::connect(address).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("POST {} HTTP/1.1\r\nHost: test\r\nContent-Length: 500000\r\n\r\n", polling.target());
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut sent = 0;
    while stream.write_all(b"4").await.is_ok() && sent < 500 {
        sent += 1;
        sleep(Duration::from_secs(1)).await;
    }
    assert!((5..=7).contains(&sent), "{sent}");
    assert!(is_closed(&mut stream).await);
    all_gone(&io, before).await;
}

#[tokio::test]
async fn polls_that_are_broken_off_end_their_sessions() {
    let _alone = alone().await;
    let io = echo(Config::default());
    let (reasons, mut ended) = mpsc::unbounded_channel();
    io.on_disconnect(async move |reason: DisconnectReason| reasons.send(reason).unwrap());
    let address = serve(&io).await;
    let before = tasks();
    let mut resident = Vec::new();
    for _ in 0..3 {
        for number in 0..60 {
            let polling = Polling::connect(address).await;
            let mut stream = TcpStream::connect(address).await.unwrap();
            let request = match number % 2 {
                0 => format!("GET {} HTTP/1.1\r\nHost: test\r\n\r\n", polling.target()),
                _ => format!("POST {} HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\n42[", polling.target()),
            };
            let alive = tasks();
            stream.write_all(request.as_bytes()).await.unwrap();
            eventually(|| tasks() > alive).await;
            drop(stream);
            assert_eq!(ended.recv().await, Some(DisconnectReason::TransportError), "{request}");
        }
        all_gone(&io, before).await;
        resident.push(resident_bytes());
    }
    assert!(resident[2] < resident[0] + GROWTH_BYTES_MAX, "{resident:?}");
}

#[tokio::test]
async fn an_upgrade_that_is_never_finished_is_closed_and_polling_goes_on() {
    let _alone = alone().await;
    let mut config = Config::default();
    config.upgrade_timeout = Duration::from_millis(200);
    let io = echo(config);
    let address = serve(&io).await;
    let before = tasks();
    for probe in [&[][..], &["2probe"]] {
        let polling = Polling::connect(address).await;
        let target = format!("/socket.io/?EIO=4&transport=websocket&sid={}", polling.sid);
        let mut client = Client::open(address, &target, None).await;
        for packet in probe {
            client.send(packet).await;
            client.expect("3probe").await;
        }
        client.closed().await;
        assert_eq!(polling.post(r#"420["echo",1]"#).await.brief(), (200, "ok"));
        let mut got = polling.get().await.body;
        if got == "6" {
            // What let the GET of the upgrade go.
            got = polling.get().await.body;
        }
        assert_eq!(got, "430[1]");
        assert_eq!(polling.post("1").await.status, 200);
    }
    all_gone(&io, before).await;
}

#[tokio::test]
async fn polls_that_come_all_at_once_are_taken_one_at_a_time() {
    let _alone = alone().await;
    let io = echo(Config::default());
    let address = serve(&io).await;
    let before = tasks();
    let (mut neighbour, _) = Client::connect(address).await;
    let neighbours = io.sockets();
    let polling = Polling::connect(address).await;
    let resident = resident_bytes();
    let (mut reader, mut writer) = TcpStream::connect(address).await.unwrap().into_split();
    let polls = format!("GET {} HTTP/1.1\r\nHost: test\r\n\r\n", polling.target()).repeat(10_000);
    let written = tokio::spawn(async move {
        let _ = writer.write_all(polls.as_bytes()).await;
        writer
    });
    let mut answer = vec![0; 4096];
    for number in 0..200 {
        neighbour.send(&format!(r#"421["echo",{number}]"#)).await;
        neighbour.expect(&format!("431[{number}]")).await;
        io.except(neighbours[0].id()).emit("news", number);
        let length = timeout(PATIENCE, reader.read(&mut answer)).await.unwrap().unwrap();
        let answer = String::from_utf8_lossy(&answer[..length]);
        assert!(
            answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(&format!(r#"42["news",{number}]"#)),
            "{answer}"
        );
    }
    // Two sessions, two connections over HTTP, and who writes.
    assert!(tasks() <= before + 5);
    assert!(resident_bytes() < resident + GROWTH_BYTES_MAX);
    assert_eq!(polling.post("1").await.status, 200);
    written.abort();
    drop((reader, written));
    neighbour.close().await;
    all_gone(&io, before).await;
}

#[tokio::test]
async fn floods_of_pings_and_pongs_hold_up_nobody_and_leave_nothing() {
    let _alone = alone().await;
    let io = echo(Config::default());
    let address = serve(&io).await;
    let before = tasks();
    let (mut neighbour, _) = Client::connect(address).await;
    let mut resident = Vec::new();
    for _ in 0..3 {
        let (mut pings, _) = Client::connect(address).await;
        let (mut pongs, _) = Client::connect(address).await;
        for number in 0..10_000u32 {
            pings.0.send(Message::Ping(number.to_be_bytes().to_vec().into())).await.unwrap();
            pongs.send("3").await;
            if number.is_multiple_of(1000) {
                neighbour.send(r#"421["echo",7]"#).await;
                neighbour.expect("431[7]").await;
            }
        }
        // It answers: the newest ping at the least.
        loop {
            match pings.next().await {
                Some(Message::Pong(data)) if data[..] == 9_999u32.to_be_bytes() => break,
                Some(Message::Pong(_) | Message::Text(_)) => {}
                other => panic!("a pong, not {other:?}"),
            }
        }
        pongs.send(r#"422["echo",8]"#).await;
        pongs.expect("432[8]").await;
        pings.close().await;
        pongs.close().await;
        eventually(|| io.stats().sessions == 1).await;
        resident.push(resident_bytes());
    }
    assert!(resident[2] < resident[0] + GROWTH_BYTES_MAX, "{resident:?}");
    neighbour.close().await;
    all_gone(&io, before).await;
}
