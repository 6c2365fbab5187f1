//! Why a command failed: one sentence with the cause and the remedy, and an exit code.

use amiko_core::engine::EngineOpenError;
use amiko_core::store::{OpenError, RecoverError};
use std::error::Error;
use std::fmt;
use std::path::Path;

/// Each kind has its exit code.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Refused, or failed: 1.
    Refused(String),
    /// Wrong usage: 2.
    Usage(String),
    /// The node isn't running: 3.
    NotRunning(String),
    /// The state directory is damaged: 4.
    Damaged(String),
}

impl Failure {
    pub(crate) fn refused(error: impl Error) -> Self {
        Self::Refused(chain(&error))
    }

    pub(crate) fn system(error: impl Error) -> Self {
        Self::Refused(format!("the operating system refused: {}", chain(&error)))
    }

    pub(crate) fn open(error: &OpenError) -> Self {
        Self::Refused(chain(error))
    }

    pub(crate) fn engine(error: &EngineOpenError, directory: &Path) -> Self {
        match error {
            EngineOpenError::Recover(RecoverError::Io { .. } | RecoverError::NewerFormat { .. }) => {
                Self::Refused(chain(error))
            }
            EngineOpenError::Recover(_) => Self::Damaged(format!(
                "{}; nothing was changed: `amiko-node verify --dir {1}` says everything that is wrong, and \
                 `amiko-node repair --dir {1}` salvages what is good",
                chain(error),
                directory.display()
            )),
            _ => Self::Refused(chain(error)),
        }
    }

    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(_) => 1,
            Self::Usage(_) => 2,
            Self::NotRunning(_) => 3,
            Self::Damaged(_) => 4,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Refused(text) | Self::Usage(text) | Self::NotRunning(text) | Self::Damaged(text)) = self;
        f.write_str(text)
    }
}

/// An error and its causes, in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
