//! What the command does with a node in a database.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod common;

use amiko_core::serializable::Json;
use common::{fixture, said};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

/// The address of a new node in the database of the tests. Without one, a test says that it wasn't run, and is over.
fn address(name: &str) -> Option<String> {
    let url = std::env::var("AMIKO_POSTGRES").ok().filter(|url| !url.is_empty());
    if url.is_none() {
        // Past the test harness, which keeps to itself what a test that passes prints.
        let said = "NOT RUN: there is no PostgreSQL; start one with .ci/postgres, or name yours in AMIKO_POSTGRES=postgres://…";
        let _ = writeln!(std::io::stderr(), "{said}");
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    Some(format!("{}#{name}-{now}-{}", url?, std::process::id()))
}

/// What a command says that has a folder of its own for what is temporary, and leaves nothing in it.
fn said_cleanly(arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_amiko")).args(arguments).env("TMPDIR", folder.path()).output().unwrap();
    assert!(is_empty(folder.path()), "{arguments:?}");
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    format!("{text}exit {}\n", output.status.code().unwrap())
}

fn is_empty(path: &Path) -> bool {
    fs::read_dir(path).unwrap().next().is_none()
}

#[test]
fn a_node_goes_into_a_database_and_back_and_is_looked_at_in_both() {
    let Some(address) = address("both") else { return };
    let folder = fixture();
    let directory = folder.path().to_str().unwrap();
    let copied = said(&["copy", directory, &address]);
    assert!(copied.starts_with("copied versions 0 to 11 to postgres"), "{copied}");
    assert!(copied.contains("11 records and 3 snapshots, "), "{copied}");
    assert!(copied.ends_with(" bytes: read back, and the same\nexit 0\n"), "{copied}");

    let cases: &[&[&str]] = &[
        &["show", "NODE"],
        &["show", "NODE", "/state/things/~0a~1b", "--at", "3"],
        &["log", "NODE"],
        &["log", "NODE", "-p", "--since", "9"],
        &["grep", "late", "NODE"],
        &["diff", "NODE", "3", "9"],
        &["blame", "NODE", "/state/note"],
        &["export", "NODE", "--at", "0"],
        &["show", "NODE", "/state/nowhere"],
        &["show", "NODE", "--at", "99"],
    ];
    let on = |case: &[&str], node: &str| {
        let arguments: Vec<&str> = case.iter().map(|word| if *word == "NODE" { node } else { word }).collect();
        // What is said behind a `?`, how to connect, isn't shown.
        let (place, name) = node.split_once('#').unwrap_or((node, ""));
        let shown = format!("{}#{name}", place.split('?').next().unwrap());
        said_cleanly(&arguments).replace(shown.trim_end_matches('#'), "NODE")
    };
    for case in cases {
        assert_eq!(on(case, &address), on(case, directory), "{case:?}");
    }
    let stat = on(&["stat", "NODE"], &address);
    assert!(stat.starts_with("version 11\n11 events"), "{stat}");
    // By the time of the event where it came from: that is when it was written.
    assert!(stat.contains("snapshot-3.json: 8 versions ago, written 1970-01-01T00:00:"), "{stat}");
    assert!(on(&["verify", "NODE"], &address).ends_with("no file is damaged; it opens at version 11\nexit 0\n"));

    let back = tempfile::tempdir().unwrap();
    let to = back.path().join("bank");
    let to = to.to_str().unwrap();
    let document = said(&["copy", &address, to, "--json"]);
    let document = Json::parse(document.strip_suffix("exit 0\n").unwrap().trim()).unwrap();
    let number = |name: &str| document.get(name).unwrap().as_u64();
    assert_eq!([number("first"), number("last"), number("records")], [Some(0), Some(11), Some(11)]);
    for case in cases {
        assert_eq!(on(case, to), on(case, directory), "{case:?}");
    }
    assert!(on(&["verify", "NODE"], to).ends_with("no file is damaged; it opens at version 11\nexit 0\n"));
}

#[test]
fn a_refusal_says_why_and_copies_nothing() {
    let folder = fixture();
    let directory = folder.path().to_str().unwrap();
    let two = said(&["copy", "postgres://amiko@localhost/amiko#one", "postgres://amiko@localhost/amiko#two"]);
    assert!(two.contains("found two nodes in databases") && two.ends_with("exit 2\n"), "{two}");
    let unnamed = said(&["show", "postgres://amiko@localhost/amiko"]);
    assert!(unnamed.contains("expected the name of a node") && unnamed.ends_with("exit 2\n"), "{unnamed}");
    let followed = said(&["log", "--follow", "postgres://amiko@localhost/amiko#node"]);
    assert!(followed.contains("expected a directory for --follow") && followed.ends_with("exit 2\n"), "{followed}");
    let repaired = said(&["repair", "postgres://amiko@localhost/amiko#node"]);
    assert!(repaired.contains("expected a directory to repair") && repaired.ends_with("exit 2\n"), "{repaired}");

    let Some(address) = address("refused") else { return };
    let parent = tempfile::tempdir().unwrap();
    let to = parent.path().join("bank");
    let missing = said_cleanly(&["copy", &address, to.to_str().unwrap()]);
    assert!(missing.contains("expected a node") && missing.ends_with("exit 3\n"), "{missing}");
    assert!(said_cleanly(&["show", &address]).ends_with("exit 3\n"));
    assert!(is_empty(parent.path()));
    let journal = folder.path().join("journal-4.jsonl");
    let text = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, text.replacen("Green", "Brown", 1)).unwrap();
    let damaged = said(&["copy", directory, &address]);
    assert!(damaged.contains("journal-4.jsonl:2 (byte 77)") && damaged.ends_with("exit 4\n"), "{damaged}");
    assert!(said_cleanly(&["show", &address]).ends_with("exit 3\n"));
    fs::write(&journal, text).unwrap();
    assert!(said(&["copy", directory, &address]).ends_with("exit 0\n"));
    let again = said(&["copy", directory, &address]);
    assert!(again.contains("expected nothing in") && again.ends_with("exit 3\n"), "{again}");
    let filled = said(&["copy", &address, directory]);
    assert!(filled.contains("expected nothing in") && filled.ends_with("exit 3\n"), "{filled}");
}

#[test]
fn a_password_is_shown_to_nobody_and_may_be_in_a_file() {
    let Some(address) = address("password") else { return };
    let folder = fixture();
    assert!(said(&["copy", folder.path().to_str().unwrap(), &address]).ends_with("exit 0\n"));
    let secret = address.replacen("amiko@", "amiko:hunter2@", 1);
    for arguments in [["show", &secret, "--at=99"], ["show", &secret, "/nowhere"]] {
        let said = said_cleanly(&arguments);
        assert!(said.ends_with("exit 3\n") && !said.contains("hunter2") && !said.contains("/tmp"), "{said}");
    }
    let (url, node) = address.split_once('#').unwrap();
    let file = folder.path().join("address");
    fs::write(&file, format!("{url}\n")).unwrap();
    let named = format!("@{}#{node}", file.display());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let refused = said_cleanly(&["show", &named]);
        assert!(refused.contains("nobody else may read") && refused.ends_with("exit 2\n"), "{refused}");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }
    assert_eq!(said_cleanly(&["show", &named]), said_cleanly(&["show", &address]));
}

#[cfg(unix)]
#[test]
fn a_copy_that_is_shown_is_gone_when_the_command_is_stopped() {
    use std::os::unix::process::ExitStatusExt;
    let Some(address) = address("stopped") else { return };
    let (folder, temporary) = (fixture(), tempfile::tempdir().unwrap());
    assert!(said(&["copy", folder.path().to_str().unwrap(), &address]).ends_with("exit 0\n"));
    let mut inspect = Command::new(env!("CARGO_BIN_EXE_amiko"))
        .args(["inspect", &address])
        .env("TMPDIR", temporary.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let url = BufReader::new(inspect.stdout.take().unwrap()).lines().next().unwrap().unwrap();
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    assert!(!is_empty(temporary.path()));
    let process = rustix::process::Pid::from_child(&inspect);
    rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
    assert_eq!(inspect.wait().unwrap().signal(), Some(15));
    assert!(is_empty(temporary.path()));
}
