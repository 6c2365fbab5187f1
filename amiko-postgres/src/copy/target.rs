//! Writing everything that was kept of a node into a database.
//!
//! Invariant: whoever would lead the node waits for the end of the transaction, and what is in it has an epoch of its own.

use super::CopyError;
use super::database::Database;
use crate::error::{Failure, OpenError, Trying};
use crate::migrations::migrate;
use crate::worker::{LEADER, leader, split};
use amiko_core::Time;
use amiko_core::serializable::Classes;
use amiko_core::store::{Buffer, Kept, checksum};

const MAKE: &str = "INSERT INTO amiko.node (name) VALUES ($1) ON CONFLICT DO NOTHING";

/// Whether there is something already; from now on nobody else changes that.
const OCCUPIED: &str = "SELECT last > 0 OR EXISTS (SELECT FROM amiko.journal_group WHERE node = name) \
    OR EXISTS (SELECT FROM amiko.snapshot WHERE node = name AND complete) FROM amiko.node WHERE name = $1 FOR UPDATE";

const EPOCH: &str = "UPDATE amiko.node SET epoch = epoch + 1 WHERE name = $1 RETURNING epoch";

const GROUP: &str = "INSERT INTO amiko.journal_group (node, first, last, epoch, lines) VALUES ($1, $2, $3, $4, $5)";

/// It was written when its event was: that is the time by which it is kept.
const PIECE: &str = "INSERT INTO amiko.snapshot (node, draft, seq, piece, text, checksum, complete, epoch, written) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, timestamptz 'epoch' + $9 * interval '1 millisecond')";

const DESCRIBE: &str = "INSERT INTO amiko.classes (node, text) VALUES ($1, $2) \
    ON CONFLICT (node) DO UPDATE SET text = excluded.text";

const END: &str = "UPDATE amiko.node SET last = $2 WHERE name = $1";

const ACTION: &str = "write the copy to the database";

/// A node that is being written.
pub(super) struct Target<'d> {
    database: &'d mut Database,
    node: String,
    epoch: i64,
    /// The number of the next snapshot.
    draft: i64,
    /// Records that aren't written yet; none before the first thing was given.
    buffer: Option<Buffer>,
    last: u64,
    /// How many of them.
    waiting: u64,
}

impl<'d> Target<'d> {
    /// Makes the tables and the node, if they aren't there; it has to be new.
    pub(super) fn begin(database: &'d mut Database) -> Result<Self, CopyError> {
        const ACTION: &str = "begin to write the copy";
        database.runtime.block_on(migrate(&mut database.session))?;
        let node = database.node.clone();
        database.batch(ACTION, "BEGIN")?;
        database.rows(ACTION, MAKE, &[&node])?;
        let occupied = database.rows(ACTION, OCCUPIED, &[&node])?;
        if let Some(leader) = leader(&database.rows(ACTION, LEADER, &[&node])?, "")? {
            return Err(CopyError::Database(OpenError::Led { node, leader }));
        }
        if occupied.first().map_or(Ok(true), |row| row.try_get(0)).trying(ACTION)? {
            return Err(CopyError::Occupied { target: format!("the node {node:?} of the database") });
        }
        // A snapshot that was never finished may be left of somebody.
        database.rows(ACTION, "DELETE FROM amiko.snapshot WHERE node = $1", &[&node])?;
        let rows = database.rows(ACTION, EPOCH, &[&node])?;
        let epoch = rows.first().ok_or_else(|| Failure::new(ACTION, "the node is gone"))?.try_get(0).trying(ACTION)?;
        Ok(Self { database, node, epoch, draft: 1, buffer: None, last: 0, waiting: 0 })
    }

    pub(super) fn take(&mut self, kept: Kept<'_>) -> Result<(), CopyError> {
        match kept {
            Kept::Snapshot { sequence, time, document } => self.snapshot(sequence, time, document),
            Kept::Record { sequence, record } => self.record(sequence, record),
            // There is nothing else in this version.
            _ => Ok(()),
        }
    }

    /// Writes what is left: then all of it is in the transaction.
    pub(super) fn end(mut self, classes: Option<&Classes>) -> Result<(), CopyError> {
        self.flush()?;
        if let Some(classes) = classes {
            self.database.rows(ACTION, DESCRIBE, &[&self.node, &classes.to_text()])?;
        }
        self.database.rows(ACTION, END, &[&self.node, &number(self.last)])?;
        Ok(())
    }

    fn record(&mut self, sequence: u64, record: &str) -> Result<(), CopyError> {
        /// Records of a row, at the most; and their bytes, and one more record.
        const RECORDS: u64 = 1000;
        const BYTES: u64 = 1 << 20;
        let last = self.last;
        let buffer = self.buffer.get_or_insert_with(|| Buffer::resume(u64::MAX, last, 0, 0));
        buffer.append(sequence, record).map_err(CopyError::Target)?;
        self.last = sequence;
        self.waiting += 1;
        if self.waiting >= RECORDS || buffer.usage().buffered >= BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), CopyError> {
        let Some(buffer) = &mut self.buffer else { return Ok(()) };
        let Some(batch) = buffer.take().map_err(CopyError::Target)? else { return Ok(()) };
        buffer.taken(0).map_err(CopyError::Target)?;
        self.waiting = 0;
        if let Some(group) = batch.group {
            let (first, last) = (number(group.first), number(group.last));
            self.database.rows(ACTION, GROUP, &[&self.node, &first, &last, &self.epoch, &group.lines])?;
        }
        Ok(())
    }

    fn snapshot(&mut self, sequence: u64, time: Time, document: &str) -> Result<(), CopyError> {
        /// The end of the year 9999: the database has no much later times.
        const LATEST: u64 = 253_402_300_799_000;
        self.flush()?;
        self.last = sequence;
        let time = time.as_millis().min(LATEST) as f64;
        let mut rest = document;
        let mut piece = 0_i32;
        while !rest.is_empty() {
            let (text, after) = split(rest);
            let parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
                &self.node,
                &self.draft,
                &number(sequence),
                &piece,
                &text,
                &checksum(text),
                &after.is_empty(),
                &self.epoch,
                &time,
            ];
            self.database.rows(ACTION, PIECE, parameters)?;
            rest = after;
            piece = piece.saturating_add(1);
        }
        self.draft += 1;
        Ok(())
    }
}

/// The database's numbers have a sign. No journal gets that long.
fn number(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}
