//! Events, acknowledgements and binary, both ways.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use patera::{Ack, AckError, CallError, Failure, Io, Reply, Rest, Result, Socket, State, Value};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::support::{Client, serve};

async fn check(io: &Io, sent: &str, answered: &str) {
    let (mut client, _) = Client::connect(serve(io).await).await;
    client.send(sent).await;
    client.expect(answered).await;
}

#[tokio::test]
async fn arguments_are_positional() {
    let io = Io::new();
    io.on("login", async |s: Socket, name: String, age: u8, tags: Vec<String>| s.emit("ok", (name, age, tags)));
    check(&io, r#"42["login","ada",36,["a","b"]]"#, r#"42["ok","ada",36,["a","b"]]"#).await;
}

#[tokio::test]
async fn rest_takes_what_is_left() {
    let io = Io::new();
    io.on("log", async |s: Socket, level: String, Rest(rest): Rest| s.emit("log", (level, rest.len(), rest)));
    check(&io, r#"42["log","info",1,{"a":[true]},null]"#, r#"42["log","info",3,[1,{"a":[true]},null]]"#).await;
}

#[tokio::test]
async fn emit_takes_none_one_or_several_arguments() {
    let io = Io::new();
    io.on("go", async |s: Socket| {
        s.emit("none", ());
        s.emit("one", "é😀\u{2028}");
        s.emit("several", (1, "b", [2, 3].to_vec()));
    });
    let (mut client, _) = Client::connect(serve(&io).await).await;
    client.send(r#"42["go"]"#).await;
    client.expect(r#"42["none"]"#).await;
    client.expect("42[\"one\",\"é😀\u{2028}\"]").await;
    client.expect(r#"42["several",1,"b",[2,3]]"#).await;
}

#[tokio::test]
async fn return_value_acknowledges() {
    let io = Io::new();
    io.on("add", async |a: i64, b: i64| Reply(a + b));
    check(&io, r#"420["add",1,2]"#, "430[3]").await;
}

#[tokio::test]
async fn error_of_text_acknowledges_its_text_and_others_do_not_leak() {
    let io = Io::new();
    io.on("load", async |id: u32| -> Result<Reply<String>> {
        if id == 0 {
            Err("no such id")?;
        }
        let _: u32 = "inner detail".parse()?;
        Ok(Reply(String::new()))
    });
    check(&io, r#"427["load",0]"#, r#"437[{"error":"no such id"}]"#).await;
    check(&io, r#"428["load",1]"#, r#"438[{"error":"internal error"}]"#).await;
}

#[tokio::test]
async fn wrong_arguments_are_reported_and_acknowledged() {
    let io = Io::new();
    let (failures, mut reported) = mpsc::unbounded_channel();
    io.on("add", async |a: i64, b: i64| Reply(a + b));
    io.on_error(move |_, _, failure| {
        let is_argument = matches!(failure, Failure::Call(CallError::Argument(_)));
        failures.send((is_argument, failure.to_string())).unwrap();
    });
    let (mut client, _) = Client::connect(serve(&io).await).await;
    client.send(r#"421["add",1,"two"]"#).await;
    let answer = client.text().await;
    assert!(answer.starts_with(r#"431[{"error":""#), "{answer}");
    assert!(reported.recv().await.unwrap().0);
    client.send(r#"422["add",1,2]"#).await;
    client.expect("432[3]").await;
}

#[tokio::test]
async fn ack_can_be_sent_later_and_from_elsewhere() {
    let io = Io::new();
    io.on("slow", async |query: String, ack: Ack<Vec<String>>| {
        assert!(ack.is_expected());
        tokio::spawn(async move { ack.send(vec![query]) });
    });
    check(&io, r#"425["slow","q"]"#, r#"435[["q"]]"#).await;
}

#[tokio::test]
async fn client_acknowledges_with_one_or_several_values() {
    let io = Io::new();
    io.on("go", async |s: Socket| {
        let one: String = s.emit_with_ack("one", 1).await.unwrap();
        let (a, b): (u8, String) = s.emit_with_ack("two", ()).await.unwrap();
        s.emit("done", (one, a, b));
    });
    let (mut client, _) = Client::connect(serve(&io).await).await;
    client.send(r#"42["go"]"#).await;
    client.expect(r#"420["one",1]"#).await;
    client.send(r#"430["yes","ignored"]"#).await;
    client.expect(r#"421["two"]"#).await;
    client.send(r#"431[7,"b"]"#).await;
    client.expect(r#"42["done","yes",7,"b"]"#).await;
}

#[tokio::test]
async fn acknowledgement_times_out_fails_by_type_and_by_disconnection() {
    let io = Io::new();
    let (errors, mut seen) = mpsc::unbounded_channel();
    io.on("go", move |s: Socket| {
        let errors = errors.clone();
        async move {
            let timeout = s.timeout(Duration::from_millis(1)).emit_with_ack::<()>("silence", ()).await;
            errors.send(timeout.unwrap_err()).unwrap();
            errors.send(s.emit_with_ack::<u8>("number?", ()).await.unwrap_err()).unwrap();
            errors.send(s.emit_with_ack::<u8>("bye", ()).await.unwrap_err()).unwrap();
        }
    });
    let (mut client, _) = Client::connect(serve(&io).await).await;
    client.send(r#"42["go"]"#).await;
    client.expect(r#"420["silence"]"#).await;
    assert!(matches!(seen.recv().await, Some(AckError::Timeout)));
    client.expect(r#"421["number?"]"#).await;
    client.send(r#"431["no"]"#).await;
    assert!(matches!(seen.recv().await, Some(AckError::Answer(_))));
    client.expect(r#"422["bye"]"#).await;
    client.close().await;
    assert!(matches!(seen.recv().await, Some(AckError::Disconnected)));
}

#[derive(Serialize, Deserialize)]
struct File {
    name: String,
    content: Bytes,
}

#[tokio::test]
async fn bytes_travel_inside_types_and_values() {
    let io = Io::new();
    io.on("upload", async |s: Socket, file: File| {
        s.emit("stored", &file);
        Reply(file.content.len())
    });
    io.on("echo", async |value: Value| Reply(value));
    let (mut client, _) = Client::connect(serve(&io).await).await;
    client.send(r#"451-3["upload",{"name":"a","content":{"_placeholder":true,"num":0}}]"#).await;
    client.send_binary(&[1, 2, 3]).await;
    client.expect(r#"451-["stored",{"name":"a","content":{"_placeholder":true,"num":0}}]"#).await;
    assert_eq!(client.binary().await, [1, 2, 3]);
    client.expect("433[3]").await;
    client.send(r#"452-4["echo",[{"_placeholder":true,"num":1},{"b":{"_placeholder":true,"num":0}}]]"#).await;
    client.send_binary(b"zero").await;
    client.send_binary(b"one").await;
    client.expect(r#"462-4[[{"_placeholder":true,"num":0},{"b":{"_placeholder":true,"num":1}}]]"#).await;
    assert_eq!(client.binary().await, b"one");
    assert_eq!(client.binary().await, b"zero");
}

#[tokio::test]
async fn handlers_start_in_order_and_interleave_at_their_waits() {
    let io = Io::new();
    let gate = Arc::new(tokio::sync::Notify::new());
    let opened = gate.clone();
    io.on("wait", move |s: Socket| {
        let gate = gate.clone();
        async move {
            s.emit("started", ());
            gate.notified().await;
            s.emit("ended", ());
        }
    });
    io.on("open", async move |s: Socket| {
        s.emit("opening", ());
        opened.notify_one();
    });
    let (mut client, _) = Client::connect(serve(&io).await).await;
    client.send(r#"42["wait"]"#).await;
    client.send(r#"42["open"]"#).await;
    for event in ["started", "opening", "ended"] {
        client.expect(&format!("42[\"{event}\"]")).await;
    }
}

#[tokio::test]
async fn several_handlers_of_an_event_run_the_namespaces_first() {
    let io = Io::new();
    io.on_connection(async |s: Socket| {
        s.on("x", async |s: Socket| s.emit("socket", 1));
        s.on("x", async |s: Socket| s.emit("socket", 2));
    });
    io.on("x", async |s: Socket| s.emit("namespace", ()));
    let (mut client, _) = Client::connect(serve(&io).await).await;
    client.send(r#"42["x"]"#).await;
    for event in [r#"42["namespace"]"#, r#"42["socket",1]"#, r#"42["socket",2]"#] {
        client.expect(event).await;
    }
}

#[tokio::test]
async fn state_is_the_applications() {
    let io = Io::new().with_state(Arc::new(Mutex::new(41u32)));
    io.on("count", async |State(count): State<Arc<Mutex<u32>>>| {
        *count.lock() += 1;
        Reply(*count.lock())
    });
    check(&io, r#"420["count"]"#, "430[42]").await;
}

#[tokio::test]
async fn panic_ends_only_its_own_connection() {
    let io = Io::new();
    let (failures, mut reported) = mpsc::unbounded_channel();
    io.on_error(move |socket, event, failure| {
        failures.send((socket.id().to_owned(), event == "panic" && matches!(failure, Failure::Panic))).unwrap()
    });
    io.on("panic", async |late: bool| -> () {
        if late {
            tokio::task::yield_now().await;
        }
        panic!("a handler's own fault");
    });
    io.on("echo", async |text: String| Reply(text));
    let address = serve(&io).await;
    let (mut bystander, _) = Client::connect(address).await;
    for late in [false, true] {
        let (mut client, id) = Client::connect(address).await;
        client.send(&format!(r#"42["panic",{late}]"#)).await;
        client.closed().await;
        assert_eq!(reported.recv().await, Some((id, true)));
        bystander.send(r#"421["echo","still here"]"#).await;
        bystander.expect(r#"431["still here"]"#).await;
    }
}

#[tokio::test]
async fn bytes_are_base64_for_websockets_that_ask_for_it() {
    let io = Io::new();
    io.on("echo", async |value: Value| Reply(value));
    let mut client = Client::open(serve(&io).await, "/socket.io/?EIO=4&transport=websocket&b64=1", None).await;
    client.text().await;
    client.send("40").await;
    client.text().await;
    client.send(r#"451-1["echo",{"_placeholder":true,"num":0}]"#).await;
    client.send("bAQID").await;
    client.expect(r#"461-1[{"_placeholder":true,"num":0}]"#).await;
    client.expect("bAQID").await;
}
