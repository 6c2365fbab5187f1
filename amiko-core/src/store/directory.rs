//! A store in a directory of text files.
//!
//! Invariant: a snapshot `snapshot-<n>.json` has a `journal-<n+1>.jsonl`, durably, before it
//! exists itself; so a journal that was lost can't be taken for one that was never written.

use std::fmt;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::archive::Archive;
use super::disk::{DirectoryDone, DirectoryWork, Disk, Finished, Step};
use super::error::{OpenError, RecoverError, StoreError, Trying, with_sources};
use super::files::Files;
use super::format::Members;
use super::journal::Segment;
use super::retention::Retention;
use super::vfs::{Access, OsVfs, Vfs};
use super::{Recovered, Recovery, Store, Usage, checks, recovery};
use crate::serializable::Classes;
use crate::time::Time;

/// Disk and memory settings of a [`Directory`].
///
/// ```
/// use amiko_core::store::{DirectorySettings, Retention};
/// let mut settings = DirectorySettings::default();
/// settings.retention = Retention::Forever;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DirectorySettings {
    /// Bytes by which a journal file grows, filled with newlines beforehand, so that a sync needn't
    /// change its size; it begins with 64 KiB and doubles until it has this size. Default 1 MiB; taken as at least 1 byte
    /// and at most 1 GiB.
    pub segment_chunk: u64,
    /// Bytes of records, as they are written, that may wait for a sync, and as many of a snapshot. Default 64 MiB.
    pub buffer_limit: u64,
    /// Which older snapshots are kept, with the journal that follows them: the versions from there on can be opened, and each
    /// event since then read. Default 256 MiB.
    pub retention: Retention,
}

impl Default for DirectorySettings {
    fn default() -> Self {
        Self { segment_chunk: 1 << 20, buffer_limit: checks::BUFFER_LIMIT, retention: Retention::Bytes(256 << 20) }
    }
}

/// A [`Store`] in a directory, locked while it is open.
///
/// | file | what it holds |
/// |---|---|
/// | `snapshot-<n>.json` | one JSON document, as of sequence number n; its last member is the checksum |
/// | `journal-<n>.jsonl` | a header, then the records from sequence number n on, one a line, each with its checksum; then empty lines |
/// | `LOCK` | the ID of the process that has the store open |
/// | `damaged-<n>/` | what a [`Repair`](super::Repair) has moved aside |
///
/// All of them are readable only by their owner. Dropping the store loses what wasn't synced. The lock is held until
/// the store, and any work taken out of it, are gone.
pub struct Directory<V: Vfs = OsVfs> {
    path: PathBuf,
    settings: DirectorySettings,
    state: State<V>,
}

enum State<V: Vfs> {
    Opened { files: Files<V>, lock: Arc<V::Lock> },
    Ready(Box<Ready<V>>),
    Poisoned { cause: String, _lock: Option<Arc<V::Lock>> },
}

/// A store that takes records.
struct Ready<V: Vfs> {
    lock: Arc<V::Lock>,
    /// Not there while a sync is under way.
    disk: Option<Disk<V>>,
    /// What the next sync does, in order.
    steps: Vec<Step>,
    /// An empty buffer for the next records.
    spare: Vec<u8>,
    /// The last one appended.
    sequence: u64,
    /// The first one of those that are synced together with the next one; none if that is the first itself.
    group: Option<u64>,
    members: Members,
    /// The number of the first record of the segment that the next one goes to.
    segment: u64,
    /// Bytes of records and of snapshots that wait for a sync.
    lines: u64,
    pieces: u64,
    /// Bytes of the journal, and of the newest finished snapshot.
    journal: u64,
    snapshot: u64,
    /// The snapshot that is being written.
    draft: Option<Draft>,
    /// `journal` when the snapshots were begun whose ends wait for a sync, or are in one.
    replaces: Option<u64>,
    finishing: Option<u64>,
}

/// A snapshot that is being given.
struct Draft {
    sequence: u64,
    given: checks::Given,
    /// `Ready::journal` when it was begun.
    replaces: u64,
}

impl<V: Vfs> fmt::Debug for Directory<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory").field("path", &self.path).finish_non_exhaustive()
    }
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

    /// Opens a store that is there already; creates nothing.
    ///
    /// ```
    /// use amiko_core::store::{Directory, OpenError};
    /// # let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("stat"); // misspelt
    /// assert!(matches!(Directory::open_existing(&path), Err(OpenError::Io { .. })));
    /// assert!(!path.exists());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`OpenError::Io`] if there is no such directory, [`OpenError::NoStore`] if it has no store in it; and as
    /// [`Directory::open`].
    pub fn open_existing(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Files { vfs: OsVfs, directory: path.as_ref().to_owned() }.expect_store()?;
        Self::open(path)
    }

    /// A past version of a store, read-only, as far back as [`DirectorySettings::retention`] has kept it. The store
    /// may be in use.
    ///
    /// # Errors
    ///
    /// [`OpenError::Io`] if there is no such directory. Recovery reports whether it has the version:
    /// [`RecoverError::NotKept`], [`RecoverError::NotYet`].
    pub fn open_at(path: impl AsRef<Path>, version: u64) -> Result<Archive, OpenError> {
        Archive::open_with_vfs(path, Some(version), OsVfs)
    }
}

impl<V: Vfs> Directory<V> {
    /// Opens a store on another file system than the operating system's.
    ///
    /// # Errors
    ///
    /// As [`Directory::open`].
    pub fn open_with_vfs(path: impl AsRef<Path>, settings: DirectorySettings, vfs: V) -> Result<Self, OpenError> {
        let directory = path.as_ref().to_owned();
        vfs.create_dir(&directory).trying("create the directory", &directory)?;
        let files = Files { vfs, directory: directory.clone() };
        let lock = Arc::new(files.lock(Access::Write)?);
        Ok(Self { path: directory, settings, state: State::Opened { files, lock } })
    }

    /// The path of the directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn ready(&mut self) -> Result<&mut Ready<V>, StoreError> {
        match &mut self.state {
            State::Opened { .. } => Err(StoreError::NotRecovered),
            State::Poisoned { cause, .. } => Err(StoreError::Poisoned { cause: cause.clone() }),
            State::Ready(ready) => Ok(ready),
        }
    }

    fn replay(
        files: Files<V>,
        lock: Arc<V::Lock>,
        settings: &DirectorySettings,
        visitor: &mut dyn Recovery,
    ) -> Result<(Recovered, Ready<V>), RecoverError> {
        let replay = recovery::newest(&files, visitor)?;
        // Only now is it known that nothing is wrong; until here no file has been changed.
        let chunk = settings.segment_chunk;
        let segment = match replay.tail {
            Some(tail) => Segment::resume(&files, tail)?,
            None => Segment::create(&files, 1, None, Time::from_millis(0), chunk)?,
        };
        files.sync()?;
        files.sweep(replay.base.unwrap_or(0), settings.retention)?;
        let ready = Ready {
            sequence: replay.recovered.sequence,
            segment: segment.first,
            disk: Some(Disk {
                files,
                segment,
                snapshot: None,
                chunk,
                retention: settings.retention,
                _lock: Arc::clone(&lock),
            }),
            lock,
            steps: Vec::new(),
            spare: Vec::new(),
            group: None,
            members: Members::default(),
            lines: 0,
            pieces: 0,
            journal: replay.usage.journal,
            snapshot: replay.usage.snapshot,
            draft: None,
            replaces: None,
            finishing: None,
        };
        Ok((replay.recovered, ready))
    }
}

impl<V: Vfs> Ready<V> {
    fn append(&mut self, sequence: u64, record: &str, limit: u64) -> Result<(), StoreError> {
        checks::record(self.sequence, sequence, record)?;
        let group = self.group.unwrap_or(sequence);
        let Self { members, steps, spare, .. } = self;
        let member = members.of(group, sequence);
        let size = member.sealed_len(record) as u64;
        checks::room(limit, self.lines, sequence, size)?;
        member.seal(lines_to_write(steps, spare), record);
        self.group = Some(group);
        self.sequence = sequence;
        self.lines += size;
        self.journal += size;
        Ok(())
    }

    fn begin(&mut self, write_only: bool) -> Result<Option<DirectoryWork<V>>, StoreError> {
        let Some(disk) = self.disk.take() else { return Err(StoreError::UnderWay) };
        // A sync that follows writes only has to make those durable.
        if self.steps.is_empty() && (write_only || disk.segment.is_synced()) {
            self.disk = Some(disk);
            return Ok(None);
        }
        if !write_only {
            self.group = None;
        }
        (self.lines, self.pieces) = (0, 0);
        self.finishing = self.replaces.take();
        Ok(Some(DirectoryWork { disk, steps: mem::take(&mut self.steps), write_only }))
    }

    fn end(&mut self, finished: Finished<V>) {
        self.disk = Some(finished.disk);
        if self.spare.capacity() < finished.spare.capacity() {
            self.spare = finished.spare;
        }
        if let (Some(size), Some(replaces)) = (finished.snapshot, self.finishing.take()) {
            self.snapshot = size;
            self.journal -= replaces;
            // One that was begun meanwhile replaces what is left.
            if let Some(draft) = &mut self.draft {
                draft.replaces -= replaces;
            }
            if let Some(next) = &mut self.replaces {
                *next -= replaces;
            }
        }
    }

    fn begin_snapshot(&mut self, sequence: u64, time: Time) -> Result<(), StoreError> {
        if sequence != self.sequence {
            return Err(StoreError::Sequence { expected: self.sequence, found: sequence });
        }
        let first = sequence.saturating_add(1);
        self.steps.push(Step::Begin { first, time });
        if self.segment != first {
            // What is appended from now on is in another file, and is another group.
            (self.segment, self.group) = (first, None);
        }
        self.draft = Some(Draft { sequence, given: checks::Given::default(), replaces: self.journal });
        Ok(())
    }

    fn write_snapshot(&mut self, piece: &str, limit: u64) -> Result<(), StoreError> {
        let draft = self.draft.as_mut().ok_or(StoreError::NoSnapshot)?;
        let needed = self.pieces.saturating_add(piece.len() as u64);
        if needed > limit && self.pieces > 0 {
            return Err(StoreError::BufferFull { limit, needed });
        }
        draft.given.add(piece);
        self.pieces = needed;
        match self.steps.last_mut() {
            Some(Step::Piece(bytes)) => bytes.extend_from_slice(piece.as_bytes()),
            _ => self.steps.push(Step::Piece(piece.as_bytes().to_owned())),
        }
        Ok(())
    }

    fn finish_snapshot(&mut self) -> Result<(), StoreError> {
        let draft = self.draft.take().ok_or(StoreError::NoSnapshot)?;
        draft.given.check(draft.sequence)?;
        self.steps.push(Step::Finish);
        self.replaces = Some(draft.replaces);
        Ok(())
    }
}

/// The records that the next sync writes to the newest segment, with one write for all.
fn lines_to_write<'s>(steps: &'s mut Vec<Step>, spare: &'s mut Vec<u8>) -> &'s mut Vec<u8> {
    let begun = steps.iter().rposition(|step| matches!(step, Step::Begin { .. })).map_or(0, |begin| begin + 1);
    let found = steps[begun..].iter().position(|step| matches!(step, Step::Lines(_)));
    let at = found.map_or(begun, |found| begun + found);
    if found.is_none() {
        steps.insert(at, Step::Lines(mem::take(spare)));
    }
    match &mut steps[at] {
        Step::Lines(lines) => lines,
        // It was found, or put there.
        _ => spare,
    }
}

impl<V: Vfs> Store for Directory<V> {
    type Work = DirectoryWork<V>;

    fn recover(&mut self, visitor: &mut dyn Recovery) -> Result<Recovered, RecoverError> {
        let cause = "the recovery of the store ended early".to_owned();
        match mem::replace(&mut self.state, State::Poisoned { cause, _lock: None }) {
            State::Opened { files, lock } => match Self::replay(files, Arc::clone(&lock), &self.settings, visitor) {
                Ok((recovered, ready)) => {
                    self.state = State::Ready(Box::new(ready));
                    Ok(recovered)
                }
                Err(error) => {
                    self.state = State::Poisoned { cause: with_sources(&error), _lock: Some(lock) };
                    Err(error)
                }
            },
            other => {
                self.state = other;
                Err(RecoverError::NotFresh)
            }
        }
    }

    fn append(&mut self, sequence: u64, record: &str) -> Result<(), StoreError> {
        let limit = self.settings.buffer_limit;
        self.ready()?.append(sequence, record, limit)
    }

    fn describe(&mut self, classes: &Classes) -> Result<(), StoreError> {
        let disk = self.ready()?.disk.as_ref().ok_or(StoreError::UnderWay)?;
        Ok(disk.files.write_classes(classes)?)
    }

    fn begin_sync(&mut self) -> Result<Option<DirectoryWork<V>>, StoreError> {
        self.ready()?.begin(false)
    }

    fn begin_write(&mut self) -> Result<Option<DirectoryWork<V>>, StoreError> {
        self.ready()?.begin(true)
    }

    fn end_sync(&mut self, done: DirectoryDone<V>) -> Result<(), StoreError> {
        let ready = self.ready()?;
        if ready.disk.is_some() {
            return Err(StoreError::NotUnderWay);
        }
        match done.outcome {
            Ok(finished) => {
                ready.end(finished);
                Ok(())
            }
            Err(error) => {
                let _lock = Some(Arc::clone(&ready.lock));
                self.state = State::Poisoned { cause: with_sources(&error), _lock };
                Err(error)
            }
        }
    }

    fn begin_snapshot(&mut self, sequence: u64, time: Time) -> Result<(), StoreError> {
        self.ready()?.begin_snapshot(sequence, time)
    }

    fn write_snapshot(&mut self, piece: &str) -> Result<(), StoreError> {
        let limit = self.settings.buffer_limit;
        self.ready()?.write_snapshot(piece, limit)
    }

    fn finish_snapshot(&mut self) -> Result<(), StoreError> {
        self.ready()?.finish_snapshot()
    }

    fn usage(&self) -> Usage {
        match &self.state {
            State::Ready(ready) => {
                Usage { journal: ready.journal, snapshot: ready.snapshot, buffered: ready.lines + ready.pieces }
            }
            State::Opened { .. } | State::Poisoned { .. } => Usage::default(),
        }
    }
}
