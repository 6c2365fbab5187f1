//! Salvages a damaged directory: opens the newest version that the intact files lead to, and removes nothing.
//!
//! Invariant: the version that is salvaged can be salvaged at every moment in between, because its snapshot is durable
//! before any file that it comes from is moved; and no store opens before everything else is out of the way, so that
//! none sweeps it up.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::error::{Failure, OpenError, RecoverError, Trying, with_sources};
use super::files::{Files, Inventory};
use super::journal::{self, Segment};
use super::verify::{self, Inspection, Report};
use super::vfs::{Access, OsVfs, Vfs};
use super::{Recovery, Refused, recovery, snapshot};
use crate::time::Time;

/// Why a directory can't be repaired. No file was removed.
#[derive(Debug)]
#[non_exhaustive]
pub enum RepairError {
    /// It can't be opened.
    Open(OpenError),
    /// A program can't decide what to do: there is an intact snapshot of another program, somebody has renamed files,
    /// or the disk fails.
    Undecided(RecoverError),
    /// No snapshot is intact.
    Nothing {
        /// The directory.
        directory: PathBuf,
        /// What is wrong with the newest one.
        reason: String,
    },
    /// What was salvaged can't be written as a snapshot.
    Document {
        /// The version.
        version: u64,
        /// Why not.
        reason: String,
    },
    /// The operating system refused.
    Io {
        /// The attempted operation.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
}

impl fmt::Display for RepairError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(error) => error.fmt(f),
            Self::Undecided(error @ RecoverError::Refused { .. }) => {
                write!(
                    f,
                    "{error}; the file is as it was written: open it with the program that wrote it, or move it away"
                )
            }
            Self::Undecided(error) => error.fmt(f),
            Self::Nothing { directory, reason } => write!(
                f,
                "expected a good snapshot in {}, found none ({reason}); put back a copy of the directory",
                directory.display()
            ),
            Self::Document { version, reason } => {
                write!(f, "version {version} can't be written as a snapshot: {reason}; nothing was changed")
            }
            Self::Io { action, path, .. } => {
                write!(f, "cannot {action} {}; nothing was removed, repair again", path.display())
            }
        }
    }
}

impl Error for RepairError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Open(error) => error.source(),
            Self::Undecided(error) => error.source(),
            Self::Io { source, .. } => Some(source),
            Self::Nothing { .. } | Self::Document { .. } => None,
        }
    }
}

impl From<Failure> for RepairError {
    fn from(Failure { action, path, source }: Failure) -> Self {
        Self::Io { action, path, source }
    }
}

/// The plan of a repair. It locks the directory while it exists; nothing has been changed yet.
pub struct Repair<V: Vfs = OsVfs> {
    files: Files<V>,
    report: Report,
    version: u64,
    document: String,
    /// There is a good snapshot of that version.
    written: bool,
    time: Time,
    aside: Vec<PathBuf>,
    _lock: V::Lock,
}

/// The outcome of a repair.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repaired {
    /// The version that the directory opens at.
    pub version: u64,
    /// Where the moved files are; none if there was nothing to move.
    pub aside: Option<PathBuf>,
}

impl<V: Vfs> fmt::Debug for Repair<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { files, version, .. } = self;
        f.debug_struct("Repair").field("path", &files.directory).field("version", version).finish_non_exhaustive()
    }
}

impl Repair {
    /// Determines what can be salvaged, without changing anything. `fresh` makes the receiver of the texts; whatever
    /// that refuses counts as damaged.
    ///
    /// [`engine::repair`](crate::engine::repair) does it with the classes of a node.
    ///
    /// # Errors
    ///
    /// [`RepairError`]: there is no store, the directory is open elsewhere, or nothing of it can be salvaged.
    pub fn plan<I: Inspection>(path: impl AsRef<Path>, fresh: impl FnMut() -> I) -> Result<Self, RepairError> {
        Self::plan_with_vfs(path, fresh, OsVfs)
    }
}

impl<V: Vfs> Repair<V> {
    /// The same on another file system than the operating system's.
    ///
    /// # Errors
    ///
    /// As [`Repair::plan`].
    pub fn plan_with_vfs<I: Inspection>(
        path: impl AsRef<Path>,
        mut fresh: impl FnMut() -> I,
        vfs: V,
    ) -> Result<Self, RepairError> {
        let files = Files { vfs, directory: path.as_ref().to_owned() };
        files.expect_store().map_err(RepairError::Open)?;
        let lock = files.lock(Access::Write).map_err(RepairError::Open)?;
        let report = verify::inspect(&files, &mut fresh).map_err(RepairError::Open)?;
        let inventory = files.inventory().map_err(RepairError::Undecided)?;
        let (base, version) = furthest(&files, &inventory, &mut fresh)?;

        let mut salvaged = fresh();
        let part = Inventory {
            snapshots: base.into_iter().collect(),
            segments: inventory.segments.iter().copied().filter(|first| *first <= version).collect(),
            temporary: Vec::new(),
        };
        let last = inventory.segments.last().copied();
        recovery::replay(&files, &part, last, Some(version), &mut salvaged).map_err(RepairError::Undecided)?;
        let document = salvaged.document(version).map_err(|reason| RepairError::Document { version, reason })?;

        let written = base == Some(version);
        let temporary = inventory.temporary.iter().map(|name| files.directory.join(name));
        let mut aside: Vec<PathBuf> = temporary.collect();
        let others = inventory.snapshots.iter().filter(|sequence| !(written && **sequence == version));
        aside.extend(others.map(|sequence| files.snapshot(*sequence)));
        aside.extend(inventory.segments.iter().map(|first| files.segment(*first)));
        // The time of the last event isn't known here; that of the last segment is never too late.
        let times = part.segments.iter().rev().find_map(|first| journal::header(&files, *first).ok());
        let time = times.map(|header| header.time).unwrap_or_default();
        Ok(Self { files, report, version, document, written, time, aside, _lock: lock })
    }

    /// The problems found.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The version that can be salvaged.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The files that will be moved aside.
    #[must_use]
    pub fn aside(&self) -> &[PathBuf] {
        &self.aside
    }

    /// The directory that they will be moved to; none if there is nothing to move.
    ///
    /// # Errors
    ///
    /// [`RepairError::Io`]: the directory can't be listed.
    pub fn destination(&self) -> Result<Option<PathBuf>, RepairError> {
        if self.report.is_healthy() || self.aside.is_empty() {
            return Ok(None);
        }
        let names = self.files.vfs.list(&self.files.directory).trying("list", &self.files.directory)?;
        let numbers = names.iter().filter_map(|name| name.strip_prefix("damaged-")?.parse::<u64>().ok());
        let number = numbers.max().unwrap_or(0).saturating_add(1);
        Ok(Some(self.files.directory.join(format!("damaged-{number}"))))
    }

    /// Moves every other file into a new directory `damaged-<n>` beside a snapshot of the version that can be salvaged,
    /// and begins a new journal. Does nothing where nothing is damaged.
    ///
    /// # Errors
    ///
    /// [`RepairError::Io`]: the version can still be salvaged, and no file was removed.
    pub fn run(self) -> Result<Repaired, RepairError> {
        if self.report.is_healthy() {
            return Ok(Repaired { version: self.version, aside: None });
        }
        let directory = self.destination()?;
        if let Some(path) = &directory {
            self.files.vfs.create_dir(path).trying("create the directory", path)?;
        }
        let target = self.files.snapshot(self.version);
        // What would be written over goes first: it isn't what the version comes from.
        let (first, rest): (Vec<&PathBuf>, Vec<&PathBuf>) = self
            .aside
            .iter()
            .partition(|path| **path == target || path.extension().is_some_and(|extension| extension == "tmp"));
        self.move_aside(&first, directory.as_deref())?;
        if !self.written {
            let mut snapshot = snapshot::Writer::create(&self.files, self.version)?;
            snapshot.write(self.document.as_bytes())?;
            snapshot.finish(&self.files)?;
        }
        self.move_aside(&rest, directory.as_deref())?;
        // Only now can the store be opened. By how much the journal grows is for its settings to say.
        Segment::create(&self.files, self.version.saturating_add(1), None, self.time, 1)?;
        Ok(Repaired { version: self.version, aside: directory })
    }

    fn move_aside(&self, paths: &[&PathBuf], directory: Option<&Path>) -> Result<(), RepairError> {
        let Some(directory) = directory.filter(|_| !paths.is_empty()) else { return Ok(()) };
        for path in paths {
            let Some(name) = path.file_name() else { continue };
            self.files.vfs.rename(path, &directory.join(name)).trying("move aside", path)?;
        }
        // Where they are now becomes durable before it does that they are gone.
        self.files.vfs.sync_dir(directory).trying("sync the directory", directory)?;
        Ok(self.files.sync()?)
    }
}

/// The good snapshot from which the journal leads furthest, and how far.
///
/// It is the newest good one: journals of older ones lead to it, or not as far.
fn furthest<V: Vfs, I: Inspection>(
    files: &Files<V>,
    inventory: &Inventory,
    fresh: &mut dyn FnMut() -> I,
) -> Result<(Option<u64>, u64), RepairError> {
    let last = inventory.segments.last().copied();
    let mut first_error = None;
    // A store that has never had a snapshot begins with nothing.
    let bases = inventory.snapshots.iter().rev().copied().map(Some).chain([None]);
    for base in bases {
        let mut reach = Reach { inner: fresh(), reached: None };
        let part = Inventory {
            snapshots: base.into_iter().collect(),
            segments: inventory.segments.clone(),
            temporary: Vec::new(),
        };
        let error = recovery::replay(files, &part, last, None, &mut reach).err();
        match error {
            Some(error @ (RecoverError::Io { .. } | RecoverError::NewerFormat { .. })) => {
                return Err(RepairError::Undecided(error));
            }
            // The checksum is right, so this isn't damage: what an older snapshot has would be too little.
            Some(error @ RecoverError::Refused { .. }) if base.is_some() && reach.reached.is_none() => {
                return Err(RepairError::Undecided(error));
            }
            Some(error) => drop(first_error.get_or_insert(error)),
            None => {}
        }
        if let Some(reached) = reach.reached {
            return Ok((base, reached));
        }
    }
    let reason = first_error.map_or_else(|| "there is none".to_owned(), |error| with_sources(&error));
    Err(RepairError::Nothing { directory: files.directory.clone(), reason })
}

/// How far a recovery came.
struct Reach<I> {
    inner: I,
    reached: Option<u64>,
}

impl<I: Recovery> Recovery for Reach<I> {
    fn snapshot(&mut self, sequence: u64, document: &str) -> Result<(), Refused> {
        self.inner.snapshot(sequence, document)?;
        self.reached = Some(sequence);
        Ok(())
    }

    fn record(&mut self, sequence: u64, record: &str) -> Result<(), Refused> {
        self.inner.record(sequence, record)?;
        self.reached = Some(sequence);
        Ok(())
    }
}
