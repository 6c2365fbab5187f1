//! A connection that has a socket: how far its outbox has been sent there.
//!
//! Invariant: `next` only grows while the socket lives, so no message is sent twice on it, or before an earlier one.

use crate::socket::Socket;
use amiko_core::Standing;
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
    /// The peer has said something on it, after where it stands.
    pub(crate) heard: bool,
    /// Where this end stood when it got the socket.
    pub(crate) standing: Standing,
    /// The peer has said where it stands, and that fits; or it needn't say so. Nothing but greetings is sent before.
    pub(crate) resumed: bool,
    /// Since when the peer has been silent, or owed nothing.
    pub(crate) quiet: Instant,
    /// Since when the peer is asked whether it is there.
    pub(crate) asked: Option<Instant>,
    /// The peer is to be asked whether it is there.
    pub(crate) ping: bool,
    /// The peer has asked.
    pub(crate) pong: bool,
    /// A batch is being written.
    pub(crate) writing: bool,
    /// The lines that go before all others.
    pub(crate) hello: Vec<u8>,
    /// What is to be confirmed: a later confirmation holds all earlier ones.
    pub(crate) confirm: Option<u64>,
    /// Messages of the peer that it was told to be processed: the number of the next one.
    pub(crate) confirmed: u64,
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
    /// Whether the socket did something for its connection: that ends a row of failures. A peer that accepts, and closes
    /// or never answers, is as good as none.
    pub(crate) fn was_good(&self, window: Duration) -> bool {
        self.resumed && (self.heard || self.since.elapsed() >= window)
    }

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
