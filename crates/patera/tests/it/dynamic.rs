//! Namespaces that come with their first client and go with their last.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use parking_lot::Mutex;
use patera::{Config, ConnectionStateRecovery, DisconnectReason, Io, Reply, Result, RoomEvent, Socket, Value};
use tokio::sync::{Notify, mpsc};

use crate::support::{Client, eventually, serve};

const INVALID: &str = r#",{"message":"Invalid namespace"}"#;

/// Asks for a namespace; what is answered.
async fn ask(client: &mut Client, name: &str) -> String {
    client.send(&format!("40{name},")).await;
    client.text().await
}

async fn join(client: &mut Client, name: &str) {
    let answer = ask(client, name).await;
    assert!(answer.starts_with(&format!(r#"40{name},{{"sid":""#)), "{answer}");
}

fn numbered(io: &Io) -> patera::Namespace {
    io.of_matching(|name| name.strip_prefix("/n-").is_some_and(|n| n.parse::<u32>().is_ok()))
}

fn names(io: &Io) -> Vec<String> {
    let mut names: Vec<_> = io.namespaces().iter().map(|namespace| namespace.name().to_owned()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_child_is_made_for_a_name_that_matches() {
    let io = Io::new();
    let parent = numbered(&io);
    parent.on("where", async |s: Socket| Reply(s.namespace().name().to_owned()));
    let mut client = Client::engine(serve(&io).await).await;
    join(&mut client, "/n-1").await;
    join(&mut client, "/n-2").await;
    assert_eq!(ask(&mut client, "/n-x").await, format!("44/n-x{INVALID}"));
    assert_eq!(ask(&mut client, parent.name()).await, format!("44{}{INVALID}", parent.name()));
    client.send(r#"42/n-2,0["where"]"#).await;
    client.expect(r#"43/n-2,0["/n-2"]"#).await;
    assert_eq!(names(&io), ["/", "/n-1", "/n-2"]);
}

#[cfg(feature = "regex")]
#[tokio::test]
async fn a_regular_expression_chooses() {
    let io = Io::new();
    io.of_regex(r"^/room-\d+$").unwrap().on_connection(async |s: Socket| s.emit("hi", ()));
    assert!(io.of_regex("(").is_err());
    let mut client = Client::engine(serve(&io).await).await;
    join(&mut client, "/room-42").await;
    client.expect(r#"42/room-42,["hi"]"#).await;
    assert_eq!(ask(&mut client, "/room-42b").await, format!("44/room-42b{INVALID}"));
}

#[tokio::test]
async fn an_async_function_chooses_by_name_and_auth_once_per_child() {
    let io = Io::new();
    let asked = Arc::new(AtomicUsize::new(0));
    let asks = asked.clone();
    io.of_fn(move |name: String, auth: Value| {
        let asks = asks.clone();
        async move {
            asks.fetch_add(1, SeqCst);
            tokio::task::yield_now().await;
            auth["for"].as_str() == Some(&name)
        }
    });
    let mut client = Client::engine(serve(&io).await).await;
    assert_eq!(ask(&mut client, "/a").await, format!("44/a{INVALID}"));
    client.send(r#"40/a,{"for":"/a"}"#).await;
    assert!(client.text().await.starts_with(r#"40/a,{"sid":""#));
    assert_eq!(asked.load(SeqCst), 2);
    let mut other = Client::engine(serve(&io).await).await;
    join(&mut other, "/a").await;
    assert_eq!(asked.load(SeqCst), 2);
}

#[tokio::test]
async fn the_first_parent_that_takes_a_name_has_it() {
    let io = Io::new();
    for (parent, takes) in [("first", false), ("second", true), ("third", true)] {
        io.of_fn(async move |_: String, _: Value| takes).on_connection(async move |s: Socket| s.emit("parent", parent));
    }
    io.of("/static").on_connection(async |s: Socket| s.emit("parent", "none"));
    let mut client = Client::engine(serve(&io).await).await;
    join(&mut client, "/x").await;
    client.expect(r#"42/x,["parent","second"]"#).await;
    join(&mut client, "/static").await;
    client.expect(r#"42/static,["parent","none"]"#).await;
}

#[tokio::test]
async fn children_inherit_what_the_parent_had_when_they_were_made() {
    let io = Io::new();
    let parent = numbered(&io);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (outgoing, rooms) = (heard.clone(), heard.clone());
    parent.middleware(async |auth: Value| -> Result {
        if auth["ok"].as_bool() == Some(true) { Ok(()) } else { Err("not ok".into()) }
    });
    parent.on_connection(async |s: Socket| s.join("r"));
    parent.on("old", async || Reply("old"));
    parent.on_any_outgoing(move |_, event, _| outgoing.lock().push(format!("out {event}")));
    parent.on_room_event(move |event| {
        if let RoomEvent::Join { room, .. } = event {
            rooms.lock().push(format!("join {room}"));
        }
    });
    let mut client = Client::engine(serve(&io).await).await;
    assert_eq!(ask(&mut client, "/n-1").await, r#"44/n-1,{"message":"not ok"}"#);
    for name in ["/n-1", "/n-2"] {
        client.send(&format!(r#"40{name},{{"ok":true}}"#)).await;
        assert!(client.text().await.starts_with(&format!(r#"40{name},{{"sid""#)));
        if name == "/n-1" {
            parent.on("new", async || Reply("new"));
        }
    }
    client.send(r#"42/n-1,1["new"]"#).await;
    client.send(r#"42/n-1,2["old"]"#).await;
    client.expect(r#"43/n-1,2["old"]"#).await;
    client.send(r#"42/n-2,3["new"]"#).await;
    client.expect(r#"43/n-2,3["new"]"#).await;
    io.of("/n-2").emit("out", ());
    client.expect(r#"42/n-2,["out"]"#).await;
    assert_eq!(*heard.lock(), ["join r", "join r", "out out"]);
}

#[tokio::test]
async fn a_child_goes_with_its_last_socket_and_comes_anew() {
    let io = Io::new();
    let made = Arc::new(AtomicUsize::new(0));
    let makes = made.clone();
    io.on_new_namespace(move |_| {
        makes.fetch_add(1, SeqCst);
    });
    let parent = numbered(&io);
    let address = serve(&io).await;
    let (mut first, mut second) = (Client::engine(address).await, Client::engine(address).await);
    join(&mut first, "/n-1").await;
    join(&mut second, "/n-1").await;
    first.send("41/n-1,").await;
    eventually(|| io.find("/n-1").is_some_and(|child| child.sockets().len() == 1)).await;
    assert_eq!(parent.sockets().len(), 1);
    second.close().await;
    eventually(|| io.find("/n-1").is_none()).await;
    assert_eq!((parent.sockets().len(), made.load(SeqCst)), (0, 1));
    join(&mut first, "/n-1").await;
    assert_eq!((parent.sockets().len(), made.load(SeqCst)), (1, 2));
}

#[tokio::test]
async fn a_child_whose_clients_are_all_refused_goes_too() {
    let io = Io::new();
    numbered(&io).middleware(async || -> Result { Err("no".into()) });
    let mut client = Client::engine(serve(&io).await).await;
    assert_eq!(ask(&mut client, "/n-1").await, r#"44/n-1,{"message":"no"}"#);
    assert_eq!(names(&io), ["/"]);
}

#[tokio::test]
async fn children_stay_where_cleaning_up_is_off_or_the_application_made_them() {
    let mut config = Config::default();
    config.cleanup_empty_child_namespaces = false;
    let keeping = Io::with_config(config);
    numbered(&keeping);
    let io = Io::new();
    numbered(&io).on_connection(async |s: Socket| s.emit("inherited", ()));
    io.of("/n-1");
    for io in [&io, &keeping] {
        let (gone, mut leaves) = mpsc::unbounded_channel();
        let mut client = Client::engine(serve(io).await).await;
        join(&mut client, "/n-1").await;
        io.of("/n-1").on_disconnect(async move |reason: DisconnectReason| gone.send(reason).unwrap());
        client.send("41/n-1,").await;
        leaves.recv().await.unwrap();
        assert!(io.find("/n-1").is_some());
    }
    let mut client = Client::engine(serve(&io).await).await;
    join(&mut client, "/n-1").await;
    client.expect(r#"42/n-1,["inherited"]"#).await;
}

#[tokio::test]
async fn there_are_at_most_as_many_children_as_configured() {
    let mut config = Config::default();
    config.child_namespaces_max = 2;
    let io = Io::with_config(config);
    numbered(&io);
    let mut client = Client::engine(serve(&io).await).await;
    join(&mut client, "/n-1").await;
    join(&mut client, "/n-2").await;
    assert_eq!(ask(&mut client, "/n-3").await, r#"44/n-3,{"message":"Too many namespaces"}"#);
    assert_eq!(names(&io), ["/", "/n-1", "/n-2"]);
    // What the application makes does not count, and one that goes makes room.
    io.of("/n-4");
    client.send("41/n-1,").await;
    eventually(|| io.find("/n-1").is_none()).await;
    join(&mut client, "/n-3").await;
}

#[tokio::test]
async fn a_parent_emits_to_all_its_children() {
    let io = Io::new();
    let parent = numbered(&io);
    let address = serve(&io).await;
    let (mut first, mut second) = (Client::engine(address).await, Client::engine(address).await);
    join(&mut first, "/n-1").await;
    join(&mut second, "/n-2").await;
    assert_eq!(parent.broadcast().try_emit("all", 1).unwrap(), 2);
    first.expect(r#"42/n-1,["all",1]"#).await;
    second.expect(r#"42/n-2,["all",1]"#).await;
    let socket = parent.sockets().into_iter().find(|socket| socket.namespace().name() == "/n-2").unwrap();
    assert_eq!(parent.socket(socket.id()), Some(socket.clone()));
    socket.join("r");
    parent.to("r").emit("room", ());
    second.expect(r#"42/n-2,["room"]"#).await;
    assert_eq!(parent.to("r").try_emit("room", ()).unwrap(), 1);
}

#[tokio::test]
async fn a_client_that_gives_up_leaves_no_child_behind() {
    let io = Io::new();
    let (gate, asked) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (opens, asks) = (gate.clone(), asked.clone());
    io.of_fn(move |_: String, _: Value| {
        let (opens, asks) = (opens.clone(), asks.clone());
        async move {
            asks.notify_one();
            opens.notified().await;
            true
        }
    });
    let address = serve(&io).await;
    let mut client = Client::engine(address).await;
    client.send("40/a,").await;
    asked.notified().await;
    client.send("41/a,").await;
    client.send("40").await;
    assert!(client.text().await.starts_with("40{"));
    // Asked for again while the first answer is still to come: only the second one counts.
    client.send("40/a,").await;
    asked.notified().await;
    gate.notify_waiters();
    let answer = client.text().await;
    assert!(answer.starts_with(r#"40/a,{"sid":""#), "{answer}");
    client.send("41/a,").await;
    eventually(|| io.find("/a").is_none()).await;
    // And one whose connection goes.
    let mut gone = Client::engine(address).await;
    gone.send("40/b,").await;
    asked.notified().await;
    gone.close().await;
    eventually(|| io.stats().sessions == 1).await;
    gate.notify_one();
    client.send("41").await;
    eventually(|| io.stats().sockets == 0).await;
    assert_eq!(names(&io), ["/"]);
}

#[tokio::test]
async fn a_second_connect_while_the_first_is_decided_closes() {
    let io = Io::new();
    io.of_fn(async |_: String, _: Value| std::future::pending().await);
    let mut client = Client::engine(serve(&io).await).await;
    client.send("40/a,").await;
    client.send("40/a,").await;
    client.closed().await;
    eventually(|| io.stats().sessions == 0).await;
}

#[tokio::test]
async fn a_choice_that_panics_ends_only_that_connection() {
    let io = Io::new();
    io.of_matching(|name| name.len() > 3 || panic!("the application's own fault"));
    let address = serve(&io).await;
    let (mut bystander, _) = Client::connect(address).await;
    let mut client = Client::engine(address).await;
    client.send("40/a,").await;
    client.closed().await;
    join(&mut bystander, "/abc").await;
}

#[tokio::test]
async fn nobody_is_let_in_before_the_hook_of_new_namespaces_has_returned() {
    let io = Io::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sees = seen.clone();
    io.on_new_namespace(move |namespace| {
        sees.lock().push(namespace.name().to_owned());
        namespace.on("late", async || Reply("heard"));
        namespace.on_connection(async |s: Socket| s.emit("hooked", ()));
    });
    numbered(&io);
    io.of("/static");
    let mut client = Client::engine(serve(&io).await).await;
    for name in ["/n-1", "/static"] {
        join(&mut client, name).await;
        client.expect(&format!(r#"42{name},["hooked"]"#)).await;
        client.send(&format!(r#"42{name},1["late"]"#)).await;
        client.expect(&format!(r#"43{name},1["heard"]"#)).await;
    }
    io.of("/n-2");
    assert_eq!(*seen.lock(), ["/static", "/n-1", "/n-2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clients_that_come_and_go_at_once_leave_nothing() {
    let io = Io::new();
    numbered(&io).on("ping", async || Reply(()));
    let address = serve(&io).await;
    let client = |n: usize| async move {
        let mut client = Client::engine(address).await;
        for round in 0..30 {
            let name = format!("/n-{}", (n + round) % 2);
            join(&mut client, &name).await;
            client.send(&format!(r#"42{name},1["ping"]"#)).await;
            client.expect(&format!("43{name},1[]")).await;
            client.send(&format!("41{name},")).await;
        }
    };
    let clients: Vec<_> = (0..8).map(|n| tokio::spawn(client(n))).collect();
    for client in clients {
        client.await.unwrap();
    }
    eventually(|| names(&io) == ["/"]).await;
}

#[tokio::test]
async fn a_child_stays_while_a_client_may_come_back_to_it() {
    let mut config = Config::default();
    let recovery = ConnectionStateRecovery::default();
    config.connection_state_recovery = Some(recovery);
    let io = Io::with_config(config);
    numbered(&io);
    let address = serve(&io).await;
    let mut client = Client::engine(address).await;
    let connected = ask(&mut client, "/n-1").await;
    let ids: serde_json::Value = serde_json::from_str(connected.strip_prefix("40/n-1,").unwrap()).unwrap();
    io.of("/n-1").emit("e", ());
    let event = client.text().await;
    let offset = event.strip_prefix(r#"42/n-1,["e",""#).and_then(|rest| rest.strip_suffix(r#""]"#)).unwrap();
    client.close().await;
    eventually(|| io.stats().recoverable == 1).await;
    assert_eq!(names(&io), ["/", "/n-1"]);
    let mut client = Client::engine(address).await;
    client.send(&format!(r#"40/n-1,{{"pid":{},"offset":"{offset}"}}"#, ids["pid"])).await;
    assert_eq!(client.text().await, connected);
    // The one that came back is the only one in it.
    client.send("41/n-1,").await;
    eventually(|| names(&io) == ["/"]).await;
}

/// Counts those of its kind that live.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(living: &Arc<AtomicUsize>) -> Self {
        living.fetch_add(1, SeqCst);
        Counted(living.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

#[tokio::test]
async fn who_asks_and_gives_up_again_and_again_keeps_nothing_busy() {
    let io = Io::new();
    let living = Arc::new(AtomicUsize::new(0));
    let (lives, asked) = (living.clone(), Arc::new(AtomicUsize::new(0)));
    let asks = asked.clone();
    io.of_fn(move |_: String, _: Value| {
        let counted = Counted::new(&lives);
        asks.fetch_add(1, SeqCst);
        async move {
            let _counted = counted;
            std::future::pending().await
        }
    });
    let mut client = Client::engine(serve(&io).await).await;
    for _ in 0..100 {
        client.send("40/a,").await;
        client.send("41/a,").await;
    }
    client.send("40/a,").await;
    eventually(|| asked.load(SeqCst) == 101).await;
    eventually(|| living.load(SeqCst) == 1).await;
    client.close().await;
    eventually(|| living.load(SeqCst) == 0).await;
}
