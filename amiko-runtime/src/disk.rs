//! The disk's part of a sync: in the loop while that is quick, or on a thread while events go on.
//!
//! Invariant: a node has at most one piece of work on a thread at a time, and its outcome is taken before the next one is
//! given.

use amiko_core::store::Work;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How long the last syncs took.
#[derive(Default)]
pub(crate) struct SyncTimes(Mutex<VecDeque<Duration>>);

impl SyncTimes {
    /// How many are kept.
    const KEPT: usize = 256;

    fn add(&self, took: Duration) {
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        times.push_back(took);
        while times.len() > Self::KEPT {
            times.pop_front();
        }
    }

    /// The oldest first.
    pub(crate) fn get(&self) -> Vec<Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }
}

/// The disk of one node, and the piece of work that is under way on a thread.
pub(crate) struct Disk<W: Work> {
    times: Arc<SyncTimes>,
    under_way: Option<oneshot::Receiver<(W::Done, Duration)>>,
    /// How long a sync may take, going by those of late: a long one is forgotten by halves.
    expected: Option<Duration>,
}

/// The work was never done. Only a panic in the store can cause that.
#[derive(Debug)]
pub(crate) struct Gone;

impl<W: Work> Disk<W> {
    pub(crate) fn new(times: Arc<SyncTimes>) -> Self {
        Self { times, under_way: None, expected: None }
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.under_way.is_some()
    }

    /// Whether the next sync will most likely take less than this. Of a disk that was never seen, nobody knows.
    pub(crate) fn is_quicker_than(&self, limit: Duration) -> bool {
        self.expected.is_some_and(|expected| expected < limit)
    }

    /// Does the work here and now.
    pub(crate) fn run(&mut self, work: W) -> W::Done {
        let begun = Instant::now();
        let done = work.run();
        self.note(begun.elapsed());
        done
    }

    /// Has a thread do the work.
    pub(crate) fn give(&mut self, work: W) -> io::Result<()> {
        let (outcome, done) = oneshot::channel();
        self.under_way = Some(done);
        POOL.run(Box::new(move || {
            let begun = Instant::now();
            let done = work.run();
            // Nobody waits any more if the loop has ended.
            let _ = outcome.send((done, begun.elapsed()));
        }))
    }

    /// Waits for the outcome; for ever if nothing is under way. Cancel safe.
    pub(crate) async fn done(&mut self) -> Result<W::Done, Gone> {
        let Some(under_way) = &mut self.under_way else { return std::future::pending().await };
        let outcome = under_way.await;
        self.under_way = None;
        let (done, took) = outcome.map_err(|_| Gone)?;
        self.note(took);
        Ok(done)
    }

    /// The outcome, if there is one yet.
    pub(crate) fn try_done(&mut self) -> Option<W::Done> {
        let (done, took) = self.under_way.as_mut()?.try_recv().ok()?;
        self.under_way = None;
        self.note(took);
        Some(done)
    }

    fn note(&mut self, took: Duration) {
        self.times.add(took);
        self.expected = Some(took.max(self.expected.unwrap_or_default() / 2));
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// The threads that the disks of all nodes of this process share.
static POOL: Pool =
    Pool { state: Mutex::new(Jobs { waiting: VecDeque::new(), threads: 0, idle: 0 }), wake: Condvar::new() };

struct Pool {
    state: Mutex<Jobs>,
    wake: Condvar,
}

struct Jobs {
    /// At most one of each node.
    waiting: VecDeque<Job>,
    threads: usize,
    /// Threads that wait for a job, those included that are called and haven't come yet.
    idle: usize,
}

impl Pool {
    /// Threads at one time: more than a disk gets faster by, as some of them may wait for another machine.
    const THREADS: usize = 16;
    /// How long a thread waits for its next job before it ends.
    const IDLE: Duration = Duration::from_secs(5);

    fn state(&self) -> MutexGuard<'_, Jobs> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// # Errors
    /// There is no thread, and the operating system gives none.
    fn run(&'static self, job: Job) -> io::Result<()> {
        let mut state = self.state();
        let called = state.waiting.len();
        state.waiting.push_back(job);
        if state.idle > called {
            self.wake.notify_one();
        } else if state.threads < Self::THREADS {
            match thread::Builder::new().name("amiko-disk".to_owned()).spawn(|| self.work()) {
                Ok(_) => state.threads += 1,
                // One of the others will come to it.
                Err(_) if state.threads > 0 => {}
                Err(error) => {
                    state.waiting.pop_back();
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn work(&self) {
        let mut state = self.state();
        loop {
            while let Some(job) = state.waiting.pop_front() {
                drop(state);
                // A job that panics drops the sender of its outcome, and that is how its node hears of it.
                drop(std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)));
                state = self.state();
            }
            state.idle += 1;
            let (found, waited) = self.wake.wait_timeout(state, Self::IDLE).unwrap_or_else(PoisonError::into_inner);
            state = found;
            state.idle -= 1;
            if waited.timed_out() && state.waiting.is_empty() {
                state.threads -= 1;
                return;
            }
        }
    }
}
