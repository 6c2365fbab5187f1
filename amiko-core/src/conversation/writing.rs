//! Batches of lines for sockets, including the released part of the outbox.
//!
//! Invariant: a socket has at most one unwritten batch, and a batch holds only what the engine has released.

use super::error::Disconnect;
use super::event::Event;
use super::frame::{self, About};
use super::settings::Dialect;
use super::{Conversations, Moment, SocketId};
use crate::dispatcher::{Connection, ResumePoint};
use crate::engine::Engine;
use crate::machine::Node;
use crate::sabotage::{Sabotage, sabotaged};
use crate::store::Store;
use crate::time::Time;
use crate::tree::Id;

/// Lines for one socket.
#[derive(Debug)]
pub struct Transmit {
    /// Which one.
    pub socket: SocketId,
    /// Whole lines.
    pub bytes: Vec<u8>,
}

impl Conversations {
    /// The effects of a peer's message are on disk: it may be confirmed.
    pub(super) fn confirm(&mut self, connection: &str, mut index: u64, now: Moment) {
        if sabotaged(Sabotage::ConfirmedUnreceived) {
            index += 1;
        }
        let delay = self.links.settings.confirmation_delay;
        let Some(session) = self.links.session_mut(connection) else { return };
        session.confirmed = session.confirmed.max(index.saturating_add(1));
        let waiting = session.confirm.replace(session.confirm.map_or(index, |earlier| earlier.max(index)));
        if delay.is_zero() {
            self.links.ready.insert(connection.to_owned());
        } else if waiting.is_none() && session.confirm_at <= now {
            // One that was taken along leaves its deadline to the next one, so that there is one at a time.
            session.confirm_at = now + delay;
            if sabotaged(Sabotage::ConfirmationHeldForEver) {
                session.confirm_at = Moment::MAX;
                return;
            }
            self.links.confirm_at(connection, now + delay);
        }
    }

    /// Closes the socket of a connection that has ended, after confirming to the peer what it may drop.
    pub(super) fn close(&mut self, connection: &str, reason: Disconnect) {
        let mut last = Vec::new();
        if let Some(session) = self.links.session_mut(connection) {
            last = std::mem::take(&mut session.hello);
            if let Some(index) = session.confirm.take() {
                frame::push_received(&mut last, index);
            }
        }
        self.links.close(connection, reason, last);
    }

    /// The next batch of a connection's socket, if the previous one has been written.
    pub(super) fn fill<N: Node, S: Store>(
        &mut self,
        engine: &Engine<N, S>,
        connection: &Id<Connection<N>>,
        now: Moment,
        time: Time,
    ) -> Option<Transmit> {
        let settings = &self.links.settings;
        let (dialect, line, depth, limit) = (settings.dialect, settings.line, settings.depth, settings.batch.max(1));
        let end = engine.sendable(connection);
        let mut unsendable = Vec::new();
        let session = self.links.session_mut(connection.key()).filter(|session| !session.writing)?;
        let mut batch = std::mem::take(&mut session.hello);
        let state = engine.connection(connection).filter(|_| session.resumed);
        let alone = batch.is_empty() && !session.ping && !session.pong && (state.is_none() || session.next >= end);
        if let Some(index) = session.confirm.take_if(|_| !alone || session.confirm_at <= now) {
            frame::push_received(&mut batch, index);
        }
        if let Some(state) = state {
            if dialect == Dialect::ByIndex && state.first_unconfirmed() >= session.next {
                // Until now the peer owed nothing; this batch changes that.
                session.quiet = now;
            }
            while session.next < end && batch.len() < limit {
                let index = session.next;
                session.next += 1;
                // It may have been confirmed on an earlier socket meanwhile.
                let Some(message) = state.outbox.get(&index) else { continue };
                if let Err(error) = frame::push_message(&mut batch, Some(index), &**message, line, depth) {
                    frame::push_nothing(&mut batch, index);
                    unsendable.push((index, error));
                }
            }
        }
        // Sent after the messages that it counts.
        let standing = ResumePoint { received: session.confirmed, first: session.standing.first, sent: session.next };
        for (about, wanted) in [(About::Ping, &mut session.ping), (About::Pong, &mut session.pong)] {
            if std::mem::take(wanted) {
                frame::push_resume_point(&mut batch, about, &standing, time);
            }
        }
        let socket = session.socket;
        session.writing = !batch.is_empty();
        for (index, error) in unsendable {
            let connection = connection.key().clone();
            self.links.events.push_back(Event::Unsendable { connection, index, error });
        }
        (!batch.is_empty()).then_some(Transmit { socket, bytes: batch })
    }
}
