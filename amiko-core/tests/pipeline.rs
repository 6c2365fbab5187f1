//! A sync in three steps: events go on while the disk is at work, and what they cause leaves in its turn.

#![allow(clippy::unwrap_used, clippy::panic)]

mod script;

use amiko_core::engine::SyncError;
use amiko_core::prelude::*;
use amiko_core::store::{Memory, StoreError, Work};
use script::*;

fn texts(outputs: Vec<Output<World>>) -> Vec<String> {
    let text = |output| match output {
        Output::Notice(text) => Some(text),
        Output::Transmit { message, index, .. } => Some(format!("{index} {message}")),
        _ => None,
    };
    outputs.into_iter().filter_map(text).collect()
}

fn outbox(engine: &Engine<World, Memory>, to: &str) -> Vec<u64> {
    engine.outbox(&peer(to)).map(|(index, _)| index).collect()
}

#[test]
fn what_happens_while_the_disk_is_at_work_waits_for_the_next_sync() {
    let mut engine = open(Memory::new(), settings());
    at(&mut engine, 1, [notice("first"), connect("bob"), transmit("bob", "a"), set(1)]).unwrap();
    let work = engine.begin_sync().unwrap().unwrap();
    at(&mut engine, 2, [notice("second"), transmit("bob", "b"), set(2)]).unwrap();
    assert_eq!((engine.version().0, engine.released().0, engine.durable().0), (2, 0, 0));
    assert!(engine.outputs().is_empty());
    assert_eq!((outbox(&engine, "bob"), engine.sendable(&peer("bob"))), (vec![], 0));

    engine.end_sync(work.run()).unwrap();
    assert_eq!((engine.version().0, engine.released().0, engine.durable().0), (2, 1, 1));
    assert_eq!(texts(engine.outputs()), ["first", "0 a"]);
    assert_eq!((outbox(&engine, "bob"), engine.sendable(&peer("bob"))), (vec![0], 1));
    // What isn't on disk can't have been sent, so that it can't be confirmed either.
    assert!(engine.confirm(&peer("bob"), 1, Time::from_secs(3)).is_err());

    assert_eq!(texts(engine.sync().unwrap()), ["second", "1 b"]);
    assert_eq!((outbox(&engine, "bob"), engine.durable().0), (vec![0, 1], 2));
    assert!(!engine.unsynced());
}

#[test]
fn a_crash_before_the_end_of_the_work_loses_what_nobody_knows_of() {
    let mut engine = open(Memory::new(), settings());
    at(&mut engine, 1, [set(1), notice("never")]).unwrap();
    let work = engine.begin_sync().unwrap().unwrap();
    let done = work.run();
    // It was run, and the engine doesn't know.
    assert!(engine.outputs().is_empty());
    let mut engine = crash(engine);
    drop(done);
    assert_eq!((engine.version().0, engine.node().value), (0, 0));
    assert!(engine.outputs().is_empty());
}

#[test]
fn one_sync_at_a_time() {
    let mut engine = open(Memory::new(), settings());
    let done = open(Memory::new(), settings());
    drop(done);
    at(&mut engine, 1, [set(1)]).unwrap();
    let work = engine.begin_sync().unwrap().unwrap();
    for refused in [engine.begin_sync().map(drop), engine.begin_write().map(drop), engine.sync().map(drop)] {
        assert!(matches!(refused, Err(SyncError::Store(StoreError::UnderWay))), "{refused:?}");
    }
    // Being asked twice is no failure.
    engine.end_sync(work.run()).unwrap();
    assert_eq!(engine.durable().0, 1);
    assert!(engine.begin_sync().unwrap().is_none());
}

#[test]
fn after_failed_work_nothing_leaves_any_more() {
    let mut store = open(Memory::new(), settings()).into_store().crash();
    store.fail_next_sync();
    let mut engine = open(store, settings());
    at(&mut engine, 1, [set(1), notice("never")]).unwrap();
    let work = engine.begin_sync().unwrap().unwrap();
    at(&mut engine, 2, [set(2), notice("neither")]).unwrap();
    assert!(matches!(engine.end_sync(work.run()), Err(SyncError::Store(StoreError::Io { .. }))));
    assert!(engine.outputs().is_empty());
    assert!(at(&mut engine, 3, [set(3)]).is_err());
    assert!(engine.begin_sync().is_err());
    assert_eq!((engine.released().0, engine.durable().0), (0, 0));
}

#[test]
fn a_connection_that_was_closed_and_opened_again_shows_nothing_early() {
    let mut engine = open(Memory::new(), settings());
    at(&mut engine, 1, [connect("bob"), transmit("bob", "old")]).unwrap();
    let work = engine.begin_sync().unwrap().unwrap();
    engine.end_sync(work.run()).unwrap();
    assert_eq!(texts(engine.outputs()), ["0 old"]);
    engine.confirm(&peer("bob"), 0, Time::from_secs(2)).unwrap();
    at(&mut engine, 2, [transmit("bob", "older")]).unwrap();
    let work = engine.begin_sync().unwrap().unwrap();
    engine.confirm(&peer("bob"), 1, Time::from_secs(2)).unwrap_err();
    // The same index again, of another connection with the same name.
    at(&mut engine, 3, [close("bob")]).unwrap();
    engine.end_sync(work.run()).unwrap();
    engine.confirm(&peer("bob"), 1, Time::from_secs(3)).unwrap();
    at(&mut engine, 4, [connect("bob"), transmit("bob", "new")]).unwrap();
    assert_eq!((outbox(&engine, "bob"), engine.sendable(&peer("bob"))), (vec![], 0));
    engine.sync().unwrap();
    assert_eq!((outbox(&engine, "bob"), engine.sendable(&peer("bob"))), (vec![0], 1));
}

#[test]
fn what_is_only_written_is_released_and_not_durable() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Engine::<World>::open(Directory::open(folder.path()).unwrap(), settings()).unwrap();
    let mut engine = open();
    let to_node = |acts: Vec<Act>| WorldEnvelope::World(Script { acts });
    let mut write = |value, text| {
        engine.command(to_node(vec![set(value), notice(text)]), None, Time::from_secs(1)).unwrap();
        let work = engine.begin_write().unwrap().unwrap();
        engine.end_sync(work.run()).unwrap();
        (texts(engine.outputs()), engine.released().0, engine.durable().0, engine.unsynced())
    };
    assert_eq!(write(1, "one"), (vec!["one".to_owned()], 1, 0, true));
    assert_eq!(write(2, "two"), (vec!["two".to_owned()], 2, 0, true));
    assert!(!engine.unreleased());
    assert!(engine.sync().unwrap().is_empty());
    assert_eq!((engine.durable().0, engine.unsynced()), (2, false));
    drop(engine);
    assert_eq!(open().node().value, 2);
}
