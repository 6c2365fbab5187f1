//! How far the clocks of two neighbours are apart.
//!
//! The time-outs of a route are moments, one increment apart from node to node: whoever waits for the payee's side gives up
//! after it has. If two clocks differ by an increment, the wrong one gives up first, and an amount may be taken on one side
//! that comes back on the other. Half of it is left for lines that are late.
//!
//! Invariant: nothing new is locked over a link whose clocks differ by more than half of the increment.

use super::{Link, PaymentNode};
use amiko_core::prelude::*;

/// Seconds by which a difference must have changed to be noted: less is the way of the line.
const NOTED: u64 = 2;

impl Link {
    /// By how many seconds the neighbour's clock is ahead of ours, if that has changed.
    pub(super) fn clock_changed(&self, ours: Time, theirs: Time) -> Option<i64> {
        let seconds = |time: Time| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        let ahead = seconds(theirs).saturating_sub(seconds(ours));
        (ahead.abs_diff(self.clock_ahead) >= NOTED).then_some(ahead)
    }

    /// Whether amounts may be locked over it.
    pub fn clocks_agree(&self, node: &PaymentNode) -> bool {
        self.clock_ahead.unsigned_abs() <= node.timeout_increment / 2
    }
}
