//! A store in memory that several members share, whose lease a test gives and takes.

#![allow(dead_code, clippy::unwrap_used, reason = "shared by tests, each of which uses a part")]

use amiko_core::Time;
use amiko_core::serializable::Classes;
use amiko_core::store::{
    Batch, Buffer, Leader, RecoverError, Recovered, Recovery, SnapshotStep, Standby, Store, StoreError, Takeover,
    Usage, Work, read_group,
};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// What the members share.
#[derive(Default)]
pub(crate) struct Database {
    epoch: u64,
    pub(crate) leader: Option<&'static str>,
    snapshot: Option<(u64, String)>,
    groups: Vec<(u64, u64, String)>,
    draft: Option<(u64, String)>,
    /// Whether a lease that nobody has may be taken, and by whom.
    next: Option<&'static str>,
    /// Nobody gets an answer.
    pub(crate) away: bool,
}

#[derive(Clone, Default)]
pub(crate) struct Shared(Arc<(Mutex<Database>, Condvar)>);

impl Shared {
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut Database) -> R) -> R {
        let (database, changed) = &*self.0;
        let result = act(&mut database.lock().unwrap());
        changed.notify_all();
        result
    }

    /// The lease of whoever leads is over, and this one gets the next.
    pub(crate) fn pass_to(&self, next: &'static str) {
        self.with(|database| (database.leader, database.next) = (None, Some(next)));
    }

    fn record_after(&self, reached: u64, visitor: &mut dyn Recovery) -> u64 {
        let groups = self.with(|database| database.groups.clone());
        let mut last = reached;
        for (first, end, lines) in groups.iter().filter(|(_, end, _)| *end > reached) {
            read_group(lines, *first, |sequence, record| visitor.record(sequence, record)).unwrap();
            last = *end;
        }
        last
    }
}

pub(crate) struct Place {
    pub(crate) shared: Shared,
    pub(crate) name: &'static str,
    pub(crate) reached: Option<u64>,
}

pub(crate) struct Led {
    shared: Shared,
    name: &'static str,
    epoch: u64,
    reached: Option<u64>,
    buffer: Buffer,
}

pub(crate) struct Commit(Shared, u64, Batch);

impl Work for Commit {
    type Done = Result<u64, StoreError>;

    const REMOTE: bool = true;

    fn run(self) -> Self::Done {
        let Self(shared, epoch, batch) = self;
        shared.with(|database| {
            if database.epoch != epoch {
                return Err(StoreError::Fenced { epoch, leader: database.leader.map(str::to_owned) });
            }
            database.groups.extend(batch.group.map(|group| (group.first, group.last, group.lines)));
            let mut size = 0;
            for step in batch.snapshot {
                match step {
                    SnapshotStep::Begin { sequence } => database.draft = Some((sequence, String::new())),
                    SnapshotStep::Piece { text } => database.draft.as_mut().unwrap().1.push_str(&text),
                    _ => {
                        database.snapshot = database.draft.take();
                        size = database.snapshot.as_ref().unwrap().1.len() as u64;
                    }
                }
            }
            Ok(size)
        })
    }
}

impl Store for Led {
    type Work = Commit;

    fn recover(&mut self, visitor: &mut dyn Recovery) -> Result<Recovered, RecoverError> {
        let mut place = Place { shared: self.shared.clone(), name: self.name, reached: self.reached };
        place.follow(visitor)?;
        let sequence = place.reached.unwrap_or(0);
        self.buffer = Buffer::resume(1 << 20, sequence, 0, 0);
        Ok(Recovered { sequence, torn: None, damaged: Vec::new() })
    }

    fn append(&mut self, sequence: u64, record: &str) -> Result<(), StoreError> {
        self.buffer.append(sequence, record)
    }

    fn begin_sync(&mut self) -> Result<Option<Commit>, StoreError> {
        Ok(self.buffer.take()?.map(|batch| Commit(self.shared.clone(), self.epoch, batch)))
    }

    fn end_sync(&mut self, done: Result<u64, StoreError>) -> Result<(), StoreError> {
        self.buffer.taken(done?)
    }

    fn begin_snapshot(&mut self, sequence: u64, _: Time) -> Result<(), StoreError> {
        self.buffer.begin_snapshot(sequence)
    }

    fn write_snapshot(&mut self, piece: &str) -> Result<(), StoreError> {
        self.buffer.write_snapshot(piece)
    }

    fn finish_snapshot(&mut self) -> Result<(), StoreError> {
        self.buffer.finish_snapshot()
    }

    fn describe(&mut self, _: &Classes) -> Result<(), StoreError> {
        Ok(())
    }

    fn lease(&self) -> Result<Option<Duration>, StoreError> {
        self.shared.with(|database| match database.leader {
            Some(leader) if leader == self.name && database.epoch == self.epoch => Ok(Some(Duration::from_millis(10))),
            leader => Err(StoreError::Fenced { epoch: self.epoch, leader: leader.map(str::to_owned) }),
        })
    }

    fn usage(&self) -> Usage {
        self.buffer.usage()
    }
}

impl Standby for Place {
    type Store = Led;

    fn follow(&mut self, visitor: &mut dyn Recovery) -> Result<(), RecoverError> {
        if self.shared.with(|database| database.away) {
            let source = std::io::Error::other("away");
            return Err(RecoverError::Io { action: "read", path: "shared".into(), source });
        }
        if self.reached.is_none()
            && let Some((sequence, document)) = self.shared.with(|database| database.snapshot.clone())
        {
            visitor.snapshot(sequence, &document).unwrap();
            self.reached = Some(sequence);
        }
        self.reached = self.reached.map(|reached| self.shared.record_after(reached, visitor));
        Ok(())
    }

    fn wait(&mut self, at_most: Duration) {
        let (database, changed) = &*self.shared.0;
        drop(changed.wait_timeout(database.lock().unwrap(), at_most.min(Duration::from_millis(10))).unwrap());
    }

    fn take_over(&mut self) -> Result<Takeover<Led>, StoreError> {
        let (name, shared, reached) = (self.name, self.shared.clone(), self.reached);
        let epoch = self.shared.with(|database| {
            if let Some(leader) = database.leader {
                return Err(Leader::new(leader, Duration::from_millis(10)).at(Some(format!("http://{leader}"))));
            }
            if database.next != Some(name) {
                return Err(Leader::new("nobody", Duration::from_millis(10)));
            }
            database.epoch += 1;
            database.leader = Some(name);
            Ok(database.epoch)
        });
        Ok(match epoch {
            Ok(epoch) => {
                self.reached = None;
                Takeover::Leads(Led { shared, name, epoch, reached, buffer: Buffer::new(1 << 20) })
            }
            Err(leader) => Takeover::Follows(leader),
        })
    }

    fn release(store: Led) {
        store.shared.with(|database| database.leader = None);
    }
}
