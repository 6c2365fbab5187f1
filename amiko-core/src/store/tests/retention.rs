//! Which older snapshots are kept, and which aren't.

use std::time::Duration;

use super::*;

/// The numbers of the snapshots and of the segments in a directory.
fn kept(path: &Path) -> (Vec<u64>, Vec<u64>) {
    let numbers = |prefix: &str, suffix: &str| {
        let names = names(path);
        let numbers = names.iter().filter_map(|name| name.strip_prefix(prefix)?.strip_suffix(suffix)?.parse().ok());
        let mut numbers: Vec<u64> = numbers.collect();
        numbers.sort_unstable();
        numbers
    };
    (numbers("snapshot-", ".json"), numbers("journal-", ".jsonl"))
}

/// Holds what is kept against the oldest snapshot that should be: it, the newer ones, and what follows each of them.
fn assert_kept(path: &Path, oldest: u64) {
    let snapshots: Vec<u64> = (oldest..=10).step_by(2).collect();
    let segments = snapshots.iter().map(|sequence| sequence + 1).collect();
    assert_eq!(kept(path), (snapshots, segments));
    assert_eq!(reopen(path).unwrap().1, Log::expected(Some(10), 12));
}

#[test]
fn a_number_of_snapshots_is_kept() {
    for (count, oldest) in [(0, 10), (1, 8), (2, 6), (4, 2), (5, 2), (u64::MAX, 2)] {
        let folder = folder();
        let retention = Retention::Count(count);
        ten_records_and_two(folder.path(), retention);
        assert_eq!(kept(folder.path()).0[0], oldest, "{count}");
        // Opened with another setting, it is that one which counts: `reopen` keeps none.
        drop(Directory::open_with(folder.path(), DirectorySettings { retention, ..settings() }).unwrap());
        let mut store = Directory::open_with(folder.path(), DirectorySettings { retention, ..settings() }).unwrap();
        recover(&mut store);
        drop(store);
        assert_eq!(kept(folder.path()).0[0], oldest, "{count}");
        reopen(folder.path()).unwrap();
        assert_kept(folder.path(), 10);
    }
}

#[test]
fn as_many_snapshots_are_kept_as_there_is_room_for() {
    let all = folder();
    ten_records_and_two(all.path(), Retention::Forever);
    let size = |name: String| fs::metadata(all.path().join(name)).unwrap().len();
    let mut room = 0;
    for oldest in [8, 6, 4, 2] {
        room += size(format!("snapshot-{oldest}.json")) + size(format!("journal-{}.jsonl", oldest + 1));
        for (bytes, oldest) in [(room - 1, oldest + 2), (room, oldest)] {
            let folder = folder();
            ten_records_and_two(folder.path(), Retention::Bytes(bytes));
            let snapshots: Vec<u64> = (oldest..=10).step_by(2).collect();
            let segments = snapshots.iter().map(|sequence| sequence + 1).collect();
            assert_eq!(kept(folder.path()), (snapshots, segments), "{bytes} bytes");
        }
    }
    assert_eq!(DirectorySettings::default().retention, Retention::Bytes(256 << 20));
}

#[test]
fn all_snapshots_are_kept() {
    let folder = folder();
    ten_records_and_two(folder.path(), Retention::Forever);
    assert_eq!(kept(folder.path()), (vec![2, 4, 6, 8, 10], vec![3, 5, 7, 9, 11]));
}

#[test]
fn snapshots_are_kept_by_the_times_of_events() {
    // The one of version n was replaced at n + 2 seconds; the newest one is from second 10.
    for (age, oldest) in [(0, 8), (1_999, 8), (2_000, 6), (3_999, 6), (4_000, 4), (6_000, 2), (60_000, 2)] {
        let folder = folder();
        ten_records_and_two(folder.path(), Retention::Age(Duration::from_millis(age)));
        assert_eq!(kept(folder.path()).0[0], oldest, "{age} ms");
        assert_eq!(kept(folder.path()).1[0], oldest + 1, "{age} ms");
    }
}

#[test]
fn a_snapshot_whose_age_cannot_be_read_is_kept() {
    let folder = folder();
    ten_records_and_two(folder.path(), Retention::Forever);
    // When number 6 was replaced is in the header of this one.
    fs::write(folder.path().join("journal-9.jsonl"), "not a header\n").unwrap();
    let mut store = Directory::open_with(
        folder.path(),
        DirectorySettings { retention: Retention::Age(Duration::ZERO), ..settings() },
    )
    .unwrap();
    assert_eq!(recover(&mut store).1, Log::expected(Some(10), 12));
    assert_eq!(kept(folder.path()).0, [6, 8, 10]);
}

#[test]
fn a_clock_that_was_put_back_removes_nothing() {
    let folder = folder();
    let retention = Retention::Age(Duration::from_secs(1));
    let mut store = Directory::open_with(folder.path(), DirectorySettings { retention, ..settings() }).unwrap();
    recover(&mut store);
    for (sequence, time) in [(1, 100), (2, 90), (3, 80)] {
        commit(&mut store, sequence..=sequence);
        store.begin_snapshot(sequence, Time::from_secs(time)).unwrap();
        write_document(&mut store, sequence);
        store.finish_snapshot().unwrap();
        store.sync().unwrap();
    }
    assert_eq!(kept(folder.path()).0, [1, 2, 3]);
}
