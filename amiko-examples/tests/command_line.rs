//! What commands print and answer, and how they fail: for people, and with `--json` for programs. Real processes.

#![allow(clippy::unwrap_used, clippy::panic)]

mod pseudo_terminal;

use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_amiko-node");

/// A running node; killed when the test ends.
struct Node {
    directory: PathBuf,
    process: Child,
    started: Value,
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Node {
    fn run(directory: &Path, arguments: &[&str]) -> Self {
        let mut process = command(directory, &["run", "--json"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let started = serde_json::from_str(&line).unwrap_or_else(|_| {
            let mut said = String::new();
            process.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            panic!("the node didn't start: {said}")
        });
        // It is never read: what a node of a test logs is far less than a pipe takes.
        Self { directory: directory.to_owned(), process, started }
    }

    fn new(root: &Path, name: &str) -> Self {
        Self::run(&root.join(name), &["--listen", "127.0.0.1:0"])
    }

    fn command(&self, arguments: &[&str]) -> Output {
        command(&self.directory, arguments).output().unwrap()
    }

    /// What a command that works prints.
    fn says(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", error(&output));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.says(&[arguments, &["--json"]].concat())).unwrap()
    }

    /// Asks the node until its answer is as it should be.
    fn until(&self, arguments: &[&str], reached: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let found = self.json(arguments);
            if reached(&found) {
                return found;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{found}");
        }
    }

    fn kill_and_restart(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        let listen = self.started["listen"].as_str().unwrap().to_owned();
        *self = Self::run(&self.directory.clone(), &["--listen", &listen]);
    }
}

fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.arg("--dir").arg(directory).args(arguments).stdin(Stdio::null());
    command
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A command that fails with this exit code, and says these words.
fn fails(output: &Output, code: i32, words: &[&str]) -> String {
    let said = error(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    words.iter().for_each(|word| assert!(said.contains(word), "{word:?} in {said}"));
    said
}

/// Two nodes with a link, a channel from the second one, and a meeting point on the first.
fn pair(root: &Path) -> (Node, Node) {
    let (a, b) = (Node::new(root, "a"), Node::new(root, "b"));
    a.says(&["meeting-point", "add", "hub"]);
    b.says(&["link", "add", "to_a", "--to", &a.says(&["link", "add", "to_b"])]);
    b.says(&["deposit", "to_a", "1000"]);
    a.until(&["list"], |list| list["state"]["links"]["to_b"]["channels"][0]["amountRemote"] == 1000);
    (a, b)
}

#[test]
fn a_text_that_is_too_long_is_named_with_its_limit_and_the_node_goes_on() {
    let root = tempfile::tempdir().unwrap();
    let node = Node::new(root.path(), "a");
    node.says(&["meeting-point", "add", "hub"]);
    node.says(&["link", "add", "ann"]);
    let long = "x".repeat(70_000);
    let words = ["expected a receipt of at most 10000 bytes, found 70000"];
    fails(&node.command(&["request", "1", "--receipt", &long]), 1, &words);
    // More than the node takes as one command.
    let classes = ["a", "b", "c", "d"].map(|class| class.repeat(70_000));
    let classes = [&["link", "accept", "ann"][..], &classes.each_ref().map(String::as_str)].concat();
    fails(&node.command(&classes), 1, &["expected a command of less than 262144 bytes, found 280", "in its classes"]);
    node.says(&["list"]);
}

#[test]
fn json_has_each_text_as_it_is() {
    let root = tempfile::tempdir().unwrap();
    let (a, b) = pair(root.path());
    let url = a.says(&["request", "1", "--receipt", "!hurry"]);
    assert_eq!(b.json(&["pay", "--yes", &url])["receipt"], "!hurry");
    let payments = b.json(&["payments"]);
    assert_eq!(payments[0]["receipt"], "!hurry");
    let transaction = payments[0]["transaction"].as_str().unwrap();
    assert!(transaction.len() == 64 && transaction.bytes().all(|byte| byte.is_ascii_hexdigit()), "{transaction}");
    let list = b.says(&["list", "--json"]);
    assert!(list.contains("\"!hurry\"") && !list.contains("\"!x"), "{list}");
}

#[test]
fn a_node_says_only_addresses_that_others_can_dial() {
    let root = tempfile::tempdir().unwrap();
    for listen in ["0.0.0.0:0", "[::]:0", "[::ffff:0.0.0.0]:0"] {
        let output = command(&root.path().join("a"), &["run", "--listen", listen]).output().unwrap();
        fails(&output, 2, &["expected --advertise HOST:PORT with --listen", "all addresses"]);
    }
    for advertise in ["0.0.0.0:4321", "[::]:4321", "example.org:0"] {
        let arguments = ["run", "--listen", "127.0.0.1:0", "--advertise", advertise];
        let output = command(&root.path().join("a"), &arguments).output().unwrap();
        fails(&output, 2, &["expected --advertise with an address that others can dial", advertise]);
    }
    assert!(!root.path().join("a").exists());
    let arguments = ["--listen", "0.0.0.0:0", "--advertise", "example.org:4000"];
    let node = Node::run(&root.path().join("a"), &arguments);
    assert!(node.says(&["link", "add", "ann"]).contains("@example.org:4000/ann?invitation="));
}

#[test]
fn names_can_be_listened_on() {
    let root = tempfile::tempdir().unwrap();
    let node = Node::run(&root.path().join("a"), &["--listen", "localhost:0"]);
    let listen = node.started["listen"].as_str().unwrap();
    assert!(listen.starts_with("127.0.0.1:") || listen.starts_with("[::1]:"), "{listen}");
    let output = command(&root.path().join("b"), &["run", "--listen", "nowhere.invalid:0"]).output().unwrap();
    fails(&output, 1, &["to listen on, found \"nowhere.invalid\""]);
}

#[test]
fn what_cannot_be_written_is_a_failure_and_a_secret_is_shown_again_until_it_is_used() {
    let root = tempfile::tempdir().unwrap();
    let a = Node::new(root.path(), "a");
    let full = |arguments: &[&str]| {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = command(&a.directory, arguments).stdout(full).output().unwrap();
        fails(&output, 1, &["can't write to standard output: No space left on device"]);
    };
    full(&["list"]);
    full(&["list", "--json"]);
    full(&["link", "add", "to_b"]);
    let url = a.says(&["link", "add", "to_b"]);
    assert!(url.contains("?invitation="));
    assert_eq!(a.says(&["link", "add", "to_b"]), url);
    // Whoever reads and has gone has what it wanted.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert!(command(&a.directory, &["list"]).stdout(writer).status().unwrap().success());

    let b = Node::new(root.path(), "b");
    for _ in 0..2 {
        assert!(!b.says(&["link", "add", "to_a", "--to", &url]).contains("invitation"));
    }
    a.until(&["list"], |list| list["state"]["links"]["to_b"]["key"].is_string());
    fails(&a.command(&["link", "add", "to_b"]), 1, &["expected a new name, found link to_b there already"]);
    let other = a.says(&["link", "add", "to_c"]);
    fails(&b.command(&["link", "add", "to_a", "--to", &other]), 1, &["expected a new name"]);
}

/// A `pay` at a terminal that has asked.
fn asked(node: &Node, url: &str) -> (Child, File, BufReader<std::process::ChildStderr>) {
    let (terminal, stdin) = pseudo_terminal::open();
    let mut pay = command(&node.directory, &["pay", url]).stdin(stdin).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(pay.stderr.take().unwrap());
    let mut text = Vec::new();
    said.read_until(b']', &mut text).unwrap();
    assert!(text.ends_with(b"pay it? [y/N]"), "{}", String::from_utf8_lossy(&text));
    (pay, terminal, said)
}

#[test]
fn a_payment_goes_on_where_it_stands_after_a_restart_of_its_payer() {
    let root = tempfile::tempdir().unwrap();
    let (a, mut b) = pair(root.path());
    let url = a.says(&["request", "10"]);
    let (mut pay, terminal, _) = asked(&b, &url);
    b.kill_and_restart();
    drop(terminal);
    pay.wait().unwrap();
    // It asks again, and a user that leaves without an answer may come back.
    let (mut pay, terminal, mut said) = asked(&b, &url);
    let interrupted = Command::new("kill").arg("-INT").arg(pay.id().to_string()).status().unwrap();
    assert!(interrupted.success());
    said.read_to_end(&mut Vec::new()).unwrap();
    assert!(!pay.wait().unwrap().success());
    drop(terminal);
    let (mut pay, mut terminal, mut said) = asked(&b, &url);
    terminal.write_all(&[4]).unwrap(); // Ctrl-D, the end of all that is typed
    let mut text = String::new();
    said.read_to_string(&mut text).unwrap();
    assert!(text.contains("nobody agreed, and the request stands"), "{text}");
    assert_eq!(pay.wait().unwrap().code(), Some(1));
    fails(&b.command(&["pay", &url]), 1, &["expected a terminal to ask on", "the request stands"]);
    assert_eq!(b.json(&["pay", "--yes", &url])["outcome"], "committed");
}

#[test]
fn a_user_that_is_asked_can_say_no() {
    let root = tempfile::tempdir().unwrap();
    let (a, b) = pair(root.path());
    let url = a.says(&["request", "10", "--receipt", "tea"]);
    let (mut pay, mut terminal, mut said) = asked(&b, &url);
    terminal.write_all(b"n\n").unwrap();
    let mut text = String::new();
    said.read_to_string(&mut text).unwrap();
    assert!(text.contains("the payment was cancelled: not agreed; nothing was paid"), "{text}");
    assert_eq!(pay.wait().unwrap().code(), Some(1));
    let record = &b.json(&["payments"])[0];
    assert_eq!((&record["receipt"], &record["reason"]), (&"tea".into(), &"not agreed".into()));
}

/// The one document of a command that fails.
fn failure(output: &Output, exit: i32, code: &str) -> Value {
    assert_eq!(output.status.code(), Some(exit), "{}", error(output));
    let document: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stdout)));
    assert_eq!(document["error"]["code"], code, "{document}");
    let message = document["error"]["message"].as_str().unwrap();
    let said = error(output);
    assert!(said.contains(message.lines().next().unwrap()), "{message:?} in {said:?}");
    document
}

#[test]
fn each_failure_is_one_document_with_its_code() {
    let root = tempfile::tempdir().unwrap();
    let (a, b) = pair(root.path());
    let none = root.path().join("none");
    let json = |directory: &Path, arguments: &[&str]| command(directory, arguments).arg("--json").output().unwrap();
    failure(&json(&none, &["list"]), 3, "not-running");
    failure(&json(&none, &["lisst"]), 2, "usage");
    failure(&json(&none, &["pay", "http://example.org", "--yes"]), 2, "usage");
    failure(&json(&none, &["run", "--listen", "0.0.0.0:0"]), 2, "usage");
    failure(&json(&none, &["verify"]), 1, "refused");
    let refused = failure(&json(&a.directory, &["deposit", "nowhere", "5"]), 1, "refused");
    assert_eq!(refused.as_object().unwrap().len(), 1);
    let url = a.says(&["request", "5000"]);
    failure(&json(&b.directory, &["pay", &url]), 1, "not-agreed");
    let cancelled = failure(&json(&b.directory, &["pay", &url, "--yes"]), 1, "cancelled");
    assert_eq!((&cancelled["outcome"], &cancelled["amount"]), (&"cancelled".into(), &5000.into()));

    let directory = a.directory.clone();
    drop(a);
    let snapshot = directory.join("snapshot-0.json");
    let text = fs::read_to_string(&snapshot).unwrap();
    fs::write(&snapshot, text.replace("\"links\"", "\"lynx\"")).unwrap();
    let damaged = failure(&json(&directory, &["verify"]), 4, "damaged");
    assert_eq!(damaged["healthy"], false);
    failure(&json(&directory, &["run", "--listen", "127.0.0.1:0"]), 4, "damaged");
}

#[test]
fn a_directory_of_another_user_is_not_a_node_that_does_not_run() {
    let root = tempfile::tempdir().unwrap();
    let node = Node::new(root.path(), "a");
    // Whoever may do everything is somebody else for once, and who has the binary out of reach gets a copy.
    let program = root.path().join("amiko-node");
    fs::copy(BINARY, &program).unwrap();
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&node.directory, fs::Permissions::from_mode(0o000)).unwrap();
    let root_user = fs::read_dir(&node.directory).is_ok();
    for arguments in [&["list"][..], &["run", "--listen", "127.0.0.1:0"], &["verify"]] {
        let mut command = Command::new(&program);
        command.arg("--dir").arg(&node.directory).args(arguments).arg("--json").stdin(Stdio::null());
        if root_user {
            command.uid(65_534).gid(65_534);
        }
        let document = failure(&command.output().unwrap(), 1, "permission-denied");
        assert!(document["error"]["message"].as_str().unwrap().starts_with("permission denied: "), "{document}");
    }
    fs::set_permissions(&node.directory, fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn the_directory_and_the_version_have_their_names() {
    let root = tempfile::tempdir().unwrap();
    let version = Command::new(BINARY).arg("--version").output().unwrap();
    assert_eq!(String::from_utf8(version.stdout).unwrap(), "amiko-node 0.1.0\n");
    let node = Node::new(root.path(), "a");
    let listed = Command::new(BINARY).args(["list"]).env("AMIKO_DIR", &node.directory).output().unwrap();
    assert!(listed.status.success(), "{}", error(&listed));
    let mut nobody = Command::new(BINARY);
    let output = nobody.arg("list").env_remove("AMIKO_DIR").env("XDG_STATE_HOME", root.path()).output().unwrap();
    let expected = root.path().join("amiko");
    fails(&output, 3, &[expected.to_str().unwrap()]);
    let mut nobody = Command::new(BINARY);
    let output = nobody.arg("list").env_clear().output().unwrap();
    fails(&output, 2, &["expected --dir DIR"]);
}

#[test]
fn a_node_whose_terminal_is_gone_stops_cleanly() {
    let root = tempfile::tempdir().unwrap();
    let mut node = Node::new(root.path(), "a");
    let hung_up = Command::new("kill").arg("-HUP").arg(node.process.id().to_string()).status().unwrap();
    assert!(hung_up.success());
    assert_eq!(node.process.wait().unwrap().code(), Some(0));
    assert!(!node.directory.join("control.sock").exists());
}
