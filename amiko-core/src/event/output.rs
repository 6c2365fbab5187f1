//! The outputs of the engine.
//!
//! Invariant: an output is part of its event until the engine seals it, and isn't exposed before.

use super::Reply;
use crate::dispatcher::{Connection, Pending};
use crate::tree::{Id, Tree};
use std::fmt;
use std::sync::Arc;

/// Identifies a command, so that its reply can be matched to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Request(pub u64);

/// An effect of a committed event on the outside world.
pub enum Output<N: Tree> {
    /// A message to a peer. It stays in the outbox until the peer confirms it.
    Transmit {
        /// Over which connection.
        connection: Id<Connection<N>>,
        /// Its number on that connection.
        index: u64,
        /// The message.
        message: Arc<N::Network>,
    },
    /// All messages of the peer up to and including this one have been processed.
    Confirm {
        /// Over which connection.
        connection: Id<Connection<N>>,
        /// The number of the message.
        index: u64,
    },
    /// A connection is new, has another address to dial, or is used again.
    Opened {
        /// Which one.
        connection: Id<Connection<N>>,
    },
    /// A connection has ended.
    Closed {
        /// Which one.
        connection: Id<Connection<N>>,
    },
    /// There is an effect to be performed, or to be tried again: it is among those that aren't over.
    Perform {
        /// Which one.
        effect: Id<Pending<N>>,
        /// Its number: another effect may have taken its name meanwhile.
        number: u64,
    },
    /// An effect is over, or was cancelled.
    EffectEnded {
        /// Which one.
        effect: Id<Pending<N>>,
        /// Its number.
        number: u64,
    },
    /// The reply to a command.
    Reply {
        /// Which command.
        request: Request,
        /// The reply.
        reply: Reply,
    },
    /// A notice to the node's watchers.
    Notice(N::Notice),
}

impl<N: Tree> fmt::Debug for Output<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transmit { connection, index, .. } => write!(f, "Transmit({connection}, {index})"),
            Self::Confirm { connection, index } => write!(f, "Confirm({connection}, {index})"),
            Self::Opened { connection } => write!(f, "Opened({connection})"),
            Self::Closed { connection } => write!(f, "Closed({connection})"),
            Self::Perform { effect, .. } => write!(f, "Perform({effect})"),
            Self::EffectEnded { effect, .. } => write!(f, "EffectEnded({effect})"),
            Self::Reply { request, .. } => write!(f, "Reply({})", request.0),
            Self::Notice(_) => f.write_str("Notice"),
        }
    }
}
