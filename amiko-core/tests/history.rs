//! The versions in memory take no more bytes than they may, wherever an event puts them.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use amiko_core::engine::Settings;
use amiko_core::prelude::*;
use amiko_core::serializable::{Json, Kept};
use amiko_core::store::Memory;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Clone, Serializable)]
#[amiko(key = String)]
struct Big {
    count: u64,
    bytes: Vec<u8>,
    map: Map<u64, String>,
    shared: Arc<Vec<String>>,
    either: Either,
}

#[derive(Clone, Serializable)]
enum Either {
    Nothing {},
    Map { map: Map<u64, String> },
}

#[derive(Clone, Serializable)]
enum Say {
    Count,
    Grow {
        bytes: u64,
    },
    /// Entries of 100 bytes in the map.
    Entries {
        number: u64,
    },
    Entry {
        key: u64,
    },
    Share {
        number: u64,
    },
    Vary {
        number: u64,
    },
    Own,
    /// Says it to the object so often.
    Repeat {
        times: u64,
    },
    Create,
    Remove,
    Timer,
    Cancel,
}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine)]
struct Bigs {
    #[amiko(machines)]
    bigs: Table<Big>,
    own: String,
    owned: u64,
}

fn entries(number: u64) -> Map<u64, String> {
    (0..number).map(|key| (key, "x".repeat(100))).collect()
}

fn big() -> Big {
    Big { count: 0, bytes: Vec::new(), map: Map::new(), shared: Arc::default(), either: Either::Nothing {} }
}

impl StateMachine for Big {
    type Node = Bigs;
    type Message = Say;

    fn handle(&mut self, say: Say, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        match say {
            Say::Count => self.count += 1,
            Say::Grow { bytes } => self.bytes = vec![7; bytes.try_into().unwrap_or(0)],
            Say::Entries { number } => self.map = entries(number),
            Say::Entry { key } => drop(self.map.insert(key, format!("{:100}", self.count))),
            Say::Share { number } => self.shared = Arc::new(entries(number).values().cloned().collect()),
            Say::Vary { number: 0 } => self.either = Either::Nothing {},
            Say::Vary { number } => self.either = Either::Map { map: entries(number) },
            Say::Repeat { times } => (0..times).for_each(|_| cx.send(&Id::<Self>::new("a"), Say::Count)),
            Say::Timer => cx.timer("t", Time::from_secs(900), Say::Grow { bytes: 1 }),
            Say::Cancel => cx.cancel("t"),
            _ => return Err(Rejection::new("that is for the node")),
        }
        self.count += 1;
        Ok(())
    }
}

impl StateMachine for Bigs {
    type Node = Self;
    type Message = Say;

    fn handle(&mut self, say: Say, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
        match say {
            Say::Own => self.owned += 1,
            Say::Grow { bytes } => self.own = "o".repeat(bytes.try_into().unwrap_or(0)),
            Say::Create => drop(self.bigs.insert(&Id::new("b"), Big { map: entries(1_000), ..big() })),
            Say::Remove => drop(self.bigs.remove(&Id::new("b"))),
            _ => return Err(Rejection::new("that is for an object")),
        }
        Ok(())
    }
}

fn engine(history_bytes: usize) -> Engine<Bigs, Memory> {
    let mut settings = Settings::default();
    settings.history_bytes = history_bytes;
    let first = || Bigs { bigs: [(Id::new("a"), big())].into_iter().collect(), ..Bigs::default() };
    Engine::open_with(Memory::new(), settings, first).unwrap()
}

fn tell(engine: &mut Engine<Bigs, Memory>, say: Say) {
    engine.send(&Id::<Big>::new("a"), say, Time::from_secs(1)).unwrap();
}

fn tell_node(engine: &mut Engine<Bigs, Memory>, say: Say) {
    engine.send(&Id::<Bigs>::new(()), say, Time::from_secs(1)).unwrap();
}

/// How many versions are kept after so many events of a kind, where 100 KB may be.
fn kept(prepare: &[Say], events: u64, event: impl Fn(u64) -> Say) -> usize {
    let mut engine = engine(100_000);
    prepare.iter().for_each(|say| tell(&mut engine, say.clone()));
    (0..events).for_each(|number| tell(&mut engine, event(number)));
    consistent(&engine);
    engine.history().count()
}

/// What is in the history is there as a version, and what isn't isn't.
fn consistent(engine: &Engine<Bigs, Memory>) {
    let (present, kept) = (engine.version().0, engine.history().count() as u64);
    for version in present.saturating_sub(kept + 3)..=present {
        assert_eq!(engine.state_at(version).is_some(), version + kept >= present, "version {version} of {present}");
    }
    let versions: Vec<_> = engine.history().map(|entry| entry.version).collect();
    assert_eq!(versions, (present - kept + 1..=present).collect::<Vec<_>>());
}

#[test]
fn versions_take_no_more_bytes_than_they_may() {
    let found = kept(&[Say::Grow { bytes: 9_000 }], 100, |_| Say::Count);
    assert!((9..=11).contains(&found), "{found} versions of 9,000 bytes in 100,000");
    // Without anything big there are many.
    let found = kept(&[], 1_200, |_| Say::Count);
    assert!((60..=400).contains(&found), "{found} small versions in 100,000 bytes");
}

#[test]
fn what_does_not_fit_is_not_kept_not_even_the_newest() {
    let mut engine = engine(10_000);
    tell(&mut engine, Say::Count);
    assert_eq!(engine.history().count(), 1);
    tell(&mut engine, Say::Grow { bytes: 20_000 });
    assert_eq!(engine.history().count(), 0, "its record is too long");
    tell(&mut engine, Say::Count);
    assert_eq!(engine.history().count(), 0, "so is what was before it");
    consistent(&engine);
    tell(&mut engine, Say::Grow { bytes: 0 });
    tell(&mut engine, Say::Count);
    assert_eq!(engine.history().count(), 1);
    consistent(&engine);
}

#[test]
fn what_a_map_shares_with_the_next_version_costs_nothing() {
    let found = kept(&[Say::Entries { number: 1_000 }], 100, |_| Say::Count);
    assert!(found >= 60, "{found} versions of a map that didn't change");
    // A change of one entry copies the way to it, some ten nodes with 100 bytes each.
    let found = kept(&[Say::Entries { number: 1_000 }], 200, |number| Say::Entry { key: number * 5 });
    assert!((25..=90).contains(&found), "{found} versions of a map in which one entry changed");
}

#[test]
fn what_is_replaced_or_removed_as_a_whole_counts_as_a_whole() {
    // One entry counts some 180 bytes.
    let found = kept(&[], 100, |_| Say::Entries { number: 100 });
    assert!((3..=12).contains(&found), "{found} versions with another map each");
    // Between two changes of the map another field changes, so that two old versions share it.
    let found = kept(&[], 100, |number| if number % 2 == 0 { Say::Entries { number: 100 } } else { Say::Count });
    assert!((3..=20).contains(&found), "{found} versions with another map in every other one");
    let found = kept(&[], 100, |_| Say::Share { number: 100 });
    assert!((3..=12).contains(&found), "{found} versions with another shared list each");
    let found = kept(&[Say::Share { number: 500 }], 100, |_| Say::Count);
    assert!(found >= 60, "{found} versions of a shared list that didn't change");
    let found = kept(&[], 100, |number| Say::Vary { number: if number % 2 == 0 { 200 } else { 0 } });
    assert!((1..=8).contains(&found), "{found} versions of a variant with a map that goes");

    let mut engine = engine(100_000);
    tell_node(&mut engine, Say::Create);
    tell_node(&mut engine, Say::Own);
    let before = engine.history().count();
    tell_node(&mut engine, Say::Remove);
    assert_eq!(engine.history().count(), 0, "of {before}: the object that went has more than 100,000 bytes in its map");
}

#[test]
fn fields_of_the_node_timers_and_what_is_only_touched_inside_an_event_count_too() {
    let mut engine = engine(100_000);
    tell_node(&mut engine, Say::Grow { bytes: 9_000 });
    (0..50).for_each(|_| tell_node(&mut engine, Say::Own));
    let found = engine.history().count();
    assert!((9..=11).contains(&found), "{found} versions with a copy of 9,000 bytes each");

    // Ten versions of the object within each event.
    let found = kept(&[Say::Grow { bytes: 900 }], 50, |_| Say::Repeat { times: 9 });
    assert!((4..=10).contains(&found), "{found} versions with ten objects of 900 bytes each");

    let found = kept(&[], 1_000, |number| if number % 2 == 0 { Say::Timer } else { Say::Cancel });
    assert!((60..=400).contains(&found), "{found} versions with a timer");
}

#[test]
fn a_long_record_does_not_take_up_the_place_of_short_ones_for_ever() {
    let mut settings = Settings::default();
    (settings.history, settings.history_bytes) = (4, 400_000);
    let first = || Bigs { bigs: [(Id::new("a"), big())].into_iter().collect(), ..Bigs::default() };
    let mut engine = Engine::open_with(Memory::new(), settings, first).unwrap();
    // Its memory goes round from version to version.
    tell(&mut engine, Say::Grow { bytes: 100_000 });
    tell(&mut engine, Say::Grow { bytes: 0 });
    for _ in 0..30 {
        tell(&mut engine, Say::Count);
    }
    assert_eq!(engine.history().count(), 4);
    assert!(engine.history().all(|entry| entry.record.capacity() <= 4_096));
}

#[test]
fn every_type_says_what_it_keeps() {
    fn weights<T: Serializable>(value: T) -> (usize, usize) {
        (value.weight(Kept::Alone), value.weight(Kept::Shared))
    }
    let text = || "x".repeat(1_000);
    assert_eq!(weights(7_u64), (0, 0));
    assert_eq!(weights((7_u8, true, 1.5)), (0, 0));
    assert_eq!(weights(vec![1_u8; 1_000]), (1_000, 0));
    assert_eq!(weights([text(), text()]), (2_000, 0));
    assert_eq!(weights(Some(Box::new(text()))), (1_000 + size_of::<String>(), 0));
    assert_eq!(weights(vec![text()]), (1_000 + size_of::<String>(), 0));
    assert_eq!(weights(Secret::new(text())), (1_000, 0));
    assert_eq!(weights(Id::<Big>::new(text())), (1_000, 0));
    assert_eq!(weights(Arc::new(text())), (0, 1_000 + size_of::<String>()));
    assert_eq!(weights(Json::String(text())), (1_000, 0));
    let (alone, shared) = weights(entries(10));
    assert!(alone == 0 && (1_000..3_000).contains(&shared), "{alone}, {shared}");
    let (alone, shared) = weights(BTreeMap::from([(1_u8, text()), (2, text())]));
    assert!((2_000..2_200).contains(&alone) && shared == 0, "{alone}, {shared}");
    let (alone, shared) = weights(Big { bytes: vec![0; 500], map: entries(10), ..big() });
    assert!(alone == 500 && (1_000..3_000).contains(&shared), "{alone}, {shared}");
}
