//! Paths of the server: a whole event, from the client's bytes to what is written, on a runtime of one thread.

use std::future::Future;

use patera::{Io, Reply, Socket, Value};
use patera_websocket::Opcode;
use tokio::runtime::Builder;
use tokio::task::yield_now;

use crate::memory::{Wire, frame};

/// How many get a broadcast.
const RECEIVERS: usize = 1000;

/// What all others here cost along: tokio's turns in which sessions could run.
pub(crate) fn empty_turn(count: usize) {
    run(async move {
        for _ in 0..count {
            settle().await;
        }
    });
}

pub(crate) fn echo(size: usize, count: usize) {
    ask(&text(&format!(r#"42["echo","{}"]"#, "x".repeat(size))), 1, count);
}

/// `window` events in one read, answered by one write.
pub(crate) fn echo_in_window(window: usize, count: usize) {
    ask(&text(r#"42["echo","0123456789abcdef"]"#).repeat(window), window, count);
}

pub(crate) fn echo_binary(size: usize, count: usize) {
    let event = text(r#"451-["echo",{"_placeholder":true,"num":0}]"#);
    ask(&[event, frame(Opcode::Binary, &vec![7; size])].concat(), 1, count);
}

pub(crate) fn ack(count: usize) {
    ask(&text(r#"427["ack","0123456789abcdef"]"#), 1, count);
}

/// One delivery is one of the count.
pub(crate) fn broadcast(count: usize) {
    run(async move {
        let io = server();
        let sender = connect(&io).await;
        let mut receivers = vec![sender.clone()];
        while receivers.len() < RECEIVERS {
            receivers.push(connect(&io).await);
        }
        let event = text(r#"42["pub","0123456789abcdef"]"#);
        for _ in 0..count / RECEIVERS {
            sender.send(&event);
            // tokio runs 61 tasks, or so, between two looks at us.
            for _ in 0..RECEIVERS / 20 {
                yield_now().await;
            }
            assert!(receivers.iter().all(|receiver| receiver.take() > event.len() - 8));
        }
    });
}

/// Sends `bytes`, `events` events, until there were `count`; each is answered.
fn ask(bytes: &[u8], events: usize, count: usize) {
    let bytes = bytes.to_vec();
    run(async move {
        let wire = connect(&server()).await;
        for _ in 0..count / events {
            wire.send(&bytes);
            settle().await;
            assert!(wire.take() >= 20 * events);
        }
    });
}

fn run(path: impl Future<Output = ()>) {
    let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime without I/O needs nothing");
    runtime.block_on(path);
}

fn server() -> Io {
    let io = Io::new();
    io.on("echo", async |socket: Socket, x: Value| socket.emit("echo", x));
    io.on("ack", async |x: Value| Reply(x));
    io.on("pub", async |io: Io, x: Value| io.emit("pub", x));
    io
}

/// A client in the default namespace, over a WebSocket.
async fn connect(io: &Io) -> Wire {
    let wire = Wire::default();
    let request = http::Request::get("/socket.io/?EIO=4&transport=websocket").body(());
    let request = request.expect("the request is well formed");
    io.accept(wire.clone(), request).await.expect("it is let in");
    wire.send(&text("40"));
    settle().await;
    assert!(wire.take() > 100);
    wire
}

fn text(packet: &str) -> Vec<u8> {
    frame(Opcode::Text, packet.as_bytes())
}

/// Lets the sessions run.
async fn settle() {
    for _ in 0..2 {
        yield_now().await;
    }
}
