//! One snapshot: written in pieces, read back whole.
//!
//! Invariant: the document is under a checksum that the file itself ends with, and the file is
//! one JSON document all the same.

use std::io::Read;
use std::path::PathBuf;

use super::Recovery;
use super::error::{Failure, RecoverError, Trying};
use super::files::{Files, temporary};
use super::format;
use super::vfs::{Access, Reader, Vfs, VfsFile};

/// After this many bytes they are synced: then the journal that shares the disk never waits long, not at the end either.
const SYNC_EVERY: u64 = 4 << 20;

/// A snapshot that isn't finished.
#[derive(Debug)]
pub(super) struct Writer<F> {
    file: F,
    path: PathBuf,
    sequence: u64,
    /// Bytes in the file.
    written: u64,
    synced: u64,
    crc: u32,
    /// The last byte so far: it may be the `}` that the checksum goes before.
    last: Option<u8>,
}

impl<F: VfsFile> Writer<F> {
    pub(super) fn create<V: Vfs<File = F>>(files: &Files<V>, sequence: u64) -> Result<Self, Failure> {
        let path = files.snapshot(sequence);
        let file = files.create(&path)?;
        Ok(Self { file, path, sequence, written: 0, synced: 0, crc: 0, last: None })
    }

    pub(super) fn write(&mut self, piece: &[u8]) -> Result<(), Failure> {
        let Some((&last, rest)) = piece.split_last() else { return Ok(()) };
        if let Some(earlier) = self.last.replace(last) {
            self.put(&[earlier])?;
        }
        self.put(rest)?;
        if self.written - self.synced >= SYNC_EVERY {
            self.file.sync_data().trying("sync", &temporary(&self.path))?;
            self.synced = self.written;
        }
        Ok(())
    }

    /// Makes the snapshot durable under its name. Gives its number, and the bytes in it.
    pub(super) fn finish<V: Vfs<File = F>>(mut self, files: &Files<V>) -> Result<(u64, u64), Failure> {
        let footer = format::footer(self.crc);
        self.put(&footer)?;
        files.publish(&mut self.file, &self.path)?;
        Ok((self.sequence, self.written))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_at(self.written, bytes).trying("write", &temporary(&self.path))?;
        self.written += bytes.len() as u64;
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        Ok(())
    }
}

/// A snapshot that is as it was written.
pub(super) struct Snapshot {
    path: PathBuf,
    pub(super) sequence: u64,
    document: String,
    /// Bytes of the file.
    pub(super) size: u64,
}

/// Reads a snapshot.
pub(super) fn read<V: Vfs>(files: &Files<V>, sequence: u64) -> Result<Snapshot, RecoverError> {
    read_from(files, &files.open(&files.snapshot(sequence), Access::Read)?, sequence)
}

/// The same of one that is open.
pub(super) fn read_from<V: Vfs>(files: &Files<V>, file: &V::File, sequence: u64) -> Result<Snapshot, RecoverError> {
    let path = files.snapshot(sequence);
    let size = file.size().trying("read", &path)?;
    // Of its size from the beginning: memory that the operating system hands over is zero already, and none beyond it is
    // touched.
    let mut bytes = vec![0; usize::try_from(size).unwrap_or(usize::MAX)];
    Reader::new(file, 0).read_exact(&mut bytes).trying("read", &path)?;

    let document = match format::open_snapshot(bytes) {
        Ok(document) => document,
        Err((line, byte, fault)) => {
            let (expected, found) = (fault.expected, fault.found);
            return Err(RecoverError::Damaged { path, line, byte, expected, found });
        }
    };
    match format::document_start(&document) {
        (Some(format), _) if format > format::FORMAT => {
            Err(RecoverError::NewerFormat { path, format, supported: format::FORMAT })
        }
        (_, Some(found)) if found != sequence => {
            let other = files.snapshot(found);
            Err(RecoverError::Misnamed { path, expected: other })
        }
        _ => Ok(Snapshot { path, sequence, document, size }),
    }
}

impl Snapshot {
    pub(super) fn document(&self) -> &str {
        &self.document
    }

    pub(super) fn hand_over(self, visitor: &mut dyn Recovery) -> Result<(), RecoverError> {
        let Self { path, sequence, document, .. } = self;
        visitor.snapshot(sequence, &document).map_err(|refused| RecoverError::Refused {
            path,
            line: refused.line,
            byte: refused.byte,
            reason: refused.reason,
        })
    }
}
