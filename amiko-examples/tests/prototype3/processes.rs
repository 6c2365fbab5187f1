//! Three real processes on the network of the prototype, with real files, and `kill -9`; and when a process refuses to start.

use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_amiko-node");

/// A running node; killed when the test ends.
pub(crate) struct Node {
    directory: PathBuf,
    process: Child,
    pub(crate) started: Value,
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn amiko_node(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(BINARY).arg("--dir").arg(directory).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn run(directory: &Path, listen: &str, network: &str) -> Node {
    let mut process = Command::new(BINARY)
        .args(["run", "--json", "--network", network, "--listen", listen, "--external-meeting-point", "hub", "--dir"])
        .arg(directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let started = serde_json::from_str(&line).unwrap_or_else(|_| panic!("the node didn't start: {line:?}"));
    Node { directory: directory.to_owned(), process, started }
}

impl Node {
    pub(crate) fn new(root: &Path, name: &str) -> Self {
        run(&root.join(name), "127.0.0.1:0", "prototype3")
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let output = amiko_node(&self.directory, &[arguments, &["--json"]].concat());
        assert!(output.status.success(), "{arguments:?}: {}", error(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    pub(crate) fn url(&self, arguments: &[&str]) -> String {
        self.json(arguments)["url"].as_str().unwrap().to_owned()
    }

    /// Everything on a channel that isn't claimed, and nothing else is under way.
    pub(crate) fn at_rest(&self, link: &str) -> Option<(u64, u64)> {
        let state = &self.json(&["list"])["state"];
        let channel = &state["links"][link]["channels"][0];
        let empty = |object: &Value| object.as_object().is_none_or(serde_json::Map::is_empty);
        let idle = ["transactions", "payers", "payees"].iter().all(|table| empty(&state[table]));
        let routes = empty(&state["links"][link]["routes"]);
        let has = (channel["amountLocal"].as_u64()?, channel["amountRemote"].as_u64()?);
        (idle && routes).then_some(has)
    }

    pub(crate) fn kill_and_restart(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        let listen = self.started["listen"].as_str().unwrap().to_owned();
        *self = run(&self.directory.clone(), &listen, "prototype3");
    }
}

/// A – B – C, with channels of 1000 that A and B have put in, and a meeting point on B.
fn line(root: &Path) -> (Node, Node, Node) {
    let (a, b, c) = (Node::new(root, "a"), Node::new(root, "b"), Node::new(root, "c"));
    let url = a.url(&["link", "add", "to_b"]);
    assert_eq!(url, format!("amikolink://{}/to_b", a.started["listen"].as_str().unwrap()));
    b.url(&["link", "add", "to_a", "--to", &url]);
    let url = b.url(&["link", "add", "to_c"]);
    c.url(&["link", "add", "to_b", "--to", &url]);
    a.json(&["deposit", "to_b", "1000"]);
    b.json(&["deposit", "to_c", "1000"]);
    b.json(&["meeting-point", "add", "hub"]);
    (a, b, c)
}

/// Waits until nothing is under way, and gives what A and C have; both ends of each channel agree.
fn settled(a: &Node, b: &Node, c: &Node) -> (u64, u64) {
    let begun = Instant::now();
    loop {
        let ends = [a.at_rest("to_b"), b.at_rest("to_a"), c.at_rest("to_b"), b.at_rest("to_c")];
        if let [Some(a), Some(to_a), Some(c), Some(to_c)] = ends
            && a == (to_a.1, to_a.0)
            && c == (to_c.1, to_c.0)
        {
            assert_eq!((a.0 + a.1, c.0 + c.1), (1000, 1000));
            return (a.0, c.0);
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{ends:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Pays in the background.
pub(crate) fn pay(payer: &Node, payee: &Node, amount: u64) -> Child {
    let url = payee.url(&["request", &amount.to_string()]);
    assert!(url.starts_with(&format!("amikopay://{}/", payee.started["listen"].as_str().unwrap())), "{url}");
    let mut pay = Command::new(BINARY);
    pay.arg("--dir").arg(&payer.directory).args(["pay", &url, "--yes"]).stdin(Stdio::null());
    pay.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn three_processes_pay_each_other_and_the_one_in_the_middle_is_killed() {
    let root = tempfile::tempdir().unwrap();
    let (a, mut b, c) = line(root.path());
    assert_eq!((&a.started["network"], &a.started["key"]), (&"prototype3".into(), &Value::Null));
    assert!(!a.directory.join("key").exists());
    let mut expected = (1000, 0);
    assert_eq!(settled(&a, &b, &c), expected);
    for (payer, payee, amount, after) in
        [(&a, &c, 300, (700, 300)), (&c, &a, 100, (800, 200)), (&a, &b, 50, (750, 200)), (&b, &c, 25, (750, 225))]
    {
        assert!(pay(payer, payee, amount).wait().unwrap().success());
        expected = after;
        assert_eq!(settled(&a, &b, &c), expected);
    }
    // Killed while payments are under way, again and again: each of them is over at both ends, or at none.
    for _ in 0..3 {
        let mut payments: Vec<_> = (0..4).map(|_| pay(&a, &c, 10)).collect();
        b.kill_and_restart();
        let paid = payments.iter_mut().map(|payment| payment.wait().unwrap()).filter(|status| status.success());
        let paid = 10 * paid.count() as u64;
        expected = (expected.0 - paid, expected.1 + paid);
        assert_eq!(settled(&a, &b, &c), expected);
    }
    assert!(pay(&c, &a, 7).wait().unwrap().success());
    assert_eq!(settled(&a, &b, &c), (expected.0 + 7, expected.1 - 7));
}

/// Why a node doesn't start, and its exit code.
fn refusal(directory: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut run = Command::new(BINARY);
    run.arg("--dir").arg(directory).arg("run").args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = run.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    // One that has started has said so.
    drop(process.kill());
    let output = process.wait_with_output().unwrap();
    assert_eq!(line, "");
    (output.status.code(), error(&output))
}

#[test]
fn a_node_that_others_could_reach_is_not_run_without_being_asked_to() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("a");
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let (code, said) = refusal(&directory, &["--network", "prototype3", "--listen", listen]);
        assert_eq!(code, Some(2));
        assert!(said.contains("--insecure") && said.contains(listen), "{said}");
    }
    let (code, said) = refusal(&directory, &["--network", "prototype4", "--listen", "127.0.0.1:0"]);
    assert_eq!(code, Some(2));
    assert!(said.contains(r#"expected "amiko" or "prototype3", found "prototype4""#), "{said}");
    assert!(!directory.exists());
    let asked = ["run", "--json", "--network", "prototype3", "--listen", "0.0.0.0:0", "--insecure", "--dir"];
    let mut process = Command::new(BINARY).args(asked).arg(&directory).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    process.kill().unwrap();
    process.wait().unwrap();
    assert!(line.contains("0.0.0.0:"), "{line}");
}

#[test]
fn a_process_says_nothing_that_a_prototype_does_not_know() {
    let root = tempfile::tempdir().unwrap();
    let node = Node::new(root.path(), "a");
    node.json(&["link", "add", "a"]);
    node.json(&["deposit", "a", "7"]);
    let mut stream = TcpStream::connect(node.started["listen"].as_str().unwrap()).unwrap();
    let hello = r#"{"index": null, "message": {"ID": "a", "dice": "!x1186f949", "callbackHost": null, "callbackPort": null, "callbackID": "b", "_class": "ConnectLink"}}"#;
    let deposit =
        r#"{"index": 0, "message": {"channelIndex": 1, "channelClass": "PlainChannel", "_class": "Deposit"}}"#;
    stream.write_all(format!("{hello}\n{deposit}\n").as_bytes()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut lines: Vec<String> = BufReader::new(stream).lines().take(3).map(Result::unwrap).collect();
    lines.sort();
    let expected = [
        r#"{"index":0,"message":{"_class":"Deposit","channelIndex":0,"channelClass":"PlainChannel"}}"#,
        r#"{"index":1,"message":{"_class":"ChannelMessage","channelIndex":0,"message":{"_class":"PlainChannel_Deposit","amount":7}}}"#,
        r#"{"received":0}"#,
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_state_belongs_to_one_network() {
    let root = tempfile::tempdir().unwrap();
    for (own, other) in [("amiko", "prototype3"), ("prototype3", "amiko")] {
        let directory = root.path().join(own);
        drop(run(&directory, "127.0.0.1:0", own));
        let (code, said) = refusal(&directory, &["--network", other, "--listen", "127.0.0.1:0"]);
        assert_eq!(code, Some(1));
        assert!(said.contains(&format!("found one on {own}")) && said.contains(&format!("--network {own}")), "{said}");
        let node = run(&directory, "127.0.0.1:0", own);
        assert_eq!(node.json(&["list"])["state"]["network"], own);
    }
}
