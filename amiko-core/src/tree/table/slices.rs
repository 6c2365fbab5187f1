//! Writes the tables of one version while the next ones are made: in slices, without a pause that grows with the
//! state.
//!
//! Invariant: for every object of the frozen version that isn't written yet, a frozen table has either the object
//! itself or its old version, kept by a later event.

use super::{Objects, TableUndo};
use crate::serializable::{Hole, Key, WriteError, Writer, write_key, write_value};
use crate::tree::id::Keyed;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

/// A table that is lent to the engine for writing in slices: for the code that the derive writes.
pub struct Sliced<'t>(pub(crate) &'t mut dyn Slices);

/// A table that can be written in slices.
pub(crate) trait Slices {
    /// Begins: freezes the table's present version as table number `table` of a snapshot.
    fn freeze(&mut self, table: usize);

    /// Writes the next entries, about `length` bytes of them. Returns whether they were the last ones.
    fn write_slice(&mut self, hole: Hole, out: &mut Writer, length: usize) -> Result<bool, WriteError>;

    /// Abandons the snapshot.
    fn thaw(&mut self);
}

fn write_entry<T: Keyed>(key: &T::Key, object: &T, out: &mut Writer) -> Result<(), WriteError> {
    write_key(key, |key| out.entry_key_of(key, T::Key::PLAIN))?;
    write_value(object, out)
}

/// The table's state for a snapshot.
pub(crate) struct Frozen<T: Keyed> {
    table: usize,
    /// The last key that was written or skipped.
    last: Option<T::Key>,
    /// Whether an entry was written.
    begun: bool,
    /// The old versions of objects that events have touched since and that aren't written yet; none if the object
    /// didn't exist.
    old: BTreeMap<T::Key, Option<Arc<T>>>,
}

impl<T: Keyed> Frozen<T> {
    pub(crate) fn new(table: usize) -> Self {
        Self { table, last: None, begun: false, old: BTreeMap::new() }
    }

    pub(crate) fn table(&self) -> usize {
        self.table
    }

    /// Keeps the objects that an event has touched, if the snapshot still needs them. Of several versions the first
    /// one counts.
    pub(crate) fn keep(&mut self, undo: &TableUndo<T>) {
        for (key, old) in undo.first_touches() {
            if self.last.as_ref().is_none_or(|last| key > last) {
                self.old.entry(key.clone()).or_insert_with(|| old.cloned());
            }
        }
    }

    /// Writes the next entries. Returns whether they were the last ones.
    pub(crate) fn write(
        &mut self,
        order: &BTreeSet<T::Key>,
        objects: &Objects<T>,
        hole: Hole,
        out: &mut Writer,
        length: usize,
    ) -> Result<bool, WriteError> {
        out.resume(hole, !self.begun);
        let end = out.as_str().len().saturating_add(length);
        let after = self.last.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut present = order.range((after, Bound::Unbounded)).peekable();
        let mut last = None;
        let mut done = false;
        while out.as_str().len() < end {
            let order = match (present.peek(), self.old.keys().next()) {
                (None, None) => {
                    done = true;
                    break;
                }
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(present), Some(old)) => (*present).cmp(old),
            };
            // Touched objects are taken from the old versions; untouched ones are unchanged.
            if order == Ordering::Less {
                let Some(key) = present.next() else { break };
                if let Some(object) = objects.get(key) {
                    write_entry(key, &**object, out)?;
                    self.begun = true;
                }
                last = Some(key);
                continue;
            }
            if order == Ordering::Equal {
                present.next();
            }
            let Some((key, object)) = self.old.pop_first() else { break };
            if let Some(object) = object {
                write_entry(&key, &*object, out)?;
                self.begun = true;
            }
            (self.last, last) = (Some(key), None);
        }
        if let Some(last) = last {
            self.last = Some(last.clone());
        }
        Ok(done)
    }
}
