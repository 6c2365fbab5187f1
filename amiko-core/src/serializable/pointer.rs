//! JSON Pointers (RFC 6901), and what an operation does to the value that one names.
//!
//! Invariant: `~` and `/` inside of a segment are escaped wherever a path is text, and nowhere else.

use super::{Place, Problem, ReadError, Reader, Serializable};
use std::borrow::Cow;

/// Gives the pieces of a segment of a JSON Pointer, escaped as RFC 6901 wants it.
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

    /// The next segment, with its escapes undone, and what follows it; `None` where the pointer has arrived.
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

    /// The error for a segment that isn't there.
    pub fn no_such_path(segment: &str) -> ReadError {
        ReadError::new(Problem::NoSuchPath { segment: super::shorten(segment) }, Place::default())
    }
}

/// What an operation does to the value that its path names.
#[derive(Debug)]
pub enum Change<'r, 'a> {
    /// A new entry, with its value.
    Add(&'r mut Reader<'a>),
    /// Another value.
    Replace(&'r mut Reader<'a>),
    /// The entry goes.
    Remove,
}

/// Applies a change to a value as a whole: for types that have no parts of their own.
///
/// # Errors
/// The pointer leads further, or the new value isn't one of the type.
pub fn replace_whole<T: Serializable>(
    value: &mut T,
    pointer: Pointer<'_>,
    change: Change<'_, '_>,
) -> Result<(), ReadError> {
    *value = T::read(whole_value(pointer, change)?)?;
    Ok(())
}

/// What a change puts in the place of a value as a whole.
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

/// The number of an element, below `length`: digits without a zero in front.
pub(super) fn index(segment: &str, length: usize) -> Result<usize, ReadError> {
    let canonical = segment == "0" || !segment.starts_with(['0', '+']);
    match segment.parse() {
        Ok(index) if canonical && index < length => Ok(index),
        _ => Err(Pointer::no_such_path(segment)),
    }
}
