//! The fields of a class without an object around them: `#[amiko(flatten)]` puts them into another class.
//!
//! Invariant: a flattened field stands in the object, in its differences and in its schema as if the outer class had it.

use super::{Problem, ReadError, Reader, Summary, Unknown, WriteError, Writer, schema, shorten};

/// A class whose fields can stand in another one: for the code that the derive writes.
///
/// Its differences, changes, references and weight are those of [`Serializable`](super::Serializable), which have no trace of the
/// object around them.
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

    /// Some of its fields, that were read.
    type Partial;

    /// Writes the fields, after a `_class`.
    ///
    /// # Errors
    /// The value has no exact text.
    fn write_fields(&self, out: &mut Writer) -> Result<(), WriteError>;

    /// None of its fields yet.
    fn partial() -> Self::Partial;

    /// Reads those that come next in the order in which they are written. Errors name the class that has all fields.
    ///
    /// # Errors
    /// Something else stands there.
    fn read_in_order(partial: &mut Self::Partial, class: &'static str, input: &mut Reader<'_>)
    -> Result<(), ReadError>;

    /// Reads the field of this name, or gives back that there is none.
    ///
    /// # Errors
    /// Something else stands there, or the field was read already.
    fn read_named_field(
        partial: &mut Self::Partial,
        name: &str,
        class: &'static str,
        input: &mut Reader<'_>,
    ) -> Result<bool, ReadError>;

    /// The value, when nothing more comes.
    ///
    /// # Errors
    /// A field is missing.
    fn from_partial(partial: Self::Partial, class: &'static str, input: &Reader<'_>) -> Result<Self, ReadError>;

    /// Adds the fields to the summary of the object that they stand in.
    fn summarize_fields(&self, out: &mut Summary);

    /// Adds the fields to what is known of the class that they stand in.
    fn describe_fields(fields: &mut schema::Fields<'_>);
}

/// A name in the object that a field stands in, or several: for the code that the derive writes.
#[derive(Debug, Clone, Copy)]
pub enum FieldName {
    /// What the field is written as.
    Name(&'static str),
    /// What it is read as, too.
    Alias(&'static str),
    /// Those of a class that is flattened.
    Flattened(&'static [FieldName]),
}

impl FieldName {
    /// Whether a field has this name, or is read by it; at compile time, too.
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

    /// Whether no name is in both, at compile time.
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

    /// Those that fields are written as, in their order.
    fn written(names: &[Self], known: &mut Vec<&'static str>) {
        for name in names {
            match name {
                Self::Name(name) => known.push(name),
                Self::Alias(_) => {}
                Self::Flattened(inner) => Self::written(inner, known),
            }
        }
    }

    /// Takes a field that a class with these names doesn't know, as [`Reader::unknown_field`].
    ///
    /// # Errors
    /// The field is refused, or its value isn't JSON.
    pub fn unknown(names: &[Self], field: &str, class: &'static str, input: &mut Reader<'_>) -> Result<(), ReadError> {
        match input.unknown() {
            Unknown::Ignore => input.skip().map(drop),
            Unknown::Deny => Self::deny(names, field, class, input),
        }
    }

    /// Refuses it, as [`Reader::deny_field`].
    ///
    /// # Errors
    /// Always.
    pub fn deny(names: &[Self], field: &str, class: &'static str, input: &Reader<'_>) -> Result<(), ReadError> {
        let mut known = Vec::new();
        Self::written(names, &mut known);
        Err(input.error(Problem::UnknownField { field: shorten(field), class, known }))
    }
}
