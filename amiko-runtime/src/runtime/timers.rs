//! Fires due timers in slices, so that a crowd of them holds up neither the disk nor the sockets.
//!
//! Invariant: an input is handled after the timers that were due when it came. While some of those are left, the inputs that
//! wait are held; they are handled before timers that came due after they were taken, so neither can starve the other.

use super::{Input, Runtime};
use crate::error::RunError;
use crate::performing::Ended;
use crate::transport::Transport;
use amiko_core::conversation::Protocol;
use amiko_core::store::Store;
use amiko_core::{Node, Time};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// Timers that fire between two looks at the clock of a slice.
const LOOK: usize = 4;

/// Inputs that were there at a moment, and the timers that go before them.
pub(super) struct Held<I> {
    inputs: VecDeque<I>,
    /// Timers that were due by then go first.
    by: Time,
    /// At most so many: as there were timers in all. A timer that sets itself again at once doesn't hold anything up.
    most: usize,
}

impl<I> Default for Held<I> {
    fn default() -> Self {
        Self { inputs: VecDeque::new(), by: Time::default(), most: 0 }
    }
}

impl<N: Node, S: Store, T: Transport> Held<Input<N, S, T>> {
    pub(super) fn is_empty(&self) -> bool {
        self.inputs.is_empty()
    }

    /// The ends of attempts among them; the others are dropped, as they would be if they still waited outside.
    pub(super) fn take_ended(&mut self) -> impl Iterator<Item = Ended<N, S>> + use<N, S, T> {
        std::mem::take(&mut self.inputs).into_iter().filter_map(|input| match input {
            Input::Ended(ended) => Some(ended),
            _ => None,
        })
    }

    /// Holds one more, unless it is nothing but time that has passed.
    pub(super) fn add(&mut self, input: Input<N, S, T>) {
        if !matches!(input, Input::Due) {
            self.inputs.push_back(input);
        }
    }
}

impl<P: Protocol, S: Store, T: Transport> Runtime<P, S, T> {
    /// How long no timer is due.
    pub(super) fn timers_due(&self, now: Time) -> Option<Duration> {
        if self.held.is_empty() {
            self.engine.next_due().map(|due| (due - now).min(super::RECHECK))
        } else {
            Some(Duration::ZERO)
        }
    }

    /// Fires at most so many of the timers that were due by a moment, until a slice is over. Returns how many may still go before
    /// an input that came then.
    pub(super) async fn fire_slice(&mut self, by: Time, most: usize) -> Result<usize, RunError> {
        let (begun, mut left) = (Instant::now(), most);
        while left > 0 && self.engine.next_due().is_some_and(|due| due <= by) {
            let look = left.min(LOOK);
            // An engine that can't go on says so to the input, too.
            // No timer is early, though the clock may have been set back meanwhile.
            let slice = self.attempt(|engine, now| engine.tick_slice(by, look, now.max(by))).await?;
            let Ok(fired) = slice else { return Ok(0) };
            self.gathered += fired;
            left -= fired;
            if begun.elapsed() >= self.settings.timer_slice || self.is_full() {
                break;
            }
        }
        Ok(if self.engine.next_due().is_some_and(|due| due <= by) { left } else { 0 })
    }

    /// Whether no further input belongs to this group.
    pub(super) fn is_full(&self) -> bool {
        self.gathered >= self.settings.group.max(1)
    }

    /// Holds this input, and those that wait, until the timers that are due now have fired.
    pub(super) fn hold(&mut self, first: Input<P::Node, S, T>) {
        self.held.add(first);
        while self.held.inputs.len() < self.settings.group.max(1)
            && let Some(next) = self.queued(self.held.inputs.len())
        {
            self.held.inputs.push_back(next);
        }
        // All of them came before this.
        (self.held.by, self.held.most) = ((self.settings.clock)(), self.engine.deadlines());
    }

    /// Goes on with what goes before the inputs that are held; and then with them.
    pub(super) async fn go_on(&mut self) -> Result<(), RunError> {
        self.held.most = self.fire_slice(self.held.by, self.held.most).await?;
        if self.held.most == 0 {
            while let Some(input) = self.held.inputs.pop_front() {
                self.take(input).await?;
            }
        }
        Ok(())
    }
}
