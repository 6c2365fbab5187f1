//! Why a node on PostgreSQL can't be opened, and how a failure of the database becomes one of the store.

use amiko_core::store::{Leader, RecoverError, StoreError};
use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a node can't be opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The text isn't the address of a database.
    Url(tokio_postgres::Error),
    /// The settings contradict each other.
    Settings {
        /// What was expected, and what was found.
        reason: String,
    },
    /// A name that no node can have.
    Name {
        /// The limit in bytes.
        limit: usize,
        /// The length of the name, in bytes.
        found: usize,
    },
    /// The database can't be reached, or refuses.
    Database {
        /// What was tried.
        action: &'static str,
        /// What it said.
        source: io::Error,
    },
    /// The tables were made by a newer version.
    NewerSchema {
        /// Their version.
        found: i32,
        /// The newest one that this version knows.
        supported: i32,
    },
    /// Another one leads.
    Led {
        /// The node.
        node: String,
        /// Who leads it.
        leader: Leader,
    },
    /// There is no such node in the database.
    NoNode {
        /// The node.
        node: String,
    },
    /// The operating system gives no thread, or no randomness.
    System(io::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(_) => f.write_str("expected the address of a database, as postgres://user@host/database"),
            Self::Settings { reason } => f.write_str(reason),
            Self::Name { limit, found } => {
                write!(f, "expected a name of a node of 1 to {limit} bytes, found one of {found}")
            }
            Self::Database { action, .. } => write!(f, "cannot {action}"),
            Self::NewerSchema { found, supported } => write!(
                f,
                "expected tables of version {supported}, found {found}, which a newer version has made: open them with that one"
            ),
            Self::Led { node, leader } => write!(
                f,
                "{} leads the node {node:?}, for {:.1} s if it isn't heard of any more: join as a standby, or stop it first",
                leader.holder,
                leader.left.as_secs_f64()
            ),
            Self::NoNode { node } => write!(f, "expected a node {node:?} in the database, found none: check the name"),
            Self::System(_) => {
                f.write_str("expected a thread and random bytes from the operating system, found that it gives none")
            }
        }
    }
}

impl Error for OpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Url(error) => Some(error),
            Self::Database { source, .. } => Some(source),
            Self::System(error) => Some(error),
            _ => None,
        }
    }
}

/// What the database, or the way to it, has refused.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) action: &'static str,
    pub(crate) source: io::Error,
}

impl Failure {
    pub(crate) fn new(action: &'static str, reason: impl Into<String>) -> Self {
        Self { action, source: io::Error::other(reason.into()) }
    }

    /// The same as an error of opening.
    pub(crate) fn open(self) -> OpenError {
        OpenError::Database { action: self.action, source: self.source }
    }

    /// The same as an error of a store.
    pub(crate) fn store(self, node: &str) -> StoreError {
        StoreError::Io { action: self.action, path: place(node, None), source: self.source }
    }

    /// The same as an error of a recovery.
    pub(crate) fn recover(self, node: &str) -> RecoverError {
        RecoverError::Io { action: self.action, path: place(node, None), source: self.source }
    }
}

/// What stands for a path in errors: the node, and the row.
pub(crate) fn place(node: &str, row: Option<String>) -> PathBuf {
    let node = PathBuf::from(format!("postgres:{node}"));
    match row {
        Some(row) => node.join(row),
        None => node,
    }
}

/// Says what was tried when the database refuses.
pub(crate) trait Trying<T> {
    fn trying(self, action: &'static str) -> Result<T, Failure>;
}

impl<T> Trying<T> for Result<T, tokio_postgres::Error> {
    fn trying(self, action: &'static str) -> Result<T, Failure> {
        self.map_err(|error| Failure { action, source: io::Error::other(in_full(&error)) })
    }
}

/// An error with what is behind it, in one line.
pub(crate) fn in_full(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
