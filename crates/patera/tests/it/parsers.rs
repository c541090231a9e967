//! Other parsers than JSON: MessagePack as `socket.io-msgpack-parser` speaks it, and parsers of users.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use patera::parser::{Decoder, Error, Message, MessagePack, OwnedMessage, Packet, PacketType, Parser};
use patera::{
    Answers, Config, ConnectionConfig, ConnectionStateRecovery, DisconnectDetails, DisconnectReason, EmitError, Io,
    Reply, Rest, Socket, Value,
};
use serde::ser::{Serialize, SerializeTuple as _, Serializer};
use tokio::sync::mpsc;

use crate::support::{self, Polling, eventually, serve};

/// What follows the arguments of these tests: an attachment.
const FIRST: &str = r#"{"_placeholder":true,"num":0}"#;

fn server(parser: impl Parser, change: impl FnOnce(&mut Config)) -> Io {
    let mut config = Config::default();
    config.parser = Some(Arc::new(parser));
    change(&mut config);
    let io = Io::with_config(config);
    io.on("echo", async |Rest(args): Rest| Reply(Several(args)));
    io.on("back", async |socket: Socket, value: Value| socket.emit("back", value));
    io.on("join", async |socket: Socket, room: String| {
        socket.join(room);
        Reply(())
    });
    io
}

/// A tuple whose length is only known now.
struct Several(Vec<Value>);

impl Serialize for Several {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        self.0.iter().try_for_each(|value| tuple.serialize_element(value))?;
        tuple.end()
    }
}

fn to_message(text: &str, attachments: &[&[u8]]) -> Bytes {
    let attachments: Vec<Bytes> = attachments.iter().map(|data| Bytes::copy_from_slice(data)).collect();
    MessagePack::encode(&Packet::of_text(text, &attachments).unwrap())
}

/// The text form of a message, and its attachments.
fn to_text(message: &[u8]) -> (String, Vec<Bytes>) {
    let packet = MessagePack::decode(Message::Binary(message), &ConnectionConfig::default()).unwrap();
    (packet.to_text().unwrap(), packet.attachments().to_vec())
}

/// A client that speaks MessagePack; the tests say packets as text, which are easier to read.
struct Client(support::Client);

impl Client {
    async fn connect(address: SocketAddr) -> Self {
        let mut client = Client(support::Client::engine(address).await);
        client.say("0", &[]).await;
        let (text, _) = client.packet().await;
        assert!(text.starts_with(r#"0{"sid":"#), "{text}");
        client
    }

    async fn say(&mut self, text: &str, attachments: &[&[u8]]) {
        self.0.send_binary(&to_message(text, attachments)).await;
    }

    async fn packet(&mut self) -> (String, Vec<Bytes>) {
        to_text(&self.0.binary().await)
    }

    async fn expect(&mut self, text: &str, attachments: &[&[u8]]) {
        let (got, bytes) = self.packet().await;
        assert_eq!(
            (&*got, &bytes[..]),
            (text, &attachments.iter().map(|data| Bytes::copy_from_slice(data)).collect::<Vec<_>>()[..])
        );
    }
}

#[tokio::test]
async fn messagepack_has_the_bytes_of_the_official_parser() {
    let io = server(MessagePack, |_| {});
    io.of("/admin").on("x", async |data: Bytes| Reply(data));
    let address = serve(&io).await;
    let mut client = support::Client::engine(address).await;
    client.send_binary(b"\x82\xa4type\x00\xa3nsp\xa1/").await;
    let connected = client.binary().await;
    assert!(connected.starts_with(b"\x83\xa4type\x00\xa3nsp\xa1/\xa4data\x81\xa3sid\xb4"), "{connected:?}");
    io.emit("hello", (1, serde_json::json!({"a": true})));
    assert_eq!(client.binary().await, b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x93\xa5hello\x01\x81\xa1a\xc3");
    // The client of JavaScript says more, and leaves data that is undefined where it is.
    client.send_binary(b"\x84\xa4type\x00\xa3nsp\xa6/admin\xa4data\xd4\x00\x00\xa7options\x81\xa8compress\xc3").await;
    let connected = client.binary().await;
    assert!(connected.starts_with(b"\x83\xa4type\x00\xa3nsp\xa6/admin\xa4data\x81\xa3sid"), "{connected:?}");
    client.send_binary(b"\x84\xa4type\x02\xa3nsp\xa6/admin\xa4data\x92\xa1x\xc4\x02\x01\x02\xa2id\x0d").await;
    assert_eq!(client.binary().await, b"\x84\xa4type\x03\xa3nsp\xa6/admin\xa4data\x91\xc4\x02\x01\x02\xa2id\x0d");
    for socket in io.of("/admin").sockets() {
        socket.disconnect();
    }
    assert_eq!(client.binary().await, b"\x82\xa4type\x01\xa3nsp\xa6/admin");
    // A namespace that is not there.
    client.send_binary(b"\x82\xa4type\x00\xa3nsp\xa2/x").await;
    let refused = b"\x83\xa4type\x04\xa3nsp\xa2/x\xa4data\x81\xa7message\xb1Invalid namespace";
    assert_eq!(client.binary().await, refused);
}

#[tokio::test]
async fn events_bytes_and_acknowledgements_go_both_ways() {
    let io = server(MessagePack, |_| {});
    io.on("ask me", async |socket: Socket| {
        let (text, data): (String, Bytes) = socket.emit_with_ack("question", Bytes::from_static(b"q")).await.unwrap();
        Reply((text, data))
    });
    let mut client = Client::connect(serve(&io).await).await;
    client.say(r#"27["echo","é",[1.5,null,{"a":[-7]}]]"#, &[]).await;
    client.expect(r#"37["é",[1.5,null,{"a":[-7]}]]"#, &[]).await;
    client.say(&format!(r#"51-["back",{{"deep":[{FIRST}]}}]"#), &[b"abc"]).await;
    client.expect(&format!(r#"51-["back",{{"deep":[{FIRST}]}}]"#), &[b"abc"]).await;
    client.say(r#"29["ask me"]"#, &[]).await;
    client.expect(&format!(r#"51-0["question",{FIRST}]"#), &[b"q"]).await;
    client.say(&format!(r#"61-0["answer",{FIRST}]"#), &[b"a"]).await;
    client.expect(&format!(r#"61-9["answer",{FIRST}]"#), &[b"a"]).await;
    // Text is the JSON of a packet.
    client.0.send(r#"4{"type":2,"nsp":"/","data":["echo",1],"id":3}"#).await;
    client.expect("33[1]", &[]).await;
}

#[tokio::test]
async fn over_polling_messagepack_is_base64() {
    let io = server(MessagePack, |_| {});
    let address = serve(&io).await;
    let polling = Polling::open(address).await;
    let body = |text: &str, data: &[&[u8]]| format!("b{}", STANDARD.encode(to_message(text, data)));
    assert_eq!(polling.post(&body("0", &[])).await.brief(), (200, "ok"));
    let connected = polling.get().await.body;
    let (connected, _) = to_text(&STANDARD.decode(connected.strip_prefix('b').unwrap()).unwrap());
    assert!(connected.starts_with(r#"0{"sid":"#), "{connected}");
    let events = [body(r#"21["echo",1]"#, &[]), body(&format!(r#"51-["back",{FIRST}]"#), &[b"abc"])].join("\x1e");
    assert_eq!(polling.post(&events).await.brief(), (200, "ok"));
    let answers = [body("31[1]", &[]), body(&format!(r#"51-["back",{FIRST}]"#), &[b"abc"])].join("\x1e");
    assert_eq!(polling.get().await.body, answers);
}

#[tokio::test]
async fn clients_of_engine_io_3_speak_it_too() {
    let io = server(MessagePack, |config| config.allow_eio3 = true);
    io.of("/chat").middleware(async |socket: Socket| {
        if socket.auth()["token"].as_str() == Some("x") { Ok(()) } else { Err(patera::Error::from("no")) }
    });
    let address = serve(&io).await;
    let mut client = support::Client::open(address, "/socket.io/?EIO=3&transport=websocket", None).await;
    assert!(client.text().await.starts_with('0'));
    let message = |text: &str| [b"\x04", &to_message(text, &[])[..]].concat();
    assert_eq!(client.binary().await, message("0"));
    client.send_binary(&message(r#"21["echo","é"]"#)).await;
    assert_eq!(client.binary().await, message(r#"31["é"]"#));
    client.send_binary(&message("0/chat?token=x,")).await;
    assert_eq!(client.binary().await, message("0/chat,"));
    client.send_binary(&message("1/chat,")).await;
    client.send_binary(&message("0/chat?token=y,")).await;
    assert_eq!(client.binary().await, message(r#"4/chat,"no""#));
}

#[tokio::test]
async fn plain_websockets_keep_their_json() {
    let io = server(MessagePack, |_| {});
    io.native("/ws");
    let address = serve(&io).await;
    let mut native = support::Client::open(address, "/ws", Some("patera.json")).await;
    native.text().await;
    let mut client = Client::connect(address).await;
    io.emit("news", ("é", Bytes::from_static(&[1, 2, 3])));
    native.expect(r#"{"event":"news","args":["é",{"base64":"AQID"}]}"#).await;
    client.expect(&format!(r#"51-["news","é",{FIRST}]"#), &[&[1, 2, 3]]).await;
    native.send(r#"{"event":"echo","args":[1],"ack":1}"#).await;
    native.expect(r#"{"args":[1],"ack":1}"#).await;
}

#[tokio::test]
async fn missed_events_come_in_messagepack() {
    let io = server(MessagePack, |config| {
        config.connection_state_recovery = Some(ConnectionStateRecovery::default());
    });
    io.native("/ws");
    let address = serve(&io).await;
    let mut native = support::Client::open(address, "/ws", Some("patera.json")).await;
    native.text().await;
    let mut client = Client(support::Client::engine(address).await);
    client.say("0", &[]).await;
    let (connected, _) = client.packet().await;
    let ids: serde_json::Value = serde_json::from_str(&connected[1..]).unwrap();
    client.say(r#"20["join","room"]"#, &[]).await;
    client.expect("30[]", &[]).await;
    let event = async |client: &mut Client| {
        let (text, attachments) = client.packet().await;
        let at = text.find('[').unwrap();
        let mut event: Vec<serde_json::Value> = serde_json::from_str(&text[at..]).unwrap();
        let offset = event.pop().unwrap();
        (serde_json::json!(event), attachments, offset)
    };
    io.to("room").emit("e", 1);
    io.emit("all", Bytes::from_static(b"x"));
    let (first, _, _) = event(&mut client).await;
    let (all, attachments, offset) = event(&mut client).await;
    assert_eq!((first, attachments), (serde_json::json!(["e", 1]), vec![Bytes::from_static(b"x")]));
    assert_eq!(all[0], "all");
    // Who cannot come back gets no offset.
    native.expect(r#"{"event":"all","args":[{"base64":"eA=="}]}"#).await;
    drop(client);
    eventually(|| io.stats().sessions == 1).await;
    io.to("room").emit("e", (2, Bytes::from_static(b"y")));
    let mut client = Client(support::Client::engine(address).await);
    client.say(&format!(r#"0{{"pid":{},"offset":{offset}}}"#, ids["pid"]), &[]).await;
    let (connected, _) = client.packet().await;
    assert_eq!(connected[1..].parse::<serde_json::Value>().unwrap(), ids);
    let (missed, attachments, _) = event(&mut client).await;
    assert_eq!((&missed[0], &missed[1]), (&"e".into(), &2.into()));
    assert_eq!(attachments, [&b"y"[..]]);
}

/// What a server says of a client that sends this: the reason and the description of its end.
async fn refusal(change: impl FnOnce(&mut Config), text: Option<&str>, message: &[u8]) -> (DisconnectReason, String) {
    let io = server(MessagePack, change);
    let (sender, mut ends) = mpsc::unbounded_channel();
    io.on_disconnect(async move |reason: DisconnectReason, details: DisconnectDetails| {
        let description = details.description().unwrap_or_default().to_owned();
        sender.send((reason, description)).unwrap();
    });
    let mut client = Client::connect(serve(&io).await).await;
    match text {
        Some(text) => client.0.send(text).await,
        None => client.0.send_binary(message).await,
    }
    client.0.closed().await;
    ends.recv().await.unwrap()
}

#[tokio::test]
async fn what_is_no_packet_ends_the_connection() {
    for (text, message, description) in [
        (Some(r#"42["echo",1]"#), &b""[..], "invalid payload"),
        (Some("40"), b"", "invalid payload"),
        (None, b"", "invalid payload"),
        (None, b"\xdf\xff\xff\xff\xff", "invalid payload"),
        (None, b"\x82\xa4type\x05\xa3nsp\xa1/", "unknown packet type"),
        (None, b"\x83\xa4type\x02\xa3nsp\xa3a/b\xa4data\x91\xa1x", "invalid namespace name"),
        (None, b"\x83\xa4type\x02\xa3nsp\xa2/b\xa4data\x91\xa1x", "packet for a namespace that is not connected"),
        (None, b"\x83\xa4type\x00\xa3nsp\xa2/b\xa4data\x81\xa1x\xc4\x01x", "illegal number of attachments"),
        (None, b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x91\xaadisconnect", "event name is reserved"),
        (None, b"\x84\xa4type\x02\xa3nsp\xa1/\xa4data\x91\xa1x\xa2id\xff", "illegal acknowledgement id"),
    ] {
        let (reason, told) = refusal(|_| {}, text, message).await;
        assert_eq!((reason, &*told), (DisconnectReason::ForcedClose, description), "{text:?} {message:?}");
    }
}

#[tokio::test]
async fn limits_are_those_of_json() {
    let limit = |config: &mut Config| {
        config.protocol.arguments_max = 2;
        config.protocol.attachments_max = 2;
        config.protocol.json_depth_max = 3;
        config.protocol.event_name_bytes_max = 4;
    };
    let io = server(MessagePack, limit);
    let mut client = Client::connect(serve(&io).await).await;
    let two = [&b"a"[..], b"b"];
    let both = r#"{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}"#;
    client.say(r#"21["echo",1,[[]]]"#, &[]).await;
    client.expect("31[1,[[]]]", &[]).await;
    client.say(&format!(r#"52-2["echo",{both}]"#), &two).await;
    client.expect(&format!("62-2[{both}]"), &two).await;
    let three =
        r#"53-["echo",[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1},{"_placeholder":true,"num":2}]]"#;
    for (text, attachments, description) in [
        (r#"2["echo",1,2,3]"#, &[][..], "arguments exceed the limit of 2"),
        (r#"2["echo",[[[]]]]"#, &[], "levels of json exceed the limit of 3"),
        (r#"2["echos"]"#, &[], "bytes of the event name exceed the limit of 4"),
        (three, &[&b""[..], b"", b""], "attachments exceed the limit of 2"),
    ] {
        let (reason, told) = refusal(limit, None, &to_message(text, attachments)).await;
        assert_eq!((reason, &*told), (DisconnectReason::ForcedClose, description), "{text}");
    }
}

#[tokio::test]
async fn an_outbox_holds_what_messages_count() {
    // One item larger than the limit is taken by an empty outbox, and nothing behind it.
    let fill = |parser: Option<Arc<dyn Parser>>, size: usize| {
        let mut config = Config::default();
        config.parser = parser;
        config.outbox_bytes_max = 30_000;
        let io = Io::with_config(config);
        let (sender, receiver) = std::sync::mpsc::channel();
        io.on_connection(move |socket: Socket| {
            let sender = sender.clone();
            async move {
                // Control characters have six bytes in JSON.
                let text = "\u{1}".repeat(size);
                let sent: Vec<Result<(), EmitError>> = (0..2).map(|_| socket.try_emit("e", &text)).collect();
                sender.send(sent).unwrap();
            }
        });
        (io, receiver)
    };
    for (parser, fits) in [(None, false), (Some(Arc::new(MessagePack) as Arc<dyn Parser>), true)] {
        let is_packed = parser.is_some();
        let (io, sent) = fill(parser, 10_000);
        let address = serve(&io).await;
        let polling = Polling::open(address).await;
        let connect = if is_packed { format!("b{}", STANDARD.encode(to_message("0", &[]))) } else { "40".to_owned() };
        assert_eq!(polling.post(&connect).await.brief(), (200, "ok"));
        let sent = sent.try_recv().unwrap();
        assert_eq!(sent.iter().all(Result::is_ok), fits, "{sent:?}");
    }
}

/// Text in two messages, the header and the data as JSON: `2 /chat 7`, `["hello"]`. It has no bytes. It counts what it is asked.
#[derive(Clone, Default)]
struct Lines {
    encoded: Arc<AtomicUsize>,
    /// Who is asked to emit while a packet is written.
    io: Arc<OnceLock<Io>>,
}

impl Parser for Lines {
    fn encode(&self, packet: &Packet<'_>) -> Vec<OwnedMessage> {
        assert!(!packet.json().starts_with(r#"["panic""#), "asked to");
        if packet.json().starts_with(r#"["silence""#) {
            return Vec::new();
        }
        self.encoded.fetch_add(1, Ordering::Relaxed);
        if packet.json().starts_with(r#"["reentrant""#)
            && let Some(io) = self.io.get()
        {
            io.sockets().iter().for_each(|socket| socket.join("from within"));
            io.to("from within").emit("inner", io.stats().sessions);
        }
        let id = packet.id().map_or("-".to_owned(), |id| id.to_string());
        let header = format!("{} {} {id}", packet.kind().number(), packet.namespace());
        vec![OwnedMessage::Text(header), OwnedMessage::Text(packet.json().to_owned())]
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(LinesDecoder(None))
    }
}

/// The header that came, until its data is there.
struct LinesDecoder(Option<Packet<'static>>);

impl Decoder for LinesDecoder {
    fn decode(&mut self, message: Message<'_>, _: &ConnectionConfig) -> Result<Option<Packet<'static>>, Error> {
        let Message::Text(text) = message else { return Err(Error::UnexpectedBinary) };
        assert_ne!(text, "panic", "asked to");
        if let Some(packet) = self.0.take() {
            return Ok(Some(packet.with_json(text.to_owned(), Vec::new())));
        }
        let mut words = text.split(' ').map(str::to_owned);
        let (Some(kind), Some(namespace), Some(id)) = (words.next(), words.next(), words.next()) else {
            return Err(Error::InvalidPayload);
        };
        let kind = kind.parse().ok().and_then(PacketType::from_number).ok_or(Error::UnknownType)?;
        self.0 = Some(Packet::new(kind, namespace).with_id(id.parse().ok()));
        Ok(None)
    }
}

async fn lines(address: SocketAddr) -> support::Client {
    let mut client = support::Client::engine(address).await;
    say_lines(&mut client, ["0 / -", ""]).await;
    client.expect("40 / -").await;
    assert!(client.text().await.starts_with(r#"4{"sid":"#));
    client
}

async fn say_lines(client: &mut support::Client, lines: [&str; 2]) {
    for line in lines {
        client.send(&format!("4{line}")).await;
    }
}

#[tokio::test]
async fn a_parser_of_a_user_may_need_several_messages() {
    let io = server(Lines::default(), |_| {});
    let mut client = lines(serve(&io).await).await;
    say_lines(&mut client, ["2 / 5", r#"["echo",[1]]"#]).await;
    client.expect("43 / 5").await;
    client.expect("4[[1]]").await;
    client.send_binary(b"x").await;
    client.closed().await;
}

#[tokio::test]
async fn a_broadcast_is_written_once_for_all() {
    let parser = Lines::default();
    let io = server(parser.clone(), |_| {});
    let address = serve(&io).await;
    let mut clients = [lines(address).await, lines(address).await, lines(address).await];
    for client in &mut clients {
        say_lines(client, ["2 / 0", r#"["join","room"]"#]).await;
        client.expect("43 / 0").await;
        client.expect("4[]").await;
    }
    let before = parser.encoded.load(Ordering::Relaxed);
    io.to("room").emit("news", 1);
    let answers: Answers<u8> = io.to("room").emit_with_ack("ask", ());
    for client in &mut clients {
        for line in ["2 / -", r#"["news",1]"#, "2 / 0", r#"["ask"]"#] {
            client.expect(&format!("4{line}")).await;
        }
        say_lines(client, ["3 / 0", "[7]"]).await;
    }
    assert_eq!(answers.await.unwrap(), [7, 7, 7]);
    assert_eq!(parser.encoded.load(Ordering::Relaxed) - before, 2);
}

#[tokio::test]
async fn what_a_parser_does_not_write_is_not_sent() {
    let io = server(Lines::default(), |_| {});
    let mut client = lines(serve(&io).await).await;
    for name in ["silence", "panic", "news"] {
        io.emit(name, ());
    }
    client.expect("42 / -").await;
    client.expect(r#"4["news"]"#).await;
}

#[tokio::test]
async fn a_parser_may_use_the_server_while_it_writes() {
    for recovery in [None, Some(ConnectionStateRecovery::default())] {
        let parser = Lines::default();
        let io = server(parser.clone(), |config| config.connection_state_recovery = recovery);
        parser.io.set(io.clone()).unwrap();
        let mut client = lines(serve(&io).await).await;
        io.emit("reentrant", ());
        let mut events = Vec::new();
        while !events.iter().any(|event: &String| event.starts_with(r#"4["reentrant""#)) {
            events.push(client.text().await);
        }
        assert!(events[1].starts_with(r#"4["inner",1"#), "{events:?}");
    }
}

#[tokio::test]
async fn a_decoder_that_panics_ends_its_connection_alone() {
    let io = server(Lines::default(), |_| {});
    let (sender, mut ends) = mpsc::unbounded_channel();
    io.on_disconnect(async move |reason: DisconnectReason| sender.send(reason).unwrap());
    let address = serve(&io).await;
    let (mut first, mut second) = (lines(address).await, lines(address).await);
    first.send("4panic").await;
    first.closed().await;
    assert_eq!(ends.recv().await, Some(DisconnectReason::HandlerPanicked));
    io.emit("news", ());
    second.expect("42 / -").await;
}
