//! Rules about what a store refuses, and what it says about itself.
//!
//! Invariant: each function here is one rule, and its name says it.

use super::Subject;
use super::trial::{Breach, Expect, Outcome, Trial, equal, holds, record};
use crate::store::{Store, StoreError, Usage, Work};
use crate::time::Time;

pub(super) fn records_are_checked<S: Subject>(subject: &mut S) -> Outcome {
    let mut trial = Trial::begin(subject)?;
    trial.commit(1)?;
    let usage = trial.usage();
    for (sequence, given) in [(1, 1), (3, 3), (0, 0), (u64::MAX, 2)] {
        let is = |error: &StoreError| match error {
            StoreError::Sequence { expected, found } => (*expected, *found) == (2, sequence),
            _ => false,
        };
        let call = format!("append of record {sequence} after record 1");
        trial.store.append(sequence, &record(given)).refused(&call, "Sequence", is)?;
    }
    let bad = [
        "",
        "{",
        "[]",
        "{\"seq\":2",
        "{\"seq\":3}",
        "{\"seq\":22}",
        "{\"seq\":02}",
        "{\"seq\":2,\"a\":\"",
        " {\"seq\":2}",
        "{\"seq\":2} ",
        "{\"seq\":2}\n",
        "{\"seq\":2,\n\"a\":1}",
    ];
    for record in bad {
        let is = |error: &StoreError| matches!(error, StoreError::Record { sequence: 2, .. });
        trial.store.append(2, record).refused(&format!("append of {record:?} as record 2"), "Record", is)?;
    }
    equal("the usage after records that were refused", usage, trial.usage())?;
    trial.append_text("{\"seq\":2}".to_owned())?;
    trial.sync()?;
    trial.restart()?.commit(1)
}

pub(super) fn snapshots_are_checked<S: Subject>(subject: &mut S) -> Outcome {
    let mut trial = Trial::begin(subject)?;
    trial.commit(1)?;
    trial.snapshot()?;
    trial.commit(1)?;
    let usage = trial.usage();
    let none = |error: &StoreError| matches!(error, StoreError::NoSnapshot);
    trial.store.write_snapshot("{").refused("write_snapshot without a beginning", "NoSnapshot", none)?;
    trial.store.finish_snapshot().refused("finish_snapshot without a beginning", "NoSnapshot", none)?;
    for sequence in [0, 1, 3, u64::MAX] {
        let is = |error: &StoreError| match error {
            StoreError::Sequence { expected, found } => (*expected, *found) == (2, sequence),
            _ => false,
        };
        let call = format!("begin_snapshot of version {sequence} at version 2");
        trial.store.begin_snapshot(sequence, Time::default()).refused(&call, "Sequence", is)?;
    }
    equal("the usage after calls that were refused", usage, trial.usage())?;
    for bad in ["", "{", "}", "{}", "[1]", "{\"a\":1}\n", " {\"a\":1}", "{\"a\":1", "\"{1}"] {
        trial.store.begin_snapshot(2, Time::default()).taken("begin_snapshot")?;
        trial.store.write_snapshot(bad).taken("write_snapshot")?;
        let is = |error: &StoreError| matches!(error, StoreError::Document { sequence: 2, .. });
        trial.store.finish_snapshot().refused(&format!("finish_snapshot of {bad:?}"), "Document", is)?;
        let call = "write_snapshot after a document that was refused";
        trial.store.write_snapshot("{").refused(call, "NoSnapshot", none)?;
        trial.sync()?;
    }
    let mut trial = trial.restart()?;
    trial.snapshot()?;
    trial.sync()?;
    trial.restart().map(drop)
}

pub(super) fn usage_is_what_a_recovery_reads<S: Subject>(subject: &mut S) -> Outcome {
    let mut trial = Trial::begin(subject)?;
    equal("the usage of an empty store", Usage::default(), trial.usage())?;
    trial.append(1)?;
    let one = trial.usage();
    let least = record(1).len() as u64;
    holds("a journal and a buffer with the record in them", one.journal >= least && one.buffered >= least, one)?;
    trial.sync()?;
    trial.commit(3)?;
    let usage = trial.usage();
    equal("the usage without a snapshot, synced", Usage { snapshot: 0, buffered: 0, ..usage }, usage)?;
    holds("a journal of four records", usage.journal >= 4 * least, usage)?;

    trial.begin_snapshot()?;
    trial.commit(1)?;
    let before = trial.usage();
    holds("the journal to grow while a snapshot is being given", before.journal > usage.journal, before)?;
    trial.write_document()?;
    let given = trial.usage();
    holds("the pieces of a snapshot to wait for a sync", given.buffered > 0, given)?;
    equal("the usage of an unfinished snapshot", before, Usage { buffered: 0, ..given })?;
    trial.finish_snapshot()?;
    let given = trial.usage();
    equal("the usage of a snapshot that isn't synced", before, Usage { buffered: 0, ..given })?;
    // One that is begun before the other is durable is measured from where the other one leaves off.
    trial.append(2)?;
    trial.begin_snapshot()?;
    trial.commit(2)?;
    let usage = trial.usage();
    holds("a journal without what the snapshot covers", usage.journal < before.journal + 4 * least, usage)?;
    holds("a snapshot", usage.snapshot > 0, usage)?;
    let mut trial = trial.restart()?;
    equal("the usage after a recovery", usage, trial.usage())?;

    trial.commit(1)?;
    trial.snapshot()?;
    trial.sync()?;
    equal("the journal after a snapshot of all of it", 0, trial.usage().journal)?;
    trial.commit(1)?;
    let usage = trial.usage();
    let trial = trial.restart()?;
    equal("the usage after a recovery", usage, trial.usage())
}

/// Bytes of the buffers of a store that is asked to have small ones, and of some records.
const LIMIT: u64 = 1000;

fn is_full(error: &StoreError) -> bool {
    matches!(error, StoreError::BufferFull { limit: LIMIT, needed } if *needed > LIMIT)
}

fn limited<S: Subject>(subject: &mut S) -> Outcome<Option<Trial<'_, S>>> {
    let store = subject.limited(LIMIT).map_err(|error| Breach::new("a store with small buffers", error.to_string()))?;
    store.map(|store| Trial::of(subject, store)).transpose()
}

pub(super) fn the_record_buffer_is_limited<S: Subject>(subject: &mut S) -> Outcome {
    let Some(mut trial) = limited(subject)? else { return Ok(()) };
    for _ in 0..2 {
        // More of them wouldn't fit, however a store keeps them.
        for _ in 0..LIMIT / record(1).len() as u64 {
            if trial.try_append().is_err() {
                break;
            }
        }
        let usage = trial.usage();
        holds(
            "at least one record in the buffer, and not more than its limit",
            (1..=LIMIT).contains(&usage.buffered),
            usage,
        )?;
        trial.try_append().refused("append to a buffer that is full", "BufferFull", is_full)?;
        equal("the usage after an append that was refused", usage, trial.usage())?;
        // What waits makes room when a sync takes it, and not only at its end.
        let work = trial.begin_sync()?;
        trial.append(1)?;
        trial.end_sync(work.run())?;
        trial.sync()?;
    }
    let sequence = trial.last() + 1;
    let large = format!("{{\"seq\":{sequence},\"a\":\"{}\"}}", "x".repeat(LIMIT as usize));
    let is_large = |error: &StoreError| matches!(error, StoreError::RecordTooLarge { limit: LIMIT, .. });
    trial.store.append(sequence, &large).refused(
        "append of a record larger than the buffer",
        "RecordTooLarge",
        is_large,
    )?;
    trial.commit(1)?;
    trial.restart().map(drop)
}

pub(super) fn the_snapshot_buffer_is_limited<S: Subject>(subject: &mut S) -> Outcome {
    let Some(mut trial) = limited(subject)? else { return Ok(()) };
    trial.commit(1)?;
    trial.begin_snapshot()?;
    let piece = "x".repeat(LIMIT as usize / 4);
    trial.write_piece("{\"a\":\"")?;
    for _ in 0..3 {
        trial.write_piece(&piece)?;
    }
    let usage = trial.usage();
    trial.store.write_snapshot(&piece).refused("write_snapshot to a buffer that is full", "BufferFull", is_full)?;
    equal("the usage after a piece that was refused", usage, trial.usage())?;
    trial.sync()?;
    // A buffer with nothing in it takes a piece of any size.
    trial.write_piece(&piece.repeat(8))?;
    let call = "write_snapshot after a piece larger than the buffer";
    trial.store.write_snapshot(&piece).refused(call, "BufferFull", is_full)?;
    trial.sync()?;
    trial.write_piece("\"}")?;
    trial.finish_snapshot()?;
    trial.sync()?;
    trial.restart().map(drop)
}
