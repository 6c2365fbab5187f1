//! Opening a directory: from a snapshot alone, and with a journal of many events after it.

#![allow(missing_docs, clippy::unwrap_used)]

use amiko_benches::{Bank, bank, payment};
use amiko_core::prelude::*;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::path::Path;

const ACCOUNTS: u64 = 10_000;

/// Leaves a directory with a snapshot of the accounts, and a journal of these events.
fn write(path: &Path, events: u64) {
    let mut settings = Settings::default();
    settings.snapshot_minimum = u64::MAX;
    let mut engine = Engine::open_with(Directory::open(path).unwrap(), settings, || bank(ACCOUNTS)).unwrap();
    for number in 0..events {
        let (from, message) = payment(number, ACCOUNTS);
        engine.send(&from, message, Time::from_secs(1)).unwrap();
    }
    engine.sync().unwrap();
}

fn open(c: &mut Criterion) {
    let mut group = c.benchmark_group("open");
    group.sample_size(20);
    for (name, events, elements) in [("snapshot", 0, ACCOUNTS), ("snapshot_and_journal", 50_000, 50_000)] {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        write(directory.path(), events);
        group.throughput(Throughput::Elements(elements));
        group.bench_function(name, |b| {
            b.iter(|| Engine::<Bank>::open(Directory::open(directory.path()).unwrap(), Settings::default()).unwrap());
        });
    }
    group.finish();
}

criterion_group!(benches, open);
criterion_main!(benches);
