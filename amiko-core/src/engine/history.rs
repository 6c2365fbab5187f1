//! The last versions, in memory.
//!
//! Invariant: a version costs what its event changed: it is the undo log of the event.

use super::Sequence;
use crate::dispatcher::DispatcherUndo;
use crate::machine::Node;
use std::collections::VecDeque;

/// What leads from one version back to the one before it.
pub(super) struct Version<N: Node> {
    pub(super) state: N::Undo,
    pub(super) dispatcher: DispatcherUndo<N>,
}

pub(super) struct History<N: Node> {
    versions: VecDeque<Version<N>>,
    limit: usize,
}

impl<N: Node> History<N> {
    pub(super) fn new(limit: usize) -> Self {
        Self { versions: VecDeque::new(), limit }
    }

    pub(super) fn push(&mut self, version: Version<N>) {
        self.versions.push_back(version);
        if self.versions.len() > self.limit {
            self.versions.pop_front();
        }
    }

    /// The state at `version`, if it is the current one or still kept.
    pub(super) fn state_at(&self, version: Sequence, current: Sequence, node: &N) -> Option<N> {
        let back = usize::try_from(current.checked_sub(version)?).ok()?;
        if back > self.versions.len() {
            return None;
        }
        let mut state = node.clone();
        for version in self.versions.iter().rev().take(back) {
            state.roll_back(&version.state);
        }
        Some(state)
    }
}
