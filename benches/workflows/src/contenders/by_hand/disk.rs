//! The database of workflows that are written by hand.
//!
//! Invariant: nobody is told of what isn't committed, and a commit is synced.

use crate::workflow::{Task, answer};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, Result};
use std::path::Path;
use tokio::sync::mpsc;

/// Writes in one transaction, as in `RuntimeSettings::group`.
const GROUP: usize = 1_000;
/// Writes that wait for the thread, as in `RuntimeSettings::calls`.
const WAITING: usize = 1_024;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS workflows (
        number INTEGER PRIMARY KEY, wake INTEGER, steps INTEGER NOT NULL, ended INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS unfinished ON workflows (number) WHERE ended = 0;
    CREATE TABLE IF NOT EXISTS steps (
        workflow INTEGER NOT NULL, number INTEGER NOT NULL, answer TEXT NOT NULL, PRIMARY KEY (workflow, number)
    ) STRICT, WITHOUT ROWID;
";
const BEGIN: &str = "INSERT INTO workflows VALUES (?1, ?2, ?3, 0)";
const STEP: &str = "INSERT INTO steps VALUES (?1, ?2, ?3)";
const END: &str = "UPDATE workflows SET ended = 1 WHERE number = ?1";
const UNFINISHED: &str = "
    SELECT number, wake, steps, (SELECT count(*) FROM steps WHERE workflow = workflows.number)
    FROM workflows WHERE ended = 0";

/// What is to be written.
pub(super) enum Write {
    Begin { workflow: u64, task: Task },
    Step { workflow: u64, number: u64, answer: String, is_last: bool },
}

/// A workflow that isn't over.
pub(super) struct Unfinished {
    pub(super) workflow: u64,
    pub(super) task: Task,
    pub(super) done: u64,
}

/// For those who write.
pub(super) fn channel() -> (mpsc::Sender<Write>, mpsc::Receiver<Write>) {
    mpsc::channel(WAITING)
}

/// The database.
pub(super) struct Disk(Connection);

impl Disk {
    pub(super) fn open(directory: &Path) -> Result<Self> {
        let connection = Connection::open(directory.join("workflows.sqlite"))?;
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        let level: i64 = connection.query_row("PRAGMA synchronous", [], |row| row.get(0))?;
        assert_eq!(level, 2, "the level at which commits are synced");
        // 256 MiB: room for everything.
        connection.pragma_update(None, "cache_size", -(256 << 10))?;
        connection.pragma_update(None, "wal_autocheckpoint", 16_384)?;
        // A statement is never compiled anew because of a value that is bound.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self(connection))
    }

    /// What has to go on.
    pub(super) fn unfinished(&self) -> Result<Vec<Unfinished>> {
        let mut select = self.0.prepare(UNFINISHED)?;
        let unfinished = select.query_map([], |row| {
            let task = Task { wake: row.get(1)?, steps: row.get(2)? };
            Ok(Unfinished { workflow: row.get(0)?, task, done: row.get(3)? })
        })?;
        unfinished.collect()
    }

    /// Commits what is waiting, group by group, until nobody can send anything any more; tells which workflows may go on.
    pub(super) fn write(&self, mut writes: mpsc::Receiver<Write>, tell: impl Fn(Vec<u64>)) -> Result<()> {
        let (mut open, mut commit) = (self.0.prepare("BEGIN IMMEDIATE")?, self.0.prepare("COMMIT")?);
        let (mut begin, mut step, mut end) = (self.0.prepare(BEGIN)?, self.0.prepare(STEP)?, self.0.prepare(END)?);
        let mut group = Vec::with_capacity(GROUP);
        while writes.blocking_recv_many(&mut group, GROUP) > 0 {
            let mut kept = Vec::with_capacity(group.len());
            open.execute([])?;
            for write in group.drain(..) {
                match write {
                    Write::Begin { workflow, task } => {
                        begin.execute((workflow, task.wake, task.steps))?;
                        kept.push(workflow);
                    }
                    Write::Step { workflow, number, answer, is_last } => {
                        step.execute((workflow, number, answer))?;
                        if is_last {
                            end.execute([workflow])?;
                        }
                        kept.push(workflow);
                    }
                }
            }
            commit.execute([])?;
            tell(kept);
        }
        Ok(())
    }

    /// Writes so many workflows, each of which has done so many steps.
    pub(super) fn fill(&self, count: u64, done: u64) -> Result<()> {
        self.0.execute_batch("BEGIN")?;
        let (mut begin, mut step) = (self.0.prepare(BEGIN)?, self.0.prepare(STEP)?);
        for workflow in 0..count {
            begin.execute((workflow, Task::STEPS.wake, Task::STEPS.steps))?;
            for number in 0..done {
                step.execute((workflow, number, answer(number)))?;
            }
        }
        self.0.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)")
    }

    /// Checks that each answer is the one that was given, and that all are there of those that are over.
    pub(super) fn check(&self) -> Result<()> {
        let wrong = "SELECT count(*) FROM steps WHERE answer != 'the outside has done step ' || number";
        let wrong: u64 = self.0.query_row(wrong, [], |row| row.get(0))?;
        let missing = "SELECT count(*) FROM workflows
            WHERE ended = 1 AND steps != (SELECT count(*) FROM steps WHERE workflow = workflows.number)";
        let missing: u64 = self.0.query_row(missing, [], |row| row.get(0))?;
        assert_eq!((wrong, missing), (0, 0), "workflows without what they were answered");
        Ok(())
    }
}
