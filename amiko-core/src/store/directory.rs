//! A store in a directory of text files.
//!
//! Invariant: a snapshot `snapshot-<n>.json` has a `journal-<n+1>.jsonl`, durably, before it
//! exists itself; so a journal that was lost can't be taken for one that was never written.

use std::path::Path;

use super::error::{Failure, OpenError, RecoverError, StoreError, Trying, with_sources};
use super::files::{Files, Inventory};
use super::journal::{self, Replayed, Segment};
use super::snapshot;
use super::vfs::{LockError, OsVfs, Vfs, VfsFile};
use super::{Recovered, Recovery, Store, Usage, checks, format};

/// How a [`Directory`] uses its disk and its memory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DirectorySettings {
    /// Bytes by which a journal file grows, filled with newlines beforehand, so that a sync needn't
    /// change its size. Default 1 MiB; taken as at least 1 byte and at most 1 GiB.
    pub segment_chunk: u64,
    /// Bytes of records, as they are written, that may wait for a sync. Default 64 MiB.
    pub buffer_limit: u64,
}

impl Default for DirectorySettings {
    fn default() -> Self {
        Self { segment_chunk: 1 << 20, buffer_limit: checks::BUFFER_LIMIT }
    }
}

impl DirectorySettings {
    /// Sets [`segment_chunk`](Self::segment_chunk), in bytes.
    #[must_use]
    pub fn segment_chunk(mut self, bytes: u64) -> Self {
        self.segment_chunk = bytes;
        self
    }

    /// Sets [`buffer_limit`](Self::buffer_limit), in bytes.
    #[must_use]
    pub fn buffer_limit(mut self, bytes: u64) -> Self {
        self.buffer_limit = bytes;
        self
    }
}

/// A [`Store`] in a directory, locked while it is open.
///
/// | file | what it holds |
/// |---|---|
/// | `snapshot-<n>.json` | one JSON document, as of sequence number n; its last member is the checksum |
/// | `journal-<n>.jsonl` | a header, then the records from sequence number n on, one a line, each with its checksum; then empty lines |
/// | `LOCK` | the ID of the process that has the store open |
///
/// All of them are readable for their owner only. Dropping the store loses what wasn't synced.
#[derive(Debug)]
pub struct Directory<V: Vfs = OsVfs> {
    files: Files<V>,
    settings: DirectorySettings,
    state: State<V::File>,
    // Last, so that all the other files are closed when somebody else may have the lock.
    _lock: V::Lock,
}

#[derive(Debug)]
enum State<F> {
    Opened,
    Ready(Ready<F>),
    Poisoned(String),
}

/// A store that takes records.
#[derive(Debug)]
struct Ready<F> {
    segment: Segment<F>,
    /// The last one appended.
    sequence: u64,
    /// The first one in the buffer, if there is one.
    group: u64,
    /// The lines that the next sync writes.
    buffer: Vec<u8>,
    usage: Usage,
    snapshot: Option<Snapshot<F>>,
}

#[derive(Debug)]
struct Snapshot<F> {
    writer: snapshot::Writer<F>,
    /// `usage.journal` when it was begun.
    replaces: u64,
}

impl Directory {
    /// Opens a store, with the default settings; creates the directory if it isn't there.
    ///
    /// # Errors
    ///
    /// [`OpenError::Locked`] if another process, or this one, has it open already;
    /// [`OpenError::Io`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::open_with(path, DirectorySettings::default())
    }

    /// Opens a store; creates the directory if it isn't there.
    ///
    /// # Errors
    ///
    /// As [`Directory::open`].
    pub fn open_with(path: impl AsRef<Path>, settings: DirectorySettings) -> Result<Self, OpenError> {
        Self::open_with_vfs(path, settings, OsVfs)
    }
}

impl<V: Vfs> Directory<V> {
    /// Opens a store on another file system than that of the operating system.
    ///
    /// # Errors
    ///
    /// As [`Directory::open`].
    pub fn open_with_vfs(path: impl AsRef<Path>, settings: DirectorySettings, vfs: V) -> Result<Self, OpenError> {
        let directory = path.as_ref().to_owned();
        vfs.create_dir(&directory).trying("create the directory", &directory)?;
        let lock_path = directory.join("LOCK");
        let lock = match vfs.lock(&lock_path) {
            Ok(lock) => lock,
            Err(LockError::Held { holder }) => {
                return Err(OpenError::Locked { path: directory, holder });
            }
            Err(LockError::Io(source)) => {
                return Err(OpenError::Io { action: "lock", path: lock_path, source });
            }
        };
        let files = Files { vfs, directory };
        Ok(Self { files, settings, state: State::Opened, _lock: lock })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.files.directory
    }

    /// Runs one operation on a store that takes records, and poisons it if the disk failed.
    fn run<T>(
        &mut self,
        operation: impl FnOnce(&Files<V>, &DirectorySettings, &mut Ready<V::File>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let ready = match &mut self.state {
            State::Opened => return Err(StoreError::NotRecovered),
            State::Poisoned(cause) => {
                return Err(StoreError::Poisoned { cause: cause.clone() });
            }
            State::Ready(ready) => ready,
        };
        let result = operation(&self.files, &self.settings, ready);
        if let Err(error @ StoreError::Io { .. }) = &result {
            self.state = State::Poisoned(with_sources(error));
        }
        result
    }

    fn replay(&self, visitor: &mut dyn Recovery) -> Result<(Recovered, Ready<V::File>), RecoverError> {
        let files = &self.files;
        let inventory = files.inventory()?;
        let snapshot = inventory.snapshots.last().copied();
        let mut usage = Usage::default();
        if let Some(sequence) = snapshot {
            usage.snapshot = snapshot::replay(files, sequence, visitor)?;
        }
        let mut sequence = snapshot.unwrap_or(0);
        let mut last: Option<Replayed<V::File>> = None;
        let replaced = inventory.segments.partition_point(|first| *first <= sequence);
        let segments = &inventory.segments[replaced..];
        for (index, &first) in segments.iter().enumerate() {
            if first != sequence.saturating_add(1) {
                return Err(self.gap(&inventory, sequence, Some(first)));
            }
            let replayed = journal::replay(files, first, index + 1 == segments.len(), visitor)?;
            sequence = replayed.sequence;
            usage.journal += replayed.records;
            last = Some(replayed);
        }

        // Only now is it known that nothing is wrong; until here no file has been changed.
        let (segment, torn) = match last {
            Some(Replayed { mut segment, torn, .. }) => {
                segment.settle(torn.as_ref())?;
                (segment, torn)
            }
            None if snapshot.is_none() => (Segment::create(files, 1, self.settings.segment_chunk)?, None),
            None => return Err(self.gap(&inventory, sequence, None)),
        };
        files.sync()?;
        files.sweep()?;
        let ready = Ready { segment, sequence, group: 0, buffer: Vec::new(), usage, snapshot: None };
        Ok((Recovered { sequence, torn }, ready))
    }

    /// Names the file whose absence is most likely what went wrong.
    fn gap(&self, inventory: &Inventory, reached: u64, resumes: Option<u64>) -> RecoverError {
        match resumes {
            Some(first) if inventory.snapshots.is_empty() && reached == 0 => RecoverError::MissingSnapshot {
                path: self.files.snapshot(first - 1),
                segment: self.files.segment(first),
            },
            _ => {
                let path = self.files.segment(reached.saturating_add(1));
                RecoverError::MissingSegment { path, reached, resumes }
            }
        }
    }
}

impl<F: VfsFile> Ready<F> {
    fn append(&mut self, sequence: u64, record: &str, limit: u64) -> Result<(), StoreError> {
        checks::record(self.sequence, sequence, record)?;
        let group = if self.buffer.is_empty() { sequence } else { self.group };
        let size = format::sealed_len(group, sequence, record) as u64;
        checks::room(limit, self.buffer.len() as u64, sequence, size)?;
        format::seal_record(&mut self.buffer, group, sequence, record);
        self.group = group;
        self.sequence = sequence;
        self.usage.journal += size;
        Ok(())
    }

    fn sync(&mut self, settings: &DirectorySettings) -> Result<(), Failure> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.segment.write(&self.buffer, settings.segment_chunk)?;
        self.buffer.clear();
        Ok(())
    }
}

impl<V: Vfs> Store for Directory<V> {
    fn recover(&mut self, visitor: &mut dyn Recovery) -> Result<Recovered, RecoverError> {
        if !matches!(self.state, State::Opened) {
            return Err(RecoverError::NotFresh);
        }
        match self.replay(visitor) {
            Ok((recovered, ready)) => {
                self.state = State::Ready(ready);
                Ok(recovered)
            }
            Err(error) => {
                self.state = State::Poisoned(with_sources(&error));
                Err(error)
            }
        }
    }

    fn append(&mut self, sequence: u64, record: &str) -> Result<(), StoreError> {
        self.run(|_, settings, ready| ready.append(sequence, record, settings.buffer_limit))
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.run(|_, settings, ready| Ok(ready.sync(settings)?))
    }

    fn begin_snapshot(&mut self, sequence: u64) -> Result<(), StoreError> {
        self.run(|files, settings, ready| {
            if sequence != ready.sequence {
                return Err(StoreError::Sequence { expected: ready.sequence, found: sequence });
            }
            // What the old segment is to hold has to be durable before there is a newer one:
            // recovery takes only the last segment for one that may be torn.
            ready.sync(settings)?;
            let first = sequence.saturating_add(1);
            if ready.segment.first != first {
                ready.segment = Segment::create(files, first, settings.segment_chunk)?;
            }
            let writer = snapshot::Writer::create(files, sequence)?;
            ready.snapshot = Some(Snapshot { writer, replaces: ready.usage.journal });
            Ok(())
        })
    }

    fn write_snapshot(&mut self, piece: &str) -> Result<(), StoreError> {
        self.run(|_, _, ready| {
            let snapshot = ready.snapshot.as_mut().ok_or(StoreError::NoSnapshot)?;
            Ok(snapshot.writer.write(piece)?)
        })
    }

    fn finish_snapshot(&mut self) -> Result<(), StoreError> {
        self.run(|files, _, ready| {
            let Snapshot { writer, replaces } = ready.snapshot.take().ok_or(StoreError::NoSnapshot)?;
            ready.usage.snapshot = writer.finish(files)?;
            ready.usage.journal -= replaces;
            Ok(files.sweep()?)
        })
    }

    fn usage(&self) -> Usage {
        match &self.state {
            State::Ready(ready) => ready.usage,
            State::Opened | State::Poisoned(_) => Usage::default(),
        }
    }
}
