//! How long tasks keep their thread: the longest poll of the tasks of each source file, on the thread's own CPU clock, so that other
//! programs on the machine do not count.
//!
//! Tokio tells of polls only where it is built with `--cfg tokio_unstable`, as `cargo xtask hostile` does.

use std::{
    cell::Cell,
    collections::BTreeMap,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Builder;

/// File where tasks are spawned → microseconds.
type Longest = BTreeMap<&'static str, u64>;

static LONGEST: Mutex<Longest> = Mutex::new(BTreeMap::new());

thread_local! {
    static STARTED: Cell<u64> = const { Cell::new(0) };
}

/// Every task of this runtime is watched.
pub(crate) fn watch(runtime: &mut Builder) {
    runtime.on_before_task_poll(|_| STARTED.set(now()));
    runtime.on_after_task_poll(|task| {
        let took = now().saturating_sub(STARTED.get());
        let mut longest = lock();
        let entry = longest.entry(task.spawned_at().file()).or_default();
        *entry = took.max(*entry);
    });
}

/// The longest polls since this was last asked.
pub(crate) fn take() -> Longest {
    mem::take(&mut *lock())
}

/// Microseconds of this thread on a processor.
fn now() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec * 1_000_000 + time.tv_nsec / 1_000).unwrap_or(0)
}

fn lock() -> MutexGuard<'static, Longest> {
    LONGEST.lock().unwrap_or_else(PoisonError::into_inner)
}
