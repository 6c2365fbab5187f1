//! Objects as text: class names, JSON in and out, and differences between two versions of an object.
//!
//! Invariant: `read(write(object))` is the object; a value without an exact text is refused while writing, never
//! changed silently. The text is the same on disk, in a message and on the screen.

#[doc = include_str!("attributes.md")]
pub mod attributes {}

mod classes;
pub(crate) mod codec;
pub(crate) mod derived;
mod error;
pub(crate) mod flatten;
pub(crate) mod interior;
pub(crate) mod json;
pub(crate) mod key;
mod maps;
mod marks;
pub(crate) mod migrate;
mod names;
mod patch;
pub(crate) mod pointer;
pub(crate) mod polymorphic;
mod reader;
mod reference;
pub(crate) mod scan;
pub mod schema;
mod secret;
mod sequences;
pub(crate) mod serde;
mod summary;
mod values;
mod weight;
mod writer;

pub use classes::{Classes, ClassesError};
pub use codec::{Codec, Entries, Native, Serde};
pub use error::{Place, Problem, ReadError, WriteError};
pub use json::{Json, UnknownFields};
pub(crate) use key::by;
pub use key::{IntoKey, Key, with_hex};
pub use marks::ClassField;
pub use patch::{Patch, apply, apply_patch, diff};
pub use pointer::{Change, Pointer, replace_whole};
pub use polymorphic::{Polymorphic, PolymorphicError, check_classes};
pub use reader::{ReadLimits, Reader, Unknown};
pub use reference::Reference;
pub use schema::Schema;
pub use secret::Secret;
pub use summary::{Summary, SummaryLimits, summary, summary_with};
pub use weight::Kept;
pub use writer::{Lines, Secrets, Text, Writer};

use derived::{read_field_with, take_field_with};
pub(crate) use error::shorten;
pub(crate) use key::{exact, write_name};
pub(crate) use maps::{apply_to_map, pointed_key, read_entries, same_key, write_key};
pub(crate) use pointer::{each_escaped, whole_value};
pub(crate) use reader::decode_key;
pub(crate) use serde::of_serde;
pub(crate) use writer::Hole;

/// A value that can be part of a state or of a message.
///
/// Derive it: `#[derive(Serializable)]`. A struct is an object with its class name,
/// `{"_class":"Account","balance":7}`; an enum whose variants are all units is a string; any other enum is an object
/// with one class per variant. Bytes are a string of `!x` and hex; text that begins with `!` gets a second one.
/// `None` is `null`. So an `Option` of a value that may itself be `null`, such as `Option<Option<u64>>`, is refused:
/// use an enum. [`attributes`] documents the derive's attributes, with an example of each.
///
/// A class is also a serde type, so any serde format can carry it. Don't add `#[derive(Serialize, Deserialize)]`: it
/// would implement the same traits a second time (E0119).
///
/// ```
/// use amiko_core::prelude::*;
///
/// #[derive(Debug, PartialEq, Serializable)]
/// struct Point { x: i64, #[amiko(default)] label: String }
///
/// let point: Point = from_json(r#"{"_class":"Point","x":3}"#)?;
/// assert_eq!(point, Point { x: 3, label: String::new() });
/// assert_eq!(to_json(&point)?, r#"{"_class":"Point","x":3,"label":""}"#);
///
/// let error = from_json::<Point>(r#"{"_class":"Point","x":"three"}"#).unwrap_err();
/// assert_eq!(error.to_string(), r#"x: expected an integer of 64 bits, found "three" (line 1, column 23)"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Large collections
/// An object is copied before it changes, and both versions are compared afterwards. So a change costs what the object's
/// collections of the standard library hold: with a million entries in a `BTreeMap`, 20 to 300 ms. Copies of
/// [`Map`](crate::Map) share what didn't change, and cost some microseconds; objects of a [`Table`](crate::Table) are copied one by
/// one. With the feature `tracing`, a collection of more than
/// [`LARGE_COLLECTION`](crate::observe::LARGE_COLLECTION) entries is a warning.
///
/// # No interior mutability
/// An object changes through `&mut` only, after its old version was kept: a change through a shared reference would
/// be neither undone nor written. `Cell` and `RefCell` can't be fields, since values of such a type must be `Send`
/// and `Sync`; `Mutex`, `RwLock`, `OnceLock` and atomics are refused as fields, also inside the containers of the
/// standard library.
///
/// The compiler can't see them inside a type that implements this trait, or serde's, by hand or in another crate; nor
/// in a field with `#[amiko(with = …)]` or `#[amiko(skip)]`. Use them there only for a cache that may be lost at any
/// time. An `Arc` is fine: its value is copied before it is changed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be part of a state or a message",
    note = "add `#[derive(Serializable)]` to `{Self}`"
)]
pub trait Serializable: Sized + Send + Sync + 'static {
    /// Writes the value.
    ///
    /// # Errors
    /// The value has no exact text.
    fn write(&self, out: &mut Writer) -> Result<(), WriteError>;

    /// Reads a value.
    ///
    /// # Errors
    /// The input holds something else; the error says where.
    fn read(input: &mut Reader<'_>) -> Result<Self, ReadError>;

    /// The value of a missing field of this type that has no `#[amiko(default)]`: `None`, except for `Option`.
    fn missing() -> Option<Self> {
        None
    }

    /// Whether the value is written as `null`, which makes it indistinguishable from `None` inside `Some`.
    fn is_null(&self) -> bool {
        false
    }

    /// The class name of the value, if it is an object of a class.
    fn class(&self) -> Option<&'static str> {
        None
    }

    /// Whether values of this type can be objects of the class of this name.
    fn is_class(_name: &str) -> bool {
        false
    }

    /// Adds the names of the classes that values of this type can be objects of.
    fn classes(_known: &mut Vec<&'static str>) {}

    /// Adds to a patch what changed since `old`. The cost should be proportional to the change.
    ///
    /// # Errors
    /// The value has no exact text.
    fn difference(&self, old: &Self, patch: &mut Patch) -> Result<(), WriteError> {
        // For types without a cheaper way.
        difference_of_text(self, old, patch)
    }

    /// Whether the difference from `old` is known to be empty, and frees nothing, found at hardly any cost; false says nothing.
    #[doc(hidden)]
    #[inline]
    fn same(&self, _old: &Self) -> bool {
        false
    }

    /// Approximate number of heap bytes that an old version of the value keeps: the history evicts versions by
    /// weight. This should cost nothing, or at most as much as a copy.
    ///
    /// Memory that versions share ([`Kept::Shared`]) is counted only once the value is gone for good. A
    /// [`difference`](Serializable::difference) that shares anything inside the value reports it with
    /// [`Patch::free`].
    fn weight(&self, kept: Kept) -> usize {
        weight::of_text(kept, |out| self.write(out))
    }

    /// The inverse of [`Serializable::difference`]: changes the value that `pointer` names.
    ///
    /// # Errors
    /// The path doesn't exist, or the new value doesn't fit its type.
    fn apply(&mut self, pointer: Pointer<'_>, change: Change<'_, '_>) -> Result<(), ReadError> {
        replace_whole(self, pointer, change)
    }

    /// Whether the output of [`Serializable::write`] is known to be JSON that can be read back, so that it isn't
    /// checked again: true for the derive's output, and for types composed of such types.
    #[doc(hidden)]
    const EXACT: bool = false;

    /// Visits every ID in the value.
    fn references(&self, _visit: &mut dyn FnMut(Reference<'_>)) {}

    /// Shows the value to people: by default, its text.
    fn summarize(&self, out: &mut Summary) {
        out.text_by(|text| self.write(text));
    }

    /// The value for people, as [`summary`] shows it.
    fn summary(&self) -> String {
        summary(self)
    }

    /// Describes the type, and enters its classes into the schema; returns the type's name in a field.
    ///
    /// A hand-written schema of a type that may hold strong references must call [`Schema::strong`].
    fn schema(schema: &mut Schema) -> String {
        // Nothing is known of the type, so it is searched for strong references.
        schema.strong();
        "custom".into()
    }

    #[doc(hidden)]
    fn weight_of_slice(slice: &[Self], kept: Kept) -> usize {
        weight::of_elements(slice, kept)
    }

    #[doc(hidden)]
    fn summarize_slice(slice: &[Self], out: &mut Summary) {
        out.collection(slice.len(), slice, |out, value| value.summarize(out));
    }

    #[doc(hidden)]
    fn schema_of_slice(schema: &mut Schema) -> String {
        format!("list of {}", Self::schema(schema))
    }

    /// A slice of such values: an array, except for bytes.
    #[doc(hidden)]
    fn write_slice(slice: &[Self], out: &mut Writer) -> Result<(), WriteError> {
        write_elements(slice, out)
    }

    #[doc(hidden)]
    fn read_slice(input: &mut Reader<'_>) -> Result<Vec<Self>, ReadError> {
        read_elements(input)
    }

    #[doc(hidden)]
    fn difference_of_slice(new: &[Self], old: &[Self], patch: &mut Patch) -> Result<bool, WriteError> {
        if new.len() < old.len() {
            return Ok(false);
        }
        for (index, (new, old)) in new.iter().zip(old).enumerate() {
            if !new.same(old) {
                patch.within(itoa::Buffer::new().format(index), |patch| new.difference(old, patch))?;
            }
        }
        for value in &new[old.len()..] {
            patch.add("-", value)?;
        }
        Ok(true)
    }
}

/// The JSON text of a value, in one line.
///
/// # Errors
/// The value has no exact text.
pub fn to_json<T: Serializable>(value: &T) -> Result<String, WriteError> {
    let mut out = Writer::new();
    let written = write_value(value, &mut out);
    finished(out, written)
}

/// The text of a value: compiled once and not for each type.
fn finished(mut out: Writer, written: Result<(), WriteError>) -> Result<String, WriteError> {
    out.outcome(0, written)?;
    Ok(out.into_string())
}

/// Writes a value, and checks the output unless it is known to be readable.
#[inline]
pub(crate) fn write_value<T: Serializable>(value: &T, out: &mut Writer) -> Result<(), WriteError> {
    if T::EXACT { value.write(out) } else { out.checked(|out| value.write(out)) }
}

/// The difference of a value that is replaced as a whole: equal texts mean equal values.
pub(crate) fn difference_of_text<T: Serializable>(new: &T, old: &T, patch: &mut Patch) -> Result<(), WriteError> {
    let (mut before, mut after) = (Writer::new(), Writer::new());
    old.write(&mut before)?;
    new.write(&mut after)?;
    if before.as_str() == after.as_str() {
        return Ok(());
    }
    patch.free(old.weight(Kept::Shared));
    patch.replace(new)
}

/// Writes the elements of an array.
#[inline]
pub(crate) fn write_elements<'v, T: Serializable>(
    values: impl IntoIterator<Item = &'v T>,
    out: &mut Writer,
) -> Result<(), WriteError> {
    out.begin_array()?;
    for value in values {
        out.element();
        value.write(out)?;
    }
    out.end_array();
    Ok(())
}

/// Reads the elements of an array.
pub(crate) fn read_elements<T: Serializable>(input: &mut Reader<'_>) -> Result<Vec<T>, ReadError> {
    let mut values = Vec::new();
    input.begin_array()?;
    while input.element()? {
        let value = T::read(input).map_err(|error| error.within(format!("[{}]", values.len())))?;
        values.push(value);
    }
    Ok(values)
}

/// Reads a value from JSON text. Nothing may follow it.
///
/// # Errors
/// The text is something else; the error says where.
pub fn from_json<T: Serializable>(text: &str) -> Result<T, ReadError> {
    let mut input = Reader::new(text);
    let value = T::read(&mut input)?;
    input.end()?;
    Ok(value)
}

/// Reads one field of a class into its slot: for this crate's hand-written classes.
pub(crate) fn read_field<T: Serializable>(
    slot: &mut Option<T>,
    field: &'static str,
    class: &'static str,
    input: &mut Reader<'_>,
) -> Result<(), ReadError> {
    read_field_with(&Native, slot, field, class, input)
}

/// Takes one field of a class out of its slot: for this crate's hand-written classes.
pub(crate) fn take_field<T: Serializable>(
    slot: Option<T>,
    field: &'static str,
    class: &'static str,
    input: &Reader<'_>,
) -> Result<T, ReadError> {
    take_field_with(&Native, slot, field, class, input)
}
