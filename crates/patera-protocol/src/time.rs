//! Instants that may be far away.

use std::time::{Duration, Instant};

/// So long after `now`; what no clock can tell, as with a duration that stands for "never", is a year from then.
#[inline]
pub(crate) fn after(now: Instant, duration: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(366 * 24 * 3600);
    now.checked_add(duration).or_else(|| now.checked_add(YEAR)).unwrap_or(now)
}
