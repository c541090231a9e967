//! Broadcasts to clients that sleep, over TCP: others write in their sessions' place.

use std::time::Duration;

use bytes::Bytes;
use patera::{Config, ConnectionStateRecovery, Io, Socket};
use tokio::net::TcpSocket;

use crate::support::{Client, eventually, serve};

/// Emits the numbers below `count` in turn to everyone, to a room, and to the socket alone.
fn emit_numbers(io: &Io, socket: &Socket, count: u32) {
    for n in 0..count {
        match n % 3 {
            0 => io.emit("n", n),
            1 => io.to("room").emit("n", n),
            _ => socket.emit("n", n),
        }
    }
}

async fn expect_numbers(client: &mut Client, count: u32) {
    for n in 0..count {
        client.expect(&format!(r#"42["n",{n}]"#)).await;
    }
}

fn io() -> Io {
    let io = Io::new();
    io.on_connection(async |socket: Socket| socket.join("room"));
    io
}

async fn only_socket(io: &Io) -> Socket {
    eventually(|| io.sockets().len() == 1).await;
    io.sockets().remove(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thread_without_a_runtime_reaches_clients_in_order() {
    let io = io();
    let (mut client, _) = Client::connect(serve(&io).await).await;
    let socket = only_socket(&io).await;
    let there = io.clone();
    std::thread::spawn(move || emit_numbers(&there, &socket, 600)).join().expect("no panic");
    expect_numbers(&mut client, 600).await;
    // The open packet is none of Socket.IO's; the answer to CONNECT is. What is written is counted behind that.
    eventually(|| io.stats().packets_out == 601).await;
}

#[tokio::test]
async fn a_runtime_that_ends_at_once_leaves_nothing_behind() {
    let io = io();
    let (mut client, _) = Client::connect(serve(&io).await).await;
    let socket = only_socket(&io).await;
    let there = io.clone();
    let emitting = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async { emit_numbers(&there, &socket, 30) });
    };
    tokio::task::spawn_blocking(emitting).await.expect("no panic");
    expect_numbers(&mut client, 30).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_threads_at_once_lose_and_double_nothing() {
    const THREADS: usize = 4;
    const EACH: usize = 500;
    let io = io();
    let (mut client, _) = Client::connect(serve(&io).await).await;
    only_socket(&io).await;
    let threads = (0..THREADS).map(|thread| {
        let io = io.clone();
        std::thread::spawn(move || (0..EACH).for_each(|n| io.emit("n", (thread, n))))
    });
    let threads: Vec<_> = threads.collect();
    let mut next = [0; THREADS];
    for _ in 0..THREADS * EACH {
        let text = client.text().await;
        let args = text.strip_prefix("42").expect("an event");
        let (_, thread, n): (String, usize, usize) = serde_json::from_str(args).expect("three values");
        assert_eq!(n, next[thread], "of thread {thread}");
        next[thread] += 1;
    }
    threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_late_gets_everything_and_the_others_get_it_at_once() {
    // More than the kernel keeps for one connection.
    const COUNT: usize = 1200;
    let mut config = Config::default();
    config.outbox_bytes_max = 64 << 20;
    let io = Io::with_config(config);
    let address = serve(&io).await;
    let slow = TcpSocket::new_v4().expect("a socket");
    // Small enough that what is sent does not fit, and writes end in the middle of a frame.
    slow.set_recv_buffer_size(4096).expect("a size");
    let (mut slow, _) = Client::connect_over(slow.connect(address).await.expect("a connection")).await;
    let (mut quick, _) = Client::connect(address).await;
    eventually(|| io.sockets().len() == 2).await;
    let filler = "x".repeat(7000);
    for n in 0..COUNT {
        match n % 10 {
            9 => io.emit("n", (n, Bytes::from(filler.clone()))),
            _ => io.emit("n", (n, &filler)),
        }
        // Each by itself, so that the sessions sleep in between.
        assert_eq!(number(&mut quick).await, n);
    }
    io.volatile().emit("n", COUNT);
    assert_eq!(io.stats().dropped_volatile, 1, "only the quick one could take it");
    for n in 0..COUNT {
        assert_eq!(number(&mut slow).await, n);
    }
    // It sleeps again, and takes volatile packets again.
    eventually(|| {
        let dropped = io.stats().dropped_volatile;
        io.volatile().emit("n", COUNT);
        io.stats().dropped_volatile == dropped
    })
    .await;
    assert_eq!(number(&mut slow).await, COUNT);
}

/// The first argument of the next event; attachments are passed over.
async fn number(client: &mut Client) -> usize {
    loop {
        match client.next().await {
            Some(message) if message.is_binary() => {}
            Some(message) => {
                let text = message.into_text().expect("a text");
                let (_, args) = text.split_once("[\"n\",").unwrap_or_else(|| panic!("an event, not {text:?}"));
                let digits = args.bytes().take_while(u8::is_ascii_digit).count();
                return args[..digits].parse().expect("a number");
            }
            None => panic!("an event"),
        }
    }
}

/// Their events end with an offset.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recoverable_clients_are_reached_in_order_too() {
    let mut config = Config::default();
    config.connection_state_recovery = Some(ConnectionStateRecovery::default());
    let io = Io::with_config(config);
    io.on_connection(async |socket: Socket| socket.join("room"));
    let (mut client, _) = Client::connect(serve(&io).await).await;
    let socket = only_socket(&io).await;
    let there = io.clone();
    std::thread::spawn(move || emit_numbers(&there, &socket, 600)).join().expect("no panic");
    for n in 0..600 {
        assert_eq!(number(&mut client).await, n);
    }
}

#[tokio::test]
async fn a_client_that_is_gone_is_noticed_by_the_broadcast() {
    let mut config = Config::default();
    config.ping_interval = Duration::from_secs(3600);
    let io = Io::with_config(config);
    let address = serve(&io).await;
    let (client, _) = Client::connect(address).await;
    let (mut other, _) = Client::connect(address).await;
    eventually(|| io.sockets().len() == 2).await;
    drop(client);
    let mut n = 0;
    eventually(|| {
        io.emit("n", n);
        n += 1;
        io.sockets().len() == 1
    })
    .await;
    expect_numbers(&mut other, n).await;
}

/// One task flushes 256 sessions at the most: those beyond it have one more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sleepers_of_one_task_and_those_beyond_it_get_everything() {
    let io = Io::new();
    let address = serve(&io).await;
    let mut clients = Vec::new();
    for n in 0..257 {
        let (client, id) = Client::connect(address).await;
        let rooms = [(255, "max - 1"), (256, "max"), (257, "max + 1")];
        let socket = io.socket(&id).expect("a socket");
        rooms.iter().filter(|(size, _)| n < *size).for_each(|(_, room)| socket.join(*room));
        clients.push(client);
    }
    for (size, room) in [(255, "max - 1"), (256, "max"), (257, "max + 1")] {
        io.to(room).emit("n", size);
        for client in &mut clients[..size] {
            assert_eq!(number(client).await, size);
        }
    }
}

/// What is larger than 8 KiB is left to the session itself.
#[tokio::test]
async fn packets_around_the_size_that_is_flushed_arrive() {
    let io = Io::new();
    let (mut client, _) = Client::connect(serve(&io).await).await;
    only_socket(&io).await;
    for size in 8130..8230 {
        io.emit("n", (size, "x".repeat(size)));
        client.expect(&format!(r#"42["n",{size},"{}"]"#, "x".repeat(size))).await;
    }
}
