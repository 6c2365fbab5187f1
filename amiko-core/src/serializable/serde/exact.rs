//! What is written of a serde value is what is read back.

use super::super::json::entries_difference;
use super::super::{Json, Patch, Reader, Reference, Secrets, Serializable, Unknown, WriteError, to_json};
use super::names::is_map;
use super::read::read;
use super::schema::classes_of;
use super::tree::{Grown, Walk};
use crate::sabotage::{Sabotage, sabotaged};
use serde_core::Serialize;
use serde_core::de::DeserializeOwned;
use std::borrow::Cow;
use std::collections::HashMap;

/// The JSON of a serde value, refused where reading it back would give something else.
pub(in super::super) fn to_exact_json<T: Serialize + DeserializeOwned + 'static>(
    value: &T,
) -> Result<Json, WriteError> {
    exact(value).map(|grown| grown.json)
}

fn exact<T: Serialize + DeserializeOwned + 'static>(value: &T) -> Result<Grown, WriteError> {
    let walk = Walk::new(Secrets::Written);
    let Grown { mut json, shape } = walk.through(value)?;
    see_classes::<T>(&walk)?;
    for _ in 0..times_to_look(walk.unknown_order.get()) {
        let back: T = read(json.clone(), Unknown::Deny).map_err(|error| WriteError::unreadable(error.reason()))?;
        let again = Walk::new(Secrets::Written).through(&back)?;
        if again.shape != shape || !settle(&mut json, &again.json) {
            return Err(WriteError::unreadable("reading it back gives another value"));
        }
    }
    Ok(Grown { json, shape })
}

/// How often a value is read back: once; or, if a container may be a hash whose order came out the same by chance,
/// until that is less likely than one in 10^12: a process that writes for years writes many such containers.
fn times_to_look(shortest: Option<usize>) -> u32 {
    let orders = shortest.map_or(f64::MAX, |length| (2..=length.min(20)).map(|factor| factor as f64).product::<f64>());
    let (mut chance, mut times) = (1.0, 0);
    while times == 0 || chance > 1e-12 && shortest.is_some() {
        chance /= orders;
        times += 1;
    }
    times
}

/// Puts values without an order of their own into order: those whose order has changed after reading back. False if
/// more than the order differs.
fn settle(given: &mut Json, again: &Json) -> bool {
    if given == again {
        return true;
    }
    match (given, again) {
        (Json::Object(given), Json::Object(again)) => {
            let same = given.iter().map(|(name, _)| name).eq(again.iter().map(|(name, _)| name));
            if !same {
                given.sort_by(|(one, _), (other, _)| one.cmp(other));
            }
            let mut again: Vec<_> = again.iter().collect();
            if !same {
                again.sort_by(|(one, _), (other, _)| one.cmp(other));
            }
            given.len() == again.len()
                && given
                    .iter_mut()
                    .zip(again)
                    .all(|((name, given), (other, again))| name == other && settle(given, again))
        }
        (Json::Array(given), Json::Array(again)) if given.len() == again.len() => {
            if given.iter().zip(again).all(|(given, again)| alike(given) == alike(again)) {
                return given.iter_mut().zip(again).all(|(given, again)| settle(given, again));
            }
            let mut again: Vec<&Json> = again.iter().collect();
            given.sort_by_cached_key(alike);
            again.sort_by_cached_key(|json| alike(json));
            given.iter_mut().zip(again).all(|(given, again)| alike(given) == alike(again) && settle(given, again))
        }
        _ => false,
    }
}

/// The text of a value without any order in it.
fn alike(json: &Json) -> String {
    fn unordered(json: &Json) -> Json {
        match json {
            Json::Array(values) => {
                let mut values: Vec<_> = values.iter().map(unordered).collect();
                values.sort_by_cached_key(|value| to_json(value).unwrap_or_default());
                Json::Array(values)
            }
            Json::Object(fields) => {
                let mut fields: Vec<_> = fields.iter().map(|(name, value)| (name.clone(), unordered(value))).collect();
                fields.sort_by(|(one, _), (other, _)| one.cmp(other));
                Json::Object(fields)
            }
            other => other.clone(),
        }
    }
    to_json(&unordered(json)).unwrap_or_default()
}

/// Refuses a class that the schema doesn't know of: nothing would notice that it has changed, or that a strong reference in it
/// leads nowhere.
fn see_classes<T: Serialize + DeserializeOwned + 'static>(walk: &Walk) -> Result<(), WriteError> {
    let met = walk.classes.take();
    if met.is_empty() {
        return Ok(());
    }
    let known = classes_of::<T>();
    match met.into_iter().find(|class| !known.contains(class)) {
        None => Ok(()),
        Some(class) => Err(WriteError::unreadable(format!(
            "expected a class that the schema can see, found {class} behind {}: write `#[derive(Serializable)]` instead of serde's",
            std::any::type_name::<T>()
        ))),
    }
}

/// The JSON of a serde value, for display or comparison: nobody has checked that it can be read back.
pub(in super::super) fn to_tree<T: Serialize>(value: &T, mut secrets: Secrets) -> Result<Json, WriteError> {
    if sabotaged(Sabotage::SecretsBehindSerde) {
        secrets = Secrets::Written;
    }
    Walk::new(secrets).through(value).map(|grown| grown.json)
}

/// What has changed of a serde value: entry by entry where it is a map, as its type says too.
///
/// Anything else is replaced as a whole. A patch is applied an operation at a time, and halfway a struct or a variant may be one
/// that its type refuses.
pub(in super::super) fn difference<T: Serialize + DeserializeOwned + 'static>(
    new: &T,
    old: &T,
    patch: &mut Patch,
) -> Result<(), WriteError> {
    // Most values haven't changed.
    let (now, before) = (Walk::new(Secrets::Written).through(new)?, Walk::new(Secrets::Written).through(old)?);
    if now.shape == before.shape && now.json == before.json {
        return Ok(());
    }
    let (new, old) = (exact(new)?, exact(old)?);
    match (&new.json, &old.json) {
        (Json::Object(entries), Json::Object(before))
            if is_map(std::any::type_name::<T>()) && few_differ(entries, before) =>
        {
            entries_difference(entries, before, patch, |patch, name, old, new| {
                if old == new { Ok(()) } else { patch.within(name, |patch| patch.replace(new)) }
            })
        }
        (new, old) if new == old => Ok(()),
        (new, _) => patch.replace(new),
    }
}

/// Whether a map has changed in so few entries that they are worth an operation each: whoever applies one reads the whole map.
fn few_differ(new: &[(String, Json)], old: &[(String, Json)]) -> bool {
    const FEW: usize = 8;
    let before: HashMap<&String, &Json> = old.iter().map(|(name, value)| (name, value)).collect();
    let same = new.iter().filter(|(name, value)| before.get(name) == Some(&value)).count();
    (new.len() - same).max(old.len() - same) <= FEW
}

/// Reads a serde value.
pub(in super::super) fn from_json<T: DeserializeOwned>(input: &mut Reader<'_>) -> Result<T, super::super::ReadError> {
    let before = input.clone();
    let json = Json::read(input)?;
    read(json, input.unknown()).map_err(|error| before.located(error))
}

/// Visits every ID in the classes of a serde value.
pub(in super::super) fn references<T: Serialize>(value: &T, visit: &mut dyn FnMut(Reference<'_>)) {
    let walk = Walk::for_references();
    // What can't be written has been refused before.
    if walk.through(value).is_ok() {
        for (kind, key, strong) in walk.found.take() {
            visit(Reference { kind: Cow::Owned(kind), key: Cow::Owned(key), strong });
        }
    }
}
