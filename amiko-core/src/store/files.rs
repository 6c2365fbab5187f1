//! The files of a directory: how they are named, created, listed and removed.
//!
//! Invariant: a file gets its final name only when all of it is durable, so a file with a final
//! name is complete; what a crash leaves half-made ends in `.tmp` and is nobody's.

use crate::sabotage::{Sabotage, sabotaged};
use std::path::{Path, PathBuf};

use super::error::{Failure, OpenError, RecoverError, Trying};
use super::vfs::{Access, LockError, Vfs, VfsFile};
use std::collections::BTreeMap;

const TEMPORARY: &str = ".tmp";

/// What programs have said of their classes.
pub(super) const CLASSES: &str = "classes.json";

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
    pub(super) temporary: Vec<String>,
}

/// What a file name stands for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Snapshot(u64),
    Segment(u64),
}

impl<V: Vfs> Files<V> {
    /// Takes the lock of the directory, without waiting.
    pub(super) fn lock(&self, access: Access) -> Result<V::Lock, OpenError> {
        let path = self.directory.join("LOCK");
        self.vfs.lock(&path, access).map_err(|error| match error {
            LockError::Held { holder } => OpenError::Locked { path: self.directory.clone(), holder },
            LockError::Io(source) => OpenError::Io { action: "lock", path, source },
        })
    }

    /// Refuses a directory that isn't there, or has nothing of a store in it, and leaves it as it is.
    pub(super) fn expect_store(&self) -> Result<(), OpenError> {
        let names = self.vfs.list(&self.directory).trying("list", &self.directory)?;
        if names.iter().any(|name| kind(name.strip_suffix(TEMPORARY).unwrap_or(name)).is_some()) {
            return Ok(());
        }
        Err(OpenError::NoStore { path: self.directory.clone() })
    }

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
        if sabotaged(Sabotage::NoDirectoryFsync) {
            return Ok(());
        }
        self.vfs.sync_dir(&self.directory).trying("sync the directory", &self.directory)
    }

    pub(super) fn inventory(&self) -> Result<Inventory, RecoverError> {
        let (inventory, strays) = self.survey()?;
        strays.into_iter().next().map_or(Ok(inventory), Err)
    }

    /// The same, with what is wrong with the names of files beside it. No crash gives a file such a name: somebody has.
    pub(super) fn survey(&self) -> Result<(Inventory, Vec<RecoverError>), Failure> {
        let names = self.vfs.list(&self.directory).trying("list", &self.directory)?;
        let (mut inventory, mut strays) = (Inventory::default(), Vec::new());
        let mut found: BTreeMap<Kind, Vec<String>> = BTreeMap::new();
        for name in names {
            if name.strip_suffix(TEMPORARY).is_some_and(|name| name == CLASSES || kind(name).is_some()) {
                inventory.temporary.push(name);
            } else if let Some(kind) = kind(&name) {
                found.entry(kind).or_default().push(name);
            }
        }
        for (kind, names) in found {
            let (path, numbers, number) = match kind {
                Kind::Snapshot(sequence) => (self.snapshot(sequence), &mut inventory.snapshots, sequence),
                Kind::Segment(first) => (self.segment(first), &mut inventory.segments, first),
            };
            let (right, wrong): (Vec<String>, Vec<String>) = names.into_iter().partition(|name| path.ends_with(name));
            numbers.extend((!right.is_empty()).then_some(number));
            let mut others = right.iter().chain(&wrong);
            let first = others.next().map(|name| self.directory.join(name));
            match (first, others.next()) {
                (Some(other), Some(_)) => {
                    let wrong = wrong.iter().map(|name| self.directory.join(name)).filter(|path| *path != other);
                    strays.extend(wrong.map(|path| RecoverError::Duplicate { path, other: other.clone() }));
                }
                (Some(found), None) if right.is_empty() => {
                    strays.push(RecoverError::Misnamed { path: found, expected: path });
                }
                _ => {}
            }
        }
        Ok((inventory, strays))
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
