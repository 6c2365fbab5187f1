//! One payment over six of twelve nodes that run in this process: durable at each of them, and with nothing synced.

#![allow(missing_docs, clippy::unwrap_used)]

use amiko_core::prelude::*;
use amiko_examples::payment::Outcome;
use amiko_examples::running::{self, RunningNetwork};
use amiko_runtime::{Durability, RuntimeSettings, SecretKey};
use criterion::{Criterion, criterion_group, criterion_main};

/// Enough for as many payments as there will be.
const FUNDS: u64 = 1_000_000_000;

fn payment(c: &mut Criterion) {
    let tokio = tokio::runtime::Runtime::new().unwrap();
    let mut group = c.benchmark_group("payment");
    group.sample_size(20);
    for (name, durability) in [("durable", Durability::Always), ("never_synced", Durability::Never)] {
        // Where files live in memory a sync is free.
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut settings = RuntimeSettings::default();
        settings.durability = durability;
        let network = RunningNetwork::start(directory.path(), FUNDS, &settings, |path| {
            Ok((Directory::open(path)?, SecretKey::generate()?))
        });
        let network = tokio.block_on(network).unwrap();
        let (payer, payee) = (network.handles().next().unwrap(), network.handles().nth(7).unwrap());
        group.bench_function(name, |b| {
            b.iter(|| {
                let outcome = tokio.block_on(running::pay(payer, payee, 1)).unwrap();
                assert_eq!(outcome, Outcome::Committed);
            });
        });
        network.stop().unwrap();
    }
    group.finish();
}

criterion_group!(benches, payment);
criterion_main!(benches);
