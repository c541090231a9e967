//! Who pings when, and when the peer counts as gone. EIO 4 "Heartbeat", EIO 3 "Timeouts". It knows nothing of
//! transports, so that no change of transport can lose its timer.

use std::time::{Duration, Instant};

use crate::time::after;

/// The heartbeat of one session, or of a plain WebSocket that pings its peer.
///
/// ```text
///            interval over                      timeout over
///   resting ───────────────▶ awaiting a pong ───────────────▶ gone
///      ▲    SendPing               │   │ ▲                   TimedOut
///      └───────────────────────────┘   └─┘ anything else arrives, the first time: the deadline moves
///                    pong
///   expecting a ping ──▶ gone        the other side: each ping moves the deadline by interval + timeout
///   listening ──▶ gone               the other side as a server, in revision 3: anything that comes moves it
/// ```
///
/// The shell wakes at [`poll_timeout`](Heartbeat::poll_timeout) and asks [`poll`](Heartbeat::poll) what to do.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    interval: Span,
    timeout: Span,
    state: State,
    /// When the state ends by itself.
    at: Instant,
    /// While a pong is awaited: how long before `at` the ping was sent.
    since_ping: Span,
    /// While we do not read, a pong may wait unread: the deadline rests.
    paused: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Resting,
    Awaiting,
    /// Awaiting, and the deadline has been moved once.
    Extended,
    Expecting,
    Listening,
    Gone,
}

/// What a heartbeat wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeartbeatAction {
    /// Send a ping now.
    SendPing,
    /// The peer did not answer in time (or did not ping in time): close the session. Said once.
    TimedOut,
}

impl Heartbeat {
    /// The side that pings: the first ping is due `interval` from now, a pong within `timeout` of it.
    pub fn new(interval: Duration, timeout: Duration, now: Instant) -> Self {
        Heartbeat {
            interval: interval.into(),
            timeout: timeout.into(),
            state: State::Resting,
            at: after(now, interval),
            since_ping: Span(0),
            paused: false,
        }
    }

    /// The side that is pinged: the peer counts as gone when no ping came for `interval` + `timeout`.
    pub fn expecting(interval: Duration, timeout: Duration, now: Instant) -> Self {
        Heartbeat {
            interval: interval.into(),
            timeout: timeout.into(),
            state: State::Expecting,
            at: after(now, interval.saturating_add(timeout)),
            since_ping: Span(0),
            paused: false,
        }
    }

    /// The server's side of revision 3, where clients ping: the peer counts as gone when nothing at all came for `interval` +
    /// `timeout`.
    pub fn listening(interval: Duration, timeout: Duration, now: Instant) -> Self {
        Heartbeat { state: State::Listening, ..Heartbeat::expecting(interval, timeout, now) }
    }

    /// A pong came. One that nobody waits for changes nothing, so a flood of them cannot put off the next ping.
    pub fn handle_pong(&mut self, now: Instant) {
        match self.state {
            State::Awaiting | State::Extended => {
                // Nobody knows how long a pong lay unread; its ping was sent when it was sent.
                let from = if self.paused { self.pinged_at() } else { now };
                self.state = State::Resting;
                self.at = after(from, self.interval.get());
            }
            State::Resting | State::Expecting | State::Listening | State::Gone => {}
        }
    }

    /// A ping came, to the side that is pinged.
    pub fn handle_ping(&mut self, now: Instant) {
        if matches!(self.state, State::Expecting | State::Listening) {
            self.at = after(now, self.interval.get().saturating_add(self.timeout.get()));
        }
    }

    /// Anything else came. While a pong is awaited, this shows that the peer lives and the pong may stand behind a large
    /// message, so the deadline moves, once.
    #[inline]
    pub fn handle_activity(&mut self, now: Instant) {
        match self.state {
            State::Awaiting => {
                self.state = State::Extended;
                self.await_until(after(now, self.timeout.get()));
            }
            State::Listening => self.at = after(now, self.interval.get().saturating_add(self.timeout.get())),
            State::Resting | State::Extended | State::Expecting | State::Gone => {}
        }
    }

    /// What is due. Call again until `None`.
    pub fn poll(&mut self, now: Instant) -> Option<HeartbeatAction> {
        if self.poll_timeout().is_none_or(|at| now < at) {
            return None;
        }
        match self.state {
            State::Resting => self.ping(now),
            // The peer would count us as gone without pings, so they go on; only its answers are not missed.
            State::Awaiting | State::Extended if self.paused => self.ping(now),
            State::Awaiting | State::Extended | State::Expecting | State::Listening => {
                self.state = State::Gone;
                Some(HeartbeatAction::TimedOut)
            }
            State::Gone => None,
        }
    }

    /// When [`poll`](Heartbeat::poll) has something to say, if nothing happens until then.
    #[inline]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Gone => None,
            State::Expecting | State::Listening if self.paused => None,
            State::Awaiting | State::Extended if self.paused => {
                Some(after(self.pinged_at(), self.timeout.get().min(self.interval.get())))
            }
            State::Resting | State::Awaiting | State::Extended | State::Expecting | State::Listening => Some(self.at),
        }
    }

    /// We stop reading (back-pressure): the peer's silence says nothing from here on.
    pub fn pause(&mut self) {
        self.paused = true;
    }

    /// Whether we do not read.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// We read again: the peer has its full time from now. When pings are due does not change, however often we pause.
    pub fn resume(&mut self, now: Instant) {
        if !std::mem::replace(&mut self.paused, false) {
            return;
        }
        match self.state {
            State::Awaiting | State::Extended => {
                self.state = State::Awaiting;
                self.await_until(after(now, self.timeout.get()));
            }
            State::Expecting | State::Listening => {
                self.at = after(now, self.interval.get().saturating_add(self.timeout.get()))
            }
            State::Resting | State::Gone => {}
        }
    }

    fn ping(&mut self, now: Instant) -> Option<HeartbeatAction> {
        self.state = State::Awaiting;
        self.at = after(now, self.timeout.get());
        self.since_ping = self.timeout;
        Some(HeartbeatAction::SendPing)
    }

    /// Moves the deadline of the pong; the ping stays when it was, or, rounded, a millisecond earlier.
    fn await_until(&mut self, at: Instant) {
        self.since_ping = at.saturating_duration_since(self.pinged_at()).into();
        self.at = at;
    }

    fn pinged_at(&self) -> Instant {
        self.at.checked_sub(self.since_ping.get()).unwrap_or(self.at)
    }
}

/// A duration of whole milliseconds, in a quarter of the space: there is one of these for each option in every session. A part
/// of a millisecond counts as a whole one, and more than 49 days as 49 days.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span(u32);

impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        let milliseconds = duration.as_nanos().div_ceil(1_000_000);
        Span(u32::try_from(milliseconds).unwrap_or(u32::MAX))
    }
}

impl Span {
    #[inline]
    pub(super) fn get(self) -> Duration {
        Duration::from_millis(self.0.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::at;
    use HeartbeatAction::{SendPing, TimedOut};

    const INTERVAL: Duration = Duration::from_millis(300);
    const TIMEOUT: Duration = Duration::from_millis(200);

    #[test]
    fn what_is_to_last_for_ever_is_far_away() {
        let now = at(0);
        let mut heartbeat = Heartbeat::expecting(Duration::MAX, Duration::MAX, now);
        assert!(heartbeat.poll_timeout().is_some_and(|due| due > now + Duration::from_secs(86_400)));
        heartbeat.handle_ping(now);
        assert!(heartbeat.poll_timeout().is_some_and(|due| due > now + Duration::from_secs(86_400)));
    }

    #[test]
    fn ping_is_due_an_interval_after_the_last_pong() {
        let mut heartbeat = pinging();
        check(&mut heartbeat, 299, None, Some(300));
        check(&mut heartbeat, 310, Some(SendPing), Some(510));
        heartbeat.handle_pong(at(350));
        check(&mut heartbeat, 600, None, Some(650));
        check(&mut heartbeat, 650, Some(SendPing), Some(850));
    }

    #[test]
    fn missing_pong_is_told_once() {
        let mut heartbeat = pinging();
        check(&mut heartbeat, 300, Some(SendPing), Some(500));
        check(&mut heartbeat, 499, None, Some(500));
        check(&mut heartbeat, 500, Some(TimedOut), None);
        check(&mut heartbeat, 900, None, None);
    }

    #[test]
    fn activity_extends_the_wait_once() {
        let mut heartbeat = pinging();
        heartbeat.handle_activity(at(200));
        check(&mut heartbeat, 300, Some(SendPing), Some(500));
        heartbeat.handle_activity(at(490));
        heartbeat.handle_activity(at(600));
        check(&mut heartbeat, 689, None, Some(690));
        check(&mut heartbeat, 690, Some(TimedOut), None);
    }

    #[test]
    fn unasked_pongs_do_not_put_off_the_ping() {
        let mut heartbeat = pinging();
        heartbeat.handle_pong(at(250));
        check(&mut heartbeat, 300, Some(SendPing), Some(500));
        heartbeat.handle_pong(at(310));
        heartbeat.handle_pong(at(500));
        check(&mut heartbeat, 610, Some(SendPing), Some(810));
    }

    #[test]
    fn deadline_rests_while_paused_and_pings_go_on() {
        let mut heartbeat = pinging();
        heartbeat.pause();
        check(&mut heartbeat, 300, Some(SendPing), Some(500));
        check(&mut heartbeat, 500, Some(SendPing), Some(700));
        check(&mut heartbeat, 9000, Some(SendPing), Some(9200));
        heartbeat.resume(at(9100));
        check(&mut heartbeat, 9299, None, Some(9300));
        check(&mut heartbeat, 9300, Some(TimedOut), None);
    }

    #[test]
    fn pings_go_on_however_often_reading_rests() {
        for step in [1, 17, 150, 199, 201] {
            let (mut heartbeat, mut pings) = (pinging(), Vec::new());
            for now in (0..3000).step_by(step) {
                heartbeat.pause();
                if heartbeat.poll(at(now)).is_some() {
                    pings.push(now);
                }
                heartbeat.resume(at(now));
            }
            let longest = pings.windows(2).map(|pair| pair[1] - pair[0]).max();
            // Each time to the next look, and rounded.
            assert!(longest.is_some_and(|longest| longest <= 200 + step as u64), "{step}: {pings:?}");
        }
    }

    #[test]
    fn pong_that_lay_unread_does_not_put_off_the_next_ping() {
        let mut heartbeat = pinging();
        heartbeat.pause();
        check(&mut heartbeat, 300, Some(SendPing), Some(500));
        check(&mut heartbeat, 500, Some(SendPing), Some(700));
        heartbeat.handle_activity(at(600));
        check(&mut heartbeat, 650, None, Some(700));
        heartbeat.handle_pong(at(699));
        check(&mut heartbeat, 700, None, Some(800));
        heartbeat.resume(at(710));
        check(&mut heartbeat, 800, Some(SendPing), Some(1000));
        check(&mut heartbeat, 1000, Some(TimedOut), None);
    }

    #[test]
    fn resume_without_pause_changes_nothing() {
        let mut heartbeat = pinging();
        check(&mut heartbeat, 300, Some(SendPing), Some(500));
        heartbeat.resume(at(450));
        check(&mut heartbeat, 500, Some(TimedOut), None);
    }

    #[test]
    fn pinged_side_waits_interval_and_timeout() {
        let mut heartbeat = Heartbeat::expecting(INTERVAL, TIMEOUT, at(0));
        check(&mut heartbeat, 499, None, Some(500));
        heartbeat.handle_ping(at(499));
        check(&mut heartbeat, 998, None, Some(999));
        heartbeat.pause();
        check(&mut heartbeat, 2000, None, None);
        heartbeat.resume(at(2000));
        check(&mut heartbeat, 2500, Some(TimedOut), None);
    }

    #[test]
    fn listening_side_takes_anything_for_life() {
        let mut heartbeat = Heartbeat::listening(INTERVAL, TIMEOUT, at(0));
        check(&mut heartbeat, 499, None, Some(500));
        heartbeat.handle_ping(at(499));
        check(&mut heartbeat, 998, None, Some(999));
        heartbeat.handle_activity(at(998));
        heartbeat.handle_activity(at(999));
        heartbeat.handle_pong(at(1200));
        check(&mut heartbeat, 1498, None, Some(1499));
        heartbeat.pause();
        check(&mut heartbeat, 2000, None, None);
        heartbeat.resume(at(2000));
        check(&mut heartbeat, 2499, None, Some(2500));
        check(&mut heartbeat, 2500, Some(TimedOut), None);
    }

    fn pinging() -> Heartbeat {
        Heartbeat::new(INTERVAL, TIMEOUT, at(0))
    }

    fn check(heartbeat: &mut Heartbeat, now: u64, action: Option<HeartbeatAction>, next: Option<u64>) {
        assert_eq!(heartbeat.poll(at(now)), action, "at {now}");
        assert_eq!(heartbeat.poll_timeout(), next.map(at), "at {now}");
    }
}
