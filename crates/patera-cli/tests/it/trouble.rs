//! What goes wrong for who does not know the program yet: one line each, with what to do.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::net::TcpSocket;

use crate::support::{Demo, Folder, Garbage, Server, objects, patera, run};

/// Bound, not listening: whoever connects is refused, and nobody else takes the port.
struct Nobody {
    address: SocketAddr,
    _socket: TcpSocket,
}

impl Nobody {
    fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Nobody { address: socket.local_addr().unwrap(), _socket: socket }
    }
}

/// A command that fails with this one line.
fn check(arguments: &[&str], parts: &[&str]) {
    let (out, error, code) = run(&mut patera(arguments));
    assert_eq!((out.as_str(), code, error.lines().count()), ("", Some(1), 1), "{arguments:?}: {error}");
    assert!(parts.iter().all(|part| error.contains(part)), "{arguments:?}: {error}");
}

/// A key, and a certificate that nobody vouches for, as files.
fn certify(folder: &Folder) -> [String; 2] {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let files = [folder.file("cert.pem", cert.pem()), folder.file("key.pem", signing_key.serialize_pem())];
    files.map(|file| file.to_str().unwrap().to_owned())
}

#[test]
fn nobody_there() {
    let nobody = Nobody::new();
    let address = nobody.address.to_string();
    check(&["emit", &address, "x"], &[&address, "connection refused; is the server running?"]);
    let proxy = format!("http://{address}");
    check(&["emit", "localhost:1", "x", "--proxy", &proxy], &["the proxy ", &address, "--proxy"]);
    check(&["bench", "echo", &address], &[&address, "cannot connect: connection refused"]);
}

#[test]
fn proxy_that_is_none() {
    for command in [&["connect", "http://x"][..], &["emit", "http://x", "x"]] {
        let (_, error, code) = run(&mut patera([command, &["--proxy", "ftp://y"]].concat()));
        assert!(error.contains("--proxy ftp://y is no http:// URL") && code == Some(2), "{error}");
        let (_, error, code) = run(patera(command).env("all_proxy", "ftp://y"));
        assert!(error.contains("ALL_PROXY") && code == Some(2), "{error}");
    }
}

#[test]
fn one_line_for_each_attempt_and_no_farewell() {
    let nobody = Nobody::new();
    let url = format!("http://{}", nobody.address);
    let (out, _, code) = run(&mut patera(["connect", &url, "--no-reconnect"]));
    let lines: Vec<_> = out.lines().map(|line| line.split_at(10).1).collect();
    let failed = format!("not connected: {}: connection refused; is the server running?", nobody.address);
    assert_eq!((lines, code), (vec!["connecting", &*failed], Some(1)));

    let mut command = patera(["connect", &url]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(|line| line.unwrap());
    let mut told: Vec<String> = Vec::new();
    while told.iter().filter(|line| line.contains("refused")).count() < 2 {
        told.push(lines.next().unwrap().split_at(10).1.to_owned());
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(told.iter().filter(|line| **line == failed).count(), 2, "{told:?}");
    assert!(told.iter().all(|line| !line.contains("not reconnected")), "{told:?}");
    assert!(told.windows(2).all(|pair| pair[0] != pair[1]), "{told:?}");
}

#[test]
fn tls_where_there_is_none_and_none_where_there_is() {
    let folder = Folder::new();
    let [cert, key] = certify(&folder);
    let (with, without) = (Demo::start(&["--tls-cert", &cert, "--tls-key", &key]), Demo::start(&[]));
    let address = without.url.split_once("://").unwrap().1;
    let tls = format!("https://{address}");
    check(&["emit", &tls, "x"], &["speaks no TLS; try http://", address]);
    let address = with.url.split_once("://").unwrap().1;
    check(&["emit", address, "x"], &["does not answer in HTTP; try https://", address]);
    check(&["emit", address, "x", "--transports", "websocket"], &["try https://", address]);
    check(&["emit", &with.url, "x"], &["not to be trusted", "; -k accepts it, for tests"]);
    let (_, error, code) = run(&mut patera(["emit", &with.url, "message", "x", "-k"]));
    assert_eq!((error.as_str(), code), ("", Some(0)));
}

#[test]
fn no_socket_io_there() {
    let server = Server::start();
    let url = server.url();
    check(&["emit", &url, "x", "--path", "/other"], &["no Socket.IO at /other", "404; is it elsewhere? --path"]);
    check(
        &["emit", &format!("{url}/ws"), "x"],
        &["Invalid namespace; the path of the URL is a namespace", "ws://", "--path"],
    );
    let page = b"HTTP/1.1 404 Not Found\r\ncontent-length: 30\r\n\r\n<html>\n<h1>Nothing here</h1>\n\n";
    for transports in ["polling", "websocket"] {
        let other = Garbage::start(page);
        check(&["emit", &format!("http://{}", other.address), "x", "--transports", transports], &["--path"]);
    }
    let other = Garbage::start(b"HTTP/1.1 500 Oh\r\ncontent-length: 12\r\n\r\n<b>oh</b>\n\n\n");
    check(&["emit", &format!("http://{}", other.address), "x"], &["answered 500\n"]);
}

#[test]
fn event_that_is_too_large_is_not_sent() {
    let (server, folder) = (Demo::start(&[]), Folder::new());
    let file = format!("@{}", folder.file("large.bin", vec![0; 1_200_000]).display());
    let told = ["1,200,000 bytes; the server takes 1,000,000"];
    let arguments = ["emit", &server.url, "message", &file, "--transports", "websocket"];
    check(&arguments, &told);
    check(&[&arguments[..], &["--ack"]].concat(), &told);
}

#[cfg(target_os = "linux")]
#[test]
fn answer_that_cannot_be_written_is_a_failure() {
    let server = Demo::start(&[]);
    let mut command = patera(["emit", &server.url, "add", "1", "2", "--ack"]);
    let output = command.stdout(File::options().write(true).open("/dev/full").unwrap()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("standard output: "));
}

#[test]
fn server_says_what_is_wrong_with_its_files() {
    let folder = Folder::new();
    let [cert, key] = certify(&folder);
    let garbage = folder.file("garbage", "no PEM").to_str().unwrap().to_owned();
    let begin = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let encrypted = folder.file("encrypted.pem", begin).to_str().unwrap().to_owned();
    let serve = |cert: &str, key: &str, parts: &[&str]| {
        check(&["serve", "--port", "0", "--tls-cert", cert, "--tls-key", key], parts);
    };
    serve(&garbage, &key, &["--tls-cert ", &garbage, "no certificate"]);
    serve(&cert, &garbage, &["--tls-key ", &garbage, "no private key"]);
    serve(&key, &cert, &["--tls-cert ", &key, "that is for --tls-key"]);
    serve(&cert, &cert, &["--tls-key ", &cert, "that is for --tls-cert"]);
    serve(&cert, &encrypted, &["--tls-key ", &encrypted, "is encrypted"]);
    serve("/nowhere", &key, &["/nowhere"]);
    let other = Folder::new();
    let [_, stranger] = certify(&other);
    serve(&cert, &stranger, &[&cert, &stranger, "cannot be used"]);
}

#[test]
fn folder_and_command_are_named() {
    let server = Demo::start(&[]);
    let (_, error, code) = run(&mut patera(["connect", &server.url, "--save", "/dev/null/x"]));
    assert!(error.contains("--save /dev/null/x: ") && code == Some(2), "{error}");
    let folder = Folder::new();
    let websocket = format!("ws{}/ws", server.url.trim_start_matches("http"));
    let mut command = patera(["connect", &websocket, "--json"]);
    let input = File::open(folder.file("input", "call echo 1\n")).unwrap();
    let (out, _, _) = run(command.stdin(input));
    let complaint = objects(&out).into_iter().find(|object| object["type"] == "complaint").unwrap();
    let expected = "call echo 1: no such command on a plain WebSocket; `send …` sends text, help tells the others";
    assert_eq!(complaint["message"], expected);
    assert!(!Path::new("/dev/null/x").exists());
}

#[test]
fn bench_says_that_the_server_lacks_the_handlers() {
    let server = Demo::start(&[]);
    let arguments = ["bench", "broadcast", &server.url, "-c", "2", "-n", "4", "--warmup", "0", "--timeout", "200ms"];
    let (out, _, code) = run(&mut patera(arguments));
    assert!(out.contains("no answer: has the server the handlers?") && code == Some(1), "{out}");
}
