//! What is measured, and what Patera must reach.

use crate::server::Kind;

/// One row of the tables.
pub(crate) struct Scenario {
    /// For `--only`, the records and the file names of plots.
    pub(crate) name: &'static str,
    /// For people.
    pub(crate) title: &'static str,
    /// The scenario of `patera bench`.
    pub(crate) command: &'static str,
    /// Connections.
    pub(crate) connections: u32,
    /// The further arguments of `patera bench`.
    pub(crate) arguments: &'static [&'static str],
    pub(crate) length: Length,
    pub(crate) metric: Metric,
    pub(crate) target: Target,
}

/// How long one run is.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Length {
    /// So many seconds, after a warm-up.
    Seconds(u32),
    /// So many operations.
    Operations(u32),
}

/// The figure that is compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Metric {
    /// The server's CPU time per operation, in microseconds.
    CpuPerOperation,
    /// The server's resident memory per connection, in bytes.
    BytesPerConnection,
}

/// What Patera must reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Target {
    /// At most this many times the figure of this server in the same run.
    Times(f64, Kind),
    /// At most this many bytes beyond those of the request's head, which Patera keeps.
    BytesBeyondHead(f64),
    /// Nothing.
    None,
}

/// The heartbeat's interval while connections are idle, in milliseconds: short, so that each of them has some.
pub(crate) const IDLE_PING_INTERVAL: u32 = 5000;

/// How long each run goes before it is measured.
const WARM_UP: &str = "500ms";

impl Scenario {
    const BASE: Self = Self {
        name: "",
        title: "",
        command: "",
        connections: 64,
        arguments: &[],
        length: Length::Seconds(2),
        metric: Metric::CpuPerOperation,
        target: Target::None,
    };

    /// What servers see beside their defaults.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        match self.metric {
            Metric::CpuPerOperation => Vec::new(),
            Metric::BytesPerConnection => vec![("PING_INTERVAL", IDLE_PING_INTERVAL.to_string())],
        }
    }

    /// Whether this server can play it: the floor has no polling.
    pub(crate) fn suits(&self, kind: Kind) -> bool {
        kind != Kind::Floor || self.command != "polling"
    }

    /// The arguments of `patera bench` behind its URL.
    pub(crate) fn command_line(&self, connections: u32, quick: bool) -> Vec<String> {
        let mut line = vec!["--connections".to_owned(), connections.to_string()];
        line.extend(["--warmup".to_owned(), WARM_UP.to_owned()]);
        line.extend(self.arguments.iter().map(|&word| word.to_owned()));
        match self.length {
            Length::Seconds(seconds) => {
                let seconds = if quick { seconds.div_ceil(2) } else { seconds };
                line.extend(["--duration".to_owned(), seconds.to_string()]);
            }
            Length::Operations(operations) => {
                let operations = if quick { operations / 10 } else { operations };
                line.extend(["--operations".to_owned(), operations.to_string()]);
            }
        }
        line
    }
}

/// The rows of the table, in its order.
pub(crate) const TABLE: &[Scenario] = &[
    Scenario {
        name: "echo",
        title: "echo 16 B, 64 connections, window 1",
        command: "echo",
        arguments: &["--size", "16"],
        target: Target::Times(1.15, Kind::Floor),
        ..Scenario::BASE
    },
    Scenario {
        name: "echo-1k",
        title: "echo 1 KiB",
        command: "echo",
        arguments: &["--size", "1024"],
        target: Target::Times(1.2, Kind::Floor),
        ..Scenario::BASE
    },
    Scenario {
        name: "echo-binary-1k",
        title: "echo binary 1 KiB (event + attachment)",
        command: "echo",
        arguments: &["--size", "1024", "--binary"],
        target: Target::Times(1.3, Kind::Floor),
        ..Scenario::BASE
    },
    Scenario {
        name: "ack",
        title: "acknowledgement",
        command: "ack",
        arguments: &["--size", "16"],
        target: Target::Times(1.2, Kind::Floor),
        ..Scenario::BASE
    },
    Scenario {
        name: "echo-window-16",
        title: "echo 16 B, window 16",
        command: "echo",
        arguments: &["--size", "16", "--window", "16"],
        target: Target::Times(1.5, Kind::Floor),
        ..Scenario::BASE
    },
    Scenario {
        name: "broadcast",
        title: "broadcast to 1000, one at a time, per delivery",
        command: "broadcast",
        connections: 1000,
        arguments: &["--size", "16", "--window", "1"],
        target: Target::Times(1.1, Kind::Floor),
        ..Scenario::BASE
    },
    Scenario {
        name: "broadcast-8",
        title: "broadcast to 1000, 8 in flight, per delivery",
        command: "broadcast",
        connections: 1000,
        arguments: &["--size", "16", "--window", "8"],
        target: Target::Times(0.2, Kind::Floor),
        ..Scenario::BASE
    },
    Scenario {
        name: "rooms",
        title: "rooms of 100, one after the other, per delivery",
        command: "rooms",
        connections: 1000,
        arguments: &["--size", "16", "--window", "1", "--rooms", "10"],
        target: Target::Times(1.1, Kind::Floor),
        ..Scenario::BASE
    },
    Scenario {
        name: "polling",
        title: "polling echo",
        command: "polling",
        arguments: &["--size", "16"],
        target: Target::Times(0.6, Kind::Socketioxide),
        ..Scenario::BASE
    },
    Scenario {
        name: "connect",
        title: "connect (WebSocket, to Socket.IO CONNECT)",
        command: "connect",
        length: Length::Operations(8000),
        target: Target::Times(2.0, Kind::Floor),
        ..Scenario::BASE
    },
    Scenario {
        name: "churn",
        title: "connect, one event, disconnect",
        command: "churn",
        target: Target::Times(0.4, Kind::Socketioxide),
        ..Scenario::BASE
    },
    Scenario { name: "idle-10000", title: "idle, memory per connection at 10,000", connections: 10_000, ..IDLE },
    Scenario { name: "idle-19000", title: "idle, memory per connection at 19,000", connections: 19_000, ..IDLE },
];

const IDLE: Scenario = Scenario {
    name: "idle",
    title: "idle, memory per connection",
    command: "idle",
    length: Length::Seconds(IDLE_PING_INTERVAL / 1000),
    metric: Metric::BytesPerConnection,
    target: Target::BytesBeyondHead(2048.0),
    ..Scenario::BASE
};

/// What is measured at each of [`SIZES`].
pub(crate) const GROWTH: &[Scenario] = &[
    Scenario {
        name: "echo",
        title: "echo 16 B, by connections",
        command: "echo",
        arguments: &["--size", "16"],
        ..Scenario::BASE
    },
    Scenario {
        name: "broadcast",
        title: "broadcast one at a time, per delivery, by receivers",
        command: "broadcast",
        arguments: &["--size", "16", "--window", "1"],
        ..Scenario::BASE
    },
    Scenario {
        name: "broadcast-8",
        title: "broadcast with 8 in flight, per delivery, by receivers",
        command: "broadcast",
        arguments: &["--size", "16", "--window", "8"],
        ..Scenario::BASE
    },
    Scenario { name: "idle", title: "idle, memory per connection, by connections", ..IDLE },
];

/// How many receivers or connections `growth` has.
pub(crate) const SIZES: &[u32] = &[10, 100, 1000, 10_000];

/// What is measured with one worker and with more.
pub(crate) const CORES: &[Scenario] = &[
    Scenario {
        name: "echo",
        title: "echo 16 B, 64 connections",
        command: "echo",
        arguments: &["--size", "16"],
        ..Scenario::BASE
    },
    Scenario {
        name: "broadcast",
        title: "broadcast to 1000, one at a time, per delivery",
        command: "broadcast",
        connections: 1000,
        arguments: &["--size", "16", "--window", "1"],
        ..Scenario::BASE
    },
    Scenario {
        name: "broadcast-8",
        title: "broadcast to 1000, 8 in flight, per delivery",
        command: "broadcast",
        connections: 1000,
        arguments: &["--size", "16", "--window", "8"],
        ..Scenario::BASE
    },
    Scenario {
        name: "rooms",
        title: "rooms of 100, per delivery",
        command: "rooms",
        connections: 1000,
        arguments: &["--size", "16", "--window", "1", "--rooms", "10"],
        ..Scenario::BASE
    },
];

/// How many workers `cores` compares.
pub(crate) const WORKERS: &[u32] = &[1, 2];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_fit_for_files() {
        for table in [TABLE, GROWTH, CORES] {
            for (index, scenario) in table.iter().enumerate() {
                let plain = scenario.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
                assert!(plain && !scenario.name.is_empty(), "{}", scenario.name);
                assert!(table[..index].iter().all(|other| other.name != scenario.name), "{}", scenario.name);
            }
        }
    }

    #[test]
    fn connections_fit_into_a_process() {
        let most = TABLE.iter().map(|scenario| scenario.connections).chain(SIZES.iter().copied()).max();
        assert!(most < Some(20_000 - 100), "{most:?}");
    }
}
