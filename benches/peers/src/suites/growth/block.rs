//! How long a loop keeps everybody else waiting when many timers are due at once.
//!
//! Invariant: the loop shares its one thread with a task that is always ready, and which takes note of how long it didn't run.

use super::What;
use super::town::{House, HouseMessage, Town};
use super::turns::make;
use amiko_core::prelude::*;
use amiko_core::store::Store;
use amiko_runtime::{Runtime, RuntimeSettings};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::yield_now;
use tokio::time::sleep;

/// Before any timer is due, and after all of them are.
const BEFORE: Time = Time::from_secs(2_000);
const AFTER: Time = Time::from_secs(2_000_000);

/// How often it is asked whether all have fired: seldom enough to be in nobody's way.
const LOOK: Duration = Duration::from_millis(2);

/// The longest time in which the loop let nobody else run, how long it took until all timers had fired, and how long a command
/// took that was sent when they were due: in nanoseconds.
pub(super) fn fire<S: Store + Send + 'static>(store: S, timers: u64) -> [f64; 3] {
    let mut engine = Engine::open_with(store, Settings::default(), || Town::of(timers)).expect("opens");
    make(&mut engine, What::Timers, timers);
    let clock = Arc::new(AtomicU64::new(BEFORE.as_millis()));
    let mut settings = RuntimeSettings::default();
    let told = Arc::clone(&clock);
    settings.clock = Arc::new(move || Time::from_millis(told.load(Ordering::Relaxed)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("starts");
    runtime.block_on(async {
        let (town, running) = Runtime::with_settings(engine, settings).spawn();
        town.read(|_| ()).await.expect("runs");
        let longest = Arc::new(AtomicU64::new(0));
        let ticker = tokio::spawn(tick(Arc::clone(&longest)));
        let begun = Instant::now();
        clock.store(AFTER.as_millis(), Ordering::Relaxed);
        town.send(&Id::<House>::new(0), HouseMessage::Add { amount: 1 }).await.expect("is carried out");
        let answered = begun.elapsed();
        while town.query(|engine| engine.next_due().is_some()).await.expect("runs") {
            sleep(LOOK).await;
        }
        let fired = begun.elapsed();
        ticker.abort();
        town.stop();
        let engine = running.await.expect("stops");
        assert_eq!(engine.timers().count(), 0, "all have fired");
        [longest.load(Ordering::Relaxed) as f64, fired.as_nanos() as f64, answered.as_nanos() as f64]
    })
}

/// Takes note of the longest time that it didn't run.
async fn tick(longest: Arc<AtomicU64>) {
    let mut last = Instant::now();
    loop {
        yield_now().await;
        let now = Instant::now();
        longest.fetch_max((now - last).as_nanos() as u64, Ordering::Relaxed);
        last = now;
    }
}
