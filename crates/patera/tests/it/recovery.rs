//! Connection state recovery: what a client finds when it comes back, and what it does not.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use patera::{AckError, Config, ConnectionStateRecovery, DisconnectReason, EmitError, Error, Io, OutboxPolicy, Socket};
use serde_json::{Value, json};
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::Message;

use crate::memory::{Client, Polling};
use crate::support;

/// A client as stock ones are: it remembers the private id, and the last argument of whatever came last if it is a string.
struct Returning {
    client: Client,
    sid: String,
    pid: Value,
    offset: Value,
    recovered: bool,
}

impl Returning {
    async fn connect(io: &Io) -> Self {
        Self::connect_with(io, Value::Null, Value::Null).await.expect("let in")
    }

    async fn connect_with(io: &Io, pid: Value, offset: Value) -> Result<Self, Value> {
        let mut client = Client::engine(io, 1 << 16).await;
        let mut auth = json!({});
        for (key, value) in [("pid", &pid), ("offset", &offset)] {
            if !value.is_null() {
                auth[key] = value.clone();
            }
        }
        client.send(&format!("40{auth}")).await;
        let answer = client.text().await;
        if let Some(refusal) = answer.strip_prefix("44") {
            return Err(serde_json::from_str(refusal).unwrap());
        }
        let ids: Value = serde_json::from_str(answer.strip_prefix("40").unwrap()).unwrap();
        let recovered = !pid.is_null() && ids["pid"] == pid;
        let sid = ids["sid"].as_str().unwrap().to_owned();
        Ok(Returning { client, sid, pid: ids["pid"].clone(), offset, recovered })
    }

    /// The next event: its name and arguments, without the offset, which is remembered.
    async fn event(&mut self) -> Value {
        let text = self.client.text().await;
        let mut event: Vec<Value> =
            serde_json::from_str(text.strip_prefix("42").unwrap_or_else(|| panic!("{text}"))).unwrap();
        assert!(event.len() > 1, "at least an offset: {text}");
        self.offset = event.pop().unwrap();
        assert!(self.offset.is_string(), "{text}");
        json!(event)
    }

    async fn expect(&mut self, events: &[Value]) {
        for event in events {
            assert_eq!(&self.event().await, event);
        }
    }

    /// The connection is lost, and the server knows.
    async fn lose(self, io: &Io) -> Lost {
        let sessions = io.stats().sessions;
        let Returning { client, sid, pid, offset, .. } = self;
        drop(client);
        eventually(|| io.stats().sessions < sessions).await;
        Lost { sid, pid, offset }
    }
}

#[derive(Clone)]
struct Lost {
    sid: String,
    pid: Value,
    offset: Value,
}

impl Lost {
    async fn come_back(&self, io: &Io) -> Returning {
        Returning::connect_with(io, self.pid.clone(), self.offset.clone()).await.expect("let in")
    }

    async fn recover(&self, io: &Io) -> Returning {
        let back = self.come_back(io).await;
        assert!(back.recovered);
        assert_eq!(back.sid, self.sid);
        back
    }

    async fn start_anew(&self, io: &Io) -> Returning {
        let back = self.come_back(io).await;
        assert!(!back.recovered);
        assert_ne!(back.sid, self.sid);
        back
    }
}

fn recovering() -> Io {
    with(|_| {})
}

fn with(set: impl FnOnce(&mut ConnectionStateRecovery)) -> Io {
    configured(set, |_| {})
}

fn configured(set: impl FnOnce(&mut ConnectionStateRecovery), set_all: impl FnOnce(&mut Config)) -> Io {
    let mut recovery = ConnectionStateRecovery::default();
    set(&mut recovery);
    let mut config = Config::default();
    config.connection_state_recovery = Some(recovery);
    set_all(&mut config);
    Io::with_config(config)
}

/// What handlers told, in order.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    fn tell(&self, what: impl Into<String>) {
        self.0.lock().push(what.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock())
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_told_or_added_by_default() {
    let io = Io::new();
    let mut client = Client::engine(&io, 1 << 16).await;
    client.send("40").await;
    let answer = client.text().await;
    assert!(!answer.contains("pid"), "{answer}");
    io.emit("e", "x");
    client.expect(r#"42["e","x"]"#).await;
    drop(client);
    eventually(|| io.stats().sessions == 0).await;
    assert_eq!((io.stats().sockets, io.stats().recoverable), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn id_rooms_data_and_missed_events_are_restored() {
    let io = recovering();
    let mut client = Returning::connect(&io).await;
    let socket = io.socket(&client.sid).unwrap();
    socket.join(["a", "b"]);
    socket.data_set("data".to_owned());
    assert!(!socket.recovered());
    socket.emit("before", 0);
    client.expect(&[json!(["before", 0])]).await;
    let lost = client.lose(&io).await;

    assert!(io.socket(&lost.sid).is_none() && io.sockets().is_empty() && !socket.is_connected());
    assert_eq!((io.stats().sockets, io.stats().recoverable, io.stats().rooms), (0, 1, 2));
    io.emit("all", 1);
    io.to("a").emit("room", 2);
    io.to(["a", "b"]).emit("rooms", 3);
    io.to("c").emit("elsewhere", 4);
    io.to(&*lost.sid).emit("id", 5);
    io.except("b").emit("excepted", 6);
    socket.emit("direct", ("text", 7));

    let mut back = lost.recover(&io).await;
    let missed =
        [json!(["all", 1]), json!(["room", 2]), json!(["rooms", 3]), json!(["id", 5]), json!(["direct", "text", 7])];
    back.expect(&missed).await;
    let restored = io.socket(&lost.sid).unwrap();
    assert!(restored.recovered() && restored.is_connected() && restored != socket);
    let mut rooms = restored.rooms();
    rooms.sort();
    assert_eq!(rooms.iter().map(|room| &**room).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(*restored.data::<String>().unwrap(), "data");
    assert_eq!((io.stats().sockets, io.stats().recoverable), (1, 0));
    // And it lives on, by either of the sockets.
    io.to("b").emit("room", 8);
    socket.emit("old", 9);
    restored.emit("new", 10);
    back.expect(&[json!(["room", 8]), json!(["old", 9]), json!(["new", 10])]).await;
    // The old one does nothing else.
    assert!(socket.try_join("d").is_err() && socket.rooms().is_empty());
    assert!(matches!(socket.volatile().try_emit("v", ()), Err(EmitError::Volatile)));
    socket.disconnect();
    restored.emit("still", 11);
    back.expect(&[json!(["still", 11])]).await;
}

#[tokio::test(start_paused = true)]
async fn it_comes_back_again_and_again() {
    let io = recovering();
    let mut client = Returning::connect(&io).await;
    for round in 0..20 {
        io.emit("on", round);
        client.expect(&[json!(["on", round])]).await;
        let lost = client.lose(&io).await;
        io.emit("off", round);
        client = lost.recover(&io).await;
        client.expect(&[json!(["off", round])]).await;
    }
    assert_eq!(io.stats().sockets, 1);
}

#[tokio::test(start_paused = true)]
async fn handlers_are_told_of_loss_and_return() {
    let io = recovering();
    let told = Told::default();
    let of_connection = told.clone();
    io.on_connection(move |socket: Socket| async move {
        of_connection.tell(format!("connection {}", socket.recovered()));
        let of_disconnect = of_connection.clone();
        socket.on_disconnect(move |socket: Socket, reason: DisconnectReason| async move {
            of_disconnect.tell(format!("{reason} {}", socket.rooms().len()));
            // What is told to others does not come back to it; what is told to it does.
            socket.broadcast().emit("left", socket.id());
            socket.emit("you left", ());
        });
        socket.join("room");
    });
    let client = Returning::connect(&io).await;
    let lost = client.lose(&io).await;
    assert_eq!(told.take(), ["connection false", "transport close 1"]);
    let mut back = lost.recover(&io).await;
    assert_eq!(told.take(), ["connection true"]);
    back.expect(&[json!(["you left"])]).await;
    io.socket(&lost.sid).unwrap().disconnect();
    assert_eq!(back.client.closed_or_text().await.as_deref(), Some("41"));
    assert_eq!(told.take(), ["server namespace disconnect 0"]);
    assert_eq!(io.stats().recoverable, 0);
    lost.start_anew(&io).await;
}

#[tokio::test(start_paused = true)]
async fn a_half_open_connection_is_fenced() {
    let io = recovering();
    let told = Told::default();
    let of_connection = told.clone();
    io.on_connection(move |socket: Socket| async move {
        of_connection.tell(format!("connection {}", socket.recovered()));
        let of_disconnect = of_connection.clone();
        socket.on_disconnect(move |reason: DisconnectReason| async move { of_disconnect.tell(reason.as_str()) });
    });
    let mut client = Returning::connect(&io).await;
    io.emit("one", 1);
    client.expect(&[json!(["one", 1])]).await;
    let old = io.socket(&client.sid).unwrap();
    let (sid, pid, offset) = (client.sid.clone(), client.pid.clone(), client.offset.clone());
    // Swallowed by the link.
    io.emit("two", 2);
    let lost = Lost { sid, pid, offset };
    let mut back = lost.recover(&io).await;
    assert_eq!(told.take(), ["connection false", "forced server close", "connection true"]);
    old.emit("three", 3);
    back.expect(&[json!(["two", 2]), json!(["three", 3])]).await;
    assert_eq!(client.client.closed().await, Some(1000));
    eventually(|| io.stats().sessions == 1).await;
    assert_eq!((io.stats().sockets, io.stats().recoverable), (1, 0));
    assert!(io.sockets()[0].is_connected());
}

/// One connection has it at a time: who comes last.
#[tokio::test(start_paused = true)]
async fn of_two_that_come_back_the_last_one_has_it() {
    let io = recovering();
    let gate = Arc::new(tokio::sync::Semaphore::new(1));
    let of_middleware = gate.clone();
    io.middleware(move || async move {
        of_middleware.acquire_owned().await.unwrap().forget();
        Ok::<(), Error>(())
    });
    let lost = Returning::connect(&io).await.lose(&io).await;
    io.emit("missed", 1);
    let resume = format!(r#"40{{"pid":{}}}"#, lost.pid);
    let mut first = Client::engine(&io, 1 << 16).await;
    first.send(&resume).await;
    eventually(|| io.stats().handlers_pending == 1).await;
    let mut second = Client::engine(&io, 1 << 16).await;
    second.send(&resume).await;
    assert_eq!(first.closed().await, Some(1000));
    gate.add_permits(2);
    let answer = second.text().await;
    assert!(answer.contains(&lost.sid) && answer.contains(lost.pid.as_str().unwrap()), "{answer}");
    assert!(second.text().await.starts_with(r#"42["missed",1,"#));
    eventually(|| io.stats().sessions == 1).await;
    assert_eq!((io.stats().sockets, io.stats().recoverable), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn private_ids_are_of_one_namespace() {
    let io = recovering();
    io.of("/other");
    let lost = Returning::connect(&io).await.lose(&io).await;
    let mut client = Client::engine(&io, 1 << 16).await;
    client.send(&format!(r#"40/other,{{"pid":{}}}"#, lost.pid)).await;
    let answer = client.text().await;
    assert!(answer.starts_with("40/other,") && !answer.contains(lost.pid.as_str().unwrap()), "{answer}");
    lost.recover(&io).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_no_private_id_is_none() {
    let io = recovering();
    let lost = Returning::connect(&io).await.lose(&io).await;
    for pid in [json!("AAAAAAAAAAAAAAAAAAAA"), json!(""), json!(7), json!({"a": 1}), json!("ä".repeat(10))] {
        let client = Returning::connect_with(&io, pid.clone(), Value::Null).await.unwrap();
        assert!(!client.recovered, "{pid}");
    }
    lost.recover(&io).await;
}

#[tokio::test(start_paused = true)]
async fn volatile_events_are_not_kept_and_spoil_nothing() {
    let io = recovering();
    let mut client = Returning::connect(&io).await;
    let socket = io.socket(&client.sid).unwrap();
    io.emit("kept", 1);
    client.expect(&[json!(["kept", 1])]).await;
    io.volatile().emit("v", "AAAAAAAA.1");
    client.client.expect(r#"42["v","AAAAAAAA.1",null]"#).await;
    socket.volatile().emit("v", ());
    client.client.expect(r#"42["v",null]"#).await;
    io.volatile().emit("v", 1);
    client.client.expect(r#"42["v",1]"#).await;
    let lost = client.lose(&io).await;
    assert_eq!(io.volatile().try_emit("gone", 1).unwrap(), 0);
    assert!(matches!(socket.volatile().try_emit("gone", 1), Err(EmitError::Volatile)));
    io.emit("missed", 2);
    lost.recover(&io).await.expect(&[json!(["missed", 2])]).await;
}

#[tokio::test(start_paused = true)]
async fn events_that_wait_for_an_answer_have_no_offset_and_end_with_the_connection() {
    let io = recovering();
    let mut client = Returning::connect(&io).await;
    let socket = io.socket(&client.sid).unwrap();
    let pending = socket.emit_with_ack::<i64>("ask", "text");
    client.client.expect(r#"420["ask","text"]"#).await;
    let answered = socket.emit_with_ack::<i64>("ask", ());
    client.client.expect(r#"421["ask"]"#).await;
    client.client.send("431[7]").await;
    assert_eq!(answered.await.unwrap(), 7);
    let lost = client.lose(&io).await;
    assert!(matches!(pending.await, Err(AckError::Disconnected)));
    assert!(matches!(socket.emit_with_ack::<i64>("ask", ()).await, Err(AckError::Emit(EmitError::Disconnected))));
    io.emit("missed", 1);
    lost.recover(&io).await.expect(&[json!(["missed", 1])]).await;
}

#[tokio::test(start_paused = true)]
async fn what_looks_like_an_offset_is_an_argument() {
    let io = recovering();
    let mut client = Returning::connect(&io).await;
    io.emit("first", 1);
    client.expect(&[json!(["first", 1])]).await;
    let looks_so = client.offset.clone();
    for n in 0..3 {
        io.emit("e", (n, &looks_so));
        client.expect(&[json!(["e", n, looks_so])]).await;
        assert_ne!(client.offset, looks_so);
    }
    let lost = client.lose(&io).await;
    io.emit("missed", (&looks_so, &lost.offset));
    let missed = json!(["missed", looks_so, lost.offset]);
    lost.recover(&io).await.expect(&[missed]).await;
}

#[tokio::test(start_paused = true)]
async fn an_unknown_offset_is_the_start_as_long_as_nothing_was_dropped() {
    for offset in [Value::Null, json!("AAAAAAAA.5")] {
        let io = recovering();
        let client = Returning::connect(&io).await;
        io.emit("swallowed", 1);
        let lost = Lost { offset: offset.clone(), ..client.lose(&io).await };
        io.emit("missed", 2);
        let mut back = lost.recover(&io).await;
        back.expect(&[json!(["swallowed", 1]), json!(["missed", 2])]).await;
        // A heartbeat, and the server knows that both arrived.
        answer_pings(&mut back, Duration::from_secs(30)).await;
        let lost = Lost { offset: offset.clone(), ..back.lose(&io).await };
        lost.start_anew(&io).await;
        assert_eq!((io.stats().recoverable, io.stats().rooms), (0, 0), "the old one is gone");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_offset_recovers_nothing() {
    for offset in [json!("text"), json!(7), json!({}), json!("AAAAAAAA.05"), json!("")] {
        let io = recovering();
        let lost = Lost { offset: offset.clone(), ..Returning::connect(&io).await.lose(&io).await };
        lost.start_anew(&io).await;
        assert_eq!(io.stats().recoverable, 0, "{offset}");
    }
}

/// Reads for a while, in virtual time, and answers pings; nothing else may come.
async fn answer_pings(client: &mut Returning, during: Duration) {
    let quiet = tokio::time::timeout(during, client.client.text()).await;
    assert!(quiet.is_err(), "nothing but pings, not {quiet:?}");
}

#[tokio::test(start_paused = true)]
async fn what_a_heartbeat_has_shown_to_arrive_is_not_kept() {
    let io = with(|recovery| recovery.packets_max = 10);
    let mut client = Returning::connect(&io).await;
    for round in 0..10 {
        for n in 0..10 {
            io.emit("e", (round, n));
            client.expect(&[json!(["e", round, n])]).await;
        }
        answer_pings(&mut client, Duration::from_secs(26)).await;
    }
    io.emit("last", ());
    client.expect(&[json!(["last"])]).await;
    let lost = client.lose(&io).await;
    lost.recover(&io).await;
}

#[tokio::test(start_paused = true)]
async fn what_the_link_swallowed_after_the_last_ping_is_sent_again() {
    let io = configured(|_| {}, |config| config.ping_timeout = Duration::from_secs(20));
    let mut client = Returning::connect(&io).await;
    io.emit("arrived", 0);
    client.expect(&[json!(["arrived", 0])]).await;
    answer_pings(&mut client, Duration::from_secs(30)).await;
    // From here on the client hears nothing and answers nothing, but its connection stays.
    for n in 1..=5 {
        io.emit("swallowed", n);
        sleep(Duration::from_secs(5)).await;
    }
    eventually(|| io.stats().sockets == 0).await;
    let lost = Lost { sid: client.sid.clone(), pid: client.pid.clone(), offset: client.offset.clone() };
    let mut back = lost.recover(&io).await;
    back.expect(&(1..=5).map(|n| json!(["swallowed", n])).collect::<Vec<_>>()).await;
}

/// Waits until `done`, however long that takes: time is virtual.
async fn eventually(mut done: impl FnMut() -> bool) {
    let mut step = Duration::from_millis(1);
    while !done() {
        assert!(step < Duration::from_secs(1000), "it never happens");
        sleep(step).await;
        step *= 2;
    }
}

#[tokio::test(start_paused = true)]
async fn at_each_limit_the_client_starts_anew() {
    type Set = fn(&mut ConnectionStateRecovery);
    let limits: [(&str, Set); 3] = [
        ("packets", |recovery| recovery.packets_max = 3),
        ("bytes", |recovery| recovery.bytes_max = 3 * 150),
        ("bytes of all", |recovery| recovery.away_bytes_max = 3 * 150),
    ];
    for (limit, set) in limits {
        let io = with(set);
        // 126 bytes of frame and what an entry takes are between 112 and 150.
        let text = "x".repeat(90);
        for (missed, recovered) in [(3, true), (4, false)] {
            let client = Returning::connect(&io).await;
            io.socket(&client.sid).unwrap().join("room");
            let lost = client.lose(&io).await;
            for n in 0..missed {
                io.to("room").emit("missed", (n, &text));
            }
            if recovered {
                let mut back = lost.recover(&io).await;
                back.expect(&(0..missed).map(|n| json!(["missed", n, text])).collect::<Vec<_>>()).await;
                io.socket(&back.sid).unwrap().disconnect();
                eventually(|| io.stats().rooms == 0).await;
            } else {
                eventually(|| io.stats().recoverable == 0 && io.stats().rooms == 0).await;
                lost.start_anew(&io).await;
            }
            let _ = limit;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn time_is_limited() {
    let io = with(|recovery| recovery.max_disconnection_duration = Duration::from_secs(60));
    for (away, recovered) in [(59, true), (61, false)] {
        let client = Returning::connect(&io).await;
        io.socket(&client.sid).unwrap().join("room");
        let lost = client.lose(&io).await;
        sleep(Duration::from_secs(away)).await;
        assert_eq!(io.stats().recoverable, u64::from(recovered));
        assert_eq!(io.stats().rooms, u64::from(recovered));
        let back = lost.come_back(&io).await;
        assert_eq!(back.recovered, recovered);
        io.socket(&back.sid).unwrap().close();
        eventually(|| io.stats().sockets == 0).await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_been_away_longest_makes_room() {
    let io = with(|recovery| recovery.sessions_max = 2);
    let mut lost = Vec::new();
    for _ in 0..3 {
        let client = Returning::connect(&io).await;
        io.socket(&client.sid).unwrap().join("room");
        lost.push(client.lose(&io).await);
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(io.stats().recoverable, 2);
    io.to("room").emit("missed", 1);
    for lost in &lost[1..] {
        lost.recover(&io).await.expect(&[json!(["missed", 1])]).await;
    }
    lost[0].start_anew(&io).await;
}

#[tokio::test(start_paused = true)]
async fn the_reason_decides_who_may_come_back() {
    // A packet of the client, what happens to the session, and whether the socket is kept.
    let cases = [
        ("41", "client namespace disconnect", false),
        ("42", "forced close", true),
        ("9", "parse error", false),
        ("1", "transport close", true),
    ];
    for (packet, reason, is_kept) in cases {
        let io = recovering();
        let told = Told::default();
        let of_disconnect = told.clone();
        io.on_disconnect(move |reason: DisconnectReason| async move {
            if of_disconnect.0.lock().is_empty() {
                of_disconnect.tell(reason.as_str());
            }
        });
        let mut client = Returning::connect(&io).await;
        let lost = Lost { sid: client.sid.clone(), pid: client.pid.clone(), offset: client.offset.clone() };
        client.client.send(if packet == "9" { "9" } else { packet }).await;
        eventually(|| io.stats().sockets == 0).await;
        assert_eq!(told.take(), [reason]);
        assert_eq!(io.stats().recoverable, u64::from(is_kept), "{reason}");
        assert_eq!(lost.come_back(&io).await.recovered, is_kept, "{reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_disconnected_does_not_come_back() {
    type End = fn(&Socket);
    let ends: [End; 2] = [Socket::disconnect, Socket::close];
    for end in ends {
        for is_away in [false, true] {
            let io = recovering();
            let client = Returning::connect(&io).await;
            let socket = io.socket(&client.sid).unwrap();
            socket.join("room");
            socket.data_set("data".to_owned());
            let lost = if is_away {
                let lost = client.lose(&io).await;
                end(&socket);
                lost
            } else {
                end(&socket);
                client.lose(&io).await
            };
            assert_eq!((io.stats().recoverable, io.stats().rooms, io.stats().sockets), (0, 0, 0));
            assert!(socket.data::<String>().is_none() && socket.try_join("room").is_err());
            assert!(matches!(socket.try_emit("e", ()), Err(EmitError::Disconnected)));
            lost.start_anew(&io).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_ends_it() {
    let io = recovering();
    io.on("panic", async || -> () { panic!("on purpose") });
    let mut client = Returning::connect(&io).await;
    client.client.send(r#"42["panic"]"#).await;
    client.client.closed().await;
    eventually(|| io.stats().sessions == 0).await;
    assert_eq!(io.stats().recoverable, 0);
}

#[tokio::test(start_paused = true)]
async fn joins_and_leaves_while_away_count() {
    let io = recovering();
    let client = Returning::connect(&io).await;
    let socket = io.socket(&client.sid).unwrap();
    socket.join("old");
    let lost = client.lose(&io).await;
    io.to("old").emit("old", 1);
    socket.leave("old");
    io.to("old").emit("old", 2);
    io.to("new").emit("new", 3);
    socket.join("new");
    io.to("new").emit("new", 4);
    let mut back = lost.recover(&io).await;
    io.to("new").emit("new", 5);
    io.to("old").emit("old", 6);
    io.emit("end", 7);
    back.expect(&[json!(["old", 1]), json!(["new", 4]), json!(["new", 5]), json!(["end", 7])]).await;
}

#[tokio::test(start_paused = true)]
async fn middlewares_are_asked_again() {
    let io = recovering();
    let told = Told::default();
    let of_middleware = told.clone();
    io.middleware(move |socket: Socket, auth: Value| {
        let told = of_middleware.clone();
        async move {
            told.tell(format!("{} {}", socket.recovered(), auth["pid"].is_string()));
            if told.0.lock().len() == 2 { Err(Error::from("not now")) } else { Ok(()) }
        }
    });
    let lost = Returning::connect(&io).await.lose(&io).await;
    io.emit("missed", 1);
    let refused = Returning::connect_with(&io, lost.pid.clone(), lost.offset.clone()).await;
    assert_eq!(refused.err().unwrap()["message"], "not now");
    io.emit("missed", 2);
    // Nothing is lost by the refusal.
    let mut back = lost.recover(&io).await;
    back.expect(&[json!(["missed", 1]), json!(["missed", 2])]).await;
    assert_eq!(told.take(), ["false false", "true true", "true true"]);
}

#[tokio::test(start_paused = true)]
async fn middlewares_can_be_skipped() {
    let io = with(|recovery| recovery.skip_middlewares = true);
    let told = Told::default();
    let of_middleware = told.clone();
    io.middleware(move || async move {
        of_middleware.tell("asked");
        Ok::<(), Error>(())
    });
    let lost = Returning::connect(&io).await.lose(&io).await;
    let back = lost.recover(&io).await;
    assert_eq!(told.take(), ["asked"]);
    let lost = Lost { offset: json!("text"), ..back.lose(&io).await };
    lost.start_anew(&io).await;
    assert_eq!(told.take(), ["asked"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_emitted_during_a_middleware_arrives_once_and_behind_what_was_missed() {
    let io = recovering();
    let gate = Arc::new(tokio::sync::Semaphore::new(1));
    let of_middleware = gate.clone();
    io.middleware(move |socket: Socket| async move {
        // In a room of the one before, and in one more.
        socket.join(["both", "early"]);
        socket.emit("middleware", ());
        of_middleware.acquire_owned().await.unwrap().forget();
        Ok::<(), Error>(())
    });
    let mut client = Returning::connect(&io).await;
    client.expect(&[json!(["middleware"])]).await;
    io.socket(&client.sid).unwrap().leave("early");
    let lost = client.lose(&io).await;
    io.emit("missed", 1);
    let mut second = Client::engine(&io, 1 << 16).await;
    second.send(&format!(r#"40{{"pid":{},"offset":{}}}"#, lost.pid, lost.offset)).await;
    eventually(|| io.stats().handlers_pending == 1).await;
    io.to("both").emit("both", 2);
    io.to("early").emit("early", 3);
    gate.add_permits(1);
    let mut got = Vec::new();
    for _ in 0..5 {
        let text = second.text().await;
        got.push(text.split(',').next().unwrap().to_owned());
    }
    let connected = got.remove(0);
    assert!(connected.contains(&lost.sid), "{connected}");
    assert_eq!(got, [r#"42["missed""#, r#"42["both""#, r#"42["middleware""#, r#"42["early""#]);
    io.to(["both", "early"]).emit("end", ());
    assert!(second.text().await.starts_with(r#"42["end","#));
    let mut rooms = io.socket(&lost.sid).unwrap().rooms();
    rooms.sort();
    assert_eq!(rooms.iter().map(|room| &**room).collect::<Vec<_>>(), ["both", "early"]);
}

#[tokio::test(start_paused = true)]
async fn an_overflow_while_a_middleware_waits_starts_anew() {
    let io = with(|recovery| recovery.packets_max = 2);
    let gate = Arc::new(tokio::sync::Semaphore::new(1));
    let of_middleware = gate.clone();
    io.middleware(move || async move {
        of_middleware.acquire_owned().await.unwrap().forget();
        Ok::<(), Error>(())
    });
    let lost = Returning::connect(&io).await.lose(&io).await;
    let mut second = Client::engine(&io, 1 << 16).await;
    second.send(&format!(r#"40{{"pid":{}}}"#, lost.pid)).await;
    eventually(|| io.stats().handlers_pending == 1).await;
    for n in 0..3 {
        io.emit("too many", n);
    }
    gate.add_permits(2);
    second.closed().await;
    let _back = lost.start_anew(&io).await;
    eventually(|| io.stats().sessions == 1).await;
    assert_eq!((io.stats().sockets, io.stats().recoverable), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn data_of_a_refused_connection_is_not_kept() {
    let io = recovering();
    io.middleware(async |socket: Socket, auth: Value| {
        if let Some(user) = auth["user"].as_str() {
            socket.data_set(user.to_owned());
        }
        if auth["user"] == "mallory" { Err(Error::from("no")) } else { Ok(()) }
    });
    let client = Returning::connect(&io).await;
    let socket = io.socket(&client.sid).unwrap();
    socket.data_set("alice".to_owned());
    let lost = client.lose(&io).await;
    let mut refused = Client::engine(&io, 1 << 16).await;
    refused.send(&format!(r#"40{{"pid":{},"user":"mallory"}}"#, lost.pid)).await;
    assert_eq!(refused.text().await, r#"44{"message":"no"}"#);
    let back = lost.recover(&io).await;
    let restored = io.socket(&back.sid).unwrap();
    assert_eq!(*restored.data::<String>().unwrap(), "alice");
    assert_eq!(*socket.data::<String>().unwrap(), "alice", "it is one socket");
}

#[tokio::test]
async fn old_clients_and_plain_websockets_get_no_offsets() {
    let io = configured(|_| {}, |config| config.allow_eio3 = true);
    io.native("/ws");
    let mut client = Returning::connect(&io).await;
    let address = support::serve(&io).await;
    let mut old = support::Client::open(address, "/socket.io/?EIO=3&transport=websocket", None).await;
    old.text().await;
    old.expect("40").await;
    let mut plain = support::Client::open(address, "/ws", None).await;
    eventually(|| io.stats().sockets == 3).await;
    for n in 0..2 {
        io.emit("message", format!("{n}"));
        client.expect(&[json!(["message", format!("{n}")])]).await;
        old.expect(&format!(r#"42["message","{n}"]"#)).await;
        plain.expect(&format!("{n}")).await;
        io.volatile().emit("message", "volatile");
        client.client.expect(r#"42["message","volatile",null]"#).await;
        old.expect(r#"42["message","volatile"]"#).await;
        plain.expect("volatile").await;
        for socket in io.sockets() {
            socket.emit("message", "direct");
        }
        client.expect(&[json!(["message", "direct"])]).await;
        old.expect(r#"42["message","direct"]"#).await;
        plain.expect("direct").await;
    }
    drop((old, plain));
    eventually(|| io.stats().sessions == 1).await;
    assert_eq!(io.stats().recoverable, 0);
}

#[tokio::test(start_paused = true)]
async fn bytes_are_missed_and_sent_again_with_their_event() {
    let io = recovering();
    let lost = Returning::connect(&io).await.lose(&io).await;
    io.emit("bytes", (bytes::Bytes::from_static(&[1, 2, 3]), "text"));
    let mut back = lost.recover(&io).await;
    let text = back.client.text().await;
    assert!(text.starts_with(r#"451-["bytes",{"_placeholder":true,"num":0},"text",""#), "{text}");
    assert_eq!(back.client.next().await.unwrap(), Message::binary(vec![1, 2, 3]));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_closes_keeps_nothing() {
    let io = configured(|_| {}, |config| config.drain = Duration::ZERO);
    let away = Returning::connect(&io).await;
    let away_sid = away.sid.clone();
    away.lose(&io).await;
    let client = Returning::connect(&io).await;
    io.socket(&client.sid).unwrap().join("room");
    assert!(io.socket(&away_sid).is_none());
    assert_eq!(io.stats().recoverable, 1);
    let reading = tokio::spawn(async move {
        let mut client = client;
        client.client.closed().await
    });
    io.close().await;
    assert_eq!(reading.await.unwrap(), Some(1001));
    assert_eq!((io.stats().recoverable, io.stats().sockets, io.stats().rooms), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn polling_clients_come_back_too() {
    let io = recovering();
    let polling = Polling::connect(&io).await;
    let socket = io.sockets().remove(0);
    io.emit("one", 1);
    let (_, body) = polling.get().await;
    let offset = body.rsplit('"').nth(1).unwrap().to_owned();
    assert_eq!(body, format!(r#"42["one",1,"{offset}"]"#));
    let pid = polling.pid.clone();
    io.emit("two", 2);
    // It closes, as a browser's page does when it can, and has not polled for what was on its way.
    assert_eq!(polling.post("1").await.0, 200);
    eventually(|| io.stats().sessions == 0).await;
    socket.emit("three", 3);
    let back = Polling::connect_with(&io, &format!(r#"40{{"pid":"{pid}","offset":"{offset}"}}"#)).await;
    assert_eq!((back.pid.as_str(), back.sid.as_str()), (&*pid, socket.id()));
    let missed: Vec<_> = back.first.iter().map(|packet| packet.split(",\"").next().unwrap()).collect();
    assert_eq!(missed, [r#"42["two",2"#, r#"42["three",3"#]);
}

/// A browser does so by itself, and nobody learns that the first answer was lost.
#[tokio::test(start_paused = true)]
async fn a_poll_that_is_sent_again_has_lost_its_answer() {
    for (again, is_lost) in [("&t=a", true), ("&t=b", false), ("", false)] {
        let io = recovering();
        let polling = Polling::connect(&io).await;
        io.emit("one", 1);
        let stamp = if again.is_empty() { "" } else { "&t=a" };
        assert_eq!(polling.get_with(stamp).await.0, 200);
        io.emit("two", 2);
        let (status, body) = polling.get_with(again).await;
        assert_eq!(status, if is_lost { 400 } else { 200 }, "{again}: {body}");
        if is_lost {
            eventually(|| io.stats().sockets == 0).await;
            let back = Polling::connect_with(&io, &format!(r#"40{{"pid":"{}"}}"#, polling.pid)).await;
            assert_eq!((back.sid, back.first.len()), (polling.sid, 2));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_cannot_keep_up_comes_back_for_the_rest() {
    let io = configured(|_| {}, |config| config.outbox_bytes_max = 4000);
    let mut client = Returning::connect(&io).await;
    io.emit("first", 0);
    client.expect(&[json!(["first", 0])]).await;
    let text = "x".repeat(100);
    for n in 0..60 {
        io.emit("e", (n, &text));
    }
    let lost = Lost { sid: client.sid.clone(), pid: client.pid.clone(), offset: client.offset.clone() };
    eventually(|| io.stats().sockets == 0).await;
    let mut back = lost.recover(&io).await;
    for n in 0..60 {
        back.expect(&[json!(["e", n, text])]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_full_outbox_drops_is_not_sent_later() {
    let io = configured(
        |_| {},
        |config| {
            config.outbox_bytes_max = 1000;
            config.outbox_policy = OutboxPolicy::DropNewest;
        },
    );
    let client = Returning::connect(&io).await;
    let socket = io.socket(&client.sid).unwrap();
    let text = "x".repeat(100);
    let sent = (0..60).take_while(|n| socket.try_emit("e", (n, &text)).is_ok()).count();
    assert!((5..10).contains(&sent), "{sent}");
    assert!(matches!(socket.try_emit("e", &text), Err(EmitError::Full)));
    let lost = client.lose(&io).await;
    let mut back = lost.recover(&io).await;
    for n in 0..sent {
        back.expect(&[json!(["e", n, text])]).await;
    }
    io.emit("end", ());
    back.expect(&[json!(["end"])]).await;
}
