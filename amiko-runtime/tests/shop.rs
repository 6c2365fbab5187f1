//! A node without peers in somebody's program: asked things, told why not, watched, stopped; and whatever breaks.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod common;

use amiko_core::prelude::*;
use amiko_core::store::Memory;
use amiko_runtime::{AskError, RunError, Runtime, RuntimeSettings, SendError};
use common::Disk;
use futures_util::{StreamExt, stream};
use std::fmt;
use std::time::Duration;
use tokio::task::JoinSet;

#[derive(Clone, Serializable)]
#[amiko(key = String, reply = u64)]
struct Item {
    stock: u64,
}

#[derive(Clone, Serializable)]
enum ItemMessage {
    Take { count: u64 },
    Forget,
    Panic,
}

/// A machine that replies nothing.
#[derive(Clone, Default, Serializable)]
#[amiko(key = u64)]
struct Order {
    taken: u64,
}

#[derive(Clone, Serializable)]
enum OrderMessage {
    Order { item: String, count: u64 },
}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(notice = u64)]
struct Shop {
    #[amiko(machines)]
    items: Table<Item>,
    #[amiko(machines)]
    orders: Table<Order>,
}

#[derive(Debug, PartialEq)]
struct Shortage {
    available: u64,
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "only {} are left", self.available)
    }
}

impl std::error::Error for Shortage {}

impl StateMachine for Item {
    type Node = Shop;
    type Message = ItemMessage;

    fn handle(&mut self, message: ItemMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        match message {
            ItemMessage::Take { count } => {
                self.stock = self.stock.checked_sub(count).ok_or(Shortage { available: self.stock })?;
                cx.notify(self.stock);
                cx.reply(self.stock);
            }
            ItemMessage::Forget => {}
            ItemMessage::Panic => panic!("the test said so"),
        }
        Ok(())
    }
}

impl StateMachine for Order {
    type Node = Shop;
    type Message = OrderMessage;

    fn handle(&mut self, message: OrderMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        let OrderMessage::Order { item, count } = message;
        self.taken += count;
        cx.send(&Id::<Item>::new(item), ItemMessage::Take { count });
        Ok(())
    }
}

fn open<S: amiko_core::store::Store>(store: S) -> Engine<Shop, S> {
    let shop = || Shop {
        items: [(nuts(), Item { stock: 100 })].into_iter().collect(),
        orders: [(order(), Order::default())].into_iter().collect(),
    };
    Engine::open_with(store, Settings::default(), shop).unwrap()
}

fn nuts() -> Id<Item> {
    Id::new("nuts")
}

fn order() -> Id<Order> {
    Id::new(7_u64)
}

const fn take(count: u64) -> ItemMessage {
    ItemMessage::Take { count }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_and_rejections_have_their_types() {
    let (shop, running) = Runtime::new(open(Memory::new())).spawn();
    assert_eq!(shop.send(&nuts(), take(40)).await.unwrap(), 60);
    let error = shop.send(&nuts(), take(61)).await.unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Shortage { available: 60 }));
    assert_eq!(error.to_string(), "only 60 are left (in Take to item nuts)");
    // The reply of an inner machine isn't that of the order, which names none.
    let () = shop.send(&order(), OrderMessage::Order { item: "nuts".into(), count: 20 }).await.unwrap();
    let error = shop.send(&order(), OrderMessage::Order { item: "nuts".into(), count: 41 }).await.unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Shortage { available: 40 }));
    assert_eq!(error.to_string(), "only 40 are left (in Take to item nuts, sent by Order to order 7)");
    let error = shop.send(&Id::<Item>::new("figs"), take(1)).await.unwrap_err();
    assert_eq!((error.downcast_ref::<Shortage>(), error.source_text()), (None, "expected item figs, found none"));
    // It names a type of reply, and its handler gives none.
    assert!(matches!(shop.send(&nuts(), ItemMessage::Forget).await, Err(SendError::NoReply)));
    shop.stop();
    assert_eq!(running.await.unwrap().node().orders.get(&order()).map(|order| order.taken), Some(20));
}

/// The reason of a rejection.
trait SourceText {
    fn source_text(&self) -> &str;
}

impl SourceText for SendError {
    fn source_text(&self) -> &str {
        match self {
            Self::Rejected(rejection) => rejection.reason(),
            _ => "",
        }
    }
}

#[tokio::test]
async fn many_messages_are_made_durable_with_one_sync_and_each_has_its_outcome() {
    let disk = Disk::default();
    // One after the other, they would have to wait for each other.
    let mut settings = RuntimeSettings::default();
    settings.calls = 1;
    let (shop, running) = Runtime::with_settings(open(disk.clone()), settings).spawn();
    shop.read(|_| ()).await.unwrap();
    let before = disk.syncs();
    let messages = [60, 60, 40].map(|count| (nuts(), take(count)));
    let outcomes = shop.send_all(messages).await;
    assert_eq!(disk.syncs() - before, 1);
    let [Ok(40), Err(error), Ok(0)] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert_eq!(error.downcast_ref(), Some(&Shortage { available: 40 }));
    shop.stop();
    running.await.unwrap();
    assert!(matches!(shop.send_all([(nuts(), take(1))]).await[..], [Err(SendError::Stopped)]));
}

#[tokio::test]
async fn a_stream_of_commands_has_so_many_under_way_and_its_outcomes_in_order() {
    let (shop, running) = Runtime::new(open(Memory::new())).spawn();
    let commands = stream::iter([60, 60, 30, 10]).map(|count| shop.send(&nuts(), take(count)).into_future());
    let outcomes: Vec<_> = commands.buffered(64).map(|outcome| outcome.ok()).collect().await;
    assert_eq!(outcomes, [Some(40), None, Some(10), Some(0)]);
    shop.stop();
    running.await.unwrap();
}

#[tokio::test]
async fn a_command_with_a_key_acts_once_whoever_sends_it_and_however_often_the_node_is_started() {
    let mut disk = Disk::default();
    for _ in 0..3 {
        let (shop, running) = Runtime::new(open(disk.clone())).spawn();
        let mut callers = JoinSet::new();
        for _ in 0..10 {
            let shop = shop.clone();
            callers.spawn(async move { shop.send(&nuts(), take(3)).key("request-4711").await.unwrap() });
        }
        while let Some(reply) = callers.join_next().await {
            assert_eq!(reply.unwrap(), 97);
        }
        let error = shop.send(&nuts(), take(4)).key("request-4711").await.unwrap_err();
        assert!(matches!(&error, SendError::KeyUsed { key } if key == "request-4711"), "{error}");
        let error = shop.send(&nuts(), take(3)).key("k".repeat(256)).await.unwrap_err();
        assert!(matches!(error, SendError::KeyTooLong { limit: 255, found: 256 }), "{error}");
        // The machine stops without a word.
        disk = disk.crash();
        drop(running);
    }
}

#[tokio::test]
async fn who_watches_a_value_sees_it_when_it_is_on_disk_and_the_latest_only() {
    let disk = Disk::default();
    let mut settings = RuntimeSettings::default();
    settings.quick_sync = Duration::ZERO;
    let (shop, running) = Runtime::with_settings(open(disk.clone()), settings).spawn();
    let mut stock = shop.watch_object(&nuts()).await;
    let mut orders = shop.watch(|shop: &Shop| shop.orders.len()).await;
    let mut missing = shop.watch_object(&Id::<Item>::new("figs")).await;
    assert_eq!(stock.value().unwrap().map(|item| item.stock), Some(100));
    assert_eq!((orders.value(), missing.value().unwrap().is_none()), (Ok(1), true));

    disk.hold();
    let caller = tokio::spawn({
        let shop = shop.clone();
        async move { shop.send(&nuts(), take(1)).await.unwrap() }
    });
    common::turns().await;
    assert_eq!(stock.value().unwrap().map(|item| item.stock), Some(100));
    disk.let_go();
    caller.await.unwrap();
    stock.changed().await.unwrap();
    assert_eq!(stock.value().unwrap().map(|item| item.stock), Some(99));

    for _ in 0..5 {
        shop.send(&nuts(), take(1)).await.unwrap();
    }
    stock.changed().await.unwrap();
    assert_eq!(stock.value().unwrap().map(|item| item.stock), Some(94));
    // Nothing that these two see has changed.
    for count in [orders.changed().now_or_never().await, missing.changed().now_or_never().await] {
        assert!(count.is_none());
    }
    shop.stop();
    running.await.unwrap();
    assert_eq!(stock.changed().await, Err(AskError::Stopped));
    assert_eq!(shop.watch(|shop: &Shop| shop.orders.len()).await.value(), Err(AskError::Stopped));
}

trait NowOrNever: Future + Sized {
    async fn now_or_never(self) -> Option<Self::Output> {
        tokio::time::timeout(Duration::ZERO, self).await.ok()
    }
}

impl<F: Future> NowOrNever for F {}

#[tokio::test]
async fn a_dry_run_says_what_would_happen_and_nothing_does() {
    let (shop, running) = Runtime::new(open(Memory::new())).spawn();
    let version = shop.query(|engine| engine.version()).await.unwrap();
    let tried = shop.dry_run(&nuts(), take(2)).await.unwrap();
    let left = shop.send(&nuts(), take(0)).await.unwrap() - 2;
    assert_eq!(tried.difference(), format!(r#"[{{"op":"replace","path":"/state/items/nuts/stock","value":{left}}}]"#));
    let refused = shop.dry_run(&nuts(), take(u64::MAX)).await.unwrap_err();
    assert!(refused.downcast_ref::<Shortage>().is_some(), "{refused}");
    let panicked = shop.dry_run(&nuts(), ItemMessage::Panic).await.unwrap_err();
    assert!(panicked.to_string().contains("panicked"), "{panicked}");
    assert_eq!(shop.query(|engine| engine.version()).await.unwrap(), version);
    shop.stop();
    running.await.unwrap();
    assert!(matches!(shop.dry_run(&nuts(), take(1)).await, Err(SendError::Stopped)));
}

#[tokio::test]
async fn a_watcher_that_panics_ends_and_the_node_goes_on() {
    let (shop, _running) = Runtime::new(open(Memory::new())).spawn();
    let look = |shop: &Shop| {
        let stock = shop.items.get(&nuts()).map(|item| item.stock);
        assert_eq!(stock, Some(100), "the test said so");
        stock
    };
    let mut watched = shop.watch(look).await;
    assert_eq!(watched.value(), Ok(Some(100)));
    assert_eq!(shop.send(&nuts(), take(1)).await.unwrap(), 99);
    assert_eq!(watched.changed().await, Err(AskError::Stopped));
    assert_eq!(shop.send(&nuts(), take(1)).await.unwrap(), 98);
}

#[tokio::test]
async fn a_panic_in_a_handler_or_a_question_reaches_who_asked_and_the_node_goes_on() {
    let (shop, _running) = Runtime::new(open(Memory::new())).spawn();
    let error = shop.send(&nuts(), ItemMessage::Panic).await.unwrap_err();
    assert_eq!(error.source_text(), "a handler panicked: the test said so");
    let asking = shop.clone();
    let asked = tokio::spawn(async move { asking.read(|_| panic!("the test said so")).await });
    assert!(asked.await.unwrap_err().is_panic());
    assert_eq!(shop.send(&nuts(), take(1)).await.unwrap(), 99);
}

#[tokio::test]
async fn a_stop_that_takes_too_long_says_what_it_waits_for() {
    let disk = Disk::default();
    let mut settings = RuntimeSettings::default();
    settings.stop_limit = Duration::from_millis(20);
    settings.quick_sync = Duration::ZERO;
    let (shop, running) = Runtime::with_settings(open(disk.clone()), settings).spawn();
    disk.hold();
    let caller = tokio::spawn({
        let shop = shop.clone();
        async move { shop.send(&nuts(), take(1)).await }
    });
    common::turns().await;
    shop.stop();
    let error = running.await.err().unwrap();
    assert!(matches!(error, RunError::StopTimeout { waiting: 1, .. }), "{error}");
    assert!(error.to_string().contains("within 20ms, still waiting for the disk to take 1 events"), "{error}");
    assert!(matches!(caller.await.unwrap(), Err(SendError::Unknown)));
    disk.let_go();
}

#[tokio::test]
async fn a_disk_that_fails_ends_the_node_and_everybody_is_told() {
    let disk = Disk::default();
    let (shop, running) = Runtime::new(open(disk.clone())).spawn();
    let mut watched = shop.watch_object(&nuts()).await;
    watched.value().unwrap();
    let mut notices = shop.notices().await;
    let server = tokio::spawn(shop.stopped());
    assert!(!server.is_finished());
    disk.fail_next_sync();
    assert!(matches!(shop.send(&nuts(), take(1)).await, Err(SendError::Unknown)));
    assert!(matches!(running.await, Err(RunError::Sync(_))));
    server.await.unwrap();
    assert!(matches!(shop.send(&nuts(), take(1)).await, Err(SendError::Stopped)));
    assert_eq!((watched.changed().await, shop.read(|_| ()).await), (Err(AskError::Stopped), Err(AskError::Stopped)));
    assert!(notices.recv().await.is_none());
}

#[test]
fn a_node_goes_on_without_handles_and_ends_with_the_runtime_that_it_is_in() {
    let disk = Disk::default();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (shop, running) = runtime.block_on(async {
        let (shop, running) = Runtime::new(open(disk.clone())).spawn();
        let again = shop.clone();
        drop(shop);
        assert_eq!(again.send(&nuts(), take(1)).await.unwrap(), 99);
        (again, running)
    });
    drop(runtime);
    let outside = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert!(matches!(outside.block_on(running), Err(RunError::Cancelled)));
    assert!(matches!(outside.block_on(async { shop.send(&nuts(), take(1)).await }), Err(SendError::Stopped)));
    assert_eq!(open(disk.crash()).node().items.get(&nuts()).map(|item| item.stock), Some(99));
}

#[test]
fn who_waits_for_a_node_that_is_dropped_in_the_midst_of_a_sync_is_told_that_nobody_knows() {
    let disk = Disk::default();
    let inside = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let outside = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut settings = RuntimeSettings::default();
    // On a thread of its own: the loop isn't to wait for a disk that doesn't end.
    settings.quick_sync = Duration::ZERO;
    let (shop, _running) = inside.block_on(async { Runtime::with_settings(open(disk.clone()), settings).spawn() });
    inside.block_on(async { shop.send(&nuts(), take(1)).await }).unwrap();
    disk.hold();
    let before = disk.syncs();
    let told = outside.block_on(async {
        let mut sending = std::pin::pin!(async { shop.send(&nuts(), take(1)).await });
        while disk.syncs() == before {
            tokio::select! {
                biased;
                _ = &mut sending => panic!("it isn't on disk"),
                () = tokio::task::yield_now() => {}
            }
        }
        inside.shutdown_background();
        sending.await
    });
    disk.let_go();
    assert!(matches!(told, Err(SendError::Unknown)), "{told:?}");
    outside.block_on(shop.stopped());
}

#[test]
fn a_program_that_isnt_async_has_the_node_on_a_thread() {
    let (shop, thread) = Runtime::new(open(Memory::new())).thread().unwrap();
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let shop = shop.clone();
            std::thread::spawn(move || shop.send(&nuts(), take(10)).unwrap())
        })
        .collect();
    let mut left: Vec<u64> = callers.into_iter().map(|caller| caller.join().unwrap()).collect();
    left.sort_unstable();
    assert_eq!(left, [60, 70, 80, 90]);
    assert_eq!(shop.send(&nuts(), take(61)).unwrap_err().downcast_ref(), Some(&Shortage { available: 60 }));
    for _ in 0..2 {
        assert_eq!(shop.send_once("a", &nuts(), take(10)).unwrap(), 50);
    }
    assert_eq!(shop.read(|shop| shop.items.len()), Ok(1));
    shop.stop();
    assert_eq!(thread.join().unwrap().node().items.get(&nuts()).map(|item| item.stock), Some(50));
    assert!(matches!(shop.send(&nuts(), take(1)), Err(SendError::Stopped)));
    assert_eq!(shop.read(|_| ()), Err(AskError::Stopped));
}
