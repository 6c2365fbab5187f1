//! One event with one internal message and two changed objects: in memory, and durable in groups.

#![allow(missing_docs, clippy::unwrap_used)]

use amiko_benches::{bank, payment};
use amiko_core::prelude::*;
use amiko_core::store::Memory;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

fn settings() -> Settings {
    Settings::default()
}

fn in_memory(c: &mut Criterion) {
    let mut group = c.benchmark_group("event_in_memory");
    for accounts in [1_000, 100_000] {
        let mut engine = Engine::open_with(Memory::new(), settings(), || bank(accounts)).unwrap();
        let mut number = 0;
        group.throughput(Throughput::Elements(1));
        group.bench_function(format!("{accounts}_accounts"), |b| {
            b.iter(|| {
                let (from, message) = payment(number, accounts);
                number += 1;
                engine.send(&from, message, Time::from_secs(1)).unwrap();
                if number % 1000 == 0 {
                    engine.sync().unwrap();
                }
            });
        });
    }
    group.finish();
}

fn durable(c: &mut Criterion) {
    const ACCOUNTS: u64 = 10_000;
    let mut group = c.benchmark_group("event_durable");
    for size in [1, 100, 1000] {
        let directory = tempfile::tempdir().unwrap();
        let store = Directory::open(directory.path()).unwrap();
        let mut engine = Engine::open_with(store, settings(), || bank(ACCOUNTS)).unwrap();
        let mut number = 0;
        group.throughput(Throughput::Elements(size));
        group.bench_function(format!("group_of_{size}"), |b| {
            b.iter_batched(
                || {
                    number += size;
                    (0..size).map(|offset| payment(number + offset, ACCOUNTS)).collect::<Vec<_>>()
                },
                |messages| {
                    for (from, message) in messages {
                        engine.send(&from, message, Time::from_secs(1)).unwrap();
                    }
                    engine.sync().unwrap();
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, in_memory, durable);
criterion_main!(benches);
