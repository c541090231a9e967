//! What one client was sent and may not have, in the order of its outbox.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use super::offset::{Number, Position};
use crate::prepared::Prepared;

/// ```text
///  dropped:  the client has them,    │  may be missing: kept, to be sent again     │
///  or there were too many            │                                             │
///                           `before` │ first            mark: what had been sent   │ end
///                                    │                  when the last ping was     │
/// ```
/// Events are counted from the beginning: `first`, `mark` and `end` are such counts.
#[derive(Default)]
pub(crate) struct Log {
    entries: VecDeque<Entry>,
    bytes: usize,
    first: u64,
    /// The last one dropped; `None` as long as none was.
    before: Option<Number>,
    mark: Option<u64>,
}

struct Entry {
    number: Number,
    prepared: Arc<Prepared>,
}

/// What the client stopped at is not known any more: events may be missing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Lost;

/// What an entry takes beside its packet.
const ENTRY_BYTES: usize = size_of::<Entry>();

impl Log {
    /// What it counts: packets in full, though those of a broadcast are shared.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many events there were before those kept.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// How many events there were.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// Keeps an event; the oldest ones go, if they are too many or too large.
    pub(crate) fn push(&mut self, number: Number, prepared: Arc<Prepared>, packets_max: usize, bytes_max: usize) {
        self.bytes += prepared.size() + ENTRY_BYTES;
        self.entries.push_back(Entry { number, prepared });
        while self.entries.len() > packets_max || self.bytes > bytes_max {
            self.drop_oldest();
        }
    }

    /// A ping goes out behind all events but the last `waiting`. One that is not answered yet stays the one that counts.
    pub(crate) fn handle_ping_sent(&mut self, waiting: usize) {
        let sent = self.end().saturating_sub(waiting as u64);
        self.mark.get_or_insert(sent);
    }

    /// The ping was answered: the client has what went before it.
    pub(crate) fn handle_pong(&mut self) {
        let Some(mark) = self.mark.take() else { return };
        while self.first < mark && self.drop_oldest() {}
        self.shrink();
    }

    /// Another connection: a ping of the old one says nothing any more.
    pub(crate) fn forget_ping(&mut self) {
        self.mark = None;
    }

    /// The client has stopped here: what it has is dropped, the rest is what it missed.
    pub(crate) fn resume(&mut self, position: Position) -> Result<(), Lost> {
        let received = match position {
            Position::Behind(number) if self.before == Some(number) => 0,
            Position::Behind(number) => {
                let found = self.entries.iter().rposition(|entry| entry.number == number);
                // What it remembers came to it before this log began.
                if found.is_none() && self.before.is_some() {
                    return Err(Lost);
                }
                found.map_or(0, |at| at + 1)
            }
            Position::Start | Position::Unknown if self.before.is_some() => return Err(Lost),
            Position::Start | Position::Unknown => 0,
        };
        for _ in 0..received {
            self.drop_oldest();
        }
        self.shrink();
        Ok(())
    }

    /// What is kept, in order.
    pub(crate) fn packets(&self) -> impl Iterator<Item = &Arc<Prepared>> {
        self.entries.iter().map(|entry| &entry.prepared)
    }

    /// The numbers of what is kept.
    pub(crate) fn numbers(&self) -> HashSet<Number> {
        self.entries.iter().map(|entry| entry.number).collect()
    }

    fn drop_oldest(&mut self) -> bool {
        let Some(entry) = self.entries.pop_front() else { return false };
        self.bytes -= entry.prepared.size() + ENTRY_BYTES;
        self.first += 1;
        self.before = Some(entry.number);
        true
    }

    /// An idle client owns no buffer.
    fn shrink(&mut self) {
        if self.entries.len() < self.entries.capacity() / 4 {
            self.entries.shrink_to(self.entries.len() * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = usize::MAX;

    fn number(n: u64) -> Number {
        Number::new(n).unwrap()
    }

    fn log_of(numbers: &[u64]) -> Log {
        let mut log = Log::default();
        for n in numbers {
            log.push(number(*n), Prepared::text("four"), MAX, MAX);
        }
        log
    }

    /// What is kept, by number.
    fn check(log: &Log, numbers: &[u64]) {
        let kept: Vec<u64> = log.entries.iter().map(|entry| entry.number.get()).collect();
        assert_eq!(kept, numbers);
        assert_eq!(log.bytes, numbers.len() * (Prepared::text("four").size() + ENTRY_BYTES));
        assert_eq!(log.packets().count(), numbers.len());
    }

    #[test]
    fn the_client_has_what_went_before_an_answered_ping() {
        let mut log = log_of(&[1, 2, 3]);
        log.handle_pong();
        check(&log, &[1, 2, 3]);
        log.handle_ping_sent(1);
        log.push(number(4), Prepared::text("four"), MAX, MAX);
        check(&log, &[1, 2, 3, 4]);
        log.handle_pong();
        check(&log, &[3, 4]);
        log.handle_pong();
        check(&log, &[3, 4]);
    }

    #[test]
    fn the_first_of_two_pings_counts_until_it_is_answered() {
        let mut log = log_of(&[1, 2]);
        log.handle_ping_sent(1);
        log.handle_ping_sent(0);
        log.handle_pong();
        check(&log, &[2]);
    }

    #[test]
    fn more_waits_than_is_kept() {
        let mut log = log_of(&[1]);
        log.handle_ping_sent(5);
        log.handle_pong();
        check(&log, &[1]);
    }

    #[test]
    fn a_ping_of_another_connection_says_nothing() {
        let mut log = log_of(&[1]);
        log.handle_ping_sent(0);
        log.forget_ping();
        log.handle_pong();
        check(&log, &[1]);
    }

    #[test]
    fn a_client_goes_on_where_it_stopped() {
        // Position in the outbox decides, not the number.
        for (stopped_at, missed) in [(5, &[9, 7, 8][..]), (9, &[7, 8]), (7, &[8]), (8, &[])] {
            let mut log = log_of(&[5, 9, 7, 8]);
            assert_eq!(log.resume(Position::Behind(number(stopped_at))), Ok(()));
            check(&log, missed);
            // And again, if it did not get on.
            assert_eq!(log.resume(Position::Behind(number(stopped_at))), Ok(()));
            check(&log, missed);
        }
    }

    #[test]
    fn an_unknown_position_is_the_start_as_long_as_nothing_was_dropped() {
        for position in [Position::Start, Position::Unknown, Position::Behind(number(77))] {
            let mut log = log_of(&[1, 2]);
            assert_eq!(log.resume(position), Ok(()), "{position:?}");
            check(&log, &[1, 2]);
            log.handle_ping_sent(1);
            log.handle_pong();
            assert_eq!(log.resume(position), Err(Lost), "{position:?}");
        }
    }

    #[test]
    fn the_oldest_go_at_the_limits() {
        let size = Prepared::text("four").size() + ENTRY_BYTES;
        for (packets_max, bytes_max) in [(3, MAX), (MAX, 3 * size), (MAX, 4 * size - 1)] {
            let mut log = Log::default();
            for n in 1..=3 {
                log.push(number(n), Prepared::text("four"), packets_max, bytes_max);
            }
            check(&log, &[1, 2, 3]);
            log.push(number(4), Prepared::text("four"), packets_max, bytes_max);
            check(&log, &[2, 3, 4]);
            assert_eq!((log.first(), log.end()), (1, 4));
            assert_eq!(log.resume(Position::Start), Err(Lost));
            assert_eq!(log.resume(Position::Behind(number(1))), Ok(()), "the last one dropped");
        }
    }

    #[test]
    fn what_is_larger_than_the_limit_is_not_kept() {
        let mut log = log_of(&[1]);
        log.push(number(2), Prepared::text("four"), MAX, 10);
        check(&log, &[]);
        assert_eq!(log.resume(Position::Behind(number(1))), Err(Lost));
        assert_eq!(log.resume(Position::Behind(number(2))), Ok(()));
    }

    #[test]
    fn an_empty_log_owns_nothing() {
        let numbers: Vec<u64> = (1..1000).collect();
        let mut log = log_of(&numbers);
        log.handle_ping_sent(0);
        log.handle_pong();
        check(&log, &[]);
        assert_eq!(log.entries.capacity(), 0);
    }
}
