//! A node that never runs for long, as a real process: what it leaves on disk.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const BINARY: &str = env!("CARGO_BIN_EXE_amiko-node");
/// Requests of each run.
const REQUESTS: u32 = 2;

fn run(directory: &Path) -> Child {
    let mut run = Command::new(BINARY);
    run.args(["run", "--json", "--listen", "127.0.0.1:0", "--external-meeting-point", "hub", "--dir"]).arg(directory);
    let mut process = run.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("listen"), "the node didn't start: {line:?}");
    process
}

/// What a node is asked while it runs: each request has a long receipt, so that the state grows.
fn work(directory: &Path) {
    for _ in 0..REQUESTS {
        let mut request = Command::new(BINARY);
        request.arg("--dir").arg(directory).args(["request", "5", "--receipt", &"x".repeat(9_000)]);
        assert!(request.stdout(Stdio::null()).status().unwrap().success());
    }
}

/// Every other run is killed; the others stop when they are told to.
fn end(mut process: Child, killed: bool) {
    if killed {
        process.kill().unwrap();
    } else {
        let pid = rustix::process::Pid::from_child(&process);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }
    process.wait().unwrap();
}

fn bytes(path: &Path) -> u64 {
    std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

#[test]
fn a_node_that_never_runs_for_long_leaves_no_more_than_twice_what_one_leaves_that_does() {
    let runs = std::env::var("AMIKO_RUNS").map_or(40, |runs| runs.parse().unwrap());
    let root = tempfile::tempdir().unwrap();
    let [long, short] = ["long", "short"].map(|name| root.path().join(name));
    let process = run(&long);
    let mut most_of_long = 0;
    for _ in 0..runs {
        work(&long);
        most_of_long = most_of_long.max(bytes(&long));
    }
    end(process, false);
    let mut most_of_short = 0;
    for number in 0..runs {
        let process = run(&short);
        work(&short);
        end(process, number % 2 == 0);
        most_of_short = most_of_short.max(bytes(&short));
    }
    println!(
        "one long run: {} bytes, at most {most_of_long}; {runs} short ones: {} bytes, at most {most_of_short}",
        bytes(&long),
        bytes(&short)
    );
    assert!(most_of_short <= 2 * most_of_long, "{most_of_short} and {most_of_long}");
}
