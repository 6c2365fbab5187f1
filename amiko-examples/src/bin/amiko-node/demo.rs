//! Twelve nodes that pay each other, each with its own engine, directory, key, TCP listener and thread.

use crate::arguments::Demo;
use crate::failure::{Failure, chain};
use crate::key;
use crate::run::Node;
use crate::screen::{self, Progress};
use crate::watch::{self, Picture};
use amiko_core::prelude::*;
use amiko_examples::payment::{Outcome, PaymentNode};
use amiko_examples::running::{self, RunningNetwork};
use amiko_runtime::RuntimeSettings;
use std::cell::Cell;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The two ends of the payments.
const ENDS: (usize, usize) = (0, 7);
/// The nodes on the only path between them.
const PATH: [usize; 6] = [0, 1, 2, 4, 5, 7];
/// How long the network may take to become idle after the last payment.
const REST: Duration = Duration::from_secs(10);

/// What `demo --json` prints.
#[derive(Serializable)]
struct Report {
    payments: Vec<PaymentReport>,
    nodes: Vec<NodeReport>,
    consistent: bool,
}

#[derive(Clone, Serializable)]
struct PaymentReport {
    state: String,
    amount: u64,
    milliseconds: u64,
}

#[derive(Clone, Serializable)]
struct NodeReport {
    name: String,
    before: u64,
    after: u64,
    transactions: usize,
    timers: usize,
    reservations: usize,
    payments: usize,
}

pub(crate) async fn demo(arguments: &Demo, directory: Option<&Path>, json: bool) -> Result<ExitCode, Failure> {
    if arguments.watch {
        if json {
            let text = "expected --watch, which draws, or --json, which prints one document; found both: leave one out";
            return Err(Failure::Usage(text.into()));
        }
        screen::expect_canvas()?;
    }
    let needed = arguments.amount.saturating_mul(u64::from(arguments.payments));
    let funds = arguments.funds.unwrap_or(needed.max(1000));
    let temporary = tempfile::tempdir().map_err(Failure::system)?;
    let directory = directory.map_or_else(|| temporary.path().to_owned(), Path::to_owned);
    let occupied = std::fs::read_dir(&directory).is_ok_and(|mut entries| entries.next().is_some());
    if occupied {
        let path = directory.display();
        return Err(Failure::Refused(format!(
            "expected a new or empty directory, found files in {path}: choose another"
        )));
    }
    let open =
        |path: &Path| Ok((Directory::open(path)?, key::open(path, None).map_err(|failure| failure.to_string())?));
    let network = RunningNetwork::start(&directory, funds, &RuntimeSettings::default(), open).await;
    let network = network.map_err(Failure::refused)?;
    let nodes: Vec<Node> = network.handles().cloned().collect();
    let before = states(&nodes).await?;
    let picture = Picture { before: before.iter().map(|state| state.balance).collect(), funds };
    let (begun, done) = (Instant::now(), Cell::new(0));
    let work = async {
        let mut progress = (!json && !arguments.watch).then(|| Progress::new(arguments.payments));
        let paid = pay(arguments, &nodes, |count| {
            done.set(count);
            progress.iter_mut().for_each(|progress| progress.show(count));
        });
        let payments = paid.await;
        progress.iter().for_each(Progress::end);
        let took = begun.elapsed();
        Ok::<_, Failure>((payments, took, rest(&nodes).await?))
    };
    let ended = if arguments.watch {
        let progress = || screen::progress(done.get(), arguments.payments, begun.elapsed());
        watch::draw_until(work, &nodes, &picture, progress).await
    } else {
        work.await.map(ControlFlow::Continue)
    };
    network.stop().map_err(Failure::refused)?;
    let (payments, took, after) = match ended? {
        ControlFlow::Continue(ended) => ended,
        ControlFlow::Break(signal) => return Ok(ExitCode::from(128 + signal)),
    };
    let report = report(payments, &before, &after);
    if !json {
        show(&report, &picture, took);
    }
    let committed = report.payments.iter().all(|payment| payment.state == "committed");
    if committed && report.consistent {
        if json {
            screen::document(&report)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let text = "not every payment was committed: more --funds or less --concurrency may help";
    Err(Failure::Refused(text.into()).beside(screen::as_document(&report)?))
}

/// Makes the payments, several at a time, and tells how many are over.
async fn pay(arguments: &Demo, nodes: &[Node], mut told: impl FnMut(u32)) -> Vec<PaymentReport> {
    let ends = (nodes[ENDS.0].clone(), nodes[ENDS.1].clone());
    let next = Arc::new(AtomicU32::new(0));
    let (done, mut finished) = tokio::sync::mpsc::channel(64);
    for _ in 0..arguments.concurrency.min(arguments.payments) {
        let (ends, next, done) = (ends.clone(), Arc::clone(&next), done.clone());
        let (amount, payments) = (arguments.amount, arguments.payments);
        tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= payments {
                    return;
                }
                let (payer, payee) = if number % 2 == 0 { (&ends.0, &ends.1) } else { (&ends.1, &ends.0) };
                let begun = Instant::now();
                let state = match running::pay(payer, payee, amount).await {
                    Ok(Outcome::Committed) => "committed".into(),
                    Ok(Outcome::Cancelled) => "cancelled".into(),
                    Err(reason) => format!("failed: {}", chain(&*reason)),
                };
                let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
                if done.send((number, PaymentReport { state, amount, milliseconds })).await.is_err() {
                    return;
                }
            }
        });
    }
    drop(done);
    let mut reports = Vec::new();
    while let Some(report) = finished.recv().await {
        reports.push(report);
        told(u32::try_from(reports.len()).unwrap_or(u32::MAX));
    }
    reports.sort_by_key(|(number, _)| *number);
    reports.into_iter().map(|(_, report)| report).collect()
}

/// The part of a node that the report needs.
#[derive(Clone)]
struct State {
    balance: u64,
    transactions: usize,
    timers: usize,
    reservations: usize,
    payments: usize,
    /// Each channel: neighbour, local, remote.
    channels: Vec<(String, u64, u64)>,
    quiet: bool,
}

async fn states(nodes: &[Node]) -> Result<Vec<State>, Failure> {
    let mut states = Vec::new();
    for node in nodes {
        states.push(node.query(state).await.map_err(Failure::refused)?);
    }
    Ok(states)
}

fn state(engine: &Engine<PaymentNode>) -> State {
    let node = engine.node();
    let channels = node.links.iter().flat_map(|(id, link)| {
        let neighbour = id.key().trim_start_matches("link_to_").to_owned();
        link.channels.iter().map(move |channel| (neighbour.clone(), channel.local(), channel.remote()))
    });
    State {
        balance: node.balance(),
        transactions: node.transactions.len(),
        timers: engine.timers().count(),
        reservations: node.claims(),
        payments: node.payers.len() + node.payees.len(),
        channels: channels.collect(),
        quiet: engine.connections().all(|(_, connection)| connection.outbox.is_empty()),
    }
}

/// Waits until nothing is under way: when a payment ends at its payer, its last messages are still on the wire.
async fn rest(nodes: &[Node]) -> Result<Vec<State>, Failure> {
    let deadline = Instant::now() + REST;
    loop {
        let states = states(nodes).await?;
        let over =
            |state: &State| state.quiet && state.transactions + state.timers + state.reservations + state.payments == 0;
        if states.iter().all(over) || Instant::now() > deadline {
            return Ok(states);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn report(payments: Vec<PaymentReport>, before: &[State], after: &[State]) -> Report {
    let nodes: Vec<NodeReport> = before
        .iter()
        .zip(after)
        .enumerate()
        .map(|(index, (before, after))| NodeReport {
            name: format!("node{index}"),
            before: before.balance,
            after: after.balance,
            transactions: after.transactions,
            timers: after.timers,
            reservations: after.reservations,
            payments: after.payments,
        })
        .collect();
    let money = |states: &[State]| states.iter().map(|state| state.balance).fold(0, u64::saturating_add);
    let nothing_left =
        nodes.iter().all(|node| node.transactions + node.timers + node.reservations + node.payments == 0);
    let agree = after.iter().enumerate().all(|(index, state)| agrees(index, state, after));
    let consistent = nothing_left && agree && money(before) == money(after);
    Report { payments, nodes, consistent }
}

/// Whether the other ends of a node's channels agree with it.
fn agrees(index: usize, state: &State, all: &[State]) -> bool {
    state.channels.iter().all(|(neighbour, local, remote)| {
        let other = neighbour.parse::<usize>().ok().and_then(|neighbour| all.get(neighbour));
        let name = index.to_string();
        other.is_some_and(|other| other.channels.contains(&(name, *remote, *local)))
    })
}

fn show(report: &Report, picture: &Picture, took: Duration) {
    let committed = report.payments.iter().any(|payment| payment.state == "committed");
    let after: Vec<u64> = report.nodes.iter().map(|node| node.after).collect();
    // The only path between the two ends is lit if money moved along it.
    let lines = picture.lines(&after, |one, other| committed && PATH.windows(2).any(|link| link == [one, other]));
    lines.iter().for_each(|line| screen::draw(line));
    screen::say(summary(&report.payments, took, report.consistent));
    let failed = report.payments.iter().filter(|payment| payment.state.starts_with("failed"));
    failed.take(3).for_each(|payment| screen::say(format_args!("a payment {}", screen::plain(&payment.state))));
}

fn summary(payments: &[PaymentReport], took: Duration, consistent: bool) -> String {
    let committed = payments.iter().filter(|payment| payment.state == "committed");
    let mut times: Vec<u64> = committed.map(|payment| payment.milliseconds).collect();
    times.sort_unstable();
    let (count, took) = (payments.len(), took.as_secs_f64());
    let outcome = match times.get(times.len() / 2) {
        Some(median) => {
            format!("{} of {count} payments committed in {took:.2} s, half of them within {median} ms", times.len())
        }
        None => format!("none of {count} payments committed in {took:.2} s"),
    };
    let state = if consistent {
        "both ends of every channel agree, and nothing is left over"
    } else {
        "NOT consistent: channels disagree, money is missing, or something is left over"
    };
    format!("{outcome}; {state}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_of_what_was_committed() {
        let payment = |state: &str, milliseconds| PaymentReport { state: state.into(), amount: 1, milliseconds };
        let took = Duration::from_millis(1500);
        let some = [payment("committed", 9), payment("cancelled", 1), payment("committed", 7)];
        let said = summary(&some, took, true);
        assert!(said.starts_with("2 of 3 payments committed in 1.50 s, half of them within 9 ms; both ends"), "{said}");
        let said = summary(&[payment("failed: no receipt", 5)], took, true);
        assert!(said.starts_with("none of 1 payments committed in 1.50 s; both ends"), "{said}");
    }
}
