//! `patera emit` as it is run.

use std::io::Write as _;
use std::process::Stdio;
use std::sync::mpsc;

use patera::{Config, Rest, Socket, Value};

use crate::support::{Folder, Garbage, PATIENCE, Server, events, patera, run, told};

#[test]
fn acknowledgement_is_printed_a_line_each() {
    let server = Server::start();
    let check = |event: &str, args: &[&str], expected: &str| {
        let url = server.url();
        let (out, error, code) = run(&mut patera([&["emit", &url, event], args, &["--ack"]].concat()));
        assert_eq!((out.as_str(), error.as_str(), code), (expected, "", Some(0)), "{event} {args:?}");
    };
    check("add", &["1", "-2"], "-1\n");
    check("all", &[], "");
    check("all", &["1", "one", "\"1\"", "{\"a\": [null]}"], "1\n\"one\"\n\"1\"\n{\"a\":[null]}\n");
    let folder = Folder::new();
    let file = format!("@{}", folder.file("x.bin", [0, 255]).display());
    check("all", &[&file], "{\"base64\":\"AP8=\"}\n");
}

#[test]
fn standard_input_is_an_argument() {
    let server = Server::start();
    for (word, input, expected) in [
        ("-", "{\"a\":1}\n", "{\"a\":1}\n"),
        ("-", "two words\n", "\"two words\"\n"),
        ("@-", "two", "{\"base64\":\"dHdv\"}\n"),
    ] {
        let mut command = patera(["emit", &server.url(), "all", word, "--ack"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let (out, error, code) = told(child.wait_with_output().unwrap());
        assert_eq!((out.as_str(), error.as_str(), code), (expected, "", Some(0)), "{word}");
    }
}

#[test]
fn event_without_acknowledgement_is_sent_before_the_end() {
    let (sender, receiver) = mpsc::channel();
    let server = Server::start_with(Config::default(), move |io| {
        let sender = sender.clone();
        io.on("news", async move |Rest(args): Rest| sender.send(args).unwrap());
    });
    for transports in ["polling", "websocket", "polling,websocket"] {
        let large = "x".repeat(300_000);
        let args = ["emit", &server.url(), "news", "1", &large[..100_000], "--transports", transports];
        let (out, error, code) = run(&mut patera(args));
        assert_eq!((out.as_str(), error.as_str(), code), ("", "", Some(0)), "{transports}");
        let args = receiver.recv_timeout(PATIENCE).unwrap();
        assert_eq!(args, [Value::from(1), Value::from(&large[..100_000])], "{transports}");
    }
}

#[test]
fn options_reach_the_server() {
    let server = Server::start();
    let folder = Folder::new();
    let auth = folder.file("auth.json", "{\"token\":\"t\"}\n");
    let url = server.url() + "?a=1";
    let mut command = patera(["emit", &url, "handshake", "--ack", "--transports", "websocket", "-H", "X-Name: ada"]);
    command.args(["--query", "b=2"]).arg("--auth-file").arg(auth);
    let expected = "\"ada\"\n[\"1\",\"2\"]\n{\"token\":\"t\"}\n\"websocket\"\n";
    assert_eq!(run(&mut command), (expected.to_owned(), String::new(), Some(0)));
    let private = server.url() + "/private";
    let args = ["emit", &private, "add", "1", "2", "--ack", "--auth", "{\"token\":\"let me in\"}"];
    assert_eq!(run(&mut patera(args)), ("3\n".to_owned(), String::new(), Some(0)));
}

#[test]
fn what_does_not_come_about_is_told() {
    let server = Server::start_with(Config::default(), |io| {
        events(io);
        io.on("leave", async |socket: Socket| socket.close());
    });
    let check = |args: &[&str], complaint: &str, expected: i32| {
        let (out, error, code) = run(&mut patera([&["emit"], args].concat()));
        assert!(error.starts_with("patera emit: ") || expected == 2, "{args:?}: {error}");
        assert!(error.contains(complaint), "{args:?}: {error}");
        assert_eq!((out.as_str(), code), ("", Some(expected)), "{args:?}");
    };
    let url = server.url();
    check(
        &[&url, "nobody", "--ack", "--timeout", "100ms"],
        "no acknowledgement: none in 0.1 s; has the server this event?",
        1,
    );
    check(&[&url, "leave", "--ack"], "socket has been disconnected", 1);
    check(&[&format!("{url}/private"), "add"], "who are you", 1);
    check(&[&format!("{url}/nowhere"), "add"], "Invalid namespace", 1);
    check(&[&url, "add", "--path", "/elsewhere"], "404", 1);
    check(&[&url, "connect"], "reserved", 2);
    check(&[&url, "add", "{1"], "{1 is no JSON", 2);
    check(&[&url, "add", "@/nowhere/at all"], "/nowhere/at all", 2);
    check(&["ftp://x", "add"], "scheme", 2);
    check(&[&url, "add", "--auth-file", "/nowhere"], "/nowhere", 2);
    check(&[&url], "EVENT", 2);
    let garbage = Garbage::start(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
    check(&[&format!("http://{}", garbage.address), "add"], "no engine.io payload", 1);
    let silent = Garbage::start(b"");
    check(&[&format!("http://{}", silent.address), "add", "--timeout", "100ms"], "too long to let us in", 1);
    let address = server.kill();
    check(&[&format!("http://{address}"), "add", "--ack"], "refused", 1);
}
