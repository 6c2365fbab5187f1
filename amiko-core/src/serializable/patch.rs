//! Differences between two versions of a value, as JSON Patch (RFC 6902) operations.
//!
//! Invariant: the difference, applied to the old version, gives the new one.

use super::key::Key;
use super::pointer::{Change, Pointer, each_escaped};
use super::{Kept, Place, ReadError, Reader, Serializable, WriteError, Writer, write_value};
use crate::serializable::scan::contains;
use std::borrow::Cow;
use std::fmt;

/// The JSON Patch (RFC 6902) that leads from one version of a value to another: field by field, entry by entry.
///
/// ```
/// use amiko_core::{prelude::*, serializable::{apply, diff}};
///
/// #[derive(Clone, Debug, PartialEq, Serializable)]
/// struct Account { balance: u64, holds: Map<String, u64> }
///
/// let old = Account { balance: 10, holds: Map::new() };
/// let mut new = old.clone();
/// new.balance = 3;
/// new.holds.insert("rent".into(), 7);
///
/// let patch = diff(&old, &new)?;
/// assert_eq!(patch, r#"[{"op":"replace","path":"/balance","value":3},{"op":"add","path":"/holds/rent","value":7}]"#);
/// assert_eq!(apply(&old, &patch)?, new);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The new value has no exact text.
pub fn diff<T: Serializable>(old: &T, new: &T) -> Result<String, WriteError> {
    let mut patch = Patch::new();
    new.difference(old, &mut patch)?;
    Ok(patch.to_json())
}

/// The version of a value that a patch of [`diff`] leads to. The value itself isn't changed, whatever the patch.
///
/// # Errors
/// The text isn't a patch with `op`, `path` and `value` in this order, or doesn't fit the value.
pub fn apply<T: Serializable + Clone>(value: &T, patch: &str) -> Result<T, ReadError> {
    let mut input = Reader::new(patch);
    let mut new = value.clone();
    apply_patch(&mut new, &mut input)?;
    input.end()?;
    Ok(new)
}

/// Collects the operations `add`, `replace` and `remove` that lead from an old version to a new one.
pub struct Patch {
    /// [`REPLACED`], and the JSON Pointer (RFC 6901) of the value that is compared, as it appears in a JSON string; without
    /// the last ones of `fields`. Most operations replace a value, so most begin with all of it.
    path: Writer,
    /// The fields on the way to that value, each as a piece of the path. Most are equal in both versions, so they are
    /// pushed into the path only when there is a change to report.
    fields: Vec<&'static str>,
    /// How many of the fields are already in the path.
    pushed: usize,
    /// The nesting level of that value in the document.
    level: u32,
    out: Writer,
    /// Where in the text the operations begin: they may follow the rest of a record.
    start: usize,
    operations: usize,
    /// Bytes that only the old version keeps.
    freed: usize,
}

/// What comes before the path of a value that is replaced.
const REPLACED: &str = ",{\"op\":\"replace\",\"path\":\"";

impl Default for Patch {
    fn default() -> Self {
        let mut path = Writer::new();
        path.raw(REPLACED);
        let (fields, out) = (Vec::new(), Writer::new());
        Self { path, fields, pushed: 0, level: 0, out, start: 0, operations: 0, freed: 0 }
    }
}

/// Hides the values, which may contain secrets.
impl fmt::Debug for Patch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (operations, bytes) = (self.operations, self.as_str().len());
        f.debug_struct("Patch").field("operations", &operations).field("bytes", &bytes).finish_non_exhaustive()
    }
}

/// The nesting level of an operation's value inside a journal record: record, patch, operation.
const RECORD_LEVELS: u32 = 3;

impl Patch {
    /// A patch without operations.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many operations there are.
    pub fn operations(&self) -> usize {
        self.operations
    }

    /// Removes the operations and keeps the memory.
    #[inline]
    pub fn clear(&mut self) {
        self.path.truncate(REPLACED.len());
        self.fields.clear();
        self.pushed = 0;
        self.level = 0;
        self.out.clear();
        self.start = 0;
        self.operations = 0;
        self.freed = 0;
    }

    /// Counts memory that only the old version keeps from now on; see [`Serializable::weight`].
    #[inline]
    pub fn free(&mut self, bytes: usize) {
        self.freed = self.freed.saturating_add(bytes);
    }

    /// Counts an old version of a field that is kept as a whole: for the code that the derive writes.
    pub fn free_copy<T: Serializable>(&mut self, old: &T) {
        self.free(size_of::<T>() + old.weight(Kept::Alone));
    }

    /// The JSON Pointer of the value that is compared, for people.
    pub(crate) fn place(&self) -> String {
        self.fields.concat()
    }

    /// The bytes counted so far.
    pub(crate) fn freed(&self) -> usize {
        self.freed
    }

    /// Starts over, as part of a text of at most this many bytes that begins with the output of `write`.
    #[inline]
    pub(crate) fn begin_inside(
        &mut self,
        limit: usize,
        write: impl FnOnce(&mut Writer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        self.clear();
        self.out.set_limit(limit);
        let written = write(&mut self.out);
        self.out.outcome(0, written)?;
        self.start = self.out.as_str().len();
        Ok(())
    }

    /// Appends the operations of another patch of the same value.
    pub(crate) fn append(&mut self, other: &Self) {
        if self.operations > 0 && other.operations > 0 {
            self.out.raw(",");
        }
        self.out.raw(other.as_str());
        self.operations += other.operations;
    }

    /// Ends the enclosing text and returns all of it. No operations can follow.
    #[inline]
    pub(crate) fn end_inside(&mut self, end: &str) -> &str {
        self.out.raw(end);
        self.out.as_str()
    }

    /// The enclosing text.
    #[inline]
    pub(crate) fn whole(&self) -> &str {
        self.out.as_str()
    }

    /// Hands over the enclosing text, and reuses the memory of another one for the next.
    #[inline]
    pub(crate) fn exchange(&mut self, text: &mut String) {
        self.out.exchange(text);
        // The rest is cleared when the next text begins.
        self.out.truncate(0);
        self.operations = 0;
        // An empty buffer gets slightly more than the last text needed, so that it doesn't grow in steps.
        self.out.reserve(text.len().next_power_of_two());
    }

    /// The operations, separated by commas: the contents of the JSON array.
    #[inline]
    pub fn as_str(&self) -> &str {
        &self.out.as_str()[self.start..]
    }

    /// The patch as a JSON document.
    pub fn to_json(&self) -> String {
        format!("[{}]", self.as_str())
    }

    /// Compares a part one level further in.
    ///
    /// # Errors
    /// The errors of `compare`.
    pub fn within<T>(&mut self, segment: &str, compare: impl FnOnce(&mut Self) -> T) -> T {
        self.with_path(|patch| {
            let outside = patch.path.as_str().len();
            patch.path.raw("/");
            push_segment(&mut patch.path, segment);
            patch.level += 1;
            let result = compare(patch);
            patch.level -= 1;
            patch.path.truncate(outside);
            result
        })
    }

    /// The same for the part of this key.
    #[inline]
    pub(crate) fn within_key<K: Key, T>(&mut self, key: &K, compare: impl FnOnce(&mut Self) -> T) -> T {
        key.with_text(|segment| self.within_text::<K, T>(segment, compare))
    }

    /// The same for the text of a key of this type.
    #[inline]
    fn within_text<K: Key, T>(&mut self, segment: &str, compare: impl FnOnce(&mut Self) -> T) -> T {
        if !K::PLAIN {
            return self.within(segment, compare);
        }
        self.with_path(|patch| {
            let outside = patch.path.as_str().len();
            patch.path.raw("/");
            patch.path.raw(segment);
            patch.level += 1;
            let result = compare(patch);
            patch.level -= 1;
            patch.path.truncate(outside);
            result
        })
    }

    /// Pushes the pending fields into the path while a part is compared.
    #[inline]
    pub(crate) fn with_path<T>(&mut self, compare: impl FnOnce(&mut Self) -> T) -> T {
        if self.pushed == self.fields.len() {
            return compare(self);
        }
        let outside = (self.path.as_str().len(), self.pushed);
        for field in &self.fields[self.pushed..] {
            self.path.raw(field);
        }
        self.pushed = self.fields.len();
        let result = compare(self);
        self.path.truncate(outside.0);
        self.pushed = outside.1;
        result
    }

    /// The same for a field whose piece of the path is known beforehand: `/balance`, escaped for a JSON Pointer and
    /// for a JSON string.
    ///
    /// # Errors
    /// The errors of `compare`.
    #[inline]
    pub(crate) fn within_field<T>(&mut self, piece: &'static str, compare: impl FnOnce(&mut Self) -> T) -> T {
        self.fields.push(piece);
        self.level += 1;
        let result = compare(self);
        self.level -= 1;
        self.fields.pop();
        result
    }

    /// Compares one field, or entry.
    ///
    /// # Errors
    /// The new value has no exact text.
    pub fn field<T: Serializable>(&mut self, name: &str, old: &T, new: &T) -> Result<(), WriteError> {
        if new.same(old) { Ok(()) } else { self.within(name, |patch| new.difference(old, patch)) }
    }

    /// Compares the value of a key in the old version with that in the new one; either may be absent.
    ///
    /// # Errors
    /// The new value has no exact text.
    #[inline]
    pub fn entry<K: Key, T: Serializable>(
        &mut self,
        key: &K,
        old: Option<&T>,
        new: Option<&T>,
    ) -> Result<(), WriteError> {
        if let (Some(old), Some(new)) = (old, new)
            && new.same(old)
        {
            return Ok(());
        }
        key.with_text(|segment| match (old, new) {
            (Some(old), Some(new)) => self.within_text::<K, _>(segment, |patch| new.difference(old, patch)),
            (None, Some(new)) => self.add(segment, new),
            (Some(old), None) => self.remove_value(segment, old),
            (None, None) => Ok(()),
        })
    }

    /// Records that the value was replaced by this one.
    ///
    /// # Errors
    /// The value has no exact text.
    #[inline]
    pub fn replace<T: Serializable>(&mut self, value: &T) -> Result<(), WriteError> {
        self.replace_by(|out| write_value(value, out))
    }

    /// Records that the value was replaced by the output of `write`.
    ///
    /// # Errors
    /// The errors of `write`; or the output can't be read back.
    pub fn replace_with(
        &mut self,
        write: impl FnOnce(&mut Writer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        self.replace_by(|out| out.checked(write))
    }

    #[inline]
    fn replace_by(&mut self, write: impl FnOnce(&mut Writer) -> Result<(), WriteError>) -> Result<(), WriteError> {
        // Without its comma if it is the first.
        self.out.raw(&self.path.as_str()[usize::from(self.operations == 0)..]);
        self.end_operation("\",\"value\":", write)
    }

    /// Records a new entry.
    ///
    /// # Errors
    /// The value has no exact text.
    pub fn add<T: Serializable>(&mut self, segment: &str, value: &T) -> Result<(), WriteError> {
        self.add_with(segment, |out| write_value(value, out))
    }

    /// The same for a value that the caller writes.
    pub(crate) fn add_with(
        &mut self,
        segment: &str,
        write: impl FnOnce(&mut Writer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        self.within(segment, |patch| patch.operation("{\"op\":\"add\",\"path\":\"", "\",\"value\":", write))
    }

    /// Records that an entry is gone.
    ///
    /// # Errors
    /// None; the result type matches that of the other methods.
    pub fn remove(&mut self, segment: &str) -> Result<(), WriteError> {
        self.within(segment, |patch| patch.operation("{\"op\":\"remove\",\"path\":\"", "\"", |_| Ok(())))
    }

    /// The same, with the removed key known. A separate function, since most entries only change.
    #[inline(never)]
    fn remove_value<T: Serializable>(&mut self, segment: &str, old: &T) -> Result<(), WriteError> {
        self.free(old.weight(Kept::Shared));
        self.remove(segment)
    }

    /// The path of the value that is compared, without the pending fields.
    #[inline]
    fn pointer(&self) -> &str {
        &self.path.as_str()[REPLACED.len()..]
    }

    /// Writes what comes before the path, the path, what comes after it, and the value.
    fn operation(
        &mut self,
        before: &str,
        after: &str,
        write: impl FnOnce(&mut Writer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        if self.operations > 0 {
            self.out.raw(",");
        }
        self.out.raw(before);
        self.out.raw(&self.path.as_str()[REPLACED.len()..]);
        self.end_operation(after, write)
    }

    /// Writes the pending fields, what comes after the path, and the value.
    #[inline]
    fn end_operation(
        &mut self,
        after: &str,
        write: impl FnOnce(&mut Writer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        self.operations += 1;
        for field in &self.fields[self.pushed..] {
            self.out.raw(field);
        }
        self.out.raw(after);
        // Counted from where the value will be read: in the record now, and in a snapshot later.
        let depth = self.out.set_depth(self.level.max(RECORD_LEVELS));
        let start = self.out.as_str().len();
        let written = write(&mut self.out);
        let outcome = self.out.outcome(start, written);
        self.out.set_depth(depth);
        self.out.raw("}");
        outcome.map_err(|error| self.placed(error))
    }

    /// An error in the value that is compared, with the path to it.
    #[cold]
    fn placed(&self, error: WriteError) -> WriteError {
        let pointer =
            [self.pointer()].into_iter().chain(self.fields[self.pushed..].iter().copied()).collect::<String>();
        let segments: Vec<_> =
            pointer.split('/').skip(1).map(|name| name.replace("~1", "/").replace("~0", "~")).collect();
        error.at(&segments.join("."))
    }
}

/// The same for a pointer inside a JSON string.
fn push_segment(path: &mut Writer, segment: &str) {
    if contains(segment.as_bytes(), 0x20, [b'"', b'\\', b'~', b'/']) {
        each_escaped(segment, |piece| path.push_escaped(piece));
    } else {
        path.raw(segment);
    }
}

/// Applies the next JSON Patch to a value. Each operation must have `op`, `path` and `value` in this order.
///
/// # Errors
/// The text isn't a patch, or doesn't fit the value, which may then be partly changed: callers work on a copy, or
/// discard the value.
pub fn apply_patch<T: Serializable>(target: &mut T, input: &mut Reader<'_>) -> Result<(), ReadError> {
    input.begin_array()?;
    while input.element()? {
        apply_operation(target, input)?;
    }
    Ok(())
}

fn apply_operation<T: Serializable>(target: &mut T, input: &mut Reader<'_>) -> Result<(), ReadError> {
    let start = input.clone();
    input.begin_object()?;
    let operation = named_string(input, "op")?;
    let path = named_string(input, "path")?;
    if !path.is_empty() && !path.starts_with('/') {
        return Err(start.invalid("expected a path that begins with \"/\""));
    }
    let named = |error: ReadError| if error.place() == Place::default() { relocate(error, &start) } else { error };
    let outcome = match &*operation {
        "remove" => target.apply(Pointer::new(&path), Change::Remove),
        "add" | "replace" => {
            match input.key()? {
                Some(key) if key == "value" => {}
                _ => return Err(start.expected("an operation with \"op\", \"path\" and \"value\" in this order")),
            }
            let change = if operation == "add" { Change::Add(input) } else { Change::Replace(input) };
            target.apply(Pointer::new(&path), change)
        }
        _ => return Err(start.invalid("expected the operation add, replace or remove")),
    };
    outcome.map_err(|error| named(error).within(&path))?;
    match input.key()? {
        None => Ok(()),
        Some(_) => Err(start.expected("an operation with nothing after its value")),
    }
}

fn relocate(error: ReadError, start: &Reader<'_>) -> ReadError {
    start.error(error.problem().clone())
}

fn named_string<'a>(input: &mut Reader<'a>, name: &'static str) -> Result<Cow<'a, str>, ReadError> {
    match input.key()? {
        Some(key) if key == name => input.string(),
        _ => Err(input.expected(format!("{name:?}: an operation has \"op\", \"path\" and \"value\" in this order"))),
    }
}
