//! Snapshots, written in slices between events, so that no pause grows with the state.
//!
//! Invariant: a finished snapshot holds the version at which it was begun, whatever has happened since.

use super::{Engine, SyncError, document};
use crate::dispatcher::Dispatcher;
use crate::machine::Node;
use crate::serializable::{Hole, Lines, Writer};
use crate::store::{Store, StoreError};
use crate::tree::{EngineOnly, Sliced};

/// Bytes of text passed to the store at once.
const PIECE: usize = 256 << 10;
/// Minimum bytes per slice, since each slice has to find its place in the table again.
const SLICE: usize = 16 << 10;

/// The state of a snapshot.
#[derive(Default)]
pub(super) enum Compaction {
    /// There is none.
    #[default]
    Idle,
    /// A run didn't live to finish one: the next event makes it as a whole.
    Overdue,
    /// It is being written.
    Writing(Slicing),
    /// The store has all of it; the next sync makes it durable.
    Given,
}

pub(super) struct Slicing {
    /// The document without the entries of its tables.
    outline: String,
    holes: Vec<Hole>,
    /// The hole that comes next, or is being filled.
    hole: usize,
    /// How much of the outline has been written.
    at: usize,
    /// Text that hasn't been passed to the store yet.
    piece: Writer,
    /// Bytes that the journal has grown by, times the pace, since the last slice.
    due: usize,
}

impl Compaction {
    pub(super) fn is_given(&self) -> bool {
        matches!(self, Self::Given)
    }

    pub(super) fn end(&mut self) {
        *self = Self::Idle;
    }
}

impl<N: Node, S: Store> Engine<N, S> {
    /// Whether a snapshot is being written: then a sync may have a large part of it to do, or all of its end.
    pub fn is_writing_snapshot(&self) -> bool {
        !matches!(self.compaction, Compaction::Idle)
    }

    /// Writes the part of a snapshot that is due: a little with each record, in proportion to its length.
    pub(super) fn compact(&mut self) {
        let overdue = matches!(self.compaction, Compaction::Overdue);
        let due = match &mut self.compaction {
            Compaction::Idle | Compaction::Overdue => {
                if !overdue && !self.snapshot_is_due() {
                    return;
                }
                if let Err(error) = self.begin_snapshot() {
                    self.give_up(error);
                    return;
                }
                if overdue { usize::MAX } else { PIECE }
            }
            Compaction::Writing(slicing) => {
                let pace = usize::try_from(self.settings.snapshot_pace.max(1)).unwrap_or(usize::MAX);
                slicing.due = slicing.due.saturating_add(self.record.saturating_mul(pace));
                if slicing.due < SLICE {
                    return;
                }
                std::mem::take(&mut slicing.due)
            }
            Compaction::Given => return,
        };
        match self.write_slices(due) {
            Ok(()) => {}
            // The next sync makes room.
            Err(SyncError::Store(StoreError::BufferFull { .. })) => {
                if let Compaction::Writing(slicing) = &mut self.compaction {
                    slicing.due = due;
                }
            }
            Err(error) => self.give_up(error),
        }
    }

    /// Whether the journal has grown so long that a snapshot should take its place.
    fn snapshot_is_due(&self) -> bool {
        let usage = self.store.usage();
        let large = usage.snapshot.saturating_mul(self.settings.snapshot_ratio);
        usage.journal > large.max(self.settings.snapshot_minimum)
    }

    /// After recovery: short runs would begin one snapshot after the other, and finish none. Made as a whole it takes less time than
    /// the replay of so long a journal took; and opening writes nothing, so that it works on a full disk.
    pub(super) fn hurry_snapshot(&mut self) {
        if self.snapshot_is_due() {
            self.compaction = Compaction::Overdue;
        }
    }

    fn begin_snapshot(&mut self) -> Result<(), SyncError> {
        let all = tables(&mut self.node, &mut self.event.dispatcher, &self.only);
        all.into_iter().enumerate().for_each(|(number, Sliced(table))| table.freeze(number));
        let out = Writer::new().with_lines(Lines::PerEntry).with_holes();
        let beside = self.event.dispatcher.beside();
        let mut out = document::write_document(out, self.version, &self.node, beside).map_err(SyncError::Write)?;
        self.store.begin_snapshot(self.version.0, self.event.now).map_err(SyncError::Store)?;
        let holes = out.take_holes();
        // A table that is empty may have no place in the document.
        let tables = tables(&mut self.node, &mut self.event.dispatcher, &self.only);
        let without =
            tables.into_iter().enumerate().filter(|(number, _)| holes.iter().all(|hole| hole.table != *number));
        without.for_each(|(_, Sliced(table))| table.thaw());
        self.compaction = Compaction::Writing(Slicing {
            holes,
            outline: out.into_string(),
            hole: 0,
            at: 0,
            piece: Writer::new().with_lines(Lines::PerEntry),
            due: 0,
        });
        Ok(())
    }

    /// Writes about `length` bytes. If the buffer is full, the error leaves everything unchanged.
    fn write_slices(&mut self, length: usize) -> Result<(), SyncError> {
        let Compaction::Writing(slicing) = &mut self.compaction else { return Ok(()) };
        let mut tables = tables(&mut self.node, &mut self.event.dispatcher, &self.only);
        if slicing.write(&mut tables, &mut self.store, length)? {
            self.compaction = Compaction::Given;
        }
        Ok(())
    }

    /// Writes a whole snapshot at once, durably.
    pub(super) fn snapshot_at_once(&mut self) -> Result<(), SyncError> {
        self.begin_snapshot()?;
        while let Err(error) = self.write_slices(usize::MAX) {
            match error {
                SyncError::Store(StoreError::BufferFull { .. }) => self.store.sync().map_err(SyncError::Store)?,
                error => return Err(error),
            }
        }
        self.store.sync().map_err(SyncError::Store)?;
        self.compaction = Compaction::Idle;
        Ok(())
    }

    /// Makes the tables drop what they keep for a snapshot.
    pub(super) fn abandon_snapshot(&mut self) {
        let tables = tables(&mut self.node, &mut self.event.dispatcher, &self.only);
        tables.into_iter().for_each(|Sliced(table)| table.thaw());
        self.compaction = Compaction::Idle;
    }

    /// The event itself stands; the next sync reports the error.
    fn give_up(&mut self, error: SyncError) {
        self.abandon_snapshot();
        self.failure = Some(self.fail(error));
    }
}

impl Slicing {
    /// Writes about `length` bytes. Returns whether the store has everything now.
    fn write<S: Store>(&mut self, tables: &mut [Sliced<'_>], store: &mut S, length: usize) -> Result<bool, SyncError> {
        let mut left = length;
        loop {
            let complete = self.hole == self.holes.len() && self.at == self.outline.len();
            if complete || self.piece.as_str().len() >= PIECE {
                store.write_snapshot(self.piece.as_str()).map_err(SyncError::Store)?;
                self.piece.clear();
            }
            if complete {
                store.finish_snapshot().map_err(SyncError::Store)?;
                return Ok(true);
            }
            if left == 0 {
                return Ok(false);
            }
            let before = self.piece.as_str().len();
            let end = self.holes.get(self.hole).map_or(self.outline.len(), |hole| hole.at);
            if self.at < end {
                self.piece.raw(&self.outline[self.at..end]);
                self.at = end;
            } else if let Some(&hole) = self.holes.get(self.hole) {
                let done = match tables.get_mut(hole.table) {
                    Some(Sliced(table)) => table
                        .write_slice(hole, &mut self.piece, left.min(PIECE.saturating_sub(before)))
                        .map_err(SyncError::Write)?,
                    None => true,
                };
                self.hole += usize::from(done);
            }
            left = left.saturating_sub(self.piece.as_str().len() - before);
        }
    }
}

/// All tables of the document.
fn tables<'t, N: Node>(node: &'t mut N, dispatcher: &'t mut Dispatcher<N>, only: &EngineOnly) -> Vec<Sliced<'t>> {
    let mut tables = node.slices(only);
    tables.extend(dispatcher.slices(only));
    tables
}
