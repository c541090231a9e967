//! The connection below a socket: its state, its end, and what happens to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use patera::engine::{Conn, Engine, Packet, PacketMessage, ReadyState, Session};
use patera::{Config, DisconnectReason, Io, Reply, Socket, Transport, Version};
use tokio::sync::mpsc;

use crate::support::{Client, Polling, eventually, http, serve};

/// What was told, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn push(&self, line: impl Into<String>) {
        self.0.lock().push(line.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock())
    }

    /// Waits for so many lines.
    async fn lines(&self, count: usize) -> Vec<String> {
        eventually(|| self.0.lock().len() >= count).await;
        self.take()
    }

    fn listen(&self, conn: &Conn) {
        let log = || self.clone();
        let (packet, create, flush, drain) = (log(), log(), log(), log());
        conn.on_packet(move |told| packet.push(format!("packet {}", text(told))));
        conn.on_packet_create(move |told| create.push(format!("packetCreate {}", text(told))));
        conn.on_flush(move |packets| flush.push(format!("flush {packets}")));
        conn.on_drain(move || drain.push("drain"));
        let (heartbeat, upgrading, upgrade, close) = (log(), log(), log(), log());
        conn.on_heartbeat(move || heartbeat.push("heartbeat"));
        conn.on_upgrading(move |transport| upgrading.push(format!("upgrading {transport}")));
        conn.on_upgrade(move |transport| upgrade.push(format!("upgrade {transport}")));
        conn.on_close(move |reason, _| close.push(format!("close {reason}")));
    }
}

fn text(packet: &Packet<'_>) -> String {
    match packet {
        Packet::Message(PacketMessage::Text(text)) => format!("4{text}"),
        Packet::Message(PacketMessage::Binary(data)) => format!("{data:?}"),
        Packet::Ping(text) => format!("2{text}"),
        Packet::Pong(text) => format!("3{text}"),
        Packet::Close => "1".to_owned(),
        other => format!("{other:?}"),
    }
}

/// All is told of each connection, from its first socket on; `echo` answers.
fn listening(config: Config) -> (Io, Log) {
    let (io, log) = (Io::with_config(config), Log::default());
    let listens = log.clone();
    io.on_connection(move |socket: Socket| {
        listens.listen(&socket.conn());
        async {}
    });
    io.on("echo", async |text: String| Reply(text));
    (io, log)
}

#[tokio::test]
async fn what_comes_and_goes_over_a_websocket_is_told_in_order() {
    let (io, log) = listening(Config::default());
    let (mut client, id) = Client::connect(serve(&io).await).await;
    let connected = [&format!("packetCreate 40{{\"sid\":\"{id}\"}}"), "flush 1", "drain"];
    assert_eq!(log.lines(3).await, connected);
    client.send(r#"420["echo","a"]"#).await;
    client.expect(r#"430["a"]"#).await;
    let echoed = [r#"packet 420["echo","a"]"#, r#"packetCreate 430["a"]"#, "flush 1", "drain"];
    assert_eq!(log.lines(4).await, echoed);
    io.emit("two", (Bytes::from_static(&[1]), Bytes::from_static(&[2])));
    assert_eq!(client.text().await.split_once('[').unwrap().0, "452-");
    let sent = log.lines(5).await;
    assert!(sent[0].starts_with("packetCreate 452-["), "{sent:?}");
    assert_eq!(sent[1..], ["packetCreate [1]", "packetCreate [2]", "flush 3", "drain"]);
    client.close().await;
    assert_eq!(log.lines(1).await, ["close transport close"]);
}

#[tokio::test]
async fn broadcasts_to_a_connection_that_sleeps_are_told_too() {
    let (io, log) = listening(Config::default());
    let address = serve(&io).await;
    let (mut one, _) = Client::connect(address).await;
    log.lines(3).await;
    for n in 0..3 {
        io.emit("n", n);
        one.expect(&format!(r#"42["n",{n}]"#)).await;
        assert_eq!(log.lines(3).await, [&format!(r#"packetCreate 42["n",{n}]"#), "flush 1", "drain"]);
    }
}

#[tokio::test]
async fn an_upgrade_is_told_step_by_step() {
    let (io, log) = listening(Config::default());
    let address = serve(&io).await;
    let polling = Polling::connect(address).await;
    let conn = io.sockets()[0].conn();
    assert_eq!((conn.id(), conn.protocol(), conn.transport()), (&*polling.sid, Version::V4, Transport::Polling));
    assert_eq!((conn.upgraded(), conn.ready_state()), (false, ReadyState::Open));
    assert!(conn.remote_address().is_some());
    let connected = log.lines(3).await;
    assert!(connected[0].starts_with("packetCreate 40{"), "{connected:?}");
    assert_eq!(connected[1..], ["flush 1", "drain"]);

    let target = polling.target().replace("polling", "websocket");
    let mut probe = Client::open(address, &target, None).await;
    probe.send("2probe").await;
    probe.expect("3probe").await;
    assert_eq!(log.lines(1).await, ["upgrading websocket"], "and nothing of the probe itself");
    probe.send("5").await;
    assert_eq!(log.lines(1).await[0], "upgrade websocket");
    eventually(|| conn.upgraded()).await;
    assert_eq!(conn.transport(), Transport::WebSocket);
    log.take();
    probe.send(r#"420["echo","b"]"#).await;
    probe.expect(r#"430["b"]"#).await;
    assert_eq!(log.lines(4).await[0], r#"packet 420["echo","b"]"#);
}

#[tokio::test]
async fn polling_tells_of_each_answer() {
    let (io, log) = listening(Config::default());
    let polling = Polling::connect(serve(&io).await).await;
    log.lines(3).await;
    polling.post("420[\"echo\",\"a\"]\u{1e}421[\"echo\",\"b\"]").await;
    assert_eq!(log.take(), [r#"packet 420["echo","a"]"#, r#"packet 421["echo","b"]"#]);
    polling.get().await;
    let told = [r#"packetCreate 430["a"]"#, r#"packetCreate 431["b"]"#, "flush 2", "drain"];
    assert_eq!(log.lines(4).await, told);
    polling.post("1").await;
    assert_eq!(log.lines(2).await, ["packet 1", "close transport close"]);
}

#[tokio::test]
async fn heartbeats_of_both_revisions_are_told() {
    let mut config = Config::default();
    config.ping_interval = Duration::from_millis(20);
    config.allow_eio3 = true;
    let (io, log) = listening(config);
    let address = serve(&io).await;
    let (mut client, _) = Client::connect(address).await;
    log.lines(3).await;
    assert_eq!(client.next().await.unwrap().into_text().unwrap(), "2");
    assert_eq!(log.lines(3).await, ["packetCreate 2", "flush 1", "drain"]);
    client.send("3").await;
    assert_eq!(log.lines(2).await[..2], ["packet 3", "heartbeat"]);
    client.close().await;
    eventually(|| io.stats().sessions == 0).await;
    log.take();

    let mut old = Client::open(address, "/socket.io/?EIO=3&transport=websocket", None).await;
    old.text().await;
    old.expect("40").await;
    log.lines(3).await;
    old.send("2").await;
    old.expect("3").await;
    assert_eq!(log.lines(5).await, ["packet 2", "heartbeat", "packetCreate 3", "flush 1", "drain"]);
}

#[tokio::test]
async fn what_is_sent_before_the_close_is_told_before_it() {
    let (io, log) = listening(Config::default());
    let (states, mut seen) = mpsc::unbounded_channel();
    io.on_disconnect(move |socket: Socket| {
        states.send(socket.conn().ready_state()).unwrap();
        async {}
    });
    io.on("end", async |socket: Socket| {
        socket.emit("last", "words");
        socket.conn().close();
    });
    let address = serve(&io).await;
    let (mut client, _) = Client::connect(address).await;
    let conn = io.sockets()[0].conn();
    log.lines(3).await;
    client.send(r#"42["end"]"#).await;
    client.expect(r#"42["last","words"]"#).await;
    assert_eq!(client.closed().await, Some(1000));
    let told = [r#"packet 42["end"]"#, r#"packetCreate 42["last","words"]"#, "flush 1", "drain"];
    let lines = log.lines(5).await;
    assert_eq!(lines[..4], told);
    assert_eq!(lines.last().map(String::as_str), Some("close forced close"));
    assert_eq!(seen.recv().await, Some(ReadyState::Closing));
    assert_eq!(conn.ready_state(), ReadyState::Closed);

    let polling = Polling::connect(address).await;
    log.lines(3).await;
    polling.post(r#"42["end"]"#).await;
    assert_eq!(polling.get().await.body, r#"42["last","words"]"#);
    assert_eq!(polling.get().await.body, "1");
    assert_eq!(log.lines(5).await, [told[0], told[1], told[2], told[3], "close forced close"]);
}

#[tokio::test]
async fn a_listener_that_panics_ends_its_connection_and_no_other() {
    let table: [fn(&Conn); 6] = [
        |conn| _ = conn.on_packet(|_| panic!("packet")),
        |conn| _ = conn.on_packet_create(|_| panic!("create")),
        |conn| _ = conn.on_flush(|_| panic!("flush")),
        |conn| _ = conn.on_drain(|| panic!("drain")),
        |conn| _ = conn.on_close(|_, _| panic!("close")),
        |_| {},
    ];
    for (index, listen) in table.into_iter().enumerate() {
        let (reasons, mut ended) = mpsc::unbounded_channel();
        let io = Io::new();
        io.on("listen", move |socket: Socket| {
            listen(&socket.conn());
            async { Reply(()) }
        });
        io.on("echo", async |text: String| Reply(text));
        io.on("end", async |socket: Socket| socket.conn().close());
        io.on_disconnect(move |reason: DisconnectReason| {
            reasons.send(reason).unwrap();
            async {}
        });
        let address = serve(&io).await;
        let (mut other, _) = Client::connect(address).await;
        let (mut client, _) = Client::connect(address).await;
        client.send(r#"420["listen"]"#).await;
        client.send(r#"421["echo","x"]"#).await;
        client.send(r#"42["end"]"#).await;
        let panicked = index < 4;
        let reason = if panicked { DisconnectReason::HandlerPanicked } else { DisconnectReason::ForcedClose };
        assert_eq!(ended.recv().await, Some(reason), "{index}");
        client.closed().await;
        drop(client);
        other.send(r#"420["echo","alive"]"#).await;
        other.expect(r#"430["alive"]"#).await;
        eventually(|| io.stats().sessions == 1).await;
    }
}

#[tokio::test]
async fn listeners_may_do_anything_and_go_with_the_connection() {
    let io = Io::new();
    let token = Arc::new(());
    let watched = Arc::downgrade(&token);
    let calls = Arc::new(AtomicUsize::new(0));
    let counts = calls.clone();
    io.on_connection(move |socket: Socket| {
        let (token, calls, conn) = (token.clone(), counts.clone(), socket.conn());
        let first = Arc::new(Mutex::new(None));
        let own = first.clone();
        *first.lock() = Some(conn.on_packet(move |_| {
            let _kept = &token;
            calls.fetch_add(1, Ordering::SeqCst);
            let inner = calls.clone();
            socket.emit("seen", ());
            socket.conn().on_packet(move |_| _ = inner.fetch_add(100, Ordering::SeqCst));
            assert!(socket.conn().off(own.lock().take().unwrap()));
        }));
        async {}
    });
    let (mut client, _) = Client::connect(serve(&io).await).await;
    let conn = io.sockets()[0].conn();
    client.send(r#"42["a"]"#).await;
    client.expect(r#"42["seen"]"#).await;
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    client.send(r#"42["b"]"#).await;
    eventually(|| calls.load(Ordering::SeqCst) == 101).await;
    client.close().await;
    eventually(|| conn.ready_state() == ReadyState::Closed).await;
    // The handler of connections has the last one.
    eventually(|| watched.strong_count() == 1).await;
    let late = Arc::new(());
    let kept = late.clone();
    let id = conn.on_close(move |_, _| drop(kept.clone()));
    assert_eq!(Arc::strong_count(&late), 1, "nothing is kept with what is closed");
    assert!(!conn.off(id));
}

#[tokio::test]
async fn sessions_of_an_engine_and_plain_websockets_have_one_too() {
    let (engine, log) = (Engine::new(), Log::default());
    let listens = log.clone();
    engine.on_connection(move |session: Session| {
        listens.listen(&session.conn());
        async move {
            while let Some(message) = session.recv().await {
                session.send(message);
            }
        }
    });
    let address = crate::engine::serve(&engine).await;
    let open = http(address, "GET", "/engine.io/?EIO=4&transport=polling", "", "").await;
    let target = format!("/engine.io/?EIO=4&transport=polling&sid={}", open.body.split('"').nth(3).unwrap());
    http(address, "POST", &target, "", "4hello\u{1e}bAQI=").await;
    http(address, "GET", &target, "", "").await;
    let told = ["packet 4hello", "packet [1, 2]", "packetCreate 4hello", "packetCreate [1, 2]", "flush 2", "drain"];
    assert_eq!(log.lines(6).await, told);

    let (io, log) = listening(Config::default());
    io.native("/ws");
    let mut native = Client::open(serve(&io).await, "/ws", Some("patera.json")).await;
    native.text().await;
    log.lines(3).await;
    native.send(r#"{"event":"echo","args":["x"],"ack":1}"#).await;
    native.text().await;
    let told = [r#"packet 4{"event":"echo","args":["x"],"ack":1}"#, r#"packetCreate 431["x"]"#, "flush 1", "drain"];
    assert_eq!(log.lines(4).await, told);
}
