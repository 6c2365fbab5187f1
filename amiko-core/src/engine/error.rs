//! The errors of an engine.
//!
//! Invariant: one type per operation, and after each error the state is the same as before.

use crate::rejection::Rejection;
use crate::serializable::{ReadError, WriteError};
use crate::store::{RecoverError, StoreError};
use std::fmt;

/// The state couldn't be opened; the files on disk are unchanged.
#[derive(Debug)]
#[non_exhaustive]
pub enum EngineOpenError {
    /// The store couldn't be read.
    Recover(RecoverError),
    /// Data of a program with other classes can't be migrated to the classes of this one.
    Lift(ReadError),
    /// The first snapshot of a new state couldn't be written.
    Snapshot(SyncError),
    /// What the program says of its classes couldn't be kept beside the state.
    Describe(StoreError),
    /// The operating system gave no randomness.
    Entropy(String),
}

/// An event that was undone. Nothing was changed.
#[derive(Debug)]
#[non_exhaustive]
pub enum EventError {
    /// A handler, or the node's check, rejected it.
    Rejected(Rejection),
    /// What the event changed has no exact text.
    Write(WriteError),
    /// The event's changes exceed the limit of a journal record.
    TooLong {
        /// The limit in bytes. The record isn't built beyond it.
        limit: usize,
    },
    /// A message from a peer that follows missing ones.
    Gap {
        /// How many are missing.
        missing: u64,
    },
    /// A message from a peer, with a number that no peer can have reached.
    Future {
        /// The number.
        index: u64,
        /// The number of the next one.
        expected: u64,
    },
    /// A peer confirms a message that it can't have received.
    NeverSent {
        /// The number that it confirms.
        index: u64,
        /// How many messages it can have received.
        sent: u64,
    },
    /// Nothing is acknowledged any more: reopen the state to return to what is on disk.
    Poisoned {
        /// What happened.
        reason: &'static str,
    },
    /// There is no connection of this name.
    NoConnection {
        /// The name.
        connection: String,
    },
    /// The key of a command is too long.
    KeyTooLong {
        /// The limit in bytes.
        limit: usize,
        /// The length in bytes.
        found: usize,
    },
    /// Another command of the same key was carried out before.
    KeyUsed {
        /// The key.
        key: String,
    },
    /// The store refused the record.
    Store(StoreError),
}

/// Committed events couldn't be made durable. Nothing is acknowledged from now on; reopen the directory to return to
/// the last durable state.
#[derive(Debug)]
#[non_exhaustive]
pub enum SyncError {
    /// The store failed.
    Store(StoreError),
    /// The state has no exact text.
    Write(WriteError),
    /// An earlier call failed: nothing is acknowledged any more.
    Poisoned {
        /// What happened.
        reason: &'static str,
    },
}

impl fmt::Display for EngineOpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recover(_) => f.write_str("the state can't be read back"),
            Self::Lift(error) => {
                f.write_str("the state of another version of this program can't be read: ")?;
                match error.class() {
                    Some(class) => write!(f, "class {class} needs a migration"),
                    None => f.write_str("it needs a migration"),
                }
            }
            Self::Snapshot(_) => f.write_str("the first snapshot can't be written"),
            Self::Describe(_) => f.write_str("the description of the classes can't be written"),
            Self::Entropy(reason) => write!(f, "expected randomness from the operating system, found none: {reason}"),
        }
    }
}

impl std::error::Error for EngineOpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Recover(error) => Some(error),
            Self::Snapshot(error) => Some(error),
            Self::Describe(error) => Some(error),
            Self::Lift(error) => Some(error),
            Self::Entropy(_) => None,
        }
    }
}

impl EventError {
    /// The event's changes can't be written.
    pub(super) fn unwritten(error: WriteError) -> Self {
        match error.problem() {
            WriteError::TooLong { limit } => Self::TooLong { limit: *limit },
            _ => Self::Write(error),
        }
    }
}

impl fmt::Display for EventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(rejection) => rejection.fmt(f),
            Self::Write(_) => f.write_str("what the event changed can't be written"),
            Self::TooLong { limit } => {
                write!(f, "expected a journal record of at most {limit} bytes, found a longer one")
            }
            Self::Gap { missing } => write!(f, "expected the next message of the peer, found one {missing} further on"),
            Self::Future { index, expected } => {
                write!(f, "expected message {expected} of the peer, found {index}, which it can't have come to")
            }
            Self::NeverSent { index, sent } => {
                write!(f, "expected a confirmation of one of the {sent} messages that were sent, found number {index}")
            }
            Self::Poisoned { reason } => {
                write!(f, "nothing is acknowledged any more, because {reason}: reopen the state")
            }
            Self::NoConnection { connection } => write!(f, "expected a connection, found none named {connection:?}"),
            Self::KeyTooLong { limit, found } => {
                write!(f, "expected a key of at most {limit} bytes, found one of {found}: send its hash")
            }
            Self::KeyUsed { key } => write!(
                f,
                "expected the command that the key {key:?} was used for before, found another one: give it a key of its own"
            ),
            Self::Store(_) => f.write_str("the store took no record"),
        }
    }
}

impl std::error::Error for EventError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Write(error) => Some(error),
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}

impl SyncError {
    /// Whether another one leads, or may.
    pub fn is_fenced(&self) -> bool {
        matches!(self, Self::Store(StoreError::Fenced { .. }))
    }
}

impl fmt::Display for SyncError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(StoreError::Fenced { .. }) => f.write_str("nothing more is released"),
            Self::Store(_) => f.write_str("the state can't be made durable: reopen it"),
            Self::Write(_) => f.write_str("the state can't be written as a snapshot"),
            Self::Poisoned { reason } => {
                write!(f, "nothing is made durable any more, because {reason}: reopen the state")
            }
        }
    }
}

impl std::error::Error for SyncError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            Self::Write(error) => Some(error),
            Self::Poisoned { .. } => None,
        }
    }
}
