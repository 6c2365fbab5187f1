//! Reading everything that is kept of a node in a database.
//!
//! Invariant: all of it is as of one moment, and each row was held against its checksum.

use super::CopyError;
use super::database::Database;
use crate::error::{Failure, OpenError, Trying, place};
use crate::migrations::are_made;
use crate::store::hand_over;
use crate::worker::{LEADER, Position, Row, leader};
use amiko_core::Time;
use amiko_core::serializable::{Classes, Json};
use amiko_core::store::{Kept, RecoverError, Recovery, Refused, checksum};
use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

/// Who else may use the node meanwhile.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Nobody leads it, or can begin to.
    Alone,
    /// It doesn't matter.
    Shared,
}

/// The complete snapshots, the oldest first.
const SNAPSHOTS: &str = "SELECT DISTINCT ON (seq) seq, draft, round(extract(epoch FROM written) * 1000)::bigint FROM ( \
    SELECT seq, draft, max(written) AS written FROM amiko.snapshot WHERE node = $1 \
    GROUP BY seq, draft HAVING bool_or(complete)) AS complete ORDER BY seq, draft DESC";

const PIECES: &str =
    "SELECT piece, text, checksum, complete FROM amiko.snapshot WHERE node = $1 AND draft = $2 ORDER BY piece";

/// The groups behind a record: so many bytes, and one more.
const GROUPS: &str = "SELECT first, last, epoch, lines FROM ( \
    SELECT first, last, epoch, lines, sum(octet_length(lines)) OVER (ORDER BY last) - octet_length(lines) AS before FROM ( \
        SELECT first, last, epoch, lines FROM amiko.journal_group WHERE node = $1 AND last > $2 ORDER BY last LIMIT 1000 \
    ) AS next) AS page WHERE before <= $3 ORDER BY last";
const PAGE: i64 = 4 << 20;

const LAST: &str = "SELECT last FROM amiko.node WHERE name = $1";

/// A snapshot, as it is listed.
#[derive(Clone, Copy)]
struct Listed {
    sequence: u64,
    draft: i64,
    /// When it was written, in milliseconds since 1970, by the clock of the database; a copy says here when its event was.
    written: u64,
}

impl Database {
    /// Begins to read.
    pub(super) fn begin(&mut self, access: Access) -> Result<(), CopyError> {
        const ACTION: &str = "begin to read the node";
        let missing = || CopyError::Database(OpenError::NoNode { node: self.node.clone() });
        if !self.runtime.block_on(are_made(&mut self.session))? {
            return Err(missing());
        }
        let mode = if access == Access::Shared { " READ ONLY" } else { "" };
        self.batch(ACTION, &format!("BEGIN ISOLATION LEVEL REPEATABLE READ{mode}"))?;
        let node = self.node.clone();
        let rows = self.rows(ACTION, LEADER, &[&node])?;
        if rows.is_empty() {
            return Err(CopyError::Database(OpenError::NoNode { node }));
        }
        if access == Access::Shared {
            return Ok(());
        }
        if let Some(leader) = leader(&rows, "")? {
            return Err(CopyError::Database(OpenError::Led { node, leader }));
        }
        // Whoever would lead waits for the end of this. It fails if somebody leads since a moment ago.
        self.rows(ACTION, "SELECT FROM amiko.node WHERE name = $1 FOR SHARE NOWAIT", &[&node])?;
        Ok(())
    }

    /// Hands over everything.
    pub(super) fn read(&mut self, mut take: impl FnMut(Kept<'_>) -> Result<(), CopyError>) -> Result<(), CopyError> {
        const ACTION: &str = "read the journal";
        let node = self.node.clone();
        let last = self.rows(ACTION, LAST, &[&node])?;
        let last = last.first().map_or(Ok(0), |row| row.try_get(0).map(i64::unsigned_abs)).trying(ACTION)?;
        let snapshots = self.listed()?;
        let mut position = match snapshots.front() {
            // Nothing was handed over yet, so it doesn't matter which epoch it was.
            Some(oldest) => Position::Snapshot { sequence: oldest.sequence, draft: oldest.draft, epoch: 0 },
            None => Position::Start,
        };
        let mut reading = Reading { database: self, snapshots, take: &mut take, failure: None };
        reading.reached(position.sequence(), None)?;
        loop {
            let rows = reading.database.groups(position.sequence())?;
            if rows.is_empty() {
                break;
            }
            for row in rows {
                let outcome = hand_over(&node, &position, &row, &mut reading);
                // The refusal of whoever takes it goes no further.
                reading.failure.take().map_or(Ok(()), Err)?;
                outcome?;
                position = Position::Group { last: row.last, epoch: row.epoch };
            }
        }
        let path = place(&node, Some("journal_group".to_owned()));
        let reached = position.sequence();
        let expected = reading.snapshots.front().map_or(last, |snapshot| snapshot.sequence.max(last));
        if reached == last && reading.snapshots.is_empty() {
            return Ok(());
        }
        Err(RecoverError::ShortJournal { path, reached, expected }.into())
    }

    /// What programs have said of their classes.
    pub(super) fn classes(&mut self) -> Result<Option<Classes>, CopyError> {
        const ACTION: &str = "read the description of the classes";
        let node = self.node.clone();
        let rows = self.rows(ACTION, "SELECT text FROM amiko.classes WHERE node = $1", &[&node])?;
        let Some(row) = rows.first() else { return Ok(None) };
        let classes = Classes::parse(row.try_get(0).trying(ACTION)?);
        Ok(Some(classes.map_err(|error| Failure::new(ACTION, error.to_string()))?))
    }

    /// When each snapshot was written.
    pub(super) fn written(&mut self) -> Result<Vec<(u64, SystemTime)>, CopyError> {
        let since = |millis| SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis));
        let listed = self.listed()?;
        Ok(listed.iter().filter_map(|listed| Some((listed.sequence, since(listed.written)?))).collect())
    }

    fn listed(&mut self) -> Result<VecDeque<Listed>, Failure> {
        const ACTION: &str = "list the snapshots";
        let node = self.node.clone();
        let rows = self.rows(ACTION, SNAPSHOTS, &[&node])?;
        let listed = rows.iter().map(|row| {
            Ok(Listed {
                sequence: row.try_get::<_, i64>(0)?.unsigned_abs(),
                draft: row.try_get(1)?,
                written: u64::try_from(row.try_get::<_, i64>(2)?).unwrap_or(0),
            })
        });
        listed.collect::<Result<_, _>>().trying(ACTION)
    }

    fn groups(&mut self, after: u64) -> Result<Vec<Row>, Failure> {
        const ACTION: &str = "read the journal";
        let (node, after) = (self.node.clone(), i64::try_from(after).unwrap_or(i64::MAX));
        let rows = self.rows(ACTION, GROUPS, &[&node, &after, &PAGE])?;
        let groups = rows.iter().map(|row| {
            let number = |column| row.try_get::<_, i64>(column).map(i64::unsigned_abs);
            Ok(Row { first: number(0)?, last: number(1)?, epoch: row.try_get(2)?, lines: row.try_get(3)? })
        });
        groups.collect::<Result<_, _>>().trying(ACTION)
    }

    fn document(&mut self, listed: Listed) -> Result<String, CopyError> {
        const ACTION: &str = "read a snapshot";
        let node = self.node.clone();
        let rows = self.rows(ACTION, PIECES, &[&node, &listed.draft])?;
        let damaged = |expected: String, found: String| {
            let path = place(&node, Some(format!("snapshot/{}", listed.sequence)));
            CopyError::Source(RecoverError::Damaged { path, line: 1, byte: 0, expected, found })
        };
        let mut document = String::new();
        let mut complete = false;
        for (row, expected) in rows.iter().zip(0..) {
            let piece: i32 = row.try_get(0).trying(ACTION)?;
            let (text, sum): (&str, &str) = (row.try_get(1).trying(ACTION)?, row.try_get(2).trying(ACTION)?);
            complete = row.try_get(3).trying(ACTION)?;
            if piece != expected {
                return Err(damaged(format!("piece {expected}"), format!("piece {piece}")));
            }
            let found = checksum(text);
            if found != sum {
                return Err(damaged(format!("piece {piece} with checksum {sum}"), found));
            }
            document.push_str(text);
        }
        if complete { Ok(document) } else { Err(damaged("its last piece".to_owned(), "none".to_owned())) }
    }
}

/// Puts the snapshots between the records.
struct Reading<'r, F> {
    database: &'r mut Database,
    /// Those that weren't handed over yet.
    snapshots: VecDeque<Listed>,
    take: &'r mut F,
    failure: Option<CopyError>,
}

impl<F: FnMut(Kept<'_>) -> Result<(), CopyError>> Reading<'_, F> {
    /// Hands over the snapshot of a version, if there is one.
    fn reached(&mut self, version: u64, record: Option<&str>) -> Result<(), CopyError> {
        let next = self.snapshots.front().copied();
        let Some(listed) = next.filter(|listed| listed.sequence == version) else { return Ok(()) };
        self.snapshots.pop_front();
        let document = self.database.document(listed)?;
        let time = record.and_then(time).unwrap_or(listed.written);
        (self.take)(Kept::Snapshot { sequence: version, time: Time::from_millis(time), document: &document })
    }
}

impl<F: FnMut(Kept<'_>) -> Result<(), CopyError>> Recovery for Reading<'_, F> {
    fn snapshot(&mut self, _: u64, _: &str) -> Result<(), Refused> {
        Ok(())
    }

    fn record(&mut self, sequence: u64, record: &str) -> Result<(), Refused> {
        let taken = (self.take)(Kept::Record { sequence, record });
        taken.and_then(|()| self.reached(sequence, Some(record))).map_err(|failure| {
            self.failure = Some(failure);
            Refused { reason: String::new(), byte: 0, line: 1 }
        })
    }
}

/// The time of a record.
fn time(record: &str) -> Option<u64> {
    Json::parse(record).ok()?.get("time")?.as_u64()
}
