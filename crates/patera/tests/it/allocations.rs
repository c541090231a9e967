//! How often the server allocates, counted: what an idle connection owns, and what one event costs.

use allocation_counter::{AllocationInfo, measure};
use patera::{Io, Socket};
use patera_websocket::{Opcode, Role};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::runtime::{Builder, Runtime};

const BUFFER_BYTES: usize = 4096;

/// Server and client on one thread, since allocations are counted by thread; the client itself makes none.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn frame(text: &str) -> Vec<u8> {
    let mut frame = Vec::new();
    patera_websocket::encode(Role::Client, Opcode::Text, true, text.as_bytes(), [1, 2, 3, 4], &mut frame);
    frame
}

/// Sends a frame, and reads what is answered at once.
async fn ask(near: &mut DuplexStream, frame: &[u8]) {
    near.write_all(frame).await.unwrap();
    let mut answer = [0; 512];
    assert!(near.read(&mut answer).await.unwrap() > 0);
}

/// A client in the default namespace, without any headers.
async fn connect(io: &Io, frame: &[u8]) -> DuplexStream {
    let (mut near, far) = tokio::io::duplex(BUFFER_BYTES);
    let request = http::Request::get("/socket.io/?EIO=4&transport=websocket").body(()).unwrap();
    io.accept(far, request).await.unwrap();
    // The open packet, then CONNECT and its answer.
    assert!(near.read(&mut [0; 512]).await.unwrap() > 0);
    ask(&mut near, frame).await;
    near
}

/// What the stream of a client owns by itself.
async fn stream() -> (DuplexStream, DuplexStream) {
    let (mut near, mut far) = tokio::io::duplex(BUFFER_BYTES);
    near.write_all(b"x").await.unwrap();
    far.write_all(b"x").await.unwrap();
    (near, far)
}

#[test]
fn one_event_is_three_allocations() {
    let runtime = runtime();
    let io = Io::new();
    io.on("echo", async |socket: Socket, text: String| socket.emit("echo", text));
    let event = frame(r#"42["echo","hello everyone"]"#);
    let mut near = runtime.block_on(connect(&io, &frame("40")));
    let mut events = |count: u64| {
        measure(|| {
            runtime.block_on(async {
                for _ in 0..count {
                    ask(&mut near, &event).await;
                }
            });
        })
    };
    events(10);
    // The handler's text, its future, and the packet.
    assert_eq!(events(100).count_total, 300);
}

#[test]
fn an_idle_connection_owns_seven_allocations() {
    let runtime = runtime();
    let io = Io::new();
    io.on("echo", async |socket: Socket, text: String| socket.emit("echo", text));
    let connect_frame = frame("40");
    let mut clients = Vec::with_capacity(10);
    // Tables grow by doubling: what they have room for costs the next client nothing.
    for _ in 0..9 {
        clients.push(runtime.block_on(connect(&io, &connect_frame)));
    }
    let connected = measure(|| clients.push(runtime.block_on(connect(&io, &connect_frame))));
    let stream = measure(|| std::mem::forget(runtime.block_on(stream())));
    let own = |of: fn(&AllocationInfo) -> i64| of(&connected) - of(&stream);
    // The task, its timer, the part that others touch, the handshake and its text, the socket; and a box around the stream,
    // which a TCP connection has not.
    assert_eq!(own(|info| info.count_current), 7);
    let bytes = own(|info| info.bytes_current);
    assert!(bytes <= 1226, "{bytes}");
}

#[test]
fn a_connection_that_can_be_recovered_costs_so_much_more() {
    let runtime = runtime();
    let bytes_of_one = |recovery: Option<patera::ConnectionStateRecovery>| {
        let mut config = patera::Config::default();
        config.connection_state_recovery = recovery;
        let io = Io::with_config(config);
        let mut clients = Vec::with_capacity(10);
        for _ in 0..9 {
            clients.push(runtime.block_on(connect(&io, &frame("40"))));
        }
        measure(|| clients.push(runtime.block_on(connect(&io, &frame("40"))))).bytes_current
    };
    let more = bytes_of_one(Some(patera::ConnectionStateRecovery::default())) - bytes_of_one(None);
    // Its record, and the box by which the socket knows it.
    assert!((200..=400).contains(&more), "{more}");
}

#[test]
fn a_broadcast_allocates_nothing_for_its_receivers() {
    let runtime = runtime();
    let io = Io::new();
    let connect_frame = frame("40");
    let mut clients: Vec<_> = (0..20).map(|_| runtime.block_on(connect(&io, &connect_frame))).collect();
    let mut broadcast = || {
        measure(|| {
            runtime.block_on(async {
                io.emit("news", "hello");
                for near in &mut clients {
                    assert!(near.read(&mut [0; 64]).await.unwrap() > 0);
                }
            });
        })
    };
    broadcast();
    // The packet.
    assert_eq!(broadcast().count_total, 1);
}
