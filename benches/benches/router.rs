//! Messages between two objects within one event: what each of them costs, and what goes with the first.

#![allow(missing_docs, clippy::unwrap_used)]

use amiko_benches::{bounce, engine};
use amiko_core::prelude::*;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::time::Duration;

const ACCOUNTS: u64 = 1_000;

fn messages(c: &mut Criterion) {
    let mut group = c.benchmark_group("messages_of_an_event");
    for messages in [1, 2, 10, 1_000] {
        let (mut engine, mut number) = (engine(ACCOUNTS), 0);
        group.throughput(Throughput::Elements(messages));
        group.bench_function(messages.to_string(), |b| {
            b.iter(|| {
                let (to, message) = bounce(number, ACCOUNTS, messages - 1);
                number += 1;
                engine.send(&to, message, Time::from_secs(1)).unwrap();
                if number % 1_000 == 0 {
                    engine.sync().unwrap();
                }
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    // All of them together are to take a minute.
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(1));
    targets = messages
}
criterion_main!(benches);
