//! A store for what is measured in memory.
//!
//! Invariant: it holds what waits for a sync, as one text, and nothing else: how long a bench has been running makes no
//! difference.

use amiko_core::Time;
use amiko_core::store::{RecoverError, Recovered, Recovery, Store, StoreError, Usage, Work};

/// Takes records as any store does, and forgets them with the sync that would make them durable.
#[derive(Debug, Default)]
pub struct Sink {
    lines: String,
}

/// What a [`Sink`] does to make records durable: nothing.
#[derive(Debug)]
pub struct Nothing;

impl Work for Nothing {
    type Done = Self;

    fn run(self) -> Self {
        self
    }
}

impl Store for Sink {
    type Work = Nothing;

    fn recover(&mut self, _: &mut dyn Recovery) -> Result<Recovered, RecoverError> {
        Ok(Recovered { sequence: 0, torn: None, damaged: Vec::new() })
    }

    fn append(&mut self, _: u64, record: &str) -> Result<(), StoreError> {
        self.lines.push_str(record);
        self.lines.push('\n');
        Ok(())
    }

    fn begin_sync(&mut self) -> Result<Option<Nothing>, StoreError> {
        let waiting = !self.lines.is_empty();
        self.lines.clear();
        Ok(waiting.then_some(Nothing))
    }

    fn end_sync(&mut self, _: Nothing) -> Result<(), StoreError> {
        Ok(())
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
        Usage::default()
    }
}
