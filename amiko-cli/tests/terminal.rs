//! What a terminal gets: colours, and a pager for what is longer than the screen.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]
#![cfg(unix)]

mod common;

use common::{fixture, said, terminal};
use std::fs::{self, File};
use std::io::Read;
use std::process::{Child, Command, Stdio};

const BEGINS: &str = "sed s/^/|/";

/// A terminal, and the command that writes to it; killed when the test ends.
struct Shown {
    terminal: File,
    process: Child,
    text: String,
}

impl Drop for Shown {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Shown {
    /// On a screen of so many rows.
    fn begin(rows: u16, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let (terminal, screen) = terminal(rows);
        let mut command = Command::new(env!("CARGO_BIN_EXE_amiko"));
        command.args(arguments).env("TERM", "xterm").env_remove("NO_COLOR").envs(variables.iter().copied());
        let process = command.stdin(Stdio::null()).stdout(screen).stderr(Stdio::null()).spawn().unwrap();
        Self { terminal, process, text: String::new() }
    }

    /// Reads until the terminal shows this, or until nobody writes any more.
    fn until(&mut self, words: &str) -> &str {
        let mut bytes = std::mem::take(&mut self.text).into_bytes();
        let mut some = [0; 4096];
        while !String::from_utf8_lossy(&bytes).contains(words) {
            match self.terminal.read(&mut some) {
                // The other end of a terminal that is closed is an error.
                Ok(0) | Err(_) => break,
                Ok(length) => bytes.extend_from_slice(&some[..length]),
            }
        }
        self.text = String::from_utf8(bytes).unwrap().replace("\r\n", "\n");
        &self.text
    }

    /// All of it, and the exit code.
    fn end(mut self) -> (String, Option<i32>) {
        self.until("\0");
        (std::mem::take(&mut self.text), self.process.wait().unwrap().code())
    }
}

fn shown(rows: u16, arguments: &[&str], variables: &[(&str, &str)]) -> (String, Option<i32>) {
    Shown::begin(rows, arguments, variables).end()
}

/// The same text without colours.
fn bare(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').unwrap().1)
}

#[test]
fn keys_values_and_changes_have_colours_unless_nobody_wants_them() {
    let folder = fixture();
    let directory = folder.path().to_str().unwrap();
    let text = |arguments: &[&str]| shown(200, arguments, &[("PAGER", BEGINS)]).0;
    let state = text(&["show", directory]);
    for part in
        ["\u{1b}[36mnote\u{1b}[0m: \u{1b}[33m\"edited\"\u{1b}[0m", "\u{1b}[36mratio\u{1b}[0m: \u{1b}[35m0.1\u{1b}[0m"]
    {
        assert!(state.contains(part), "{state}");
    }
    let log = text(&["log", directory]);
    for part in [
        "\u{1b}[32m+ things/second ",
        "\u{1b}[31m- things/second\u{1b}[0m",
        "\u{1b}[1;31mrejected: no \"reason\" (in Reject to thing ~a/b)\u{1b}[0m",
    ] {
        assert!(log.contains(part), "{log}");
    }
    let diff = text(&["diff", directory, "3", "9"]);
    for part in [
        "\u{1b}[32m+ /connections/peer~11/outbox/1: \"count 7\"\u{1b}[0m",
        "\u{1b}[31m- /state/things/second: {",
        "\u{1b}[36m/connections/peer~11/sent\u{1b}[0m: \u{1b}[31m0\u{1b}[0m → \u{1b}[32m2\u{1b}[0m",
    ] {
        assert!(diff.contains(part), "{diff}");
    }
    for arguments in [vec!["show", directory], vec!["log", directory, "-p"], vec!["diff", directory, "3", "9"]] {
        let plain = said(&arguments).replace("exit 0\n", "");
        assert!(!plain.contains('\u{1b}'), "{plain}");
        assert_eq!(bare(&text(&arguments)), plain);
        assert_eq!(shown(200, &arguments, &[("NO_COLOR", "1"), ("PAGER", "")]).0, plain);
    }
}

#[test]
fn what_is_longer_than_the_screen_goes_through_the_pager() {
    let folder = fixture();
    let directory = folder.path().to_str().unwrap();
    let plain = said(&["show", directory]).replace("exit 0\n", "");
    let lines = u16::try_from(plain.lines().count()).unwrap();
    // A row is left for what comes next.
    assert_eq!(bare(&shown(lines + 1, &["show", directory], &[("PAGER", BEGINS)]).0), plain);
    let paged: String = plain.lines().map(|line| format!("|{line}\n")).collect();
    let (text, code) = shown(lines, &["show", directory], &[("PAGER", BEGINS)]);
    assert_eq!((bare(&text), code), (paged, Some(0)));
    // The lines of a log are longer than the screen is wide.
    assert!(bare(&shown(13, &["log", directory], &[("PAGER", BEGINS)]).0).starts_with("|       1  "));
    for pager in ["", " ", "/no/such/pager"] {
        assert_eq!(bare(&shown(3, &["show", directory], &[("PAGER", pager)]).0), plain, "{pager:?}");
    }
    let (document, code) = shown(3, &["show", directory, "--json"], &[("PAGER", BEGINS)]);
    assert!(document.starts_with("{\n") && !document.contains(['|', '\u{1b}']), "{document}");
    assert_eq!(code, Some(0));
    let mut follow = Shown::begin(3, &["log", directory, "--follow"], &[("PAGER", BEGINS)]);
    let followed = follow.until("\"edited\"");
    assert!(followed.contains("\"edited\"") && !followed.contains('|'), "{followed}");
    // Where there is no terminal, there is no pager.
    let piped =
        Command::new(env!("CARGO_BIN_EXE_amiko")).args(["show", directory]).env("PAGER", BEGINS).output().unwrap();
    assert_eq!(String::from_utf8(piped.stdout).unwrap(), plain);
}

#[test]
fn who_leaves_the_pager_early_ends_the_command_and_damage_is_still_told() {
    let folder = fixture();
    let directory = folder.path().to_str().unwrap();
    let (text, code) = shown(3, &["show", directory], &[("PAGER", "head -n 2")]);
    assert_eq!((text.lines().count(), code), (2, Some(0)), "{text}");
    // Ctrl-C is the pager's.
    let pager = folder.path().join("pager");
    fs::write(&pager, "trap '' INT\nkill -INT $PPID\ncat\n").unwrap();
    let pager = format!("sh {}", pager.display());
    let (text, code) = shown(3, &["show", directory], &[("PAGER", &pager)]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(bare(&text), said(&["show", directory]).replace("exit 0\n", ""));
    let journal = folder.path().join("journal-4.jsonl");
    fs::write(&journal, fs::read_to_string(&journal).unwrap().replacen("Green", "Brown", 1)).unwrap();
    let (text, code) = shown(2, &["log", directory], &[("PAGER", BEGINS)]);
    assert!(bare(&text).contains("|       3  ") && !text.contains("|       4  "), "{text}");
    assert_eq!(code, Some(4));
}
