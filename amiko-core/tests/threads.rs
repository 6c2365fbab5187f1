//! An engine goes wherever its program wants it: to another thread, or behind a lock.

#![allow(missing_docs, clippy::unwrap_used)]

mod script;

use amiko_core::engine::DryRun;
use amiko_core::event::Output;
use amiko_core::store::{Directory, Memory, Store, Work};
use amiko_core::{Engine, Node};
use script::*;
use std::sync::{Arc, RwLock};

fn is_shared<T: Send + Sync>() {}

/// Holds for every node, since its objects can have nothing that stays on one thread.
fn an_engine_is_shared<N: Node, S: Store + Send + Sync>() {
    is_shared::<Engine<N, S>>();
    is_shared::<Output<N>>();
    is_shared::<DryRun<N>>();
}

#[test]
fn an_engine_of_any_node_is_shared_where_its_store_is() {
    an_engine_is_shared::<World, Memory>();
    an_engine_is_shared::<World, Directory>();
}

#[test]
fn an_engine_is_moved_to_another_thread_and_goes_on_there() {
    let mut engine = engine();
    at(&mut engine, 1, [set(1), connect("bob"), create("d")]).unwrap();
    let work = engine.begin_sync().unwrap().unwrap();
    let disk = std::thread::spawn(move || work.run());
    let engine = std::thread::spawn(move || {
        at(&mut engine, 2, [send("d", [set(2)])]).unwrap();
        engine.end_sync(disk.join().unwrap()).unwrap();
        engine
    });
    let engine = Arc::new(RwLock::new(engine.join().unwrap()));
    let reader = Arc::clone(&engine);
    let seen = std::thread::spawn(move || reader.read().unwrap().node().things.get(&thing("d")).unwrap().value);
    assert_eq!(seen.join().unwrap(), 2);
    assert_eq!(engine.read().unwrap().durable().0, 1);
}
