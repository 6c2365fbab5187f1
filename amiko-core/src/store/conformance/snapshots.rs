//! Rules about snapshots, and about everything together.
//!
//! Invariant: each function here is one rule, and its name says it.

use super::Subject;
use super::trial::{Outcome, Trial};
use crate::store::{Store, Work};

pub(super) fn a_snapshot_replaces_what_it_covers<S: Subject>(subject: &mut S) -> Outcome {
    // Of nothing at all.
    let mut trial = Trial::begin(subject)?;
    trial.snapshot()?;
    trial.sync()?;
    let mut trial = trial.restart()?;

    trial.commit(3)?;
    trial.append(2)?;
    trial.begin_snapshot()?;
    trial.commit(2)?;
    trial.write_document()?;
    trial.commit(1)?;
    trial.finish_snapshot()?;
    trial.commit(1)?;
    let mut trial = trial.restart()?;

    // Twice at the same place, then with nothing behind it.
    trial.commit(1)?;
    for _ in 0..2 {
        trial.snapshot()?;
        trial.sync()?;
    }
    let mut trial = trial.restart()?;
    trial.commit(1)?;
    let mut trial = trial.restart()?;
    trial.snapshot()?;
    trial.sync()?;
    trial.restart().map(drop)
}

pub(super) fn an_unfinished_snapshot_changes_nothing<S: Subject>(subject: &mut S) -> Outcome {
    let mut trial = Trial::begin(subject)?;
    trial.commit(2)?;
    trial.begin_snapshot()?;
    trial.commit(1)?;
    let mut trial = trial.restart()?;
    trial.snapshot()?;
    trial.commit(2)?;
    trial.begin_snapshot()?;
    trial.write_document()?;
    trial.commit(2)?;
    let mut trial = trial.restart()?;
    trial.commit(1)?;
    // Finished, and not synced: it may be there or not.
    trial.snapshot()?;
    let mut trial = trial.restart()?;
    trial.commit(1)?;
    trial.restart().map(drop)
}

pub(super) fn a_snapshot_is_given_up_for_another<S: Subject>(subject: &mut S) -> Outcome {
    let mut trial = Trial::begin(subject)?;
    for records in [0, 1, 2] {
        trial.commit(records)?;
        trial.begin_snapshot()?;
        trial.write_piece("not a document")?;
        trial.commit(records)?;
        trial.begin_snapshot()?;
        trial.write_piece("{\"another\":\"one")?;
        trial.snapshot()?;
        trial.commit(1)?;
        trial = trial.restart()?;
    }
    Ok(())
}

pub(super) fn a_snapshot_covers_records_that_are_not_synced<S: Subject>(subject: &mut S) -> Outcome {
    let mut trial = Trial::begin(subject)?;
    for later in [0, 1, 2] {
        trial.append(3)?;
        trial.begin_snapshot()?;
        trial.append(later)?;
        trial.write_document()?;
        trial.append(later)?;
        trial.finish_snapshot()?;
        trial.append(later)?;
        trial.sync()?;
        trial = trial.restart()?;
        // The same, with what it covers only written.
        trial.append(2)?;
        trial.write()?;
        trial.snapshot()?;
        trial.append(later)?;
        trial.write()?;
        trial = trial.restart()?;
    }
    Ok(())
}

pub(super) fn a_snapshot_may_end_while_a_sync_is_under_way<S: Subject>(subject: &mut S) -> Outcome {
    let mut trial = Trial::begin(subject)?;
    // Begun, given and finished meanwhile; then only finished; then one that ends in the sync while the next is given.
    for _ in 0..2 {
        trial.append(1)?;
        let work = trial.begin_sync()?;
        trial.append(1)?;
        trial.snapshot()?;
        trial.append(1)?;
        trial.end_sync(work.run())?;
        trial = trial.restart()?;

        trial.append(1)?;
        trial.begin_snapshot()?;
        trial.write_document()?;
        trial.append(1)?;
        let work = trial.begin_sync()?;
        trial.finish_snapshot()?;
        trial.append(1)?;
        trial.end_sync(work.run())?;
        trial.sync()?;
        trial = trial.restart()?;

        trial.append(1)?;
        trial.snapshot()?;
        let work = trial.begin_sync()?;
        trial.append(1)?;
        trial.begin_snapshot()?;
        trial.end_sync(work.run())?;
        trial.write_document()?;
        trial.finish_snapshot()?;
        trial.append(1)?;
        trial.sync()?;
        trial = trial.restart()?;
    }
    Ok(())
}

pub(super) fn the_last_snapshot_of_a_sync_counts<S: Subject>(subject: &mut S) -> Outcome {
    let mut trial = Trial::begin(subject)?;
    for between in [0, 1, 2] {
        trial.append(between)?;
        trial.snapshot()?;
        trial.append(between)?;
        trial.snapshot()?;
        trial.append(1)?;
        trial.snapshot()?;
        trial.append(between)?;
        trial.sync()?;
        trial = trial.restart()?;
    }
    // One that is begun in the same sync and not finished.
    trial.append(1)?;
    trial.snapshot()?;
    trial.append(1)?;
    trial.begin_snapshot()?;
    trial.write_document()?;
    trial.append(1)?;
    trial.sync()?;
    trial.restart().map(drop)
}

/// A small generator: the same calls each time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

pub(super) fn any_order_of_calls_is_survived<S: Subject>(subject: &mut S) -> Outcome {
    for seed in 0..6 {
        let mut random = Random(seed);
        let mut trial = Trial::begin(subject)?;
        for _ in 0..6 {
            let mut work: Option<<S::Store as Store>::Work> = None;
            let mut snapshot = false;
            for _ in 0..random.below(60) {
                match random.below(10) {
                    0..=3 => trial.append(random.below(3) + 1)?,
                    4..=5 => match work.take() {
                        Some(work) => trial.end_sync(work.run())?,
                        None if trial.usage().buffered > 0 => work = Some(trial.begin_sync()?),
                        None => trial.sync()?,
                    },
                    6 if work.is_none() => trial.write()?,
                    7..=8 if snapshot => {
                        trial.write_document()?;
                        trial.finish_snapshot()?;
                        snapshot = false;
                    }
                    7..=9 => {
                        trial.begin_snapshot()?;
                        snapshot = true;
                    }
                    _ => {}
                }
            }
            drop(work);
            trial = trial.restart()?;
        }
    }
    Ok(())
}
