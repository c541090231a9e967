//! All sessions by id.

use std::hash::BuildHasher as _;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use parking_lot::RwLock;

use crate::core::Shared;
use crate::sid::Sid;

/// Its size is the number of living sessions; ids are drawn by us, lookups may name anything. A pointer an entry: the id is
/// in the session.
#[derive(Default)]
pub(crate) struct Registry {
    sessions: RwLock<HashTable<Arc<Shared>>>,
    hasher: RandomState,
}

impl Registry {
    pub(crate) fn insert(&self, session: &Arc<Shared>) {
        let hash = self.hasher.hash_one(session.sid);
        let rehash = |session: &Arc<Shared>| self.hasher.hash_one(session.sid);
        self.sessions.write().insert_unique(hash, session.clone(), rehash);
    }

    pub(crate) fn find(&self, sid: &str) -> Option<Arc<Shared>> {
        let sid = Sid::parse(sid)?;
        self.sessions.read().find(self.hasher.hash_one(sid), |session| session.sid == sid).cloned()
    }

    pub(crate) fn remove(&self, sid: &Sid) {
        let hash = self.hasher.hash_one(sid);
        if let Ok(found) = self.sessions.write().find_entry(hash, |session| session.sid == *sid) {
            found.remove();
        }
    }

    /// A copy, so that no lock is held while each is told something.
    pub(crate) fn all(&self) -> Vec<Arc<Shared>> {
        self.sessions.read().iter().cloned().collect()
    }
}
