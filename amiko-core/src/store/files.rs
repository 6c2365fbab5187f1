//! The files of a directory: how they are named, created, listed and removed.
//!
//! Invariant: a file gets its final name only when all of it is durable, so a file with a final
//! name is complete; what a crash leaves half-made ends in `.tmp` and is nobody's.

use std::path::{Path, PathBuf};

use super::error::{Failure, Trying};
use super::format;
use super::vfs::{Access, Vfs, VfsFile};

const TEMPORARY: &str = ".tmp";

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
        self.vfs.sync_dir(&self.directory).trying("sync the directory", &self.directory)
    }

    pub(super) fn inventory(&self) -> Result<Inventory, Failure> {
        let names = self.vfs.list(&self.directory).trying("list", &self.directory)?;
        let mut inventory = Inventory::default();
        for name in names {
            if name.strip_suffix(TEMPORARY).and_then(kind).is_some() {
                inventory.temporary.push(name);
                continue;
            }
            match kind(&name) {
                Some(Kind::Snapshot(sequence)) => inventory.snapshots.push(sequence),
                Some(Kind::Segment(first)) => inventory.segments.push(first),
                None => {}
            }
        }
        inventory.snapshots.sort_unstable();
        inventory.segments.sort_unstable();
        Ok(inventory)
    }

    /// Removes what was never finished, and what the newest snapshot has replaced.
    ///
    /// A crash may bring any of it back; recovery doesn't look at it, whatever is there.
    pub(super) fn sweep(&self) -> Result<(), Failure> {
        let inventory = self.inventory()?;
        let mut obsolete: Vec<PathBuf> = inventory.temporary.iter().map(|name| self.directory.join(name)).collect();
        if let Some((&newest, older)) = inventory.snapshots.split_last() {
            obsolete.extend(older.iter().map(|&sequence| self.snapshot(sequence)));
            let segments = inventory.segments.iter().filter(|&&first| first <= newest);
            obsolete.extend(segments.map(|&first| self.segment(first)));
        }
        for path in obsolete {
            self.vfs.remove(&path).trying("remove", &path)?;
        }
        Ok(())
    }
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(TEMPORARY);
    PathBuf::from(name)
}

/// Only the one spelling of a number counts, so no two files can have the same one.
fn kind(name: &str) -> Option<Kind> {
    let (prefix, rest) = name.split_once('-')?;
    let (value, suffix) = format::number(rest)?;
    match (prefix, suffix) {
        ("snapshot", ".json") => Some(Kind::Snapshot(value)),
        ("journal", ".jsonl") if value > 0 => Some(Kind::Segment(value)),
        _ => None,
    }
}
