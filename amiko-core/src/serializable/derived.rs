//! Functions that the derive's code calls, shared by all classes.
//!
//! Invariant: nothing else calls them, so they may change with each release.

use super::flatten::{FieldName, Flatten};
use super::migrate::check_version;
use super::schema::Fields;
use super::{
    Codec, Problem, ReadError, Reader, Reference, Serializable, Summary, Unknown, WriteError, Writer, shorten,
};
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

/// Visits the IDs in one field of a class: for the code that the derive writes.
pub fn references_with<T, C: Codec<T>>(codec: &C, value: &T, strong: bool, visit: &mut dyn FnMut(Reference<'_>)) {
    codec.references(value, &mut |mut reference| {
        reference.strong |= strong;
        visit(reference);
    });
}

/// Shows one field of a class: for the code that the derive writes.
pub fn summarize_with<T, C: Codec<T>>(codec: &C, name: &str, value: &T, out: &mut Summary) {
    out.name(name);
    codec.summarize(value, out);
}

/// Describes one field of a class, which may be missing if it has a default or its codec knows one: for the code that the
/// derive writes.
pub fn describe_with<T, C: Codec<T>>(codec: &C, name: &str, has_default: bool, fields: &mut Fields<'_>) {
    let called = codec.schema(fields.schema);
    fields.field(name, &called, has_default || codec.missing().is_some());
}

/// The same for a field with a secret, of which its codec says nothing.
pub fn describe_secret_with<T, C: Codec<T>>(codec: &C, name: &str, has_default: bool, fields: &mut Fields<'_>) {
    let called = codec.schema(fields.schema);
    let called = fields.schema.secret(called);
    fields.field(name, &called, has_default || codec.missing().is_some());
}

/// Reads an object of a class whose fields could also be flattened into another one: for the code that the derive writes.
///
/// Keys in the order of writing needn't be searched for; the loop handles everything else.
#[inline]
pub fn read_class<T: Flatten>(
    class: &'static str,
    unknown: Option<Unknown>,
    input: &mut Reader<'_>,
) -> Result<T, ReadError> {
    let (mut seen, mut partial) = (false, T::partial());
    input.begin_object()?;
    if input.known_key("\"_class\":") {
        check_class(&mut seen, input, &[class])?;
    }
    T::read_in_order(&mut partial, class, input)?;
    while let Some(key) = input.key()? {
        if !T::read_named_field(&mut partial, &key, class, input)? {
            // Only the first version of a class can be flattened.
            read_other_field(&mut seen, &key, (&[class], T::NAMES), 1, unknown, input)?;
        }
    }
    has_class(seen, class, input)?;
    T::from_partial(partial, class, input)
}

/// Reads an object without fields, of the class of the first of these names: for the code that the derive writes.
pub fn read_no_fields(
    classes: &[&'static str],
    version: u32,
    unknown: Option<Unknown>,
    input: &mut Reader<'_>,
) -> Result<(), ReadError> {
    let mut seen = false;
    input.begin_object()?;
    while let Some(key) = input.key()? {
        read_other_field(&mut seen, &key, (classes, &[]), version, unknown, input)?;
    }
    has_class(seen, classes.first().copied().unwrap_or_default(), input)
}

/// Reads what isn't one of the fields.
fn read_other_field(
    seen: &mut bool,
    name: &str,
    (classes, names): (&[&'static str], &[FieldName]),
    version: u32,
    unknown: Option<Unknown>,
    input: &mut Reader<'_>,
) -> Result<(), ReadError> {
    let class = classes.first().copied().unwrap_or_default();
    match (name, unknown) {
        ("_class", _) => check_class(seen, input, classes),
        ("_version", _) => check_version(input, class, version),
        (_, None) => FieldName::unknown(names, name, class, input),
        (_, Some(Unknown::Deny)) => FieldName::deny(names, name, class, input),
        (_, Some(Unknown::Ignore)) => input.skip().map(drop),
    }
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
#[inline]
pub fn read_named<T>(
    input: &mut Reader<'_>,
    read: fn(&mut Reader<'_>) -> Result<T, ReadError>,
) -> Result<T, ReadError> {
    if input.at_string() { read_bare_name(input, read) } else { read(input) }
}

#[cold]
fn read_bare_name<T>(
    input: &mut Reader<'_>,
    read: fn(&mut Reader<'_>) -> Result<T, ReadError>,
) -> Result<T, ReadError> {
    let before = input.clone();
    let text = object_of_name(input)?;
    read(&mut before.of_text(&text)).map_err(|error| before.located(error))
}

/// The object without fields that a bare name stands for.
fn object_of_name(input: &mut Reader<'_>) -> Result<String, ReadError> {
    let mut object = Writer::new();
    object.key("_class");
    object.string(&input.string()?);
    Ok(format!("{{{}}}", object.as_str().trim_start_matches(',')))
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
