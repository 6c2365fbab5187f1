//! JSON Pointers (RFC 6901), and the operations on the values that they name.
//!
//! Invariant: `~` and `/` inside a segment are escaped wherever a path is text, and nowhere else.

use super::{Place, Problem, ReadError, Reader, Serializable};
use std::borrow::Cow;

/// Passes on the pieces of a JSON Pointer segment, escaped as RFC 6901 requires.
pub(crate) fn each_escaped(mut segment: &str, mut push: impl FnMut(&str)) {
    while let Some(at) = segment.find(['~', '/']) {
        let (plain, special) = segment.split_at(at);
        push(plain);
        push(if special.starts_with('~') { "~0" } else { "~1" });
        segment = &special[1..];
    }
    push(segment);
}

/// The rest of a JSON Pointer.
#[derive(Debug, Clone, Copy)]
pub struct Pointer<'p>(&'p str);

impl<'p> Pointer<'p> {
    pub(super) fn new(text: &'p str) -> Self {
        Self(text)
    }

    /// The next segment, unescaped, and the rest; `None` at the end of the pointer.
    pub fn split(self) -> Option<(Cow<'p, str>, Pointer<'p>)> {
        let rest = self.0.strip_prefix('/')?;
        let (segment, rest) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let segment = if segment.contains('~') {
            // In this order, so that "~01" becomes "~1" and not "/".
            Cow::Owned(segment.replace("~1", "/").replace("~0", "~"))
        } else {
            Cow::Borrowed(segment)
        };
        Some((segment, Pointer(rest)))
    }

    /// The error for a segment that doesn't exist.
    pub fn no_such_path(segment: &str) -> ReadError {
        ReadError::new(Problem::NoSuchPath { segment: super::shorten(segment) }, Place::default())
    }
}

/// The operation on the value that the path names.
#[derive(Debug)]
pub enum Change<'r, 'a> {
    /// A new entry, with its value.
    Add(&'r mut Reader<'a>),
    /// Another value.
    Replace(&'r mut Reader<'a>),
    /// The entry is removed.
    Remove,
}

/// Applies a change to a value as a whole: for types without parts.
///
/// # Errors
/// The pointer leads deeper, or the new value doesn't fit the type.
pub fn replace_whole<T: Serializable>(
    value: &mut T,
    pointer: Pointer<'_>,
    change: Change<'_, '_>,
) -> Result<(), ReadError> {
    *value = T::read(whole_value(pointer, change)?)?;
    Ok(())
}

/// The new value, if a change replaces the whole value.
pub(crate) fn whole_value<'r, 'a>(
    pointer: Pointer<'_>,
    change: Change<'r, 'a>,
) -> Result<&'r mut Reader<'a>, ReadError> {
    match (pointer.split(), change) {
        (None, Change::Add(input) | Change::Replace(input)) => Ok(input),
        (None, Change::Remove) => {
            let reason = "expected an entry of a map, a table or an array to remove, found a field".into();
            Err(ReadError::new(Problem::Invalid { reason }, Place::default()))
        }
        (Some((segment, _)), _) => Err(Pointer::no_such_path(&segment)),
    }
}

/// The index of an element, below `length`: digits without leading zeros.
pub(super) fn index(segment: &str, length: usize) -> Result<usize, ReadError> {
    let canonical = segment == "0" || !segment.starts_with(['0', '+']);
    match segment.parse() {
        Ok(index) if canonical && index < length => Ok(index),
        _ => Err(Pointer::no_such_path(segment)),
    }
}
