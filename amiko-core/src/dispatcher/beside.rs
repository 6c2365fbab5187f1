//! The tables that are kept beside the state.
//!
//! Invariant: they are changed, restored, written and read back together with the state.

use super::{Answer, Connection, Timer};
use crate::serializable::{Json, Patch, WriteError};
use crate::tree::{EngineOnly, EngineTable, Id, Sliced, Table, TableUndo, Touched, Tree};
use std::collections::BTreeMap;

/// Timers, connections with the messages that aren't confirmed, and answers.
#[derive(Clone)]
pub struct Beside<N: Tree> {
    /// The timers.
    pub timers: Table<Timer<N>>,
    /// The connections.
    pub connections: Table<Connection<N>>,
    /// The answers to commands with a key.
    pub answers: Table<Answer>,
}

/// These tables as they were before one event.
pub(crate) struct BesideUndo<N: Tree> {
    pub(super) timers: TableUndo<Timer<N>>,
    pub(super) connections: TableUndo<Connection<N>>,
    pub(super) answers: TableUndo<Answer>,
}

impl<N: Tree> Default for Beside<N> {
    fn default() -> Self {
        Self { timers: Table::new(), connections: Table::new(), answers: Table::new() }
    }
}

impl<N: Tree> Beside<N> {
    /// Ends an event of these tables: returns their state before it.
    #[inline]
    pub(crate) fn take_undo(&mut self, only: &EngineOnly) -> BesideUndo<N> {
        BesideUndo {
            timers: self.timers.take_undo(only),
            connections: self.connections.take_undo(only),
            answers: self.answers.take_undo(only),
        }
    }

    /// Visits everything that an event touched in these tables.
    pub(crate) fn visit_touched(&self, undo: &BesideUndo<N>, visit: &mut dyn FnMut(Touched<'_>)) {
        self.timers.visit_touched(&undo.timers, visit);
        self.connections.visit_touched(&undo.connections, visit);
        self.answers.visit_touched(&undo.answers, visit);
    }

    /// Visits every object of these tables.
    pub(crate) fn visit_objects(&self, visit: &mut dyn FnMut(Touched<'_>)) {
        self.timers.visit_objects(visit);
        self.connections.visit_objects(visit);
        self.answers.visit_objects(visit);
    }

    /// The tables, for writing in slices.
    pub(crate) fn slices(&mut self, only: &EngineOnly) -> [Sliced<'_>; 3] {
        [self.timers.sliced(only), self.connections.sliced(only), self.answers.sliced(only)]
    }

    #[inline]
    pub(crate) fn difference_since(&self, undo: &BesideUndo<N>, patch: &mut Patch) -> Result<(), WriteError> {
        // Most events touch none.
        if undo.timers.is_empty() && undo.connections.is_empty() && undo.answers.is_empty() {
            return Ok(());
        }
        self.timers.difference_since("/timers", &undo.timers, patch)?;
        self.connections.difference_since("/connections", &undo.connections, patch)?;
        if undo.answers.is_empty() {
            return Ok(());
        }
        let mut before = self.answers.len();
        for (key, old) in undo.answers.first_touches() {
            before += usize::from(old.is_some());
            before -= usize::from(self.answers.contains(&Id::new(key.clone())));
        }
        // A document without answers has no place for them, so the first one brings it.
        if before == 0 {
            patch.add("answers", &BTreeMap::<String, Json>::new())?;
        }
        self.answers.difference_since("/answers", &undo.answers, patch)
    }
}
