//! Twelve nodes, each a process, linked as in the example of the protocol's description.

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The links between neighbours.
const LINKS: [(usize, usize); 11] =
    [(0, 1), (1, 2), (2, 3), (2, 4), (2, 8), (8, 9), (4, 5), (5, 6), (5, 7), (5, 10), (10, 11)];

/// The node where payments meet.
const HUB: usize = 4;

/// The node that a browser looks at: payments pass it, begin at it, and end at it.
pub(crate) const SHOWN: usize = 2;

/// What each end of each link puts into a channel of its own.
pub(crate) const DEPOSIT: u64 = 1_000;

/// A running node; killed when the test ends.
pub(crate) struct Node {
    pub(crate) directory: PathBuf,
    process: Child,
    /// What it said when it was ready.
    pub(crate) started: Value,
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Node {
    fn spawn(directory: &Path, arguments: &[&str]) -> Child {
        let mut command = Command::new(crate::variable("AMIKO_NODE"));
        command.args(["run", "--json", "--listen", "127.0.0.1:0", "--dir"]).arg(directory).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// What a command says, as JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let mut command = Command::new(crate::variable("AMIKO_NODE"));
        let output = command.arg("--json").args(arguments).arg("--dir").arg(&self.directory).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}{}", String::from_utf8_lossy(&output.stdout));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn url(&self, arguments: &[&str]) -> String {
        self.json(arguments)["url"].as_str().unwrap().to_owned()
    }

    /// The address for a browser.
    pub(crate) fn inspect(&self) -> &str {
        self.started["inspect"].as_str().unwrap()
    }
}

/// The twelve nodes.
pub(crate) struct Network {
    nodes: Vec<Node>,
    _root: TempDir,
}

impl Network {
    /// Starts the nodes, links them, and lets each pay another one.
    pub(crate) fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        let arguments = |number: usize| {
            let meets = ["--external-meeting-point", "hub"].into_iter().filter(|_| number != HUB);
            let shows = ["--inspect", "127.0.0.1:0"].into_iter().filter(|_| number == SHOWN);
            meets.chain(shows).collect::<Vec<_>>()
        };
        let mut nodes: Vec<Node> = (0..12)
            .map(|number| {
                let directory = root.path().join(number.to_string());
                let process = Node::spawn(&directory, &arguments(number));
                Node { directory, process, started: Value::Null }
            })
            .collect();
        for node in &mut nodes {
            let mut line = String::new();
            BufReader::new(node.process.stdout.take().unwrap()).read_line(&mut line).unwrap();
            node.started = serde_json::from_str(&line).unwrap();
        }
        let network = Self { nodes, _root: root };
        network.nodes[HUB].json(&["meeting-point", "add", "hub"]);
        LINKS.iter().for_each(|&(one, other)| network.link(one, other));
        (0..12).for_each(|payer| network.pay(payer, (payer + 5) % 12, 10 + payer as u64, "coffee"));
        network.rest();
        network
    }

    fn link(&self, one: usize, other: usize) {
        let (there, back) = (format!("to_{other}"), format!("to_{one}"));
        let url = self.nodes[one].url(&["link", "add", &there]);
        self.nodes[other].json(&["link", "add", &back, "--to", &url]);
        self.nodes[one].json(&["deposit", &there, &DEPOSIT.to_string()]);
        self.nodes[other].json(&["deposit", &back, &DEPOSIT.to_string()]);
    }

    /// Pays, and waits until it is over.
    pub(crate) fn pay(&self, payer: usize, payee: usize, amount: u64, receipt: &str) {
        let url = self.nodes[payee].url(&["request", &amount.to_string(), "--receipt", receipt]);
        let record = self.nodes[payer].json(&["pay", &url, "--yes"]);
        assert_eq!(record["outcome"], "committed", "{payer} to {payee}: {record}");
    }

    /// Waits until no message is under way.
    pub(crate) fn rest(&self) {
        let begun = Instant::now();
        let waits = |node: &Node| {
            let state = node.json(&["list"]);
            let connections = state["connections"].as_object().unwrap();
            connections.values().any(|connection| connection["outbox"] != serde_json::json!({}))
        };
        // Whoever was at rest may have been given something by the next one meanwhile.
        while self.nodes.iter().filter(|node| waits(node)).count() > 0 {
            assert!(begun.elapsed() < Duration::from_secs(60), "messages are still under way");
        }
    }

    /// The node that a browser looks at.
    pub(crate) fn shown(&self) -> &Node {
        &self.nodes[SHOWN]
    }
}
