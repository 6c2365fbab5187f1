//! What a follower and a new leader read: groups of any size, and a state that a program with other classes has written anew.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod common;

use amiko_core::engine::Follower;
use amiko_core::prelude::*;
use amiko_core::serializable::Json;
use amiko_core::store::{RecoverError, Recovery, Refused, Standby, Store};
use amiko_postgres::{Cluster, Postgres};
use common::{database, lead, node, quick};

/// The numbers of what was handed over.
#[derive(Default)]
struct Numbers(Vec<u64>);

impl Recovery for Numbers {
    fn snapshot(&mut self, _: u64, _: &str) -> Result<(), Refused> {
        self.0.clear();
        Ok(())
    }

    fn record(&mut self, sequence: u64, _: &str) -> Result<(), Refused> {
        self.0.push(sequence);
        Ok(())
    }
}

#[test]
fn a_group_that_is_larger_than_a_page_hides_nothing() {
    /// More than what is read at once.
    const LONG: usize = 6 << 20;
    let Some(url) = database() else { return };
    let name = node("large");
    let mut store = Postgres::open(&url, &name, quick()).unwrap();
    store.recover(&mut Numbers::default()).unwrap();
    let mut cluster = Cluster::join(&url, &name, quick()).unwrap();
    let mut followed = Numbers::default();
    for sequence in 1..=6 {
        let text = if sequence % 2 == 0 { "x".repeat(LONG) } else { String::new() };
        store.append(sequence, &format!(r#"{{"seq":{sequence},"text":"{text}"}}"#)).unwrap();
        store.sync().unwrap();
        if sequence == 2 {
            cluster.follow(&mut followed).unwrap();
        }
    }
    cluster.follow(&mut followed).unwrap();
    assert_eq!(followed.0, [1, 2, 3, 4, 5, 6]);

    store.abandon();
    let mut store = lead(&url, &name, &quick());
    let mut found = Numbers::default();
    assert_eq!(store.recover(&mut found).unwrap().sequence, 6);
    assert_eq!(found.0, [1, 2, 3, 4, 5, 6]);
    store.append(7, r#"{"seq":7}"#).unwrap();
    store.sync().unwrap();
}

/// A counter, in two versions of its program.
mod old {
    use amiko_core::prelude::*;

    #[derive(Clone, Default, Serializable, Node)]
    #[amiko(machine)]
    pub(crate) struct Counter {
        pub(crate) count: u64,
    }

    #[derive(Clone, Serializable)]
    pub(crate) struct Add {
        pub(crate) amount: u64,
    }

    impl StateMachine for Counter {
        type Node = Self;
        type Message = Add;

        fn handle(&mut self, add: Add, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
            self.count += add.amount;
            Ok(())
        }
    }
}

/// What was `count` is `value` now.
#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine, version = 2, migrate = lift)]
struct Counter {
    value: u64,
}

fn lift(from: u32, counter: &mut Json) -> Result<(), String> {
    if from == 1 {
        counter.rename("count", "value");
    }
    Ok(())
}

#[derive(Clone, Serializable)]
struct Add {
    amount: u64,
}

impl StateMachine for Counter {
    type Node = Self;
    type Message = Add;

    fn handle(&mut self, add: Add, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
        self.value += add.amount;
        Ok(())
    }
}

#[test]
fn a_follower_goes_on_behind_a_program_with_other_classes() {
    let Some(url) = database() else { return };
    let name = node("classes");
    let now = Time::from_secs(1);
    let store = Postgres::open(&url, &name, quick()).unwrap();
    let mut engine = Engine::<old::Counter, _>::open(store, Settings::default()).unwrap();
    engine.send(&Id::new(()), old::Add { amount: 5 }, now).unwrap();
    engine.sync().unwrap();
    // One of the next version, and one that stays.
    let mut cluster = Cluster::join(&url, &name, quick()).unwrap();
    let (mut follower, mut behind) = (Follower::<Counter>::new(), Follower::<old::Counter>::new());
    cluster.follow(&mut follower).unwrap();
    let mut other = Cluster::join(&url, &name, quick()).unwrap();
    other.follow(&mut behind).unwrap();
    assert_eq!(behind.node().map(|counter| counter.count), Some(5));
    engine.into_store().close();

    // It writes the state anew, as of the record that both have read.
    let store = Postgres::open(&url, &name, quick()).unwrap();
    let mut engine = Engine::<Counter, _>::open(store, Settings::default()).unwrap();
    let refused = other.follow(&mut behind).unwrap_err();
    assert!(matches!(refused, RecoverError::Refused { .. }), "{refused:?}");
    for _ in 0..2 {
        engine.send(&Id::new(()), Add { amount: 3 }, now).unwrap();
        engine.sync().unwrap();
    }
    cluster.follow(&mut follower).unwrap();
    assert_eq!(follower.node().map(|counter| counter.value), Some(11));
}
