//! Two ends meet again: each says where it stands, and neither goes on with a peer that has forgotten.

// Helpers of tests fail like tests.
#![allow(clippy::unwrap_used, clippy::panic)]

mod script;

use amiko_core::engine::EventError;
use amiko_core::prelude::*;
use amiko_core::store::Memory;
use amiko_core::{Conflict, ResumePoint, dispatcher::Older};
use script::*;

const NOW: Time = Time::from_secs(9);

const fn standing(received: u64, first: u64, sent: u64) -> ResumePoint {
    ResumePoint { received, first, sent }
}

fn outbox(engine: &Engine<World, Memory>) -> Vec<u64> {
    engine.outbox(&peer("bob")).map(|(index, _)| index).collect()
}

fn resume(engine: &mut Engine<World, Memory>, theirs: ResumePoint) -> Option<Conflict> {
    engine.resume(&peer("bob"), theirs, NOW).unwrap()
}

/// Two messages received, four sent, of which one is confirmed; all on disk.
fn engine_that_talked() -> Engine<World, Memory> {
    let mut engine = engine();
    at(&mut engine, 1, [connect("bob")]).unwrap();
    for index in 0..2 {
        engine.receive(&peer("bob"), index, Ok(envelope("a", [])), Time::from_millis(2)).unwrap();
    }
    for text in ["0", "1", "2", "3"] {
        at(&mut engine, 3, [transmit("bob", text)]).unwrap();
    }
    engine.sync().unwrap();
    engine.confirm(&peer("bob"), 0, Time::from_millis(4)).unwrap();
    engine.sync().unwrap();
    engine
}

#[test]
fn what_a_peer_has_received_is_confirmed() {
    let mut engine = engine_that_talked();
    assert_eq!(engine.resume_point(&peer("bob")), Some(standing(2, 1, 4)));
    for (received, left) in [(1, vec![1, 2, 3]), (3, vec![3]), (4, vec![])] {
        assert_eq!(resume(&mut engine, standing(received, 2, 2)), None);
        assert_eq!(outbox(&engine), left);
    }
    let error = engine.resume(&peer("eve"), standing(0, 0, 0), NOW).unwrap_err();
    assert!(matches!(error, EventError::NoConnection { .. }), "{error:?}");
    assert_eq!(engine.resume_point(&peer("eve")), None);
}

#[test]
fn what_isnt_on_disk_wasnt_sent() {
    let mut engine = engine_that_talked();
    at(&mut engine, 5, [transmit("bob", "4")]).unwrap();
    assert_eq!(engine.resume_point(&peer("bob")), Some(standing(2, 1, 4)));
    // A peer that has it all the same has it from somebody who was there before.
    assert_eq!(resume(&mut engine, standing(5, 2, 2)).unwrap().older, Older::Ours);
}

#[test]
fn a_conflict_is_kept_and_changes_nothing_else() {
    for (theirs, older, words) in [
        (standing(5, 2, 2), Older::Ours, "restore this node's newest state"),
        (standing(4, 3, 3), Older::Ours, "this node's state is older"),
        (standing(0, 0, 2), Older::Theirs, "the peer's state is older"),
        (standing(1, 0, 1), Older::Theirs, "have the peer restore its newest state"),
        (standing(0, 0, 0), Older::Theirs, "give the link up and settle with the peer by hand"),
        (standing(5, 0, 1), Older::Both, "both states are older"),
    ] {
        let mut engine = engine_that_talked();
        let conflict = resume(&mut engine, theirs).unwrap();
        assert_eq!(conflict, Conflict { found: NOW, older, ours: standing(2, 1, 4), theirs });
        assert!(conflict.to_string().contains(words), "{conflict}");
        engine.sync().unwrap();
        let mut engine = crash(engine);
        let state = engine.connection(&peer("bob")).unwrap();
        assert_eq!((state.conflict, state.address(), state.dial.is_some()), (Some(conflict), None, true));
        assert_eq!((outbox(&engine), engine.resume_point(&peer("bob"))), (vec![1, 2, 3], Some(standing(2, 1, 4))));
        // It stands, whatever the peer says afterwards.
        let sequence = engine.version().0;
        assert_eq!(resume(&mut engine, standing(4, 2, 2)), Some(conflict));
        assert_eq!((engine.version().0, outbox(&engine)), (sequence, vec![1, 2, 3]));
    }
}

#[test]
fn a_conflict_ends_when_the_application_says_so_and_is_judged_anew() {
    let mut engine = engine_that_talked();
    assert!(resume(&mut engine, standing(0, 0, 0)).is_some());
    root(&mut engine, [reconcile("bob"), reconcile("there is none")]).unwrap();
    assert!(outputs(&mut engine).contains(&"connection bob opened".into()));
    assert!(resume(&mut engine, standing(0, 0, 0)).is_some());
    root(&mut engine, [reconcile("bob")]).unwrap();
    assert_eq!(resume(&mut engine, standing(4, 2, 2)), None);
    assert!(outbox(&engine).is_empty());
    outputs(&mut engine);
    root(&mut engine, [reconcile("bob")]).unwrap();
    assert!(!outputs(&mut engine).contains(&"connection bob opened".into()), "there was no conflict");
}

#[test]
fn a_connection_in_conflict_is_closed_at_once() {
    let mut engine = engine_that_talked();
    assert!(resume(&mut engine, standing(0, 0, 0)).is_some());
    at(&mut engine, 10_000, [close("bob")]).unwrap();
    assert!(engine.connection(&peer("bob")).is_none());
}

#[test]
fn all_that_a_closed_connection_waited_for_was_received() {
    let mut engine = engine_that_talked();
    at(&mut engine, 5, [close("bob")]).unwrap();
    assert_eq!(resume(&mut engine, standing(4, 2, 2)), None);
    assert!(engine.connection(&peer("bob")).is_none());
    assert!(outputs(&mut engine).contains(&"connection bob closed".into()));
}
