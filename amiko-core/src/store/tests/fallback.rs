//! Damaged snapshots, and what takes their place: an older one if the journal leads from it to the same state, else
//! nothing.

use std::path::PathBuf;

use super::*;

/// A directory with snapshots 2, 4, 6, 8 and 10, and records up to 12.
struct Kept(tempfile::TempDir);

impl Kept {
    fn new() -> Self {
        let folder = folder();
        ten_records_and_two(folder.path(), Retention::Forever);
        Self(folder)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Changes one byte in the middle.
    fn damage(&self, name: &str) {
        let mut bytes = fs::read(self.file(name)).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(self.file(name), bytes).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.file(name)).unwrap();
    }

    /// Takes the last record out of a segment.
    fn cut(&self, name: &str) {
        let text = fs::read_to_string(self.file(name)).unwrap();
        let lines: Vec<_> = text.trim_end().lines().collect();
        fs::write(self.file(name), lines[..lines.len() - 1].join("\n") + "\n").unwrap();
    }

    fn open(&self) -> Directory {
        Directory::open_with(self.0.path(), DirectorySettings { retention: Retention::Forever, ..settings() }).unwrap()
    }

    fn error(&self) -> RecoverError {
        let before: Vec<_> = names(self.0.path()).iter().map(|name| fs::read(self.file(name)).unwrap()).collect();
        let error = self.open().recover(&mut Log::default()).unwrap_err();
        let after: Vec<_> = names(self.0.path()).iter().map(|name| fs::read(self.file(name)).unwrap()).collect();
        assert_eq!(before, after, "a directory was changed whose recovery failed");
        error
    }
}

#[test]
fn an_older_snapshot_takes_the_place_of_a_damaged_one() {
    let kept = Kept::new();
    let mut base = 10;
    for name in ["snapshot-10.json", "snapshot-8.json", "snapshot-6.json"] {
        kept.damage(name);
        base -= 2;
        let (recovered, log) = recover(&mut kept.open());
        assert_eq!((recovered.sequence, recovered.torn), (12, None));
        assert_eq!(log, Log::expected(Some(base), 12));
        let files: Vec<_> = recovered.damaged.iter().map(|damaged| damaged.file.clone()).collect();
        let expected: Vec<_> =
            (base + 2..=10).rev().step_by(2).map(|n| kept.file(&format!("snapshot-{n}.json"))).collect();
        assert_eq!(files, expected);
        for damaged in recovered.damaged {
            assert!(damaged.reason.contains("expected checksum"), "{}", damaged.reason);
            assert!(damaged.reason.contains(damaged.file.to_str().unwrap()), "{}", damaged.reason);
        }
    }
}

#[test]
fn a_store_goes_on_after_it_has_fallen_back() {
    let kept = Kept::new();
    kept.damage("snapshot-10.json");
    let mut store = kept.open();
    recover(&mut store);
    let usage = store.usage();
    commit(&mut store, 13..=13);
    assert!(store.usage().journal > usage.journal);
    snapshot(&mut store, 13);
    assert_eq!(store.usage().journal, 0);
    commit(&mut store, 14..=14);
    drop(store);
    let (recovered, log) = recover(&mut kept.open());
    assert_eq!((recovered.damaged, log), (vec![], Log::expected(Some(13), 14)));
    // The damaged one can be written anew.
    let kept = Kept::new();
    kept.cut("journal-11.jsonl");
    kept.cut("journal-11.jsonl");
    kept.damage("snapshot-10.json");
    let mut store = kept.open();
    assert_eq!(recover(&mut store).0.sequence, 10);
    snapshot(&mut store, 10);
    drop(store);
    assert_eq!(
        recover(&mut kept.open()),
        (Recovered { sequence: 10, torn: None, damaged: Vec::new() }, Log::expected(Some(10), 10))
    );
}

#[test]
fn a_journal_that_does_not_reach_a_damaged_snapshot_is_named() {
    let kept = Kept::new();
    kept.damage("snapshot-10.json");
    kept.cut("journal-9.jsonl");
    let error = kept.error();
    let RecoverError::ShortJournal { path, reached, expected } = error else { panic!("{error}") };
    assert_eq!((path, reached, expected), (kept.file("journal-9.jsonl"), 9, 10));
    // The same when nothing comes after it.
    kept.remove("journal-11.jsonl");
    let error = kept.error();
    let RecoverError::ShortJournal { path, reached, expected } = error else { panic!("{error}") };
    assert_eq!((path, reached, expected), (kept.file("journal-9.jsonl"), 9, 10));
}

#[test]
fn a_segment_that_is_missing_on_the_way_to_a_damaged_snapshot_is_named() {
    let kept = Kept::new();
    kept.damage("snapshot-10.json");
    kept.remove("journal-9.jsonl");
    let error = kept.error();
    let RecoverError::MissingSegment { path, reached, resumes } = error else { panic!("{error}") };
    assert_eq!((path, reached, resumes), (kept.file("journal-9.jsonl"), 8, Some(11)));
    // The same with a segment before it.
    kept.damage("snapshot-8.json");
    let error = kept.error();
    let RecoverError::MissingSegment { path, reached, resumes } = error else { panic!("{error}") };
    assert_eq!((path, reached, resumes), (kept.file("journal-9.jsonl"), 8, Some(11)));
}

#[test]
fn a_segment_that_is_missing_behind_a_snapshot_is_named() {
    for damaged in [false, true] {
        let kept = Kept::new();
        if damaged {
            kept.damage("snapshot-10.json");
        }
        kept.remove("journal-11.jsonl");
        let error = kept.error();
        let RecoverError::MissingSegment { path, reached, resumes } = error else { panic!("{error}") };
        assert_eq!((path, reached, resumes), (kept.file("journal-11.jsonl"), 10, None));
        // The version of the snapshot itself, and those before it, don't need it.
        let mut log = Log::default();
        Directory::open_at(kept.0.path(), 10).unwrap().recover(&mut log).unwrap();
        assert_eq!(log, Log::expected(Some(if damaged { 8 } else { 10 }), 10));
    }
}

#[test]
fn a_damaged_snapshot_without_an_older_one_is_an_error() {
    let folder = folder();
    ten_records_and_two(folder.path(), Retention::Count(0));
    let path = folder.path().join("snapshot-10.json");
    let mut bytes = fs::read(&path).unwrap();
    bytes[20] ^= 1;
    fs::write(&path, bytes).unwrap();
    let error = reopen(folder.path()).unwrap_err();
    assert!(matches!(&error, RecoverError::Damaged { path: named, .. } if *named == path), "{error}");

    // Of several damaged ones it is the newest that is named.
    let kept = Kept::new();
    ["2", "4", "6", "8", "10"].iter().for_each(|number| kept.damage(&format!("snapshot-{number}.json")));
    let error = kept.error();
    assert!(matches!(&error, RecoverError::Damaged { path, .. } if path.ends_with("snapshot-10.json")), "{error}");
}

#[test]
fn a_damaged_journal_is_no_reason_to_fall_back() {
    let kept = Kept::new();
    let mut bytes = fs::read(kept.file("journal-11.jsonl")).unwrap();
    bytes[10] ^= 1;
    fs::write(kept.file("journal-11.jsonl"), bytes).unwrap();
    let error = kept.error();
    assert!(matches!(&error, RecoverError::Damaged { path, .. } if path.ends_with("journal-11.jsonl")), "{error}");
}

#[test]
fn two_files_of_one_number_are_refused() {
    for (name, twin) in [("snapshot-10.json", "snapshot-010.json"), ("journal-11.jsonl", "journal-0011.jsonl")] {
        let kept = Kept::new();
        fs::copy(kept.file(name), kept.file(twin)).unwrap();
        let error = kept.error();
        let RecoverError::Duplicate { path, other } = error else { panic!("{error}") };
        let mut found = [path, other];
        found.sort();
        assert_eq!(found, [kept.file(twin), kept.file(name)]);
    }
}

#[test]
fn a_file_with_the_name_of_another_is_refused() {
    let kept = Kept::new();
    fs::copy(kept.file("snapshot-10.json"), kept.file("snapshot-12.json")).unwrap();
    let error = kept.error();
    let RecoverError::Misnamed { path, expected } = error else { panic!("{error}") };
    assert_eq!((path, expected), (kept.file("snapshot-12.json"), kept.file("snapshot-10.json")));

    for (name, wrong) in [("journal-11.jsonl", "journal-011.jsonl"), ("snapshot-10.json", "snapshot-00010.json")] {
        let kept = Kept::new();
        fs::rename(kept.file(name), kept.file(wrong)).unwrap();
        let error = kept.error();
        let RecoverError::Misnamed { path, expected } = error else { panic!("{error}") };
        assert_eq!((path, expected), (kept.file(wrong), kept.file(name)));
    }
}
