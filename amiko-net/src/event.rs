//! What happens on the network, for whoever keeps a log.
//!
//! Invariant: an event carries no message of a peer, only its place and what was wrong with it.

use crate::error::{DialError, Disconnect, ProtocolError, Refusal, Unsendable};
use amiko_core::{Conflict, Rejection};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Is told what happens on the network, from inside the event loop: it must be quick, and must not block.
pub type Log = Arc<dyn Fn(Event<'_>) + Send + Sync>;

/// Something that happened on the network. Connections are named by their keys.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A connection has a socket now.
    Connected {
        /// Which connection.
        connection: &'a str,
        /// The address of the peer, as far as it is known.
        peer: &'a str,
        /// Whether this side dialled.
        dialled: bool,
    },
    /// A connection has lost its socket. If it has an address, it is dialled again.
    Disconnected {
        /// Which connection.
        connection: &'a str,
        /// Why.
        reason: &'a Disconnect,
    },
    /// A peer that dialled was sent away.
    Refused {
        /// Its address.
        peer: &'a str,
        /// Why.
        reason: &'a Refusal,
    },
    /// A peer's message was used up without effect.
    Rejected {
        /// On which connection.
        connection: &'a str,
        /// The number of the message.
        index: u64,
        /// Why.
        rejection: &'a Rejection,
    },
    /// A peer broke the rules of the wire; its socket was closed.
    ProtocolError {
        /// On which connection; none if it hadn't said yet.
        connection: Option<&'a str>,
        /// The address of the peer.
        peer: &'a str,
        /// Which rule.
        error: &'a ProtocolError,
    },
    /// A peer couldn't be dialled.
    DialFailed {
        /// For which connection.
        connection: &'a str,
        /// At which address.
        address: &'a str,
        /// Why.
        error: &'a DialError,
        /// It is dialled again after this.
        retry: Duration,
    },
    /// A peer that dialled was lost by the operating system, or there was no room for it.
    AcceptFailed {
        /// Why.
        error: &'a io::Error,
    },
    /// The peer and this node don't agree on what they have told each other: the connection isn't used until the
    /// application reconciles it. Told when it is found, and at each start.
    Conflict {
        /// Which connection.
        connection: &'a str,
        /// Whose state is older than it should be, and what can be done.
        conflict: &'a Conflict,
    },
    /// A message has no line on the wire; `null` was sent in its place, so that those after it reach the peer.
    Unsendable {
        /// On which connection.
        connection: &'a str,
        /// The number of the message.
        index: u64,
        /// Why.
        error: &'a Unsendable,
    },
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected { connection, peer, dialled: true } => write!(f, "{connection:?}: dialled {peer}"),
            Self::Connected { connection, peer, dialled: false } => write!(f, "{connection:?}: {peer} dialled"),
            Self::Disconnected { connection, reason } => write!(f, "{connection:?}: disconnected: {reason}"),
            Self::Refused { peer, reason } => write!(f, "{peer} refused: {reason}"),
            Self::Rejected { connection, index, rejection } => {
                write!(f, "{connection:?}: message {index} rejected: {rejection}")
            }
            Self::ProtocolError { connection: Some(connection), peer, error } => {
                write!(f, "{connection:?}: protocol error of {peer}: {error}")
            }
            Self::ProtocolError { connection: None, peer, error } => write!(f, "protocol error of {peer}: {error}"),
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
