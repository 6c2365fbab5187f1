//! Due timers in slices, for a runtime that lets others have their turn in between: what fires, in which order, and what is left.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod script;

use amiko_core::prelude::*;
use amiko_core::store::Memory;
use script::*;

/// So many timers of `a`, each of which is due at its number and logs it.
fn with_timers(count: u64) -> Engine<World, Memory> {
    let mut engine = open(Memory::new(), settings());
    for number in 1..=count {
        let name = number.to_string();
        at(&mut engine, 0, [timer(&name, number, [log(&name)])]).unwrap();
    }
    engine
}

fn slice(engine: &mut Engine<World, Memory>, by: u64, most: usize, now: u64) -> usize {
    engine.tick_slice(Time::from_millis(by), most, Time::from_millis(now)).unwrap()
}

#[test]
fn slices_fire_what_one_tick_fires_in_the_same_order() {
    let (mut whole, mut sliced) = (with_timers(7), with_timers(7));
    whole.tick(Time::from_millis(9)).unwrap();
    let fired: Vec<_> = (0..5).map(|_| slice(&mut sliced, 9, 2, 9)).collect();
    assert_eq!(fired, [2, 2, 2, 1, 0]);
    assert_eq!(sliced.document().unwrap(), whole.document().unwrap());
}

#[test]
fn a_slice_leaves_what_was_not_due_by_its_moment() {
    let mut engine = with_timers(5);
    assert_eq!((slice(&mut engine, 3, 9, 5), engine.deadlines()), (3, 2));
    assert_eq!(logged(&engine, "a"), ["1", "2", "3"]);
}

#[test]
fn inputs_fire_no_timers_that_are_left_to_slices() {
    let mut engine = with_timers(2);
    engine.leave_timers(true);
    at(&mut engine, 9, [log("command")]).unwrap();
    engine.leave_timers(false);
    at(&mut engine, 9, [log("last")]).unwrap();
    assert_eq!(logged(&engine, "a"), ["command", "1", "2", "last"]);
}

#[test]
fn a_timer_that_another_of_its_slice_cancels_does_not_fire() {
    for most in [1, 2, 9] {
        let mut engine = open(Memory::new(), settings());
        let cancel = Act::Cancel { name: "2".into() };
        at(&mut engine, 0, [timer("1", 5, [cancel, log("1")]), timer("2", 5, [log("2")]), timer("3", 5, [log("3")])])
            .unwrap();
        while slice(&mut engine, 5, most, 5) == most {}
        assert_eq!(logged(&engine, "a"), ["1", "3"], "{most}");
    }
}

#[test]
fn what_has_left_after_a_slice_stays_and_the_rest_fires_after_a_crash() {
    let mut engine = with_timers(4);
    slice(&mut engine, 9, 2, 9);
    engine.sync().unwrap();
    slice(&mut engine, 9, 1, 9);
    let mut engine = open(engine.into_store().crash(), settings());
    slice(&mut engine, 9, 9, 9);
    assert_eq!(logged(&engine, "a"), ["1", "2", "3", "4"]);
}

#[cfg(feature = "sim")]
#[test]
fn a_world_sees_each_slice_as_a_step_of_its_own() {
    let mut world = amiko_core::sim::World::new(amiko_core::conversation::NoPeers::<World>::new(), 1);
    let mut limited = settings();
    limited.limits.due = 2;
    world.set_settings(limited);
    let node = world.add("node", three_things()).unwrap();
    let due = world.clock(node).as_millis() + 50;
    let acts = (1..=5).map(|number| (number.to_string(), due + number % 2));
    let acts = acts.map(|(name, due)| timer(&name, due, [log(&name), notice(&name)])).collect();
    world.command(node, WorldEnvelope::Thing(thing("a"), Script { acts })).unwrap();
    let begun = world.events();
    let fired = |world: &amiko_core::sim::World<_>| logged(world.engine(node).unwrap(), "a").len();
    let mut slices = Vec::new();
    let all = world.run_until(std::time::Duration::from_secs(1), |world| {
        slices.push(fired(world));
        fired(world) == 5
    });
    slices.dedup();
    assert!(all && world.events() > begun);
    assert_eq!(slices, [0, 2, 4, 5]);
    assert_eq!(logged(world.engine(node).unwrap(), "a"), ["2", "4", "1", "3", "5"]);
    // What a slice has done leaves with its sync.
    world.run_for(std::time::Duration::from_secs(1));
    assert_eq!(world.take_notices(node), ["2", "4", "1", "3", "5"]);
}
