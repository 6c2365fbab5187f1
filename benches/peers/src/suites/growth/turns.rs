//! What is done in a process of its own: so many of something are made, and then held.
//!
//! Invariant: memory is that of the whole process, less what it had before it opened anything.

use super::town::{HouseMessage, Town, house};
use super::{Held, What};
use crate::process::{on_disk, open_files, resident, threads};
use amiko_core::prelude::*;
use amiko_core::store::{DirectorySettings, Retention, Store};
use amiko_runtime::Runtime;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Events that are synced together.
const GROUP: u64 = 1_000;
/// Among so many objects records are written.
const FEW: u64 = 1_000;
/// When everything is made, and when no timer is due yet.
const NOW: Time = Time::from_secs(1_000);
const LATER: Time = Time::from_secs(1_000_000);

fn open<S: Store>(store: S, what: What, count: u64) -> Engine<Town, S> {
    let mut settings = Settings::default();
    if what == What::Records {
        // All of them are to be read again.
        settings.snapshot_minimum = u64::MAX;
    }
    let houses = if what == What::Records { FEW.min(count) } else { count };
    Engine::open_with(store, settings, || Town::of(houses)).expect("opens")
}

fn directory(path: &Path) -> Directory {
    let mut settings = DirectorySettings::default();
    // What is kept of the past has nothing to do with how much there is.
    settings.retention = Retention::Count(0);
    Directory::open_with(path, settings).expect("opens")
}

/// The message that makes one of what there is to be many.
fn first(what: What) -> Option<HouseMessage> {
    match what {
        What::Objects | What::Engines => None,
        What::Connections => Some(HouseMessage::Meet {}),
        What::Timers => Some(HouseMessage::Sleep { until: LATER }),
        What::Records => Some(HouseMessage::Add { amount: 1 }),
    }
}

/// The message of an event that finds so many there.
fn further(what: What) -> HouseMessage {
    match what {
        What::Connections => HouseMessage::Tell {},
        What::Timers => HouseMessage::Sleep { until: LATER },
        What::Objects | What::Engines | What::Records => HouseMessage::Add { amount: 1 },
    }
}

/// Makes as many, one after the other.
pub(super) fn make<S: Store>(engine: &mut Engine<Town, S>, what: What, count: u64) {
    let houses = engine.node().houses.len() as u64;
    let Some(message) = first(what) else { return };
    for number in 0..count {
        engine.send(&Id::new(number % houses), message.clone(), NOW).expect("handles");
        if number % GROUP == GROUP - 1 {
            engine.sync().expect("syncs");
        }
    }
    engine.sync().expect("syncs");
}

/// Fills a directory.
pub(super) fn write(what: What, count: u64, path: &Path) {
    make(&mut open(directory(path), what, count), what, count);
}

/// Opens it again, and handles some more events.
pub(super) fn hold(what: What, count: u64, path: &Path) -> Held {
    const GROUPS: u64 = 21;
    let disk = on_disk(path);
    let (before, start) = (resident(), Instant::now());
    let mut engine = open(directory(path), what, 0);
    let opening = start.elapsed().as_nanos() as f64;
    let memory = resident().saturating_sub(before) as f64;
    let houses = engine.node().houses.len() as u64;
    let mut times: Vec<f64> = (0..GROUPS)
        .map(|group| {
            let start = Instant::now();
            for event in group * GROUP..(group + 1) * GROUP {
                engine.send(&house(event, houses), further(what), NOW).expect("handles");
            }
            let time = start.elapsed().as_nanos() as f64 / GROUP as f64;
            engine.sync().expect("syncs");
            time
        })
        .collect();
    assert!(houses == if what == What::Records { FEW.min(count) } else { count }, "all are there");
    times.sort_by(f64::total_cmp);
    Held { memory, opening, event: times[times.len() / 2], threads: threads() as f64, disk: disk as f64 }
}

/// So many nodes, each with its engine, its directory and its loop; each has done something, and has nothing to do any more.
pub(super) fn engines(count: u64, path: &Path) -> Held {
    open_files();
    let runtime = tokio::runtime::Runtime::new().expect("starts");
    // Its threads are there.
    runtime.block_on(async { tokio::spawn(async {}).await }).expect("runs");
    let (before, start) = (resident(), Instant::now());
    let (nodes, tasks): (Vec<_>, Vec<_>) = runtime.block_on(async {
        let run = |number: u64| {
            let store = Directory::open(path.join(number.to_string())).expect("opens");
            let engine = Engine::open_with(store, Settings::default(), || Town::of(1)).expect("opens");
            Runtime::new(engine).spawn()
        };
        (0..count).map(run).unzip()
    });
    let command = |number: u64| {
        let (node, start) = (&nodes[number as usize], Instant::now());
        runtime.block_on(async { node.send(&house(0, 1), HouseMessage::Add { amount: 1 }).await }).expect("handles");
        start.elapsed().as_nanos() as f64
    };
    (0..count).for_each(|number| _ = command(number));
    let opening = start.elapsed().as_nanos() as f64;
    let mut times: Vec<f64> = (0..200).map(|event| command(*house(event, count).key())).collect();
    times.sort_by(f64::total_cmp);
    wait_until_idle();
    let memory = resident().saturating_sub(before) as f64;
    let (threads, disk) = (threads() as f64, on_disk(path) as f64);
    nodes.iter().for_each(|node| node.stop());
    for task in tasks {
        drop(runtime.block_on(task).expect("stops"));
    }
    Held { memory, opening, event: times[times.len() / 2], threads, disk }
}

/// Threads with nothing to do end after a while: waits until none has ended for longer than that.
fn wait_until_idle() {
    const LOOK: Duration = Duration::from_millis(200);
    const QUIET: Duration = Duration::from_secs(7);
    const LONGEST: Duration = Duration::from_secs(30);
    let (begun, mut last) = (Instant::now(), (threads(), Instant::now()));
    while last.1.elapsed() < QUIET && begun.elapsed() < LONGEST {
        sleep(LOOK);
        if threads() != last.0 {
            last = (threads(), Instant::now());
        }
    }
}
