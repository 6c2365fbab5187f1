//! The thread that does the disk's part of Amiko's syncs, while the next group of events is handled.
//!
//! Invariant: one piece of work at a time.

use crate::channels::Channels;
use amiko_core::prelude::*;
use amiko_core::store::{Store, Work};
use std::sync::mpsc::{Receiver, Sender, channel};

type SyncWork = <Directory as Store>::Work;
type Done = <SyncWork as Work>::Done;

/// A thread, and whether it has something to do.
pub struct DiskThread {
    work: Sender<SyncWork>,
    done: Receiver<Done>,
    busy: bool,
}

impl Default for DiskThread {
    fn default() -> Self {
        let ((work, works), (dones, done)) = (channel::<SyncWork>(), channel());
        std::thread::spawn(move || works.into_iter().try_for_each(|work| dones.send(work.run()).ok()));
        Self { work, done, busy: false }
    }
}

impl DiskThread {
    /// Waits until it has nothing to do.
    pub fn wait(&mut self, engine: &mut Engine<Channels>) {
        if self.busy {
            let done = self.done.recv().expect("works");
            self.end(engine, done);
        }
    }

    /// Whether it has nothing to do.
    pub fn is_idle(&mut self, engine: &mut Engine<Channels>) -> bool {
        if self.busy
            && let Ok(done) = self.done.try_recv()
        {
            self.end(engine, done);
        }
        !self.busy
    }

    /// Gives it what was handled.
    pub fn begin(&mut self, engine: &mut Engine<Channels>) {
        if let Some(work) = engine.begin_sync().expect("begins") {
            self.work.send(work).expect("works");
            self.busy = true;
        }
    }

    fn end(&mut self, engine: &mut Engine<Channels>, done: Done) {
        engine.end_sync(done).expect("syncs");
        engine.outputs();
        self.busy = false;
    }
}
