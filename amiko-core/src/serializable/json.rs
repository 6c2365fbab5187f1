//! JSON values as they are: for migrations, and for fields whose structure the program doesn't know.
//!
//! Invariant: a number keeps every digit and an object the order of its fields, so that untouched parts are written
//! exactly as they were read.

use super::weight::of_elements;
use super::{
    Change, Kept, Patch, Pointer, Problem, ReadError, ReadLimits, Reader, Schema, Serializable, WriteError, Writer,
};
use std::collections::{HashMap, HashSet};
use std::fmt;

/// Any JSON value.
///
/// ```
/// use amiko_core::serializable::Json;
/// let mut account = Json::parse(r#"{"owner":"alice","amount":18446744073709551616}"#)?;
/// account.rename("amount", "balance");
/// account.set("currency", Json::text("EUR"));
/// assert_eq!(account.to_string(), r#"{"owner":"alice","balance":18446744073709551616,"currency":"EUR"}"#);
/// # Ok::<(), amiko_core::ReadError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it is written.
    Number(String),
    /// A string, without JSON's escapes; a `!` at its beginning stands for itself.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object, in the order in which its fields are written.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads a value.
    ///
    /// # Errors
    /// The text isn't JSON, or an object has a duplicate field.
    pub fn parse(text: &str) -> Result<Self, ReadError> {
        super::from_json(text)
    }

    /// Readable text, in the form of a field of type `String`.
    pub fn text(text: &str) -> Self {
        Self::String(if text.starts_with('!') { format!("!{text}") } else { text.to_owned() })
    }

    /// A number, as it is written.
    ///
    /// # Errors
    /// The text isn't a JSON number, or is longer than a reader accepts.
    pub fn number(text: &str) -> Result<Self, ReadError> {
        let mut input = Reader::new(text);
        let number = input.number("a number")?;
        if number != text {
            return Err(input.expected("the end of the number"));
        }
        Ok(Self::Number(number.to_owned()))
    }

    /// A whole number.
    pub fn integer(number: impl itoa::Integer) -> Self {
        Self::Number(itoa::Buffer::new().format(number).to_owned())
    }

    /// A field of an object.
    pub fn get(&self, field: &str) -> Option<&Self> {
        let Self::Object(fields) = self else { return None };
        fields.iter().find(|(name, _)| name == field).map(|(_, value)| value)
    }

    /// A field of an object, mutably.
    pub fn get_mut(&mut self, field: &str) -> Option<&mut Self> {
        let Self::Object(fields) = self else { return None };
        fields.iter_mut().find(|(name, _)| name == field).map(|(_, value)| value)
    }

    /// Adds a field to an object, or replaces its value. Does nothing if this isn't an object.
    pub fn set(&mut self, field: &str, value: Self) {
        if let Some(old) = self.get_mut(field) {
            *old = value;
        } else if let Self::Object(fields) = self {
            fields.push((field.to_owned(), value));
        }
    }

    /// Removes a field from an object and returns its value.
    pub fn remove(&mut self, field: &str) -> Option<Self> {
        let Self::Object(fields) = self else { return None };
        let at = fields.iter().position(|(name, _)| name == field)?;
        Some(fields.remove(at).1)
    }

    /// Renames a field, if it exists; a field that already has the new name is replaced.
    pub fn rename(&mut self, field: &str, name: &str) {
        if field == name || self.get(field).is_none() {
            return;
        }
        self.remove(name);
        if let Self::Object(fields) = self {
            fields.iter_mut().filter(|(old, _)| old == field).for_each(|(old, _)| *old = name.to_owned());
        }
    }

    /// The same value, with the fields of all objects sorted by name.
    #[must_use]
    pub fn sorted(self) -> Self {
        match self {
            Self::Array(values) => Self::Array(values.into_iter().map(Self::sorted).collect()),
            Self::Object(mut fields) => {
                fields.sort_by(|(one, _), (other, _)| one.cmp(other));
                Self::Object(fields.into_iter().map(|(name, value)| (name, value.sorted())).collect())
            }
            other => other,
        }
    }

    /// The JSON text for people: each field and each element on its own line, every digit and character unchanged.
    ///
    /// ```
    /// use amiko_core::serializable::Json;
    /// let json = Json::parse(r#"{"owner":"alice","holds":[1.50,{}]}"#)?;
    /// let text = "{\n  \"owner\": \"alice\",\n  \"holds\": [\n    1.50,\n    {}\n  ]\n}";
    /// assert_eq!(json.to_pretty()?, text);
    /// assert_eq!(Json::parse(text)?, json);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// It is nested deeper than a reader accepts.
    pub fn to_pretty(&self) -> Result<String, WriteError> {
        let mut out = Writer::new();
        self.write_pretty(0, &mut out)?;
        Ok(out.into_string())
    }

    fn write_pretty(&self, depth: u32, out: &mut Writer) -> Result<(), WriteError> {
        let limit = ReadLimits::default().depth;
        let deeper = depth + 1;
        let line = |first: bool, out: &mut Writer| {
            out.raw(if first { "\n" } else { ",\n" });
            (0..deeper).for_each(|_| out.raw("  "));
        };
        let end = |out: &mut Writer| {
            out.raw("\n");
            (0..depth).for_each(|_| out.raw("  "));
        };
        match self {
            Self::Array(_) | Self::Object(_) if deeper > limit => return Err(WriteError::TooDeep { limit }),
            Self::Array(values) if !values.is_empty() => {
                out.raw("[");
                for (index, value) in values.iter().enumerate() {
                    line(index == 0, out);
                    value.write_pretty(deeper, out)?;
                }
                end(out);
                out.raw("]");
            }
            Self::Object(fields) if !fields.is_empty() => {
                out.raw("{");
                for (index, (name, value)) in fields.iter().enumerate() {
                    line(index == 0, out);
                    out.string(name);
                    out.raw(": ");
                    value.write_pretty(deeper, out)?;
                }
                end(out);
                out.raw("}");
            }
            other => other.write(out)?,
        }
        Ok(())
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// A whole number that fits.
    pub fn as_u64(&self) -> Option<u64> {
        if let Self::Number(text) = self { text.parse().ok() } else { None }
    }

    fn apply_deeper(&mut self, segment: &str, rest: Pointer<'_>, change: Change<'_, '_>) -> Result<(), ReadError> {
        let missing = || Pointer::no_such_path(segment);
        let here = rest.split().is_none();
        match (self, change) {
            (Self::Object(fields), Change::Add(input)) if here => {
                let value = Self::read(input)?;
                match fields.iter_mut().find(|(name, _)| name == segment) {
                    Some((_, old)) => *old = value,
                    None => fields.push((segment.to_owned(), value)),
                }
                Ok(())
            }
            (object @ Self::Object(_), Change::Remove) if here => object.remove(segment).map(drop).ok_or_else(missing),
            (Self::Array(values), Change::Add(input)) if here => {
                let at = if segment == "-" { values.len() } else { super::pointer::index(segment, values.len() + 1)? };
                values.insert(at, Self::read(input)?);
                Ok(())
            }
            (Self::Array(values), Change::Remove) if here => {
                values.remove(super::pointer::index(segment, values.len())?);
                Ok(())
            }
            (Self::Array(values), deeper) => {
                let at = super::pointer::index(segment, values.len())?;
                values[at].apply(rest, deeper)
            }
            (object, deeper) => object.get_mut(segment).ok_or_else(missing)?.apply(rest, deeper),
        }
    }
}

/// The JSON text, on one line.
///
/// A value that no reader would accept is shown as its error, in angle brackets.
impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match super::to_json(self) {
            Ok(text) => f.write_str(&text),
            Err(error) => write!(f, "<{error}>"),
        }
    }
}

/// The bytes of an object's member, without its value's heap memory.
fn field_weight(name: &str) -> usize {
    size_of::<(String, Json)>() + name.len()
}

impl Serializable for Json {
    fn weight(&self, kept: Kept) -> usize {
        match self {
            _ if kept == Kept::Shared => 0,
            Self::Null | Self::Bool(_) => 0,
            Self::Number(text) | Self::String(text) => text.len(),
            Self::Array(values) => values.weight(kept),
            Self::Object(fields) => fields.iter().map(|(name, value)| field_weight(name) + value.weight(kept)).sum(),
        }
    }

    fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
        match self {
            Self::Null => out.null(),
            Self::Bool(value) => out.bool(*value),
            Self::Number(text) => {
                Self::number(text).map_err(|error| WriteError::unreadable(error.problem()))?;
                out.raw(text);
            }
            Self::String(text) => out.string(text),
            Self::Array(values) => values.write(out)?,
            Self::Object(fields) => {
                out.begin_object()?;
                let mut names = HashSet::with_capacity(fields.len());
                for (name, value) in fields {
                    out.key(name);
                    if !names.insert(name) {
                        let problem = Problem::Duplicate { field: super::shorten(name) };
                        return Err(WriteError::unreadable(problem));
                    }
                    value.write(out)?;
                }
                out.end_object();
            }
        }
        Ok(())
    }

    const EXACT: bool = true;

    fn difference(&self, old: &Self, patch: &mut Patch) -> Result<(), WriteError> {
        match (self, old) {
            (Self::Object(new), Self::Object(old)) => {
                entries_difference(new, old, patch, |patch, name, old, new| patch.field(name, old, new))
            }
            (Self::Array(new), Self::Array(old)) => new.difference(old, patch),
            (new, old) if new == old => Ok(()),
            (new, _) => patch.replace(new),
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
        // Recursion is bounded by the reader's limit on nesting.
        Ok(match input.peek() {
            Some(b'{') => {
                let mut fields = Vec::new();
                let mut names = HashSet::new();
                input.begin_object()?;
                while let Some(name) = input.key()? {
                    let value = Self::read(input).map_err(|error| error.within(name.clone()))?;
                    if !names.insert(name.clone()) {
                        return Err(input.error(Problem::Duplicate { field: super::shorten(&name) }));
                    }
                    fields.push((name.into_owned(), value));
                }
                Self::Object(fields)
            }
            Some(b'[') => Self::Array(Vec::read(input)?),
            Some(b'"') => Self::String(input.string()?.into_owned()),
            Some(b't' | b'f') => Self::Bool(input.bool()?),
            _ if input.null() => Self::Null,
            _ => Self::Number(input.number("a value")?.to_owned()),
        })
    }

    fn is_null(&self) -> bool {
        *self == Self::Null
    }

    fn apply(&mut self, pointer: Pointer<'_>, change: Change<'_, '_>) -> Result<(), ReadError> {
        match pointer.split() {
            Some((segment, rest)) => self.apply_deeper(&segment, rest, change),
            None => super::replace_whole(self, pointer, change),
        }
    }

    fn schema(_: &mut Schema) -> String {
        "any JSON".into()
    }
}

/// Whether removing from `old` the names that `new` lacks, and appending the others, gives the order of `new`.
fn leads_to_the_order(old: &[(String, Json)], new: &[(String, Json)]) -> bool {
    let (old_names, new_names) = (names_of(old), names_of(new));
    let kept = old.iter().map(|(name, _)| name).filter(|name| new_names.contains(*name));
    let added = new.iter().map(|(name, _)| name).filter(|name| !old_names.contains(*name));
    kept.chain(added).eq(new.iter().map(|(name, _)| name))
}

fn names_of(fields: &[(String, Json)]) -> HashSet<&String> {
    fields.iter().map(|(name, _)| name).collect()
}

/// The difference, name by name; the whole value if that wouldn't give the order of the new entries.
pub(super) fn entries_difference(
    new: &[(String, Json)],
    old: &[(String, Json)],
    patch: &mut Patch,
    compare: impl Fn(&mut Patch, &str, &Json, &Json) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    if !leads_to_the_order(old, new) {
        return patch.replace(&Json::Object(new.to_vec()));
    }
    let names = names_of(new);
    let before: HashMap<&String, &Json> = old.iter().map(|(name, value)| (name, value)).collect();
    for (name, _) in old.iter().filter(|(name, _)| !names.contains(name)) {
        patch.remove(name)?;
    }
    for (name, new) in new {
        match before.get(name) {
            Some(old) => compare(patch, name, old, new)?,
            None => patch.add(name, new)?,
        }
    }
    Ok(())
}

/// The fields of a class that this program doesn't know: `#[amiko(unknown = "keep")]`.
///
/// Data written by a newer program survives a round trip through an older one.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct UnknownFields(Vec<(String, Json)>);

/// Shows the names only: which of the values are secrets isn't known here.
impl fmt::Debug for UnknownFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

impl UnknownFields {
    /// The names of the fields.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

/// Operations of derived code on the unknown fields that it keeps.
pub trait KeepUnknown {
    /// As [`Serializable::weight`].
    fn weight(&self, kept: Kept) -> usize;

    /// Reads a field.
    fn read_field(&mut self, name: &str, input: &mut Reader<'_>) -> Result<(), ReadError>;

    /// Writes all fields.
    fn write_fields(&self, out: &mut Writer) -> Result<(), WriteError>;

    /// Compares with an older version.
    fn difference(&self, old: &Self, patch: &mut Patch) -> Result<(), WriteError>;

    /// Applies a patch to one of them.
    fn apply_field(&mut self, name: &str, rest: Pointer<'_>, change: Change<'_, '_>) -> Result<(), ReadError>;
}

impl KeepUnknown for UnknownFields {
    fn weight(&self, kept: Kept) -> usize {
        let names: usize =
            if kept == Kept::Alone { self.0.iter().map(|(name, _)| field_weight(name)).sum() } else { 0 };
        names + of_elements(self.0.iter().map(|(_, value)| value), kept)
    }

    fn read_field(&mut self, name: &str, input: &mut Reader<'_>) -> Result<(), ReadError> {
        if self.0.iter().any(|(known, _)| known == name) {
            return Err(input.error(Problem::Duplicate { field: super::shorten(name) }));
        }
        let value = Json::read(input).map_err(|error| error.within(name))?;
        self.0.push((name.to_owned(), value));
        Ok(())
    }

    fn write_fields(&self, out: &mut Writer) -> Result<(), WriteError> {
        for (name, value) in &self.0 {
            out.key(name);
            value.write(out)?;
        }
        Ok(())
    }

    fn difference(&self, old: &Self, patch: &mut Patch) -> Result<(), WriteError> {
        let names = names_of(&self.0);
        for (name, _) in old.0.iter().filter(|(name, _)| !names.contains(name)) {
            patch.remove(name)?;
        }
        for (name, new) in &self.0 {
            match old.0.iter().find(|(known, _)| known == name) {
                Some((_, old)) => patch.field(name, old, new)?,
                None => patch.add(name, new)?,
            }
        }
        Ok(())
    }

    fn apply_field(&mut self, name: &str, rest: Pointer<'_>, change: Change<'_, '_>) -> Result<(), ReadError> {
        let mut object = Json::Object(std::mem::take(&mut self.0));
        let outcome = object.apply_deeper(name, rest, change);
        if let Json::Object(fields) = object {
            self.0 = fields;
        }
        outcome
    }
}
