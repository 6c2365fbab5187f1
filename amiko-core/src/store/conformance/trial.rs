//! One store on trial, and what it has to know.
//!
//! Invariant: a recovery is held against everything that was given before, so a rule only has to say what is done.

use super::Subject;
use crate::store::{RecoverError, Recovered, Recovery, Refused, Store, StoreError, Usage, Work};
use crate::time::Time;
use std::error::Error;

/// What a store should have done, and what it did.
#[derive(Debug)]
pub(super) struct Breach {
    pub(super) expected: String,
    pub(super) found: String,
}

impl Breach {
    pub(super) fn new(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { expected: expected.into(), found: found.into() }
    }
}

pub(super) type Outcome<T = ()> = Result<T, Breach>;

/// What a store does and doesn't, in the words of a rule.
pub(super) trait Expect<T> {
    /// The call has to succeed.
    fn taken(self, call: &str) -> Outcome<T>;

    /// The call has to fail in this way.
    fn refused(self, call: &str, name: &str, is: impl Fn(&StoreError) -> bool) -> Outcome;
}

impl<T> Expect<T> for Result<T, StoreError> {
    fn taken(self, call: &str) -> Outcome<T> {
        self.map_err(|error| Breach::new(format!("{call} to succeed"), in_full(&error)))
    }

    fn refused(self, call: &str, name: &str, is: impl Fn(&StoreError) -> bool) -> Outcome {
        match self {
            Err(error) if is(&error) => Ok(()),
            Err(error) => Err(Breach::new(format!("{call} to fail with {name}"), format!("{error:?}"))),
            Ok(_) => Err(Breach::new(format!("{call} to fail with {name}"), "success")),
        }
    }
}

/// Holds one value against another.
pub(super) fn equal<T: PartialEq + std::fmt::Debug>(what: &str, expected: T, found: T) -> Outcome {
    if expected == found {
        return Ok(());
    }
    Err(Breach::new(format!("{what} to be {}", shown(&expected)), shown(&found)))
}

pub(super) fn holds(what: &str, holds: bool, found: impl std::fmt::Debug) -> Outcome {
    if holds { Ok(()) } else { Err(Breach::new(what, shown(&found))) }
}

/// A value as text, cut where it gets too long to be read.
fn shown(value: &impl std::fmt::Debug) -> String {
    const LONGEST: usize = 400;
    let text = format!("{value:?}");
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text,
    }
}

fn in_full(error: &dyn Error) -> String {
    crate::store::error::with_sources(error)
}

/// A record that says which one it is.
pub(super) fn record(sequence: u64) -> String {
    format!(r#"{{"seq":{sequence},"cause":"test é","patch":[{{"path":"/a","value":{sequence}}}]}}"#)
}

/// A document that says which one it is, and which of several of the same version.
pub(super) fn document(sequence: u64, draft: u64) -> String {
    format!("{{\"format\":1,\"seq\":{sequence},\n\"draft\":{draft},\"state\":{{\"accounts\":[\n1,\n2]}}}}")
}

/// Everything that a recovery hands over, in the order of the calls.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Log {
    pub(super) snapshots: Vec<(u64, String)>,
    pub(super) records: Vec<(u64, String)>,
    /// A snapshot came after a record.
    late: bool,
}

impl Recovery for Log {
    fn snapshot(&mut self, sequence: u64, document: &str) -> Result<(), Refused> {
        self.late |= !self.records.is_empty();
        self.snapshots.push((sequence, document.to_owned()));
        Ok(())
    }

    fn record(&mut self, sequence: u64, record: &str) -> Result<(), Refused> {
        self.records.push((sequence, record.to_owned()));
        Ok(())
    }
}

/// A store, and what is known about it.
pub(super) struct Trial<'s, S: Subject> {
    pub(super) subject: &'s mut S,
    pub(super) store: S::Store,
    /// Every record that was given; the first one is number 1.
    records: Vec<String>,
    /// How many of them have to survive.
    durable: u64,
    /// The snapshots that a recovery may begin with: the one that has to survive at the least, then those that were
    /// finished since.
    snapshots: Vec<Option<(u64, String)>>,
    /// What the sync covers that is under way.
    covered: Option<(u64, usize)>,
    /// The snapshot that is being given.
    draft: Option<(u64, String)>,
    /// How many were begun.
    drafts: u64,
}

impl<'s, S: Subject> Trial<'s, S> {
    /// A fresh store, recovered.
    pub(super) fn begin(subject: &'s mut S) -> Outcome<Self> {
        let store = subject.fresh().map_err(|error| Breach::new("a fresh store", in_full(&*error)))?;
        Self::of(subject, store)
    }

    /// A store that is fresh but for how it was set up, recovered.
    pub(super) fn of(subject: &'s mut S, store: S::Store) -> Outcome<Self> {
        let (records, snapshots) = (Vec::new(), vec![None]);
        let mut trial = Self { subject, store, records, durable: 0, snapshots, covered: None, draft: None, drafts: 0 };
        trial.recover()?;
        Ok(trial)
    }

    /// The number of the last record that was given.
    pub(super) fn last(&self) -> u64 {
        self.records.len() as u64
    }

    /// Gives the next records, and no sync.
    pub(super) fn append(&mut self, count: u64) -> Outcome {
        (0..count).try_for_each(|_| self.append_text(record(self.last() + 1)))
    }

    pub(super) fn append_text(&mut self, record: String) -> Outcome {
        let sequence = self.last() + 1;
        self.store.append(sequence, &record).taken(&format!("append of record {sequence}"))?;
        self.records.push(record);
        Ok(())
    }

    /// Gives the next record, if the store takes it.
    pub(super) fn try_append(&mut self) -> Result<(), StoreError> {
        let sequence = self.last() + 1;
        let record = record(sequence);
        self.store.append(sequence, &record)?;
        self.records.push(record);
        Ok(())
    }

    /// Gives the next records, each with a sync of its own.
    pub(super) fn commit(&mut self, count: u64) -> Outcome {
        (0..count).try_for_each(|_| self.append(1).and_then(|()| self.sync()))
    }

    pub(super) fn sync(&mut self) -> Outcome {
        self.covered = Some(self.given());
        self.store.sync().taken("sync")?;
        self.covered();
        Ok(())
    }

    /// Takes out work that has to be there.
    pub(super) fn begin_sync(&mut self) -> Outcome<<S::Store as Store>::Work> {
        let work = self.store.begin_sync().taken("begin_sync")?;
        self.covered = Some(self.given());
        work.ok_or_else(|| Breach::new("begin_sync to give work for what was given since the last one", "none"))
    }

    /// Takes back work that was run.
    pub(super) fn end_sync(&mut self, done: <<S::Store as Store>::Work as Work>::Done) -> Outcome {
        self.store.end_sync(done).taken("end_sync")?;
        self.covered();
        Ok(())
    }

    /// Writes what was given, without making it durable.
    pub(super) fn write(&mut self) -> Outcome {
        match self.store.begin_write().taken("begin_write")? {
            Some(work) => self.store.end_sync(work.run()).taken("end_sync of a write"),
            None => Ok(()),
        }
    }

    fn given(&self) -> (u64, usize) {
        (self.last(), self.snapshots.len())
    }

    fn covered(&mut self) {
        if let Some((durable, snapshots)) = self.covered.take() {
            self.durable = durable;
            self.snapshots.drain(..snapshots - 1);
        }
    }

    pub(super) fn begin_snapshot(&mut self) -> Outcome {
        let last = self.last();
        self.store.begin_snapshot(last, Time::from_secs(last)).taken("begin_snapshot")?;
        self.draft = Some((last, String::new()));
        self.drafts += 1;
        Ok(())
    }

    pub(super) fn write_piece(&mut self, piece: &str) -> Outcome {
        self.store.write_snapshot(piece).taken("write_snapshot")?;
        if let Some((_, document)) = &mut self.draft {
            document.push_str(piece);
        }
        Ok(())
    }

    /// Gives the document in pieces as small as they get.
    pub(super) fn write_document(&mut self) -> Outcome {
        let Some((sequence, _)) = self.draft else { return Ok(()) };
        let document = document(sequence, self.drafts);
        document.split_inclusive(|_| true).try_for_each(|piece| self.write_piece(piece))
    }

    pub(super) fn finish_snapshot(&mut self) -> Outcome {
        self.store.finish_snapshot().taken("finish_snapshot")?;
        if let Some(draft) = self.draft.take() {
            self.snapshots.push(Some(draft));
        }
        Ok(())
    }

    /// A whole snapshot of the last version, and no sync.
    pub(super) fn snapshot(&mut self) -> Outcome {
        self.begin_snapshot()?;
        self.write_document()?;
        self.finish_snapshot()
    }

    /// Crashes, and holds what is recovered against what was given.
    pub(super) fn restart(self) -> Outcome<Self> {
        let mut trial = self.crash()?;
        trial.recover()?;
        Ok(trial)
    }

    /// Crashes; what is there then isn't recovered.
    pub(super) fn crash(self) -> Outcome<Self> {
        let Self { subject, store, .. } = self;
        match subject.crash(store) {
            Ok(store) => Ok(Self { subject, store, covered: None, draft: None, ..self }),
            Err(error) => Err(Breach::new("a store that opens after a crash", in_full(&*error))),
        }
    }

    fn recover(&mut self) -> Outcome {
        let mut log = Log::default();
        let recovered = self.store.recover(&mut log).map_err(|error: RecoverError| {
            Breach::new("a recovery of what was synced before the crash", in_full(&error))
        })?;
        self.hold(&recovered, &log)?;
        // Whoever has seen it must not lose it again.
        self.durable = recovered.sequence;
        self.records.truncate(usize::try_from(recovered.sequence).unwrap_or(usize::MAX));
        self.snapshots = vec![log.snapshots.pop()];
        Ok(())
    }

    fn hold(&self, recovered: &Recovered, log: &Log) -> Outcome {
        holds("at most one snapshot, and first", log.snapshots.len() <= 1 && !log.late, &log.snapshots)?;
        let snapshot = log.snapshots.first();
        if !self.snapshots.iter().any(|allowed| allowed.as_ref() == snapshot) {
            let expected =
                format!("the newest snapshot that was synced, or one finished since: {}", shown(&self.snapshots));
            return Err(Breach::new(expected, shown(&snapshot)));
        }
        let base = snapshot.map_or(0, |(sequence, _)| *sequence);
        for (index, (sequence, text)) in log.records.iter().enumerate() {
            equal("the number of the next record", base + 1 + index as u64, *sequence)?;
            let given = usize::try_from(sequence - 1).ok().and_then(|index| self.records.get(index));
            equal(&format!("record {sequence}"), given, Some(text))?;
        }
        let last = base + log.records.len() as u64;
        let (durable, given) = (self.durable, self.last());
        let survivors = format!("every record up to {durable}, which was synced, and none after {given}");
        holds(&survivors, (durable..=given).contains(&last), format_args!("records up to {last}"))?;
        equal("the sequence number of the recovery", last, recovered.sequence)?;
        // Where nothing was under way, nothing can be torn.
        holds(
            "nothing torn, since everything was synced",
            durable < given || recovered.torn.is_none(),
            &recovered.torn,
        )?;
        equal("the damaged snapshots", &[][..], &recovered.damaged)
    }

    pub(super) fn usage(&self) -> Usage {
        self.store.usage()
    }
}
