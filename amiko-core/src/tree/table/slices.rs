//! Writing the tables of a version while the next ones are made: in slices, without a pause that grows with the state.
//!
//! Invariant: a frozen table still has, or was given by the events since, every object of the version that it was frozen
//! at and that isn't written yet.

use super::{Objects, TableUndo};
use crate::serializable::{Hole, WriteError, Writer, write_key, write_value};
use crate::tree::id::Keyed;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

/// A table that is lent to the engine, to be written in slices: for the code that the derive writes.
pub struct Sliced<'t>(pub(crate) &'t mut dyn Slices);

/// A table that can be written in slices.
pub(crate) trait Slices {
    /// Begins: from now on this is table number `table` of a snapshot, as it is now.
    fn freeze(&mut self, table: usize);

    /// Writes the next entries, some `length` bytes of them. Gives back whether they were the last ones.
    fn write_slice(&mut self, hole: Hole, out: &mut Writer, length: usize) -> Result<bool, WriteError>;

    /// Gives up.
    fn thaw(&mut self);
}

fn write_entry<T: Keyed>(key: &T::Key, object: &T, out: &mut Writer) -> Result<(), WriteError> {
    write_key(key, |key| out.entry_key(key))?;
    write_value(object, out)
}

/// What a table keeps for a snapshot.
pub(crate) struct Frozen<T: Keyed> {
    table: usize,
    /// The last key that was written, or passed over.
    last: Option<T::Key>,
    /// Whether an entry was written.
    begun: bool,
    /// What events have touched since, and isn't written: as it was; none if it wasn't there.
    old: BTreeMap<T::Key, Option<Arc<T>>>,
}

impl<T: Keyed> Frozen<T> {
    pub(crate) fn new(table: usize) -> Self {
        Self { table, last: None, begun: false, old: BTreeMap::new() }
    }

    pub(crate) fn table(&self) -> usize {
        self.table
    }

    /// Keeps what an event has touched, if the snapshot still needs it. Of several versions the first one counts.
    pub(crate) fn keep(&mut self, undo: &TableUndo<T>) {
        for (key, old) in undo.first_touches() {
            if self.last.as_ref().is_none_or(|last| key > last) {
                self.old.entry(key.clone()).or_insert_with(|| old.cloned());
            }
        }
    }

    /// Writes the next entries. Gives back whether they were the last ones.
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
            // What was touched is as it was; what wasn't, still is.
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
