//! The thread that does the disk's part of a sync, while events go on.
//!
//! Invariant: the thread has at most one piece of work at a time, and its outcome is taken before the next one is given.

use amiko_core::store::Work;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, mpsc as blocking};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

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

/// A thread, and the piece of work that it may be doing.
pub(crate) struct Disk<W: Work> {
    work: blocking::Sender<W>,
    done: mpsc::Receiver<W::Done>,
    busy: bool,
}

/// The thread has ended. Only a panic in the store can cause that.
#[derive(Debug)]
pub(crate) struct Gone;

impl<W: Work> Disk<W> {
    /// Starts the thread. It ends when this is dropped and its work is done.
    pub(crate) fn start(times: Arc<SyncTimes>) -> io::Result<Self> {
        let (work, works) = blocking::channel::<W>();
        let (outcome, done) = mpsc::channel(1);
        thread::Builder::new().name("amiko-disk".to_owned()).spawn(move || {
            for work in works {
                let begun = Instant::now();
                let done = work.run();
                times.add(begun.elapsed());
                // Nobody waits any more if the loop has ended.
                if outcome.blocking_send(done).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { work, done, busy: false })
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.busy
    }

    pub(crate) fn give(&mut self, work: W) -> Result<(), Gone> {
        self.busy = true;
        self.work.send(work).map_err(|_| Gone)
    }

    /// Waits for the outcome. Cancel safe.
    pub(crate) async fn done(&mut self) -> Result<W::Done, Gone> {
        let done = self.done.recv().await.ok_or(Gone)?;
        self.busy = false;
        Ok(done)
    }

    /// The outcome, if there is one yet.
    pub(crate) fn try_done(&mut self) -> Option<W::Done> {
        let done = self.done.try_recv().ok()?;
        self.busy = false;
        Some(done)
    }
}
