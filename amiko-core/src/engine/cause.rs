//! Who asked for an event.

use crate::Serializable;
use crate::dispatcher::{Connection, ResumePoint, Timer};
use crate::machine::Node;
use crate::tree::{Envelope, Id};
use std::fmt;

/// What an event began with, as it stands in the journal.
#[derive(Clone, Serializable)]
pub enum Cause<N: Node> {
    /// Somebody on this side.
    Command {
        /// What was asked, of whom.
        envelope: N::Envelope,
    },
    /// A message from a peer.
    Message {
        /// Over which connection.
        connection: Id<Connection<N>>,
        /// Its number on that connection.
        index: u64,
        /// What was asked, of whom; none if it couldn't be understood.
        envelope: Option<N::Envelope>,
    },
    /// A timer that was due.
    Timer {
        /// Which one.
        timer: Id<Timer<N>>,
    },
    /// A peer confirmed messages.
    Confirmation {
        /// Over which connection.
        connection: Id<Connection<N>>,
        /// All up to and including this one.
        index: u64,
    },
    /// A peer said where it stands, and that doesn't fit.
    Conflict {
        /// On which connection.
        connection: Id<Connection<N>>,
        /// Where the peer stands.
        theirs: ResumePoint,
    },
    /// Somebody changed the state by hand.
    Edit,
    /// A connection that was to be closed has waited long enough for its peer.
    Lingered {
        /// Which one.
        connection: Id<Connection<N>>,
    },
}

/// Names kinds and classes, and hides what was said.
impl<N: Node> fmt::Debug for Cause<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class = |envelope: &N::Envelope| envelope.message_class().unwrap_or("a message");
        match self {
            Self::Command { envelope } => write!(f, "Command({} to {})", class(envelope), envelope.kind()),
            Self::Message { connection, index, envelope: Some(envelope) } => {
                write!(f, "Message({connection}, {index}, {} to {})", class(envelope), envelope.kind())
            }
            Self::Message { connection, index, envelope: None } => write!(f, "Message({connection}, {index})"),
            Self::Timer { timer } => write!(f, "Timer({timer})"),
            Self::Confirmation { connection, index } => write!(f, "Confirmation({connection}, {index})"),
            Self::Conflict { connection, theirs } => write!(f, "Conflict({connection}, {theirs})"),
            Self::Edit => f.write_str("Edit"),
            Self::Lingered { connection } => write!(f, "Lingered({connection})"),
        }
    }
}
