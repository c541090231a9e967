//! Who else is there: everyone who has spoken lately.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::ids::Uid;

/// At most `max`; when each was heard last.
#[derive(Debug)]
pub(super) struct Peers {
    heard: BTreeMap<Uid, Instant>,
    timeout: Duration,
    max: usize,
}

impl Peers {
    pub(super) fn new(timeout: Duration, max: usize) -> Self {
        Peers { heard: BTreeMap::new(), timeout, max }
    }

    /// Somebody has spoken. True if it is new.
    pub(super) fn heard(&mut self, uid: &Uid, now: Instant) -> bool {
        if let Some(heard) = self.heard.get_mut(uid) {
            *heard = now;
            return false;
        }
        // An emitter only sends, and does not count.
        let counts = uid.as_str() != Uid::EMITTER && self.heard.len() < self.max;
        if counts {
            self.heard.insert(uid.clone(), now);
        }
        counts
    }

    /// True if it was there.
    pub(super) fn remove(&mut self, uid: &Uid) -> bool {
        self.heard.remove(uid).is_some()
    }

    /// Takes out those that have been silent for too long.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Uid> {
        let timeout = self.timeout;
        let silent = |heard: Instant| now.saturating_duration_since(heard) >= timeout;
        self.heard.extract_if(.., |_, heard| silent(*heard)).map(|(uid, _)| uid).collect()
    }

    /// When the next one will have been silent for too long.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.heard.values().min().and_then(|heard| heard.checked_add(self.timeout))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Uid> {
        self.heard.keys()
    }

    pub(super) fn len(&self) -> usize {
        self.heard.len()
    }
}
