//! One event: delivered to its end or undone, bounded, the same each time; and what is kept of it.

// Helpers of tests fail like tests.
#![allow(clippy::unwrap_used, clippy::panic)]

mod script;

use amiko_core::Version;
use amiko_core::engine::{Entropy, EventError};
use amiko_core::event::{Limits, Request};
use amiko_core::prelude::*;
use amiko_core::store::Memory;
use script::*;

fn rejection(error: EventError) -> Rejection {
    match error {
        EventError::Rejected(rejection) => rejection,
        other => panic!("{other:?}"),
    }
}

/// An engine with something of each kind that an event could leave behind.
fn lived_in(settings: Settings) -> Engine<World, Memory> {
    let mut engine = open(Memory::new(), settings);
    let acts = [
        set(5),
        timer("late", 9_000, [log("late")]),
        timer("soon", 8_000, [log("soon")]),
        connect("bob"),
        connect("idle"),
        transmit("bob", "hello"),
    ];
    at(&mut engine, 1, acts).unwrap();
    root(&mut engine, [set(3), log("before")]).unwrap();
    engine.sync().unwrap();
    engine
}

/// Tries an event that has to fail, and checks that nothing of it is left anywhere.
fn leaves_nothing<const N: usize>(engine: &mut Engine<World, Memory>, acts: [Act; N]) -> EventError {
    let (document, version, due) = (engine.document().unwrap(), engine.version().0, engine.next_due());
    let outbox = |engine: &Engine<World, Memory>| engine.outbox(&peer("bob")).count();
    let sent = outbox(engine);
    let error = root(engine, acts).unwrap_err();
    assert_eq!(engine.document().unwrap(), document, "{error}");
    assert_eq!((engine.version().0, engine.next_due(), outbox(engine)), (version, due, sent), "{error}");
    assert!(!engine.unsynced(), "{error}");
    assert!(outputs(engine).is_empty(), "{error}");
    error
}

/// Touches all that an event can touch.
fn everything(last: Act) -> [Act; 5] {
    let inside = [
        set(100),
        Act::Random,
        timer("late", 2_000, [log("earlier")]),
        timer("new", 3_000, []),
        Act::Cancel { name: "soon".into() },
        transmit("bob", "never"),
        close("bob"),
        close("idle"),
        connect("carol"),
        Act::Reply { text: "never".into() },
        notice("never"),
    ];
    let root = Act::Root { acts: vec![set(99), log("never"), create("d"), send("d", [set(4)]), remove("b")] };
    [send("a", inside), root, send("c", [set(1)]), send("c", [last]), send("c", [set(2)])]
}

#[test]
fn messages_are_delivered_in_the_order_in_which_they_were_sent() {
    let mut engine = engine();
    let again = |to: &str, text: &str| send(to, [notice(text)]);
    let b = send("b", [notice("1"), again("c", "3"), again("a", "4")]);
    let c = send("c", [notice("2"), again("b", "5")]);
    at(&mut engine, 1, [b, c, notice("0")]).unwrap();
    assert_eq!(outputs(&mut engine), ["0", "1", "2", "3", "4", "5"]);
}

#[test]
fn without_a_rejection_the_event_that_touches_everything_commits() {
    // Without this, the tests below could pass because the event fails too early.
    let mut engine = lived_in(settings());
    root(&mut engine, everything(set(1))).unwrap();
    assert_eq!(engine.node().value, 99);
    assert_eq!(engine.next_due(), Some(Time::from_millis(2_000)));
    let released = outputs(&mut engine);
    assert_eq!(
        released,
        ["connection bob <- 1 never", "connection idle closed", "connection carol opened", "never"],
        "the reply has nobody to go to"
    );
}

#[test]
fn a_rejection_in_the_middle_undoes_everything_bit_for_bit() {
    let mut engine = lived_in(settings());
    let error = leaves_nothing(&mut engine, everything(Act::Reject));
    assert_eq!(rejection(error).reason(), "the script said so");
    // The order of the deadlines was put back too, not only the timers.
    engine.tick(Time::from_millis(8_000)).unwrap();
    assert_eq!(logged(&engine, "a"), ["soon"]);
    engine.tick(Time::from_millis(9_000)).unwrap();
    assert_eq!(logged(&engine, "a"), ["soon", "late"]);
}

#[test]
fn a_panic_in_a_handler_undoes_everything_too() {
    let mut engine = lived_in(settings());
    let error = leaves_nothing(&mut engine, everything(Act::Panic));
    assert_eq!(rejection(error).reason(), "a handler panicked: the script said so");
    root(&mut engine, [set(1)]).unwrap();
}

#[test]
fn a_value_without_exact_text_undoes_everything_and_isnt_met_on_disk() {
    let mut engine = lived_in(settings());
    let error = leaves_nothing(&mut engine, everything(Act::Divide));
    assert!(matches!(error, EventError::Write(_)), "{error:?}");
}

#[test]
fn the_invariants_of_the_node_undo_everything() {
    let mut engine = lived_in(settings());
    let error = rejection(leaves_nothing(
        &mut engine,
        everything(set(2)).map(|act| match act {
            Act::Send { to, .. } if to == "c" => send("c", [set(-1)]),
            other => other,
        }),
    ));
    assert_eq!(error.reason(), "expected c not to be negative");
    assert_eq!(engine.rejections().last().map(|rejected| &rejected.rejection), Some(&error));
}

#[test]
fn a_rejection_names_the_messages_that_led_to_it() {
    let mut engine = engine();
    let error =
        rejection(root(&mut engine, [send("b", [send("a", [])]), send("a", [send("c", [Act::Reject])])]).unwrap_err());
    assert_eq!(
        error.to_string(),
        "the script said so (in Script to thing c, sent by Script to thing a, sent by Script to node)"
    );
    let kinds: Vec<_> = error.chain().map(|delivery| delivery.kind).collect();
    assert_eq!(kinds, ["node", "thing", "thing"]);

    // Also of one that has done nothing but exceed a limit, and of one whose new object is there already.
    let error = rejection(root(&mut engine, [send("b", [transmit("nobody", "x")])]).unwrap_err());
    assert!(error.to_string().ends_with("(in Script to thing b, sent by Script to node)"), "{error}");
    let error = rejection(root(&mut engine, [send("b", [create("a")])]).unwrap_err());
    assert!(error.to_string().ends_with("(in Script to thing b, sent by Script to node)"), "{error}");

    let error = rejection(at(&mut engine, 1, [send("z", [])]).unwrap_err());
    assert_eq!(error.to_string(), "expected thing z, found none (in Script to thing z, sent by Script to thing a)");
}

#[test]
fn each_limit_of_an_event_undoes_it_and_says_so_and_can_be_reached() {
    // What is allowed, one more, how the limit is set, and what the error says.
    type Case = (fn(&mut Limits), Vec<Act>, Act, &'static str);
    let cases: [Case; 6] = [
        (|limits| limits.steps = 3, vec![send("a", []), create("d")], remove("d"), "at most 3 steps in one event"),
        (|limits| limits.created = 1, vec![create("d")], create("e"), "at most 1 new objects in one event"),
        (|limits| limits.outputs = 2, vec![notice("1"), notice("2")], notice("3"), "at most 2 outputs of one event"),
        (|limits| limits.timers = 3, vec![timer("x", 5, []), timer("x", 6, [])], timer("y", 5, []), "at most 3 timers"),
        (|limits| limits.connections = 3, vec![connect("x"), connect("bob")], connect("y"), "at most 3 connections"),
        (
            |limits| limits.outbox = 3,
            vec![transmit("bob", "2"), transmit("bob", "3")],
            transmit("bob", "4"),
            "at most 3 unconfirmed messages on connection bob",
        ),
    ];
    for (limit, allowed, one_more, expected) in cases {
        let mut settings = settings();
        limit(&mut settings.limits);
        // Steps and outputs of the event that prepares the engine stay below their limits only if it is split.
        let mut engine = open(Memory::new(), settings);
        at(&mut engine, 1, [timer("late", 9_000, []), timer("soon", 8_000, [])]).unwrap();
        at(&mut engine, 1, [connect("bob")]).unwrap();
        at(&mut engine, 1, [connect("idle"), transmit("bob", "1")]).unwrap();
        outputs(&mut engine);
        let acts = allowed.iter().cloned().chain([one_more]).collect();
        let document = engine.document().unwrap();
        let id = Id::<World>::new(());
        let error = rejection(engine.send(&id, Script { acts }, Time::from_millis(0)).unwrap_err());
        assert!(error.reason().contains(expected), "{expected}: {error}");
        assert_eq!(error.chain().next().map(|delivery| delivery.kind), Some("node"), "{error}");
        assert_eq!(engine.document().unwrap(), document, "{expected}");
        assert!(outputs(&mut engine).is_empty(), "{expected}");
        engine.send(&id, Script { acts: allowed }, Time::from_millis(0)).unwrap();
    }
}

#[test]
fn messages_that_go_round_in_a_circle_end_at_the_limit_of_steps() {
    // Doubling at each step: without a limit on the queue, this would grow to 4,096 messages.
    let acts = (0..12).fold(vec![], |acts, _| {
        vec![Act::Send { to: "a".into(), acts: acts.clone() }, Act::Send { to: "b".into(), acts }]
    });
    let mut limited = settings();
    limited.limits.steps = 50;
    let mut engine = open(Memory::new(), limited);
    let error = engine.send(&thing("a"), Script { acts }, Time::default()).unwrap_err();
    assert!(rejection(error).reason().contains("at most 50 steps"));
}

#[test]
fn a_record_beyond_its_limit_undoes_the_event() {
    let mut limited = settings();
    limited.limits.record = 600;
    let mut engine = open(Memory::new(), limited);
    let before = engine.document().unwrap();
    let error = at(&mut engine, 1, [log(&"x".repeat(600))]).unwrap_err();
    assert!(matches!(error, EventError::TooLong { limit: 600 }), "{error:?}");
    assert_eq!(engine.document().unwrap(), before);
    assert!(outputs(&mut engine).is_empty());
    at(&mut engine, 1, [log("x")]).unwrap();
}

#[test]
fn objects_are_created_and_removed_in_order_with_the_messages() {
    let mut engine = engine();
    // The message before the creation finds nobody; the one after it does; the one after the removal doesn't.
    let new = [create("d"), send("d", [set(7)]), remove("d"), create("d"), send("d", [log("again")])];
    root(&mut engine, new).unwrap();
    assert_eq!(engine.node().things.get(&thing("d")), Some(&Thing { log: vec!["again".into()], ..empty() }));
    let cases = [
        (vec![send("e", []), create("e")], "expected thing e, found none"),
        (vec![create("e"), remove("e"), send("e", [])], "expected thing e, found none"),
        (vec![create("d")], "expected thing d to be new, found it there already"),
        (vec![create("e"), create("e")], "expected thing e to be new, found it there already"),
        (vec![remove("e")], "expected thing e to remove it, found none"),
    ];
    for (acts, expected) in cases {
        let before = engine.document().unwrap();
        let error = engine.send(&Id::<World>::new(()), Script { acts }, Time::default()).unwrap_err();
        assert_eq!(rejection(error).reason(), expected);
        assert_eq!(engine.document().unwrap(), before);
    }
}

#[test]
fn nothing_leaves_before_a_sync_and_then_everything_in_order() {
    let mut engine = engine();
    at(&mut engine, 1, [connect("bob"), notice("first")]).unwrap();
    at(&mut engine, 1, [notice("second, of an event that changes nothing")]).unwrap();
    at(&mut engine, 1, [transmit("bob", "hello"), notice("third")]).unwrap();
    let script = Script { acts: vec![notice("fourth"), Act::Reply { text: "here".into() }] };
    engine.command(WorldEnvelope::World(script), Some(Request(8)), Time::default()).unwrap();
    assert!(engine.unsynced());
    assert_eq!(engine.outbox(&peer("bob")).count(), 0, "it isn't on disk yet");
    let expected = [
        "connection bob opened",
        "first",
        "second, of an event that changes nothing",
        "connection bob <- 0 hello",
        "third",
        "fourth",
        "reply 8 here",
    ];
    assert_eq!(outputs(&mut engine), expected);
    assert_eq!(
        engine.outbox(&peer("bob")).map(|(index, text)| format!("{index} {text}")).collect::<Vec<_>>(),
        ["0 hello"]
    );
    assert!(!engine.unsynced() && outputs(&mut engine).is_empty(), "each leaves once");

    // One that is on disk may be sent again at once, one that isn't may not.
    at(&mut engine, 1, [transmit("bob", "unsynced")]).unwrap();
    assert_eq!(engine.outbox(&peer("bob")).map(|(index, _)| index).collect::<Vec<_>>(), [0]);
    assert_eq!(engine.connection(&peer("bob")).map(|bob| bob.outbox.len()), Some(2));
}

#[test]
fn after_a_failed_sync_nothing_is_released_or_taken_any_more() {
    let mut store = open(Memory::new(), settings()).into_store().crash();
    store.fail_next_sync();
    let mut engine = open(store, settings());
    let before = engine.document().unwrap();
    at(&mut engine, 1, [set(1), notice("never"), connect("bob"), transmit("bob", "never")]).unwrap();
    assert_eq!(engine.sync().unwrap_err().to_string(), "the state can't be made durable: reopen it");
    assert!(engine.sync().is_err(), "a second attempt may not look as if it had worked");
    assert!(matches!(at(&mut engine, 2, [set(2)]), Err(EventError::Poisoned { .. })));
    assert_eq!(engine.outbox(&peer("bob")).count(), 0);
    assert_eq!((engine.durable().0, engine.version().0), (0, 1));
    // What only asks changes nothing, but would be told of what isn't durable.
    assert!(matches!(at(&mut engine, 3, [notice("of what was never durable")]), Err(EventError::Poisoned { .. })));
    assert!(engine.sync().is_err());
    assert_eq!(crash(engine).document().unwrap(), before);
}

#[test]
fn the_last_versions_are_what_the_state_was() {
    let mut limited = settings();
    limited.history = 4;
    let mut engine = open(Memory::new(), limited);
    let mut states = vec![to_json(engine.node()).unwrap()];
    for value in 1..=3 {
        root(&mut engine, [set(value), log("l"), create(&format!("new{value}")), send("b", [set(value)])]).unwrap();
        states.push(to_json(engine.node()).unwrap());
        // What is rejected, changes nothing or only sets a timer isn't a version of its own, or is one like that before.
        root(&mut engine, [set(-7), Act::Reject]).unwrap_err();
        root(&mut engine, [send("b", [set(value)])]).unwrap();
        root(&mut engine, [remove("b"), remove("a"), create("a"), send("a", [log("x")]), create("b")]).unwrap();
        states.push(to_json(engine.node()).unwrap());
    }
    assert_eq!(engine.version().0, 6);
    for (version, state) in (0..).zip(&states) {
        let found = engine.state_at(version).map(|world| to_json(&world).unwrap());
        assert_eq!(found.as_ref(), (version >= 2).then_some(state), "version {version}");
    }
    assert!(engine.state_at(7).is_none(), "there is no such version yet");
}

#[test]
fn an_event_that_changes_nothing_adds_no_version_and_no_record() {
    let mut engine = engine();
    at(&mut engine, 1, [set(1), connect("bob")]).unwrap();
    engine.sync().unwrap();
    let before = engine.document().unwrap();
    // Touched, and put back: also what is created and removed again, and a timer that is set and cancelled.
    let acts = [set(2), set(1), create("d"), remove("d"), timer("t", 5, []), Act::Cancel { name: "t".into() }];
    assert_eq!(at(&mut engine, 1, acts).unwrap(), 1);
    assert_eq!(at(&mut engine, 1, [connect("bob")]).unwrap(), 1);
    assert!(!engine.unsynced());
    assert_eq!(engine.document().unwrap(), before);
}

#[test]
fn the_same_events_and_seed_give_the_same_document_and_another_seed_other_bytes() {
    let run = |seed| {
        let mut settings = settings();
        settings.entropy = Entropy::Seed([seed; 32]);
        let mut engine = open(Memory::new(), settings);
        at(&mut engine, 1, [Act::Random, Act::Random, send("b", [Act::Random])]).unwrap();
        at(&mut engine, 2, [Act::Random, Act::Reject]).unwrap_err();
        at(&mut engine, 2, [Act::Random, timer("t", 3, [Act::Random])]).unwrap();
        at(&mut engine, 4, [set(1)]).unwrap();
        engine
    };
    let (one, same, other) = (run(1), run(1), run(2));
    assert_eq!(one.document().unwrap(), same.document().unwrap());
    let drawn = [logged(&one, "a"), logged(&one, "b"), logged(&other, "a"), logged(&other, "b")].concat();
    let mut distinct = drawn.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!((drawn.len(), distinct.len()), (10, 10), "no two draws are the same");
}

#[test]
fn a_command_is_noted_when_it_is_rejected_and_only_the_last_are_kept() {
    let mut limited = settings();
    limited.rejections = 2;
    let mut engine = open(Memory::new(), limited);
    at(&mut engine, 1, [set(1)]).unwrap();
    for now in 2..5 {
        at(&mut engine, now, [Act::Reject]).unwrap_err();
    }
    let kept: Vec<_> = engine.rejections().map(|rejected| (rejected.time.as_millis(), rejected.version)).collect();
    assert_eq!(kept, [(3, Version(1)), (4, Version(1))]);
}
