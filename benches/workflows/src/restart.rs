//! A restart with many workflows that aren't over.

use crate::contender::Contender;
use crate::effort::Effort;
use crate::process::{Moment, Outside, WARM, microseconds, resident, turn};
use crate::report::{Asked, Report};
use crate::samples::Samples;
use crate::{directory, ours, peer};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

const TEXT: &str = "\
100,000 workflows have done three of their steps, and wait for the fourth, when the process ends. Time is that from the start of the \
next process until the outside hears of a step. Memory is VmRSS, less that of a process that does nothing: once the state is open, \
and at the 1,000th step. All files are in the memory of the operating system.

- **Amiko** has all workflows in memory, and reads all of them before it does anything: a snapshot and a journal, as its own \
  engine has left them.
- **duroxide** reads a workflow when it has something to do, so whoever waits takes no memory; what there is, are SQLite's caches, up \
  to 64 MB for a connection, as its provider sets them. Its database has one workflow that has run until there, and 99,999 copies \
  of its rows under other names: to run all of them would take half an hour. The lock that the worker of the one had is taken off the \
  copies, as of all workflows but two it would be.";

const ROUNDS: usize = 3;
const WORKFLOWS: usize = 100_000;
const CONTENDERS: [Contender; 2] = [Contender::Amiko, Contender::Duroxide];

/// Writes what a process leaves that ends while so many workflows wait.
pub async fn prepare(contender: Contender, count: u64, directory: &Path) -> Vec<f64> {
    match contender.peer() {
        None => ours::prepare(directory, count),
        Some(setup) => peer::prepare(directory, setup, count).await,
    }
    Vec::new()
}

/// Goes on. Gives the milliseconds since the start of the process until the first step, and until one later; and the memory when the
/// state is open, and at that later step.
pub async fn once(contender: Contender, started: u64, directory: &Path) -> Vec<f64> {
    let outside = Arc::<Outside>::default();
    let (open, moments) = match contender.peer() {
        None => {
            let opened = ours::open(directory);
            let open = resident();
            let _node = opened.start(ours::Attempts::Many, Arc::clone(&outside));
            (open, outside.warmed_up().await)
        }
        Some(setup) => {
            let opened = peer::open(directory, setup).await;
            let open = resident();
            let _node = opened.start(Arc::clone(&outside)).await;
            (open, outside.warmed_up().await)
        }
    };
    let since = |moment: &Moment| microseconds(moment.at).saturating_sub(started) as f64 / 1e3;
    let [first, .., warm] = &moments[..] else { panic!("expected two moments, found {}", moments.len()) };
    vec![since(first), since(warm), open as f64, warm.resident as f64]
}

/// The bytes of a directory.
fn size(directory: &Path) -> u64 {
    let files = std::fs::read_dir(directory).expect("lists");
    files.map(|file| file.expect("lists").metadata().expect("reads").len()).sum()
}

fn copy(from: &Path, to: &Path) {
    for file in std::fs::read_dir(from).expect("lists") {
        let file = file.expect("lists");
        std::fs::copy(file.path(), to.join(file.file_name())).expect("copies");
    }
}

/// Measures.
pub fn run(effort: Effort) -> Report {
    let names = CONTENDERS.map(Contender::name);
    // A quick run waits for as many steps as a full one, each workflow having seven left.
    let count = effort.at_most(WORKFLOWS, 200);
    let samples = |name: &str, unit| Samples::new(name, unit, &names);
    let mut first = samples("from the start of the process to its first step", "ms");
    let mut warm = samples(&format!("and to its step number {WARM}"), "ms");
    let mut open = samples("memory of one workflow, once all are open", "bytes");
    let mut later = samples(&format!("memory of one workflow, at step number {WARM}"), "bytes");
    let mut disk = samples("files, for one workflow", "bytes");
    let prepared = CONTENDERS.map(|contender| {
        let directory = directory();
        eprintln!("  preparing {count} workflows: {}", contender.name());
        let path = directory.path().display().to_string();
        turn(&["prepare".into(), contender.argument(), count.to_string(), path]);
        directory
    });
    let rounds = effort.rounds(ROUNDS);
    for round in 0..rounds {
        for offset in 0..CONTENDERS.len() {
            let which = (offset + round) % CONTENDERS.len();
            let contender = CONTENDERS[which];
            eprintln!("  restart: round {} of {rounds}: {}", round + 1, contender.name());
            let directory = directory();
            copy(prepared[which].path(), directory.path());
            disk.add(which, size(directory.path()) as f64 / count as f64);
            let empty = turn(&["empty".into()])[0];
            let path = directory.path().display().to_string();
            let started = microseconds(SystemTime::now()).to_string();
            let figures = turn(&["restart".into(), contender.argument(), started, path]);
            first.add(which, figures[0]);
            warm.add(which, figures[1]);
            // No less than a byte, so that there is a ratio.
            let each = |resident: f64| ((resident - empty) / count as f64).max(1.0);
            open.add(which, each(figures[2]));
            later.add(which, each(figures[3]));
        }
    }
    let [ours, peer] = names;
    let work = "memory of an unfinished workflow after a restart with 100,000: that of duroxide, by ours";
    Report {
        text: TEXT.into(),
        bounds: vec![open.bound(work, peer, ours, Asked::AtLeast(10.0))],
        tables: [first, warm, open, later, disk].map(|samples| samples.table()).into(),
        ..Report::default()
    }
}
