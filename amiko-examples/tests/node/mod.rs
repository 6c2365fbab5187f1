//! A running node, and the commands of its user. Real processes.

#![allow(dead_code, reason = "each test uses another part of it")]

use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_amiko-node");

/// A running node; killed when the test ends.
pub(crate) struct Node {
    pub(crate) directory: PathBuf,
    pub(crate) process: Child,
    /// What it said when it was ready.
    pub(crate) started: Value,
    pub(crate) listen: String,
    /// Its key; empty on a network without keys.
    pub(crate) key: String,
    /// How it was started, besides where it listens.
    arguments: Vec<String>,
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Node {
    /// A node in a directory of this name, on a free port.
    pub(crate) fn new(root: &Path, name: &str) -> Self {
        Self::run(&root.join(name), "127.0.0.1:0", &[])
    }

    /// A node that listens there. What it says on standard error, from all its starts, is in a file beside its directory.
    pub(crate) fn run(directory: &Path, listen: &str, arguments: &[&str]) -> Self {
        let log = File::options().append(true).create(true).open(said(directory)).unwrap();
        let mut command = Command::new(BINARY);
        command.args(["run", "--listen", listen]).args(arguments).stderr(log);
        let mut node = Self::start(command, directory);
        node.arguments = arguments.iter().copied().map(String::from).collect();
        node
    }

    /// A node that is started by this command, and says that it is ready.
    pub(crate) fn start(mut command: Command, directory: &Path) -> Self {
        let mut process = command.arg("--json").arg("--dir").arg(directory).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let started: Value = serde_json::from_str(&line).unwrap_or_else(|_| {
            let said = std::fs::read_to_string(said(directory)).unwrap_or_default();
            panic!("the node didn't start: {line}{said}")
        });
        let listen = started["listen"].as_str().unwrap().to_owned();
        let key = started["key"].as_str().unwrap_or_default().to_owned();
        Self { directory: directory.to_owned(), process, started, listen, key, arguments: Vec::new() }
    }

    pub(crate) fn kill_and_restart(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        *self = Self::run(&self.directory, &self.listen, &arguments);
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Output {
        amiko_node(&self.directory, arguments)
    }

    /// What a command that works prints.
    pub(crate) fn says(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", error(&output));
        let said = String::from_utf8(output.stdout).unwrap();
        said.strip_suffix('\n').unwrap_or(&said).to_owned()
    }

    /// The one JSON document that a command prints.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.says(&[&["--json"], arguments].concat())).unwrap()
    }

    pub(crate) fn url(&self, arguments: &[&str]) -> String {
        self.json(arguments)["url"].as_str().unwrap().to_owned()
    }

    /// Asks the node until its answer is as it should be.
    pub(crate) fn until(&self, arguments: &[&str], reached: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let found = self.json(arguments);
            if reached(&found) {
                return found;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{found}");
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.process.id().to_string()).status().unwrap();
        assert!(sent.success());
    }
}

/// The file with what a node says on standard error.
pub(crate) fn said(directory: &Path) -> PathBuf {
    directory.with_extension("stderr")
}

/// A command in a state directory, without anybody to ask.
pub(crate) fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.arg("--dir").arg(directory).args(arguments).stdin(Stdio::null());
    command
}

pub(crate) fn amiko_node(directory: &Path, arguments: &[&str]) -> Output {
    command(directory, arguments).output().unwrap()
}

pub(crate) fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A command that fails with this exit code, and says these words.
pub(crate) fn fails(output: &Output, code: i32, words: &[&str]) -> String {
    let said = error(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    words.iter().for_each(|word| assert!(said.contains(word), "{word:?} in {said}"));
    said
}
