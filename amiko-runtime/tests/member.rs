//! Several processes that can run one node: here members that share a store in memory, whose lease a test gives and takes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use amiko_core::prelude::*;
use amiko_core::serializable::Classes;
use amiko_core::store::{
    Batch, Buffer, Leader, RecoverError, Recovered, Recovery, SnapshotStep, Standby, Store, StoreError, Takeover,
    Usage, Work, read_group,
};
use amiko_runtime::{AskError, BindError, Handle, Member, MemberError, Replica, RuntimeSettings, SendError};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine, reply = u64)]
struct Counter {
    value: u64,
}

#[derive(Clone, Serializable)]
struct Add {
    amount: u64,
}

impl StateMachine for Counter {
    type Node = Self;
    type Message = Add;

    fn handle(&mut self, add: Add, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        self.value += add.amount;
        cx.reply(self.value);
        Ok(())
    }
}

/// What the members share.
#[derive(Default)]
struct Database {
    epoch: u64,
    leader: Option<&'static str>,
    snapshot: Option<(u64, String)>,
    groups: Vec<(u64, u64, String)>,
    draft: Option<(u64, String)>,
    /// Whether a lease that nobody has may be taken, and by whom.
    next: Option<&'static str>,
    /// Nobody gets an answer.
    away: bool,
}

#[derive(Clone, Default)]
struct Shared(Arc<(Mutex<Database>, Condvar)>);

impl Shared {
    fn with<R>(&self, act: impl FnOnce(&mut Database) -> R) -> R {
        let (database, changed) = &*self.0;
        let result = act(&mut database.lock().unwrap());
        changed.notify_all();
        result
    }

    /// The lease of whoever leads is over, and this one gets the next.
    fn pass_to(&self, next: &'static str) {
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

struct Place {
    shared: Shared,
    name: &'static str,
    reached: Option<u64>,
}

struct Led {
    shared: Shared,
    name: &'static str,
    epoch: u64,
    reached: Option<u64>,
    buffer: Buffer,
}

struct Commit(Shared, u64, Batch);

impl Work for Commit {
    type Done = Result<u64, StoreError>;

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

/// A member on a task of its own.
struct Process {
    handle: Handle<Counter, Led>,
    replica: Replica<Counter>,
    task: JoinHandle<Result<(), MemberError>>,
}

fn start(shared: &Shared, name: &'static str) -> Process {
    let place = Place { shared: shared.clone(), name, reached: None };
    let member = Member::new(place, Settings::default(), RuntimeSettings::default());
    let (handle, replica) = (member.handle(), member.replica());
    Process { handle, replica, task: tokio::spawn(member.run(|runtime| async { Ok::<_, BindError>(runtime) })) }
}

impl Process {
    /// Sends until somebody takes it. What isn't taken hasn't happened.
    async fn add(&self, amount: u64) -> u64 {
        loop {
            match self.handle.send(&Id::new(()), Add { amount }).await {
                Ok(value) => return value,
                Err(SendError::NotLeader { .. }) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    }

    async fn follows(&self, value: u64) {
        while self.replica.read(|counter, _, _| counter.value) != Some(value) {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_handle_survives_who_leads_and_says_who_does() {
    let shared = Shared::default();
    let (one, other) = (start(&shared, "one"), start(&shared, "other"));
    shared.pass_to("one");
    assert_eq!(one.add(7).await, 7);
    other.follows(7).await;
    assert_eq!(one.replica.read(|counter, _, _| counter.value), None, "a leader has no replica");

    let refused = other.handle.send(&Id::new(()), Add { amount: 1 }).await.unwrap_err();
    assert_eq!(refused.to_string(), "not the leader: ask http://one, which leads this node");
    let unanswered = other.handle.read(|counter| counter.value).await.unwrap_err();
    assert_eq!(unanswered, AskError::NotLeader { leader: Some("http://one".into()) });

    shared.pass_to("other");
    assert_eq!(other.add(8).await, 15);
    one.follows(15).await;
    shared.pass_to("one");
    assert_eq!(one.add(1).await, 16, "the same handle, once more");
    for process in [one, other] {
        process.handle.stop();
        process.task.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_leader_whose_lease_is_over_answers_nothing_and_writes_nothing() {
    let shared = Shared::default();
    let one = start(&shared, "one");
    shared.pass_to("one");
    one.add(7).await;
    // Nobody else leads yet: it is its own clock that tells it.
    shared.pass_to("nobody");
    let unanswered = one.handle.read(|counter| counter.value).await;
    assert!(matches!(unanswered, Err(AskError::NotLeader { .. })), "{unanswered:?}");
    let refused = one.handle.send(&Id::new(()), Add { amount: 1 }).await;
    assert!(matches!(refused, Err(SendError::NotLeader { .. } | SendError::Unknown)), "{refused:?}");
    one.follows(7).await;
    one.handle.stop();
    one.task.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_leader_that_is_stopped_gives_its_lease_back() {
    let shared = Shared::default();
    let one = start(&shared, "one");
    shared.pass_to("one");
    one.add(7).await;
    one.handle.stop();
    one.task.await.unwrap().unwrap();
    assert_eq!(shared.with(|database| database.leader), None);
    let gone = one.handle.read(|counter| counter.value).await;
    assert_eq!(gone, Err(AskError::Stopped));
}

#[tokio::test]
async fn a_store_that_is_away_is_waited_for() {
    let shared = Shared::default();
    shared.with(|database| database.away = true);
    let one = start(&shared, "one");
    shared.pass_to("one");
    let refused = one.handle.send(&Id::new(()), Add { amount: 1 }).await.unwrap_err();
    assert!(matches!(refused, SendError::NotLeader { leader: None }), "{refused:?}");
    shared.with(|database| database.away = false);
    assert_eq!(one.add(7).await, 7);
    one.handle.stop();
    one.task.await.unwrap().unwrap();
}
