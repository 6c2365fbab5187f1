//! One table of a document, at every version.
//!
//! Invariant: an entry that wasn't touched costs nothing but its text; one that was knows when, and whether it was there before.

use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::ops::Bound;

/// Marks a touch of what wasn't there before.
const ABSENT: u32 = 1 << 31;

/// What there is under one key.
#[derive(Debug, Default)]
pub(super) struct Entry {
    /// Its text at the newest version.
    pub(super) now: Option<Box<str>>,
    /// The events that changed it, counted from the origin of the timeline.
    touches: SmallVec<[u32; 4]>,
}

/// What an entry was at a version.
pub(super) enum Then<'e> {
    /// What it is now.
    Same(Option<&'e str>),
    /// What it was before this event.
    Before(u64),
    /// It wasn't there.
    Absent,
}

/// A table, or the fields of the state that aren't tables.
#[derive(Debug)]
pub(super) struct Section {
    /// Where it stands: `state` and a field, or the name of a part beside the state.
    pub(super) path: Vec<String>,
    pub(super) entries: BTreeMap<Box<str>, Entry>,
    /// How many entries there are after an event that changed that; oldest first, never empty.
    counts: Vec<(u64, usize)>,
}

impl Section {
    pub(super) fn new(path: &[&str]) -> Self {
        let path = path.iter().map(|&segment| segment.to_owned()).collect();
        Self { path, entries: BTreeMap::new(), counts: vec![(0, 0)] }
    }

    /// Fills a section for the first time.
    pub(super) fn fill(&mut self, entries: Vec<(Box<str>, String)>) {
        let entry = |(key, text): (Box<str>, String)| (key, Entry { now: Some(text.into()), touches: SmallVec::new() });
        // Made of all entries at once, a map has no room that isn't used.
        self.entries = entries.into_iter().map(entry).collect();
        self.counts = vec![(0, self.entries.len())];
    }

    /// Changes an entry; gives what it was.
    pub(super) fn set(&mut self, key: &str, text: Option<String>, origin: u64, version: u64) -> Option<String> {
        let number = number(origin, version);
        let entry = self.entries.entry(key.into()).or_default();
        let was = std::mem::replace(&mut entry.now, text.map(Into::into));
        let (before, after) = (was.is_some(), entry.now.is_some());
        if entry.touches.last().is_none_or(|last| last & !ABSENT != number) {
            entry.touches.push(if before { number } else { number | ABSENT });
        }
        if before != after {
            let (last, count) = self.counts.last().copied().unwrap_or_default();
            if last == version {
                self.counts.pop();
            }
            self.counts.push((version, if after { count + 1 } else { count.saturating_sub(1) }));
        }
        was.map(Into::into)
    }

    /// Notes that an event changes an entry that is there, and stays.
    pub(super) fn touch(&mut self, key: &str, origin: u64, version: u64) {
        let number = number(origin, version);
        if let Some(entry) = self.entries.get_mut(key)
            && entry.touches.last().is_none_or(|last| last & !ABSENT != number)
        {
            entry.touches.push(number);
        }
    }

    /// The number of entries at a version.
    pub(super) fn count(&self, version: u64) -> usize {
        let after = self.counts.partition_point(|(at, _)| *at <= version);
        self.counts.get(after.saturating_sub(1)).map_or(0, |(_, count)| *count)
    }

    /// Entries after a key, in order.
    pub(super) fn after<'s>(&'s self, key: Option<&str>) -> impl Iterator<Item = (&'s str, &'s Entry)> + use<'s> {
        let begin = key.map_or(Bound::Unbounded, Bound::Excluded);
        self.entries.range::<str, _>((begin, Bound::Unbounded)).map(|(key, entry)| (&**key, entry))
    }

    /// Forgets what an event has done that isn't kept any more.
    pub(super) fn forget(&mut self, key: &str, origin: u64, version: u64) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        entry.touches.retain(|touch| origin + u64::from(*touch & !ABSENT) > version);
        if entry.now.is_none() && entry.touches.is_empty() {
            self.entries.remove(key);
        }
        let known = self.counts.partition_point(|(at, _)| *at <= version);
        // The last of them says how many there are up to the next.
        self.counts.drain(..known.saturating_sub(1));
    }
}

/// The number of an event. Nobody keeps two thousand million of them in memory.
fn number(origin: u64, version: u64) -> u32 {
    u32::try_from(version - origin).unwrap_or(u32::MAX) & !ABSENT
}

impl Entry {
    /// What it was at a version.
    pub(super) fn then(&self, origin: u64, version: u64) -> Then<'_> {
        let after = self.touches.partition_point(|touch| origin + u64::from(touch & !ABSENT) <= version);
        match self.touches.get(after) {
            None => Then::Same(self.now.as_deref()),
            Some(touch) if touch & ABSENT != 0 => Then::Absent,
            Some(touch) => Then::Before(origin + u64::from(touch & !ABSENT)),
        }
    }

    /// The events that changed it, oldest first.
    pub(super) fn touched(&self, origin: u64) -> impl DoubleEndedIterator<Item = u64> + ExactSizeIterator {
        self.touches.iter().map(move |touch| origin + u64::from(touch & !ABSENT))
    }
}
