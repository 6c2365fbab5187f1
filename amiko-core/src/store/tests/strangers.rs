//! Files that somebody else has put into the directory: nothing is opened through a link, and nothing hangs or is emptied.

use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::fs;
use std::os::unix::fs::symlink;

use super::*;
use crate::store::verify;

/// Puts something under a path.
type Put = fn(&Path, &Path);

/// What somebody puts in the place of a file of the store. `own` is a file of theirs that must stay as it is.
const STRANGERS: [(&str, Put); 5] = [
    ("a symbolic link", |path, own| symlink(own, path).unwrap()),
    ("a symbolic link", |path, own| symlink(own.with_file_name("nothing"), path).unwrap()),
    ("a hard link", |path, own| fs::hard_link(own, path).unwrap()),
    // Not by a program: until that begins, a copy of this process holds the locks of all tests.
    ("a FIFO", |path, _| mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap()),
    ("a directory", |path, _| fs::create_dir(path).unwrap()),
];

/// A store with a snapshot and a journal, and what opening it says once something else stands in the place of `name`.
fn refusal(name: &str, put: Put, act: fn(&Path) -> Result<(), String>) -> Result<(), String> {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut store = Directory::open_with(folder.path(), settings()).unwrap();
    recover(&mut store);
    commit(&mut store, 1..=2);
    snapshot(&mut store, 2);
    commit(&mut store, 3..=3);
    drop(store);
    let (path, own) = (folder.path().join(name), elsewhere.path().join("own"));
    let content = fs::read(&path).unwrap_or_else(|_| b"theirs".to_vec());
    fs::write(&own, &content).unwrap();
    drop(fs::remove_file(&path));
    put(&path, &own);
    let outcome = act(folder.path());
    assert_eq!(fs::read(&own).unwrap(), content);
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 1, "something was made through a link");
    outcome
}

fn open_and_write(path: &Path) -> Result<(), String> {
    let mut store = Directory::open_with(path, settings()).map_err(|error| chain(&error))?;
    store.recover(&mut Log::default()).map_err(|error| chain(&error))?;
    commit(&mut store, 4..=4);
    store.begin_snapshot(4, Time::default()).unwrap();
    write_document(&mut store, 4);
    store.finish_snapshot().unwrap();
    store.sync().map_err(|error| chain(&error))
}

fn look(path: &Path) -> Result<(), String> {
    let report = verify(path, Log::default).map_err(|error| chain(&error))?;
    let findings: Vec<_> = report.findings.iter().filter(|finding| !finding.is_harmless()).collect();
    if findings.is_empty() { Ok(()) } else { Err(format!("{}", findings[0])) }
}

fn chain(error: &dyn std::error::Error) -> String {
    crate::store::error::with_sources(error)
}

#[test]
fn what_is_no_file_of_the_store_is_neither_opened_nor_changed() {
    for (found, put) in STRANGERS {
        for name in ["LOCK", "snapshot-2.json", "journal-3.jsonl", "snapshot-4.json.tmp", "journal-5.jsonl.tmp"] {
            let said = refusal(name, put, open_and_write);
            match (name, found) {
                // What was never finished is removed under its own name, whatever it is; what it stands for stays.
                ("snapshot-4.json.tmp" | "journal-5.jsonl.tmp", "a symbolic link" | "a hard link" | "a FIFO") => {
                    assert_eq!(said, Ok(()), "{found} in the place of {name}");
                }
                // Whoever only reads may read a file that has another name, in a backup.
                ("snapshot-2.json", "a hard link") => assert_eq!(said, Ok(())),
                _ => {
                    let said = said.unwrap_err();
                    assert!(said.contains("expected a regular file, found") && said.contains(name), "{said}");
                    assert!(said.contains(found), "{found}: {said}");
                }
            }
        }
    }
}

#[test]
fn verify_writes_nothing_waits_for_nothing_and_follows_no_link() {
    for (found, put) in STRANGERS {
        for name in ["LOCK", "snapshot-2.json", "journal-3.jsonl"] {
            let said = refusal(name, put, look);
            if found == "a hard link" {
                assert_eq!(said, Ok(()), "{name}");
            } else {
                let said = said.unwrap_err();
                assert!(said.contains("expected a regular file, found") && said.contains(name), "{said}");
            }
        }
    }
}

#[test]
fn verify_needs_no_permission_to_write_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Directory::open_with(folder.path(), settings()).unwrap();
    recover(&mut store);
    commit(&mut store, 1..=2);
    // While somebody writes, nothing can be said.
    assert!(verify(folder.path(), Log::default).is_err());
    drop(store);
    fs::remove_file(folder.path().join("LOCK")).unwrap();
    assert!(verify(folder.path(), Log::default).unwrap().is_healthy());
    assert!(!folder.path().join("LOCK").exists());
}
