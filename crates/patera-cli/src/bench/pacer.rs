//! The clock of the open loop: operations are due at even intervals, whatever the server does.

use std::rc::Rc;
use std::time::Duration;

use super::tally::Tally;

/// At so many due operations in a row others have their turn.
const BURST_MAX: u32 = 1000;

/// When operation `k` is due.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    start: u64,
    /// Nanoseconds from one to the next.
    interval: f64,
}

impl Schedule {
    /// From `start` on, `rate` operations a second.
    pub(crate) fn new(start: u64, rate: f64) -> Schedule {
        Schedule { start, interval: 1e9 / rate }
    }

    /// In nanoseconds, as [`Tally::now`].
    pub(crate) fn due(&self, operation: u64) -> u64 {
        self.start + (operation as f64 * self.interval) as u64
    }
}

/// Calls `release` with each operation's number when it is due, until the run is over.
pub(crate) async fn pace(tally: Rc<Tally>, schedule: Schedule, mut release: impl FnMut(u64)) {
    let timer = Timer::new();
    let mut next = 0;
    while tally.is_running() {
        let now = tally.now();
        let mut burst = 0;
        while schedule.due(next) <= now && burst < BURST_MAX {
            release(next);
            next += 1;
            burst += 1;
        }
        match schedule.due(next).checked_sub(now).filter(|missing| *missing > 0) {
            Some(missing) => timer.sleep(Duration::from_nanos(missing)).await,
            None => tokio::task::yield_now().await,
        }
    }
}

/// Sleeps more exactly than the runtime does, which counts in milliseconds.
#[cfg(target_os = "linux")]
struct Timer(Option<tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>>);

#[cfg(target_os = "linux")]
impl Timer {
    fn new() -> Timer {
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};

        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let descriptor = timerfd_create(TimerfdClockId::Monotonic, flags).ok();
        #[allow(
            deprecated,
            reason = "the other constructor is unsafe for types that change their descriptor; this one does not"
        )]
        let register = tokio::io::unix::AsyncFd::new;
        Timer(descriptor.and_then(|descriptor| register(descriptor).ok()))
    }

    async fn sleep(&self, duration: Duration) {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};

        let Some(descriptor) = &self.0 else { return tokio::time::sleep(duration).await };
        let once = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec { tv_sec: duration.as_secs() as _, tv_nsec: duration.subsec_nanos().into() },
        };
        if timerfd_settime(descriptor, TimerfdTimerFlags::empty(), &once).is_err() {
            return tokio::time::sleep(duration).await;
        }
        while let Ok(mut ready) = descriptor.readable().await {
            let read = ready
                .try_io(|descriptor| rustix::io::read(descriptor.get_ref(), &mut [0; 8]).map_err(std::io::Error::from));
            if read.is_ok() {
                return;
            }
        }
    }
}

/// Here the runtime's milliseconds must do.
#[cfg(not(target_os = "linux"))]
struct Timer;

#[cfg(not(target_os = "linux"))]
impl Timer {
    fn new() -> Timer {
        Timer
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::super::tally::Phase;
    use super::*;

    #[test]
    fn operations_are_due_at_even_intervals() {
        let schedule = Schedule::new(1_000, 1e6);
        assert_eq!([0, 1, 5, 1_000_000].map(|operation| schedule.due(operation)), [1_000, 2_000, 6_000, 1_000_001_000]);
        assert_eq!(Schedule::new(0, 0.5).due(3), 6_000_000_000);
    }

    #[tokio::test]
    async fn none_is_early_and_none_is_left_out() {
        let tally = Rc::new(Tally::new(None));
        tally.set_phase(Phase::Measuring);
        let schedule = Schedule::new(tally.now(), 2_000.0);
        let released = RefCell::new(Vec::new());
        pace(tally.clone(), schedule, |operation| {
            assert!(tally.now() >= schedule.due(operation));
            released.borrow_mut().push(operation);
            if operation == 99 {
                tally.set_phase(Phase::Draining);
            }
        })
        .await;
        let released = released.into_inner();
        assert!(released.len() >= 100);
        assert!(released.iter().copied().eq(0..released.len() as u64));
    }
}
