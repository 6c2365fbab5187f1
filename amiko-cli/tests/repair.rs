//! `amiko repair`: what it says, what it does, and that the node goes on with it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod common;

use amiko_core::engine;
use amiko_core::prelude::*;
use amiko_core::serializable::Json;
use common::said;
use std::fs;
use std::path::{Path, PathBuf};

/// In a file each member of it has its place: those of a table, and those of JSON.
#[derive(Clone, Serializable, Node)]
#[amiko(machine)]
struct Counter {
    value: u64,
    #[amiko(objects)]
    additions: Table<Addition>,
    free: Json,
}

#[derive(Clone, Serializable)]
#[amiko(key = u64)]
struct Addition {
    amount: u64,
}

impl Default for Counter {
    fn default() -> Self {
        let fields = (0..40).map(|number| (format!("f{number}"), Json::integer(number)));
        Self { value: 0, additions: Table::new(), free: Json::Object(fields.collect()) }
    }
}

#[derive(Clone, Serializable)]
struct Add {
    amount: u64,
}

impl StateMachine for Counter {
    type Node = Self;
    type Message = Add;

    fn handle(&mut self, Add { amount }: Add, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        self.value += amount;
        self.free.remove(&format!("f{amount}"));
        self.free.set(&format!("late {amount}"), Json::Null);
        cx.create(&Id::new(amount), Addition { amount });
        Ok(())
    }
}

fn open(path: &Path) -> Engine<Counter> {
    Engine::open(Directory::open(path).unwrap(), Settings::default()).unwrap()
}

/// A directory with a record for each amount.
fn counted(amounts: &[u64]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut counter = open(folder.path());
    for &amount in amounts {
        counter.send(&Id::node(), Add { amount }, Time::from_secs(1)).unwrap();
        counter.sync().unwrap();
    }
    folder
}

fn damage(path: &Path, from: &str, to: &str) {
    let journal = path.join("journal-1.jsonl");
    let text = fs::read_to_string(&journal).unwrap();
    assert!(text.contains(from));
    fs::write(journal, text.replace(from, to)).unwrap();
}

/// All but the lock, which names who has it.
fn files(path: &Path) -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let kept = entries.filter(|path| path.is_file() && !path.ends_with("LOCK"));
    let mut files: Vec<_> = kept.map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect();
    files.sort();
    files
}

fn copy(path: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for (path, text) in files(path) {
        fs::write(copy.path().join(path.file_name().unwrap()), text).unwrap();
    }
    copy
}

#[test]
fn the_good_part_of_a_damaged_directory_is_salvaged_once_somebody_agrees() {
    let folder = counted(&[7, 8, 9]);
    damage(folder.path(), "\"value\":15", "\"value\":95");
    let directory = folder.path().to_str().unwrap();
    let before = files(folder.path());

    let planned = said(&["repair", directory]).replace(directory, "DIR");
    let expected = "version 1 can be salvaged\nlost: versions 2 to 3, 2 at most\nput aside in DIR/damaged-1:\n  \
                    snapshot-0.json\n  journal-1.jsonl\n";
    assert!(planned.contains(expected), "{planned}");
    assert!(planned.contains("DIR/journal-1.jsonl:3 (byte "), "{planned}");
    assert!(planned.contains("not checked, because it takes the classes of the node"), "{planned}");
    assert!(planned.ends_with("amiko: nothing was changed: --yes does it\nexit 4\n"), "{planned}");
    let document = said(&["repair", directory, "--json"]);
    assert!(files(folder.path()) == before);
    let (document, rest) = document.split_once("}\namiko: ").unwrap();
    assert!(rest.ends_with("exit 4\n"), "{rest}");
    let document = Json::parse(&format!("{document}}}")).unwrap();
    let number = |name: &str| document.get(name).unwrap().as_u64();
    assert_eq!((number("version"), number("newest"), number("lost")), (Some(1), Some(3), Some(2)));
    assert_eq!(document.get("repaired"), Some(&Json::Bool(false)));
    assert_eq!(document.get("aside").unwrap().as_str(), folder.path().join("damaged-1").to_str());

    let repaired = said(&["repair", directory, "--yes"]);
    assert!(repaired.ends_with(&format!("done: {directory} opens at version 1 now\nexit 0\n")), "{repaired}");
    // What is said of the classes stays where it is.
    for (path, text) in before.iter().filter(|(path, _)| !path.ends_with("classes.json")) {
        assert!(fs::read_to_string(folder.path().join("damaged-1").join(path.file_name().unwrap())).unwrap() == *text);
    }
    assert!(said(&["verify", directory]).ends_with("no file is damaged; it opens at version 1\nexit 0\n"));
    let again = said(&["repair", directory, "--yes"]);
    assert!(again.ends_with("no file is damaged, and nothing was changed: version 1\nexit 0\n"), "{again}");
    assert!(!folder.path().join("damaged-2").exists());

    assert!(engine::verify::<Counter>(folder.path()).unwrap().is_healthy());
    let mut counter = open(folder.path());
    assert_eq!(counter.node().value, 7);
    counter.send(&Id::node(), Add { amount: 1 }, Time::from_secs(2)).unwrap();
    counter.sync().unwrap();
    drop(counter);
    assert!(engine::verify::<Counter>(folder.path()).unwrap().is_healthy());
}

#[test]
fn the_snapshot_is_the_one_that_the_classes_would_have_written() {
    let folder = counted(&[3, 4, 5, 6, 10, 20, 30]);
    damage(folder.path(), "\"value\":78", "\"value\":79");
    let typed = copy(folder.path());
    assert_eq!(engine::repair::<Counter>(typed.path()).unwrap().run().unwrap().version, 6);
    assert!(said(&["repair", folder.path().to_str().unwrap(), "--yes", "--json"]).ends_with("exit 0\n"));
    let snapshot = |path: &Path| fs::read_to_string(path.join("snapshot-6.json")).unwrap();
    assert_eq!(snapshot(folder.path()), snapshot(typed.path()));
}

#[test]
fn what_cannot_be_repaired_or_is_in_use_is_left_as_it_is() {
    let folder = counted(&[7]);
    let directory = folder.path().to_str().unwrap();
    let engine = open(folder.path());
    let locked = said(&["repair", directory, "--yes"]);
    assert!(locked.contains("open") && locked.ends_with("exit 3\n"), "{locked}");
    drop(engine);
    fs::write(folder.path().join("snapshot-0.json"), "{").unwrap();
    let before = files(folder.path());
    let beyond = said(&["repair", directory, "--yes"]);
    assert!(beyond.contains("expected a good snapshot") && beyond.ends_with("exit 4\n"), "{beyond}");
    assert!(files(folder.path()) == before);
    let nothing = tempfile::tempdir().unwrap();
    assert!(said(&["repair", nothing.path().to_str().unwrap(), "--yes"]).ends_with("exit 3\n"));
    assert_eq!(fs::read_dir(nothing.path()).unwrap().count(), 0);
}
