//! What is read back: the newest snapshot, and the groups of records that follow a position.
//!
//! Invariant: what was read before is what the rest follows. A row that was committed on one machine of the database, and lost
//! with it, may have been read: so the last group is compared with what the journal has there now, and where it differs,
//! everything is read anew.

use super::Inside;
use crate::error::{Failure, Trying};
use amiko_core::store::checksum;

/// Where somebody is in the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Position {
    /// Before everything.
    #[default]
    Start,
    /// After a snapshot, and no group yet.
    Snapshot { sequence: u64, draft: i64, epoch: i64 },
    /// After a group, which was written in this epoch.
    Group { last: u64, epoch: i64 },
}

impl Position {
    /// The last record before it.
    pub(crate) const fn sequence(&self) -> u64 {
        match self {
            Self::Start => 0,
            Self::Snapshot { sequence, .. } => *sequence,
            Self::Group { last, .. } => *last,
        }
    }
}

/// What follows a position.
pub(crate) enum Page {
    /// The newest snapshot: whatever was handed over before, this takes its place.
    Snapshot { sequence: u64, document: String, after: Position },
    /// The next groups; none if there are none yet.
    Groups(Vec<Row>),
}

/// A group, as it is in the database.
pub(crate) struct Row {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) epoch: i64,
    pub(crate) lines: String,
}

/// Bytes of groups that are read at once, and one more group.
const PAGE: i64 = 4 << 20;

/// The last group that was read, without its lines, and those that follow it: at least one, of any size, if there is one.
const GROUPS: &str = "SELECT first, last, epoch, CASE WHEN last = $2 THEN '' ELSE lines END FROM ( \
    SELECT first, last, epoch, lines, coalesce(sum(octet_length(lines)) FILTER (WHERE last > $2) \
        OVER (ORDER BY last ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before FROM ( \
        SELECT first, last, epoch, lines FROM amiko.journal_group WHERE node = $1 AND last >= $2 ORDER BY last LIMIT 1000 \
    ) AS next) AS page WHERE before <= $3 ORDER BY last";

/// A snapshot of the very record that was read last, from a later epoch: a program with other classes has written the state anew,
/// and what follows is about that one.
const WRITTEN_ANEW: &str = "SELECT FROM amiko.snapshot WHERE node = $1 AND seq = $2 AND epoch > $3 AND complete";

const SNAPSHOT: &str = "SELECT seq, text, checksum, draft, epoch FROM amiko.snapshot WHERE node = $1 AND draft = ( \
    SELECT draft FROM amiko.snapshot WHERE node = $1 AND complete ORDER BY seq DESC, draft DESC LIMIT 1) ORDER BY piece";

impl Inside {
    /// What follows a position in the journal, as much as fits into the memory.
    pub(super) async fn page(&mut self, after: Position) -> Result<Page, Failure> {
        const ACTION: &str = "read the journal";
        let node = self.node.clone();
        let known = match after {
            Position::Start => match self.newest_snapshot().await? {
                Some(page) => return Ok(page),
                None => 0,
            },
            Position::Snapshot { sequence, draft, epoch } => {
                const SAME: &str =
                    "SELECT FROM amiko.snapshot WHERE node = $1 AND draft = $2 AND epoch = $3 AND complete";
                if self.session().await?.read(ACTION, SAME, &[&node, &draft, &epoch]).await?.is_empty() {
                    return self.begin_anew().await;
                }
                sequence
            }
            Position::Group { last, .. } => last,
        };
        let from = i64::try_from(known).unwrap_or(i64::MAX);
        let found = self.session().await?.read(ACTION, GROUPS, &[&node, &from, &PAGE]).await?;
        let mut rows = Vec::with_capacity(found.len());
        for row in &found {
            let number = |column| row.try_get::<_, i64>(column).map(i64::unsigned_abs).trying(ACTION);
            let epoch = row.try_get(2).trying(ACTION)?;
            let lines = row.try_get(3).trying(ACTION)?;
            rows.push(Row { first: number(0)?, last: number(1)?, epoch, lines });
        }
        let goes_on = match after {
            Position::Group { last, epoch } => {
                let same = rows.first().is_some_and(|row| row.last == last && row.epoch == epoch);
                if same {
                    rows.remove(0);
                }
                same
            }
            // A snapshot may be as of a record within a group.
            _ => {
                rows.retain(|row| row.last > known);
                true
            }
        };
        let next = rows.first().is_none_or(|row| row.first <= known.saturating_add(1));
        // Where an epoch ends, the next page begins, so that each end is looked at.
        if let Some(epoch) = rows.first().map(|row| row.epoch) {
            let ends = rows.iter().position(|row| row.epoch != epoch);
            rows.truncate(ends.unwrap_or(rows.len()));
        }
        let (Position::Snapshot { epoch, .. } | Position::Group { epoch, .. }) = after else {
            return Ok(Page::Groups(rows));
        };
        let anew = self.session().await?.read(ACTION, WRITTEN_ANEW, &[&node, &from, &epoch]).await?;
        if goes_on && next && anew.is_empty() { Ok(Page::Groups(rows)) } else { self.begin_anew().await }
    }

    /// Bytes of the journal since the newest snapshot, and of that.
    pub(super) async fn sizes(&mut self) -> Result<(u64, u64), Failure> {
        const ACTION: &str = "measure the journal";
        const SIZES: &str = "WITH newest AS (SELECT draft, seq FROM amiko.snapshot WHERE node = $1 AND complete \
            ORDER BY seq DESC, draft DESC LIMIT 1) SELECT \
            (SELECT coalesce(sum(octet_length(lines)), 0)::bigint FROM amiko.journal_group \
             WHERE node = $1 AND last > coalesce((SELECT seq FROM newest), 0)), \
            (SELECT coalesce(sum(octet_length(text)), 0)::bigint FROM amiko.snapshot, newest \
             WHERE node = $1 AND snapshot.draft = newest.draft)";
        let node = self.node.clone();
        let rows = self.session().await?.read(ACTION, SIZES, &[&node]).await?;
        let Some(row) = rows.first() else { return Ok((0, 0)) };
        let bytes = |column| row.try_get::<_, i64>(column).map(i64::unsigned_abs).trying(ACTION);
        Ok((bytes(0)?, bytes(1)?))
    }

    /// What was read before isn't in the journal any more: it is replaced.
    async fn begin_anew(&mut self) -> Result<Page, Failure> {
        let newest = self.newest_snapshot().await?;
        newest.ok_or_else(|| Failure::new("read the journal", "expected a snapshot to begin anew with, found none"))
    }

    async fn newest_snapshot(&mut self) -> Result<Option<Page>, Failure> {
        const ACTION: &str = "read the newest snapshot";
        let node = self.node.clone();
        let rows = self.session().await?.read(ACTION, SNAPSHOT, &[&node]).await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let sequence = first.try_get::<_, i64>(0).trying(ACTION)?.unsigned_abs();
        let mut document = String::new();
        for (row, piece) in rows.iter().zip(0..) {
            let (text, sum): (&str, &str) = (row.try_get(1).trying(ACTION)?, row.try_get(2).trying(ACTION)?);
            let found = checksum(text);
            if found != sum {
                let reason = format!(
                    "snapshot {sequence}, piece {piece}: expected checksum {sum}, found {found}: restore it from a copy"
                );
                return Err(Failure::new(ACTION, reason));
            }
            document.push_str(text);
        }
        // That of the piece that says that it is complete: a writer that has claimed a new epoch goes on with its draft.
        let end = rows.last().unwrap_or(first);
        let (draft, epoch) = (end.try_get(3).trying(ACTION)?, end.try_get(4).trying(ACTION)?);
        Ok(Some(Page::Snapshot { sequence, document, after: Position::Snapshot { sequence, draft, epoch } }))
    }
}
