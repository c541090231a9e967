//! Values of the application by type: what `with_state` keeps for `State<T>`, and a socket's extensions.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;

/// One value a type. Values come and go in an `Arc`, so that none is cloned or dropped under the lock around the map.
#[derive(Default)]
pub(crate) struct TypeMap(HashMap<TypeId, Arc<dyn Any + Send + Sync>>);

impl TypeMap {
    #[must_use = "drop what was there outside of the lock"]
    pub(crate) fn insert<T: Send + Sync + 'static>(&mut self, value: T) -> Option<Arc<dyn Any + Send + Sync>> {
        self.0.insert(TypeId::of::<T>(), Arc::new(value))
    }

    pub(crate) fn into_values(self) -> impl Iterator<Item = Arc<dyn Any + Send + Sync>> {
        self.0.into_values()
    }

    pub(crate) fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.0.get(&TypeId::of::<T>())?.clone().downcast().ok()
    }

    pub(crate) fn remove<T: Send + Sync + 'static>(&mut self) -> Option<Arc<T>> {
        self.0.remove(&TypeId::of::<T>())?.downcast().ok()
    }
}
