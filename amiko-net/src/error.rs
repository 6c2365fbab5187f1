//! What can go wrong, one type for each operation.
//!
//! Invariant: an error from outside is told apart from one of the disk: only the latter ends the event loop.

use crate::noise::NoiseError;
use amiko_core::Rejection;
use amiko_core::engine::{EventError, SyncError};
use amiko_core::serializable::{ReadError, WriteError};
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

/// Why the event loop ended. What isn't on disk is lost, and nobody has been told of it: open the state anew.
#[derive(Debug)]
#[non_exhaustive]
pub enum RunError {
    /// What was committed couldn't be made durable.
    Sync(SyncError),
    /// The store took no record.
    Store(StoreError),
    /// The operating system gave no thread for the disk.
    Thread(io::Error),
    /// The thread of the disk has ended: the store panicked.
    DiskThread,
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sync(_) => "the node stopped, because its state can't be made durable: open it anew",
            Self::Store(_) => "the node stopped, because its journal takes nothing more: open it anew",
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
            Self::Thread(error) => Some(error),
            Self::DiskThread => None,
        }
    }
}

/// Why a command wasn't carried out.
#[derive(Debug)]
#[non_exhaustive]
pub enum CommandError {
    /// A handler said no. Nothing has happened.
    Rejected(Rejection),
    /// What the command caused can't be kept: it is too long or has no exact text. Nothing has happened.
    Failed(EventError),
    /// The node has stopped, and the command hasn't been carried out.
    Stopped,
    /// The disk failed while the command was made durable: whether it has happened shows when the state is opened anew.
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

/// Why a peer couldn't be dialled.
#[derive(Debug)]
#[non_exhaustive]
pub enum DialError {
    /// The peer can't be reached.
    Io(io::Error),
    /// The peer isn't who it should be, or doesn't encrypt as it should.
    Noise(NoiseError),
    /// The peer doesn't answer.
    Timeout {
        /// How long it may take.
        limit: Duration,
    },
    /// The application has nothing to say on this connection.
    Hello(Rejection),
    /// The hello can't be written.
    Unsendable(Unsendable),
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Noise(error) => error.fmt(f),
            Self::Timeout { limit } => write!(f, "expected an answer within {limit:?}, found none"),
            Self::Hello(rejection) => write!(f, "no hello: {rejection}"),
            Self::Unsendable(error) => write!(f, "no hello: {error}"),
        }
    }
}

impl Error for DialError {}

impl From<io::Error> for DialError {
    fn from(error: io::Error) -> Self {
        error.downcast().map_or_else(Self::Io, Self::Noise)
    }
}

/// Why a connection lost its socket.
#[derive(Debug)]
#[non_exhaustive]
pub enum Disconnect {
    /// The peer closed it.
    Ended,
    /// The operating system lost it.
    Io(io::Error),
    /// What came isn't what the peer has encrypted, or the peer isn't who it should be.
    Noise(NoiseError),
    /// The peer broke the rules of the wire.
    Protocol(ProtocolError),
    /// The peer said nothing though it owed a confirmation, or took nothing.
    Silent {
        /// How long it may.
        limit: Duration,
    },
    /// The peer accepted and then didn't say where it stands.
    NoAnswer {
        /// How long it may take.
        limit: Duration,
    },
    /// The peer and this node don't agree on what they have told each other: the connection isn't used any more.
    Conflict,
    /// The node couldn't keep where the peer stands.
    Failed(EventError),
    /// A newer socket took its place.
    Replaced,
    /// The application has said that another peer is meant, or another place.
    Readdressed,
    /// The connection itself is over.
    Closed,
    /// The node stops.
    Stopped,
}

impl fmt::Display for Disconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => f.write_str("the peer closed the socket"),
            Self::Io(error) => error.fmt(f),
            Self::Noise(error) => error.fmt(f),
            Self::Protocol(error) => error.fmt(f),
            Self::Silent { limit } => write!(f, "expected a sign of life within {limit:?}, found none"),
            Self::NoAnswer { limit } => {
                write!(f, "expected the peer to say where it stands within {limit:?}, found that it didn't")
            }
            Self::Conflict => f.write_str("one of the two states is older than it should be"),
            Self::Failed(error) => error.fmt(f),
            Self::Replaced => f.write_str("another socket took the place of this one"),
            Self::Readdressed => f.write_str("the connection is for another address now"),
            Self::Closed => f.write_str("the connection is over"),
            Self::Stopped => f.write_str("the node stops"),
        }
    }
}

impl Error for Disconnect {}

impl From<io::Error> for Disconnect {
    fn from(error: io::Error) -> Self {
        error.downcast().map_or_else(Self::Io, Self::Noise)
    }
}

/// Why a peer that dialled was sent away.
#[derive(Debug)]
#[non_exhaustive]
pub enum Refusal {
    /// The application doesn't know it, or doesn't want it.
    Rejected(Rejection),
    /// The node couldn't keep what its hello caused.
    Failed(EventError),
    /// It is welcome on a connection that doesn't exist.
    NoConnection {
        /// The name.
        connection: String,
    },
    /// Both sides dialled, and the socket of this side has the larger dice.
    Dice {
        /// The connection that they dialled for.
        connection: String,
    },
    /// The connection isn't used, because one of the two states is older than it should be.
    Conflict {
        /// The name.
        connection: String,
    },
    /// It has too many sockets already, or others at its address have.
    Address {
        /// How many there may be.
        limit: usize,
    },
    /// It said nothing.
    Timeout {
        /// How long it may.
        limit: Duration,
    },
    /// Too many others were waiting to say hello.
    Crowded {
        /// How many may.
        limit: usize,
    },
    /// It went away, or was lost, before it had said anything.
    Lost(Disconnect),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(rejection) => rejection.fmt(f),
            Self::Failed(error) => error.fmt(f),
            Self::NoConnection { connection } => write!(f, "expected a connection, found none named {connection:?}"),
            Self::Dice { connection } => write!(f, "{connection:?} has a socket with larger dice already"),
            Self::Conflict { connection } => {
                write!(f, "{connection:?} isn't used, because one of the two states is older than it should be")
            }
            Self::Address { limit } => write!(f, "expected at most {limit} sockets of one address, found more"),
            Self::Timeout { limit } => write!(f, "expected a hello within {limit:?}, found none"),
            Self::Crowded { limit } => write!(f, "expected at most {limit} peers that haven't said hello, found more"),
            Self::Lost(reason) => write!(f, "lost before its hello: {reason}"),
        }
    }
}

impl Error for Refusal {}

/// What isn't a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LineError {
    /// It doesn't end.
    TooLong {
        /// Bytes that a line may have.
        limit: usize,
    },
    /// It isn't UTF-8.
    NotText {
        /// Offset in bytes of the first wrong byte from the start of the line.
        byte: usize,
    },
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { limit } => write!(f, "expected a line of at most {limit} bytes, found a longer one"),
            Self::NotText { byte } => write!(f, "expected a line of UTF-8, found something else at byte {byte}"),
        }
    }
}

impl Error for LineError {}

/// Which rule of the wire a peer broke.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProtocolError {
    /// What it sent isn't a line.
    Line(LineError),
    /// The line isn't one that peers say.
    Frame(ReadError),
    /// Its first line isn't a hello, or another line is one.
    Hello {
        /// Whether it was the first line.
        first: bool,
    },
    /// Its first line isn't a hello that the node understands.
    Message(ReadError),
    /// It didn't say where it stands before it said anything else, or it said so again, or to a node that doesn't ask.
    Standing,
    /// Messages before this one are missing.
    Gap {
        /// How many.
        missing: u64,
    },
    /// It sent a message with a number that it can't have come to.
    Future {
        /// The number.
        index: u64,
        /// The number of the next one.
        expected: u64,
    },
    /// It confirmed a message that wasn't sent.
    NotSent {
        /// The number of the message.
        index: u64,
    },
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(error) => error.fmt(f),
            Self::Frame(error) => error.fmt(f),
            Self::Hello { first: true } => f.write_str("expected a hello with the index null, found another line"),
            Self::Hello { first: false } => f.write_str("expected one hello, found another one"),
            Self::Message(error) => write!(f, "hello: {error}"),
            Self::Standing => f.write_str(
                "expected the peer to say where it stands once, after the hello, found another line or another time",
            ),
            Self::Gap { missing } => write!(f, "expected the next message, found one {missing} further on"),
            Self::Future { index, expected } => {
                write!(f, "expected message {expected}, found {index}, which the peer can't have come to")
            }
            Self::NotSent { index } => {
                write!(f, "expected a confirmation of what was sent, found one of message {index}, which wasn't")
            }
        }
    }
}

impl Error for ProtocolError {}

/// Why a message has no line on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unsendable {
    /// It has no exact text.
    Write(WriteError),
    /// Its line would be too long.
    TooLong {
        /// Bytes that a line may have.
        limit: usize,
        /// Bytes that it would have.
        found: usize,
    },
    /// It is nested too deeply.
    TooDeep {
        /// Levels that a line may have.
        limit: u32,
    },
}

impl fmt::Display for Unsendable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(error) => error.fmt(f),
            Self::TooLong { limit, found } => write!(f, "expected a line of at most {limit} bytes, found {found}"),
            Self::TooDeep { limit } => write!(f, "expected at most {limit} levels of nesting, found more"),
        }
    }
}

impl Error for Unsendable {}
