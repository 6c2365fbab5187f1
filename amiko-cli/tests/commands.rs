//! What the command shows of directories: those of the format's fixtures, damaged ones, and one that is in use.
//!
//! `AMIKO_BLESS=1` writes the expected texts anew.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod common;

use amiko_core::prelude::*;
use amiko_core::store::{DirectorySettings, Retention};
use common::{amiko, fixture, said};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

#[test]
fn each_command_shows_what_it_always_did() {
    let folder = fixture();
    let directory = folder.path().to_str().unwrap();
    let cases: &[&[&str]] = &[
        &["show", "DIR"],
        &["show", "DIR", "/state/things/~0a~1b", "--at", "3"],
        &["show", "DIR", "/state/things", "--entries", "1"],
        &["show", "DIR", "/state/things", "--entries", "1", "--from", "third"],
        &["show", "DIR", "/state/things/~0a~1b/counts", "--entries=2", "--from=", "--json"],
        &["show", "DIR", "/state/things/~0a~1b/counts", "--from", "nothing"],
        &["show", "DIR", "/state/note", "--from", "x"],
        &["show", "DIR", "/state/note", "--at", "1970-01-01T00:00:10Z", "--json"],
        &["show", "DIR", "/state/nowhere"],
        &["show", "DIR", "--at", "99"],
        &["show", "DIR", "--at", "yesterday"],
        &["log", "DIR"],
        &["log", "DIR", "-p", "--since", "9"],
        &["log", "DIR", "--since", "1970-01-01T00:00:10Z"],
        &["log", "DIR", "--rejected"],
        &["log", "DIR", "--class", "Change"],
        &["log", "DIR", "--object", "thing/~a/b"],
        &["log", "DIR", "--object", "things/second"],
        &["log", "DIR", "-n", "2"],
        &["log", "DIR", "--since", "10", "--json"],
        &["grep", "late", "DIR"],
        &["diff", "DIR", "3", "9"],
        &["diff", "DIR", "9", "3", "--json"],
        &["blame", "DIR", "/state/note"],
        &["blame", "DIR", "/state/things/third/color"],
        &["blame", "DIR", "/state/things/~0a~1b/maybe", "--json"],
        &["stat", "DIR"],
        &["stat", "DIR", "--json"],
        &["stat", "DIR", "--tables", "0", "--objects", "1"],
        &["export", "DIR", "--at", "0"],
        &["verify", "DIR"],
        &["verify", "DIR", "--json"],
        &["repair", "DIR"],
        &["repair", "DIR", "--yes", "--json"],
    ];
    let mut text = String::new();
    for case in cases {
        let arguments: Vec<&str> = case.iter().map(|word| if *word == "DIR" { directory } else { word }).collect();
        text.push_str(&format!("$ amiko {}\n{}\n", case.join(" "), said(&arguments).replace(directory, "DIR")));
    }
    let file = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/commands.txt"));
    if std::env::var_os("AMIKO_BLESS").is_some() {
        fs::write(&file, &text).unwrap();
    }
    let expected = fs::read_to_string(&file).unwrap();
    for (found, expected) in text.split("\n$ ").zip(expected.split("\n$ ")) {
        assert_eq!(found, expected, "AMIKO_BLESS=1 writes it anew");
    }
    assert_eq!(text.len(), expected.len());
}

#[test]
fn a_shell_gets_completions_and_man_gets_its_page() {
    assert!(said(&["completions", "bash"]).contains("complete -F _amiko"));
    assert!(said(&["man"]).contains(".TH amiko 1"));
}

#[test]
fn no_command_changes_anything() {
    let folder = fixture();
    let read = |path: &Path| -> Vec<(PathBuf, Vec<u8>)> {
        let mut files: Vec<_> = fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.clone(), fs::read(path).unwrap()))
            .collect();
        files.sort();
        files
    };
    let before = read(folder.path());
    let directory = folder.path().to_str().unwrap();
    for command in ["show", "log", "stat", "export"] {
        assert!(amiko(&[command, directory]).status.success(), "{command}");
    }
    assert_eq!(read(folder.path()), before);
}

/// CRC-32C, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82F6_3B78 & (crc & 1).wrapping_neg()))
    };
    !bytes.iter().fold(!0, step)
}

#[test]
fn what_is_damaged_is_said_with_its_place() {
    let folder = fixture();
    let directory = folder.path().to_str().unwrap();
    let journal = folder.path().join("journal-4.jsonl");
    let text = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, text.replacen("Green", "Brown", 1)).unwrap();
    for arguments in
        [vec!["log", directory], vec!["blame", directory, "/state/note"], vec!["show", directory, "--at", "5"]]
    {
        let said = said(&arguments);
        assert!(said.contains("journal-4.jsonl:2 (byte 77): expected checksum"), "{said}");
        assert!(said.ends_with("exit 4\n"), "{said}");
    }
    let verified = said(&["verify", directory]);
    assert!(verified.contains("journal-4.jsonl:2 (byte 77)") && verified.ends_with("exit 4\n"), "{verified}");
    let other = fixture();
    let snapshot = other.path().join("snapshot-3.json");
    let text = fs::read_to_string(&snapshot).unwrap();
    let (body, _) = text.rsplit_once(",\n\"crc\":").unwrap();
    let body = body.replacen("Red", "Green", 1);
    fs::write(&snapshot, format!("{body},\n\"crc\":\"{:08x}\"}}\n", crc32c(body.as_bytes()))).unwrap();
    let verified = said(&["verify", other.path().to_str().unwrap()]);
    assert!(verified.contains("expected the state that the journal leads to, found others"), "{verified}");
    assert!(verified.ends_with("exit 4\n"), "{verified}");
    let nothing = tempfile::tempdir().unwrap();
    for command in ["show", "log", "stat", "export", "verify"] {
        let said = said(&[command, nothing.path().to_str().unwrap()]);
        assert!(said.contains("found n") && said.ends_with("exit 3\n"), "{said}");
    }
    assert!(said(&["log", "/no/such/directory"]).ends_with("exit 3\n"));
}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine)]
struct Notes {
    last: String,
}

#[derive(Clone, Serializable)]
struct Write {
    text: String,
}

impl StateMachine for Notes {
    type Node = Self;
    type Message = Write;

    fn handle(&mut self, Write { text }: Write, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
        self.last = text;
        Ok(())
    }
}

#[test]
fn a_directory_in_use_is_followed_and_nothing_hostile_reaches_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let mut engine = Engine::<Notes>::open(Directory::open(folder.path()).unwrap(), Settings::default()).unwrap();
    let mut write = |text: &str| {
        engine.send(&Id::node(), Write { text: text.into() }, Time::from_secs(1_800_000_000)).unwrap();
        engine.sync().unwrap();
    };
    write("first");
    let mut follow = Command::new(env!("CARGO_BIN_EXE_amiko"))
        .args(["log", "--follow", folder.path().to_str().unwrap()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.next().unwrap().contains(r#"last = "first""#));
    write("\u{1b}[2J\u{202e}evil\n");
    let line = lines.next().unwrap();
    assert!(line.contains("evil") && !line.contains(['\u{1b}', '\u{202e}']), "{line:?}");
    follow.kill().unwrap();
    follow.wait().unwrap();
    let shown = said(&["show", folder.path().to_str().unwrap()]);
    assert!(shown.contains("evil") && !shown.contains(['\u{1b}', '\u{202e}']), "{shown:?}");
}

#[test]
fn a_directory_in_use_is_copied_and_the_copy_opens() {
    let folder = tempfile::tempdir().unwrap();
    let [from, to] = ["from", "to"].map(|name| folder.path().join(name));
    let [from, to] = [from.to_str().unwrap(), to.to_str().unwrap()];
    let mut engine = Engine::<Notes>::open(Directory::open(from).unwrap(), Settings::default()).unwrap();
    for text in ["one", "two"] {
        engine.send(&Id::node(), Write { text: text.into() }, Time::from_secs(1)).unwrap();
    }
    engine.sync().unwrap();

    let copied = said(&["copy", from, to]);
    assert!(
        copied.starts_with("copied versions 0 to 2 to ") && copied.ends_with("read back, and the same\nexit 0\n"),
        "{copied}"
    );
    assert!(said(&["verify", to]).ends_with("no file is damaged; it opens at version 2\nexit 0\n"));
    let show = |directory| said(&["export", directory]);
    assert_eq!(show(from), show(to));
    // It still runs, and knows nothing of the copy.
    engine.send(&Id::node(), Write { text: "three".into() }, Time::from_secs(2)).unwrap();
    engine.sync().unwrap();
    let again = said(&["copy", from, to]);
    assert!(again.contains("expected the name of a new directory") && again.ends_with("exit 3\n"), "{again}");
}

#[test]
fn an_output_that_cannot_be_written_is_an_error_and_a_closed_pipe_is_none() {
    let folder = fixture();
    let directory = folder.path().to_str().unwrap();
    if let Ok(full) = fs::OpenOptions::new().write(true).open("/dev/full") {
        let status = Command::new(env!("CARGO_BIN_EXE_amiko")).args(["log", directory]).stdout(full).status().unwrap();
        assert_eq!(status.code(), Some(1));
    }
    let mut child = Command::new(env!("CARGO_BIN_EXE_amiko"))
        .args(["show", directory, "--entries", "0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[cfg(unix)]
#[test]
fn more_files_than_a_process_may_open_are_walked() {
    const FILES: usize = 100;
    let folder = tempfile::tempdir().unwrap();
    let (mut store, mut settings) = (DirectorySettings::default(), Settings::default());
    (store.retention, store.segment_chunk) = (Retention::Forever, 1_024);
    // A snapshot after each event, and a journal after each snapshot.
    (settings.snapshot_minimum, settings.snapshot_ratio) = (1, 0);
    let store = Directory::open_with(folder.path(), store).unwrap();
    let mut engine = Engine::<Notes>::open(store, settings).unwrap();
    let journals = || {
        let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_str().unwrap().starts_with("journal-")).count()
    };
    let mut events = 0;
    while journals() < FILES {
        events += 1;
        engine.send(&Id::node(), Write { text: format!("event {events}") }, Time::from_secs(1)).unwrap();
        engine.sync().unwrap();
        assert!(events < 10 * FILES);
    }
    drop(engine);
    let limited = Command::new("sh")
        .args(["-c", "ulimit -n 80; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_amiko"), "log"])
        .arg(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8(limited.stdout).unwrap();
    assert_eq!(said.lines().count(), events, "{}", String::from_utf8_lossy(&limited.stderr));
}

/// `AMIKO_RECORDS` says how many.
#[cfg(unix)]
#[test]
fn any_number_of_records_is_walked_within_bounded_memory() {
    /// In KiB, of addresses: far less than there is to read.
    const MEMORY: u64 = 60_000;
    let records: u64 = std::env::var("AMIKO_RECORDS").map_or(10_000, |records| records.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let mut store = DirectorySettings::default();
    // Each of them is there to be read.
    store.retention = Retention::Forever;
    let store = Directory::open_with(folder.path(), store).unwrap();
    let mut engine = Engine::<Notes>::open(store, Settings::default()).unwrap();
    let text = "x".repeat(5_000.min(200_000_000 / records as usize));
    for number in 0..records {
        let text = format!("{number} {text}");
        engine.send(&Id::node(), Write { text }, Time::from_secs(1_800_000_000)).unwrap();
        if number % 500 == 0 {
            engine.sync().unwrap();
        }
    }
    engine.sync().unwrap();
    drop(engine);
    let size: u64 = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert!(size > MEMORY * 1_024 * 3 / 2, "{size}");
    for arguments in [vec!["log", "--last", "1"], vec!["log", "--rejected"], vec!["stat"]] {
        let begun = std::time::Instant::now();
        let (mut screen, stderr) = common::terminal(24);
        let mut limited = Command::new("sh");
        limited.args(["-c", &format!("ulimit -v {MEMORY}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_amiko")]);
        limited.args(&arguments).arg(folder.path()).stdout(Stdio::piped()).stderr(stderr);
        let mut running = limited.spawn().unwrap();
        drop(limited);
        let told = std::thread::spawn(move || {
            let (mut told, mut some) = (Vec::new(), [0; 4096]);
            // The other end of a terminal that is closed is an error.
            while let Ok(length @ 1..) = screen.read(&mut some) {
                told.extend_from_slice(&some[..length]);
            }
            String::from_utf8(told).unwrap()
        });
        let mut said = String::new();
        running.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        let (status, told, took) = (running.wait().unwrap(), told.join().unwrap(), begun.elapsed());
        assert!(status.success(), "{arguments:?}: {told}");
        match arguments.as_slice() {
            ["log", "--last", ..] => assert!(said.trim_start().starts_with(&format!("{records}  ")), "{}", said.len()),
            ["log", ..] => assert_eq!(said, ""),
            _ => assert!(
                said.contains(&format!("{records} events since version 1,"))
                    && said.contains(&format!("{records} events began with Write\n")),
                "{said}"
            ),
        }
        // Who waits for long is told how far it is, and nothing of that stays.
        assert!(took < Duration::from_secs(2) || told.contains(" events read"), "{took:?}: {told:?}");
        assert!(told.is_empty() || told.ends_with("\r\u{1b}[K"), "{told:?}");
        println!("{arguments:?}: {records} records, {} MB, in {took:?}", size / 1_000_000);
    }
}
