//! `patera bench` as it is run, against servers in this process: good ones, and ones with a fault it must find.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use patera::{Config, Io, Reply, Socket, Value};
use serde_json::Value as Json;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

#[test]
fn every_scenario_measures_and_loses_nothing() {
    let server = Server::new(Config::default());
    server.handlers();
    let check = |arguments: &str, connections: u64| {
        let (report, code) = server.bench(arguments);
        assert_eq!(code, Some(0), "{arguments}: {report}");
        assert!(report["operations"].as_u64().unwrap() > 0, "{arguments}: {report}");
        assert!(report["latency_us"]["p50"].as_f64().unwrap() > 0.0, "{arguments}: {report}");
        for name in ["lost", "duplicated", "reordered"] {
            assert_eq!(report[name], 0, "{arguments}: {report}");
        }
        assert_eq!(report["errors"], serde_json::json!({}), "{arguments}: {report}");
        if connections > 0 {
            assert_eq!(report["connections"], connections, "{arguments}");
        }
    };
    check("echo -c 5", 5);
    check("echo -c 5 --window 16", 5);
    check("echo -c 5 --binary --size 1024", 5);
    check("echo -c 2 --size 0", 2);
    check("echo -c 2 --size 1", 2);
    check("echo -c 2 --size 200000 --window 4", 2);
    check("echo -c 5 --rate 500", 5);
    check("ack -c 5", 5);
    check("ack -c 5 --binary --window 3", 5);
    check("broadcast -c 20", 20);
    check("broadcast -c 20 --window 8 --binary", 20);
    check("broadcast -c 20 --rate 2000", 20);
    check("rooms -c 20", 20);
    check("rooms -c 20 --rooms 7 --window 4 --binary", 20);
    check("connect -c 4", 0);
    check("connect -c 4 --rate 50", 0);
    check("churn -c 4", 4);
    check("churn -c 4 --binary", 4);
    check("polling -c 4", 4);
    check("polling -c 4 --binary --window 4", 4);
    check("polling -c 4 --rate 50", 4);
    check("storm -c 50", 50);
}

#[test]
fn so_many_operations_as_asked_for_are_measured() {
    let server = Server::new(Config::default());
    server.handlers();
    for scenario in ["echo", "ack --window 4", "broadcast", "rooms", "connect", "churn", "polling"] {
        let (report, code) = server.run(&format!("{scenario} -c 4 -n 150 --json"));
        assert_eq!((report["operations"].as_u64(), code), (Some(150), Some(0)), "{scenario}: {report}");
    }
}

#[test]
fn idle_connections_answer_heartbeats() {
    let mut config = Config::default();
    config.ping_interval = Duration::from_millis(100);
    config.ping_timeout = Duration::from_millis(5000);
    let server = Server::new(config);
    let (report, code) = server.run("idle -c 10 -d 1s --warmup 0 --json");
    assert_eq!(code, Some(0), "{report}");
    // Ten or so for each.
    let heartbeats = report["operations"].as_u64().unwrap();
    assert!((20..=110).contains(&heartbeats), "{report}");
    // They are no operations of other scenarios.
    let (report, code) = server.run("storm -c 10 --json");
    assert_eq!((report["operations"].as_u64(), code), (Some(10), Some(0)), "{report}");
    let (report, code) = server.run("connect -c 4 -n 500 --json");
    assert_eq!((report["operations"].as_u64(), code), (Some(500), Some(0)), "{report}");
}

#[test]
fn report_has_the_fields_it_promises() {
    let server = Server::new(Config::default());
    server.handlers();
    let pid = std::process::id();
    let (report, _) = server.bench(&format!("echo -c 2 --pid {pid}"));
    let keys = |value: &Json| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    let set = |names: &str| names.split_whitespace().map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(
        keys(&report),
        set(
            "scenario url version options connections operations seconds rate latency_us lost duplicated reordered errors \
             generator server"
        )
    );
    assert_eq!(keys(&report["latency_us"]), set("min mean p50 p90 p99 p99_9 max"));
    assert_eq!(keys(&report["generator"]), set("cpu_us cpu_us_per_operation"));
    assert_eq!(
        keys(&report["server"]),
        set("pid cpu_us cpu_us_per_operation rss_before_bytes rss_connected_bytes rss_after_bytes \
             rss_bytes_per_connection threads")
    );
    assert_eq!(report["scenario"], "echo");
    assert_eq!(report["server"]["pid"], pid);
    assert!(report["server"]["threads"].as_u64().unwrap() >= 2);
    assert!(report["generator"]["cpu_us_per_operation"].as_f64().unwrap() > 0.0);
    let latency = &report["latency_us"];
    let values = ["min", "p50", "p90", "p99", "p99_9", "max"].map(|name| latency[name].as_f64().unwrap());
    assert!(values.is_sorted(), "{latency}");
    let (report, _) = server.bench("echo -c 2");
    assert_eq!(report["server"], Json::Null);
}

#[test]
fn lost_replies_are_found() {
    let server = Server::new(Config::default());
    let count = AtomicU64::new(0);
    server.io.on("echo", {
        let count = std::sync::Arc::new(count);
        async move |socket: Socket, x: Value| {
            if count.fetch_add(1, Ordering::Relaxed) % 50 != 49 {
                socket.emit("echo", x);
            }
        }
    });
    let (report, code) = server.bench("echo -c 2 --window 16 --timeout 500ms");
    assert_eq!(code, Some(1), "{report}");
    assert!(report["lost"].as_u64().unwrap() > 0, "{report}");
    assert_eq!(report["duplicated"], 0, "{report}");
}

#[test]
fn doubled_replies_are_found() {
    let server = Server::new(Config::default());
    server.io.on("echo", async |socket: Socket, x: Value| {
        socket.emit("echo", &x);
        socket.emit("echo", &x);
    });
    let (report, code) = server.bench("echo -c 2");
    assert_eq!((code, &report["lost"]), (Some(1), &Json::from(0)), "{report}");
    assert!(report["duplicated"].as_u64() >= report["operations"].as_u64(), "{report}");
}

#[test]
fn replies_out_of_order_are_found() {
    let server = Server::new(Config::default());
    let held = std::sync::Arc::new(Mutex::new(None::<Value>));
    // Of two, the second is answered first.
    server.io.on("echo", async move |socket: Socket, x: Value| {
        let mut held = held.lock().unwrap();
        match held.take() {
            None => *held = Some(x),
            Some(first) => {
                socket.emit("echo", x);
                socket.emit("echo", first);
            }
        }
    });
    let (report, code) = server.bench("echo -c 1 --window 4 --timeout 500ms");
    assert_eq!((code, &report["duplicated"]), (Some(1), &Json::from(0)), "{report}");
    assert!(report["reordered"].as_u64().unwrap() > 0, "{report}");
}

#[test]
fn changed_payloads_are_found() {
    let server = Server::new(Config::default());
    server.io.on("ack", async |x: String| Reply(x.to_ascii_lowercase()));
    let (report, code) = server.bench("ack -c 1 --timeout 500ms");
    assert_eq!(code, Some(1), "{report}");
    assert_eq!(report["errors"]["payload changed"], 1, "{report}");
}

#[test]
fn lost_deliveries_are_found() {
    let server = Server::new(Config::default());
    let count = std::sync::Arc::new(AtomicU64::new(0));
    server.io.on("pub", async move |io: Io, socket: Socket, x: Value| {
        if count.fetch_add(1, Ordering::Relaxed) == 20 {
            io.except(socket.id()).emit("pub", x);
        } else {
            io.emit("pub", x);
        }
    });
    let (report, code) = server.bench("broadcast -c 10 --window 2 --warmup 0 --timeout 500ms");
    assert_eq!((code, &report["lost"]), (Some(1), &Json::from(1)), "{report}");
}

#[test]
fn connections_that_end_are_errors() {
    let server = Server::new(Config::default());
    let count = std::sync::Arc::new(AtomicU64::new(0));
    server.io.on("echo", async move |socket: Socket, x: Value| {
        if count.fetch_add(1, Ordering::Relaxed) == 20 {
            socket.close();
        } else {
            socket.emit("echo", x);
        }
    });
    let (report, code) = server.bench("echo -c 2 --timeout 500ms");
    assert_eq!(code, Some(1), "{report}");
    let errors = report["errors"].as_object().unwrap();
    assert_eq!(errors.values().filter_map(Json::as_u64).sum::<u64>(), 1, "{report}");
}

#[test]
fn refused_connections_are_errors() {
    let server = Server::new(Config::default());
    let (report, code) = server.bench("echo -c 3 --namespace /nowhere");
    assert_eq!((code, &report["connections"]), (Some(1), &Json::from(0)), "{report}");
    assert_eq!(report["errors"]["refused: Invalid namespace"], 3, "{report}");
    let (report, code) = server.bench("polling -c 3 --path /elsewhere/");
    assert_eq!(code, Some(1), "{report}");
    assert_eq!(report["errors"]["answered 404"], 3, "{report}");
}

#[test]
fn server_that_is_not_there_is_an_error() {
    // Bound, not listening: whoever connects is refused, and nobody else takes the port.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    for scenario in ["echo", "connect", "churn", "storm", "polling", "broadcast"] {
        let mut command = bench();
        command.args([scenario, &format!("http://{address}"), "-c", "3", "-n", "10", "--timeout", "300ms", "--json"]);
        let (report, code) = read(&command.output().unwrap());
        assert_eq!(code, Some(1), "{scenario}: {report}");
        assert!(report["errors"]["cannot connect: connection refused"].as_u64().unwrap() >= 3, "{scenario}: {report}");
        assert_eq!((&report["lost"], &report["operations"]), (&Json::from(0), &Json::from(0)), "{scenario}: {report}");
    }
}

#[test]
fn open_loop_counts_from_when_an_operation_was_due() {
    let server = Server::new(Config::default());
    let stall = std::sync::Arc::new(Mutex::new((0, Instant::now())));
    // Once, everything takes 400 ms. In the closed loop that would be one slow operation among hundreds.
    server.io.on("echo", async move |socket: Socket, x: Value| {
        let until = {
            let mut stall = stall.lock().unwrap();
            stall.0 += 1;
            if stall.0 == 20 {
                stall.1 = Instant::now() + Duration::from_millis(400);
            }
            stall.1
        };
        tokio::time::sleep_until(until.into()).await;
        socket.emit("echo", x);
    });
    let (report, code) = server.run("echo -c 1 --window 1 --rate 200 -d 1s --warmup 0 --json");
    assert_eq!(code, Some(0), "{report}");
    // 200 were due, 80 of them meanwhile.
    assert!(report["operations"].as_u64().unwrap() > 100, "{report}");
    assert!(report["latency_us"]["p90"].as_f64().unwrap() > 100_000.0, "{report}");
}

#[test]
fn auth_and_namespace_are_sent() {
    let server = Server::new(Config::default());
    let chat = server.io.of("/chat");
    chat.middleware(async |socket: Socket| -> patera::Result {
        if socket.auth()["token"].as_str() == Some("let me in") { Ok(()) } else { Err("who are you".into()) }
    });
    chat.on("echo", async |socket: Socket, x: Value| socket.emit("echo", x));
    let mut command = server.command("echo -c 2 -d 200ms --warmup 0 --json --namespace /chat");
    let (report, code) = read(&command.args(["--auth", r#"{"token":"let me in"}"#]).output().unwrap());
    assert_eq!(code, Some(0), "{report}");
    let (report, code) = server.bench("echo -c 2 --namespace /chat");
    assert_eq!((code, &report["errors"]["refused: who are you"]), (Some(1), &Json::from(2)), "{report}");
}

#[test]
fn wrong_commands_exit_with_2() {
    let check = |arguments: &str, complaint: &str| {
        let output = bench().args(arguments.split_whitespace()).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments}: {error}");
        assert!(error.contains(complaint), "{arguments}: {error}");
        assert!(output.stdout.is_empty(), "{arguments}");
    };
    check("", "SCENARIO");
    check("dance", "dance");
    check("echo https://127.0.0.1/", "TLS");
    check("echo http://127.0.0.1:1 --pid 4294967295", "process 4294967295");
    check("echo -c 0", "0");
    check("echo -d soon", "soon");
    check("echo --rate 0", "0");
    check("storm http://127.0.0.1:1 -c 1000000", "open files");
}

#[test]
fn people_get_a_table() {
    let server = Server::new(Config::default());
    server.handlers();
    let output = server.command("echo -c 2 -n 1000 --warmup 0").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("operations   1,000 in "), "{text}");
    // No bar where there is no terminal.
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

struct Server {
    io: Io,
    address: SocketAddr,
    /// Serves as long as it lives.
    _runtime: Runtime,
}

impl Server {
    fn new(config: Config) -> Server {
        let runtime = Runtime::new().unwrap();
        let io = Io::with_config(config);
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let serving = io.clone();
        runtime.spawn(async move { serving.serve(listener).await });
        Server { io, address, _runtime: runtime }
    }

    /// What the scenarios need.
    fn handlers(&self) {
        let io = &self.io;
        io.on("echo", async |socket: Socket, x: Value| socket.emit("echo", x));
        io.on("ack", async |x: Value| Reply(x));
        io.on("pub", async |io: Io, x: Value| io.emit("pub", x));
        io.on("join", async |socket: Socket, room: String| socket.join(room));
        io.on("room", async |io: Io, room: String, x: Value| io.to(room.as_str()).emit("room", x));
    }

    /// A short run.
    fn bench(&self, arguments: &str) -> (Json, Option<i32>) {
        let warmup = if arguments.contains("--warmup") { "" } else { "--warmup 100ms" };
        self.run(&format!("{arguments} -d 300ms {warmup} --json"))
    }

    fn run(&self, arguments: &str) -> (Json, Option<i32>) {
        read(&self.command(arguments).output().unwrap())
    }

    /// `arguments` begin with the scenario.
    fn command(&self, arguments: &str) -> Command {
        let (scenario, options) = arguments.split_once(' ').unwrap();
        let mut command = bench();
        command.arg(scenario).arg(format!("http://{}", self.address)).args(options.split_whitespace());
        command
    }
}

fn bench() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_patera"));
    command.arg("bench");
    command
}

fn read(output: &Output) -> (Json, Option<i32>) {
    let error = String::from_utf8_lossy(&output.stderr);
    let text = str::from_utf8(&output.stdout).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}{error}");
    (serde_json::from_str(text).unwrap(), output.status.code())
}
