//! The records of a timeline, compressed.
//!
//! Invariant: they are numbered without a gap, and together take no more memory than the limit, but for the newest block.

use super::{Before, Was};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Records in a block: to read one, all of its block are decompressed.
const BLOCK: usize = 128;

/// A block is closed earlier if it is so long, in bytes.
const BLOCK_BYTES: usize = 128 << 10;

/// Blocks that stay decompressed.
const CACHED: usize = 16;

/// What is kept of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    /// The record, without secrets.
    pub(super) text: String,
    /// What it changed, as it was before.
    pub(super) before: Vec<Before>,
}

struct Block {
    first: u64,
    count: usize,
    /// The time of its first record.
    time: u64,
    data: Box<[u8]>,
}

type Opened = Arc<Vec<Stored>>;

/// The records, oldest first.
pub(super) struct Records {
    closed: VecDeque<Block>,
    open: Vec<Stored>,
    open_time: u64,
    open_bytes: usize,
    /// The version of the next record.
    next: u64,
    bytes: usize,
    limit: usize,
    cache: Mutex<VecDeque<(u64, Opened)>>,
}

impl Records {
    pub(super) fn new(first: u64, limit: usize) -> Self {
        Self {
            closed: VecDeque::new(),
            open: Vec::new(),
            open_time: 0,
            open_bytes: 0,
            next: first,
            bytes: 0,
            limit,
            cache: Mutex::new(VecDeque::new()),
        }
    }

    /// The version of the oldest one, or of the next.
    pub(super) fn first(&self) -> u64 {
        self.closed.front().map_or(self.next - self.open.len() as u64, |block| block.first)
    }

    /// Adds the next one. Gives those that had to go for it, with the version of the first of them.
    pub(super) fn push(&mut self, stored: Stored, time: u64) -> Option<(u64, Opened)> {
        if self.open.is_empty() {
            self.open_time = time;
        }
        self.open_bytes += stored.text.len() + stored.before.iter().map(Before::bytes).sum::<usize>();
        self.open.push(stored);
        self.next += 1;
        if self.open.len() >= BLOCK || self.open_bytes >= BLOCK_BYTES {
            let open = std::mem::take(&mut self.open);
            let data = lz4_flex::compress_prepend_size(&encode(&open)).into_boxed_slice();
            self.bytes += data.len();
            let (first, count) = (self.next - open.len() as u64, open.len());
            self.closed.push_back(Block { first, count, time: self.open_time, data });
            self.open_bytes = 0;
        }
        if self.bytes <= self.limit {
            return None;
        }
        let oldest = self.closed.pop_front()?;
        self.bytes -= oldest.data.len();
        Some((oldest.first, self.opened(&oldest)))
    }

    pub(super) fn get(&self, version: u64) -> Option<Stored> {
        if let Some(at) = version.checked_sub(self.next - self.open.len() as u64) {
            return self.open.get(usize::try_from(at).ok()?).cloned();
        }
        let (first, block) = self.block(version)?;
        block.get(usize::try_from(version - first).ok()?).cloned()
    }

    /// What an event found under a key.
    pub(super) fn was(&self, version: u64, section: usize, key: &str) -> Option<Was> {
        let is = |before: &&Before| before.section == section && before.key == key;
        let of = |stored: &Stored| stored.before.iter().find(is).map(|before| before.was.clone());
        if let Some(at) = version.checked_sub(self.next - self.open.len() as u64) {
            return of(self.open.get(usize::try_from(at).ok()?)?);
        }
        let (first, block) = self.block(version)?;
        of(block.get(usize::try_from(version - first).ok()?)?)
    }

    /// Looks at each from a version back, newest first, until it is told to stop.
    pub(super) fn back(&self, from: u64, mut visit: impl FnMut(u64, &Stored) -> bool) {
        let mut version = from.min(self.next.saturating_sub(1));
        while version >= self.first() {
            let Some((first, block)) = self.block(version) else { return };
            for at in (first..=version).rev() {
                let Some(stored) = usize::try_from(at - first).ok().and_then(|at| block.get(at)) else { return };
                if !visit(at, stored) {
                    return;
                }
            }
            let Some(before) = first.checked_sub(1) else { return };
            version = before;
        }
    }

    /// When each block began: its version and its time.
    pub(super) fn times(&self) -> impl Iterator<Item = (u64, u64)> {
        let open = (!self.open.is_empty()).then(|| (self.next - self.open.len() as u64, self.open_time));
        self.closed.iter().map(|block| (block.first, block.time)).chain(open)
    }

    /// Memory of the compressed ones, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn block(&self, version: u64) -> Option<(u64, Opened)> {
        let open_first = self.next - self.open.len() as u64;
        if version >= open_first {
            return (version < self.next).then(|| (open_first, Arc::new(self.open.clone())));
        }
        let at = self.closed.partition_point(|block| block.first <= version).checked_sub(1)?;
        let block = self.closed.get(at).filter(|block| version < block.first + block.count as u64)?;
        Some((block.first, self.opened(block)))
    }

    fn opened(&self, block: &Block) -> Opened {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, opened)) = cache.iter().find(|(first, _)| *first == block.first) {
            return Arc::clone(opened);
        }
        let data = lz4_flex::decompress_size_prepended(&block.data).unwrap_or_default();
        let opened = Arc::new(decode(&data).unwrap_or_default());
        cache.push_back((block.first, Arc::clone(&opened)));
        if cache.len() > CACHED {
            cache.pop_front();
        }
        opened
    }
}

fn encode(block: &[Stored]) -> Vec<u8> {
    let mut data = Vec::new();
    let number = |data: &mut Vec<u8>, number: usize| {
        data.extend(u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
    };
    let text = |data: &mut Vec<u8>, text: &str| {
        number(data, text.len());
        data.extend(text.as_bytes());
    };
    for Stored { text: record, before } in block {
        text(&mut data, record);
        number(&mut data, before.len());
        for Before { section, key, was } in before {
            number(&mut data, *section);
            text(&mut data, key);
            let (kind, value) = match was {
                Was::Nothing => (0, ""),
                Was::Text(value) => (1, value.as_str()),
                Was::Undo(patch) => (2, patch.as_str()),
            };
            number(&mut data, kind);
            text(&mut data, value);
        }
    }
    data
}

/// What was encoded here is read back; none of it comes from outside.
fn decode(data: &[u8]) -> Option<Vec<Stored>> {
    struct Input<'d>(&'d [u8]);
    impl Input<'_> {
        fn number(&mut self) -> Option<u32> {
            let (number, rest) = self.0.split_first_chunk::<4>()?;
            self.0 = rest;
            Some(u32::from_le_bytes(*number))
        }

        fn text(&mut self) -> Option<String> {
            let length = self.number()?;
            let (text, rest) = self.0.split_at_checked(length as usize)?;
            self.0 = rest;
            String::from_utf8(text.to_vec()).ok()
        }
    }
    let mut input = Input(data);
    let mut block = Vec::with_capacity(BLOCK);
    while !input.0.is_empty() {
        let text = input.text()?;
        let count = input.number()?;
        let mut before = Vec::new();
        for _ in 0..count {
            let (section, key, kind, value) = (input.number()? as usize, input.text()?, input.number()?, input.text()?);
            let was = match kind {
                0 => Was::Nothing,
                1 => Was::Text(value),
                _ => Was::Undo(value),
            };
            before.push(Before { section, key, was });
        }
        block.push(Stored { text, before });
    }
    Some(block)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

    use super::*;
    use proptest::prelude::*;

    fn stored() -> impl Strategy<Value = Stored> {
        let was = prop_oneof![Just(Was::Nothing), "\\PC{0,9}".prop_map(Was::Text), "\\PC{0,9}".prop_map(Was::Undo)];
        let before = (0_usize..9, "\\PC{0,9}", was);
        ("\\PC{0,30}", proptest::collection::vec(before, 0..4)).prop_map(|(text, before)| Stored {
            text,
            before: before.into_iter().map(|(section, key, was)| Before { section, key, was }).collect(),
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30))]

        #[test]
        fn what_is_put_in_comes_out(first in 1_u64..100, all in proptest::collection::vec(stored(), 0..300)) {
            let mut records = Records::new(first, usize::MAX);
            for stored in &all {
                prop_assert!(records.push(stored.clone(), 7).is_none());
            }
            for (at, stored) in all.iter().enumerate() {
                let found = records.get(first + at as u64);
                prop_assert_eq!(found.as_ref(), Some(stored));
            }
            prop_assert!(records.get(first - 1).is_none() && records.get(first + all.len() as u64).is_none());
            let mut seen = Vec::new();
            records.back(u64::MAX, |version, stored| {
                seen.push((version, stored.clone()));
                true
            });
            seen.reverse();
            prop_assert!(seen.iter().map(|(_, stored)| stored).eq(&all));
            prop_assert!(seen.iter().map(|(version, _)| *version).eq(first..first + all.len() as u64));
        }
    }

    #[test]
    fn the_oldest_go_when_there_is_no_room() {
        let mut records = Records::new(1, 10_000);
        let mut gone = Vec::new();
        for at in 0..10_000_u64 {
            let text = format!("{}", at.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            gone.extend(
                records.push(Stored { text, before: Vec::new() }, at).map(|(first, block)| (first, block.len())),
            );
        }
        assert!(records.bytes() <= 10_000);
        assert_eq!(gone[0], (1, BLOCK));
        assert_eq!(records.first(), 1 + gone.iter().map(|(_, count)| *count as u64).sum::<u64>());
        assert!(records.get(records.first()).is_some() && records.get(records.first() - 1).is_none());
    }
}
