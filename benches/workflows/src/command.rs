//! The one command: runs all suites, and writes its part of `BENCHMARKS.md`.
//!
//! Invariant: only a full run of all of them writes it.

use crate::contender::{Contender, named};
use crate::contenders::duroxide;
use crate::effort::Effort;
use crate::machine::{self, Build};
use crate::place::servers;
use crate::process;
use crate::report::{Report, Table, WORKFLOWS, bound_heads};
use crate::suites::{restart, steps, syncs, timers};
use clap::{Parser, Subcommand};
use std::path::Path;

const TEXT: &str = "\
Written by `.ci/postgres cargo run --release --manifest-path benches/workflows/Cargo.toml`, in some fifteen minutes: don't edit. \
Without `.ci/postgres`, which starts a PostgreSQL, what needs one is left out. The same workflow in Amiko, as a machine with effects, \
in libraries for durable execution, and as one writes it by hand: ten steps, one after the other, each a call to an outside that \
answers at once, and whose answer is kept. Contenders have turns, each in a process of its own; a ratio is that of two figures of the \
same round. What lies beside a median is between what eight of ten rounds lie: of five rounds, or three, those are all.

- **Amiko**: the store is a `Directory`, and everything leaves when it is on disk, as by default. `RuntimeSettings::attempts` is \
  1,000, as many as there are workflows, since nobody's service is too much asked; as it comes, it is 64. A step is one event: it \
  keeps the answer, and asks for the next step. Events that wait are synced together.
- **ractor and rusqlite, by hand**: an actor of [ractor](https://docs.rs/ractor) that runs all workflows, and a thread with a \
  connection of [rusqlite](https://docs.rs/rusqlite), that commits all that waits in one transaction, up to 1,000 steps; tables of \
  workflows and of steps. WAL, synchronous=FULL, cached statements that keep their plans. It does what these workflows need, and \
  nothing else: no retries, no cancelling, nothing to look at but rows. rusqlite is 0.32, with the SQLite that sqlx has, since one \
  program can have one only.
- **[durare](https://docs.rs/durare)**, on SQLite: its provider sets WAL and `synchronous = NORMAL`, of which its documents say that \
  it is \"safe under WAL\": the file stays whole, but a commit isn't synced, and a power cut may lose it. So it is given a pool whose \
  connections have `synchronous = FULL`, and are asked; in all else it is as it comes. That pool has five connections, as by default: \
  in a trial, one and two were slower, and ten no faster. A step is one transaction.
- **[duroxide](https://docs.rs/duroxide)**, on SQLite: its provider sets WAL, and `PRAGMA synchronous = WAL`, which SQLite doesn't \
  know, and takes for NORMAL: a commit isn't synced, and a power cut may lose it. So each of its connections is told `synchronous = \
  FULL`, and asked afterwards whether it still is. And all but one of its five connections are kept from it: where they are not, \
  transactions that first read and then write collide, the provider says \"database is locked\", the runtime waits 200 ms or more, \
  and it is less than half as fast. Its documents don't advise that. `dispatcher_min_poll_interval` is 1 ms, by default 100 ms. Two \
  dispatchers for orchestrations and two for activities, as by default; in a trial, one, four and eight were no faster. A step is four \
  transactions: each of two queues is read and locked, and its work is acknowledged. \"Not synced\" is the same with commits as its \
  provider sets them; \"as it comes\" has nothing changed.
- **[dbos](https://docs.rs/dbos)**, the official one, on PostgreSQL: with 20 connections, by default ten: in a trial, five, ten, 50 and \
  100 were slower. It needs a server. A step is one transaction. Amiko stands beside it on the same servers, with `amiko-postgres`. They are those of \
  `.ci/postgres`: a primary, and two standbys, one of which has to confirm each commit, all on this machine and its one disk, with \
  `fsync` and `synchronous_commit` on, as by default.

What one does that the other doesn't: durare, duroxide and dbos keep a history, and run the code of a workflow again from its \
beginning, duroxide for each turn, the others after a restart, so a workflow is a plain `async fn`; several processes may share one \
database; they read from the disk what they need, when they need it; and durare and dbos share their tables with other languages. \
Amiko keeps a state, and no code runs again, but a workflow is a machine that hears what came of each step; all of it is in memory, \
in one process; and whatever fails within an event is undone.";

/// Measures workflows in Amiko and elsewhere, and writes their part of BENCHMARKS.md.
#[derive(Parser)]
struct Arguments {
    /// Do each thing once, with few workflows, to see that everything still works; the figures mean nothing.
    #[arg(long)]
    quick: bool,
    /// Measure this alone, and print its tables.
    #[arg(long, value_name = "SUITE", value_parser = SUITES.map(|suite| suite.name))]
    only: Option<String>,
    #[command(subcommand)]
    turn: Option<Turn>,
}

/// What a process of its own does; it prints its figures.
#[derive(Subcommand)]
#[command(hide = true)]
enum Turn {
    All(State),
    Alone(State),
    Prepare(State),
    Restart(State),
    Timers(State),
    Syncs(State),
    Empty,
}

/// What a turn is told.
#[derive(clap::Args)]
struct State {
    #[arg(value_parser = named)]
    contender: &'static dyn Contender,
    place: String,
    /// How many workflows there are; or when the process was started, in microseconds since 1970.
    number: u64,
}

/// What is measured together.
struct Suite {
    name: &'static str,
    title: &'static str,
    run: fn(Effort) -> Report,
}

const SUITES: [Suite; 4] = [
    Suite { name: "syncs", title: "Workflows: syncs", run: syncs::run },
    Suite { name: "steps", title: "Workflows: steps", run: steps::run },
    Suite { name: "timers", title: "Workflows: timers", run: timers::run },
    Suite { name: "restart", title: "Workflows: a restart", run: restart::run },
];

/// The program.
pub fn main() {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let effort = if arguments.quick { Effort::Smoke } else { Effort::Full };
    match (arguments.turn, arguments.only) {
        (Some(turn), _) => process::tell(&runtime.block_on(turn.take())),
        (None, Some(only)) => print_one(effort, &only),
        (None, None) => run(effort, runtime.block_on(duroxide::sqlite())),
    }
}

impl Turn {
    async fn take(self) -> Vec<f64> {
        match self {
            Self::All(State { contender, place, number }) => steps::all(contender, &place, number).await,
            Self::Alone(State { contender, place, number }) => steps::alone(contender, &place, number).await,
            Self::Prepare(State { contender, place, number }) => {
                contender.prepare(&place, number).await;
                Vec::new()
            }
            Self::Restart(State { contender, place, number }) => restart::once(contender, &place, number).await,
            Self::Timers(State { contender, place, number }) => timers::once(contender, &place, number).await,
            Self::Syncs(State { contender, place, number }) => syncs::once(contender, &place, number).await,
            Self::Empty => vec![process::resident() as f64],
        }
    }
}

fn bounds<'r>(reports: impl Iterator<Item = &'r Report>) -> Table {
    let rows = reports.flat_map(|report| report.bounds.iter().map(|bound| bound.row())).collect();
    Table { name: String::new(), heads: bound_heads(), rows }
}

/// The tables of one suite, and no text.
fn print_one(effort: Effort, only: &str) {
    for suite in SUITES.iter().filter(|suite| suite.name == only) {
        let report = (suite.run)(effort);
        if !report.bounds.is_empty() {
            println!("{}", bounds(std::iter::once(&report)).markdown());
        }
        report.tables.iter().for_each(|table| println!("{}", table.markdown()));
    }
}

fn run(effort: Effort, sqlite: String) {
    let peers = &["dbos", "durare", "duroxide", "ractor", "rusqlite", "sqlx", "tokio"];
    let machine =
        machine::table(&Build { lock: include_str!("../Cargo.lock"), peers, sqlite_of: "all of them", sqlite });
    let reports = SUITES.map(|suite| (suite.title, (suite.run)(effort)));
    let bounds = bounds(reports.iter().map(|(_, report)| report));
    let sections: Vec<_> = reports.iter().map(|(title, report)| report.markdown(title, "docs/plots")).collect();
    let without =
        if servers().is_some() { "" } else { "\n\nNOT MEASURED: what is kept by a PostgreSQL, since none was given." };
    let text = format!(
        "## Workflows\n\n{TEXT}{without}\n\n{}\n{}\n{}",
        machine.markdown(),
        bounds.markdown(),
        sections.join("\n")
    );
    println!("{text}");
    if effort == Effort::Full {
        write(&text);
    }
}

/// Behind what `benches/peers` has written.
fn write(text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../BENCHMARKS.md");
    let before = std::fs::read_to_string(&file).unwrap_or_default();
    let kept = before.split(WORKFLOWS).next().unwrap_or_default().trim_end();
    std::fs::write(&file, format!("{kept}\n\n{WORKFLOWS}\n\n{}", text.trim_end())).expect("writes");
    eprintln!("written to {}", file.display());
}
