//! A session that is being opened: its id is taken, and its task has not begun.

use std::ops::Deref;
use std::sync::Arc;

use crate::core::Shared;
use crate::sid::IdError;

/// Dropped before it has begun, as when its client is gone already, there was no session, and the id is free again.
pub(crate) struct Opening {
    shared: Arc<Shared>,
    begun: bool,
}

impl Opening {
    /// # Errors
    /// A session that lives, or is being opened, has this id.
    pub(crate) fn new(shared: Arc<Shared>) -> Result<Self, IdError> {
        if !shared.core.registry.insert(&shared) {
            shared.unregister();
            return Err(IdError::Taken);
        }
        Ok(Opening { shared, begun: false })
    }

    /// The session's task begins; it gives the id back when it ends.
    pub(crate) fn begin(mut self) -> Arc<Shared> {
        self.begun = true;
        self.shared.clone()
    }
}

impl Deref for Opening {
    type Target = Arc<Shared>;

    fn deref(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if !self.begun {
            self.shared.unregister();
            self.shared.outbox.close();
        }
    }
}
