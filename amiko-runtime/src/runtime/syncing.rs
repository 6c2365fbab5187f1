//! When what was committed is made durable, and by whom.
//!
//! Invariant: whoever waits for a commit never waits for anything but its sync: one is begun as soon as the disk is idle. What
//! nobody waits for goes with the next one, and at the latest when [`RuntimeSettings::commit_delay`](crate::RuntimeSettings) is
//! over.

use super::{Runtime, sees};
use crate::disk::Gone;
use crate::error::RunError;
use crate::observe;
use crate::settings::Durability;
use crate::transport::Transport;
use amiko_core::conversation::Protocol;
use amiko_core::store::{Store, Work};
use std::time::Duration;
use tokio::time::Instant;

/// Inputs that a sync in the loop may be for: where there are more, others will have gathered when it is over, and events go on
/// meanwhile if a thread does it.
const FEW: usize = 16;

impl<P: Protocol, S: Store, T: Transport> Runtime<P, S, T> {
    /// Passes on what may leave, and starts the next sync if the disk is idle and it is time.
    pub(super) fn advance(&mut self) -> Result<(), RunError> {
        self.release()?;
        if self.disk.is_busy() {
            return Ok(());
        }
        if self.wants_sync() {
            return self.begin_sync();
        }
        if !self.engine.unreleased() {
            self.gathered = 0;
        } else if self.lazy.is_none() {
            self.lazy = Some(Instant::now());
        }
        Ok(())
    }

    fn wants_sync(&self) -> bool {
        if !self.is_durable() {
            return self.engine.unreleased();
        }
        let full = self.gathered >= self.settings.group.max(1);
        // Who is still there after a release waits for this sync, if only for what a rejection rests on.
        let awaited = self.engine.awaited() || !self.pending.is_empty();
        let written = self.engine.durable() < self.engine.released();
        self.engine.unsynced() && (awaited || full || written || self.delay_left() == Some(Duration::ZERO))
    }

    /// Whether the next sync is one, and not only a write.
    fn is_durable(&self) -> bool {
        match self.settings.durability {
            Durability::Always => true,
            Durability::Interval(interval) => self.synced.elapsed() >= interval,
            Durability::Never => false,
        }
    }

    /// How long what nobody waits for may still wait.
    fn delay_left(&self) -> Option<Duration> {
        Some(self.settings.commit_delay.saturating_sub(self.lazy?.elapsed()))
    }

    /// The time until what waits for a sync has to be synced, or what was only written.
    pub(super) fn sync_due(&self) -> Option<Duration> {
        match self.settings.durability {
            Durability::Interval(interval) if self.engine.durable() < self.engine.released() => {
                Some(interval.saturating_sub(self.synced.elapsed()))
            }
            _ => self.delay_left(),
        }
    }

    /// Begins to make durable what there is. The disk is idle.
    pub(super) fn begin_sync(&mut self) -> Result<(), RunError> {
        let gathered = std::mem::take(&mut self.gathered);
        self.lazy = None;
        // They see the state that this sync makes durable, and show it after that.
        self.watchers.retain_mut(|watcher| sees(&mut **watcher, self.engine.node()));
        self.looked = Some(self.engine.version());
        observe::waiting(|| self.calls.len(), || self.signals.len());
        let durable = self.is_durable();
        let few = gathered <= FEW && self.calls.is_empty() && self.signals.is_empty();
        let quick = self.disk.is_quicker_than(self.settings.quick_sync) && !self.engine.is_writing_snapshot();
        let here = !<S::Work as Work>::REMOTE && (!durable || (few && quick));
        let work = if durable { self.engine.begin_sync() } else { self.engine.begin_write() };
        if durable {
            self.synced = Instant::now();
        }
        match work.map_err(RunError::Sync)? {
            Some(work) if !here => return self.disk.give(work).map_err(RunError::Thread),
            Some(work) => {
                let done = if durable { self.disk.sync(work) } else { self.disk.write(work) };
                self.end_sync(done.map_err(|Gone| RunError::DiskThread)?)?;
            }
            // Nothing had to be written, so nothing waits.
            None => {}
        }
        self.release()
    }

    pub(super) fn end_sync(&mut self, done: <S::Work as Work>::Done) -> Result<(), RunError> {
        self.engine.end_sync(done).map_err(RunError::Sync)
    }

    /// Makes all events durable and passes on their outputs: afterwards nothing waits for a sync.
    pub(super) async fn settle(&mut self) -> Result<(), RunError> {
        loop {
            self.wait_for_disk().await?;
            self.release()?;
            if !self.engine.unreleased() {
                return Ok(());
            }
            self.begin_sync()?;
        }
    }

    pub(super) async fn wait_for_disk(&mut self) -> Result<(), RunError> {
        if self.disk.is_busy() {
            let done = self.disk.done().await.map_err(|Gone| RunError::DiskThread)?;
            self.end_sync(done)?;
        }
        Ok(())
    }
}
