//! The process that the tests run in: who may measure it, and what it holds.

use std::process::Command;

use patera::Io;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, MutexGuard};

use crate::support::eventually;

/// One test at a time: they share what they measure.
pub(crate) async fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    ALONE.lock().await
}

/// Tasks of this test's runtime.
pub(crate) fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// Waits until the server holds nothing for anyone: no session, socket, room, handler, acknowledgement, and no task beside so many.
pub(crate) async fn all_gone(io: &Io, tasks_before: usize) {
    let left = || {
        let stats = io.stats();
        [stats.sessions, stats.sockets, stats.rooms, stats.handlers_pending, stats.acks_pending, stats.recoverable]
    };
    eventually(|| left() == [0; 6] && tasks() == tasks_before).await;
}

/// Bytes of memory that are the process's own now.
pub(crate) fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

/// Lets this process open that many files; many systems start with 1,024.
pub(crate) fn allow_files(count: usize) {
    let pid = std::process::id().to_string();
    let limit = format!("--nofile={count}:");
    let set = Command::new("prlimit").args(["--pid", &pid, &limit]).status().unwrap();
    assert!(set.success(), "{count} files");
}
