//! Who owns what a node opens.
//!
//! Invariant: no node runs on a directory that somebody else could change, and no command says anything to somebody else's node.

use crate::failure::Failure;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use tokio::net::UnixStream;

/// The user of this process.
fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Refuses a state directory of another user, or one that others can write to. One that doesn't exist is made for its owner only.
pub(crate) fn check_directory(directory: &Path) -> Result<(), Failure> {
    let path = directory.display();
    let about = match directory.metadata() {
        Ok(about) => about,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Failure::Refused(format!("can't look at {path}: {error}"))),
    };
    let (owner, user) = (about.uid(), user());
    if owner != user {
        return Err(Failure::Denied(format!(
            "permission denied: expected {path} to belong to this user ({user}), found that user {owner} owns it: be that \
             user, or `chown` it"
        )));
    }
    let mode = about.permissions().mode() & 0o777;
    // Others who can write to a directory can put their own files in the place of the node's.
    if mode & 0o022 != 0 {
        return Err(Failure::Refused(format!(
            "expected {path} to be a directory that only its owner can write to, found that others can (mode {mode:04o}): if \
             nobody has changed anything there, `chmod go-w` it"
        )));
    }
    Ok(())
}

/// Refuses a node of another user: whoever asks it says secrets.
pub(crate) fn check_peer(stream: &UnixStream, path: &Path) -> Result<(), Failure> {
    let (owner, user) = (stream.peer_cred().map_err(Failure::system)?.uid(), user());
    if owner == user {
        return Ok(());
    }
    Err(Failure::Refused(format!(
        "expected a node of this user (user {user}) behind {}, found one of user {owner}: run the command as that user",
        path.display()
    )))
}
