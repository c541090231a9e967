//! What has come and was not asked for: a queue for each name.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::Notify;

/// Entries wait here until a scenario asks for them, so that it misses none.
#[derive(Default)]
pub(crate) struct Inbox {
    queues: Mutex<HashMap<String, VecDeque<Value>>>,
    changed: Notify,
}

impl Inbox {
    pub(crate) fn put(&self, name: String, entry: Value) {
        self.queues.lock().entry(name).or_default().push_back(entry);
        self.changed.notify_waiters();
    }

    /// The next entry, once there is one.
    pub(crate) async fn take(&self, name: &str) -> Value {
        loop {
            // Registered before it looks, so that what comes in between wakes it.
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if let Some(entry) = self.queues.lock().get_mut(name).and_then(VecDeque::pop_front) {
                return entry;
            }
            changed.await;
        }
    }

    pub(crate) fn count(&self, name: &str) -> usize {
        self.queues.lock().get(name).map_or(0, VecDeque::len)
    }
}
