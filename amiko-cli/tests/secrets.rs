//! What is secret is hidden, by any command, unless somebody asks for it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod common;

use amiko_core::prelude::*;
use common::{amiko, said};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

const SECRET: &str = "hush-hush";

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine)]
struct Safe {
    code: Option<Secret<String>>,
    owner: String,
}

#[derive(Clone, Serializable)]
struct Lock {
    code: Secret<String>,
    owner: String,
}

impl StateMachine for Safe {
    type Node = Self;
    type Message = Lock;

    fn handle(&mut self, Lock { code, owner }: Lock, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
        (self.code, self.owner) = (Some(code), owner);
        Ok(())
    }
}

fn safe() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let directory = Directory::open(folder.path()).unwrap();
    let mut engine = Engine::<Safe>::open(directory, Settings::default()).unwrap();
    for (code, owner) in [(SECRET, "ann"), (&format!("{SECRET}!"), "ann")] {
        let lock = Lock { code: Secret::new(code.to_owned()), owner: owner.into() };
        engine.send(&Id::node(), lock, Time::from_secs(1)).unwrap();
    }
    engine.sync().unwrap();
    folder
}

#[test]
fn a_secret_is_shown_to_whoever_asks_for_it_and_to_nobody_else() {
    let folder = safe();
    let directory = folder.path().to_str().unwrap();
    let commands: &[&[&str]] = &[
        &["show", directory],
        &["show", directory, "/state/code"],
        &["export", directory, "--at", "1"],
        &["log", directory, "--patch"],
        &["diff", directory, "0", "2"],
        &["blame", directory, "/state/code"],
    ];
    for command in commands {
        for json in [&[][..], &["--json"]] {
            let arguments = [command, json].concat();
            let hidden = said(&arguments);
            assert!(hidden.ends_with("exit 0\n") && !hidden.contains(SECRET), "{arguments:?}: {hidden}");
            assert!(hidden.contains("(secret)"), "{arguments:?}: {hidden}");
            let shown = said(&[&arguments[..], &["--secrets"]].concat());
            assert!(shown.contains(SECRET), "{arguments:?}: {shown}");
        }
    }
    // That it has changed is no secret, and it can't be guessed.
    assert!(said(&["diff", directory, "1", "2"]).contains("/state/code: \"(secret)\" → \"(secret)\""));
    assert!(!said(&["grep", SECRET, directory]).contains("Lock"));
    assert!(said(&["grep", SECRET, directory, "--secrets"]).contains("Lock"));
}

#[test]
fn a_directory_that_doesnt_say_what_is_secret_is_shown_with_a_warning() {
    let folder = safe();
    let directory = folder.path().to_str().unwrap();
    let classes = folder.path().join("classes.json");
    std::fs::remove_file(&classes).unwrap();
    let output = amiko(&["show", directory]);
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("amiko: nothing is hidden: expected `classes.json`"));
    assert!(String::from_utf8_lossy(&output.stdout).contains(SECRET));
    // One that can't be read hides nothing by mistake.
    std::fs::write(&classes, "{").unwrap();
    let refused = said(&["show", directory]);
    assert!(
        refused.contains("classes.json") && refused.ends_with("exit 4\n") && !refused.contains(SECRET),
        "{refused}"
    );
}

/// Killed when the test has ended, however that is.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn a_directory_is_shown_in_a_browser() {
    let folder = safe();
    let directory = folder.path().to_str().unwrap();
    assert!(said(&["inspect", directory, "--listen", "0.0.0.0:0"]).contains("`ssh -L` leads there\nexit 2\n"));
    assert!(said(&["inspect", "/nowhere"]).ends_with("exit 3\n"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_amiko"));
    let mut running = Running(command.args(["inspect", directory]).stdout(Stdio::piped()).spawn().unwrap());
    let mut url = String::new();
    BufReader::new(running.0.stdout.take().unwrap()).read_line(&mut url).unwrap();
    let (origin, token) = url.trim().split_once("/#").unwrap();
    let host = origin.strip_prefix("http://").unwrap();
    let ask = |path: &str| {
        let mut stream = TcpStream::connect(host).unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    // It begins by reading the files, which takes a moment.
    let page = loop {
        let page = ask("/-/frame?path=/event/2");
        if page.contains("data-part=\"moment\"") {
            break page;
        }
        assert!(page.contains("reading the journal"), "{page}");
    };
    assert!(page.contains("Lock") && page.contains("(secret)") && !page.contains(SECRET), "{page}");
}
