//! What this process has used so far.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// CPU time of all threads.
pub(crate) fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Resident memory; 0 where it cannot be read.
pub(crate) fn resident_bytes() -> u64 {
    // proc(5): in KiB, and counted page by page; "statm" may be off by some pages for every thread.
    let status = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Rss:")).unwrap_or_default();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap_or(0) * 1024
}
