//! What a directory does on its disk: the one owner of its open files.
//!
//! Invariant: it is moved into the work that uses it and moved back when that has succeeded; after a failure there is
//! none any more, so that nothing is ever synced or written twice.

use std::fmt;
use std::mem;
use std::sync::Arc;

use super::Work;
use super::error::{Failure, StoreError};
use super::files::Files;
use super::journal::Segment;
use super::retention::Retention;
use super::snapshot;
use super::vfs::Vfs;
use crate::time::Time;

/// The open files of a directory.
pub(super) struct Disk<V: Vfs> {
    pub(super) files: Files<V>,
    pub(super) segment: Segment<V::File>,
    pub(super) snapshot: Option<snapshot::Writer<V::File>>,
    pub(super) chunk: u64,
    pub(super) retention: Retention,
    /// Held until the last of those who may write is gone.
    pub(super) _lock: Arc<V::Lock>,
}

/// One thing to do, in order.
pub(super) enum Step {
    /// Writes whole lines to the journal.
    Lines(Vec<u8>),
    /// Begins another segment, and a snapshot of what is before it.
    Begin {
        /// The number of the first record after the snapshot.
        first: u64,
        time: Time,
    },
    /// Writes a piece of the snapshot.
    Piece(Vec<u8>),
    /// Makes the snapshot durable, and removes what it replaces.
    Finish,
}

/// The [`Work`] of a [`Directory`](super::Directory).
#[must_use = "the store has no disk until the work is run and given back"]
pub struct DirectoryWork<V: Vfs> {
    pub(super) disk: Disk<V>,
    pub(super) steps: Vec<Step>,
    /// Whether records are only to be written.
    pub(super) write_only: bool,
}

/// The result of [`DirectoryWork`].
pub struct DirectoryDone<V: Vfs> {
    pub(super) outcome: Result<Finished<V>, StoreError>,
}

pub(super) struct Finished<V: Vfs> {
    pub(super) disk: Disk<V>,
    /// Bytes of the snapshot that was finished, if one was.
    pub(super) snapshot: Option<u64>,
    /// An empty buffer, to be filled again.
    pub(super) spare: Vec<u8>,
}

impl<V: Vfs> fmt::Debug for DirectoryWork<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectoryWork").field("steps", &self.steps.len()).finish_non_exhaustive()
    }
}

impl<V: Vfs> fmt::Debug for DirectoryDone<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = self.outcome.as_ref().err();
        f.debug_struct("DirectoryDone").field("error", &error).finish_non_exhaustive()
    }
}

impl<V: Vfs> Work for DirectoryWork<V> {
    type Done = DirectoryDone<V>;

    fn run(self) -> DirectoryDone<V> {
        let Self { mut disk, steps, write_only } = self;
        let mut finished = None;
        let mut spare = Vec::new();
        for step in steps {
            match disk.step(step, write_only, &mut spare) {
                Ok(snapshot) => finished = snapshot.or(finished),
                Err(failure) => return DirectoryDone { outcome: Err(failure.into()) },
            }
        }
        if !write_only && let Err(failure) = disk.segment.sync() {
            return DirectoryDone { outcome: Err(failure.into()) };
        }
        DirectoryDone { outcome: Ok(Finished { disk, snapshot: finished, spare }) }
    }
}

impl<V: Vfs> Disk<V> {
    /// Gives the bytes of a snapshot, if this finished one.
    fn step(&mut self, step: Step, write_only: bool, spare: &mut Vec<u8>) -> Result<Option<u64>, Failure> {
        match step {
            Step::Lines(mut lines) => {
                self.segment.write(&lines, self.chunk)?;
                if !write_only {
                    self.segment.sync()?;
                }
                lines.clear();
                *spare = lines;
            }
            Step::Begin { first, time } => {
                if self.segment.first != first {
                    // What the old segment is to hold has to be durable before there is a newer one: recovery takes
                    // only the last segment for one that may be torn.
                    self.segment.sync()?;
                    self.segment = Segment::create(&self.files, first, Some(self.segment.first), time, self.chunk)?;
                }
                self.snapshot = Some(snapshot::Writer::create(&self.files, first - 1)?);
            }
            Step::Piece(piece) => {
                if let Some(writer) = &mut self.snapshot {
                    writer.write(&piece)?;
                }
            }
            Step::Finish => {
                if let Some(writer) = mem::take(&mut self.snapshot) {
                    let (sequence, size) = writer.finish(&self.files)?;
                    self.files.sweep(sequence, self.retention)?;
                    return Ok(Some(size));
                }
            }
        }
        Ok(None)
    }
}
