//! One snapshot: written in pieces, read back whole.
//!
//! Invariant: the document is under a checksum that the file itself ends with, and the file is
//! one JSON document all the same.

use std::io::Read;
use std::path::PathBuf;

use super::error::{Failure, RecoverError, StoreError, Trying};
use super::files::Files;
use super::format;
use super::vfs::{Access, Reader, Vfs, VfsFile};
use super::{Recovery, checks};

/// Pieces are gathered up to this many bytes, as one system call for each would be slow.
const BLOCK: usize = 1 << 18;

/// A snapshot that isn't finished.
#[derive(Debug)]
pub(super) struct Writer<F> {
    file: F,
    path: PathBuf,
    sequence: u64,
    /// The first byte of the document.
    first: Option<u8>,
    /// Bytes in the file.
    written: u64,
    crc: u32,
    buffer: Vec<u8>,
}

impl<F: VfsFile> Writer<F> {
    pub(super) fn create<V: Vfs<File = F>>(files: &Files<V>, sequence: u64) -> Result<Self, Failure> {
        let path = files.snapshot(sequence);
        let file = files.create(&path)?;
        Ok(Self { file, path, sequence, first: None, written: 0, crc: 0, buffer: Vec::new() })
    }

    pub(super) fn write(&mut self, piece: &str) -> Result<(), Failure> {
        self.first = self.first.or(piece.bytes().next());
        self.buffer.extend_from_slice(piece.as_bytes());
        if self.buffer.len() < BLOCK {
            return Ok(());
        }
        // The last byte stays behind: it may be the `}` that the checksum goes before.
        let last = self.buffer.pop();
        self.flush()?;
        self.buffer.extend(last);
        Ok(())
    }

    /// Makes the snapshot durable under its name. Returns the bytes in it.
    pub(super) fn finish<V: Vfs<File = F>>(mut self, files: &Files<V>) -> Result<u64, StoreError> {
        let size = self.written + self.buffer.len() as u64;
        checks::document(self.sequence, self.first, &self.buffer, size)?;
        self.buffer.pop();
        self.flush()?;
        self.buffer.extend_from_slice(&format::footer(self.crc));
        self.flush()?;
        files.publish(&mut self.file, &self.path)?;
        Ok(self.written)
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.file.write_at(self.written, &self.buffer).trying("write", &self.path)?;
        self.written += self.buffer.len() as u64;
        self.crc = crc32c::crc32c_append(self.crc, &self.buffer);
        self.buffer.clear();
        Ok(())
    }
}

/// Hands a snapshot over. Returns the bytes in it.
pub(super) fn replay<V: Vfs>(files: &Files<V>, sequence: u64, visitor: &mut dyn Recovery) -> Result<u64, RecoverError> {
    let path = files.snapshot(sequence);
    let file = files.open(&path, Access::Read)?;
    let mut bytes = Vec::new();
    Reader::new(&file, 0).read_to_end(&mut bytes).trying("read", &path)?;
    let size = bytes.len() as u64;

    let document = match format::open_snapshot(bytes) {
        Ok(document) => document,
        Err((line, byte, fault)) => {
            let (expected, found) = (fault.expected, fault.found);
            return Err(RecoverError::Damaged { path, line, byte, expected, found });
        }
    };
    match format::document_format(&document) {
        Some(format) if format > format::FORMAT => {
            return Err(RecoverError::NewerFormat { path, format, supported: format::FORMAT });
        }
        _ => {}
    }
    visitor.snapshot(sequence, &document).map_err(|refused| RecoverError::Refused {
        path,
        line: refused.line,
        byte: refused.byte,
        reason: refused.reason,
    })?;
    Ok(size)
}
