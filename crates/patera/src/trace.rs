//! Log lines through the `tracing` crate, or nothing without the feature.
//!
//! Targets: `patera::engine` (requests and sessions), `patera::socket` (namespaces, events), `patera::outbox` (drops).
//!
//! What clients can cause is logged at `debug`, or has its [`Pace`]: warnings and errors, [`LOG_LINES_PER_SECOND_MAX`] of a kind.

#[cfg(feature = "tracing")]
use std::sync::OnceLock;
#[cfg(feature = "tracing")]
use std::sync::atomic::{AtomicU64, Ordering};
#[cfg(feature = "tracing")]
use std::time::Instant;

#[cfg(feature = "tracing")]
use crate::config::LOG_LINES_PER_SECOND_MAX;

/// `trace!(debug, "patera::engine", "session opened", sid = %sid)`
#[cfg(feature = "tracing")]
macro_rules! trace {
    (warn, $($line:tt)+) => { $crate::trace::trace!(@paced warn, $($line)+) };
    (error, $($line:tt)+) => { $crate::trace::trace!(@paced error, $($line)+) };
    (@paced $level:ident, $target:literal, $message:literal $(, $name:ident = $sign:tt $value:expr)* $(,)?) => {{
        static PACE: $crate::trace::Pace = $crate::trace::Pace::new();
        if let Some(suppressed) = PACE.next_line() {
            tracing::$level!(target: $target, $($name = $sign $value,)* suppressed, $message)
        }
    }};
    ($level:ident, $target:literal, $message:literal $(, $name:ident = $sign:tt $value:expr)* $(,)?) => {
        tracing::$level!(target: $target, $($name = $sign $value,)* $message)
    };
}
#[cfg(not(feature = "tracing"))]
macro_rules! trace {
    ($level:ident, $target:literal, $message:literal $(, $name:ident = $sign:tt $value:expr)* $(,)?) => {{ $(let _ = &$value;)* }};
}
pub(crate) use trace;

/// The lines of one place in the code, that no client may fill a disk: the first of each second are written, the others counted.
#[cfg(feature = "tracing")]
pub(crate) struct Pace {
    /// The second that is counted, since the first line of all.
    second: AtomicU64,
    lines: AtomicU64,
}

#[cfg(feature = "tracing")]
impl Pace {
    pub(crate) const fn new() -> Self {
        Pace { second: AtomicU64::new(0), lines: AtomicU64::new(0) }
    }

    /// Whether a line may be written; with it, how many were not since the last one, if there were any.
    pub(crate) fn next_line(&self) -> Option<Option<u64>> {
        static FIRST: OnceLock<Instant> = OnceLock::new();
        self.next_line_in(FIRST.get_or_init(Instant::now).elapsed().as_secs())
    }

    fn next_line_in(&self, second: u64) -> Option<Option<u64>> {
        let counted = self.second.swap(second, Ordering::Relaxed);
        if counted == second {
            let lines = self.lines.fetch_add(1, Ordering::Relaxed);
            return (lines < LOG_LINES_PER_SECOND_MAX).then_some(None);
        }
        // Lines of other threads at this moment may count for the one second or the other.
        let suppressed = self.lines.swap(1, Ordering::Relaxed).saturating_sub(LOG_LINES_PER_SECOND_MAX);
        Some((suppressed > 0).then_some(suppressed))
    }
}

#[cfg(all(test, feature = "tracing"))]
mod tests {
    use super::*;

    #[test]
    fn lines_of_one_place_are_bounded_and_the_rest_is_told_with_the_next() {
        let pace = Pace::new();
        for _ in 0..LOG_LINES_PER_SECOND_MAX {
            assert_eq!(pace.next_line_in(0), Some(None));
        }
        for _ in 0..5 {
            assert_eq!(pace.next_line_in(0), None);
        }
        assert_eq!(pace.next_line_in(7), Some(Some(5)));
        for _ in 1..LOG_LINES_PER_SECOND_MAX {
            assert_eq!(pace.next_line_in(7), Some(None));
        }
        assert_eq!(pace.next_line_in(7), None);
        assert_eq!(pace.next_line_in(8), Some(Some(1)));
        assert_eq!(pace.next_line_in(9), Some(None));
    }
}
