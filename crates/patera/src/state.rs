//! Values of the application by type: what `with_state` keeps for `State<T>`, and a socket's extensions.

use std::any::{Any, TypeId};
use std::collections::HashMap;

/// One value a type.
#[derive(Default)]
pub(crate) struct TypeMap(HashMap<TypeId, Box<dyn Any + Send + Sync>>);

impl TypeMap {
    pub(crate) fn insert<T: Send + Sync + 'static>(&mut self, value: T) -> Option<T> {
        let old = self.0.insert(TypeId::of::<T>(), Box::new(value))?;
        old.downcast().ok().map(|old| *old)
    }

    pub(crate) fn get<T: 'static>(&self) -> Option<&T> {
        self.0.get(&TypeId::of::<T>())?.downcast_ref()
    }

    pub(crate) fn remove<T: 'static>(&mut self) -> Option<T> {
        let old = self.0.remove(&TypeId::of::<T>())?;
        old.downcast().ok().map(|old| *old)
    }
}
