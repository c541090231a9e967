//! How fast a client may send. Only sessions of servers that have such a limit own one.

use std::time::{Duration, Instant};

use super::Scope;
use crate::config::{Config, RatePolicy};
use crate::core::Shared;
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
    /// Since when something may lie unread because the client was too fast.
    behind_since: Option<Instant>,
    /// How long that may be.
    behind_max: Duration,
    /// It ends the session: no message is taken any more, whatever is still to be done before.
    exceeded: bool,
}

impl Throttle {
    pub(super) fn new(config: &Config, now: Instant) -> Option<Box<Self>> {
        let limited = |rate: Option<Rate>| rate.map(|rate| (rate, Bucket::new(now)));
        let (events, bytes) = (limited(config.event_rate_max), limited(config.byte_rate_max));
        let is_some = events.is_some() || bytes.is_some();
        is_some.then(|| {
            Box::new(Throttle {
                policy: config.rate_policy,
                events,
                bytes,
                until: now,
                behind_since: None,
                behind_max: config.rate_wait_timeout,
                exceeded: false,
            })
        })
    }

    /// A message came, which is handled.
    ///
    /// # Errors
    /// It ends the session: it came too fast.
    pub(super) fn take(&mut self, bytes: usize, scope: &Scope<'_>) -> Result<(), DisconnectReason> {
        if self.exceeded || (self.policy == RatePolicy::Close && self.is_over(scope.now)) {
            return Err(self.exceed(scope.shared));
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
        self.policy == RatePolicy::Wait && !self.exceeded && self.is_over(now)
    }

    /// Reading has broken off. What a full application keeps waiting is not the client's doing.
    pub(super) fn pause(&mut self, is_full: bool, now: Instant) {
        self.behind_since = (!is_full && !self.exceeded).then(|| self.behind_since.unwrap_or(now));
    }

    /// All that has come is read.
    pub(super) fn resume(&mut self) {
        self.behind_since = None;
    }

    /// When it is to be read again, if it is not now, or will have been behind for too long.
    pub(super) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let again = self.rests(now).then_some(self.until);
        [again, self.late_at()].into_iter().flatten().min()
    }

    /// Time has passed.
    ///
    /// # Errors
    /// It ends the session: the client has been behind for too long.
    pub(super) fn handle_timeout(&mut self, shared: &Shared, now: Instant) -> Result<(), DisconnectReason> {
        match self.late_at() {
            Some(at) if at <= now => Err(self.exceed(shared)),
            Some(_) | None => Ok(()),
        }
    }

    fn late_at(&self) -> Option<Instant> {
        Some(self.behind_since? + self.behind_max)
    }

    fn exceed(&mut self, shared: &Shared) -> DisconnectReason {
        self.exceeded = true;
        self.behind_since = None;
        shared.life.set_details(DisconnectDetails::described("the client sends too fast"));
        DisconnectReason::RateExceeded
    }

    fn is_over(&self, now: Instant) -> bool {
        now < self.until
    }
}
