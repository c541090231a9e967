//! What a socket keeps until its end: what was emitted too early, its listeners, its data.

use std::any::Any;
use std::sync::Arc;

use serde::Serialize;

use crate::listeners::Listeners;
use crate::outbox::Item;
use crate::recovery::Number;
use crate::state::TypeMap;
use crate::tasks::drop_each;

/// What a socket has beside its connection.
#[derive(Default)]
pub(super) enum Kept {
    #[default]
    Nothing,
    Something(Box<Keeping>),
    /// The socket has ended: nothing is kept any more.
    Cleared,
}

#[derive(Default)]
pub(super) struct Keeping {
    /// Emitted before the socket was let in: goes out behind the CONNECT packet.
    pub(super) held: Vec<(Item, Option<Number>)>,
    pub(super) held_bytes: usize,
    pub(super) listeners: Listeners,
    pub(super) data: Option<Arc<dyn Data>>,
    pub(super) extensions: Option<Box<TypeMap>>,
}

impl Kept {
    /// `None` once it is cleared.
    pub(super) fn make(&mut self) -> Option<&mut Keeping> {
        if let Kept::Nothing = self {
            *self = Kept::Something(Box::default());
        }
        self.get_mut()
    }

    /// Drops all of it. False if something of the user's panicked.
    pub(super) fn drop_each(self) -> bool {
        let Kept::Something(keeping) = self else { return true };
        let Keeping { listeners, data, extensions, .. } = *keeping;
        let extensions = extensions.into_iter().flat_map(|extensions| extensions.into_values());
        listeners.drop_each() & drop_each(data) & drop_each(extensions)
    }

    pub(super) fn get(&self) -> Option<&Keeping> {
        if let Kept::Something(keeping) = self { Some(keeping) } else { None }
    }

    pub(super) fn get_mut(&mut self) -> Option<&mut Keeping> {
        if let Kept::Something(keeping) = self { Some(keeping) } else { None }
    }
}

/// What `data_set` takes: known by its type here, and as a value elsewhere.
pub(crate) trait Data: Any + Send + Sync {
    /// `None` if it cannot be JSON.
    fn to_json(&self) -> Option<Box<str>>;
}

impl<T: Serialize + Any + Send + Sync> Data for T {
    fn to_json(&self) -> Option<Box<str>> {
        serde_json::to_string(self).ok().map(Into::into)
    }
}
