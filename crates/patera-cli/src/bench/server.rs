//! A process as `/proc` shows it: its CPU time, memory and threads.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::{fs, io};

/// A process on this machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process {
    pid: u32,
}

/// CPU time of each thread so far, in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CpuTime(BTreeMap<u32, u64>);

impl Process {
    /// Watches the process with this id.
    ///
    /// # Errors
    /// There is none, or its numbers cannot be read.
    pub(crate) fn new(pid: u32) -> io::Result<Process> {
        let process = Process { pid };
        process.rss_bytes()?;
        if process.cpu_time()?.0.is_empty() {
            return Err(io::Error::other("its threads have no schedstat"));
        }
        Ok(process)
    }

    pub(crate) fn pid(self) -> u32 {
        self.pid
    }

    /// What each thread has used so far. Exact: in nanoseconds, not in ticks.
    pub(crate) fn cpu_time(self) -> io::Result<CpuTime> {
        let mut threads = BTreeMap::new();
        for entry in fs::read_dir(self.file("task"))? {
            let entry = entry?;
            let id = entry.file_name().to_str().and_then(|name| name.parse().ok());
            // A thread may end while we look at it.
            let text = fs::read_to_string(entry.path().join("schedstat")).unwrap_or_default();
            if let (Some(id), Some(time)) = (id, first_number(&text)) {
                threads.insert(id, time);
            }
        }
        Ok(CpuTime(threads))
    }

    /// Resident memory. From `smaps_rollup`, which is exact, or where that may not be read from `status`, which is off by up
    /// to some dozen pages.
    pub(crate) fn rss_bytes(self) -> io::Result<u64> {
        let rollup = fs::read_to_string(self.file("smaps_rollup")).ok();
        if let Some(bytes) = rollup.and_then(|text| kilobytes(&text, "Rss:")) {
            return Ok(bytes);
        }
        let status = fs::read_to_string(self.file("status"))?;
        kilobytes(&status, "VmRSS:").ok_or_else(|| io::Error::other("its status has no VmRSS"))
    }

    fn file(self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.pid))
    }
}

impl CpuTime {
    /// Microseconds used since `earlier`, by all threads that there are now.
    pub(crate) fn microseconds_since(&self, earlier: &CpuTime) -> f64 {
        let used = self.0.iter().map(|(id, time)| time.saturating_sub(earlier.0.get(id).copied().unwrap_or(0)));
        used.sum::<u64>() as f64 / 1000.0
    }

    pub(crate) fn threads(&self) -> usize {
        self.0.len()
    }
}

/// CPU time of this process so far, in microseconds.
#[cfg(unix)]
pub(crate) fn own_cpu_microseconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

/// Not known here.
#[cfg(not(unix))]
pub(crate) fn own_cpu_microseconds() -> f64 {
    0.0
}

fn first_number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

/// The value of a line as in `VmRSS:   1234 kB`, in bytes.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    first_number(line).map(|kilobytes| kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_proc_are_read() {
        assert_eq!(first_number("123 456 7\n"), Some(123));
        assert_eq!(first_number(""), None);
        let status = "Name:\tx\nVmHWM:\t  5 kB\nVmRSS:\t  1234 kB\n";
        assert_eq!(kilobytes(status, "VmRSS:"), Some(1234 * 1024));
        assert_eq!(kilobytes(status, "Rss:"), None);
    }

    #[test]
    fn threads_that_began_since_count_in_full() {
        let earlier = CpuTime([(1, 5_000), (2, 7_000)].into());
        let later = CpuTime([(1, 9_000), (3, 2_000)].into());
        assert_eq!(later.microseconds_since(&earlier), 6.0);
        assert_eq!(later.threads(), 2);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_can_be_watched() {
        let process = Process::new(std::process::id()).unwrap();
        assert!(process.rss_bytes().unwrap() > 100_000);
        assert!(process.cpu_time().unwrap().threads() >= 1);
        assert!(Process::new(u32::MAX).is_err());
    }
}
