//! What was promised and what was committed, and whether a disk keeps to it.
//!
//! Invariant: `acknowledged` is the highest version that anybody outside an engine can rely upon.

use crate::workload::*;
use amiko_core::engine::{EventError, SyncError};
use amiko_core::event::Output;
use amiko_core::sim::{Fate, SimVfs};
use amiko_core::store::{DirectoryDone, StoreError, Work};
use std::collections::HashMap;
use std::ops::RangeInclusive;

/// What became of a node so far.
#[derive(Clone, Debug)]
pub struct History {
    /// The document of each version that was committed.
    pub documents: Vec<String>,
    pub acknowledged: u64,
}

/// What one life of an engine came to.
#[derive(Debug, Default)]
pub struct Life {
    /// A sync failed.
    pub failed: bool,
    pub rejected: usize,
    /// Of a sync that was begun: what the disk says.
    under_way: Option<DirectoryDone<SimVfs>>,
    /// The versions that the steps made, by the numbers of the steps.
    versions: HashMap<u64, u64>,
}

impl History {
    /// Of a store that isn't there yet.
    pub fn new() -> Self {
        let bank = open(&SimVfs::new(), settings(true)).unwrap();
        Self { documents: vec![bank.document().unwrap()], acknowledged: 0 }
    }

    pub fn committed(&self) -> u64 {
        self.documents.len() as u64 - 1
    }

    /// The versions that a disk may have.
    pub fn range(&self) -> RangeInclusive<u64> {
        self.acknowledged..=self.committed()
    }

    /// Lets an engine live on a disk until the steps are over, whatever fails.
    pub fn live(&mut self, disk: &SimVfs, compacting: bool, steps: &[(u64, Step)]) -> Result<Life, String> {
        let mut life = Life::default();
        let mut bank = match open(disk, settings(compacting)) {
            Ok(bank) => bank,
            Err(Refusal::Io) => return Ok(life),
            Err(refusal) => return Err(format!("not opened: {refusal:?}")),
        };
        // Who has seen it must not lose it again.
        self.acknowledged = self.verify(&bank, self.range())?;
        self.documents.truncate(self.acknowledged as usize + 1);
        for (number, step) in steps {
            // One timer at a time, so that no version goes by unseen. None is left after that many calls.
            for _ in 0..50 {
                if bank.next_due().is_some_and(|due| due <= moment(*number)) {
                    match bank.tick(moment(*number)) {
                        Ok(_) => self.note(&bank)?,
                        Err(EventError::Poisoned { .. }) if life.failed => break,
                        Err(error) => return Err(format!("a timer failed: {error:?}")),
                    }
                }
            }
            match step {
                Step::Sync => self.sync(&mut bank, &mut life)?,
                Step::Begin if life.failed || life.under_way.is_some() => {}
                Step::Begin => {
                    let begun = bank.begin_sync().map_err(|error| format!("no sync was begun: {error:?}"))?;
                    life.under_way = begun.map(Work::run);
                }
                _ => life.take(*number, step, &mut bank)?,
            }
            self.note(&bank)?;
            // What may be sent to a peer is promised, whoever asks for it.
            let sent = bank.outbox(&peer()).filter_map(|(_, step)| life.versions.get(step).copied()).max();
            self.acknowledged = self.acknowledged.max(bank.durable().0).max(sent.unwrap_or(0));
        }
        Ok(life)
    }

    fn sync(&mut self, bank: &mut Bank, life: &mut Life) -> Result<(), String> {
        let outcome = match life.under_way.take() {
            Some(done) => bank.end_sync(done).map(|()| bank.outputs()),
            None => bank.sync(),
        };
        match outcome {
            Ok(_) if life.failed => return Err("a sync succeeded after one that failed".into()),
            Ok(outputs) => {
                let heard = outputs.iter().filter_map(|output| match output {
                    Output::Reply { reply, .. } => life.versions.get(&reply.read::<u64>().ok()?).copied(),
                    Output::Notice(step) => life.versions.get(step).copied(),
                    Output::Transmit { message, .. } => life.versions.get(&**message).copied(),
                    _ => None,
                });
                self.acknowledged = self.acknowledged.max(bank.durable().0).max(heard.max().unwrap_or(0));
            }
            Err(SyncError::Poisoned { .. } | SyncError::Store(StoreError::Poisoned { .. })) if life.failed => {}
            Err(SyncError::Store(StoreError::Io { .. })) if !life.failed => life.failed = true,
            Err(error) => return Err(format!("a sync failed in another way: {error:?}")),
        }
        Ok(())
    }

    /// Notes the version that a call has made, if it has made one.
    fn note(&mut self, bank: &Bank) -> Result<(), String> {
        match bank.version().0.checked_sub(self.committed()) {
            Some(0) => {}
            Some(1) => self.documents.push(bank.document().unwrap()),
            _ => return Err(format!("version {} after {}", bank.version().0, self.committed())),
        }
        Ok(())
    }

    /// The version of an engine, if it is one of these and what it was when it was committed.
    pub fn verify(&self, bank: &Bank, range: RangeInclusive<u64>) -> Result<u64, String> {
        let (version, document) = (bank.version().0, bank.document().unwrap());
        if !range.contains(&version) {
            return Err(format!("version {version} was recovered, expected one of {range:?}"));
        }
        if self.documents[version as usize] != document {
            return Err(format!("version {version} isn't what it was: {document}"));
        }
        Ok(version)
    }

    /// Opens a disk on which nothing fails any more: it has to open, at one of these versions.
    pub fn check(&self, disk: &SimVfs, range: RangeInclusive<u64>) -> Result<u64, String> {
        let bank = open(disk, settings(true)).map_err(|refusal| format!("not opened: {refusal:?}"))?;
        self.verify(&bank, range)
    }

    /// The same; then goes on for one more event, and loses nothing of that.
    pub fn check_and_go_on(&self, disk: &SimVfs, range: RangeInclusive<u64>) -> Result<(), String> {
        self.check(disk, range.clone())?;
        let mut bank = open(disk, settings(true)).map_err(|refusal| format!("not opened again: {refusal:?}"))?;
        let version = self.verify(&bank, range)?;
        let order = envelope(vec![Order::Deposit { amount: 1 }]);
        bank.command(order, None, moment(0)).map_err(|error| format!("no further event: {error:?}"))?;
        bank.sync().map_err(|error| format!("no further sync: {error:?}"))?;
        let document = bank.document().unwrap();
        drop(bank);
        let bank = open(&disk.crash(|_| Fate::Dropped), settings(true)).map_err(|refusal| format!("{refusal:?}"))?;
        if bank.version().0 <= version || bank.document().unwrap() != document {
            return Err(format!("the event after version {version} is lost"));
        }
        Ok(())
    }
}

impl Life {
    fn take(&mut self, number: u64, step: &Step, bank: &mut Bank) -> Result<(), String> {
        match step.take(number, bank) {
            Ok(_) if self.failed && matches!(step, Step::Command(_)) => {
                return Err(format!("step {number} was committed after a sync failed"));
            }
            Ok(version) => drop(self.versions.insert(number, version.0)),
            Err(EventError::Rejected(_) | EventError::NoConnection { .. }) => self.rejected += 1,
            Err(EventError::Poisoned { .. }) if self.failed => {}
            Err(error) => return Err(format!("step {number} {step:?}: {error:?}")),
        }
        Ok(())
    }
}
