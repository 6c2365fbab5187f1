//! No text from outside reaches a terminal but what is printable: each character that could do harm, as the functions show
//! it, and through every command, as a name, a path, a receipt, a line of the log and a part of the state.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use amiko_examples::printable::{is_printable, json, plain};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

const BINARY: &str = env!("CARGO_BIN_EXE_amiko-node");

/// What may not be shown, as the Unicode standard lists it, and not as any table of ours or of a library does.
const HIDDEN: &[RangeInclusive<u32>] = &[
    0x0..=0x1f,         // C0
    0x7f..=0x9f,        // DEL and C1
    0xad..=0xad,        // soft hyphen
    0x34f..=0x34f,      // combining grapheme joiner
    0x600..=0x605,      // format characters of Arabic
    0x61c..=0x61c,      // Arabic letter mark
    0x115f..=0x1160,    // fillers of Hangul
    0x17b4..=0x17b5,    // inherent vowels of Khmer
    0x180b..=0x180f,    // selectors and separator of Mongolian
    0x200b..=0x200f,    // zero-width, and marks of direction
    0x2028..=0x202e,    // separators of lines and paragraphs, and directions
    0x2060..=0x206f,    // joiners and invisible operators, and isolates
    0x3164..=0x3164,    // filler of Hangul
    0xe000..=0xf8ff,    // private use
    0xfdd0..=0xfdef,    // no characters
    0xfe00..=0xfe0f,    // variation selectors
    0xfeff..=0xfeff,    // byte order mark
    0xffa0..=0xffa0,    // filler of Hangul
    0xfff0..=0xfffb,    // unassigned, and annotations
    0xfffe..=0xffff,    // no characters
    0x1bca0..=0x1bca3,  // format controls of shorthand
    0x1d173..=0x1d17a,  // format controls of music
    0x1fffe..=0x1ffff,  // no characters
    0x50000..=0xdffff,  // planes without a character
    0xe0000..=0xe0fff,  // tags, variation selectors, and what is left for more
    0xf0000..=0x10ffff, // private use, and no characters
];

fn hidden() -> impl Iterator<Item = char> {
    HIDDEN.iter().cloned().flatten().map(|code| char::from_u32(code).unwrap())
}

/// Every hidden character; of the ranges that are long, both ends. An argument has no NUL.
fn harm() -> String {
    let ends = |range: &RangeInclusive<u32>| {
        let (first, last) = (*range.start(), *range.end());
        if last - first < 0x100 { range.clone().collect() } else { vec![first, first + 1, last - 1, last] }
    };
    let codes = HIDDEN.iter().flat_map(ends).filter(|code| *code > 0);
    let all: String = codes.map(|code| char::from_u32(code).unwrap()).collect();
    format!("a\nFORGED\r{all}\u{1b}[31mz")
}

/// The same for a name of a file, which has a limited length: one of each kind.
const HARMFUL_NAME: &str = "a\nFORGED\u{1b}[2J\u{9b}\u{61c}\u{200b}\u{202e}\u{2028}\u{fe0f}\u{e000}\u{e0041}\u{feff}z";

/// Asserts that all of a text is printable, in lines that the program began.
fn check(what: &dyn std::fmt::Debug, bytes: &[u8]) -> String {
    let text = std::str::from_utf8(bytes).unwrap();
    for (number, line) in text.lines().enumerate() {
        let bad = line.chars().find(|character| HIDDEN.iter().any(|range| range.contains(&(*character as u32))));
        assert_eq!(bad, None, "{what:?}, line {number}: {line:?}");
        assert_eq!(plain(line), line, "{what:?}, line {number}");
        assert!(!line.starts_with("FORGED"), "{what:?}: {text:?}");
    }
    text.to_owned()
}

#[test]
fn every_character_that_could_do_harm_is_escaped_and_no_other() {
    for character in hidden() {
        assert!(!is_printable(character), "{character:?}");
    }
    let shown = "the quick brown fox – “¿ñ”, e\u{301}, ß Ωж שלום سلام हिन्दी ไทย 日本語 한국어 ➜ ═ 😀 \\ \" ' \u{a0}";
    assert!(shown.chars().all(is_printable));
    assert_eq!((plain(shown), json(shown)), (shown.to_owned(), shown.to_owned()));
    for code in 0..=0x0010_ffff_u32 {
        let Some(character) = char::from_u32(code) else { continue };
        let text = format!("a{character}b");
        let (plain, said) = (plain(&text), json(&serde_json::to_string(&text).unwrap()));
        assert_eq!(plain == text, is_printable(character), "{character:?}");
        assert!(plain.chars().all(is_printable) && said.chars().all(is_printable), "{character:?}");
        assert_eq!(serde_json::from_str::<String>(&said).unwrap(), text);
        if !is_printable(character) {
            assert!(plain.is_ascii() && said.is_ascii(), "{character:?}");
        }
    }
}

#[test]
fn a_json_text_keeps_its_value_and_its_lines() {
    let text = "{\n\t\"\u{202e}\u{7f}\": [\"\u{e0041}\", \"\\u0000\\n\u{2028}\"]\r\n}\n";
    let said = json(text);
    assert_eq!(said, "{\n\t\"\\u202e\\u007f\": [\"\\udb40\\udc41\", \"\\u0000\\n\\u2028\"]\r\n}\n");
    assert_eq!(serde_json::from_str::<Value>(&said).unwrap(), serde_json::from_str::<Value>(text).unwrap());
}

/// A node with a name that could do harm; killed when the test ends.
struct Node {
    directory: PathBuf,
    process: Child,
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Node {
    fn run(directory: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(BINARY);
        command.args(["run", "--listen", "127.0.0.1:0"]).args(arguments).arg("--dir");
        let mut process = command.arg(directory).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = Vec::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_until(b'\n', &mut line).unwrap();
        assert!(check(&"run", &line).contains(r"a\nFORGED\u{1b}[2J"), "{line:?}");
        Self { directory: directory.to_owned(), process }
    }

    /// Stops the node, and gives its log.
    fn stop(mut self) -> String {
        let told = Command::new("kill").arg("-TERM").arg(self.process.id().to_string()).status().unwrap();
        assert!(told.success());
        let mut log = Vec::new();
        self.process.stderr.take().unwrap().read_to_end(&mut log).unwrap();
        assert_eq!(self.process.wait().unwrap().code(), Some(0));
        check(&"the log", &log)
    }

    fn says(&self, code: i32, arguments: &[&str]) -> String {
        says(&self.directory, "false", code, arguments)
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&outputs(&self.directory, "false", 0, &[arguments, &["--json"]].concat()).0).unwrap()
    }

    fn url(&self, arguments: &[&str]) -> String {
        self.json(arguments)["url"].as_str().unwrap().to_owned()
    }
}

/// What a command says on standard output and on standard error, checked.
fn outputs(directory: &Path, editor: &str, code: i32, arguments: &[&str]) -> (String, String) {
    let mut command = Command::new(BINARY);
    command.env_remove("VISUAL").env("EDITOR", editor).arg("--dir").arg(directory).args(arguments);
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
    let said = (check(&arguments, &stdout), check(&arguments, &stderr));
    assert_eq!(status.code(), Some(code), "{arguments:?}: {said:?}");
    said
}

/// The same, together.
fn says(directory: &Path, editor: &str, code: i32, arguments: &[&str]) -> String {
    let (output, error) = outputs(directory, editor, code, arguments);
    output + &error
}

#[test]
fn names_receipts_and_paths_are_escaped_by_every_command() {
    let root = tempfile::tempdir().unwrap();
    let harm = harm();
    let directory = root.path().join(HARMFUL_NAME);
    // Nobody could pay a node that names such a meeting point, but this one only pays.
    let a = Node::run(&directory, &["--external-meeting-point", &harm]);
    let b = Node::run(&root.path().join(format!("{HARMFUL_NAME}b")), &["--log", "json"]);
    let url = a.url(&["link", "add", "to_b"]);
    b.url(&["link", "add", "to_a", "--to", &url]);
    a.json(&["deposit", "to_b", "1000"]);
    b.json(&["meeting-point", "add", "hub"]);

    // Names that there aren't, or may not be, and values that can't be read.
    for arguments in [
        &["link", "add", &format!("_{harm}")][..],
        &["link", "renew", &harm],
        &["link", "reconcile", &harm],
        &["link", "accept", &harm, "PlainChannel"],
        &["link", "accept", "to_b", &harm],
        &["deposit", &harm, "5"],
        &["deposit", "to_b", "5", "--class", &harm],
        &["withdraw", &harm, "0"],
        &["meeting-point", "add", &harm],
        &["request", "5", "--via", &harm],
        &["run", "--listen", "127.0.0.1:0"],
    ] {
        a.says(1, arguments);
        a.says(1, &[arguments, &["--json"]].concat());
    }
    for arguments in [
        &["link", "add", "x", "--to", &harm][..],
        &["link", "renew", "to_b", "--to", &harm],
        &["withdraw", "to_b", &harm],
        &["deposit", "to_b", &harm],
        &["request", &harm],
        &["pay", &harm],
        &["run", "--listen", &harm],
        &["run", "--advertise", &harm],
        &["run", "--network", &harm],
        &["run", "--limit", &harm],
        &["run", "--limit", &format!("{harm}=5")],
        &["run", "--log", &harm],
        &[&harm],
        &[&format!("--{harm}")],
    ] {
        assert!(a.says(2, arguments).contains("FORGED"), "{arguments:?}");
    }

    // A link may be called anything.
    for arguments in [
        &["link", "add", &harm][..],
        &["link", "renew", &harm],
        &["link", "reconcile", &harm],
        &["link", "accept", &harm, "PlainChannel"],
        &["deposit", &harm, "5"],
        &["list", "--link", &harm],
        &["list"],
    ] {
        a.says(0, arguments);
        a.says(0, &[arguments, &["--json"]].concat());
    }
    // Nobody is there to carry a payment.
    a.says(0, &["withdraw", &harm, "0"]);
    a.says(0, &["withdraw", &harm, "1"]);
    says(&root.path().join(format!("{HARMFUL_NAME}c")), "false", 3, &["list"]);

    // A receipt that the payee has written: where it is asked, agreed to and listed, on both sides, and as the same value.
    a.says(1, &["pay", &b.url(&["request", "5", "--receipt", &harm])]);
    let asked = a.says(0, &["pay", "--yes", &b.url(&["request", "5", "--receipt", &harm])]);
    assert!(asked.contains(r#"pay 5 for "a\nFORGED\r"#), "{asked}");
    let record = a.json(&["pay", "--yes", &b.url(&["request", "5", "--receipt", &harm])]);
    assert_eq!(record["receipt"], harm.as_str());
    for node in [&a, &b] {
        assert!(node.says(0, &["payments"]).contains(r"a\nFORGED\r\u{1}\u{2}"));
        assert_eq!(node.json(&["payments"])[1]["receipt"], harm.as_str());
    }
    assert!(a.says(0, &["list"]).contains(r"a\nFORGED"));
    assert_eq!(a.json(&["list"])["state"]["externalMeetingPoints"][0], harm.as_str());
    a.says(1, &["pay", "--yes", "--via", &harm, &b.url(&["request", "5"])]);

    // The log, as text and as JSON.
    assert!(b.stop().lines().all(|line| serde_json::from_str::<Value>(line).unwrap()["text"].is_string()));
    assert!(a.stop().contains("disconnected from"));

    // The commands for a node that is stopped: what `edit` shows, and what is wrong with a file.
    let (draft, changed) = (root.path().join("draft"), root.path().join("changed"));
    let copy = format!("f() {{ cp \"$1\" {}; }}; f", draft.display());
    assert!(says(&directory, &copy, 0, &["edit", "--yes"]).contains("nothing was changed"));
    let text = fs::read_to_string(&draft).unwrap();
    let mut state: Value = serde_json::from_str(&text).unwrap();
    state["state"]["externalMeetingPoints"] = Value::Array(vec![format!("{harm}, changed").into()]);
    state["state"]["meetingPoints"] = serde_json::json!({});
    fs::write(&changed, serde_json::to_string_pretty(&state).unwrap()).unwrap();
    let change = format!("cp {}", changed.display());
    let shown = says(&directory, &change, 0, &["edit", "--yes"]);
    assert!(shown.contains("/state/externalMeetingPoints") && shown.contains("FORGED"), "{shown}");
    state["seq"] = (state["seq"].as_u64().unwrap() + 1).into();
    fs::write(&changed, serde_json::to_string(&state).unwrap().replace(", changed", "")).unwrap();
    let (document, _) = outputs(&directory, &change, 0, &["edit", "--yes", "--json"]);
    let patch: Value = serde_json::from_str(&document).unwrap();
    assert!(patch["patch"].to_string().contains("FORGED"), "{patch}");
    for bad in [format!("{{\"{HARMFUL_NAME}"), text.replacen("\"links\"", &format!("\"{}\"", &HARMFUL_NAME[9..]), 1)] {
        fs::write(&changed, bad).unwrap();
        says(&directory, &change, 1, &["edit", "--yes"]);
    }
    says(&directory, &format!("false {HARMFUL_NAME}").replace('\n', " "), 1, &["edit", "--yes"]);
    fs::write(directory.join(format!("snapshot-{HARMFUL_NAME}.json")), HARMFUL_NAME).unwrap();
    let snapshots = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path());
    for path in snapshots.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl")) {
        let journal = fs::read_to_string(&path).unwrap().replacen("\"seq\"", &format!("\"{}\"", &HARMFUL_NAME[9..]), 1);
        fs::write(&path, journal).unwrap();
    }
    for command in [&["verify"][..], &["verify", "--json"], &["run"]] {
        says(&directory, "false", 4, command);
    }
    for command in [&["repair"][..], &["repair", "--yes", "--json"]] {
        let mut repair = Command::new(BINARY);
        let output = repair.args(command).arg("--dir").arg(&directory).stdin(Stdio::null()).output().unwrap();
        check(&command, &output.stdout);
        check(&command, &output.stderr);
    }
}

#[test]
fn names_that_a_command_line_or_a_path_would_misread_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let node = Node::run(&root.path().join(HARMFUL_NAME), &[]);
    for name in ["-", "-x", "--yes", "--", ".", ".."] {
        let said = node.says(1, &["link", "add", "--", name]);
        let rule = if name.starts_with('-') { "that doesn't begin with '-'" } else { "other than '.' and '..'" };
        assert!(said.contains(&format!("expected a link's name {rule}")), "{name:?}: {said}");
        assert!(said.contains("(a rule of this node, on any network)"), "{name:?}: {said}");
        let said = node.says(1, &["meeting-point", "add", "--", name]);
        assert!(said.contains("doesn't begin with '_' or '-' and isn't '.', '..'"), "{name:?}: {said}");
    }
    for name in ["a-", "a.b", ".a", "...", "a..b"] {
        node.says(0, &["link", "add", name]);
        node.says(0, &["meeting-point", "add", name]);
    }
}
