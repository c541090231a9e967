//! How long to wait before the next attempt: exponential, with jitter, as the reference computes it. Pure: randomness is an
//! argument.

use std::time::Duration;

/// The delays of one series of attempts.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    jitter: f64,
    attempts: u32,
}

impl Backoff {
    /// The first delay is about `min`, each is twice the one before, none is longer than `max`; `jitter` from 0 to 1 is how far
    /// they scatter (what lies outside counts as none). A day is the longest `max`: clocks have an end.
    pub(crate) fn new(min: Duration, max: Duration, jitter: f64) -> Self {
        const DAY: Duration = Duration::from_secs(86_400);
        let jitter = if jitter > 0.0 && jitter <= 1.0 { jitter } else { 0.0 };
        Backoff { min, max: max.min(DAY), jitter, attempts: 0 }
    }

    /// How many delays were asked for since the last reset.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The next delay, with `random` in 0 … 1: its first decimal says whether the jitter is taken off or added.
    pub(crate) fn next(&mut self, random: f64) -> Duration {
        // An exponent of 64 is past any maximum.
        let exponent = self.attempts.min(64) as i32;
        self.attempts = self.attempts.saturating_add(1);
        let delay = self.min.as_secs_f64() * 1000.0 * 2f64.powi(exponent);
        let deviation = (random * self.jitter * delay).floor();
        let is_less = ((random * 10.0).floor() as u8) & 1 == 0;
        let delay = if is_less { delay - deviation } else { delay + deviation };
        Duration::from_millis(delay.max(0.0) as u64).min(self.max)
    }

    /// The connection stands, or is given up: the next delay is the first again.
    pub(crate) fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: Duration = Duration::from_millis(1000);
    const MAX: Duration = Duration::from_millis(5000);

    fn check(jitter: f64, random: &[f64], expected: &[u64]) {
        let mut backoff = Backoff::new(MIN, MAX, jitter);
        let delays: Vec<u64> = random.iter().map(|random| backoff.next(*random).as_millis() as u64).collect();
        assert_eq!(delays, expected, "jitter {jitter}, random {random:?}");
        assert_eq!(backoff.attempts(), expected.len() as u32);
    }

    #[test]
    fn no_delay_is_longer_than_a_day() {
        let mut backoff = Backoff::new(Duration::MAX, Duration::MAX, 1.0);
        assert_eq!(backoff.next(0.9), Duration::from_secs(86_400));
    }

    #[test]
    fn delays_double_up_to_the_maximum() {
        check(0.0, &[0.5; 5], &[1000, 2000, 4000, 5000, 5000]);
    }

    #[test]
    fn first_decimal_of_the_random_number_says_which_way() {
        check(0.5, &[0.0, 0.2, 0.35], &[1000, 1800, 4700]);
        check(0.5, &[0.99], &[1495]);
        check(1.0, &[0.85], &[150]);
    }

    #[test]
    fn jitter_outside_its_range_is_none() {
        check(1.5, &[0.3], &[1000]);
        check(-0.5, &[0.3], &[1000]);
        check(f64::NAN, &[0.3], &[1000]);
    }

    #[test]
    fn no_number_of_attempts_overflows() {
        let mut backoff = Backoff { attempts: u32::MAX - 1, ..Backoff::new(MIN, MAX, 0.5) };
        for _ in 0..3 {
            assert_eq!(backoff.next(0.1), MAX);
        }
        assert_eq!(backoff.attempts(), u32::MAX);
        let mut backoff = Backoff::new(Duration::MAX, Duration::MAX, 1.0);
        assert!(backoff.next(0.99) > MAX);
    }

    #[test]
    fn reset_begins_anew() {
        let mut backoff = Backoff::new(MIN, MAX, 0.0);
        backoff.next(0.0);
        backoff.next(0.0);
        backoff.reset();
        assert_eq!(backoff.next(0.0), MIN);
    }
}
