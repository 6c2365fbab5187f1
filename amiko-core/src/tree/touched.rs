//! Objects by name, and those that an event has touched.
//!
//! Invariant: objects are exposed here through shared references only.

use crate::serializable::{Polymorphic, Schema};
use std::borrow::Cow;
use std::fmt;

/// The kind and the key of an object, as text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// The kind.
    pub kind: Cow<'static, str>,
    /// The key, as text.
    pub key: String,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The node itself has no key.
        let space = if self.key.is_empty() { "" } else { " " };
        write!(f, "{}{space}{}", self.kind, self.key.escape_debug())
    }
}

/// An object that an event touched, before and after it: for the code that the derive writes.
pub struct Touched<'t> {
    /// The kind of the object.
    pub kind: &'static str,
    /// Its key, as text.
    pub key: Cow<'t, str>,
    /// Its old version; none if it is new.
    pub old: Option<&'t dyn Polymorphic>,
    /// Its new version; none if it was removed.
    pub new: Option<&'t dyn Polymorphic>,
}

/// Whether values of a type can have strong references anywhere in them: for the code that the derive writes.
pub fn has_strong(describe: impl FnOnce(&mut Schema) -> String) -> bool {
    let mut schema = Schema::default();
    describe(&mut schema);
    schema.has_strong()
}
