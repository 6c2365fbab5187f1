//! Where an engine keeps its document: a snapshot, and the journal of what came after it.
//!
//! [`Store`] is the whole interface. [`Directory`] keeps it in text files, through a [`Vfs`] so
//! that a simulated disk can take the place of the real one; [`Memory`] keeps it in memory, for
//! tests and examples. Both take text and give text back; neither knows what is in it.
//!
//! Invariant: what a successful [`Store::sync`] has covered comes back from [`Store::recover`]
//! after any crash, in order and without a gap, or recovery says where the damage is; it never
//! makes up, reorders or skips a record.
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
//! store.sync()?;
//! store.append(2, r#"{"seq":2,"deposit":8}"#)?; // never synced
//!
//! let mut log = Log::default();
//! let recovered: Recovered = store.crash().recover(&mut log)?;
//! assert_eq!(recovered.sequence, 1);
//! assert_eq!(log.0, [r#"{"seq":1,"deposit":7}"#]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod checks;
mod directory;
mod error;
mod files;
mod format;
mod journal;
mod memory;
mod snapshot;
mod vfs;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use directory::{Directory, DirectorySettings};
pub use error::{OpenError, RecoverError, StoreError};
pub use memory::Memory;
pub use vfs::{Access, LockError, OsVfs, Vfs, VfsFile};

/// Where an engine keeps its document: a snapshot, and the journal of what came after it.
///
/// The order of calls: [`recover`](Store::recover) once and first, then any number of the others.
/// Sequence numbers begin at 1 and have no gaps.
///
/// An error that is about an argument ([`StoreError::Sequence`], [`StoreError::Record`], …) has
/// changed nothing. An I/O error poisons the store: what the disk holds is no longer known, so
/// every later call fails with [`StoreError::Poisoned`] until the store is opened anew.
pub trait Store {
    /// Reads everything back: the newest snapshot, if there is one, then each journal record that
    /// follows it, in order.
    ///
    /// # Errors
    ///
    /// [`RecoverError`], with the place, if anything but the tail of the journal is damaged or
    /// missing, or if the visitor refuses. The store can't be used then; unless the disk itself
    /// failed, its files are as they were.
    fn recover(&mut self, visitor: &mut dyn Recovery) -> Result<Recovered, RecoverError>;

    /// Takes one record into a buffer; nothing is on disk before [`sync`](Store::sync).
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

    /// Makes everything appended since the last sync durable, with one write and one fdatasync
    /// (one more of each where the file has to grow first).
    ///
    /// `Ok` means durable. With nothing to write it does nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`]; the store is poisoned then, because a second fsync on a file whose
    /// first has failed can succeed without the data being there.
    fn sync(&mut self) -> Result<(), StoreError>;

    /// Begins a snapshot of the state as of `sequence`, the last one appended.
    ///
    /// Syncs what is appended and begins a new part of the journal, so records may be appended
    /// and synced until the snapshot is finished, and after. A snapshot that was begun before and
    /// not finished is given up.
    ///
    /// # Errors
    ///
    /// [`StoreError::Sequence`] if `sequence` isn't the last one appended; [`StoreError::Io`].
    fn begin_snapshot(&mut self, sequence: u64) -> Result<(), StoreError>;

    /// Writes the next piece of the snapshot, of any size. Together the pieces are one JSON
    /// object with at least one member, from `{` to `}` with nothing around it.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSnapshot`] without a [`begin_snapshot`](Store::begin_snapshot);
    /// [`StoreError::Io`].
    fn write_snapshot(&mut self, piece: &str) -> Result<(), StoreError>;

    /// Makes the snapshot durable, then removes what it replaces: older snapshots, and the
    /// journal up to it. A crash before the end of this call leaves the old ones in force.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSnapshot`] without a [`begin_snapshot`](Store::begin_snapshot);
    /// [`StoreError::Document`] if the pieces aren't a JSON object, the snapshot is given up
    /// then; [`StoreError::Io`].
    fn finish_snapshot(&mut self) -> Result<(), StoreError>;

    /// What decides on compaction. Says nothing about a store that isn't recovered, or poisoned.
    fn usage(&self) -> Usage;
}

/// What [`Store::recover`] hands everything over to.
///
/// An error from here stops the recovery; the store adds file, line and byte to it.
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

/// Why a [`Recovery`] won't have a text, and the place in that text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What was expected and what was found; lower case, no full stop.
    pub reason: String,
    /// Offset in bytes from the start of the text that was handed over.
    pub byte: u64,
    /// Line within the text that was handed over, from 1.
    pub line: u64,
}

/// How far [`Store::recover`] came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The last sequence number that was recovered; 0 for a store that was empty.
    pub sequence: u64,
    /// What was cut off the end of the journal, if anything was.
    pub torn: Option<Torn>,
}

/// The end of a journal that a crash left half-written, and that was cut off.
///
/// Nothing that was synced is in it, unless the medium itself lost it: damage to the very last
/// group of records can't be told from a write that never ended.
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

/// What decides on compaction: how much a recovery has to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of journal records since the newest finished snapshot, buffered ones included.
    pub journal: u64,
    /// Bytes of the newest finished snapshot; 0 if there is none.
    pub snapshot: u64,
}
