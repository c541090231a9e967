//! The load generator: `patera bench`, one process a run, pinned to its own core and bounded in time.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    failure::{Failure, Outcome},
    options::Options,
    server::{Server, owned},
};

/// How long one run may take, whatever it does.
const RUN_MAX: Duration = Duration::from_secs(120);

/// Runs one scenario against this server and returns the generator's own report.
///
/// # Errors
/// It printed no report, or took too long. Messages that were lost are no error: the report counts them.
pub(crate) fn run(options: &Options, scenario: &str, server: &Server, arguments: &[String]) -> Outcome<Value> {
    let mut command = owned(&options.generator, Some(options.generator_core));
    command.args(["bench", scenario]).arg(server.url()).args(arguments);
    command.args(["--pid", &server.pid().to_string(), "--json"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let process = command.spawn().map_err(Failure::io(&options.generator))?;
    let (output, complaint) = Running(process).finish(RUN_MAX)?;
    serde_json::from_str(&output).map_err(|error| {
        Failure::new(format!("`patera bench {scenario}` printed no report ({error}): {}", complaint.trim()))
    })
}

/// The bytes of the head of the generator's request for a WebSocket, of which Patera keeps the headers.
pub(crate) fn request_head_bytes(options: &Options) -> Outcome<usize> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(Failure::io("127.0.0.1"))?;
    let address = listener.local_addr().map_err(Failure::io("127.0.0.1"))?;
    let mut command = owned(&options.generator, Some(options.generator_core));
    command.args([
        "bench",
        "connect",
        &format!("http://{address}"),
        "--connections",
        "1",
        "--operations",
        "1",
        "--json",
    ]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let generator = Running(command.spawn().map_err(Failure::io(&options.generator))?);

    let listening = thread::spawn(move || {
        let (mut stream, _) = listener.accept().ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        let (mut head, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            let count = stream.read(&mut buffer).ok().filter(|&count| count > 0)?;
            head.extend_from_slice(&buffer[..count]);
            if let Some(at) = head.windows(4).position(|window| window == b"\r\n\r\n") {
                // Whatever comes back ends the generator.
                let _ = stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
                return Some(at + 4);
            }
        }
    });
    let started = Instant::now();
    while !listening.is_finished() && started.elapsed() < Duration::from_secs(10) {
        thread::sleep(Duration::from_millis(5));
    }
    drop(generator);
    let finished = if listening.is_finished() { listening.join().ok().flatten() } else { None };
    finished.ok_or_else(|| Failure::new("`patera bench connect` sent no request"))
}

/// A process that ends with this handle.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    /// What it printed on standard output and standard error, once it has ended.
    pub(crate) fn finish(mut self, max: Duration) -> Outcome<(String, String)> {
        let output = self.0.stdout.take().map(|pipe| thread::spawn(|| read_all(pipe)));
        let complaint = self.0.stderr.take().map(|pipe| thread::spawn(|| read_all(pipe)));
        let started = Instant::now();
        while self.0.try_wait().map_err(Failure::io("a program"))?.is_none() {
            if started.elapsed() > max {
                return Err(Failure::new(format!("a program took more than {} s and was ended", max.as_secs())));
            }
            thread::sleep(Duration::from_millis(10));
        }
        let text = |reader: Option<thread::JoinHandle<String>>| {
            reader.and_then(|reader| reader.join().ok()).unwrap_or_default()
        };
        Ok((text(output), text(complaint)))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Either may fail only because it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn read_all(mut pipe: impl std::io::Read) -> String {
    let mut bytes = Vec::new();
    // What came before an error is still worth showing.
    let _ = pipe.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}
