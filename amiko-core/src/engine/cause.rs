//! The cause of an event.

use crate::Serializable;
use crate::dispatcher::{Connection, Pending, ResumePoint, Timer};
use crate::machine::Node;
use crate::tree::{Envelope, Id};
use std::fmt;

/// The cause of an event, as it is in the journal.
#[derive(Clone, Serializable)]
pub enum Cause<N: Node> {
    /// A command from this side.
    Command {
        /// The message and its destination.
        envelope: N::Envelope,
    },
    /// A message from a peer.
    Message {
        /// Over which connection.
        connection: Id<Connection<N>>,
        /// Its number on that connection.
        index: u64,
        /// The message and its destination; none if it couldn't be understood.
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
    /// A peer sent a resume point that doesn't fit.
    Conflict {
        /// On which connection.
        connection: Id<Connection<N>>,
        /// The resume point of the peer.
        theirs: ResumePoint,
    },
    /// The state was edited by hand.
    Edit,
    /// An effect is over.
    Performed {
        /// Which one.
        effect: Id<Pending<N>>,
        /// What its owner hears of it, and where that is; none if nobody hears it.
        envelope: Option<N::Envelope>,
    },
    /// An attempt to perform an effect has failed, and there is another one.
    Failure {
        /// Which effect.
        effect: Id<Pending<N>>,
    },
    /// A closing connection has waited long enough for its peer.
    Lingered {
        /// Which one.
        connection: Id<Connection<N>>,
    },
}

impl<N: Node> Cause<N> {
    /// Its name, for people.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Command { .. } => "command",
            Self::Message { .. } => "message",
            Self::Timer { .. } => "timer",
            Self::Confirmation { .. } => "confirmation",
            Self::Conflict { .. } => "conflict",
            Self::Edit => "edit",
            Self::Performed { .. } => "performed",
            Self::Failure { .. } => "failure",
            Self::Lingered { .. } => "lingered",
        }
    }
}

/// Names kinds and classes, and hides the contents of messages.
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
            Self::Performed { effect, envelope: Some(envelope) } => {
                write!(f, "Performed({effect}, {} to {})", class(envelope), envelope.kind())
            }
            Self::Performed { effect, envelope: None } => write!(f, "Performed({effect})"),
            Self::Failure { effect } => write!(f, "Failure({effect})"),
            Self::Lingered { connection } => write!(f, "Lingered({connection})"),
        }
    }
}
