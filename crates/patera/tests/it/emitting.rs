//! Emitting in all its forms, what is counted, and who is let in.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use patera::{AckError, Config, EmitError, Error, Failure, Io, OutboxPolicy, Reply, Result, Socket, Value};
use tokio::sync::{Notify, mpsc};

use crate::support::{Client, Polling, eventually, serve};

/// Three clients `a`, `b`, `c`: in room `one` are `a` and `b`, in room `two` `b` and `c`.
struct Three {
    io: Io,
    clients: [Client; 3],
    sockets: [Socket; 3],
}

impl Three {
    async fn connect() -> Self {
        let io = Io::new();
        let address = serve(&io).await;
        let mut clients = Vec::new();
        let mut sockets = Vec::new();
        for rooms in [&["one"][..], &["one", "two"], &["two"]] {
            let (client, id) = Client::connect(address).await;
            let socket = io.socket(&id).unwrap();
            socket.join(rooms);
            clients.push(client);
            sockets.push(socket);
        }
        let (Ok(clients), Ok(sockets)) = (clients.try_into(), sockets.try_into()) else { panic!("they are three") };
        Three { io, clients, sockets }
    }

    /// What each client has got since the last time, as the names of the events.
    async fn check(&mut self, expected: [&[&str]; 3]) {
        self.io.emit("end", ());
        for (client, expected) in self.clients.iter_mut().zip(expected) {
            let mut got = Vec::new();
            loop {
                let text = client.text().await;
                let name = text.split('"').nth(1).unwrap().to_owned();
                if name == "end" {
                    break;
                }
                got.push(name);
            }
            assert_eq!(got, expected);
        }
    }
}

#[tokio::test]
async fn a_socket_emits_to_others_and_never_to_itself() {
    let mut three = Three::connect().await;
    let [a, b, c] = three.sockets.clone();
    a.except("two").emit("nobody", ());
    c.except("one").emit("nobody", ());
    a.except(c.id()).emit("b", ());
    b.except(["nobody", "no one"]).emit("not b", ());
    a.to("one").emit("b", ());
    b.to(["one", "two"]).except(a.id()).emit("c", ());
    a.broadcast().to("two").emit("two", ());
    a.to(a.id()).emit("nobody", ());
    c.local().emit("not c", ());
    three.check([&["not b", "not c"], &["b", "b", "two", "not c"], &["not b", "c", "two"]]).await;
}

#[tokio::test]
async fn flags_of_an_emitter_go_with_its_broadcasts() {
    let io = Io::new();
    let address = serve(&io).await;
    let (mut ready, id) = Client::connect(address).await;
    // It does not poll, so it is not ready.
    let polling = Polling::connect(address).await;
    io.sockets().iter().for_each(|socket| socket.join("room"));
    let (client, _) = Client::connect(address).await;
    let socket = io.sockets().into_iter().find(|socket| socket.rooms().is_empty()).unwrap();
    socket.volatile().to("room").emit("to", ());
    socket.volatile().broadcast().emit("broadcast", ());
    socket.volatile().except("nobody").emit("except", ());
    assert_eq!(socket.volatile().compress(false).to("room").try_emit("counted", ()).unwrap(), 1);
    assert_eq!(io.stats().dropped_volatile, 4);
    socket.compress(false).to("room").emit("kept", ());
    socket.to("room").volatile().except(id.as_str()).emit("dropped", ());
    assert_eq!(io.stats().dropped_volatile, 5);
    for event in ["to", "broadcast", "except", "counted", "kept"] {
        ready.expect(&format!("42[\"{event}\"]")).await;
    }
    assert_eq!(polling.get().await.body, r#"42["kept"]"#);
    client.close().await;
}

#[tokio::test]
async fn compress_and_local_change_nothing_for_one_server() {
    let mut three = Three::connect().await;
    three.io.compress(false).emit("plain", 1);
    three.io.local().to("two").emit("near", 2);
    three.io.compress(true).local().except("two").emit("far", 3);
    three.sockets[0].compress(false).emit("self", 4);
    three.sockets[0].compress(false).volatile().try_emit("self", 5).unwrap();
    three.check([&["plain", "far", "self", "self"], &["plain", "near"], &["plain", "near"]]).await;
}

#[tokio::test]
async fn a_broadcast_can_be_kept_used_again_and_grown_from() {
    let mut three = Three::connect().await;
    let one = three.io.to("one");
    let grown = one.clone().to("two");
    let shrunk = grown.clone().except(three.sockets[1].id());
    one.emit("one", ());
    grown.emit("grown", ());
    shrunk.emit("shrunk", ());
    assert_eq!(one.try_emit("one again", ()).unwrap(), 2);
    assert_eq!(shrunk.try_emit("shrunk again", ()).unwrap(), 2);
    three
        .check([
            &["one", "grown", "shrunk", "one again", "shrunk again"],
            &["one", "grown", "one again"],
            &["grown", "shrunk", "shrunk again"],
        ])
        .await;
    // Who joins or leaves later is in it or is not.
    three.sockets[0].leave("one");
    three.sockets[2].join("one");
    assert_eq!(one.try_emit("later", ()).unwrap(), 2);
    three.check([&[], &["later"], &["later"]]).await;
}

#[tokio::test]
async fn a_clone_keeps_the_flags() {
    let io = Io::new();
    let _polling = Polling::connect(serve(&io).await).await;
    let volatile = io.volatile();
    let clone = volatile.clone().to(io.sockets()[0].id());
    assert_eq!(volatile.try_emit("dropped", ()).unwrap(), 0);
    assert_eq!(clone.try_emit("dropped", ()).unwrap(), 0);
    assert_eq!(io.stats().dropped_volatile, 2);
}

#[tokio::test]
async fn packets_and_bytes_are_counted_both_ways() {
    let io = Io::new();
    io.on("bytes", async |data: Bytes| Reply(data.len()));
    let address = serve(&io).await;
    let (mut client, _) = Client::connect(address).await;
    let before = io.stats();
    assert_eq!((before.packets_in, before.bytes_in), (1, 1), "the CONNECT packet, `0`");
    let packet = r#"51-0["bytes",{"_placeholder":true,"num":0}]"#;
    client.send(&format!("4{packet}")).await;
    client.send_binary(&[0; 100]).await;
    client.expect("430[100]").await;
    io.emit("out", Bytes::from_static(&[1; 10]));
    client.expect(r#"451-["out",{"_placeholder":true,"num":0}]"#).await;
    assert_eq!(client.binary().await.len(), 10);
    let stats = io.stats();
    assert_eq!(stats.packets_in, 3, "an attachment is a message of its own");
    assert_eq!(stats.bytes_in, 1 + packet.len() as u64 + 100);
    assert_eq!(stats.packets_out, before.packets_out + 2);
    // Framed: 2 bytes of header for the answer and for the event; an attachment counts as if its header were the longest.
    let sent = 2 + "430[100]".len() + 2 + r#"451-["out",{"_placeholder":true,"num":0}]"#.len() + 10 + 10;
    assert_eq!(stats.bytes_out, before.bytes_out + sent as u64);
    let polling = Polling::connect(address).await;
    let before = io.stats();
    polling.post(&format!("4{packet}\u{1e}bAAAA")).await;
    polling.get().await;
    let stats = io.stats();
    assert_eq!((stats.packets_in - before.packets_in, stats.packets_out - before.packets_out), (2, 1));
    assert_eq!(stats.bytes_in - before.bytes_in, packet.len() as u64 + 3);
    assert_eq!((stats.sessions, stats.sessions_opened, stats.sockets), (2, 2, 2));
}

#[tokio::test]
async fn what_is_dropped_is_counted_by_its_reason() {
    let mut config = Config::default();
    config.outbox_bytes_max = 100;
    config.outbox_policy = OutboxPolicy::DropNewest;
    let io = Io::with_config(config);
    let address = serve(&io).await;
    let polling = Polling::connect(address).await;
    let socket = io.sockets().remove(0);
    socket.emit("kept", "x".repeat(90));
    socket.emit("full", "x".repeat(90));
    io.emit("full", "x".repeat(90));
    socket.volatile().emit("volatile", ());
    socket.emit("disconnect", ());
    io.emit("invalid", HashMap::from([((1, 2), 3)]));
    polling.post("41").await;
    eventually(|| io.stats().sockets == 0).await;
    socket.emit("gone", ());
    io.emit("nobody is there", ());
    assert!(matches!(socket.try_emit("told, so not counted", ()), Err(EmitError::Disconnected)));
    let stats = io.stats();
    let dropped = (stats.dropped_full, stats.dropped_volatile, stats.dropped_invalid, stats.dropped_disconnected);
    assert_eq!(dropped, (2, 1, 2, 1));
    assert_eq!(stats.refused, 0);
    crate::support::http(address, "GET", "/socket.io/", "", "").await;
    assert_eq!(io.stats().refused, 1);
}

#[tokio::test]
async fn reserved_names_and_what_is_no_json_are_refused_and_nothing_is_sent() {
    let io = Io::new();
    let (mut client, _) = Client::connect(serve(&io).await).await;
    let socket = io.sockets().remove(0);
    for name in ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"] {
        assert!(matches!(socket.try_emit(name, ()), Err(EmitError::Encode(_))), "{name}");
        assert!(matches!(io.broadcast().try_emit(name, ()), Err(EmitError::Encode(_))), "{name}");
        let answer = socket.emit_with_ack::<()>(name, ()).await;
        assert!(matches!(answer, Err(AckError::Emit(EmitError::Encode(_)))), "{name}");
    }
    let unserializable = BTreeMap::from([((1, 2), "keys that are no text")]);
    assert!(matches!(socket.try_emit("map", &unserializable), Err(EmitError::Encode(_))));
    assert!(matches!(socket.try_emit("map", (1, &unserializable)), Err(EmitError::Encode(_))));
    assert!(matches!(io.to("nobody").try_emit("map", &unserializable), Err(EmitError::Encode(_))));
    socket.try_emit("Connect", ()).unwrap();
    client.expect(r#"42["Connect"]"#).await;
}

#[tokio::test]
async fn an_answer_that_is_no_json_sends_none_and_is_counted() {
    let io = Io::new();
    io.on("bad", async || Reply(BTreeMap::from([((1, 2), 3)])));
    io.on("good", async || Reply(1));
    let (mut client, _) = Client::connect(serve(&io).await).await;
    client.send(r#"420["bad"]"#).await;
    client.send(r#"421["good"]"#).await;
    client.expect("431[1]").await;
    assert_eq!(io.stats().dropped_invalid, 1);
}

#[tokio::test]
async fn sockets_are_found_by_id_in_their_namespace_while_they_are_connected() {
    let io = Io::new();
    io.of("/admin");
    let (mut client, id) = Client::connect(serve(&io).await).await;
    client.send("40/admin,").await;
    let connected = client.text().await;
    let admin_id = connected.split('"').nth(3).unwrap();
    assert_ne!(admin_id, id);
    let admin = io.of("/admin").socket(admin_id).unwrap();
    assert_eq!((admin.id(), admin.namespace().name()), (admin_id, "/admin"));
    let root = io.socket(&id).unwrap();
    assert_eq!(root.session_id(), admin.session_id());
    assert!(io.socket(admin_id).is_none() && io.of("/admin").socket(&id).is_none() && io.socket("").is_none());
    assert_eq!((io.sockets(), io.of("admin").sockets()), (vec![root.clone()], vec![admin.clone()]));
    client.send("41").await;
    eventually(|| io.sockets().is_empty()).await;
    assert!(io.socket(&id).is_none() && !root.is_connected());
    assert_eq!(io.of("/admin").sockets(), [admin]);
}

#[tokio::test]
async fn a_panic_in_a_middleware_ends_its_connection_alone() {
    let io = Io::new();
    let (failures, mut reported) = mpsc::unbounded_channel();
    io.of("/bad").on_error(move |_, _, failure| failures.send(matches!(failure, Failure::Panic)).unwrap());
    io.of("/bad").on_disconnect(async || -> () { panic!("nobody who was not let in is told of") });
    io.of("/bad").middleware(async |auth: Value| -> () {
        if auth["late"] == Value::from(true) {
            tokio::task::yield_now().await;
        }
        panic!("a middleware's own fault");
    });
    io.of("/bad").on_connection(async || -> () { panic!("it was not let in") });
    io.on("echo", async |text: String| Reply(text));
    let address = serve(&io).await;
    let (mut neighbour, _) = Client::connect(address).await;
    for auth in ["", r#"{"late":true}"#] {
        let mut client = Client::engine(address).await;
        client.send(&format!("40/bad,{auth}")).await;
        client.closed().await;
        assert_eq!(reported.recv().await, Some(true));
        eventually(|| io.stats().sessions == 1).await;
        neighbour.send(r#"421["echo","still here"]"#).await;
        neighbour.expect(r#"431["still here"]"#).await;
    }
    assert_eq!((io.stats().sockets, io.stats().handlers_pending), (1, 0));
    assert!(reported.try_recv().is_err());
}

#[tokio::test]
async fn a_middleware_that_waits_holds_up_its_own_socket_only() {
    let io = Io::new();
    let gate = Arc::new(Notify::new());
    let closed = gate.clone();
    io.middleware(move |auth: Value| {
        let gate = closed.clone();
        async move {
            if auth["wait"] == Value::from(true) {
                gate.notified().await;
            }
        }
    });
    io.of("/other").on("echo", async |n: u32| Reply(n));
    let address = serve(&io).await;
    let mut waiting = Client::engine(address).await;
    waiting.send(r#"40{"wait":true}"#).await;
    eventually(|| io.stats().handlers_pending == 1).await;
    let (_neighbour, _) = Client::connect(address).await;
    // Its other namespaces go on too.
    waiting.send("40/other,").await;
    assert!(waiting.text().await.starts_with("40/other,"));
    waiting.send(r#"42/other,0["echo",1]"#).await;
    waiting.expect("43/other,0[1]").await;
    assert_eq!(io.sockets().len(), 1);
    io.emit("not for who waits", ());
    gate.notify_one();
    assert!(waiting.text().await.starts_with("40{"));
    assert_eq!(io.sockets().len(), 2);
}

#[tokio::test]
async fn middlewares_run_in_order_and_the_first_refusal_is_the_last_word() {
    let io = Io::new();
    let log = Arc::new(Mutex::new(Vec::new()));
    for name in ["first", "second", "third"] {
        let log = log.clone();
        io.middleware(move |auth: Value| {
            let log = log.clone();
            async move {
                log.lock().push(format!("{name} begins"));
                tokio::task::yield_now().await;
                log.lock().push(format!("{name} ends"));
                if auth["refused"] == Value::from(name) { Err(Error::new(name)) } else { Result::Ok(()) }
            }
        });
    }
    let seen = log.clone();
    io.on_connection(async move || seen.lock().push("connection".to_owned()));
    let address = serve(&io).await;
    let mut client = Client::engine(address).await;
    client.send(r#"40{"refused":"second"}"#).await;
    client.expect(r#"44{"message":"second"}"#).await;
    let two = ["first begins", "first ends", "second begins", "second ends"];
    assert_eq!(std::mem::take(&mut *log.lock()), two);
    client.send("40").await;
    assert!(client.text().await.starts_with("40{"));
    eventually(|| log.lock().len() == 7).await;
    assert_eq!(log.lock()[..4], two);
    assert_eq!(log.lock()[4..], ["third begins", "third ends", "connection"]);
}

#[tokio::test]
async fn auth_is_the_argument_of_connection_handlers_and_is_kept() {
    #[derive(serde::Deserialize)]
    struct Auth {
        #[serde(default)]
        token: Option<String>,
    }

    let io = Io::new();
    io.on_connection(async |s: Socket, auth: Auth| s.emit("token", auth.token));
    io.on_connection(async |s: Socket, auth: Value| s.emit("same", auth == s.auth()));
    io.on("auth", async |s: Socket| Reply(s.auth()));
    let address = serve(&io).await;
    for (sent, token, kept) in
        [(r#"{"n":1.5,"token":"abc"}"#, r#""abc""#, r#"{"n":1.5,"token":"abc"}"#), ("", "null", "{}")]
    {
        let mut client = Client::engine(address).await;
        client.send(&format!("40{sent}")).await;
        assert!(client.text().await.starts_with("40{"));
        client.expect(&format!(r#"42["token",{token}]"#)).await;
        client.expect(r#"42["same",true]"#).await;
        client.send(r#"420["auth"]"#).await;
        client.expect(&format!("430[{kept}]")).await;
    }
}

#[tokio::test]
async fn auth_that_does_not_fit_is_reported_and_a_middleware_refuses_it() {
    let io = Io::new();
    let (failures, mut reported) = mpsc::unbounded_channel();
    io.on_error(move |_, _, failure| failures.send(matches!(failure, Failure::Call(_))).unwrap());
    io.on_connection(async |_: HashMap<String, u32>| {});
    io.of("/typed").middleware(async |_: HashMap<String, u32>| {});
    let address = serve(&io).await;
    let mut client = Client::engine(address).await;
    client.send(r#"40{"n":"text"}"#).await;
    assert!(client.text().await.starts_with("40{"));
    assert_eq!(reported.recv().await, Some(true));
    client.send(r#"40/typed,{"n":"text"}"#).await;
    let refused = client.text().await;
    assert!(refused.starts_with(r#"44/typed,{"message":""#), "{refused}");
    client.send(r#"40/typed,{"n":1}"#).await;
    assert!(client.text().await.starts_with("40/typed,{"));
}
