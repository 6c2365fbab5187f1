//! The last versions, in memory.
//!
//! Invariant: a version costs as much as its event changed: the undo log of the event, and its record. All versions
//! together stay within the limit in bytes.

use crate::dispatcher::BesideUndo;
use crate::machine::Node;
use crate::serializable::Patch;
use crate::time::Time;
use crate::tree::EngineOnly;
use crate::version::Version;
use std::collections::VecDeque;
use std::fmt;

/// Leads from one version back to the previous one.
pub(super) struct Undo<N: Node> {
    pub(super) state: N::Undo,
    pub(super) dispatcher: BesideUndo<N>,
}

/// The event that made a version.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// The version.
    pub version: Version,
    /// The time of its event.
    pub time: Time,
    /// The journal record, as JSON: `cause` is the event's cause, `patch` its changes.
    pub record: String,
}

/// Hides the record, which may contain secrets.
impl fmt::Debug for HistoryEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, time, record } = self;
        f.debug_struct("HistoryEntry")
            .field("version", version)
            .field("time", time)
            .field("bytes", &record.len())
            .finish_non_exhaustive()
    }
}

/// A past version, and how to get back to the one before it.
struct Past<N: Node> {
    undo: Undo<N>,
    entry: HistoryEntry,
    bytes: usize,
}

pub(super) struct History<N: Node> {
    /// Oldest first, without a gap up to the present version; empty if that one wasn't kept.
    versions: VecDeque<Past<N>>,
    limit: usize,
    limit_bytes: usize,
    /// Of all versions together.
    bytes: usize,
}

impl<N: Node> History<N> {
    pub(super) fn new(limit: usize, limit_bytes: usize) -> Self {
        Self { versions: VecDeque::new(), limit, limit_bytes, bytes: 0 }
    }

    #[inline]
    pub(super) fn push(&mut self, undo: Undo<N>, version: Version, time: Time, record: &mut Patch) {
        if self.limit == 0 {
            return;
        }
        let mut entry = HistoryEntry { version, time, record: String::new() };
        if self.versions.len() >= self.limit
            && let Some(oldest) = self.versions.pop_front()
        {
            // Its memory is reused for the newest one.
            self.bytes = self.bytes.saturating_sub(oldest.bytes);
            entry.record = oldest.entry.record;
        }
        let freed = record.freed();
        record.exchange(&mut entry.record);
        shrink(&mut entry.record);
        let bytes = size_of::<Past<N>>().saturating_add(entry.record.capacity()).saturating_add(freed);
        self.bytes = self.bytes.saturating_add(bytes);
        self.versions.push_back(Past { undo, entry, bytes });
        if self.bytes > self.limit_bytes {
            self.fit();
        }
    }

    /// Evicts the oldest versions until the rest fits.
    #[cold]
    fn fit(&mut self) {
        while self.bytes > self.limit_bytes
            && let Some(past) = self.versions.pop_front()
        {
            self.bytes = if self.versions.is_empty() { 0 } else { self.bytes.saturating_sub(past.bytes) };
        }
    }

    /// The memory of all versions together.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn entries(&self) -> impl DoubleEndedIterator<Item = &HistoryEntry> {
        self.versions.iter().map(|past| &past.entry)
    }

    /// Drops all versions except the current one.
    pub(super) fn clear(&mut self) {
        self.bytes = 0;
        self.versions.clear();
    }

    /// The state at `version`, if it is the current one or still kept.
    pub(super) fn state_at(&self, version: Version, current: Version, node: &N, only: &EngineOnly) -> Option<N> {
        let back = usize::try_from(current.0.checked_sub(version.0)?).ok()?;
        if back > self.versions.len() {
            return None;
        }
        let mut state = node.clone();
        for past in self.versions.iter().rev().take(back) {
            state.roll_back(&past.undo.state, only);
        }
        Some(state)
    }
}

/// Frees memory that a much longer record has needed.
#[inline]
fn shrink(record: &mut String) {
    /// Fewer bytes than this aren't worth freeing.
    const LITTLE: usize = 4 << 10;
    if record.capacity() > LITTLE && record.capacity() / 4 > record.len() {
        record.shrink_to_fit();
    }
}
