//! `show`, page by page, and `stat`, of states that a node has written.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod common;

use amiko_core::prelude::*;
use common::said;
use std::path::Path;
use std::process::Command;

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine)]
struct Shelf {
    #[amiko(objects)]
    books: Table<Book>,
}

#[derive(Clone, Serializable)]
#[amiko(key = String)]
struct Book {
    text: String,
}

#[derive(Clone, Serializable)]
struct Add {
    title: String,
    length: usize,
}

impl StateMachine for Shelf {
    type Node = Self;
    type Message = Add;

    fn handle(&mut self, Add { title, length }: Add, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        cx.create(&Id::new(title), Book { text: "x".repeat(length) });
        Ok(())
    }
}

/// One event for each book, at its second.
fn shelf(books: impl IntoIterator<Item = (String, usize, u64)>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = Directory::open(folder.path()).unwrap();
    let mut engine = Engine::<Shelf>::open(store, Settings::default()).unwrap();
    for (title, length, second) in books {
        engine.send(&Id::node(), Add { title, length }, Time::from_secs(second)).unwrap();
    }
    engine.sync().unwrap();
    folder
}

/// What a shell makes of a command of `amiko`.
fn typed(command: &str) -> String {
    let folder = Path::new(env!("CARGO_BIN_EXE_amiko")).parent().unwrap();
    let output = Command::new("/bin/sh").args(["-c", command]).env("PATH", folder).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[cfg(unix)]
#[test]
fn the_pages_of_a_table_follow_each_other_to_its_end_whatever_its_keys_are() {
    let titles = ["", "plain", "two words", "it's", "-dash", "--at=3", "$HOME", "`id`", "a/b~c", "é", "\"", "*", "~"];
    let folder = shelf(titles.iter().map(|title| ((*title).to_owned(), 1, 1)));
    let directory = folder.path().to_str().unwrap();
    let mut found = Vec::new();
    let mut page = said(&["show", directory, "/state/books", "--entries", "2"]).replace("exit 0\n", "");
    for _ in &titles {
        let keys = page.lines().filter(|line| line.ends_with(" Book")).map(|line| line.trim_end_matches(" Book"));
        let keys: Vec<String> = keys.map(|key| key.strip_prefix("  ").unwrap().to_owned()).collect();
        assert!((1..=2).contains(&keys.len()), "{page}");
        found.extend(keys);
        let Some((_, next)) = page.split_once(" more: ") else { break };
        page = typed(next.trim_end());
    }
    found.sort();
    let mut expected = titles.to_vec();
    expected.sort_unstable();
    assert_eq!(found, expected);
    // A key that a line can't show is in no command.
    let folder = shelf([("a\nb".to_owned(), 1, 1), ("c".to_owned(), 1, 1)]);
    let page = said(&["show", folder.path().to_str().unwrap(), "/state/books", "--entries", "1"]);
    assert!(page.contains("… 1 more: --entries 0 shows all\n"), "{page}");
    assert!(said(&["show", folder.path().to_str().unwrap(), "/state/books", "--from=a\nb"]).contains("  c Book\n"));
}

#[test]
fn rates_are_of_the_whole_journal_and_of_its_end_and_the_biggest_objects_come_first() {
    // One a minute, for two hours; then ten in one second.
    let slow = (0..120).map(|minute| (format!("slow {minute}"), minute, 1_800_000_000 + 60 * minute as u64));
    let fast = (0..10).map(|number| (format!("fast {number}"), 1_000 + number, 1_800_007_200));
    let folder = shelf(slow.chain(fast));
    let directory = folder.path().to_str().unwrap();
    let shown = said(&["stat", directory, "--objects", "2"]);
    for line in [
        "0.01792 events a second on average\n",
        "0.167 a second in the last minute: 10 events\n",
        "0.01917 a second in the last hour: 69 events\n",
        "        1036 bytes  /state/books/fast 9\n        1035 bytes  /state/books/fast 8\n",
    ] {
        assert!(shown.contains(line), "{line}{shown}");
    }
    assert!(!shown.contains("fast 7"), "{shown}");
    let document = said(&["stat", directory, "--json"]);
    for part in ["\"millis\": 7200000,\n", "\"last_minute\": 10,\n", "\"last_hour\": 69,\n"] {
        assert!(document.contains(part), "{document}");
    }
}
