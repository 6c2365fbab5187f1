//! A disk in memory that knows what is synced, fails when it is told to, and loses its power.
//!
//! Invariant: whatever a crash leaves, it has everything that a successful `sync_data` or `sync_dir` has covered, and of
//! the rest exactly what its fates say.

mod platter;
#[cfg(test)]
mod tests;

use super::Random;
use crate::store::{Access, LockError, Vfs, VfsFile};
use platter::{Inode, Kind, Platter};
use std::fmt;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes that one read gives at the most, so that nobody relies on getting all at once.
const LONGEST_READ: usize = 4096;

/// A file system in memory, for testing what becomes of a store when the disk fails or the power does.
///
/// A clone is another handle on the same disk. A name stands for a file, and an open file stays what it is when its name
/// goes; what is in a file and which names a directory has become durable separately. Of what isn't synced a [crash]
/// keeps what it's told to, in whichever combination: that is more than any real file system loses, so a store that
/// gets along with it gets along with all of them.
///
/// After a sync that failed the changes that it was for stay readable, and are lost to every later sync, as on Linux: a
/// store that tries again and believes it is found out by the next crash.
///
/// Every operation that can fail counts, from 1. Paths are taken as they are spelled; a file may have 4 GiB, and one whose
/// name is gone takes up memory as long as the disk.
///
/// ```
/// use amiko_core::sim::{Fate, Fault, SimVfs};
/// use amiko_core::store::{Access, Vfs, VfsFile};
/// use std::path::Path;
///
/// let disk = SimVfs::new();
/// let mut file = disk.create(Path::new("note"))?;
/// disk.sync_dir(Path::new(""))?;
/// file.write_at(0, b"kept")?;
/// file.sync_data()?;
/// file.write_at(4, b", or not")?;
///
/// let left = disk.crash(|_| Fate::Torn(4));
/// assert_eq!(left.open(Path::new("note"), Access::Read)?.size()?, 8);
/// let left = disk.crash(|_| Fate::Dropped);
/// assert_eq!(left.open(Path::new("note"), Access::Read)?.size()?, 4);
///
/// disk.fail_at(disk.operations() + 1, Fault::Sync);
/// assert!(file.sync_data().is_err());
/// file.sync_data()?;
/// let left = disk.crash(|_| Fate::Dropped);
/// assert_eq!(left.open(Path::new("note"), Access::Read)?.size()?, 4, "the second sync has written nothing");
/// # std::io::Result::Ok(())
/// ```
///
/// [crash]: SimVfs::crash
#[derive(Clone, Default)]
pub struct SimVfs(Arc<Mutex<Platter>>);

/// An open file of a [`SimVfs`].
#[derive(Debug)]
pub struct SimFile {
    disk: SimVfs,
    /// What it was called when it was opened.
    path: Arc<Path>,
    inode: Inode,
    access: Access,
}

/// A lock of a [`SimVfs`], held until it is dropped.
#[derive(Debug)]
pub struct SimLock {
    disk: SimVfs,
    inode: Inode,
}

/// A change that no sync has made durable, and that a crash may therefore take back. The paths are those by which it was
/// made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pending {
    /// This many bytes were written to a file.
    Written {
        /// The file.
        path: Arc<Path>,
        /// Where, in bytes from its start.
        offset: u64,
        /// How many.
        bytes: usize,
    },
    /// A file that existed was created again, so that it is empty.
    Emptied {
        /// The file.
        path: Arc<Path>,
    },
    /// A name was given to a new file.
    Created {
        /// The name.
        path: Arc<Path>,
    },
    /// A file was given another name. Between two directories the old name goes by a [`Removed`](Pending::Removed) of
    /// its own.
    Renamed {
        /// The old name.
        from: Arc<Path>,
        /// The new name.
        to: Arc<Path>,
    },
    /// A name was taken away.
    Removed {
        /// The name.
        path: Arc<Path>,
    },
}

/// What a crash leaves of a [`Pending`] change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// All of it.
    Kept,
    /// Nothing.
    Dropped,
    /// This many of its first bytes; all of it, if it isn't a write.
    Torn(usize),
    /// All but some bytes in its middle, by their place in what was written; all of it, if it isn't a write. What the
    /// file had there stays, or reads as zero where it had nothing.
    Holed {
        /// The first byte that is missing.
        from: usize,
        /// The first one after that that isn't.
        to: usize,
    },
}

impl Fate {
    /// A fate by chance: half of the time all or nothing, else any part.
    pub fn draw(random: &mut Random, pending: &Pending) -> Self {
        let Pending::Written { bytes, .. } = pending else {
            return if random.below(2) == 0 { Self::Kept } else { Self::Dropped };
        };
        let place = |random: &mut Random| random.below(*bytes as u64 + 1) as usize;
        match random.below(8) {
            0..=1 => Self::Kept,
            2..=3 => Self::Dropped,
            4..=5 => Self::Torn(place(random)),
            _ => {
                let from = place(random);
                Self::Holed { from, to: from + place(random) }
            }
        }
    }
}

/// How an operation fails. One that a fault doesn't concern goes on as if nothing were wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Any operation fails, and does nothing.
    Io,
    /// What takes up room fails, and does nothing: writes, new names, syncs.
    Full,
    /// A write fails after this many bytes; all but one, if there are no more.
    ShortWrite(usize),
    /// A sync fails.
    Sync,
    /// One bit of what is read is another: the one of this number, counted round and round.
    BitFlip(u64),
    /// The power is gone: any operation fails, and does nothing.
    Halt,
}

impl Fault {
    fn error(self) -> io::Error {
        match self {
            Self::Full => ErrorKind::StorageFull.into(),
            Self::Halt => io::Error::other("the power is gone"),
            Self::ShortWrite(_) => io::Error::other("the disk failed in the middle of a write"),
            Self::Io | Self::Sync | Self::BitFlip(_) => io::Error::other("the disk failed"),
        }
    }
}

impl SimVfs {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A panic of somebody else who holds the disk leaves nothing half done: what panics here panics before it changes
    /// anything.
    fn platter(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(platter: Platter) -> Self {
        Self(Arc::new(Mutex::new(platter)))
    }

    /// Operations that were tried so far, whether they failed or not.
    pub fn operations(&self) -> u64 {
        self.platter().operations
    }

    /// Makes one operation fail, by its number; faults that were asked for earlier go first.
    pub fn fail_at(&self, operation: u64, fault: Fault) {
        self.platter().schedule(fault, operation, operation);
    }

    /// Makes every operation from this number on fail.
    pub fn fail_from(&self, operation: u64, fault: Fault) {
        self.platter().schedule(fault, operation, u64::MAX);
    }

    /// Forgets all faults. What they have done stays done.
    pub fn clear_faults(&self) {
        self.platter().clear_faults();
    }

    /// What no sync has made durable, oldest first.
    pub fn pending(&self) -> Vec<Pending> {
        self.platter().pending()
    }

    /// The disk that is left when the power goes now: what is durable, and of [`pending`](Self::pending) what `fate`
    /// says, asked oldest first. Nothing is locked, nothing fails, and operations count from 1 again. This disk stays as
    /// it is.
    #[must_use]
    pub fn crash(&self, fate: impl FnMut(&Pending) -> Fate) -> Self {
        // The lock is free again when `fate` is asked.
        let platter = self.platter().killed();
        Self::of(platter.crashed(fate))
    }

    /// The same, with fates by chance.
    #[must_use]
    pub fn crash_by_chance(&self, random: &mut Random) -> Self {
        self.crash(|pending| Fate::draw(random, pending))
    }

    /// The disk as the next process finds it when this one is killed now: everything is there, also what is pending, and
    /// still is. Nothing is locked, nothing fails, and operations count from 1 again. This disk stays as it is.
    #[must_use]
    pub fn kill(&self) -> Self {
        Self::of(self.platter().killed())
    }
}

impl fmt::Debug for SimVfs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimVfs").field("operations", &self.operations()).finish_non_exhaustive()
    }
}

impl Vfs for SimVfs {
    type File = SimFile;
    type Lock = SimLock;

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut platter = self.platter();
        platter.enter(Kind::Name)?;
        platter.create_dir(path)
    }

    /// One at a time, whatever for.
    fn lock(&self, path: &Path, _: Access) -> Result<SimLock, LockError> {
        let mut platter = self.platter();
        let inode = platter.enter(Kind::Name).and_then(|()| platter.open_or_create(&path.into()));
        let inode = inode.map_err(LockError::Io)?;
        if platter.take_lock(inode) {
            Ok(SimLock { disk: self.clone(), inode })
        } else {
            Err(LockError::Held { holder: None })
        }
    }

    fn create(&self, path: &Path) -> io::Result<SimFile> {
        let mut platter = self.platter();
        platter.enter(Kind::Name)?;
        let path = path.into();
        let inode = platter.create(&path)?;
        Ok(SimFile { disk: self.clone(), path, inode, access: Access::Write })
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<SimFile> {
        let mut platter = self.platter();
        platter.enter(Kind::Look)?;
        let inode = platter.inode(path)?;
        Ok(SimFile { disk: self.clone(), path: path.into(), inode, access })
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut platter = self.platter();
        platter.enter(Kind::Look)?;
        platter.list(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut platter = self.platter();
        platter.enter(Kind::Name)?;
        platter.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut platter = self.platter();
        platter.enter(Kind::Look)?;
        platter.remove(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.platter().sync_dir(path)
    }
}

impl VfsFile for SimFile {
    fn size(&self) -> io::Result<u64> {
        let mut platter = self.disk.platter();
        platter.enter(Kind::Look)?;
        Ok(platter.content(self.inode).len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut platter = self.disk.platter();
        let flipped = match platter.meet(Kind::Read) {
            Some(Fault::BitFlip(bit)) => Some(bit),
            Some(fault) => return Err(fault.error()),
            None => None,
        };
        let content = platter.content(self.inode);
        let rest = usize::try_from(offset).ok().and_then(|offset| content.get(offset..)).unwrap_or_default();
        let count = rest.len().min(buffer.len()).min(LONGEST_READ);
        buffer[..count].copy_from_slice(&rest[..count]);
        if let Some(bit) = flipped.and_then(|bit| bit.checked_rem(8 * count as u64)) {
            buffer[bit as usize / 8] ^= 1 << (bit % 8);
        }
        Ok(count)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut platter = self.disk.platter();
        let fault = platter.meet(Kind::Write);
        if self.access == Access::Read {
            return Err(ErrorKind::PermissionDenied.into());
        }
        match fault {
            None => platter.write(&self.path, self.inode, offset, bytes),
            Some(fault) => {
                if let Fault::ShortWrite(written) = fault {
                    let written = written.min(bytes.len().saturating_sub(1));
                    platter.write(&self.path, self.inode, offset, &bytes[..written])?;
                }
                Err(fault.error())
            }
        }
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.disk.platter().sync_data(self.inode)
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.platter().release_lock(self.inode);
    }
}
