//! A directory that is copied while somebody writes it.

use super::*;
use crate::store::{BackupError, OpenError, backup, verify};
use std::sync::atomic::{AtomicU64, Ordering};

fn fine(_: &Path) -> Result<(), String> {
    Ok(())
}

#[test]
fn each_copy_of_a_directory_that_is_being_written_is_whole_and_has_what_was_durable_before() {
    // Few enough for old files to be removed under a copy, and enough for snapshots to come in between.
    const VERSIONS: u64 = 3000;
    let (from, copies) = (folder(), folder());
    let durable = AtomicU64::new(0);
    let mut store = open(from.path());
    recover(&mut store);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for sequence in 1..=VERSIONS {
                commit(&mut store, sequence..=sequence);
                durable.store(sequence, Ordering::Release);
                if sequence % 7 == 0 {
                    snapshot(&mut store, sequence);
                }
            }
        });
        let mut number = 0;
        loop {
            let before = durable.load(Ordering::Acquire);
            let copy = copies.path().join(number.to_string());
            let copied = backup(from.path(), &copy, fine, |_| {}).unwrap();
            assert!((before..=VERSIONS).contains(&copied.last), "{before} was durable, and {copied:?} is there");
            let report = verify(&copy, Log::default).unwrap();
            assert!(report.findings.is_empty(), "{:?}", report.findings);
            assert_eq!(recover(&mut open(&copy)).0.sequence, copied.last);
            fs::remove_dir_all(&copy).unwrap();
            number += 1;
            if before == VERSIONS {
                break;
            }
        }
    });
    assert!(names(copies.path()).is_empty());
}

#[test]
fn a_copy_has_all_that_is_kept() {
    let (from, copies) = (folder(), folder());
    ten_records_and_two(from.path(), Retention::Count(2));
    let copy = copies.path().join("copy");
    let mut progress = Vec::new();
    let copied = backup(from.path(), &copy, fine, |version| progress.push(version)).unwrap();
    assert_eq!((copied.first, copied.last, copied.snapshots, copied.records), (6, 12, 3, 6));
    assert_eq!(progress, [7, 8, 9, 10, 11, 12]);
    for version in 6..=12 {
        let at = |path: &Path| recover(&mut Directory::open_at(path, version).unwrap()).1;
        assert_eq!(at(&copy), at(from.path()));
    }
}

#[test]
fn what_is_no_copy_leaves_nothing() {
    let (from, copies) = (folder(), folder());
    let copy = copies.path().join("copy");
    assert!(matches!(backup(from.path(), &copy, fine, |_| {}), Err(BackupError::Open(OpenError::NoStore { .. }))));
    journal_of(from.path(), 3);
    let refused = backup(from.path(), &copy, |_| Err("it is wrong".into()), |_| {}).unwrap_err();
    assert_eq!(refused.to_string(), "it is wrong");
    let journal = from.path().join("journal-1.jsonl");
    let damaged = fs::read_to_string(&journal).unwrap().replace("\"value\":2", "\"value\":9");
    fs::write(&journal, damaged).unwrap();
    assert!(matches!(backup(from.path(), &copy, fine, |_| {}), Err(BackupError::Read(_))));
    assert!(names(copies.path()).is_empty());

    // What is there stays as it is, and so does whatever stands where the copy would be made.
    fs::create_dir(&copy).unwrap();
    for place in [&copy, Path::new("."), Path::new("..")] {
        let occupied = backup(from.path(), place, fine, |_| {}).unwrap_err();
        assert!(matches!(occupied, BackupError::Occupied { .. }), "{occupied}");
    }
    assert!(names(&copy).is_empty());
}

#[test]
fn whatever_stands_beside_the_copy_isnt_touched() {
    let (from, copies) = (folder(), folder());
    journal_of(from.path(), 3);
    let left = copies.path().join(format!(".copy.{}-0.tmp", std::process::id()));
    fs::create_dir(&left).unwrap();
    fs::write(left.join("snapshot-0.json.tmp"), "somebody's").unwrap();
    backup(from.path(), copies.path().join("copy"), fine, |_| {}).unwrap();
    assert_eq!(names(&left), ["snapshot-0.json.tmp"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let copy = copies.path().join("copy");
        assert_eq!((mode(&copy), mode(&copy.join("journal-1.jsonl"))), (0o700, 0o600));
    }
}

#[test]
fn a_segment_that_is_missing_is_said_and_no_wait_for_another_one() {
    let (from, copies) = (folder(), folder());
    ten_records_and_two(from.path(), Retention::Count(2));
    fs::remove_file(from.path().join("journal-9.jsonl")).unwrap();
    let mut read = Vec::new();
    let error = backup(from.path(), copies.path().join("copy"), fine, |version| read.push(version)).unwrap_err();
    assert!(matches!(error, BackupError::Read(RecoverError::MissingSegment { .. })), "{error}");
    assert_eq!(read, [7, 8, 7, 8]);
    assert!(names(copies.path()).is_empty());
}
