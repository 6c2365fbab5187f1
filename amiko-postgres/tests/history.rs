//! Three processes of one node, clients, and everything that can go wrong with processes, networks and the database: whatever the
//! clients were told is true of one ledger.
//!
//! `AMIKO_HISTORY_SECONDS` says for how long (20), `AMIKO_HISTORY_SEED` with which faults (the clock), and `AMIKO_TAKEOVERS` how
//! many takeovers are measured (5).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "what fails here fails the test"
)]

#[path = "history/checker.rs"]
mod checker;
#[path = "history/clients.rs"]
mod clients;
mod common;
#[path = "history/faults.rs"]
mod faults;
#[path = "history/ledger.rs"]
mod ledger;
#[path = "history/processes.rs"]
mod processes;
#[path = "history/proxy.rs"]
mod proxy;
#[path = "history/random.rs"]
mod random;

use checker::Journal;
use clients::{Asked, Client, Outcome, Question, Town};
use common::{ask, database, node};
use faults::{Counts, Trouble};
use processes::Processes;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// One at a time: the faults are those of the whole database.
static ALONE: Mutex<()> = Mutex::new(());

const LEASE: Duration = Duration::from_secs(1);
const WRITERS: u64 = 12;
const WANDERERS: u64 = 2;
const READERS: u64 = 4;

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |number| number.parse().unwrap())
}

/// Isn't a test, but a process that the others start.
#[test]
fn a_process() {
    if let Ok(url) = std::env::var(ledger::URL) {
        ledger::run(url);
    }
}

fn start_clients(
    runtime: &tokio::runtime::Runtime,
    town: &Arc<Town>,
    seed: u64,
) -> Vec<tokio::task::JoinHandle<Vec<Asked>>> {
    let client = |name, pause| Client::new(Arc::clone(town), name, seed ^ name, pause);
    let mut names = 1..;
    let mut next = |pause| client(names.next().unwrap(), pause);
    let mut tasks = Vec::new();
    for _ in 0..WRITERS {
        tasks.push(runtime.spawn(next(Duration::from_millis(100)).put()));
    }
    for _ in 0..WANDERERS {
        tasks.push(runtime.spawn(next(LEASE / 2).wandering().put()));
    }
    for _ in 0..READERS {
        tasks.push(runtime.spawn(next(Duration::from_millis(50)).read()));
    }
    tasks
}

fn journal(url: &str, node: &str) -> Journal {
    let rows = |sql: &str| -> Vec<Vec<u64>> {
        let rows = ask(url, &sql.replace("NODE", &format!("'{node}'"))).unwrap();
        rows.iter().map(|row| row.iter().map(|number| number.parse().unwrap()).collect()).collect()
    };
    let groups = rows("SELECT first, last, epoch FROM amiko.journal_group WHERE node = NODE ORDER BY last");
    let entries = rows(
        "SELECT substring(change ->> 'path' FROM 'entries/([0-9]+)$')::bigint, epoch FROM amiko.record, \
         LATERAL json_array_elements(patch) AS change \
         WHERE node = NODE AND change ->> 'path' ~ 'entries/[0-9]+$'",
    );
    Journal {
        groups: groups.into_iter().map(|row| row.try_into().unwrap()).collect(),
        epochs: entries.into_iter().map(|row| (row[0], row[1])).collect(),
    }
}

#[test]
fn whatever_goes_wrong_all_that_clients_are_told_is_true_of_one_ledger() {
    let Some(url) = database() else { return };
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let seconds = number("AMIKO_HISTORY_SECONDS", 20);
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let seed = number("AMIKO_HISTORY_SEED", clock.as_nanos() as u64);
    println!("AMIKO_HISTORY_SEED={seed}");
    let node = node("history");
    let processes = Arc::new(Processes::start(&url, &node, LEASE, 3));
    let (over, ended) = (AtomicBool::new(false), AtomicBool::new(false));
    let quiet = Arc::default();
    let town = Arc::new(Town { processes: Arc::clone(&processes), quiet: Arc::clone(&quiet), over, ended });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let clients = start_clients(&runtime, &town, seed);

    let trouble = Trouble {
        url: url.clone(),
        processes,
        counts: Arc::new(Counts::default()),
        quiet,
        until: Instant::now() + Duration::from_secs(seconds),
        longest_stop: Duration::from_secs(if seconds < 60 { 6 } else { 30 }),
        peace: Duration::from_secs(if seconds < 60 { 4 } else { 12 }),
        complaints: Mutex::default(),
    };
    thread::scope(|scope| {
        scope.spawn(|| trouble.of_processes(seed ^ 100));
        scope.spawn(|| trouble.of_networks(seed ^ 200));
        scope.spawn(|| trouble.of_databases(seed ^ 300));
    });
    trouble.mend();
    town.over.store(true, Ordering::Relaxed);
    let timer = {
        let town = Arc::clone(&town);
        runtime.spawn(async move {
            tokio::time::sleep(Duration::from_secs(120)).await;
            town.ended.store(true, Ordering::Relaxed);
        })
    };
    let mut asked = Vec::new();
    for client in clients {
        asked.extend(runtime.block_on(client).unwrap());
    }
    let dump = async {
        let mut client = Client::new(Arc::clone(&town), 0, seed, Duration::ZERO);
        loop {
            if let Some(entries) = client.dump().await {
                return Some(entries);
            }
            if town.ended.load(Ordering::Relaxed) {
                return None;
            }
        }
    };
    let entries = runtime.block_on(dump).expect("nobody leads, though everything was mended");
    timer.abort();

    let journal = journal(&url, &node);
    report(&asked, &trouble, &journal);
    let mut faults = checker::faults(&asked, &entries, &journal);
    faults.extend(trouble.complaints.lock().unwrap().drain(..));
    let some: Vec<_> = faults.iter().take(20).collect();
    assert!(faults.is_empty(), "AMIKO_HISTORY_SEED={seed}: {} faults: {some:#?}", faults.len());
}

/// Who leads, and how long it took from `begun` until a new command was durable.
fn next_answer(
    runtime: &tokio::runtime::Runtime,
    client: &mut Client,
    numbers: &mut u64,
    begun: Instant,
) -> (String, Duration) {
    loop {
        *numbers += 1;
        if let Outcome::Done { by, .. } = runtime.block_on(client.ask(*numbers, Question::Put)).outcome {
            return (by, begun.elapsed());
        }
    }
}

/// The median, and the longest.
fn print_times(what: &str, times: &mut [Duration]) -> Duration {
    times.sort();
    let median = times[times.len() / 2];
    let ninth = times[times.len() * 9 / 10];
    println!(
        "{what}: {} times, median {median:.0?}, of ten nine within {ninth:.0?}, longest {:.0?}",
        times.len(),
        times[times.len() - 1]
    );
    median
}

#[test]
fn another_one_leads_within_a_lease_and_a_half_and_at_once_if_it_is_handed_over() {
    let Some(url) = database() else { return };
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (times, node) = (number("AMIKO_TAKEOVERS", 5), node("takeover"));
    let processes = Arc::new(Processes::start(&url, &node, LEASE, 3));
    let (over, ended) = (AtomicBool::new(false), AtomicBool::new(false));
    let town = Arc::new(Town { processes: Arc::clone(&processes), quiet: Arc::default(), over, ended });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut client = Client::new(Arc::clone(&town), 1, 1, Duration::ZERO);
    let (mut numbers, mut random) = (0, random::Random::new(1));
    let mut take_over = |lose: &dyn Fn(usize), mend: &dyn Fn(usize)| {
        let (by, _) = next_answer(&runtime, &mut client, &mut numbers, Instant::now());
        // At any moment between two renewals.
        thread::sleep(random.up_to(LEASE / 4));
        let place = processes.place_of(&by).unwrap();
        let begun = Instant::now();
        lose(place);
        // One that is told to stop may answer once more.
        let took = loop {
            let (next, took) = next_answer(&runtime, &mut client, &mut numbers, begun);
            if next != by {
                break took;
            }
        };
        mend(place);
        took
    };
    let mut killed: Vec<_> =
        (0..times).map(|_| take_over(&|place| processes.kill(place), &|place| processes.begin(place))).collect();
    let mut ended: Vec<_> = (0..times)
        .map(|_| {
            take_over(&|place| processes.tell(place), &|place| {
                processes.has_stopped(place, LEASE * 10).unwrap();
                processes.begin(place);
            })
        })
        .collect();
    // One that doesn't know that its time is over wakes up with commands that wait for it.
    for _ in 0..times.div_ceil(5) {
        take_over(&|place| processes.pause(place), &|place| processes.resume(place));
    }
    let (mut epoch, mut stale) = (0, 0);
    for [.., of] in journal(&url, &node).groups {
        stale += u64::from(of < epoch);
        epoch = epoch.max(of);
    }
    let median = print_times("from kill -9 of the leader to the next durable answer", &mut killed);
    let handover = print_times("from SIGTERM of the leader to the next durable answer", &mut ended);
    println!("with a lease of {LEASE:?}; {stale} rows of former leaders, in {epoch} epochs");
    assert!(median <= LEASE * 3 / 2, "{median:?}");
    assert!(handover <= Duration::from_millis(200), "{handover:?}");
    assert_eq!(stale, 0);
}

fn report(asked: &[Asked], trouble: &Trouble, journal: &Journal) {
    let count = |holds: &dyn Fn(&Asked) -> bool| asked.iter().filter(|asked| holds(asked)).count();
    let sum = |of: &dyn Fn(&Asked) -> u64| asked.iter().map(of).sum::<u64>();
    let done = |asked: &Asked| matches!(asked.outcome, Outcome::Done { .. });
    println!(
        "{} commands: {} acknowledged, {} rejected, {} refused; {} reads, {} answered",
        count(&|asked| asked.question != Question::Read),
        count(&|asked| asked.question != Question::Read && done(asked)),
        count(&|asked| asked.outcome == Outcome::Rejected),
        count(&|asked| asked.question != Question::Read && asked.outcome == Outcome::Refused),
        count(&|asked| asked.question == Question::Read),
        count(&|asked| asked.question == Question::Read && done(asked)),
    );
    println!(
        "attempts: {} of unknown outcome, {} sent elsewhere",
        sum(&|asked| asked.unknown),
        sum(&|asked| asked.elsewhere)
    );
    println!(
        "{}",
        trouble.counts.get().iter().map(|(what, count)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
    );
    let mut epochs: Vec<_> = journal.groups.iter().map(|[.., epoch]| epoch).collect();
    epochs.dedup();
    let mut leaders: Vec<_> = asked
        .iter()
        .filter_map(|asked| match &asked.outcome {
            Outcome::Done { by, value } if asked.question == Question::Put && asked.unknown == 0 => Some((value, by)),
            _ => None,
        })
        .collect();
    leaders.sort();
    leaders.dedup_by_key(|(_, by)| *by);
    println!(
        "{} rows in the journal, of {} epochs up to {}; {} takeovers",
        journal.groups.len(),
        epochs.len(),
        epochs.last().copied().unwrap_or(&0),
        leaders.len().saturating_sub(1),
    );
}
