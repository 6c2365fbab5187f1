//! A store in memory, for tests and examples, that can crash.
//!
//! Invariant: it accepts and refuses the same calls as a directory does, so test results with the one hold for the
//! other.

use std::fmt;
use std::io;
use std::mem;
use std::path::PathBuf;

use super::error::with_sources;
use super::{RecoverError, Recovered, Recovery, Refused, Store, StoreError, Usage, Work, checks, format};
use crate::time::Time;

/// What stands for a file name in errors.
const NAME: &str = "memory";

/// A [`Store`] that keeps its snapshot and its records in memory.
///
/// [`crash`](Memory::crash) returns what a restart would find.
#[derive(Default)]
pub struct Memory {
    durable: Image,
    state: State,
    /// The last one appended.
    sequence: u64,
    /// What the next sync makes durable, in order.
    steps: Vec<Step>,
    under_way: bool,
    /// The number of records among the steps since the last sync, and the bytes that their lines would have.
    records: u64,
    buffered: u64,
    pieces: u64,
    usage: Usage,
    draft: Option<Draft>,
    fail_next_sync: bool,
    /// Bytes of records that may wait for a sync, and as many of a snapshot, if it isn't as many as by default.
    limit: Option<u64>,
}

/// What a crash leaves.
#[derive(Clone, Default)]
struct Image {
    snapshot: Option<(u64, String)>,
    /// Those after the snapshot, with the bytes that their lines would have.
    records: Vec<(String, u64)>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Opened,
    Ready,
    Poisoned(String),
}

enum Step {
    Record { record: String, size: u64 },
    Snapshot { sequence: u64, document: String },
}

struct Draft {
    sequence: u64,
    document: String,
}

/// The [`Work`] of a [`Memory`].
#[must_use = "nothing is durable until the work is run and given back"]
pub struct MemoryWork {
    steps: Vec<Step>,
    fail: bool,
}

/// The result of [`MemoryWork`].
#[derive(Debug)]
pub struct MemoryDone(MemoryWork);

/// Hides the records and snapshots, which may contain secrets.
impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("sequence", &self.sequence).field("state", &self.state).finish_non_exhaustive()
    }
}

impl fmt::Debug for MemoryWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryWork").field("steps", &self.steps.len()).finish_non_exhaustive()
    }
}

impl Work for MemoryWork {
    type Done = MemoryDone;

    fn run(self) -> MemoryDone {
        MemoryDone(self)
    }
}

impl Memory {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty store whose buffers hold this many bytes, instead of 64 MiB: as
    /// [`DirectorySettings::buffer_limit`](super::DirectorySettings::buffer_limit).
    ///
    /// ```
    /// use amiko_core::store::{Memory, Store, StoreError};
    /// # use amiko_core::store::{Recovery, Refused};
    /// # struct Ignore;
    /// # impl Recovery for Ignore {
    /// #     fn snapshot(&mut self, _: u64, _: &str) -> Result<(), Refused> { Ok(()) }
    /// #     fn record(&mut self, _: u64, _: &str) -> Result<(), Refused> { Ok(()) }
    /// # }
    ///
    /// let mut store = Memory::with_buffer_limit(40);
    /// store.recover(&mut Ignore)?;
    /// store.append(1, r#"{"seq":1}"#)?;
    /// assert!(matches!(store.append(2, r#"{"seq":2}"#), Err(StoreError::BufferFull { limit: 40, .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_buffer_limit(bytes: u64) -> Self {
        Self { limit: Some(bytes), ..Self::default() }
    }

    /// The store that a restart would find now: everything that was synced and nothing else. Like any store it must
    /// be recovered first.
    #[must_use]
    pub fn crash(&self) -> Self {
        Self { durable: self.durable.clone(), limit: self.limit, ..Self::default() }
    }

    /// Makes the next sync that has something to write fail, which poisons the store.
    pub fn fail_next_sync(&mut self) {
        self.fail_next_sync = true;
    }

    fn limit(&self) -> u64 {
        self.limit.unwrap_or(checks::BUFFER_LIMIT)
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
        for (index, (record, size)) in self.durable.records.iter().enumerate() {
            sequence += 1;
            self.usage.journal += size;
            visitor.record(sequence, record).map_err(|error| refused(error, index as u64))?;
        }
        Ok(sequence)
    }
}

impl Store for Memory {
    type Work = MemoryWork;

    fn recover(&mut self, visitor: &mut dyn Recovery) -> Result<Recovered, RecoverError> {
        if !matches!(self.state, State::Opened) {
            return Err(RecoverError::NotFresh);
        }
        match self.replay(visitor) {
            Ok(sequence) => {
                self.state = State::Ready;
                self.sequence = sequence;
                Ok(Recovered { sequence, torn: None, damaged: Vec::new() })
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
        let size = format::sealed_len(sequence - self.records, sequence, record) as u64;
        checks::room(self.limit(), self.buffered, sequence, size)?;
        self.steps.push(Step::Record { record: record.to_owned(), size });
        self.records += 1;
        self.buffered += size;
        self.usage.journal += size;
        self.sequence = sequence;
        Ok(())
    }

    fn begin_sync(&mut self) -> Result<Option<MemoryWork>, StoreError> {
        self.ready()?;
        if self.under_way {
            return Err(StoreError::UnderWay);
        }
        // The pieces of a snapshot wait as well, though only its end makes a step of them.
        if self.steps.is_empty() && self.pieces == 0 {
            return Ok(None);
        }
        self.under_way = true;
        (self.records, self.buffered, self.pieces) = (0, 0, 0);
        Ok(Some(MemoryWork { steps: mem::take(&mut self.steps), fail: mem::take(&mut self.fail_next_sync) }))
    }

    fn end_sync(&mut self, MemoryDone(work): MemoryDone) -> Result<(), StoreError> {
        self.ready()?;
        if !mem::take(&mut self.under_way) {
            return Err(StoreError::NotUnderWay);
        }
        if work.fail {
            let source = io::Error::other("a failure that was asked for");
            let error = StoreError::Io { action: "sync", path: PathBuf::from(NAME), source };
            self.state = State::Poisoned(with_sources(&error));
            return Err(error);
        }
        for step in work.steps {
            self.durable.take(step, &mut self.usage);
        }
        Ok(())
    }

    fn begin_snapshot(&mut self, sequence: u64, _: Time) -> Result<(), StoreError> {
        self.ready()?;
        if sequence != self.sequence {
            return Err(StoreError::Sequence { expected: self.sequence, found: sequence });
        }
        self.draft = Some(Draft { sequence, document: String::new() });
        // Records after it aren't of one group with those before.
        self.records = 0;
        Ok(())
    }

    fn write_snapshot(&mut self, piece: &str) -> Result<(), StoreError> {
        self.ready()?;
        let limit = self.limit();
        let draft = self.draft.as_mut().ok_or(StoreError::NoSnapshot)?;
        let needed = self.pieces.saturating_add(piece.len() as u64);
        if needed > limit && self.pieces > 0 {
            return Err(StoreError::BufferFull { limit, needed });
        }
        draft.document.push_str(piece);
        self.pieces = needed;
        Ok(())
    }

    fn finish_snapshot(&mut self) -> Result<(), StoreError> {
        self.ready()?;
        let Draft { sequence, document } = self.draft.take().ok_or(StoreError::NoSnapshot)?;
        let bytes = document.as_bytes();
        checks::document(sequence, bytes.first().copied(), bytes, bytes.len() as u64)?;
        self.steps.push(Step::Snapshot { sequence, document });
        Ok(())
    }

    fn usage(&self) -> Usage {
        match self.state {
            State::Ready => Usage { buffered: self.buffered + self.pieces, ..self.usage },
            State::Opened | State::Poisoned(_) => Usage::default(),
        }
    }
}

impl Image {
    fn take(&mut self, step: Step, usage: &mut Usage) {
        match step {
            Step::Record { record, size } => self.records.push((record, size)),
            Step::Snapshot { sequence, document } => {
                let base = self.snapshot.as_ref().map_or(0, |(base, _)| *base);
                let replaced = usize::try_from(sequence.saturating_sub(base)).unwrap_or(usize::MAX);
                let replaced = self.records.drain(..replaced.min(self.records.len()));
                usage.journal -= replaced.map(|(_, size)| size).sum::<u64>();
                usage.snapshot = document.len() as u64;
                self.snapshot = Some((sequence, document));
            }
        }
    }
}
