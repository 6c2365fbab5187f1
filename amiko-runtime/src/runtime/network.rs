//! Carries events from sockets to the conversations, and carries out what the conversations ask of sockets.
//!
//! Invariant: the conversations decide everything about connections; this module only obeys them.

use super::Runtime;
use crate::error::RunError;
use crate::socket::Signal;
use crate::transport::Transport;
use amiko_core::conversation::{Action, DialError, Event, Moment, Progress, Protocol};
use amiko_core::engine::{EventError, SyncError};
use amiko_core::store::Store;

impl<P: Protocol, S: Store, T: Transport> Runtime<P, S, T> {
    /// The clock for sockets. Unlike the node's clock, it can't be set.
    pub(super) fn moment(&self) -> Moment {
        self.begun.elapsed()
    }

    pub(super) async fn signal(&mut self, signal: Signal<T>) -> Result<(), RunError> {
        let now = self.moment();
        match signal {
            Signal::Accepted { incoming, peer } => match self.sockets.place(peer) {
                Ok(place) => {
                    let socket = self.conversations.handle_accepted(peer.to_string(), now);
                    self.sockets.accept(socket, incoming, place);
                }
                // The sockets that are open take precedence over a new one.
                Err(reason) => self.settings.tell(&Event::Refused { peer: peer.to_string(), reason }),
            },
            Signal::AcceptFailed { error } => self.settings.tell(&Event::AcceptFailed { error }),
            Signal::Dialled { socket, outcome: Ok(stream) } => {
                if self.sockets.dialled(socket, stream) {
                    self.conversations.handle_dialled(socket, Ok(()), now);
                }
            }
            Signal::Dialled { socket, outcome: Err(error) } => {
                self.conversations.handle_dialled(socket, Err(DialError::from(error)), now);
            }
            Signal::Proven { socket, key } => self.conversations.handle_proven(socket, key),
            // The place is free again once the line has been processed.
            Signal::Line { socket, line, place: _place } => {
                self.conversations.handle_line(socket, line);
                return self.converse().await;
            }
            Signal::Written { socket } => self.conversations.handle_written(socket),
            Signal::Ended { socket, reason } => self.conversations.handle_ended(socket, reason, now),
        }
        self.converse().await
    }

    /// Lets the conversations process what came in.
    async fn converse(&mut self) -> Result<(), RunError> {
        loop {
            let (now, time) = (self.moment(), (self.settings.clock)());
            match self.conversations.advance(&mut self.engine, &self.protocol, now, time) {
                Ok(Progress::Taken) => {}
                Ok(Progress::Sync) => self.settle().await?,
                Ok(Progress::Idle) => break,
                Err(EventError::Poisoned { reason }) => return Err(RunError::Sync(SyncError::Poisoned { reason })),
                Err(EventError::Store(error)) => return Err(RunError::Store(error)),
                Err(error) => return Err(RunError::Event(error)),
            }
        }
        self.obey();
        Ok(())
    }

    /// Checks peers that have been silent, and dials those whose back-off is over.
    pub(super) fn look_after(&mut self) {
        let now = self.moment();
        if self.conversations.poll_timeout().is_some_and(|at| at <= now) {
            self.conversations.handle_timeout(&self.engine, now);
            self.obey();
        }
    }

    /// Carries out the socket actions that the conversations ask for.
    pub(super) fn obey(&mut self) {
        while let Some(action) = self.conversations.poll_action() {
            match action {
                Action::Dial { socket, address } => self.sockets.dial(socket, address),
                Action::Close { socket, last } => self.sockets.close(socket, last),
                Action::Abort { socket } => self.sockets.abort(socket),
                _ => {}
            }
        }
        while let Some(event) = self.conversations.poll_event() {
            self.settings.tell(&event);
        }
    }

    /// Passes to the sockets what may leave.
    pub(super) fn pump(&mut self) {
        let (now, time) = (self.moment(), (self.settings.clock)());
        while let Some(transmit) = self.conversations.poll_transmit(&self.engine, now, time) {
            self.sockets.write(transmit.socket, transmit.bytes);
        }
    }
}
