//! How a node ends: when it is told to, at once when it is told twice, and when its disk fails. Real processes.

#![allow(clippy::unwrap_used, clippy::panic)]

mod node;

use amiko_examples::payment::LinkUrl;
use amiko_runtime::{Noise, SecretKey, Transport};
use node::{BINARY, Node, amiko_node, error};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::ops::Deref;
use std::path::Path;
use std::process::{ChildStderr, Command, Stdio};
use std::sync::mpsc;
use std::time::Instant;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufStream};

/// A running node, and what it says on standard error.
struct Heard {
    node: Node,
    said: BufReader<ChildStderr>,
}

impl Deref for Heard {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.node
    }
}

impl Heard {
    fn start(directory: &Path) -> Self {
        // What is written beyond a limit of the size of files fails, as on a full disk, and doesn't end the process.
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", BINARY, "run", "--listen", "127.0.0.1:0"]);
        command.stderr(Stdio::piped());
        let mut node = Node::start(command, directory);
        let said = BufReader::new(node.process.stderr.take().unwrap());
        Self { node, said }
    }

    /// Waits until the node has said this on standard error.
    fn hears(&mut self, words: &str) {
        let mut line = String::new();
        while !line.contains(words) {
            line.clear();
            assert_ne!(self.said.read_line(&mut line).unwrap(), 0, "the node never said {words:?}");
        }
    }

    /// Waits for the end, and gives its exit code and what was said until then.
    fn end(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.said.read_to_string(&mut rest).unwrap();
        (self.node.process.wait().unwrap().code(), rest)
    }

    fn state(&self) -> Value {
        self.json(&["list"])
    }
}

/// The neighbour of a link, at the other end of its socket.
struct Neighbour {
    runtime: tokio::runtime::Runtime,
    stream: BufStream<<Noise as Transport>::Stream>,
}

impl Neighbour {
    /// Accepts the invitation to a new link, and says where it stands.
    fn of(node: &Node, link: &str) -> Self {
        let added = node.command(&["link", "add", link]);
        let url: LinkUrl = String::from_utf8_lossy(&added.stdout).trim().parse().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let transport = Noise::new(SecretKey::new([7; 32]));
        let address = format!("{}@{}", url.key.unwrap(), node.listen);
        let stream = BufStream::new(runtime.block_on(transport.dial(&address)).unwrap());
        let mut peer = Self { runtime, stream };
        let invitation = url.invitation.unwrap().expose();
        peer.say(&format!(
            "{{\"index\":null,\"message\":{{\"_class\":\"AcceptInvitation\",\"ID\":\"{link}\",\"invitation\":\"!x{invitation}\",\
             \"dice\":\"!x00000000\",\"callbackHost\":null,\"callbackPort\":null,\"callbackID\":\"back\"}}}}\n"
        ));
        let mut resume = String::new();
        peer.runtime.block_on(peer.stream.read_line(&mut resume)).unwrap();
        assert!(resume.starts_with("{\"resume\":"), "{resume:?}");
        peer.say("{\"resume\":{\"received\":0,\"first\":0,\"sent\":0}}\n");
        peer
    }

    fn say(&mut self, line: &str) {
        let Self { runtime, stream } = self;
        runtime.block_on(async {
            stream.write_all(line.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
        });
    }

    /// Everything until the node closes its end, or is gone.
    fn hear(&mut self) -> String {
        let Self { runtime, stream } = self;
        runtime.block_on(async {
            let (mut heard, mut line) = (String::new(), String::new());
            while stream.read_line(&mut line).await.is_ok_and(|count| count > 0) {
                heard.push_str(&std::mem::take(&mut line));
            }
            heard
        })
    }
}

#[test]
fn a_node_that_is_told_to_stop_keeps_all_that_it_has_acknowledged() {
    for signal in ["TERM", "INT"] {
        let root = tempfile::tempdir().unwrap();
        let node = Heard::start(root.path());
        let (told, acknowledged) = mpsc::channel();
        let askers: Vec<_> = (0..4)
            .map(|asker| {
                let (directory, told) = (node.directory.clone(), told.clone());
                std::thread::spawn(move || {
                    for number in 0.. {
                        let name = format!("point-{asker}-{number}");
                        let output = amiko_node(&directory, &["meeting-point", "add", &name]);
                        match output.status.code() {
                            Some(0) => told.send(name).unwrap(),
                            Some(1 | 3) => return error(&output),
                            other => panic!("{other:?}: {}", error(&output)),
                        }
                    }
                    String::new()
                })
            })
            .collect();
        drop(told);
        let mut names: Vec<String> = (0..10).map(|_| acknowledged.recv().unwrap()).collect();
        node.signal(signal);
        let (code, said) = node.end();
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("stopping; a second signal ends it at once"), "{said}");
        for asker in askers {
            let refused = asker.join().unwrap();
            assert!(refused.contains("no node runs") || refused.contains("stopped"), "{refused}");
        }
        names.extend(acknowledged);
        assert!(!root.path().join("control.sock").exists());

        let mut node = Heard::start(root.path());
        let points = node.state()["state"]["meetingPoints"].as_object().unwrap().clone();
        for name in &names {
            assert!(points.contains_key(name), "{name} was acknowledged, found {points:?}");
        }
        node.signal("TERM");
        node.hears("stopping");
        assert_eq!(node.end().0, Some(0));
    }
}

#[test]
fn what_was_durable_is_sent_before_the_end() {
    let root = tempfile::tempdir().unwrap();
    let node = Heard::start(root.path());
    let mut peer = Neighbour::of(&node, "to_b");
    assert!(node.command(&["deposit", "to_b", "1000"]).status.success());
    node.signal("TERM");
    let heard = peer.hear();
    assert!(heard.contains("\"PlainChannel_Deposit\"") && heard.ends_with('\n'), "{heard}");
    assert_eq!(node.end().0, Some(0));
}

#[test]
fn a_second_signal_ends_the_node_at_once_and_the_next_start_is_as_after_a_crash() {
    for (first, second, code) in [("TERM", "INT", 130), ("INT", "TERM", 143)] {
        let root = tempfile::tempdir().unwrap();
        let mut node = Heard::start(root.path());
        // It doesn't close its end, so the node waits a moment for it.
        let peer = Neighbour::of(&node, "to_b");
        assert!(node.command(&["deposit", "to_b", "1000"]).status.success());
        let begun = Instant::now();
        node.signal(first);
        node.hears("stopping");
        node.signal(second);
        assert_eq!(node.end().0, Some(code), "after {:?}", begun.elapsed());
        drop(peer);
        let node = Heard::start(root.path());
        assert_eq!(node.state()["state"]["links"]["to_b"]["channels"][0]["amountLocal"], 1000);
    }
}

#[test]
fn a_disk_that_fails_ends_the_node_and_nothing_has_left_that_isnt_on_it() {
    if !Command::new("prlimit").arg("--version").output().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: there is no prlimit");
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let node = Heard::start(root.path());
    let mut peer = Neighbour::of(&node, "to_b");
    assert!(node.command(&["meeting-point", "add", "hub"]).status.success());
    let limited =
        Command::new("prlimit").args(["--fsize=1", "--pid", &node.process.id().to_string()]).status().unwrap();
    assert!(limited.success());
    let deposit = node.command(&["deposit", "to_b", "1000"]);
    assert_eq!(deposit.status.code(), Some(1), "{}", error(&deposit));
    assert!(error(&deposit).contains("disk failed"), "{}", error(&deposit));
    let (code, said) = node.end();
    assert_eq!(code, Some(1), "{said}");
    let last = said.lines().last().unwrap();
    assert!(last.contains("its state can't be made durable: open it anew") && last.contains("journal-"), "{said}");
    assert_eq!(peer.hear(), "", "it left before it was on disk");

    let node = Heard::start(root.path());
    let state = node.state();
    assert!(state["state"]["links"]["to_b"]["channels"].as_array().unwrap().is_empty());
    assert!(state["state"]["meetingPoints"].as_object().unwrap().contains_key("hub"));
}
