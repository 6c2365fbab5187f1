//! The log of a node: whoever reads it, or doesn't, and whatever strangers do, the node goes on, and its log stays small.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod node;

use node::{BINARY, Node};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tokio::net::unix::pipe;

/// A node that hangs is killed after so long, so that its test fails; and no test with a flood takes as long.
const HANGS: Duration = Duration::from_secs(120);

/// A running node that is watched.
struct Watched {
    node: Node,
    /// Dropped with the node, so that nobody waits for it to hang any more.
    _watched: mpsc::Sender<()>,
}

impl Deref for Watched {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.node
    }
}

/// Kills a process that is watched for too long.
fn watch(process: &Child) -> mpsc::Sender<()> {
    let (watched, ended) = mpsc::channel();
    let pid = process.id().to_string();
    std::thread::spawn(move || {
        if ended.recv_timeout(HANGS + Duration::from_secs(flood())) == Err(mpsc::RecvTimeoutError::Timeout) {
            drop(Command::new("kill").args(["-KILL", &pid]).status());
        }
    });
    watched
}

/// How many seconds of a flood are wanted.
fn flood() -> u64 {
    std::env::var("AMIKO_FLOOD").map_or(1, |seconds| seconds.parse().unwrap())
}

impl Watched {
    fn run(directory: &Path, log: &str, stderr: impl Into<Stdio>) -> Self {
        Self::start(Command::new(BINARY), directory, log, stderr)
    }

    fn start(mut command: Command, directory: &Path, log: &str, stderr: impl Into<Stdio>) -> Self {
        command.args(["run", "--listen", "127.0.0.1:0", "--log", log]).stderr(stderr);
        let node = Node::start(command, directory);
        Self { _watched: watch(&node.process), node }
    }

    /// A link to another node, which receives payments over it.
    fn befriend(&self, payee: &Self) {
        let url = self.url(&["link", "add", "to_b"]);
        payee.url(&["link", "add", "to_a", "--to", &url]);
        self.json(&["deposit", "to_b", "100000"]);
        payee.json(&["meeting-point", "add", "hub"]);
    }

    fn pay(&self, payee: &Self) {
        let paid = self.json(&["pay", "--yes", &payee.url(&["request", "1"])]);
        assert_eq!(paid["outcome"], "committed", "{paid}");
    }

    /// Dials and says nothing that a handshake begins with; waits until it is sent away.
    fn bother(&self) {
        let mut stranger = TcpStream::connect(&self.listen).unwrap();
        drop(stranger.write_all(b"GET / HTTP/1.1\r\n\r\n"));
        drop(stranger.shutdown(Shutdown::Write));
        let mut answer = Vec::new();
        drop(stranger.read_to_end(&mut answer));
        assert!(answer.is_empty());
    }

    fn terminate(&mut self) -> Option<i32> {
        self.signal("TERM");
        self.node.process.wait().unwrap().code()
    }

    /// Memory that it has, in KiB.
    fn memory(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).ok()?;
        status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix(" kB")?.parse().ok()
    }
}

/// A pipe with no room left: the end that a node writes to, and the one that nobody reads.
fn full_pipe() -> (OwnedFd, pipe::Receiver) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (sender, receiver) = pipe::pipe().unwrap();
        sender.writable().await.unwrap();
        let mut written = 0;
        while let Ok(count) = sender.try_write(&[b'\n'; 4096]) {
            written += count;
        }
        // A write of a page or less is whole or not at all, so that a few bytes may be left.
        while sender.try_write(b"\n").is_ok() {
            written += 1;
        }
        assert!(written > 0);
        (sender.into_blocking_fd().unwrap(), receiver)
    })
}

#[test]
fn a_standard_error_that_nobody_reads_stops_nothing() {
    let root = tempfile::tempdir().unwrap();
    let ((one, _unread), (other, _unread_too)) = (full_pipe(), full_pipe());
    let (mut a, mut b) =
        (Watched::run(&root.path().join("a"), "text", one), Watched::run(&root.path().join("b"), "json", other));
    a.befriend(&b);
    for _ in 0..3 {
        a.bother();
        b.bother();
        a.pay(&b);
    }
    assert_eq!(a.json(&["payments"]).as_array().unwrap().len(), 3);
    // And it ends, without having said why.
    assert_eq!((a.terminate(), b.terminate()), (Some(0), Some(0)));
}

#[test]
fn a_standard_error_that_is_closed_stops_nothing() {
    let root = tempfile::tempdir().unwrap();
    let (reader, gone) = std::io::pipe().unwrap();
    drop(reader);
    let mut a = Watched::run(&root.path().join("a"), "text", gone);
    // Without any standard error at all.
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$0\" \"$@\" 2>&-", BINARY]);
    let mut b = Watched::start(shell, &root.path().join("b"), "text", Stdio::null());
    a.befriend(&b);
    for _ in 0..3 {
        a.bother();
        b.bother();
        a.pay(&b);
    }
    assert_eq!((a.terminate(), b.terminate()), (Some(0), Some(0)));
}

/// Asserts that a text is a time as RFC 3339 has it, in UTC.
fn is_moment(text: &str) {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000Z", "{text}");
}

#[test]
fn a_log_has_times_and_levels_and_strangers_are_summed_up_in_it() {
    const STRANGERS: u64 = 200;
    let root = tempfile::tempdir().unwrap();
    let (json, text) = (root.path().join("json.log"), root.path().join("text.log"));
    let mut a = Watched::run(&root.path().join("a"), "json", File::create(&json).unwrap());
    let mut b = Watched::run(&root.path().join("b"), "text", File::create(&text).unwrap());
    a.befriend(&b);
    a.pay(&b);
    let begun = Instant::now();
    (0..STRANGERS).for_each(|_| a.bother());
    let seconds = begun.elapsed().as_secs();
    assert_eq!((a.terminate(), b.terminate()), (Some(0), Some(0)));

    let said = fs::read_to_string(&json).unwrap();
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &lines {
        is_moment(line["time"].as_str().unwrap());
        assert!(["info", "warn", "error"].contains(&line["level"].as_str().unwrap()), "{line}");
        assert!(line["event"].is_string() && line["text"].is_string(), "{line}");
    }
    let of = |event: &str| lines.iter().filter(|line| line["event"] == event).collect::<Vec<_>>();
    let (sums, single): (Vec<&Value>, Vec<&Value>) = of("refused").into_iter().partition(|line| line["count"].is_u64());
    let summed: u64 = sums.iter().map(|line| line["count"].as_u64().unwrap()).sum();
    assert_eq!(single.len() as u64 + summed, STRANGERS, "each is said or counted: {said}");
    // Five, and again five after each silence of ten seconds.
    assert!(single.len() as u64 <= 5 * (1 + seconds / 10 + 1), "{said}");
    assert!(sums[0]["text"].as_str().unwrap().contains(" more refused in the last "), "{said}");
    assert!(single[0]["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{said}");
    assert_eq!(of("connected")[0]["level"], "info");
    assert!(of("node").iter().any(|line| line["text"] == "stopping; a second signal ends it at once"), "{said}");

    let said = fs::read_to_string(&text).unwrap();
    for line in said.lines() {
        let (time, rest) = line.split_at(24);
        is_moment(time);
        assert!([" info  ", " warn  ", " error "].iter().any(|level| rest.starts_with(level)), "{said}");
    }
    assert!(said.contains(" info  \"to_a\": "), "{said}");
}

/// What ends a node is the last line of its log, in the format of the others.
#[test]
fn the_last_line_says_why_a_node_ended() {
    let root = tempfile::tempdir().unwrap();
    let node = Watched::run(&root.path().join("a"), "text", Stdio::null());
    for (format, begin) in [("json", "{\"time\":\""), ("text", "20")] {
        let mut again = Command::new(BINARY);
        again.args(["run", "--listen", "127.0.0.1:0", "--log", format, "--dir"]).arg(&node.directory);
        let output = again.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.starts_with(begin) && said.contains("error") && said.contains("another process"), "{said}");
    }
}

/// Payments go on while strangers dial as fast as they can, for as many seconds as `AMIKO_FLOOD` says; without it, for one.
#[test]
fn payments_go_on_under_a_flood_of_strangers_and_log_and_memory_stay_small() {
    const STRANGERS: usize = 4;
    let seconds = flood();
    let root = tempfile::tempdir().unwrap();
    let logs = [root.path().join("a.log"), root.path().join("b.log")];
    let mut a = Watched::run(&root.path().join("a"), "text", File::create(&logs[0]).unwrap());
    let mut b = Watched::run(&root.path().join("b"), "json", File::create(&logs[1]).unwrap());
    a.befriend(&b);
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut paid, mut memory) = (0, Vec::new());
    let refused: u64 = std::thread::scope(|scope| {
        let strangers: Vec<_> = (0..STRANGERS)
            .map(|number| {
                let node = if number % 2 == 0 { &a } else { &b };
                scope.spawn(move || {
                    let mut refused = 0;
                    while Instant::now() < end {
                        node.bother();
                        refused += 1;
                    }
                    refused
                })
            })
            .collect();
        while Instant::now() < end || paid == 0 {
            a.pay(&b);
            paid += 1;
            memory.extend(a.memory().zip(b.memory()).map(|(a, b)| a.max(b)));
        }
        strangers.into_iter().map(|stranger| stranger.join().unwrap()).sum()
    });
    assert_eq!(a.json(&["payments"]).as_array().unwrap().len(), paid);
    assert_eq!(b.json(&["list"])["state"]["links"]["to_a"]["channels"][0]["amountLocal"], paid);
    assert_eq!((a.terminate(), b.terminate()), (Some(0), Some(0)));
    let bytes = logs.map(|log| fs::metadata(log).unwrap().len());
    let tenths: Vec<_> = memory.iter().step_by(memory.len().div_ceil(10).max(1)).collect();
    println!(
        "{seconds} s: {paid} payments, {refused} strangers refused, logs of {bytes:?} bytes, memory {tenths:?} KiB"
    );
    assert!(refused > 0 && bytes.iter().all(|bytes| *bytes < 1 << 20));
    // A payment leaves a line in the log of payments, and versions in the history; a stranger leaves nothing.
    if let (Some(first), Some(last)) = (memory.first(), memory.last()) {
        let most = first + 6 * 1024 + 16 * paid as u64;
        assert!(*last < most, "memory grew from {first} to {last} KiB, beyond {most}: {memory:?}");
    }
}
