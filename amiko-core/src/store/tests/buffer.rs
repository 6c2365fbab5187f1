//! A store that is a [`Buffer`], and a place for its batches.

use std::error::Error;
use std::mem;
use std::path::PathBuf;

use super::*;
use crate::store::conformance::{Subject, check_all};
use crate::store::{Batch, Buffer, GroupFault, SnapshotStep, StoreError, Usage, Work, read_group};

/// What a crash leaves.
#[derive(Clone, Default)]
struct Shelf {
    snapshot: Option<(u64, String)>,
    groups: Vec<(u64, u64, String)>,
    draft: Option<(u64, String)>,
}

impl Shelf {
    /// Takes a batch; gives the bytes of the snapshot that it has finished, if it has.
    fn take(&mut self, batch: Batch) -> u64 {
        self.groups.extend(batch.group.map(|group| (group.first, group.last, group.lines)));
        let mut size = 0;
        for step in batch.snapshot {
            match step {
                SnapshotStep::Begin { sequence } => self.draft = Some((sequence, String::new())),
                SnapshotStep::Piece { text } => self.draft.as_mut().unwrap().1.push_str(&text),
                SnapshotStep::Finish => {
                    self.snapshot = self.draft.take();
                    size = self.snapshot.as_ref().unwrap().1.len() as u64;
                }
            }
        }
        let base = self.base();
        self.groups.retain(|(_, last, _)| *last > base);
        size
    }

    fn base(&self) -> u64 {
        self.snapshot.as_ref().map_or(0, |(sequence, _)| *sequence)
    }
}

struct OnShelf {
    shelf: Shelf,
    buffer: Option<Buffer>,
    recovered: bool,
    limit: u64,
}

impl OnShelf {
    fn new(shelf: Shelf, limit: u64) -> Self {
        Self { shelf, buffer: None, recovered: false, limit }
    }

    fn ready(&mut self) -> Result<&mut Buffer, StoreError> {
        match &mut self.buffer {
            Some(buffer) => Ok(buffer),
            None if self.recovered => Err(StoreError::Poisoned { cause: "a recovery that failed".to_owned() }),
            None => Err(StoreError::NotRecovered),
        }
    }
}

struct Put(Batch);

impl Work for Put {
    type Done = Batch;

    fn run(self) -> Batch {
        self.0
    }
}

impl Store for OnShelf {
    type Work = Put;

    fn recover(&mut self, visitor: &mut dyn Recovery) -> Result<Recovered, RecoverError> {
        if mem::replace(&mut self.recovered, true) {
            return Err(RecoverError::NotFresh);
        }
        let refused = |line, byte, reason| RecoverError::Refused { path: PathBuf::from("shelf"), line, byte, reason };
        let base = self.shelf.base();
        if let Some((sequence, document)) = &self.shelf.snapshot {
            let taken = visitor.snapshot(*sequence, document);
            taken.map_err(|Refused { reason, byte, line }| refused(line, byte, reason))?;
        }
        let (mut sequence, mut journal) = (base, 0);
        for (first, _, lines) in &self.shelf.groups {
            let visit = |number, record: &str| if number > base { visitor.record(number, record) } else { Ok(()) };
            sequence = read_group(lines, *first, visit).map_err(|fault| match fault {
                GroupFault::Refused { line, byte, reason } => refused(line, byte, reason),
                other => panic!("{other:?}"),
            })?;
            journal += lines.len() as u64;
        }
        let snapshot = self.shelf.snapshot.as_ref().map_or(0, |(_, document)| document.len() as u64);
        self.buffer = Some(Buffer::resume(self.limit, sequence, journal, snapshot));
        Ok(Recovered { sequence, torn: None, damaged: Vec::new() })
    }

    fn append(&mut self, sequence: u64, record: &str) -> Result<(), StoreError> {
        self.ready()?.append(sequence, record)
    }

    fn begin_sync(&mut self) -> Result<Option<Put>, StoreError> {
        Ok(self.ready()?.take()?.map(Put))
    }

    fn end_sync(&mut self, batch: Batch) -> Result<(), StoreError> {
        if !self.ready()?.is_under_way() {
            return Err(StoreError::NotUnderWay);
        }
        let size = self.shelf.take(batch);
        self.ready()?.taken(size)
    }

    fn begin_snapshot(&mut self, sequence: u64, _: Time) -> Result<(), StoreError> {
        self.ready()?.begin_snapshot(sequence)
    }

    fn write_snapshot(&mut self, piece: &str) -> Result<(), StoreError> {
        self.ready()?.write_snapshot(piece)
    }

    fn finish_snapshot(&mut self) -> Result<(), StoreError> {
        self.ready()?.finish_snapshot()
    }

    fn usage(&self) -> Usage {
        self.buffer.as_ref().map_or(Usage::default(), Buffer::usage)
    }
}

struct Shelves;

impl Subject for Shelves {
    type Store = OnShelf;

    fn fresh(&mut self) -> Result<OnShelf, Box<dyn Error>> {
        Ok(OnShelf::new(Shelf::default(), 1 << 20))
    }

    fn crash(&mut self, store: OnShelf) -> Result<OnShelf, Box<dyn Error>> {
        Ok(OnShelf::new(store.shelf, store.limit))
    }

    fn limited(&mut self, bytes: u64) -> Result<Option<OnShelf>, Box<dyn Error>> {
        Ok(Some(OnShelf::new(Shelf::default(), bytes)))
    }
}

#[test]
fn a_buffer_with_any_place_for_its_batches_conforms() {
    check_all(&mut Shelves).unwrap();
}

#[test]
fn a_group_that_was_changed_is_found() {
    let mut buffer = Buffer::new(1 << 20);
    for sequence in 1..=3 {
        buffer.append(sequence, &format!("{{\"seq\":{sequence},\"text\":\"a\"}}")).unwrap();
    }
    let lines = buffer.take().unwrap().unwrap().group.unwrap().lines;
    let read = |lines: &str, first| read_group(lines, first, |_, _| Ok(()));
    assert_eq!(read(&lines, 1), Ok(3));
    let changed = lines.replacen("\"a\"", "\"b\"", 2);
    assert!(matches!(read(&changed, 1), Err(GroupFault::Damaged { line: 1, byte: 0, .. })));
    assert!(matches!(read(&lines, 2), Err(GroupFault::Sequence { line: 1, byte: 0, expected: 2, found: 1 })));
    let second = lines.lines().next().unwrap().len() as u64 + 1;
    let without_second: Vec<_> = lines.lines().enumerate().filter(|(at, _)| *at != 1).map(|(_, line)| line).collect();
    let found = read(&without_second.join("\n"), 1);
    assert_eq!(found, Err(GroupFault::Sequence { line: 2, byte: second, expected: 2, found: 3 }));
}
