//! Which effects are performed when: in their order, so many at a time, and no owner before all others.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use amiko_core::calls::Calls;
use amiko_core::effect::{Effect, Failure, Policy};
use amiko_core::prelude::*;
use amiko_core::store::Memory;
use amiko_core::{Pending, Performed};

macro_rules! effect {
    ($name:ident, $ordered:expr) => {
        #[derive(Debug, Clone, Serializable)]
        struct $name {}

        impl Effect for $name {
            type Outcome = ();
            const ORDERED: bool = $ordered;

            fn policy(&self) -> Policy {
                Policy { first: secs(10), limit: secs(10), ..Policy::default() }
            }
        }
    };
}

effect!(Ring, false);
effect!(Mail, true);

#[derive(Debug, Clone, Default, Serializable)]
#[amiko(key = String)]
struct House {
    heard: u64,
}

#[derive(Clone, Serializable)]
enum HouseMessage {
    Ring {
        name: String,
    },
    Mail {
        name: String,
    },
    Cancel {
        name: String,
    },
    #[amiko(performed)]
    Rung {
        performed: Performed<Ring>,
    },
    #[amiko(performed)]
    Mailed {
        performed: Performed<Mail>,
    },
}

impl StateMachine for House {
    type Node = Street;
    type Message = HouseMessage;

    fn handle(&mut self, message: HouseMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        match message {
            HouseMessage::Ring { name } => cx.perform(&name, Ring {}),
            HouseMessage::Mail { name } => cx.perform(&name, Mail {}),
            HouseMessage::Cancel { name } => cx.cancel_effect(&name),
            HouseMessage::Rung { .. } | HouseMessage::Mailed { .. } => self.heard += 1,
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Default, Serializable, Node)]
#[amiko(effects(Ring, Mail))]
struct Street {
    #[amiko(machines)]
    houses: Table<House>,
}

const NOW: Time = Time::from_secs(1_000);

struct Town {
    engine: Engine<Street, Memory>,
    calls: Calls,
    now: Time,
}

impl Town {
    fn new(rings: usize, mails: usize) -> Self {
        let houses = ["a", "b", "c"].map(|name| (Id::new(name), House::default()));
        let node = || Street { houses: houses.into_iter().collect() };
        let engine = Engine::open_with(Memory::new(), Settings::default(), node).unwrap();
        let mut calls = Calls::new();
        calls.serve("Ring", rings);
        calls.serve("Mail", mails);
        Self { engine, calls, now: NOW }
    }

    fn tell(&mut self, house: &str, message: HouseMessage) {
        self.engine.send(&Id::<House>::new(house), message, self.now).unwrap();
    }

    fn rings(&mut self, house: &str, names: &[&str]) {
        names.iter().for_each(|name| self.tell(house, HouseMessage::Ring { name: (*name).into() }));
    }

    fn mails(&mut self, house: &str, names: &[&str]) {
        names.iter().for_each(|name| self.tell(house, HouseMessage::Mail { name: (*name).into() }));
    }

    fn sync(&mut self) {
        for output in self.engine.sync().unwrap() {
            self.calls.handle_output(&output, &self.engine, self.now);
        }
    }

    /// What begins now, as `house/name`.
    fn begins(&mut self) -> Vec<String> {
        let now = self.now;
        let begun = std::iter::from_fn(|| self.calls.poll(now));
        begun.map(|begin| begin.effect.trim_start_matches("house/").to_owned()).collect()
    }

    fn find(&self, name: &str) -> (Id<Pending<Street>>, u64) {
        let id = Id::new(format!("house/{name}"));
        let number = self.engine.effect(&id).unwrap().number;
        (id, number)
    }

    fn is_rung(&mut self, name: &str) {
        let (id, number) = self.find(name);
        self.engine.performed::<Ring>(&id, number, Ok(()), self.now).unwrap();
        self.calls.handle_ended(number);
        self.sync();
    }

    fn is_mailed(&mut self, name: &str) {
        let (id, number) = self.find(name);
        self.engine.performed::<Mail>(&id, number, Ok(()), self.now).unwrap();
        self.calls.handle_ended(number);
        self.sync();
    }

    fn fails(&mut self, name: &str) {
        let (id, number) = self.find(name);
        self.engine.effect_failed(&id, number, Failure::retry_after(secs(10), "nobody there"), self.now).unwrap();
        self.calls.handle_ended(number);
        self.sync();
    }
}

const NONE: [&str; 0] = [];

#[test]
fn nothing_begins_before_its_commit_is_on_disk() {
    let mut town = Town::new(8, 8);
    town.rings("a", &["x"]);
    assert_eq!(town.begins(), NONE);
    town.sync();
    assert_eq!(town.begins(), ["a/x"]);
    assert_eq!((town.begins().len(), town.calls.under_way()), (0, 1));
}

#[test]
fn so_many_of_a_class_are_under_way_and_owners_take_turns() {
    let mut town = Town::new(2, 1);
    town.rings("a", &["1", "2", "3"]);
    town.rings("b", &["1"]);
    town.rings("c", &["1"]);
    town.mails("c", &["m"]);
    town.sync();
    let mut begun = town.begins();
    begun.sort();
    assert_eq!(begun, ["a/1", "b/1", "c/m"]);
    town.is_rung("a/1");
    assert_eq!(town.begins(), ["c/1"]);
    town.is_rung("b/1");
    assert_eq!(town.begins(), ["a/2"]);
    town.is_rung("a/2");
    town.is_rung("c/1");
    assert_eq!(town.begins(), ["a/3"]);
}

#[test]
fn in_order_an_owner_has_one_under_way_and_the_next_waits_for_its_last_attempt() {
    let mut town = Town::new(8, 8);
    town.mails("a", &["z", "m", "a"]);
    town.mails("b", &["k"]);
    town.sync();
    assert_eq!(town.begins(), ["a/z", "b/k"]);
    town.fails("a/z");
    assert_eq!(town.begins(), NONE);
    assert_eq!(town.calls.poll_timeout(), Some(NOW + secs(10)));
    town.now = NOW + secs(10);
    assert_eq!(town.begins(), ["a/z"]);
    town.is_mailed("a/z");
    assert_eq!(town.begins(), ["a/m"]);
    // One that is cancelled is in nobody's way, once its attempt has ended.
    let (_, number) = town.find("a/m");
    town.tell("a", HouseMessage::Cancel { name: "m".into() });
    town.sync();
    assert_eq!(town.begins(), NONE);
    town.calls.handle_ended(number);
    assert_eq!(town.begins(), ["a/a"]);
}

#[test]
fn an_effect_that_is_told_of_twice_begins_once_and_waits_after_a_failure() {
    let mut town = Town::new(8, 8);
    town.rings("a", &["x"]);
    // Taken over before its commit was on disk, and told of when it is.
    town.calls.start(town.engine.effects(), NOW);
    town.calls.start(town.engine.effects(), NOW);
    assert_eq!(town.begins(), ["a/x"]);
    town.sync();
    assert_eq!(town.begins(), NONE);
    town.fails("a/x");
    assert_eq!(town.begins(), NONE);
    town.now = NOW + secs(10);
    assert_eq!(town.begins(), ["a/x"]);
    assert_eq!(town.begins(), NONE);
}

#[test]
fn a_class_that_nobody_performs_waits_and_begins_when_somebody_does() {
    let mut town = Town::new(8, 8);
    town.calls = Calls::new();
    town.rings("a", &["1", "2"]);
    town.sync();
    assert_eq!(town.begins(), NONE);
    town.calls.serve("Ring", 1);
    assert_eq!(town.begins(), ["a/1"]);
}

#[test]
fn after_a_restart_the_oldest_begin_first_within_bounds() {
    let mut town = Town::new(8, 8);
    for number in 0..300 {
        town.rings(["c", "b", "a"][number % 3], &[&format!("{number:03}")]);
    }
    town.sync();
    let engine = Engine::open(town.engine.into_store().crash(), Settings::default()).unwrap();
    let mut calls = Calls::new();
    calls.serve("Ring", 5);
    calls.start(engine.effects(), NOW);
    town = Town { engine, calls, now: NOW };
    assert_eq!(town.begins(), ["c/000", "b/001", "a/002", "c/003", "b/004"]);
    for number in 0..300 {
        town.is_rung(&format!("{}/{number:03}", ["c", "b", "a"][number % 3]));
        town.begins();
        assert!(town.calls.under_way() <= 5);
    }
    let heard: u64 = town.engine.node().houses.iter().map(|(_, house)| house.heard).sum();
    assert_eq!((heard, town.engine.effects().count(), town.calls.under_way()), (300, 0, 0));
}
