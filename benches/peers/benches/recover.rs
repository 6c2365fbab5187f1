//! Opening a large state, and what a snapshot of one costs those who wait meanwhile.
//!
//! `recover`: a directory with nothing but a snapshot is opened, against serde_json reading the same file into the same types.
//! The file is in the memory of the operating system, and reading it is part of the time for all; its checksum is on our side
//! only. The same container is a hash table of shared objects and an ordered set of its keys, as in a table of Amiko; the plain
//! maps of the standard library stand beside it. In all of them an object has ten fields, three strings and a map.
//!
//! Each turn has a process of its own, as whoever opens a state has: in one that has freed a million objects before, putting
//! the heap in order again takes as long as half of the reading, and strikes whoever comes next.
//!
//! `pause`: one thread handles events and syncs every hundred of them; each call is timed, and told by whether a snapshot
//! was being written in its group.
//!
//! `$AMIKO_OBJECTS` is how many objects there are, by default a million. An argument that isn't an option chooses the parts whose
//! name contains it.
//!
//! Invariant: whoever is compared reads the same bytes from the same file with a fresh heap, and takes turns.

use amiko_core::prelude::*;
use amiko_peers::channels::{Channels, Peer, payment, send};
use amiko_peers::directory;
use amiko_peers::disk::DiskThread;
use amiko_peers::rates::{Rates, Turn};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, de};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const ROUNDS: usize = 7;

/// What of a snapshot a peer reads; it passes over the rest.
#[derive(Deserialize)]
struct Document<T> {
    state: State<T>,
}

#[derive(Deserialize)]
struct State<T> {
    channels: T,
}

/// The container of Amiko's tables.
#[derive(Default)]
struct Same {
    objects: HashMap<u64, Arc<Peer>, foldhash::fast::RandomState>,
    order: BTreeSet<u64>,
}

impl Same {
    fn len(&self) -> usize {
        self.objects.len().min(self.order.len())
    }
}

impl<'de> Deserialize<'de> for Same {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Same;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("objects by their keys")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Same, A::Error> {
                let mut table = Same::default();
                while let Some((key, object)) = entries.next_entry()? {
                    table.order.insert(key);
                    if table.objects.insert(key, Arc::new(object)).is_some() {
                        return Err(de::Error::custom("a key is there twice"));
                    }
                }
                Ok(table)
            }
        }

        deserializer.deserialize_map(Entries)
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

fn open(path: &Path, settings: Settings) -> Engine<Channels> {
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

const SAME_SLICE: &str = "serde_json from_slice";
const SAME_STR: &str = "serde_json from_str";
// What was read is never dropped: the process ends.
const CONTENDERS: [Contender; 5] = [
    ("Amiko", |directory, _| ManuallyDrop::new(open(directory, Settings::default())).node().channels.len()),
    (SAME_SLICE, |_, file| ManuallyDrop::new(from_slice::<Same>(file)).len()),
    (SAME_STR, |_, file| ManuallyDrop::new(from_str::<Same>(file)).len()),
    ("  from_slice to a HashMap", |_, file| ManuallyDrop::new(from_slice::<HashMap<u64, Peer>>(file)).len()),
    ("  from_slice to a BTreeMap", |_, file| ManuallyDrop::new(from_slice::<BTreeMap<u64, Peer>>(file)).len()),
];

/// The argument after which a process has one turn of one contender.
const ONE_TURN: &str = "one-turn";

/// Reads once, and prints the objects and the nanoseconds that it took.
fn one_turn(contender: usize, directory: &Path) {
    let file = snapshots(directory).pop().expect("a snapshot");
    let start = Instant::now();
    let objects = CONTENDERS[contender].1(directory, &file);
    println!("{objects} {}", start.elapsed().as_nanos());
}

/// The same in a new process.
fn turn(contender: usize, directory: &Path, objects: u64) -> Turn {
    let program = std::env::current_exe().expect("a program");
    let mut command = Command::new(program);
    command.arg(ONE_TURN).arg(contender.to_string()).arg(directory).stderr(Stdio::inherit());
    let output = command.output().expect("runs");
    let text = String::from_utf8(output.stdout).expect("is text");
    let (found, time) = text.trim().split_once(' ').expect("two numbers");
    assert_eq!(found, objects.to_string(), "all objects are read");
    Turn { work: objects as f64, time: Duration::from_nanos(time.parse().expect("a number")) }
}

fn recover(directory: &Path, objects: u64) {
    let file = snapshots(directory).pop().expect("a snapshot");
    println!("{objects} objects, a snapshot of {} MB", std::fs::metadata(&file).expect("reads").len() / 1_000_000);
    let mut rates = Rates::new("recover", "objects/s", &CONTENDERS.map(|(name, _)| name));
    for round in 0..ROUNDS {
        eprintln!("recover: round {} of {ROUNDS}", round + 1);
        for offset in 0..CONTENDERS.len() {
            let which = (offset + round) % CONTENDERS.len();
            rates.add(which, turn(which, directory, objects));
        }
    }
    rates.print();
    println!();
    for other in [SAME_SLICE, SAME_STR] {
        rates.bound(other, 0.7);
    }
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

fn pause(path: &Path, objects: u64) {
    const GROUP: u64 = 100;
    const SNAPSHOTS: usize = 3;
    /// Bytes of journal after which there is another snapshot, whatever the size of the last one.
    const JOURNAL: u64 = 32 << 20;
    const LONGEST: Duration = Duration::from_secs(60);
    /// What the slowest call of a thousand may take, in microseconds.
    const MOST: f64 = 2_000.0;

    let mut settings = Settings::default();
    (settings.snapshot_ratio, settings.snapshot_minimum) = (0, JOURNAL);
    let mut engine = open(path, settings);
    let mut disk = DiskThread::default();
    let (mut quiet, mut during) = (Calls::default(), Calls::default());
    let (mut before, mut written, mut next) = (snapshots(path), 0, 0);
    let start = Instant::now();
    while written < SNAPSHOTS && start.elapsed() < LONGEST {
        let mut calls = Calls::default();
        for event in next..next + GROUP {
            let payment = payment(event, objects);
            timed(&mut calls.command, || send(&mut engine, &payment));
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
            eprintln!("pause: snapshot {written} of {SNAPSHOTS}");
        }
        before = after;
    }
    println!(
        "\npause, in µs, with {objects} objects, and {written} snapshots among {next} events in {:?}",
        start.elapsed()
    );
    println!("  {:<34} {:>9} {:>9} {:>9} {:>9} {:>9}   p99.9", "", "calls", "p50", "p99", "p99.9", "max");
    for (name, mut times) in [
        ("command, no snapshot", quiet.command),
        ("command, during a snapshot", during.command),
        ("sync, no snapshot", quiet.sync),
        ("sync, during a snapshot", during.sync),
        ("disk awaited, no snapshot", quiet.wait),
        ("disk awaited, during a snapshot", during.wait),
    ] {
        if times.is_empty() {
            println!("  {name:<34} {:>9}", 0);
            continue;
        }
        times.sort_by(f64::total_cmp);
        let [middle, high, higher, most] = [0.5, 0.99, 0.999, 1.0].map(|part| percentile(&times, part));
        let verdict = if higher <= MOST { "holds" } else { "NOT reached" };
        print!("  {name:<34} {:>9} {middle:>9.1} {high:>9.1} {higher:>9.1} {most:>9.1}", times.len());
        // What the disk takes is no pause of the loop.
        println!("{}", if name.starts_with("disk") { String::new() } else { format!("   at most {MOST:.0} {verdict}") });
    }
}

fn main() {
    let objects =
        std::env::var("AMIKO_OBJECTS").map_or(1_000_000, |number| number.parse().expect("a number of objects"));
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, contender, directory] = &arguments[..]
        && first == ONE_TURN
    {
        return one_turn(contender.parse().expect("a number"), Path::new(directory));
    }
    let chosen: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |name: &str| chosen.is_empty() || chosen.iter().any(|chosen| name.contains(chosen.as_str()));

    eprintln!("writing a snapshot of {objects} objects");
    let directory = directory(env!("CARGO_TARGET_TMPDIR"));
    let store = Directory::open(directory.path()).expect("opens");
    drop(Engine::open_with(store, Settings::default(), || Channels::of(objects)).expect("opens"));
    if wanted("recover") {
        recover(directory.path(), objects);
    }
    if wanted("pause") {
        pause(directory.path(), objects);
    }
}
