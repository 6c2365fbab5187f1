//! Older versions of a class, migrated before they are read.
//!
//! Invariant: only the version that the program knows is read; a newer one is refused, never guessed at.

use super::{Json, Problem, ReadError, Reader, Serializable};

/// A plain function that lifts an object from version `from` to the next one: `#[amiko(version = 3, migrate = path)]`
/// calls it once for each missing step.
pub(crate) type Migrate = fn(from: u32, object: &mut Json) -> Result<(), String>;

/// An object that was lifted.
pub struct Lifted<'a> {
    /// The object as it is in the input.
    before: Reader<'a>,
    text: String,
    class: &'static str,
    what: String,
}

impl Lifted<'_> {
    /// Reads it.
    ///
    /// # Errors
    /// The migrations' result doesn't fit the class.
    pub fn read<T>(&self, read: impl FnOnce(&mut Reader<'_>) -> Result<T, ReadError>) -> Result<T, ReadError> {
        read(&mut self.before.of_text(&self.text))
            .map_err(|error| self.before.invalid(format!("{}, {}", self.what, error.reason())).of_class(self.class))
    }
}

/// Lifts the next object, if it has an older version.
///
/// # Errors
/// It has a newer version, or a migration refuses it.
pub fn lift<'a>(
    input: &mut Reader<'a>,
    class: &'static str,
    version: u32,
    migrate: Migrate,
) -> Result<Option<Lifted<'a>>, ReadError> {
    let before = input.clone();
    let found = find_version(input)?;
    if found == version {
        return Ok(None);
    }
    if found > version || found == 0 {
        return Err(newer(input, class, version, found));
    }
    let mut object = Json::read(input)?;
    for from in found..version {
        migrate(from, &mut object)
            .map_err(|reason| before.invalid(format!("{class} can't be lifted from version {from}: {reason}")))?;
    }
    object.set("_version", Json::integer(version));
    let text = super::to_json(&object).map_err(|error| before.invalid(format!("{class} can't be lifted: {error}")))?;
    let what = format!("in {class} after its migration from version {found} to {version}");
    Ok(Some(Lifted { before, text, class, what }))
}

/// The version of the next value: 1 if it has none. Only an object can have one: a string, for example, was a variant
/// before it had fields.
fn find_version(input: &Reader<'_>) -> Result<u32, ReadError> {
    let mut ahead = input.clone();
    if ahead.peek() != Some(b'{') {
        return Ok(1);
    }
    ahead.begin_object()?;
    while let Some(key) = ahead.key()? {
        if key == "_version" {
            return ahead.integer("the number of a version");
        }
        ahead.skip()?;
    }
    Ok(1)
}

/// The same for an enum whose variants are all units. It is written as a name and has no version: a value that isn't
/// one of its names is older.
///
/// # Errors
/// A migration refuses it, or doesn't turn it into a name.
pub fn lift_name<'a, T>(
    input: &mut Reader<'a>,
    class: &'static str,
    version: u32,
    migrate: Migrate,
    current: impl Fn(&mut Reader<'_>) -> Result<T, ReadError>,
) -> Result<T, ReadError> {
    let mut ahead = input.clone();
    if let Ok(value) = current(&mut ahead) {
        *input = ahead;
        return Ok(value);
    }
    match lift(input, class, version, migrate)? {
        Some(lifted) => lifted.read(current),
        None => current(input),
    }
}

fn newer(input: &Reader<'_>, class: &'static str, version: u32, found: u32) -> ReadError {
    let reason = format!("expected {class} of version {version} at most, found version {found}: use a newer program");
    input.error(Problem::Invalid { reason })
}

/// Checks the `_version` of an object that wasn't lifted: for the code that the derive writes.
///
/// # Errors
/// It has another version.
pub fn check_version(input: &mut Reader<'_>, class: &'static str, version: u32) -> Result<(), ReadError> {
    let before = input.clone();
    match input.integer("the number of a version")? {
        found if found == version => Ok(()),
        found => Err(newer(&before, class, version, found)),
    }
}
