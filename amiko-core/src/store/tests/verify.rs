//! What is said about files, healthy and not.

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::store::{FileKind, Finding, OpenError, Report, Retention, verify};

fn report(path: &Path) -> Report {
    verify(path, Log::default).unwrap()
}

/// Three generations: snapshots of 0, 3 and 6, and records up to 8.
fn generations(path: &Path) {
    let mut store =
        Directory::open_with(path, DirectorySettings { retention: Retention::Forever, ..settings() }).unwrap();
    recover(&mut store);
    snapshot(&mut store, 0);
    commit(&mut store, 1..=3);
    snapshot(&mut store, 3);
    commit(&mut store, 4..=6);
    snapshot(&mut store, 6);
    commit(&mut store, 7..=8);
}

fn bytes(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| !path.ends_with("LOCK")).map(|path| (path.clone(), fs::read(&path).unwrap())).collect();
    files.sort();
    files
}

/// Changes one byte: the `nth` place of this text.
fn flip(path: &Path, text: &str, nth: usize) -> u64 {
    let mut bytes = fs::read(path).unwrap();
    let at = String::from_utf8(bytes.clone()).unwrap().match_indices(text).nth(nth).unwrap().0;
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
    at as u64
}

#[test]
fn healthy_files_are_listed_and_left_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    generations(folder.path());
    let before = bytes(folder.path());
    let report = report(folder.path());
    assert!(report.is_healthy() && report.findings.is_empty(), "{:?}", report.findings);
    assert_eq!(report.newest, 8);
    let found: Vec<_> = report.files.iter().map(|file| (file.kind, file.versions)).collect();
    let (snapshot, journal) = (FileKind::Snapshot, FileKind::Journal);
    assert_eq!(
        found,
        [
            (snapshot, Some((0, 0))),
            (journal, Some((1, 3))),
            (snapshot, Some((3, 3))),
            (journal, Some((4, 6))),
            (snapshot, Some((6, 6))),
            (journal, Some((7, 8))),
        ]
    );
    assert_eq!(bytes(folder.path()), before);
}

#[test]
fn a_store_that_is_in_use_or_not_there_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    assert!(matches!(verify(&path, Log::default), Err(OpenError::Io { .. })));
    assert!(!path.exists());
    fs::create_dir(&path).unwrap();
    assert!(matches!(verify(&path, Log::default), Err(OpenError::NoStore { .. })));
    assert_eq!(bytes(&path), []);
    assert!(!path.join("LOCK").exists());
    let _open = open_with_journal(&path);
    assert!(matches!(verify(&path, Log::default), Err(OpenError::Locked { holder: Some(_), .. })));
}

fn open_with_journal(path: &Path) -> Directory {
    let mut store = open(path);
    recover(&mut store);
    store
}

#[test]
fn every_problem_is_found_at_its_place() {
    let folder = tempfile::tempdir().unwrap();
    generations(folder.path());
    let file = |name: &str| folder.path().join(name);
    flip(&file("snapshot-3.json"), "accounts", 0);
    let first = flip(&file("journal-4.jsonl"), "\"cause", 0);
    let second = flip(&file("journal-4.jsonl"), "\"cause", 1);
    fs::remove_file(file("journal-7.jsonl")).unwrap();
    fs::write(file("snapshot-03.json"), "{}").unwrap();
    fs::write(file("snapshot-9.json.tmp"), "{").unwrap();
    let report = report(folder.path());
    let found: Vec<_> = report
        .findings
        .iter()
        .map(|finding| {
            let (path, place) = finding.place();
            (path.file_name().unwrap().to_str().unwrap(), place.map(|(line, _)| line), finding.is_harmless())
        })
        .collect();
    assert_eq!(
        found,
        [
            ("snapshot-03.json", None, false),
            ("snapshot-3.json", Some(4), false),
            ("journal-4.jsonl", Some(2), false),
            ("journal-4.jsonl", Some(4), false),
            ("journal-7.jsonl", None, false),
            ("snapshot-9.json.tmp", None, true),
        ],
        "{:#?}",
        report.findings
    );
    // A line is damaged as a whole: the place is its beginning.
    let places: Vec<u64> = report.findings[2..4].iter().map(|finding| finding.place().1.unwrap().1).collect();
    assert!(places[0] < first && first < places[1] && places[1] < second, "{places:?}");
    assert_eq!(report.newest, 6);
}

#[test]
fn a_missing_segment_in_the_middle_is_named() {
    let folder = tempfile::tempdir().unwrap();
    generations(folder.path());
    fs::remove_file(folder.path().join("journal-4.jsonl")).unwrap();
    let report = report(folder.path());
    let [Finding::Damage(RecoverError::MissingSegment { path, reached: 3, resumes: Some(7) })] = &report.findings[..]
    else {
        panic!("{:?}", report.findings)
    };
    assert!(path.ends_with("journal-4.jsonl"));
}

#[test]
fn a_journal_that_leads_to_something_else_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let mut store =
        Directory::open_with(folder.path(), DirectorySettings { retention: Retention::Forever, ..settings() }).unwrap();
    recover(&mut store);
    snapshot(&mut store, 0);
    commit(&mut store, 1..=2);
    store.begin_snapshot(2, Time::default()).unwrap();
    store.write_snapshot("{\"format\":1,\"seq\":2,\"state\":null}").unwrap();
    store.finish_snapshot().unwrap();
    store.sync().unwrap();
    drop(store);
    let report = report(folder.path());
    let [Finding::Differs { path, .. }] = &report.findings[..] else { panic!("{:?}", report.findings) };
    assert!(path.ends_with("snapshot-2.json"));
}

#[test]
fn what_a_crash_leaves_behind_is_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    generations(folder.path());
    let journal = folder.path().join("journal-7.jsonl");
    let text = fs::read_to_string(&journal).unwrap();
    let end = text.trim_end().len();
    fs::write(&journal, &text[..end - 5]).unwrap();
    // The sweep had begun: snapshots go first, the oldest of all before the others.
    fs::remove_file(folder.path().join("snapshot-0.json")).unwrap();
    let report = report(folder.path());
    assert!(report.is_healthy(), "{:?}", report.findings);
    let [Finding::Replaced { path }, Finding::Torn(torn)] = &report.findings[..] else {
        panic!("{:?}", report.findings)
    };
    assert!(path.ends_with("journal-1.jsonl"));
    assert_eq!((&torn.file, torn.line), (&journal, 3));
    assert_eq!(report.newest, 7);
    assert!(reopen(folder.path()).is_ok());
}

#[test]
fn any_flipped_bit_is_found_or_torn() {
    let folder = tempfile::tempdir().unwrap();
    generations(folder.path());
    for (path, bytes) in bytes(folder.path()) {
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            fs::write(&path, &changed).unwrap();
            let report = report(folder.path());
            assert!(!report.findings.is_empty(), "{} byte {at}", path.display());
            // An engine that refuses to open has been told why, and the other way round.
            let last = path.ends_with("journal-7.jsonl");
            assert!(!report.is_healthy() || last, "{} byte {at}", path.display());
        }
        fs::write(&path, &bytes).unwrap();
    }
}
