//! Running the command, and directories for it.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::fs;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime};

pub(crate) fn amiko(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_amiko")).args(arguments).output().unwrap()
}

pub(crate) fn said(arguments: &[&str]) -> String {
    let output = amiko(arguments);
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    format!("{text}exit {}\n", output.status.code().unwrap())
}

/// A copy of the fixture, which was written by the first version of the format.
pub(crate) fn fixture() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let from = concat!(env!("CARGO_MANIFEST_DIR"), "/../amiko-core/tests/fixtures/format-1/directory");
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let copy = folder.path().join(entry.file_name());
        fs::copy(entry.path(), &copy).unwrap();
        // So that what is said about it is always the same.
        let written = SystemTime::UNIX_EPOCH + Duration::from_secs(20);
        fs::File::options().write(true).open(copy).unwrap().set_modified(written).unwrap();
    }
    // That first version didn't say what is secret. Nothing is.
    fs::write(folder.path().join("classes.json"), r#"{"secrets":[],"machines":{},"classes":{}}"#).unwrap();
    folder
}

/// A terminal of so many rows: the end of who looks at it, and the one that a command writes to.
#[cfg(unix)]
pub(crate) fn terminal(rows: u16) -> (fs::File, Stdio) {
    use rustix::pty::{self, OpenptFlags};
    use rustix::termios::{Winsize, tcsetwinsize};
    use std::os::unix::ffi::OsStrExt;

    let terminal = pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    pty::grantpt(&terminal).unwrap();
    pty::unlockpt(&terminal).unwrap();
    tcsetwinsize(&terminal, Winsize { ws_row: rows, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    let name = pty::ptsname(&terminal, Vec::new()).unwrap();
    let name = std::path::Path::new(std::ffi::OsStr::from_bytes(name.as_bytes()));
    let screen = fs::File::options().read(true).write(true).open(name).unwrap();
    (fs::File::from(terminal), Stdio::from(screen))
}
