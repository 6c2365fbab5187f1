//! Messages that are scheduled for later, once or again and again.

use super::repeat::{Repeat, Repeating};
use crate::Serializable;
use crate::schedule::{Due, Schedule};
use crate::time::Time;
use crate::tree::Tree;

/// A message to be delivered at a moment, or soon after; its ID is its owner's kind and key, and its name.
#[derive(Clone, Serializable)]
#[amiko(key = String, kind = "timer")]
pub struct Timer<N: Tree> {
    /// When it is due; if it repeats, when the next run is.
    pub at: Time,
    /// The message that is delivered then.
    pub envelope: N::Envelope,
    #[amiko(flatten)]
    repeat: Repeating,
}

impl<N: Tree> Timer<N> {
    pub(super) fn once(at: Time, envelope: N::Envelope) -> Self {
        Self { at, envelope, repeat: Repeating::default() }
    }

    pub(super) fn repeating(at: Time, envelope: N::Envelope, schedule: Schedule) -> Self {
        Self { at, envelope, repeat: Repeat { schedule, missed: 0 }.into() }
    }

    /// When it is due again; none if it fires once.
    pub fn schedule(&self) -> Option<&Schedule> {
        self.repeat.get().map(|repeat| &repeat.schedule)
    }

    /// Runs that its owner hasn't heard of, because it rejected them.
    pub fn missed(&self) -> u64 {
        self.repeat.get().map_or(0, |repeat| repeat.missed)
    }

    /// What is due of it now, if it repeats, with the runs that its owner rejected.
    pub(crate) fn due(&self, now: Time, limit: u64) -> Option<Due> {
        let repeat = self.repeat.get()?;
        let due = repeat.schedule.due(self.at, now, limit);
        Some(Due { missed: due.missed.saturating_add(repeat.missed).min(limit), ..due })
    }

    /// The same timer for the next run.
    pub(super) fn again(&mut self, at: Time, missed: u64) {
        self.at = at;
        if let Some(repeat) = self.repeat.get_mut() {
            repeat.missed = missed;
        }
    }
}
