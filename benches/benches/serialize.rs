//! Objects as text: writing, reading, and the difference of two versions.

#![allow(missing_docs, clippy::unwrap_used)]

use amiko_benches::{Account, Bank, bank};
use amiko_core::prelude::*;
use amiko_core::{Patch, Reader, Writer};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

fn bytes(text: &str) -> Throughput {
    Throughput::Bytes(u64::try_from(text.len()).unwrap())
}

fn whole(c: &mut Criterion) {
    let (bank, mut out) = (bank(1_000), Writer::new());
    let text = to_json(&bank).unwrap();
    let mut group = c.benchmark_group("a_thousand_accounts");
    group.throughput(bytes(&text));
    group.bench_function("write", |b| {
        b.iter(|| {
            out.clear();
            bank.write(&mut out).unwrap();
            black_box(out.as_str().len())
        });
    });
    group.bench_function("read", |b| b.iter(|| Bank::read(&mut Reader::new(&text)).unwrap()));
    group.finish();
}

fn difference(c: &mut Criterion) {
    let old = Account { balance: 1_000_000, owner: "owner 1".into() };
    let mut new = old.clone();
    new.balance += 1;
    let mut patch = Patch::new();
    c.bench_function("difference_of_one_field", |b| {
        b.iter(|| {
            patch.clear();
            new.difference(black_box(&old), &mut patch).unwrap();
            black_box(patch.as_str().len())
        });
    });
}

criterion_group!(benches, whole, difference);
criterion_main!(benches);
