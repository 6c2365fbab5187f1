//! Reading a directory back: which snapshot, and which segments after it.
//!
//! Invariant: nothing here changes a file; whatever is handed over is a state that was there once, and never an older
//! one than was asked for.

use super::error::RecoverError;
use super::files::{Files, Inventory};
use super::journal::{self, Opened, Replayed};
use super::snapshot::{self, Snapshot};
use super::vfs::Vfs;
use super::{Damaged, Recovered, Recovery, Usage};

/// What was read back, and where the journal can be continued.
#[derive(Debug)]
pub(super) struct Replay {
    pub(super) recovered: Recovered,
    pub(super) usage: Usage,
    /// The snapshot that it began with, if there is one.
    pub(super) base: Option<u64>,
    /// The last segment, if there is one.
    pub(super) tail: Option<Replayed>,
}

/// Hands over the newest good snapshot, and every record after it.
pub(super) fn newest<V: Vfs>(files: &Files<V>, visitor: &mut dyn Recovery) -> Result<Replay, RecoverError> {
    let inventory = files.inventory()?;
    let last = inventory.segments.last().copied();
    replay(files, &inventory, last, None, visitor)
}

/// Hands over the newest good snapshot that isn't after version `until`, and every record from there to that version.
pub(super) fn until<V: Vfs>(files: &Files<V>, until: u64, visitor: &mut dyn Recovery) -> Result<Replay, RecoverError> {
    let mut inventory = files.inventory()?;
    let oldest = inventory.snapshots.first().copied();
    let last = inventory.segments.last().copied();
    inventory.snapshots.retain(|sequence| *sequence <= until);
    inventory.segments.retain(|first| *first <= until);
    if let (Some(oldest), true) = (oldest, inventory.snapshots.is_empty()) {
        return Err(RecoverError::NotKept { directory: files.directory.clone(), version: until, oldest });
    }
    let replay = replay(files, &inventory, last, Some(until), visitor)?;
    match replay.recovered.sequence {
        last if last < until => {
            Err(RecoverError::NotYet { directory: files.directory.clone(), version: until, newest: last })
        }
        _ => Ok(replay),
    }
}

/// Hands over the newest good snapshot of an inventory, and every record after it up to version `until`; `last` is the
/// last segment of all.
pub(super) fn replay<V: Vfs>(
    files: &Files<V>,
    inventory: &Inventory,
    last: Option<u64>,
    until: Option<u64>,
    visitor: &mut dyn Recovery,
) -> Result<Replay, RecoverError> {
    let (snapshot, damaged) = base(files, inventory)?;
    let base = snapshot.as_ref().map(|snapshot| snapshot.sequence);
    let mut sequence = base.unwrap_or(0);
    let segments = &inventory.segments[inventory.segments.partition_point(|first| *first <= sequence)..];
    // All of them are open before anything is handed over: what is open stays there to be read, though somebody else may
    // remove its name.
    let opened: Vec<_> = segments.iter().map(|&first| Opened::new(files, first)).collect::<Result<_, _>>()?;
    let mut usage = Usage { snapshot: snapshot.as_ref().map_or(0, |snapshot| snapshot.size), ..Usage::default() };
    if let Some(snapshot) = snapshot {
        snapshot.hand_over(visitor)?;
    }
    let mut tail: Option<Replayed> = None;
    for segment in opened {
        let first = segment.first;
        if first != sequence.saturating_add(1) {
            return Err(gap(files, base, sequence, tail.as_ref().map(|tail| tail.first), Some(first)));
        }
        // Only the last one of all may be torn: those before were synced before the next was begun.
        let replayed = journal::replay(segment, last == Some(first), until, visitor)?;
        sequence = replayed.sequence;
        usage.journal += replayed.records;
        tail = Some(replayed);
    }
    // A snapshot is only written when the journal up to it is durable, and a segment after it is there: the newest one,
    // whether it is good or not, tells how far the journal has to go at the least.
    let newest = damaged.first().map(|(sequence, _)| *sequence).or(base);
    let follows = |newest: u64| tail.as_ref().is_some_and(|replayed| replayed.first > newest);
    if let Some(newest) = newest
        && (sequence < newest || (until != Some(newest) && !follows(newest)))
    {
        let resumes = (sequence < newest).then(|| newest.saturating_add(1));
        return Err(gap(files, base, sequence, tail.as_ref().map(|tail| tail.first), resumes));
    }
    let torn = tail.as_ref().and_then(|replayed| replayed.torn.clone());
    let damaged = damaged.into_iter().map(|(_, damaged)| damaged).collect();
    Ok(Replay { recovered: Recovered { sequence, torn, damaged }, usage, base, tail })
}

/// Reads the newest snapshot that is good, and names the damaged ones after it.
#[expect(clippy::type_complexity, reason = "a snapshot, and numbers with what is wrong there")]
fn base<V: Vfs>(
    files: &Files<V>,
    inventory: &Inventory,
) -> Result<(Option<Snapshot>, Vec<(u64, Damaged)>), RecoverError> {
    let mut damaged = Vec::new();
    let mut first_error = None;
    for &sequence in inventory.snapshots.iter().rev() {
        match snapshot::read(files, sequence) {
            Ok(snapshot) => return Ok((Some(snapshot), damaged)),
            Err(error @ RecoverError::Damaged { .. }) => {
                damaged.push((sequence, Damaged { file: files.snapshot(sequence), reason: error.to_string() }));
                first_error.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    match first_error {
        Some(error) => Err(error),
        None => Ok((None, damaged)),
    }
}

/// Names the file whose absence, or whose early end, is what went wrong.
///
/// `before` is the first number of the last segment before the gap.
pub(super) fn gap<V: Vfs>(
    files: &Files<V>,
    base: Option<u64>,
    reached: u64,
    before: Option<u64>,
    resumes: Option<u64>,
) -> RecoverError {
    match (before, resumes) {
        (None, Some(first)) if base.is_none() && reached == 0 => {
            RecoverError::MissingSnapshot { path: files.snapshot(first - 1), segment: files.segment(first) }
        }
        // The segment after the gap says which one is before it.
        (Some(before), Some(first)) if files.previous_segment(first).is_none_or(|first| first == before) => {
            RecoverError::ShortJournal { path: files.segment(before), reached, expected: first - 1 }
        }
        _ => RecoverError::MissingSegment { path: files.segment(reached.saturating_add(1)), reached, resumes },
    }
}
