//! All sessions by id.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::core::Shared;
use crate::sid::Sid;

/// Its size is the number of living sessions; ids are drawn by us, lookups may name anything.
#[derive(Default)]
pub(crate) struct Registry(RwLock<HashMap<Sid, Arc<Shared>>>);

impl Registry {
    pub(crate) fn insert(&self, session: &Arc<Shared>) {
        self.0.write().insert(session.sid, session.clone());
    }

    pub(crate) fn find(&self, sid: &str) -> Option<Arc<Shared>> {
        let sid = Sid::parse(sid)?;
        self.0.read().get(&sid).cloned()
    }

    pub(crate) fn remove(&self, sid: &Sid) {
        self.0.write().remove(sid);
    }

    /// A copy, so that no lock is held while each is told something.
    pub(crate) fn all(&self) -> Vec<Arc<Shared>> {
        self.0.read().values().cloned().collect()
    }
}
