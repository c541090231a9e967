//! The servers under test, one process each, pinned to a core.

use std::{
    fs::File,
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::{
    failure::{Failure, Outcome},
    options::Options,
};

/// How long a server may take until it accepts connections.
const START_MAX: Duration = Duration::from_secs(10);

/// One of the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Node,
    Socketioxide,
    Floor,
    Patera,
}

impl Kind {
    /// In the order of the tables.
    pub(crate) const ALL: [Self; 4] = [Self::Node, Self::Socketioxide, Self::Floor, Self::Patera];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Node => "Node",
            Self::Socketioxide => "socketioxide",
            Self::Floor => "floor",
            Self::Patera => "Patera",
        }
    }

    /// The program and its arguments.
    fn command(self, options: &Options) -> (std::path::PathBuf, Vec<String>) {
        match self {
            Self::Node => {
                let script = options.root.join("bench/servers/node/server.mjs");
                ("node".into(), vec![script.to_string_lossy().into_owned()])
            }
            Self::Socketioxide => (options.programs.join("bench-socketioxide"), Vec::new()),
            Self::Floor => (options.programs.join("bench-floor"), Vec::new()),
            Self::Patera => (options.programs.join("bench-patera"), Vec::new()),
        }
    }
}

/// A server that accepts connections; it ends with this handle, or with the runner, however that ends.
pub(crate) struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    /// Starts it on a free port and waits until it accepts. What it says on standard error goes to `log`.
    pub(crate) fn start(kind: Kind, options: &Options, environment: &[(&str, String)], log: &Path) -> Outcome<Self> {
        let (program, arguments) = kind.command(options);
        let address = free_address()?;
        let cores = if environment.iter().any(|(name, _)| *name == "WORKERS") {
            // Several threads on one core would measure the scheduler.
            None
        } else {
            Some(options.server_core)
        };
        let mut command = owned(&program, cores);
        command.args(arguments).env("PORT", address.port().to_string());
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(log).map_err(Failure::io(log))?);
        let process = command.spawn().map_err(Failure::io(&program))?;
        let mut server = Self { process, address };
        server.wait_until_it_accepts(kind)?;
        Ok(server)
    }

    fn wait_until_it_accepts(&mut self, kind: Kind) -> Outcome {
        let started = Instant::now();
        while TcpStream::connect_timeout(&self.address, START_MAX).is_err() {
            if let Ok(Some(status)) = self.process.try_wait() {
                return Err(Failure::new(format!("the server {} ended before it listened: {status}", kind.title())));
            }
            if started.elapsed() > START_MAX {
                return Err(Failure::new(format!("the server {} does not listen", kind.title())));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `setpriv` and `taskset` have become the server: the number stays.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Either may fail only because it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A command whose process the kernel kills when this one ends, pinned to a core if one is given.
pub(crate) fn owned(program: &Path, core: Option<u32>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if let Some(core) = core {
        command.args(["taskset", "--cpu-list"]).arg(core.to_string());
    }
    command.arg(program);
    command
}

fn free_address() -> Outcome<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(Failure::io("127.0.0.1"))?;
    listener.local_addr().map_err(Failure::io("127.0.0.1"))
}
