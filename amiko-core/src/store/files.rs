//! The files of a directory: how they are named, created, listed and removed.
//!
//! Invariant: a file gets its final name only when all of it is durable, so a file with a final
//! name is complete; what a crash leaves half-made ends in `.tmp` and is nobody's.

use std::path::{Path, PathBuf};

use super::error::{Failure, RecoverError, Trying};
use super::format::Header;
use super::journal;
use super::vfs::{Access, Vfs, VfsFile};
use crate::time::Time;
use std::collections::BTreeMap;
use std::iter;
use std::time::Duration;

const TEMPORARY: &str = ".tmp";

/// Which older snapshots are kept, with the journal that follows them, when there is a newer one.
///
/// What is kept can be opened with [`Directory::open_at`](super::Directory::open_at), and takes the place of a newer
/// snapshot that turns out to be damaged. Age is measured by the times of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Retention {
    /// So many of them. 0 keeps only what a recovery needs.
    Count(u64),
    /// Those that were the newest one at any moment within this time before the last snapshot.
    Age(Duration),
    /// All of them.
    Forever,
}

/// The directory of one store.
#[derive(Debug)]
pub(super) struct Files<V> {
    pub(super) vfs: V,
    pub(super) directory: PathBuf,
}

/// The files of a store, in the order of their numbers. Files of other names aren't looked at.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    /// Sequence numbers of the snapshots.
    pub(super) snapshots: Vec<u64>,
    /// First sequence numbers of the journal segments.
    pub(super) segments: Vec<u64>,
    /// Names of what was never finished.
    temporary: Vec<String>,
}

/// What a file name stands for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Snapshot(u64),
    Segment(u64),
}

impl<V: Vfs> Files<V> {
    pub(super) fn snapshot(&self, sequence: u64) -> PathBuf {
        self.directory.join(format!("snapshot-{sequence}.json"))
    }

    pub(super) fn segment(&self, first: u64) -> PathBuf {
        self.directory.join(format!("journal-{first}.jsonl"))
    }

    pub(super) fn open(&self, path: &Path, access: Access) -> Result<V::File, Failure> {
        self.vfs.open(path, access).trying("open", path)
    }

    /// Creates what [`publish`](Self::publish) will give its final name.
    pub(super) fn create(&self, path: &Path) -> Result<V::File, Failure> {
        let temporary = temporary(path);
        self.vfs.create(&temporary).trying("create", &temporary)
    }

    /// Makes a file durable, then gives it its final name, then makes that durable.
    pub(super) fn publish(&self, file: &mut V::File, path: &Path) -> Result<(), Failure> {
        let temporary = temporary(path);
        file.sync_data().trying("sync", &temporary)?;
        self.vfs.rename(&temporary, path).trying("rename a temporary file to", path)?;
        self.sync()
    }

    /// Makes the names in the directory durable. Has to come before what a name replaces goes.
    pub(super) fn sync(&self) -> Result<(), Failure> {
        if cfg!(amiko_sabotage = "no_directory_fsync") {
            return Ok(());
        }
        self.vfs.sync_dir(&self.directory).trying("sync the directory", &self.directory)
    }

    pub(super) fn inventory(&self) -> Result<Inventory, RecoverError> {
        let names = self.vfs.list(&self.directory).trying("list", &self.directory)?;
        let mut inventory = Inventory::default();
        let mut found: BTreeMap<Kind, String> = BTreeMap::new();
        for name in names {
            if name.strip_suffix(TEMPORARY).and_then(kind).is_some() {
                inventory.temporary.push(name);
            } else if let Some(kind) = kind(&name)
                && let Some(other) = found.insert(kind, name.clone())
            {
                let (path, other) = (self.directory.join(name), self.directory.join(other));
                return Err(RecoverError::Duplicate { path, other });
            }
        }
        for (kind, name) in found {
            let path = match kind {
                Kind::Snapshot(sequence) => self.snapshot(sequence),
                Kind::Segment(first) => self.segment(first),
            };
            if !path.ends_with(&name) {
                return Err(RecoverError::Misnamed { path: self.directory.join(name), expected: path });
            }
            match kind {
                Kind::Snapshot(sequence) => inventory.snapshots.push(sequence),
                Kind::Segment(first) => inventory.segments.push(first),
            }
        }
        Ok(inventory)
    }

    /// Removes what was never finished, and what the snapshot `newest` has replaced.
    ///
    /// A crash may bring any of it back; recovery doesn't need it, whatever is there.
    pub(super) fn sweep(&self, newest: u64, retention: Retention) -> Result<(), Failure> {
        // Files whose names say nothing clear are nothing to remove.
        let Ok(inventory) = self.inventory() else { return Ok(()) };
        let mut obsolete: Vec<PathBuf> = inventory.temporary.iter().map(|name| self.directory.join(name)).collect();
        let older = &inventory.snapshots[..inventory.snapshots.partition_point(|sequence| *sequence < newest)];
        let oldest = older.len() - self.kept(older, newest, retention);
        let first_kept = match retention {
            // Also what came before the first snapshot of all.
            Retention::Forever => 0,
            _ => older.get(oldest).copied().unwrap_or(newest),
        };
        obsolete.extend(older[..oldest].iter().map(|&sequence| self.snapshot(sequence)));
        let segments = inventory.segments.iter().filter(|&&first| first <= first_kept);
        obsolete.extend(segments.map(|&first| self.segment(first)));
        for path in obsolete {
            self.vfs.remove(&path).trying("remove", &path)?;
        }
        Ok(())
    }

    /// How many of these snapshots are kept: the newest of them.
    fn kept(&self, older: &[u64], newest: u64, retention: Retention) -> usize {
        let age = match retention {
            Retention::Forever => return older.len(),
            Retention::Count(count) => return older.len().min(usize::try_from(count).unwrap_or(usize::MAX)),
            Retention::Age(age) => age,
        };
        let Some(now) = self.time_of(newest) else { return older.len() };
        let replaced_by = iter::once(&newest).chain(older.iter().rev()).take(older.len());
        // What can't be read isn't removed for its age.
        replaced_by.take_while(|&&next| self.time_of(next).is_none_or(|replaced| now - replaced <= age)).count()
    }

    /// The time of a snapshot: its segment has it.
    fn time_of(&self, sequence: u64) -> Option<Time> {
        self.header(sequence.checked_add(1)?).map(|header| header.time)
    }

    /// The segment before the one that begins with this record, if that one says so.
    pub(super) fn previous_segment(&self, first: u64) -> Option<u64> {
        self.header(first)?.previous
    }

    fn header(&self, first: u64) -> Option<Header> {
        journal::header(self, first).ok()
    }
}

pub(super) fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(TEMPORARY);
    PathBuf::from(name)
}

/// Any spelling of a number counts: a file that was written anew by hand is refused, and not passed over.
fn kind(name: &str) -> Option<Kind> {
    let (prefix, rest) = name.split_once('-')?;
    let end = rest.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, suffix) = rest.split_at(end);
    let value: u64 = digits.parse().ok()?;
    match (prefix, suffix) {
        ("snapshot", ".json") => Some(Kind::Snapshot(value)),
        ("journal", ".jsonl") if value > 0 => Some(Kind::Segment(value)),
        _ => None,
    }
}
