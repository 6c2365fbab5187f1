//! The errors between two nodes.
//!
//! Invariant: none of them comes from this node's disk; an error of the store ends all conversations.

use crate::engine::EventError;
use crate::rejection::Rejection;
use crate::serializable::{ReadError, WriteError};
use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

/// Why a peer couldn't be dialled.
#[derive(Debug)]
#[non_exhaustive]
pub enum DialError {
    /// The peer can't be reached, or isn't the expected one.
    Transport(io::Error),
    /// The peer doesn't answer.
    Timeout {
        /// How long it may take.
        limit: Duration,
    },
    /// The application has no hello for this connection.
    Hello(Rejection),
    /// The hello can't be written.
    Unsendable(Unsendable),
    /// The node couldn't record the tie-breaker of the hello.
    Failed(EventError),
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport(error) => error.fmt(f),
            Self::Timeout { limit } => write!(f, "expected an answer within {limit:?}, found none"),
            Self::Hello(rejection) => write!(f, "no hello: {rejection}"),
            Self::Unsendable(error) => write!(f, "no hello: {error}"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl Error for DialError {}

impl From<io::Error> for DialError {
    fn from(error: io::Error) -> Self {
        Self::Transport(error)
    }
}

/// Why a connection lost its socket.
#[derive(Debug)]
#[non_exhaustive]
pub enum Disconnect {
    /// The peer closed it.
    Ended,
    /// The operating system lost it, or the data received isn't what the peer sent.
    Transport(io::Error),
    /// The peer broke the rules of the wire.
    Protocol(ProtocolError),
    /// The peer was silent though it owed a confirmation, or it read nothing.
    Silent {
        /// How long it may be silent.
        limit: Duration,
    },
    /// The peer accepted but didn't send its resume point.
    NoAnswer {
        /// How long it may take.
        limit: Duration,
    },
    /// The peer and this node disagree about what they have told each other: the connection isn't used any more.
    Conflict,
    /// The node couldn't record the peer's resume point.
    Failed(EventError),
    /// A newer socket took its place.
    Replaced,
    /// The application has set another peer or another address.
    Readdressed,
    /// The connection itself was closed.
    Closed,
    /// The node stops.
    Stopped,
}

impl fmt::Display for Disconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => f.write_str("the peer closed the socket"),
            Self::Transport(error) => error.fmt(f),
            Self::Protocol(error) => write!(f, "protocol error: {error}"),
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
        Self::Transport(error)
    }
}

/// Why a peer that dialled was refused.
#[derive(Debug)]
#[non_exhaustive]
pub enum Refusal {
    /// The application doesn't know it, or rejects it.
    Rejected(Rejection),
    /// Its first line broke the rules of the wire.
    Protocol(ProtocolError),
    /// The node couldn't record the effects of its hello.
    Failed(EventError),
    /// It was accepted on a connection that doesn't exist.
    NoConnection {
        /// The name.
        connection: String,
    },
    /// Both sides dialled, and the socket of this side has the larger tie-breaker.
    TieBreaker {
        /// The connection that they dialled for.
        connection: String,
    },
    /// The connection is suspended, because one of the two states is outdated.
    Conflict {
        /// The name.
        connection: String,
    },
    /// It, or its address, has too many sockets already.
    Address {
        /// How many there may be.
        limit: usize,
    },
    /// This node has as many sockets of peers that dialled as it may have.
    Full {
        /// How many there may be.
        limit: usize,
    },
    /// It sent nothing.
    Timeout {
        /// How long it may be silent.
        limit: Duration,
    },
    /// Too many others were waiting to say hello.
    Crowded {
        /// How many may wait.
        limit: usize,
    },
    /// It disconnected, or was lost, before it said anything.
    Lost(Disconnect),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(rejection) => rejection.fmt(f),
            Self::Protocol(error) => write!(f, "protocol error: {error}"),
            Self::Failed(error) => error.fmt(f),
            Self::NoConnection { connection } => write!(f, "expected a connection, found none named {connection:?}"),
            Self::TieBreaker { connection } => {
                write!(f, "{connection:?} has a socket with a larger tie-breaker already")
            }
            Self::Conflict { connection } => {
                write!(f, "{connection:?} isn't used, because one of the two states is older than it should be")
            }
            Self::Address { limit } => write!(f, "expected at most {limit} sockets of one address, found more"),
            Self::Full { limit } => write!(f, "expected at most {limit} sockets of peers that dialled, found more"),
            Self::Timeout { limit } => write!(f, "expected a hello within {limit:?}, found none"),
            Self::Crowded { limit } => write!(f, "expected at most {limit} peers that haven't said hello, found more"),
            Self::Lost(reason) => write!(f, "lost before its hello: {reason}"),
        }
    }
}

impl Error for Refusal {}

/// Why bytes aren't a line.
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
    /// The line isn't one of the protocol's.
    Frame(ReadError),
    /// Its first line isn't a hello, or another line is one.
    Hello {
        /// Whether it was the first line.
        first: bool,
    },
    /// Its first line isn't a hello that the node understands.
    Message(ReadError),
    /// It sent another line before its resume point, sent that twice, or sent it to a node that doesn't use resume
    /// points.
    ResumePoint,
    /// Messages before this one are missing.
    Gap {
        /// How many.
        missing: u64,
    },
    /// It sent a message with a number that it can't have reached.
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
            Self::ResumePoint => f.write_str(
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
