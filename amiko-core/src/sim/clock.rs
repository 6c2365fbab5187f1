//! The clock on the wall of a node.
//!
//! Invariant: a clock never tells when it shows a moment that it won't show as it runs now.

use crate::time::Time;

/// What a node takes for the time: that of the world, put forward or back; or one moment, while it stands still.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Clock {
    /// Milliseconds that it is ahead.
    ahead: i64,
    stopped: Option<Time>,
}

impl Clock {
    pub(super) fn read(self, now: Time) -> Time {
        self.stopped.unwrap_or_else(|| Time::from_millis(now.as_millis().saturating_add_signed(self.ahead)))
    }

    /// When, in the time of the world, it shows a moment at the earliest; none if it won't.
    pub(super) fn shows(self, moment: Time) -> Option<Time> {
        match self.stopped {
            Some(stopped) => (moment <= stopped).then_some(Time::default()),
            None => Some(Time::from_millis(moment.as_millis().saturating_add_signed(self.ahead.saturating_neg()))),
        }
    }

    pub(super) fn put_forward(&mut self, millis: i64) {
        self.ahead = self.ahead.saturating_add(millis);
    }

    pub(super) fn stop(&mut self, now: Time) {
        self.stopped = Some(self.read(now));
    }

    /// Lets it go on, as if it had never stood still.
    pub(super) fn go_on(&mut self) {
        self.stopped = None;
    }

    pub(super) fn set_right(&mut self) {
        *self = Self::default();
    }
}
