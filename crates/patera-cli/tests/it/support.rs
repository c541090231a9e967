//! The program, and servers in this process that can be killed and come back.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use patera::{Config, Io, Reply, Rest, Socket, Value};
use serde::ser::{Serialize, SerializeTuple as _, Serializer};
use serde_json::Value as Json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// Nothing here takes longer, however slow the machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A server with threads of its own: killed, it is gone at once, with all its connections.
pub(crate) struct Server {
    pub(crate) io: Io,
    pub(crate) address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Server {
    /// With the events of [`events`].
    pub(crate) fn start() -> Self {
        Self::start_with(Config::default(), events)
    }

    pub(crate) fn start_with(config: Config, setup: impl Fn(&Io)) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), config, setup)
    }

    pub(crate) fn start_at(address: SocketAddr, config: Config, setup: impl Fn(&Io)) -> Self {
        let io = Io::with_config(config);
        setup(&io);
        let runtime = runtime();
        let listener = runtime.block_on(TcpListener::bind(address)).unwrap();
        let address = listener.local_addr().unwrap();
        let serving = io.clone();
        runtime.spawn(async move { serving.serve(listener).await });
        Server { io, address, runtime: Some(runtime) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn websocket_url(&self) -> String {
        format!("ws://{}/ws", self.address)
    }

    /// Gone from one moment to the next. The address can be taken again.
    pub(crate) fn kill(mut self) -> SocketAddr {
        self.end();
        self.address
    }

    fn end(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(PATIENCE);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// `patera serve`, killed with its test.
pub(crate) struct Demo {
    child: Child,
    pub(crate) url: String,
}

impl Demo {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut command = patera([&["serve", "--port", "0"], arguments].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut told = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = told.next().unwrap().unwrap();
        let url = line.split_once("serves ").unwrap().1.trim_end_matches('/').to_owned();
        // It is told nothing that it has to wait for: a few lines.
        std::thread::spawn(move || told.map_while(Result::ok).for_each(drop));
        Demo { child, url }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the tests ask of a server.
pub(crate) fn events(io: &Io) {
    io.native("/ws");
    io.on_connection(async |socket: Socket| socket.emit("welcome", ("hello", 1)));
    io.on("echo", async |socket: Socket, x: Value| socket.emit("echo", x));
    io.on("add", async |a: i64, b: i64| Reply(a + b));
    io.on("all", async |Rest(args): Rest| Reply(Many(args)));
    io.on("ask me", async |socket: Socket, question: Value| {
        let answer: Value = socket.emit_with_ack("question", question).await?;
        socket.emit("thanks", answer);
        Ok::<_, patera::Error>(())
    });
    io.on("throw me out", async |socket: Socket| socket.disconnect());
    io.on("handshake", async |socket: Socket| {
        let header = socket.handshake().headers().get("x-name").and_then(|name| name.to_str().ok()).map(str::to_owned);
        let query: Vec<_> = socket
            .handshake()
            .query()
            .into_iter()
            .filter(|(name, _)| name.len() == 1)
            .map(|(_, value)| value)
            .collect();
        Reply((header, query, socket.auth(), socket.transport().as_str()))
    });
    let private = io.of("/private");
    private.middleware(async |socket: Socket| match socket.auth()["token"].as_str() {
        Some("let me in") => Ok(()),
        _ => Err(patera::Error::new("who are you")),
    });
    private.on("add", async |a: i64, b: i64| Reply(a + b));
}

/// Arguments, however many.
struct Many(Vec<Value>);

impl Serialize for Many {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        self.0.iter().try_for_each(|value| tuple.serialize_element(value))?;
        tuple.end()
    }
}

/// A server that answers each connection with these bytes, whatever it is asked, and then says nothing.
pub(crate) struct Garbage {
    pub(crate) address: SocketAddr,
    _runtime: Runtime,
}

impl Garbage {
    pub(crate) fn start(answer: &'static [u8]) -> Self {
        let runtime = runtime();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move {
            let mut kept = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                // What it asks for first.
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(answer).await;
                kept.push(stream);
            }
        });
        Garbage { address, _runtime: runtime }
    }
}

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// The program with these arguments, and nothing of the user's environment that would change it.
pub(crate) fn patera<A: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_patera"));
    for name in ["HTTPS_PROXY", "https_proxy", "http_proxy", "ALL_PROXY", "all_proxy", "NO_COLOR"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).args(arguments);
    command
}

/// What a program that has ended leaves: standard output, standard error, exit code.
pub(crate) fn run(command: &mut Command) -> (String, String, Option<i32>) {
    told(command.output().unwrap())
}

pub(crate) fn told(Output { status, stdout, stderr }: Output) -> (String, String, Option<i32>) {
    (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap(), status.code())
}

/// The objects of `--json`.
pub(crate) fn objects(text: &str) -> Vec<Json> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
}

/// A folder of a test's own, gone when it is dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("it-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A file in it.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
