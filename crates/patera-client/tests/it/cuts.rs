//! Connections that are cut again and again, at moments that a seed chooses, while numbers go both ways: nothing is lost, doubled or
//! out of order, as far as recovery and retries promise it.

use std::time::Duration;

use patera::{Config, ConnectionStateRecovery, Socket as ServerSocket};
use patera_client::{Event, Lifecycle, Reply, Transport};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::mpsc;

use crate::support::{MODES, Relay, Server, within};

/// Numbers each way, and about how many cuts.
const COUNT: u32 = 600;
const CUTS: u32 = 12;

/// One seed for each transport mode; more with `PATERA_SEEDS=100 cargo test -p patera-client --test it cuts`.
#[tokio::test]
async fn cuts_lose_nothing_and_double_nothing() {
    let seeds = std::env::var("PATERA_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(1);
    for seed in 0..seeds {
        for transports in MODES {
            cut_again_and_again(seed, transports).await;
        }
    }
}

async fn cut_again_and_again(seed: u64, transports: &[Transport]) {
    let mut random = StdRng::seed_from_u64(seed);
    let (sender, seen) = mpsc::unbounded_channel();
    let mut config = Config::default();
    config.connection_state_recovery = Some(ConnectionStateRecovery::default());
    let server = Server::start_with(config, "127.0.0.1:0".parse().unwrap(), |io| {
        io.of("/").on("join", async |socket: ServerSocket| {
            socket.join("room");
            Reply(())
        });
        io.of("/").on("up", async move |number: u32| {
            sender.send(number).unwrap();
            Reply(())
        });
    })
    .await;
    let relay = Relay::start(server.address).await;
    let delay = Duration::from_millis(5);
    let client = relay.client(transports).retries(10_000).ack_timeout(Duration::from_secs(10)).configure(|config| {
        config.reconnection_delay = delay;
        config.reconnection_delay_max = delay;
        config.random_seed = Some(seed);
    });
    let client = client.build().unwrap();
    let mut events = client.events();
    within(client.connect()).await.unwrap();
    let () = within(client.emit_with_ack("join", ())).await.unwrap();
    let (mut down, mut cuts) = (0, 0);
    for number in 0..COUNT {
        server.io.to("room").emit("down", number);
        client.emit("up", number);
        if number % 3 == 0 {
            tokio::task::yield_now().await;
        }
        if random.random_range(0..COUNT) < CUTS {
            relay.cut();
            cuts += 1;
            // Some of it comes while it is away, some when it is back.
            let until = number.saturating_sub(random.random_range(0..10));
            take(&mut events, &mut down, until, seed).await;
        }
    }
    take(&mut events, &mut down, COUNT, seed).await;
    check_up(seen, seed).await;
    assert!(cuts > 0 && client.recovered(), "seed {seed}: {cuts} cuts");
}

/// Takes numbers until this many have come.
async fn take(events: &mut patera_client::Events, down: &mut u32, until: u32, seed: u64) {
    while *down < until {
        match within(events.next()).await.unwrap() {
            Event::Received(received) => {
                assert_eq!(received.decode::<u32>().unwrap(), *down, "seed {seed}");
                *down += 1;
            }
            Event::Lifecycle(Lifecycle::Connect | Lifecycle::Disconnect(_)) => {}
            Event::Lagged(count) => panic!("seed {seed}: {count} were left out"),
            _ => {}
        }
    }
}

/// What was sent until it was acknowledged may come twice, but in order and without a gap.
async fn check_up(mut seen: mpsc::UnboundedReceiver<u32>, seed: u64) {
    let mut next = 0;
    while next < COUNT {
        let number = within(seen.recv()).await.unwrap();
        assert!(number == next || number + 1 == next, "seed {seed}: {number} came for {next}");
        next = next.max(number + 1);
    }
}
