//! Differences between two versions of a value, as JSON Patch (RFC 6902) operations.
//!
//! Invariant: applied to the old version, the difference gives the new one.

use super::{Codec, Place, Problem, ReadError, Reader, Serializable, WriteError, Writer};
use std::borrow::Cow;

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

/// The version of a value that a patch of [`diff`] leads to. The value itself stays as it is, whatever the patch is.
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
#[derive(Debug, Default)]
pub struct Patch {
    /// The JSON Pointer (RFC 6901) of the value that is compared, but for the last ones of `fields`.
    path: String,
    /// The fields on the way to that value. Most of them are equal in both versions: they are put into the path when
    /// there is something to say about them.
    fields: Vec<&'static str>,
    /// How many of the fields are in the path.
    pushed: usize,
    /// How far inside the document that value is.
    level: u32,
    out: Writer,
    operations: usize,
}

/// How far inside a journal record the value of an operation is: record, patch, operation.
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

    /// Forgets the operations and keeps the memory.
    pub fn clear(&mut self) {
        self.path.clear();
        self.fields.clear();
        self.pushed = 0;
        self.level = 0;
        self.out.clear();
        self.operations = 0;
    }

    /// The operations, separated by commas: what stands between the brackets of the JSON array.
    pub fn as_str(&self) -> &str {
        self.out.as_str()
    }

    /// The patch as a JSON document.
    pub fn to_json(&self) -> String {
        format!("[{}]", self.out.as_str())
    }

    /// Compares what lies one level further in.
    ///
    /// # Errors
    /// Those of `compare`.
    pub fn within<T>(&mut self, segment: &str, compare: impl FnOnce(&mut Self) -> T) -> T {
        let outside = (self.path.len(), self.pushed);
        self.push_fields();
        self.path.push('/');
        push_escaped(&mut self.path, segment);
        self.level += 1;
        let result = compare(self);
        self.level -= 1;
        self.path.truncate(outside.0);
        self.pushed = outside.1;
        result
    }

    /// The same for a field of a class.
    ///
    /// # Errors
    /// Those of `compare`.
    pub fn within_field<T>(&mut self, name: &'static str, compare: impl FnOnce(&mut Self) -> T) -> T {
        self.fields.push(name);
        self.level += 1;
        let result = compare(self);
        self.level -= 1;
        self.fields.pop();
        result
    }

    fn push_fields(&mut self) {
        for field in &self.fields[self.pushed..] {
            self.path.push('/');
            push_escaped(&mut self.path, field);
        }
        self.pushed = self.fields.len();
    }

    /// Compares one field, or entry.
    ///
    /// # Errors
    /// The new value has no exact text.
    pub fn field<T: Serializable>(&mut self, name: &str, old: &T, new: &T) -> Result<(), WriteError> {
        self.within(name, |patch| new.difference(old, patch))
    }

    /// Compares one field of a class that has a codec.
    ///
    /// # Errors
    /// The new value has no exact text.
    pub fn field_with<T, C: Codec<T>>(
        &mut self,
        codec: &C,
        name: &'static str,
        old: &T,
        new: &T,
    ) -> Result<(), WriteError> {
        self.within_field(name, |patch| codec.difference(new, old, patch))
    }

    /// The value has become this one.
    ///
    /// # Errors
    /// The value has no exact text.
    pub fn replace<T: Serializable>(&mut self, value: &T) -> Result<(), WriteError> {
        self.replace_with(|out| value.write(out))
    }

    /// The value has become what is written here.
    ///
    /// # Errors
    /// Those of `write`.
    pub fn replace_with(
        &mut self,
        write: impl FnOnce(&mut Writer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        self.operation("replace", Some(write))
    }

    /// There is a new entry.
    ///
    /// # Errors
    /// The value has no exact text.
    pub fn add<T: Serializable>(&mut self, segment: &str, value: &T) -> Result<(), WriteError> {
        self.within(segment, |patch| patch.operation("add", Some(|out: &mut Writer| value.write(out))))
    }

    /// An entry is gone.
    pub fn remove(&mut self, segment: &str) -> Result<(), WriteError> {
        self.within(segment, |patch| patch.operation("remove", None::<fn(&mut Writer) -> Result<(), WriteError>>))
    }

    fn operation(
        &mut self,
        name: &str,
        write: Option<impl FnOnce(&mut Writer) -> Result<(), WriteError>>,
    ) -> Result<(), WriteError> {
        self.out.raw(if self.operations > 0 { ",{\"op\":\"" } else { "{\"op\":\"" });
        self.operations += 1;
        self.out.raw(name);
        self.out.raw("\",\"path\":");
        let outside = (self.path.len(), self.pushed);
        self.push_fields();
        self.out.string(&self.path);
        self.path.truncate(outside.0);
        self.pushed = outside.1;
        if let Some(write) = write {
            self.out.raw(",\"value\":");
            // Counted from where it will be read: in the record now, and in a snapshot later.
            let depth = self.out.set_depth(self.level.max(RECORD_LEVELS));
            let outcome = write(&mut self.out);
            self.out.set_depth(depth);
            outcome?;
        }
        self.out.raw("}");
        Ok(())
    }
}

/// Appends a segment of a JSON Pointer, escaped as RFC 6901 wants it.
pub(crate) fn push_escaped(path: &mut String, segment: &str) {
    // Without a branch for each byte: most segments have nothing to escape.
    if !segment.as_bytes().iter().fold(false, |any, byte| any | matches!(byte, b'~' | b'/')) {
        return path.push_str(segment);
    }
    for character in segment.chars() {
        match character {
            '~' => path.push_str("~0"),
            '/' => path.push_str("~1"),
            other => path.push(other),
        }
    }
}

/// The rest of a JSON Pointer.
#[derive(Debug, Clone, Copy)]
pub struct Pointer<'p>(&'p str);

impl<'p> Pointer<'p> {
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

/// Applies the JSON Patch that comes next to a value. Each operation must have `op`, `path` and `value` in this order.
///
/// # Errors
/// The text isn't a patch, or doesn't fit the value, which then has been changed in part: callers work on a copy, or
/// give up the value.
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
        "remove" => target.apply(Pointer(&path), Change::Remove),
        "add" | "replace" => {
            match input.key()? {
                Some(key) if key == "value" => {}
                _ => return Err(start.expected("an operation with \"op\", \"path\" and \"value\" in this order")),
            }
            let change = if operation == "add" { Change::Add(input) } else { Change::Replace(input) };
            target.apply(Pointer(&path), change)
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
