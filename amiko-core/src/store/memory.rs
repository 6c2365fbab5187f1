//! A store in memory, for tests and examples, that can be crashed.
//!
//! Invariant: it takes and refuses the same calls as a directory does, so what a test shows with
//! the one holds for the other.

use std::io;
use std::mem;
use std::path::PathBuf;

use super::error::with_sources;
use super::{RecoverError, Recovered, Recovery, Refused, Store, StoreError, Usage, checks, format};

/// What stands for a file name in errors.
const NAME: &str = "memory";

/// A [`Store`] that keeps its snapshot and its records in memory.
///
/// [`crash`](Memory::crash) gives what a restart would find.
#[derive(Debug, Default)]
pub struct Memory {
    durable: Image,
    state: State,
    /// The last one appended.
    sequence: u64,
    buffer: Vec<String>,
    /// Bytes that the lines of the buffer would have.
    buffered: u64,
    usage: Usage,
    writing: Option<Writing>,
    fail_next_sync: bool,
}

/// What a crash leaves.
#[derive(Clone, Debug, Default)]
struct Image {
    snapshot: Option<(u64, String)>,
    /// Those after the snapshot.
    records: Vec<String>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Opened,
    Ready,
    Poisoned(String),
}

#[derive(Debug)]
struct Writing {
    sequence: u64,
    document: String,
    /// How many of the durable records it replaces.
    replaces: usize,
    /// `usage.journal` when it was begun.
    replaced: u64,
}

impl Memory {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What a restart would find now: everything that was synced and nothing else. Like any store
    /// it has to be recovered first.
    #[must_use]
    pub fn crash(&self) -> Self {
        Self { durable: self.durable.clone(), ..Self::default() }
    }

    /// Makes the next sync that has something to write fail, which poisons the store.
    pub fn fail_next_sync(&mut self) {
        self.fail_next_sync = true;
    }

    fn ready(&self) -> Result<(), StoreError> {
        match &self.state {
            State::Opened => Err(StoreError::NotRecovered),
            State::Poisoned(cause) => Err(StoreError::Poisoned { cause: cause.clone() }),
            State::Ready => Ok(()),
        }
    }

    /// Returns the last sequence number.
    fn replay(&mut self, visitor: &mut dyn Recovery) -> Result<u64, RecoverError> {
        let refused = |refused: Refused, lines_before: u64| RecoverError::Refused {
            path: PathBuf::from(NAME),
            line: lines_before.saturating_add(refused.line),
            byte: refused.byte,
            reason: refused.reason,
        };
        let mut sequence = 0;
        if let Some((at, document)) = &self.durable.snapshot {
            visitor.snapshot(*at, document).map_err(|error| refused(error, 0))?;
            sequence = *at;
            self.usage.snapshot = document.len() as u64;
        }
        for (index, record) in self.durable.records.iter().enumerate() {
            sequence += 1;
            self.usage.journal += (format::SEAL + record.len()) as u64;
            visitor.record(sequence, record).map_err(|error| refused(error, index as u64))?;
        }
        Ok(sequence)
    }
}

impl Store for Memory {
    fn recover(&mut self, visitor: &mut dyn Recovery) -> Result<Recovered, RecoverError> {
        if !matches!(self.state, State::Opened) {
            return Err(RecoverError::NotFresh);
        }
        match self.replay(visitor) {
            Ok(sequence) => {
                self.state = State::Ready;
                self.sequence = sequence;
                Ok(Recovered { sequence, torn: None })
            }
            Err(error) => {
                self.state = State::Poisoned(with_sources(&error));
                Err(error)
            }
        }
    }

    fn append(&mut self, sequence: u64, record: &str) -> Result<(), StoreError> {
        self.ready()?;
        checks::record(self.sequence, sequence, record)?;
        let group = sequence - self.buffer.len() as u64;
        let size = format::sealed_len(group, sequence, record) as u64;
        checks::room(checks::BUFFER_LIMIT, self.buffered, sequence, size)?;
        self.buffer.push(record.to_owned());
        self.buffered += size;
        self.usage.journal += size;
        self.sequence = sequence;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.ready()?;
        if self.buffer.is_empty() {
            return Ok(());
        }
        if mem::take(&mut self.fail_next_sync) {
            let source = io::Error::other("a failure that was asked for");
            let error = StoreError::Io { action: "sync", path: PathBuf::from(NAME), source };
            self.state = State::Poisoned(with_sources(&error));
            return Err(error);
        }
        self.durable.records.append(&mut self.buffer);
        self.buffered = 0;
        Ok(())
    }

    fn begin_snapshot(&mut self, sequence: u64) -> Result<(), StoreError> {
        self.ready()?;
        if sequence != self.sequence {
            return Err(StoreError::Sequence { expected: self.sequence, found: sequence });
        }
        self.sync()?;
        let replaces = self.durable.records.len();
        let replaced = self.usage.journal;
        self.writing = Some(Writing { sequence, document: String::new(), replaces, replaced });
        Ok(())
    }

    fn write_snapshot(&mut self, piece: &str) -> Result<(), StoreError> {
        self.ready()?;
        self.writing.as_mut().ok_or(StoreError::NoSnapshot)?.document.push_str(piece);
        Ok(())
    }

    fn finish_snapshot(&mut self) -> Result<(), StoreError> {
        self.ready()?;
        let Writing { sequence, document, replaces, replaced } = self.writing.take().ok_or(StoreError::NoSnapshot)?;
        let bytes = document.as_bytes();
        checks::document(sequence, bytes.first().copied(), bytes, bytes.len() as u64)?;
        self.usage.snapshot = bytes.len() as u64;
        self.usage.journal -= replaced;
        self.durable.snapshot = Some((sequence, document));
        self.durable.records.drain(..replaces);
        Ok(())
    }

    fn usage(&self) -> Usage {
        self.usage
    }
}
