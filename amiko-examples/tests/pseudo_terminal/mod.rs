//! A terminal for commands that ask.

use rustix::pty::{self, OpenptFlags};
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;

/// The end at which somebody types, and the one that a command reads from.
pub(crate) fn open() -> (File, Stdio) {
    let terminal = pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    pty::grantpt(&terminal).unwrap();
    pty::unlockpt(&terminal).unwrap();
    let name = pty::ptsname(&terminal, Vec::new()).unwrap();
    let name = std::path::Path::new(std::ffi::OsStr::from_bytes(name.as_bytes()));
    let other = File::options().read(true).write(true).open(name).unwrap();
    (File::from(terminal), Stdio::from(other))
}
