//! Locks, and the atomics that order something: parking_lot's and std's, and loom's where `cargo xtask loom` builds the models of
//! `models/`. Counters that order nothing, and statics, are std's everywhere; so is `Arc`, whose count decides nothing here.

#[cfg(not(all(test, patera_loom)))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize};

#[cfg(all(test, patera_loom))]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize};
#[cfg(not(all(test, patera_loom)))]
pub(crate) use parking_lot::{Mutex, MutexGuard, RwLock};

#[cfg(all(test, patera_loom))]
pub(crate) use self::modelled::{Mutex, MutexGuard, RwLock};

/// Loom's locks with the interface of parking_lot's, which know no poison: a panic ends a model.
#[cfg(all(test, patera_loom))]
mod modelled {
    use std::sync::PoisonError;

    pub(crate) use loom::sync::MutexGuard;
    use loom::sync::{RwLockReadGuard, RwLockWriteGuard};

    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Mutex(loom::sync::Mutex::new(value))
        }

        #[track_caller]
        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    #[derive(Debug, Default)]
    pub(crate) struct RwLock<T>(loom::sync::RwLock<T>);

    impl<T> RwLock<T> {
        pub(crate) fn new(value: T) -> Self {
            RwLock(loom::sync::RwLock::new(value))
        }

        #[track_caller]
        pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
            self.0.read().unwrap_or_else(PoisonError::into_inner)
        }

        #[track_caller]
        pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
            self.0.write().unwrap_or_else(PoisonError::into_inner)
        }
    }
}
