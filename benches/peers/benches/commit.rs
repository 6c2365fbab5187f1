//! Durable events a second: Amiko against stores that a user would take instead, and against the bare disk.
//!
//! An event is a payment: it reads three objects of 100,000 at random and changes two. Events are made durable in groups.
//!
//! - Amiko keeps the objects in memory, writes what changed in them, and syncs once for each group: on another thread, while
//!   the next group is handled, as `amiko-net` does.
//! - A user of SQLite, redb or fjall keeps the objects in the store: each is one JSON value under its integer key, the kind of
//!   key that suits them best. For each event the three objects are read and parsed, and the two that changed are written whole;
//!   serde_json does both. A group is one transaction of SQLite and of redb. fjall, where nothing but a batch is atomic, and
//!   nothing reads what is in a batch, gets a batch for each event and one sync for each group.
//! - The bare disk gets the very lines of Amiko's journal, in one write and one fdatasync for each group, into a file that was
//!   written before.
//!
//! All have room in memory for all objects; whatever else isn't said above is as their authors have set it, checkpoints and
//! snapshots included. fjall works on in the background when its turn is over: that is waited for, so that it disturbs nobody
//! else, and isn't counted against it.
//!
//! Invariant: whoever is compared handles the same events on the same objects in the same process, on the same disk; rounds
//! alternate. What counts is the ratio within a round.

use amiko_core::prelude::*;
use amiko_peers::channels::{Channels, Payment, Peer, objects, pay, payment, send};
use amiko_peers::directory;
use amiko_peers::disk::DiskThread;
use amiko_peers::rates::{Rates, Turn};
use fjall::{KeyspaceCreateOptions, PersistMode};
use redb::{Durability, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use std::fs::File;
use std::io::Write as _;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

const OBJECTS: u64 = 100_000;
const GROUPS: [u64; 4] = [1, 10, 100, 1000];
const ROUNDS: usize = 31;
/// How long one contender works in one round on groups of one size.
const TURN: Duration = Duration::from_millis(200);
/// Room in memory for all objects, in bytes.
const CACHE: usize = 256 << 20;

/// Whoever handles events.
trait Contender {
    /// Handles the payments of these numbers, group by group; all of them are durable when it returns.
    fn commit(&mut self, groups: &mut dyn Iterator<Item = Range<u64>>);

    /// Waits until nothing goes on in the background.
    fn settle(&mut self) {}

    /// The text of an object, to see whether it is what it must be.
    fn text(&self, key: u64) -> Option<String>;
}

struct Amiko {
    engine: Engine<Channels>,
    disk: DiskThread,
}

impl Amiko {
    fn new(path: &Path) -> Self {
        let store = Directory::open(path).expect("opens");
        let engine = Engine::open_with(store, Settings::default(), || Channels::of(OBJECTS)).expect("opens");
        Self { engine, disk: DiskThread::default() }
    }
}

impl Contender for Amiko {
    fn commit(&mut self, groups: &mut dyn Iterator<Item = Range<u64>>) {
        let Self { engine, disk } = self;
        for group in groups {
            group.for_each(|event| send(engine, &payment(event, OBJECTS)));
            disk.wait(engine);
            disk.begin(engine);
        }
        disk.wait(engine);
    }

    fn text(&self, key: u64) -> Option<String> {
        self.engine.node().channels.get(&Id::new(key)).map(|channel| to_json(channel).expect("writes"))
    }
}

/// A store of JSON values, while a group is in progress.
trait Values {
    fn read(&mut self, key: u64) -> Peer;
    fn write(&mut self, key: u64, text: &[u8]);
}

/// One event as a user of a store would write it.
fn handle(values: &mut impl Values, payment: &Payment, text: &mut Vec<u8>) {
    let mut from = values.read(payment.from);
    let through = values.read(payment.through);
    let mut to = values.read(payment.to);
    pay(payment, &mut from, &through, &mut to);
    for object in [from, to] {
        text.clear();
        serde_json::to_writer(&mut *text, &object).expect("writes");
        values.write(object.id, text);
    }
}

fn read(text: &[u8]) -> Peer {
    serde_json::from_slice(text).expect("reads")
}

fn texts() -> impl Iterator<Item = (u64, Vec<u8>)> {
    objects(OBJECTS).map(|object| (object.id, serde_json::to_vec(&object).expect("writes")))
}

struct Sqlite(rusqlite::Connection);

struct SqliteValues<'c> {
    read: rusqlite::Statement<'c>,
    write: rusqlite::Statement<'c>,
}

impl Values for SqliteValues<'_> {
    fn read(&mut self, key: u64) -> Peer {
        self.read.query_one([key as i64], |row| Ok(read(row.get_ref(0)?.as_blob()?))).expect("reads")
    }

    fn write(&mut self, key: u64, text: &[u8]) {
        self.write.execute((key as i64, text)).expect("writes");
    }
}

impl Sqlite {
    fn new(path: &Path) -> Self {
        let connection = rusqlite::Connection::open(path.join("channels.sqlite")).expect("opens");
        connection.pragma_update(None, "journal_mode", "WAL").expect("sets");
        connection.pragma_update(None, "synchronous", "FULL").expect("sets");
        // Negative means KiB.
        connection.pragma_update(None, "cache_size", -((CACHE >> 10) as i64)).expect("sets");
        connection
            .execute_batch("CREATE TABLE channels (id INTEGER PRIMARY KEY, object BLOB NOT NULL); BEGIN")
            .expect("creates");
        {
            let mut insert = connection.prepare("INSERT INTO channels VALUES (?1, ?2)").expect("prepares");
            for (key, text) in texts() {
                insert.execute((key as i64, text)).expect("writes");
            }
        }
        connection.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)").expect("commits");
        Self(connection)
    }
}

impl Contender for Sqlite {
    fn commit(&mut self, groups: &mut dyn Iterator<Item = Range<u64>>) {
        let prepare = |statement| self.0.prepare(statement).expect("prepares");
        let (mut begin, mut commit) = (prepare("BEGIN IMMEDIATE"), prepare("COMMIT"));
        let read = prepare("SELECT object FROM channels WHERE id = ?1");
        let write = prepare("UPDATE channels SET object = ?2 WHERE id = ?1");
        let (mut values, mut text) = (SqliteValues { read, write }, Vec::new());
        for group in groups {
            begin.execute([]).expect("begins");
            group.for_each(|event| handle(&mut values, &payment(event, OBJECTS), &mut text));
            commit.execute([]).expect("commits");
        }
    }

    fn text(&self, key: u64) -> Option<String> {
        let read = |row: &rusqlite::Row<'_>| Ok(String::from_utf8_lossy(row.get_ref(0)?.as_blob()?).into_owned());
        self.0.query_one("SELECT object FROM channels WHERE id = ?1", [key as i64], read).ok()
    }
}

struct Redb(redb::Database);

const REDB_TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("channels");

impl Values for redb::Table<'_, u64, &'static [u8]> {
    fn read(&mut self, key: u64) -> Peer {
        read(self.get(key).expect("reads").expect("is there").value())
    }

    fn write(&mut self, key: u64, text: &[u8]) {
        self.insert(key, text).expect("writes");
    }
}

impl Redb {
    fn new(path: &Path) -> Self {
        let database = redb::Builder::new().set_cache_size(CACHE).create(path.join("channels.redb")).expect("opens");
        let transaction = database.begin_write().expect("begins");
        {
            let mut table = transaction.open_table(REDB_TABLE).expect("opens");
            texts().for_each(|(key, text)| table.write(key, &text));
        }
        transaction.commit().expect("commits");
        Self(database)
    }
}

impl Contender for Redb {
    fn commit(&mut self, groups: &mut dyn Iterator<Item = Range<u64>>) {
        let mut text = Vec::new();
        for group in groups {
            let mut transaction = self.0.begin_write().expect("begins");
            transaction.set_durability(Durability::Immediate).expect("sets");
            {
                let mut table = transaction.open_table(REDB_TABLE).expect("opens");
                group.for_each(|event| handle(&mut table, &payment(event, OBJECTS), &mut text));
            }
            transaction.commit().expect("commits");
        }
    }

    fn text(&self, key: u64) -> Option<String> {
        let table = self.0.begin_read().ok()?.open_table(REDB_TABLE).ok()?;
        let value = table.get(key).ok()??;
        Some(String::from_utf8_lossy(value.value()).into_owned())
    }
}

struct Fjall {
    database: fjall::Database,
    channels: fjall::Keyspace,
}

struct FjallValues<'c> {
    channels: &'c fjall::Keyspace,
    batch: fjall::OwnedWriteBatch,
}

impl Values for FjallValues<'_> {
    fn read(&mut self, key: u64) -> Peer {
        read(&self.channels.get(key.to_be_bytes()).expect("reads").expect("is there"))
    }

    fn write(&mut self, key: u64, text: &[u8]) {
        self.batch.insert(self.channels, key.to_be_bytes(), text);
    }
}

impl Fjall {
    fn new(path: &Path) -> Self {
        let database = fjall::Database::builder(path.join("channels.fjall"))
            .cache_size(CACHE as u64)
            // Events reach the operating system with the sync of their group, not one by one.
            .manual_journal_persist(true)
            .open()
            .expect("opens");
        let channels = database.keyspace("channels", KeyspaceCreateOptions::default).expect("opens");
        texts().for_each(|(key, text)| channels.insert(key.to_be_bytes(), text).expect("writes"));
        database.persist(PersistMode::SyncAll).expect("syncs");
        Self { database, channels }
    }
}

impl Contender for Fjall {
    fn commit(&mut self, groups: &mut dyn Iterator<Item = Range<u64>>) {
        let mut text = Vec::new();
        for group in groups {
            for event in group {
                let mut values = FjallValues { channels: &self.channels, batch: self.database.batch() };
                handle(&mut values, &payment(event, OBJECTS), &mut text);
                values.batch.commit().expect("commits");
            }
            self.database.persist(PersistMode::SyncData).expect("syncs");
        }
    }

    fn settle(&mut self) {
        while self.database.outstanding_flushes() + self.database.active_compactions() > 0 {
            sleep(Duration::from_millis(1));
        }
    }

    fn text(&self, key: u64) -> Option<String> {
        let value = self.channels.get(key.to_be_bytes()).ok()??;
        Some(String::from_utf8_lossy(&value).into_owned())
    }
}

struct Disk {
    file: File,
    /// Where the next group goes.
    at: u64,
    /// Lines of a journal, each for one event.
    lines: Vec<Vec<u8>>,
}

impl Disk {
    /// Where the end is reached the beginning follows.
    const SIZE: u64 = 256 << 20;

    fn new(path: &Path, lines: Vec<Vec<u8>>) -> Self {
        let mut file = File::create(path.join("journal")).expect("creates");
        let newlines = [b'\n'; 1 << 16];
        (0..Self::SIZE >> 16).for_each(|_| file.write_all(&newlines).expect("writes"));
        file.sync_all().expect("syncs");
        Self { file, at: 0, lines }
    }
}

impl Contender for Disk {
    fn commit(&mut self, groups: &mut dyn Iterator<Item = Range<u64>>) {
        let mut buffer = Vec::new();
        for group in groups {
            buffer.clear();
            for event in group {
                buffer.extend_from_slice(&self.lines[event as usize % self.lines.len()]);
            }
            if self.at + buffer.len() as u64 > Self::SIZE {
                self.at = 0;
            }
            self.file.write_all_at(&buffer, self.at).expect("writes");
            self.file.sync_data().expect("syncs");
            self.at += buffer.len() as u64;
        }
    }

    fn text(&self, _: u64) -> Option<String> {
        None
    }
}

/// The records of Amiko's journal, each with its newline.
fn lines(path: &Path) -> Vec<Vec<u8>> {
    let journal = std::fs::read(path.join("journal-1.jsonl")).expect("reads");
    // The first line is the header; the last ones are empty, for what follows.
    let records = journal.split_inclusive(|byte| *byte == b'\n').skip(1);
    records.filter(|line| line.len() > 1).map(<[u8]>::to_vec).collect()
}

/// What all have made of the same events must be the same, or the times mean nothing.
fn check(contenders: &[Box<dyn Contender>], events: u64) {
    for event in (0..events).step_by(97) {
        let key = payment(event, OBJECTS).to;
        let mut texts = contenders.iter().filter_map(|contender| contender.text(key));
        let first = texts.next();
        assert!(texts.all(|text| Some(text) == first), "all have the same object {key}");
    }
}

fn main() {
    const NAMES: [&str; 5] = ["Amiko", "SQLite", "redb", "fjall", "raw append"];
    /// Handled by all before it begins; the first of them are what the disk gets.
    const WARM_UP: u64 = 5_000;
    const WARM_UP_GROUP: u64 = 100;

    eprintln!("filling the stores with {OBJECTS} objects");
    let directories: [_; NAMES.len()] = std::array::from_fn(|_| directory(env!("CARGO_TARGET_TMPDIR")));
    let [ours, sqlite, redb, fjall, disk] = directories.each_ref().map(|directory| directory.path());
    let warm_up = |contender: &mut dyn Contender| {
        contender.commit(&mut (0..WARM_UP).step_by(WARM_UP_GROUP as usize).map(|first| first..first + WARM_UP_GROUP));
        contender.settle();
    };
    let mut amiko = Amiko::new(ours);
    warm_up(&mut amiko);
    let lines = lines(ours);
    assert_eq!(lines.len() as u64, WARM_UP);
    println!("{OBJECTS} objects; {} bytes of journal for an event, such as", lines.concat().len() / lines.len());
    println!("{}", String::from_utf8_lossy(&lines[1]).trim_end());
    let mut contenders: [Box<dyn Contender>; NAMES.len()] = [
        Box::new(amiko),
        Box::new(Sqlite::new(sqlite)),
        Box::new(Redb::new(redb)),
        Box::new(Fjall::new(fjall)),
        Box::new(Disk::new(disk, lines)),
    ];
    contenders.iter_mut().skip(1).for_each(|contender| warm_up(&mut **contender));
    check(&contenders, WARM_UP);

    let mut rates = GROUPS.map(|size| Rates::new(format!("groups of {size}"), "events/s", &NAMES));
    let mut next = [WARM_UP; NAMES.len()];
    for round in 0..ROUNDS {
        eprintln!("round {} of {ROUNDS}", round + 1);
        for (size, rates) in GROUPS.iter().zip(&mut rates) {
            for turn in 0..NAMES.len() {
                let which = (turn + round) % NAMES.len();
                let (contender, next) = (&mut contenders[which], &mut next[which]);
                let (first, start) = (*next, Instant::now());
                contender.commit(&mut std::iter::from_fn(|| {
                    let group = *next..*next + size;
                    (start.elapsed() < TURN).then(|| *next = group.end)?;
                    Some(group)
                }));
                rates.add(which, Turn { work: (*next - first) as f64, time: start.elapsed() });
                contender.settle();
            }
        }
    }
    rates.iter().for_each(Rates::print);
    println!();
    for (other, least) in [("SQLite", 5.0), ("redb", 8.0), ("fjall", 1.5), ("raw append", 0.5)] {
        rates[2].bound(other, least);
    }
}
