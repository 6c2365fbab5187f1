//! What can go wrong with a store: one error type per operation.
//!
//! Invariant: every error about a file names it, and where a place is known, line (from 1) and
//! byte (from 0) as well; an I/O error is the `source()` and isn't repeated in the message.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a [`Directory`](super::Directory) can't be opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The directory is open elsewhere.
    Locked {
        /// The directory.
        path: PathBuf,
        /// The process that has it open, if its lock file says so.
        holder: Option<u32>,
    },
    /// A store is expected to exist, and doesn't.
    NoStore {
        /// The directory.
        path: PathBuf,
    },
    /// A directory is expected to have nothing of a store in it, and has.
    NotEmpty {
        /// The directory.
        path: PathBuf,
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

/// Why a [`Store`](super::Store) can't be recovered.
#[derive(Debug)]
#[non_exhaustive]
pub enum RecoverError {
    /// A file differs from what was written, and not only by a torn end.
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// Offset in bytes from the start of the file.
        byte: u64,
        /// What was expected.
        expected: String,
        /// What was found.
        found: String,
    },
    /// A record is intact, but isn't the next one.
    Sequence {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// Offset in bytes from the start of the file.
        byte: u64,
        /// The sequence number that comes next.
        expected: u64,
        /// The sequence number of the record.
        found: u64,
    },
    /// The next journal segment is missing.
    MissingSegment {
        /// The missing file.
        path: PathBuf,
        /// The last sequence number before the gap.
        reached: u64,
        /// Where the journal goes on after the gap, if it does.
        resumes: Option<u64>,
    },
    /// The journal begins after a missing snapshot.
    MissingSnapshot {
        /// The missing file.
        path: PathBuf,
        /// The first segment of the journal.
        segment: PathBuf,
    },
    /// A journal segment ends before the snapshot or the segment that should follow it.
    ShortJournal {
        /// The segment.
        path: PathBuf,
        /// The last sequence number in it.
        reached: u64,
        /// The one that it should have reached.
        expected: u64,
    },
    /// Two files stand for the same snapshot, or the same journal segment.
    Duplicate {
        /// One of them.
        path: PathBuf,
        /// The other one.
        other: PathBuf,
    },
    /// A file has the name of another one.
    Misnamed {
        /// The file.
        path: PathBuf,
        /// What it should be called.
        expected: PathBuf,
    },
    /// The requested version is older than those that are kept.
    NotKept {
        /// The directory.
        directory: PathBuf,
        /// The version.
        version: u64,
        /// The oldest one that is kept.
        oldest: u64,
    },
    /// The requested version doesn't exist yet.
    NotYet {
        /// The directory.
        directory: PathBuf,
        /// The version.
        version: u64,
        /// The newest one.
        newest: u64,
    },
    /// A file is in a format that this version doesn't know.
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// The format of the file.
        format: u64,
        /// The newest format that this version knows.
        supported: u64,
    },
    /// The [`Recovery`](super::Recovery) refused a text.
    Refused {
        /// The file; `memory` for a store without files.
        path: PathBuf,
        /// The line in that file, from 1.
        line: u64,
        /// Offset in bytes from the start of that file.
        byte: u64,
        /// Why it was refused.
        reason: String,
    },
    /// The store has been recovered before, or a recovery has failed.
    NotFresh,
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

/// Why a [`Store`](super::Store) refused a call.
#[derive(Debug)]
#[non_exhaustive]
pub enum StoreError {
    /// [`Store::recover`](super::Store::recover) must be called first.
    NotRecovered,
    /// An earlier call failed, so the contents of the disk are unknown.
    Poisoned {
        /// How that call failed.
        cause: String,
    },
    /// A sequence number out of turn.
    Sequence {
        /// The expected one.
        expected: u64,
        /// The one that was given.
        found: u64,
    },
    /// A record that isn't one JSON object in one line with its sequence number first.
    Record {
        /// The sequence number that it was given with.
        sequence: u64,
        /// What was expected.
        expected: String,
        /// What was found.
        found: String,
    },
    /// The buffer holds as much as it may.
    BufferFull {
        /// Bytes that the buffer may hold.
        limit: u64,
        /// Bytes that it would hold with the record.
        needed: u64,
    },
    /// A record that alone is larger than the buffer may be.
    RecordTooLarge {
        /// The sequence number that it was given with.
        sequence: u64,
        /// Bytes that the buffer may hold.
        limit: u64,
        /// Bytes of the record as it would be written.
        size: u64,
    },
    /// A piece of a snapshot, or its end, without a beginning.
    NoSnapshot,
    /// A sync was begun and hasn't ended.
    UnderWay,
    /// A sync is to end, and none was begun.
    NotUnderWay,
    /// The store is read-only.
    ReadOnly,
    /// The pieces of a snapshot that don't make a JSON object.
    Document {
        /// The sequence number of the snapshot.
        sequence: u64,
        /// The requirement on the document.
        expected: &'static str,
        /// What was found.
        found: String,
    },
    /// Another one leads, or the lease to lead has run out: nothing of this one is released any more.
    Fenced {
        /// The epoch in which this one led: it grows with each leader.
        epoch: u64,
        /// Who leads now, if that is known.
        leader: Option<String>,
    },
    /// The operating system refused; the store is poisoned.
    Io {
        /// The attempted operation.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked { path, holder: Some(pid) } => write!(
                f,
                "another process (pid {pid}) is using {}; stop it first, or open another directory",
                path.display()
            ),
            Self::Locked { path, holder: None } => {
                write!(f, "another process is using {}; stop it first, or open another directory", path.display())
            }
            Self::NoStore { path } => {
                write!(f, "expected a snapshot or a journal in {}, found neither; check the path", path.display())
            }
            Self::NotEmpty { path } => {
                write!(f, "expected nothing of a store in {}, found something; name a new directory", path.display())
            }
            Self::Io { action, path, .. } => write!(f, "cannot {action} {}", path.display()),
        }
    }
}

impl fmt::Display for RecoverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged { path, line, byte, expected, found } => write!(
                f,
                "{}: expected {expected}, found {found}; the file is damaged, restore it from a copy",
                Place(path, *line, *byte)
            ),
            Self::Sequence { path, line, byte, expected, found } => write!(
                f,
                "{}: expected sequence number {expected}, found {found}; the journal has been \
                 changed, restore it from a copy",
                Place(path, *line, *byte)
            ),
            Self::MissingSegment { path, reached, resumes } => {
                write!(f, "expected {} after sequence number {reached}, found ", path.display())?;
                match resumes {
                    Some(first) => write!(f, "a journal that goes on at {first}")?,
                    None => f.write_str("no journal")?,
                }
                f.write_str("; restore the file from a copy")
            }
            Self::MissingSnapshot { path, segment } => write!(
                f,
                "expected {}, which {} follows, found no snapshot; restore the file from a copy",
                path.display(),
                segment.display()
            ),
            Self::ShortJournal { path, reached, expected } => write!(
                f,
                "{}: expected records up to {expected}, found none after {reached}; restore the file from a copy",
                path.display()
            ),
            Self::Duplicate { path, other } => write!(
                f,
                "expected one file of its number, found {} and {}; move the wrong one away",
                path.display(),
                other.display()
            ),
            Self::Misnamed { path, expected } => write!(
                f,
                "{}: expected the name {}; rename it if it belongs here, or move it away",
                path.display(),
                expected.display()
            ),
            Self::NotKept { directory, version, oldest } => write!(
                f,
                "expected a version from {oldest} on, the oldest one that {} has, found {version}",
                directory.display()
            ),
            Self::NotYet { directory, version, newest } => write!(
                f,
                "expected a version up to {newest}, the newest one that {} has, found {version}",
                directory.display()
            ),
            Self::NewerFormat { path, format, supported } => write!(
                f,
                "{} was written by a newer version: expected format {supported}, found {format}; \
                 open it with that version",
                path.display()
            ),
            Self::Refused { path, line, byte, reason } => {
                write!(f, "{}: {reason}", Place(path, *line, *byte))
            }
            Self::NotFresh => {
                f.write_str("expected a store that was just opened, found one that has been recovered already or failed to; open it again")
            }
            Self::Io { action, path, .. } => write!(f, "cannot {action} {}", path.display()),
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRecovered => {
                f.write_str("expected a recovered store, found one that was only opened; call recover first")
            }
            Self::Poisoned { cause } => {
                write!(f, "the store takes nothing more since an earlier call failed ({cause}); open it again")
            }
            Self::Sequence { expected, found } => {
                write!(f, "expected sequence number {expected}, found {found}")
            }
            Self::Record { sequence, expected, found } => {
                write!(f, "record {sequence}: expected {expected}, found {found}")
            }
            Self::BufferFull { limit, needed } => {
                write!(f, "expected at most {limit} bytes in the buffer, found {needed}; sync first")
            }
            Self::RecordTooLarge { sequence, limit, size } => write!(
                f,
                "record {sequence}: expected at most {limit} bytes, found {size}; raise the buffer limit \
                 or split the event"
            ),
            Self::NoSnapshot => {
                f.write_str("expected a snapshot that was begun, found none; call begin_snapshot first")
            }
            Self::UnderWay => f.write_str(
                "expected that the last sync has ended, found it under way; give its work back with end_sync first",
            ),
            Self::NotUnderWay => f.write_str("expected a sync under way, found none; begin one with begin_sync first"),
            Self::ReadOnly => {
                f.write_str("expected a store that can be written, found a past version; open the directory itself")
            }
            Self::Fenced { epoch, leader: Some(leader) } => write!(
                f,
                "expected to lead, as since epoch {epoch}, found that {leader} leads now; start again, to follow it"
            ),
            Self::Fenced { epoch, leader: None } => write!(
                f,
                "expected to lead, as since epoch {epoch}, found that the lease has run out; start again, to follow whoever leads"
            ),
            Self::Document { sequence, expected, found } => {
                write!(f, "snapshot {sequence}: expected {expected}, found {found}")
            }
            Self::Io { action, path, .. } => write!(f, "cannot {action} {}", path.display()),
        }
    }
}

impl Error for OpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl Error for RecoverError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl RecoverError {
    /// The file that this is about, and line (from 1) and byte (from 0) in it where they are known.
    pub(super) fn place(&self) -> (&Path, Option<(u64, u64)>) {
        match self {
            Self::Damaged { path, line, byte, .. }
            | Self::Sequence { path, line, byte, .. }
            | Self::Refused { path, line, byte, .. } => (path, Some((*line, *byte))),
            Self::MissingSegment { path, .. }
            | Self::MissingSnapshot { path, .. }
            | Self::ShortJournal { path, .. }
            | Self::Duplicate { path, .. }
            | Self::Misnamed { path, .. }
            | Self::NewerFormat { path, .. }
            | Self::Io { path, .. }
            | Self::NotKept { directory: path, .. }
            | Self::NotYet { directory: path, .. } => (path, None),
            Self::NotFresh => (Path::new(""), None),
        }
    }
}

/// A place in a file, the way compilers write it, so that editors find it.
pub(super) struct Place<'p>(pub(super) &'p Path, pub(super) u64, pub(super) u64);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(path, line, byte) = self;
        write!(f, "{}:{line} (byte {byte})", path.display())
    }
}

/// An operation of the operating system that failed, before it is known whose error it becomes.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) action: &'static str,
    pub(super) path: PathBuf,
    pub(super) source: io::Error,
}

/// Says what was tried with which file when an I/O operation fails.
pub(super) trait Trying<T> {
    fn trying(self, action: &'static str, path: &Path) -> Result<T, Failure>;
}

impl<T> Trying<T> for io::Result<T> {
    fn trying(self, action: &'static str, path: &Path) -> Result<T, Failure> {
        self.map_err(|source| Failure { action, path: path.to_owned(), source })
    }
}

impl From<Failure> for OpenError {
    fn from(Failure { action, path, source }: Failure) -> Self {
        Self::Io { action, path, source }
    }
}

impl From<Failure> for RecoverError {
    fn from(Failure { action, path, source }: Failure) -> Self {
        Self::Io { action, path, source }
    }
}

impl From<Failure> for StoreError {
    fn from(Failure { action, path, source }: Failure) -> Self {
        Self::Io { action, path, source }
    }
}

/// An error and what is behind it in one line, for keeping it as text.
pub(super) fn with_sources(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
