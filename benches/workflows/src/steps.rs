//! Steps a second of many workflows, and how long one takes that is alone.

use crate::contender::Contender;
use crate::effort::Effort;
use crate::process::{milliseconds, turn};
use crate::report::{Asked, Report, Table};
use crate::samples::Samples;
use crate::spread::figure;
use crate::workflow::STEPS;
use crate::{directory, ours, peer};
use std::collections::BTreeMap;
use std::sync::Arc;

const TEXT: &str = "\
All workflows are started at once, and the clock runs until the last one has ended, and whoever has started them knows. A workflow \
that fails counts for no steps.

- **Amiko**: the store is a `Directory`, and everything leaves when it is on disk, as by default. \
  `RuntimeSettings::attempts` is 1,000, as many as there are workflows, since nobody's service is too much asked; by default it is \
  64, and that stands beside it. A step is one event: it keeps the answer, and asks for the next step. Events that wait are synced \
  together.
- **duroxide**: its SQLite provider sets WAL, and `PRAGMA synchronous = WAL`, which SQLite doesn't know, and takes for NORMAL: a \
  commit isn't synced, and a power cut may lose it. So each of its connections is told `synchronous = FULL`, and asked afterwards \
  whether it still is. And all but one of its five connections are kept from it: where they are not, transactions that first \
  read and then write collide, the provider says \"database is locked\", the runtime waits 200 ms or more, and it is less than half as \
  fast. Its documents don't advise that. `dispatcher_min_poll_interval` is 1 ms, by default 100 ms. Two dispatchers for \
  orchestrations and two for activities, as by default; in a trial, one, four and eight were no faster. A step is four transactions: each \
  of two queues is read and locked, and its work is acknowledged.
- **duroxide, not synced**: the same, with commits as its provider sets them.
- **duroxide, as it comes**: five connections, and polling every 100 ms, but commits are synced. It is measured with fewer \
  workflows, since it is slow.

One workflow alone: the median of eleven in turn, from the call that starts it until whoever has started it sees it ended. Who \
waits for one of Amiko watches it; who waits for one of duroxide asks every millisecond.";

const ROUNDS: usize = 5;
/// Workflows at once.
const MANY: usize = 1_000;
const FEW: usize = 100;
/// Workflows that are alone, one after the other.
const ALONE: usize = 11;

/// So many workflows; gives the seconds that it took, and how many have failed.
pub async fn all(contender: Contender, count: u64) -> Vec<f64> {
    let (directory, outside) = (directory(), Arc::default());
    let (taken, failed) = match contender.peer() {
        None => ours::open(directory.path()).start(attempts(contender), outside).all(count).await,
        Some(setup) => peer::open(directory.path(), setup).await.start(outside).await.all(count).await,
    };
    vec![taken.as_secs_f64(), failed as f64]
}

/// So many workflows, one after the other; gives the median in milliseconds.
pub async fn alone(contender: Contender, times: u64) -> Vec<f64> {
    let (directory, outside) = (directory(), Arc::default());
    let mut taken = Vec::new();
    match contender.peer() {
        None => {
            let node = ours::open(directory.path()).start(attempts(contender), outside);
            for workflow in 0..times {
                taken.push(node.one(workflow).await);
            }
        }
        Some(setup) => {
            let node = peer::open(directory.path(), setup).await.start(outside).await;
            for workflow in 0..times {
                taken.push(node.one(workflow).await);
            }
        }
    }
    taken.sort();
    vec![milliseconds(taken[taken.len() / 2])]
}

fn attempts(contender: Contender) -> ours::Attempts {
    if contender == Contender::AmikoDefaults { ours::Attempts::Defaults } else { ours::Attempts::Many }
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

/// Turns of some contenders, another one of which begins in each round.
fn rounds(effort: Effort, contenders: &[Contender], mut turn: impl FnMut(usize, Contender)) {
    let rounds = effort.rounds(ROUNDS);
    for round in 0..rounds {
        for offset in 0..contenders.len() {
            let which = (offset + round) % contenders.len();
            eprintln!("  round {} of {rounds}: {}", round + 1, contenders[which].name());
            turn(which, contenders[which]);
        }
    }
}

fn at_once(effort: Effort, count: usize, contenders: &[Contender], failures: &mut Failures) -> Samples {
    let names: Vec<_> = contenders.iter().map(|contender| contender.name()).collect();
    let mut rates = Samples::new(format!("{} workflows at once", figure(count as f64)), "steps/s", &names);
    rounds(effort, contenders, |which, contender| {
        let [seconds, failed] = turn(&["all".into(), contender.argument(), count.to_string()])[..] else {
            panic!("expected two figures");
        };
        rates.add(which, (count as f64 - failed) * STEPS as f64 / seconds);
        let [started, lost] = failures.0.entry(contender.name()).or_default();
        (*started, *lost) = (*started + count as u64, *lost + failed as u64);
    });
    rates
}

/// Measures.
pub fn run(effort: Effort) -> Report {
    use Contender::{Amiko, AmikoDefaults, Duroxide, DuroxideAsItComes, DuroxideNotSynced};
    let mut failures = Failures::default();
    let (many, few) = (effort.at_most(MANY, 20), effort.at_most(FEW, 10));
    let rates = at_once(effort, many, &[Amiko, AmikoDefaults, Duroxide, DuroxideNotSynced], &mut failures);
    let slow = at_once(effort, few, &[Amiko, Duroxide, DuroxideAsItComes], &mut failures);
    let contenders = [Amiko, Duroxide, DuroxideNotSynced, DuroxideAsItComes];
    let mut alone = Samples::new("one workflow alone, p50", "ms", &contenders.map(Contender::name));
    let times = effort.at_most(ALONE, 1);
    rounds(effort, &contenders, |which, contender| {
        alone.add(which, turn(&["alone".into(), contender.argument(), times.to_string()])[0]);
    });
    let work = "steps a second of 1,000 workflows at once, by those of duroxide";
    Report {
        text: TEXT.into(),
        bounds: vec![rates.bound(work, Amiko.name(), Duroxide.name(), Asked::AtLeast(10.0))],
        tables: vec![rates.table(), slow.table(), failures.table(), alone.table()],
        ..Report::default()
    }
}
