//! The last versions, in memory.
//!
//! Invariant: a version costs what its event changed: the undo log of the event, and its record.

use super::Sequence;
use crate::dispatcher::DispatcherUndo;
use crate::engine_only::EngineOnly;
use crate::machine::Node;
use crate::serializable::Patch;
use crate::time::Time;
use std::collections::VecDeque;

/// What leads from one version back to the one before it.
pub(super) struct Version<N: Node> {
    pub(super) state: N::Undo,
    pub(super) dispatcher: DispatcherUndo<N>,
}

/// What made a version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// The version.
    pub version: Sequence,
    /// When its event was.
    pub time: Time,
    /// The record in the journal, as JSON: `cause` says who asked for it, `patch` what it changed.
    pub record: String,
}

pub(super) struct History<N: Node> {
    versions: VecDeque<(Version<N>, HistoryEntry)>,
    limit: usize,
}

impl<N: Node> History<N> {
    pub(super) fn new(limit: usize) -> Self {
        Self { versions: VecDeque::new(), limit }
    }

    pub(super) fn push(&mut self, undo: Version<N>, version: Sequence, time: Time, record: &mut Patch) {
        // The oldest one's memory serves the newest.
        let oldest = if self.versions.len() >= self.limit { self.versions.pop_front() } else { None };
        if self.limit == 0 {
            return;
        }
        let mut entry = oldest.map(|(_, entry)| entry).unwrap_or_default();
        record.exchange(&mut entry.record);
        (entry.version, entry.time) = (version, time);
        self.versions.push_back((undo, entry));
    }

    pub(super) fn entries(&self) -> impl DoubleEndedIterator<Item = &HistoryEntry> {
        self.versions.iter().map(|(_, entry)| entry)
    }

    /// Forgets all versions but the current one.
    pub(super) fn clear(&mut self) {
        self.versions.clear();
    }

    /// The state at `version`, if it is the current one or still kept.
    pub(super) fn state_at(&self, version: Sequence, current: Sequence, node: &N, only: &EngineOnly) -> Option<N> {
        let back = usize::try_from(current.checked_sub(version)?).ok()?;
        if back > self.versions.len() {
            return None;
        }
        let mut state = node.clone();
        for (version, _) in self.versions.iter().rev().take(back) {
            state.roll_back(&version.state, only);
        }
        Some(state)
    }
}
