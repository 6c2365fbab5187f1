//! Effects of a running node: performed, tried again, given up, cancelled, and stopped.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod common;

use amiko_core::Performed;
use amiko_core::effect::{Effect, Failure, Outcome, Policy};
use amiko_core::prelude::*;
use amiko_core::store::Memory;
use amiko_runtime::{Attempt, Handle, Performer, Runtime, RuntimeSettings, Standing};
use common::Disk;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

#[derive(Debug, Clone, Serializable)]
struct Charge {
    cents: u64,
}

impl Effect for Charge {
    type Outcome = String;

    fn policy(&self) -> Policy {
        Policy { attempts: 3, attempt: secs(30), ..Policy::default() }
    }
}

#[derive(Debug, Clone, Serializable)]
struct Block {}

impl Effect for Block {
    type Outcome = ();

    fn policy(&self) -> Policy {
        let (first, attempt) = (Duration::from_millis(1), Duration::from_millis(10));
        Policy { first, limit: first, attempt, ..Policy::default() }
    }
}

#[derive(Debug, Clone, Default, Serializable)]
#[amiko(key = u64)]
struct Order {
    heard: Vec<String>,
}

#[derive(Clone, Serializable)]
enum OrderMessage {
    Pay {
        cents: u64,
    },
    Cancel,
    Block,
    #[amiko(performed)]
    Blocked {
        performed: Performed<Block>,
    },
    #[amiko(performed)]
    Charged {
        performed: Performed<Charge>,
    },
}

impl StateMachine for Order {
    type Node = Shop;
    type Message = OrderMessage;

    fn handle(&mut self, message: OrderMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        match message {
            OrderMessage::Pay { cents } => cx.perform("charge", Charge { cents }),
            OrderMessage::Block => cx.perform("block", Block {}),
            OrderMessage::Blocked { performed } => self.heard.push(performed.name),
            OrderMessage::Cancel => cx.cancel_effect("charge"),
            OrderMessage::Charged { performed } => self.heard.push(match performed.outcome {
                Outcome::Done { value } => format!("{value} after {}", performed.attempts),
                Outcome::GivenUp { why, error } => format!("{why:?}: {error}"),
            }),
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Default, Serializable, Node)]
#[amiko(effects(Charge, Block))]
struct Shop {
    #[amiko(machines)]
    orders: Table<Order>,
}

type Opened = Engine<Shop, Memory>;

fn shop(orders: u64) -> Opened {
    let orders = (0..orders).map(|number| (Id::new(number), Order::default()));
    Engine::open_with(Memory::new(), Settings::default(), || Shop { orders: orders.collect() }).unwrap()
}

/// What the service does with each amount, and what it has seen.
#[derive(Default)]
struct Service {
    /// Key and attempt of each call.
    seen: Mutex<Vec<(String, u32, u64)>>,
    at_once: AtomicU64,
    most: AtomicU64,
    cancelled: Notify,
}

#[derive(Clone)]
struct Client(Arc<Service>);

impl Performer<Charge> for Client {
    async fn perform(&self, Charge { cents }: Charge, attempt: &Attempt) -> Result<String, Failure> {
        let service = &self.0;
        let now = service.at_once.fetch_add(1, Ordering::Relaxed) + 1;
        service.most.fetch_max(now, Ordering::Relaxed);
        service.seen.lock().unwrap().push((attempt.key().to_owned(), attempt.number(), cents));
        let outcome = match cents {
            1 => Err(Failure::fatal("no such card")),
            // The first attempt fails.
            2 if attempt.number() == 1 => Err(std::io::Error::other("busy").into()),
            3 => panic!("a bug"),
            4 => std::future::pending().await,
            5 => {
                attempt.cancelled().await;
                service.cancelled.notify_one();
                Err(Failure::retry("cancelled"))
            }
            _ => {
                tokio::time::sleep(Duration::from_millis(1)).await;
                Ok(format!("paid {cents}"))
            }
        };
        service.at_once.fetch_sub(1, Ordering::Relaxed);
        outcome
    }
}

async fn pay(shop: &Handle<Shop, Memory>, order: u64, cents: u64) {
    shop.send(&Id::<Order>::new(order), OrderMessage::Pay { cents }).await.unwrap();
}

/// What an order has heard, once it has heard something.
async fn heard(shop: &Handle<Shop, Memory>, order: u64) -> String {
    let mut watched = shop.watch_object(&Id::<Order>::new(order)).await;
    loop {
        if let Some(said) = watched.value().unwrap().and_then(|order| order.heard.first().cloned()) {
            return said;
        }
        watched.changed().await.unwrap();
    }
}

/// A clock that follows that of the test.
fn settings() -> RuntimeSettings {
    let mut settings = RuntimeSettings::default();
    let begun = tokio::time::Instant::now();
    settings.clock = Arc::new(move || Time::from_secs(1_000) + begun.elapsed());
    settings
}

#[tokio::test(start_paused = true)]
async fn an_effect_is_tried_until_it_happens_or_is_given_up_and_its_owner_hears_of_it() {
    let service = Arc::new(Service::default());
    let runtime = Runtime::with_settings(shop(6), settings()).with_performer(Client(Arc::clone(&service)));
    let (handle, running) = runtime.spawn();
    for (cents, expected) in [
        (0, "paid 0 after 1"),
        (1, "Fatal: no such card"),
        (2, "paid 2 after 2"),
        (3, "Attempts: its performer panicked: a bug"),
        (4, "Attempts: expected an answer within 30s, found none"),
    ] {
        pay(&handle, cents, cents).await;
        assert_eq!(heard(&handle, cents).await, expected);
    }
    let seen = std::mem::take(&mut *service.seen.lock().unwrap());
    let of = |cents| -> Vec<_> { seen.iter().filter(|(_, _, found)| *found == cents).collect() };
    for (cents, attempts) in [(0, 1), (1, 1), (2, 2), (3, 3), (4, 3)] {
        let calls = of(cents);
        let numbers: Vec<u32> = calls.iter().map(|(_, number, _)| *number).collect();
        assert_eq!(numbers, (1..=attempts).collect::<Vec<u32>>(), "{cents}");
        assert!(calls.iter().all(|(key, ..)| *key == calls[0].0 && key.len() == 32), "{calls:?}");
    }
    assert_ne!(of(0)[0].0, of(1)[0].0);
    handle.stop();
    assert_eq!(running.await.unwrap().effects().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn without_a_performer_an_effect_waits_and_is_performed_by_the_next_program() {
    let (handle, running) = Runtime::with_settings(shop(1), settings()).spawn();
    pay(&handle, 0, 7).await;
    tokio::time::sleep(secs(3_600)).await;
    let effects = handle.effects(10).await.unwrap();
    let said: Vec<_> = effects.iter().map(|it| (it.effect.as_str(), it.class, it.attempts, it.waits_for)).collect();
    assert_eq!(said, [("order/0/charge", "Charge", 0, Some(Standing::Performer))]);
    assert!(handle.effects(0).await.unwrap().is_empty());
    handle.stop();
    let engine = running.await.unwrap();
    assert_eq!(engine.effects().count(), 1);
    let engine = Opened::open(engine.into_store().crash(), Settings::default()).unwrap();
    let runtime = Runtime::with_settings(engine, settings()).with_performer(Client(Arc::default()));
    let (handle, running) = runtime.spawn();
    assert_eq!(heard(&handle, 0).await, "paid 7 after 1");
    handle.stop();
    running.await.unwrap();
}

/// Tells that it was called.
struct Signals(Arc<Notify>);

impl Performer<Charge> for Signals {
    async fn perform(&self, _: Charge, _: &Attempt) -> Result<String, Failure> {
        self.0.notify_one();
        Ok(String::new())
    }
}

/// Says how many effects were on disk when it was called.
struct Looks(Disk, mpsc::UnboundedSender<usize>);

impl Performer<Charge> for Looks {
    async fn perform(&self, _: Charge, _: &Attempt) -> Result<String, Failure> {
        let found = Engine::<Shop, Disk>::open(self.0.crash(), Settings::default()).unwrap().effects().count();
        self.1.send(found).unwrap();
        Ok(String::new())
    }
}

// In real time: time that stands still jumps whenever the node waits for its disk.
#[tokio::test]
async fn what_an_engine_was_given_before_it_runs_is_on_disk_before_it_is_performed() {
    let (node, disk) = (shop(1).node().clone(), Disk::default());
    let mut engine = Engine::open_with(disk.clone(), Settings::default(), || node).unwrap();
    engine.send(&Id::<Order>::new(0), OrderMessage::Pay { cents: 7 }, Time::from_secs(1_000)).unwrap();
    let (called, mut calls) = mpsc::unbounded_channel();
    let runtime = Runtime::with_settings(engine, settings()).with_performer(Looks(disk, called));
    let (handle, running) = runtime.spawn();
    assert_eq!(calls.recv().await, Some(1));
    handle.stop();
    running.await.unwrap();
}

/// How many attempts block a thread now, and how many did at a time.
#[derive(Default)]
struct Blocks(AtomicU64, AtomicU64, Notify);

struct Blocker(Arc<Blocks>);

impl Performer<Block> for Blocker {
    async fn perform(&self, _: Block, attempt: &Attempt) -> Result<(), Failure> {
        let Blocks(now, most, second) = &*self.0;
        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        if attempt.number() == 1 {
            // Ten times as long as it may take.
            let (_open, never) = std::sync::mpsc::channel::<()>();
            never.recv_timeout(Duration::from_millis(100)).unwrap_err();
        } else {
            second.notify_one();
        }
        now.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_attempt_begins_while_one_that_is_too_long_blocks_its_thread() {
    let (blocks, runtime) = (Arc::new(Blocks::default()), Runtime::with_settings(shop(1), settings()));
    let (handle, running) = runtime.with_performer(Blocker(Arc::clone(&blocks))).spawn();
    handle.send(&Id::<Order>::new(0), OrderMessage::Block).await.unwrap();
    blocks.2.notified().await;
    assert_eq!(blocks.1.load(Ordering::SeqCst), 1);
    handle.stop();
    running.await.unwrap();
}

// In real time: time that stands still jumps whenever the node waits for its disk.
#[tokio::test]
async fn an_effect_is_performed_after_a_start_and_after_a_question_without_another_input() {
    let (handle, running) = Runtime::with_settings(shop(1), settings()).spawn();
    pay(&handle, 0, 7).await;
    handle.stop();
    let engine = running.await.unwrap();

    let called = Arc::new(Notify::new());
    let runtime = Runtime::with_settings(engine, settings()).with_performer(Signals(Arc::clone(&called)));
    let (handle, running) = runtime.spawn();
    let heard = || tokio::time::timeout(secs(30), called.notified());
    heard().await.unwrap();

    // The question has the commit released that it came with.
    let cancel = handle.send(&Id::<Order>::new(0), OrderMessage::Cancel).into_future();
    cancel.await.unwrap();
    let again = handle.send(&Id::<Order>::new(0), OrderMessage::Pay { cents: 8 }).into_future();
    let (again, orders) = tokio::join!(again, handle.read(|shop| shop.orders.len()));
    again.unwrap();
    assert_eq!(orders.unwrap(), 1);
    heard().await.unwrap();
    handle.stop();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn so_many_attempts_are_under_way_at_a_time() {
    const ORDERS: u64 = 500;
    let service = Arc::new(Service::default());
    let mut settings = settings();
    settings.attempts = 7;
    let runtime = Runtime::with_settings(shop(ORDERS), settings).with_performer(Client(Arc::clone(&service)));
    let (handle, running) = runtime.spawn();
    let pays = (0..ORDERS).map(|order| (Id::<Order>::new(order), OrderMessage::Pay { cents: 100 + order }));
    assert!(handle.send_all(pays).await.iter().all(Result::is_ok));
    for order in 0..ORDERS {
        assert_eq!(heard(&handle, order).await, format!("paid {} after 1", 100 + order));
    }
    assert_eq!(service.most.load(Ordering::Relaxed), 7);
    handle.stop();
    running.await.unwrap();
}

// In real time: time that stands still jumps whenever the node waits for its disk.
#[tokio::test]
async fn an_attempt_hears_that_nobody_needs_it_any_more() {
    for stops in [false, true] {
        let service = Arc::new(Service::default());
        let runtime = Runtime::with_settings(shop(1), settings()).with_performer(Client(Arc::clone(&service)));
        let (handle, running) = runtime.spawn();
        pay(&handle, 0, 5).await;
        while service.seen.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(handle.effects(1).await.unwrap()[0].waits_for, Some(Standing::Answer));
        if !stops {
            handle.send(&Id::<Order>::new(0), OrderMessage::Cancel).await.unwrap();
            service.cancelled.notified().await;
        }
        handle.stop();
        let engine = running.await.unwrap();
        // When the node stops, the effect stays; and the attempt that ended then is noted.
        let left: Vec<_> = engine.effects().map(|(_, pending)| pending.attempts).collect();
        assert_eq!(left, if stops { vec![1] } else { vec![] });
        assert!(engine.node().orders.get(&Id::new(0)).unwrap().heard.is_empty());
    }
}

// In real time: time that stands still jumps whenever the node waits for its disk.
#[tokio::test]
async fn an_attempt_that_doesnt_end_is_aborted_when_the_node_stops() {
    let service = Arc::new(Service::default());
    let mut settings = settings();
    settings.attempts_stop = Duration::from_millis(20);
    let runtime = Runtime::with_settings(shop(1), settings).with_performer(Client(Arc::clone(&service)));
    let (handle, running) = runtime.spawn();
    pay(&handle, 0, 4).await;
    while service.seen.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    handle.stop();
    let engine = running.await.unwrap();
    assert_eq!(engine.effects().map(|(_, pending)| pending.attempts).collect::<Vec<_>>(), [0]);
}
