//! The messages that the last events delivered.
//!
//! Invariant: of all events together no more deliveries are kept than the limit, and the newest ones.

use crate::event::CausedDelivery;
use crate::version::Version;
use std::collections::VecDeque;

pub(super) struct Deliveries {
    events: VecDeque<(Version, Box<[CausedDelivery]>)>,
    kept: usize,
    limit: usize,
}

impl Deliveries {
    pub(super) fn new(limit: usize) -> Self {
        Self { events: VecDeque::new(), kept: 0, limit }
    }

    pub(super) fn push(&mut self, version: Version, deliveries: Box<[CausedDelivery]>) {
        if deliveries.len() > self.limit {
            return;
        }
        self.kept += deliveries.len();
        self.events.push_back((version, deliveries));
        // An event that delivers nothing takes a place too.
        while self.kept > self.limit || self.events.len() > self.limit {
            let Some((_, oldest)) = self.events.pop_front() else { return };
            self.kept -= oldest.len();
        }
    }

    pub(super) fn of(&self, version: Version) -> Option<&[CausedDelivery]> {
        let at = self.events.binary_search_by_key(&version, |(version, _)| *version).ok()?;
        self.events.get(at).map(|(_, deliveries)| &**deliveries)
    }
}
