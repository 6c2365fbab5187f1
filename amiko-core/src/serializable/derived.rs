//! Functions that the derive's code calls, shared by all classes.
//!
//! Invariant: nothing else calls them, so they may change with each release.

use super::{Codec, Problem, ReadError, Reader, Serializable, WriteError, Writer, shorten};
use std::borrow::Cow;

/// Reads one field of a class into its slot: for the code that the derive writes.
pub fn read_field_with<T, C: Codec<T>>(
    codec: &C,
    slot: &mut Option<T>,
    field: &'static str,
    class: &'static str,
    input: &mut Reader<'_>,
) -> Result<(), ReadError> {
    if slot.is_some() {
        return Err(input.error(Problem::Duplicate { field: field.into() }));
    }
    *slot = Some(codec.read(input).map_err(|error| error.within(field).of_class(class))?);
    Ok(())
}

/// Takes one field of a class out of its slot: for the code that the derive writes.
pub fn take_field_with<T, C: Codec<T>>(
    codec: &C,
    slot: Option<T>,
    field: &'static str,
    class: &'static str,
    input: &Reader<'_>,
) -> Result<T, ReadError> {
    slot.or_else(|| codec.missing()).ok_or_else(|| input.error(Problem::MissingField { field, class }))
}

/// Writes a field of a class with its codec, whose output isn't trusted: for the code that the derive writes.
pub fn write_with<T, C: Codec<T>>(codec: &C, value: &T, out: &mut Writer) -> Result<(), WriteError> {
    out.checked(|out| codec.write(value, out))
}

/// Checks that a transparent variant is distinguishable from the others: for the code that the derive writes.
pub fn check_variant(
    class: Option<&'static str>,
    others: &[&str],
    is_class: &[fn(&str) -> bool],
) -> Result<(), WriteError> {
    match class {
        Some(name) if !others.contains(&name) && !is_class.iter().any(|is_class| is_class(name)) => Ok(()),
        class => Err(WriteError::NoVariant { class }),
    }
}

/// Checks the `_class` of an object: for the code that the derive writes.
pub fn check_class(seen: &mut bool, input: &mut Reader<'_>, known: &[&'static str]) -> Result<(), ReadError> {
    let before = input.clone();
    let found = input.string()?;
    if std::mem::replace(seen, true) {
        return Err(before.error(Problem::Duplicate { field: "_class".into() }));
    }
    if known.iter().any(|class| *class == found) {
        return Ok(());
    }
    Err(before.error(Problem::UnknownClass { found: shorten(&found), known: known.to_vec() }))
}

/// The name of the next variant: the class of an object, or else the string itself; for the code that the derive
/// writes.
pub fn peek_name<'a>(input: &Reader<'a>) -> Result<Cow<'a, str>, ReadError> {
    let mut ahead = input.clone();
    if ahead.at_string() { ahead.string() } else { ahead.peek_class() }
}

/// Reads a variant with fields. Also accepts the bare name, as written when no variant had fields; for the code that
/// the derive writes.
pub fn read_named<T>(
    input: &mut Reader<'_>,
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, ReadError>,
) -> Result<T, ReadError> {
    if !input.at_string() {
        return read(input);
    }
    let before = input.clone();
    let mut object = Writer::new();
    object.key("_class");
    object.string(&input.string()?);
    let text = format!("{{{}}}", object.as_str().trim_start_matches(','));
    read(&mut before.of_text(&text)).map_err(|error| before.located(error))
}

/// The name of a variant without fields, also if it had fields when it was written: for the code that the derive
/// writes.
pub fn read_name<'a>(input: &mut Reader<'a>) -> Result<Cow<'a, str>, ReadError> {
    if input.peek() != Some(b'{') {
        return input.string();
    }
    let mut name = None;
    input.begin_object()?;
    while let Some(key) = input.key()? {
        match &*key {
            "_class" if name.is_none() => name = Some(input.string()?),
            "_version" => drop(input.skip()?),
            other => input.unknown_field(other, "a variant without fields", &[])?,
        }
    }
    name.ok_or_else(|| input.error(Problem::MissingField { field: "_class", class: "a variant without fields" }))
}

/// Checks that an object had a `_class`: for the code that the derive writes.
pub fn has_class(seen: bool, class: &'static str, input: &Reader<'_>) -> Result<(), ReadError> {
    if seen { Ok(()) } else { Err(input.error(Problem::MissingField { field: "_class", class })) }
}

/// The error for a class that isn't allowed here: for the code that the derive writes.
pub fn unknown_class<T: Serializable>(input: &Reader<'_>, found: &str) -> ReadError {
    let mut known = Vec::new();
    T::classes(&mut known);
    input.error(Problem::UnknownClass { found: shorten(found), known })
}
