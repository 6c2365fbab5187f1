//! Two ends of a connection meet again: their resume points, and whether they can go on.
//!
//! Invariant: a connection in conflict isn't used until the application reconciles it.

use super::cause::Cause;
use super::{Engine, EventError};
use crate::dispatcher::{Conflict, Connection, ResumePoint};
use crate::machine::Node;
use crate::store::Store;
use crate::time::Time;
use crate::tree::Id;

impl<N: Node, S: Store> Engine<N, S> {
    /// The resume point of this end of a connection, for the peer; none if there is no such connection.
    ///
    /// It matches the disk only if nothing waits for a sync.
    pub fn resume_point(&self, connection: &Id<Connection<N>>) -> Option<ResumePoint> {
        let state = self.connection(connection)?;
        // A message that may not be sent yet was never sent.
        let sent = self.sendable(connection);
        Some(ResumePoint { received: state.received, first: state.first_unconfirmed().min(sent), sent })
    }

    /// Handles the peer's resume point. Messages that the peer has received count as confirmed. If one of the two
    /// states is older than its end has told the other, a [`Conflict`] is recorded and returned: the connection isn't
    /// used until the application calls [`Context::reconcile`](crate::Context::reconcile).
    ///
    /// # Errors
    /// There is no such connection; or the store failed.
    pub fn resume(
        &mut self,
        connection: &Id<Connection<N>>,
        theirs: ResumePoint,
        now: Time,
    ) -> Result<Option<Conflict>, EventError> {
        self.enter(|engine| engine.take_standing(connection, theirs, now))
    }

    fn take_standing(
        &mut self,
        connection: &Id<Connection<N>>,
        theirs: ResumePoint,
        now: Time,
    ) -> Result<Option<Conflict>, EventError> {
        let (Some(ours), Some(state)) = (self.resume_point(connection), self.connection(connection)) else {
            return Err(EventError::NoConnection { connection: connection.key().clone() });
        };
        if state.conflict.is_some() {
            return Ok(state.conflict);
        }
        let Some(older) = ours.older(&theirs) else {
            if let Some(last) = theirs.received.checked_sub(1) {
                self.take_confirmation(connection, last, now)?;
            }
            return Ok(None);
        };
        let conflict = Conflict { found: now, older, ours, theirs };
        let cause = Cause::Conflict { connection: connection.clone(), theirs };
        self.run(now, None, &cause, |event| event.dispatcher.set_conflict(connection, Some(conflict)))?;
        Ok(Some(conflict))
    }
}
