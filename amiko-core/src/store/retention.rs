//! Which older snapshots are kept, with the journal that follows them, when there is a newer one.
//!
//! Invariant: nothing that a recovery needs is removed, and nothing that can't be read is removed for its age.

use super::error::{Failure, Trying};
use super::files::Files;
use super::format::Header;
use super::journal;
use super::vfs::{Access, Vfs, VfsFile};
use crate::time::Time;
use std::iter;
use std::path::PathBuf;
use std::time::Duration;

/// Which older snapshots are kept, with the journal that follows them, when there is a newer one.
///
/// What is kept can be opened with [`Directory::open_at`](super::Directory::open_at), and takes the place of a newer
/// snapshot that turns out to be damaged. Age is measured by the times of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Retention {
    /// This many of them. 0 keeps only what a recovery needs.
    Count(u64),
    /// As many of them, the newest first, as take no more than this many bytes with the journal that follows them: what a
    /// recovery needs isn't counted.
    Bytes(u64),
    /// Those that were the newest one at any moment within this time before the last snapshot.
    Age(Duration),
    /// All of them.
    Forever,
}

impl<V: Vfs> Files<V> {
    /// Removes what was never finished, and what the snapshot `newest` has replaced.
    ///
    /// A crash may bring any of it back; recovery doesn't need it, whatever is there.
    pub(super) fn sweep(&self, newest: u64, retention: Retention) -> Result<(), Failure> {
        // Files whose names say nothing clear are nothing to remove.
        let Ok(inventory) = self.inventory() else { return Ok(()) };
        let mut obsolete: Vec<PathBuf> = inventory.temporary.iter().map(|name| self.directory.join(name)).collect();
        let older = &inventory.snapshots[..inventory.snapshots.partition_point(|sequence| *sequence < newest)];
        let oldest = older.len() - self.kept(older, newest, &inventory.segments, retention);
        let first_kept = older.get(oldest).copied().unwrap_or(newest);
        obsolete.extend(older[..oldest].iter().map(|&sequence| self.snapshot(sequence)));
        let segments = inventory.segments.iter().filter(|&&first| first <= first_kept);
        obsolete.extend(segments.map(|&first| self.segment(first)));
        for path in obsolete {
            self.vfs.remove(&path).trying("remove", &path)?;
        }
        Ok(())
    }

    /// How many of these snapshots are kept: the newest of them.
    fn kept(&self, older: &[u64], newest: u64, segments: &[u64], retention: Retention) -> usize {
        let age = match retention {
            Retention::Forever => return older.len(),
            Retention::Count(count) => return older.len().min(usize::try_from(count).unwrap_or(usize::MAX)),
            Retention::Bytes(bytes) => return self.within(bytes, older, newest, segments),
            Retention::Age(age) => age,
        };
        let Some(now) = self.time_of(newest) else { return older.len() };
        let replaced_by = iter::once(&newest).chain(older.iter().rev()).take(older.len());
        // What can't be read isn't removed for its age.
        replaced_by.take_while(|&&next| self.time_of(next).is_none_or(|replaced| now - replaced <= age)).count()
    }

    /// How many of these snapshots take no more than this, with the segments up to the snapshot after each.
    fn within(&self, bytes: u64, older: &[u64], newest: u64, segments: &[u64]) -> usize {
        let size = |path: PathBuf| self.open(&path, Access::Read).ok().and_then(|file| file.size().ok()).unwrap_or(0);
        let replaced_by = iter::once(&newest).chain(older.iter().rev());
        let taken = older.iter().rev().zip(replaced_by).map(|(&sequence, &next)| {
            let following = segments.iter().filter(|&&first| first > sequence && first <= next);
            size(self.snapshot(sequence)) + following.map(|&first| size(self.segment(first))).sum::<u64>()
        });
        let all = taken.scan(0_u64, |all, taken| {
            *all = all.saturating_add(taken);
            Some(*all)
        });
        all.take_while(|all| *all <= bytes).count()
    }

    /// The time of a snapshot: its segment has it.
    pub(super) fn time_of(&self, sequence: u64) -> Option<Time> {
        self.header(sequence.checked_add(1)?).map(|header| header.time)
    }

    /// The segment before the one that begins with this record, if that one says so.
    pub(super) fn previous_segment(&self, first: u64) -> Option<u64> {
        self.header(first)?.previous
    }

    fn header(&self, first: u64) -> Option<Header> {
        journal::header(self, first).ok()
    }
}
