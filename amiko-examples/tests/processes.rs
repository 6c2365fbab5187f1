//! Real processes, real sockets, real files: the commands as a user types them, and `kill -9`.

#![allow(clippy::unwrap_used, clippy::panic)]

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

const BINARY: &str = env!("CARGO_BIN_EXE_amiko-node");

/// A running node; killed when the test ends.
struct Node {
    directory: PathBuf,
    process: Child,
    listen: String,
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn run(directory: &Path, listen: &str) -> Node {
    let mut process = Command::new(BINARY)
        .args(["run", "--json", "--listen", listen, "--external-meeting-point", "hub", "--dir"])
        .arg(directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The node says when it is ready.
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let started: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("the node didn't start: {line:?}"));
    let listen = started["listen"].as_str().unwrap().to_owned();
    Node { directory: directory.to_owned(), process, listen }
}

impl Node {
    fn new(root: &Path, name: &str) -> Self {
        run(&root.join(name), "127.0.0.1:0")
    }

    fn command(&self, arguments: &[&str]) -> Output {
        amiko_node(&self.directory, arguments)
    }

    /// The one JSON document that a command prints.
    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.command(&[arguments, &["--json"]].concat());
        assert!(output.status.success(), "{arguments:?}: {}", error(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn url(&self, arguments: &[&str]) -> String {
        self.json(arguments)["url"].as_str().unwrap().to_owned()
    }

    fn kill_and_restart(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        *self = run(&self.directory.clone(), &self.listen.clone());
    }
}

fn amiko_node(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(BINARY).arg("--dir").arg(directory).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A – B – C, with channels and a meeting point on B.
fn line(root: &Path) -> (Node, Node, Node) {
    let (a, b, c) = (Node::new(root, "a"), Node::new(root, "b"), Node::new(root, "c"));
    let url = a.url(&["link", "add", "to_b"]);
    b.url(&["link", "add", "to_a", "--to", &url]);
    let url = b.url(&["link", "add", "to_c"]);
    c.url(&["link", "add", "to_b", "--to", &url]);
    a.json(&["deposit", "to_b", "1000"]);
    b.json(&["deposit", "to_c", "1000"]);
    b.json(&["meeting-point", "add", "hub"]);
    (a, b, c)
}

/// What both ends of a channel have, each seen from its node.
fn ends(one: &Node, link: &str, other: &Node, back: &str) -> [(u64, u64); 2] {
    let amounts = |node: &Node, link: &str| {
        let channel = &node.json(&["list"])["state"]["links"][link]["channels"][0];
        (channel["amountLocal"].as_u64().unwrap(), channel["amountRemote"].as_u64().unwrap())
    };
    let (local, remote) = amounts(other, back);
    [amounts(one, link), (remote, local)]
}

/// Everything in a state directory is JSON: documents, and lines.
fn assert_readable(directory: &Path) {
    let mut read = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if !matches!(extension, Some("json" | "jsonl")) {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        read += 1;
        if extension == Some("json") {
            serde_json::from_str::<Value>(&text).unwrap();
        } else {
            text.lines().filter(|line| !line.is_empty()).for_each(|line| {
                serde_json::from_str::<Value>(line)
                    .unwrap_or_else(|error| panic!("{}: {error}: {line}", path.display()));
            });
        }
    }
    assert!(read >= 2);
}

#[test]
fn three_processes_pay_over_the_one_in_the_middle() {
    let root = tempfile::tempdir().unwrap();
    let (a, b, c) = line(root.path());
    let url = c.url(&["request", "123", "--receipt", "two coffees"]);
    let record = a.json(&["pay", &url, "--yes"]);
    assert_eq!((&record["outcome"], &record["amount"]), (&"committed".into(), &123.into()));
    assert_eq!(ends(&a, "to_b", &b, "to_a")[0], (877, 123));
    let log = c.json(&["payments"]);
    assert_eq!((&log[0]["role"], &log[0]["receipt"]), (&"payee".into(), &"two coffees".into()));

    let refused = a.command(&["pay", &c.url(&["request", "5"])]);
    assert_eq!(refused.status.code(), Some(1), "nobody agreed");
    let too_much = a.command(&["pay", &c.url(&["request", "5000"]), "--yes"]);
    assert_eq!(too_much.status.code(), Some(1));
    assert!(error(&too_much).contains("cancelled"), "{}", error(&too_much));
    assert_eq!(ends(&a, "to_b", &b, "to_a"), [(877, 123); 2]);
}

#[test]
fn killing_the_hub_in_the_middle_of_payments_loses_nothing() {
    let root = tempfile::tempdir().unwrap();
    let (a, mut b, c) = line(root.path());
    let mut paid = 0;
    for round in 0..6 {
        let url = c.url(&["request", "10"]);
        let mut pay = Command::new(BINARY)
            .args(["pay", "--yes", &url, "--dir"])
            .arg(&a.directory)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // "pay 10" is said when the payer is about to agree: from here on the hub is busy with the payment.
        let mut said = BufReader::new(pay.stderr.take().unwrap());
        said.read_line(&mut String::new()).unwrap();
        for _ in 0..round {
            drop(b.command(&["payments"]));
        }
        b.kill_and_restart();
        assert_readable(&b.directory);
        let mut rest = String::new();
        said.read_to_string(&mut rest).unwrap();
        match pay.wait().unwrap().code() {
            Some(0) => paid += 10,
            Some(1) => assert!(rest.contains("cancelled"), "{rest}"),
            other => panic!("expected committed or cancelled, found {other:?}: {rest}"),
        }
    }
    // One more payment goes through when all is quiet, and what was said before it has been said by then.
    a.json(&["pay", &c.url(&["request", "1"]), "--yes"]);
    paid += 1;
    let log = c.json(&["payments"]);
    let received: u64 = log
        .as_array()
        .unwrap()
        .iter()
        .filter(|record| record["outcome"] == "committed")
        .map(|record| record["amount"].as_u64().unwrap())
        .sum();
    assert_eq!(received, paid);
    assert_eq!(ends(&a, "to_b", &b, "to_a"), [(1000 - paid, paid); 2]);
    assert_eq!(ends(&b, "to_c", &c, "to_b"), [(1000 - paid, paid); 2]);
}

#[test]
fn what_goes_wrong_is_said_in_one_sentence_with_its_exit_code_and_changes_nothing() {
    let root = tempfile::tempdir().unwrap();
    let a = Node::new(root.path(), "a");
    let check = |output: Output, code: i32, words: &[&str]| {
        let said = error(&output);
        assert_eq!(output.status.code(), Some(code), "{said}");
        words.iter().for_each(|word| assert!(said.contains(word), "{word:?} in {said}"));
    };
    check(a.command(&["deposit", "nowhere", "5"]), 1, &["nowhere", "there is none"]);
    check(a.command(&["link", "add", "_hidden"]), 1, &["expected a name"]);
    check(a.command(&["request", "0"]), 1, &["above 0"]);
    check(a.command(&["pay", "http://example.org"]), 2, &["amikopay://HOST:PORT/PAYMENT"]);
    check(amiko_node(&root.path().join("b"), &["list"]), 3, &["amiko-node run --dir"]);
    check(amiko_node(&a.directory, &["run", "--listen", "127.0.0.1:0"]), 1, &["another process (pid"]);
    check(amiko_node(&root.path().join("b"), &["run", "--listen", &a.listen]), 1, &[&a.listen, "another process"]);
    assert!(!root.path().join("b").exists(), "a port in use changes nothing");
    assert!(a.json(&["list"])["state"]["links"].as_object().unwrap().is_empty());
}

#[test]
fn a_garbled_state_file_is_refused_with_its_place_and_left_as_it_is() {
    let root = tempfile::tempdir().unwrap();
    let a = Node::new(root.path(), "a");
    a.url(&["link", "add", "to_b"]);
    let directory = a.directory.clone();
    drop(a);
    let snapshot = directory.join("snapshot-0.json");
    let text = std::fs::read_to_string(&snapshot).unwrap().replace("\"links\"", "\"lynx\"");
    std::fs::write(&snapshot, &text).unwrap();
    let output = amiko_node(&directory, &["run", "--listen", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(4), "{}", error(&output));
    assert!(error(&output).contains("snapshot-0.json"), "{}", error(&output));
    assert_eq!(std::fs::read_to_string(&snapshot).unwrap(), text);
}

#[test]
fn bad_lines_from_the_network_close_their_socket_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let (a, b, c) = line(root.path());
    let long = format!("{{\"index\":null,\"message\":\"{}\"}}\n", "x".repeat(70_000));
    let deep = format!("{}\n", "[".repeat(1000));
    for bad in
        ["not json\n", "{}\n", "{\"index\":0,\"message\":{\"_class\":\"Cancel\"}}\n", "\u{1f600}\n", &long, &deep]
    {
        let mut socket = TcpStream::connect(&b.listen).unwrap();
        socket.write_all(bad.as_bytes()).unwrap();
        // The node answers with the end of the stream; it may also have reset it.
        drop(socket.read_to_end(&mut Vec::new()));
    }
    // A stranger that claims a link but speaks nonsense on it.
    let mut socket = TcpStream::connect(&b.listen).unwrap();
    socket
        .write_all(b"{\"index\":null,\"message\":{\"_class\":\"ConnectLink\",\"ID\":\"no_link\",\"dice\":\"!x00000000\",\"callbackHost\":null,\"callbackPort\":null,\"callbackID\":\"x\"}}\n")
        .unwrap();
    drop(socket.read_to_end(&mut Vec::new()));
    let record = a.json(&["pay", &c.url(&["request", "7"]), "--yes"]);
    assert_eq!(record["outcome"], "committed");
}

#[test]
fn the_demo_prints_one_document_and_ends_consistent() {
    let output = Command::new(BINARY)
        .args(["demo", "--payments", "20", "--concurrency", "5", "--json"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", error(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["consistent"], true);
    assert_eq!(report["payments"].as_array().unwrap().len(), 20);
    assert_eq!(report["nodes"].as_array().unwrap().len(), 12);
}
