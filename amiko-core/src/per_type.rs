//! What is found out once about a type, and remembered for as long as the process lives.
//!
//! Invariant: it follows from the type alone, so whoever finds it out first finds out the same.

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::{OnceLock, PoisonError, RwLock};

/// What is known of some types: a static.
pub(crate) struct PerType<V>(OnceLock<RwLock<HashMap<TypeId, V>>>);

impl<V: Clone> PerType<V> {
    pub(crate) const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// What is known of `T`. It isn't locked while that is found out, which may ask for other types.
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
