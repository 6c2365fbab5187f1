//! Values that must not be seen.
//!
//! Invariant: a secret is written to disk and to its peer, and nowhere else.

use super::{
    Change, Kept, Patch, Pointer, ReadError, Reader, Reference, Schema, Serializable, Summary, WriteError, Writer,
};
use std::fmt;

crate::serializable::of_serde!([T: Serializable] Secret<T>);

/// A value that no log and no screen shows: its `Debug` hides it. Disk and wire get the value itself; a writer with
/// [`Secrets::Hidden`](super::Secrets) leaves it out.
///
/// ```
/// use amiko_core::Secret;
/// let pin = Secret::new([1, 2, 3, 4]);
/// assert_eq!(format!("{pin:?}"), "Secret(…)");
/// assert_eq!(pin.expose()[0], 1);
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Hides a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value. The caller is responsible for where it goes.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl<T: Serializable> Serializable for Secret<T> {
    const EXACT: bool = T::EXACT;

    fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
        if out.hides_secrets() {
            out.string("(secret)");
            return Ok(());
        }
        self.0.write(out)
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
        // An error of `T` may show the value that it found.
        let before = input.clone();
        T::read(input).map(Self).map_err(|_| before.invalid("expected a secret of another form"))
    }

    fn missing() -> Option<Self> {
        T::missing().map(Self)
    }

    fn is_null(&self) -> bool {
        self.0.is_null()
    }

    fn difference(&self, old: &Self, patch: &mut Patch) -> Result<(), WriteError> {
        self.0.difference(&old.0, patch)
    }

    #[inline]
    fn same(&self, old: &Self) -> bool {
        self.0.same(&old.0)
    }

    fn weight(&self, kept: Kept) -> usize {
        self.0.weight(kept)
    }

    fn apply(&mut self, pointer: Pointer<'_>, change: Change<'_, '_>) -> Result<(), ReadError> {
        self.0.apply(pointer, change)
    }

    fn references(&self, visit: &mut dyn FnMut(Reference<'_>)) {
        self.0.references(visit);
    }

    fn summarize(&self, out: &mut Summary) {
        out.text("(secret)");
    }

    fn schema(schema: &mut Schema) -> String {
        let called = T::schema(schema);
        schema.secret(called)
    }
}
