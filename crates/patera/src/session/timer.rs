//! One timer a session, moved as rarely as can be: it may fire early, and is then set anew.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tokio::task::coop::unconstrained;
use tokio::time::{Sleep, sleep_until};

#[derive(Default)]
pub(super) struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    /// Until when there is nothing to do for a timer: it has been polled, by the one task that ever polls it.
    asleep_until: Option<Instant>,
}

impl Timer {
    /// Ready when something may be due. A deadline that moved away does not move the timer; one that came nearer does.
    pub(super) fn poll(&mut self, waker: &Waker, deadline: Option<Instant>, now: Instant) -> Poll<()> {
        let Some(deadline) = deadline else { return Poll::Pending };
        if self.asleep_until.is_some_and(|until| now < until && until <= deadline) {
            return Poll::Pending;
        }
        let at = tokio::time::Instant::from_std(deadline);
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if sleep.deadline() > at || sleep.is_elapsed() {
            sleep.as_mut().reset(at);
        }
        // Not by the task's budget, which handlers share: used up, the timer would say that it waits and wake nobody.
        let polled = Pin::new(&mut unconstrained(sleep.as_mut())).poll(&mut Context::from_waker(waker));
        self.asleep_until = polled.is_pending().then(|| sleep.deadline().into_std());
        polled
    }
}

use std::future::Future as _;
