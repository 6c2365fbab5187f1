//! The half of a store that doesn't depend on where the store keeps things.
//!
//! Invariant: it accepts and refuses the same calls as a [`Directory`](super::Directory) does, and what it hands out is in the
//! order in which it was given.

use super::error::StoreError;
use super::format::{self, Fault, Members};
use super::{Refused, Usage, checks};
use std::mem;

/// What a [`Store`](super::Store) has been given and not yet made durable: for stores of other kinds.
///
/// It checks arguments, bounds what waits, makes the lines of the journal, and counts. A store adds the place where a
/// [`Batch`] is made durable.
///
/// ```
/// use amiko_core::store::Buffer;
///
/// let mut buffer = Buffer::new(1 << 20);
/// buffer.append(1, r#"{"seq":1,"deposit":7}"#)?;
/// buffer.append(2, r#"{"seq":2,"deposit":8}"#)?;
/// let batch = buffer.take()?.ok_or("nothing waits")?;
/// let group = batch.group.ok_or("no records wait")?;
/// assert_eq!((group.first, group.last), (1, 2));
/// assert_eq!(group.lines.lines().count(), 2);
/// buffer.taken(0)?; // it is durable
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Buffer {
    limit: u64,
    /// The last record that was given.
    sequence: u64,
    /// The first one of those that wait, and their lines.
    first: u64,
    lines: String,
    members: Members,
    snapshot: Vec<SnapshotStep>,
    pieces: u64,
    draft: Option<Draft>,
    journal: u64,
    finished: u64,
    under_way: bool,
    /// `journal` when the snapshots were begun whose ends wait for a sync, or are in one.
    replaces: Option<u64>,
    finishing: Option<u64>,
}

/// Bytes that are reserved for the next group at most.
const MOST_ROOM: usize = 1 << 20;

/// A snapshot that is being given.
#[derive(Debug)]
struct Draft {
    sequence: u64,
    given: checks::Given,
    /// `Buffer::journal` when it was begun.
    replaces: u64,
}

/// What one sync makes durable: the group first, then what there is of snapshots, in order.
#[derive(Debug)]
#[non_exhaustive]
pub struct Batch {
    /// The records, if there are any.
    pub group: Option<Group>,
    /// The steps of snapshots.
    pub snapshot: Vec<SnapshotStep>,
}

/// The records that are made durable together.
#[derive(Debug)]
#[non_exhaustive]
pub struct Group {
    /// The sequence number of the first one.
    pub first: u64,
    /// That of the last one.
    pub last: u64,
    /// A line for each, with its checksum, as in the files of a [`Directory`](super::Directory).
    pub lines: String,
}

/// A step of a snapshot.
#[derive(Debug)]
#[non_exhaustive]
pub enum SnapshotStep {
    /// One begins, as of this record. One that was begun before and hasn't ended is given up.
    Begin {
        /// The sequence number.
        sequence: u64,
    },
    /// The next piece of it.
    Piece {
        /// Its text.
        text: String,
    },
    /// It is complete: from now on it takes the place of what it covers.
    Finish,
}

impl Buffer {
    /// A buffer for a store that holds nothing yet. Bytes of records that may wait for a sync, and as many of a snapshot.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self {
            limit,
            sequence: 0,
            first: 1,
            lines: String::new(),
            members: Members::default(),
            snapshot: Vec::new(),
            pieces: 0,
            draft: None,
            journal: 0,
            finished: 0,
            under_way: false,
            replaces: None,
            finishing: None,
        }
    }

    /// The same for a store from which records up to this one were recovered: bytes of them since the newest snapshot, and bytes
    /// of that one.
    #[must_use]
    pub fn resume(limit: u64, sequence: u64, journal: u64, snapshot: u64) -> Self {
        Self { sequence, first: sequence.saturating_add(1), journal, finished: snapshot, ..Self::new(limit) }
    }

    /// As [`Store::append`](super::Store::append).
    ///
    /// # Errors
    /// Those that it describes.
    pub fn append(&mut self, sequence: u64, record: &str) -> Result<(), StoreError> {
        checks::record(self.sequence, sequence, record)?;
        let member = self.members.of(self.first, sequence);
        let size = member.sealed_len(record) as u64;
        checks::room(self.limit, self.lines.len() as u64, sequence, size)?;
        member.seal(&mut self.lines, record);
        self.sequence = sequence;
        self.journal += size;
        Ok(())
    }

    /// As [`Store::begin_snapshot`](super::Store::begin_snapshot).
    ///
    /// # Errors
    /// Those that it describes.
    pub fn begin_snapshot(&mut self, sequence: u64) -> Result<(), StoreError> {
        if sequence != self.sequence {
            return Err(StoreError::Sequence { expected: self.sequence, found: sequence });
        }
        self.snapshot.push(SnapshotStep::Begin { sequence });
        self.draft = Some(Draft { sequence, given: checks::Given::default(), replaces: self.journal });
        Ok(())
    }

    /// As [`Store::write_snapshot`](super::Store::write_snapshot).
    ///
    /// # Errors
    /// Those that it describes.
    pub fn write_snapshot(&mut self, piece: &str) -> Result<(), StoreError> {
        let draft = self.draft.as_mut().ok_or(StoreError::NoSnapshot)?;
        let needed = self.pieces.saturating_add(piece.len() as u64);
        if needed > self.limit && self.pieces > 0 {
            return Err(StoreError::BufferFull { limit: self.limit, needed });
        }
        draft.given.add(piece);
        self.pieces = needed;
        match self.snapshot.last_mut() {
            Some(SnapshotStep::Piece { text }) => text.push_str(piece),
            _ => self.snapshot.push(SnapshotStep::Piece { text: piece.to_owned() }),
        }
        Ok(())
    }

    /// As [`Store::finish_snapshot`](super::Store::finish_snapshot).
    ///
    /// # Errors
    /// Those that it describes.
    pub fn finish_snapshot(&mut self) -> Result<(), StoreError> {
        let draft = self.draft.take().ok_or(StoreError::NoSnapshot)?;
        draft.given.check(draft.sequence)?;
        self.snapshot.push(SnapshotStep::Finish);
        self.replaces = Some(draft.replaces);
        Ok(())
    }

    /// Takes out what waits: for [`Store::begin_sync`](super::Store::begin_sync).
    ///
    /// # Errors
    /// [`StoreError::UnderWay`] before [`Buffer::taken`] was called for the last one.
    pub fn take(&mut self) -> Result<Option<Batch>, StoreError> {
        if self.under_way {
            return Err(StoreError::UnderWay);
        }
        if self.lines.is_empty() && self.snapshot.is_empty() {
            return Ok(None);
        }
        let first = mem::replace(&mut self.first, self.sequence.saturating_add(1));
        // The next group is likely to be as long as this one, so it gets room for that.
        let room = self.lines.len().min(MOST_ROOM);
        let lines = mem::replace(&mut self.lines, String::with_capacity(room));
        let group = (!lines.is_empty()).then_some(Group { first, last: self.sequence, lines });
        self.under_way = true;
        self.pieces = 0;
        self.finishing = self.replaces.take();
        Ok(Some(Batch { group, snapshot: mem::take(&mut self.snapshot) }))
    }

    /// What was taken out is durable, and with it a snapshot of so many bytes if one has ended.
    ///
    /// # Errors
    /// [`StoreError::NotUnderWay`] if nothing was taken out.
    pub fn taken(&mut self, snapshot: u64) -> Result<(), StoreError> {
        if !mem::take(&mut self.under_way) {
            return Err(StoreError::NotUnderWay);
        }
        if let Some(replaced) = self.finishing.take() {
            self.finished = snapshot;
            self.journal -= replaced;
            // One that was begun meanwhile replaces what is left.
            if let Some(draft) = &mut self.draft {
                draft.replaces -= replaced;
            }
            if let Some(next) = &mut self.replaces {
                *next -= replaced;
            }
        }
        Ok(())
    }

    /// Whether a batch is out.
    #[must_use]
    pub const fn is_under_way(&self) -> bool {
        self.under_way
    }

    /// As [`Store::usage`](super::Store::usage).
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage { journal: self.journal, snapshot: self.finished, buffered: self.lines.len() as u64 + self.pieces }
    }
}

/// What is wrong with the lines of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupFault {
    /// A line isn't what was written.
    Damaged {
        /// The line, from 1.
        line: u64,
        /// Offset in bytes of the line.
        byte: u64,
        /// What was expected.
        expected: String,
        /// What was found.
        found: String,
    },
    /// A record is intact, but isn't the next one.
    Sequence {
        /// The line, from 1.
        line: u64,
        /// Offset in bytes of the line.
        byte: u64,
        /// The sequence number that comes next.
        expected: u64,
        /// That of the record.
        found: u64,
    },
    /// Whoever gets the records refused one.
    Refused {
        /// The line, from 1.
        line: u64,
        /// Offset in bytes, from the start of the group.
        byte: u64,
        /// Why.
        reason: String,
    },
}

/// Hands over the records of a group's [lines](Group::lines), as they were appended; returns the sequence number of the last one.
///
/// # Errors
/// The first line that isn't as it was written, or isn't the next one.
pub fn read_group(
    lines: &str,
    first: u64,
    mut visit: impl FnMut(u64, &str) -> Result<(), Refused>,
) -> Result<u64, GroupFault> {
    let (mut sequence, mut byte) = (first, 0);
    let mut text = String::new();
    for (line, number) in lines.split_terminator('\n').zip(1..) {
        let record = format::open_record(line.as_bytes())
            .map_err(|Fault { expected, found, .. }| GroupFault::Damaged { line: number, byte, expected, found })?;
        if record.sequence != sequence {
            return Err(GroupFault::Sequence { line: number, byte, expected: sequence, found: record.sequence });
        }
        text.clear();
        text.push('{');
        text.push_str(record.rest);
        visit(sequence, &text).map_err(|refused| GroupFault::Refused {
            line: number,
            byte: byte + record.skipped as u64 + refused.byte.saturating_sub(1),
            reason: refused.reason,
        })?;
        sequence = sequence.saturating_add(1);
        byte += line.len() as u64 + 1;
    }
    Ok(sequence.saturating_sub(1))
}

/// The checksum (CRC-32C, as eight hexadecimal digits) that is kept beside a piece of a snapshot.
#[must_use]
pub fn checksum(text: &str) -> String {
    format!("{:08x}", crc32c::crc32c(text.as_bytes()))
}
