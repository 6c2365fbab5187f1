//! The fields of a class without an enclosing object: `#[amiko(flatten)]` puts them into another class.
//!
//! Invariant: a flattened field appears in the object, its differences and its schema as if the outer class declared
//! it.

use super::{Problem, ReadError, Reader, Summary, Unknown, WriteError, Writer, schema, shorten};

/// A class whose fields can be flattened into another one: for the code that the derive writes.
///
/// Its differences, changes, references and weight are those of [`Serializable`](super::Serializable), which don't
/// depend on the enclosing object.
#[diagnostic::on_unimplemented(
    message = "the fields of `{Self}` can't be put into another class",
    label = "not a struct that can be flattened",
    note = "`flatten` wants a struct with named fields and `#[derive(Serializable)]`, without `version`, `transparent` and \
            `unknown = \"keep\"`",
    note = "remove `flatten`: the field is an object of its own then. Fields that the class doesn't know are kept by \
            `unknown = \"keep\"`"
)]
pub trait Flatten: Sized {
    /// The names of its fields, in the order in which they are written.
    const NAMES: &'static [FieldName];

    /// The fields that have been read so far.
    type Partial;

    /// Writes the fields, after a `_class`.
    ///
    /// # Errors
    /// The value has no exact text.
    fn write_fields(&self, out: &mut Writer) -> Result<(), WriteError>;

    /// No fields yet.
    fn partial() -> Self::Partial;

    /// Reads the fields that come next, in the order in which they are written. Errors name the class that has all
    /// fields.
    ///
    /// # Errors
    /// The input holds something else.
    fn read_in_order(partial: &mut Self::Partial, class: &'static str, input: &mut Reader<'_>)
    -> Result<(), ReadError>;

    /// Reads the field of this name, or reports that there is none.
    ///
    /// # Errors
    /// The input holds something else, or the field was read already.
    fn read_named_field(
        partial: &mut Self::Partial,
        name: &str,
        class: &'static str,
        input: &mut Reader<'_>,
    ) -> Result<bool, ReadError>;

    /// The value, once the object has ended.
    ///
    /// # Errors
    /// A field is missing.
    fn from_partial(partial: Self::Partial, class: &'static str, input: &Reader<'_>) -> Result<Self, ReadError>;

    /// Adds the fields to the summary of the enclosing object.
    fn summarize_fields(&self, out: &mut Summary);

    /// Adds the fields to the description of the enclosing class.
    fn describe_fields(fields: &mut schema::Fields<'_>);
}

/// One or more field names of the enclosing object: for the code that the derive writes.
#[derive(Debug, Clone, Copy)]
pub enum FieldName {
    /// The name under which the field is written.
    Name(&'static str),
    /// Another name under which it is read.
    Alias(&'static str),
    /// The names of a flattened class.
    Flattened(&'static [FieldName]),
}

impl FieldName {
    /// Whether a field has this name or alias; usable at compile time.
    pub const fn is_among(name: &str, names: &[Self]) -> bool {
        let mut index = 0;
        while index < names.len() {
            let found = match names[index] {
                Self::Name(known) | Self::Alias(known) => !super::scan::differ(known, name),
                Self::Flattened(inner) => Self::is_among(name, inner),
            };
            if found {
                return true;
            }
            index += 1;
        }
        false
    }

    /// Whether the two lists have no name in common; usable at compile time.
    pub const fn are_apart(names: &[Self], others: &[Self]) -> bool {
        let mut index = 0;
        while index < names.len() {
            let apart = match names[index] {
                Self::Name(name) | Self::Alias(name) => !Self::is_among(name, others),
                Self::Flattened(inner) => Self::are_apart(inner, others),
            };
            if !apart {
                return false;
            }
            index += 1;
        }
        true
    }

    /// The names under which fields are written, in order.
    fn written(names: &[Self], known: &mut Vec<&'static str>) {
        for name in names {
            match name {
                Self::Name(name) => known.push(name),
                Self::Alias(_) => {}
                Self::Flattened(inner) => Self::written(inner, known),
            }
        }
    }

    /// Handles a field that a class with these names doesn't know, as [`Reader::unknown_field`].
    ///
    /// # Errors
    /// The field is refused, or its value isn't JSON.
    pub fn unknown(names: &[Self], field: &str, class: &'static str, input: &mut Reader<'_>) -> Result<(), ReadError> {
        match input.unknown() {
            Unknown::Ignore => input.skip().map(drop),
            Unknown::Deny => Self::deny(names, field, class, input),
        }
    }

    /// Refuses the field, as [`Reader::deny_field`].
    ///
    /// # Errors
    /// Always.
    pub fn deny(names: &[Self], field: &str, class: &'static str, input: &Reader<'_>) -> Result<(), ReadError> {
        let mut known = Vec::new();
        Self::written(names, &mut known);
        Err(input.error(Problem::UnknownField { field: shorten(field), class, known }))
    }
}
