//! Facts about a type that are computed once and kept for the life of the process.
//!
//! Invariant: a fact follows from the type alone, so every thread computes the same.

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::{OnceLock, PoisonError, RwLock};

/// A fact about each of some types: a static.
pub(crate) struct PerType<V>(OnceLock<RwLock<HashMap<TypeId, V>>>);

impl<V: Clone> PerType<V> {
    pub(crate) const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// The fact about `T`. It isn't locked while it is computed, which may ask for other types.
    pub(crate) fn of<T: 'static>(&self, find_out: impl FnOnce() -> V) -> V {
        let known = self.0.get_or_init(RwLock::default);
        let found = known.read().unwrap_or_else(PoisonError::into_inner).get(&TypeId::of::<T>()).cloned();
        found.unwrap_or_else(|| {
            let value = find_out();
            known.write().unwrap_or_else(PoisonError::into_inner).insert(TypeId::of::<T>(), value.clone());
            value
        })
    }
}
