//! One event among more and more objects.

use crate::contest::Contest;
use crate::directory;
use crate::effort::Effort;
use crate::plot::{Axis, Line, Plot, Unit};
use crate::report::{Asked, Bound, Report, Table};
use crate::spread::{Spread, figure};
use amiko_benches::instructions::{Counted, Ending, count};
use amiko_benches::{bank, engine, payment, refused};
use amiko_core::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::Instant;

const TEXT: &str = "\
An event that changes two small objects, among 1,000 to 1,000,000 of them: committed in memory, rolled back, and durable with a \
sync of its own. Beside it what the prototype of Amiko did: the whole state is written as JSON (by serde_json), synced and \
renamed for each event. The instructions of an event are counted by callgrind; they are the same in each run. What grows in \
nanoseconds and not in instructions are misses of the processor's caches.";

const SIZES: [u64; 4] = [1_000, 10_000, 100_000, 1_000_000];
const COMMITTED: &str = "committed, in memory";
const ROLLED_BACK: &str = "rolled back";
const DURABLE: &str = "durable, one sync each";
const WHOLE: &str = "whole state as JSON, one sync each";
/// How often a whole state is written.
const SAVES: usize = 3;

#[derive(Serialize)]
struct Account {
    balance: u64,
    owner: String,
}

fn save(accounts: &BTreeMap<u64, Account>, directory: &Path) {
    let (unfinished, file) = (directory.join("state.tmp"), directory.join("state.json"));
    let mut out = BufWriter::new(File::create(&unfinished).expect("creates"));
    serde_json::to_writer(&mut out, accounts).expect("writes");
    out.flush().expect("writes");
    out.into_inner().expect("writes").sync_all().expect("syncs");
    std::fs::rename(unfinished, file).expect("renames");
}

/// Nanoseconds of an event that writes everything.
fn whole(size: u64, effort: Effort) -> Spread {
    let directory = directory();
    let account = |number| (number, Account { balance: 1_000_000, owner: format!("owner {number}") });
    let mut accounts: BTreeMap<u64, Account> = (0..size).map(account).collect();
    let times = (0..effort.rounds(SAVES) as u64).map(|number| {
        let start = Instant::now();
        accounts.get_mut(&(number % size)).expect("is there").balance -= 1;
        accounts.get_mut(&((number + 1) % size)).expect("is there").balance += 1;
        save(&accounts, directory.path());
        start.elapsed().as_nanos() as f64
    });
    Spread::of(times)
}

/// What events cost in nanoseconds among so many objects, by the names above.
fn costs(size: u64, effort: Effort) -> [(&'static str, Spread); 4] {
    let files = directory();
    let store = Directory::open(files.path()).expect("opens");
    let mut durable = Engine::open_with(store, Settings::default(), || bank(size)).expect("opens");
    let (mut committed, mut rolled_back) = (engine(size), engine(size));
    let mut contest = Contest::new("an event");
    let mut number = 0;
    contest.single(COMMITTED, || {
        let (to, message) = payment(number, size);
        number += 1;
        if number % 1_000 == 0 {
            committed.sync().expect("syncs");
        }
        committed.send(&to, message, Time::from_secs(1)).expect("handles")
    });
    let mut number = 0;
    contest.single(ROLLED_BACK, || {
        let (to, message) = refused(number, size);
        number += 1;
        rolled_back.send(&to, message, Time::from_secs(1)).is_ok()
    });
    let mut number = 0;
    contest.single(DURABLE, || {
        let (to, message) = payment(number, size);
        number += 1;
        durable.send(&to, message, Time::from_secs(1)).expect("handles");
        durable.sync().expect("syncs")
    });
    let samples = contest.measure(effort);
    let [committed, rolled_back, durable] = [COMMITTED, ROLLED_BACK, DURABLE].map(|name| (name, samples.spread(name)));
    [committed, rolled_back, durable, (WHOLE, whole(size, effort))]
}

/// Instructions of an event for each size; none without valgrind.
fn instructions(ending: Ending, sizes: &[u64]) -> Option<Vec<u64>> {
    let program = [std::env::current_exe().expect("a program").into(), "instructions".into()];
    let counted: Result<Vec<u64>, _> = sizes.iter().map(|size| count(&program, *size, Counted::Bank(ending))).collect();
    counted.inspect_err(|error| eprintln!("  instructions: {error}")).ok()
}

pub(super) fn run(effort: Effort) -> Report {
    let sizes = SIZES.map(|size| effort.count(size));
    let mut costs_of = Vec::new();
    for size in sizes {
        eprintln!("  {size} objects");
        costs_of.push((size, costs(size, effort)));
    }
    let lines = (0..4).map(|which| Line {
        name: costs_of[0].1[which].0.into(),
        points: costs_of.iter().map(|(size, costs)| (*size as f64, costs[which].1.median)).collect(),
    });
    let plot = Plot {
        name: "state-size".into(),
        title: "Time of one event that changes two objects".into(),
        x: Axis::new("objects in the state", Unit::Count),
        y: Axis::new("time of one event", Unit::Nanoseconds),
        lines: lines.collect(),
    };
    let row = |(size, costs): &(u64, [(&str, Spread); 4])| {
        let cells = costs.iter().map(|(_, cost)| cost.to_string());
        std::iter::once(figure(*size as f64)).chain(cells).collect()
    };
    let heads = std::iter::once("objects").chain(costs_of[0].1.map(|(name, _)| name)).map(Into::into).collect();
    let times = Table { name: "ns for an event".into(), heads, rows: costs_of.iter().map(row).collect() };

    let mut report = Report { text: TEXT.into(), tables: vec![times], plots: vec![plot], ..Report::default() };
    let mut rows = Vec::new();
    for (ending, name) in [(Ending::Committed, "committed"), (Ending::RolledBack, "rolled back")] {
        eprintln!("  instructions, {name}");
        let Some(counts) = instructions(ending, &sizes) else { continue };
        let cells = counts.iter().map(|count| figure(*count as f64));
        rows.push(std::iter::once(name.to_owned()).chain(cells).collect());
        let ratio = counts[sizes.len() - 1] as f64 / counts[0] as f64;
        report.bounds.push(Bound {
            work: format!("{name} event at 1,000,000 against 1,000 objects, in instructions"),
            asked: Asked::AtMost(1.2),
            found: Spread { low: ratio, median: ratio, high: ratio },
            unit: "×".into(),
        });
    }
    let heads = std::iter::once(String::new()).chain(sizes.map(|size| format!("{} objects", figure(size as f64))));
    report.tables.push(Table { name: "instructions of an event".into(), heads: heads.collect(), rows });
    report
}
