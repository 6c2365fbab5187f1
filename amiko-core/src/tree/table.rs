//! `Table<T>`: the big collections at the root of a state.
//!
//! Invariant: between two calls of [`Table::take_undo`] every touched object has its old version in the undo log, so
//! the cost of a rollback is proportional to what was touched, not to the size of the table. Only an engine ends or
//! undoes an event.

mod index;
mod slices;

pub use index::{Index, Listing};
pub use slices::Sliced;

use super::engine_only::EngineOnly;
use super::id::{Id, Keyed, Object};
use super::touched::Touched;
use crate::serializable::{
    Change, Hole, Kept, Key, Native, Patch, Pointer, Polymorphic, Problem, ReadError, Reader, Reference, Schema,
    Serializable, Summary, WriteError, Writer, by, same_key, write_key, write_value,
};
use slices::{Frozen, Slices};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

type Objects<T> = HashMap<<T as Keyed>::Key, Arc<T>, foldhash::fast::RandomState>;

/// Objects of one class by ID: looked up by hash, iterated in key order.
///
/// A change keeps the old object in an undo log until the event ends; the log of a committed event becomes a step of
/// the history.
pub struct Table<T: Keyed> {
    /// Randomly seeded, since peers may choose keys; the hash order is never visible.
    objects: Objects<T>,
    order: BTreeSet<T::Key>,
    undo: Vec<(T::Key, Option<Arc<T>>)>,
    /// The engine that has ended an event with this very table, and not with one that it was copied from. Without an
    /// engine nothing can be undone, and no undo log is kept. Also none while entries are inserted or removed: if a
    /// key panics meanwhile, the table has no engine any more, which that engine notices.
    engine: Option<u64>,
    /// The state of a running snapshot: what it still needs.
    frozen: Option<Box<Frozen<T>>>,
    indexes: T::Indexes,
    /// The key of the object that was lent mutably last, if its class has indexes: it isn't in them.
    lent: Option<T::Key>,
}

/// Touched objects for which the undo log of the next event has room at most, before it grows.
const MOST_ROOM: usize = 8;

/// The state of a table before one event: each touched key with its old object, in the order of the touches.
pub struct TableUndo<T: Keyed>(Vec<(T::Key, Option<Arc<T>>)>);

impl<T: Keyed> Default for TableUndo<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Keyed> TableUndo<T> {
    /// Whether nothing was touched.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each touched key once, with the object from before the event.
    pub fn first_touches(&self) -> impl Iterator<Item = (&T::Key, Option<&Arc<T>>)> {
        self.touches().filter_map(|(first, key, old)| first.then_some((key, old)))
    }

    /// Each touch: whether it is the first one of its key, the key, and the object before it.
    fn touches(&self) -> impl Iterator<Item = (bool, &T::Key, Option<&Arc<T>>)> {
        /// Up to this many touches, a linear search is faster than a set.
        const FEW: usize = 8;
        let mut seen = (self.0.len() > FEW).then(|| HashSet::with_hasher(foldhash::fast::RandomState::default()));
        self.0.iter().enumerate().map(move |(index, (key, old))| {
            let first = match &mut seen {
                Some(seen) => seen.insert(key),
                None => self.0[..index].iter().all(|(earlier, _)| earlier != key),
            };
            (first, key, old.as_ref())
        })
    }
}

impl<T: Keyed> Default for Table<T> {
    fn default() -> Self {
        Self {
            objects: HashMap::default(),
            order: BTreeSet::new(),
            undo: Vec::new(),
            engine: None,
            frozen: None,
            indexes: T::Indexes::default(),
            lent: None,
        }
    }
}

/// Shares the objects; the undo log stays with the original.
impl<T: Keyed> Clone for Table<T> {
    fn clone(&self) -> Self {
        Self {
            objects: self.objects.clone(),
            order: self.order.clone(),
            indexes: self.indexes.clone(),
            lent: self.lent.clone(),
            ..Self::default()
        }
    }
}

impl<T: Keyed + fmt::Debug> fmt::Debug for Table<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.entries()).finish()
    }
}

impl<T: Keyed + PartialEq> PartialEq for Table<T> {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order && self.objects == other.objects
    }
}

impl<T: Keyed> Table<T> {
    /// A table without objects.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }
}

impl<T: Object> Table<T> {
    /// The object with this ID.
    #[inline]
    pub fn get(&self, id: &Id<T>) -> Option<&T> {
        self.objects.get(id.key()).map(|object| &**object)
    }

    /// Whether there is an object with this ID.
    pub fn contains(&self, id: &Id<T>) -> bool {
        self.objects.contains_key(id.key())
    }

    /// All objects, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (Id<T>, &T)> {
        self.entries().map(|(key, object)| (Id::new(key.clone()), object))
    }

    /// The IDs from this one on, in key order.
    pub fn ids_from(&self, first: &Id<T>) -> impl Iterator<Item = Id<T>> {
        self.order.range(first.key().clone()..).map(|key| Id::new(key.clone()))
    }

    /// Inserts an object, and returns whether the ID is new.
    pub fn insert(&mut self, id: &Id<T>, object: T) -> bool {
        // An equal key with another text is removed, so that the key inserted last is kept.
        if let Some((key, _)) = self.objects.get_key_value(id.key()).filter(|(key, _)| !same_key(*key, id.key())) {
            let key = Id::new(key.clone());
            self.remove(&key);
            self.insert(id, object);
            return false;
        }
        self.settle();
        let (key, engine) = (id.key().clone(), self.engine.take());
        let old = self.objects.insert(id.key().clone(), Arc::new(object));
        let new = old.is_none();
        if new {
            self.order.insert(id.key().clone());
        }
        self.engine = engine;
        self.relist(&key, old.as_deref());
        self.keep(key, old);
        new
    }

    /// Removes an object, and returns whether there was one with this ID.
    pub fn remove(&mut self, id: &Id<T>) -> bool {
        self.settle();
        let (key, engine) = (id.key().clone(), self.engine.take());
        let old = self.objects.remove(&key);
        let found = old.is_some();
        if found {
            self.order.remove(&key);
        }
        self.engine = engine;
        if found {
            self.relist(&key, old.as_deref());
            self.keep(key, old);
        }
        found
    }

    /// Replaces an object by another version, in an event, and returns whether there was one.
    #[inline]
    pub(crate) fn replace(&mut self, id: &Id<T>, object: T) -> bool {
        self.settle();
        let key = id.key().clone();
        let Some(place) = self.objects.get_mut(&key) else { return false };
        let old = std::mem::replace(place, Arc::new(object));
        self.relist(&key, Some(&*old));
        self.undo.push((key, Some(old)));
        true
    }

    /// An object, mutably: a copy of it, if the old version is kept anywhere.
    pub fn get_mut(&mut self, id: &Id<T>) -> Option<&mut T> {
        self.lend(id.key());
        let object = self.objects.get_mut(id.key())?;
        if self.engine.is_some() {
            self.undo.push((id.key().clone(), Some(Arc::clone(object))));
        }
        Some(Arc::make_mut(object))
    }
}

impl<T: Keyed> Table<T> {
    /// Records that an event touched an object.
    fn keep(&mut self, key: T::Key, old: Option<Arc<T>>) {
        if self.engine.is_some() {
            self.undo.push((key, old));
        }
    }

    /// Ends an event, if it has touched nothing here.
    #[inline]
    pub(crate) fn end_untouched(&mut self, only: &EngineOnly) -> bool {
        let untouched = self.undo.is_empty();
        if untouched {
            self.engine = Some(only.engine());
        }
        untouched
    }

    /// The changes entry by entry: the cost is proportional to the change.
    #[inline]
    fn entries_since(&self, undo: &TableUndo<T>, patch: &mut Patch) -> Result<(), WriteError>
    where
        T: Clone,
    {
        for (first, key, old) in undo.touches() {
            if !first {
                if let Some(old) = old {
                    // A version that was created and replaced within the event is kept too.
                    patch.free_copy(&**old);
                }
                continue;
            }
            match (self.objects.get_key_value(key), old) {
                // An equal key with another text has replaced it.
                (Some((now, object)), Some(_)) if !same_key(key, now) => {
                    key.with_text(|key| patch.remove(key))?;
                    now.with_text(|key| patch.add(key, object))?;
                }
                (now, old) => patch.entry(now.map_or(key, |(now, _)| now), old, now.map(|(_, object)| object))?,
            }
        }
        patch.free(size_of_val(undo.0.as_slice()));
        Ok(())
    }

    /// Records what a patch changes, if it is part of an event: nothing is undone while a journal is replayed.
    fn touch(&mut self, key: &T::Key) {
        if self.engine.is_some() {
            self.undo.push((key.clone(), self.objects.get(key).cloned()));
        }
    }

    fn entries(&self) -> impl Iterator<Item = (&T::Key, &T)> {
        self.order.iter().filter_map(|key| Some((key, &**self.objects.get(key)?)))
    }

    fn from_ordered(entries: Vec<(T::Key, Arc<T>)>) -> Self {
        let order = entries.iter().map(|(key, _)| key.clone()).collect();
        let mut indexes = T::Indexes::default();
        entries.iter().for_each(|(key, object)| T::relist(&mut indexes, key, None, Some(object)));
        Self { objects: entries.into_iter().collect(), order, indexes, ..Self::default() }
    }

    /// Inserts an object that was read: outside of any event.
    fn load(&mut self, key: T::Key, object: T) -> bool {
        self.settle();
        self.order.insert(key.clone());
        let old = self.objects.insert(key.clone(), Arc::new(object));
        self.relist(&key, old.as_deref());
        old.is_none()
    }
}

/// The engine's operations on a table, which derived code calls on its behalf.
pub trait EngineTable<T: Keyed> {
    /// Ends an event: returns the state before it.
    fn take_undo(&mut self, only: &EngineOnly) -> TableUndo<T>;

    /// Whether this is the table that the engine's last event ended with.
    fn is_known(&self, only: &EngineOnly) -> bool;

    /// Lends the table, for writing in slices.
    fn sliced(&mut self, only: &EngineOnly) -> Sliced<'_>;

    /// Restores the state before an event. Events are undone newest first.
    fn roll_back(&mut self, undo: &TableUndo<T>, only: &EngineOnly);

    /// Compares the table with its old state: `piece` is its piece of the path.
    ///
    /// # Errors
    /// An object has no exact text.
    fn difference_since(&self, piece: &'static str, undo: &TableUndo<T>, patch: &mut Patch) -> Result<(), WriteError>
    where
        T: Clone;

    /// Visits every object.
    fn visit_objects(&self, visit: &mut dyn FnMut(Touched<'_>));

    /// Visits every object that an event touched.
    fn visit_touched(&self, undo: &TableUndo<T>, visit: &mut dyn FnMut(Touched<'_>));

    /// Whether there is an object whose key has this text.
    fn contains_text(&self, key: &str) -> bool;
}

impl<T: Keyed> EngineTable<T> for Table<T> {
    #[inline]
    fn take_undo(&mut self, only: &EngineOnly) -> TableUndo<T> {
        self.engine = Some(only.engine());
        if self.undo.is_empty() {
            return TableUndo::default();
        }
        // The next event is likely to touch as much as this one.
        let room = Vec::with_capacity(self.undo.len().min(MOST_ROOM));
        let undo = TableUndo(std::mem::replace(&mut self.undo, room));
        if let Some(frozen) = &mut self.frozen {
            frozen.keep(&undo);
        }
        undo
    }

    fn is_known(&self, only: &EngineOnly) -> bool {
        self.engine == Some(only.engine())
    }

    fn sliced(&mut self, _only: &EngineOnly) -> Sliced<'_> {
        Sliced(self)
    }

    fn roll_back(&mut self, undo: &TableUndo<T>, _only: &EngineOnly) {
        self.settle();
        for (key, old) in undo.0.iter().rev() {
            let undone = match old {
                Some(object) => {
                    let undone = self.objects.insert(key.clone(), Arc::clone(object));
                    if undone.is_none() {
                        self.order.insert(key.clone());
                    }
                    undone
                }
                None => {
                    self.order.remove(key);
                    self.objects.remove(key)
                }
            };
            self.relist(key, undone.as_deref());
        }
    }

    fn difference_since(&self, piece: &'static str, undo: &TableUndo<T>, patch: &mut Patch) -> Result<(), WriteError>
    where
        T: Clone,
    {
        if undo.is_empty() {
            return Ok(());
        }
        // Most likely something has changed, and in more than one object.
        patch.within_field(piece, |patch| patch.with_path(|patch| self.entries_since(undo, patch)))
    }

    fn visit_objects(&self, visit: &mut dyn FnMut(Touched<'_>)) {
        for (key, object) in self.order.iter().filter_map(|key| Some((key, self.objects.get(key)?))) {
            let new: &dyn Polymorphic = &**object;
            visit(Touched { kind: T::KIND, key: key.encode(), old: None, new: Some(new) });
        }
    }

    fn visit_touched(&self, undo: &TableUndo<T>, visit: &mut dyn FnMut(Touched<'_>)) {
        for (key, old) in undo.first_touches() {
            let old = old.map(|object| -> &dyn Polymorphic { &**object });
            let new = self.objects.get(key).map(|object| -> &dyn Polymorphic { &**object });
            visit(Touched { kind: T::KIND, key: key.encode(), old, new });
        }
    }

    fn contains_text(&self, key: &str) -> bool {
        T::Key::decode(key).is_ok_and(|key| self.objects.contains_key(&key))
    }
}

impl<T: Keyed> Slices for Table<T> {
    fn freeze(&mut self, table: usize) {
        self.frozen = Some(Box::new(Frozen::new(table)));
    }

    fn write_slice(&mut self, hole: Hole, out: &mut Writer, length: usize) -> Result<bool, WriteError> {
        let Some(frozen) = &mut self.frozen else { return Ok(true) };
        let start = out.as_str().len();
        let mut done = false;
        let written = frozen.write(&self.order, &self.objects, hole, out, length).map(|last| done = last);
        out.outcome(start, written)?;
        if done {
            self.frozen = None;
        }
        Ok(done)
    }

    fn thaw(&mut self) {
        self.frozen = None;
    }
}

impl<T: Object> FromIterator<(Id<T>, T)> for Table<T> {
    fn from_iter<I: IntoIterator<Item = (Id<T>, T)>>(entries: I) -> Self {
        let mut table = Self::new();
        for (id, object) in entries {
            table.load(id.key().clone(), object);
        }
        table
    }
}

impl<T: Keyed + Clone> Serializable for Table<T> {
    const EXACT: bool = true;

    /// A new table is empty.
    fn missing() -> Option<Self> {
        Some(Self::new())
    }

    fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
        out.begin_object()?;
        if let Some(frozen) = &self.frozen
            && out.leave_out(frozen.table())
        {
            out.end_object();
            return Ok(());
        }
        for key in &self.order {
            if let Some(object) = self.objects.get(key) {
                write_key(key, |key| out.entry_key_of(key, T::Key::PLAIN))?;
                write_value(&**object, out)?;
            }
        }
        out.end_object();
        Ok(())
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
        // Entries that come in order, as they are written, are inserted at the end into a table of the right size.
        let mut ordered: Vec<(T::Key, Arc<T>)> = Vec::new();
        let mut table = Self::new();
        crate::serializable::read_entries(&Native, input, |key, object: T| {
            if table.is_empty() {
                if ordered.last().is_none_or(|(last, _)| *last < key) {
                    ordered.push((key, Arc::new(object)));
                    return true;
                }
                table = Self::from_ordered(std::mem::take(&mut ordered));
            }
            table.load(key, object)
        })?;
        Ok(if table.is_empty() { Self::from_ordered(ordered) } else { table })
    }

    fn references(&self, visit: &mut dyn FnMut(Reference<'_>)) {
        self.entries().for_each(|(_, object)| object.references(visit));
    }

    fn summarize(&self, out: &mut Summary) {
        out.collection(self.len(), self.entries(), |out, (key, object)| {
            out.entry(&key.encode());
            object.summarize(out);
        });
    }

    fn schema(schema: &mut Schema) -> String {
        let called = format!("table of {}{}", T::schema(schema), by::<T::Key>());
        schema.kind(called, T::KIND)
    }

    fn weight(&self, kept: Kept) -> usize {
        let own = if kept == Kept::Alone { self.len() * size_of::<(T::Key, T::Key, Arc<T>)>() } else { 0 };
        own + self.objects.values().map(|object| object.weight(kept)).sum::<usize>()
    }

    fn difference(&self, old: &Self, patch: &mut Patch) -> Result<(), WriteError> {
        let has = |table: &Self, key: &T::Key| {
            table.objects.get_key_value(key).is_some_and(|(other, _)| same_key(key, other))
        };
        for key in old.order.iter().filter(|key| !has(self, key)) {
            patch.entry(key, old.objects.get(key), None)?;
        }
        for (key, new) in self.order.iter().filter_map(|key| Some((key, self.objects.get(key)?))) {
            patch.entry(key, old.objects.get(key).filter(|_| has(old, key)), Some(new))?;
        }
        Ok(())
    }

    fn apply(&mut self, pointer: Pointer<'_>, change: Change<'_, '_>) -> Result<(), ReadError> {
        let Some((segment, rest)) = pointer.split() else {
            return crate::serializable::replace_whole(self, pointer, change);
        };
        let key: T::Key = crate::serializable::pointed_key(&segment)?;
        match change {
            Change::Add(input) if rest.split().is_none() => {
                self.touch(&key);
                if self.load(key, T::read(input)?) {
                    return Ok(());
                }
                Err(input.error(Problem::Duplicate { field: crate::serializable::shorten(&segment) }))
            }
            Change::Remove if rest.split().is_none() => {
                self.touch(&key);
                self.settle();
                self.order.remove(&key);
                let old = self.objects.remove(&key).ok_or_else(|| Pointer::no_such_path(&segment))?;
                self.relist(&key, Some(&*old));
                Ok(())
            }
            deeper => {
                self.touch(&key);
                self.lend(&key);
                let object = self.objects.get_mut(&key).ok_or_else(|| Pointer::no_such_path(&segment))?;
                Arc::make_mut(object).apply(rest, deeper)
            }
        }
    }
}

#[cfg(test)]
mod tests;
