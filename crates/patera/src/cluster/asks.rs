//! Broadcasts of other servers whose acknowledgements are awaited here: when their time is over, sessions forget them.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Instant;

use crate::answers::Gathering;
use crate::config::ASKS_MAX;
use crate::sync::Mutex;

/// At most `ASKS_MAX`. Those that have been answered are only known by their time.
#[derive(Default)]
pub(super) struct Asks(Mutex<State>);

#[derive(Default)]
struct State {
    /// By deadline, then by number. The sessions that have not answered keep the gathering.
    open: BTreeMap<(Instant, u64), Weak<Gathering>>,
    next: u64,
}

impl Asks {
    /// False if there are too many.
    pub(super) fn insert(&self, gathering: &Arc<Gathering>, deadline: Instant) -> bool {
        let mut state = self.0.lock();
        if state.open.len() >= ASKS_MAX {
            state.open.retain(|_, gathering| gathering.strong_count() > 0);
        }
        if state.open.len() >= ASKS_MAX {
            return false;
        }
        state.next += 1;
        let number = state.next;
        state.open.insert((deadline, number), Arc::downgrade(gathering));
        true
    }

    /// When the next one's time is over.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.0.lock().open.first_key_value().map(|((deadline, _), _)| *deadline)
    }

    pub(super) fn expire(&self, now: Instant) {
        let mut state = self.0.lock();
        let later = state.open.split_off(&(now, u64::MAX));
        let expired = std::mem::replace(&mut state.open, later);
        drop(state);
        for gathering in expired.into_values().filter_map(|gathering| gathering.upgrade()) {
            gathering.close(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_bounded() {
        let (asks, deadline) = (Asks::default(), Instant::now());
        let mut gatherings: Vec<_> = (0..ASKS_MAX).map(|_| Arc::<Gathering>::default()).collect();
        assert!(gatherings.iter().all(|gathering| asks.insert(gathering, deadline)));
        let one_more = Arc::default();
        assert!(!asks.insert(&one_more, deadline));
        // One of them is answered.
        gatherings.pop();
        assert!(asks.insert(&one_more, deadline));
        assert!(!asks.insert(&Arc::default(), deadline));
        asks.expire(deadline);
        assert_eq!(asks.next_expiry(), None);
        assert!(asks.insert(&one_more, deadline));
    }
}
