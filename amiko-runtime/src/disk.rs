//! The thread that does the disk's part of a sync, while events go on.
//!
//! Invariant: at most one piece of work is there at a time, and what came of it is taken before the next one is given.

use amiko_core::store::Work;
use std::io;
use std::sync::mpsc as blocking;
use std::thread;
use tokio::sync::mpsc;

/// A thread, and the piece of work that it may have.
pub(crate) struct Disk<W: Work> {
    work: blocking::Sender<W>,
    done: mpsc::Receiver<W::Done>,
    busy: bool,
}

/// The thread has ended, which only a panic in the store can do.
#[derive(Debug)]
pub(crate) struct Gone;

impl<W: Work> Disk<W> {
    /// Starts the thread; it ends when this is dropped, and its work is done.
    pub(crate) fn start() -> io::Result<Self> {
        let (work, works) = blocking::channel::<W>();
        let (outcome, done) = mpsc::channel(1);
        thread::Builder::new().name("amiko-disk".to_owned()).spawn(move || {
            for work in works {
                // Nobody waits any more when the loop has ended.
                if outcome.blocking_send(work.run()).is_err() {
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

    /// Waits for the outcome. May be dropped and called again.
    pub(crate) async fn done(&mut self) -> Result<W::Done, Gone> {
        let done = self.done.recv().await.ok_or(Gone)?;
        self.busy = false;
        Ok(done)
    }

    /// The outcome, if it is there.
    pub(crate) fn try_done(&mut self) -> Option<W::Done> {
        let done = self.done.try_recv().ok()?;
        self.busy = false;
        Some(done)
    }
}
