//! `patera connect --script` as it is run: scripts that hold, and scripts that do not.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use patera::{Config, Error, Io, Map, Reply, Socket, Value};

use crate::support::{Folder, Garbage, Server, events, objects, patera, run, told};

/// The program with this script.
fn script(folder: &Folder, url: &str, script: &str) -> Command {
    let file = folder.file("script.txt", script);
    let mut command = patera(["connect", url, "--script"]);
    command.arg(file);
    command
}

#[test]
fn script_that_holds_exits_with_0() {
    let (server, folder) = (Server::start(), Folder::new());
    let photo = folder.file("my photo.bin", [1, 2, 3]);
    let text = format!(
        r#"
# Comments and empty lines say nothing.
expect connect
expect welcome hello *
call add 1 2 => 3
call all 1 {{"a": [1, 2], "b": null}} @"{photo}" => 1 {{"a":[1,2]}} {{"base64":"AQID"}}
call all => 
call all 1 2 3 => 1 …
within 1s
emit echo 'it is "quoted"'
expect echo "it is \"quoted\""
emit 'ask me' {{"what":1}}
expect question {{"what":1}} => yes
expect thanks yes
/private expect connect_error "who are you"
/private auth {{"token":"let me in"}}
/private connect
/private expect connect
/private call add 40 2 => 42
within 20s call add 1 1 => 2
expect no welcome 50ms
wait 20ms
emit 'throw me out'
expect disconnect "io server disconnect"
"#,
        photo = photo.display()
    );
    for transports in ["polling", "websocket", "polling,websocket"] {
        let (out, error, code) = run(script(&folder, &server.url(), &text).args(["--transports", transports]));
        assert_eq!((error.as_str(), code), ("", Some(0)), "{transports}: {out}");
        assert!(out.contains("disconnected: io server disconnect"), "{out}");
    }
}

#[test]
fn line_that_does_not_hold_is_told_and_exits_with_1() {
    let (server, folder) = (Server::start(), Folder::new());
    let check = |text: &str, complaint: &str| {
        let (out, error, code) = run(&mut script(&folder, &server.url(), text));
        assert!(error.contains(complaint), "{text}: {error}{out}");
        assert_eq!((error.lines().count(), code), (1, Some(1)), "{text}: {error}");
    };
    check(
        "expect connect\n\nwithin 300ms expect welcome goodbye",
        "script.txt:3: within 300ms expect welcome goodbye: nothing like it within 0.3 s; instead came: welcome \"hello\" 1",
    );
    check("call add 1 2 => 4", "script.txt:1: call add 1 2 => 4: the acknowledgement is 3");
    check("call all => 1", "the acknowledgement has no arguments");
    check("within 100ms call echo 1", "no acknowledgement within 0.1 s");
    check("call 'throw me out'", "no acknowledgement: socket has been disconnected");
    check("call add one 2 => 3", "the acknowledgement is {\"error\":");
    check("emit echo 1\nexpect no echo 20s", "it came: echo 1");
    check("emit echo 1\nexpect echo\nexpect no * 50ms\nemit echo 2\nexpect no * 20s", "script.txt:5: ");
    check("expect welcome => 1", "asks for no acknowledgement");
    check("ack 7", "no event waits for an acknowledgement 7");
    check("emit 'throw me out'\nexpect disconnect\nemit echo", "script.txt:3: emit echo: not connected");
    check("expect connect\nexpect welcome\nemit echo 1\nexpect echo 1\nwithin 50ms expect welcome", "within 0.05 s");
    let before = Instant::now();
    check("expect connect\nemit 'throw me out'\nexpect thanks", "before the connection ended");
    assert!(before.elapsed() < Duration::from_secs(4), "a script waits for what cannot come");
}

#[test]
fn line_that_says_nothing_is_a_wrong_command() {
    let (server, folder) = (Server::start(), Folder::new());
    let check = |text: &str, complaint: &str| {
        let (out, error, code) = run(&mut script(&folder, &server.url(), text));
        assert!(error.contains(complaint), "{text}: {error}");
        assert_eq!((out.as_str(), code), ("", Some(2)), "{text}: {error}");
    };
    check("expect connect\ndance", "script.txt:2: dance: no such command");
    check("emit x {\"a\":", "script.txt:1: {\"a\": is no JSON");
    check("emit x @/nowhere", "/nowhere");
    check("expect no news", "the time is missing");
    let (_, error, code) = run(&mut patera(["connect", &server.url(), "--script", "/nowhere/at all"]));
    assert!(error.contains("/nowhere/at all: No such file") && code == Some(2), "{error}");
}

#[test]
fn server_that_dies_and_comes_back_is_seen_by_a_script() {
    let folder = Folder::new();
    let mut server = Server::start();
    let url = server.url();
    let text = "within 20s\nexpect connect\nexpect welcome\nexpect disconnect\nexpect reconnecting 1\nexpect reconnect\n\
                expect connect\ncall add 1 2 => 3";
    for transports in ["polling", "websocket", "polling,websocket"] {
        let mut command = script(&folder, &url, text);
        command.args(["--json", "--transports", transports]).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        assert!(lines.any(|line| line.contains("\"welcome\"")));
        let address = server.kill();
        server = Server::start_at(address, Config::default(), events);
        let rest: String = lines.map(|line| line + "\n").collect();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{transports}: {rest}");
    }
}

#[test]
fn json_has_every_step() {
    let (server, folder) = (Server::start(), Folder::new());
    let (out, error, code) = run(script(&folder, &server.url(), "expect connect\ncall add 1 2").arg("--json"));
    assert_eq!((error.as_str(), code), ("", Some(0)), "{out}");
    let objects = objects(&out);
    let steps: Vec<_> = objects.iter().filter(|object| object["type"] == "step").collect();
    assert_eq!(steps.len(), 2, "{out}");
    assert_eq!((&steps[1]["line"], &steps[1]["text"]), (&2.into(), &"call add 1 2".into()));
    let times: Vec<_> = objects.iter().map(|object| object["ms"].as_f64().unwrap()).collect();
    assert!(times.is_sorted(), "{out}");
}

#[test]
fn script_comes_on_standard_input_too() {
    let server = Server::start();
    let mut command = patera(["connect", &server.url(), "--script", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"expect connect\ncall add 1 2 => 4\n").unwrap();
    let (_, error, code) = told(child.wait_with_output().unwrap());
    assert!(error.contains("standard input:2: call add 1 2 => 4") && code == Some(1), "{error}");
}

#[test]
fn plain_websocket_has_scripts_too() {
    let (server, folder) = (Server::start(), Folder::new());
    let text = r#"
expect connect
expect message {"event":"connect","args":[{"sid":"*"}]}
expect message {"event":"welcome","args":["hello",1]}
send {"event":"add","args":[1,2],"ack":7}
expect message {"ack":7,"args":[3]}
{"event":"echo","args":["é"]}
expect message '{"event":"echo","args":["é"]}'
expect no message 50ms
disconnect 4000 that is it
expect disconnect 4000
connect
expect connect
"#;
    let mut command = script(&folder, &server.websocket_url(), text);
    let (out, error, code) = run(command.args(["--subprotocol", "patera.json"]));
    assert_eq!((error.as_str(), code), ("", Some(0)), "{out}");
    let (_, error, code) =
        run(&mut script(&folder, &server.websocket_url(), "send hello\nwithin 100ms expect message x"));
    assert!(
        error.contains("script.txt:2: within 100ms expect message x: nothing like it") && code == Some(1),
        "{error}"
    );
    let nowhere = server.websocket_url() + "/nowhere";
    let (_, error, code) = run(&mut script(&folder, &nowhere, "expect connect"));
    assert!(error.contains("before the connection ended") && code == Some(1), "{error}");
}

#[test]
fn servers_that_are_no_good_make_a_script_fail() {
    let folder = Folder::new();
    for answer in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"[..],
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
        b"",
    ] {
        let garbage = Garbage::start(answer);
        for url in [format!("http://{}", garbage.address), format!("ws://{}", garbage.address)] {
            let mut command = script(&folder, &url, "within 200ms expect connect");
            let (out, error, code) = run(command.args(["--timeout", "300ms"]));
            assert!(error.contains("expect connect: nothing like it"), "{url} {answer:?}: {error}{out}");
            assert_eq!(code, Some(1), "{url} {answer:?}: {error}{out}");
        }
    }
}

#[test]
fn script_of_the_guide_holds() {
    let guide = include_str!("../../../../docs/guide/terminal.md");
    let (_, text) = guide.split_once("```\n# smoke.txt\n").unwrap();
    let (text, _) = text.split_once("```").unwrap();
    let server = Server::start_with(Config::default(), |io: &Io| {
        io.on_connection(async |socket: Socket| {
            let id = Value::from(Map::from_iter([("id", socket.id().to_owned())]));
            socket.emit("welcome", (id, 1));
        });
        io.on("add", async |a: i64, b: i64| Reply(a + b));
        io.on("private message", async |socket: Socket, to: Value, text: String| {
            assert_eq!(to["to"].as_str(), Some("ada"));
            socket.emit("private message", (socket.id().to_owned(), text));
            let answer: String = socket.emit_with_ack("are you there", ()).await?;
            assert_eq!(answer, "yes");
            Ok::<_, Error>(())
        });
        io.of("/admin").middleware(async || Err::<(), _>(Error::new("who are you")));
    });
    let folder = Folder::new();
    let (out, error, code) = run(&mut script(&folder, &server.url(), text));
    assert_eq!((error.as_str(), code), ("", Some(0)), "{out}");
}

#[test]
fn flood_is_passed_over() {
    let folder = Folder::new();
    let server = Server::start_with(Config::default(), |io: &Io| {
        io.on("flood", async |socket: Socket, count: u32| {
            for number in 0..count {
                socket.emit("drop", number);
            }
            socket.emit("flooded", count);
        });
    });
    let (out, error, code) =
        run(&mut script(&folder, &server.url(), "emit flood 5000\nwithin 20s expect flooded 5000"));
    assert_eq!((error.as_str(), code), ("", Some(0)));
    assert_eq!(out.lines().filter(|line| line.contains("← drop")).count(), 5000);
}
