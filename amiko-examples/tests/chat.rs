//! Two nodes that chat, as processes: whichever of them is killed, each line that was shown arrives once and in order.
//!
//! `AMIKO_KILLS` says how often they are killed; the default is 6.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

/// What a test may wait for one line; one that hangs fails instead.
const PATIENCE: Duration = Duration::from_secs(60);

/// A node that runs; killed when it is dropped.
struct Node {
    process: Child,
    directory: PathBuf,
    public_key: String,
    address: String,
    lines: mpsc::Receiver<String>,
    /// All that this run has shown.
    shown: Vec<String>,
}

impl Node {
    fn start(directory: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chat"));
        command.arg(directory).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut out = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut told = |before: &str| out.next().unwrap().strip_prefix(before).unwrap().to_owned();
        let public_key = told("public key ");
        let address = if arguments.contains(&"--listen") { told("listening on ") } else { String::new() };
        let (tell, lines) = mpsc::channel();
        thread::spawn(move || out.try_for_each(|line| tell.send(line)));
        Self { process, directory: directory.to_owned(), public_key, address, lines, shown: Vec::new() }
    }

    /// One that others may call.
    fn listen(directory: &Path) -> Self {
        Self::start(directory, &["--listen", "127.0.0.1:0"])
    }

    fn call(directory: &Path, address: &str, peer: &Self) -> Self {
        Self::start(directory, &["--dial", address, "--peer", &peer.public_key])
    }

    /// Of a node that was killed, what is typed goes nowhere.
    fn types(&self, line: &str) {
        let _ = writeln!(self.process.stdin.as_ref().unwrap(), "{line}");
    }

    /// Takes the next line that is shown; none if the node has ended.
    fn next(&mut self) -> Option<&str> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => self.shown.push(line),
            Err(mpsc::RecvTimeoutError::Disconnected) => return None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("nothing more is shown: {:?}", self.shown),
        }
        self.shown.last().map(String::as_str)
    }

    fn until(&mut self, wanted: &str) {
        while self.next().unwrap() != wanted {}
    }

    /// What this run has shown of one side, `> ` or `< `.
    fn of(&self, side: &str) -> Vec<String> {
        self.shown.iter().filter_map(|line| line.strip_prefix(side)).map(str::to_owned).collect()
    }

    fn errors(&mut self) -> impl Iterator<Item = String> + use<> {
        let errors: ChildStderr = self.process.stderr.take().unwrap();
        BufReader::new(errors).lines().map(Result::unwrap)
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        while self.next().is_some() {}
    }

    /// Ends its input, and so the node.
    fn end(&mut self) {
        drop(self.process.stdin.take());
        while self.next().is_some() {}
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Carries bytes to where a node listens at the time, and keeps them.
#[derive(Clone)]
struct Relay {
    address: String,
    to: Arc<Mutex<String>>,
    carried: Arc<Mutex<Vec<u8>>>,
}

impl Relay {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let relay = Self { address, to: Arc::default(), carried: Arc::default() };
        let carrying = relay.clone();
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let to = carrying.to.lock().unwrap().clone();
                // Nobody may be there.
                let Ok(far) = TcpStream::connect(to) else { continue };
                carrying.carry(near.try_clone().unwrap(), far.try_clone().unwrap());
                carrying.carry(far, near);
            }
        });
        relay
    }

    fn carry(&self, mut from: TcpStream, mut to: TcpStream) {
        let carried = Arc::clone(&self.carried);
        thread::spawn(move || {
            let mut bytes = [0; 4_096];
            while let Ok(read @ 1..) = from.read(&mut bytes) {
                carried.lock().unwrap().extend_from_slice(&bytes[..read]);
                if to.write_all(&bytes[..read]).is_err() {
                    break;
                }
            }
            // The node that has gone, or is to see that the other one has.
            let _ = to.shutdown(std::net::Shutdown::Both);
            let _ = from.shutdown(std::net::Shutdown::Both);
        });
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Each once and in order: their numbers rise.
fn assert_rising(lines: &[String]) {
    let numbers: Vec<u64> = lines.iter().filter_map(|line| line.split(' ').nth(1)?.parse().ok()).collect();
    assert!(numbers.is_sorted_by(|one, next| one < next), "{lines:?}");
}

#[test]
fn each_line_that_was_shown_arrives_once_and_in_order_whichever_node_is_killed() {
    let kills = std::env::var("AMIKO_KILLS").map_or(6_usize, |kills| kills.parse().unwrap());
    let root = tempfile::tempdir().unwrap();
    let (alices, bobs) = (root.path().join("alice"), root.path().join("bob"));
    let relay = Relay::start();
    let listen = || {
        let alice = Node::listen(&alices);
        relay.to.lock().unwrap().clone_from(&alice.address);
        alice
    };
    let mut alice = listen();
    let mut bob = Node::call(&bobs, &relay.address, &alice);
    // What each has shown in each of its runs, of its own lines and of the other's.
    let mut runs = [Vec::new(), Vec::new()];
    let mut typed = 0_usize;
    for kill in 0..kills {
        for _ in 0..40 {
            typed += 1;
            alice.types(&format!("alice {typed}"));
            bob.types(&format!("bob {typed}"));
        }
        let victim = if kill % 2 == 0 { &mut alice } else { &mut bob };
        // Somewhere among what was typed, whatever came before.
        let (first, side) = (typed - 40, ["> ", "< "][kill / 2 % 2]);
        let number = |line: &str| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap();
        let within = |line: &str| line.starts_with(side) && number(line) > first;
        let mut left = kill * 7 % 30;
        while left > 0 {
            left -= usize::from(within(victim.next().unwrap()));
        }
        victim.kill();
        runs[kill % 2].push((victim.of("> "), victim.of("< ")));
        if kill % 2 == 0 {
            alice = listen();
        } else {
            // Its state knows whom to call.
            bob = Node::start(&bobs, &[]);
        }
    }

    for node in [&alice, &bob] {
        node.types("end");
    }
    for node in [&mut alice, &mut bob] {
        node.until("> end");
    }
    // Whatever is on its way comes before it.
    for node in [&mut alice, &mut bob] {
        if !node.shown.contains(&"< end".to_owned()) {
            node.until("< end");
        }
    }
    for (node, runs) in [&mut alice, &mut bob].into_iter().zip(&mut runs) {
        node.end();
        runs.push((node.of("> "), node.of("< ")));
    }

    // What the states have, as nodes show it that nobody types to.
    let (mut alice, mut bob) = (Node::start(&alices, &[]), Node::start(&bobs, &[]));
    for (node, runs) in [&mut alice, &mut bob].into_iter().zip(runs) {
        node.end();
        let (ours, theirs) = (node.of("> "), node.of("< "));
        assert_rising(&ours);
        for (shown, heard) in runs {
            // Nothing that was shown is lost, and each run shows everything from the beginning, once and in order.
            assert!(ours.starts_with(&shown) && theirs.starts_with(&heard), "{shown:?}, {heard:?}");
        }
    }
    assert_eq!(alice.of("> "), bob.of("< "));
    assert_eq!(bob.of("> "), alice.of("< "));

    // Text for those who may read it, and nobody else.
    let carried = relay.carried.lock().unwrap();
    assert!(carried.len() > 10_000);
    // Three letters alone come up by chance among so many bytes.
    for text in ["alice ", "bob ", "_class", "Hello"] {
        assert!(!contains(&carried, text), "{text} was sent in plain text");
    }
    for node in [&alice, &bob] {
        let path = node.directory.join("key");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let key = fs::read_to_string(&path).unwrap().trim().to_owned();
        assert_eq!(key.len(), 64);
        let others = fs::read_dir(&node.directory).unwrap().map(|entry| entry.unwrap().path());
        let texts: Vec<String> =
            others.filter(|other| *other != path).map(|other| fs::read_to_string(other).unwrap()).collect();
        assert!(texts.iter().any(|text| text.contains(r#""text":"alice "#)));
        assert!(texts.iter().all(|text| !text.contains(&key)), "the state contains the key");
    }
    let lines = alice.shown.len();
    println!("{lines} lines, killed {kills} times: those that were shown arrived, each once and in order");
}

#[test]
fn a_line_waits_for_a_peer_that_has_never_been_there_and_a_stranger_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let mut alice = Node::listen(&root.path().join("alice"));
    alice.types("anybody there?");
    alice.until("> anybody there?");
    let mut bob = Node::call(&root.path().join("bob"), &alice.address, &alice);
    bob.until("< anybody there?");
    bob.types("yes\u{1b}[2J");
    alice.until("< yes\u{fffd}[2J");

    let mallory = Node::call(&root.path().join("mallory"), &alice.address, &alice);
    mallory.types("it's me, bob");
    let refusal = alice.errors().find(|line| line.contains("refused")).unwrap();
    assert!(
        refusal.contains(&format!("expected the peer {}, found {}", bob.public_key, mallory.public_key)),
        "{refusal}"
    );
    bob.types("bye");
    alice.until("< bye");
    assert_eq!(alice.shown, ["> anybody there?", "< yes\u{fffd}[2J", "< bye"]);

    // The longest line arrives, though each byte of it takes six on the wire; a longer one isn't sent.
    alice.types(&"\u{1}".repeat(8_192));
    bob.until(&format!("< {}", "\u{fffd}".repeat(8_192)));
    bob.types(&"x".repeat(8_193));
    let error = bob.errors().find(|line| line.starts_with("not sent")).unwrap();
    assert_eq!(error, "not sent: expected at most 8192 bytes, found 8193 (in Say to node)");

    // Somebody still sits at the keyboard.
    for mut node in [alice, bob] {
        let _keyboard = node.process.stdin.take();
        Command::new("kill").arg(node.process.id().to_string()).status().unwrap();
        assert!(node.process.wait().unwrap().success());
    }
}
