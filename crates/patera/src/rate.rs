//! So much in so much time, with some at once: a token bucket, kept as the one instant at which it is full again.

use std::time::{Duration, Instant};

/// How often something may happen, as in `Rate::per_second(10).burst(50)`.
///
/// It is a bucket of `burst` tokens that is full at first: what happens takes one, and they come back evenly, `10` a second here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    count: u32,
    per: Duration,
    burst: u32,
}

impl Rate {
    /// So many a second, and as many at once. 0 counts as 1.
    pub fn per_second(count: u32) -> Self {
        Self::new(count, Duration::from_secs(1))
    }

    /// So many a minute, and as many at once. 0 counts as 1.
    pub fn per_minute(count: u32) -> Self {
        Self::new(count, Duration::from_secs(60))
    }

    fn new(count: u32, per: Duration) -> Self {
        let count = count.max(1);
        Rate { count, per, burst: count }
    }

    /// So many at once, when nothing has happened for a while. 0 counts as 1.
    #[must_use]
    pub fn burst(self, burst: u32) -> Self {
        Rate { burst: burst.max(1), ..self }
    }

    /// How long it takes until so many tokens are back.
    fn cost(&self, tokens: usize) -> Duration {
        let nanos = tokens as u128 * self.per.as_nanos() / u128::from(self.count);
        // 500 years: more than any message takes.
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// The tokens of one client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    full_at: Instant,
}

impl Bucket {
    pub(crate) fn new(now: Instant) -> Self {
        Bucket { full_at: now }
    }

    /// Takes tokens, also those that are not there: a debt, which is waited for.
    pub(crate) fn take(&mut self, tokens: usize, rate: &Rate, now: Instant) {
        let at = self.full_at.max(now);
        self.full_at = at.checked_add(rate.cost(tokens)).unwrap_or(at);
    }

    /// How long until there is a token; nothing if there is one.
    pub(crate) fn wait(&self, rate: &Rate, now: Instant) -> Duration {
        let missing = self.full_at.saturating_duration_since(now);
        missing.saturating_sub(rate.cost(rate.burst as usize - 1))
    }

    pub(crate) fn is_full(&self, now: Instant) -> bool {
        self.full_at <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes one token after another until there is none: how many there were.
    fn drain(bucket: &mut Bucket, rate: &Rate, now: Instant) -> usize {
        let taken = std::iter::from_fn(|| bucket.wait(rate, now).is_zero().then(|| bucket.take(1, rate, now)));
        taken.take(1000).count()
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let start = Instant::now();
        for (rate, at_once, millis) in [
            (Rate::per_second(1), 1, 1000),
            (Rate::per_second(3), 3, 334),
            (Rate::per_second(7).burst(3), 3, 143),
            (Rate::per_second(1).burst(20), 20, 1000),
            (Rate::per_minute(6).burst(2), 2, 10_000),
            (Rate::per_second(0).burst(0), 1, 1000),
        ] {
            let mut bucket = Bucket::new(start);
            assert_eq!(drain(&mut bucket, &rate, start), at_once, "{rate:?}");
            let next = start + Duration::from_millis(millis);
            assert_eq!(drain(&mut bucket, &rate, next - Duration::from_millis(2)), 0, "{rate:?}");
            assert_eq!(drain(&mut bucket, &rate, next), 1, "{rate:?}");
            let later = next + Duration::from_secs(3600);
            assert!(bucket.is_full(later));
            assert_eq!(drain(&mut bucket, &rate, later), at_once, "no more than the burst is saved up: {rate:?}");
        }
    }

    #[test]
    fn a_debt_is_waited_for() {
        let start = Instant::now();
        let rate = Rate::per_second(100).burst(50);
        let mut bucket = Bucket::new(start);
        bucket.take(49, &rate, start);
        assert_eq!(bucket.wait(&rate, start), Duration::ZERO);
        bucket.take(1000, &rate, start);
        // 999 are missing, and there must be one more.
        assert_eq!(bucket.wait(&rate, start), Duration::from_secs(10));
        bucket.take(usize::MAX, &Rate::per_minute(1), start);
        assert!(!bucket.is_full(start + Duration::from_secs(3600)));
    }
}
