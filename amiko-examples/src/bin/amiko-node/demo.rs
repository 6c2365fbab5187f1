//! Twelve nodes that pay each other, each with its own engine, directory, key, TCP listener and thread.

use crate::arguments::Demo;
use crate::failure::{Failure, chain};
use crate::key;
use crate::run::Node;
use crate::screen::{self, Progress};
use amiko_core::prelude::*;
use amiko_examples::payment::{Outcome, PaymentNode};
use amiko_examples::running::{self, RunningNetwork};
use amiko_runtime::RuntimeSettings;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The two ends of the payments.
const ENDS: (usize, usize) = (0, 7);
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
    let begun = Instant::now();
    let payments = pay(arguments, &nodes, !json).await;
    let took = begun.elapsed();
    let after = rest(&nodes).await?;
    network.stop().map_err(Failure::refused)?;
    let report = report(payments, &before, &after);
    if !json {
        show(&report, funds, took);
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

/// Makes the payments, several at a time.
async fn pay(arguments: &Demo, nodes: &[Node], shown: bool) -> Vec<PaymentReport> {
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
    let mut progress = Progress::new(arguments.payments);
    let mut reports = Vec::new();
    while let Some(report) = finished.recv().await {
        reports.push(report);
        if shown {
            progress.show(u32::try_from(reports.len()).unwrap_or(u32::MAX));
        }
    }
    if shown {
        progress.end();
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

fn show(report: &Report, funds: u64, took: Duration) {
    let committed = report.payments.iter().filter(|payment| payment.state == "committed").count();
    screen::say(format_args!("twelve nodes, {funds} on both sides of each link; routes meet on node 4\n"));
    screen::draw(&drawing(committed > 0));
    let rows: Vec<Vec<String>> = report
        .nodes
        .iter()
        .map(|node| {
            let change = i128::from(node.after) - i128::from(node.before);
            let change = if change == 0 { String::new() } else { format!("{change:+}") };
            vec![node.name.clone(), node.before.to_string(), node.after.to_string(), change]
        })
        .collect();
    screen::say(screen::table(&["node", "before", "after", "change"], &rows));
    screen::say(format_args!("\n{}", summary(&report.payments, took, report.consistent)));
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

/// The network. The only path from node 0 to node 7 is highlighted if money moved along it.
fn drawing(used: bool) -> String {
    let route = |text: &str| if used { screen::bold(text) } else { text.replace('═', "─") };
    let marked = route("[0]═══[1]═══[2]═══[4]═══[5]═══[7]");
    format!(
        "  {marked}\n\
         \x20             │           │\n\
         \x20             ├─[3]       ├─[6]\n\
         \x20             └─[8]─[9]   └─[10]─[11]\n"
    )
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
