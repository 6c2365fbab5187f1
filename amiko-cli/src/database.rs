//! A node in a database, wherever a command takes a directory.
//!
//! Invariant: the commands look into a copy as of one moment, which is gone when they end, however that is; nothing is written to
//! the database for it, and no password is shown.

use crate::arguments::Command;
use crate::failure::Failure;
use crate::pager;
use crate::progress::Progress;
use amiko_inspector::reading::plain;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Where a node is: `postgres://user@host/database#node`, or `@FILE#node` with the address in a file.
pub(crate) struct Address {
    pub(crate) url: String,
    pub(crate) node: String,
}

impl Address {
    /// None for a directory.
    pub(crate) fn parse(text: &Path) -> Result<Option<Self>, Failure> {
        let Some(text) = text.to_str() else { return Ok(None) };
        let is_url = |text: &str| text.starts_with("postgres://") || text.starts_with("postgresql://");
        if !is_url(text) && !text.starts_with('@') {
            return Ok(None);
        }
        let (place, node) = text.split_once('#').unwrap_or((text, ""));
        if node.is_empty() {
            let expected = "expected the name of a node behind the address of its database, as";
            return Err(Failure::Usage(format!("{expected} postgres://user@host/database#node, found none")));
        }
        let url = match place.strip_prefix('@') {
            None => place.to_owned(),
            Some(file) => from_file(file)?,
        };
        if is_url(&url) {
            return Ok(Some(Self { url, node: node.to_owned() }));
        }
        Err(Failure::Usage("expected the address of a database, as postgres://user@host/database, in the file".into()))
    }

    /// The same without the password.
    pub(crate) fn shown(&self) -> String {
        let (scheme, rest) = self.url.split_once("://").unwrap_or(("postgres", &self.url));
        // A password may have any character in it, up to the last `@`; which may also be in one behind a `?`.
        let (user, rest) = match rest.rsplit_once('@') {
            None => (None, rest),
            Some((user, _)) if user.contains('?') => (user.split([':', '/', '?']).next(), "…"),
            Some((user, rest)) => (user.split([':', '/']).next(), rest),
        };
        // There may be another one behind a `?`.
        let rest = rest.split('?').next().unwrap_or_default();
        let user = user.map(|user| format!("{user}@")).unwrap_or_default();
        plain(&format!("{scheme}://{user}{rest}#{}", self.node))
    }
}

/// An address with a password is for its owner alone.
fn from_file(file: &str) -> Result<String, Failure> {
    let missing = |error: std::io::Error| {
        Failure::Missing(format!("expected the address of a database in {}: {error}", plain(file)))
    };
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(file).map_err(missing)?.permissions());
        if mode & 0o077 != 0 {
            let mode = mode & 0o777;
            let found =
                format!("expected a file that nobody else may read, found {} with mode {mode:04o}", plain(file));
            return Err(Failure::Usage(format!("{found}: `chmod 600` helps")));
        }
    }
    Ok(fs::read_to_string(file).map_err(missing)?.trim().to_owned())
}

/// A copy that a command looks into.
pub(crate) struct LookedAt {
    path: PathBuf,
    shown: String,
}

impl LookedAt {
    /// A text with the name of what was copied.
    pub(crate) fn named(&self, text: &str) -> String {
        text.replace(&*self.path.to_string_lossy(), &self.shown)
    }
}

/// The folder of the copy.
static FOLDER: Mutex<Option<tempfile::TempDir>> = Mutex::new(None);

/// Removes the copy, if there is one.
pub(crate) fn clean() {
    drop(FOLDER.lock().unwrap_or_else(PoisonError::into_inner).take());
}

/// Removes the copy at the end.
pub(crate) struct Cleaning;

impl Drop for Cleaning {
    fn drop(&mut self) {
        clean();
    }
}

/// If the command is to look into a node in a database, copies that, and lets it look into the copy.
pub(crate) fn look(command: &mut Command) -> Result<Option<LookedAt>, Failure> {
    let address = command.directory().map(|directory| Address::parse(directory)).transpose()?.flatten();
    let Some(address) = address else { return Ok(None) };
    match command {
        Command::Log(log) if log.follow => {
            return Err(Failure::Usage("expected a directory for --follow, found a node in a database".into()));
        }
        Command::Repair(_) => {
            let expected = "expected a directory to repair, found a node in a database";
            return Err(Failure::Usage(format!("{expected}: its own tools restore it, from a backup or a standby")));
        }
        _ => {}
    }
    let unusable = |error: std::io::Error| Failure::Missing(format!("expected room for a copy of the node: {error}"));
    let folder = tempfile::Builder::new().prefix("amiko-").tempdir().map_err(unusable)?;
    let path = folder.path().join("node");
    *FOLDER.lock().unwrap_or_else(PoisonError::into_inner) = Some(folder);
    clean_when_stopped().map_err(unusable)?;
    let mut progress = Progress::begin();
    let copied = amiko_postgres::export_running(&address.url, &address.node, &path, |_| progress.event())?;
    drop(progress);
    if matches!(command, Command::Inspect(_)) {
        eprintln!("amiko: what is shown is version {}, and nothing that comes after it", copied.last);
    }
    if let Some(directory) = command.directory() {
        directory.clone_from(&path);
    }
    Ok(Some(LookedAt { path, shown: address.shown() }))
}

/// Whoever stops the command leaves no copy behind.
#[cfg(unix)]
fn clean_when_stopped() -> std::io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    std::thread::Builder::new().name("amiko-signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            if signal == SIGINT && pager::runs() {
                continue;
            }
            clean();
            // It ends as it would have without this.
            drop(signal_hook::low_level::emulate_default_handler(signal));
        }
    })?;
    Ok(())
}

#[cfg(not(unix))]
fn clean_when_stopped() -> std::io::Result<()> {
    let _ = pager::runs;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

    use super::*;

    #[test]
    fn an_address_names_its_node_and_shows_no_password() {
        let shown = |text: &str| Address::parse(Path::new(text)).map(|address| address.map(|found| found.shown()));
        let cases = [
            ("postgres://bank@one:5432,two/amiko#orders", "postgres://bank@one:5432,two/amiko#orders"),
            ("postgres://bank:p@ss:word@one/amiko#a#b", "postgres://bank@one/amiko#a#b"),
            ("postgresql://one?password=secret#x", "postgresql://one#x"),
            ("postgres://bank:p/w@one/amiko#x", "postgres://bank@one/amiko#x"),
            ("postgres://bank:p?w@one/amiko#x", "postgres://bank@…#x"),
            ("postgres://one/amiko?password=p@ss#x", "postgres://one@…#x"),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(text).unwrap().unwrap(), expected);
        }
        assert!(shown("bank").unwrap().is_none() && shown("./@bank").unwrap().is_none());
        for text in ["postgres://one/amiko", "postgres://one/amiko#"] {
            assert_eq!(shown(text).unwrap_err().exit_code(), 2);
        }
        assert_eq!(shown("@/no/such/file#node").unwrap_err().exit_code(), 3);
    }
}
