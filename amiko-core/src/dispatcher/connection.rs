//! The state of the conversation with one peer.
//!
//! Invariant: a message is in the outbox from the commit that caused it to the commit of its confirmation, and
//! `received` advances in the commit that holds the effects of the message.

use super::resumption::Conflict;
use crate::Serializable;
use crate::time::Time;
use crate::tree::{Map, Tree};
use std::sync::Arc;

/// A conversation with one peer; it outlives every socket.
#[derive(Clone, Serializable)]
#[amiko(key = String, kind = "connection")]
pub struct Connection<N: Tree> {
    /// The address that the runtime dials; none if the peer dials.
    pub dial: Option<String>,
    /// How many messages of the peer have been processed, which is the number of the next one.
    pub received: u64,
    /// How many messages were ever put into the outbox, which is the number of the next one.
    pub sent: u64,
    /// The messages that the peer hasn't confirmed yet, by number.
    pub outbox: Map<u64, Arc<N::Network>>,
    /// Set once the connection is closing: it is removed when the outbox is empty, and at this moment at the latest.
    pub closing: Option<Time>,
    /// Set once the peer and this node disagree about what they have told each other: the connection isn't used any
    /// more.
    #[amiko(default)]
    pub conflict: Option<Conflict>,
}

impl<N: Tree> Connection<N> {
    /// The number of the first message that the peer hasn't confirmed; that of the next message, if there is none.
    pub fn first_unconfirmed(&self) -> u64 {
        self.outbox.first_key_value().map_or(self.sent, |(index, _)| *index)
    }

    /// The address to dial, if the connection is in use.
    pub fn address(&self) -> Option<&str> {
        self.dial.as_deref().filter(|_| self.conflict.is_none())
    }
}

impl<N: Tree> Default for Connection<N> {
    fn default() -> Self {
        Self { dial: None, received: 0, sent: 0, outbox: Map::new(), closing: None, conflict: None }
    }
}
