//! `patera connect` as programs use it: lines in, lines out.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use patera::Config;
use rcgen::generate_simple_self_signed;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value as Json, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::support::{Folder, Server, events, objects, patera, run, runtime, told};

/// What the program prints when it gets these lines.
fn answers(command: &mut Command, input: &str) -> (Vec<Json>, String, Option<i32>) {
    let mut child = piped(command);
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let (out, error, code) = told(child.wait_with_output().unwrap());
    (objects(&out), error, code)
}

fn piped(command: &mut Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn of<'a>(objects: &'a [Json], kind: &str) -> Vec<&'a Json> {
    objects.iter().filter(|object| object["type"] == kind).collect()
}

#[test]
fn commands_are_lines_and_so_is_what_happens() {
    let server = Server::start();
    for transports in ["polling", "websocket", "polling,websocket"] {
        let mut command = patera(["connect", &server.url(), "--json", "--transports", transports]);
        let input = "call add 1 2\r\n\n# nothing\ncall all {\"b\": 1, \"a\": 2}\ndance\n/private call add 1 2";
        let (objects, error, code) = answers(&mut command, input);
        assert_eq!((error.as_str(), code), ("", Some(0)), "{objects:?}");
        let connect = of(&objects, "connect");
        assert_eq!(connect[0]["id"].as_str().map(str::len), Some(20), "{connect:?}");
        assert_eq!((&connect[0]["namespace"], &connect[0]["recovered"]), (&json!("/"), &json!(false)));
        let event = of(&objects, "event");
        assert_eq!((&event[0]["event"], &event[0]["args"]), (&json!("welcome"), &json!(["hello", 1])));
        // Two that come at once are told in either order.
        let mut answer = of(&objects, "answer");
        answer.sort_by_key(|answer| answer["call"].as_u64());
        assert_eq!((&answer[0]["args"], &answer[0]["call"]), (&json!([3]), &json!(1)));
        assert_eq!((&answer[1]["args"], &answer[1]["event"]), (&json!([{"b": 1, "a": 2}]), &json!("all")));
        assert!(answer[0]["elapsed_ms"].as_f64().unwrap() > 0.0);
        let refused = of(&objects, "connect_error");
        assert_eq!((&refused[0]["namespace"], &refused[0]["message"]), (&json!("/private"), &json!("who are you")));
        let unanswered = of(&objects, "no_answer");
        assert_eq!((&unanswered[0]["call"], unanswered.len()), (&json!(3), 1), "{unanswered:?}");
        assert_eq!(of(&objects, "complaint")[0]["message"], "dance: no such command; help tells them");
        assert_eq!(objects.last().unwrap()["reason"], "io client disconnect");
    }
}

#[test]
fn namespaces_are_those_of_the_url_and_the_options() {
    let server = Server::start();
    let auth = ["--auth", "{\"token\":\"let me in\"}", "--json"];
    let check = |url: String, options: &[&str], expected: &[&str]| {
        let (out, error, code) = run(&mut patera([&["connect", &url], options, &auth].concat()));
        assert_eq!((error.as_str(), code), ("", Some(0)), "{out}");
        let objects = objects(&out);
        let mut connected: Vec<_> =
            of(&objects, "connect").iter().map(|object| object["namespace"].as_str().unwrap().to_owned()).collect();
        connected.sort();
        assert_eq!(connected, expected, "{out}");
    };
    check(server.url(), &[], &["/"]);
    check(server.url() + "/private", &[], &["/private"]);
    check(server.url(), &["--namespace", "/private"], &["/private"]);
    check(server.url(), &["--namespace", "/private", "--namespace", "/"], &["/", "/private"]);
    check(server.url() + "/private", &["--namespace", "/"], &["/", "/private"]);
}

#[test]
fn server_may_ask_for_an_acknowledgement() {
    let server = Server::start();
    let mut child = piped(&mut patera(["connect", &server.url(), "--json"]));
    let (mut input, mut output) = talk(&mut child);
    writeln!(input, "emit 'ask me' why").unwrap();
    let question = until(&mut output, |object| object["event"] == "question");
    assert_eq!((&question["args"], &question["ack"]), (&json!(["why"]), &json!(1)));
    writeln!(input, "ack 1 {{\"because\":1}}").unwrap();
    let thanks = until(&mut output, |object| object["event"] == "thanks");
    assert_eq!((&thanks["args"], &thanks["ack"]), (&json!([{"because": 1}]), &Json::Null));
    writeln!(input, "ack 1").unwrap();
    let complaint = until(&mut output, |object| object["type"] == "complaint");
    assert_eq!(complaint["message"], "no event waits for an acknowledgement 1");
    writeln!(input, "quit").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn bytes_that_come_are_kept_as_files() {
    let (server, folder) = (Server::start(), Folder::new());
    let (first, second) = (folder.file("a.bin", [1, 2, 3]), folder.file("b.bin", b"other"));
    let mut command = patera(["connect", &server.url(), "--json", "--save"]);
    command.arg(folder.path("kept"));
    let input = format!("call all @{} x @{}\ncall all {{\"a\":1}}", first.display(), second.display());
    for numbers in [["0001-all.bin", "0002-all.bin"], ["0003-all.bin", "0004-all.bin"]] {
        let (objects, error, code) = answers(&mut command, &input);
        assert_eq!((error.as_str(), code), ("", Some(0)), "{objects:?}");
        let answer = of(&objects, "answer");
        let paths = numbers.map(|name| folder.path("kept").join(name));
        assert_eq!(answer[0]["saved"], json!(paths.each_ref().map(|path| path.to_str())));
        assert_eq!(answer[1]["saved"], Json::Null);
        assert_eq!(paths.map(|path| std::fs::read(path).unwrap()), [vec![1, 2, 3], b"other".to_vec()]);
    }
}

#[test]
fn what_cannot_connect_exits_with_1() {
    let server = Server::start();
    let check = |arguments: &[&str], kind: &str, message: &str| {
        let (out, error, code) = run(&mut patera([&["connect", "--json"], arguments].concat()));
        let objects = objects(&out);
        let told = of(&objects, kind);
        assert!(told[0]["message"].as_str().unwrap().contains(message), "{arguments:?}: {out}");
        assert_eq!((error.as_str(), code), ("", Some(1)), "{arguments:?}: {out}");
    };
    // A refusal is final, whether the connection would be tried again or not.
    check(&[&format!("{}/private", server.url())], "connect_error", "who are you");
    check(&[&format!("{}/nowhere", server.websocket_url())], "connect_error", "does not agree to a WebSocket");
    let url = server.url();
    let mut child = piped(&mut patera(["connect", &url, "--json", "--no-reconnect"]));
    let (_input, mut output) = talk(&mut child);
    until(&mut output, |object| object["type"] == "event");
    server.kill();
    until(&mut output, |object| object["type"] == "disconnect");
    assert_eq!(child.wait().unwrap().code(), Some(1));
    check(&[&url, "--no-reconnect"], "connect_error", "refused");
}

#[test]
fn lost_connection_comes_back_and_commands_wait_for_it() {
    let server = Server::start();
    let mut child = piped(&mut patera(["connect", &server.url(), "--json"]));
    let (mut input, mut output) = talk(&mut child);
    until(&mut output, |object| object["type"] == "event");
    let address = server.kill();
    until(&mut output, |object| object["type"] == "reconnecting");
    writeln!(input, "call add 1 2").unwrap();
    let _server = Server::start_at(address, Config::default(), events);
    drop(input);
    until(&mut output, |object| object["type"] == "reconnect");
    let answer = until(&mut output, |object| object["type"] == "answer");
    assert_eq!(answer["args"], json!([3]));
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn plain_websocket_is_lines_too() {
    let server = Server::start();
    let check = |url: &str, options: &[&str]| {
        let mut command = patera([&["connect", url, "--json", "--subprotocol", "patera.json"], options].concat());
        let mut child = piped(&mut command);
        let (mut input, mut output) = talk(&mut child);
        let connect = until(&mut output, |object| object["type"] == "connect");
        assert_eq!(connect["subprotocol"], "patera.json");
        writeln!(input, "send {{\"event\":\"add\",\"args\":[1,2],\"ack\":1}}").unwrap();
        until(&mut output, |object| object["data"] == r#"{"args":[3],"ack":1}"#);
        drop(input);
        assert_eq!(child.wait().unwrap().code(), Some(0));
    };
    check(&server.websocket_url(), &[]);
    check(&(server.url() + "/ws"), &["--raw"]);
    let socket_io = server.websocket_url().replace("/ws", "/");
    let (out, _, code) = run(&mut patera(["connect", &socket_io, "--json", "--socketio"]));
    assert!(out.contains("\"id\":") && code == Some(0), "{out}");
}

#[test]
fn end_of_input_waits_as_long_as_told() {
    let server = Server::start();
    let mut command = patera(["connect", &server.url(), "--linger", "20s", "--json"]);
    let mut child = piped(&mut command);
    let (mut input, mut output) = talk(&mut child);
    writeln!(input, "emit echo 1\nemit 'throw me out'").unwrap();
    drop(input);
    until(&mut output, |object| object["event"] == "echo");
    until(&mut output, |object| object["type"] == "disconnect");
    // Thrown out for good it does not wait for the rest.
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn people_get_lines_without_colours_where_no_terminal_is() {
    let server = Server::start();
    let mut child = piped(&mut patera(["connect", &server.url()]));
    child.stdin.take().unwrap().write_all(b"call add 1 2\nstatus\n").unwrap();
    let (out, error, code) = told(child.wait_with_output().unwrap());
    assert_eq!((error.as_str(), code), ("", Some(0)));
    for part in ["connected as ", "← welcome \"hello\" 1\n", "↩ add: 3  (", "* / connected as "] {
        assert!(out.contains(part), "{part}: {out}");
    }
    assert!(!out.contains('\x1b'), "{out}");
}

#[test]
fn certificate_that_nobody_vouches_for_is_believed_only_if_told_so() {
    let server = Server::start();
    let runtime = runtime();
    let certified = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (acceptor, inner) = (TlsAcceptor::from(Arc::new(config)), server.address);
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut outside = acceptor.accept(stream).await?;
                let mut inside = TcpStream::connect(inner).await?;
                tokio::io::copy_bidirectional(&mut outside, &mut inside).await
            });
        }
    });
    for url in [format!("https://localhost:{port}"), format!("wss://localhost:{port}/ws")] {
        let (out, _, code) = run(&mut patera(["connect", &url, "--json", "--no-reconnect"]));
        assert!(out.contains("tls: ") && code == Some(1), "{url}: {out}");
        let (out, _, code) = run(&mut patera(["connect", &url, "--json", "-k"]));
        assert!(out.contains("\"type\":\"connect\"") && code == Some(0), "{url}: {out}");
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_what_only_listens_well_and_what_reads_lines_not() {
    use rustix::process::{Pid, Signal, kill_process};

    let (server, folder) = (Server::start(), Folder::new());
    let file = folder.file("script.txt", "wait 10m\n");
    for (arguments, expected) in [(&["--listen"][..], 0), (&[], 130), (&["--script", file.to_str().unwrap()], 130)] {
        let mut child = piped(&mut patera([&["connect", &server.url(), "--json"], arguments].concat()));
        let (_input, mut output) = talk(&mut child);
        until(&mut output, |object| object["type"] == "connect" || object["text"] == "wait 10m");
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(expected), "{arguments:?}");
    }
}

#[test]
fn wrong_commands_exit_with_2() {
    let check = |arguments: &[&str], complaint: &str| {
        let (out, error, code) = run(&mut patera([&["connect"], arguments].concat()));
        assert!(error.contains(complaint), "{arguments:?}: {error}");
        assert_eq!((out.as_str(), code), ("", Some(2)), "{arguments:?}");
    };
    check(&[], "URL");
    check(&["ftp://x"], "scheme");
    check(&["http://x", "--namespace", "chat"], "slash");
    check(&["http://x", "--raw", "--socketio"], "cannot be used with");
    check(&["http://x", "--transports", "pigeon"], "polling, websocket");
    check(&["http://x", "--auth", "1"], "JSON object");
    check(&["http://x", "--proxy", "ftp://y"], "proxy");
    check(&["http://x", "--save", "/dev/null/x"], "--save");
    check(&["http://x", "--script", "x", "--listen"], "cannot be used with");
}

/// Both ends of a program that runs.
fn talk(child: &mut Child) -> (ChildStdin, BufReader<ChildStdout>) {
    (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()))
}

/// The next object that is as wanted.
fn until(output: &mut BufReader<ChildStdout>, is_wanted: impl Fn(&Json) -> bool) -> Json {
    loop {
        let mut line = String::new();
        assert!(output.read_line(&mut line).unwrap() > 0, "the program has ended");
        let object: Json = serde_json::from_str(&line).unwrap();
        if is_wanted(&object) {
            return object;
        }
    }
}
