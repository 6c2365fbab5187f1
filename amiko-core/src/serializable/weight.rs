//! The memory that an old version of a value keeps, so that the history is bounded in bytes.
//!
//! Invariant: memory that two versions share is counted once, when the first of them is dropped.

use super::{Serializable, WriteError, Writer};

/// Which memory of a value counts; see [`Serializable::weight`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// The memory that each version owns: the text of a `String`, the elements of a `Vec`.
    Alone,
    /// The memory that versions share until one changes it: the entries of a [`Map`](crate::Map), and the contents of
    /// an `Arc`.
    Shared,
}

/// The size of a value in bytes, including its heap memory.
pub(super) fn whole<T: Serializable>(value: &T) -> usize {
    size_of::<T>() + value.weight(Kept::Alone) + value.weight(Kept::Shared)
}

/// The length of a value's text, for values without a cheaper estimate.
pub(super) fn of_text(kept: Kept, write: impl FnOnce(&mut Writer) -> Result<(), WriteError>) -> usize {
    match kept {
        Kept::Shared => 0,
        Kept::Alone => {
            let mut out = Writer::new();
            // A value without a text is refused elsewhere.
            let _ = write(&mut out);
            out.as_str().len()
        }
    }
}

/// The size of the elements of a list in bytes, including their heap memory.
pub(super) fn of_elements<'v, T: Serializable>(elements: impl IntoIterator<Item = &'v T>, kept: Kept) -> usize {
    elements.into_iter().map(|element| element.weight(kept)).sum()
}
