//! What an old version of a value keeps in memory, so that the history is bounded in bytes.
//!
//! Invariant: what two versions share is counted for the first of them that lets it go, and for no other.

use super::{Serializable, WriteError, Writer};

/// Which memory of a value counts; see [`Serializable::weight`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// What each version has of its own: the text of a `String`, the elements of a `Vec`.
    Alone,
    /// What versions share until one changes it: the entries of a [`Map`](crate::Map), and what is in an `Arc`.
    Shared,
}

/// The bytes of a value with all that it has on the heap.
pub(super) fn whole<T: Serializable>(value: &T) -> usize {
    size_of::<T>() + value.weight(Kept::Alone) + value.weight(Kept::Shared)
}

/// The length of a text, for values that can't say more cheaply what they keep.
pub(super) fn of_text(kept: Kept, write: impl FnOnce(&mut Writer) -> Result<(), WriteError>) -> usize {
    match kept {
        Kept::Shared => 0,
        Kept::Alone => {
            let mut out = Writer::new();
            // What has no text is refused elsewhere.
            let _ = write(&mut out);
            out.as_str().len()
        }
    }
}

/// The bytes of elements of a list and of all that they have on the heap.
pub(super) fn of_elements<'v, T: Serializable>(elements: impl IntoIterator<Item = &'v T>, kept: Kept) -> usize {
    elements.into_iter().map(|element| element.weight(kept)).sum()
}
