//! One segment of the journal: a file of lines that is preallocated with newlines.
//!
//! Invariant: from `end` on a segment holds only newlines, durably, before anything is written
//! there; so after a crash whatever else stands behind the last good record is from the one
//! write that never ended.

use crate::sabotage::{Sabotage, sabotaged};
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;

use super::error::{Failure, RecoverError, Trying};
use super::files::{Files, temporary};
use super::format::{self, Fault, Header};
use super::vfs::{Access, Reader, Vfs, VfsFile};
use super::{Recovery, Refused, Torn};
use crate::time::Time;

/// Preallocation goes in multiples of this many bytes at the most.
const LARGEST_CHUNK: u64 = 1 << 30;
/// A new file has this many bytes, unless the chunk is smaller: one of a thousand engines that hold next to nothing.
const FIRST_CHUNK: u64 = 64 << 10;
/// Faults of one segment that are listed; of a file that is nothing but damage, the rest says nothing new.
const MOST_FAULTS: usize = 100;
static NEWLINES: [u8; 1 << 16] = [b'\n'; 1 << 16];

/// A segment that can be written to.
#[derive(Debug)]
pub(super) struct Segment<F> {
    file: F,
    path: PathBuf,
    /// The sequence number of the first record that it may hold.
    pub(super) first: u64,
    /// Where the next record goes: a byte offset, after a newline.
    end: u64,
    /// Up to where the file holds something.
    allocated: u64,
    /// Whether all of it is durable.
    synced: bool,
}

/// What a segment held.
#[derive(Debug)]
pub(super) struct Replayed {
    path: PathBuf,
    /// The sequence number of the first record that it may hold.
    pub(super) first: u64,
    end: u64,
    /// The last group of records, in a segment that may be torn; the header if there is none.
    group: Vec<u8>,
    /// The sequence number of the last record, or the one before the segment.
    pub(super) sequence: u64,
    /// Bytes of its records.
    pub(super) records: u64,
    pub(super) torn: Option<Torn>,
}

impl<F: VfsFile> Segment<F> {
    /// Creates a segment; it is durable, with its header and its first chunk, or not there.
    pub(super) fn create<V: Vfs<File = F>>(
        files: &Files<V>,
        first: u64,
        previous: Option<u64>,
        time: Time,
        chunk: u64,
    ) -> Result<Self, Failure> {
        let path = files.segment(first);
        let mut file = files.create(&path)?;
        let header = format::header(Header { first, previous, time });
        let end = header.len() as u64;
        let allocated = allocation(end, chunk);
        let filled = file.write_at(0, &header).and_then(|()| fill(&mut file, end, allocated));
        filled.trying("write", &temporary(&path))?;
        files.publish(&mut file, &path)?;
        Ok(Self { file, path, first, end, allocated, synced: true })
    }

    /// Opens what was replayed, and makes it durable: overwrites a torn end, and writes the last group of records again.
    ///
    /// The data may have come from the operating system's cache, where a killed process has left it; once read, it
    /// must not be lost again. If that process's sync failed, the system takes the data for written, so another sync
    /// of it does nothing. What the process had synced before isn't affected.
    pub(super) fn resume<V: Vfs<File = F>>(files: &Files<V>, replayed: Replayed) -> Result<Self, Failure> {
        let Replayed { path, first, end, group, torn, .. } = replayed;
        let mut file = files.open(&path, Access::Write)?;
        // What its checksum was found right of, and not read anew; with its newline, which may be missing.
        file.write_at(end - group.len() as u64, &group).trying("write", &path)?;
        let torn_end = torn.map_or(end, |torn| torn.byte + torn.bytes_cut);
        fill(&mut file, end, torn_end).trying("cut the torn end of", &path)?;
        // Nor is it known of the newlines behind it that they are on the disk: the next write fills the chunk again.
        let allocated = end;
        let mut segment = Self { file, path, first, end, allocated, synced: false };
        segment.sync()?;
        Ok(segment)
    }

    /// Writes whole lines behind the last one.
    pub(super) fn write(&mut self, lines: &[u8], chunk: u64) -> Result<(), Failure> {
        let end = self.end + lines.len() as u64;
        if end > self.allocated {
            let allocated = allocation(end, chunk);
            fill(&mut self.file, self.allocated, allocated).trying("extend", &self.path)?;
            self.file.sync_data().trying("sync", &self.path)?;
            self.allocated = allocated;
        }
        self.file.write_at(self.end, lines).trying("write", &self.path)?;
        self.synced = false;
        self.end = end;
        Ok(())
    }

    pub(super) fn is_synced(&self) -> bool {
        self.synced
    }

    /// Makes what was written durable.
    pub(super) fn sync(&mut self) -> Result<(), Failure> {
        if sabotaged(Sabotage::NoFsync) {
            self.synced = true;
        }
        if !self.synced {
            let mut outcome = self.file.sync_data();
            if sabotaged(Sabotage::RetryFailedFsync) {
                outcome = outcome.or_else(|_| self.file.sync_data());
            }
            outcome.trying("sync", &self.path)?;
        }
        self.synced = true;
        Ok(())
    }
}

/// A segment that is open to be read.
#[derive(Debug)]
pub(super) struct Opened<F> {
    file: F,
    path: PathBuf,
    /// The sequence number of the first record that it may hold.
    pub(super) first: u64,
}

impl<F: VfsFile> Opened<F> {
    pub(super) fn new<V: Vfs<File = F>>(files: &Files<V>, first: u64) -> Result<Self, Failure> {
        let path = files.segment(first);
        Ok(Self { file: files.open(&path, Access::Read)?, path, first })
    }

    /// What the first line says.
    pub(super) fn header(&self) -> Result<Header, RecoverError> {
        Lines::new(&self.file, self.path.clone()).read_header(self.first)
    }
}

/// What the first line of a segment says.
pub(super) fn header<V: Vfs>(files: &Files<V>, first: u64) -> Result<Header, RecoverError> {
    Opened::new(files, first)?.header()
}

/// Hands the records of a segment over, in order, up to version `until`. Changes nothing, not even a torn end, which
/// only the last segment may have.
pub(super) fn replay<F: VfsFile>(
    Opened { file, path, first }: Opened<F>,
    last: bool,
    until: Option<u64>,
    visitor: &mut dyn Recovery,
) -> Result<Replayed, RecoverError> {
    let mut lines = Lines::new(&file, path);
    lines.read_header(first)?;

    let begin = lines.next;
    let mut group = lines.line.clone();
    group.push(b'\n');
    let mut expected = first;
    let mut torn = None;
    let mut doubted = None;
    let mut text = String::new();
    loop {
        if until.is_some_and(|until| expected > until) {
            lines.start = lines.next;
            break;
        }
        if !lines.advance()? {
            lines.start = lines.next;
            break;
        }
        let record = match format::open_record(&lines.line) {
            Ok(record) => record,
            Err(fault) => {
                let (start, number) = (lines.start, lines.number);
                match lines.judge_tail(expected, fault, last) {
                    Ok(None) => break,
                    // What isn't right is read once more. Where a journal is only read somebody else may be writing it:
                    // its end was read before the next group was there, and what proves it to be damage afterwards.
                    _ if doubted.replace(start) != Some(start) => {
                        lines.go_to(start, number);
                        continue;
                    }
                    found => torn = found?,
                }
                break;
            }
        };
        if record.sequence != expected {
            let found = record.sequence;
            return Err(lines.out_of_sequence(expected, found));
        }
        if last {
            if record.group == record.sequence {
                group.clear();
            }
            group.extend_from_slice(&lines.line);
            group.push(b'\n');
        }
        text.clear();
        text.push('{');
        text.push_str(record.rest);
        let skipped = record.skipped;
        visitor.record(expected, &text).map_err(|refused| lines.refused(refused, skipped))?;
        expected = expected.saturating_add(1);
    }

    let (end, path) = (lines.start, lines.path);
    Ok(Replayed { path, first, end, group, sequence: expected - 1, records: end - begin, torn })
}

/// What is wrong in a segment after a line at which its replay ended, and the last sequence number in it. Records are
/// only held against their checksums: nobody knows what they would be applied to.
pub(super) fn faults_after<V: Vfs>(
    files: &Files<V>,
    first: u64,
    line: u64,
) -> Result<(Vec<RecoverError>, Option<u64>), Failure> {
    let Opened { file, path, .. } = Opened::new(files, first)?;
    let mut lines = Lines::new(&file, path);
    let (mut faults, mut expected, mut last) = (Vec::new(), None::<u64>, None::<u64>);
    while lines.advance()? && faults.len() < MOST_FAULTS {
        match format::open_record(&lines.line) {
            Ok(record) => {
                if let Some(expected) = expected.filter(|expected| *expected != record.sequence && lines.number > line)
                {
                    faults.push(lines.out_of_sequence(expected, record.sequence));
                }
                expected = record.sequence.checked_add(1);
                last = last.max(Some(record.sequence));
            }
            Err(fault) => {
                expected = None;
                if lines.number > line && !lines.line.is_empty() {
                    faults.push(lines.damaged(fault));
                }
            }
        }
    }
    Ok((faults, last))
}

/// The lines of a file, with their places.
struct Lines<'f, F> {
    reader: BufReader<Reader<'f, F>>,
    file: &'f F,
    path: PathBuf,
    /// The line, without its newline.
    line: Vec<u8>,
    /// Its number, from 1.
    number: u64,
    /// Its byte offset.
    start: u64,
    /// Where the next one begins. One byte beyond the file if the last newline is missing, so
    /// that the newline is put there with the next chunk.
    next: u64,
}

impl<'f, F: VfsFile> Lines<'f, F> {
    fn new(file: &'f F, path: PathBuf) -> Self {
        let reader = BufReader::with_capacity(1 << 16, Reader::new(file, 0));
        Self { reader, file, path, line: Vec::new(), number: 0, start: 0, next: 0 }
    }

    /// Goes to the next line; false at the end of the file.
    fn advance(&mut self) -> Result<bool, Failure> {
        self.line.clear();
        let count = self.reader.read_until(b'\n', &mut self.line).trying("read", &self.path)? as u64;
        if count == 0 {
            return Ok(false);
        }
        self.start = self.next;
        self.number += 1;
        let unterminated = self.line.pop_if(|byte| *byte == b'\n').is_none();
        self.next += count + u64::from(unterminated);
        Ok(true)
    }

    fn read_header(&mut self, first: u64) -> Result<Header, RecoverError> {
        // An empty file has an empty first line, which isn't a header.
        if !self.advance()? {
            self.number = 1;
        }
        match format::open_header(&self.line, first) {
            Ok(Ok(header)) => Ok(header),
            Ok(Err(format)) => {
                Err(RecoverError::NewerFormat { path: self.path.clone(), format, supported: format::FORMAT })
            }
            Err(fault) => Err(self.damaged(fault)),
        }
    }

    /// Decides what a line is that isn't a record: the end of the journal, a torn end, or damage.
    ///
    /// A crash may leave any part of the last group of records on disk, later ones without
    /// earlier ones too. A later group is only written when the ones before have been synced; so
    /// if one follows, what is damaged here had been durable.
    ///
    /// What a write hasn't reached is newlines. So a line that it tore is a beginning of a record, and one that is more
    /// than that was damaged.
    fn judge_tail(&mut self, expected: u64, fault: Fault, last: bool) -> Result<Option<Torn>, RecoverError> {
        if self.rest_is_blank()? {
            return Ok(None);
        }
        let (start, number) = (self.start, self.number);
        let torn_at_most = last && !fault.sealed && !format::is_whole(&self.line);
        let damaged = self.damaged(fault);
        if !torn_at_most {
            return Err(damaged);
        }
        let mut end = start;
        loop {
            if !self.line.is_empty() {
                end = self.start + self.line.len() as u64;
            }
            if format::proves_sync(&self.line, expected) {
                return Err(damaged);
            }
            if !self.advance()? {
                break;
            }
        }
        self.start = start;
        let file = self.path.clone();
        Ok(Some(Torn { file, line: number, byte: start, bytes_cut: end - start }))
    }

    /// Makes the next line this one, and reads it anew.
    fn go_to(&mut self, start: u64, number: u64) {
        self.reader = BufReader::with_capacity(1 << 16, Reader::new(self.file, start));
        (self.next, self.number) = (start, number - 1);
    }

    /// Whether only newlines follow from this line on. A chunk of them is read at once: line by
    /// line would take longer than all the records of a short journal.
    fn rest_is_blank(&self) -> Result<bool, Failure> {
        if !self.line.is_empty() {
            return Ok(false);
        }
        let mut reader = BufReader::with_capacity(1 << 16, Reader::new(self.file, self.start));
        loop {
            let block = reader.fill_buf().trying("read", &self.path)?;
            if block.is_empty() {
                return Ok(true);
            }
            if block != &NEWLINES[..block.len()] {
                return Ok(false);
            }
            let count = block.len();
            reader.consume(count);
        }
    }

    fn damaged(&self, Fault { expected, found, .. }: Fault) -> RecoverError {
        let (path, line, byte) = (self.path.clone(), self.number, self.start);
        RecoverError::Damaged { path, line, byte, expected, found }
    }

    fn out_of_sequence(&self, expected: u64, found: u64) -> RecoverError {
        let (path, line, byte) = (self.path.clone(), self.number, self.start);
        RecoverError::Sequence { path, line, byte, expected, found }
    }

    /// Carries a place in the text that was handed over to the file that it is from.
    fn refused(&self, refused: Refused, skipped: usize) -> RecoverError {
        // The text is a `{` and then the line from `skipped` on.
        let inside = match refused.byte {
            0 => 0,
            byte => (skipped as u64 - 1).saturating_add(byte),
        };
        RecoverError::Refused {
            path: self.path.clone(),
            line: self.number,
            byte: self.start.saturating_add(inside),
            reason: refused.reason,
        }
    }
}

/// How large a file of `end` bytes is made: it doubles until it has the size of a chunk, and grows by chunks from there.
fn allocation(end: u64, chunk: u64) -> u64 {
    let chunk = chunk.clamp(1, LARGEST_CHUNK);
    let doubled = end.checked_next_power_of_two().unwrap_or(chunk);
    end.checked_next_multiple_of(doubled.clamp(FIRST_CHUNK.min(chunk), chunk)).unwrap_or(end)
}

fn fill<F: VfsFile>(file: &mut F, from: u64, to: u64) -> io::Result<()> {
    let mut at = from;
    while at < to {
        let count = (to - at).min(NEWLINES.len() as u64);
        file.write_at(at, &NEWLINES[..count as usize])?;
        at += count;
    }
    Ok(())
}
