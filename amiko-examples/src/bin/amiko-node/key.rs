//! The node's key: the file `key` in its state directory, 64 hex digits.
//!
//! Invariant: a key is made once, and is on disk durably before anybody learns of it. A file that others can read or
//! write, or that holds anything but a key, is refused and left as it is.

use crate::failure::{Failure, chain};
use amiko_core::PublicKey;
use amiko_runtime::SecretKey;
use rustix::fs::OFlags;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use zeroize::Zeroizing;

/// Bytes in the file: the digits and the newline.
const LENGTH: u64 = 65;

/// The command that makes another key.
const MAKE: &str = "(umask 077; openssl rand -hex 32 > key)";

/// The key of the node in this directory, which this process has locked. It is made if, according to its state, the
/// node has never had one.
pub(crate) fn open(directory: &Path, known: Option<PublicKey>) -> Result<SecretKey, Failure> {
    let path = directory.join("key");
    let refused = |error: &dyn std::error::Error| {
        Failure::Refused(format!("expected the key of the node in {}: {}", path.display(), chain(error)))
    };
    match (read(&path), known) {
        (Err(error), None) if error.kind() == io::ErrorKind::NotFound => {
            make(directory).map_err(|error| refused(&error))
        }
        (Err(error), Some(known)) if error.kind() == io::ErrorKind::NotFound => Err(Failure::Refused(format!(
            "expected the key {known} of this node in {}, found no such file: put it back; or, if it is lost, make another \
             with `{MAKE}` there, and have every neighbour renew its link",
            path.display()
        ))),
        (Err(error), _) => Err(refused(&error)),
        (Ok(key), _) => key.map_err(|reason| {
            Failure::Refused(format!("expected the key of the node in {}, found {reason}", path.display()))
        }),
    }
}

/// Reads the file. If it is readable but invalid, the inner error says what is wrong.
fn read(path: &Path) -> io::Result<Result<SecretKey, String>> {
    // Neither through a link, nor waiting for the other end of a FIFO.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    let opened = OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path);
    if path.is_symlink() {
        return Ok(Err("a symbolic link: put the file itself in its place".into()));
    }
    let file = opened?;
    let about = file.metadata()?;
    if !about.is_file() {
        return Ok(Err("something that isn't a file".into()));
    }
    if about.uid() != rustix::process::geteuid().as_raw() {
        return Ok(Err(format!("one that user {} owns: run as its owner, or `chown` it", about.uid())));
    }
    let mode = about.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Ok(Err(format!(
            "that others may open it (mode {mode:04o}): if nobody has, `chmod 600 {}`; else make another key with `{MAKE}` \
             there, and have every neighbour renew its link",
            path.display()
        )));
    }
    let mut text = Zeroizing::new(Vec::with_capacity(80));
    file.take(LENGTH + 1).read_to_end(&mut text)?;
    let digits = text.strip_suffix(b"\n").unwrap_or(&text);
    let mut bytes = Zeroizing::new([0; 32]);
    // The content isn't shown: most of it may be a key.
    Ok(match hex::decode_to_slice(digits, &mut *bytes) {
        Ok(()) if digits.len() == 64 => Ok(SecretKey::new(*bytes)),
        _ => Err(format!(
            "something else than 64 hex digits: put back a copy; or, if it is lost, make another key with `{MAKE}` there, \
             and have every neighbour renew its link"
        )),
    })
}

fn make(directory: &Path) -> io::Result<SecretKey> {
    let key = SecretKey::generate()?;
    let line = Zeroizing::new(format!("{}\n", hex::encode(key.expose())));
    let unfinished = directory.join("key.tmp");
    // Left by a crash, and never used.
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    file.write_all(line.as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, directory.join("key"))?;
    File::open(directory)?.sync_all()?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(directory: &Path) -> String {
        fs::read_to_string(directory.join("key")).unwrap()
    }

    fn refusal(directory: &Path, known: Option<PublicKey>) -> String {
        open(directory, known).unwrap_err().to_string()
    }

    #[test]
    fn a_key_is_made_once_for_its_owner_only() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("key.tmp"), "torn").unwrap();
        let key = open(directory.path(), None).unwrap();
        let mode = fs::metadata(directory.path().join("key")).unwrap().permissions().mode();
        assert_eq!((mode & 0o777, text(directory.path()).len()), (0o600, 65));
        assert!(!directory.path().join("key.tmp").exists());
        for known in [None, Some(key.public())] {
            assert_eq!(open(directory.path(), known).unwrap().expose(), key.expose());
        }
    }

    #[test]
    fn a_key_that_others_may_open_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        open(directory.path(), None).unwrap();
        let path = directory.path().join("key");
        for mode in [0o640, 0o604, 0o620, 0o644] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let said = refusal(directory.path(), None);
            assert!(said.contains(&format!("{mode:04o}")) && said.contains("chmod 600"), "{said}");
        }
    }

    #[test]
    fn a_garbled_key_is_refused_unseen_and_left_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        open(directory.path(), None).unwrap();
        let good = text(directory.path());
        for bad in
            ["", "\n", &good[1..], &format!("0x{}", &good[2..]), &format!("0x{good}"), &good.replace('\n', "0\n")]
        {
            fs::write(directory.path().join("key"), bad).unwrap();
            let said = refusal(directory.path(), None);
            assert!(said.contains("64 hex digits") && !said.contains(&good[4..20]), "{said}");
            assert_eq!(text(directory.path()), bad);
        }
    }

    #[test]
    fn a_key_that_is_missed_is_not_made_anew() {
        let directory = tempfile::tempdir().unwrap();
        let key = open(directory.path(), None).unwrap();
        fs::remove_file(directory.path().join("key")).unwrap();
        let said = refusal(directory.path(), Some(key.public()));
        assert!(said.contains(&key.public().to_string()) && said.contains("put it back"), "{said}");
        assert!(!directory.path().join("key").exists());
    }
}
