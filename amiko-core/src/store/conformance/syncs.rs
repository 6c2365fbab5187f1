//! Rules about what is durable, and when.
//!
//! Invariant: each function here is one rule, and its name says it.

use super::Subject;
use super::trial::{Breach, Expect, Log, Outcome, Trial, equal, holds, record};
use crate::store::{RecoverError, Store, StoreError, Usage, Work};
use crate::time::Time;

fn is_under_way(error: &StoreError) -> bool {
    matches!(error, StoreError::UnderWay)
}

pub(super) fn nothing_to_do_is_no_work<S: Subject>(subject: &mut S) -> Outcome {
    let mut trial = Trial::begin(subject)?;
    trial.commit(2)?;
    trial.snapshot()?;
    trial.sync()?;
    for _ in 0..2 {
        let work = trial.store.begin_sync().taken("begin_sync")?;
        holds("begin_sync to give no work when everything is durable", work.is_none(), "work")?;
        let work = trial.store.begin_write().taken("begin_write")?;
        holds("begin_write to give no work when everything is durable", work.is_none(), "work")?;
    }
    trial.commit(1)?;
    trial.restart().map(drop)
}

pub(super) fn work_covers_what_was_given_before_it<S: Subject>(subject: &mut S) -> Outcome {
    let mut trial = Trial::begin(subject)?;
    for meanwhile in 1..=3 {
        trial.append(2)?;
        let work = trial.begin_sync()?;
        equal("the bytes that wait when a sync has just begun", 0, trial.usage().buffered)?;
        trial.append(meanwhile)?;
        let waiting = trial.usage().buffered;
        holds("records that are given while a sync is under way to wait for the next one", waiting > 0, waiting)?;
        trial.end_sync(work.run())?;
        equal("the bytes that wait after the end of a sync that doesn't cover them", waiting, trial.usage().buffered)?;
        let work = trial.begin_sync()?;
        trial.end_sync(work.run())?;
        trial = trial.restart()?;
    }
    // What was given meanwhile isn't durable with it.
    trial.append(1)?;
    let work = trial.begin_sync()?;
    trial.append(3)?;
    trial.end_sync(work.run())?;
    trial.restart().map(drop)
}

pub(super) fn there_is_one_sync_at_a_time<S: Subject>(subject: &mut S) -> Outcome {
    let mut trial = Trial::begin(subject)?;
    trial.append(1)?;
    let work = trial.begin_sync()?;
    for _ in 0..2 {
        trial.store.begin_sync().refused("begin_sync while one is under way", "UnderWay", is_under_way)?;
        trial.append(1)?;
        trial.store.begin_write().refused("begin_write while a sync is under way", "UnderWay", is_under_way)?;
        trial.store.sync().refused("sync while one is under way", "UnderWay", is_under_way)?;
    }
    trial.end_sync(work.run())?;
    trial.sync()?;
    trial.restart().map(drop)
}

pub(super) fn an_end_needs_a_beginning<S: Subject>(subject: &mut S) -> Outcome {
    let mut other = Trial::begin(subject)?;
    other.append(2)?;
    let done = other.begin_sync()?.run();
    drop(other);
    let mut trial = Trial::begin(subject)?;
    trial.commit(1)?;
    let usage = trial.usage();
    let is = |error: &StoreError| matches!(error, StoreError::NotUnderWay);
    trial.store.end_sync(done).refused("end_sync without a beginning", "NotUnderWay", is)?;
    equal("the usage after an end_sync that was refused", usage, trial.usage())?;
    trial.commit(1)?;
    trial.restart().map(drop)
}

pub(super) fn dropped_work_acknowledges_nothing<S: Subject>(subject: &mut S) -> Outcome {
    let mut trial = Trial::begin(subject)?;
    trial.commit(1)?;
    trial.append(2)?;
    drop(trial.begin_sync()?);
    for _ in 0..2 {
        if trial.store.sync().is_ok() || trial.store.begin_write().is_ok() {
            return Err(Breach::new("every sync to fail after work that was dropped", "success"));
        }
    }
    let mut trial = trial.restart()?;
    trial.append(1)?;
    // It was run, but the store doesn't know.
    drop(trial.begin_sync()?.run());
    if trial.store.sync().is_ok() {
        return Err(Breach::new("sync to fail after work that wasn't given back", "success"));
    }
    trial.restart()?.commit(1)
}

pub(super) fn a_write_is_not_forgotten_by_the_sync_after_it<S: Subject>(subject: &mut S) -> Outcome {
    let mut trial = Trial::begin(subject)?;
    for records in 0..3 {
        trial.append(2)?;
        trial.write()?;
        equal("the bytes that wait after a write", 0, trial.usage().buffered)?;
        trial.append(records)?;
        trial.sync()?;
        trial = trial.restart()?;
        // The same with a snapshot behind what was only written.
        trial.append(1)?;
        trial.write()?;
        trial.begin_snapshot()?;
        trial.append(records)?;
        trial.write()?;
        trial.sync()?;
        trial = trial.restart()?;
    }
    // A write of records that aren't durable can't make an earlier one undone.
    trial.commit(1)?;
    trial.append(1)?;
    trial.write()?;
    trial.append(1)?;
    trial.write()?;
    trial.restart().map(drop)
}

pub(super) fn a_failed_sync_ends_it<S: Subject>(subject: &mut S) -> Outcome {
    let mut trial = Trial::begin(subject)?;
    trial.commit(2)?;
    trial.append(1)?;
    if !trial.subject.fail_next_sync(&mut trial.store) {
        return Ok(());
    }
    let is_io = |error: &StoreError| matches!(error, StoreError::Io { .. });
    let done = trial.begin_sync()?.run();
    trial.append(1)?;
    let store = &mut trial.store;
    store.end_sync(done).refused("end_sync of a sync that failed", "Io", is_io)?;
    let is = |error: &StoreError| matches!(error, StoreError::Poisoned { .. });
    store.append(5, &record(5)).refused("append after a sync that failed", "Poisoned", is)?;
    for _ in 0..2 {
        store.begin_sync().refused("begin_sync after a sync that failed", "Poisoned", is)?;
        store.begin_write().refused("begin_write after a sync that failed", "Poisoned", is)?;
    }
    store.begin_snapshot(4, Time::default()).refused("begin_snapshot after a sync that failed", "Poisoned", is)?;
    store.write_snapshot("{").refused("write_snapshot after a sync that failed", "Poisoned", is)?;
    store.finish_snapshot().refused("finish_snapshot after a sync that failed", "Poisoned", is)?;
    equal("the usage after a sync that failed", Usage::default(), store.usage())?;
    let again = store.recover(&mut Log::default());
    let not_fresh = matches!(again, Err(RecoverError::NotFresh));
    holds("recover to fail with NotFresh after a sync that failed", not_fresh, again)?;
    let mut trial = trial.restart()?;
    trial.commit(1)?;
    trial.restart().map(drop)
}
