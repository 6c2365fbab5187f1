//! What can go wrong, one type for each operation.
//!
//! Invariant: an error from outside is distinct from one of the disk: only the latter ends the event loop.

use amiko_core::Rejection;
use amiko_core::engine::{EventError, SyncError};
use amiko_core::store::StoreError;
use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;

/// Why a runtime can't be set up.
#[derive(Debug)]
#[non_exhaustive]
pub enum BindError {
    /// The address can't be listened on.
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Listen { address, source } = self;
        let advice = match source.kind() {
            io::ErrorKind::AddrInUse => "another process has it: stop that one, or choose another port",
            io::ErrorKind::AddrNotAvailable => "choose an address of this machine, or 0.0.0.0 for all of them",
            io::ErrorKind::PermissionDenied => "choose a port above 1023",
            _ => "choose another address",
        };
        write!(f, "can't listen on {address}: {advice}")
    }
}

impl Error for BindError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let Self::Listen { source, .. } = self;
        Some(source)
    }
}

/// Why the event loop ended. What isn't on disk is lost, and nobody has been told of it. Open the state anew.
#[derive(Debug)]
#[non_exhaustive]
pub enum RunError {
    /// What was committed couldn't be made durable.
    Sync(SyncError),
    /// The store refused a record.
    Store(StoreError),
    /// The engine couldn't continue.
    Event(EventError),
    /// The operating system couldn't start the thread for the disk.
    Thread(io::Error),
    /// The thread of the disk has ended: the store panicked.
    DiskThread,
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sync(_) => "the node stopped, because its state can't be made durable: open it anew",
            Self::Store(_) => "the node stopped, because its journal takes nothing more: open it anew",
            Self::Event(_) => "the node stopped, because its engine can't go on: open it anew",
            Self::Thread(_) => "expected a thread for the disk, found that the operating system gives none",
            Self::DiskThread => "the node stopped, because the thread that writes its journal panicked: open it anew",
        })
    }
}

impl Error for RunError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Sync(error) => Some(error),
            Self::Store(error) => Some(error),
            Self::Event(error) => Some(error),
            Self::Thread(error) => Some(error),
            Self::DiskThread => None,
        }
    }
}

/// Why a command wasn't carried out.
#[derive(Debug)]
#[non_exhaustive]
pub enum CommandError {
    /// A handler rejected it. Nothing has happened.
    Rejected(Rejection),
    /// An effect of the command can't be stored: it is too long or has no exact text. Nothing has happened.
    Failed(EventError),
    /// The node has stopped, and the command hasn't been carried out.
    Stopped,
    /// The disk failed while the command was being made durable. Whether it happened shows when the state is opened anew.
    Unknown,
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(rejection) => rejection.fmt(f),
            Self::Failed(_) => f.write_str("what the command caused can't be kept"),
            Self::Stopped => Stopped.fmt(f),
            Self::Unknown => f.write_str(
                "the disk failed while the command was made durable: open the state anew to see whether it was",
            ),
        }
    }
}

impl Error for CommandError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed(error) => Some(error),
            _ => None,
        }
    }
}

/// The node has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped;

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a running node, found that it has stopped: start it again")
    }
}

impl Error for Stopped {}
