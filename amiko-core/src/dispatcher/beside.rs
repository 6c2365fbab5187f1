//! The tables that are kept beside the state.
//!
//! Invariant: they are changed, restored, written and read back together with the state.

use super::{Answer, Connection, Pending, Timer};
use crate::serializable::{Json, Patch, WriteError};
use crate::tree::{EngineOnly, EngineTable, Id, Object, Sliced, Table, TableUndo, Touched, Tree};
use std::collections::BTreeMap;

/// Timers, connections with the messages that aren't confirmed, answers, and effects that aren't over.
#[derive(Clone)]
pub struct Beside<N: Tree> {
    /// The timers.
    pub timers: Table<Timer<N>>,
    /// The connections.
    pub connections: Table<Connection<N>>,
    /// The answers to commands with a key.
    pub answers: Table<Answer>,
    /// The effects.
    pub effects: Table<Pending<N>>,
}

/// These tables as they were before one event. Most events touch none of them, and the history keeps many of these.
pub(crate) struct BesideUndo<N: Tree>(Option<Box<BesideTouched<N>>>);

impl<N: Tree> BesideUndo<N> {
    /// What was touched, if anything was.
    pub(crate) fn touched(&self) -> Option<&BesideTouched<N>> {
        self.0.as_deref()
    }
}

/// What one event has touched in these tables.
pub(crate) struct BesideTouched<N: Tree> {
    pub(super) timers: TableUndo<Timer<N>>,
    pub(super) connections: TableUndo<Connection<N>>,
    pub(super) answers: TableUndo<Answer>,
    pub(crate) effects: TableUndo<Pending<N>>,
}

impl<N: Tree> Default for Beside<N> {
    fn default() -> Self {
        Self { timers: Table::new(), connections: Table::new(), answers: Table::new(), effects: Table::new() }
    }
}

impl<N: Tree> Beside<N> {
    /// Ends an event of these tables: returns their state before it.
    #[inline]
    pub(crate) fn take_undo(&mut self, only: &EngineOnly) -> BesideUndo<N> {
        // All of them, since each one ends its event so.
        let untouched = self.timers.end_untouched(only)
            & self.connections.end_untouched(only)
            & self.answers.end_untouched(only)
            & self.effects.end_untouched(only);
        if untouched {
            return BesideUndo(None);
        }
        let touched = BesideTouched {
            timers: self.timers.take_undo(only),
            connections: self.connections.take_undo(only),
            answers: self.answers.take_undo(only),
            effects: self.effects.take_undo(only),
        };
        BesideUndo(Some(Box::new(touched)))
    }

    /// Visits everything that an event touched in these tables.
    pub(crate) fn visit_touched(&self, undo: &BesideUndo<N>, visit: &mut dyn FnMut(Touched<'_>)) {
        let Some(undo) = undo.touched() else { return };
        self.timers.visit_touched(&undo.timers, visit);
        self.connections.visit_touched(&undo.connections, visit);
        self.answers.visit_touched(&undo.answers, visit);
        self.effects.visit_touched(&undo.effects, visit);
    }

    /// Visits every object of these tables.
    pub(crate) fn visit_objects(&self, visit: &mut dyn FnMut(Touched<'_>)) {
        self.timers.visit_objects(visit);
        self.connections.visit_objects(visit);
        self.answers.visit_objects(visit);
        self.effects.visit_objects(visit);
    }

    /// The tables, for writing in slices.
    pub(crate) fn slices(&mut self, only: &EngineOnly) -> [Sliced<'_>; 4] {
        [self.timers.sliced(only), self.connections.sliced(only), self.answers.sliced(only), self.effects.sliced(only)]
    }

    #[inline]
    pub(crate) fn difference_since(&self, undo: &BesideUndo<N>, patch: &mut Patch) -> Result<(), WriteError> {
        let Some(undo) = undo.touched() else { return Ok(()) };
        self.timers.difference_since("/timers", &undo.timers, patch)?;
        self.connections.difference_since("/connections", &undo.connections, patch)?;
        difference_of_late(&self.answers, ("answers", "/answers"), &undo.answers, patch)?;
        difference_of_late(&self.effects, ("effects", "/effects"), &undo.effects, patch)
    }
}

/// The difference of a table that a document has no place for while it is empty, as documents were before there was such a
/// table: the first object brings it.
fn difference_of_late<T: Object<Key = String> + Clone>(
    table: &Table<T>,
    (name, piece): (&'static str, &'static str),
    undo: &TableUndo<T>,
    patch: &mut Patch,
) -> Result<(), WriteError> {
    if undo.is_empty() {
        return Ok(());
    }
    let mut before = table.len();
    for (key, old) in undo.first_touches() {
        before += usize::from(old.is_some());
        before -= usize::from(table.contains(&Id::new(key.clone())));
    }
    if before == 0 && !table.is_empty() {
        patch.add(name, &BTreeMap::<String, Json>::new())?;
    }
    table.difference_since(piece, undo, patch)
}
