//! A copy of a directory whose node may be running.
//!
//! Invariant: the copy has its name only once it is whole, durable, and was read back.

use super::error::{OpenError, RecoverError, StoreError};
use super::{Kept, KeptReader, KeptWriter, classes};
use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// A snapshot may be finished meanwhile, and older files removed: so often it is begun anew at the most.
const ATTEMPTS: usize = 10;

/// So many copies of one name may be under way, or be left of processes that were killed.
const BESIDE: usize = 100;

/// What [`backup`] has copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backup {
    /// The oldest version that the copy has.
    pub first: u64,
    /// The newest one.
    pub last: u64,
    /// How many snapshots.
    pub snapshots: u64,
    /// How many records.
    pub records: u64,
    /// Bytes of both.
    pub bytes: u64,
}

/// Why there is no copy.
#[derive(Debug)]
#[non_exhaustive]
pub enum BackupError {
    /// There is no store to be copied.
    Open(OpenError),
    /// The copy would have no name of its own, or something is there already.
    Occupied {
        /// Where the copy would be.
        path: PathBuf,
    },
    /// What was to be copied is damaged, or can't be read.
    Read(RecoverError),
    /// What is said there of the classes can't be read.
    Classes(StoreError),
    /// The copy can't be written.
    Write(StoreError),
    /// The copy was read back, and is another one.
    Differs {
        /// What was copied.
        copied: Backup,
        /// What was read back.
        found: Backup,
    },
    /// The check that was asked for has refused the copy.
    Refused {
        /// Why.
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

impl fmt::Display for BackupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(error) => error.fmt(f),
            Self::Occupied { path } => {
                write!(
                    f,
                    "expected the name of a new directory, found {}: name one inside it, or another one",
                    path.display()
                )
            }
            Self::Read(error) => error.fmt(f),
            Self::Classes(error) | Self::Write(error) => error.fmt(f),
            Self::Differs { copied, found } => write!(
                f,
                "expected {} records up to version {} in the copy, found {} up to {}: copy again",
                copied.records, copied.last, found.records, found.last
            ),
            Self::Refused { reason } => f.write_str(reason),
            Self::Io { action, path, .. } => write!(f, "cannot {action} {}", path.display()),
        }
    }
}

impl Error for BackupError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Open(error) => error.source(),
            Self::Read(error) => error.source(),
            Self::Classes(error) | Self::Write(error) => error.source(),
            Self::Io { source, .. } => Some(source),
            Self::Occupied { .. } | Self::Differs { .. } | Self::Refused { .. } => None,
        }
    }
}

/// Copies everything that is kept of a node into a new directory, also while the node runs; that goes on meanwhile, and isn't held up.
///
/// What callers were told of before this was called is in the copy, and of what happened meanwhile all up to some version. Its last records
/// may be ones that the node hasn't synced yet: after a power cut in this moment the copy would be ahead of the node. Whoever opens both has
/// two nodes that take themselves for the same one. Files that aren't the store's aren't copied.
///
/// `check` gets the whole copy, which will have another name, and says what is wrong with it. `progress` is called with the version of each
/// record; from the oldest on again, if files were removed while they were read. This needs memory for one snapshot, and room for as much
/// as the directory has, beside the copy's place: there `.NAME.….tmp` is what is left of one that was killed.
///
/// ```
/// use amiko_core::{prelude::*, store};
///
/// #[derive(Clone, Default, Serializable, Node)]
/// #[amiko(machine)]
/// struct Counter { count: u64 }
///
/// #[derive(Clone, Serializable)]
/// struct Up {}
///
/// impl StateMachine for Counter {
///     type Node = Self;
///     type Message = Up;
///     fn handle(&mut self, _: Up, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
///         self.count += 1;
///         Ok(())
///     }
/// }
///
/// # let folder = tempfile::tempdir()?;
/// # let (path, copy) = (folder.path().join("counter"), folder.path().join("copy"));
/// let mut engine = Engine::<Counter>::open(Directory::open(&path)?, Settings::default())?;
/// engine.send(&Id::node(), Up {}, Time::from_secs(1))?;
/// engine.sync()?;
///
/// let backup = store::backup(&path, &copy, |_| Ok(()), |_| {})?;
/// assert_eq!((backup.first, backup.last), (0, 1));
/// let copied = Engine::<Counter>::open(Directory::open(&copy)?, Settings::default())?;
/// assert_eq!(copied.node().count, engine.node().count);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// There is no store, or it is damaged; something is there already where the copy would be; the disk fails; or the check has refused the
/// copy. There is no copy then, unless it is the very last step that failed, which makes its name durable.
pub fn backup(
    from: impl AsRef<Path>,
    to: impl AsRef<Path>,
    check: impl FnOnce(&Path) -> Result<(), String>,
    mut progress: impl FnMut(u64),
) -> Result<Backup, BackupError> {
    let (from, to) = (from.as_ref(), to.as_ref());
    expect_new(to)?;
    let mut told = None;
    let mut attempts = 1;
    let (beside, copied) = loop {
        let beside = Beside::create(to)?;
        match copy(from, &beside.0, &mut progress) {
            Ok(copied) => break (beside, copied),
            Err(BackupError::Read(error)) if is_superseded(&error, &mut told) && attempts < ATTEMPTS => attempts += 1,
            Err(error) => return Err(error),
        }
    };
    let mut found = Backup::default();
    read(&KeptReader::open(&beside.0).map_err(BackupError::Open)?, |kept| {
        found.note(&kept);
        Ok(())
    })?;
    if found != copied {
        return Err(BackupError::Differs { copied, found });
    }
    check(&beside.0).map_err(|reason| BackupError::Refused { reason })?;
    beside.publish(to)?;
    Ok(copied)
}

fn copy(from: &Path, to: &Path, progress: &mut impl FnMut(u64)) -> Result<Backup, BackupError> {
    let reader = KeptReader::open_running(from).map_err(BackupError::Open)?;
    let mut writer = KeptWriter::create(to).map_err(BackupError::Open)?;
    let mut copied = Backup::default();
    read(&reader, |kept| {
        copied.note(&kept);
        if let Kept::Record { sequence, .. } = kept {
            progress(sequence);
        }
        writer.take(kept).map_err(BackupError::Write)
    })?;
    if let Some(classes) = classes(from).map_err(BackupError::Classes)? {
        writer.describe(&classes).map_err(BackupError::Write)?;
    }
    writer.finish().map_err(BackupError::Write)?;
    Ok(copied)
}

/// The first error of whoever takes what is read ends that.
fn read(reader: &KeptReader, mut take: impl FnMut(Kept<'_>) -> Result<(), BackupError>) -> Result<(), BackupError> {
    let mut outcome = Ok(());
    reader
        .read(|kept| {
            outcome = take(kept);
            if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
        .map_err(BackupError::Read)?;
    outcome
}

/// Whether that may be so because a newer snapshot has taken the place of files since they were listed. A gap that was found before is one.
fn is_superseded(error: &RecoverError, told: &mut Option<String>) -> bool {
    match error {
        RecoverError::Io { source, .. } => source.kind() == io::ErrorKind::NotFound,
        RecoverError::MissingSegment { .. } | RecoverError::MissingSnapshot { .. } => {
            let gap = error.to_string();
            told.replace(gap.clone()) != Some(gap)
        }
        _ => false,
    }
}

impl Backup {
    fn note(&mut self, kept: &Kept<'_>) {
        let (&sequence, text) = match kept {
            Kept::Snapshot { sequence, document, .. } => (sequence, *document),
            Kept::Record { sequence, record } => (sequence, *record),
        };
        match kept {
            Kept::Snapshot { .. } if self.snapshots + self.records == 0 => self.first = sequence,
            Kept::Record { .. } if self.snapshots + self.records == 0 => self.first = sequence.saturating_sub(1),
            _ => {}
        }
        match kept {
            Kept::Snapshot { .. } => self.snapshots += 1,
            Kept::Record { .. } => self.records += 1,
        }
        self.last = sequence;
        self.bytes += text.len() as u64;
    }
}

/// Refuses what is there, also a link that leads nowhere, and what has no name of its own.
fn expect_new(directory: &Path) -> Result<(), BackupError> {
    let path = directory.to_owned();
    match fs::symlink_metadata(directory) {
        _ if directory.file_name().is_none() => Err(BackupError::Occupied { path }),
        Ok(_) => Err(BackupError::Occupied { path }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(BackupError::Io { action: "look at", path, source }),
    }
}

/// A directory in the same place, for what isn't complete yet. It is removed unless it is published.
struct Beside(PathBuf);

impl Beside {
    /// One that wasn't there, so that nobody else has anything in it.
    fn create(directory: &Path) -> Result<Self, BackupError> {
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        let mut number = 0;
        loop {
            let mut name = OsString::from(".");
            name.push(directory.file_name().unwrap_or_default());
            name.push(format!(".{}-{number}.tmp", std::process::id()));
            let path = directory.with_file_name(name);
            match builder.create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < BESIDE => number += 1,
                Err(source) => return Err(BackupError::Io { action: "create the directory", path, source }),
            }
        }
    }

    /// Gives it its name, durably.
    fn publish(self, directory: &Path) -> Result<(), BackupError> {
        let failed = |action| {
            let path = directory.to_owned();
            move |source| BackupError::Io { action, path, source }
        };
        // An empty directory that has come meanwhile is replaced; anything else is left as it is.
        fs::rename(&self.0, directory).map_err(failed("create the directory"))?;
        if cfg!(unix) {
            let parent = directory.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(parent).and_then(|parent| parent.sync_all()).map_err(failed("make durable the name of"))?;
        }
        Ok(())
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // Nobody can be told any more; after it was published there is nothing.
        drop(fs::remove_dir_all(&self.0));
    }
}
