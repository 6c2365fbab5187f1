//! Opening a large state, and what a snapshot of one costs those who wait meanwhile.

use crate::channels::{Channels, Peer, payment, send};
use crate::directory;
use crate::disk::DiskThread;
use crate::effort::Effort;
use crate::process::again;
use crate::report::{Asked, Bound, Report, Table};
use crate::samples::Samples;
use crate::spread::{Spread, figure};
use amiko_benches::{Bank, bank};
use amiko_core::prelude::*;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, de};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const TEXT: &str = "\
A directory with nothing but a snapshot of a million objects is opened, against serde_json reading the same file into the same \
types. The file is in the memory of the operating system, and reading it is part of the time for all; its checksum is on our side \
only. The same container is a hash table of shared objects and an ordered set of its keys, as in a table of Amiko; the plain maps \
of the standard library stand beside it. A small object is a number and a string of some twelve characters. Each turn has a process of its own, as whoever opens a state has.

The pause: one thread handles events and syncs every hundred of them on another one, as `amiko-runtime` does; each call is timed, and \
told by whether a snapshot was being written in its group. While the disk is awaited the loop has nothing else to do.";

const OBJECTS: u64 = 1_000_000;
const ROUNDS: usize = 5;

/// What of a snapshot a peer reads; it passes over the rest.
#[derive(Deserialize)]
struct Document<T> {
    state: State<T>,
}

#[derive(Deserialize)]
struct State<T> {
    #[serde(alias = "accounts")]
    channels: T,
}

/// A small object as a peer sees it.
#[derive(Deserialize)]
#[allow(dead_code, reason = "it is only read")]
struct SmallPeer {
    balance: u64,
    owner: String,
}

/// The container of Amiko's tables.
struct Same<T> {
    objects: HashMap<u64, Arc<T>, foldhash::fast::RandomState>,
    order: BTreeSet<u64>,
}

impl<T> Same<T> {
    fn len(&self) -> usize {
        self.objects.len().min(self.order.len())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Same<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Same<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("objects by their keys")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Same<T>, A::Error> {
                let mut table = Same { objects: HashMap::default(), order: BTreeSet::new() };
                while let Some((key, object)) = entries.next_entry()? {
                    table.order.insert(key);
                    if table.objects.insert(key, Arc::new(object)).is_some() {
                        return Err(de::Error::custom("a key is there twice"));
                    }
                }
                Ok(table)
            }
        }

        deserializer.deserialize_map(Entries(PhantomData))
    }
}

fn from_slice<T: for<'de> Deserialize<'de>>(path: &Path) -> T {
    let bytes = std::fs::read(path).expect("reads");
    serde_json::from_slice::<Document<T>>(&bytes).expect("reads").state.channels
}

fn from_str<T: for<'de> Deserialize<'de>>(path: &Path) -> T {
    let text = std::fs::read_to_string(path).expect("reads");
    serde_json::from_str::<Document<T>>(&text).expect("reads").state.channels
}

fn open<N: Node>(path: &Path, settings: Settings) -> Engine<N> {
    Engine::open(Directory::open(path).expect("opens"), settings).expect("opens")
}

fn snapshots(path: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).expect("lists").map(|entry| entry.expect("lists").path());
    let mut found: Vec<_> = entries.filter(|path| path.to_string_lossy().contains("snapshot-")).collect();
    found.sort();
    found
}

/// A way of reading: the name, and what reads a directory and its snapshot and gives the number of objects.
type Contender = (&'static str, fn(&Path, &Path) -> usize);

const AMIKO: &str = "Amiko";
const EVENT_DURING: &str = "an event, during a snapshot";
const SYNC_DURING: &str = "begin of a sync, during a snapshot";
const SAME_SLICE: &str = "serde_json from_slice";
const SAME_STR: &str = "serde_json from_str";
// What was read is never dropped: the process ends.
const CONTENDERS: [Contender; 5] = [
    (AMIKO, |directory, _| ManuallyDrop::new(open::<Channels>(directory, Settings::default())).node().channels.len()),
    (SAME_SLICE, |_, file| ManuallyDrop::new(from_slice::<Same<Peer>>(file)).len()),
    (SAME_STR, |_, file| ManuallyDrop::new(from_str::<Same<Peer>>(file)).len()),
    ("serde_json from_slice to a HashMap", |_, file| ManuallyDrop::new(from_slice::<HashMap<u64, Peer>>(file)).len()),
    ("serde_json from_slice to a BTreeMap", |_, file| ManuallyDrop::new(from_slice::<BTreeMap<u64, Peer>>(file)).len()),
];

/// The same of small objects.
const SMALL: [Contender; 2] = [
    (AMIKO, |directory, _| ManuallyDrop::new(open::<Bank>(directory, Settings::default())).node().accounts.len()),
    (SAME_STR, |_, file| ManuallyDrop::new(from_str::<Same<SmallPeer>>(file)).len()),
];

/// Reads once, and prints the objects and the nanoseconds that it took.
pub(super) fn open_once(contender: usize, directory: &Path) {
    let file = snapshots(directory).pop().expect("a snapshot");
    let start = Instant::now();
    let read = CONTENDERS.iter().chain(&SMALL).nth(contender).expect("is there").1;
    let objects = read(directory, &file);
    println!("{objects} {}", start.elapsed().as_nanos());
}

/// The same in a new process; gives objects a second.
fn turn(contender: usize, directory: &Path, objects: u64) -> f64 {
    let figures = again(&["open", &contender.to_string(), &directory.to_string_lossy()]);
    let &[found, nanoseconds] = figures.as_slice() else { panic!("{figures:?} aren't two figures") };
    assert!(found == objects as f64, "all objects are read");
    objects as f64 * 1e9 / nanoseconds
}

/// Lets these contenders read it, of whom the first has this number.
fn recover(
    directory: &Path,
    (contenders, first): (&[Contender], usize),
    what: &str,
    objects: u64,
    effort: Effort,
) -> Samples {
    let file = snapshots(directory).pop().expect("a snapshot");
    let size = std::fs::metadata(&file).expect("reads").len() / 1_000_000;
    let name = format!("opening {} {what}, {size} MB", figure(objects as f64));
    let names: Vec<_> = contenders.iter().map(|(name, _)| *name).collect();
    let mut rates = Samples::new(name, "objects/s", &names);
    let rounds = effort.rounds(ROUNDS);
    for round in 0..rounds {
        eprintln!("  opening {what}: round {} of {rounds}", round + 1);
        for offset in 0..contenders.len() {
            let which = (offset + round) % contenders.len();
            rates.add(which, turn(first + which, directory, objects));
        }
    }
    rates
}

/// How long each call took, in microseconds.
#[derive(Default)]
struct Calls {
    command: Vec<f64>,
    sync: Vec<f64>,
    /// Not the loop's own: it has nothing to do while the disk is at work, and the next group is full.
    wait: Vec<f64>,
}

fn timed(times: &mut Vec<f64>, call: impl FnOnce()) {
    let start = Instant::now();
    call();
    times.push(start.elapsed().as_nanos() as f64 / 1000.0);
}

/// The time that so many of a thousand calls don't exceed.
fn percentile(sorted: &[f64], part: f64) -> f64 {
    sorted[((sorted.len() as f64 * part).ceil() as usize).clamp(1, sorted.len()) - 1]
}

/// What calls took while no snapshot was written, and while one was.
fn pause(path: &Path, objects: u64, effort: Effort) -> [Calls; 2] {
    const GROUP: u64 = 100;
    const SNAPSHOTS: usize = 3;
    /// Bytes of journal after which there is another snapshot, whatever the size of the last one.
    const JOURNAL: u64 = 32 << 20;
    const LONGEST: Duration = Duration::from_secs(60);

    let mut settings = Settings::default();
    (settings.snapshot_ratio, settings.snapshot_minimum) = (0, effort.count(JOURNAL));
    let mut engine = open(path, settings);
    let mut disk = DiskThread::default();
    let (mut quiet, mut during) = (Calls::default(), Calls::default());
    let (mut before, mut written, mut next) = (snapshots(path), 0, 0);
    let (snapshots_wanted, start) = (effort.rounds(SNAPSHOTS), Instant::now());
    while written < snapshots_wanted && start.elapsed() < LONGEST {
        let mut calls = Calls::default();
        for event in next..next + GROUP {
            let payment = payment(event, objects);
            timed(&mut calls.command, || _ = send(&mut engine, &payment).expect("handles"));
        }
        if !disk.is_idle(&mut engine) {
            timed(&mut calls.wait, || disk.wait(&mut engine));
        }
        timed(&mut calls.sync, || disk.begin(&mut engine));
        next += GROUP;
        let after = snapshots(path);
        // One that isn't finished has another name; so two that follow one another differ where one was finished.
        let unfinished = after.iter().any(|path| path.extension().is_none_or(|extension| extension != "json"));
        let of = if unfinished || before != after { &mut during } else { &mut quiet };
        of.command.append(&mut calls.command);
        of.sync.append(&mut calls.sync);
        of.wait.append(&mut calls.wait);
        if !unfinished && before != after {
            written += 1;
            eprintln!("  pause: snapshot {written} of {snapshots_wanted}");
        }
        before = after;
    }
    [quiet, during]
}

/// A directory with a snapshot of this state.
fn written<N: Node>(objects: u64, state: impl FnOnce() -> N) -> TempDir {
    eprintln!("  writing a snapshot of {objects} objects");
    let directory = directory();
    let store = Directory::open(directory.path()).expect("opens");
    drop(Engine::open_with(store, Settings::default(), state).expect("opens"));
    directory
}

pub(super) fn run(effort: Effort) -> Report {
    let objects = effort.count(OBJECTS);
    let directory = written(objects, || Channels::of(objects));
    let rates = recover(directory.path(), (&CONTENDERS, 0), "objects", objects, effort);
    let [quiet, during] = pause(directory.path(), objects, effort);
    drop(directory);
    let directory = written(objects, || bank(objects));
    let small = recover(directory.path(), (&SMALL, CONTENDERS.len()), "small objects", objects, effort);

    let work = |other| format!("opening 1,000,000 objects, by the rate of {other}");
    let mut bounds: Vec<Bound> =
        [SAME_SLICE, SAME_STR].map(|other| rates.bound(&work(other), AMIKO, other, Asked::AtLeast(0.8))).into();
    let work = "opening 1,000,000 small objects, by the rate of serde_json from_str";
    bounds.push(small.bound(work, AMIKO, SAME_STR, Asked::AtLeast(1.2)));
    let mut rows = Vec::new();
    for (name, mut times) in [
        ("an event, no snapshot", quiet.command),
        (EVENT_DURING, during.command),
        ("begin of a sync, no snapshot", quiet.sync),
        (SYNC_DURING, during.sync),
        ("disk awaited, no snapshot", quiet.wait),
        ("disk awaited, during a snapshot", during.wait),
    ] {
        if times.is_empty() {
            continue;
        }
        times.sort_by(f64::total_cmp);
        let [middle, high, higher, most] = [0.5, 0.99, 0.999, 1.0].map(|part| percentile(&times, part));
        let figures = [times.len() as f64, middle, high, higher, most].map(figure);
        rows.push(std::iter::once(name.to_owned()).chain(figures).collect());
        if [EVENT_DURING, SYNC_DURING].contains(&name) {
            bounds.push(Bound {
                work: format!("pause of the loop while 1,000,000 objects are written: {name}, p99.9 (p99–longest)"),
                asked: Asked::AtMost(2_000.0),
                found: Spread { low: high, median: higher, high: most },
                unit: "µs".into(),
            });
        }
    }
    let heads = ["", "calls", "p50", "p99", "p99.9", "longest"].map(Into::into).into();
    let pause = Table { name: "how long a call takes, in µs".into(), heads, rows };
    Report { text: TEXT.into(), tables: vec![rates.table(), small.table(), pause], bounds, ..Report::default() }
}
