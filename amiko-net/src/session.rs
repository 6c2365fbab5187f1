//! A connection that has a socket: how far its outbox has been sent there.
//!
//! Invariant: `next` only grows while the socket lives, so no message is sent twice on it, or before an earlier one.

use crate::socket::Socket;
use std::time::Duration;
use tokio::time::Instant;

/// A connection that has a socket.
pub(crate) struct Session {
    pub(crate) socket: Socket,
    /// The address of the peer.
    pub(crate) peer: String,
    /// The dice of whoever dialled, where both sides may dial.
    pub(crate) dice: Option<[u8; 4]>,
    /// Whether this side dialled.
    pub(crate) dialled: bool,
    /// Since when the connection has this socket.
    pub(crate) since: Instant,
    /// The peer has said something on it.
    pub(crate) heard: bool,
    /// Since when the peer has been silent, or owed nothing.
    pub(crate) quiet: Instant,
    /// A batch is being written.
    pub(crate) writing: bool,
    /// The line that goes before all others.
    pub(crate) hello: Vec<u8>,
    /// What is to be confirmed: a later confirmation holds all earlier ones.
    pub(crate) confirm: Option<u64>,
    /// The number of the next message to be sent.
    pub(crate) next: u64,
}

/// Which of two sockets of one connection stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stays {
    Old,
    New,
}

impl Session {
    /// Which socket stays when a peer dials for a connection that has one already.
    ///
    /// A peer that has a socket doesn't dial. So it has lost the old one, or it dialled before it knew of ours. The
    /// latter can be only where this side dialled the old one, a moment ago: then, and only then, the dice decide, and
    /// both sides come to the same answer. A peer that crashed meanwhile may lose against a socket that only looks alive,
    /// but not for longer than `window`, and it throws new dice each time.
    pub(crate) fn against(&self, dice: Option<[u8; 4]>, window: Duration) -> Stays {
        match (self.dice, dice) {
            (Some(old), Some(new)) if self.dialled && self.since.elapsed() < window && new <= old => Stays::Old,
            _ => Stays::New,
        }
    }
}
