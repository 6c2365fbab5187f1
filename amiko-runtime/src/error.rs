//! What can go wrong, one type for each operation.
//!
//! Invariant: an error from outside is distinct from one of the disk: only the latter ends the event loop.

use amiko_core::Rejection;
use amiko_core::engine::{EventError, SyncError};
use amiko_core::serializable::ReadError;
use amiko_core::store::StoreError;
use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

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
    /// The store panicked while it wrote: whether the last commits are on disk, nobody knows.
    DiskThread,
    /// The node was told to stop, and didn't in time: the disk is too slow.
    StopTimeout {
        /// The limit: [`RuntimeSettings::stop_limit`](crate::RuntimeSettings::stop_limit).
        limit: Duration,
        /// Events that the disk hasn't confirmed.
        waiting: u64,
    },
    /// The loop panicked: code of the application did so where that can't be undone.
    Panicked(String),
    /// The async runtime has ended, and the loop with it.
    Cancelled,
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            error if error.is_fenced() => "the node stopped, because it isn't known to lead any more",
            Self::Sync(_) => "the node stopped, because its state can't be made durable: open it anew",
            Self::Store(_) => "the node stopped, because its journal takes nothing more: open it anew",
            Self::Event(_) => "the node stopped, because its engine can't go on: open it anew",
            Self::Thread(_) => "expected a thread for the disk, found that the operating system gives none",
            Self::DiskThread => "the node stopped, because its store panicked while it wrote its journal: open it anew",
            Self::StopTimeout { limit, waiting } => {
                return write!(
                    f,
                    "expected to stop within {limit:?}, still waiting for the disk to take {waiting} events: nobody was told \
                     that they happened"
                );
            }
            Self::Panicked(text) => return write!(f, "the node stopped, because its loop panicked: {text}"),
            Self::Cancelled => "the node stopped, because the async runtime ended: stop the node first",
        })
    }
}

impl RunError {
    /// Whether the node stopped because another one leads, or may: see [`StoreError::Fenced`]. This one can follow that.
    pub fn is_fenced(&self) -> bool {
        match self {
            Self::Sync(error) => error.is_fenced(),
            Self::Store(error) => matches!(error, StoreError::Fenced { .. }),
            _ => false,
        }
    }
}

impl Error for RunError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Sync(error) => Some(error),
            Self::Store(error) => Some(error),
            Self::Event(error) => Some(error),
            Self::Thread(error) => Some(error),
            Self::DiskThread | Self::StopTimeout { .. } | Self::Panicked(_) | Self::Cancelled => None,
        }
    }
}

/// Why a command wasn't carried out.
#[derive(Debug)]
#[non_exhaustive]
pub enum SendError {
    /// A handler rejected it. Nothing has happened.
    Rejected(Rejection),
    /// An effect of the command can't be stored: it is too long or has no exact text. Nothing has happened.
    Failed(EventError),
    /// The key of the command is too long. Nothing has happened.
    KeyTooLong {
        /// The limit in bytes: [`Limits::answer_key`](amiko_core::event::Limits::answer_key).
        limit: usize,
        /// The length in bytes.
        found: usize,
    },
    /// Another command of the same key was carried out before. Nothing has happened.
    KeyUsed {
        /// The key.
        key: String,
    },
    /// The command was carried out, but its handler gave no reply: the machine names a type of reply, and has to give
    /// one with [`Context::reply`](amiko_core::Context::reply).
    NoReply,
    /// The command was carried out, but its reply, which an older program has kept, can't be read by this one.
    Reply(ReadError),
    /// The node has stopped, and the command hasn't been carried out.
    Stopped,
    /// Another process leads the node, or none does: the command hasn't been carried out. See [`Member`](crate::Member).
    NotLeader {
        /// Where the leader answers, if that is known.
        leader: Option<String>,
    },
    /// The disk failed while the command was being made durable. Whether it happened shows when the state is opened anew.
    Unknown,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(rejection) => rejection.fmt(f),
            Self::Failed(_) => f.write_str("what the command caused can't be kept"),
            Self::KeyTooLong { limit, found } => {
                write!(f, "expected a key of at most {limit} bytes, found one of {found}: send its hash")
            }
            Self::KeyUsed { key } => write!(
                f,
                "expected the command that the key {key:?} was used for before, found another one: give it a key of its own"
            ),
            Self::NoReply => {
                f.write_str("expected a reply, found that the handler gave none: the command was carried out")
            }
            Self::Reply(_) => f.write_str("the command was carried out, but its reply can't be read"),
            Self::Stopped => AskError::Stopped.fmt(f),
            Self::NotLeader { leader } => AskError::NotLeader { leader: leader.clone() }.fmt(f),
            Self::Unknown => f.write_str(
                "the disk failed while the command was made durable: open the state anew to see whether it was",
            ),
        }
    }
}

impl Error for SendError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed(error) => Some(error),
            Self::Reply(error) => Some(error),
            _ => None,
        }
    }
}

impl From<EventError> for SendError {
    fn from(error: EventError) -> Self {
        match error {
            EventError::Rejected(rejection) => Self::Rejected(rejection),
            EventError::KeyTooLong { limit, found } => Self::KeyTooLong { limit, found },
            EventError::KeyUsed { key } => Self::KeyUsed { key },
            error => Self::Failed(error),
        }
    }
}

impl SendError {
    /// The application's own error that the handler rejected the command with, if it is of this type.
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        match self {
            Self::Rejected(rejection) => rejection.downcast_ref(),
            _ => None,
        }
    }
}

/// Why a question to a node has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AskError {
    /// The node has stopped.
    Stopped,
    /// Another process leads the node, or none does: see [`Member`](crate::Member).
    NotLeader {
        /// Where the leader answers, if that is known.
        leader: Option<String>,
    },
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("expected a running node, found that it has stopped: start it again"),
            Self::NotLeader { leader: Some(leader) } => {
                write!(f, "not the leader: ask {leader}, which leads this node")
            }
            Self::NotLeader { leader: None } => {
                f.write_str("not the leader: ask the other members of this node's cluster, or again in a moment")
            }
        }
    }
}

impl Error for AskError {}

impl From<AskError> for SendError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Stopped => Self::Stopped,
            AskError::NotLeader { leader } => Self::NotLeader { leader },
        }
    }
}
