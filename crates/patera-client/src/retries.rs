//! Events that are sent again until they are acknowledged: in order, one at a time. Pure: who sends and who knows the time is
//! outside.

use std::collections::VecDeque;

/// The queue of one socket.
///
/// ```text
/// waiting ── the one before is done, and the socket connected ──▶ in flight ── acknowledged ──▶ done
///                 ▲                                                   │ no answer in time, or disconnected
///                 └────────────── tries left ─────────────────────────┴──────── none left ──▶ given up
/// ```
#[derive(Debug)]
pub(crate) struct Retries<T> {
    queue: VecDeque<T>,
    retries: u32,
    /// How often the first was sent.
    tries: u32,
    in_flight: bool,
}

impl<T> Retries<T> {
    /// Each is sent once, and again so many times.
    pub(crate) fn new(retries: u32) -> Self {
        Retries { queue: VecDeque::new(), retries, tries: 0, in_flight: false }
    }

    pub(crate) fn push(&mut self, item: T) {
        self.queue.push_back(item);
    }

    /// What is to be sent now, if the socket is connected: the first, unless it is on its way.
    pub(crate) fn send(&mut self) -> Option<&T> {
        if self.in_flight {
            return None;
        }
        let item = self.queue.front()?;
        self.in_flight = true;
        self.tries += 1;
        Some(item)
    }

    /// What is on its way.
    pub(crate) fn in_flight(&self) -> Option<&T> {
        self.queue.front().filter(|_| self.in_flight)
    }

    /// The answer to what is on its way has come: it is done.
    pub(crate) fn acknowledged(&mut self) -> Option<T> {
        if !self.in_flight {
            return None;
        }
        self.take_first()
    }

    /// There was no answer in time, or the connection is gone: it comes back if it is given up.
    pub(crate) fn failed(&mut self) -> Option<T> {
        if !std::mem::replace(&mut self.in_flight, false) || self.tries <= self.retries {
            return None;
        }
        self.take_first()
    }

    fn take_first(&mut self) -> Option<T> {
        (self.in_flight, self.tries) = (false, 0);
        self.queue.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_on_its_way_at_a_time() {
        let mut retries = Retries::new(2);
        assert_eq!(retries.send(), None);
        retries.push("a");
        retries.push("b");
        assert_eq!(retries.send(), Some(&"a"));
        assert_eq!(retries.send(), None);
        assert_eq!(retries.in_flight(), Some(&"a"));
        assert_eq!(retries.acknowledged(), Some("a"));
        assert_eq!(retries.in_flight(), None);
        assert_eq!(retries.acknowledged(), None);
        assert_eq!(retries.send(), Some(&"b"));
    }

    #[test]
    fn it_is_sent_once_and_so_many_times_again() {
        for retries_max in [0, 1, 3] {
            let mut retries = Retries::new(retries_max);
            retries.push("a");
            retries.push("b");
            for _ in 0..retries_max {
                assert_eq!(retries.send(), Some(&"a"));
                assert_eq!(retries.failed(), None);
            }
            assert_eq!(retries.send(), Some(&"a"));
            assert_eq!(retries.failed(), Some("a"));
            assert_eq!(retries.failed(), None, "nothing is on its way");
            // The next has all its tries.
            for _ in 0..retries_max {
                assert_eq!(retries.send(), Some(&"b"));
                assert_eq!(retries.failed(), None);
            }
            assert_eq!(retries.send(), Some(&"b"));
            assert_eq!(retries.acknowledged(), Some("b"));
        }
    }
}
