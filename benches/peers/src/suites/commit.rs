//! Durable events a second: Amiko beside stores that a user would take instead, beside what one would write by hand, and beside
//! the bare disk.

mod pipeline;

use crate::channels::{Channels, Payment, Peer, objects, pay, payment, send};
use crate::directory;
use crate::disk::DiskThread;
use crate::effort::Effort;
use crate::plot::{Axis, Line, Plot, Unit};
use crate::report::{Asked, Report};
use crate::samples::Samples;
use amiko_core::prelude::*;
use fjall::{KeyspaceCreateOptions, PersistMode};
use lmdb::Transaction as _;
use pipeline::Pipeline;
use redb::{Durability, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

const TEXT: &str = "\
An event is a payment: it reads three objects of 100,000 at random and changes two. Events are made durable in groups.

- **Amiko** keeps the objects in memory, writes what changed in them, and syncs once for each group: on another thread, while the \
  next group is handled, as `amiko-runtime` does.
- A user of **SQLite**, **redb**, **fjall** or **LMDB** keeps the objects in the store: each is one JSON value under its integer \
  key, the kind of key that suits them best. For each event the three objects are read and parsed, and the two that changed are \
  written whole; serde_json does both. A group is one transaction of SQLite (WAL, synchronous=FULL), redb and LMDB. fjall, where \
  nothing but a batch is atomic, and nothing reads what is in a batch, gets a batch for each event and one sync for each group.
- **whole state**: all objects in memory; after each group they are written as one JSON document, synced, and renamed.
- **hand-made pipeline** is what one would write by hand for these very events, and for no others: a `HashMap` (foldhash) of `Arc`s, \
  the old `Arc`s as undo log and as the last 1,000 versions, the changed fields as JSON put together by hand, a CRC-32C, and a \
  second thread that writes and syncs one group while the next one fills, into a file that was written before.
- **raw append** gets the very lines of Amiko's journal, in one write and one fdatasync for each group, into a file that was \
  written before. It has no bound, because it handles no events, and nobody who does comes near it: when the bounds were set, the \
  hand-made pipeline made 0.29 of its events in groups of 100, and 0.03 in groups of 1,000.

All have room in memory for all objects; whatever else isn't said here is as their authors have set it, checkpoints and snapshots \
included. fjall works on in the background when its turn is over: that is waited for, and isn't counted against it.";

const PIPELINE: &str = "hand-made pipeline";
const NAMES: [&str; 8] = ["Amiko", "SQLite", "redb", "fjall", "LMDB", "whole state", PIPELINE, "raw append"];
/// What is asked of groups of some size, by the rate of another one.
const BOUNDS: [(u64, &str, f64); 5] =
    [(100, "SQLite", 6.0), (100, "redb", 9.0), (100, "fjall", 2.0), (100, PIPELINE, 0.85), (1_000, PIPELINE, 0.85)];

const OBJECTS: u64 = 100_000;
const GROUPS: [u64; 4] = [1, 10, 100, 1000];
const ROUNDS: usize = 15;
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
    count: u64,
}

impl Amiko {
    fn new(path: &Path, count: u64) -> Self {
        let store = Directory::open(path).expect("opens");
        let engine = Engine::open_with(store, Settings::default(), || Channels::of(count)).expect("opens");
        Self { engine, disk: DiskThread::default(), count }
    }
}

impl Contender for Amiko {
    fn commit(&mut self, groups: &mut dyn Iterator<Item = Range<u64>>) {
        let Self { engine, disk, count } = self;
        for group in groups {
            for event in group {
                send(engine, &payment(event, *count)).expect("handles");
            }
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

fn texts(count: u64) -> impl Iterator<Item = (u64, Vec<u8>)> {
    objects(count).map(|object| (object.id, serde_json::to_vec(&object).expect("writes")))
}

struct Sqlite {
    connection: rusqlite::Connection,
    count: u64,
}

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
    fn new(path: &Path, count: u64) -> Self {
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
            for (key, text) in texts(count) {
                insert.execute((key as i64, text)).expect("writes");
            }
        }
        connection.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)").expect("commits");
        Self { connection, count }
    }
}

impl Contender for Sqlite {
    fn commit(&mut self, groups: &mut dyn Iterator<Item = Range<u64>>) {
        let prepare = |statement| self.connection.prepare(statement).expect("prepares");
        let (mut begin, mut commit) = (prepare("BEGIN IMMEDIATE"), prepare("COMMIT"));
        let read = prepare("SELECT object FROM channels WHERE id = ?1");
        let write = prepare("UPDATE channels SET object = ?2 WHERE id = ?1");
        let (mut values, mut text) = (SqliteValues { read, write }, Vec::new());
        for group in groups {
            begin.execute([]).expect("begins");
            group.for_each(|event| handle(&mut values, &payment(event, self.count), &mut text));
            commit.execute([]).expect("commits");
        }
    }

    fn text(&self, key: u64) -> Option<String> {
        let read = |row: &rusqlite::Row<'_>| Ok(String::from_utf8_lossy(row.get_ref(0)?.as_blob()?).into_owned());
        self.connection.query_one("SELECT object FROM channels WHERE id = ?1", [key as i64], read).ok()
    }
}

struct Redb {
    database: redb::Database,
    count: u64,
}

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
    fn new(path: &Path, count: u64) -> Self {
        let database = redb::Builder::new().set_cache_size(CACHE).create(path.join("channels.redb")).expect("opens");
        let transaction = database.begin_write().expect("begins");
        {
            let mut table = transaction.open_table(REDB_TABLE).expect("opens");
            texts(count).for_each(|(key, text)| table.write(key, &text));
        }
        transaction.commit().expect("commits");
        Self { database, count }
    }
}

impl Contender for Redb {
    fn commit(&mut self, groups: &mut dyn Iterator<Item = Range<u64>>) {
        let mut text = Vec::new();
        for group in groups {
            let mut transaction = self.database.begin_write().expect("begins");
            transaction.set_durability(Durability::Immediate).expect("sets");
            {
                let mut table = transaction.open_table(REDB_TABLE).expect("opens");
                group.for_each(|event| handle(&mut table, &payment(event, self.count), &mut text));
            }
            transaction.commit().expect("commits");
        }
    }

    fn text(&self, key: u64) -> Option<String> {
        let table = self.database.begin_read().ok()?.open_table(REDB_TABLE).ok()?;
        let value = table.get(key).ok()??;
        Some(String::from_utf8_lossy(value.value()).into_owned())
    }
}

struct Fjall {
    database: fjall::Database,
    channels: fjall::Keyspace,
    count: u64,
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
    fn new(path: &Path, count: u64) -> Self {
        let database = fjall::Database::builder(path.join("channels.fjall"))
            .cache_size(CACHE as u64)
            // Events reach the operating system with the sync of their group, not one by one.
            .manual_journal_persist(true)
            .open()
            .expect("opens");
        let channels = database.keyspace("channels", KeyspaceCreateOptions::default).expect("opens");
        texts(count).for_each(|(key, text)| channels.insert(key.to_be_bytes(), text).expect("writes"));
        database.persist(PersistMode::SyncAll).expect("syncs");
        Self { database, channels, count }
    }
}

impl Contender for Fjall {
    fn commit(&mut self, groups: &mut dyn Iterator<Item = Range<u64>>) {
        let mut text = Vec::new();
        for group in groups {
            for event in group {
                let mut values = FjallValues { channels: &self.channels, batch: self.database.batch() };
                handle(&mut values, &payment(event, self.count), &mut text);
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

struct Lmdb {
    environment: lmdb::Environment,
    channels: lmdb::Database,
    count: u64,
}

struct LmdbValues<'c> {
    channels: lmdb::Database,
    transaction: lmdb::RwTransaction<'c>,
}

impl Values for LmdbValues<'_> {
    fn read(&mut self, key: u64) -> Peer {
        read(self.transaction.get(self.channels, &key.to_be_bytes()).expect("reads"))
    }

    fn write(&mut self, key: u64, text: &[u8]) {
        let (key, flags) = (key.to_be_bytes(), lmdb::WriteFlags::empty());
        self.transaction.put(self.channels, &key, &text, flags).expect("writes");
    }
}

impl Lmdb {
    fn new(path: &Path, count: u64) -> Self {
        let environment = lmdb::Environment::new().set_map_size(4 << 30).open(path).expect("opens");
        let channels = environment.open_db(None).expect("opens");
        let lmdb = Self { environment, channels, count };
        lmdb.change(|values| texts(count).for_each(|(key, text)| values.write(key, &text)));
        lmdb
    }

    /// One transaction.
    fn change(&self, work: impl FnOnce(&mut LmdbValues<'_>)) {
        let transaction = self.environment.begin_rw_txn().expect("begins");
        let mut values = LmdbValues { channels: self.channels, transaction };
        work(&mut values);
        values.transaction.commit().expect("commits");
    }
}

impl Contender for Lmdb {
    fn commit(&mut self, groups: &mut dyn Iterator<Item = Range<u64>>) {
        let mut text = Vec::new();
        for group in groups {
            self.change(|values| group.for_each(|event| handle(values, &payment(event, self.count), &mut text)));
        }
    }

    fn text(&self, key: u64) -> Option<String> {
        let transaction = self.environment.begin_ro_txn().ok()?;
        let value = transaction.get(self.channels, &key.to_be_bytes()).ok()?;
        Some(String::from_utf8_lossy(value).into_owned())
    }
}

/// The whole state, written anew for each group.
struct Whole {
    directory: PathBuf,
    channels: BTreeMap<u64, Peer>,
    count: u64,
}

impl Whole {
    fn new(path: &Path, count: u64) -> Self {
        let channels = objects(count).map(|object| (object.id, object)).collect();
        Self { directory: path.to_owned(), channels, count }
    }

    fn save(&self) {
        let unfinished = self.directory.join("state.tmp");
        let mut out = BufWriter::new(File::create(&unfinished).expect("creates"));
        serde_json::to_writer(&mut out, &self.channels).expect("writes");
        out.into_inner().expect("writes").sync_all().expect("syncs");
        std::fs::rename(unfinished, self.directory.join("state.json")).expect("renames");
    }
}

impl Contender for Whole {
    fn commit(&mut self, groups: &mut dyn Iterator<Item = Range<u64>>) {
        for group in groups {
            for event in group {
                let payment = payment(event, self.count);
                let through = self.channels[&payment.through].clone();
                let [from, to] = [payment.from, payment.to].map(|key| self.channels.remove(&key).expect("is there"));
                let [mut from, mut to] = [from, to];
                pay(&payment, &mut from, &through, &mut to);
                self.channels.extend([from, to].map(|object| (object.id, object)));
            }
            self.save();
        }
    }

    fn text(&self, key: u64) -> Option<String> {
        self.channels.get(&key).map(|object| serde_json::to_string(object).expect("writes"))
    }
}

struct Disk {
    file: File,
    size: u64,
    /// Where the next group goes.
    at: u64,
    /// Lines of a journal, each for one event.
    lines: Vec<Vec<u8>>,
}

/// A file that was written before, and its size: where its end is reached the beginning follows.
fn prewritten(path: &Path) -> (File, u64) {
    const SIZE: u64 = 256 << 20;
    let mut file = File::create(path.join("journal")).expect("creates");
    let newlines = [b'\n'; 1 << 16];
    (0..SIZE >> 16).for_each(|_| file.write_all(&newlines).expect("writes"));
    file.sync_all().expect("syncs");
    (file, SIZE)
}

impl Disk {
    fn new(path: &Path, lines: Vec<Vec<u8>>) -> Self {
        let (file, size) = prewritten(path);
        Self { file, size, at: 0, lines }
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
            if self.at + buffer.len() as u64 > self.size {
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
fn check(contenders: &[Box<dyn Contender>], events: u64, count: u64) {
    for event in (0..events).step_by(97) {
        let key = payment(event, count).to;
        let mut texts = contenders.iter().filter_map(|contender| contender.text(key));
        let first = texts.next();
        assert!(texts.all(|text| Some(text) == first), "all have the same object {key}");
    }
}

/// Fills all contenders; each has handled so many events.
fn fill(paths: [&Path; NAMES.len()], count: u64, events: u64) -> [Box<dyn Contender>; NAMES.len()] {
    let [ours, sqlite, redb, fjall, lmdb, whole, pipeline, disk] = paths;
    let warm_up = |contender: &mut dyn Contender| {
        contender.commit(&mut std::iter::once(0..events));
        contender.settle();
    };
    let mut amiko = Amiko::new(ours, count);
    warm_up(&mut amiko);
    let lines = lines(ours);
    assert_eq!(lines.len() as u64, events);
    let mut contenders: [Box<dyn Contender>; NAMES.len()] = [
        Box::new(amiko),
        Box::new(Sqlite::new(sqlite, count)),
        Box::new(Redb::new(redb, count)),
        Box::new(Fjall::new(fjall, count)),
        Box::new(Lmdb::new(lmdb, count)),
        Box::new(Whole::new(whole, count)),
        Box::new(Pipeline::new(pipeline, count)),
        Box::new(Disk::new(disk, lines)),
    ];
    contenders.iter_mut().skip(1).for_each(|contender| warm_up(&mut **contender));
    check(&contenders, events, count);
    contenders
}

/// Lets one contender handle events in groups of this size for a while; gives events a second.
fn turn(contender: &mut dyn Contender, next: &mut u64, size: u64, time: Duration) -> f64 {
    let (first, start) = (*next, Instant::now());
    let mut begun = false;
    contender.commit(&mut std::iter::from_fn(|| {
        // One group at least.
        let group = *next..*next + size;
        (!std::mem::replace(&mut begun, true) || start.elapsed() < time).then(|| *next = group.end)?;
        Some(group)
    }));
    let rate = (*next - first) as f64 / start.elapsed().as_secs_f64();
    contender.settle();
    rate
}

pub(super) fn run(effort: Effort) -> Report {
    /// Handled by all before it begins; what the disk gets are the lines of these.
    const WARM_UP: u64 = 5_000;

    let (count, warm_up) = (effort.count(OBJECTS), effort.count(WARM_UP));
    eprintln!("  filling the stores with {count} objects");
    let directories: [_; NAMES.len()] = std::array::from_fn(|_| directory());
    let mut contenders = fill(directories.each_ref().map(|directory| directory.path()), count, warm_up);
    let mut groups = GROUPS.map(|size| Samples::new(format!("groups of {size}"), "events/s", &NAMES));
    let mut next = [warm_up; NAMES.len()];
    let (rounds, time) = (effort.rounds(ROUNDS), effort.time(TURN));
    for round in 0..rounds {
        eprintln!("  round {} of {rounds}", round + 1);
        for (size, samples) in GROUPS.iter().zip(&mut groups) {
            for offset in 0..NAMES.len() {
                let which = (offset + round) % NAMES.len();
                samples.add(which, turn(&mut *contenders[which], &mut next[which], *size, time));
            }
        }
    }
    let bounds = BOUNDS.map(|(size, other, least)| {
        let samples = GROUPS.iter().zip(&groups).find_map(|(group, samples)| (*group == size).then_some(samples));
        let work = format!("durable events in groups of {}, by those of {other}", crate::spread::figure(size as f64));
        samples.expect("is measured").bound(&work, NAMES[0], other, Asked::AtLeast(least))
    });
    let line = |name: &&'static str| {
        let points = GROUPS.iter().zip(&groups).map(|(size, samples)| (*size as f64, samples.spread(name).median));
        Line { name: (*name).into(), points: points.collect() }
    };
    let plot = Plot {
        name: "group-size".into(),
        title: "Durable events, 100,000 objects".into(),
        x: Axis::new("events synced together", Unit::Count),
        y: Axis::new("events a second", Unit::Count),
        lines: NAMES.iter().map(line).collect(),
    };
    Report {
        text: TEXT.into(),
        tables: groups.iter().map(Samples::table).collect(),
        bounds: bounds.into(),
        plots: vec![plot],
    }
}
