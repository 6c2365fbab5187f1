//! What leaves the engine.
//!
//! Invariant: nobody outside the engine holds an [`Output`] before the commit that caused it is on disk. There is one
//! way to get them, [`Engine::sync`](super::Engine::sync).

use crate::dispatcher::Connection;
use crate::id::Id;
use crate::machine::Node;
use crate::sabotage::sabotaged;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

/// What tells one command from another, so that its answer finds its way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Request(pub u64);

/// Something that a committed event wants to happen outside.
pub enum Output<N: Node> {
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
    /// There is a new connection, or another address to dial for one, or one is used again.
    Opened {
        /// Which one.
        connection: Id<Connection<N>>,
    },
    /// A connection is over.
    Closed {
        /// Which one.
        connection: Id<Connection<N>>,
    },
    /// The answer to a command.
    Reply {
        /// Which command.
        request: Request,
        /// The answer.
        reply: N::Reply,
    },
    /// Something for whoever watches the node.
    Notice(N::Notice),
}

impl<N: Node> fmt::Debug for Output<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transmit { connection, index, .. } => write!(f, "Transmit({connection}, {index})"),
            Self::Confirm { connection, index } => write!(f, "Confirm({connection}, {index})"),
            Self::Opened { connection } => write!(f, "Opened({connection})"),
            Self::Closed { connection } => write!(f, "Closed({connection})"),
            Self::Reply { request, .. } => write!(f, "Reply({})", request.0),
            Self::Notice(_) => f.write_str("Notice"),
        }
    }
}

/// Outputs in the order of their commits, locked up until those are on disk.
pub(super) struct Sealed<N: Node>(VecDeque<(u64, Output<N>)>);

impl<N: Node> Sealed<N> {
    pub(super) const fn new() -> Self {
        Self(VecDeque::new())
    }

    pub(super) fn seal(&mut self, sequence: u64, outputs: impl IntoIterator<Item = Output<N>>) {
        self.0.extend(outputs.into_iter().map(|output| (sequence, output)));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those whose commits are on disk, oldest first.
    pub(super) fn release(&mut self, durable: u64) -> Vec<Output<N>> {
        if sabotaged("confirm_before_sync") {
            let is_confirmation = |output: &Output<N>| matches!(output, Output::Confirm { .. });
            let (early, rest): (VecDeque<_>, _) =
                self.0.drain(..).partition(|(sequence, output)| *sequence <= durable || is_confirmation(output));
            self.0 = rest;
            return early.into_iter().map(|(_, output)| output).collect();
        }
        let released = self.0.partition_point(|(sequence, _)| *sequence <= durable);
        self.0.drain(..released).map(|(_, output)| output).collect()
    }
}
