//! Rules about records and their recovery.
//!
//! Invariant: each function here is one rule, and its name says it.

use super::Subject;
use super::trial::{Breach, Expect, Log, Outcome, Trial, document, equal, holds, record};
use crate::store::{RecoverError, Recovery, Refused, Store, StoreError, Usage};
use crate::time::Time;

pub(super) fn an_empty_store_recovers_nothing<S: Subject>(subject: &mut S) -> Outcome {
    Trial::begin(subject)?.restart()?.sync()
}

pub(super) fn recovery_comes_first_and_once<S: Subject>(subject: &mut S) -> Outcome {
    let mut trial = Trial::begin(subject)?;
    trial.commit(1)?;
    let mut trial = trial.crash()?;
    let store = &mut trial.store;
    let first = |error: &StoreError| matches!(error, StoreError::NotRecovered);
    store.append(2, &record(2)).refused("append before recover", "NotRecovered", first)?;
    store.begin_sync().refused("begin_sync before recover", "NotRecovered", first)?;
    store.begin_write().refused("begin_write before recover", "NotRecovered", first)?;
    store.begin_snapshot(1, Time::default()).refused("begin_snapshot before recover", "NotRecovered", first)?;
    store.write_snapshot("{").refused("write_snapshot before recover", "NotRecovered", first)?;
    store.finish_snapshot().refused("finish_snapshot before recover", "NotRecovered", first)?;
    equal("the usage before recover", Usage::default(), store.usage())?;
    let mut trial = trial.restart()?;
    let mut log = Log::default();
    match trial.store.recover(&mut log) {
        Err(RecoverError::NotFresh) => {}
        other => return Err(Breach::new("a second recover to fail with NotFresh", format!("{other:?}"))),
    }
    equal("what a second recover hands over", Log::default(), log)?;
    trial.commit(1)?;
    trial.restart().map(drop)
}

pub(super) fn records_come_back_as_they_were_given<S: Subject>(subject: &mut S) -> Outcome {
    let mut trial = Trial::begin(subject)?;
    let long = "é}\\n\\\"\u{1f980}".repeat(20_000);
    let members = [
        "}".to_owned(),
        r#","a":1}"#.to_owned(),
        ",\t\"a\" : [ 1 ,\r2 ] }".to_owned(),
        ",\"a\":\"é \u{7f}\u{2028}\u{1f980}\u{10ffff}\\u0000\"}".to_owned(),
        r#","crc":"00000000","group":1,"seq":9}"#.to_owned(),
        format!(",\"a\":\"{long}\"}}"),
        r#","a":{"crc":"xxxxxxxx","seq":1}}"#.to_owned(),
    ];
    for member in &members {
        trial.append_text(format!("{{\"seq\":{}{member}", trial.last() + 1))?;
        trial.sync()?;
    }
    for member in &members {
        trial.append_text(format!("{{\"seq\":{}{member}", trial.last() + 1))?;
    }
    trial.sync()?;
    let mut trial = trial.restart()?;
    trial.begin_snapshot()?;
    for piece in ["{\"a\":\"é", "", &long, "\u{10ffff}\",\n\"crc\":\"00000000\"", ",\"b\":{\"c\":[1,\r\n2]}", "}"] {
        trial.write_piece(piece)?;
    }
    trial.finish_snapshot()?;
    trial.sync()?;
    trial.restart().map(drop)
}

pub(super) fn synced_records_survive<S: Subject>(subject: &mut S) -> Outcome {
    let mut trial = Trial::begin(subject)?;
    for count in [1, 3, 20] {
        trial.append(count)?;
        trial.sync()?;
        trial.commit(count)?;
        trial = trial.restart()?;
    }
    trial.restart().map(drop)
}

pub(super) fn unsynced_records_survive_only_as_a_beginning<S: Subject>(subject: &mut S) -> Outcome {
    let mut trial = Trial::begin(subject)?;
    for _ in 0..3 {
        trial.commit(2)?;
        trial.append(3)?;
        trial = trial.restart()?;
        trial.append(3)?;
        trial.write()?;
        trial.append(2)?;
        trial = trial.restart()?;
    }
    Ok(())
}

pub(super) fn what_was_recovered_stays<S: Subject>(subject: &mut S) -> Outcome {
    let mut trial = Trial::begin(subject)?;
    trial.commit(2)?;
    trial.append(3)?;
    trial.write()?;
    trial.append(1)?;
    // Nothing is synced in between: the recovery itself has to make durable what it hands over.
    let mut trial = trial.restart()?.restart()?;
    trial.commit(1)?;
    trial.restart().map(drop)
}

/// A visitor that refuses one call, counted from 0.
struct Picky {
    refused: usize,
    calls: usize,
}

impl Picky {
    fn call(&mut self, text: &str) -> Result<(), Refused> {
        self.calls += 1;
        if self.calls - 1 == self.refused {
            return Err(Refused { reason: "the visitor won't".to_owned(), byte: text.len() as u64 / 2, line: 1 });
        }
        Ok(())
    }
}

impl Recovery for Picky {
    fn snapshot(&mut self, _: u64, document: &str) -> Result<(), Refused> {
        self.call(document)
    }

    fn record(&mut self, _: u64, record: &str) -> Result<(), Refused> {
        self.call(record)
    }
}

pub(super) fn a_visitor_may_refuse<S: Subject>(subject: &mut S) -> Outcome {
    let mut trial = Trial::begin(subject)?;
    trial.commit(1)?;
    trial.snapshot()?;
    trial.commit(3)?;
    for refused in 0..4 {
        trial = trial.crash()?;
        let mut visitor = Picky { refused, calls: 0 };
        match trial.store.recover(&mut visitor) {
            Err(RecoverError::Refused { reason, .. }) if reason.contains("the visitor won't") => {}
            other => {
                return Err(Breach::new(
                    "recover to fail with Refused, and the visitor's reason",
                    format!("{other:?}"),
                ));
            }
        }
        equal("the calls of a visitor that refuses the last of them", refused + 1, visitor.calls)?;
        let again = trial.store.recover(&mut Log::default());
        let not_fresh = matches!(again, Err(RecoverError::NotFresh));
        holds("recover to fail with NotFresh after one that failed", not_fresh, again)?;
        let poisoned = |error: &StoreError| matches!(error, StoreError::Poisoned { .. });
        trial.store.append(5, &record(5)).refused("append after a recovery that failed", "Poisoned", poisoned)?;
        trial.store.write_snapshot(&document(1, 1)).refused(
            "write_snapshot after a recovery that failed",
            "Poisoned",
            poisoned,
        )?;
    }
    trial.restart().map(drop)
}
