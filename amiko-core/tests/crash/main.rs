//! What a node remembers when its disk fails and its power goes: everything that it has acknowledged, and nothing that
//! never happened. All of it through the public interface of the engine, over a simulated disk.
//!
//! It is meant for a release build, where it tries everything; without optimization it takes samples. `AMIKO_SEED` chooses
//! another set of events and fates, and repeats one that failed; `AMIKO_CRASH_IMAGES` says how many disks are opened that a
//! crash has left, at least: 50,000 by default.
//!
//! Invariant: one seed, one run.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::panic)]

mod crashes;
mod damage;
mod faults;
mod history;
mod workload;

use std::str::FromStr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Without optimization everything takes some ten times as long.
const SAMPLED: bool = cfg!(debug_assertions);
const IMAGES: u64 = if SAMPLED { 5_000 } else { 50_000 };

fn variable<T: FromStr>(name: &str, default: T) -> T {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| {
        text.parse().ok().unwrap_or_else(|| panic!("expected a number in {name}, found {text}"))
    })
}

/// What all events and fates follow from.
fn seed() -> u64 {
    variable("AMIKO_SEED", 1)
}

/// How many images of crashed disks are to be opened.
fn wanted_images() -> u64 {
    variable("AMIKO_CRASH_IMAGES", IMAGES)
}

/// All the numbers below `end`; where there isn't the time for that, one of each so many.
fn sample(end: u64, of_each: u64) -> Vec<u64> {
    let of_each = if SAMPLED { of_each } else { 1 };
    (0..end.div_ceil(of_each))
        .map(|index| index * of_each + (seed() + index) % of_each)
        .filter(|at| *at < end)
        .collect()
}

/// Works on all the items, on two threads. The first error is that of the test.
fn in_parallel(items: impl IntoIterator<Item = u64>, work: impl Fn(u64) -> Result<(), String> + Sync) {
    let items: Vec<u64> = items.into_iter().collect();
    let (next, error) = (AtomicUsize::new(0), Mutex::new(None));
    let worker = || {
        while let Some(item) = items.get(next.fetch_add(1, Relaxed)) {
            if error.lock().unwrap().is_some() {
                break;
            }
            if let Err(text) = work(*item) {
                error.lock().unwrap().get_or_insert(format!("AMIKO_SEED={}, number {item}: {text}", seed()));
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(worker);
        scope.spawn(worker);
    });
    if let Some(error) = error.into_inner().unwrap() {
        panic!("{error}");
    }
}
