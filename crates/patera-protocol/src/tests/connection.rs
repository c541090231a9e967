//! The connection machine alone, both roles.

use std::time::Duration;

use super::*;
use crate::{
    socketio::{ConnectionConfig, RESERVED_EVENTS},
    tests::at,
};

#[test]
fn events_and_acknowledgements_pass_when_connected() {
    let mut server = connected_server(&["/", "/admin"]);
    check(&mut server, r#"2["chat","hello",1]"#, r#"event 0 chat ["hello",1] None"#);
    check(&mut server, r#"2/admin,13["x"]"#, "event 1 x [] Some(13)");
    check(&mut server, "3999[1]", "ack 0 999 [1]");
    check(&mut server, "3/admin,0[]", "ack 1 0 []");
    check(&mut server, r#"2["error",1]"#, "event 0 error [1] None");
    check(&mut server, r#"2["__proto__"]"#, "event 0 __proto__ [] None");
    check(&mut server, "2[7]", "event 0 7 [] None");
}

#[test]
fn server_decides_about_connects() {
    let mut server = server();
    check(&mut server, r#"0{"token":"x"}"#, r#"connect 0 / {"token":"x"}"#);
    check(&mut server, "0/admin", "connect 1 /admin -");
    check_error(&mut server, r#"2["a"]"#, Error::NotConnected);
    server.accept(slot(0));
    check(&mut server, r#"2["a"]"#, "event 0 a [] None");
    server.refuse(slot(1));
    check_error(&mut server, r#"2/admin,["a"]"#, Error::NotConnected);
    check(&mut server, "0/admin", "connect 1 /admin -");
    assert_eq!(server.name(slot(1)), "/admin");
}

#[test]
fn second_connect_is_an_error() {
    let mut server = server();
    check(&mut server, "0", "connect 0 / -");
    check_error(&mut server, "0", Error::AlreadyConnected);
    server.accept(slot(0));
    check_error(&mut server, "0", Error::AlreadyConnected);
}

#[test]
fn disconnect_frees_the_slot() {
    let mut server = connected_server(&["/"]);
    check(&mut server, "1", "disconnect 0");
    check_error(&mut server, r#"2["late"]"#, Error::NotConnected);
    check_error(&mut server, "1", Error::NotConnected);
    for _ in 0..100 {
        check(&mut server, "0", "connect 0 / -");
        check(&mut server, "1", "disconnect 0");
        server.accept(slot(0));
        check_error(&mut server, r#"2["a"]"#, Error::NotConnected);
    }
}

#[test]
fn late_packets_for_a_left_namespace_are_passed_over() {
    let mut server = connected_server(&["/", "/a"]);
    server.leave(slot(1));
    check(&mut server, r#"2/a,["late"]"#, "nothing");
    check(&mut server, "3/a,1[]", "nothing");
    check(&mut server, r#"51-/a,["late",{"_placeholder":true,"num":0}]"#, "nothing");
    assert_eq!(check_binary(&mut server, b"x"), Ok("nothing".to_owned()));
    check_error(&mut server, "2/a,[", Error::InvalidPayload);
    check(&mut server, r#"2["still here"]"#, "event 0 still here [] None");
    check(&mut server, "0/a,", "connect 1 /a -");
    server.accept(slot(1));
    check(&mut server, r#"2/a,["new"]"#, "event 1 new [] None");
    server.leave(slot(1));
    check(&mut server, "1/a", "nothing");
    check_error(&mut server, r#"2/a,["after their own disconnect"]"#, Error::NotConnected);
}

#[test]
fn cancelled_connect_of_a_refused_namespace_is_passed_over() {
    let mut server = server();
    check(&mut server, "0/a,", "connect 0 /a -");
    server.refuse(slot(0));
    check(&mut server, "1/a,", "nothing");
    check_error(&mut server, "1/a,", Error::NotConnected);
}

#[test]
fn leaving_while_attachments_are_missing_drops_the_packet() {
    let mut server = connected_server(&["/"]);
    check(&mut server, r#"52-["x",{"_placeholder":true,"num":1}]"#, "nothing");
    assert_eq!(check_binary(&mut server, b"a"), Ok("nothing".to_owned()));
    server.leave(slot(0));
    assert_eq!(check_binary(&mut server, b"b"), Ok("nothing".to_owned()));
    check(&mut server, "0", "connect 0 / -");
}

#[test]
fn attachments_are_put_in_place() {
    let mut server = connected_server(&["/"]);
    let packet = r#"52-7["file",{"_placeholder":true,"num":1},{"a":[{"num":0,"_placeholder":true}]}]"#;
    check(&mut server, packet, "nothing");
    assert_eq!(check_binary(&mut server, b"zero"), Ok("nothing".to_owned()));
    let message = Message::Binary(b"one");
    let Ok(Some(Incoming::Event { name, args, ack: Some(7), .. })) = server.handle_message(message, at(0)) else {
        panic!()
    };
    assert_eq!(name, "file");
    assert_eq!(args.decode::<Bytes>(0).unwrap(), "one");
    assert_eq!(args.value(1).unwrap()["a"][0].as_bytes().unwrap(), "zero");
    assert_eq!(args.attachments(), [&b"zero"[..], b"one"]);
    drop(args);
    assert_eq!(server.poll_timeout(), None);
    server.release();
    assert!(server.binary.is_none());

    check(&mut server, r#"61-1[{"_placeholder":true,"num":0}]"#, "nothing");
    assert!(check_binary(&mut server, b"x").unwrap().starts_with("ack 0 1 "));
    check(&mut server, r#"2["next"]"#, "event 0 next [] None");
    assert!(server.binary.is_none());
}

#[test]
fn unused_attachments_and_empty_ones_are_fine() {
    let mut server = connected_server(&["/"]);
    check(&mut server, r#"52-["x",{"_placeholder":true,"num":0}]"#, "nothing");
    assert_eq!(check_binary(&mut server, b""), Ok("nothing".to_owned()));
    assert!(check_binary(&mut server, b"").unwrap().starts_with("event 0 x"));
    check(&mut server, r#"51-["x",{"_placeholder":"true","num":0}]"#, "nothing");
    assert!(check_binary(&mut server, b"").unwrap().starts_with("event 0 x"));
}

#[test]
fn placeholders_must_be_announced() {
    for num in ["1", "-1", "1e308", "[0]", "\"0\"", "null"] {
        let packet = format!(r#"51-["x",[{{"_placeholder":true,"num":{num}}}]]"#);
        check_error(&mut connected_server(&["/"]), &packet, Error::IllegalPlaceholder);
    }
}

#[test]
fn order_of_text_and_attachments_is_checked() {
    let mut server = connected_server(&["/", "/a"]);
    assert_eq!(check_binary(&mut server, b"x"), Err(Error::UnexpectedBinary));
    check(&mut server, r#"51-["x",{"_placeholder":true,"num":0}]"#, "nothing");
    check_error(&mut server, r#"2/a,["y"]"#, Error::UnexpectedText);
    assert!(check_binary(&mut server, b"x").is_ok());
    assert_eq!(check_binary(&mut server, b"x"), Err(Error::UnexpectedBinary));
}

#[test]
fn binary_header_before_connect_is_refused() {
    check_error(&mut server(), r#"51-["x",{"_placeholder":true,"num":0}]"#, Error::NotConnected);
    check_error(&mut server(), "1", Error::NotConnected);
    check_error(&mut server(), "31[]", Error::NotConnected);
}

#[test]
fn attachments_bytes_are_bounded() {
    let max = 10;
    let config = ConnectionConfig { attachments_bytes_max: max, ..ConnectionConfig::default() };
    for (bytes, error) in [(9, None), (10, None), (11, Some(Error::Limit { what: Limit::AttachmentsBytes, max }))] {
        let mut server = Connection::server(Arc::new(config.clone()));
        check(&mut server, "0", "connect 0 / -");
        server.accept(slot(0));
        check(&mut server, r#"52-["x"]"#, "nothing");
        check_binary(&mut server, b"12345").unwrap();
        assert_eq!(check_binary(&mut server, &vec![0; bytes - 5]).err(), error, "{bytes}");
    }
}

#[test]
fn attachments_must_come_in_time() {
    let mut server = connected_server(&["/"]);
    assert_eq!(server.poll_timeout(), None);
    check(&mut server, r#"52-["x"]"#, "nothing");
    assert_eq!(server.poll_timeout(), Some(at(30_000)));
    server.handle_message(Message::Binary(b""), at(29_000)).unwrap();
    assert_eq!(server.poll_timeout(), Some(at(30_000)), "each attachment does not begin the wait anew");
    server.release();
    assert_eq!(server.handle_timeout(at(29_999)), Ok(()));
    assert_eq!(server.handle_timeout(at(30_000)), Err(Error::AttachmentsTimeout));
}

#[test]
fn attachments_have_what_was_left_of_their_time() {
    let mut server = connected_server(&["/"]);
    server.pause(at(1000));
    server.resume(at(2000));
    check(&mut server, r#"52-["x"]"#, "nothing");
    server.pause(at(10_000));
    server.pause(at(50_000));
    assert_eq!(server.poll_timeout(), None);
    assert_eq!(server.handle_timeout(at(90_000)), Ok(()));
    server.handle_message(Message::Binary(b""), at(90_000)).unwrap();
    server.release();
    server.resume(at(100_000));
    server.resume(at(110_000));
    assert_eq!(server.poll_timeout(), Some(at(120_000)));
    server.handle_message(Message::Binary(b""), at(119_000)).unwrap();
    assert_eq!(server.poll_timeout(), None);
}

#[test]
fn namespaces_are_bounded() {
    let config = Arc::new(ConnectionConfig { namespaces_max: 2, ..ConnectionConfig::default() });
    let mut server = Connection::server(config.clone());
    check(&mut server, "0/a", "connect 0 /a -");
    check(&mut server, "0/b", "connect 1 /b -");
    check_error(&mut server, "0/c", Error::Limit { what: Limit::Namespaces, max: 2 });
    server.refuse(slot(0));
    check(&mut server, "0/c", "connect 0 /c -");
    check(&mut server, "1/b", "disconnect 1");
    check(&mut server, "0/d", "connect 1 /d -");

    let mut client = Connection::client(config);
    client.connect("/a").unwrap();
    client.connect("/b").unwrap();
    assert_eq!(client.connect("/c"), Err(ConnectError::TooMany));
}

#[test]
fn payloads_are_of_their_kind() {
    for packet in [
        "0\"x\"",
        "0[]",
        "0null",
        "0{\"a\":",
        "0{}{}",
        "0true",
        "1{}",
        "2",
        "2[]",
        "2{}",
        "2[\"a\"]x",
        "31\"x\"",
        "31null",
        "31",
    ] {
        let mut server = connected_server(&["/"]);
        if packet.starts_with('0') {
            check(&mut server, "1", "disconnect 0");
        }
        check_error(&mut server, packet, Error::InvalidPayload);
    }
    check_error(&mut server(), "01", Error::IllegalAckId);
    check_error(&mut server(), "2[null]", Error::NotConnected);
    check_error(&mut connected_server(&["/"]), "2[null]", Error::InvalidEventName);
    check_error(&mut connected_server(&["/"]), "4{}", Error::WrongDirection);
    for name in RESERVED_EVENTS {
        check_error(&mut connected_server(&["/"]), &format!("2[{name:?}]"), Error::ReservedEventName);
    }
}

#[test]
fn root_is_entered_unasked_in_revision_4() {
    let mut server = server_v4();
    check_error(&mut server_v4(), r#"2["early"]"#, Error::NotConnected);
    assert_eq!(server.enter_root(), Some(slot(0)));
    assert_eq!(server.name(slot(0)), "/");
    assert_eq!(server.enter_root(), None);
    check_error(&mut server, r#"2["early"]"#, Error::NotConnected);
    server.accept(slot(0));
    check(&mut server, r#"213["a","b"]"#, r#"event 0 a ["b"] Some(13)"#);
    check(&mut server, "31[]", "ack 0 1 []");
    assert_eq!(server.enter_root(), None);
    check_error(&mut server, "0", Error::AlreadyConnected);
    check_error(&mut server, "0/?a=b,", Error::AlreadyConnected);
    check(&mut server, "1", "disconnect 0");
    check(&mut server, "0", "connect 0 / -");
}

#[test]
fn refused_root_can_be_left_in_revision_4() {
    let mut server = server_v4();
    let root = server.enter_root().unwrap();
    server.refuse(root);
    check_error(&mut server, r#"2["a"]"#, Error::NotConnected);
    check(&mut server, "1", "nothing");

    let mut server = server_v4();
    let root = server.enter_root().unwrap();
    check(&mut server, "1", "disconnect 0");
    server.accept(root);
    check_error(&mut server, r#"2["a"]"#, Error::NotConnected);
}

#[test]
fn query_is_what_the_client_says_in_revision_4() {
    let mut server = server_v4();
    server.enter_root();
    check(&mut server, "0/chat?token=a%20b&x=1&x=2,", r#"connect 1 /chat {"token":"a b","x":["1","2"]}"#);
    assert_eq!(server.name(slot(1)), "/chat");
    server.accept(slot(1));
    check(&mut server, r#"2/chat,["a"]"#, "event 1 a [] None");
    check(&mut server, r#"2/chat?token=a,["a"]"#, "event 1 a [] None");
    check_error(&mut server, "0/chat?token=other", Error::AlreadyConnected);
    check(&mut server, "0/admin", "connect 2 /admin -");
    check(&mut server, "0/b?,", "connect 3 /b -");
    // A payload means nothing, but must be one.
    check(&mut server, r#"0/c?a,{"b":1}"#, r#"connect 4 /c {"a":""}"#);
    check(&mut server, r#"0/d,{"b":1}"#, "connect 5 /d -");
    check_error(&mut server, "0/e,[", Error::InvalidPayload);
    check(&mut server, "1/chat?token=a,", "disconnect 1");
    server.release();
    assert!(server.auth.is_none());
}

#[test]
fn query_is_part_of_the_name_in_revision_5() {
    check(&mut server(), "0/chat?token=a,", "connect 0 /chat?token=a -");
}

#[test]
fn attachments_are_those_of_revision_5_in_revision_4() {
    let mut server = server_v4();
    let root = server.enter_root().unwrap();
    server.accept(root);
    check(&mut server, r#"51-["x",{"_placeholder":true,"num":0}]"#, "nothing");
    assert!(check_binary(&mut server, b"x").unwrap().starts_with("event 0 x"));
    check_error(&mut server, r#"50-["x"]"#, Error::IllegalAttachments);
}

#[test]
fn client_of_revision_4_is_let_in_unasked() {
    let mut client = client_v4();
    client.connect("/").unwrap();
    check(&mut client, "0", "connected 0 / -");
    client.connect("/chat").unwrap();
    check(&mut client, "0/chat?token=a,", "connected 1 /chat -");
    for (payload, expected) in [("\"no\"", "\"no\""), ("[1]", "[1]"), ("true", "true"), ("", "-"), ("{}", "{}")] {
        let mut client = client_v4();
        client.connect("/a").unwrap();
        check(&mut client, &format!("4/a,{payload}"), &format!("refused 0 /a {expected}"));
    }
    let mut client = client_v4();
    client.connect("/a").unwrap();
    check_error(&mut client, "4/a,[", Error::InvalidPayload);
}

#[test]
fn client_enters_and_leaves() {
    let mut client = client();
    let slot = client.connect("/a").unwrap();
    assert_eq!(client.connect("/a"), Err(ConnectError::AlreadyConnected));
    check(&mut client, r#"2/a,["greeting"]"#, "event 0 greeting [] None");
    check(&mut client, r#"0/a,{"sid":"x"}"#, r#"connected 0 /a {"sid":"x"}"#);
    check(&mut client, r#"2/a,["e"]"#, "event 0 e [] None");
    check(&mut client, "1/a,", "disconnect 0");
    check_error(&mut client, r#"2/a,["e"]"#, Error::NotConnected);
    assert_eq!(client.connect("/a"), Ok(slot));
    check(&mut client, r#"4/a,{"message":"no"}"#, r#"refused 0 /a {"message":"no"}"#);
    check_error(&mut client, "0/a,", Error::NotConnected);
    assert_eq!(client.connect("/a"), Ok(slot));
    check(&mut client, "4/a,\"no\"", r#"refused 0 /a "no""#);
}

#[test]
fn client_that_reconnects_does_not_hear_its_former_self() {
    let mut client = client();
    let slot = client.connect("/a").unwrap();
    check(&mut client, "0/a,", "connected 0 /a -");
    client.leave(slot);
    check(&mut client, r#"2/a,["late"]"#, "nothing");
    client.connect("/a").unwrap();
    check(&mut client, r#"2/a,["late"]"#, "nothing");
    check(&mut client, "1/a,", "nothing");
    check(&mut client, "0/a,", "connected 0 /a -");
    check(&mut client, r#"2/a,["new"]"#, "event 0 new [] None");
}

#[test]
fn client_refuses_impossible_names() {
    for name in ["", "a", "/a,b", &format!("/{}", "a".repeat(512))] {
        assert_eq!(client().connect(name), Err(ConnectError::InvalidName));
    }
    assert!(client().connect(&format!("/{}", "a".repeat(511))).is_ok());
    check_error(&mut client(), "0", Error::NotConnected);
    check_error(&mut client(), "4{}", Error::NotConnected);
}

#[test]
fn connection_is_small() {
    assert!(size_of::<Connection>() <= 200, "{}", size_of::<Connection>());
    assert!(size_of::<Option<Incoming<'_>>>() <= 200, "{}", size_of::<Option<Incoming<'_>>>());
}

#[test]
fn hostile_json_is_refused_without_deep_recursion() {
    let deep = format!("2[\"echo\",{}1{}]", "{\"a\":".repeat(150_000), "}".repeat(150_000));
    let max = ConnectionConfig::default().json_depth_max;
    check_error(&mut connected_server(&["/"]), &deep, Error::Limit { what: Limit::JsonDepth, max });
    let many = format!("3999[0{}]", ",0".repeat(400_000));
    let max = ConnectionConfig::default().arguments_max;
    check_error(&mut connected_server(&["/"]), &many, Error::Limit { what: Limit::Arguments, max });
    let digits = format!("2[\"echo\",1{}]", "0".repeat(100_000));
    let mut server = connected_server(&["/"]);
    let Ok(Some(Incoming::Event { args, .. })) = server.handle_message(Message::Text(&digits), at(0)) else { panic!() };
    assert!(args.value(0).is_err());
}

fn server() -> Connection {
    let config = ConnectionConfig::default();
    assert_eq!(config.attachments_timeout, Duration::from_secs(30));
    Connection::server(Arc::new(config))
}

fn client() -> Connection {
    Connection::client(Arc::new(ConnectionConfig::default()))
}

fn server_v4() -> Connection {
    Connection::server_with_revision(Revision::V4, Arc::new(ConnectionConfig::default()))
}

fn client_v4() -> Connection {
    Connection::client_with_revision(Revision::V4, Arc::new(ConnectionConfig::default()))
}

fn connected_server(namespaces: &[&str]) -> Connection {
    let mut server = server();
    for (index, name) in namespaces.iter().enumerate() {
        check(&mut server, &format!("0{name},"), &format!("connect {index} {name} -"));
        server.accept(slot(index));
    }
    server
}

/// A slot by its index: the only way to one is to connect.
fn slot(index: usize) -> Slot {
    let mut namespaces = Namespaces::default();
    let enter = |index: usize| namespaces.enter(&format!("/{index}"), Status::Connected, usize::MAX).unwrap();
    (0..=index).map(enter).last().unwrap()
}

fn check(connection: &mut Connection, text: &str, expected: &str) {
    assert_eq!(feed(connection, Message::Text(text)), Ok(expected.to_owned()), "{text}");
}

fn check_error(connection: &mut Connection, text: &str, error: Error) {
    assert_eq!(feed(connection, Message::Text(text)), Err(error), "{text:.80}");
}

fn check_binary(connection: &mut Connection, bytes: &[u8]) -> Result<String, Error> {
    feed(connection, Message::Binary(bytes))
}

fn feed(connection: &mut Connection, message: Message<'_>) -> Result<String, Error> {
    Ok(connection.handle_message(message, at(0))?.map_or_else(|| "nothing".to_owned(), |incoming| describe(&incoming)))
}

fn describe(incoming: &Incoming<'_>) -> String {
    let raw = |payload: &Option<&RawValue>| payload.map_or("-", RawValue::get).to_owned();
    let all = |args: &Args<'_>| format!("[{}]", args.iter().collect::<Vec<_>>().join(","));
    match incoming {
        Incoming::Connect { slot, namespace, auth } => format!("connect {} {namespace} {}", slot.index(), raw(auth)),
        Incoming::Connected { slot, namespace, payload } => {
            format!("connected {} {namespace} {}", slot.index(), raw(payload))
        }
        Incoming::ConnectError { slot, namespace, payload } => {
            format!("refused {} {namespace} {}", slot.index(), raw(payload))
        }
        Incoming::Disconnect { slot } => format!("disconnect {}", slot.index()),
        Incoming::Event { slot, name, args, ack } => format!("event {} {name} {} {ack:?}", slot.index(), all(args)),
        Incoming::Ack { slot, id, args } => format!("ack {} {id} {}", slot.index(), all(args)),
    }
}
