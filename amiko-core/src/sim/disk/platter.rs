//! What a simulated disk holds: contents and names, each as they are read now and as they are durable.
//!
//! Invariant: what is read now is what is durable with every change in `unsynced` applied to it, in order. A change leaves
//! `unsynced` only by becoming durable.

use super::{Fate, Fault, Pending};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

/// A file, whatever it is called.
pub(super) type Inode = u64;

type Names = BTreeMap<Arc<Path>, Inode>;

/// Larger than any file of a test, and small enough that a wrong offset doesn't take all memory.
const LARGEST_FILE: u64 = 1 << 32;

/// Kinds of operations, as far as faults tell them apart.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Opening, listing, asking for a size.
    Look,
    Read,
    Write,
    /// Changing names.
    Name,
    Sync,
}

/// Shared between an image and the disk that it was taken from, until one of them writes.
#[derive(Clone, Default)]
struct Content {
    current: Arc<Vec<u8>>,
    durable: Arc<Vec<u8>>,
}

#[derive(Clone)]
pub(super) enum Change {
    Write { inode: Inode, offset: usize, bytes: Arc<[u8]> },
    Empty { inode: Inode },
    Names { directory: Arc<Path>, entries: Vec<(Arc<Path>, Option<Inode>)> },
}

/// What became of a change that isn't in what is durable.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ResumePoint {
    /// The next sync makes it durable.
    Waiting,
    /// A sync of it has failed: the system takes it for clean, so no later sync writes it.
    Lost,
    /// Synced, but after one that is lost: it waits here so that they stay in order.
    Durable,
}

#[derive(Clone)]
struct Unsynced {
    pending: Pending,
    change: Change,
    standing: ResumePoint,
}

#[derive(Clone)]
struct Scheduled {
    fault: Fault,
    first: u64,
    last: u64,
}

#[derive(Default)]
pub(super) struct Platter {
    files: BTreeMap<Inode, Content>,
    created: Inode,
    names: Names,
    durable_names: Names,
    directories: BTreeSet<Arc<Path>>,
    unsynced: Vec<Unsynced>,
    locked: BTreeSet<Inode>,
    faults: Vec<Scheduled>,
    pub(super) operations: u64,
}

impl Platter {
    /// Counts an operation. Gives back the fault that it meets.
    pub(super) fn meet(&mut self, kind: Kind) -> Option<Fault> {
        self.operations += 1;
        let now = self.operations;
        let meets = |scheduled: &&Scheduled| {
            (scheduled.first..=scheduled.last).contains(&now)
                && match scheduled.fault {
                    Fault::Io | Fault::Halt => true,
                    Fault::Full => matches!(kind, Kind::Write | Kind::Name | Kind::Sync),
                    Fault::ShortWrite(_) => kind == Kind::Write,
                    Fault::Sync => kind == Kind::Sync,
                    Fault::BitFlip(_) => kind == Kind::Read,
                }
        };
        self.faults.iter().find(meets).map(|scheduled| scheduled.fault)
    }

    /// Counts an operation that a fault can only refuse.
    pub(super) fn enter(&mut self, kind: Kind) -> io::Result<()> {
        self.meet(kind).map_or(Ok(()), |fault| Err(fault.error()))
    }

    pub(super) fn schedule(&mut self, fault: Fault, first: u64, last: u64) {
        self.faults.push(Scheduled { fault, first, last });
    }

    pub(super) fn clear_faults(&mut self) {
        self.faults.clear();
    }

    pub(super) fn inode(&self, path: &Path) -> io::Result<Inode> {
        self.names.get(path).copied().ok_or_else(|| ErrorKind::NotFound.into())
    }

    pub(super) fn create_dir(&mut self, path: &Path) -> io::Result<()> {
        for above in path.ancestors() {
            if self.names.contains_key(above) {
                return Err(ErrorKind::AlreadyExists.into());
            }
            if !self.is_dir(above) {
                self.directories.insert(above.into());
                self.settle(
                    |change| matches!(change, Change::Names { directory, .. } if Some(&**directory) == above.parent()),
                );
            }
        }
        Ok(())
    }

    fn is_dir(&self, path: &Path) -> bool {
        // The root, or where the process is.
        path.parent().is_none() || self.directories.contains(path)
    }

    fn directory_of(&self, path: &Path) -> io::Result<Arc<Path>> {
        let parent = path.parent().filter(|parent| self.is_dir(parent) && !self.is_dir(path));
        parent.map(Arc::from).ok_or_else(|| ErrorKind::NotFound.into())
    }

    /// The file of this name, empty.
    pub(super) fn create(&mut self, path: &Arc<Path>) -> io::Result<Inode> {
        let Ok(inode) = self.inode(path) else { return self.open_or_create(path) };
        self.change(Pending::Emptied { path: path.clone() }, Change::Empty { inode });
        Ok(inode)
    }

    /// The file of this name, as it is.
    pub(super) fn open_or_create(&mut self, path: &Arc<Path>) -> io::Result<Inode> {
        if let Ok(inode) = self.inode(path) {
            return Ok(inode);
        }
        let directory = self.directory_of(path)?;
        self.created += 1;
        self.files.insert(self.created, Content::default());
        let entries = vec![(path.clone(), Some(self.created))];
        self.change(Pending::Created { path: path.clone() }, Change::Names { directory, entries });
        Ok(self.created)
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let inode = self.inode(from)?;
        let (source, target) = (self.directory_of(from)?, self.directory_of(to)?);
        let (from, to): (Arc<Path>, Arc<Path>) = (from.into(), to.into());
        if from == to {
            return Ok(());
        }
        let renamed = Pending::Renamed { from: from.clone(), to: to.clone() };
        let (arrives, leaves) = ((to, Some(inode)), (from.clone(), None));
        if source == target {
            self.change(renamed, Change::Names { directory: target, entries: vec![leaves, arrives] });
        } else {
            self.change(renamed, Change::Names { directory: target, entries: vec![arrives] });
            self.change(Pending::Removed { path: from }, Change::Names { directory: source, entries: vec![leaves] });
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.inode(path)?;
        let directory = self.directory_of(path)?;
        let path: Arc<Path> = path.into();
        let entries = vec![(path.clone(), None)];
        self.change(Pending::Removed { path }, Change::Names { directory, entries });
        Ok(())
    }

    pub(super) fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        if !self.is_dir(path) {
            return Err(ErrorKind::NotFound.into());
        }
        let paths = self.names.keys().chain(&self.directories).filter(|name| name.parent() == Some(path));
        Ok(paths.filter_map(|name| Some(name.file_name()?.to_str()?.to_owned())).collect())
    }

    pub(super) fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        if !self.is_dir(path) {
            return Err(ErrorKind::NotFound.into());
        }
        self.sync(|change| matches!(change, Change::Names { directory, .. } if **directory == *path))
    }

    pub(super) fn sync_data(&mut self, file: Inode) -> io::Result<()> {
        self.sync(|change| matches!(change, Change::Write { inode, .. } | Change::Empty { inode } if *inode == file))
    }

    fn sync(&mut self, concerns: impl Fn(&Change) -> bool) -> io::Result<()> {
        match self.meet(Kind::Sync) {
            None => self.settle(concerns),
            Some(fault) => {
                // Where the power is gone nobody takes anything for clean.
                let concerned = self.unsynced.iter_mut().filter(|_| fault != Fault::Halt);
                for unsynced in concerned.filter(|unsynced| concerns(&unsynced.change)) {
                    if unsynced.standing == ResumePoint::Waiting {
                        unsynced.standing = ResumePoint::Lost;
                    }
                }
                return Err(fault.error());
            }
        }
        Ok(())
    }

    /// Makes changes durable, as far as they aren't lost.
    fn settle(&mut self, concerns: impl Fn(&Change) -> bool) {
        let concerned = |unsynced: &&mut Unsynced| concerns(&unsynced.change);
        if self.unsynced.iter_mut().filter(concerned).any(|unsynced| unsynced.standing == ResumePoint::Lost) {
            for unsynced in self.unsynced.iter_mut().filter(concerned) {
                if unsynced.standing == ResumePoint::Waiting {
                    unsynced.standing = ResumePoint::Durable;
                }
            }
            return;
        }
        let (files, names) = (&mut self.files, &mut self.durable_names);
        self.unsynced.retain(|unsynced| {
            let concerned = concerns(&unsynced.change);
            if concerned {
                apply(&unsynced.change, Fate::Kept, names, |inode| files.get_mut(&inode).map(|file| &mut file.durable));
            }
            !concerned
        });
    }

    fn change(&mut self, pending: Pending, change: Change) {
        let files = &mut self.files;
        apply(&change, Fate::Kept, &mut self.names, |inode| files.get_mut(&inode).map(|file| &mut file.current));
        self.unsynced.push(Unsynced { pending, change, standing: ResumePoint::Waiting });
    }

    pub(super) fn content(&self, inode: Inode) -> &[u8] {
        self.files.get(&inode).map(|file| file.current.as_slice()).unwrap_or_default()
    }

    pub(super) fn write(&mut self, path: &Arc<Path>, inode: Inode, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if offset.saturating_add(bytes.len() as u64) > LARGEST_FILE {
            return Err(ErrorKind::FileTooLarge.into());
        }
        let pending = Pending::Written { path: path.clone(), offset, bytes: bytes.len() };
        self.change(pending, Change::Write { inode, offset: offset as usize, bytes: bytes.into() });
        Ok(())
    }

    /// Whether the lock was free.
    pub(super) fn take_lock(&mut self, inode: Inode) -> bool {
        self.locked.insert(inode)
    }

    pub(super) fn release_lock(&mut self, inode: Inode) {
        self.locked.remove(&inode);
    }

    pub(super) fn pending(&self) -> Vec<Pending> {
        let pending = self.unsynced.iter().filter(|unsynced| unsynced.standing != ResumePoint::Durable);
        pending.map(|unsynced| unsynced.pending.clone()).collect()
    }

    /// The same disk in the hands of a new process.
    pub(super) fn killed(&self) -> Self {
        Self {
            files: self.files.clone(),
            created: self.created,
            names: self.names.clone(),
            durable_names: self.durable_names.clone(),
            directories: self.directories.clone(),
            unsynced: self.unsynced.clone(),
            ..Self::default()
        }
    }

    /// What is left without power.
    pub(super) fn crashed(mut self, mut fate: impl FnMut(&Pending) -> Fate) -> Self {
        let (files, names) = (&mut self.files, &mut self.durable_names);
        for Unsynced { pending, change, standing } in self.unsynced.drain(..) {
            let fate = if standing == ResumePoint::Durable { Fate::Kept } else { fate(&pending) };
            apply(&change, fate, names, |inode| files.get_mut(&inode).map(|file| &mut file.durable));
        }
        let mut left = Self { created: self.created, directories: self.directories, ..Self::default() };
        for inode in names.values() {
            if let Some(file) = files.get(inode) {
                let content = Content { current: file.durable.clone(), durable: file.durable.clone() };
                left.files.insert(*inode, content);
            }
        }
        left.names = names.clone();
        left.durable_names = self.durable_names;
        left
    }
}

/// Applies as much of a change as its fate leaves of it.
fn apply<'c>(
    change: &Change,
    fate: Fate,
    names: &mut Names,
    content: impl FnOnce(Inode) -> Option<&'c mut Arc<Vec<u8>>>,
) {
    match change {
        _ if fate == Fate::Dropped => {}
        Change::Names { entries, .. } => {
            for (path, inode) in entries {
                match inode {
                    Some(inode) => names.insert(path.clone(), *inode),
                    None => names.remove(path),
                };
            }
        }
        Change::Empty { inode } => {
            if let Some(content) = content(*inode) {
                *content = Arc::default();
            }
        }
        Change::Write { inode, offset, bytes } => {
            let Some(content) = content(*inode).map(Arc::make_mut) else { return };
            let end = bytes.len();
            let (before, after) = match fate {
                Fate::Torn(kept) => (kept.min(end), end),
                Fate::Holed { from, to } => (from.min(end), to.clamp(from.min(end), end)),
                Fate::Kept | Fate::Dropped => (end, end),
            };
            put(content, *offset, &bytes[..before]);
            put(content, *offset + after, &bytes[after..]);
        }
    }
}

/// Writes into a file; where it grows by more than that, the rest is zero.
fn put(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}
