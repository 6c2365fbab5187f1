//! Where an engine keeps its document: a snapshot, and the journal of what came after it.
//!
//! [`Store`] is the whole interface. [`Directory`] keeps it in text files, through a [`Vfs`] so that a simulated disk
//! can replace the real one; [`Archive`] reads a past version from such a directory; [`verify`](verify()) and
//! [`Repair`] are for a damaged one; [`Memory`] keeps it in memory, for tests and examples. They take text and return
//! text; none of them interprets it.
//!
//! The requirements on any store are rules in [`conformance`], for the tests of other implementations; [`Buffer`] is the half
//! of a store that doesn't depend on where it keeps things. A store that several machines share is a [`Standby`] for those that
//! don't lead.
//!
//! [`Work`] is the part that touches the disk: it is taken out of a store, run on any thread, and returned. So this
//! library starts no thread, and one thread fills the next group of records while another makes the last one durable.
//!
//! Invariant: after any crash, [`Store::recover`] returns everything that a successful [`Store::sync`] has covered,
//! in order and without a gap, or reports where the damage is; it never makes up, reorders or skips a record.
//!
//! ```
//! use amiko_core::store::{Memory, Recovered, Recovery, Refused, Store};
//!
//! #[derive(Default)]
//! struct Log(Vec<String>);
//!
//! impl Recovery for Log {
//!     fn snapshot(&mut self, _sequence: u64, document: &str) -> Result<(), Refused> {
//!         self.0 = vec![document.to_owned()];
//!         Ok(())
//!     }
//!     fn record(&mut self, _sequence: u64, record: &str) -> Result<(), Refused> {
//!         self.0.push(record.to_owned());
//!         Ok(())
//!     }
//! }
//!
//! let mut store = Memory::new();
//! store.recover(&mut Log::default())?;
//! store.append(1, r#"{"seq":1,"deposit":7}"#)?;
//! store.sync()?; // or `begin_sync`, `Work::run` elsewhere, and `end_sync`
//! store.append(2, r#"{"seq":2,"deposit":8}"#)?; // never synced
//!
//! let mut log = Log::default();
//! let recovered: Recovered = store.crash().recover(&mut log)?;
//! assert_eq!(recovered.sequence, 1);
//! assert_eq!(log.0, [r#"{"seq":1,"deposit":7}"#]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod archive;
mod backup;
mod buffer;
mod checks;
mod classes;
pub mod conformance;
mod directory;
mod disk;
mod error;
mod files;
mod format;
mod journal;
mod kept;
mod memory;
mod recovery;
mod repair;
mod retention;
mod snapshot;
mod standby;
mod verify;
mod vfs;
mod walk;

#[cfg(test)]
mod tests;

use crate::serializable::Classes;
use crate::time::Time;
use std::path::PathBuf;
use std::time::Duration;

pub use archive::{Archive, NoWork};
pub use backup::{Backup, BackupError, backup};
pub use buffer::{Batch, Buffer, Group, GroupFault, SnapshotStep, checksum, read_group};
pub use classes::{classes, classes_with_vfs};
pub use directory::{Directory, DirectorySettings};
pub use disk::{DirectoryDone, DirectoryWork};
pub use error::{OpenError, RecoverError, StoreError};
pub use kept::{Kept, KeptReader, KeptWriter};
pub use memory::{Memory, MemoryDone, MemoryWork};
pub use repair::{Repair, RepairError, Repaired};
pub use retention::Retention;
pub use standby::{Leader, Standby, Takeover};
pub use verify::{FileKind, FileReport, Finding, Inspection, Report, verify, verify_with_vfs};
pub use vfs::{Access, LockError, OsVfs, Vfs, VfsFile};
pub use walk::{Walked, walk, walk_with_vfs};

/// Where an engine keeps its document: a snapshot, and the journal of what came after it.
///
/// The order of calls: [`recover`](Store::recover) once and first, then any number of the others.
/// Sequence numbers begin at 1 and have no gaps.
///
/// An error about an argument ([`StoreError::Sequence`], [`StoreError::Record`], …) has changed nothing. An I/O error
/// poisons the store: the contents of the disk are no longer known, so every later call fails with
/// [`StoreError::Poisoned`] until the store is reopened.
pub trait Store {
    /// The disk part of a sync.
    type Work: Work;

    /// Reads everything back: the newest snapshot, if there is one, then each journal record that
    /// follows it, in order.
    ///
    /// # Errors
    ///
    /// [`RecoverError`], with the place, if anything but the tail of the journal is damaged or
    /// missing, or if the visitor refuses. The store can't be used then; unless the disk itself
    /// failed, its files are as they were.
    fn recover(&mut self, visitor: &mut dyn Recovery) -> Result<Recovered, RecoverError>;

    /// Takes one record into a buffer; nothing is on disk before a [`sync`](Store::sync) that
    /// begins after it.
    ///
    /// `sequence` is the previous one plus one. `record` is a JSON object in one line, without
    /// newline, that begins with `{"seq":<sequence>`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Sequence`] and [`StoreError::Record`] for a record that isn't as described;
    /// [`StoreError::BufferFull`] if the buffer has to be synced first;
    /// [`StoreError::RecordTooLarge`] if it can never hold the record.
    fn append(&mut self, sequence: u64, record: &str) -> Result<(), StoreError>;

    /// Takes out the work that makes everything given so far durable: one write and one fdatasync
    /// for all records (one more of each where the file has to grow first), and what there is of
    /// a snapshot. None if there is nothing to do.
    ///
    /// The work belongs to this store: it is run, and given back to [`end_sync`](Store::end_sync).
    /// Meanwhile records and snapshots are taken as always, for the next one.
    ///
    /// # Errors
    ///
    /// [`StoreError::UnderWay`] if one is out already.
    fn begin_sync(&mut self) -> Result<Option<Self::Work>, StoreError>;

    /// The same without the fdatasync, where the store knows the difference: what is written
    /// survives the end of the process, but not that of the machine. Finishing a snapshot syncs in
    /// any case.
    ///
    /// # Errors
    ///
    /// As [`begin_sync`](Store::begin_sync).
    fn begin_write(&mut self) -> Result<Option<Self::Work>, StoreError> {
        self.begin_sync()
    }

    /// Takes back work that was run. `Ok` means that everything given before it was begun is
    /// durable, or written.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`]; the store is poisoned then, because a second fsync on a file whose
    /// first has failed can succeed without the data being there. [`StoreError::NotUnderWay`] if
    /// none is out.
    fn end_sync(&mut self, done: <Self::Work as Work>::Done) -> Result<(), StoreError>;

    /// Makes everything given so far durable, here and now: `Ok` means durable.
    ///
    /// # Errors
    ///
    /// Those of [`begin_sync`](Store::begin_sync) and [`end_sync`](Store::end_sync).
    fn sync(&mut self) -> Result<(), StoreError> {
        match self.begin_sync()? {
            Some(work) => self.end_sync(work.run()),
            None => Ok(()),
        }
    }

    /// Begins a snapshot of the state as of `sequence`, the last one appended; `time` is that of
    /// the event that made it.
    ///
    /// A new part of the journal begins with the next record, so records may be appended and
    /// synced until the snapshot is finished, and after. A snapshot that was begun before and not
    /// finished is given up.
    ///
    /// # Errors
    ///
    /// [`StoreError::Sequence`] if `sequence` isn't the last one appended.
    fn begin_snapshot(&mut self, sequence: u64, time: Time) -> Result<(), StoreError>;

    /// Takes the next piece of the snapshot into a buffer, of any size. Together the pieces are
    /// one JSON object with at least one member, from `{` to `}` with nothing around it.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSnapshot`] without a [`begin_snapshot`](Store::begin_snapshot);
    /// [`StoreError::BufferFull`] if the buffer has to be synced first.
    fn write_snapshot(&mut self, piece: &str) -> Result<(), StoreError>;

    /// Ends the snapshot. The next sync makes it durable, and then removes what it replaces: older
    /// snapshots, and the journal up to it. A crash before leaves the old ones in force.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSnapshot`] without a [`begin_snapshot`](Store::begin_snapshot);
    /// [`StoreError::Document`] if the pieces aren't a JSON object, the snapshot is given up
    /// then.
    fn finish_snapshot(&mut self) -> Result<(), StoreError>;

    /// Keeps what the program says of its classes ([`Classes::to_text`]), for those who read the store without having them. It
    /// comes after [`recover`](Store::recover), and isn't needed to read anything back. What was kept before, and isn't said
    /// any more, still counts: old records are full of it. A store that nobody reads in this way ignores it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`]; the store goes on.
    fn describe(&mut self, classes: &Classes) -> Result<(), StoreError> {
        let _ = classes;
        Ok(())
    }

    /// For how long what this store has handed over and taken is the newest state for certain; none means for ever. Where several
    /// machines share a store, one of them leads for the time of a lease, which it renews; a leader whose lease has run out, by
    /// its own clock, answers no questions any more.
    ///
    /// # Errors
    /// [`StoreError::Fenced`].
    fn lease(&self) -> Result<Option<Duration>, StoreError> {
        Ok(None)
    }

    /// The numbers for deciding on compaction. Meaningless for a store that isn't recovered, or is poisoned.
    fn usage(&self) -> Usage;
}

/// The disk part of a sync. It can run on another thread.
///
/// If work is dropped without being run, or isn't returned, its store has no disk any more and must be reopened.
pub trait Work: Send + 'static {
    /// The outcome, for the store.
    type Done: Send + 'static;

    /// Whether it waits for another machine: that may take a second whenever the network wants it, however quick it was before, so
    /// it is never run in an event loop.
    const REMOTE: bool = false;

    /// Runs the work.
    fn run(self) -> Self::Done;
}

/// Receives everything that [`Store::recover`] reads.
///
/// An error from its methods stops the recovery; the store adds file, line and byte to it.
pub trait Recovery {
    /// The newest snapshot, as of `sequence`, as it was written. Called at most once, and first.
    ///
    /// # Errors
    ///
    /// [`Refused`], if this isn't a document that can be read.
    fn snapshot(&mut self, sequence: u64, document: &str) -> Result<(), Refused>;

    /// One record, exactly as it was appended.
    ///
    /// # Errors
    ///
    /// [`Refused`], if this isn't a record that can be applied.
    fn record(&mut self, sequence: u64, record: &str) -> Result<(), Refused>;
}

/// Why a [`Recovery`] refuses a text, and the place in that text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What was expected and what was found; lower case, no full stop.
    pub reason: String,
    /// Offset in bytes from the start of the text that was handed over.
    pub byte: u64,
    /// Line within the text that was handed over, from 1.
    pub line: u64,
}

/// The result of [`Store::recover`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The last sequence number that was recovered; 0 for a store that was empty.
    pub sequence: u64,
    /// What was cut off the end of the journal, if anything was.
    pub torn: Option<Torn>,
    /// Newer snapshots that are damaged: an older one and the whole journal since led to the same
    /// state. The newest first.
    pub damaged: Vec<Damaged>,
}

/// A damaged snapshot that wasn't needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// Its file.
    pub file: PathBuf,
    /// Where it is damaged, what was expected, and what was found.
    pub reason: String,
}

/// The end of a journal that a crash left half-written, and that was cut off.
///
/// It contains nothing that was synced, unless the medium itself lost it: damage to the quotes or the brackets of the
/// very last group of records is indistinguishable from a write that never ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// The file that was cut.
    pub file: PathBuf,
    /// The first line that was cut, from 1.
    pub line: u64,
    /// Offset in bytes of the cut from the start of the file.
    pub byte: u64,
    /// Bytes from the cut to the last one that wasn't a newline.
    pub bytes_cut: u64,
}

/// The numbers for deciding on compaction, and on the next sync.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of journal records since the newest finished snapshot, buffered ones included: what a
    /// recovery has to replay.
    pub journal: u64,
    /// Bytes of the newest finished snapshot; 0 if there is none.
    pub snapshot: u64,
    /// Bytes of records and snapshots that wait for a sync to begin.
    pub buffered: u64,
}
