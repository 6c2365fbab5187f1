//! Steps a second of many workflows, and how long one takes that is alone.

use super::{Contenders, rounds};
use crate::contender::{Contender, Way, names, those};
use crate::effort::Effort;
use crate::place::{Kind, Place};
use crate::process::{milliseconds, turn};
use crate::report::{Asked, Report, Table};
use crate::samples::Samples;
use crate::spread::figure;
use crate::workflow::{STEPS, Task};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

const TEXT: &str = "\
All workflows are started at once, and the clock runs until the last one has ended, and whoever has started them knows. A workflow \
that fails counts for no steps. With 1,000 of them there are those alone who are tuned and synced; with 100, also those as they come: \
that takes the fastest some milliseconds, so their figures of 100 are rough.

One workflow alone: the median of eleven in turn, from the call that starts it until whoever has started it sees it ended. Amiko, \
durare, dbos and what is written by hand tell whoever waits in the same process; duroxide is asked, every millisecond, and less often \
the longer it takes.

What is written by hand does least for a step: it inserts one narrow row, and looks into one map. A step of Amiko is an event: it is \
undone if anything in it fails, its effect would be tried again with the same name, somebody may watch its object, and all that it \
changed is in the journal.

Who shares syncs has more to share the more workflows there are: that is what makes Amiko, and what is written by hand, so much \
faster with many than with one. durare, duroxide and dbos commit each step by itself; of dbos, PostgreSQL syncs those together that \
commit at the same time, over several connections.";

const ROUNDS: usize = 5;
/// Workflows at once.
const MANY: usize = 1_000;
const FEW: usize = 100;
/// Workflows that are alone, one after the other.
const ALONE: usize = 11;
/// The one against whom a bound is asked.
const BOUND: &str = "duroxide";

/// So many workflows; gives the seconds that it took, and how many have failed.
pub async fn all(contender: &dyn Contender, place: &str, count: u64) -> Vec<f64> {
    let running = contender.open(place).await.start(Arc::default()).await;
    let start = Instant::now();
    running.begin(0..count, Task::STEPS).await;
    let mut failed = 0;
    // One after the other, so that whoever has to ask asks seldom.
    for workflow in 0..count {
        failed += u64::from(!running.end(workflow).await);
    }
    let taken = start.elapsed();
    running.stop().await;
    vec![taken.as_secs_f64(), failed as f64]
}

/// So many workflows, one after the other; gives the median in milliseconds.
pub async fn alone(contender: &dyn Contender, place: &str, times: u64) -> Vec<f64> {
    let running = contender.open(place).await.start(Arc::default()).await;
    let mut taken = Vec::new();
    for workflow in 0..times {
        let start = Instant::now();
        running.begin(workflow..workflow + 1, Task::STEPS).await;
        assert!(running.end(workflow).await, "a workflow that is alone fails");
        taken.push(start.elapsed());
    }
    running.stop().await;
    taken.sort();
    vec![milliseconds(taken[taken.len() / 2])]
}

/// Workflows that were started, and that failed.
#[derive(Default)]
struct Failures(BTreeMap<&'static str, [u64; 2]>);

impl Failures {
    fn table(&self) -> Table {
        let row = |(name, [started, failed]): (&&'static str, &[u64; 2])| {
            vec![(*name).to_owned(), figure(*started as f64), figure(*failed as f64)]
        };
        let heads = ["", "started", "failed"].map(Into::into).into();
        Table { name: "workflows that failed".into(), heads, rows: self.0.iter().map(row).collect() }
    }
}

fn at_once(effort: Effort, count: usize, kind: Kind, contenders: &Contenders, failures: &mut Failures) -> Samples {
    let title = format!("{} workflows at once{}", figure(count as f64), kind.title());
    let mut rates = Samples::new(title.clone(), "steps/s", &names(contenders));
    rounds(&title, effort.rounds(ROUNDS), contenders, |which, contender| {
        let place = Place::new(kind);
        let figures = turn(&["all".into(), contender.argument().into(), place.argument(), count.to_string()]);
        let [seconds, failed] = figures[..] else { panic!("expected two figures") };
        rates.add(which, (count as f64 - failed) * STEPS as f64 / seconds);
        let [started, lost] = failures.0.entry(contender.name()).or_default();
        (*started, *lost) = (*started + count as u64, *lost + failed as u64);
    });
    rates
}

fn one_alone(effort: Effort, kind: Kind, contenders: &Contenders) -> Samples {
    let title = format!("one workflow alone, p50{}", kind.title());
    let mut alone = Samples::new(title.clone(), "ms", &names(contenders));
    let times = effort.at_most(ALONE, 1).to_string();
    rounds(&title, effort.rounds(ROUNDS), contenders, |which, contender| {
        let place = Place::new(kind);
        alone.add(which, turn(&["alone".into(), contender.argument().into(), place.argument(), times.clone()])[0]);
    });
    alone
}

/// Measures.
pub fn run(effort: Effort) -> Report {
    let mut report = Report { text: TEXT.into(), ..Report::default() };
    let mut failures = Failures::default();
    let (many, few) = (effort.at_most(MANY, 20), effort.at_most(FEW, 10));
    for kind in Kind::at_hand() {
        let tuned = those(kind, &[Way::Tuned]);
        let rates = at_once(effort, many, kind, &tuned, &mut failures);
        if kind == Kind::Directory {
            let work = "steps a second of 1,000 workflows at once, by those of duroxide";
            report.bounds.push(rates.bound(work, tuned[0].name(), BOUND, Asked::AtLeast(10.0)));
        }
        let all = those(kind, &[Way::Tuned, Way::NotSynced, Way::Defaults]);
        let few = at_once(effort, few, kind, &all, &mut failures);
        let alone = one_alone(effort, kind, &all);
        report.tables.extend([rates, few, alone].map(|samples| samples.table()));
    }
    report.tables.push(failures.table());
    report
}
