//! Two nodes that pay each other over a wire that fails in every way: nothing is lost, and nothing acts twice.
//!
//! Once on plain TCP, where whole lines come twice, late or not at all, and once on encrypted streams, where any byte may be
//! changed. `AMIKO_PAYMENTS` says how many payments, `AMIKO_SEED` which faults.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod proxy;

use amiko_core::prelude::*;
use amiko_core::store::{DirectorySettings, Retention};
use amiko_examples::payment::{
    Address, LinkUrl, Notice, Outcome, PayerMessage, PaymentLimits, PaymentNode, PaymentNodeEnvelope,
    PaymentNodeMessage, PaymentProtocol, PaymentRecord, Reply, Role,
};
use amiko_runtime::{Handle, Noise, Runtime, RuntimeSettings, SecretKey, Tcp, Transport};
use proxy::{FAULTS, Faults, Pieces};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::time::sleep;

type Payments = Handle<PaymentNode, Directory>;

const FUNDS: u64 = 1_000_000;
/// Payments at a time: with more of them a slow machine spends its time on handshakes that come too late.
const AT_ONCE: usize = 40;

/// By how much the clocks of the nodes go slower than that of the machine: so a machine that has other things to do has the
/// time that the protocol gives.
const SLOW: u64 = 4;

/// One of these tests at a time: each takes all that the machine has.
static TURN: Mutex<()> = Mutex::new(());

/// How many milliseconds the clocks of the nodes are put forward.
type Forward = Arc<AtomicU64>;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

/// Quick to notice and to dial again, so that a test may have many faults.
fn settings(forward: &Forward) -> RuntimeSettings {
    let mut settings = RuntimeSettings::default();
    settings.listen = Some(([127, 0, 0, 1], 0).into());
    // Payers whose payee has forgotten them go on dialling for a while: they must not be all that the nodes have to do.
    (settings.conversation.back_off_first, settings.conversation.back_off_limit) =
        (Duration::from_millis(2), Duration::from_secs(1));
    (settings.conversation.handshake, settings.conversation.silence) =
        (Duration::from_millis(200), Duration::from_millis(200));
    settings.farewell = Duration::from_millis(20);
    (settings.conversation.strangers, settings.notices) = (1_000, 100_000);
    let (forward, begun) = (Arc::clone(forward), Instant::now());
    settings.clock = Arc::new(move || {
        let passed = begun.elapsed().as_millis() as u64 / SLOW + forward.load(Ordering::Relaxed);
        Time::from_millis(1_800_000_000_000 + passed)
    });
    settings
}

/// What a node was when it stopped.
struct End {
    node: PaymentNode,
    link: Connection<PaymentNode>,
}

struct Node {
    handle: Payments,
    /// Where others dial it: the proxy.
    address: SocketAddr,
    thread: std::thread::JoinHandle<End>,
}

type Ready = tokio::sync::oneshot::Sender<(Payments, SocketAddr)>;

/// Runs a node to its end.
async fn serve(directory: &Path, settings: RuntimeSettings, transport: impl Transport, ready: Ready) -> End {
    let mut store = DirectorySettings::default();
    store.retention = Retention::Forever;
    let engine = Engine::open(Directory::open_with(directory, store).unwrap(), Settings::default()).unwrap();
    let runtime = Runtime::with_settings(engine, settings).with_network(PaymentProtocol, transport).await.unwrap();
    ready.send((runtime.handle(), runtime.local_addr().unwrap())).ok().unwrap();
    let engine = runtime.run().await.unwrap();
    End { node: engine.node().clone(), link: engine.connection(&Id::new("peer")).unwrap().clone() }
}

/// A node on its own thread, that others reach over a proxy; with a key it speaks to nobody but on encrypted streams.
async fn start(directory: &Path, settings: RuntimeSettings, faults: &Arc<Faults>, key: Option<SecretKey>) -> Node {
    let (ready, is_ready) = tokio::sync::oneshot::channel();
    let (directory, public) = (directory.to_owned(), key.as_ref().map(SecretKey::public));
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            match key {
                Some(key) => serve(&directory, settings, Noise::new(key), ready).await,
                None => serve(&directory, settings, Tcp, ready).await,
            }
        })
    });
    let (handle, listen) = is_ready.await.unwrap();
    let address = proxy::start(listen, Arc::clone(faults)).await;
    let configure = PaymentNodeMessage::Configure {
        address: Some(Address { host: "127.0.0.1".into(), port: address.port() }),
        key: public,
        payout_address: None,
        external_meeting_points: vec![Id::new("hub")],
        timeout_increment: 3_600,
        limits: PaymentLimits::default(),
    };
    command(&handle, configure).await;
    Node { handle, address, thread }
}

async fn command(handle: &Payments, message: PaymentNodeMessage) -> Option<Reply> {
    handle.command(PaymentNodeEnvelope::PaymentNode(message)).await.unwrap().map(|reply| reply.read().unwrap())
}

/// Agrees to all payments of a node, and frees a place when one has ended.
async fn user(handle: Payments, places: Arc<Semaphore>) {
    let mut notices = handle.notices().await;
    while let Some(notice) = notices.recv().await {
        match &*notice.unwrap() {
            Notice::Receipt { payer, .. } => {
                let agree = PaymentNodeEnvelope::Payer(payer.clone(), PayerMessage::Agree);
                // It may have ended meanwhile.
                drop(handle.command(agree).await);
            }
            Notice::Ended { record } if record.role == Role::Payer => places.add_permits(1),
            Notice::Ended { .. } => {}
        }
    }
}

/// Each learns where the other is dialled, so both dial.
async fn link(a: &Node, b: &Node, encrypted: bool) {
    let name = Id::new("peer");
    let to = if encrypted {
        let invite = PaymentNodeMessage::AddLink { name: name.clone(), to: None };
        let Some(Reply::Url { url }) = command(&a.handle, invite).await else { panic!("expected an invitation") };
        url.parse().unwrap()
    } else {
        let url = |node: &Node| {
            let address = Address { host: "127.0.0.1".into(), port: node.address.port() };
            LinkUrl { key: None, address, link: name.clone(), invitation: None }
        };
        command(&a.handle, PaymentNodeMessage::AddLink { name: name.clone(), to: Some(url(b)) }).await;
        url(a)
    };
    command(&b.handle, PaymentNodeMessage::AddLink { name, to: Some(to) }).await;
}

async fn pay(payer: &Payments, payee: &Payments, amount: u64) {
    let request = PaymentNodeMessage::Request { amount, receipt: "a coffee".into(), via: None };
    let Some(Reply::Url { url }) = command(payee, request).await else { panic!("expected a URL") };
    command(payer, PaymentNodeMessage::Pay { url: url.parse().unwrap(), via: None }).await;
}

/// Whether nothing is under way, and everything was confirmed.
async fn at_rest(handle: &Payments, requests: bool) -> bool {
    let asked = handle.query(move |engine| {
        let node = engine.node();
        let left = node.transactions.len() + node.payers.len() + node.claims();
        let outboxes = engine.connection(&Id::new("peer")).map_or(0, |connection| connection.outbox.len());
        left + outboxes == 0 && (!requests || node.payees.is_empty())
    });
    asked.await.unwrap()
}

/// What is under way, for whoever has to find out why.
async fn left(handle: &Payments) -> String {
    let asked = handle.query(|engine| {
        let node = engine.node();
        let connections: Vec<_> =
            engine.connections().filter(|(_, connection)| !connection.outbox.is_empty()).collect();
        let connections: Vec<_> = connections.iter().map(|(id, connection)| (id, &connection.outbox)).collect();
        let (payers, payees, timers) = (node.payers.iter(), node.payees.iter(), engine.timers());
        let timers: Vec<_> = timers.map(|(id, timer)| format!("{id} {:?}", timer.at)).collect();
        let records: Vec<_> = node.payments.iter().filter(|(_, record)| record.outcome == Outcome::Cancelled).collect();
        format!(
            "{:#?}",
            (
                node.transactions.iter().collect::<Vec<_>>(),
                payers.collect::<Vec<_>>(),
                payees.collect::<Vec<_>>(),
                timers,
                connections,
                records
            )
        )
    });
    asked.await.unwrap()
}

async fn rest(nodes: &[&Payments], requests: bool, patience: Duration) -> bool {
    let end = Instant::now() + patience;
    loop {
        let mut quiet = true;
        for handle in nodes {
            quiet &= at_rest(handle, requests).await;
        }
        if quiet || Instant::now() > end {
            return quiet;
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// The messages of each connection that have acted, or were used up, as the journal has them: each number once, in order.
fn count_messages(directory: &Path) -> BTreeMap<String, u64> {
    let mut segments: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    segments.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    segments.sort_by_key(|path| {
        let name = path.file_stem().unwrap().to_str().unwrap();
        name.trim_start_matches("journal-").parse::<u64>().unwrap()
    });
    let mut counts = BTreeMap::new();
    for segment in segments {
        for line in std::fs::read_to_string(&segment).unwrap().lines().filter(|line| line.contains("\"Message\"")) {
            let record: Value = serde_json::from_str(line).unwrap();
            let cause = &record["cause"];
            if cause["_class"] == "Message" {
                let count = counts.entry(cause["connection"].as_str().unwrap().to_owned()).or_insert(0);
                assert_eq!(cause["index"].as_u64(), Some(*count), "{}: {line}", segment.display());
                *count += 1;
            }
        }
    }
    counts
}

fn outcomes(node: &PaymentNode, role: Role) -> BTreeMap<String, PaymentRecord> {
    let records = node.payments.iter().filter(|(_, record)| record.role == role);
    records.map(|(_, record)| (record.payment.clone(), record.clone())).collect()
}

#[test]
fn payments_over_a_wire_that_fails_in_every_way() {
    payments_over(Pieces::Lines);
}

#[test]
fn payments_over_an_encrypted_wire_that_fails_in_every_way() {
    payments_over(Pieces::Bytes);
}

fn payments_over(pieces: Pieces) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let (payments, seed) = (number("AMIKO_PAYMENTS", 300), number("AMIKO_SEED", 1));
    println!("AMIKO_PAYMENTS={payments} AMIKO_SEED={seed} {pieces:?}");
    let encrypted = matches!(pieces, Pieces::Bytes);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let root = tempfile::tempdir().unwrap();
    let folders = [root.path().join("a"), root.path().join("b")];
    let faults = Faults::new(seed, 20, pieces);
    let begun = Instant::now();
    let ends = runtime.block_on(async {
        let forward = Forward::default();
        let key = |byte| encrypted.then(|| SecretKey::new([byte; 32]));
        let a = start(&folders[0], settings(&forward), &faults, key(1)).await;
        let b = start(&folders[1], settings(&forward), &faults, key(2)).await;
        command(&b.handle, PaymentNodeMessage::AddMeetingPoint { name: Id::new("hub") }).await;
        link(&a, &b, encrypted).await;
        for node in [&a, &b] {
            // The peer appends a channel of its own for each, so one has to be there before the next.
            command(
                &node.handle,
                PaymentNodeMessage::Deposit { link: Id::new("peer"), class: "PlainChannel".into(), amount: FUNDS },
            )
            .await;
            assert!(rest(&[&a.handle, &b.handle], true, Duration::from_secs(120)).await, "seed {seed}: no deposit");
        }
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let users = [&a, &b].map(|node| tokio::spawn(user(node.handle.clone(), Arc::clone(&places))));
        tokio::task::yield_now().await;
        for number in 0..payments {
            places.acquire().await.unwrap().forget();
            let (payer, payee) = if number % 2 == 0 { (&a, &b) } else { (&b, &a) };
            pay(&payer.handle, &payee.handle, 1 + number % 7).await;
        }
        drop(places.acquire_many(AT_ONCE as u32).await.unwrap());
        let took = begun.elapsed();
        faults.calm.store(true, Ordering::Relaxed);
        let handles = [&a.handle, &b.handle];
        if !rest(&handles, false, Duration::from_secs(120)).await {
            panic!("seed {seed}: something is left under way: {:#?}", [left(&a.handle).await, left(&b.handle).await]);
        }
        // Requests that no payer ever reached, and connections whose peer has gone, are over when their time is.
        forward.store(2 * 86_400_000, Ordering::Relaxed);
        assert!(rest(&handles, true, Duration::from_secs(120)).await, "seed {seed}: a request is left");
        println!("{payments} payments in {:.1} s", took.as_secs_f64());
        handles.iter().for_each(|handle| handle.stop());
        users.iter().for_each(tokio::task::JoinHandle::abort);
        [a, b].map(|node| node.thread.join().unwrap())
    });
    for (fault, done) in FAULTS.iter().zip(&faults.done) {
        let done = done.load(Ordering::Relaxed);
        println!("{fault:?}: {done}");
        assert!(done > 0, "seed {seed}: {fault:?} never happened");
    }
    println!("{} sockets", faults.sockets.load(Ordering::Relaxed));

    let [a, b] = &ends;
    let mut totals = [0, 0];
    let (mut committed, mut reasons) = (0, BTreeMap::<String, u64>::new());
    for (payer, payee, sign) in [(a, b, 0), (b, a, 1)] {
        let (paid, got) = (outcomes(&payer.node, Role::Payer), outcomes(&payee.node, Role::Payee));
        assert_eq!(paid.len() as u64, (payments + 1 - sign as u64) / 2, "seed {seed}");
        assert_eq!(got.len(), paid.len(), "seed {seed}");
        for (payment, record) in &paid {
            let other = &got[payment];
            assert_eq!(record.outcome, other.outcome, "seed {seed}: {record:?} {other:?}");
            if record.outcome == Outcome::Committed {
                assert_eq!(record.amount, other.amount, "seed {seed}: {payment}");
                totals[sign] += record.amount;
                committed += 1;
            } else {
                *reasons.entry(record.reason.clone()).or_insert(0) += 1;
            }
        }
    }
    println!("{committed} committed, {} cancelled: {reasons:?}", payments - committed);
    assert_eq!(a.node.balance(), FUNDS - totals[0] + totals[1], "seed {seed}");
    assert_eq!(b.node.balance(), FUNDS - totals[1] + totals[0], "seed {seed}");
    let (ours, theirs) = (a.node.links.get(&Id::new("peer")).unwrap(), b.node.links.get(&Id::new("peer")).unwrap());
    for (ours, theirs) in ours.channels.iter().zip(&theirs.channels) {
        assert_eq!((ours.local(), ours.remote()), (theirs.remote(), theirs.local()), "seed {seed}");
    }

    let counts = folders.each_ref().map(|folder| count_messages(folder));
    for (receiver, sender, counts) in [(a, b, &counts[0]), (b, a, &counts[1])] {
        let (received, sent) = (&receiver.link, &sender.link);
        assert_eq!((counts["peer"], received.received), (sent.sent, sent.sent), "seed {seed}");
        assert!(received.conflict.is_none() && sent.conflict.is_none(), "seed {seed}");
        let total: u64 = counts.values().sum();
        println!("{total} messages acted once on {} connections", counts.len());
    }
    // Last, because it says something about the machine that this runs on too.
    assert!(committed > payments / 10, "seed {seed}: only {committed} of {payments} were committed");
}
