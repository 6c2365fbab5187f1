//! Snapshots that are written while events go on: each is the version that it was begun at, byte for byte.

// Helpers of tests fail like tests.
#![allow(clippy::unwrap_used, clippy::panic)]

mod script;

use amiko_core::Version;
use amiko_core::engine::{EditError, EventError};
use amiko_core::prelude::*;
use amiko_core::store::{
    Directory, DirectorySettings, Memory, RecoverError, Recovered, Recovery, Refused, Retention, Store, StoreError,
    Usage, Work,
};
use proptest::prelude::*;
use script::*;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

/// What the engine has given to its store of snapshots.
#[derive(Default)]
struct Seen {
    /// Those that were finished, by version, with the number of their pieces.
    finished: Vec<(u64, String, usize)>,
    /// The one that is being given.
    draft: Option<(u64, String, usize)>,
}

/// A store whose snapshots are looked at on their way in.
struct Watched<S> {
    store: S,
    seen: Rc<RefCell<Seen>>,
}

impl<S: Store> Store for Watched<S> {
    type Work = S::Work;

    fn recover(&mut self, visitor: &mut dyn Recovery) -> Result<Recovered, RecoverError> {
        self.store.recover(visitor)
    }

    fn append(&mut self, sequence: u64, record: &str) -> Result<(), StoreError> {
        self.store.append(sequence, record)
    }

    fn begin_sync(&mut self) -> Result<Option<S::Work>, StoreError> {
        self.store.begin_sync()
    }

    fn begin_write(&mut self) -> Result<Option<S::Work>, StoreError> {
        self.store.begin_write()
    }

    fn end_sync(&mut self, done: <S::Work as Work>::Done) -> Result<(), StoreError> {
        self.store.end_sync(done)
    }

    fn begin_snapshot(&mut self, sequence: u64, time: Time) -> Result<(), StoreError> {
        self.store.begin_snapshot(sequence, time)?;
        self.seen.borrow_mut().draft = Some((sequence, String::new(), 0));
        Ok(())
    }

    fn write_snapshot(&mut self, piece: &str) -> Result<(), StoreError> {
        self.store.write_snapshot(piece)?;
        if let Some((_, document, pieces)) = &mut self.seen.borrow_mut().draft {
            document.push_str(piece);
            *pieces += 1;
        }
        Ok(())
    }

    fn finish_snapshot(&mut self) -> Result<(), StoreError> {
        self.store.finish_snapshot()?;
        let mut seen = self.seen.borrow_mut();
        let draft = seen.draft.take();
        seen.finished.extend(draft);
        Ok(())
    }

    fn usage(&self) -> Usage {
        self.store.usage()
    }
}

/// What a recovery hands over.
#[derive(Default)]
struct Log {
    snapshot: Option<(u64, String)>,
    records: u64,
}

impl Recovery for Log {
    fn snapshot(&mut self, sequence: u64, document: &str) -> Result<(), Refused> {
        self.snapshot = Some((sequence, document.to_owned()));
        Ok(())
    }

    fn record(&mut self, _: u64, _: &str) -> Result<(), Refused> {
        self.records += 1;
        Ok(())
    }
}

/// Bytes of a text in an object. Of a snapshot, the first 256 KiB are written at once, and then 16 KiB at the least.
const LONG: usize = 12 << 10;

fn id(number: u64) -> String {
    format!("t{number:02}")
}

/// Thirty large things: even numbers, so that others fit in between.
fn large() -> World {
    let thing = |number: u64| {
        let text = format!("{number} é\\").repeat(LONG / 6);
        (thing(&id(2 * number)), Thing { value: 5, ratio: 0.0, log: vec![text] })
    };
    World { things: (0..30).map(thing).collect(), value: 5, ..World::default() }
}

/// Every event may begin a snapshot, and goes on with one that is begun.
fn eager(pace: u64) -> Settings {
    let mut settings = settings();
    (settings.snapshot_minimum, settings.snapshot_ratio, settings.snapshot_pace) = (0, 0, pace);
    settings.history = 2;
    settings
}

/// An engine, and the document of each version at which a snapshot was begun.
struct Trial<S: Store> {
    engine: Engine<World, Watched<S>>,
    seen: Rc<RefCell<Seen>>,
    documents: BTreeMap<u64, String>,
    /// Events while a snapshot was being written.
    meanwhile: usize,
}

impl<S: Store> Trial<S> {
    fn open(store: S, settings: Settings) -> Self {
        let seen = Rc::<RefCell<Seen>>::default();
        let store = Watched { store, seen: Rc::clone(&seen) };
        let engine = Engine::open_with(store, settings, large).unwrap();
        let mut trial = Self { engine, seen, documents: BTreeMap::new(), meanwhile: 0 };
        trial.documents.insert(trial.engine.version().0, trial.engine.document().unwrap());
        trial
    }

    /// Takes note of a version at which a snapshot was begun just now.
    fn note<T>(&mut self, outcome: T) -> T {
        let begun = self.seen.borrow().draft.as_ref().map(|(sequence, ..)| *sequence);
        let finished = self.seen.borrow().finished.last().map(|(sequence, ..)| *sequence);
        let present = self.engine.version().0;
        if begun == Some(present) || finished == Some(present) {
            self.documents.entry(present).or_insert_with(|| self.engine.document().unwrap());
        }
        self.meanwhile += usize::from(begun.is_some_and(|begun| begun < present));
        outcome
    }

    fn act<const N: usize>(&mut self, acts: [Act; N]) -> Result<Version, EventError> {
        let script = Script { acts: acts.into() };
        let now = Time::from_secs(self.engine.version().0);
        let outcome = self.engine.send(&Id::<World>::new(()), script, now);
        self.note(outcome)
    }

    fn sync(&mut self) {
        self.engine.sync().unwrap();
    }

    /// Holds every snapshot against the version that it is of. Gives how many there were.
    fn check(&self) -> usize {
        let seen = self.seen.borrow();
        for (sequence, document, _) in &seen.finished {
            let expected = &self.documents[sequence];
            if document != expected {
                let common = document.bytes().zip(expected.bytes()).take_while(|(one, other)| one == other).count();
                let around = |text: &str| {
                    let bytes = &text.as_bytes()[common.saturating_sub(60)..text.len().min(common + 60)];
                    String::from_utf8_lossy(bytes).into_owned()
                };
                panic!(
                    "snapshot {sequence} isn't that version at byte {common}:\n{}\n{}",
                    around(expected),
                    around(document)
                );
            }
        }
        seen.finished.len()
    }
}

#[derive(Clone, Debug)]
enum Step {
    Create(u64),
    Remove(u64),
    RemoveAndCreate(u64),
    Set(u64, i64),
    Lengthen(u64, usize),
    Reject(u64, u64),
    Rehearse(u64, u64),
    Edit(bool),
    Timer(u64, usize),
    Cancel(u64),
    Connect(u64),
    Transmit(u64, usize),
    Close(u64),
    Sync,
    Begin,
    End,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..62_u64).prop_map(Step::Create),
        4 => (0..62_u64).prop_map(Step::Remove),
        3 => (0..62_u64).prop_map(Step::RemoveAndCreate),
        4 => (0..62_u64, 0..9_i64).prop_map(|(number, value)| Step::Set(number, value)),
        2 => (0..62_u64, 0..2 * LONG).prop_map(|(number, length)| Step::Lengthen(number, length)),
        3 => (0..62_u64, 0..62_u64).prop_map(|(one, other)| Step::Reject(one, other)),
        1 => (0..62_u64, 0..62_u64).prop_map(|(one, other)| Step::Rehearse(one, other)),
        1 => any::<bool>().prop_map(Step::Edit),
        2 => (0..9_u64, 0..LONG).prop_map(|(number, length)| Step::Timer(number, length)),
        1 => (0..9_u64).prop_map(Step::Cancel),
        1 => (0..5_u64).prop_map(Step::Connect),
        2 => (0..5_u64, 0..LONG).prop_map(|(number, length)| Step::Transmit(number, length)),
        1 => (0..5_u64).prop_map(Step::Close),
        2 => Just(Step::Sync),
        1 => Just(Step::Begin),
        1 => Just(Step::End),
    ]
}

impl<S: Store> Trial<S> {
    /// Takes a step; an event may be rejected. Work that is out is given back by `End`.
    fn step(&mut self, step: Step, out: &mut Option<S::Work>) {
        let rejected = |outcome: Result<Version, EventError>| match outcome {
            Ok(_) | Err(EventError::Rejected(_)) => {}
            Err(error) => panic!("{error}"),
        };
        match step {
            Step::Create(number) => rejected(self.act([create(&id(number))])),
            Step::Remove(number) => rejected(self.act([remove(&id(number))])),
            Step::RemoveAndCreate(number) => rejected(self.act([remove(&id(number)), create(&id(number))])),
            Step::Set(number, value) => rejected(self.act([send(&id(number), [set(value)])])),
            Step::Lengthen(number, length) => rejected(self.act([send(&id(number), [log(&"l".repeat(length))])])),
            Step::Reject(one, other) => {
                let acts = [send(&id(one), [set(9)]), remove(&id(other)), create(&id(one)), Act::Reject];
                assert!(matches!(self.act(acts), Err(EventError::Rejected(_))));
            }
            Step::Rehearse(one, other) => {
                let acts = vec![send(&id(one), [set(9)]), remove(&id(other)), timer("r", u64::MAX, [])];
                let envelope = WorldEnvelope::World(Script { acts });
                match self.engine.dry_run(envelope, Time::from_secs(1)) {
                    Ok(_) | Err(EventError::Rejected(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            Step::Edit(negative) => {
                let value = if negative { "\"value\":-1" } else { "\"value\":55" };
                let document = self.engine.document().unwrap().replacen("\"value\":5,", &format!("{value},"), 1);
                let outcome = self.engine.edit(&document, Time::from_secs(1), |_| true);
                match self.note(outcome) {
                    Ok(_) | Err(EditError::Event(EventError::Rejected(_))) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            Step::Timer(number, length) => {
                rejected(self.act([timer(&id(number), u64::MAX, [log(&"t".repeat(length))])]));
            }
            Step::Cancel(number) => rejected(self.act([Act::Cancel { name: id(number) }])),
            Step::Connect(number) => rejected(self.act([connect(&id(number))])),
            Step::Transmit(number, length) => rejected(self.act([transmit(&id(number), &"c".repeat(length))])),
            Step::Close(number) => rejected(self.act([close(&id(number))])),
            Step::Sync if out.is_none() => self.sync(),
            Step::Begin if out.is_none() => *out = self.engine.begin_sync().unwrap(),
            Step::End | Step::Sync | Step::Begin => {
                if let Some(work) = out.take() {
                    self.engine.end_sync(work.run()).unwrap();
                    self.engine.outputs();
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_snapshot_is_the_version_that_it_was_begun_at(
        steps in prop::collection::vec(step(), 30..90),
        pace in prop_oneof![Just(1_u64), Just(30), Just(120), Just(500)],
    ) {
        let mut trial = Trial::open(Memory::new(), eager(pace));
        let mut out = None;
        for step in steps {
            trial.step(step, &mut out);
        }
        trial.check();
        trial.step(Step::End, &mut out);
        trial.sync();
        let (sequence, document) = (trial.engine.version().0, trial.engine.document().unwrap());

        let store = trial.engine.into_store().store;
        let mut log = Log::default();
        let recovered = store.crash().recover(&mut log).unwrap();
        prop_assert_eq!(recovered.sequence, sequence);
        let (base, snapshot) = log.snapshot.unwrap();
        prop_assert!(snapshot == trial.documents[&base], "what is recovered isn't version {}", base);
        prop_assert_eq!(base + log.records, sequence);
        let engine = Engine::<World, _>::open(store.crash(), eager(pace)).unwrap();
        prop_assert!(engine.document().unwrap() == document, "the newest version isn't what was recovered");
    }
}

/// Whether a thing is among those that the first slice of a snapshot writes, or far behind them.
const BEFORE: u64 = 2;
const BEHIND: u64 = 56;

#[test]
fn whatever_is_touched_meanwhile_a_snapshot_has_it_as_it_was() {
    let mut trial = Trial::open(Memory::new(), eager(10));
    // This begins one.
    trial.act([set(1)]).unwrap();
    assert!(trial.seen.borrow().draft.is_some());
    for place in [BEFORE, BEHIND] {
        // Changed, twice in one event as well.
        trial.act([send(&id(place), [set(1), set(2)])]).unwrap();
        trial.act([send(&id(place), [set(3)]), send(&id(place), [set(4)])]).unwrap();
        // Removed; removed and put back; put back, and rejected.
        trial.act([remove(&id(place))]).unwrap();
        trial.act([remove(&id(place + 2)), create(&id(place + 2))]).unwrap();
        trial.act([create(&id(place)), Act::Reject]).unwrap_err();
        trial.act([create(&id(place))]).unwrap();
        trial.act([send(&id(place), [set(6)])]).unwrap();
        // New, changed and gone again.
        trial.act([create(&id(place + 1))]).unwrap();
        trial.act([send(&id(place + 1), [set(7)])]).unwrap();
        trial.act([remove(&id(place + 1))]).unwrap();
        // New, and gone in the same event.
        trial.act([create(&id(place + 3)), remove(&id(place + 3))]).unwrap();
        trial.act([create(&id(place + 3))]).unwrap();
        // Rejected, with everything in it.
        trial.act([remove(&id(place + 2)), send(&id(place + 4), [set(8)]), Act::Reject]).unwrap_err();
    }
    trial.act([timer("t", u64::MAX, [log("late")]), connect("bob"), transmit("bob", "hello")]).unwrap();
    assert!(trial.seen.borrow().draft.is_some(), "the snapshot was done too early for this test");
    let begun = trial.seen.borrow().draft.as_ref().map(|(sequence, ..)| *sequence);
    for value in 0..150 {
        trial.act([set(value)]).unwrap();
    }
    assert_eq!(trial.check(), 2);
    let (sequence, _, pieces) = trial.seen.borrow().finished[1];
    assert_eq!((Some(sequence), sequence), (begun, 1));
    assert!(pieces > 1);
    assert!(trial.meanwhile > 40);
    // It is durable only with a sync; then the next one can begin.
    assert!(trial.seen.borrow().draft.is_none());
    trial.sync();
    trial.act([set(1)]).unwrap();
    assert!(trial.seen.borrow().draft.is_some());
}

#[test]
fn the_first_and_the_last_entry_of_a_table_may_come_and_go() {
    for empty in [false, true] {
        let mut trial = Trial::open(Memory::new(), eager(40));
        if empty {
            // A version whose table ends where the slices have come to.
            for number in (0..60).rev().step_by(2).take(10) {
                trial.act([remove(&id(number - 1))]).unwrap();
            }
        }
        for round in 0..120 {
            let ends = ["a", "t00", "t58", "zz"];
            let end = ends[round % 4];
            if trial.engine.node().things.contains(&thing(end)) {
                trial.act([remove(end)]).unwrap();
            } else {
                trial.act([create(end)]).unwrap();
            }
            if round % 9 == 0 {
                trial.sync();
            }
        }
        assert!(trial.check() > 2);
    }
}

#[test]
fn the_buffer_of_the_store_may_be_full() {
    // Smaller than a snapshot, so that syncs have to make room for it, while it is opened and afterwards.
    let mut trial = Trial::open(Memory::with_buffer_limit(300 << 10), eager(500));
    for round in 0..100 {
        trial.act([set(round)]).unwrap();
        if round % 5 == 0 {
            trial.sync();
        }
    }
    assert!(trial.check() > 2);
}

fn kept(path: &Path) -> Directory {
    Directory::open_with(path, {
        let mut settings = DirectorySettings::default();
        settings.retention = Retention::Forever;
        settings
    })
    .unwrap()
}

/// A directory with every snapshot, and the document of every version.
fn directory(path: &Path) -> BTreeMap<u64, String> {
    let mut trial = Trial::open(kept(path), eager(150));
    for round in 0..60 {
        match round % 4 {
            0 => trial.act([send(&id(round), [set(1)])]),
            1 => trial.act([create(&id(round))]),
            2 => trial.act([remove(&id(round))]),
            _ => trial.act([create(&id(round - 1)), send(&id(round - 1), [set(2)])]),
        }
        .unwrap();
        trial.documents.insert(trial.engine.version().0, trial.engine.document().unwrap());
        if round % 3 == 0 {
            trial.sync();
        }
    }
    trial.sync();
    assert!(trial.check() > 3);
    trial.documents
}

#[test]
fn every_version_of_a_directory_can_be_opened() {
    let folder = tempfile::tempdir().unwrap();
    let documents = directory(folder.path());
    let mut bases = Vec::new();
    for (version, document) in &documents {
        let mut log = Log::default();
        Directory::open_at(folder.path(), *version).unwrap().recover(&mut log).unwrap();
        let (base, snapshot) = log.snapshot.unwrap();
        assert!(snapshot == documents[&base], "snapshot {base} isn't that version");
        bases.push(base);
        if version % 3 > 0 {
            continue;
        }
        let past = Engine::<World, _>::open(Directory::open_at(folder.path(), *version).unwrap(), settings()).unwrap();
        assert_eq!(past.version().0, *version);
        assert!(past.document().unwrap() == *document, "version {version} isn't what it was");
    }
    bases.dedup();
    assert!(bases.len() > 3, "{bases:?}");
}

#[test]
fn an_older_snapshot_leads_to_the_same_state() {
    let folder = tempfile::tempdir().unwrap();
    let documents = directory(folder.path());
    let (newest, document) = documents.last_key_value().unwrap();
    let mut log = Log::default();
    kept(folder.path()).recover(&mut log).unwrap();
    let damaged = folder.path().join(format!("snapshot-{}.json", log.snapshot.unwrap().0));
    let mut bytes = std::fs::read(&damaged).unwrap();
    bytes[1000] ^= 1;
    std::fs::write(&damaged, bytes).unwrap();

    let engine = Engine::<World, _>::open(kept(folder.path()), settings()).unwrap();
    assert_eq!(engine.damaged().iter().map(|damaged| &damaged.file).collect::<Vec<_>>(), [&damaged]);
    assert_eq!(engine.version().0, *newest);
    assert!(engine.document().unwrap() == *document);
    drop(engine);
    // There is a good one again.
    let engine = Engine::<World, _>::open(kept(folder.path()), settings()).unwrap();
    assert!(engine.damaged().is_empty());
    assert!(engine.document().unwrap() == *document);
}
