//! Files that aren't what they were: cut off at any byte, or with any bit flipped.

use crate::workload::*;
use crate::{in_parallel, sample};
use amiko_core::sim::SimVfs;
use amiko_core::store::{Access, RecoverError, Vfs, VfsFile};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

const RECORDS: u64 = 100;

/// A disk, and what is on it.
struct Kept {
    disk: SimVfs,
    path: PathBuf,
    bytes: Vec<u8>,
    documents: Vec<String>,
    /// Versions that were durable before the last sync.
    before_last_group: u64,
    /// Where lines end, behind their newlines: of the header, and of each version.
    ends: Vec<usize>,
}

/// What a changed file leads to.
enum Found {
    Refused(RecoverError),
    /// The version, and where the rest was cut off as torn.
    Recovered(u64, Option<u64>),
}

impl Kept {
    /// A journal of many records, after a snapshot of nothing.
    fn journal() -> Self {
        let disk = SimVfs::new();
        let mut bank = open(&disk, settings(false)).unwrap();
        let mut documents = vec![bank.document().unwrap()];
        let mut before_last_group = 0;
        while bank.version().0 < RECORDS {
            before_last_group = bank.version().0;
            for _ in 0..1 + bank.version().0 % 4 {
                let number = bank.version().0;
                let order = match number % 20 {
                    19 => Order::Forget,
                    other if other.is_multiple_of(3) => Order::Note { text: "ä\"".into() },
                    _ => Order::Deposit { amount: number },
                };
                bank.command(envelope(vec![order]), None, moment(number)).unwrap();
                documents.push(bank.document().unwrap());
            }
            bank.sync().unwrap();
        }
        drop(bank);
        let path = PathBuf::from("store/journal-1.jsonl");
        let bytes = read(&disk, &path);
        let newlines = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        let ends = newlines.map(|(at, _)| at + 1).take(documents.len()).collect();
        Self { disk, path, bytes, documents, before_last_group, ends }
    }

    /// A snapshot, with an empty journal after it or a short one.
    fn snapshot() -> Self {
        let disk = SimVfs::new();
        let mut bank = open(&disk, settings(true)).unwrap();
        let mut documents = vec![bank.document().unwrap()];
        for step in 0.. {
            assert!(step < 1_000, "expected a snapshot, found none");
            let mut names = disk.list(Path::new("store")).unwrap();
            names.retain(|name| name.starts_with("snapshot-") && !name.ends_with(".tmp"));
            if let [name] = &*names
                && name != "snapshot-0.json"
            {
                let path = Path::new("store").join(name);
                let bytes = read(&disk, &path);
                return Self { disk, path, bytes, documents, before_last_group: 0, ends: Vec::new() };
            }
            let orders = vec![Order::Issue { number: step }, Order::Deposit { amount: step }];
            bank.command(envelope(orders), None, moment(step)).unwrap();
            documents.push(bank.document().unwrap());
            bank.sync().unwrap();
        }
        panic!("there are no more steps")
    }

    /// Opens a copy of the disk on which the file holds something else.
    fn with(&self, change: impl FnOnce(&SimVfs, &Path)) -> Result<Found, String> {
        let disk = self.disk.kill();
        change(&disk, &self.path);
        match open(&disk, settings(false)) {
            Err(Refusal::Typed(error)) => Ok(Found::Refused(error)),
            Err(refusal) => Err(format!("{refusal:?}")),
            Ok(bank) => {
                let version = bank.version().0;
                if self.documents.get(version as usize) != Some(&bank.document().unwrap()) {
                    return Err(format!("version {version} isn't what it was"));
                }
                Ok(Found::Recovered(version, bank.torn().map(|torn| torn.byte)))
            }
        }
    }

    fn cut(&self, length: usize) -> Result<Found, String> {
        self.with(|disk, path| disk.create(path).unwrap().write_at(0, &self.bytes[..length]).unwrap())
    }

    fn flip(&self, bit: u64) -> Result<Found, String> {
        let at = bit / 8;
        let flipped = self.bytes[at as usize] ^ 1 << (bit % 8);
        self.with(|disk, path| disk.open(path, Access::Write).unwrap().write_at(at, &[flipped]).unwrap())
    }

    /// The versions whose records end before this byte.
    fn whole(&self, byte: usize) -> u64 {
        self.ends.partition_point(|end| *end <= byte).saturating_sub(1) as u64
    }

    fn last(&self) -> u64 {
        self.documents.len() as u64 - 1
    }

    /// Whether a byte, before this bit is flipped or after, is a bracket, a quote or a newline, or is behind all records.
    fn says_where_a_record_ends(&self, bit: u64) -> bool {
        let (at, last) = (bit as usize / 8, self.ends[self.last() as usize]);
        let byte = self.bytes[at];
        at >= last || [byte, byte ^ 1 << (bit % 8)].iter().any(|byte| b"\"\\{}[]\n".contains(byte))
    }

    /// Where the last group of records is, and what is behind it.
    fn last_group(&self) -> Range<usize> {
        self.ends[self.before_last_group as usize]..self.bytes.len()
    }
}

fn read(disk: &SimVfs, path: &Path) -> Vec<u8> {
    let file = disk.open(path, Access::Read).unwrap();
    let mut bytes = vec![0; file.size().unwrap() as usize];
    let mut at = 0;
    while at < bytes.len() {
        at += file.read_at(at as u64, &mut bytes[at..]).unwrap();
    }
    bytes
}

/// Where an error is in this file.
fn place(error: &RecoverError, file: &Path) -> Option<u64> {
    match error {
        RecoverError::Damaged { path, line, byte, .. }
        | RecoverError::Sequence { path, line, byte, .. }
        | RecoverError::Refused { path, line, byte, .. }
            if path == file && *line > 0 =>
        {
            Some(*byte)
        }
        _ => None,
    }
}

/// A cut anywhere leaves the events before it, and no part of one. What is lost with the whole end of a file can't be
/// known; a part of a record that is left behind is reported.
#[test]
fn a_journal_that_is_cut_off_is_what_it_was_at_an_earlier_event() {
    let (begun, kept) = (Instant::now(), Kept::journal());
    in_parallel(sample(kept.bytes.len() as u64 + 1, 20), |length| {
        let length = length as usize;
        let whole = kept.whole(length);
        // A record whose newline alone is gone is whole.
        let complete = if kept.ends.contains(&(length + 1)) { kept.whole(length + 1) } else { whole };
        match kept.cut(length)? {
            Found::Refused(error) if length + 1 < kept.ends[0] => {
                place(&error, &kept.path).ok_or(format!("an error without its place: {error:?}"))?;
            }
            Found::Recovered(version, None) if version == complete && kept.ends[version as usize] + 1 >= length => {}
            Found::Recovered(version, None) if version == kept.last() => {}
            Found::Recovered(version, Some(byte))
                if version == whole && byte as usize == kept.ends[version as usize] && byte < length as u64 => {}
            Found::Recovered(version, torn) => {
                return Err(format!("a cut to {length} bytes gave version {version}, torn: {torn:?}"));
            }
            Found::Refused(error) => return Err(format!("a cut to {length} bytes gave {error:?}")),
        }
        Ok(())
    });
    println!("a journal of {} bytes, cut at each: {:.1?}", kept.bytes.len(), begun.elapsed());
}

/// Damage is refused, and not cut off. Only where a record of the last sync ends may be what is damaged: then it looks like
/// a write that never got there.
#[test]
fn a_journal_with_a_flipped_bit_is_refused_or_torn_in_its_last_group() {
    let (begun, kept) = (Instant::now(), Kept::journal());
    let (tried, torn) = (AtomicU64::new(0), AtomicU64::new(0));
    in_parallel(sample(kept.bytes.len() as u64 * 8, 100), |bit| {
        let byte = bit as usize / 8;
        tried.fetch_add(1, Relaxed);
        match kept.flip(bit)? {
            Found::Refused(error) => {
                let at = place(&error, &kept.path).ok_or(format!("an error without its place: {error:?}"))?;
                if at as usize > byte {
                    return Err(format!("bit {bit} gave an error at byte {at}"));
                }
            }
            Found::Recovered(version, Some(at))
                if kept.last_group().contains(&byte)
                    && kept.says_where_a_record_ends(bit)
                    && (kept.before_last_group..=kept.whole(byte)).contains(&version)
                    && at as usize == kept.ends[version as usize] =>
            {
                torn.fetch_add(1, Relaxed);
            }
            Found::Recovered(version, torn) => {
                return Err(format!("bit {bit} of byte {byte} gave version {version}, torn: {torn:?}"));
            }
        }
        Ok(())
    });
    println!("{tried:?} bits of a journal flipped, {torn:?} of them torn: {:.1?}", begun.elapsed());
}

#[test]
fn a_snapshot_that_is_cut_off_or_has_a_flipped_bit_is_refused() {
    let (begun, kept) = (Instant::now(), Kept::snapshot());
    let refused = |found: Found| match found {
        Found::Refused(error) => {
            place(&error, &kept.path).map(drop).ok_or(format!("an error without its place: {error:?}"))
        }
        Found::Recovered(version, _) => Err(format!("version {version} was recovered")),
    };
    in_parallel(0..kept.bytes.len() as u64, |length| refused(kept.cut(length as usize)?));
    in_parallel(0..kept.bytes.len() as u64 * 8, |bit| {
        refused(kept.flip(bit)?).map_err(|text| format!("bit {bit}: {text}"))
    });
    println!("a snapshot of {} bytes, cut at each and every bit flipped: {:.1?}", kept.bytes.len(), begun.elapsed());
}
