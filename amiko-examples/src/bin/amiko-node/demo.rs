//! Twelve nodes that pay each other: each with its own engine, directory, key, TCP listener and thread.

use crate::arguments::Demo;
use crate::control::Answer;
use crate::failure::{Failure, chain};
use crate::key;
use crate::run::{Node, Payment};
use crate::screen::{self, Progress};
use amiko_core::PublicKey;
use amiko_core::prelude::*;
use amiko_examples::payment::{
    Address, LINKS, LinkUrl, Outcome, PaymentLimits, PaymentNode, PaymentNodeEnvelope, PaymentNodeMessage,
    PaymentProtocol, PaymentUrl, Reply, twelve_nodes,
};
use amiko_net::{NetSettings, Noise, Runtime};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const NODES: usize = 12;
/// The two ends of the payments.
const ENDS: (usize, usize) = (0, 7);
/// Sockets of one node at the most: more than there are payments at a time.
const MAX_SOCKETS: usize = 10_000;
/// How long the network may take to come to rest after the last payment.
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

/// A node on its own thread.
struct Running {
    handle: Node,
    thread: JoinHandle<Result<(), String>>,
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
    let nodes = start(&directory, funds).await?;
    let before = states(&nodes).await?;
    let begun = Instant::now();
    let payments = pay(arguments, &nodes, !json).await;
    let took = begun.elapsed();
    let after = rest(&nodes).await?;
    for node in nodes {
        node.handle.stop();
        match node.thread.join() {
            Ok(outcome) => outcome.map_err(Failure::Refused)?,
            Err(_) => return Err(Failure::Refused("a node's thread panicked".into())),
        }
    }
    let report = report(payments, &before, &after);
    if json {
        screen::document(&report)?;
    } else {
        show(&report, funds, took);
    }
    let committed = report.payments.iter().all(|payment| payment.state == "committed");
    if committed && report.consistent {
        return Ok(ExitCode::SUCCESS);
    }
    if !json {
        screen::tell("amiko-node: not every payment was committed: more --funds or less --concurrency may help");
    }
    Ok(ExitCode::FAILURE)
}

/// Starts the nodes, tells them where they are, and then whom to dial.
async fn start(directory: &Path, funds: u64) -> Result<Vec<Running>, Failure> {
    let nowhere: [Address; NODES] = std::array::from_fn(|_| Address { host: "127.0.0.1".into(), port: 0 });
    let mut nodes = Vec::new();
    let mut addresses = Vec::new();
    for (index, mut state) in twelve_nodes(&nowhere, funds).into_iter().enumerate() {
        // Where the neighbours listen is known only once they do.
        state.links = state.links.iter().map(|(id, link)| (id, link.clone().without_peer())).collect();
        let (node, address, key) = start_node(directory.join(format!("node{index}")), state).await?;
        nodes.push(node);
        addresses.push((address, key));
    }
    for (node, (address, key)) in nodes.iter().zip(addresses) {
        let (timeout_increment, external_meeting_points) = node
            .handle
            .query(|engine| (engine.node().timeout_increment, engine.node().external_meeting_points.clone()))
            .await
            .map_err(Failure::refused)?;
        let message = PaymentNodeMessage::Configure {
            address: Some(Address { host: address.ip().to_string(), port: address.port() }),
            key: Some(key),
            external_meeting_points,
            timeout_increment,
            limits: PaymentLimits::default(),
        };
        command(&node.handle, PaymentNodeEnvelope::PaymentNode(message)).await?;
    }
    for (one, other) in LINKS {
        let (Some(inviting), Some(invited)) = (nodes.get(other), nodes.get(one)) else { continue };
        let invitation = renew(inviting, one, None).await?;
        renew(invited, other, Some(invitation)).await?;
    }
    Ok(nodes)
}

/// What `link renew` does; gives the URL.
async fn renew(node: &Running, neighbour: usize, to: Option<LinkUrl>) -> Result<LinkUrl, Failure> {
    let message = PaymentNodeMessage::RenewLink { link: Id::new(format!("link_to_{neighbour}")), to };
    match command(&node.handle, PaymentNodeEnvelope::PaymentNode(message)).await?.into_iter().next() {
        Some(Reply::Url { url }) => url.parse().map_err(Failure::refused),
        _ => Err(Failure::Refused("expected a URL, found none".into())),
    }
}

async fn command(handle: &Node, envelope: PaymentNodeEnvelope) -> Result<Vec<Reply>, Failure> {
    handle.command(envelope).await.map_err(Failure::refused)
}

async fn start_node(directory: PathBuf, state: PaymentNode) -> Result<(Running, SocketAddr, PublicKey), Failure> {
    let (ready, is_ready) = tokio::sync::oneshot::channel();
    let run = move || {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| chain(&error))?;
        runtime.block_on(async {
            let store = Directory::open(&directory).map_err(|error| chain(&error))?;
            let engine = Engine::open_with(store, Settings::default(), || state).map_err(|error| chain(&error))?;
            let mut settings = NetSettings::default();
            settings.listen = Some((Ipv4Addr::LOCALHOST, 0).into());
            // All nodes and payments come from this address, and at once.
            settings.sockets_per_address = MAX_SOCKETS;
            let key = key::open(&directory, None).map_err(|failure| failure.to_string())?;
            let public = key.public();
            let bound = Runtime::bind_with(engine, PaymentProtocol, settings, Noise::new(key)).await;
            let runtime = bound.map_err(|error| chain(&error))?;
            let address = runtime.local_addr().ok_or("expected an address to listen on, found none")?;
            // If nobody waits for it any more, the node stops with its last handle.
            drop(ready.send((runtime.handle(), address, public)));
            runtime.run().await.map(drop).map_err(|error| chain(&error))
        })
    };
    let thread = std::thread::Builder::new().spawn(run).map_err(Failure::system)?;
    match is_ready.await {
        Ok((handle, address, key)) => Ok((Running { handle, thread }, address, key)),
        Err(_) => {
            let reason = thread.join().map(|outcome| outcome.err().unwrap_or_default());
            Err(Failure::Refused(reason.unwrap_or_else(|_| "a node's thread panicked".into())))
        }
    }
}

/// Makes the payments, some at a time.
async fn pay(arguments: &Demo, nodes: &[Running], shown: bool) -> Vec<PaymentReport> {
    let ends = (nodes[ENDS.0].handle.clone(), nodes[ENDS.1].handle.clone());
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
                let state = match one_payment(payer, payee, amount).await {
                    Ok(Outcome::Committed) => "committed".into(),
                    Ok(Outcome::Cancelled) => "cancelled".into(),
                    Err(reason) => format!("failed: {reason}"),
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

async fn one_payment(payer: &Node, payee: &Node, amount: u64) -> Result<Outcome, String> {
    let request = PaymentNodeMessage::Request { amount, receipt: "demo".into(), via: None };
    let requested = payee.command(PaymentNodeEnvelope::PaymentNode(request)).await.map_err(|error| chain(&error))?;
    let Some(Reply::Url { url }) = requested.into_iter().next() else {
        return Err("expected a URL, found none".into());
    };
    let url: PaymentUrl = url.parse().map_err(|error| chain(&error))?;
    let mut payment = Payment::begin(payer, PaymentNodeMessage::Pay { url, via: None }).await?;
    let mut answer = payment.next().await?;
    if matches!(answer, Answer::Receipt { .. }) {
        payment.decide(payer, true).await?;
        answer = payment.next().await?;
    }
    match answer {
        Answer::Ended { record } => Ok(record.outcome),
        _ => Err("expected the end of the payment, found something else".into()),
    }
}

/// What the report needs of one node.
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

async fn states(nodes: &[Running]) -> Result<Vec<State>, Failure> {
    let mut states = Vec::new();
    for node in nodes {
        states.push(node.handle.query(state).await.map_err(Failure::refused)?);
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

/// Waits until nothing is under way: the last words of a payment are still on the wire when it ends at its payer.
async fn rest(nodes: &[Running]) -> Result<Vec<State>, Failure> {
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

/// Whether the other ends of a node's channels say the same.
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
    screen::say(drawing(committed > 0));
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
    let mut times: Vec<u64> = report.payments.iter().map(|payment| payment.milliseconds).collect();
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or(0);
    let count = report.payments.len();
    screen::say(format_args!(
        "\n{committed} of {count} payments committed in {:.2} s, half of them within {median} ms; {}",
        took.as_secs_f64(),
        if report.consistent {
            "both ends of every channel agree, and nothing is left over"
        } else {
            "NOT consistent: channels disagree, money is missing, or something is left over"
        }
    ));
    let failed = report.payments.iter().filter(|payment| payment.state.starts_with("failed"));
    failed.take(3).for_each(|payment| screen::say(format_args!("a payment {}", screen::plain(&payment.state))));
}

/// The network; the only way from node 0 to node 7 is marked if money went along it.
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
