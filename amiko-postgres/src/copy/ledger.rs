//! What was copied, in few bytes, to be held against what is read back.
//!
//! Invariant: two ledgers are the same if each snapshot and each record is, but for chance in 64 bits.

use super::{Copied, CopyError};
use amiko_core::store::Kept;
use std::fmt::Display;
use std::hash::{DefaultHasher, Hash, Hasher};

/// So many records have one checksum together.
const BLOCK: u64 = 256;

/// Counts what is copied.
pub(super) struct Ledger<F> {
    progress: F,
    first: Option<u64>,
    pub(super) copied: Copied,
    snapshots: Vec<Sum>,
    blocks: Vec<Sum>,
}

/// The checksum of a snapshot, or of some records.
struct Sum {
    first: u64,
    last: u64,
    sum: DefaultHasher,
}

impl Sum {
    fn new(sequence: u64) -> Self {
        Self { first: sequence, last: sequence, sum: DefaultHasher::new() }
    }

    fn note(&mut self, sequence: u64, text: &str) {
        self.last = sequence;
        (sequence, text).hash(&mut self.sum);
    }

    fn is(&self, other: Option<&Self>) -> bool {
        let all = |sum: &Self| (sum.first, sum.last, sum.sum.finish());
        other.map(all) == Some(all(self))
    }
}

impl<F: FnMut(u64)> Ledger<F> {
    pub(super) fn new(progress: F) -> Self {
        Self { progress, first: None, copied: Copied::default(), snapshots: Vec::new(), blocks: Vec::new() }
    }

    pub(super) fn note(&mut self, kept: &Kept<'_>) {
        match *kept {
            Kept::Snapshot { sequence, document, time } => {
                let mut sum = Sum::new(sequence);
                sum.note(time.as_millis(), document);
                sum.last = sequence;
                self.snapshots.push(sum);
                self.copied.snapshots += 1;
                self.count(sequence, sequence, document);
            }
            Kept::Record { sequence, record } => {
                if self.copied.records.is_multiple_of(BLOCK) {
                    self.blocks.push(Sum::new(sequence));
                }
                if let Some(block) = self.blocks.last_mut() {
                    block.note(sequence, record);
                }
                self.copied.records += 1;
                self.count(sequence.saturating_sub(1), sequence, record);
                (self.progress)(sequence);
            }
            // There is nothing else in this version.
            _ => {}
        }
    }

    /// `before` is the version that there has to be before it, or with it.
    fn count(&mut self, before: u64, sequence: u64, text: &str) {
        self.copied.first = *self.first.get_or_insert(before);
        self.copied.last = sequence;
        self.copied.bytes += text.len() as u64;
    }

    /// Refuses to copy nothing.
    pub(super) fn end(self, source: &dyn Display) -> Result<Self, CopyError> {
        if self.first.is_some() { Ok(self) } else { Err(CopyError::Nothing { source: source.to_string() }) }
    }

    /// Refuses a copy in which anything isn't as it was copied.
    pub(super) fn compare<G>(&self, found: &Ledger<G>) -> Result<(), CopyError> {
        let differs = |reason: String| Err(CopyError::Differs { reason });
        let different = |sums: &[Sum], found: &[Sum]| {
            let place = sums.iter().enumerate().find(|(index, sum)| !sum.is(found.get(*index)));
            place.map(|(_, sum)| (sum.first, sum.last))
        };
        if let Some((sequence, _)) = different(&self.snapshots, &found.snapshots) {
            return differs(format!("the snapshot of version {sequence}"));
        }
        if let Some((first, last)) = different(&self.blocks, &found.blocks) {
            return differs(format!("a record of the versions {first} to {last}"));
        }
        if self.copied != found.copied {
            return differs(format!("expected {:?}, found {:?}", self.copied, found.copied));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

    use super::*;
    use amiko_core::Time;

    /// A snapshot, and then records whose texts are their numbers but for one.
    fn ledger(records: u64, other: Option<u64>, document: &str) -> Ledger<impl FnMut(u64)> {
        let mut ledger = Ledger::new(|_| {});
        ledger.note(&Kept::Snapshot { sequence: 7, time: Time::from_secs(1), document });
        for sequence in 8..8 + records {
            let record = if other == Some(sequence) { "other".to_owned() } else { sequence.to_string() };
            ledger.note(&Kept::Record { sequence, record: &record });
        }
        ledger
    }

    #[test]
    fn each_difference_is_found_and_placed() {
        let copied = ledger(1000, None, "{}");
        copied.compare(&ledger(1000, None, "{}")).unwrap();
        let said = |found| copied.compare(&found).unwrap_err().to_string();
        assert!(said(ledger(1000, Some(8), "{}")).ends_with("a record of the versions 8 to 263"));
        assert!(said(ledger(1000, Some(1007), "{}")).ends_with("a record of the versions 776 to 1007"));
        assert!(said(ledger(1000, None, "[]")).ends_with("the snapshot of version 7"));
        assert!(said(ledger(999, None, "{}")).ends_with("a record of the versions 776 to 1007"));
        let whole = ledger(BLOCK, None, "{}").compare(&ledger(BLOCK + 1, None, "{}")).unwrap_err().to_string();
        assert!(whole.contains("expected Copied"), "{whole}");
        let nothing = Ledger::new(|_| {}).end(&"here").err().unwrap();
        assert!(matches!(nothing, CopyError::Nothing { .. }));
    }
}
