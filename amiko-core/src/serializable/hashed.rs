//! `Serializable` for hashed collections, and for a few types that aren't worth a file of their own.
//!
//! Invariant: the order of a hash never reaches a text: entries are written in the order of their keys.

use super::key::Key;
use super::maps::{apply_to_map, read_entries, same_key, write_key};
use super::weight::of_elements;
use super::{
    Change, Kept, Native, Patch, Pointer, ReadError, Reader, Reference, Schema, Serializable, Summary, WriteError,
    Writer, replace_whole,
};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher, Hash};

fn sorted<K: Ord, V, S>(map: &HashMap<K, V, S>) -> Vec<(&K, &V)> {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    entries
}

impl<K: Key, V: Serializable, S: BuildHasher + Default + Send + Sync + 'static> Serializable for HashMap<K, V, S> {
    const EXACT: bool = K::EXACT && V::EXACT;

    fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
        out.begin_object()?;
        for (key, value) in sorted(self) {
            write_key(key, |key| out.map_key(key))?;
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

    fn difference(&self, old: &Self, patch: &mut Patch) -> Result<(), WriteError> {
        let has = |map: &Self, key: &K| map.get_key_value(key).is_some_and(|(other, _)| same_key(key, other));
        for (key, old) in sorted(old).into_iter().filter(|(key, _)| !has(self, key)) {
            patch.entry(key, Some(old), None)?;
        }
        for (key, new) in sorted(self) {
            patch.entry(key, old.get(key).filter(|_| has(old, key)), Some(new))?;
        }
        Ok(())
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

    fn references(&self, visit: &mut dyn FnMut(Reference<'_>)) {
        for (key, value) in sorted(self) {
            key.reference(visit);
            value.references(visit);
        }
    }

    fn summarize(&self, out: &mut Summary) {
        out.collection(self.len(), sorted(self), |out, (key, value)| {
            out.entry(&key.encode());
            value.summarize(out);
        });
    }

    fn schema(schema: &mut Schema) -> String {
        format!("map of {} to {}", K::called(), V::schema(schema))
    }
}

impl<T: Serializable + Ord + Hash, S: BuildHasher + Default + Send + Sync + 'static> Serializable for HashSet<T, S> {
    const EXACT: bool = T::EXACT;

    fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
        out.begin_array()?;
        for value in self.iter().collect::<BTreeSet<_>>() {
            out.element();
            value.write(out)?;
        }
        out.end_array();
        Ok(())
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
        BTreeSet::read(input).map(|set| set.into_iter().collect())
    }

    fn references(&self, visit: &mut dyn FnMut(Reference<'_>)) {
        self.iter().for_each(|value| value.references(visit));
    }

    fn summarize(&self, out: &mut Summary) {
        out.collection(self.len(), self.iter().collect::<BTreeSet<_>>(), |out, value| value.summarize(out));
    }

    fn schema(schema: &mut Schema) -> String {
        format!("set of {}", T::schema(schema))
    }

    fn weight(&self, kept: Kept) -> usize {
        let own = if kept == Kept::Alone { self.len() * size_of::<T>() } else { 0 };
        own + of_elements(self, kept)
    }
}

#[cfg(feature = "bytes")]
impl Serializable for bytes::Bytes {
    const EXACT: bool = true;

    fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
        out.bytes(self);
        Ok(())
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
        input.bytes().map(Self::from)
    }

    fn difference(&self, old: &Self, patch: &mut Patch) -> Result<(), WriteError> {
        if self == old {
            return Ok(());
        }
        patch.free(old.len());
        patch.replace(self)
    }

    fn weight(&self, kept: Kept) -> usize {
        // A copy shares the bytes.
        if kept == Kept::Shared { self.len() } else { 0 }
    }

    fn summarize(&self, out: &mut Summary) {
        out.text(&hex::encode(self));
    }

    fn schema(_: &mut Schema) -> String {
        "bytes".into()
    }
}

/// Nothing is kept of it, so nothing is written.
impl<T: Send + Sync + 'static> Serializable for std::marker::PhantomData<T> {
    const EXACT: bool = true;

    fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
        out.null();
        Ok(())
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
        if input.null() { Ok(Self) } else { Err(input.expected("null")) }
    }

    fn missing() -> Option<Self> {
        Some(Self)
    }

    fn is_null(&self) -> bool {
        true
    }

    fn difference(&self, _: &Self, _: &mut Patch) -> Result<(), WriteError> {
        Ok(())
    }

    fn weight(&self, _: Kept) -> usize {
        0
    }

    fn schema(_: &mut Schema) -> String {
        "nothing".into()
    }
}
