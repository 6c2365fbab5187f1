//! A restart with many workflows that aren't over.

use super::rounds;
use crate::contender::{Contender, Way, names, those};
use crate::effort::Effort;
use crate::outside::{Outside, WARM};
use crate::place::{Kind, Place};
use crate::process::{microseconds, resident, turn};
use crate::report::{Asked, Report};
use crate::samples::Samples;
use std::sync::Arc;
use std::time::SystemTime;

const TEXT: &str = "\
100,000 workflows have done three of their steps, and wait for the fourth, when the process ends. Time is that from the start of the \
next process until the outside hears of a step. Memory is VmRSS, less that of a process that does nothing: once the state is open, \
and at the 1,000th step. All files are in the memory of the operating system.

- **Amiko** has all workflows in memory, and reads all of them before it does anything: a snapshot and a journal, or their rows in \
  PostgreSQL, as its own engine has left them. **By hand** does as much, with one query, and its own code has written the rows.
- **duroxide** reads a workflow when it has something to do, so whoever waits takes no memory; what there is, are SQLite's caches, up \
  to 64 MB for a connection, as its provider sets them. **durare** and **dbos** read nothing when they are opened; then durare lists \
  all that isn't over, and takes one after the other, with a commit for each, and dbos puts all of them into a queue with one \
  statement, and takes them from there. Each then is a task that reads its steps again.
- Of these three, the database has one workflow that has run until there, and 99,999 copies of its rows under other names: to run all \
  of them would take up to half an hour. The lock that the worker of duroxide had of the one is taken off the copies, as of all \
  workflows but two it would be.
- Amiko keeps 256 MiB of old snapshots and journals, as by default, which `DirectorySettings::retention` says: that is most of what \
  is on disk. A restart needs the last of each. Of PostgreSQL, memory isn't counted, and its database is that of the primary alone.";

const ROUNDS: usize = 3;
const WORKFLOWS: usize = 100_000;
/// The one against whom a bound is asked.
const BOUND: &str = "duroxide";

/// Goes on. Gives the milliseconds since the start of the process until the first step, and until one later; and the memory when the
/// state is open, and at that later step.
pub async fn once(contender: &dyn Contender, place: &str, started: u64) -> Vec<f64> {
    let outside = Arc::<Outside>::default();
    let opened = contender.open(place).await;
    let open = resident();
    let _running = opened.start(Arc::clone(&outside)).await;
    let heard = outside.heard(WARM).await;
    let since = |at: SystemTime| microseconds(at).saturating_sub(started) as f64 / 1e3;
    vec![since(heard.calls[0]), since(heard.calls[WARM - 1]), open as f64, heard.resident as f64]
}

fn measure(effort: Effort, kind: Kind, report: &mut Report) {
    let contenders = those(kind, &[Way::Tuned]);
    // A quick run waits for as many steps as a full one, each workflow having seven left.
    let count = effort.at_most(WORKFLOWS, 200);
    let named = |what: &str, unit| Samples::new(format!("{what}{}", kind.title()), unit, &names(&contenders));
    let mut first = named("from the start of the process to its first step", "ms");
    let mut warm = named(&format!("and to its step number {WARM}"), "ms");
    let mut open = named("memory of one workflow, once all are open", "bytes");
    let mut later = named(&format!("memory of one workflow, at step number {WARM}"), "bytes");
    let mut disk = named("what is on disk, for one workflow", "bytes");
    let prepared: Vec<_> = contenders
        .iter()
        .map(|contender| {
            let place = Place::new(kind);
            eprintln!("  preparing {count} workflows: {}", contender.name());
            turn(&["prepare".into(), contender.argument().into(), place.argument(), count.to_string()]);
            place
        })
        .collect();
    rounds("restart", effort.rounds(ROUNDS), &contenders, |which, contender| {
        let place = prepared[which].copy();
        disk.add(which, place.size() / count as f64);
        let empty = turn(&["empty".into()])[0];
        let started = microseconds(SystemTime::now()).to_string();
        let figures = turn(&["restart".into(), contender.argument().into(), place.argument(), started]);
        first.add(which, figures[0]);
        warm.add(which, figures[1]);
        // No less than a byte, so that there is a ratio.
        let each = |resident: f64| ((resident - empty) / count as f64).max(1.0);
        open.add(which, each(figures[2]));
        later.add(which, each(figures[3]));
    });
    if kind == Kind::Directory {
        let work = "memory of an unfinished workflow after a restart with 100,000: that of duroxide, by ours";
        report.bounds.push(open.bound(work, BOUND, contenders[0].name(), Asked::AtLeast(10.0)));
    }
    report.tables.extend([first, warm, open, later, disk].map(|samples| samples.table()));
}

/// Measures.
pub fn run(effort: Effort) -> Report {
    let mut report = Report { text: TEXT.into(), ..Report::default() };
    for kind in Kind::at_hand() {
        measure(effort, kind, &mut report);
    }
    report
}
