//! Writing without a sync, several things in one sync, and who holds the lock meanwhile.

use super::disk::{Disk, Random};
use super::*;
use crate::store::{OpenError, StoreError, Work};

fn write(store: &mut impl Store) {
    if let Some(work) = store.begin_write().unwrap() {
        store.end_sync(work.run()).unwrap();
    }
}

#[test]
fn a_write_survives_the_process_and_a_sync_the_machine() {
    let mut lost = 0;
    for seed in 0..50 {
        for synced in [false, true] {
            for machine in [false, true] {
                let disk = Disk::default();
                let mut store = disk.open();
                recover(&mut store);
                // Both find room in the file: nothing has to grow.
                append(&mut store, 1..=1);
                disk.fail_at(0);
                write(&mut store);
                assert_eq!(disk.operations(), 1, "one write, and no sync");
                write(&mut store);
                assert_eq!(disk.operations(), 1);
                if synced {
                    store.sync().unwrap();
                    assert_eq!(disk.operations(), 2, "one sync, and no write");
                    store.sync().unwrap();
                    assert_eq!(disk.operations(), 2);
                }
                drop(store);
                if machine {
                    disk.crash(&mut Random(seed));
                }
                let (recovered, log) = disk.reopen().unwrap();
                assert_eq!(log, Log::expected(None, recovered.sequence));
                lost += 1 - recovered.sequence;
                assert!(recovered.sequence == 1 || (machine && !synced));
            }
        }
    }
    assert!(lost > 0, "a write was as good as a sync");
}

#[test]
fn what_was_only_written_is_of_one_group_with_what_follows() {
    let folder = folder();
    let path = folder.path().join("journal-1.jsonl");
    let mut store = open(folder.path());
    recover(&mut store);
    commit(&mut store, 1..=1);
    append(&mut store, 2..=3);
    write(&mut store);
    append(&mut store, 4..=4);
    write(&mut store);
    append(&mut store, 5..=5);
    store.sync().unwrap();
    append(&mut store, 6..=6);
    write(&mut store);
    // It has nothing to write, and is a sync all the same.
    store.sync().unwrap();
    append(&mut store, 7..=7);
    store.sync().unwrap();
    drop(store);
    let groups: Vec<u64> = fs::read_to_string(&path)
        .unwrap()
        .lines()
        .filter(|line| line.contains("\"seq\":"))
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|line| line.get("group").unwrap_or(&line["seq"]).as_u64().unwrap())
        .collect();
    assert_eq!(groups, [1, 2, 2, 2, 2, 6, 7]);
}

#[test]
fn of_what_was_only_written_any_part_may_be_lost() {
    let (mut torn, mut behind) = (0, 0);
    for seed in 0..300 {
        let mut random = Random(seed);
        let disk = Disk::default();
        let mut store = disk.open();
        recover(&mut store);
        commit(&mut store, 1..=2);
        for sequence in 3..=7 {
            append(&mut store, sequence..=sequence);
            write(&mut store);
        }
        append(&mut store, 8..=8);
        // The sync fails at the write, or behind it.
        disk.fail_at(1 + random.below(3) as usize);
        let failed = store.sync().is_err();
        drop(store);
        disk.crash(&mut random);
        let (recovered, log) = disk.reopen().unwrap();
        assert_eq!(log, Log::expected(None, recovered.sequence), "seed {seed}");
        assert!((if failed { 2 } else { 8 }..=8).contains(&recovered.sequence), "seed {seed}");
        torn += usize::from(recovered.torn.is_some());
        behind += usize::from(recovered.sequence > 2);
    }
    assert!(torn > 20 && behind > 20, "too little was tried: {torn} torn, {behind} with more than was synced");
}

#[test]
fn several_snapshots_in_one_sync() {
    let folder = folder();
    let mut store =
        Directory::open_with(folder.path(), DirectorySettings { retention: Retention::Forever, ..settings() }).unwrap();
    recover(&mut store);
    let whole = |store: &mut Directory, sequence| {
        store.begin_snapshot(sequence, Time::from_secs(sequence)).unwrap();
        write_document(store, sequence);
        store.finish_snapshot().unwrap();
    };
    append(&mut store, 1..=2);
    whole(&mut store, 2);
    append(&mut store, 3..=3);
    // Given up.
    store.begin_snapshot(3, Time::from_secs(3)).unwrap();
    store.write_snapshot("{").unwrap();
    append(&mut store, 4..=4);
    whole(&mut store, 4);
    whole(&mut store, 4);
    append(&mut store, 5..=5);
    // Not finished yet.
    store.begin_snapshot(5, Time::from_secs(5)).unwrap();
    store.write_snapshot("{\"format\":1,").unwrap();
    append(&mut store, 6..=6);
    store.sync().unwrap();
    assert_eq!(
        names(folder.path()),
        [
            "LOCK",
            "journal-3.jsonl",
            "journal-4.jsonl",
            "journal-5.jsonl",
            "journal-6.jsonl",
            "snapshot-2.json",
            "snapshot-4.json",
            "snapshot-5.json.tmp",
        ]
    );
    let usage = store.usage();
    drop(store);
    let mut store = open(folder.path());
    assert_eq!(recover(&mut store).1, Log::expected(Some(4), 6));
    assert_eq!(store.usage(), usage);
    assert_eq!(names(folder.path()), ["LOCK", "journal-5.jsonl", "journal-6.jsonl", "snapshot-4.json"]);
}

#[test]
fn the_lock_is_held_by_work_that_is_out() {
    let folder = folder();
    let mut store = open(folder.path());
    recover(&mut store);
    append(&mut store, 1..=1);
    let work = store.begin_sync().unwrap().unwrap();
    drop(store);
    let locked = || matches!(Directory::open(folder.path()), Err(OpenError::Locked { .. }));
    assert!(locked());
    let done = work.run();
    assert!(locked());
    drop(done);
    assert_eq!(reopen(folder.path()).unwrap().1, Log::expected(None, 1));

    // So it is by a store whose work is gone, whose work failed, or whose recovery failed.
    let mut store = open(folder.path());
    recover(&mut store);
    append(&mut store, 2..=2);
    drop(store.begin_sync().unwrap());
    assert!(locked());
    drop(store);
    assert!(!locked());

    let mut store = open(folder.path());
    recover(&mut store);
    append(&mut store, 2..=2);
    // In the way of the next segment.
    let obstacle = folder.path().join("journal-3.jsonl.tmp");
    fs::create_dir(&obstacle).unwrap();
    store.begin_snapshot(2, Time::default()).unwrap();
    let error = store.sync().unwrap_err();
    assert!(matches!(&error, StoreError::Io { action: "create", path, .. } if *path == obstacle), "{error}");
    assert!(locked());
    drop(store);
    fs::remove_dir(&obstacle).unwrap();

    fs::write(folder.path().join("snapshot-2.json"), "{").unwrap();
    let mut store = open(folder.path());
    store.recover(&mut Log::default()).unwrap_err();
    assert!(locked());
    drop(store);
    assert!(!locked());
}
