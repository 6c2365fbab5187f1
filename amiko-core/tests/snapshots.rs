//! What a snapshot holds, where no record of the journal can make up for it.

#![allow(missing_docs, clippy::unwrap_used)]

mod script;

use amiko_core::prelude::*;
use amiko_core::store::Memory;
use script::*;

#[test]
fn a_snapshot_holds_timers_and_connections_as_well() {
    // Every sync makes a snapshot, so that the journal after it is empty.
    let mut always = settings();
    (always.snapshot_minimum, always.snapshot_ratio) = (0, 0);
    let mut engine = open(Memory::new(), always);
    let acts = [set(7), connect("bob"), transmit("bob", "hello"), timer("late", 9_000, [set(8)])];
    at(&mut engine, 1, acts).unwrap();
    engine.receive(&peer("bob"), 0, Ok(envelope("b", [log("heard")])), Time::from_millis(2)).unwrap();
    outputs(&mut engine);

    let document = engine.document().unwrap();
    let mut engine = crash(engine);
    assert_eq!(engine.document().unwrap(), document);
    assert_eq!(engine.next_due(), Some(Time::from_millis(9_000)));
    assert_eq!(engine.outbox(&peer("bob")).count(), 1);
    let bob = engine.connection(&peer("bob")).unwrap();
    assert_eq!((bob.received, bob.sent), (1, 1));
    engine.tick(Time::from_millis(9_000)).unwrap();
    assert_eq!(engine.node().things.get(&thing("a")).unwrap().value, 8);
}

#[test]
fn an_input_is_used_up_however_small_a_record_may_be() {
    let mut small = settings();
    let mut engine = open(Memory::new(), small.clone());
    at(&mut engine, 1, [connect("bob")]).unwrap();
    engine.sync().unwrap();
    // Smaller than the record that only moves the cursor.
    small.limits.record = 10;
    let mut engine = Engine::<World, _>::open(engine.into_store().crash(), small).unwrap();
    engine.receive(&peer("bob"), 0, Ok(envelope("a", [set(1)])), Time::from_millis(2)).unwrap_err();
    assert_eq!(engine.connection(&peer("bob")).unwrap().received, 1);
    assert_eq!(engine.node().things.get(&thing("a")).unwrap().value, 0);
}
