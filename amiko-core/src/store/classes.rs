//! What programs have said of their classes, in a file beside the state.
//!
//! Invariant: it is written whole or not at all, only when it says something new, and nothing is read back by it.

use std::io;
use std::path::{Path, PathBuf};

use super::StoreError;
use super::error::{Failure, Trying};
use super::files::{CLASSES, Files, temporary};
use super::vfs::{Access, OsVfs, Vfs, VfsFile};
use crate::serializable::Classes;

/// A file that is longer, in bytes, isn't one of ours.
const LARGEST: u64 = 16 << 20;

/// What the programs that wrote a directory have said of their classes; none if none has.
///
/// # Errors
/// The file can't be read, or is something else.
pub fn classes(path: impl AsRef<Path>) -> Result<Option<Classes>, StoreError> {
    classes_with_vfs(path, OsVfs)
}

/// The same on another file system than the operating system's.
///
/// # Errors
/// As [`classes`].
pub fn classes_with_vfs<V: Vfs>(path: impl AsRef<Path>, vfs: V) -> Result<Option<Classes>, StoreError> {
    let files = Files { vfs, directory: path.as_ref().to_owned() };
    let Some(text) = files.read_classes()? else { return Ok(None) };
    let invalid = |error| {
        let source = io::Error::new(io::ErrorKind::InvalidData, error);
        Failure { action: "read", path: files.classes(), source }
    };
    Ok(Some(Classes::parse(&text).map_err(invalid)?))
}

impl<V: Vfs> Files<V> {
    fn classes(&self) -> PathBuf {
        self.directory.join(CLASSES)
    }

    fn read_classes(&self) -> Result<Option<String>, Failure> {
        let path = self.classes();
        let file = match self.vfs.open(&path, Access::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Failure { action: "open", path, source }),
        };
        let size = file.size().trying("read", &path)?;
        if size > LARGEST {
            let expected = format!("expected at most {LARGEST} bytes, found {size}");
            return Err(Failure { action: "read", path, source: io::Error::new(io::ErrorKind::InvalidData, expected) });
        }
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        let mut read = 0;
        while read < bytes.len() {
            match file.read_at(read as u64, &mut bytes[read..]).trying("read", &path)? {
                0 => break,
                more => read += more,
            }
        }
        bytes.truncate(read);
        let text = String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error));
        text.trying("read", &path).map(Some)
    }

    /// Keeps what the program says, and of what was said before whatever it doesn't have. A file that can't be read as what
    /// it should be is written anew.
    pub(super) fn write_classes(&self, said: &Classes) -> Result<(), Failure> {
        let before = match self.read_classes() {
            Ok(before) => before,
            Err(Failure { source, .. }) if source.kind() == io::ErrorKind::InvalidData => None,
            Err(failure) => return Err(failure),
        };
        let mut classes = said.clone();
        if let Some(known) = before.as_deref().and_then(|text| Classes::parse(text).ok()) {
            classes.merge(known);
        }
        let text = classes.to_text();
        if before.as_deref() == Some(&*text) {
            return Ok(());
        }
        let path = self.classes();
        let mut file = self.create(&path)?;
        file.write_at(0, text.as_bytes()).trying("write", &temporary(&path))?;
        self.publish(&mut file, &path)
    }
}
