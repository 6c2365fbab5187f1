//! The few file operations that a store needs, so that a simulated disk can replace the real one.
//!
//! Invariant: no other module touches a file. Nothing here is durable before `sync_data` of the
//! file (for what is in it) or `sync_dir` of the directory (for which names are in it).

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;

/// A place with directories and files in it. It goes to whichever thread does the work.
pub trait Vfs: Send + 'static {
    /// An open file.
    type File: VfsFile;
    /// A lock, held until it is dropped.
    type Lock: Send + Sync + 'static;

    /// Creates a directory and those above it, durably and for the owner only. One that exists is
    /// left as it is.
    ///
    /// # Errors
    ///
    /// As the operating system says; also if something else has that name.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Takes the lock that a file stands for, without waiting. Whoever writes is alone: the file is created if
    /// necessary, and says who holds the lock. Any number may read at the same time; they change nothing, and need no
    /// permission to write.
    ///
    /// # Errors
    ///
    /// [`LockError::Held`] if somebody else has it, else [`LockError::Io`].
    fn lock(&self, path: &Path, access: Access) -> Result<Self::Lock, LockError>;

    /// Opens a file for reading and writing, for the owner only; empties one that exists.
    ///
    /// # Errors
    ///
    /// As the operating system says.
    fn create(&self, path: &Path) -> io::Result<Self::File>;

    /// Opens a file that exists.
    ///
    /// # Errors
    ///
    /// As the operating system says.
    fn open(&self, path: &Path, access: Access) -> io::Result<Self::File>;

    /// The names in a directory, in any order. Names that aren't UTF-8 may be left out.
    ///
    /// # Errors
    ///
    /// As the operating system says.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// Gives a file another name in one step; replaces a file that has that name.
    ///
    /// # Errors
    ///
    /// As the operating system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// As the operating system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    ///
    /// As the operating system says. What is durable isn't known then.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
}

/// The mode in which a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Only to be read.
    Read,
    /// To be read and written.
    Write,
}

/// An open file of a [`Vfs`].
pub trait VfsFile: Send + 'static {
    /// Bytes in the file.
    ///
    /// # Errors
    ///
    /// As the operating system says.
    fn size(&self) -> io::Result<u64>;

    /// Reads from a byte offset on, as much as comes at once; 0 only at the end of the file.
    ///
    /// # Errors
    ///
    /// As the operating system says.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes all the bytes at a byte offset; the file grows if it has to.
    ///
    /// # Errors
    ///
    /// As the operating system says. Any part of it may have been written then.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes all that was written durable, and the size of the file with it (fdatasync).
    ///
    /// # Errors
    ///
    /// As the operating system says. What is durable isn't known then, and trying again wouldn't
    /// tell.
    fn sync_data(&mut self) -> io::Result<()>;
}

/// Why a lock couldn't be taken.
#[derive(Debug)]
#[non_exhaustive]
pub enum LockError {
    /// Somebody else holds it.
    Held {
        /// The process ID in the lock file, if there is one.
        holder: Option<u32>,
    },
    /// The operating system refused.
    Io(io::Error),
}

/// The operating system's file system.
///
/// It opens regular files only, and follows no symbolic link: somebody who may put a name into a directory mustn't be able to lead a
/// store to another file, or to a device. What it writes has one name only, because a second one (a hard link) may belong to a
/// backup, or lie in another directory.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsVfs;

/// A lock of the operating system's: of the lock file, and of the directory that it is in, which stays locked when somebody removes
/// the file.
#[derive(Debug)]
pub struct OsLock {
    _file: Option<File>,
    _directory: Option<File>,
}

impl Vfs for OsVfs {
    type File = File;
    type Lock = OsLock;

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        if path.as_os_str().is_empty() {
            return Ok(());
        }
        let parent = path.parent().unwrap_or(Path::new(""));
        if path.is_dir() {
            // Whoever has made it may have been killed before it was durable. Where this process may not even open the
            // directory above, it hasn't made anything there.
            return match self.sync_dir(parent) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
                other => other,
            };
        }
        self.create_dir(parent)?;
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        match builder.create(path) {
            // Another process was faster; which of the two may go on is for the lock to say.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
            other => other?,
        }
        self.sync_dir(parent)
    }

    fn lock(&self, path: &Path, access: Access) -> Result<OsLock, LockError> {
        let file = match access {
            Access::Write => Some(regular(private(), path, access).map_err(LockError::Io)?),
            Access::Read => match self.open(path, access) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                outcome => Some(outcome.map_err(LockError::Io)?),
            },
        };
        if let Some(file) = &file
            && !take(file, access).map_err(LockError::Io)?
        {
            return Err(LockError::Held { holder: holder(file) });
        }
        let directory = lock_directory(path.parent().unwrap_or(path), access)?;
        if let (Some(mut file), Access::Write) = (file.as_ref(), access) {
            // Best effort: the process ID is for people. The lock holds without it, and a disk may be full.
            drop(file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())));
        }
        Ok(OsLock { _file: file, _directory: directory })
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        let file = regular(private(), path, Access::Write)?;
        file.set_len(0)?;
        Ok(file)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(access == Access::Write);
        regular(options, path, access)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            names.extend(entry?.file_name().into_string().ok());
        }
        Ok(names)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::symlink_metadata(path) {
            Ok(about) if about.is_dir() => Err(unusual("a directory: move it away")),
            _ => fs::remove_file(path),
        }
    }

    /// Only Unix has a way to do this, and only there is it necessary.
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
    }
}

impl VfsFile for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    #[cfg(unix)]
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, buffer, offset)
    }

    #[cfg(not(unix))]
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut file = self;
        io::Seek::seek(&mut file, io::SeekFrom::Start(offset))?;
        file.read(buffer)
    }

    #[cfg(unix)]
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(self, bytes, offset)
    }

    #[cfg(not(unix))]
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        io::Seek::seek(self, io::SeekFrom::Start(offset))?;
        self.write_all(bytes)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        File::sync_data(self)
    }
}

/// A file of a [`Vfs`], read from a byte offset on.
pub(super) struct Reader<'f, F> {
    file: &'f F,
    offset: u64,
}

impl<'f, F: VfsFile> Reader<'f, F> {
    pub(super) fn new(file: &'f F, offset: u64) -> Self {
        Self { file, offset }
    }
}

impl<F: VfsFile> Read for Reader<'_, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = loop {
            match self.file.read_at(self.offset, buffer) {
                // A signal came in between, on a file system where it may.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => break outcome?,
            }
        };
        self.offset += count as u64;
        Ok(count)
    }
}

/// What every file of a store is opened with: it may hold secrets, so nobody else reads it.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Opens a regular file. Nothing is changed before it is known to be one.
fn regular(mut options: OpenOptions, path: &Path, access: Access) -> io::Result<File> {
    // Without waiting for the other end of a FIFO.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let file = options.open(path).map_err(|error| match fs::symlink_metadata(path) {
        Ok(about) if about.is_symlink() => unusual("a symbolic link: put the file itself in its place"),
        Ok(about) if about.is_dir() => unusual("a directory: move it away"),
        _ => error,
    })?;
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(unusual("a directory, a FIFO or a device: move it away"));
    }
    #[cfg(unix)]
    if access == Access::Write && std::os::unix::fs::MetadataExt::nlink(&about) > 1 {
        return Err(unusual("a file with a second name, a hard link: put a copy of it in its place"));
    }
    Ok(file)
}

fn unusual(found: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("expected a regular file, found {found}"))
}

/// Whether the lock is ours now.
fn take(file: &File, access: Access) -> io::Result<bool> {
    let outcome = match access {
        Access::Write => file.try_lock(),
        Access::Read => file.try_lock_shared(),
    };
    match outcome {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Locks a directory, where that is possible: network file systems may refuse to lock what can't be written to, and then the lock file
/// alone has to do.
fn lock_directory(path: &Path, access: Access) -> Result<Option<File>, LockError> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    if !cfg!(unix) {
        return Ok(None);
    }
    let directory = File::open(path).map_err(LockError::Io)?;
    match take(&directory, access) {
        Ok(true) => Ok(Some(directory)),
        Ok(false) => Err(LockError::Held { holder: None }),
        Err(_) => Ok(None),
    }
}

/// Best effort: a lock file that can't be read only makes the error less helpful.
fn holder(file: &File) -> Option<u32> {
    let mut text = String::new();
    // Ten digits are the longest process ID.
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
