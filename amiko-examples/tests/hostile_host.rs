//! A host that is short of file descriptors, or on which somebody else has prepared files. Real processes.

#![allow(clippy::unwrap_used, clippy::panic)]

mod node;

use node::{BINARY, Node};
use std::fs;
use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// How long a stranger may take to say who it is.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Starts a node that may have so many files open.
fn start(directory: &Path, files: u32) -> Node {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n \"$0\"; exec \"$@\"", &files.to_string(), BINARY]);
    begin(command, directory)
}

/// Starts a node with the command that runs `amiko-node`.
fn begin(mut command: Command, directory: &Path) -> Node {
    command.args(["run", "--listen", "127.0.0.1:0"]).stderr(Stdio::null());
    Node::start(command, directory)
}

/// Runs a node that is expected not to start, and returns what it says.
fn refusal(directory: &Path) -> String {
    let ended = run(directory);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    String::from_utf8(ended.stderr).unwrap()
}

fn run(directory: &Path) -> Output {
    Command::new(BINARY).args(["run", "--listen", "127.0.0.1:0", "--dir"]).arg(directory).output().unwrap()
}

/// Makes the state of a node that has ended.
fn state() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
    drop(start(directory.path(), 256));
    directory
}

#[test]
fn a_node_without_a_descriptor_left_goes_on() {
    let directory = state();
    let mut node = start(directory.path(), 64);
    let mut strangers: Vec<_> = (0..300).map(|_| TcpStream::connect(&node.listen).unwrap()).collect();
    // One too many is sent away at once, and not only when the time of those before it is over.
    let last = strangers.last_mut().unwrap();
    last.set_read_timeout(Some(HANDSHAKE / 2)).unwrap();
    match last.read(&mut [0]) {
        Ok(length) => assert_eq!(length, 0),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
    }
    // The node's own files find room: this writes to the journal, and the answer comes through a socket.
    let added = node::command(&node.directory, &["link", "add", "ann"]).output().unwrap();
    assert!(added.status.success(), "{added:?}");

    let socket = directory.path().join("control.sock");
    let idle: Vec<_> = (0..60).map(|_| UnixStream::connect(&socket).unwrap()).collect();
    let waiting = node::command(&node.directory, &["list", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    drop(idle);
    let listed = waiting.wait_with_output().unwrap();
    assert!(listed.status.success() && String::from_utf8_lossy(&listed.stdout).contains("ann"), "{listed:?}");
    drop(strangers);
    assert!(node.process.try_wait().unwrap().is_none());
}

/// However descriptors are divided up, the operating system may refuse one.
#[test]
fn a_command_that_cant_be_accepted_waits_and_the_node_goes_on() {
    let directory = state();
    let mut node = start(directory.path(), 256);
    let pid = node.process.id().to_string();
    let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    let limited =
        Command::new("prlimit").args(["--pid", &pid, &format!("--nofile={0}:{0}", open + 3)]).status().unwrap();
    assert!(limited.success());
    let idle: Vec<_> = (0..12).map(|_| UnixStream::connect(directory.path().join("control.sock")).unwrap()).collect();
    let waiting = node::command(&node.directory, &["list", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    // Those before it have to be refused a descriptor, and then go.
    let taken = || fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    while taken() < open + 3 && node.process.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    drop(idle);
    assert!(waiting.wait_with_output().unwrap().status.success());
    assert!(node.process.try_wait().unwrap().is_none());
}

#[test]
fn a_second_node_is_refused_also_when_the_lock_file_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let node = start(directory.path(), 256);
    let pid = node.process.id().to_string();
    let said = refusal(directory.path());
    assert!(said.contains(&format!("pid {pid}")), "{said}");
    fs::remove_file(directory.path().join("LOCK")).unwrap();
    let said = refusal(directory.path());
    assert!(said.contains("another process is using"), "{said}");
}

#[test]
fn files_that_somebody_else_prepared_are_refused_and_left_as_they_are() {
    for name in ["LOCK", "key", "journal-1.jsonl"] {
        let (directory, elsewhere) = (state(), tempfile::tempdir().unwrap());
        let (path, own) = (directory.path().join(name), elsewhere.path().join("own"));
        fs::rename(&path, &own).unwrap();
        let content = fs::read(&own).unwrap();
        symlink(&own, &path).unwrap();
        let said = refusal(directory.path());
        assert!(said.contains("symbolic link") && said.contains(name), "{said}");
        fs::remove_file(&path).unwrap();
        assert!(Command::new("mkfifo").arg("-m").arg("600").arg(&path).status().unwrap().success());
        let said = refusal(directory.path());
        assert!(said.contains("FIFO") || said.contains("isn't a file"), "{said}");
        assert_eq!(fs::read(&own).unwrap(), content);
    }
}

#[test]
fn a_directory_that_others_can_write_to_is_refused_with_what_to_do() {
    let directory = state();
    for mode in [0o770, 0o702, 0o777] {
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(mode)).unwrap();
        let said = refusal(directory.path());
        assert!(said.contains(&format!("mode {mode:04o}")) && said.contains("chmod go-w"), "{said}");
    }
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    drop(start(directory.path(), 256));
}

/// Only root can give something to another user.
#[test]
fn a_directory_or_key_of_another_user_is_refused_with_what_to_do() {
    let nobody = Some(65_534);
    for name in ["", "key"] {
        let directory = state();
        if chown(directory.path().join(name), nobody, None).is_err() {
            return;
        }
        let said = refusal(directory.path());
        assert!(said.contains("user 65534 owns") && said.contains("chown"), "{said}");
    }
}

/// Whoever asks a node may say a secret. Only root can run one as another user.
#[test]
fn a_command_says_nothing_to_the_node_of_another_user() {
    let nobody = 65_534;
    let root = tempfile::tempdir().unwrap();
    let (program, directory) = (root.path().join("amiko-node"), root.path().join("theirs"));
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(&directory).unwrap();
    if chown(&directory, Some(nobody), Some(nobody)).is_err() {
        return;
    }
    // The binary may lie where that user can't reach it. Another process copies it, so that nobody holds it open for writing.
    assert!(Command::new("cp").arg(BINARY).arg(&program).status().unwrap().success());
    let mut theirs = Command::new(&program);
    theirs.uid(nobody).gid(nobody);
    let node = begin(theirs, &directory);
    let said = node::command(&node.directory, &["link", "add", "ann"]).output().unwrap();
    let text = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.code() == Some(1) && text.contains("found one of user 65534"), "{said:?}");
}

#[test]
fn verify_writes_nothing_and_reads_a_copy() {
    let directory = state();
    fs::remove_file(directory.path().join("LOCK")).unwrap();
    let verified = Command::new(BINARY).arg("verify").arg("--dir").arg(directory.path()).output().unwrap();
    assert!(verified.status.success(), "{verified:?}");
    assert!(!directory.path().join("LOCK").exists());
}
