//! Workflows that sleep: what one takes of memory, and how late many go on that wake at the same moment.

use super::{Amount, rounds};
use crate::contender::{Contender, Running, Way, names, those};
use crate::effort::Effort;
use crate::outside::Outside;
use crate::place::{Kind, Place};
use crate::process::{milliseconds, resident, turn};
use crate::report::Report;
use crate::samples::Samples;
use crate::spread::figure;
use crate::workflow::Task;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

const TEXT: &str = "\
Workflows sleep until the same moment, and then do one step. They are there long before that moment, and their sleep is on disk. How \
late one of them is, is the time from that moment until the outside hears of its step; the latest is when all of them have gone on. \
Memory is VmRSS once all of them sleep, less that before the first of them, by their number; it has what beginning them has left \
behind, and, where there is a server, not its part.

- **Amiko** fires timers that are due in events, as many of them as there is time for between other events, and a step is performed \
  when that event is on disk. It performs as many steps at a time as `RuntimeSettings::attempts` says, 1,000 here.
- **By hand**, **durare** and **dbos** have a timer of tokio for each sleep, and nothing has to be written when it fires. By hand, a \
  step is called at once; durare and dbos first ask the database whether it was done before, over the same connections that write \
  what other steps gave. Who sleeps is a task in memory.
- **duroxide** keeps a sleep as a message in the queue of its database that is seen later, and a step is called after two \
  transactions. Its documents have a workflow ask for the time in an activity, so that beginning one takes more. It is slow, so it has \
  a table with fewer workflows. Whoever sleeps takes no memory; what is counted are the caches of SQLite.";

const ROUNDS: usize = 3;
/// Without those who are slow, and with them.
const AMOUNTS: [Amount; 2] = [Amount { count: 10_000, with_slow: false }, Amount { count: 1_000, with_slow: true }];
/// One of so many sleeps first, to see how long the others take to begin.
const TRIAL: u64 = 10;
/// Until when those of the trial sleep.
const LONG: Duration = Duration::from_secs(3_600);
/// How often somebody who waits until all sleep asks.
const ASK: Duration = Duration::from_millis(5);

/// So many workflows. Gives how late the median is, and the last one, in milliseconds; and the bytes of one that sleeps.
pub async fn once(contender: &dyn Contender, place: &str, count: u64) -> Vec<f64> {
    let outside = Arc::<Outside>::default();
    let running = contender.open(place).await.start(Arc::clone(&outside)).await;
    let trial = count.div_ceil(TRIAL);
    let taken = begin(&*running, 0..trial, SystemTime::now() + LONG).await;
    let before = resident();
    // Twice as long as it should take, since others may be at work here.
    let wake = SystemTime::now() + taken * (2 * TRIAL as u32) + Duration::from_secs(1);
    begin(&*running, trial..trial + count, wake).await;
    let asleep = resident();
    assert!(SystemTime::now() < wake, "workflows begin too slowly to sleep all of them: try again");
    let mut late: Vec<_> = {
        let heard = outside.heard(count as usize).await;
        heard.calls.iter().map(|call| call.duration_since(wake).unwrap_or_default()).collect()
    };
    late.sort();
    let each = (asleep.saturating_sub(before) as f64 / count as f64).max(1.0);
    vec![milliseconds(late[late.len() / 2]), milliseconds(late[late.len() - 1]), each]
}

/// Begins workflows, and waits until all of them sleep; gives how long that took.
async fn begin(running: &dyn Running, workflows: Range<u64>, wake: SystemTime) -> Duration {
    let (start, all) = (Instant::now(), workflows.end);
    running.begin(workflows, Task::sleep(wake)).await;
    while running.asleep().await < all {
        tokio::time::sleep(ASK).await;
    }
    start.elapsed()
}

fn measure(effort: Effort, kind: Kind, amount: Amount, report: &mut Report) {
    let contenders = amount.of(&those(kind, &[Way::Tuned]));
    let count = effort.at_most(amount.count, 20);
    let many = figure(count as f64);
    let named = |what: String, unit| Samples::new(format!("{what}{}", kind.title()), unit, &names(&contenders));
    let mut median = named(format!("how late the median of {many} is"), "ms");
    let mut last = named(format!("when all {many} have gone on"), "ms");
    let mut memory = named(format!("memory of one of {many} that sleep"), "bytes");
    rounds(&format!("{many} timers"), effort.rounds(ROUNDS), &contenders, |which, contender| {
        let place = Place::new(kind);
        let figures = turn(&["timers".into(), contender.argument().into(), place.argument(), count.to_string()]);
        for (samples, figure) in [&mut median, &mut last, &mut memory].into_iter().zip(figures) {
            samples.add(which, figure);
        }
    });
    report.tables.extend([median, last, memory].map(|samples| samples.table()));
}

/// Measures.
pub fn run(effort: Effort) -> Report {
    let mut report = Report { text: TEXT.into(), ..Report::default() };
    for kind in Kind::at_hand() {
        for amount in AMOUNTS {
            // Where nobody is slow, the first table has them all.
            if !amount.with_slow || those(kind, &[Way::Tuned]).iter().any(|contender| contender.is_slow()) {
                measure(effort, kind, amount, &mut report);
            }
        }
    }
    report
}
