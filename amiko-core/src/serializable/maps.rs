//! `Serializable` for the maps of the standard library, and the code that all map containers share.
//!
//! Invariants: an entry is identified by the text of its key, whatever the key's `Ord`, `Eq` or `Hash` says; hash
//! order never reaches a text.

use super::key::Key;
use super::pointer::replace_whole;
use super::weight::of_elements;
use super::{
    Change, Codec, Kept, Native, Patch, Pointer, Problem, ReadError, Reader, Reference, Schema, Serializable, Summary,
    WriteError, Writer,
};
use crate::observe;
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;

/// Reads the entries of an object that is a map; shared by all map containers.
pub(crate) fn read_entries<K: Key, V, C: Codec<V>>(
    codec: &C,
    input: &mut Reader<'_>,
    mut insert: impl FnMut(K, V) -> bool,
) -> Result<(), ReadError> {
    input.begin_object()?;
    while let Some(text) = input.key()? {
        let key = read_key(&text, input)?;
        let value = codec.read(input).map_err(|error| error.within(text.clone()))?;
        if !insert(key, value) {
            return Err(input.error(Problem::Duplicate { field: super::shorten(&text) }));
        }
    }
    Ok(())
}

pub(crate) fn read_key<K: Key>(text: &str, input: &Reader<'_>) -> Result<K, ReadError> {
    K::decode(text).map_err(|expected| {
        let found = format!("{:?}", super::shorten(text));
        input.error(Problem::Expected { expected: format!("{expected} as a key").into(), found })
    })
}

/// Writes the key of an entry, if its text reads back as the same key.
#[inline]
pub(crate) fn write_key<K: Key>(key: &K, write: impl FnOnce(&str)) -> Result<(), WriteError> {
    key.with_text(|text| {
        if !K::EXACT && K::decode(text).as_ref() != Ok(key) {
            return Err(WriteError::unreadable(format!("expected a key that is read back as it is, found {text:?}")));
        }
        write(text);
        Ok(())
    })
}

/// Whether two keys have the same text: for two equal keys, only the text shows whether one has replaced the other.
#[inline]
pub(crate) fn same_key<K: Key>(one: &K, other: &K) -> bool {
    K::EXACT || one.with_text(|one| other.with_text(|other| one == other))
}

/// Applies a change to an entry of a map; shared by all map containers.
pub(crate) fn apply_to_map<M, K: Key, V, C: Codec<V>>(
    codec: &C,
    map: &mut M,
    (segment, rest): (&str, Pointer<'_>),
    change: Change<'_, '_>,
    insert: impl FnOnce(&mut M, K, V),
    remove: impl FnOnce(&mut M, &K) -> Option<V>,
    get_mut: impl for<'m> FnOnce(&'m mut M, &K) -> Option<&'m mut V>,
) -> Result<(), ReadError> {
    let key: K = pointed_key(segment)?;
    let missing = || Pointer::no_such_path(segment);
    match change {
        Change::Add(input) if rest.split().is_none() => {
            insert(map, key, codec.read(input)?);
            Ok(())
        }
        Change::Remove if rest.split().is_none() => remove(map, &key).map(drop).ok_or_else(missing),
        deeper => codec.apply(get_mut(map, &key).ok_or_else(missing)?, rest, deeper),
    }
}

/// The key that a segment of a pointer names.
pub(crate) fn pointed_key<K: Key>(segment: &str) -> Result<K, ReadError> {
    K::decode(segment).map_err(|_| Pointer::no_such_path(segment))
}

/// `Serializable` for a map of the standard library, given functions that iterate its entries in key order, and compare two
/// versions.
macro_rules! map {
    ([$($parameters:tt)*] $map:ty, $in_order:path, $difference:path) => {
        impl<$($parameters)*> Serializable for $map {
            const EXACT: bool = K::EXACT && V::EXACT;

            fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
                out.begin_object()?;
                for (key, value) in $in_order(self) {
                    write_key(key, |key| out.map_key_of(key, K::PLAIN))?;
                    value.write(out)?;
                }
                out.end_object();
                Ok(())
            }

            fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
                let mut map = Self::default();
                read_entries(&Native, input, |key, value| map.insert(key, value).is_none())?;
                Ok(map)
            }

            fn references(&self, visit: &mut dyn FnMut(Reference<'_>)) {
                for (key, value) in $in_order(self) {
                    key.reference(visit);
                    value.references(visit);
                }
            }

            fn summarize(&self, out: &mut Summary) {
                out.collection(self.len(), $in_order(self), |out, (key, value)| {
                    out.entry(&key.encode());
                    value.summarize(out);
                });
            }

            fn schema(schema: &mut Schema) -> String {
                format!("map of {} to {}", K::schema_name(), V::schema(schema))
            }

            fn difference(&self, old: &Self, patch: &mut Patch) -> Result<(), WriteError> {
                observe::collection(self.len().max(old.len()), || patch.place());
                $difference(self, old, patch)
            }

            fn weight(&self, kept: Kept) -> usize {
                let own = if kept == Kept::Alone { self.len() * size_of::<(K, V)>() } else { 0 };
                let keys: usize = if kept == Kept::Alone { self.keys().map(Key::weight_of_key).sum() } else { 0 };
                own + keys + of_elements(self.values(), kept)
            }

            fn apply(&mut self, pointer: Pointer<'_>, change: Change<'_, '_>) -> Result<(), ReadError> {
                let Some((segment, rest)) = pointer.split() else { return replace_whole(self, pointer, change) };
                let insert = |map: &mut Self, key, value| drop(map.insert(key, value));
                apply_to_map(&Native, self, (&segment, rest), change, insert, Self::remove, Self::get_mut)
            }
        }
    };
}

map!([K: Key, V: Serializable] BTreeMap<K, V>, BTreeMap::iter, difference_in_order);
map!([K: Key, V: Serializable, S: BuildHasher + Default + Send + Sync + 'static] HashMap<K, V, S>, sorted, difference_by_search);

type Entry<'m, K, V> = Option<(&'m K, &'m V)>;

/// The entries of two versions of an ordered map, those of the same key together: in one walk, without a search for each.
fn aligned<'m, K: Key, V>(
    old: &'m BTreeMap<K, V>,
    new: &'m BTreeMap<K, V>,
) -> impl Iterator<Item = (Entry<'m, K, V>, Entry<'m, K, V>)> {
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    std::iter::from_fn(move || {
        let (Some((before, _)), Some((after, _))) = (old.peek(), new.peek()) else {
            return Some((old.next(), new.next())).filter(|(old, new)| old.is_some() || new.is_some());
        };
        Some(match before.cmp(after) {
            Ordering::Greater => (None, new.next()),
            Ordering::Equal if same_key(*before, *after) => (old.next(), new.next()),
            Ordering::Less | Ordering::Equal => (old.next(), None),
        })
    })
}

fn difference_in_order<K: Key, V: Serializable>(
    new: &BTreeMap<K, V>,
    old: &BTreeMap<K, V>,
    patch: &mut Patch,
) -> Result<(), WriteError> {
    // First what is gone: another key may take the place of one that is equal to it.
    for (key, old) in aligned(old, new).filter_map(|(old, new)| old.filter(|_| new.is_none())) {
        patch.entry(key, Some(old), None)?;
    }
    for (old, new) in aligned(old, new) {
        if let Some((key, new)) = new {
            patch.entry(key, old.map(|(_, old)| old), Some(new))?;
        }
    }
    Ok(())
}

fn difference_by_search<K: Key, V: Serializable, S: BuildHasher>(
    new: &HashMap<K, V, S>,
    old: &HashMap<K, V, S>,
    patch: &mut Patch,
) -> Result<(), WriteError> {
    let has = |map: &HashMap<K, V, S>, key: &K| map.get_key_value(key).is_some_and(|(other, _)| same_key(key, other));
    for (key, old) in sorted(old).filter(|(key, _)| !has(new, key)) {
        patch.entry(key, Some(old), None)?;
    }
    for (key, new) in sorted(new) {
        patch.entry(key, old.get(key).filter(|_| has(old, key)), Some(new))?;
    }
    Ok(())
}

/// Ordered by key; by text, if the order doesn't distinguish two keys of the map.
fn sorted<K: Key, V, S>(map: &HashMap<K, V, S>) -> impl Iterator<Item = (&K, &V)> {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_unstable_by(|(one, _), (other, _)| one.cmp(other).then_with(|| one.encode().cmp(&other.encode())));
    entries.into_iter()
}
