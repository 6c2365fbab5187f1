//! Durable events, in groups of one sync each.

#![allow(missing_docs, clippy::unwrap_used)]

use amiko_benches::{bank, payment};
use amiko_core::prelude::*;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const ACCOUNTS: u64 = 10_000;

fn durable(c: &mut Criterion) {
    let mut group = c.benchmark_group("durable");
    for size in [1, 100, 1_000] {
        // Where files live in memory a sync is free.
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let store = Directory::open(directory.path()).unwrap();
        let mut engine = Engine::open_with(store, Settings::default(), || bank(ACCOUNTS)).unwrap();
        let mut number = 0;
        group.throughput(Throughput::Elements(size));
        group.bench_function(format!("group_of_{size}"), |b| {
            b.iter(|| {
                for _ in 0..size {
                    let (from, message) = payment(number, ACCOUNTS);
                    number += 1;
                    engine.send(&from, message, Time::from_secs(1)).unwrap();
                }
                engine.sync().unwrap();
            });
        });
    }
    group.finish();
}

criterion_group!(benches, durable);
criterion_main!(benches);
