//! Why a command failed.
//!
//! Invariant: the text says what to do next, if there is anything to do.

use amiko_core::store::{BackupError, OpenError, RecoverError, RepairError, StoreError};
use amiko_inspector::reading::plain;
use amiko_postgres::CopyError;
use std::path::Path;
use std::{fmt, io};

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The output can't be written.
    Output(io::Error),
    /// What was asked for isn't there.
    Missing(String),
    /// The directory can't be read.
    Unreadable(OpenError),
    /// The files can't be read back.
    Damaged(RecoverError),
    /// A record of the journal isn't what a node writes.
    Record { version: u64, reason: &'static str },
    /// Files are damaged: what is wrong was said.
    Findings { damage: usize },
    /// A directory can't be repaired.
    Beyond(RepairError),
    /// It could be repaired, and nobody said so.
    Unrepaired,
    /// A node isn't copied, or can't be read from its database.
    Copy(CopyError),
    /// The same between two directories.
    Backup(BackupError),
    /// What is secret isn't known.
    Classes(StoreError),
    /// It can't be shown in a browser.
    Listen(String),
    /// The command line.
    Usage(String),
}

impl Failure {
    pub(crate) fn no_path(path: &str, at: u64) -> Self {
        Self::Missing(format!("expected something at {:?} in version {at}, found nothing", plain(path)))
    }

    pub(crate) fn no_store(path: &Path) -> Self {
        Self::Missing(format!(
            "expected the state directory of a node, found none at {}",
            plain(&path.to_string_lossy())
        ))
    }

    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    pub(crate) fn exit_code(&self) -> u8 {
        use amiko_postgres::OpenError::{Name, Settings, Url};
        match self {
            Self::Output(_) => 1,
            Self::Copy(CopyError::Database(Url(_) | Name { .. } | Settings { .. })) => 2,
            Self::Copy(CopyError::Source(RecoverError::Io { .. })) => 3,
            Self::Copy(
                CopyError::Source(_) | CopyError::Classes(_) | CopyError::Differs { .. } | CopyError::Refused { .. },
            ) => 4,
            Self::Copy(_) => 3,
            Self::Backup(BackupError::Read(RecoverError::Io { .. })) => 3,
            Self::Backup(
                BackupError::Read(_)
                | BackupError::Classes(_)
                | BackupError::Differs { .. }
                | BackupError::Refused { .. },
            ) => 4,
            Self::Backup(_) => 3,
            Self::Usage(_) | Self::Listen(_) => 2,
            Self::Missing(_) | Self::Unreadable(_) => 3,
            Self::Damaged(RecoverError::NotKept { .. } | RecoverError::NotYet { .. } | RecoverError::Io { .. }) => 3,
            Self::Beyond(RepairError::Open(_) | RepairError::Io { .. }) => 3,
            Self::Beyond(RepairError::Undecided(RecoverError::Io { .. })) => 3,
            Self::Damaged(_)
            | Self::Classes(_)
            | Self::Record { .. }
            | Self::Findings { .. }
            | Self::Beyond(_)
            | Self::Unrepaired => 4,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Output(error) => write!(f, "the output can't be written: {error}"),
            Self::Missing(text) | Self::Usage(text) | Self::Listen(text) => f.write_str(text),
            Self::Unreadable(error) => with_sources(error, f),
            Self::Damaged(error) => with_sources(error, f),
            Self::Copy(error) => with_sources(error, f),
            Self::Backup(error) => with_sources(error, f),
            Self::Classes(error) => {
                with_sources(error, f)?;
                f.write_str(
                    "; --secrets shows everything, and so does the next start of the program once it is removed",
                )
            }
            Self::Findings { damage } => {
                match damage {
                    1 => f.write_str("one thing is damaged")?,
                    damage => write!(f, "{damage} things are damaged")?,
                }
                f.write_str("; nothing was changed: `amiko repair` shows what can be salvaged")
            }
            Self::Beyond(error) => with_sources(error, f),
            Self::Unrepaired => f.write_str("nothing was changed: --yes does it"),
            Self::Record { version, reason } => write!(f, "the record of version {version} can't be used: {reason}"),
        }
    }
}

fn with_sources(error: &dyn std::error::Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(&plain(&error.to_string()))?;
    error.source().map_or(Ok(()), |source| {
        f.write_str(": ")?;
        with_sources(source, f)
    })
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<CopyError> for Failure {
    fn from(error: CopyError) -> Self {
        Self::Copy(error)
    }
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        Self::Backup(error)
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        Self::Unreadable(error)
    }
}

impl From<RepairError> for Failure {
    fn from(error: RepairError) -> Self {
        Self::Beyond(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Classes(error)
    }
}

impl From<RecoverError> for Failure {
    fn from(error: RecoverError) -> Self {
        Self::Damaged(error)
    }
}
