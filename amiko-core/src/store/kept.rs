//! Everything that is kept of a node: read from a directory, and written into a new one.
//!
//! Invariant: what is handed over was held against its checksum, comes in order and without a gap, and the reader changes nothing;
//! the writer takes it in this order alone, and writes into an empty directory alone.

use std::collections::VecDeque;
use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;

use super::error::{OpenError, RecoverError, StoreError, Trying};
use super::files::{Files, Inventory};
use super::format::Members;
use super::journal::{self, Opened, Segment};
use super::recovery::gap;
use super::vfs::{Access, OsVfs, Vfs};
use super::{DirectorySettings, Recovery, Refused, checks, snapshot};
use crate::serializable::Classes;
use crate::time::Time;

/// So many pairs of files are open at a time, at the most: a process may open about a thousand.
const AHEAD: usize = 32;

/// One thing that is kept of a node.
///
/// All of them are: the oldest snapshot, the records after it up to the next snapshot, that one, and so on; or the records from the
/// first one on, where there was no snapshot yet.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Kept<'k> {
    /// The document as of a version.
    Snapshot {
        /// The version.
        sequence: u64,
        /// When the event was that made it.
        time: Time,
        /// The document, as it was written.
        document: &'k str,
    },
    /// A record.
    Record {
        /// The version that it makes.
        sequence: u64,
        /// The record, as it was appended.
        record: &'k str,
    },
}

/// Hides the texts, which may contain secrets.
impl fmt::Debug for Kept<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Snapshot { sequence, .. } => f.debug_tuple("Snapshot").field(sequence).finish(),
            Self::Record { sequence, .. } => f.debug_tuple("Record").field(sequence).finish(),
        }
    }
}

/// Reads everything that is kept in a directory.
///
/// ```
/// use amiko_core::store::{Directory, Kept, KeptReader, KeptWriter, Recovery, Refused, Store};
/// use std::ops::ControlFlow;
/// # struct Ignore;
/// # impl Recovery for Ignore {
/// #     fn snapshot(&mut self, _: u64, _: &str) -> Result<(), Refused> { Ok(()) }
/// #     fn record(&mut self, _: u64, _: &str) -> Result<(), Refused> { Ok(()) }
/// # }
/// # let folder = tempfile::tempdir()?;
/// # let (from, to) = (folder.path().join("from"), folder.path().join("to"));
///
/// let mut store = Directory::open(&from)?;
/// store.recover(&mut Ignore)?;
/// store.append(1, r#"{"seq":1,"deposit":7}"#)?;
/// store.sync()?;
/// drop(store);
///
/// let mut copy = KeptWriter::create(&to)?;
/// let mut outcome = Ok(());
/// KeptReader::open(&from)?.read(|kept| {
///     outcome = copy.take(kept);
///     if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
/// })?;
/// outcome?;
/// copy.finish()?;
/// assert_eq!(Directory::open(&to)?.recover(&mut Ignore)?.sequence, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct KeptReader<V: Vfs = OsVfs> {
    files: Files<V>,
    /// None of a directory that a node may be writing.
    _lock: Option<V::Lock>,
}

impl<V: Vfs> fmt::Debug for KeptReader<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptReader").field("path", &self.files.directory).finish_non_exhaustive()
    }
}

impl KeptReader {
    /// Locks a directory, against whoever would write it.
    ///
    /// # Errors
    /// [`OpenError::NoStore`] and [`OpenError::Io`] if there is no store; [`OpenError::Locked`] if it is open elsewhere.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::open_with_vfs(path, OsVfs)
    }

    /// Without a lock, of a directory that a node may be writing. What it hands over is whole, up to a version that the node had on its
    /// way. A file may be missing because a newer snapshot took its place after this has begun to read: then begin anew.
    ///
    /// # Errors
    /// As [`KeptReader::open`]; it doesn't matter who has it open.
    pub fn open_running(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let files = Files { vfs: OsVfs, directory: path.as_ref().to_owned() };
        files.expect_store()?;
        Ok(Self { files, _lock: None })
    }
}

impl<V: Vfs> KeptReader<V> {
    /// The same on another file system than the operating system's.
    ///
    /// # Errors
    /// As [`KeptReader::open`].
    pub fn open_with_vfs(path: impl AsRef<Path>, vfs: V) -> Result<Self, OpenError> {
        let files = Files { vfs, directory: path.as_ref().to_owned() };
        files.expect_store()?;
        let lock = files.lock(Access::Read)?;
        Ok(Self { files, _lock: Some(lock) })
    }

    /// Hands over everything, until the visitor breaks off. What a crash left behind, and the next opening would remove, isn't
    /// part of it.
    ///
    /// # Errors
    /// A file can't be read, is damaged, or is missing: also a snapshot that no recovery needs.
    pub fn read(&self, mut visit: impl FnMut(Kept<'_>) -> ControlFlow<()>) -> Result<(), RecoverError> {
        let files = &self.files;
        let inventory = files.inventory()?;
        let mut snapshots = inventory.snapshots.iter().copied().peekable();
        let oldest = snapshots.peek().copied();
        let begin = oldest.unwrap_or(0);
        let mut left = inventory.segments.iter().copied().filter(|first| *first > begin);
        let mut opened: VecDeque<Pair<V>> = VecDeque::new();
        let (mut reached, mut before) = (begin, None);
        loop {
            while opened.len() < AHEAD
                && let Some(first) = left.next()
            {
                opened.push_back(Pair::open(files, &inventory, first)?);
            }
            let Some(Pair { snapshot, segment }) = opened.pop_front() else { break };
            let first = segment.first;
            if first != reached.saturating_add(1) {
                return Err(gap(files, oldest, reached, before, Some(first)));
            }
            if snapshots.next_if_eq(&reached).is_some()
                && let Some(snapshot) = snapshot
            {
                let time = segment.header()?.time;
                let snapshot = snapshot::read_from(files, &snapshot, reached)?;
                if visit(Kept::Snapshot { sequence: reached, time, document: snapshot.document() }).is_break() {
                    return Ok(());
                }
            }
            let mut records = Records { visit: &mut visit, stopped: false };
            let last = inventory.segments.last() == Some(&first);
            match journal::replay(segment, last, None, &mut records) {
                Ok(replayed) => reached = replayed.sequence,
                Err(_) if records.stopped => return Ok(()),
                Err(error) => return Err(error),
            }
            before = Some(first);
        }
        // Each has a segment behind it: the one that was begun with it.
        match snapshots.next() {
            Some(left) => Err(gap(files, oldest, reached.min(left), before, inventory.after(left))),
            None => Ok(()),
        }
    }
}

/// A segment, and the snapshot that was begun with it, if it was finished. What is open stays there to be read, also when a newer snapshot
/// takes its place.
struct Pair<V: Vfs> {
    snapshot: Option<V::File>,
    segment: Opened<V::File>,
}

impl<V: Vfs> Pair<V> {
    fn open(files: &Files<V>, inventory: &Inventory, first: u64) -> Result<Self, RecoverError> {
        let sequence = first.saturating_sub(1);
        let snapshot = inventory.snapshots.contains(&sequence).then(|| files.snapshot(sequence));
        Ok(Self {
            snapshot: snapshot.map(|path| files.open(&path, Access::Read)).transpose()?,
            segment: Opened::new(files, first)?,
        })
    }
}

impl Inventory {
    /// The first segment behind the one that a snapshot has to have.
    fn after(&self, snapshot: u64) -> Option<u64> {
        self.segments.iter().copied().find(|first| *first > snapshot.saturating_add(1))
    }
}

struct Records<'v, F> {
    visit: &'v mut F,
    stopped: bool,
}

impl<F: FnMut(Kept<'_>) -> ControlFlow<()>> Recovery for Records<'_, F> {
    fn snapshot(&mut self, _: u64, _: &str) -> Result<(), Refused> {
        Ok(())
    }

    fn record(&mut self, sequence: u64, record: &str) -> Result<(), Refused> {
        if (self.visit)(Kept::Record { sequence, record }).is_continue() {
            return Ok(());
        }
        self.stopped = true;
        // It goes no further than `read`.
        Err(Refused { reason: String::new(), byte: 0, line: 1 })
    }
}

/// Writes what was kept of a node into a new directory. Each record is a group of its own there.
pub struct KeptWriter<V: Vfs = OsVfs> {
    files: Files<V>,
    /// Where records go; none before the first thing was given.
    segment: Option<Segment<V::File>>,
    /// The last record that was given.
    sequence: u64,
    /// Records that aren't written yet.
    lines: Vec<u8>,
    chunk: u64,
    _lock: V::Lock,
}

impl<V: Vfs> fmt::Debug for KeptWriter<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptWriter").field("path", &self.files.directory).finish_non_exhaustive()
    }
}

impl KeptWriter {
    /// Begins a new directory, or goes on with one in which there is nothing of a store.
    ///
    /// # Errors
    /// [`OpenError::NotEmpty`] if there is something; [`OpenError::Locked`] if it is open elsewhere; [`OpenError::Io`].
    pub fn create(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::create_with_vfs(path, OsVfs)
    }
}

impl<V: Vfs> KeptWriter<V> {
    /// The same on another file system than the operating system's.
    ///
    /// # Errors
    /// As [`KeptWriter::create`].
    pub fn create_with_vfs(path: impl AsRef<Path>, vfs: V) -> Result<Self, OpenError> {
        let directory = path.as_ref().to_owned();
        vfs.create_dir(&directory).trying("create the directory", &directory)?;
        let files = Files { vfs, directory };
        let lock = files.lock(Access::Write)?;
        match files.expect_store() {
            Err(OpenError::NoStore { .. }) => {}
            Err(error) => return Err(error),
            Ok(()) => return Err(OpenError::NotEmpty { path: files.directory }),
        }
        let chunk = DirectorySettings::default().segment_chunk;
        Ok(Self { files, segment: None, sequence: 0, lines: Vec::new(), chunk, _lock: lock })
    }

    /// Takes the next thing. Nothing is durable before [`finish`](KeptWriter::finish).
    ///
    /// # Errors
    /// [`StoreError::Sequence`], [`StoreError::Record`] and [`StoreError::Document`] for something else than what comes next, and
    /// [`StoreError::Io`]: the directory is of no use then.
    pub fn take(&mut self, kept: Kept<'_>) -> Result<(), StoreError> {
        match kept {
            Kept::Snapshot { sequence, time, document } => self.snapshot(sequence, time, document),
            Kept::Record { sequence, record } => self.record(sequence, record),
        }
    }

    /// Keeps what programs have said of their classes.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn describe(&mut self, classes: &Classes) -> Result<(), StoreError> {
        Ok(self.files.write_classes(classes)?)
    }

    /// Makes everything durable.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn finish(mut self) -> Result<(), StoreError> {
        self.flush()?;
        match &mut self.segment {
            Some(segment) => segment.sync()?,
            None => drop(Segment::create(&self.files, 1, None, Time::default(), self.chunk)?),
        }
        Ok(self.files.sync()?)
    }

    fn snapshot(&mut self, sequence: u64, time: Time, document: &str) -> Result<(), StoreError> {
        let bytes = document.as_bytes();
        checks::document(sequence, bytes.first().copied(), bytes, bytes.len() as u64)?;
        let next = sequence.saturating_add(1);
        if self.segment.as_ref().is_some_and(|segment| self.sequence != sequence || segment.first == next) {
            return Err(StoreError::Sequence { expected: self.sequence, found: sequence });
        }
        self.flush()?;
        // The journal up to it is durable, and a segment after it is there, before the snapshot itself is.
        let previous = match &mut self.segment {
            Some(segment) => {
                segment.sync()?;
                Some(segment.first)
            }
            None => None,
        };
        self.segment = Some(Segment::create(&self.files, next, previous, time, self.chunk)?);
        self.sequence = sequence;
        let mut writer = snapshot::Writer::create(&self.files, sequence)?;
        writer.write(bytes)?;
        writer.finish(&self.files)?;
        Ok(())
    }

    fn record(&mut self, sequence: u64, record: &str) -> Result<(), StoreError> {
        /// Bytes that are written at once, and one more record.
        const BLOCK: usize = 1 << 20;
        checks::record(self.sequence, sequence, record)?;
        if self.segment.is_none() {
            self.segment = Some(Segment::create(&self.files, 1, None, Time::default(), self.chunk)?);
        }
        Members::default().of(sequence, sequence).seal(&mut self.lines, record);
        self.sequence = sequence;
        if self.lines.len() >= BLOCK { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        if let (Some(segment), false) = (&mut self.segment, self.lines.is_empty()) {
            segment.write(&self.lines, self.chunk)?;
            self.lines.clear();
        }
        Ok(())
    }
}
