//! How long the loop of a node is at work in one go while 100,000 timers are due at once: each owner has one of its own.
//!
//! In slices; in slices, without the snapshot that begins meanwhile, whose first piece is longer than a slice; and in goes of
//! 1,000, a whole group. Each line is one run, durable, on one thread. `block` is the longest poll of the loop, by the clock and by the time that
//! its thread had a core: on a machine that others use, the second is the loop's own.

#![allow(missing_docs, clippy::unwrap_used)]

use amiko_core::prelude::*;
use amiko_runtime::{Runtime, RuntimeSettings};
use rustix::time::{ClockId, clock_gettime};
use std::pin::{Pin, pin};
use std::task::{Context as Waker, Poll};
use std::time::{Duration, Instant};

const TIMERS: u64 = 100_000;
const RUNS: usize = 7;

#[derive(Clone, Default, Serializable)]
#[amiko(key = u64)]
struct Lease {
    ended: u64,
}

#[derive(Clone, Serializable)]
enum LeaseMessage {
    Begin { millis: u64 },
    End,
    Look,
}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(notice = u64)]
struct Leases {
    #[amiko(machines)]
    leases: Table<Lease>,
}

impl StateMachine for Lease {
    type Node = Leases;
    type Message = LeaseMessage;

    fn handle(&mut self, message: LeaseMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        match message {
            LeaseMessage::Begin { millis } => cx.timer("end", Time::from_millis(millis), LeaseMessage::End),
            LeaseMessage::End => {
                self.ended += 1;
                cx.notify(*cx.id().key());
            }
            LeaseMessage::Look => self.ended += 1,
        }
        Ok(())
    }
}

/// Measures each poll of the future inside.
struct Watched<'f, F> {
    inner: Pin<&'f mut F>,
    polls: Vec<(Duration, Duration)>,
}

fn on_core() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap(), u32::try_from(time.tv_nsec).unwrap())
}

impl<F: Future> Future for Watched<'_, F> {
    type Output = (F::Output, Vec<(Duration, Duration)>);

    fn poll(mut self: Pin<&mut Self>, waker: &mut Waker<'_>) -> Poll<Self::Output> {
        let (begun, core) = (Instant::now(), on_core());
        let outcome = self.inner.as_mut().poll(waker);
        let took = (begun.elapsed(), on_core() - core);
        self.polls.push(took);
        outcome.map(|output| (output, std::mem::take(&mut self.polls)))
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

async fn measure(timer_slice: Duration, snapshots: bool) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let leases = || Leases { leases: (0..TIMERS).map(|key| (Id::new(key), Lease::default())).collect() };
    let store = Directory::open(directory.path()).unwrap();
    let mut settings = Settings::default();
    if !snapshots {
        settings.snapshot_minimum = u64::MAX;
    }
    let mut engine = Engine::open_with(store, settings, leases).unwrap();
    for key in 0..TIMERS {
        let begin = LeaseMessage::Begin { millis: 1_000 };
        engine.send(&Id::<Lease>::new(key), begin, Time::from_millis(1)).unwrap();
        if key % 1_000 == 0 {
            engine.sync().unwrap();
        }
    }
    engine.sync().unwrap();
    let mut settings = RuntimeSettings::default();
    settings.timer_slice = timer_slice;
    let runtime = Runtime::with_settings(engine, settings);
    let handle = runtime.handle();
    let begun = Instant::now();
    let asking = async {
        // It comes after all of them were due, so it is answered after all of them.
        handle.send(&Id::<Lease>::new(0_u64), LeaseMessage::Look).await.unwrap();
        let waited = begun.elapsed();
        handle.stop();
        waited
    };
    let runs = pin!(runtime.run());
    let ((outcome, polls), waited) = tokio::join!(Watched { inner: runs, polls: Vec::new() }, asking);
    assert!(outcome.unwrap().node().leases.iter().all(|(_, lease)| lease.ended > 0));
    let mut wall: Vec<_> = polls.iter().map(|poll| poll.0).collect();
    let mut core: Vec<_> = polls.iter().map(|poll| poll.1).collect();
    wall.sort_unstable();
    core.sort_unstable();
    let at = |times: &[Duration], part: usize| millis(times[(times.len() - 1) * part / 1_000]);
    println!(
        "{:7} polls   block {:7.3} ms, {:7.3} on its core   p99 {:.3}, {:.3}   p50 {:.3}, {:.3}   all fired after {:.0} ms",
        polls.len(),
        at(&wall, 1_000),
        at(&core, 1_000),
        at(&wall, 990),
        at(&core, 990),
        at(&wall, 500),
        at(&core, 500),
        millis(waited)
    );
}

fn main() {
    let slice = RuntimeSettings::default().timer_slice;
    for (name, slice, snapshots) in [
        ("slices", slice, true),
        ("slices, no snapshot", slice, false),
        ("goes of 1,000", Duration::from_secs(1), false),
    ] {
        println!("{name}");
        for _ in 0..RUNS {
            let one_thread = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            one_thread.block_on(measure(slice, snapshots));
        }
    }
}
