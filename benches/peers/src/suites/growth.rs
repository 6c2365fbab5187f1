//! More and more of everything: what it takes of memory, time, threads and disk.

mod block;
mod town;
mod turns;

use crate::directory;
use crate::effort::{Effort, set};
use crate::plot::{Axis, Line, Plot, Unit};
use crate::process::again;
use crate::report::{Asked, Bound, Report, Table};
use crate::spread::{Spread, figure};
use amiko_benches::Sink;
use amiko_core::prelude::*;
use clap::ValueEnum;
use std::path::Path;

const TEXT: &str = "\
Each figure is that of a process of its own. One has written what there is to many of; another one opens it, which is the time, and \
has so much more memory (VmRSS) than before. Then it handles 21 groups of 1,000 events, each of which takes up one of the many: the \
median of the groups is the time of an event, in which nothing is synced.

- **objects**: of one number each, from a snapshot. An event changes one.
- **connections**: with ten lines of 120 bytes in the outbox of each, as many as there are objects beside them. An event puts one more \
  line into one of the outboxes.
- **timers**: each set by an object, in an event of its own. An event sets one of them anew.
- **records** of a journal, without a snapshot since the first one, among 1,000 objects. An event changes one of them.
- **engines** in one process: each has a directory and a `Runtime`, on one tokio runtime with as many threads as there are \
  processors. Opening is that of a new directory and its first command, one after the other; an event is a command through a handle, \
  synced. Memory and threads are looked at when no thread has ended for 7 s, so that those with nothing to do have gone; \
  the memory is that beyond what the process had before the first engine, with its tokio runtime. The disk is that by `st_blocks`.

`AMIKO_GROWTH_OBJECTS`, `…_CONNECTIONS`, `…_TIMERS`, `…_RECORDS` and `…_ENGINES` say how many there are at most; a tenth, a hundredth \
and a thousandth of that are measured too.

The longest block: 100,000 timers of as many objects are due at once. A task that is always ready shares one thread with the loop, \
and takes note of the longest time in which it didn't run. That is judged with a store that forgets everything, so that no disk has \
a part in it; beside it stands the same with a directory, where a quick sync is done in the loop. A command is sent at the moment when \
they are due, and the time until its answer stands there too.";

const BLOCK_TIMERS: u64 = 100_000;
const BLOCK_ROUNDS: usize = 5;
const ENGINES_ROUNDS: usize = 3;

/// What there is more and more of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum What {
    Objects,
    Connections,
    Timers,
    Records,
    Engines,
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Step {
    Write,
    Hold,
    FireInMemory,
    FireOnDisk,
}

/// What so many take.
#[derive(Clone, Copy)]
struct Held {
    /// Bytes.
    memory: f64,
    /// Nanoseconds until they are there.
    opening: f64,
    /// Nanoseconds of an event.
    event: f64,
    threads: f64,
    /// Bytes.
    disk: f64,
}

impl What {
    fn name(self) -> String {
        self.to_possible_value().expect("none is hidden").get_name().to_owned()
    }

    /// How many there are at most: by default, and in a smoke run.
    fn most(self, effort: Effort) -> u64 {
        let (name, full, smoke) = match self {
            Self::Objects => ("AMIKO_GROWTH_OBJECTS", 10_000_000, 1_000),
            Self::Connections => ("AMIKO_GROWTH_CONNECTIONS", 10_000, 100),
            Self::Timers => ("AMIKO_GROWTH_TIMERS", 1_000_000, 1_000),
            Self::Records => ("AMIKO_GROWTH_RECORDS", 10_000_000, 1_000),
            Self::Engines => ("AMIKO_GROWTH_ENGINES", 1_000, 10),
        };
        set(name, if effort == Effort::Full { full } else { smoke })
    }

    fn sizes(self, effort: Effort) -> Vec<u64> {
        let parts: &[u64] = if effort == Effort::Full { &[1_000, 100, 10, 1] } else { &[10, 1] };
        parts.iter().map(|part| self.most(effort) / part).filter(|size| *size > 0).collect()
    }
}

impl Step {
    /// Runs it in a process of its own.
    fn again(self, what: What, count: u64, path: &Path) -> Vec<f64> {
        let step = self.to_possible_value().expect("none is hidden").get_name().to_owned();
        again(&["grow", &step, &what.name(), &count.to_string(), &path.to_string_lossy()])
    }
}

/// Takes one turn, and prints its figures.
pub(super) fn turn(step: Step, what: What, count: u64, path: &Path) {
    let print = |figures: &[f64]| println!("{}", figures.iter().map(f64::to_string).collect::<Vec<_>>().join(" "));
    match (step, what) {
        (Step::Write, _) => turns::write(what, count, path),
        (Step::FireInMemory, _) => print(&block::fire(Sink::default(), count)),
        (Step::FireOnDisk, _) => print(&block::fire(Directory::open(path).expect("opens"), count)),
        (Step::Hold, _) => {
            let held = if what == What::Engines { turns::engines(count, path) } else { turns::hold(what, count, path) };
            let Held { memory, opening, event, threads, disk } = held;
            print(&[memory, opening, event, threads, disk]);
        }
    }
}

/// What so many take, measured in processes of their own.
fn held(what: What, count: u64) -> Held {
    let files = directory();
    if what != What::Engines {
        Step::Write.again(what, count, files.path());
    }
    let figures = Step::Hold.again(what, count, files.path());
    let &[memory, opening, event, threads, disk] = figures.as_slice() else {
        panic!("{figures:?} aren't five figures")
    };
    Held { memory, opening, event, threads, disk }
}

/// The most engines: as often as it takes to judge them, with the bounds of each.
fn engines(count: u64, effort: Effort) -> (Held, Vec<Bound>) {
    let found: Vec<Held> = (0..effort.rounds(ENGINES_ROUNDS)).map(|_| held(What::Engines, count)).collect();
    let bound = |what: &str, most: f64, unit: &str, of: fn(&Held, f64) -> f64| Bound {
        work: format!("{} engines in one process, idle: {what}", figure(count as f64)),
        asked: Asked::AtMost(most),
        found: Spread::of(found.iter().map(|held| of(held, count as f64))),
        unit: unit.into(),
    };
    let bounds = vec![
        bound("memory of all of them", 16.0, "MiB", |held, _| held.memory / f64::from(1 << 20)),
        bound("threads of the process", 8.0, "", |held, _| held.threads),
        bound("disk of each", 128.0, "KiB", |held, count| held.disk / count / 1024.0),
    ];
    (found[0], bounds)
}

/// The longest block of the loop, in memory and on disk.
fn blocks(effort: Effort) -> (Table, Bound) {
    let timers = effort.count(BLOCK_TIMERS);
    let names = [("a store that forgets everything", Step::FireInMemory), ("a directory", Step::FireOnDisk)];
    let mut found = names.map(|_| [const { Vec::new() }; 3]);
    for round in 0..effort.rounds(BLOCK_ROUNDS) {
        eprintln!("  {timers} timers due at once: round {}", round + 1);
        for ((_, step), found) in names.iter().zip(&mut found) {
            let files = directory();
            let figures = step.again(What::Timers, timers, files.path());
            found.iter_mut().zip(figures).for_each(|(found, figure)| found.push(figure / 1e6));
        }
    }
    let spread = |figures: &Vec<f64>| Spread::of(figures.iter().copied());
    let row = |((name, _), found): (&(&str, Step), &[Vec<f64>; 3])| {
        std::iter::once((*name).to_owned()).chain(found.iter().map(|figures| spread(figures).to_string())).collect()
    };
    let table = Table {
        name: format!("{} timers that are due at once, ms", figure(timers as f64)),
        heads: ["", "longest block", "until all have fired", "until a command is answered"].map(Into::into).into(),
        rows: names.iter().zip(&found).map(row).collect(),
    };
    let bound = Bound {
        work: "longest block of the loop with 100,000 timers due at once".into(),
        asked: Asked::AtMost(1.0),
        found: spread(&found[0][0]),
        unit: "ms".into(),
    };
    (table, bound)
}

pub(super) fn run(effort: Effort) -> Report {
    let (mut found, mut bounds) = (Vec::new(), Vec::new());
    for what in What::value_variants() {
        let mut sizes = Vec::new();
        for count in what.sizes(effort) {
            eprintln!("  {} {}", figure(count as f64), what.name());
            if *what == What::Engines && count == what.most(effort) {
                let (held, of_engines) = engines(count, effort);
                sizes.push((count, held));
                bounds.extend(of_engines);
            } else {
                sizes.push((count, held(*what, count)));
            }
        }
        found.push((*what, sizes));
    }
    let (blocks, longest) = blocks(effort);
    bounds.push(longest);
    Report { text: TEXT.into(), tables: vec![table(&found), blocks], bounds, plots: plots(&found) }
}

type Found = Vec<(What, Vec<(u64, Held)>)>;

fn table(found: &Found) -> Table {
    let row = |what: What, (count, held): &(u64, Held)| {
        let Held { memory, opening, event, threads, disk } = held;
        let count = *count as f64;
        let cells = [memory / 1e6, memory / count, opening / 1e6, event / 1e3, *threads, disk / 1e6, disk / count];
        std::iter::once(format!("{} {}", figure(count), what.name())).chain(cells.map(figure)).collect()
    };
    let heads =
        ["", "memory, MB", "bytes each", "opened in, ms", "an event, µs", "threads", "disk, MB", "bytes of disk each"];
    Table {
        name: "what they take".into(),
        heads: heads.map(Into::into).into(),
        rows: found.iter().flat_map(|(what, sizes)| sizes.iter().map(|size| row(*what, size))).collect(),
    }
}

fn plots(found: &Found) -> Vec<Plot> {
    /// Memory comes in pages, and little of anything may fit into what the process has anyway.
    const PAGE: f64 = 4096.0;

    let plot = |name: &str, title: &str, y: Axis, of: fn(&Held) -> f64| Plot {
        name: name.into(),
        title: title.into(),
        x: Axis::new("how many there are", Unit::Count),
        y,
        lines: found
            .iter()
            .map(|(what, sizes)| Line {
                name: what.name(),
                points: sizes.iter().map(|(count, held)| (*count as f64, of(held))).collect(),
            })
            .collect(),
    };
    vec![
        plot("growth-memory", "Memory of more and more", Axis::new("memory", Unit::Bytes), |held| {
            held.memory.max(PAGE)
        }),
        plot("growth-opening", "Time to open more and more", Axis::new("time to open", Unit::Nanoseconds), |held| {
            held.opening
        }),
        plot(
            "growth-event",
            "Time of an event among more and more",
            Axis::new("time of an event", Unit::Nanoseconds),
            |held| held.event,
        ),
    ]
}
