//! A store that is broken in one way for each rule: what the rules are held against themselves.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::store::conformance::{Subject, check_all, rules};
use crate::store::{Memory, MemoryDone, MemoryWork, StoreError, Usage, Work};

/// What a store does wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    Flawless,
    GreetsWithASnapshot,
    RecoversTwice,
    ChangesWhitespace,
    ForgetsAfterTwenty,
    KeepsALaterRecord,
    LosesWhatItHasRecovered,
    HearsNoRefusal,
    AlwaysHasWork,
    LosesWhatComesMeanwhile,
    BeginsTwice,
    EndsWhatNeverBegan,
    TrustsDroppedWork,
    ForgetsWhatWasWritten,
    GoesOnAfterAFailure,
    TakesAnyRecord,
    TakesAnyDocument,
    MeasuresNoSnapshot,
    TakesRecordsWithoutLimit,
    TakesPiecesWithoutLimit,
    TakesOneSnapshot,
    FinishesByItself,
    JoinsSnapshots,
    PostponesTheSnapshot,
    LosesTheEndMeanwhile,
    TakesOneSnapshotASync,
    LosesTheEndBehindAnother,
}

use Flaw::*;

/// The rule that a flaw breaks, for each of them.
const FLAWS: &[(&str, Flaw)] = &[
    ("an_empty_store_recovers_nothing", GreetsWithASnapshot),
    ("recovery_comes_first_and_once", RecoversTwice),
    ("records_come_back_as_they_were_given", ChangesWhitespace),
    ("synced_records_survive", ForgetsAfterTwenty),
    ("unsynced_records_survive_only_as_a_beginning", KeepsALaterRecord),
    ("what_was_recovered_stays", LosesWhatItHasRecovered),
    ("a_visitor_may_refuse", HearsNoRefusal),
    ("nothing_to_do_is_no_work", AlwaysHasWork),
    ("work_covers_what_was_given_before_it", LosesWhatComesMeanwhile),
    ("there_is_one_sync_at_a_time", BeginsTwice),
    ("an_end_needs_a_beginning", EndsWhatNeverBegan),
    ("dropped_work_acknowledges_nothing", TrustsDroppedWork),
    ("a_write_is_not_forgotten_by_the_sync_after_it", ForgetsWhatWasWritten),
    ("a_failed_sync_ends_it", GoesOnAfterAFailure),
    ("records_are_checked", TakesAnyRecord),
    ("snapshots_are_checked", TakesAnyDocument),
    ("usage_is_what_a_recovery_reads", MeasuresNoSnapshot),
    ("the_record_buffer_is_limited", TakesRecordsWithoutLimit),
    ("the_snapshot_buffer_is_limited", TakesPiecesWithoutLimit),
    ("a_snapshot_replaces_what_it_covers", TakesOneSnapshot),
    ("an_unfinished_snapshot_changes_nothing", FinishesByItself),
    ("a_snapshot_is_given_up_for_another", JoinsSnapshots),
    ("a_snapshot_covers_records_that_are_not_synced", PostponesTheSnapshot),
    ("a_snapshot_may_end_while_a_sync_is_under_way", LosesTheEndMeanwhile),
    ("the_last_snapshot_of_a_sync_counts", TakesOneSnapshotASync),
    ("any_order_of_calls_is_survived", LosesTheEndBehindAnother),
];

/// A store in memory with a flaw.
struct Broken {
    store: Memory,
    flaw: Flaw,
    recovered: bool,
    under_way: bool,
    /// Records that aren't synced; after a crash, those that come back all the same.
    unsynced: Vec<(u64, String)>,
    /// The work that is out was dropped.
    dropped: Arc<AtomicBool>,
    /// What was there before a write that is forgotten.
    unwritten: Option<Memory>,
    /// Snapshots that were begun, those that were finished since the last sync was begun, whether that one ends any, and
    /// whether one's end waits.
    begun: usize,
    finished: usize,
    ending: bool,
    postponed: bool,
    drafting: bool,
}

impl Broken {
    fn new(store: Memory, flaw: Flaw) -> Self {
        Self {
            store,
            flaw,
            recovered: false,
            under_way: false,
            unsynced: Vec::new(),
            dropped: Arc::default(),
            unwritten: None,
            begun: 0,
            finished: 0,
            ending: false,
            postponed: false,
            drafting: false,
        }
    }

    fn is(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    fn crash(mut self) -> Self {
        let store = self.unwritten.take().unwrap_or_else(|| self.store.crash());
        let mut crashed = Self::new(store, self.flaw);
        match self.flaw {
            KeepsALaterRecord => crashed.unsynced = self.unsynced.split_off(self.unsynced.len().saturating_sub(1)),
            LosesWhatItHasRecovered => crashed.unsynced = self.unsynced,
            _ => {}
        }
        crashed
    }

    /// Passes work on, and takes note of what becomes of it.
    fn out(&mut self, work: Option<MemoryWork>) -> Option<BrokenWork> {
        self.dropped = Arc::default();
        self.under_way = true;
        Some(BrokenWork { work, dropped: Arc::clone(&self.dropped) })
    }
}

struct BrokenWork {
    work: Option<MemoryWork>,
    dropped: Arc<AtomicBool>,
}

impl Drop for BrokenWork {
    fn drop(&mut self) {
        self.dropped.store(self.work.is_some(), Ordering::Relaxed);
    }
}

impl Work for BrokenWork {
    type Done = Option<MemoryDone>;

    fn run(mut self) -> Option<MemoryDone> {
        self.work.take().map(Work::run)
    }
}

/// Changes what a recovery hands over.
struct Bent<'v> {
    visitor: &'v mut dyn Recovery,
    flaw: Flaw,
    last: u64,
}

impl Recovery for Bent<'_> {
    fn snapshot(&mut self, sequence: u64, document: &str) -> Result<(), Refused> {
        self.last = sequence;
        let result = self.visitor.snapshot(sequence, document);
        if self.flaw == HearsNoRefusal { Ok(()) } else { result }
    }

    fn record(&mut self, sequence: u64, record: &str) -> Result<(), Refused> {
        let result = match self.flaw {
            ForgetsAfterTwenty if sequence > 20 => return Ok(()),
            ChangesWhitespace => self.visitor.record(sequence, &record.replace('\r', " ")),
            _ => self.visitor.record(sequence, record),
        };
        self.last = sequence;
        if self.flaw == HearsNoRefusal { Ok(()) } else { result }
    }
}

impl Store for Broken {
    type Work = BrokenWork;

    fn recover(&mut self, visitor: &mut dyn Recovery) -> Result<Recovered, RecoverError> {
        if self.is(RecoversTwice) && self.recovered {
            return self.store.crash().recover(visitor);
        }
        let mut visitor = Bent { visitor, flaw: self.flaw, last: 0 };
        let mut recovered = self.store.recover(&mut visitor)?;
        if self.is(GreetsWithASnapshot) && recovered.sequence == 0 {
            visitor.snapshot(0, "{\"a\":1}").unwrap();
        }
        for (sequence, record) in &self.unsynced {
            visitor.record(*sequence, record).unwrap();
        }
        recovered.sequence = visitor.last;
        self.recovered = true;
        self.unsynced.clear();
        Ok(recovered)
    }

    fn append(&mut self, sequence: u64, record: &str) -> Result<(), StoreError> {
        if self.is(LosesWhatComesMeanwhile) && self.under_way {
            return Ok(());
        }
        match self.store.append(sequence, record) {
            Err(StoreError::Record { .. }) if self.is(TakesAnyRecord) => Ok(()),
            Err(StoreError::BufferFull { .. }) if self.is(TakesRecordsWithoutLimit) => Ok(()),
            Ok(()) => {
                self.unsynced.push((sequence, record.to_owned()));
                Ok(())
            }
            error => error,
        }
    }

    fn begin_sync(&mut self) -> Result<Option<BrokenWork>, StoreError> {
        if self.is(FinishesByItself) && self.drafting {
            drop(self.store.finish_snapshot());
        }
        match self.store.begin_sync() {
            Ok(None) if self.is(AlwaysHasWork) => Ok(self.out(None)),
            Ok(None) => Ok(None),
            Ok(work) => {
                self.ending = std::mem::take(&mut self.finished) > 0;
                self.unwritten = None;
                Ok(self.out(work))
            }
            Err(StoreError::UnderWay) if self.is(BeginsTwice) => Ok(None),
            Err(StoreError::UnderWay) if self.is(TrustsDroppedWork) && self.dropped.load(Ordering::Relaxed) => Ok(None),
            Err(StoreError::Poisoned { .. }) if self.is(GoesOnAfterAFailure) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn begin_write(&mut self) -> Result<Option<BrokenWork>, StoreError> {
        let before = self.unwritten.take().unwrap_or_else(|| self.store.crash());
        let work = self.begin_sync()?;
        if self.is(ForgetsWhatWasWritten) {
            self.unwritten = Some(before);
        }
        Ok(work)
    }

    fn end_sync(&mut self, done: Option<MemoryDone>) -> Result<(), StoreError> {
        self.under_way = false;
        let Some(done) = done else { return Ok(()) };
        match self.store.end_sync(done) {
            Err(StoreError::NotUnderWay) if self.is(EndsWhatNeverBegan) => return Ok(()),
            result => result?,
        }
        self.unsynced.clear();
        if std::mem::take(&mut self.postponed) {
            self.store.finish_snapshot()?;
        }
        Ok(())
    }

    fn begin_snapshot(&mut self, sequence: u64, time: Time) -> Result<(), StoreError> {
        self.begun += 1;
        if (self.is(TakesOneSnapshot) && self.begun > 1) || (self.is(JoinsSnapshots) && self.drafting) {
            return Ok(());
        }
        self.store.begin_snapshot(sequence, time)?;
        self.drafting = true;
        Ok(())
    }

    fn write_snapshot(&mut self, piece: &str) -> Result<(), StoreError> {
        if self.is(TakesOneSnapshot) && self.begun > 1 {
            return Ok(());
        }
        match self.store.write_snapshot(piece) {
            Err(StoreError::BufferFull { .. }) if self.is(TakesPiecesWithoutLimit) => Ok(()),
            result => result,
        }
    }

    fn finish_snapshot(&mut self) -> Result<(), StoreError> {
        self.drafting = false;
        self.finished += 1;
        if (self.is(TakesOneSnapshot) && self.begun > 1)
            || (self.is(TakesOneSnapshotASync) && self.finished > 1)
            || (self.is(LosesTheEndMeanwhile) && self.under_way)
            || (self.is(LosesTheEndBehindAnother) && self.under_way && self.ending)
        {
            return Ok(());
        }
        if self.is(PostponesTheSnapshot) && !self.unsynced.is_empty() {
            self.postponed = true;
            return Ok(());
        }
        match self.store.finish_snapshot() {
            Err(StoreError::Document { .. }) if self.is(TakesAnyDocument) => Ok(()),
            result => result,
        }
    }

    fn usage(&self) -> Usage {
        match self.flaw {
            MeasuresNoSnapshot => Usage { snapshot: 0, ..self.store.usage() },
            _ => self.store.usage(),
        }
    }
}

struct Flawed(Flaw);

impl Subject for Flawed {
    type Store = Broken;

    fn fresh(&mut self) -> Result<Broken, Box<dyn Error>> {
        Ok(Broken::new(Memory::new(), self.0))
    }

    fn crash(&mut self, store: Broken) -> Result<Broken, Box<dyn Error>> {
        Ok(store.crash())
    }

    fn limited(&mut self, bytes: u64) -> Result<Option<Broken>, Box<dyn Error>> {
        Ok(Some(Broken::new(Memory::with_buffer_limit(bytes), self.0)))
    }

    fn fail_next_sync(&mut self, store: &mut Broken) -> bool {
        store.store.fail_next_sync();
        true
    }
}

#[test]
fn without_a_flaw_it_conforms() {
    check_all(&mut Flawed(Flawless)).unwrap();
}

#[test]
fn every_rule_notices_the_store_that_breaks_it() {
    let rules = rules::<Flawed>();
    assert_eq!(
        rules.iter().map(|rule| rule.name()).collect::<Vec<_>>(),
        FLAWS.iter().map(|(name, _)| *name).collect::<Vec<_>>()
    );
    for (rule, &(name, flaw)) in rules.iter().zip(FLAWS) {
        let violation = rule.check(&mut Flawed(flaw)).expect_err(&format!("{flaw:?} went unnoticed by {name}"));
        assert_eq!(violation.rule, name);
        assert!(violation.to_string().starts_with(&format!("{name}: expected ")), "{violation}");
        check_all(&mut Flawed(flaw)).unwrap_err();
        println!("{flaw:?}: {violation}");
    }
}

#[test]
fn a_rule_that_needs_a_hook_holds_without_it() {
    struct Plain;
    impl Subject for Plain {
        type Store = Memory;
        fn fresh(&mut self) -> Result<Memory, Box<dyn Error>> {
            Ok(Memory::new())
        }
        fn crash(&mut self, store: Memory) -> Result<Memory, Box<dyn Error>> {
            Ok(store.crash())
        }
    }
    check_all(&mut Plain).unwrap();
}

#[test]
fn a_store_that_does_not_open_is_a_violation() {
    struct Gone;
    impl Subject for Gone {
        type Store = Memory;
        fn fresh(&mut self) -> Result<Memory, Box<dyn Error>> {
            Ok(Memory::new())
        }
        fn crash(&mut self, _: Memory) -> Result<Memory, Box<dyn Error>> {
            Err("the disk is gone".into())
        }
    }
    let violation = check_all(&mut Gone).unwrap_err();
    assert_eq!(
        violation.to_string(),
        "an_empty_store_recovers_nothing: expected a store that opens after a crash, found the disk is gone"
    );
}
