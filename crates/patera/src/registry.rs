//! All sessions by id.

use std::hash::BuildHasher as _;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::core::Shared;
use crate::sync::RwLock;

/// Its size is the number of sessions that live or are being opened; lookups may name anything. A pointer an entry: the id is in
/// the session.
#[derive(Default)]
pub(crate) struct Registry {
    sessions: RwLock<HashTable<Arc<Shared>>>,
    hasher: RandomState,
}

impl Registry {
    /// False if another session has this id.
    pub(crate) fn insert(&self, session: &Arc<Shared>) -> bool {
        let id = session.sid.as_str();
        let rehash = |session: &Arc<Shared>| self.hash(session.sid.as_str());
        match self.sessions.write().entry(self.hash(id), |session| session.sid.as_str() == id, rehash) {
            Entry::Occupied(_) => false,
            Entry::Vacant(entry) => {
                entry.insert(session.clone());
                true
            }
        }
    }

    pub(crate) fn find(&self, sid: &str) -> Option<Arc<Shared>> {
        self.sessions.read().find(self.hash(sid), |session| session.sid.as_str() == sid).cloned()
    }

    /// Takes this session out, and none that has its id since.
    pub(crate) fn remove(&self, session: &Arc<Shared>) {
        let hash = self.hash(session.sid.as_str());
        if let Ok(found) = self.sessions.write().find_entry(hash, |other| Arc::ptr_eq(other, session)) {
            found.remove();
        }
    }

    /// A copy, so that no lock is held while each is told something.
    pub(crate) fn all(&self) -> Vec<Arc<Shared>> {
        self.sessions.read().iter().cloned().collect()
    }

    fn hash(&self, id: &str) -> u64 {
        self.hasher.hash_one(id)
    }
}
