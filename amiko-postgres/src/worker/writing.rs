//! What a leader writes: groups of records, snapshots, and what its program says of its classes.
//!
//! Invariant: each statement holds the row of the node, and does nothing unless the epoch is its own.

use super::{Inside, Leads};
use crate::error::{Failure, Trying};
use crate::sabotage::{self, Sabotage, sabotaged};
use amiko_core::serializable::Classes;
use amiko_core::store::{Batch, Group, Retention, SnapshotStep, StoreError, checksum};
use std::time::Instant;

/// One statement is one commit: where the epoch or the end of the journal is another one, nothing is inserted.
const COMMIT: &str = "WITH leads AS (UPDATE amiko.node \
    SET last = $4, expires = clock_timestamp() + $6 * interval '1 microsecond', clock = pg_postmaster_start_time() \
    WHERE name = $1 AND epoch = $2 AND last = $3 RETURNING 1) \
    INSERT INTO amiko.journal_group (node, first, last, epoch, lines) \
    SELECT $1, $3 + 1, $4, $2, $5 FROM leads RETURNING last";

/// Drafts that were given up are removed by the next one.
const BEGIN: &str = "WITH leads AS (SELECT name FROM amiko.node WHERE name = $1 AND epoch = $2 FOR NO KEY UPDATE), \
    gone AS (DELETE FROM amiko.snapshot AS old USING leads WHERE old.node = leads.name AND NOT EXISTS \
        (SELECT FROM amiko.snapshot AS end_of WHERE end_of.node = $1 AND end_of.draft = old.draft AND end_of.complete)) \
    SELECT (SELECT coalesce(max(draft), 0) + 1 FROM amiko.snapshot WHERE node = $1) FROM leads";

const PIECE: &str = "WITH leads AS (SELECT name FROM amiko.node WHERE name = $1 AND epoch = $2 FOR NO KEY UPDATE) \
    INSERT INTO amiko.snapshot (node, draft, seq, piece, text, checksum, epoch) \
    SELECT name, $3, $4, $5, $6, $7, $2 FROM leads RETURNING piece";

const FINISH: &str = "WITH leads AS (SELECT name FROM amiko.node WHERE name = $1 AND epoch = $2 FOR NO KEY UPDATE) \
    UPDATE amiko.snapshot SET complete = true FROM leads WHERE node = name AND draft = $3 AND piece = $4 RETURNING piece";

const DESCRIBE: &str = "WITH leads AS (SELECT name FROM amiko.node WHERE name = $1 AND epoch = $2 FOR NO KEY UPDATE) \
    INSERT INTO amiko.classes (node, text) SELECT name, $3 FROM leads \
    ON CONFLICT (node) DO UPDATE SET text = excluded.text RETURNING node";

/// The complete snapshots, the newest first: its draft and number, its bytes, those of the journal from it to the one before this
/// row, and how long ago the one before this row was written, in seconds.
const KEPT: &str = "SELECT draft, seq, size, \
    (SELECT coalesce(sum(octet_length(lines)), 0) FROM amiko.journal_group \
     WHERE node = $1 AND last > seq AND last <= next_seq)::bigint, \
    extract(epoch FROM newest - next_written)::double precision \
    FROM (SELECT draft, seq, size, lag(seq) OVER newer AS next_seq, lag(written) OVER newer AS next_written, \
          first_value(written) OVER newer AS newest \
          FROM (SELECT draft, seq, sum(octet_length(text))::bigint AS size, max(written) AS written FROM amiko.snapshot \
                WHERE node = $1 GROUP BY draft, seq HAVING bool_or(complete)) AS complete \
          WINDOW newer AS (ORDER BY seq DESC, draft DESC)) AS ordered ORDER BY seq DESC, draft DESC";

/// What is older than a snapshot goes: other snapshots, and the journal up to it.
const SWEEP: &str = "WITH leads AS (SELECT name FROM amiko.node WHERE name = $1 AND epoch = $2 FOR NO KEY UPDATE), \
    snapshots AS (DELETE FROM amiko.snapshot USING leads WHERE node = name AND (seq < $3 OR (seq = $3 AND draft < $4))), \
    groups AS (DELETE FROM amiko.journal_group USING leads WHERE node = name AND last <= $3) \
    SELECT name FROM leads";

/// Why a batch isn't known to be durable.
enum Problem {
    /// Nothing was written: another one leads.
    Fenced,
    /// The answer is lost.
    Lost(Failure),
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self::Lost(failure)
    }
}

impl Inside {
    /// Makes a batch durable; gives the bytes of the snapshot that it has finished, if it has.
    pub(super) async fn commit(&mut self, batch: Batch) -> Result<u64, StoreError> {
        let Some(leads) = self.leads else {
            return Err(match self.lease.left() {
                Err(fenced) => fenced,
                Ok(_) => StoreError::NotRecovered,
            });
        };
        let mut finished = 0;
        let outcome = match batch.group {
            Some(group) => self.commit_group(leads, &group).await,
            None => Ok(()),
        };
        let outcome = match outcome {
            Ok(()) => self.write_snapshot(batch.snapshot, &mut finished).await,
            Err(problem) => Err(problem),
        };
        match outcome {
            Ok(()) => Ok(finished),
            Err(Problem::Fenced) => Err(self.fenced(leads).await),
            Err(Problem::Lost(failure)) => {
                self.session = None;
                Err(failure.store(&self.node))
            }
        }
    }

    async fn commit_group(&mut self, leads: Leads, group: &Group) -> Result<(), Problem> {
        const ACTION: &str = "commit to the database";
        let last = number(group.last);
        let (node, lease) = (self.node.clone(), self.settings.lease.as_secs_f64() * 1e6);
        if group.first != leads.last.unsigned_abs().saturating_add(1) {
            let reason = format!("expected record {} to follow {}, which ends the journal", group.first, leads.last);
            return Err(Failure::new(ACTION, reason).into());
        }
        self.reach().await?;
        let commit = sabotage::commit().unwrap_or(COMMIT);
        let begun = Instant::now();
        let parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
            &[&node, &leads.epoch, &leads.last, &last, &group.lines, &lease];
        let mut committed = self.session().await?.write(ACTION, commit, parameters).await;
        while sabotaged(Sabotage::ResendAfterBrokenConnection)
            && committed.is_err()
            && begun.elapsed() < self.settings.timeout * 2
        {
            self.session = None;
            let Ok(session) = self.session().await else { continue };
            committed = session.write(ACTION, COMMIT, parameters).await;
            if committed.is_ok() {
                self.leads = Some(Leads { last, ..leads });
                return Ok(());
            }
        }
        match committed {
            Ok(rows) if rows.is_empty() => return Err(Problem::Fenced),
            Ok(_) => {
                self.leads = Some(Leads { last, ..leads });
                self.holds(begun, leads.epoch);
            }
            Err(failure) => self.find_out(leads, last, failure).await?,
        }
        // The database has waited for its own standbys for so long that the lease is over: is it still this one's?
        if self.lease.left().is_err() {
            self.renew().await;
        }
        if self.announced.elapsed() >= self.settings.poll / 10 {
            self.announced = Instant::now();
            let node = self.node.clone();
            if let Some(session) = &mut self.session
                && session.announce(&node).await.is_err()
            {
                self.session = None;
            }
        }
        Ok(())
    }

    /// Connects, as long as there is a lease: nothing was sent yet, so nothing is doubled.
    async fn reach(&mut self) -> Result<(), Failure> {
        loop {
            match self.session().await.map(drop) {
                Ok(()) => return Ok(()),
                Err(_) if self.lease.left().is_ok() => tokio::time::sleep(self.settings.renew / 4).await,
                Err(failure) => return Err(failure),
            }
        }
    }

    /// The answer to a commit is lost. It isn't sent again: a new epoch is claimed, and then it has happened, or never will.
    async fn find_out(&mut self, leads: Leads, last: i64, failure: Failure) -> Result<(), Problem> {
        self.session = None;
        let begun = Instant::now();
        loop {
            match self.claim(leads).await {
                Ok(Some(found)) if found.last == last => return Ok(()),
                Ok(Some(_)) => return Err(failure.into()),
                Ok(None) => return Err(Problem::Fenced),
                Err(_) if begun.elapsed() < self.settings.timeout => {
                    self.session = None;
                    tokio::time::sleep(self.settings.renew / 4).await;
                }
                Err(_) => return Err(failure.into()),
            }
        }
    }

    async fn write_snapshot(&mut self, steps: Vec<SnapshotStep>, finished: &mut u64) -> Result<(), Problem> {
        for step in steps {
            if Instant::now() >= self.renew_at {
                self.renew().await;
            }
            let Some(mut leads) = self.leads else { return Err(Problem::Fenced) };
            match step {
                SnapshotStep::Begin { sequence } => leads.draft = Some((self.begin(leads).await?, number(sequence), 0)),
                SnapshotStep::Piece { text } => {
                    let mut rest = &*text;
                    while !rest.is_empty() {
                        let (piece, after) = split(rest);
                        leads.draft = Some(self.piece(leads, piece).await?);
                        rest = after;
                    }
                }
                SnapshotStep::Finish => {
                    *finished = self.finish(leads).await?;
                    leads.draft = None;
                }
                // There are no others in this version.
                _ => {}
            }
            self.leads = Some(leads);
        }
        Ok(())
    }

    async fn begin(&mut self, leads: Leads) -> Result<i64, Problem> {
        const ACTION: &str = "begin a snapshot in the database";
        let node = self.node.clone();
        let rows = self.session().await?.write(ACTION, BEGIN, &[&node, &leads.epoch]).await?;
        let row = rows.first().ok_or(Problem::Fenced)?;
        Ok(row.try_get(0).trying(ACTION)?)
    }

    async fn piece(&mut self, leads: Leads, text: &str) -> Result<(i64, i64, i32), Problem> {
        const ACTION: &str = "write a snapshot to the database";
        let (draft, sequence, piece) = leads.draft.ok_or_else(|| Failure::new(ACTION, "none was begun"))?;
        let (node, checksum) = (self.node.clone(), checksum(text));
        let parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
            &[&node, &leads.epoch, &draft, &sequence, &piece, &text, &checksum];
        let rows = self.session().await?.write(ACTION, PIECE, parameters).await?;
        rows.first().ok_or(Problem::Fenced)?;
        Ok((draft, sequence, piece.saturating_add(1)))
    }

    /// Ends the snapshot, and removes what it replaces; gives its size.
    async fn finish(&mut self, leads: Leads) -> Result<u64, Problem> {
        const ACTION: &str = "finish a snapshot in the database";
        let (draft, _, piece) = leads.draft.ok_or_else(|| Failure::new(ACTION, "none was begun"))?;
        let node = self.node.clone();
        let session = self.session().await?;
        let rows = session.write(ACTION, FINISH, &[&node, &leads.epoch, &draft, &(piece - 1)]).await?;
        rows.first().ok_or(Problem::Fenced)?;
        if self.settings.retention == Retention::Forever {
            return self.sizes().await.map(|(_, snapshot)| snapshot).map_err(Problem::from);
        }
        let rows = self.session().await?.read(ACTION, KEPT, &[&node]).await?;
        let snapshots: Vec<_> = rows.iter().map(Kept::of).collect::<Result<_, _>>().trying(ACTION)?;
        let size = snapshots.first().map_or(0, |newest| newest.size);
        if let Some(oldest) = oldest(&snapshots, self.settings.retention) {
            let parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
                &[&node, &leads.epoch, &oldest.sequence, &oldest.draft];
            let rows = self.session().await?.write(ACTION, SWEEP, parameters).await?;
            rows.first().ok_or(Problem::Fenced)?;
        }
        Ok(size)
    }

    /// Keeps what the program says, and of what was said before whatever it doesn't have.
    pub(super) async fn describe(&mut self, said: &str) -> Result<(), Failure> {
        const ACTION: &str = "keep the description of the classes";
        let Some(leads) = self.leads else { return Err(Failure::new(ACTION, "another one leads")) };
        let node = self.node.clone();
        let session = self.session().await?;
        let rows = session.read(ACTION, "SELECT text FROM amiko.classes WHERE node = $1", &[&node]).await?;
        let before: Option<String> = rows.first().map(|row| row.try_get(0)).transpose().trying(ACTION)?;
        let mut text = said.to_owned();
        if let (Ok(mut classes), Some(Ok(known))) = (Classes::parse(said), before.as_deref().map(Classes::parse)) {
            classes.merge(known);
            text = classes.to_text();
        }
        if before.as_ref() == Some(&text) {
            return Ok(());
        }
        let rows = session.write(ACTION, DESCRIBE, &[&node, &leads.epoch, &text]).await?;
        if rows.is_empty() { Err(Failure::new(ACTION, "another one leads")) } else { Ok(()) }
    }
}

/// A snapshot that may be kept.
struct Kept {
    draft: i64,
    sequence: i64,
    size: u64,
    /// Bytes of the journal from it to the next snapshot.
    journal: u64,
    /// How long before the newest snapshot the next one was written, in seconds.
    replaced: f64,
}

impl Kept {
    fn of(row: &tokio_postgres::Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            draft: row.try_get(0)?,
            sequence: row.try_get(1)?,
            size: row.try_get::<_, i64>(2)?.unsigned_abs(),
            journal: row.try_get::<_, Option<i64>>(3)?.unwrap_or(0).unsigned_abs(),
            replaced: row.try_get::<_, Option<f64>>(4)?.unwrap_or(0.0),
        })
    }
}

/// The oldest snapshot that is kept; they come the newest first, and that one is kept in any case.
fn oldest(snapshots: &[Kept], retention: Retention) -> Option<&Kept> {
    let (newest, older) = snapshots.split_first()?;
    let mut taken = 0_u64;
    let kept = older.iter().zip(0_u64..).take_while(|(snapshot, index)| match retention {
        Retention::Forever => true,
        Retention::Count(count) => *index < count,
        Retention::Bytes(bytes) => {
            taken = taken.saturating_add(snapshot.size).saturating_add(snapshot.journal);
            taken <= bytes
        }
        Retention::Age(age) => snapshot.replaced <= age.as_secs_f64(),
        // What isn't known here is kept.
        _ => true,
    });
    Some(kept.last().map_or(newest, |(snapshot, _)| snapshot))
}

/// A piece of a snapshot that is written at once, and what follows it.
pub(crate) fn split(text: &str) -> (&str, &str) {
    const PIECE: usize = 4 << 20;
    let end = (0..=PIECE.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.split_at(end.unwrap_or(0))
}

/// The database's numbers have a sign. No journal gets that long.
fn number(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}
