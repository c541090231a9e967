//! Handlers that come and go: `once`, `off`, those of any event, those of what is sent, those of a socket's end.

use std::sync::Arc;

use parking_lot::Mutex;
use patera::{AckError, DisconnectDetails, DisconnectReason, EventName, Failure, Io, Reply, Rest, Socket, Value};
use tokio::sync::mpsc;

use crate::support::{Client, Polling, serve};

/// What was heard, in order.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    fn say(&self, text: impl Into<String>) {
        self.0.lock().push(text.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock())
    }
}

/// Sends events, and an acknowledged one behind them: when that is answered, the others have been handled.
async fn send_all(client: &mut Client, events: &[&str]) {
    for event in events {
        client.send(event).await;
    }
    client.send(r#"4299["sync"]"#).await;
    client.expect("4399[]").await;
}

fn synced() -> Io {
    let io = Io::new();
    io.on("sync", async || Reply(()));
    io
}

#[tokio::test]
async fn once_is_called_once_on_a_socket() {
    let io = synced();
    let heard = Heard::default();
    let hears = heard.clone();
    io.on_connection(async move |s: Socket| {
        let (once, always) = (hears.clone(), hears);
        s.once("e", async move |n: u8| once.say(format!("once {n}")));
        s.on("e", async move |n: u8| always.say(format!("always {n}")));
    });
    let (mut client, _) = Client::connect(serve(&io).await).await;
    send_all(&mut client, &[r#"42["e",1]"#, r#"42["e",2]"#]).await;
    assert_eq!(heard.take(), ["once 1", "always 1", "always 2"]);
}

#[tokio::test]
async fn once_on_a_namespace_is_one_call_among_all_sockets() {
    let io = synced();
    let heard = Heard::default();
    let hears = heard.clone();
    io.once("e", async move |s: Socket| hears.say(s.id()));
    let address = serve(&io).await;
    let (mut first, id) = Client::connect(address).await;
    let (mut second, _) = Client::connect(address).await;
    send_all(&mut first, &[r#"42["e"]"#]).await;
    send_all(&mut second, &[r#"42["e"]"#]).await;
    send_all(&mut first, &[r#"42["e"]"#]).await;
    assert_eq!(heard.take(), [id]);
}

#[tokio::test]
async fn once_can_emit_its_own_event_again_and_register_anew() {
    let io = synced();
    let heard = Heard::default();
    let hears = heard.clone();
    io.on_connection(async move |s: Socket| {
        s.once("e", async move |s: Socket| {
            hears.say("first");
            s.once("e", async move || hears.say("second"));
        });
    });
    let (mut client, _) = Client::connect(serve(&io).await).await;
    send_all(&mut client, &[r#"42["e"]"#, r#"42["e"]"#, r#"42["e"]"#]).await;
    assert_eq!(heard.take(), ["first", "second"]);
}

#[tokio::test]
async fn off_removes_by_id_by_event_and_all() {
    let io = synced();
    let heard = Heard::default();
    let say = |text: &'static str| {
        let heard = heard.clone();
        async move || heard.say(text)
    };
    let one = io.on("e", say("one"));
    io.on("e", say("two"));
    io.on("f", say("f"));
    let (mut client, _) = Client::connect(serve(&io).await).await;
    let events = [r#"42["e"]"#, r#"42["f"]"#];
    send_all(&mut client, &events).await;
    assert_eq!(heard.take(), ["one", "two", "f"]);
    assert!(io.off(one) && !io.off(one));
    send_all(&mut client, &events).await;
    assert_eq!(heard.take(), ["two", "f"]);
    assert!(io.off_event("e") && !io.off_event("e"));
    let socket = io.sockets().remove(0);
    socket.on("e", say("own e"));
    socket.on("g", say("own g"));
    assert!(!io.off_event("g"));
    send_all(&mut client, &events).await;
    assert_eq!(heard.take(), ["own e", "f"]);
    socket.off_all();
    io.off_all();
    io.on("sync", async || Reply(()));
    send_all(&mut client, &[r#"42["e"]"#, r#"42["f"]"#, r#"42["g"]"#]).await;
    assert_eq!(heard.take(), [""; 0]);
}

#[tokio::test]
async fn off_drops_what_the_handler_holds() {
    let io = synced();
    let (mut client, _) = Client::connect(serve(&io).await).await;
    let socket = io.sockets().remove(0);
    let held = Arc::new(());
    for of_socket in [true, false] {
        let holds = held.clone();
        let handler = async move || drop(holds);
        let id = if of_socket { socket.on("e", handler) } else { io.on("e", handler) };
        assert_eq!(Arc::strong_count(&held), 2);
        assert!(if of_socket { socket.off(id) } else { io.off(id) });
        send_all(&mut client, &[r#"42["e"]"#]).await;
        assert_eq!(Arc::strong_count(&held), 1);
    }
}

#[tokio::test]
async fn any_hears_every_event_first_and_in_order() {
    let io = synced();
    let heard = Heard::default();
    let say = |text: &'static str| {
        let heard = heard.clone();
        async move |EventName(event): EventName, Rest(args): Rest| heard.say(format!("{text} {event} {}", args.len()))
    };
    io.on("e", say("on"));
    let second = io.on_any(say("second"));
    io.prepend_any(say("first"));
    let (mut client, _) = Client::connect(serve(&io).await).await;
    let socket = io.sockets().remove(0);
    socket.on_any(say("fourth"));
    socket.prepend_any(say("third"));
    send_all(&mut client, &[r#"42["e",1,2]"#]).await;
    let each = ["first", "second", "third", "fourth"];
    let mut all: Vec<_> = each.iter().map(|text| format!("{text} e 2")).collect();
    all.push("on e 2".to_owned());
    all.extend(each.iter().map(|text| format!("{text} sync 0")));
    assert_eq!(heard.take(), all);
    assert!(io.off(second));
    socket.off_any();
    send_all(&mut client, &[r#"42["unknown"]"#]).await;
    assert_eq!(heard.take(), ["first unknown 0", "first sync 0"]);
    io.off_any();
    send_all(&mut client, &[r#"42["unknown"]"#]).await;
    assert_eq!(heard.take(), [""; 0]);
}

#[tokio::test]
async fn any_that_does_not_fit_leaves_the_acknowledgement_to_the_handler() {
    let io = synced();
    let (failures, mut reported) = mpsc::unbounded_channel();
    io.on_error(move |_, event, failure| {
        failures.send((event.to_owned(), matches!(failure, Failure::Call(_)))).unwrap();
    });
    io.on_any(async |_: u64| {});
    io.on("e", async |text: String| Reply(text));
    let (mut client, _) = Client::connect(serve(&io).await).await;
    client.send(r#"421["e","text"]"#).await;
    client.expect(r#"431["text"]"#).await;
    assert_eq!(reported.recv().await, Some(("e".to_owned(), true)));
}

#[tokio::test]
async fn outgoing_hooks_hear_emits_broadcasts_and_questions() {
    let io = synced();
    let heard = Heard::default();
    let hears = heard.clone();
    io.on_any_outgoing(move |socket: &Socket, event: &str, args: &[Value]| {
        // No lock is held: the socket can be used.
        socket.rooms();
        hears.say(format!("{event} {args:?}"));
    });
    let address = serve(&io).await;
    let (mut client, _) = Client::connect(address).await;
    let socket = io.sockets().remove(0);
    let own = heard.clone();
    let id = socket.on_any_outgoing(move |_, event, _| own.say(format!("own {event}")));
    let first = heard.clone();
    socket.prepend_any_outgoing(move |_, event, _| first.say(format!("own first {event}")));

    socket.emit("direct", (1, bytes::Bytes::from_static(b"b")));
    let direct = [Value::from(1), Value::from(&b"b"[..])];
    assert_eq!(heard.take(), [format!("direct {direct:?}"), "own first direct".into(), "own direct".into()]);
    assert!(socket.off(id));
    io.emit("all", "x");
    let all = [Value::from("x")];
    assert_eq!(heard.take(), [format!("all {all:?}"), "own first all".into()]);
    drop(socket.emit_with_ack::<()>("question", ()));
    assert_eq!(heard.take(), ["question []", "own first question"]);
    socket.off_any_outgoing();
    socket.to("nobody").emit("nothing", ());
    assert!(socket.try_emit("connect", ()).is_err());
    assert_eq!(heard.take(), [""; 0]);
    io.off_any_outgoing();
    socket.emit("unheard", ());
    assert_eq!(heard.take(), [""; 0]);
    for expected in [r#"451-["direct",1,{"_placeholder":true,"num":0}]"#, "", r#"42["all","x"]"#] {
        match expected {
            "" => assert_eq!(client.binary().await, b"b"),
            text => client.expect(text).await,
        }
    }
}

#[tokio::test]
async fn disconnecting_sees_the_rooms_and_disconnect_does_not() {
    let io = Io::new();
    let (heard, mut hears) = mpsc::unbounded_channel();
    let disconnecting = heard.clone();
    io.on_connection(async move |s: Socket| {
        s.join(["a", "b"]);
        let own = disconnecting.clone();
        s.on_disconnecting(async move |s: Socket, reason: DisconnectReason| {
            let mut rooms = s.rooms();
            rooms.sort();
            own.send(format!("own disconnecting {rooms:?} {reason}")).unwrap();
        });
    });
    let all = heard.clone();
    io.on_disconnecting(async move |s: Socket| all.send(format!("disconnecting {}", s.rooms().len())).unwrap());
    io.on_disconnect(async move |s: Socket| heard.send(format!("disconnect {}", s.rooms().len())).unwrap());
    let (mut client, _) = Client::connect(serve(&io).await).await;
    client.send("41").await;
    for expected in ["disconnecting 2", r#"own disconnecting ["a", "b"] client namespace disconnect"#, "disconnect 0"] {
        assert_eq!(hears.recv().await.unwrap(), expected);
    }
}

/// What the disconnect handlers are told when `end` has ended the connection.
async fn details_of<F: Future<Output = ()>>(
    end: impl FnOnce(std::net::SocketAddr) -> F,
) -> (String, DisconnectDetails) {
    let io = Io::new();
    let (told, mut heard) = mpsc::unbounded_channel();
    io.on_disconnect(async move |reason: DisconnectReason, details: DisconnectDetails| {
        told.send((reason.to_string(), details)).unwrap();
    });
    end(serve(&io).await).await;
    heard.recv().await.unwrap()
}

#[tokio::test]
async fn details_tell_the_clients_close_code() {
    let (reason, details) =
        details_of(async |address| Client::connect(address).await.0.close_with(4001, "bored").await).await;
    assert_eq!((&*reason, details.close_code()), ("transport close", Some(4001)));
    assert_eq!(details.description(), Some("bored"));
}

#[tokio::test]
async fn details_tell_which_rule_was_broken() {
    let (reason, details) = details_of(async |address| {
        let (mut client, _) = Client::connect(address).await;
        client.send(r#"42["e",}"#).await;
        client.closed().await;
    })
    .await;
    assert_eq!((&*reason, details.close_code()), ("forced close", None));
    assert!(details.description().is_some_and(|text| !text.is_empty()), "{details:?}");
}

#[tokio::test]
async fn details_tell_of_overlapping_polls() {
    let (reason, details) = details_of(async |address| {
        let polling = Polling::connect(address).await;
        let statuses = tokio::join!(polling.get(), polling.get());
        assert!([statuses.0.status, statuses.1.status].contains(&400));
    })
    .await;
    assert_eq!(&*reason, "transport error");
    assert_eq!(details.description(), Some("overlap from client"));
}

#[tokio::test]
async fn details_of_leaving_a_namespace_are_empty() {
    let (reason, details) = details_of(async |address| {
        let (mut client, _) = Client::connect(address).await;
        client.send("41").await;
        client.close().await;
    })
    .await;
    assert_eq!(reason, "client namespace disconnect");
    assert_eq!(details, DisconnectDetails::default());
}

#[tokio::test]
async fn an_answer_of_unknown_length_is_read_as_a_whole() {
    let io = Io::new();
    io.on("go", async |s: Socket| {
        for _ in 0..3 {
            let Rest(answer) = s.emit_with_ack("question", ()).await.unwrap();
            s.emit("answer", (answer.len(), answer));
        }
        let error = s.emit_with_ack::<(u8,)>("question", ()).await.unwrap_err();
        assert!(matches!(error, AckError::Answer(_)));
    });
    let (mut client, _) = Client::connect(serve(&io).await).await;
    client.send(r#"42["go"]"#).await;
    for (id, answer, expected) in
        [(0, "[]", "0,[]"), (1, "[1]", "1,[1]"), (2, r#"["a",null,{"b":2}]"#, r#"3,["a",null,{"b":2}]"#)]
    {
        client.expect(&format!(r#"42{id}["question"]"#)).await;
        client.send(&format!("43{id}{answer}")).await;
        client.expect(&format!(r#"42["answer",{expected}]"#)).await;
    }
}
