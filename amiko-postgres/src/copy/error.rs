//! Why there is no copy.

use crate::error::{Failure, OpenError};
use amiko_core::store::{self, RecoverError, StoreError};
use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a node wasn't copied.
#[derive(Debug)]
#[non_exhaustive]
pub enum CopyError {
    /// The database can't be reached, refuses, or has no such node; or somebody leads the node.
    Database(OpenError),
    /// The directory can't be opened.
    Directory(store::OpenError),
    /// What is to be copied can't be read, or is damaged.
    Source(RecoverError),
    /// The copy can't be written.
    Target(StoreError),
    /// What is said of the classes can't be read.
    Classes(StoreError),
    /// There is something already where the copy would be.
    Occupied {
        /// The place.
        target: String,
    },
    /// There is nothing to be copied.
    Nothing {
        /// The place.
        source: String,
    },
    /// The copy, as it was read back, isn't what was copied.
    Differs {
        /// What differs.
        reason: String,
    },
    /// The check of the copy has found something.
    Refused {
        /// What.
        reason: String,
    },
    /// A directory can't be used.
    Io {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

impl fmt::Display for CopyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database(error) => error.fmt(f),
            Self::Directory(error) => error.fmt(f),
            Self::Source(error) => error.fmt(f),
            Self::Target(error) | Self::Classes(error) => error.fmt(f),
            Self::Occupied { target } => {
                write!(f, "expected nothing in {target}, found something: copy to a new one, which has another name")
            }
            Self::Nothing { source } => write!(f, "expected a snapshot or a record of {source}, found none"),
            Self::Differs { reason } => {
                write!(f, "expected to read back what was written, found that it differs, and made no copy: {reason}")
            }
            Self::Refused { reason } => f.write_str(reason),
            Self::Io { action, path, .. } => write!(f, "cannot {action} {}", path.display()),
        }
    }
}

impl Error for CopyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Database(error) => error.source(),
            Self::Directory(error) => error.source(),
            Self::Source(error) => error.source(),
            Self::Target(error) | Self::Classes(error) => error.source(),
            Self::Io { source, .. } => Some(source),
            Self::Occupied { .. } | Self::Nothing { .. } | Self::Differs { .. } | Self::Refused { .. } => None,
        }
    }
}

impl From<OpenError> for CopyError {
    fn from(error: OpenError) -> Self {
        Self::Database(error)
    }
}

impl From<Failure> for CopyError {
    fn from(failure: Failure) -> Self {
        Self::Database(failure.open())
    }
}

impl From<store::OpenError> for CopyError {
    fn from(error: store::OpenError) -> Self {
        Self::Directory(error)
    }
}

impl From<RecoverError> for CopyError {
    fn from(error: RecoverError) -> Self {
        Self::Source(error)
    }
}
