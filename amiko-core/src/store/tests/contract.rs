//! What holds for every store, on each of them.

use super::disk::Disk;
use super::*;
use crate::store::{Memory, StoreError, Usage};

/// A store that can lose what it hasn't made durable.
trait Crash: Store + Sized {
    fn crash(self) -> Self;
}

impl Crash for Memory {
    fn crash(self) -> Self {
        Memory::crash(&self)
    }
}

impl Crash for Directory {
    fn crash(self) -> Self {
        let path = self.path().to_owned();
        drop(self);
        open(&path)
    }
}

fn round_trip(mut store: impl Crash) {
    let (recovered, log) = recover(&mut store);
    assert_eq!((recovered.sequence, recovered.torn), (0, None));
    assert_eq!(log, Log::default());

    append(&mut store, 1..=3);
    store.sync().unwrap();
    append(&mut store, 4..=4);
    store.sync().unwrap();
    store.sync().unwrap();
    let mut store = store.crash();
    let (recovered, log) = recover(&mut store);
    assert_eq!((recovered.sequence, recovered.torn), (4, None));
    assert_eq!(log, Log::expected(None, 4));

    commit(&mut store, 5..=20);
    assert_eq!(recover(&mut store.crash()).1, Log::expected(None, 20));
}

fn only_synced_records_survive(mut store: impl Crash) {
    recover(&mut store);
    commit(&mut store, 1..=2);
    append(&mut store, 3..=5);
    let (recovered, log) = recover(&mut store.crash());
    assert_eq!((recovered.sequence, recovered.torn), (2, None));
    assert_eq!(log, Log::expected(None, 2));
}

fn snapshot_and_later_records(mut store: impl Crash) {
    recover(&mut store);
    commit(&mut store, 1..=3);
    append(&mut store, 4..=5);
    store.begin_snapshot(5, Time::default()).unwrap();
    commit(&mut store, 6..=7);
    write_document(&mut store, 5);
    commit(&mut store, 8..=8);
    store.finish_snapshot().unwrap();
    commit(&mut store, 9..=9);
    let mut store = store.crash();
    assert_eq!(recover(&mut store).1, Log::expected(Some(5), 9));

    // Again, twice at the same place, then with nothing behind it.
    commit(&mut store, 10..=10);
    snapshot(&mut store, 10);
    snapshot(&mut store, 10);
    let mut store = store.crash();
    assert_eq!(recover(&mut store).1, Log::expected(Some(10), 10));
    commit(&mut store, 11..=11);
    assert_eq!(recover(&mut store.crash()).1, Log::expected(Some(10), 11));
}

fn unfinished_snapshot_changes_nothing(mut store: impl Crash) {
    recover(&mut store);
    commit(&mut store, 1..=3);
    snapshot(&mut store, 3);
    commit(&mut store, 4..=5);
    store.begin_snapshot(5, Time::default()).unwrap();
    write_document(&mut store, 5);
    commit(&mut store, 6..=7);
    let mut store = store.crash();
    assert_eq!(recover(&mut store).1, Log::expected(Some(3), 7));

    // One that is given up for another.
    store.begin_snapshot(7, Time::default()).unwrap();
    store.write_snapshot("not a document").unwrap();
    commit(&mut store, 8..=8);
    snapshot(&mut store, 8);
    commit(&mut store, 9..=9);
    assert_eq!(recover(&mut store.crash()).1, Log::expected(Some(8), 9));
}

fn usage_is_what_a_recovery_reads(mut store: impl Crash) {
    recover(&mut store);
    assert_eq!(store.usage(), Usage::default());
    append(&mut store, 1..=1);
    let one = store.usage().journal;
    assert!(one > record(1).len() as u64);
    store.sync().unwrap();
    commit(&mut store, 2..=4);
    assert_eq!(store.usage(), Usage { journal: 4 * one, snapshot: 0, buffered: 0 });

    store.begin_snapshot(4, Time::default()).unwrap();
    commit(&mut store, 5..=5);
    write_document(&mut store, 4);
    assert_eq!(store.usage(), Usage { journal: 5 * one, snapshot: 0, buffered: document(4).len() as u64 });
    store.finish_snapshot().unwrap();
    store.sync().unwrap();
    let usage = store.usage();
    assert_eq!(usage.journal, one);
    assert!(usage.snapshot >= document(4).len() as u64);
    let mut store = store.crash();
    recover(&mut store);
    assert_eq!(store.usage(), usage);
}

fn arguments_are_checked_and_change_nothing(mut store: impl Crash) {
    assert!(matches!(store.append(1, &record(1)), Err(StoreError::NotRecovered)));
    recover(&mut store);
    assert!(matches!(store.recover(&mut Log::default()), Err(RecoverError::NotFresh)));

    commit(&mut store, 1..=1);
    for (sequence, given) in [(1, 1), (3, 3), (0, 0), (u64::MAX, 2)] {
        let error = store.append(sequence, &record(given)).unwrap_err();
        assert_eq!(error.to_string(), format!("expected sequence number 2, found {sequence}"));
    }
    for bad in [
        "",
        "{",
        "[]",
        "{\"seq\":2",
        "{\"seq\":3}",
        "{\"seq\":22}",
        "{\"seq\":2,\"a\":\"",
        " {\"seq\":2}",
        "{\"seq\":2} ",
        "{\"seq\":2,\n\"a\":1}",
    ] {
        let error = store.append(2, bad).unwrap_err();
        assert!(matches!(error, StoreError::Record { sequence: 2, .. }), "{bad:?}: {error}");
    }

    assert!(matches!(store.write_snapshot("{"), Err(StoreError::NoSnapshot)));
    assert!(matches!(store.finish_snapshot(), Err(StoreError::NoSnapshot)));
    let error = store.begin_snapshot(2, Time::default()).unwrap_err();
    assert!(matches!(error, StoreError::Sequence { expected: 1, found: 2 }));
    for bad in ["", "{", "}", "{}", "[1]", "{\"a\":1}\n", " {\"a\":1}", "{\"a\":1"] {
        store.begin_snapshot(1, Time::default()).unwrap();
        store.write_snapshot(bad).unwrap();
        let error = store.finish_snapshot().unwrap_err();
        assert!(matches!(error, StoreError::Document { sequence: 1, .. }), "{bad:?}: {error}");
    }
    store.append(2, "{\"seq\":2}").unwrap();
    store.sync().unwrap();
    snapshot(&mut store, 2);
}

/// A module of tests for each kind of store.
macro_rules! contract {
    ($($test:ident),* $(,)?) => {
        mod memory {
            $(#[test]
            fn $test() {
                super::$test(crate::store::Memory::new());
            })*
        }
        mod directory {
            $(#[test]
            fn $test() {
                let folder = tempfile::tempdir().unwrap();
                super::$test(super::open(folder.path()));
            })*
        }
    };
}

contract!(
    round_trip,
    only_synced_records_survive,
    snapshot_and_later_records,
    unfinished_snapshot_changes_nothing,
    usage_is_what_a_recovery_reads,
    arguments_are_checked_and_change_nothing,
);

#[test]
fn buffer_is_limited() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings().buffer_limit(250);
    let mut store = Directory::open_with(folder.path(), settings).unwrap();
    recover(&mut store);
    append(&mut store, 1..=2);
    let error = store.append(3, &record(3)).unwrap_err();
    assert!(matches!(error, StoreError::BufferFull { limit: 250, needed: 251.. }), "{error}");
    store.sync().unwrap();
    append(&mut store, 3..=3);

    let large = format!("{{\"seq\":4,\"a\":\"{}\"}}", "x".repeat(300));
    let error = store.append(4, &large).unwrap_err();
    assert!(matches!(error, StoreError::RecordTooLarge { sequence: 4, limit: 250, .. }), "{error}");
    store.sync().unwrap();
    drop(store);
    assert_eq!(reopen(folder.path()).unwrap().1, Log::expected(None, 3));
}

fn poisoned_after_a_failed_sync(store: &mut impl Store) {
    append(store, 2..=2);
    let error = store.sync().unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
    let poisoned = |result: Result<(), StoreError>| {
        let error = result.unwrap_err();
        assert!(matches!(error, StoreError::Poisoned { .. }), "{error}");
    };
    poisoned(store.append(3, &record(3)));
    poisoned(store.sync());
    poisoned(store.begin_snapshot(2, Time::default()));
    poisoned(store.write_snapshot("{"));
    poisoned(store.finish_snapshot());
    assert!(matches!(store.recover(&mut Log::default()), Err(RecoverError::NotFresh)));
}

#[test]
fn memory_is_poisoned_after_a_failed_sync() {
    let mut store = Memory::new();
    recover(&mut store);
    commit(&mut store, 1..=1);
    store.fail_next_sync();
    poisoned_after_a_failed_sync(&mut store);
    assert_eq!(recover(&mut store.crash()).1, Log::expected(None, 1));
}

#[test]
fn directory_is_poisoned_after_a_failed_sync() {
    let disk = Disk::default();
    let mut store = disk.open();
    recover(&mut store);
    commit(&mut store, 1..=1);
    // The write goes well and the sync doesn't.
    disk.fail_at(2);
    poisoned_after_a_failed_sync(&mut store);
    assert_eq!(disk.operations(), 2, "a failed file was synced again");
    let cause = store.sync().unwrap_err().to_string();
    assert!(cause.contains("cannot sync store/journal-1.jsonl: the disk failed"), "{cause}");
}

#[test]
fn refusal_of_a_visitor_is_placed() {
    struct Picky;
    impl Recovery for Picky {
        fn snapshot(&mut self, _: u64, _: &str) -> Result<(), Refused> {
            Ok(())
        }
        fn record(&mut self, sequence: u64, record: &str) -> Result<(), Refused> {
            match record.find("patch") {
                Some(byte) if sequence == 2 => {
                    Err(Refused { reason: "no patches".to_owned(), byte: byte as u64, line: 1 })
                }
                _ => Ok(()),
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    journal_of(folder.path(), 3);
    let error = open(folder.path()).recover(&mut Picky).unwrap_err();
    let RecoverError::Refused { path, line, byte, reason } = error else { panic!("{error}") };
    assert_eq!((line, reason.as_str()), (3, "no patches"));
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text[byte as usize..].starts_with("patch"));
    assert_eq!(text[..byte as usize].matches('\n').count(), 2);
}
