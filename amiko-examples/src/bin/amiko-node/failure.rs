//! Why a command failed: one sentence with the cause and the remedy, a code for programs, and an exit code.

use amiko_core::engine::EngineOpenError;
use amiko_core::serializable::Json;
use amiko_core::store::{OpenError, RecoverError};
use amiko_runtime::RunError;
use std::error::Error;
use std::fmt;
use std::io;
use std::path::Path;

/// Each kind has its code and its exit code, which docs/node.md lists.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Refused, or failed: 1.
    Refused(String),
    /// A payment was cancelled, and nothing was paid: 1.
    Cancelled(String),
    /// Nobody agreed: 1.
    NotAgreed(String),
    /// The operating system doesn't let this user do that: 1.
    Denied(String),
    /// The node stopped before it answered: 1.
    Stopped(String),
    /// Standard output takes nothing: 1.
    Unwritten(String),
    /// Wrong usage: 2.
    Usage(String),
    /// The node isn't running: 3.
    NotRunning(String),
    /// The state directory is damaged: 4.
    Damaged(String),
    /// Another process leads the node, or this one has lost its lease: 5.
    NotLeader(String),
    /// One of the others, and what else is in the document that `--json` prints.
    Beside(Box<Self>, Json),
}

impl Failure {
    pub(crate) fn refused(error: impl Error + 'static) -> Self {
        Self::of(&error, chain(&error))
    }

    pub(crate) fn system(error: impl Error + 'static) -> Self {
        Self::of(&error, format!("the operating system refused: {}", chain(&error)))
    }

    /// Why a node has ended.
    pub(crate) fn run(error: RunError) -> Self {
        if error.is_fenced() { Self::NotLeader(chain(&error)) } else { Self::refused(error) }
    }

    pub(crate) fn open(error: &OpenError) -> Self {
        Self::of(error, chain(error))
    }

    /// The failure with this text, whose kind follows from an error and its causes.
    fn of(error: &(dyn Error + 'static), text: String) -> Self {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied) {
                return Self::Denied(format!("permission denied: {text}: be the user whom that belongs to"));
            }
            cause = error.source();
        }
        Self::Refused(text)
    }

    /// The same, with what `--json` prints beside the error.
    pub(crate) fn beside(self, document: Json) -> Self {
        Self::Beside(Box::new(self), document)
    }

    pub(crate) fn engine(error: &EngineOpenError, directory: &Path) -> Self {
        match error {
            EngineOpenError::Recover(RecoverError::Io { .. } | RecoverError::NewerFormat { .. }) => {
                Self::of(error, chain(error))
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
            Self::Usage(_) => 2,
            Self::NotRunning(_) => 3,
            Self::Damaged(_) => 4,
            Self::NotLeader(_) => 5,
            Self::Beside(failure, _) => failure.exit_code(),
            _ => 1,
        }
    }

    /// What a program can tell it by.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::Cancelled(_) => "cancelled",
            Self::NotAgreed(_) => "not-agreed",
            Self::Denied(_) => "permission-denied",
            Self::Stopped(_) => "stopped",
            Self::Unwritten(_) => "unwritten",
            Self::Usage(_) => "usage",
            Self::NotRunning(_) => "not-running",
            Self::Damaged(_) => "damaged",
            Self::NotLeader(_) => "not-leader",
            Self::Beside(failure, _) => failure.code(),
        }
    }

    /// The document that `--json` prints of it.
    pub(crate) fn document(&self) -> Json {
        let error = Json::Object(vec![
            ("code".into(), Json::String(self.code().into())),
            ("message".into(), Json::String(self.to_string())),
        ]);
        let mut fields = vec![("error".to_owned(), error)];
        if let Self::Beside(_, Json::Object(beside)) = self {
            fields.extend(beside.iter().cloned());
        }
        Json::Object(fields)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(text)
            | Self::Cancelled(text)
            | Self::NotAgreed(text)
            | Self::Denied(text)
            | Self::Stopped(text)
            | Self::Unwritten(text)
            | Self::Usage(text)
            | Self::NotRunning(text)
            | Self::Damaged(text)
            | Self::NotLeader(text) => f.write_str(text),
            Self::Beside(failure, _) => failure.fmt(f),
        }
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
