//! Several servers on one bus, each with clients of its own.

use std::collections::BTreeSet;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use patera::{
    AckError, Bus, BusError, ClusterError, Config, ConnectionStateRecovery, EventName, Faults, Io, MemoryBus,
    Namespace, Reply, Rest, Socket, State, Uid, Value,
};
use patera_cluster::{BusFuture, Incoming, Message};
use serde::Serialize;
use tokio::task::JoinSet;

use crate::support::{Client, PATIENCE, eventually, serve};

/// Servers that know each other.
async fn cluster(bus: &MemoryBus, count: usize) -> Vec<Io> {
    let servers: Vec<Io> = (0..count).map(|_| server(bus.clone())).collect();
    know_each_other(&servers).await;
    servers
}

fn server(bus: impl Bus) -> Io {
    let mut config = Config::default();
    config.bus(bus);
    // Who leaves says so, and is not found missing.
    config.cluster.heartbeat_timeout = Duration::from_secs(3600);
    Io::with_config(config)
}

async fn know_each_other(servers: &[Io]) {
    eventually(|| servers.iter().all(|io| io.server_count() == servers.len())).await;
}

/// Three servers with a client each.
async fn three() -> (Vec<Io>, Vec<(Client, String)>) {
    let servers = cluster(&MemoryBus::new(), 3).await;
    let mut clients = Vec::new();
    for io in &servers {
        clients.push(Client::connect(serve(io).await).await);
    }
    (servers, clients)
}

fn socket(io: &Io) -> Socket {
    io.sockets().remove(0)
}

#[tokio::test]
async fn broadcasts_reach_clients_of_all_servers() {
    let (servers, mut clients) = three().await;
    socket(&servers[1]).join("r");
    socket(&servers[2]).join(["r", "s"]);
    servers[0].emit("all", (1, "é"));
    servers[0].to("r").except("s").emit("some", ());
    servers[2].local().emit("here", ());
    servers[1].volatile().compress(false).emit("last", ());
    for ((client, _), expected) in clients.iter_mut().zip([
        &[r#"42["all",1,"é"]"#, r#"42["last"]"#][..],
        &[r#"42["all",1,"é"]"#, r#"42["some"]"#, r#"42["last"]"#],
        &[r#"42["all",1,"é"]"#, r#"42["here"]"#, r#"42["last"]"#],
    ]) {
        // What comes from several servers is in no order.
        let mut got = BTreeSet::new();
        for _ in expected {
            got.insert(client.text().await);
        }
        assert_eq!(got, expected.iter().map(|text| (*text).to_owned()).collect());
    }
}

#[tokio::test]
async fn private_messages_and_bytes_reach_another_server() {
    let (servers, mut clients) = three().await;
    let to = clients[2].1.clone();
    servers[0].on("to", async |socket: Socket, id: String| {
        socket.to(id).emit("private", (socket.id(), Bytes::from_static(b"\x01\x02")));
    });
    let from = clients[0].1.clone();
    clients[0].0.send(&format!(r#"42["to","{to}"]"#)).await;
    let text = clients[2].0.text().await;
    assert_eq!(text, format!(r#"451-["private","{from}",{{"_placeholder":true,"num":0}}]"#));
    assert_eq!(clients[2].0.binary().await, [1, 2]);
    servers[1].emit("end", ());
    clients[1].0.expect(r#"42["end"]"#).await;
}

#[tokio::test]
async fn everything_one_server_emits_arrives_in_order() {
    let (servers, mut clients) = three().await;
    let id = clients[2].1.clone();
    let mut waiting = Vec::new();
    for number in 0..60 {
        match number % 3 {
            0 => servers[0].emit("e", number),
            1 => servers[0].to(&*id).emit("e", number),
            _ => waiting.push(servers[0].broadcast().emit_with_ack::<()>("e", number)),
        }
    }
    for number in 0..60 {
        let text = clients[2].0.text().await;
        assert!(text.ends_with(&format!(r#"["e",{number}]"#)), "{text}");
    }
}

#[tokio::test]
async fn event_is_encoded_once_however_many_servers_there_are() {
    #[derive(Clone, Default)]
    struct Counted(Arc<AtomicUsize>);
    impl Serialize for Counted {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.0.fetch_add(1, Ordering::SeqCst);
            serializer.serialize_u32(7)
        }
    }
    let (servers, mut clients) = three().await;
    let (alone, together) = (Counted::default(), Counted::default());
    Io::new().emit("e", &alone);
    servers[0].emit("e", &together);
    for (client, _) in &mut clients {
        client.expect(r#"42["e",7]"#).await;
    }
    assert_eq!(together.0.load(Ordering::SeqCst), alone.0.load(Ordering::SeqCst));
}

#[tokio::test]
async fn answers_of_all_servers_are_collected() {
    let (servers, clients) = three().await;
    let answers = servers[0].broadcast().emit_with_ack::<String>("q", 1);
    assert_eq!(answers.asked(), 1, "of this server");
    for (number, (mut client, _)) in clients.into_iter().enumerate() {
        client.expect(r#"420["q",1]"#).await;
        client.send(&format!(r#"430["{number}",true]"#)).await;
        // It stays until the answer has come.
        tokio::spawn(async move { client.next().await });
    }
    let mut answers = answers.await.unwrap();
    answers.sort();
    assert_eq!(answers, ["0", "1", "2"]);
    let nobody: Vec<String> = servers[0].to("nobody").emit_with_ack("q", ()).await.unwrap();
    assert!(nobody.is_empty());
}

#[tokio::test]
async fn answers_that_came_in_time_are_kept() {
    let (servers, mut clients) = three().await;
    let mut answers =
        servers[0].except(&*clients[0].1).timeout(Duration::from_millis(300)).emit_with_ack::<u8>("q", ());
    clients[1].0.expect(r#"420["q"]"#).await;
    clients[1].0.send("430[7]").await;
    assert_eq!(answers.next().await.unwrap().unwrap(), 7);
    let partial = answers.await.unwrap_err();
    assert!(partial.answers.is_empty());
    assert!(matches!(partial.failures[..], [AckError::Cluster(ClusterError::Timeout { missing: 1 })]), "{partial:?}");
    // The late one is too late, and nothing is kept of it anywhere.
    clients[2].0.send("430[8]").await;
    servers[0].emit("end", ());
    clients[2].0.expect(r#"420["q"]"#).await;
    clients[2].0.expect(r#"42["end"]"#).await;
}

#[tokio::test]
async fn sockets_of_all_servers_are_fetched() {
    let servers = cluster(&MemoryBus::new(), 3).await;
    let mut ids = BTreeSet::new();
    let mut clients = Vec::new();
    for (number, io) in servers.iter().enumerate() {
        let target = format!("/socket.io/?EIO=4&transport=websocket&n={number}");
        let mut client = Client::open(serve(io).await, &target, None).await;
        client.text().await;
        client.send(r#"40{"token":"x"}"#).await;
        client.text().await;
        clients.push(client);
        let socket = socket(io);
        socket.join(["r", "s"]);
        socket.data_set(format!("user {number}"));
        ids.insert(socket.id().to_owned());
    }
    let fetched = servers[0].to("r").fetch_sockets().await.unwrap();
    assert_eq!(fetched.iter().map(|remote| remote.id().to_owned()).collect::<BTreeSet<_>>(), ids);
    for remote in &fetched {
        let number: usize = remote.handshake().query_value("n").unwrap().parse().unwrap();
        let socket = servers[number].socket(remote.id()).unwrap();
        assert_eq!(remote.data::<String>(), Some(format!("user {number}")));
        assert_eq!(remote.auth()["token"], Value::from("x"));
        assert_eq!(remote.namespace(), "/");
        assert_eq!(remote.rooms().iter().collect::<BTreeSet<_>>(), socket.rooms().iter().collect());
        let (here, there) = (remote.handshake(), socket.handshake());
        assert_eq!((here.url(), here.header("host")), (there.url(), there.header("host")));
        assert_eq!((here.secure(), here.xdomain(), here.headers()), (false, false, there.headers()));
        assert_eq!(here.address().map(|address| address.ip()), there.address().map(|address| address.ip()));
        let (early, late) = (here.issued().min(there.issued()), here.issued().max(there.issued()));
        assert!(late - early < Duration::from_secs(1));
    }
    assert_eq!(servers[1].local().fetch_sockets().await.unwrap().len(), 1);
    assert_eq!(servers[1].except("s").fetch_sockets().await.unwrap().len(), 0);
}

#[tokio::test]
async fn sockets_of_all_servers_are_told_what_to_do() {
    let (servers, mut clients) = three().await;
    servers[0].sockets_join(["a", "b"]).await.unwrap();
    eventually(|| servers.iter().all(|io| socket(io).rooms().len() == 2)).await;
    servers[1].to("a").sockets_leave("b").await.unwrap();
    eventually(|| servers.iter().all(|io| *socket(io).rooms() == ["a".into()])).await;
    let first = clients[0].1.clone();
    servers[2].except(&*first).disconnect_sockets().await.unwrap();
    for (client, _) in &mut clients[1..] {
        client.expect("41").await;
    }
    servers[2].to("a").close_sockets().await.unwrap();
    eventually(|| servers[0].stats().sessions == 0).await;
    assert_eq!(servers[1].stats().sessions, 1, "only the namespace was left");
}

#[tokio::test]
async fn remote_socket_of_another_server_is_emitted_to_asked_and_moved() {
    let (servers, mut clients) = three().await;
    let fetched = servers[0].to(&*clients[2].1).fetch_sockets().await.unwrap();
    let [remote] = &fetched[..] else { panic!("{fetched:?}") };
    remote.emit("e", 1);
    clients[2].0.expect(r#"42["e",1]"#).await;
    let asked = tokio::spawn({
        let remote = remote.clone();
        async move { remote.emit_with_ack::<u8>("q", ()).await }
    });
    clients[2].0.expect(r#"420["q"]"#).await;
    clients[2].0.send("430[9]").await;
    assert_eq!(asked.await.unwrap().unwrap(), 9);
    remote.join("r").await.unwrap();
    eventually(|| socket(&servers[2]).rooms() == ["r".into()]).await;
    remote.leave("r").await.unwrap();
    remote.disconnect().await.unwrap();
    clients[2].0.expect("41").await;
    eventually(|| servers[2].sockets().is_empty()).await;
    let gone = remote.emit_with_ack::<u8>("q", ()).await;
    assert!(matches!(gone, Err(AckError::Emit(_))), "{gone:?}");
}

#[tokio::test]
async fn server_side_events_reach_the_other_servers_in_order() {
    let servers = cluster(&MemoryBus::new(), 3).await;
    let heard = Arc::new(parking_lot::Mutex::new(Vec::new()));
    for (number, io) in servers.iter().enumerate() {
        let heard = heard.clone();
        io.on_server_side("tick", async move |name: EventName, of: Namespace, a: u32, Rest(rest): Rest| {
            heard.lock().push((number, name.0, of.name().to_owned(), a, rest));
        });
    }
    for tick in 0..20 {
        servers[1].server_side_emit("tick", (tick, "x", true));
    }
    eventually(|| heard.lock().len() == 40).await;
    for server in [0, 2] {
        let heard: Vec<_> = heard.lock().iter().filter(|heard| heard.0 == server).cloned().collect();
        let rest = vec![Value::from("x"), Value::from(true)];
        let expected = (0..20).map(|tick| (server, "tick".to_owned(), "/".to_owned(), tick, rest.clone()));
        assert!(heard.into_iter().eq(expected));
    }
}

#[tokio::test]
async fn server_side_events_are_answered_by_each_other_server() {
    let servers = cluster(&MemoryBus::new(), 3).await;
    for (number, io) in servers.iter().enumerate() {
        let io = io.clone().with_state(number);
        io.on_server_side("who", async |State(number): State<usize>, io: Io| Reply((number, io.server_count())));
        io.on_server_side("who", async || Reply("the second answer is none"));
        io.on_server_side("fails", async |_: u32| -> patera::Result { Err("no".into()) });
    }
    let mut answers = servers[0].server_side_emit_with_ack::<usize>("who", ()).await.unwrap();
    answers.sort();
    assert_eq!(answers, [1, 2]);
    let refused = servers[0].server_side_emit_with_ack::<Value>("fails", 1).await.unwrap();
    assert!(refused.iter().all(|answer| answer["error"] == Value::from("no")), "{refused:?}");
    let misfit = servers[0].server_side_emit_with_ack::<Value>("fails", "text").await.unwrap();
    assert!(misfit.iter().all(|answer| answer["error"].as_str().unwrap().starts_with("argument 1")), "{misfit:?}");
    let reserved = servers[0].server_side_emit_with_ack::<Value>("connect", ()).await.unwrap_err();
    assert!(matches!(reserved.failures[..], [AckError::Emit(_)]));
}

#[tokio::test]
async fn server_without_an_answer_is_a_failure_and_a_panic_is_none_of_the_others_business() {
    let mut config = Config::default();
    config.bus(MemoryBus::new());
    config.cluster.requests_timeout = Duration::from_millis(200);
    let servers = [Io::with_config(config.clone()), Io::with_config(config)];
    know_each_other(&servers).await;
    servers[1].on_server_side("panics", async |now: bool| -> () {
        if !now {
            tokio::task::yield_now().await;
        }
        panic!("as a test wants it")
    });
    let id = servers[1].on_server_side("off", async || Reply(1));
    assert!(servers[1].off(id) && !servers[1].off(id));
    for event in ["panics", "off", "unknown"] {
        let partial = servers[0].server_side_emit_with_ack::<u8>(event, event == "panics").await.unwrap_err();
        let [AckError::Cluster(ClusterError::Timeout { missing: 1 })] = partial.failures[..] else {
            panic!("{partial:?}")
        };
    }
    servers[1].on_server_side("lives", async || Reply(1));
    assert_eq!(servers[0].server_side_emit_with_ack::<u8>("lives", ()).await.unwrap(), [1]);
}

#[tokio::test]
async fn alone_or_without_a_bus_everything_is_as_ever() {
    for io in [Io::new(), server(MemoryBus::new())] {
        let (mut client, id) = Client::connect(serve(&io).await).await;
        assert_eq!(io.server_count(), 1);
        assert!(io.server_side_emit_with_ack::<u8>("e", ()).await.unwrap().is_empty());
        io.server_side_emit("e", ());
        assert_eq!(io.fetch_sockets().await.unwrap()[0].id(), id);
        let answers = io.broadcast().emit_with_ack::<u8>("q", ());
        client.expect(r#"420["q"]"#).await;
        client.send("430[1]").await;
        assert_eq!(answers.await.unwrap(), [1]);
        let stats = io.stats();
        assert_eq!((stats.bus_in, stats.bus_dropped, stats.bus_errors), (0, 0, 0));
    }
}

#[tokio::test]
async fn server_that_closes_or_is_dropped_has_left() {
    let mut servers = cluster(&MemoryBus::new(), 3).await;
    let slow = servers[0].clone();
    servers[1].on_server_side("slow", async || pending::<()>().await);
    let waiting = tokio::spawn(async move { slow.server_side_emit_with_ack::<u8>("slow", ()).await });
    eventually(|| servers[1].stats().bus_in > 2).await;
    servers.remove(1).close().await;
    drop(servers.remove(1));
    eventually(|| servers[0].server_count() == 1).await;
    assert!(waiting.await.unwrap().unwrap().is_empty(), "nobody is waited for who has left");
    servers[0].close().await;
    assert!(matches!(servers[0].fetch_sockets().await, Err(ClusterError::Closed)));
    servers[0].emit("e", ());
}

#[tokio::test]
async fn namespaces_come_and_go_in_the_cluster() {
    let servers = cluster(&MemoryBus::new(), 2).await;
    let parents: Vec<Namespace> =
        servers.iter().map(|io| io.of_matching(|name| name.starts_with("/dynamic-"))).collect();
    let mut first = Client::engine(serve(&servers[0]).await).await;
    let mut second = Client::engine(serve(&servers[1]).await).await;
    for _ in 0..3 {
        for client in [&mut first, &mut second] {
            client.send("40/dynamic-1,").await;
            client.text().await;
        }
        let here = servers[0].find("/dynamic-1").unwrap();
        eventually(|| here.server_count() == 2).await;
        here.emit("one", ());
        second.expect(r#"42/dynamic-1,["one"]"#).await;
        parents[1].emit("all", ());
        first.expect(r#"42/dynamic-1,["one"]"#).await;
        first.expect(r#"42/dynamic-1,["all"]"#).await;
        second.expect(r#"42/dynamic-1,["all"]"#).await;
        second.send("41/dynamic-1,").await;
        eventually(|| here.server_count() == 1).await;
        first.send("41/dynamic-1,").await;
        eventually(|| servers.iter().all(|io| io.find("/dynamic-1").is_none())).await;
    }
    // A namespace of one server alone is none of the other's.
    servers[0].of("/alone").emit("e", ());
    assert!(servers[0].of("/alone").fetch_sockets().await.unwrap().is_empty());
    assert!(servers[1].find("/alone").is_none());
}

#[tokio::test]
async fn each_server_numbers_what_its_clients_may_miss() {
    let mut config = Config::default();
    config.bus(MemoryBus::new());
    let plain = Io::with_config(config.clone());
    config.connection_state_recovery = Some(ConnectionStateRecovery::default());
    let recovering = Io::with_config(config);
    know_each_other(&[plain.clone(), recovering.clone()]).await;
    let (mut one, _) = Client::connect(serve(&plain).await).await;
    let mut two = Client::engine(serve(&recovering).await).await;
    two.send("40").await;
    assert!(two.text().await.contains(r#""pid":""#));
    plain.emit("e", "from plain");
    assert!(two.text().await.starts_with(r#"42["e","from plain",""#), "with an offset");
    recovering.emit("e", "from recovering");
    assert!(two.text().await.starts_with(r#"42["e","from recovering",""#));
    one.expect(r#"42["e","from plain"]"#).await;
    one.expect(r#"42["e","from recovering"]"#).await;
}

#[tokio::test]
async fn clients_here_are_not_disturbed_by_loss_delay_and_partition() {
    for seed in 0..24 {
        let faults = Faults { loss: 0.3, delay_min: Duration::ZERO, delay_max: Duration::from_millis(50) };
        let bus = MemoryBus::with_faults(seed, Faults::default());
        let servers = cluster(&bus, 3).await;
        let mut clients = Vec::new();
        for io in &servers {
            clients.push(Client::connect(serve(io).await).await.0);
        }
        bus.set_faults(faults);
        let mut requests = JoinSet::new();
        let uids: Vec<Uid> = servers.iter().map(|io| io.server_uid().unwrap().clone()).collect();
        for number in 0..90 {
            if number == 30 + seed {
                bus.partition(&[&uids[..1], &uids[1..2]]);
            }
            if number == 60 {
                bus.heal();
            }
            for (from, io) in servers.iter().enumerate() {
                io.emit("e", (from, number));
                if number % 10 == 0 {
                    let io = io.clone();
                    requests.spawn(async move {
                        let timeout = Duration::from_millis(50);
                        let _ = io.to("nobody").timeout(timeout).emit_with_ack::<u8>("q", ()).await;
                        let _ = io.timeout(timeout).fetch_sockets().await;
                    });
                }
            }
            bus.advance(Duration::from_millis(10));
        }
        bus.set_faults(Faults::default());
        bus.advance(Duration::from_secs(1));
        servers.iter().for_each(|io| io.emit("end", ()));
        for (to, client) in clients.iter_mut().enumerate() {
            let mut next = [0; 3];
            let mut ends = 0;
            while ends < 3 {
                let text = client.text().await;
                if text == r#"42["end"]"# {
                    ends += 1;
                    continue;
                }
                let Value::Array(event) = serde_json::from_str(&text[2..]).unwrap() else { panic!("{text}") };
                let (from, number) = (event[1].as_u64().unwrap() as usize, event[2].as_u64().unwrap());
                let is_in_order = if from == to { number == next[from] } else { number >= next[from] };
                assert!(is_in_order, "seed {seed}: {number} of {from} at {to}, not {}", next[from]);
                next[from] = number + 1;
            }
            assert_eq!(next[to], 90, "seed {seed}");
        }
        requests.join_all().await;
        assert_eq!(servers[0].fetch_sockets().await.unwrap().len(), 3, "seed {seed}");
    }
}

#[tokio::test]
async fn failure_of_the_bus_is_told_and_the_servers_find_each_other_again() {
    let bus = MemoryBus::new();
    let mut config = Config::default();
    config.bus(bus.clone());
    config.cluster.requests_timeout = Duration::from_millis(100);
    let servers = [Io::with_config(config.clone()), Io::with_config(config)];
    know_each_other(&servers).await;
    let told = Arc::new(AtomicUsize::new(0));
    for io in &servers {
        let told = told.clone();
        io.on_bus_error(move |error: &BusError| {
            assert!(!error.to_string().is_empty());
            told.fetch_add(1, Ordering::SeqCst);
        });
    }
    let (mut here, _) = Client::connect(serve(&servers[0]).await).await;
    let (mut there, _) = Client::connect(serve(&servers[1]).await).await;
    bus.set_down(true);
    servers[0].emit("e", 1);
    here.expect(r#"42["e",1]"#).await;
    eventually(|| told.load(Ordering::SeqCst) >= 4).await;
    assert!(servers[0].stats().bus_errors >= 2 && servers[0].stats().bus_dropped >= 1);
    bus.set_down(false);
    // Each subscribes again by itself.
    for io in &servers {
        let found = tokio::time::timeout(PATIENCE, async {
            while !io.fetch_sockets().await.is_ok_and(|sockets| sockets.len() == 2) {
                tokio::task::yield_now().await;
            }
        });
        found.await.expect("they find each other in time");
    }
    servers[0].emit("e", 2);
    here.expect(r#"42["e",2]"#).await;
    there.expect(r#"42["e",2]"#).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_lose_nothing_and_keep_their_order() {
    const EACH: u64 = 300;
    let (servers, clients) = three().await;
    let readers: Vec<_> = clients
        .into_iter()
        .map(|(mut client, _)| {
            tokio::spawn(async move {
                // Of each sender, the next number; questions are answered as they come.
                let mut next = [0; 4];
                while next.iter().sum::<u64>() < 4 * EACH {
                    let text = client.text().await;
                    let array = text.find('[').unwrap();
                    let Value::Array(event) = serde_json::from_str(&text[array..]).unwrap() else { panic!("{text}") };
                    let from = event[1].as_u64().unwrap() as usize;
                    assert_eq!(event[2].as_u64(), Some(next[from]), "{text}");
                    next[from] += 1;
                    if let Some(id) = text[..array].strip_prefix("42").filter(|id| !id.is_empty()) {
                        client.send(&format!("43{id}[{from}]")).await;
                    }
                }
                client
            })
        })
        .collect();
    let senders: Vec<_> = (0..4)
        .map(|from| {
            let io = servers[from % 2].clone();
            tokio::spawn(async move {
                let mut asked = Vec::new();
                for number in 0..EACH {
                    if number % 3 == 0 {
                        asked.push(io.broadcast().emit_with_ack::<usize>("q", (from, number)));
                    } else {
                        io.emit("e", (from, number));
                    }
                    if number % 10 == 0 {
                        tokio::task::yield_now().await;
                    }
                }
                for answers in asked {
                    assert_eq!(answers.await.unwrap(), [from; 3]);
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.unwrap();
    }
    for reader in readers {
        reader.await.unwrap();
    }
    assert_eq!(servers.iter().map(|io| io.stats().bus_dropped).sum::<u64>(), 0);
}

#[tokio::test(start_paused = true)]
async fn silent_server_is_gone_after_its_timeout_and_back_when_it_is_heard() {
    let bus = MemoryBus::new();
    let mut config = Config::default();
    config.bus(bus.clone());
    let servers = [0; 3].map(|_| Io::with_config(config.clone()));
    know_each_other(&servers).await;
    let counts = || servers.iter().map(|io| io.server_count()).collect::<Vec<_>>();
    bus.partition(&[&[servers[2].server_uid().unwrap().clone()]]);
    let asked = tokio::time::Instant::now();
    // It is waited for as long as it may be there; the time is virtual.
    assert!(servers[0].timeout(Duration::from_secs(60)).fetch_sockets().await.unwrap().is_empty());
    assert!((5..=10).contains(&asked.elapsed().as_secs()), "{:?}", asked.elapsed());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(counts(), [2, 2, 1]);
    bus.heal();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(counts(), [3, 3, 3]);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(counts(), [3, 3, 3], "living servers stay");
}

#[tokio::test(start_paused = true)]
async fn servers_that_lost_each_other_say_hello_when_the_bus_is_back() {
    let bus = MemoryBus::new();
    let mut config = Config::default();
    config.bus(bus.clone());
    let servers = [0; 2].map(|_| Io::with_config(config.clone()));
    know_each_other(&servers).await;
    bus.set_down(true);
    tokio::time::sleep(Duration::from_millis(20_500)).await;
    assert!(servers.iter().all(|io| io.server_count() == 1));
    bus.set_down(false);
    // Not with their next heartbeats, which would do too.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert!(servers.iter().all(|io| io.server_count() == 2));
}

/// A bus that writes every message and reads it again, as one between processes does.
struct Written(MemoryBus);

impl Bus for Written {
    fn subscribe(&self, uid: Uid) -> BusFuture<'_, Incoming> {
        self.0.subscribe(uid)
    }

    fn enter(&self, uid: Uid, namespace: Arc<str>) -> BusFuture<'_, ()> {
        self.0.enter(uid, namespace)
    }

    fn leave(&self, uid: Uid, namespace: Arc<str>) -> BusFuture<'_, ()> {
        self.0.leave(uid, namespace)
    }

    fn publish(&self, message: Message, to: Option<Uid>) -> BusFuture<'_, ()> {
        let json = serde_json::to_string(&message).unwrap();
        self.0.publish(serde_json::from_str(&json).unwrap(), to)
    }
}

#[tokio::test]
async fn what_is_written_and_read_says_the_same() {
    let bus = MemoryBus::new();
    let servers = [server(Written(bus.clone())), server(Written(bus))];
    know_each_other(&servers).await;
    let (mut client, id) = Client::connect(serve(&servers[1]).await).await;
    socket(&servers[1]).join("r");
    socket(&servers[1]).data_set(7);
    servers[0].to("r").except("s").emit("e", (1.5, "é\n", [None, Some(true)]));
    client.expect("42[\"e\",1.5,\"é\\n\",[null,true]]").await;
    let asked = servers[0].to(&*id).emit_with_ack::<(u8, Option<u8>)>("q", ());
    client.expect(r#"420["q"]"#).await;
    client.send("430[1,2]").await;
    assert_eq!(asked.await.unwrap(), [(1, None)], "the first argument travels");
    let remote = servers[0].fetch_sockets().await.unwrap().remove(0);
    assert_eq!((remote.id(), remote.rooms(), remote.data()), (&*id, &["r".into()][..], Some(7)));
    servers[1].on_server_side("add", async |a: i64, b: i64| Reply(a + b));
    assert_eq!(servers[0].server_side_emit_with_ack::<i64>("add", (1, 2)).await.unwrap(), [3]);
    remote.join("s").await.unwrap();
    remote.close().await.unwrap();
    assert_eq!(client.closed().await, Some(1000));
}

/// A bus that takes nothing: publishing never ends.
struct Stuck;

impl Bus for Stuck {
    fn subscribe(&self, _: Uid) -> BusFuture<'_, Incoming> {
        Box::pin(async { Ok(Box::pin(futures_util::stream::pending()) as Incoming) })
    }

    fn enter(&self, _: Uid, _: Arc<str>) -> BusFuture<'_, ()> {
        async { Ok(()) }.boxed()
    }

    fn leave(&self, _: Uid, _: Arc<str>) -> BusFuture<'_, ()> {
        async { Ok(()) }.boxed()
    }

    fn publish(&self, _: Message, _: Option<Uid>) -> BusFuture<'_, ()> {
        pending().boxed()
    }
}

#[tokio::test]
async fn stuck_bus_blocks_nobody_and_what_waits_for_it_is_bounded() {
    let io = server(Stuck);
    let (mut client, id) = Client::connect(serve(&io).await).await;
    io.to("nobody").emit("large", "x".repeat(15 << 20));
    assert_eq!(io.stats().bus_dropped, 0);
    io.to("nobody").emit("large", "x".repeat(1 << 20));
    io.to(&*id).emit("e", "y".repeat(2 << 20));
    assert_eq!(io.stats().bus_dropped, 2);
    assert!(client.text().await.starts_with(r#"42["e","yyy"#), "delivered all the same");
    for _ in 0..70_000 {
        io.to("nobody").emit("small", ());
    }
    assert!(io.stats().bus_dropped > 4_000);
    client.close().await;
    // Not even its end waits for the bus, but for a second.
    io.close().await;
}
