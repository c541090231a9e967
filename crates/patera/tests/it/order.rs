//! Program order: what one task sends to a socket, by whatever way, arrives in that order over every transport and across an upgrade.

use bytes::Bytes;
use patera::{Config, Io, Reply, Socket};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::mpsc;

use crate::support::{Client, PATIENCE, Polling, serve};

const SEEDS: std::ops::Range<u64> = 0..8;

/// Sends a number to one socket in one of the ways there are.
fn emit(io: &Io, socket: &Socket, n: u32, random: &mut StdRng) {
    // Small ones are copied into the write, large ones are written from where they are.
    let filler = "x".repeat(if random.random_ratio(1, 20) { 9000 } else { 10 });
    match random.random_range(0..7) {
        0 => socket.emit("n", (n, filler)),
        1 => io.emit("n", (n, filler)),
        2 => io.to(socket.id()).emit("n", (n, filler)),
        3 => io.of("/").to(["room", socket.id()]).except("nobody").emit("n", (n, filler)),
        4 => socket.compress(false).emit("n", (n, filler)),
        5 => drop(socket.emit_with_ack::<()>("n", (n, filler))),
        _ => io.to("room").emit("n", (n, Bytes::from(filler))),
    }
}

/// The number of an event or acknowledgement: `42["n",7,…`, `42/…`, `421["n",7`, `451-["n",7`, `430[7`.
fn number(packet: &str) -> Option<u32> {
    let (head, args) = packet.split_once('[')?;
    let args = if head.starts_with("43") { args } else { args.strip_prefix("\"n\",")? };
    let digits = args.bytes().take_while(u8::is_ascii_digit).count();
    args[..digits].parse().ok()
}

/// Adds the numbers of a polling payload, or of one message, which is a payload of one packet.
fn take(payload: &str, got: &mut Vec<u32>) {
    got.extend(payload.split('\u{1e}').filter_map(number));
}

/// A server whose `go` sends the numbers from `first` on, `count` of them, the last as the acknowledgement.
fn server(seed: u64) -> Io {
    let mut config = Config::default();
    config.pending_acks_max = 100_000;
    let io = Io::with_config(config);
    io.on_connection(async |s: Socket| s.join("room"));
    io.on("go", async move |io: Io, s: Socket, first: u32, count: u32| {
        let mut random = StdRng::seed_from_u64(seed + u64::from(first));
        for n in first..first + count - 1 {
            emit(&io, &s, n, &mut random);
        }
        Reply(first + count - 1)
    });
    io
}

/// The next text; attachments are passed over.
async fn text(client: &mut Client) -> String {
    loop {
        match client.next().await {
            Some(message) if message.is_text() => return message.into_text().unwrap().as_str().to_owned(),
            Some(message) if message.is_binary() => {}
            other => panic!("a message, not {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_websocket() {
    for seed in SEEDS {
        let (mut client, _) = Client::connect(serve(&server(seed)).await).await;
        let mut got = Vec::new();
        for round in 0..20 {
            client.send(&format!(r#"420["go",{},30]"#, round * 30)).await;
        }
        while got.len() < 600 {
            take(&text(&mut client).await, &mut got);
        }
        assert_eq!(got, (0..600).collect::<Vec<_>>(), "seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_polling() {
    for seed in SEEDS {
        let polling = Polling::connect(serve(&server(seed)).await).await;
        let mut got = Vec::new();
        for round in 0..10 {
            let body = [0, 1].map(|half| format!(r#"420["go",{},30]"#, round * 60 + half * 30)).join("\u{1e}");
            let (poll, posted) = tokio::join!(polling.get(), polling.post(&body));
            assert_eq!(posted.brief(), (200, "ok"), "seed {seed}");
            take(&poll.body, &mut got);
        }
        while got.len() < 600 {
            take(&polling.get().await.body, &mut got);
        }
        assert_eq!(got, (0..600).collect::<Vec<_>>(), "seed {seed}");
    }
}

/// A client that moves to a WebSocket at some point, while it sends numbers and gets others.
struct Moving {
    seed: u64,
    random: StdRng,
    sent: u32,
    got: Vec<u32>,
}

impl Moving {
    fn packets(&mut self) -> String {
        let count = self.random.random_range(1..20);
        let packets: Vec<_> = (self.sent..self.sent + count).map(|n| format!(r#"42["up",{n}]"#)).collect();
        self.sent += count;
        packets.join("\u{1e}")
    }

    async fn post(&mut self, polling: &Polling) {
        let body = self.packets();
        assert_eq!(polling.post(&body).await.brief(), (200, "ok"), "seed {}", self.seed);
    }

    async fn poll_for_a_while(&mut self, polling: &Polling) {
        for _ in 0..self.random.random_range(0..5) {
            let body = self.packets();
            let (poll, posted) = tokio::join!(polling.get(), polling.post(&body));
            assert_eq!(posted.brief(), (200, "ok"), "seed {}", self.seed);
            take(&poll.body, &mut self.got);
        }
    }

    /// As official clients do it: the probe beside the poll, which is answered; then nothing but the WebSocket.
    async fn upgrade(&mut self, polling: &Polling) -> Client {
        let target = format!("/socket.io/?EIO=4&transport=websocket&sid={}", polling.sid);
        let mut client = Client::open(polling.address, &target, None).await;
        let body = self.packets();
        let (poll, posted, ()) = tokio::join!(polling.get(), polling.post(&body), async {
            client.send("2probe").await;
            client.expect("3probe").await;
        });
        assert_eq!(posted.brief(), (200, "ok"), "seed {}", self.seed);
        take(&poll.body, &mut self.got);
        for _ in 0..self.random.random_range(0..3) {
            self.post(polling).await;
        }
        client.send("5").await;
        client
    }

    async fn check(seed: u64) {
        let io = Io::new();
        io.on_connection(async |s: Socket| s.join("room"));
        let (numbers, arrived) = mpsc::unbounded_channel();
        io.on("up", async move |n: u32| numbers.send(n).unwrap());
        let polling = Polling::connect(serve(&io).await).await;
        let answering = tokio::spawn(answer(io, arrived, seed));
        let mut client = Moving { seed, random: StdRng::seed_from_u64(seed), sent: 0, got: Vec::new() };
        client.poll_for_a_while(&polling).await;
        let mut websocket = client.upgrade(&polling).await;
        for n in client.sent..UP {
            websocket.send(&format!(r#"42["up",{n}]"#)).await;
        }
        loop {
            let text = text(&mut websocket).await;
            if text == r#"42["end"]"# {
                break;
            }
            take(&text, &mut client.got);
        }
        let down = answering.await.unwrap();
        assert_eq!(client.got, (0..down).collect::<Vec<_>>(), "seed {seed}");
    }
}

/// How many numbers the client sends.
const UP: u32 = 300;

/// Takes the client's numbers in a task of its own and sends some for each; the count of those.
async fn answer(io: Io, mut arrived: mpsc::UnboundedReceiver<u32>, seed: u64) -> u32 {
    let socket = io.sockets().remove(0);
    let mut random = StdRng::seed_from_u64(!seed);
    let mut down = 0;
    for n in 0..UP {
        let next = tokio::time::timeout(PATIENCE, arrived.recv()).await.expect("all arrive");
        assert_eq!(next, Some(n), "seed {seed}");
        for _ in 0..random.random_range(1..6) {
            emit(&io, &socket, down, &mut random);
            down += 1;
        }
    }
    socket.emit("end", ());
    down
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn across_an_upgrade_with_a_flood_both_ways() {
    for seed in SEEDS {
        Moving::check(seed).await;
    }
}
