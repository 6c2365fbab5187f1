//! The store of a leader.
//!
//! Invariant: it takes what a [`Buffer`] takes, and what it acknowledges, the database has.

use crate::error::{Failure, OpenError, place};
use crate::sabotage::{Sabotage, sabotaged};
use crate::settings::PostgresSettings;
use crate::worker::{Commits, Ending, Page, Position, Worker};
use amiko_core::Time;
use amiko_core::serializable::Classes;
use amiko_core::store::{
    Batch, Buffer, GroupFault, RecoverError, Recovered, Recovery, Store, StoreError, Usage, Work, read_group,
};
use std::fmt;
use std::time::Duration;

/// A [`Store`] on PostgreSQL, for the one who leads.
///
/// It has the lease of its node, and renews it, until it is dropped. If it loses it, every call fails with
/// [`StoreError::Fenced`], and nothing that it wrote since is there.
///
/// Its calls wait for a thread that talks to the database, so they may be made anywhere, as those of a
/// [`Directory`](amiko_core::store::Directory).
///
/// ```no_run
/// use amiko_core::prelude::*;
/// use amiko_postgres::Postgres;
/// # #[derive(Clone, Default, Serializable, Node)]
/// # #[amiko(machine)]
/// # struct Counter { value: u64 }
/// # #[derive(Clone, Serializable)]
/// # struct Add { amount: u64 }
/// # impl StateMachine for Counter {
/// #     type Node = Self;
/// #     type Message = Add;
/// #     fn handle(&mut self, add: Add, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
/// #         self.value += add.amount;
/// #         Ok(())
/// #     }
/// # }
///
/// let store = Postgres::open("postgres://amiko@db.example/amiko", "counter", Default::default())?;
/// let engine = Engine::<Counter, _>::open(store, Settings::default())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Postgres {
    worker: Worker,
    limit: u64,
    state: State,
    /// What was handed over before it led.
    position: Position,
}

enum State {
    Opened,
    Ready(Box<Buffer>),
    Poisoned(String),
}

/// The [`Work`] of a [`Postgres`]: a commit.
#[must_use = "nothing is durable until the work is run and given back"]
pub struct PostgresWork {
    commits: Commits,
    batch: Batch,
}

/// The result of a [`PostgresWork`].
#[derive(Debug)]
pub struct PostgresDone(Result<u64, StoreError>);

impl Work for PostgresWork {
    type Done = PostgresDone;

    const REMOTE: bool = true;

    fn run(self) -> PostgresDone {
        PostgresDone(self.commits.commit(self.batch))
    }
}

/// Hides the records, which may contain secrets.
impl fmt::Debug for PostgresWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresWork").finish_non_exhaustive()
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").field("node", &self.worker.node).finish_non_exhaustive()
    }
}

impl Postgres {
    /// Leads a node of this name in a database: makes the tables if they aren't there, and the node, and takes its lease.
    ///
    /// # Errors
    /// [`OpenError::Led`] if another one leads, which [`Cluster`](crate::Cluster) waits for; otherwise as its name says.
    pub fn open(url: &str, node: &str, settings: PostgresSettings) -> Result<Self, OpenError> {
        let worker = Worker::start(url, node, &settings)?;
        match worker.lead().map_err(Failure::open)? {
            Ok(_) => Ok(Self::leading(worker, &settings, Position::Start)),
            Err(leader) => Err(OpenError::Led { node: node.to_owned(), leader }),
        }
    }

    pub(crate) fn leading(worker: Worker, settings: &PostgresSettings, position: Position) -> Self {
        Self { worker, limit: settings.buffer_limit, state: State::Opened, position }
    }

    /// The name of the node.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.worker.node
    }

    /// Ends it, gives the lease back, and waits for that: as long as the database takes, at most
    /// [`PostgresSettings::timeout`]. Dropping it does the same, and waits for at most a second.
    pub fn close(mut self) {
        self.worker.end(Ending::Release);
    }

    /// Ends it without giving the lease back, as a crash would: for tests of what comes after.
    pub fn abandon(mut self) {
        self.worker.end(Ending::Abandon);
    }

    fn ready(&mut self) -> Result<&mut Buffer, StoreError> {
        match &mut self.state {
            State::Opened => Err(StoreError::NotRecovered),
            State::Poisoned(cause) => Err(StoreError::Poisoned { cause: cause.clone() }),
            State::Ready(buffer) => Ok(buffer),
        }
    }

    fn replay(&mut self, visitor: &mut dyn Recovery) -> Result<(Recovered, Buffer), RecoverError> {
        let followed = sabotaged(Sabotage::TailBeforeEpoch) && self.position != Position::Start;
        let reached = match followed {
            true => self.position.sequence(),
            false => read_on(&self.worker, &mut self.position, visitor)?,
        };
        let sizes = self.worker.sizes().map_err(|failure| failure.recover(&self.worker.node))?;
        if reached != sizes.last && !followed {
            let path = place(&self.worker.node, Some("journal_group".to_owned()));
            return Err(RecoverError::ShortJournal { path, reached, expected: sizes.last });
        }
        let buffer = Buffer::resume(self.limit, reached, sizes.journal, sizes.snapshot);
        Ok((Recovered { sequence: reached, torn: None, damaged: Vec::new() }, buffer))
    }
}

/// Hands over what follows a position, to the present end of the journal, and moves it there; gives the last record.
///
/// # Errors
/// After [`RecoverError::Io`] it may go on from where the position is.
pub(crate) fn read_on(
    worker: &Worker,
    position: &mut Position,
    visitor: &mut dyn Recovery,
) -> Result<u64, RecoverError> {
    /// A newer snapshot may take the place of what was read: so often everything is read anew at the most.
    const ATTEMPTS: usize = 10;
    let mut attempts = 0;
    loop {
        match worker.read(*position).map_err(|failure| failure.recover(&worker.node))? {
            Page::Snapshot { .. } if attempts == ATTEMPTS => {
                let failure = Failure::new("read the journal", "newer snapshots come faster than they are read");
                return Err(failure.recover(&worker.node));
            }
            Page::Snapshot { sequence, document, after } => {
                attempts += 1;
                visitor.snapshot(sequence, &document).map_err(|refused| RecoverError::Refused {
                    path: place(&worker.node, Some(format!("snapshot/{sequence}"))),
                    line: refused.line,
                    byte: refused.byte,
                    reason: refused.reason,
                })?;
                *position = after;
            }
            Page::Groups(rows) if rows.is_empty() => {
                return Ok(position.sequence());
            }
            Page::Groups(rows) => {
                for row in rows {
                    hand_over(&worker.node, position, &row, visitor)?;
                    *position = Position::Group { last: row.last, epoch: row.epoch };
                }
            }
        }
    }
}

/// Hands over the records of one row.
pub(crate) fn hand_over(
    node: &str,
    position: &Position,
    row: &crate::worker::Row,
    visitor: &mut dyn Recovery,
) -> Result<(), RecoverError> {
    let path = place(node, Some(format!("journal_group/{}", row.last)));
    let expected = position.sequence().saturating_add(1);
    if row.first > expected || (row.first < expected && matches!(position, Position::Group { .. })) {
        return Err(RecoverError::Sequence { path, line: 1, byte: 0, expected, found: row.first });
    }
    let visit = |sequence, record: &str| match sequence < expected {
        true => Ok(()),
        false => visitor.record(sequence, record),
    };
    match read_group(&row.lines, row.first, visit) {
        Ok(last) if last == row.last => Ok(()),
        Ok(reached) => Err(RecoverError::ShortJournal { path, reached, expected: row.last }),
        Err(GroupFault::Damaged { line, byte, expected, found }) => {
            Err(RecoverError::Damaged { path, line, byte, expected, found })
        }
        Err(GroupFault::Sequence { line, byte, expected, found }) => {
            Err(RecoverError::Sequence { path, line, byte, expected, found })
        }
        Err(GroupFault::Refused { line, byte, reason }) => Err(RecoverError::Refused { path, line, byte, reason }),
        Err(other) => Err(Failure::new("read the journal", format!("{other:?}")).recover(node)),
    }
}

impl Store for Postgres {
    type Work = PostgresWork;

    fn recover(&mut self, visitor: &mut dyn Recovery) -> Result<Recovered, RecoverError> {
        if !matches!(self.state, State::Opened) {
            return Err(RecoverError::NotFresh);
        }
        match self.replay(visitor) {
            Ok((recovered, buffer)) => {
                self.state = State::Ready(Box::new(buffer));
                Ok(recovered)
            }
            Err(error) => {
                self.state = State::Poisoned(crate::error::in_full(&error));
                Err(error)
            }
        }
    }

    fn append(&mut self, sequence: u64, record: &str) -> Result<(), StoreError> {
        self.ready()?.append(sequence, record)
    }

    fn describe(&mut self, classes: &Classes) -> Result<(), StoreError> {
        self.ready()?;
        self.worker.describe(classes.to_text()).map_err(|failure| failure.store(&self.worker.node))
    }

    fn begin_sync(&mut self) -> Result<Option<PostgresWork>, StoreError> {
        let commits = self.worker.commits();
        Ok(self.ready()?.take()?.map(|batch| PostgresWork { commits, batch }))
    }

    fn end_sync(&mut self, PostgresDone(outcome): PostgresDone) -> Result<(), StoreError> {
        let buffer = self.ready()?;
        match outcome {
            Ok(snapshot) => buffer.taken(snapshot),
            Err(_) if !buffer.is_under_way() => Err(StoreError::NotUnderWay),
            Err(error) => {
                self.state = State::Poisoned(crate::error::in_full(&error));
                Err(error)
            }
        }
    }

    fn begin_snapshot(&mut self, sequence: u64, _: Time) -> Result<(), StoreError> {
        self.ready()?.begin_snapshot(sequence)
    }

    fn write_snapshot(&mut self, piece: &str) -> Result<(), StoreError> {
        self.ready()?.write_snapshot(piece)
    }

    fn finish_snapshot(&mut self) -> Result<(), StoreError> {
        self.ready()?.finish_snapshot()
    }

    fn lease(&self) -> Result<Option<Duration>, StoreError> {
        match self.worker.lease.left() {
            Err(_) if sabotaged(Sabotage::StaleReads) => Ok(None),
            left => left.map(Some),
        }
    }

    fn usage(&self) -> Usage {
        match &self.state {
            State::Ready(buffer) => buffer.usage(),
            State::Opened | State::Poisoned(_) => Usage::default(),
        }
    }
}
