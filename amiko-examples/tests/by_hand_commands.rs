//! `edit`, `verify` and `repair`, as a user types them, on the files of a real node.

#![allow(clippy::unwrap_used, clippy::panic)]

mod pseudo_terminal;

use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

const BINARY: &str = env!("CARGO_BIN_EXE_amiko-node");

/// A running node; killed when it isn't needed any more.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn run(directory: &Path) -> Running {
    let mut command = Command::new(BINARY);
    command.args(["run", "--listen", "127.0.0.1:0", "--dir"]).arg(directory);
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("listens on"), "{line:?}");
    Running(process)
}

fn amiko_node(directory: &Path, arguments: &[&str]) -> Output {
    edit_with(directory, "false", arguments)
}

fn edit_with(directory: &Path, editor: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(BINARY);
    command.env_remove("VISUAL").env("EDITOR", editor).arg("--dir").arg(directory).args(arguments);
    command.stdin(Stdio::null()).output().unwrap()
}

/// The same at a terminal, where somebody types this.
fn edit_at_a_terminal(directory: &Path, editor: &str, arguments: &[&str], typed: &[u8]) -> Output {
    let mut command = Command::new(BINARY);
    command.env_remove("VISUAL").env("EDITOR", editor).arg("--dir").arg(directory).args(arguments);
    let (mut terminal, stdin) = pseudo_terminal::open();
    terminal.write_all(typed).unwrap();
    command.stdin(stdin).output().unwrap()
}

/// A stopped node with two links: its directory, and three versions or more.
fn stopped(root: &Path) -> PathBuf {
    let directory = root.join("node");
    let node = run(&directory);
    for name in ["to_b", "to_c"] {
        check(&amiko_node(&directory, &["link", "add", name]), 0, &[]);
    }
    drop(node);
    directory
}

/// An editor with an argument: a script that runs `sed` with it on the file.
fn editor(root: &Path) -> String {
    let path = root.join("editor.sh");
    fs::write(&path, "#!/bin/sh\nset -e\n[ \"$(stat -c %a \"$2\")\" = 600 ]\nsed -i \"$1\" \"$2\"\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    path.to_str().unwrap().to_owned()
}

fn check(output: &Output, code: i32, words: &[&str]) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    words.iter().for_each(|word| assert!(said.contains(word), "{word:?} in {said}"));
    said
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// The files of a directory, but for who has it open.
fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let wanted = paths.filter(|path| path.is_file() && !path.ends_with("LOCK"));
    let mut files: Vec<_> = wanted.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    files.sort();
    files
}

fn drafts(directory: &Path) -> Vec<PathBuf> {
    let edited = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("edit-");
    files(directory).into_iter().map(|(path, _)| path).filter(edited).collect()
}

fn newest(directory: &Path) -> u64 {
    let output = amiko_node(directory, &["verify", "--json"]);
    check(&output, 0, &[]);
    json(&output)["newest"].as_u64().unwrap()
}

#[test]
fn an_edit_is_shown_and_committed() {
    let root = tempfile::tempdir().unwrap();
    let directory = stopped(root.path());
    let before = newest(&directory);
    let script = editor(root.path());
    let hour = format!("{script} 's/\"timeoutIncrement\": 86400/\"timeoutIncrement\": 3600/'");

    // Nobody agrees: the work is kept, and named.
    let said =
        check(&edit_at_a_terminal(&directory, &hour, &["edit"], b"n\n"), 1, &["commit this change? [y/N]", "--from"]);
    assert!(said.contains("~ /state/timeoutIncrement  86400 → 3600\n"), "{said}");
    let kept = drafts(&directory);
    let [draft] = &kept[..] else { panic!("{kept:?}") };
    assert_eq!(fs::metadata(draft).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(newest(&directory), before);

    let output = edit_with(&directory, "true", &["edit", "--yes", "--json", "--from", draft.to_str().unwrap()]);
    check(&output, 0, &[]);
    let document = json(&output);
    assert_eq!(document["version"], before + 1);
    assert_eq!(document["patch"][0]["path"], "/state/timeoutIncrement");
    assert_eq!(document["patch"][0]["value"], 3600);
    assert!(drafts(&directory).is_empty());
    let journal = fs::read_to_string(directory.join("journal-1.jsonl")).unwrap();
    assert!(journal.trim_end().lines().last().unwrap().contains("{\"_class\":\"Edit\"}"));
    assert_eq!(newest(&directory), before + 1);
}

#[test]
fn an_edit_of_nothing_or_of_a_running_node_changes_nothing() {
    let root = tempfile::tempdir().unwrap();
    let directory = stopped(root.path());
    let before = files(&directory);
    check(&edit_with(&directory, "true", &["edit", "--yes"]), 0, &["nothing was changed"]);
    let output = edit_with(&directory, "true", &["edit", "--yes", "--json"]);
    check(&output, 0, &[]);
    assert_eq!(json(&output)["patch"], Value::Array(Vec::new()));
    check(&edit_with(&directory, "false", &["edit", "--yes"]), 1, &["expected the editor false to end well"]);
    assert_eq!(files(&directory), before);
    let said = check(&edit_with(&directory, "rm", &["edit", "--yes"]), 1, &["cannot read", "nothing was changed"]);
    assert!(!said.contains("--from"), "there is nothing to go on with: {said}");
    check(&edit_with(&root.path().join("none"), "true", &["edit", "--yes"]), 1, &["none"]);
    assert!(!root.path().join("none").exists());

    // Without a terminal nobody could agree, and an editor that needs one would wait for good.
    check(&edit_with(&directory, "true", &["edit"]), 1, &["expected a terminal", "nothing was changed"]);
    check(&edit_with(&directory, "", &["edit", "--yes"]), 1, &["expected a terminal", "$EDITOR"]);
    assert_eq!(files(&directory), before);

    let _node = run(&directory);
    for command in ["edit", "verify", "repair"] {
        check(&edit_with(&directory, "true", &[command]), 1, &["another process (pid"]);
    }
}

#[test]
fn a_refused_edit_says_where_and_keeps_the_file() {
    let root = tempfile::tempdir().unwrap();
    let directory = stopped(root.path());
    let before = newest(&directory);
    let script = editor(root.path());
    for (change, words) in [
        // A type, with its place.
        ("s/: 86400/: \"a day\"/", vec![".json:", "state.timeoutIncrement", "a day", "(byte "]),
        // No JSON.
        ("s/\"links\": {/\"links\": [/", vec![".json:", "state.links"]),
        // An invariant of the node.
        ("s/\"to_b\": {/\"_hidden\": {/", vec!["expected a link's name that doesn't begin with '_'"]),
        // What isn't to be edited.
        ("s/\"seq\": /\"seq\": 1/", vec!["seq: expected"]),
    ] {
        let output = edit_with(&directory, &format!("{script} '{change}'"), &["edit", "--yes"]);
        let said = check(&output, 1, &["edit it again with `amiko-node edit --dir"]);
        words.iter().for_each(|word| assert!(said.contains(word), "{word:?} in {said}"));
        let kept = drafts(&directory);
        let [draft] = &kept[..] else { panic!("{kept:?}") };
        assert!(said.contains(draft.to_str().unwrap()), "{said}");
        fs::remove_file(draft).unwrap();
    }
    assert_eq!(newest(&directory), before);
}

/// Changes a digit in the middle of the journal; gives back the version before it.
fn damage(directory: &Path) -> u64 {
    damage_to(directory, 2)
}

/// Changes a digit of the record of this version; gives back the version before it.
fn damage_to(directory: &Path, version: u64) -> u64 {
    let path = directory.join("journal-1.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let at = text.find(&format!("\"seq\":{version},\"time\":")).unwrap() + 20;
    let mut bytes = text.into_bytes();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
    version - 1
}

#[test]
fn verify_tells_healthy_from_torn_from_damaged() {
    let root = tempfile::tempdir().unwrap();
    let directory = stopped(root.path());
    let before = files(&directory);
    check(&amiko_node(&directory, &["verify"]), 0, &["snapshot-0.json", "journal-1.jsonl", "1–3", "all is well"]);
    check(&amiko_node(&root.path().join("none"), &["verify"]), 1, &["none"]);
    assert!(!root.path().join("none").exists());

    let journal = directory.join("journal-1.jsonl");
    let text = fs::read_to_string(&journal).unwrap();
    let end = text.trim_end().len();
    fs::write(&journal, format!("{}{}", &text[..end - 3], "\n".repeat(text.len() - end + 3))).unwrap();
    check(&amiko_node(&directory, &["verify"]), 0, &["never acknowledged", "opens at version 2"]);
    fs::write(&journal, &text).unwrap();
    assert_eq!(files(&directory), before, "nothing was changed");

    damage(&directory);
    let said =
        check(&amiko_node(&directory, &["verify"]), 4, &["journal-1.jsonl:3 (byte ", "expected checksum", "found"]);
    assert!(said.contains("amiko-node repair --dir"), "{said}");
    let output = amiko_node(&directory, &["verify", "--json"]);
    check(&output, 4, &[]);
    let document = json(&output);
    assert_eq!((&document["healthy"], &document["findings"][0]["line"]), (&false.into(), &3.into()));
    check(&amiko_node(&directory, &["run", "--listen", "127.0.0.1:0"]), 4, &["amiko-node verify", "amiko-node repair"]);
}

/// The last record is damaged as others are: nobody is told that nothing will be lost.
#[test]
fn a_changed_last_record_is_damage_and_its_version_is_named() {
    let root = tempfile::tempdir().unwrap();
    let directory = stopped(root.path());
    let last = newest(&directory);
    let version = damage_to(&directory, last);
    check(&amiko_node(&directory, &["run", "--listen", "127.0.0.1:0"]), 4, &["expected checksum"]);
    let output = amiko_node(&directory, &["verify", "--json"]);
    check(&output, 4, &[]);
    assert_eq!(json(&output)["newest"], last);
    check(&amiko_node(&directory, &["repair"]), 1, &[&format!("version {last} will be lost")]);
    check(&amiko_node(&directory, &["repair", "--yes"]), 0, &[&format!("opens at version {version} now")]);
}

#[test]
fn repair_salvages_keeps_everything_and_the_node_runs_again() {
    let root = tempfile::tempdir().unwrap();
    let directory = stopped(root.path());
    let healthy = files(&directory);
    check(&amiko_node(&directory, &["repair"]), 0, &["nothing is damaged"]);
    assert_eq!(files(&directory), healthy);

    let version = damage(&directory);
    let damaged = files(&directory);
    check(&amiko_node(&directory, &["repair"]), 1, &["versions 2 to 3 will be lost", "repair it? [y/N]"]);
    assert_eq!(files(&directory), damaged);
    let output = amiko_node(&directory, &["repair", "--yes", "--json"]);
    check(&output, 0, &[]);
    let document = json(&output);
    assert_eq!((&document["repaired"], &document["version"]), (&true.into(), &version.into()));
    // The key of the node and its socket are no files of the store.
    let stored = |name: &str| name.starts_with("snapshot-") || name.starts_with("journal-");
    let stored = |path: &Path| path.file_name().and_then(|name| name.to_str()).is_some_and(stored);
    for (path, bytes) in damaged.iter().filter(|(path, _)| stored(path)) {
        assert_eq!(&fs::read(directory.join("damaged-1").join(path.file_name().unwrap())).unwrap(), bytes);
    }
    assert_eq!(newest(&directory), version);
    let node = run(&directory);
    check(&amiko_node(&directory, &["link", "add", "to_d"]), 0, &[]);
    drop(node);
    check(&amiko_node(&directory, &["repair", "--json"]), 0, &["\"repaired\":false"]);

    for (path, _) in files(&directory).iter().filter(|(path, _)| path.extension().is_some_and(|end| end == "json")) {
        fs::write(path, "{}").unwrap();
    }
    check(&amiko_node(&directory, &["repair", "--yes"]), 4, &["expected a good snapshot", "put back a copy"]);
}
