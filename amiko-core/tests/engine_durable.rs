//! What outlives an event: timers, connections, and everything that was synced, whenever the crash comes.

// Helpers of tests fail like tests.
#![allow(clippy::unwrap_used, clippy::panic)]

mod script;

use amiko_core::Version;
use amiko_core::engine::{EngineOpenError, EventError};
use amiko_core::prelude::*;
use amiko_core::store::{DirectorySettings, Memory, OpenError, RecoverError, Retention};
use proptest::prelude::*;
use script::*;
use std::collections::BTreeMap;

type World3 = Engine<World, Memory>;

fn tick(engine: &mut World3, now: u64) {
    engine.tick(Time::from_millis(now)).unwrap();
}

fn receive<const N: usize>(engine: &mut World3, index: u64, acts: [Act; N]) -> Result<Version, EventError> {
    engine.receive(&peer("bob"), index, Ok(envelope("a", acts)), Time::from_millis(10))
}

fn outbox(engine: &World3) -> Vec<u64> {
    engine.outbox(&peer("bob")).map(|(index, _)| index).collect()
}

/// An engine with a connection to bob, on disk.
fn connected() -> World3 {
    let mut engine = engine();
    at(&mut engine, 1, [connect("bob")]).unwrap();
    engine.sync().unwrap();
    engine
}

#[test]
fn a_timer_fires_once_and_never_early() {
    let mut engine = engine();
    at(&mut engine, 1, [timer("t", 100, [log("fired")])]).unwrap();
    assert_eq!(engine.next_due(), Some(Time::from_millis(100)));
    tick(&mut engine, 99);
    at(&mut engine, 99, []).unwrap();
    assert!(logged(&engine, "a").is_empty());
    for now in [100, 100, 101, 5_000] {
        tick(&mut engine, now);
        assert_eq!(logged(&engine, "a"), ["fired"]);
    }
    assert_eq!((engine.next_due(), engine.timers().count()), (None, 0));
}

#[test]
fn setting_a_timer_again_replaces_it_and_cancelling_removes_it() {
    let mut engine = engine();
    at(&mut engine, 1, [timer("t", 100, [log("old")]), timer("u", 100, [log("never")])]).unwrap();
    at(&mut engine, 2, [timer("t", 300, [log("new")]), Act::Cancel { name: "u".into() }]).unwrap();
    at(&mut engine, 2, [Act::Cancel { name: "there is none".into() }]).unwrap();
    tick(&mut engine, 299);
    assert!(logged(&engine, "a").is_empty());
    tick(&mut engine, 300);
    assert_eq!(logged(&engine, "a"), ["new"]);
    // To an earlier moment as well.
    at(&mut engine, 301, [timer("t", 900, []), timer("t", 400, [log("earlier")])]).unwrap();
    tick(&mut engine, 400);
    assert_eq!(logged(&engine, "a"), ["new", "earlier"]);
}

#[test]
fn removing_an_owner_removes_its_timers_and_nobody_elses() {
    let mut engine = engine();
    // Names that have the owner's as a prefix, or would be the same without escapes.
    let names = ["x", "x/y", "x~1y", "xx", "x/"];
    for name in names {
        root(&mut engine, [create(name), send(name, [timer("t", 50, []), timer("y/t", 60, [])])]).unwrap();
    }
    assert_eq!(engine.timers().count(), 10, "no two names were taken for one");
    root(&mut engine, [timer("t", 70, [log("mine")]), remove("x")]).unwrap();
    let left: Vec<_> = engine.timers().map(|(id, _)| id.key().clone()).collect();
    assert_eq!(left.len(), 9, "{left:?}");
    assert!(!left.iter().any(|id| id == "thing/x/t" || id == "thing/x/y/t"), "{left:?}");
    // One that is set in the event in which its owner goes, goes too; and a successor doesn't inherit any.
    root(&mut engine, [send("xx", [timer("last", 40, [])]), remove("xx"), create("xx")]).unwrap();
    root(&mut engine, [send("x~1y", [remove("x~1y"), timer("after", 30, [])])]).unwrap();
    assert_eq!(engine.timers().count(), 5);
    assert_eq!(engine.next_due(), Some(Time::from_millis(50)));
    tick(&mut engine, 1_000);
    assert_eq!(engine.rejections().count(), 0, "no timer found its owner gone");
}

#[test]
fn what_fell_due_while_the_node_was_down_fires_first_in_order_of_its_deadline() {
    let mut engine = engine();
    // The order of names and of setting is another than that of the deadlines.
    let timers = [timer("a", 300, [log("300")]), timer("c", 100, [log("100")]), timer("b", 200, [log("200")])];
    at(&mut engine, 1, timers).unwrap();
    at(&mut engine, 1, [timer("d", 900, [log("900")])]).unwrap();
    engine.sync().unwrap();
    at(&mut engine, 2, [timer("lost", 50, [log("never synced")])]).unwrap();
    let mut engine = crash(engine);
    assert_eq!(engine.next_due(), Some(Time::from_millis(100)));
    at(&mut engine, 500, [log("command")]).unwrap();
    assert_eq!(logged(&engine, "a"), ["100", "200", "300", "command"]);
    engine.sync().unwrap();
    // Once: neither after another restart.
    let mut engine = crash(engine);
    tick(&mut engine, 900);
    assert_eq!(logged(&engine, "a"), ["100", "200", "300", "command", "900"]);
}

#[test]
fn due_timers_go_before_a_message_of_a_peer() {
    let mut engine = connected();
    at(&mut engine, 1, [timer("late", 9, [log("9")]), timer("early", 8, [log("8")]), timer("not yet", 11, [])])
        .unwrap();
    receive(&mut engine, 0, [log("message")]).unwrap();
    assert_eq!(logged(&engine, "a"), ["8", "9", "message"]);
}

#[test]
fn a_timer_that_fired_unsynced_fires_again_after_a_crash_since_it_never_happened() {
    let mut engine = engine();
    at(&mut engine, 1, [timer("t", 100, [log("fired")])]).unwrap();
    engine.sync().unwrap();
    tick(&mut engine, 100);
    let mut engine = crash(engine);
    assert!(logged(&engine, "a").is_empty());
    tick(&mut engine, 100);
    assert_eq!(logged(&engine, "a"), ["fired"]);
}

#[test]
fn a_rejected_timer_is_used_up_and_noted_and_what_it_did_is_undone() {
    let mut engine = engine();
    at(&mut engine, 1, [timer("t", 100, [set(9), send("b", [Act::Reject])]), timer("u", 101, [log("next")])]).unwrap();
    tick(&mut engine, 101);
    assert_eq!(engine.node().things.get(&thing("a")).map(|thing| thing.value), Some(0));
    assert_eq!(logged(&engine, "a"), ["next"], "those after it aren't held up");
    let noted: Vec<_> = engine.rejections().map(|rejected| rejected.rejection.reason().to_owned()).collect();
    assert_eq!(noted, ["the script said so"]);
    engine.sync().unwrap();
    let mut engine = crash(engine);
    assert_eq!(engine.timers().count(), 0);
    tick(&mut engine, 500);
    assert_eq!(engine.rejections().count(), 0, "it doesn't come back after a restart");
}

#[test]
fn so_many_timers_as_are_allowed_go_before_one_input() {
    let mut limited = settings();
    limited.limits.due = 2;
    let mut engine = open(Memory::new(), limited);
    at(&mut engine, 1, [timer("1", 11, [log("1")]), timer("2", 12, [log("2")]), timer("3", 13, [log("3")])]).unwrap();
    at(&mut engine, 20, [log("command")]).unwrap();
    assert_eq!(logged(&engine, "a"), ["1", "2", "command"]);
    receive(&mut engine, 0, []).unwrap_err();
    at(&mut engine, 20, []).unwrap();
    assert_eq!(logged(&engine, "a"), ["1", "2", "command", "3"]);
}

#[test]
fn a_message_from_a_peer_acts_once_however_often_it_comes() {
    let mut engine = connected();
    receive(&mut engine, 0, [log("0")]).unwrap();
    receive(&mut engine, 1, [log("1")]).unwrap();
    for index in [0, 1, 0] {
        receive(&mut engine, index, [log("again")]).unwrap();
    }
    assert_eq!(logged(&engine, "a"), ["0", "1"]);
    let confirmed = [0, 1, 0, 1, 0].map(|index| format!("connection bob confirmed {index}"));
    assert_eq!(outputs(&mut engine), confirmed, "the repetition means that the confirmation was lost");

    let before = engine.document().unwrap();
    let error = receive(&mut engine, 4, [log("4")]).unwrap_err();
    assert!(matches!(error, EventError::Gap { missing: 2 }), "{error:?}");
    let error = receive(&mut engine, 2 + 32_767, []).unwrap_err();
    assert!(matches!(error, EventError::Gap { missing: 32_767 }), "{error:?}");
    let error = receive(&mut engine, 2 + 32_768, []).unwrap_err();
    assert!(matches!(error, EventError::Future { index: 32_770, expected: 2 }), "{error:?}");
    let error = engine.receive(&peer("eve"), 0, Ok(envelope("a", [])), Time::default()).unwrap_err();
    assert_eq!(error.to_string(), r#"expected a connection, found none named "eve""#);
    assert_eq!(engine.document().unwrap(), before);
    assert!(outputs(&mut engine).is_empty(), "what isn't there isn't confirmed");
}

#[test]
fn a_rejected_message_moves_the_cursor_and_is_confirmed_without_acting() {
    let mut engine = connected();
    at(&mut engine, 1, [timer("t", 90, [])]).unwrap();
    receive(&mut engine, 0, [set(9), timer("t", 50, []), notice("never"), Act::Reject]).unwrap_err();
    let unread = Rejection::new("expected a message, found noise");
    engine.receive(&peer("bob"), 1, Err(unread), Time::from_millis(10)).unwrap_err();
    receive(&mut engine, 2, [Act::Panic]).unwrap_err();
    receive(&mut engine, 3, [Act::Divide]).unwrap_err();
    assert_eq!(engine.node().things.get(&thing("a")).map(|thing| thing.value), Some(0));
    assert_eq!(engine.next_due(), Some(Time::from_millis(90)));
    assert_eq!(outputs(&mut engine), [0, 1, 2, 3].map(|index| format!("connection bob confirmed {index}")));
    let engine = crash(engine);
    assert_eq!(engine.connection(&peer("bob")).map(|bob| bob.received), Some(4));
}

#[test]
fn the_cursor_and_the_effects_of_a_message_survive_a_crash_together_or_not_at_all() {
    let mut engine = connected();
    receive(&mut engine, 0, [log("0")]).unwrap();
    // Before the sync: neither is there, and the peer, who has no confirmation, sends it again.
    let mut engine = crash(engine);
    assert_eq!((logged(&engine, "a").len(), engine.connection(&peer("bob")).map(|bob| bob.received)), (0, Some(0)));
    receive(&mut engine, 0, [log("0")]).unwrap();
    engine.sync().unwrap();
    // After it: both are, also if the confirmation was lost.
    let mut engine = crash(engine);
    receive(&mut engine, 0, [log("0")]).unwrap();
    assert_eq!(logged(&engine, "a"), ["0"]);
    assert_eq!(outputs(&mut engine), ["connection bob confirmed 0"]);
}

#[test]
fn a_message_stays_in_the_outbox_until_it_is_confirmed() {
    let mut engine = connected();
    at(&mut engine, 1, [transmit("bob", "0"), transmit("bob", "1"), transmit("bob", "2")]).unwrap();
    engine.sync().unwrap();
    let mut engine = crash(engine);
    assert_eq!(outbox(&engine), [0, 1, 2]);
    engine.confirm(&peer("bob"), 1, Time::default()).unwrap();
    assert_eq!(outbox(&engine), [2]);
    let version = engine.version().0;
    assert_eq!(engine.confirm(&peer("bob"), 0, Time::default()).unwrap(), version, "an old one changes nothing");
    // Before a sync, the confirmation didn't happen; the numbers go on where they were.
    let mut engine = crash(engine);
    assert_eq!(outbox(&engine), [0, 1, 2]);
    engine.confirm(&peer("bob"), 2, Time::default()).unwrap();
    at(&mut engine, 1, [transmit("bob", "3")]).unwrap();
    assert_eq!(outputs(&mut engine), ["connection bob <- 3 3"]);
    assert_eq!(outbox(&crash(engine)), [3]);
    let mut engine = connected();
    assert!(matches!(engine.confirm(&peer("eve"), 0, Time::default()), Err(EventError::NoConnection { .. })));
}

#[test]
fn nothing_is_transmitted_over_a_connection_that_isnt_there() {
    let mut engine = connected();
    let error = at(&mut engine, 1, [set(1), transmit("eve", "hello")]).unwrap_err();
    assert!(error.to_string().starts_with("expected connection eve to transmit over, found none"), "{error}");
    at(&mut engine, 1, [close("eve")]).unwrap();
    assert!(outputs(&mut engine).is_empty());
}

#[test]
fn a_connection_closes_at_once_if_the_peer_has_everything_and_else_when_it_has() {
    let mut engine = connected();
    at(&mut engine, 1, [connect("idle"), transmit("bob", "0"), close("bob"), close("idle")]).unwrap();
    assert_eq!(
        outputs(&mut engine),
        ["connection idle opened", "connection bob <- 0 0", "connection idle closed"],
        "bob hasn't confirmed"
    );
    let mut engine = crash(engine);
    assert_eq!(outbox(&engine), [0], "it's still to be sent");
    engine.confirm(&peer("bob"), 0, Time::default()).unwrap();
    assert_eq!(outputs(&mut engine), ["connection bob closed"]);
    assert_eq!((engine.connections().count(), engine.next_due()), (0, None));
}

#[test]
fn a_connection_that_lingers_goes_at_its_deadline_and_not_before() {
    let mut engine = connected();
    at(&mut engine, 1_000, [transmit("bob", "0"), close("bob")]).unwrap();
    at(&mut engine, 2_000, [close("bob")]).unwrap();
    outputs(&mut engine);
    let deadline = 1_000 + 3_600_000;
    let mut engine = crash(engine);
    assert_eq!(engine.next_due(), Some(Time::from_millis(deadline)), "closing it again doesn't put it off");
    tick(&mut engine, deadline - 1);
    assert_eq!(engine.connections().count(), 1);
    tick(&mut engine, deadline);
    assert_eq!(outputs(&mut engine), ["connection bob closed"]);
    assert_eq!((crash(engine).connections().count()), 0);
}

#[test]
fn connecting_again_keeps_a_connection_that_was_to_be_closed() {
    let mut engine = connected();
    at(&mut engine, 1_000, [transmit("bob", "0"), close("bob"), connect("bob")]).unwrap();
    assert_eq!(engine.next_due(), None);
    assert_eq!(outputs(&mut engine), ["connection bob <- 0 0", "connection bob opened"]);
    engine.confirm(&peer("bob"), 0, Time::default()).unwrap();
    assert_eq!(outputs(&mut engine), [""; 0]);
    assert_eq!(engine.connections().count(), 1);
}

/// Commands that leave something in each part of the document.
fn live<S: amiko_core::store::Store>(engine: &mut Engine<World, S>) {
    at(engine, 1, [set(-3), log("~/!\"\\\u{1}ä"), connect("a/b~c"), timer("t/~", 9_000, [log("late")])]).unwrap_err();
    for value in 1..20 {
        let name = format!("!n~{value}/ä");
        let message = transmit("a/b~c", "!x");
        at(engine, 1, [set(value), log("~/!\"\\\u{1}ä"), connect("a/b~c"), message]).unwrap();
        let acts = vec![set(value), log(&name), create(&name), timer(&name, 9_000, [log("late")])];
        engine.send(&Id::<World>::new(()), Script { acts }, Time::default()).unwrap();
    }
}

#[test]
fn a_directory_opened_again_has_the_same_document() {
    // With and without snapshots in between.
    for ratio in [0, 2] {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = settings();
        settings.snapshot_ratio = ratio;
        settings.snapshot_minimum = if ratio == 0 { 500 } else { 1 << 20 };
        let open = || {
            let mut disk = DirectorySettings::default();
            disk.retention = Retention::Count(0);
            let store = Directory::open_with(directory.path(), disk).unwrap();
            Engine::<World>::open_with(store, settings.clone(), three_things).unwrap()
        };
        let mut engine = open();
        live(&mut engine);
        engine.sync().unwrap();
        let document = engine.document().unwrap();
        drop(engine);
        let mut engine = open();
        assert_eq!(engine.document().unwrap(), document);
        assert!(engine.torn().is_none());
        at(&mut engine, 1, [log("lost")]).unwrap();
        drop(engine);
        let engine = open();
        assert_eq!(engine.document().unwrap(), document, "what wasn't synced never happened");
        let snapshots = std::fs::read_dir(directory.path())
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("snapshot-"));
        assert_eq!(snapshots.count(), 1);
    }
}

/// The files of a directory with what is in them, but for the lock.
fn files(directory: &std::path::Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    let named = entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.path()));
    named.filter(|(name, _)| name != "LOCK").map(|(name, path)| (name, std::fs::read(path).unwrap())).collect()
}

#[test]
fn a_garbled_file_is_refused_with_its_place_and_nothing_is_changed() {
    let directory = tempfile::tempdir().unwrap();
    let open = || Engine::<World>::open_with(Directory::open(directory.path()).unwrap(), settings(), three_things);
    let mut engine = open().unwrap();
    for value in 1..=3 {
        at(&mut engine, 1, [set(value)]).unwrap();
        engine.sync().unwrap();
    }
    drop(engine);
    let journal = directory.path().join("journal-1.jsonl");
    let whole = std::fs::read_to_string(&journal).unwrap();
    let damaged = whole.replacen(r#""value":1"#, r#""value":9"#, 1);
    assert_ne!(damaged, whole);
    std::fs::write(&journal, &damaged).unwrap();
    let before = files(directory.path());
    let error = open().err().unwrap();
    let EngineOpenError::Recover(RecoverError::Damaged { path, line: 2, byte, .. }) = error else {
        panic!("{error:?}");
    };
    assert_eq!((&path, byte), (&journal, whole.find('\n').unwrap() as u64 + 1));
    assert_eq!(files(directory.path()), before);

    std::fs::write(&journal, &whole).unwrap();
    assert_eq!(open().unwrap().version().0, 3);
}

#[test]
fn a_whole_file_of_another_state_is_refused_with_file_line_and_byte() {
    #[derive(Clone, Default, Serializable, Node)]
    #[amiko(class = "World")]
    struct Narrow {
        #[amiko(machines)]
        things: Table<Thing3>,
        value: i64,
        log: Map<u64, String>,
    }

    #[derive(Clone, Serializable)]
    #[amiko(key = String, kind = "thing", class = "Thing")]
    struct Thing3 {
        value: i64,
        ratio: f64,
        // Text before.
        log: Vec<u64>,
    }

    impl StateMachine for Thing3 {
        type Node = Narrow;
        type Message = u64;

        fn handle(&mut self, _: u64, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
            Ok(())
        }
    }

    let directory = tempfile::tempdir().unwrap();
    let open = || Directory::open(directory.path()).unwrap();
    let mut engine = Engine::<World>::open_with(open(), settings(), three_things).unwrap();
    at(&mut engine, 1, [set(1)]).unwrap();
    at(&mut engine, 1, [log("text")]).unwrap();
    engine.sync().unwrap();
    drop(engine);
    let before = files(directory.path());
    let error = Engine::<Narrow>::open(open(), settings()).err().unwrap();
    // No migration leads there: said with the place in the object, since the file is one that the other program can read.
    let EngineOpenError::Lift(error) = error else {
        panic!("{error:?}");
    };
    assert_eq!(error.reason(), r#"state.things.a.log[0]: expected an unsigned integer of 64 bits, found "text""#);
    assert_eq!(files(directory.path()), before);
}

#[test]
fn the_first_snapshot_is_missed_as_soon_as_there_is_an_event() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Engine::<World>::open_with(Directory::open(folder.path()).unwrap(), settings(), three_things);
    let snapshot = folder.path().join("snapshot-0.json");
    drop(open().unwrap());
    // As a process leaves it that was killed while the directory was made.
    std::fs::remove_file(&snapshot).unwrap();
    let mut engine = open().unwrap();
    at(&mut engine, 1, [set(7)]).unwrap();
    engine.sync().unwrap();
    drop(engine);
    std::fs::remove_file(&snapshot).unwrap();
    let error = open().err().unwrap();
    let EngineOpenError::Recover(RecoverError::Refused { path, line: 2, reason, .. }) = &error else {
        panic!("{error:?}")
    };
    assert!(path.ends_with("journal-1.jsonl") && reason.contains("a snapshot of version 0"), "{error:?}");
    assert!(!snapshot.exists());
}

#[test]
fn a_directory_is_open_in_one_place_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let first = Directory::open(directory.path()).unwrap();
    assert!(matches!(Directory::open(directory.path()), Err(OpenError::Locked { .. })));
    drop(first);
    Directory::open(directory.path()).unwrap();
}

/// What the model of the bank knows: balances of `a`, `b` and `c`, and payments under way by name.
#[derive(Clone, Debug, PartialEq, Default)]
struct Model {
    balances: [i64; 3],
    due: BTreeMap<String, (u64, usize, i64)>,
}

#[derive(Clone, Debug)]
enum Step {
    /// Takes from one, gives to another; rejected by the invariant that nobody has less than nothing.
    Pay {
        from: usize,
        to: usize,
        amount: i64,
        broken: bool,
    },
    /// The same, later.
    Later {
        to: usize,
        amount: i64,
        name: u8,
        after: u64,
    },
    Wait {
        millis: u64,
    },
    Sync,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..3usize, 0..3usize, 0..5i64, prop::bool::weighted(0.2))
            .prop_map(|(from, to, amount, broken)| Step::Pay { from, to, amount, broken }),
        3 => (0..3usize, -3..5i64, 0..3u8, 0..20u64)
            .prop_map(|(to, amount, name, after)| Step::Later { to, amount, name, after }),
        2 => (0..15u64).prop_map(|millis| Step::Wait { millis }),
        2 => Just(Step::Sync),
        1 => Just(Step::Crash),
    ]
}

const NAMES: [&str; 3] = ["a", "b", "c"];

impl Model {
    fn fire(&mut self, now: u64) {
        let mut due: Vec<_> =
            self.due.iter().filter(|(_, (at, ..))| *at <= now).map(|(name, entry)| (entry.0, name.clone())).collect();
        due.sort();
        for (_, name) in due {
            if let Some((_, to, value)) = self.due.remove(&name).filter(|(_, _, value)| *value >= 0) {
                self.balances[to] = value;
            }
        }
    }

    fn of(engine: &World3) -> Self {
        let balance = |id: &str| engine.node().things.get(&thing(id)).map_or(-1, |thing| thing.value);
        let due = engine.timers().map(|(id, timer)| {
            let WorldEnvelope::World(script) = &timer.envelope else { panic!("a timer of the node") };
            let Some(Act::Send { to, acts }) = script.acts.first() else { panic!("which sends") };
            let (to, Some(Act::Set { value })) = (NAMES.iter().position(|name| name == to), acts.first()) else {
                panic!("a balance");
            };
            (id.key().trim_start_matches("node//").to_owned(), (timer.at.as_millis(), to.unwrap(), *value))
        });
        Self { balances: NAMES.map(balance), due: due.collect() }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Against a model that has neither journal nor undo log: a clone of everything, kept at each sync.
    #[test]
    fn after_any_events_and_crashes_the_state_is_that_of_the_model(steps in prop::collection::vec(step(), 0..60)) {
        let (mut engine, mut model, mut durable, mut now) = (engine(), Model::default(), Model::default(), 0);
        for step in steps {
            match step {
                Step::Pay { from, to, amount, broken } => {
                    model.fire(now);
                    let mut after = model.balances;
                    after[from] -= amount;
                    after[to] += amount;
                    let sends = [(from, after[from]), (to, after[to])].map(|(who, value)| send(NAMES[who], [set(value)]));
                    let acts = sends.into_iter().chain(broken.then_some(Act::Reject)).collect();
                    let outcome = engine.send(&Id::<World>::new(()), Script { acts }, Time::from_millis(now));
                    let good = !broken && after.iter().all(|balance| *balance >= 0);
                    prop_assert_eq!(outcome.is_ok(), good);
                    if good {
                        model.balances = after;
                    }
                }
                Step::Later { to, amount, name, after } => {
                    model.fire(now);
                    let (name, moment) = (name.to_string(), now + after);
                    let acts = vec![timer(&name, moment, [send(NAMES[to], [set(amount)])])];
                    engine.send(&Id::<World>::new(()), Script { acts }, Time::from_millis(now)).unwrap();
                    model.due.insert(name, (moment, to, amount));
                }
                Step::Wait { millis } => {
                    now += millis;
                    tick(&mut engine, now);
                    model.fire(now);
                }
                Step::Sync => {
                    engine.sync().unwrap();
                    durable = model.clone();
                }
                Step::Crash => {
                    engine = crash(engine);
                    model = durable.clone();
                }
            }
            prop_assert_eq!(Model::of(&engine), model.clone());
        }
    }
}
