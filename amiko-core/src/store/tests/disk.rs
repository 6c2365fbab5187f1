//! A disk in memory that fails when it is told to, and that on a crash keeps any part of what
//! wasn't synced.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::*;
use crate::store::{Access, LockError, Vfs, VfsFile};

/// Bytes that reach the disk together; few, so that small records are torn in many places.
const SECTOR: u64 = 16;

#[derive(Clone, Debug, Default)]
pub(super) struct Disk(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    files: Vec<Content>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    /// What the names were after each change that isn't durable.
    changes: Vec<BTreeMap<PathBuf, usize>>,
    operations: usize,
    fail_at: Option<usize>,
    reads: usize,
}

#[derive(Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    writes: Vec<(u64, Vec<u8>)>,
}

/// What becomes of the bytes of a file.
pub(super) type Spoil = dyn Fn(&[u8]) -> Vec<u8>;

#[derive(Debug)]
pub(super) struct Handle(Disk, usize);

/// A small generator: the same seed, the same crashes.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

impl Disk {
    pub(super) fn open(&self) -> Directory<Disk> {
        self.open_with(settings())
    }

    pub(super) fn open_with(&self, settings: DirectorySettings) -> Directory<Disk> {
        Directory::open_with_vfs("store", settings, self.clone()).unwrap()
    }

    /// Makes the operation fail that is this many from now, and none after it.
    pub(super) fn fail_at(&self, operation: usize) {
        let mut inner = self.0.lock().unwrap();
        inner.operations = 0;
        inner.fail_at = Some(operation);
    }

    /// What a file of the store holds.
    pub(super) fn read(&self, name: &str) -> Vec<u8> {
        let inner = self.0.lock().unwrap();
        inner.files[inner.names[&Path::new("store").join(name)]].bytes.clone()
    }

    /// Changes what a file of the store holds.
    pub(super) fn change(&self, name: &str, bytes: &[u8]) {
        let mut inner = self.0.lock().unwrap();
        let index = inner.names[&Path::new("store").join(name)];
        inner.files[index] = Content { bytes: bytes.to_owned(), durable: bytes.to_owned(), writes: Vec::new() };
    }

    /// Opens and recovers the store.
    pub(super) fn reopen(&self) -> Result<(Recovered, Log), RecoverError> {
        let mut log = Log::default();
        let recovered = self.open().recover(&mut log)?;
        Ok((recovered, log))
    }

    /// Lets it fail no more.
    pub(super) fn repair(&self) {
        self.0.lock().unwrap().fail_at = None;
    }

    /// Operations since [`fail_at`](Self::fail_at) that could have failed.
    pub(super) fn operations(&self) -> usize {
        self.0.lock().unwrap().operations
    }

    /// Keeps what is durable, and by chance any of the rest.
    pub(super) fn crash(&self, random: &mut Random) {
        let mut inner = self.0.lock().unwrap();
        inner.fail_at = None;
        let kept = random.below(inner.changes.len() as u64 + 1) as usize;
        if let Some(change) = kept.checked_sub(1) {
            inner.durable_names = inner.changes[change].clone();
        }
        inner.changes.clear();
        inner.names = inner.durable_names.clone();
        for file in &mut inner.files {
            let whole = random.below(3) == 0;
            for (offset, bytes) in std::mem::take(&mut file.writes) {
                for (index, byte) in bytes.iter().enumerate() {
                    let at = offset + index as u64;
                    if index == 0 || at.is_multiple_of(SECTOR) {
                        file.bytes.clear();
                        file.bytes.push(u8::from(whole || random.below(2) == 0));
                    }
                    if file.bytes == [1] {
                        put(&mut file.durable, at, &[*byte]);
                    }
                }
            }
            file.bytes = file.durable.clone();
        }
    }

    /// Every file with what is in it.
    pub(super) fn contents(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let inner = self.0.lock().unwrap();
        inner.names.iter().map(|(path, index)| (path.clone(), inner.files[*index].bytes.clone())).collect()
    }

    /// Changes a file behind everybody's back, durably; none removes it.
    pub(super) fn spoil(&self, name: &str, change: Option<&Spoil>) {
        let inner = &mut *self.0.lock().unwrap();
        let path = Path::new("store").join(name);
        match change {
            Some(change) => {
                let file = &mut inner.files[inner.names[&path]];
                file.bytes = change(&file.bytes);
                file.durable = file.bytes.clone();
            }
            None => drop(inner.names.remove(&path).unwrap()),
        }
        inner.durable_names = inner.names.clone();
        inner.changes.clear();
    }

    fn operation(&self) -> io::Result<MutexGuard<'_, Inner>> {
        let mut inner = self.0.lock().unwrap();
        inner.operations += 1;
        if inner.fail_at == Some(inner.operations) {
            return Err(io::Error::other("the disk failed"));
        }
        Ok(inner)
    }

    fn renamed(&self, change: impl FnOnce(&mut BTreeMap<PathBuf, usize>)) -> io::Result<()> {
        let mut inner = self.operation()?;
        change(&mut inner.names);
        let names = inner.names.clone();
        inner.changes.push(names);
        Ok(())
    }
}

fn put(content: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let (from, to) = (offset as usize, offset as usize + bytes.len());
    if content.len() < to {
        content.resize(to, 0);
    }
    content[from..to].copy_from_slice(bytes);
}

impl Vfs for Disk {
    type File = Handle;
    type Lock = ();

    fn create_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, _: &Path, _: Access) -> Result<(), LockError> {
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<Handle> {
        let index = self.0.lock().unwrap().files.len();
        self.renamed(|names| {
            names.insert(path.to_owned(), index);
        })?;
        self.0.lock().unwrap().files.push(Content::default());
        Ok(Handle(self.clone(), index))
    }

    fn open(&self, path: &Path, _: Access) -> io::Result<Handle> {
        let index = self.0.lock().unwrap().names.get(path).copied();
        index.map(|index| Handle(self.clone(), index)).ok_or(io::ErrorKind::NotFound.into())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let names = self.0.lock().unwrap().names.keys().cloned().collect::<Vec<_>>();
        // A directory in it is there as long as it has a file.
        let names = names.iter().filter_map(|name| name.strip_prefix(path).ok()?.iter().next()?.to_str());
        Ok(names.map(str::to_owned).collect::<BTreeSet<String>>().into_iter().collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.renamed(|names| {
            let index = names.remove(from).unwrap();
            names.insert(to.to_owned(), index);
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.renamed(|names| {
            names.remove(path).unwrap();
        })
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        let mut inner = self.operation()?;
        inner.durable_names = inner.names.clone();
        inner.changes.clear();
        Ok(())
    }
}

impl VfsFile for Handle {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.0.lock().unwrap().files[self.1].bytes.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut inner = self.0.0.lock().unwrap();
        inner.reads += 1;
        if inner.reads.is_multiple_of(3) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let rest = inner.files[self.1].bytes.get(offset as usize..).unwrap_or_default();
        // Less than was asked for, as reading is allowed to.
        let count = rest.len().min(buffer.len()).min(100);
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut inner = self.0.operation()?;
        let file = &mut inner.files[self.1];
        put(&mut file.bytes, offset, bytes);
        file.writes.push((offset, bytes.to_owned()));
        Ok(())
    }

    fn sync_data(&mut self) -> io::Result<()> {
        let mut inner = self.0.operation()?;
        let file = &mut inner.files[self.1];
        file.durable = file.bytes.clone();
        file.writes.clear();
        Ok(())
    }
}
