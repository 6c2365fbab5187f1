//! A store for what is measured in memory, with the work of a journal.
//!
//! Invariant: its lines are those of a directory's journal; it holds those that wait for a sync, and the last group.

use crate::sink::Nothing;
use amiko_core::Time;
use amiko_core::store::{Buffer, RecoverError, Recovered, Recovery, Store, StoreError, Usage};

/// Checks and seals records as a directory does, and forgets them with the sync that would make them durable.
#[derive(Debug)]
pub struct Journal {
    buffer: Buffer,
    /// The lines of the group that was synced last.
    synced: String,
}

impl Default for Journal {
    fn default() -> Self {
        Self { buffer: Buffer::new(64 << 20), synced: String::new() }
    }
}

impl Journal {
    /// The lines of the group that was synced last.
    pub fn synced(&self) -> &str {
        &self.synced
    }
}

impl Store for Journal {
    type Work = Nothing;

    fn recover(&mut self, _: &mut dyn Recovery) -> Result<Recovered, RecoverError> {
        Ok(Recovered { sequence: 0, torn: None, damaged: Vec::new() })
    }

    fn append(&mut self, sequence: u64, record: &str) -> Result<(), StoreError> {
        self.buffer.append(sequence, record)
    }

    fn begin_sync(&mut self) -> Result<Option<Nothing>, StoreError> {
        let Some(batch) = self.buffer.take()? else { return Ok(None) };
        self.synced = batch.group.map(|group| group.lines).unwrap_or_default();
        Ok(Some(Nothing))
    }

    fn end_sync(&mut self, _: Nothing) -> Result<(), StoreError> {
        self.buffer.taken(0)
    }

    fn begin_snapshot(&mut self, _: u64, _: Time) -> Result<(), StoreError> {
        Ok(())
    }

    fn write_snapshot(&mut self, _: &str) -> Result<(), StoreError> {
        Ok(())
    }

    fn finish_snapshot(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn usage(&self) -> Usage {
        Usage { journal: 0, snapshot: 0, buffered: self.buffer.usage().buffered }
    }
}
