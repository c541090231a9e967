//! Users' code that panics, wherever it is called: its connection ends, it is reported, and all others go on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use patera::{
    AckError, Bus, Config, ConnectionStateRecovery, DisconnectReason, EventName, Failure, Io, MemoryBus, Reply, Socket,
    Uid, Value,
};
use patera_cluster::{BusFuture, Incoming, Message};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::sync::mpsc;

use crate::process::{all_gone, alone, tasks};
use crate::support::{Client, Polling, eventually, http, serve};

/// Can be neither written nor read.
#[derive(Debug)]
struct Panics;

impl Serialize for Panics {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("a serializer's own fault")
    }
}

impl<'de> Deserialize<'de> for Panics {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        panic!("a deserializer's own fault")
    }
}

/// Each namespace panics somewhere else, `/` in its handlers. What is reported is sent.
fn faulty() -> (Io, mpsc::UnboundedReceiver<String>) {
    let io = Io::new();
    io.on("echo", async |n: u32| Reply(n));
    io.on("join", async |socket: Socket| {
        socket.join("room");
        Reply(())
    });
    io.on("handler", async || -> () { panic!("a handler's own fault") });
    io.on("late handler", async || -> () {
        tokio::task::yield_now().await;
        panic!("a handler's own fault")
    });
    io.on("emit", async |socket: Socket| socket.emit("never", Panics));
    io.on("emit to all", async |socket: Socket| socket.broadcast().emit("never", Panics));
    io.on("reply", async || Reply(Panics));
    io.on("decode", async |_: Panics| {});
    io.on("ask", async |socket: Socket| {
        let _ = socket.emit_with_ack::<Panics>("question", ()).await;
    });
    io.of("/connection").on_connection(async || -> () { panic!("a connection handler's own fault") });
    io.of("/disconnecting").on_disconnecting(async || -> () { panic!("a handler's own fault") });
    io.of("/disconnect").on_disconnect(async || -> () { panic!("a handler's own fault") });
    io.of("/middleware").middleware(async || -> () { panic!("a middleware's own fault") });
    io.of("/any").on_any(async || -> () { panic!("a handler's own fault") });
    io.of("/event").event_middleware(async |EventName(event): EventName| {
        assert!(event == "fine", "the middleware's own fault");
    });
    let (failures, reported) = mpsc::unbounded_channel();
    let names =
        ["/", "/connection", "/disconnecting", "/disconnect", "/middleware", "/any", "/event"].map(|name| io.of(name));
    for namespace in names {
        let failures = failures.clone();
        namespace.on_error(move |socket, _, failure| {
            assert!(matches!(failure, Failure::Panic), "{failure}");
            failures.send(socket.namespace().name().to_owned()).unwrap();
        });
    }
    (io, reported)
}

#[tokio::test]
async fn a_panic_anywhere_ends_its_own_connection_is_reported_and_leaves_nothing() {
    let _alone = alone().await;
    let (io, mut reported) = faulty();
    let address = serve(&io).await;
    let before = tasks();
    let (mut neighbour, _) = Client::connect(address).await;
    neighbour.send(r#"420["join"]"#).await;
    neighbour.expect("430[]").await;
    for (namespace, packets) in [
        ("/", &[r#"42["handler"]"#][..]),
        ("/", &[r#"42["late handler"]"#]),
        ("/", &[r#"42["emit"]"#]),
        ("/", &[r#"42["emit to all"]"#]),
        ("/", &[r#"420["reply"]"#]),
        ("/", &[r#"42["decode",1]"#]),
        ("/", &[r#"42["ask"]"#, "430[1]"]),
        ("/connection", &["40/connection,"]),
        ("/disconnecting", &["40/disconnecting,", "41/disconnecting,"]),
        ("/disconnect", &["40/disconnect,", "41/disconnect,"]),
        ("/middleware", &["40/middleware,"]),
        ("/any", &["40/any,", r#"42/any,["e"]"#]),
        ("/event", &["40/event,", r#"42/event,["e"]"#]),
    ] {
        let (mut client, _) = Client::connect(address).await;
        client.send(r#"429["join"]"#).await;
        client.expect("439[]").await;
        for packet in packets {
            if packet.starts_with("43") {
                // An answer before its question is none.
                client.expect(r#"420["question"]"#).await;
            }
            client.send(packet).await;
        }
        client.closed().await;
        assert_eq!(reported.recv().await.as_deref(), Some(namespace), "{packets:?}");
        eventually(|| io.stats().sessions == 1).await;
        let stats = io.stats();
        assert_eq!((stats.sockets, stats.rooms), (1, 1), "{packets:?}");
        assert_eq!((stats.handlers_pending, stats.acks_pending), (0, 0), "{packets:?}");
        io.to("room").emit("news", ());
        neighbour.expect(r#"42["news"]"#).await;
        neighbour.send(r#"421["echo",7]"#).await;
        neighbour.expect("431[7]").await;
    }
    assert!(reported.try_recv().is_err(), "each once");
    neighbour.close().await;
    all_gone(&io, before).await;
}

#[tokio::test]
async fn arguments_that_panic_are_the_fault_of_who_emits_them() {
    let _alone = alone().await;
    let (io, mut reported) = faulty();
    let address = serve(&io).await;
    let before = tasks();
    let (mut client, _) = Client::connect(address).await;
    let socket = io.sockets().remove(0);
    socket.join("room");
    let emits: [&dyn Fn(); 5] = [
        &|| io.emit("e", Panics),
        &|| io.to("room").emit("e", Panics),
        &|| drop(io.broadcast().emit_with_ack::<Value>("e", Panics)),
        &|| socket.emit("e", Panics),
        &|| drop(socket.emit_with_ack::<Value>("e", Panics)),
    ];
    for emit in emits {
        assert!(catch_unwind(AssertUnwindSafe(emit)).is_err());
        // No lock is held, nothing is half done.
        io.to("room").emit("news", 1);
        client.expect(r#"42["news",1]"#).await;
        let answer = socket.emit_with_ack::<u8>("question", ());
        let text = client.text().await;
        let id = text.strip_prefix("42").and_then(|rest| rest.strip_suffix(r#"["question"]"#)).expect(&text);
        client.send(&format!("43{id}[5]")).await;
        assert_eq!(answer.await.unwrap(), 5);
    }
    assert!(reported.try_recv().is_err(), "its caller knows");
    let answer = socket.emit_with_ack::<u8>("question", ());
    client.close().await;
    assert!(matches!(answer.await, Err(AckError::Disconnected)));
    drop(socket);
    all_gone(&io, before).await;
}

#[tokio::test]
async fn a_listener_of_outgoing_events_that_panics_ends_the_connection_it_was_called_for() {
    let _alone = alone().await;
    let io = Io::new();
    io.on("emit", async |socket: Socket| socket.emit("bad", 2));
    io.on_any_outgoing(|socket, event, _| assert!(event != "bad" || socket.rooms().is_empty(), "its own fault"));
    let (failures, mut reported) = mpsc::unbounded_channel();
    let all = io.clone();
    io.on_error(move |socket, event, failure| {
        assert!(matches!(failure, Failure::Panic), "{failure}");
        failures.send((socket.id().to_owned(), event.to_owned())).unwrap();
        // To all who are left: the listener is called again.
        all.emit("bad", "reported");
    });
    let (reasons, mut ended) = mpsc::unbounded_channel();
    io.on_disconnect(async move |reason: DisconnectReason| reasons.send(reason).unwrap());
    let address = serve(&io).await;
    let before = tasks();
    let (mut neighbour, _) = Client::connect(address).await;
    let (mut one, one_id) = Client::connect(address).await;
    io.socket(&one_id).unwrap().join("room");
    let (mut other, other_id) = Client::connect(address).await;
    io.socket(&other_id).unwrap().on_any_outgoing(|_, event, _| assert!(event != "bad", "its own fault"));
    let (mut third, third_id) = Client::connect(address).await;
    io.socket(&third_id).unwrap().join("room");
    third.send(r#"42["emit"]"#).await;
    third.closed().await;
    assert_eq!(reported.recv().await, Some((third_id, "bad".to_owned())));
    let told = [reported.recv().await.unwrap(), reported.recv().await.unwrap()];
    for id in [one_id, other_id] {
        assert!(told.contains(&(id, "bad".to_owned())), "{told:?}");
    }
    one.closed().await;
    other.closed().await;
    for _ in 0..3 {
        assert_eq!(ended.recv().await, Some(DisconnectReason::HandlerPanicked));
        neighbour.expect(r#"42["bad","reported"]"#).await;
    }
    assert!(reported.try_recv().is_err(), "each once");
    assert_eq!(io.stats().sockets, 1);
    neighbour.close().await;
    all_gone(&io, before).await;
}

/// Panics when it is dropped.
#[derive(Deserialize)]
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a destructor's own fault");
    }
}

impl Serialize for Bomb {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

/// Keeps something of the user's with a socket until its end.
type Keep = fn(&Socket);

/// A copy for each call; what it holds goes with the last.
fn bomb() -> Arc<Bomb> {
    Arc::new(Bomb)
}

const KEEPS: [(&str, Keep); 11] = [
    ("data", |socket| socket.data_set(Bomb)),
    ("extension", |socket| socket.extension_set(Bomb)),
    ("handler", |socket| {
        let bomb = bomb();
        socket.on("never", async move || drop(bomb));
    }),
    ("handler of anything", |socket| {
        let bomb = bomb();
        socket.on_any(async move || drop(bomb));
    }),
    ("listener of what goes out", |socket| {
        let bomb = bomb();
        socket.on_any_outgoing(move |_, _, _| drop(bomb.clone()));
    }),
    ("middleware", |socket| {
        let bomb = bomb();
        socket.event_middleware(async move || drop(bomb));
    }),
    ("disconnecting handler", |socket| {
        let bomb = bomb();
        socket.on_disconnecting(async move || drop(bomb));
    }),
    ("disconnect handler", |socket| {
        let bomb = bomb();
        socket.on_disconnect(async move || drop(bomb));
    }),
    ("disconnect handler that waits", |socket| {
        let bomb = bomb();
        socket.on_disconnect(async move || {
            tokio::task::yield_now().await;
            drop(bomb);
        });
    }),
    ("two at once", |socket| {
        socket.extension_set(Bomb);
        socket.data_set(Bomb);
    }),
    ("all at once", |socket| KEEPS[2..10].iter().for_each(|(_, keep)| keep(socket))),
];

#[tokio::test]
async fn what_panics_when_it_is_dropped_costs_its_own_connection() {
    let _alone = alone().await;
    let mut config = Config::default();
    let mut recovery = ConnectionStateRecovery::default();
    recovery.max_disconnection_duration = Duration::ZERO;
    config.connection_state_recovery = Some(recovery);
    for (round, config) in [Config::default(), config].into_iter().enumerate() {
        let io = Io::with_config(config);
        io.on("echo", async |n: u32| Reply(n));
        let (failures, mut reported) = mpsc::unbounded_channel();
        io.of("/other");
        io.on_error(move |socket, event, failure| {
            assert!(matches!(failure, Failure::Panic), "{failure}");
            failures.send((socket.id().to_owned(), event.to_owned())).unwrap();
        });
        let address = serve(&io).await;
        let before = tasks();
        let (mut neighbour, _) = Client::connect(address).await;
        let ends = ["leaves", "is disconnected", "is closed", "is lost"].into_iter().cycle().skip(round);
        for ((what, keep), end) in KEEPS.into_iter().zip(ends) {
            let (mut client, ids) = Client::connect(address).await;
            // A private id stands behind it.
            let id = ids.split('"').next().unwrap().to_owned();
            client.send("40/other,").await;
            assert!(client.text().await.starts_with("40/other,"));
            let socket = io.socket(&id).unwrap();
            keep(&socket);
            match end {
                "leaves" => client.send("41").await,
                "is disconnected" => socket.disconnect(),
                "is closed" => socket.close(),
                _ => client.0.get_ref().get_ref().set_zero_linger().unwrap(),
            }
            drop(socket);
            if end != "is lost" {
                client.closed().await;
            }
            drop(client);
            assert_eq!(reported.recv().await, Some((id, "(drop)".to_owned())), "{what} {end}");
            eventually(|| io.stats().sessions == 1 && io.stats().recoverable == 0).await;
            assert_eq!((io.stats().sockets, io.stats().handlers_pending), (1, 0), "{what} {end}");
            // The data of a client that may come back goes later than the rest.
            let again = reported.try_recv();
            assert!(again.is_err() || (round == 1 && what == "all at once"), "once: {what} {end}");
            neighbour.send(r#"421["echo",7]"#).await;
            neighbour.expect("431[7]").await;
        }
        neighbour.close().await;
        all_gone(&io, before).await;
    }
}

/// One call, and what it captured goes with it.
#[tokio::test]
async fn a_handler_of_once_that_panics_when_it_is_dropped_ends_its_connection() {
    let _alone = alone().await;
    let io = Io::new();
    let (failures, mut reported) = mpsc::unbounded_channel();
    io.on_error(move |_, event, failure| failures.send((event.to_owned(), failure.to_string())).unwrap());
    let (reasons, mut ended) = mpsc::unbounded_channel();
    io.on_disconnect(async move |reason: DisconnectReason| reasons.send(reason).unwrap());
    let address = serve(&io).await;
    let before = tasks();
    let (neighbour, _) = Client::connect(address).await;
    for is_sequential in [false, true] {
        if is_sequential {
            io.sequential();
        }
        let (mut client, id) = Client::connect(address).await;
        let bomb = bomb();
        io.socket(&id).unwrap().once("once", async move || {
            tokio::task::yield_now().await;
            drop(bomb);
        });
        client.send(r#"42["once"]"#).await;
        client.closed().await;
        assert_eq!(reported.recv().await, Some(("once".to_owned(), "a handler panicked".to_owned())));
        assert_eq!(ended.recv().await, Some(DisconnectReason::HandlerPanicked));
        eventually(|| io.stats().sessions == 1).await;
    }
    assert!(reported.try_recv().is_err(), "each once");
    neighbour.close().await;
    all_gone(&io, before).await;
}

#[tokio::test]
async fn a_hook_of_requests_that_panics_costs_its_request() {
    let _alone = alone().await;
    let mut config = Config::default();
    let has = |handshake: &patera::Handshake, name: &str| handshake.query().into_iter().any(|(key, _)| key == name);
    config.allow_request(move |handshake| async move {
        assert!(!has(&handshake, "allow"), "a hook's own fault");
        Ok(())
    });
    config.initial_headers(move |_, handshake| assert!(!has(handshake, "initial"), "a hook's own fault"));
    let panics = Arc::new(AtomicBool::new(false));
    let now = panics.clone();
    config.headers(move |_, handshake| {
        assert!(!has(handshake, "headers"), "a hook's own fault");
        assert!(!has(handshake, "later") || !now.load(Ordering::SeqCst), "a hook's own fault");
    });
    let io = Io::with_config(config);
    io.on("echo", async |n: u32| Reply(n));
    let address = serve(&io).await;
    let before = tasks();
    let (mut neighbour, _) = Client::connect(address).await;
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    for (number, name) in ["allow", "initial", "headers"].into_iter().enumerate() {
        for (transport, headers) in [("polling", ""), ("websocket", upgrade)] {
            let target = format!("/socket.io/?EIO=4&transport={transport}&{name}=1");
            assert_eq!(http(address, "GET", &target, headers, "").await.brief(), (500, ""), "{target}");
            assert_eq!((io.stats().sessions, io.stats().sessions_opened), (1, 1), "{target}");
        }
        assert_eq!(io.stats().refused, 2 * (number as u64 + 1));
        neighbour.send(r#"421["echo",7]"#).await;
        neighbour.expect("431[7]").await;
    }

    let opened = http(address, "GET", "/socket.io/?EIO=4&transport=polling&later=1", "", "").await;
    let polling = Polling { address, sid: opened.body.split('"').nth(3).expect("an open packet").to_owned() };
    assert_eq!(polling.post("40").await.brief(), (200, "ok"));
    panics.store(true, Ordering::SeqCst);
    assert_eq!(polling.get().await.brief(), (500, ""), "and what it brought is lost");
    eventually(|| io.stats().sessions == 1).await;
    assert_eq!(polling.get().await.status, 400);
    neighbour.close().await;
    all_gone(&io, before).await;
}

/// Panics whenever it is to publish, so many times.
struct Panicking(MemoryBus, Arc<AtomicUsize>);

impl Bus for Panicking {
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
        async move {
            let left = self.1.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            assert!(left.is_err(), "the bus's own fault");
            self.0.publish(message, to).await
        }
        .boxed()
    }
}

#[tokio::test]
async fn a_bus_that_panics_is_subscribed_to_again() {
    let _alone = alone().await;
    let bus = MemoryBus::new();
    let server = |bus: Panicking| {
        let mut config = Config::default();
        config.bus(bus);
        Io::with_config(config)
    };
    let panics = Arc::new(AtomicUsize::new(1));
    let (good, bad) = (server(Panicking(bus.clone(), Arc::default())), server(Panicking(bus, panics.clone())));
    let (errors, mut told) = mpsc::unbounded_channel();
    bad.on_bus_error(move |error| errors.send(error.to_string()).unwrap());
    let (mut client, _) = Client::connect(serve(&good).await).await;
    let (mut local, _) = Client::connect(serve(&bad).await).await;
    let error = told.recv().await.unwrap();
    assert!(error.contains("panicked"), "{error}");
    eventually(|| good.server_count() == 2 && bad.server_count() == 2).await;
    bad.emit("news", 1);
    client.expect(r#"42["news",1]"#).await;
    local.expect(r#"42["news",1]"#).await;
    assert_eq!(bad.stats().bus_errors, 1);

    let dropped = bad.stats().bus_dropped;
    panics.store(1, Ordering::SeqCst);
    bad.emit("lost", 1);
    told.recv().await.unwrap();
    assert_eq!(bad.stats().bus_dropped, dropped + 1, "what it was to publish is lost");
}
