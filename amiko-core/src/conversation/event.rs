//! Network events, for logs.
//!
//! Invariant: an event carries no message of a peer, only its place and the error.

use super::error::{DialError, Disconnect, Refusal, Unsendable};
use crate::dispatcher::Conflict;
use crate::rejection::Rejection;
use std::fmt;
use std::io;
use std::time::Duration;

/// Something that happened on the network. Connections are named by their keys.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A connection has a socket now.
    Connected {
        /// Which connection.
        connection: String,
        /// The address of the peer, as far as it is known.
        peer: String,
        /// Whether this side dialled.
        dialled: bool,
    },
    /// A connection has lost its socket. If it has an address, it is dialled again.
    Disconnected {
        /// Which connection.
        connection: String,
        /// The address of the peer, as far as it is known.
        peer: String,
        /// Why.
        reason: Disconnect,
    },
    /// A peer that dialled was refused.
    Refused {
        /// Its address.
        peer: String,
        /// Why.
        reason: Refusal,
    },
    /// A peer's message was used up without effect.
    Rejected {
        /// On which connection.
        connection: String,
        /// The number of the message.
        index: u64,
        /// Why.
        rejection: Rejection,
    },
    /// A peer couldn't be dialled.
    DialFailed {
        /// For which connection.
        connection: String,
        /// At which address.
        address: String,
        /// Why.
        error: DialError,
        /// It is dialled again after this.
        retry: Duration,
    },
    /// The operating system lost a peer that dialled, or there was no room for it.
    AcceptFailed {
        /// Why.
        error: io::Error,
    },
    /// The peer and this node disagree about what they have told each other: the connection isn't used until the
    /// application reconciles it. Reported when it is found, and at each start.
    Conflict {
        /// Which connection.
        connection: String,
        /// Whose state is outdated, and what can be done.
        conflict: Conflict,
    },
    /// A message can't be written as a line; `null` was sent in its place, so that later messages reach the peer.
    Unsendable {
        /// On which connection.
        connection: String,
        /// The number of the message.
        index: u64,
        /// Why.
        error: Unsendable,
    },
}

impl Event {
    /// What happened, in one word, for counting: `connected`, `disconnected`, `refused`, `rejected`, `dial_failed`,
    /// `accept_failed`, `conflict` or `unsendable`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Connected { .. } => "connected",
            Self::Disconnected { .. } => "disconnected",
            Self::Refused { .. } => "refused",
            Self::Rejected { .. } => "rejected",
            Self::DialFailed { .. } => "dial_failed",
            Self::AcceptFailed { .. } => "accept_failed",
            Self::Conflict { .. } => "conflict",
            Self::Unsendable { .. } => "unsendable",
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected { connection, peer, dialled: true } => write!(f, "{connection:?}: dialled {peer}"),
            Self::Connected { connection, peer, dialled: false } => write!(f, "{connection:?}: {peer} dialled"),
            Self::Disconnected { connection, peer, reason } => {
                write!(f, "{connection:?}: disconnected from {peer}: {reason}")
            }
            Self::Refused { peer, reason } => write!(f, "{peer} refused: {reason}"),
            Self::Rejected { connection, index, rejection } => {
                write!(f, "{connection:?}: message {index} rejected: {rejection}")
            }
            Self::DialFailed { connection, address, error, retry } => {
                write!(f, "{connection:?}: can't dial {address:?}: {error}; next attempt in {retry:?}")
            }
            Self::AcceptFailed { error } => write!(f, "a peer that dialled was lost: {error}"),
            Self::Conflict { connection, conflict } => write!(f, "{connection:?}: not used any more: {conflict}"),
            Self::Unsendable { connection, index, error } => {
                write!(f, "{connection:?}: message {index} can't be sent, null was sent instead: {error}")
            }
        }
    }
}
