//! A link that dies without a word: what is sent is lost both ways, and no connection is reset. Only the heartbeat can tell.
//!
//! Server and clients are in a network namespace of their own whose loopback is taken down. That takes root, or a system on which anyone may
//! make one, `ip`, `unshare` and `nsenter`; elsewhere the test says that it is skipped.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use rustix::process::{Signal, geteuid};

use crate::peers::Running;
use crate::support::{PATIENCE, patera};

const PING_INTERVAL: Duration = Duration::from_secs(1);
const PING_TIMEOUT: Duration = Duration::from_secs(1);

#[test]
fn clients_behind_a_dead_link_are_found_by_the_heartbeat() {
    let network = match Network::new() {
        Ok(network) => network,
        Err(why) => {
            // Not by a macro: those are captured.
            let _ = writeln!(std::io::stderr(), "skipped, there is no network to cut: {why}");
            return;
        }
    };
    let (interval, timeout) = (format!("{}ms", PING_INTERVAL.as_millis()), format!("{}ms", PING_TIMEOUT.as_millis()));
    let arguments = ["serve", "--port", "0", "--no-recovery", "--ping-interval", &interval, "--ping-timeout", &timeout];
    let mut command = network.inside(&patera(arguments));
    command.env("RUST_LOG", "info").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut server = Running(command.spawn().unwrap());
    let told = lines(server.0.stdout.take().unwrap());
    let line = wait_for(&told, "http://");
    let address = line.split_once("http://").unwrap().1.trim_end_matches('/').to_owned();
    let log = lines(server.0.stderr.take().unwrap());
    let sockets_before = sockets(&server.0);

    let (http, ws) = (format!("http://{address}"), format!("ws://{address}/ws"));
    let mut clients = Vec::new();
    for (arguments, transport) in [
        (&[&*http, "--transports", "websocket"][..], "websocket"),
        (&[&*http, "--transports", "polling"], "polling"),
        (&[&*ws], "websocket"),
    ] {
        let mut command = network.inside(&patera(["connect"].iter().chain(arguments)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut client = Running(command.spawn().unwrap());
        let output = lines(client.0.stdout.take().unwrap());
        let joined = wait_for(&log, "joined");
        assert!(joined.contains(transport), "{joined}");
        // Events come over it.
        wait_for(&output, "getServerMessage");
        clients.push(client);
    }
    assert!(sockets(&server.0) > sockets_before);

    network.set_link("down");
    let cut = Instant::now();
    for _ in &clients {
        let left = wait_for(&log, "left");
        assert!(left.contains("ping timeout"), "{left}");
    }
    // The kernel alone would take minutes.
    assert!(cut.elapsed() < PING_INTERVAL + PING_TIMEOUT + PATIENCE / 3, "{:?}", cut.elapsed());
    let patience = Instant::now();
    while sockets(&server.0) > sockets_before {
        assert!(patience.elapsed() < PATIENCE, "its files are given back");
        std::thread::yield_now();
    }
    // What it counts can be asked without a network.
    server.signal(Signal::TERM);
    let closing = wait_for(&log, "closing");
    assert!(closing.contains("sessions=0"), "{closing}");
    wait_for(&log, "closed");
    assert!(server.0.wait().unwrap().success());
}

/// A network namespace with a loopback and nothing else. It ends with the process that keeps it, which ends with this one, however
/// that comes about: its input is closed then.
struct Network {
    keeper: Running,
    options: &'static [&'static str],
}

impl Network {
    /// `Err` says why there can be none.
    fn new() -> Result<Self, String> {
        let (made_with, options): (&[&str], &[&str]) = match geteuid().is_root() {
            true => (&["--net"], &["--net"]),
            // Whoever is root in a user namespace of his own may have a network there.
            false => (&["--net", "--map-root-user"], &["--net", "--user", "--preserve-credentials"]),
        };
        let mut command = Command::new("unshare");
        command.args(made_with).args(["sh", "-c", "ip link set lo up && echo up && exec cat"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut keeper = Running(command.spawn().map_err(|error| format!("unshare: {error}"))?);
        let mut told = String::new();
        let _ = BufReader::new(keeper.0.stdout.take().unwrap()).read_line(&mut told);
        if told != "up\n" {
            let _ = keeper.0.stderr.take().unwrap().read_to_string(&mut told);
            return Err(told.trim().to_owned());
        }
        let network = Network { keeper, options };
        let entered = network.inside(&Command::new("true")).output().map_err(|error| format!("nsenter: {error}"))?;
        if !entered.status.success() {
            return Err(String::from_utf8_lossy(&entered.stderr).trim().to_owned());
        }
        Ok(network)
    }

    /// The same command within the namespace.
    fn inside(&self, command: &Command) -> Command {
        let mut inside = Command::new("nsenter");
        inside.arg("--target").arg(self.keeper.0.id().to_string()).args(self.options);
        inside.arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
        for (name, _) in command.get_envs().filter(|(_, value)| value.is_none()) {
            inside.env_remove(name);
        }
        inside
    }

    fn set_link(&self, state: &str) {
        let mut command = Command::new("ip");
        command.args(["link", "set", "lo", state]);
        assert!(self.inside(&command).status().unwrap().success());
    }
}

/// Lines as they come, until the end.
fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let lines = BufReader::new(from).lines().map_while(Result::ok);
        // Who has seen enough has gone; it is read to its end all the same.
        lines.for_each(|line| drop(tell.send(line)));
    });
    told
}

/// The next line that contains a word.
fn wait_for(told: &Receiver<String>, word: &str) -> String {
    let until = Instant::now() + PATIENCE;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let line = told.recv_timeout(left).unwrap_or_else(|_| panic!("no line with {word:?} in time"));
        if line.contains(word) {
            return line;
        }
    }
}

/// Sockets that a process has open.
fn sockets(process: &Child) -> usize {
    let files = std::fs::read_dir(format!("/proc/{}/fd", process.id())).unwrap();
    let targets = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
}
