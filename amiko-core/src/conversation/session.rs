//! A connection with a socket: how far its outbox has been sent there, and when the peer was last heard.
//!
//! Invariant: `next` only grows while the socket lives, so no message is sent twice on it, or before an earlier one.

use super::settings::{ConversationSettings, Dialect};
use super::{Moment, SocketId};
use crate::dispatcher::ResumePoint;

/// A connection that has a socket.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) socket: SocketId,
    /// The address of the peer.
    pub(super) peer: String,
    /// The tie-breaker of the dialler, if both sides may dial.
    pub(super) tie_breaker: Option<[u8; 4]>,
    /// Whether this side dialled.
    pub(super) dialled: bool,
    /// Since when the connection has this socket.
    pub(super) since: Moment,
    /// The peer has sent something on it after its resume point.
    pub(super) heard: bool,
    /// The resume point of this end when it got the socket.
    pub(super) standing: ResumePoint,
    /// The peer has sent a resume point that fits; or, by index alone, the socket has proved to stay. Until then only
    /// greetings are sent.
    pub(super) resumed: bool,
    /// Since when the peer has been silent, or owed nothing.
    pub(super) quiet: Moment,
    /// When it was asked last, with a ping; or when it got the socket.
    pub(super) asked: Moment,
    /// A ping is to be sent.
    pub(super) ping: bool,
    /// A pong is to be sent.
    pub(super) pong: bool,
    /// A batch is being written.
    pub(super) writing: bool,
    /// The lines that go before all others.
    pub(super) hello: Vec<u8>,
    /// The number to confirm: a later confirmation covers all earlier ones.
    pub(super) confirm: Option<u64>,
    /// When a confirmation goes out even if nothing else does.
    pub(super) confirm_at: Moment,
    /// Messages of the peer that it was told to be processed: the number of the next one.
    pub(super) confirmed: u64,
    /// The number of the next message to be sent.
    pub(super) next: u64,
}

/// Which of two sockets of one connection stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stays {
    Old,
    New,
}

/// How to handle a peer that has been silent for this long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// Check again at this moment.
    Wait(Moment),
    /// Send a ping.
    Ask,
    /// It hasn't closed the socket: the conversation goes on there.
    Resume,
    /// It never sent its resume point.
    NoAnswer,
    /// It doesn't answer any more.
    Silent,
    /// By index alone: it counts only while the peer owes a confirmation.
    SilentIfItOwes,
}

impl Session {
    /// Whether the socket was useful to its connection: this ends a series of failures. A peer that accepts, and
    /// closes or never answers, is as good as none.
    pub(super) fn was_good(&self, settings: &ConversationSettings, now: Moment) -> bool {
        self.resumed && (self.heard || now.saturating_sub(self.since) >= settings.handshake)
    }

    /// Which socket stays when a peer dials for a connection that has one already.
    ///
    /// A peer that has a socket doesn't dial. So it has lost the old one, or it dialled before it knew of ours. The
    /// latter can be only where this side dialled the old one, a moment ago: then, and only then, tie-breakers decide, and
    /// both sides come to the same answer. A peer that crashed meanwhile may lose against a socket that only looks alive,
    /// but not for longer than a handshake may take, and it draws a new tie-breaker each time. If both are the same,
    /// both sockets go, and both sides dial again after pauses that differ.
    pub(super) fn against(&self, tie_breaker: Option<[u8; 4]>, settings: &ConversationSettings, now: Moment) -> Stays {
        let recent = now.saturating_sub(self.since) < settings.handshake;
        match (self.tie_breaker, tie_breaker) {
            (Some(old), Some(new)) if self.dialled && recent && new <= old => Stays::Old,
            _ => Stays::New,
        }
    }

    /// How to handle the peer's silence.
    pub(super) fn patience(&self, settings: &ConversationSettings, now: Moment) -> Patience {
        let half = self.asked + settings.silence / 2;
        let (due, then) = match (settings.dialect, self.resumed) {
            (Dialect::ByIndex, false) => (self.since + settings.probation, Patience::Resume),
            (Dialect::ByIndex, true) => (self.quiet + settings.silence, Patience::SilentIfItOwes),
            (Dialect::Amiko, false) => (self.since + settings.handshake, Patience::NoAnswer),
            (Dialect::Amiko, true) if self.asked > self.quiet => {
                (half.max(self.quiet + settings.silence), Patience::Silent)
            }
            // One that says something is asked, too: what its clock says is only in the answer.
            (Dialect::Amiko, true) => (half, Patience::Ask),
        };
        if due <= now { then } else { Patience::Wait(due) }
    }
}
