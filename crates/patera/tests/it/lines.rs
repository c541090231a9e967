//! Events in line: middlewares of events, and namespaces whose handlers run one after the other.

use std::sync::Arc;

use parking_lot::Mutex;
use patera::{CallError, Config, DisconnectReason, EventName, Failure, Io, Reply, Rest, Result, Socket};
use tokio::sync::{Notify, mpsc};

use crate::support::{Client, eventually, serve};

#[tokio::test]
async fn a_middleware_lets_events_through_or_refuses_them() {
    let io = Io::new();
    let (failures, mut reported) = mpsc::unbounded_channel();
    io.on_error(move |_, event, failure| {
        failures.send((event.to_owned(), matches!(failure, Failure::Refused(_)), failure.to_string())).unwrap();
    });
    io.event_middleware(async |EventName(event): EventName, Rest(args): Rest| -> Result {
        match (&*event, args.len()) {
            ("secret", _) => Err("not allowed".into()),
            ("inner", _) => Ok("x".parse::<u32>().map(drop)?),
            (_, _) => Ok(()),
        }
    });
    for event in ["open", "secret", "inner"] {
        io.on(event, async move || Reply(event));
    }
    let (mut client, _) = Client::connect(serve(&io).await).await;
    client.send(r#"421["secret"]"#).await;
    client.send(r#"42["secret"]"#).await;
    client.send(r#"422["inner"]"#).await;
    client.send(r#"423["open",1]"#).await;
    client.expect(r#"431[{"error":"not allowed"}]"#).await;
    client.expect(r#"432[{"error":"internal error"}]"#).await;
    client.expect(r#"433["open"]"#).await;
    let told = |event: &str, text: &str| Some((event.to_owned(), true, text.to_owned()));
    assert_eq!(reported.recv().await, told("secret", "not allowed"));
    assert_eq!(reported.recv().await, told("secret", "not allowed"));
    assert_eq!(reported.recv().await, told("inner", "invalid digit found in string"));
}

#[tokio::test]
async fn middlewares_run_in_order_behind_any_and_before_handlers() {
    let io = Io::new();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let say = |text: &'static str| {
        let heard = heard.clone();
        async move || {
            tokio::task::yield_now().await;
            heard.lock().push(text);
        }
    };
    let now = heard.clone();
    io.on_any(async move || now.lock().push("any"));
    io.event_middleware(say("first"));
    io.event_middleware(say("second"));
    let (mut client, _) = Client::connect(serve(&io).await).await;
    let socket = io.sockets().remove(0);
    socket.event_middleware(say("third"));
    let handled = heard.clone();
    io.on("e", async move || {
        handled.lock().push("handler");
        Reply(())
    });
    client.send(r#"421["e"]"#).await;
    client.expect("431[]").await;
    assert_eq!(*heard.lock(), ["any", "first", "second", "third", "handler"]);
}

#[tokio::test]
async fn a_slow_middleware_keeps_order_and_delays_neither_answers_nor_heartbeat_nor_the_end() {
    let io = Io::new();
    let gate = Arc::new(Notify::new());
    let (opens, (gone, mut leaves)) = (gate.clone(), mpsc::unbounded_channel());
    io.on_disconnect(async move |reason: DisconnectReason| gone.send(reason).unwrap());
    io.event_middleware(move |EventName(event): EventName| {
        let opens = opens.clone();
        async move {
            if event == "slow" {
                opens.notified().await;
            }
        }
    });
    io.on("slow", async |n: u32| Reply(n));
    io.on("fast", async |n: u32| Reply(n));
    let (mut client, _) = Client::connect(serve(&io).await).await;
    let socket = io.sockets().remove(0);
    client.send(r#"421["slow",1]"#).await;
    client.send(r#"422["fast",2]"#).await;
    // An answer passes by.
    let answer = socket.emit_with_ack::<u32>("question", ());
    client.expect(r#"420["question"]"#).await;
    client.send("430[7]").await;
    assert_eq!(answer.await.unwrap(), 7);
    gate.notify_one();
    client.expect("431[1]").await;
    client.expect("432[2]").await;
    // And so does the end; what waits then is not handled.
    client.send(r#"423["slow",3]"#).await;
    client.send(r#"424["fast",4]"#).await;
    client.send("41").await;
    assert_eq!(leaves.recv().await, Some(DisconnectReason::ClientNamespaceDisconnect));
    gate.notify_one();
    client.send("40").await;
    assert!(client.text().await.starts_with("40{"));
    client.send(r#"425["fast",5]"#).await;
    client.expect("435[5]").await;
}

#[tokio::test]
async fn arguments_that_do_not_fit_a_middleware_refuse_the_event() {
    let io = Io::new();
    let (failures, mut reported) = mpsc::unbounded_channel();
    io.on_error(move |_, event, failure| {
        failures.send((event.to_owned(), matches!(failure, Failure::Call(CallError::Argument(_))))).unwrap();
    });
    io.event_middleware(async |_: u32| {});
    io.on("e", async || Reply("handled"));
    let (mut client, _) = Client::connect(serve(&io).await).await;
    client.send(r#"421["e","text"]"#).await;
    let answer = client.text().await;
    assert!(answer.starts_with(r#"431[{"error":"argument 1"#), "{answer}");
    assert_eq!(reported.recv().await, Some(("e".to_owned(), true)));
    client.send(r#"422["e",1]"#).await;
    client.expect(r#"432["handled"]"#).await;
}

#[tokio::test]
async fn a_middleware_that_panics_ends_only_its_own_connection() {
    let io = Io::new();
    io.event_middleware(async |EventName(event): EventName| {
        if event == "late" {
            tokio::task::yield_now().await;
        }
        assert!(event == "fine", "the middleware's own fault");
    });
    io.on("fine", async || Reply(()));
    let address = serve(&io).await;
    let (mut bystander, _) = Client::connect(address).await;
    for event in ["early", "late"] {
        let (mut client, _) = Client::connect(address).await;
        client.send(&format!(r#"42["{event}"]"#)).await;
        client.closed().await;
        bystander.send(r#"421["fine"]"#).await;
        bystander.expect("431[]").await;
    }
}

/// Handlers that say when they start and end, and wait for the gate in between.
fn gated(io: &Io) -> (Arc<Notify>, Arc<Mutex<Vec<String>>>) {
    let (gate, heard) = (Arc::new(Notify::new()), Arc::new(Mutex::new(Vec::new())));
    for handler in ["a", "b"] {
        let (gate, heard) = (gate.clone(), heard.clone());
        io.on("e", move |n: u32| {
            let (gate, heard) = (gate.clone(), heard.clone());
            async move {
                heard.lock().push(format!("{handler}{n}"));
                gate.notified().await;
                heard.lock().push(format!("{handler}{n} ended"));
                Reply(n)
            }
        });
    }
    (gate, heard)
}

#[tokio::test]
async fn sequential_handlers_end_before_the_next_start() {
    let io = Io::new();
    io.sequential();
    let (gate, heard) = gated(&io);
    io.on("quick", async || Reply("quick"));
    let (mut client, _) = Client::connect(serve(&io).await).await;
    client.send(r#"421["e",1]"#).await;
    client.send(r#"422["e",2]"#).await;
    client.send(r#"423["quick"]"#).await;
    let expected = ["a1", "a1 ended", "b1", "b1 ended", "a2", "a2 ended", "b2", "b2 ended"];
    for n in 0..4 {
        eventually(|| heard.lock().len() == 2 * n + 1).await;
        gate.notify_one();
    }
    // Both acknowledge; the client would see the first.
    for answer in ["431[1]", "431[1]", "432[2]", "432[2]", r#"433["quick"]"#] {
        client.expect(answer).await;
    }
    assert_eq!(*heard.lock(), expected);
}

#[tokio::test]
async fn without_it_handlers_run_side_by_side() {
    let io = Io::new();
    let (gate, heard) = gated(&io);
    let (mut client, _) = Client::connect(serve(&io).await).await;
    client.send(r#"42["e",1]"#).await;
    client.send(r#"42["e",2]"#).await;
    eventually(|| heard.lock().len() == 4).await;
    assert_eq!(*heard.lock(), ["a1", "b1", "a2", "b2"]);
    gate.notify_waiters();
}

#[tokio::test]
async fn sockets_do_not_wait_for_each_other() {
    let io = Io::new();
    io.sequential();
    let (gate, heard) = gated(&io);
    let address = serve(&io).await;
    let (mut first, _) = Client::connect(address).await;
    let (mut second, _) = Client::connect(address).await;
    first.send(r#"42["e",1]"#).await;
    second.send(r#"42["e",2]"#).await;
    eventually(|| heard.lock().len() == 2).await;
    gate.notify_waiters();
}

#[tokio::test]
async fn a_sequential_handler_may_await_the_clients_answer() {
    let io = Io::new();
    io.of("/s").sequential().on("ask", async |s: Socket| {
        let answer: u32 = s.emit_with_ack("question", ()).await.unwrap();
        Reply(answer)
    });
    let mut client = Client::engine(serve(&io).await).await;
    client.send("40/s,").await;
    client.text().await;
    client.send(r#"42/s,1["ask"]"#).await;
    client.send(r#"42/s,2["ask"]"#).await;
    for n in 0..2 {
        client.expect(&format!(r#"42/s,{n}["question"]"#)).await;
        client.send(&format!("43/s,{n}[{n}]")).await;
        client.expect(&format!("43/s,{}[{n}]", n + 1)).await;
    }
}

#[tokio::test]
async fn once_in_line_is_once() {
    let io = Io::new();
    io.sequential();
    let heard = Arc::new(Mutex::new(0));
    let hears = heard.clone();
    io.once("e", async move || *hears.lock() += 1);
    io.on("e", async || Reply(()));
    let (mut client, _) = Client::connect(serve(&io).await).await;
    for _ in 0..3 {
        client.send(r#"421["e"]"#).await;
        client.expect("431[]").await;
    }
    assert_eq!(*heard.lock(), 1);
}

/// Sends events until the server reads no more; how many it has taken in.
async fn fill(config: Config, payload: &str) -> usize {
    let io = Io::with_config(config);
    io.sequential();
    let (gate, started) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (opens, starts) = (gate.clone(), started.clone());
    io.on("first", move || {
        let (opens, starts) = (opens.clone(), starts.clone());
        async move {
            starts.notify_one();
            opens.notified().await;
        }
    });
    let handled = Arc::new(Mutex::new(0));
    let handles = handled.clone();
    io.on("next", async move || {
        *handles.lock() += 1;
        Reply(())
    });
    let (mut client, _) = Client::connect(serve(&io).await).await;
    client.send(r#"42["first"]"#).await;
    started.notified().await;
    let before = io.stats().packets_in;
    for n in 0..20 {
        client.send(&format!(r#"42{n}["next","{payload}"]"#)).await;
    }
    // A stats snapshot that stays the same over many turns of the session.
    let mut last = (0, 0);
    while last.1 < 200 {
        tokio::task::yield_now().await;
        let taken = io.stats().packets_in - before;
        last = if taken == last.0 && taken > 0 { (taken, last.1 + 1) } else { (taken, 0) };
    }
    assert_eq!(*handled.lock(), 0);
    gate.notify_one();
    for n in 0..20 {
        client.expect(&format!("43{n}[]")).await;
    }
    usize::try_from(last.0).unwrap()
}

#[tokio::test]
async fn what_waits_is_bounded_in_number_and_bytes() {
    let mut config = Config::default();
    config.pending_handlers_max = 5;
    // The handler that waits is one of them.
    assert_eq!(fill(config, "").await, 4);
    let mut config = Config::default();
    config.max_http_buffer_size = 10_000;
    let payload = "x".repeat(4998);
    // 5,000 bytes each with the quotes: two fit exactly, the third is one too many.
    assert_eq!(fill(config, &payload).await, 3);
}
