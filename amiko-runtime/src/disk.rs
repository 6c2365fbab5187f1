//! The disk's part of a sync: in the loop while that is quick, or on a thread while events go on.
//!
//! Invariant: a node has at most one piece of work on a thread at a time, and its outcome is taken before the next one is
//! given.

use amiko_core::store::Work;
use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

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
    under_way: Option<oneshot::Receiver<Outcome<W>>>,
    /// How long a sync may take, going by those of late: a long one is forgotten by halves.
    expected: Option<Duration>,
}

/// Nobody knows what became of the work: the store panicked.
#[derive(Debug)]
pub(crate) struct Gone;

/// What came of a piece of work, and how long it took.
type Outcome<W> = Result<(<W as Work>::Done, Duration), Gone>;

/// Does the work, here.
fn run<W: Work>(work: W) -> Outcome<W> {
    let begun = Instant::now();
    match catch_unwind(AssertUnwindSafe(|| work.run())) {
        Ok(done) => Ok((done, begun.elapsed())),
        Err(payload) => {
            // It may panic once more when it is dropped.
            std::mem::forget(payload);
            Err(Gone)
        }
    }
}

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
    pub(crate) fn sync(&mut self, work: W) -> Result<W::Done, Gone> {
        self.taken(run(work))
    }

    /// The same where it is only a write, which says nothing about how long a sync takes.
    pub(crate) fn write(&mut self, work: W) -> Result<W::Done, Gone> {
        run(work).map(|(done, _)| done)
    }

    /// Has a thread do the work.
    pub(crate) fn give(&mut self, work: W) -> io::Result<()> {
        let (outcome, done) = oneshot::channel();
        self.under_way = Some(done);
        // Those that wait for another machine hold up nobody who waits for a disk.
        let pool = if W::REMOTE { &REMOTE } else { &LOCAL };
        pool.run(Box::new(move || {
            // Nobody waits any more if the loop has ended.
            let _ = outcome.send(run(work));
        }))
    }

    /// Waits for the outcome; for ever if nothing is under way. Cancel safe.
    pub(crate) async fn done(&mut self) -> Result<W::Done, Gone> {
        let Some(under_way) = &mut self.under_way else { return std::future::pending().await };
        let outcome = under_way.await;
        self.under_way = None;
        self.taken(outcome.unwrap_or(Err(Gone)))
    }

    /// The outcome, if there is one yet.
    pub(crate) fn try_done(&mut self) -> Result<Option<W::Done>, Gone> {
        let Some(under_way) = &mut self.under_way else { return Ok(None) };
        let outcome = match under_way.try_recv() {
            Err(TryRecvError::Empty) => return Ok(None),
            outcome => outcome.unwrap_or(Err(Gone)),
        };
        self.under_way = None;
        self.taken(outcome).map(Some)
    }

    fn taken(&mut self, outcome: Outcome<W>) -> Result<W::Done, Gone> {
        let (done, took) = outcome?;
        self.times.add(took);
        self.expected = Some(took.max(self.expected.unwrap_or_default() / 2));
        Ok(done)
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// The threads that the disks of all nodes of this process share: more than a disk gets faster by.
static LOCAL: Pool = Pool::new(16);
/// Those that wait for other machines: as many as there are nodes that wait.
static REMOTE: Pool = Pool::new(usize::MAX);

struct Pool {
    /// Threads at one time.
    most: usize,
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
    /// How long a thread waits for its next job before it ends.
    const IDLE: Duration = Duration::from_secs(5);

    const fn new(most: usize) -> Self {
        let jobs = Jobs { waiting: VecDeque::new(), threads: 0, idle: 0 };
        Self { most, state: Mutex::new(jobs), wake: Condvar::new() }
    }

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
        } else if state.threads < self.most {
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
                job();
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
