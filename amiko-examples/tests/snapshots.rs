//! What each command prints, and each refusal, as its user sees it: compared with `snapshots.txt`. `AMIKO_BLESS=1` writes that
//! file anew, so that a change of a table or a sentence is seen by whoever reads the change. Real processes.
//!
//! What is random, or of this machine, is replaced by something of the same length, so that tables keep their widths.

#![allow(clippy::unwrap_used, clippy::panic)]

mod node;

use node::{Node, amiko_node};
use std::fmt::Write;
use std::path::Path;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots.txt");

struct Session<'n> {
    nodes: [(&'static str, &'n Node); 2],
    root: &'n Path,
    said: String,
}

impl Session<'_> {
    /// A command to a node, as it is typed, and what came of it.
    fn types(&mut self, node: usize, arguments: &[&str]) {
        let (name, node) = self.nodes[node];
        self.notes(name, arguments, &node.command(arguments));
    }

    /// A command in a directory without a running node.
    fn types_in(&mut self, directory: &str, arguments: &[&str]) {
        let output = amiko_node(&self.root.join(directory), arguments);
        self.notes(directory, arguments, &output);
    }

    fn notes(&mut self, directory: &str, arguments: &[&str], output: &std::process::Output) {
        let quoted =
            |argument: &&str| if argument.contains(' ') { format!("'{argument}'") } else { (*argument).into() };
        let words: Vec<String> = arguments.iter().map(quoted).collect();
        writeln!(self.said, "{directory}$ amiko-node {}", words.join(" ")).unwrap();
        self.said += &String::from_utf8_lossy(&output.stderr);
        self.said += &String::from_utf8_lossy(&output.stdout);
        match output.status.code() {
            Some(0) => {}
            code => writeln!(self.said, "[exit {}]", code.unwrap()).unwrap(),
        }
        self.said.push('\n');
    }

    /// Everything that was said, without what differs each time.
    fn said(self) -> String {
        let mut said = self.said;
        for (number, (_, node)) in (1..).zip(self.nodes) {
            let (_, port) = node.listen.split_once(':').unwrap();
            let same = format!("{number}").repeat(port.len());
            said = said.replace(&format!("127.0.0.1:{port}"), &format!("127.0.0.1:{same}"));
        }
        said = said.replace(self.root.to_str().unwrap(), "/tmp/nodes");
        without_times(&without_hex(&said))
    }
}

/// Keys, secrets, and the IDs of payments and transactions.
fn without_hex(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(|character: char| character.is_ascii_hexdigit()) {
        let (before, from) = rest.split_at(start);
        let end = from.find(|character: char| !character.is_ascii_hexdigit()).unwrap_or(from.len());
        let (digits, after) = from.split_at(end);
        out += before;
        // Too long for a word or a number.
        let random = digits.len() >= 16 && digits.bytes().any(|byte| byte.is_ascii_digit());
        if random {
            out.extend(digits.bytes().map(|_| 'f'))
        } else {
            out += digits
        }
        rest = after;
    }
    out + rest
}

/// Moments, how long something took, numbers of processes, and numbers of timers, which are there for a few seconds.
fn without_times(text: &str) -> String {
    let moment = |line: &str| {
        let mut line = line.to_owned();
        while let Some(at) = line.find("202").filter(|at| line[*at..].chars().nth(4) == Some('-')) {
            let end = line[at..].find(['Z', ' ']).map_or(line.len(), |length| at + length);
            let same: String = line[at..end].chars().map(|c| if c.is_ascii_digit() { '1' } else { c }).collect();
            line.replace_range(at..end, &same);
        }
        for (before, after) in [(" transactions, ", " timers"), ("paid 7 in ", ""), ("(pid ", ")")] {
            if let Some((start, rest)) = line.split_once(before) {
                let rest = rest.find(after).filter(|_| !after.is_empty()).map_or("", |at| &rest[at + after.len()..]);
                line = format!("{start}{before}…{after}{rest}");
            }
        }
        line
    };
    text.lines().map(|line| moment(line) + "\n").collect()
}

/// The channel of the two at rest, with so much for the first one.
fn rest(node: &Node, link: &str, local: u64) {
    node.until(&["list", "--link", link], |link| {
        link["connected"] == true && link["unconfirmed"] == 0 && link["local"] == local && link["reserved"] == 0
    });
}

#[test]
fn every_command_says_what_it_has_always_said() {
    let root = tempfile::tempdir().unwrap();
    let ann = Node::run(&root.path().join("ann"), "127.0.0.1:0", &[]);
    let bob = Node::run(&root.path().join("bob"), "127.0.0.1:0", &["--external-meeting-point", "hub"]);
    let mut it = Session { nodes: [("ann", &ann), ("bob", &bob)], root: root.path(), said: String::new() };
    let [a, b] = [0, 1];
    // A node that has nothing yet.
    it.types(a, &["list"]);
    it.types(a, &["requests"]);
    it.types(a, &["payments"]);
    // Two neighbours.
    it.types(a, &["meeting-point", "add", "hub"]);
    it.types(a, &["link", "add", "bob"]);
    it.types(a, &["link", "add", "bob"]);
    it.types(a, &["list"]);
    let url = ann.url(&["link", "renew", "bob"]);
    it.types(b, &["link", "add", "ann", "--to", &url]);
    bob.until(&["list", "--link", "ann"], |link| link["connected"] == true);
    it.types(b, &["deposit", "ann", "1000"]);
    rest(&ann, "bob", 0);
    rest(&bob, "ann", 1000);
    it.types(a, &["list", "--link", "bob"]);
    it.types(b, &["deposit", "ann", "0"]);
    it.types(b, &["deposit", "nobody", "1"]);
    it.types(b, &["deposit", "ann", "1", "--class", "IouChannel"]);
    it.types(b, &["link", "accept", "ann", "NoSuchChannel"]);
    it.types(b, &["link", "accept", "ann", "PlainChannel", "IouChannel"]);
    // A payment, and what can go wrong with one.
    it.types(a, &["request", "7", "--receipt", "two coffees"]);
    it.types(a, &["requests"]);
    let requested = ann.json(&["requests"]);
    let (payment, url) = (requested[0]["payment"].as_str().unwrap(), requested[0]["url"].as_str().unwrap());
    it.types(b, &["pay", url]);
    it.types(b, &["pay", url, "--yes"]);
    rest(&ann, "bob", 7);
    rest(&bob, "ann", 993);
    it.types(b, &["pay", url, "--yes"]);
    it.types(b, &["payments"]);
    it.types(a, &["payments"]);
    it.types(a, &["cancel", payment]);
    it.types(a, &["request", "0"]);
    let url = ann.url(&["request", "2000"]);
    it.types(b, &["pay", &url, "--yes"]);
    it.types(b, &["pay", "http://example.org", "--yes"]);
    // Taking back.
    ann.url(&["request", "3"]);
    it.types(a, &["cancel", ann.json(&["requests"])[0]["payment"].as_str().unwrap()]);
    it.types(b, &["link", "remove", "ann"]);
    it.types(b, &["link", "remove", "nobody"]);
    it.types(b, &["withdraw", "ann", "3"]);
    it.types(b, &["withdraw", "ann", "0"]);
    bob.until(&["list", "--link", "ann"], |link| link["unconfirmed"] == 0 && link["channels"][0]["state"] == "closed");
    it.types(b, &["list", "--link", "ann"]);
    it.types(b, &["link", "reconcile", "ann"]);
    it.types(a, &["meeting-point", "remove", "hub"]);
    it.types(a, &["meeting-point", "remove", "hub"]);
    it.types(b, &["link", "remove", "ann"]);
    // While it runs, nobody else may change its files.
    it.types(a, &["run", "--listen", "127.0.0.1:0"]);
    it.types(a, &["edit"]);
    it.types(a, &["verify"]);
    it.types(a, &["repair"]);
    // What isn't a command, and whom nobody hears.
    it.types_in("nobody", &["list"]);
    it.types_in("nobody", &["list", "--json"]);
    it.types_in("nobody", &["verify"]);
    it.types_in("nobody", &["pay"]);
    it.types_in("nobody", &["dance"]);
    it.types_in("nobody", &["run", "--network", "prototype4"]);
    it.types_in("nobody", &["run", "--limit", "links=3"]);
    it.types_in("nobody", &["run", "--payout-address", "1BoatSLRHtKNngkdXEeobR76b53LETtpyX"]);
    it.types_in("nobody", &["demo", "--watch"]);
    it.types_in("nobody", &["--version"]);
    let said = it.said();
    if std::env::var_os("AMIKO_BLESS").is_some() {
        std::fs::write(FILE, &said).unwrap();
    }
    let expected = std::fs::read_to_string(FILE).unwrap();
    let differs = said.lines().zip(expected.lines()).position(|(said, expected)| said != expected);
    if let Some(line) = differs.or((said.len() != expected.len()).then_some(0)) {
        let [found, expected] = [&said, &expected].map(|text| {
            text.lines().skip(line.saturating_sub(4)).take(9).map(|line| format!("    {line}\n")).collect::<String>()
        });
        panic!("{FILE}:{}: expected\n{expected}found\n{found}\nif this is better, run it with AMIKO_BLESS=1", line + 1);
    }
}
