//! Several processes that can run one node: here members that share a store in memory, whose lease a test gives and takes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod shared;

use amiko_core::conversation::NoPeers;
use amiko_core::prelude::*;
use amiko_runtime::{
    AskError, BindError, Handle, Member, MemberError, Offline, Replica, Runtime, RuntimeSettings, SendError,
};
use shared::{Led, Place, Shared};
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
    let servers = [&one, &other].map(|process| tokio::spawn(process.handle.stopped()));
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
    assert!(servers.iter().all(|server| !server.is_finished()), "a server goes on, whoever leads");
    for (process, server) in [one, other].into_iter().zip(servers) {
        process.handle.stop();
        process.task.await.unwrap().unwrap();
        server.await.unwrap();
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

#[tokio::test]
async fn whoever_asks_after_a_member_has_failed_is_told_that_it_has_stopped() {
    let shared = Shared::default();
    shared.pass_to("one");
    let place = Place { shared, name: "one", reached: None };
    let member = Member::<Counter, _>::new(place, Settings::default(), RuntimeSettings::default());
    let handle = member.handle();
    let refused = async |_| Err::<Runtime<NoPeers<Counter>, Led, Offline>, _>("it isn't complete");
    let ended = member.run(refused).await;
    assert!(matches!(ended, Err(MemberError::Equip(_))), "{ended:?}");
    assert_eq!(handle.read(|counter| counter.value).await, Err(AskError::Stopped));
}
