//! What every store promises, what a directory promises about its files, and what is left of
//! both when the disk fails.

mod archive;
mod backup;
mod broken;
mod buffer;
mod conformance;
mod damage;
mod directory;
mod disk;
mod fallback;
mod faults;
mod kept;
mod repair;
mod retention;
#[cfg(unix)]
mod strangers;
mod verify;
mod walk;
mod writes;

use crate::time::Time;
use std::fs;
use std::path::Path;

use super::{Directory, DirectorySettings, Inspection, RecoverError, Recovered, Recovery, Refused, Retention, Store};

/// Everything that a recovery handed over.
#[derive(Debug, Default, PartialEq, Eq)]
struct Log {
    snapshot: Option<(u64, String)>,
    records: Vec<(u64, String)>,
}

impl Recovery for Log {
    fn snapshot(&mut self, sequence: u64, document: &str) -> Result<(), Refused> {
        assert_eq!((&self.snapshot, self.records.len()), (&None, 0));
        self.snapshot = Some((sequence, document.to_owned()));
        Ok(())
    }

    fn record(&mut self, sequence: u64, record: &str) -> Result<(), Refused> {
        self.records.push((sequence, record.to_owned()));
        Ok(())
    }
}

/// A snapshot of a version is one text, whatever has led there.
impl Inspection for Log {
    fn check(&mut self) -> Result<(), String> {
        Ok(())
    }

    fn compare(&self, sequence: u64, found: &str) -> Result<(), Refused> {
        if found == document(sequence) {
            return Ok(());
        }
        Err(Refused { reason: format!("expected {}, found {found}", document(sequence)), byte: 0, line: 1 })
    }

    fn document(&self, sequence: u64) -> Result<String, String> {
        Ok(document(sequence))
    }
}

impl Log {
    /// What a store holds after `snapshot` and the records up to `last`.
    fn expected(snapshot: Option<u64>, last: u64) -> Self {
        Self {
            snapshot: snapshot.map(|sequence| (sequence, document(sequence))),
            records: (snapshot.unwrap_or(0) + 1..=last).map(|n| (n, record(n))).collect(),
        }
    }
}

fn record(sequence: u64) -> String {
    format!(r#"{{"seq":{sequence},"cause":"test é","patch":[{{"path":"/a","value":{sequence}}}]}}"#)
}

fn document(sequence: u64) -> String {
    format!("{{\"format\":1,\"seq\":{sequence},\n\"state\":{{\"accounts\":[\n1,\n2]}}}}")
}

fn recover(store: &mut impl Store) -> (Recovered, Log) {
    let mut log = Log::default();
    let recovered = store.recover(&mut log).unwrap();
    (recovered, log)
}

fn append(store: &mut impl Store, sequences: std::ops::RangeInclusive<u64>) {
    for sequence in sequences {
        store.append(sequence, &record(sequence)).unwrap();
    }
}

/// Appends and syncs each record for itself.
fn commit(store: &mut impl Store, sequences: std::ops::RangeInclusive<u64>) {
    for sequence in sequences {
        store.append(sequence, &record(sequence)).unwrap();
        store.sync().unwrap();
    }
}

/// Writes a snapshot in pieces as small as they get.
fn snapshot(store: &mut impl Store, sequence: u64) {
    store.begin_snapshot(sequence, Time::default()).unwrap();
    write_document(store, sequence);
    store.finish_snapshot().unwrap();
    store.sync().unwrap();
}

fn write_document(store: &mut impl Store, sequence: u64) {
    for piece in document(sequence).split_inclusive(|_| true) {
        store.write_snapshot(piece).unwrap();
    }
}

/// A directory that is gone with the test: in memory where that can be had, since no test here asks the machine to crash.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Small chunks, so that files grow often.
fn settings() -> DirectorySettings {
    DirectorySettings { segment_chunk: 256, retention: Retention::Count(0), ..DirectorySettings::default() }
}

fn open(path: &Path) -> Directory {
    Directory::open_with(path, settings()).unwrap()
}

fn reopen(path: &Path) -> Result<(Recovered, Log), RecoverError> {
    let mut log = Log::default();
    let recovered = open(path).recover(&mut log)?;
    Ok((recovered, log))
}

/// A directory with the records up to `last`, each synced for itself.
fn journal_of(path: &Path, last: u64) {
    let mut store = open(path);
    recover(&mut store);
    commit(&mut store, 1..=last);
}

/// A directory with ten records, the one of number n at n seconds, and a snapshot after every second one; then two more
/// records.
fn ten_records_and_two(path: &Path, retention: Retention) {
    let mut store = Directory::open_with(path, DirectorySettings { retention, ..settings() }).unwrap();
    recover(&mut store);
    for sequence in [2, 4, 6, 8, 10] {
        commit(&mut store, sequence - 1..=sequence);
        store.begin_snapshot(sequence, Time::from_secs(sequence)).unwrap();
        write_document(&mut store, sequence);
        store.finish_snapshot().unwrap();
        store.sync().unwrap();
    }
    commit(&mut store, 11..=12);
}

fn names(path: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
