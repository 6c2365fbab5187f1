//! The same service as one writes it by hand: an actor of ractor, a thread with a connection of rusqlite, and group commit.
//!
//! Invariant: a caller is answered after the transaction that its command is part of is on disk; if the disk fails nobody is
//! answered, and the process ends.

use super::Service;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, Statement};
use serde::Serialize;
use std::collections::HashMap;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Commands in one transaction, as in `RuntimeSettings::group`.
const GROUP: usize = 1_000;
/// Changes that wait for the thread, as in `RuntimeSettings::calls`.
const WAITING: usize = 1_024;

/// The account of Amiko; `tag` makes both write the same text.
#[derive(Serialize)]
#[serde(tag = "_class")]
pub(super) struct Account {
    number: u64,
    owner: String,
    address: String,
    contact: String,
    currency: String,
    note: String,
    balance: u64,
    limit: u64,
    opened: u64,
    open: bool,
}

impl From<super::Account> for Account {
    fn from(account: super::Account) -> Self {
        let super::Account { number, owner, address, contact, currency, note, balance, limit, opened, open } = account;
        Self { number, owner, address, contact, currency, note, balance, limit, opened, open }
    }
}

impl Account {
    fn new(number: u64) -> Self {
        super::Account::new(number).into()
    }
}

/// A command, and who waits for its answer.
pub(super) struct Deposit {
    account: u64,
    amount: u64,
    answer: oneshot::Sender<u64>,
}

/// A change that the thread writes, and who waits for it.
pub(super) struct Change<C> {
    change: C,
    answer: oneshot::Sender<u64>,
}

/// Where the accounts are.
pub(super) trait Place: Send + Sync + Copy + 'static {
    /// What the actor keeps.
    type State: Send;
    /// What the thread is given.
    type Change: Send + Sync;

    /// Makes the table.
    const SCHEMA: &'static str;
    /// Puts an account into it.
    const INSERT: &'static str;
    /// Changes one.
    const UPDATE: &'static str;
    /// What is in all of them.
    const SUM: &'static str;

    fn insert(insert: &mut Statement<'_>, account: &Account) -> rusqlite::Result<usize>;
    fn state(accounts: u64) -> Self::State;
    fn change(state: &mut Self::State, account: u64, amount: u64) -> Self::Change;
    /// Writes a change; gives what is in the account then.
    fn write(update: &mut Statement<'_>, change: &Self::Change) -> rusqlite::Result<u64>;
}

/// As typed objects in memory, and as JSON in the database.
#[derive(Clone, Copy)]
pub(super) struct Objects;

/// An object that has been changed.
pub(super) struct Written {
    account: u64,
    balance: u64,
    text: String,
}

impl Place for Objects {
    type State = HashMap<u64, Account, foldhash::fast::RandomState>;
    type Change = Written;

    const SCHEMA: &'static str = "CREATE TABLE accounts (number INTEGER PRIMARY KEY, object TEXT NOT NULL) STRICT";
    const INSERT: &'static str = "INSERT INTO accounts VALUES (?1, ?2)";
    const UPDATE: &'static str = "UPDATE accounts SET object = ?2 WHERE number = ?1";
    const SUM: &'static str = "SELECT sum(json_extract(object, '$.balance')) FROM accounts";

    fn insert(insert: &mut Statement<'_>, account: &Account) -> rusqlite::Result<usize> {
        insert.execute((account.number, serde_json::to_string(account).expect("writes")))
    }

    fn state(accounts: u64) -> Self::State {
        (0..accounts).map(|number| (number, Account::new(number))).collect()
    }

    fn change(accounts: &mut Self::State, account: u64, amount: u64) -> Written {
        let object = accounts.get_mut(&account).expect("is there");
        object.balance += amount;
        Written { account, balance: object.balance, text: serde_json::to_string(object).expect("writes") }
    }

    fn write(update: &mut Statement<'_>, written: &Written) -> rusqlite::Result<u64> {
        update.execute((written.account, &written.text))?;
        Ok(written.balance)
    }
}

/// In the database alone, a column for each field.
#[derive(Clone, Copy)]
pub(super) struct Columns;

impl Place for Columns {
    type State = ();
    type Change = (u64, u64);

    const SCHEMA: &'static str = "CREATE TABLE accounts (
        number INTEGER PRIMARY KEY, balance INTEGER NOT NULL, \"limit\" INTEGER NOT NULL, opened INTEGER NOT NULL,
        open INTEGER NOT NULL, owner TEXT NOT NULL, address TEXT NOT NULL, contact TEXT NOT NULL, currency TEXT NOT NULL,
        note TEXT NOT NULL
    ) STRICT";
    const INSERT: &'static str = "INSERT INTO accounts VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    const UPDATE: &'static str = "UPDATE accounts SET balance = balance + ?2 WHERE number = ?1 RETURNING balance";
    const SUM: &'static str = "SELECT sum(balance) FROM accounts";

    fn insert(insert: &mut Statement<'_>, account: &Account) -> rusqlite::Result<usize> {
        let Account { number, owner, address, contact, currency, note, balance, limit, opened, open } = account;
        insert.execute((number, balance, limit, opened, open, owner, address, contact, currency, note))
    }

    fn state(_: u64) {}

    fn change((): &mut (), account: u64, amount: u64) -> (u64, u64) {
        (account, amount)
    }

    fn write(update: &mut Statement<'_>, change: &(u64, u64)) -> rusqlite::Result<u64> {
        update.query_one(*change, |row| row.get(0))
    }
}

/// The actor that takes commands.
struct Desk<P>(P);

/// What it has.
struct DeskState<P: Place> {
    accounts: P::State,
    disk: mpsc::Sender<Change<P::Change>>,
}

impl<P: Place> Actor for Desk<P> {
    type Msg = Deposit;
    type State = DeskState<P>;
    type Arguments = DeskState<P>;

    async fn pre_start(&self, _: ActorRef<Deposit>, state: DeskState<P>) -> Result<DeskState<P>, ActorProcessingErr> {
        Ok(state)
    }

    async fn handle(
        &self,
        _: ActorRef<Deposit>,
        Deposit { account, amount, answer }: Deposit,
        DeskState { accounts, disk }: &mut DeskState<P>,
    ) -> Result<(), ActorProcessingErr> {
        let change = P::change(accounts, account, amount);
        Ok(disk.send(Change { change, answer }).await?)
    }
}

impl Service for ActorRef<Deposit> {
    async fn deposit(&self, account: u64, amount: u64) -> u64 {
        let (answer, answered) = oneshot::channel();
        self.send_message(Deposit { account, amount, answer }).expect("is there");
        answered.await.expect("is answered")
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path.join("accounts.sqlite"))?;
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // 256 MiB: room for everything.
    connection.pragma_update(None, "cache_size", -(256 << 10))?;
    connection.pragma_update(None, "wal_autocheckpoint", 16_384)?;
    // A statement is never compiled anew because of a value that is bound.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

fn fill<P: Place>(_: P, connection: &Connection, accounts: u64) -> rusqlite::Result<()> {
    connection.execute_batch(P::SCHEMA)?;
    connection.execute_batch("BEGIN")?;
    let mut insert = connection.prepare(P::INSERT)?;
    for number in 0..accounts {
        P::insert(&mut insert, &Account::new(number))?;
    }
    connection.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)")
}

/// Commits what is waiting, group by group, until nobody can send anything any more.
fn commit<P: Place>(
    _: P,
    connection: &Connection,
    changes: &mut mpsc::Receiver<Change<P::Change>>,
) -> rusqlite::Result<()> {
    let (mut begin, mut commit) = (connection.prepare("BEGIN IMMEDIATE")?, connection.prepare("COMMIT")?);
    let mut update = connection.prepare(P::UPDATE)?;
    let (mut group, mut balances) = (Vec::with_capacity(GROUP), Vec::with_capacity(GROUP));
    while changes.blocking_recv_many(&mut group, GROUP) > 0 {
        begin.execute([])?;
        for Change { change, .. } in &group {
            balances.push(P::write(&mut update, change)?);
        }
        commit.execute([])?;
        for (Change { answer, .. }, balance) in group.drain(..).zip(balances.drain(..)) {
            // Who has stopped waiting needs no answer.
            let _ = answer.send(balance);
        }
    }
    Ok(())
}

/// The thread with the connection.
fn disk<P: Place>(place: P, path: &Path, accounts: u64) -> (mpsc::Sender<Change<P::Change>>, JoinHandle<()>) {
    let connection = connect(path).expect("opens");
    fill(place, &connection, accounts).expect("fills");
    let (disk, mut changes) = mpsc::channel(WAITING);
    let thread = std::thread::spawn(move || {
        if let Err(error) = commit(place, &connection, &mut changes) {
            eprintln!("the disk failed: {error}");
            std::process::exit(1);
        }
    });
    (disk, thread)
}

fn sum<P: Place>(_: P, path: &Path) -> u64 {
    let connection = connect(path).expect("opens");
    connection.query_one(P::SUM, [], |row| row.get(0)).expect("reads")
}

/// The figures, and what was paid in by how many commands.
pub(super) async fn measure<P: Place>(
    place: P,
    path: &Path,
    callers: u64,
    accounts: u64,
    time: Duration,
) -> ([f64; 4], u64, u64) {
    let (disk, thread) = disk(place, path, accounts);
    let state = DeskState::<P> { accounts: P::state(accounts), disk };
    let (desk, ended) = Desk::spawn(None, Desk(place), state).await.expect("starts");
    let (figures, count) = super::measure(desk.clone(), callers, accounts, time).await;
    desk.stop(None);
    ended.await.expect("stops");
    thread.join().expect("ends");
    (figures, sum(place, path) - accounts * Account::new(0).balance, count)
}
