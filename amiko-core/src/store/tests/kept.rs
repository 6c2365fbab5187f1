//! A directory that is read as a whole, and written anew.

use super::*;
use crate::store::{Kept, KeptReader, KeptWriter, OpenError, StoreError, verify};
use std::ops::ControlFlow;

/// Copies a directory; the error is that of reading.
fn copy(from: &Path, to: &Path) -> Result<(), RecoverError> {
    let mut writer = KeptWriter::create(to).unwrap();
    KeptReader::open(from).unwrap().read(|kept| {
        writer.take(kept).unwrap();
        ControlFlow::Continue(())
    })?;
    writer.finish().unwrap();
    Ok(())
}

fn at(path: &Path, version: u64) -> Log {
    recover(&mut Directory::open_at(path, version).unwrap()).1
}

#[test]
fn a_copy_has_every_version_that_was_kept() {
    let (from, to) = (folder(), folder());
    ten_records_and_two(from.path(), Retention::Count(2));
    copy(from.path(), to.path()).unwrap();
    for version in 6..=12 {
        assert_eq!(at(to.path(), version), at(from.path(), version));
    }
    let report = verify(to.path(), Log::default).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    let times: Vec<_> = report.files.iter().filter_map(|file| file.time).collect();
    assert_eq!(times, [6, 6, 8, 8, 10, 10].map(Time::from_secs));
    assert_eq!(
        names(to.path()),
        [
            "LOCK",
            "journal-11.jsonl",
            "journal-7.jsonl",
            "journal-9.jsonl",
            "snapshot-10.json",
            "snapshot-6.json",
            "snapshot-8.json"
        ]
    );
    let mut store = open(to.path());
    assert_eq!(recover(&mut store).1, Log::expected(Some(10), 12));
    commit(&mut store, 13..=13);
    drop(store);
    assert_eq!(reopen(to.path()).unwrap().1, Log::expected(Some(10), 13));
}

#[test]
fn a_copy_of_what_never_had_a_snapshot_or_a_record_opens() {
    for last in [0, 3] {
        let (from, to) = (folder(), folder());
        journal_of(from.path(), last);
        copy(from.path(), to.path()).unwrap();
        assert_eq!(reopen(to.path()).unwrap().1, Log::expected(None, last));
    }
}

#[test]
fn what_a_crash_left_behind_is_not_copied() {
    let (from, to) = (folder(), folder());
    journal_of(from.path(), 3);
    fs::write(from.path().join("snapshot-3.json.tmp"), "{").unwrap();
    let journal = from.path().join("journal-1.jsonl");
    let text = fs::read_to_string(&journal).unwrap();
    let torn = format!("{}\n{{\"crc\":\"00", text.trim_end());
    fs::write(&journal, format!("{torn}{}", &text[torn.len()..])).unwrap();
    copy(from.path(), to.path()).unwrap();
    assert_eq!(reopen(to.path()).unwrap().1, Log::expected(None, 3));
}

#[test]
fn whatever_is_damaged_or_missing_is_refused() {
    let damages: [(&str, Option<(&str, &str)>); 6] = [
        ("snapshot-6.json", Some(("accounts", "accountz"))),
        ("snapshot-8.json", Some(("accounts", "accountz"))),
        ("journal-9.jsonl", Some(("\"value\":9", "\"value\":7"))),
        ("journal-7.jsonl", None),
        ("journal-9.jsonl", None),
        ("journal-11.jsonl", None),
    ];
    for (name, change) in damages {
        let (from, to) = (folder(), folder());
        ten_records_and_two(from.path(), Retention::Count(2));
        let file = from.path().join(name);
        match change {
            None => fs::remove_file(&file).unwrap(),
            Some((found, other)) => {
                let text = fs::read_to_string(&file).unwrap();
                assert!(text.contains(found), "{text}");
                fs::write(&file, text.replacen(found, other, 1)).unwrap();
            }
        }
        let error = copy(from.path(), to.path()).unwrap_err();
        assert!(error.to_string().contains(name), "{name}: {error}");
    }
    let from = folder();
    ten_records_and_two(from.path(), Retention::Count(0));
    fs::remove_file(from.path().join("snapshot-10.json")).unwrap();
    let error = copy(from.path(), folder().path()).unwrap_err();
    assert!(matches!(error, RecoverError::MissingSnapshot { .. }), "{error}");
}

#[test]
fn neither_side_is_in_use_or_has_something_already() {
    let (from, to) = (folder(), folder());
    assert!(matches!(KeptReader::open(from.path()), Err(OpenError::NoStore { .. })));
    let mut store = open(from.path());
    recover(&mut store);
    assert!(matches!(KeptReader::open(from.path()), Err(OpenError::Locked { .. })));
    drop(store);
    assert!(matches!(KeptWriter::create(from.path()), Err(OpenError::NotEmpty { .. })));
    let _writes = KeptWriter::create(to.path()).unwrap();
    assert!(matches!(Directory::open(to.path()), Err(OpenError::Locked { .. })));
}

#[test]
fn a_writer_takes_what_comes_next_alone() {
    let to = folder();
    let mut writer = KeptWriter::create(to.path()).unwrap();
    let snapshot = |writer: &mut KeptWriter, sequence| {
        writer.take(Kept::Snapshot { sequence, time: Time::default(), document: &document(sequence) })
    };
    let append = |writer: &mut KeptWriter, sequence| writer.take(Kept::Record { sequence, record: &record(sequence) });
    assert!(matches!(append(&mut writer, 2), Err(StoreError::Sequence { expected: 1, found: 2 })));
    snapshot(&mut writer, 5).unwrap();
    assert!(matches!(append(&mut writer, 5), Err(StoreError::Sequence { expected: 6, found: 5 })));
    append(&mut writer, 6).unwrap();
    assert!(matches!(snapshot(&mut writer, 5), Err(StoreError::Sequence { expected: 6, found: 5 })));
    snapshot(&mut writer, 6).unwrap();
    assert!(matches!(snapshot(&mut writer, 6), Err(StoreError::Sequence { .. })));
    writer.finish().unwrap();
    assert_eq!(reopen(to.path()).unwrap().1, Log::expected(Some(6), 6));
}
