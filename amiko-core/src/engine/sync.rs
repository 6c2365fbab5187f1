//! Committed events on their way to the disk, and their outputs on the way out.
//!
//! Invariant: outputs are released in the order of their versions, and after a failure none of them is, now or later.

use super::{Engine, SyncError};
use crate::event::Output;
use crate::machine::Node;
use crate::observe::{self, Sizes, SyncWatch};
use crate::sabotage::{Sabotage, sabotaged};
use crate::store::{Store, StoreError, Work};
use crate::version::Version;
use std::time::Duration;

/// A sync that has begun and not ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct UnderWay {
    /// The version that it makes durable, or only writes.
    version: Version,
    durable: bool,
    /// Whether it ends a snapshot.
    snapshot: bool,
    watch: SyncWatch,
}

impl<N: Node, S: Store> Engine<N, S> {
    /// Makes every committed event durable, with one write and one fdatasync, in this call, and returns their
    /// outputs, oldest first.
    ///
    /// # Errors
    /// The store failed. Nothing is released, now or later: drop the engine and reopen the store.
    pub fn sync(&mut self) -> Result<Vec<Output<N>>, SyncError> {
        if let Some(work) = self.begin_sync()? {
            if sabotaged(Sabotage::AcknowledgeBeforeSync) {
                let outputs = self.outputs();
                // The next caller gets the failure.
                self.failure = self.end_sync(work.run()).err();
                return Ok(outputs);
            }
            self.end_sync(work.run())?;
        }
        Ok(self.outputs())
    }

    /// The same in three steps, so that another thread can do the disk's part while events go on: run the returned
    /// work with [`Work::run`] on any thread, pass its result to [`Engine::end_sync`], and take the
    /// [`Engine::outputs`]. None means that there is nothing to write.
    ///
    /// ```
    /// # use amiko_core::{engine::Settings, prelude::*, store::Memory};
    /// # #[derive(Clone, Default, Serializable, Node)]
    /// # #[amiko(machine)]
    /// # struct Counter { value: u64 }
    /// # #[derive(Clone, Serializable)]
    /// # struct Add { amount: u64 }
    /// # impl StateMachine for Counter {
    /// #     type Node = Self;
    /// #     type Message = Add;
    /// #     fn handle(&mut self, add: Add, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
    /// #         self.value += add.amount;
    /// #         Ok(())
    /// #     }
    /// # }
    /// use amiko_core::store::Work;
    ///
    /// # let mut engine = Engine::<Counter, _>::open(Memory::new(), Settings::default())?;
    /// # let (counter, now) = (Id::new(()), Time::from_secs(1));
    /// engine.send(&counter, Add { amount: 7 }, now)?;
    /// let work = engine.begin_sync()?.ok_or("nothing to write")?;
    /// let disk = std::thread::spawn(|| work.run());
    /// engine.send(&counter, Add { amount: 8 }, now)?; // meanwhile; it is for the next sync
    /// engine.end_sync(disk.join().map_err(|_| "the thread panicked")?)?;
    /// assert!(engine.version() == 2 && engine.durable() == 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The store failed, and nothing is released any more; or a sync is already under way ([`StoreError::UnderWay`]).
    pub fn begin_sync(&mut self) -> Result<Option<S::Work>, SyncError> {
        self.begin(true)
    }

    /// The same without the fdatasync: committed events survive the end of the process, but not a crash of the
    /// machine. Outputs are released when they are written.
    ///
    /// # Errors
    /// As [`Engine::begin_sync`].
    pub fn begin_write(&mut self) -> Result<Option<S::Work>, SyncError> {
        self.begin(false)
    }

    fn begin(&mut self, durable: bool) -> Result<Option<S::Work>, SyncError> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        if let Some(reason) = self.poisoned {
            return Err(SyncError::Poisoned { reason });
        }
        if self.under_way.is_some() {
            return Err(SyncError::Store(StoreError::UnderWay));
        }
        let begun = if durable { self.store.begin_sync() } else { self.store.begin_write() };
        let work = begun.map_err(|error| self.fail(SyncError::Store(error)))?;
        let watch = SyncWatch::begin(self.version.0.saturating_sub(self.released.0));
        let under_way = UnderWay { version: self.version, durable, snapshot: self.compaction.is_given(), watch };
        match work {
            Some(work) => {
                if sabotaged(Sabotage::AcknowledgeBeforeSync) {
                    self.advance(under_way);
                }
                self.under_way = Some(under_way);
                Ok(Some(work))
            }
            None => {
                self.advance(under_way);
                Ok(None)
            }
        }
    }

    /// Takes back the work of [`Engine::begin_sync`] after it has run.
    ///
    /// # Errors
    /// The store failed. Nothing is released, now or later: drop the engine and reopen the store.
    pub fn end_sync(&mut self, done: <S::Work as Work>::Done) -> Result<(), SyncError> {
        if let Some(reason) = self.poisoned {
            return Err(SyncError::Poisoned { reason });
        }
        let Some(under_way) = self.under_way.take() else { return Err(SyncError::Store(StoreError::NotUnderWay)) };
        self.store.end_sync(done).map_err(|error| self.fail(SyncError::Store(error)))?;
        under_way.watch.end(under_way.version.0, under_way.durable);
        self.advance(under_way);
        let (beside, history) = (self.event.dispatcher.beside(), &self.history);
        self.sampler.sample(|| Sizes {
            timers: beside.timers.len(),
            effects: beside.effects.len(),
            connections: beside.connections.len(),
            answers: beside.answers.len(),
            outbox: beside.connections.iter().map(|(_, connection)| connection.outbox.len()).sum(),
            history_bytes: history.bytes(),
        });
        Ok(())
    }

    /// The outputs that may be released, oldest first. This is the only way to get them.
    pub fn outputs(&mut self) -> Vec<Output<N>> {
        if self.poisoned.is_some() {
            return Vec::new();
        }
        if sabotaged(Sabotage::LazyGroupReleasedEarly) && !self.awaited() {
            self.released = self.version;
        }
        self.sealed.release(self.released)
    }

    /// For how long the state is the newest one for certain, as [`Store::lease`] says; none means for ever.
    ///
    /// # Errors
    /// Another one leads, or may: no question about the state may be answered any more.
    pub fn lease(&self) -> Result<Option<Duration>, SyncError> {
        self.store.lease().map_err(SyncError::Store)
    }

    fn advance(&mut self, UnderWay { version, durable, snapshot, .. }: UnderWay) {
        self.released = version;
        if durable {
            self.durable = version;
        }
        // An edit that was refused may have abandoned it meanwhile, and another one may have begun.
        if snapshot && self.compaction.is_given() {
            self.compaction.end();
            let usage = self.store.usage();
            observe::snapshot(version.0, usage.snapshot);
        }
        self.unreleased.retain(|_, versions| {
            versions.drain(..versions.partition_point(|(sent, _)| *sent <= version));
            !versions.is_empty()
        });
    }

    pub(super) fn fail(&mut self, error: SyncError) -> SyncError {
        self.poisoned = Some("a write or a sync failed");
        error
    }
}
