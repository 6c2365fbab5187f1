//! The schema of a serde type, as far as its deserializer reveals it.

use super::super::Schema;
use super::trace::{Traced, trace, without_modules};
use crate::per_type::PerType;
use serde_core::de::DeserializeOwned;
use std::any::{TypeId, type_name};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Looks at a type once, and remembers what it has seen.
fn traced<T: DeserializeOwned + 'static>() -> Arc<Traced> {
    static SEEN: PerType<Arc<Traced>> = PerType::new();
    thread_local! {
        /// The types that are being looked at: a class behind one of them may have it in it again.
        static INSIDE: RefCell<Vec<TypeId>> = const { RefCell::new(Vec::new()) };
    }
    let id = TypeId::of::<T>();
    if INSIDE.with_borrow(|inside| inside.contains(&id)) {
        return Arc::new(Traced {
            called: without_modules(type_name::<T>()),
            containers: Vec::new(),
            classes: Vec::new(),
        });
    }
    SEEN.of::<T>(|| {
        INSIDE.with_borrow_mut(|inside| inside.push(id));
        let traced = Arc::new(trace::<T>());
        INSIDE.with_borrow_mut(|inside| inside.pop());
        traced
    })
}

/// The classes that can be seen behind a type.
pub(super) fn classes_of<T: DeserializeOwned + 'static>() -> BTreeSet<String> {
    traced::<T>().classes.iter().map(|class| class.type_name.clone()).collect()
}

/// Describes a type, and enters the classes behind it into the schema.
pub(in super::super) fn schema<T: DeserializeOwned + 'static>(schema: &mut Schema) -> String {
    let traced = traced::<T>();
    for (name, lines) in &traced.containers {
        schema.foreign(name, lines);
    }
    for class in &traced.classes {
        schema.take_over(&class.text);
        if class.strong {
            schema.strong();
        }
    }
    let called = traced.called.clone();
    // Where in it the secret is isn't known.
    if traced.classes.iter().any(|class| class.secret) { schema.secret(called) } else { called }
}
