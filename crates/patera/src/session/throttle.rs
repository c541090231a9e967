//! How fast a client may send. Only sessions of servers that have such a limit own one.

use std::time::Instant;

use super::Scope;
use crate::config::{Config, RatePolicy};
use crate::details::DisconnectDetails;
use crate::error::DisconnectReason;
use crate::rate::{Bucket, Rate};
use crate::stats::count;

pub(super) struct Throttle {
    policy: RatePolicy,
    events: Option<(Rate, Bucket)>,
    bytes: Option<(Rate, Bucket)>,
    /// Until when nothing is read.
    until: Instant,
}

impl Throttle {
    pub(super) fn new(config: &Config, now: Instant) -> Option<Box<Self>> {
        let limited = |rate: Option<Rate>| rate.map(|rate| (rate, Bucket::new(now)));
        let (events, bytes) = (limited(config.event_rate_max), limited(config.byte_rate_max));
        let is_some = events.is_some() || bytes.is_some();
        is_some.then(|| Box::new(Throttle { policy: config.rate_policy, events, bytes, until: now }))
    }

    /// A message came, which is handled.
    ///
    /// # Errors
    /// It ends the session: it came too fast.
    pub(super) fn take(&mut self, bytes: usize, scope: &Scope<'_>) -> Result<(), DisconnectReason> {
        if self.policy == RatePolicy::Close && self.is_over(scope.now) {
            scope.shared.life.set_details(DisconnectDetails::described("the client sends too fast"));
            return Err(DisconnectReason::RateExceeded);
        }
        let was_over = self.is_over(scope.now);
        for (limit, tokens) in [(&mut self.events, 1), (&mut self.bytes, bytes)] {
            if let Some((rate, bucket)) = limit {
                bucket.take(tokens, rate, scope.now);
                self.until = self.until.max(scope.now + bucket.wait(rate, scope.now));
            }
        }
        if self.rests(scope.now) && !was_over {
            count(&scope.shared.core.counters.throttled, 1);
        }
        Ok(())
    }

    /// Whether nothing is to be read now.
    pub(super) fn rests(&self, now: Instant) -> bool {
        self.policy == RatePolicy::Wait && self.is_over(now)
    }

    /// When it is to be read again, if it is not now.
    pub(super) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        self.rests(now).then_some(self.until)
    }

    fn is_over(&self, now: Instant) -> bool {
        now < self.until
    }
}
