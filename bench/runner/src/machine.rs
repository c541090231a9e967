//! Where a campaign runs and with what: read from the system, the lock files and git, so that nobody types it.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::failure::{Failure, Outcome};

/// The machine, without its name.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) memory_gib: u64,
    pub(crate) kernel: String,
    pub(crate) hypervisor: bool,
}

impl Machine {
    pub(crate) fn read() -> Outcome<Self> {
        let processor = read("/proc/cpuinfo")?;
        let memory = read("/proc/meminfo")?;
        let kibibytes = field(&memory, "MemTotal").and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
        Ok(Self {
            cpu: field(&processor, "model name").unwrap_or("unknown").to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: kibibytes.map_or(0, |kibibytes| (kibibytes + (1 << 19)) >> 20),
            kernel: read("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            hypervisor: field(&processor, "flags")
                .is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor")),
        })
    }
}

/// The versions of what is measured, and of what built it.
pub(crate) fn versions(root: &Path) -> Outcome<BTreeMap<String, String>> {
    let mut versions = BTreeMap::new();
    let lock = root.join("bench/Cargo.lock");
    let lock = fs::read_to_string(&lock).map_err(Failure::io(&lock))?;
    for name in ["patera", "socketioxide", "engineioxide", "axum", "hyper", "tokio"] {
        if let Some(version) = locked_crate(&lock, name) {
            versions.insert(name.to_owned(), version);
        }
    }
    let lock = root.join("bench/servers/node/package-lock.json");
    let lock: Value = serde_json::from_str(&fs::read_to_string(&lock).map_err(Failure::io(&lock))?)
        .map_err(|error| Failure::new(format!("{}: {error}", lock.display())))?;
    for name in ["socket.io", "engine.io", "ws"] {
        if let Some(version) = lock["packages"][format!("node_modules/{name}")]["version"].as_str() {
            versions.insert(name.to_owned(), version.to_owned());
        }
    }
    for (name, program, prefix) in [("node", "node", "v"), ("rustc", "rustc", "rustc ")] {
        let line = said_by(Command::new(program).arg("--version"));
        versions.insert(name.to_owned(), line.strip_prefix(prefix).unwrap_or(&line).to_owned());
    }
    Ok(versions)
}

/// The commit the tree is at, with `+` behind it where files that are measured differ from it.
pub(crate) fn commit(root: &Path) -> String {
    let head = said_by(Command::new("git").current_dir(root).args(["rev-parse", "--short=12", "HEAD"]));
    let paths = ["crates", "bench/servers", "bench/sessions", "Cargo.toml"];
    let changes = said_by(Command::new("git").current_dir(root).args(["status", "--porcelain", "--"]).args(paths));
    if changes.is_empty() { head } else { format!("{head}+") }
}

/// Now, in UTC: `2026-01-31T12:00:00Z`.
pub(crate) fn date() -> String {
    said_by(Command::new("date").args(["--utc", "+%Y-%m-%dT%H:%M:%SZ"]))
}

fn said_by(command: &mut Command) -> String {
    let output = command.output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).trim().to_owned()
}

fn read(file: &str) -> Outcome<String> {
    fs::read_to_string(file).map_err(Failure::io(file))
}

/// The value of the first line `name : value`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim())
}

fn locked_crate(lock: &str, name: &str) -> Option<String> {
    let (_, rest) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
    Some(rest.split_once('"')?.0.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_versions_are_found() {
        assert_eq!(field("a\t: 1\nmodel name\t: X Y\nmodel name\t: Z\n", "model name"), Some("X Y"));
        let lock = "[[package]]\nname = \"tokio-util\"\nversion = \"0.7\"\n\n[[package]]\nname = \"tokio\"\nversion = \"1.2.3\"\n";
        assert_eq!(locked_crate(lock, "tokio").as_deref(), Some("1.2.3"));
        assert_eq!(locked_crate(lock, "toki"), None);
    }
}
