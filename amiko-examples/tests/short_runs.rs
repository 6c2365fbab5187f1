//! A node that never runs for long, as a real process: what it leaves on disk.

#![allow(clippy::unwrap_used, clippy::panic)]

mod node;

use node::Node;
use std::path::Path;

const HUB: &[&str] = &["--external-meeting-point", "hub"];

/// What a node is asked while it runs: each request has a long receipt, so that the state grows.
fn work(node: &Node) {
    let receipt = "x".repeat(9_000);
    (0..2).for_each(|_| drop(node.url(&["request", "5", "--receipt", &receipt])));
}

/// Every other run is killed; the others stop when they are told to.
fn end(mut node: Node, killed: bool) {
    node.signal(if killed { "KILL" } else { "TERM" });
    node.process.wait().unwrap();
}

fn bytes(path: &Path) -> u64 {
    std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

#[test]
fn a_node_that_never_runs_for_long_leaves_no_more_than_twice_what_one_leaves_that_does() {
    let runs = std::env::var("AMIKO_RUNS").map_or(40, |runs| runs.parse().unwrap());
    let root = tempfile::tempdir().unwrap();
    let [long, short] = ["long", "short"].map(|name| root.path().join(name));
    let node = Node::run(&long, "127.0.0.1:0", HUB);
    let mut most_of_long = 0;
    for _ in 0..runs {
        work(&node);
        most_of_long = most_of_long.max(bytes(&long));
    }
    end(node, false);
    let mut most_of_short = 0;
    for number in 0..runs {
        let node = Node::run(&short, "127.0.0.1:0", HUB);
        work(&node);
        end(node, number % 2 == 0);
        most_of_short = most_of_short.max(bytes(&short));
    }
    println!(
        "one long run: {} bytes, at most {most_of_long}; {runs} short ones: {} bytes, at most {most_of_short}",
        bytes(&long),
        bytes(&short)
    );
    assert!(most_of_short <= 2 * most_of_long, "{most_of_short} and {most_of_long}");
}
