//! What only another process can be: a client that is stopped, and a server that has no file left.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use patera::{Config, DisconnectReason};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{PATIENCE, Server, patera};

/// Killed with its test.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_client_that_is_stopped_is_found_by_its_heartbeat() {
    let mut config = Config::default();
    (config.ping_interval, config.ping_timeout) = (Duration::from_millis(200), Duration::from_millis(300));
    let (reasons, ended) = mpsc::channel();
    let (connected, connections) = mpsc::channel();
    let server = Server::start_with(config, move |io| {
        let (reasons, connected) = (reasons.clone(), connected.clone());
        io.on_connection(async move || connected.send(()).unwrap());
        io.on_disconnect(async move |reason: DisconnectReason| reasons.send(reason).unwrap());
    });
    let mut command = patera(["connect", &server.url()]);
    let client = Running(command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    connections.recv_timeout(PATIENCE).unwrap();
    // Its kernel goes on to acknowledge what is sent.
    client.signal(Signal::STOP);
    assert_eq!(ended.recv_timeout(PATIENCE), Ok(DisconnectReason::PingTimeout));
    // It finds out by itself, and comes back.
    client.signal(Signal::CONT);
    connections.recv_timeout(PATIENCE).unwrap();
}

/// Time that a process has spent on a processor, in hundredths of a second.
#[cfg(target_os = "linux")]
fn ticks(child: &Child) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[cfg(target_os = "linux")]
fn request(stream: &mut TcpStream, target: &str) -> String {
    write!(stream, "GET {target} HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    let mut answer = vec![0; 4096];
    let count = stream.read(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[..count]).into_owned()
}

#[cfg(target_os = "linux")]
#[test]
fn a_server_without_files_serves_those_it_has_and_accepts_again() {
    let mut command = Command::new("prlimit");
    command.args(["--nofile=48", env!("CARGO_BIN_EXE_patera"), "serve", "--port", "0"]).env("RUST_LOG", "info");
    let mut child = Running(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines().map_while(Result::ok);
    let line = lines.find(|line| line.contains("http://")).expect("where it serves");
    let word = line.split_whitespace().find(|word| word.starts_with("http://")).unwrap();
    let address = word.trim_start_matches("http://").split('/').next().unwrap().to_owned();
    let connect = || {
        let stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    };
    let open = "/socket.io/?EIO=4&transport=polling";
    let mut served = connect();
    assert!(request(&mut served, open).contains(r#"0{"sid":""#));
    // The kernel takes them all; the server has files for some.
    let mut others: Vec<TcpStream> = (0..100).map(|_| connect()).collect();
    for stream in &mut others {
        write!(stream, "GET {open} HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    }
    // The first have one.
    for stream in &mut others[..8] {
        assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
    }
    let (spent, started) = (ticks(&child.0), Instant::now());
    let last = others.last_mut().unwrap();
    last.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    assert!(last.read(&mut [0; 4096]).is_err(), "there is no file for it");
    assert!(request(&mut served, open).contains(r#"0{"sid":""#), "who is there is served");
    // In a loop without a pause that would be all of this time.
    let busy = Duration::from_millis(10 * (ticks(&child.0) - spent));
    assert!(busy < started.elapsed() / 2, "{busy:?} of {:?}", started.elapsed());
    let mut last = others.pop().unwrap();
    last.set_read_timeout(Some(PATIENCE)).unwrap();
    drop(others);
    assert!(last.read(&mut [0; 4096]).unwrap() > 0, "files are free again");
    assert!(request(&mut connect(), open).contains(r#"0{"sid":""#));
}
