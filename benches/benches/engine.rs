//! One event with one internal message and two changed objects, in memory: committed, and rolled back.

#![allow(missing_docs, clippy::unwrap_used)]

use amiko_benches::{engine, payment, refused};
use amiko_core::prelude::*;
use criterion::{Criterion, criterion_group, criterion_main};
use std::time::Duration;

const SIZES: [u64; 3] = [1_000, 100_000, 1_000_000];

fn committed(c: &mut Criterion) {
    let mut group = c.benchmark_group("committed");
    for accounts in SIZES {
        let (mut engine, mut number) = (engine(accounts), 0);
        group.bench_function(format!("{accounts}_accounts"), |b| {
            b.iter(|| {
                let (from, message) = payment(number, accounts);
                number += 1;
                engine.send(&from, message, Time::from_secs(1)).unwrap();
                if number % 1_000 == 0 {
                    engine.sync().unwrap();
                }
            });
        });
    }
    group.finish();
}

fn rolled_back(c: &mut Criterion) {
    let mut group = c.benchmark_group("rolled_back");
    for accounts in SIZES {
        let (mut engine, mut number) = (engine(accounts), 0);
        group.bench_function(format!("{accounts}_accounts"), |b| {
            b.iter(|| {
                let (from, message) = refused(number, accounts);
                number += 1;
                engine.send(&from, message, Time::from_secs(1)).unwrap_err();
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    // All of them together are to take a minute.
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(1));
    targets = committed, rolled_back
}
criterion_main!(benches);
