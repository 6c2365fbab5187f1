//! A panic at each point where code of the application runs: the event is undone, or the engine is over. Nothing is half
//! done, and nothing gets out.
//!
//! All code of the application in here counts the points at which it may panic. What is done is done once to see how many
//! there are, and then as often, each time with a panic at the next point; what is thrown panics again when it is dropped.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use amiko_core::engine::{EventError, Settings};
use amiko_core::event::Request;
use amiko_core::serializable::{Reference, replace_whole};
use amiko_core::store::Memory;
use amiko_core::{
    Change, Connection, Context, Engine, Hosts, Id, Key, Node, Patch, Pointer, ReadError, Reader, Rejection,
    ResumePoint, Serializable, StateMachine, Table, Time, WriteError, Writer,
};
use std::borrow::Cow;
use std::cell::Cell;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};

// Where it panics.

thread_local! {
    /// What runs belongs to the engine, and not to the test.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    /// Points that were passed.
    static PASSED: Cell<usize> = const { Cell::new(0) };
    static ARMED: Cell<Armed> = const { Cell::new(Armed::Nowhere) };
    /// Where it panicked.
    static FIRED: Cell<Option<&'static str>> = const { Cell::new(None) };
}

#[derive(Clone, Copy)]
enum Armed {
    Nowhere,
    /// At the point of this number.
    At(usize),
    /// At the first point of this name.
    Named(&'static str),
}

/// What is thrown.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic_any("a bomb");
    }
}

/// Calls an engine.
fn inside<T>(call: impl FnOnce() -> T) -> T {
    INSIDE.set(true);
    let outcome = call();
    INSIDE.set(false);
    outcome
}

fn point(name: &'static str) {
    if !INSIDE.get() {
        return;
    }
    let number = PASSED.get() + 1;
    PASSED.set(number);
    let fires = match ARMED.get() {
        Armed::Nowhere => false,
        Armed::At(armed) => armed == number,
        Armed::Named(armed) => armed == name,
    };
    // A second panic while the stack unwinds ends the process, whatever anybody does.
    if fires && !std::thread::panicking() {
        ARMED.set(Armed::Nowhere);
        FIRED.set(Some(name));
        panic_any(Bomb);
    }
}

/// Does something with a panic somewhere: what came of it, how many points were passed, and at which one it panicked.
fn with<T>(armed: Armed, run: impl FnOnce() -> T) -> (T, usize, Option<&'static str>) {
    PASSED.set(0);
    FIRED.set(None);
    ARMED.set(armed);
    let outcome = catch_unwind(AssertUnwindSafe(run));
    ARMED.set(Armed::Nowhere);
    INSIDE.set(false);
    let fired = FIRED.get();
    match outcome {
        Ok(outcome) => (outcome, PASSED.get(), fired),
        Err(thrown) => {
            std::mem::forget(thrown);
            panic!("a panic got out: {fired:?}");
        }
    }
}

/// Says nothing of the panics that are meant.
fn hush() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let meant = panic.payload().is::<Bomb>() || panic.payload().downcast_ref() == Some(&"a bomb");
        if !meant {
            usual(panic);
        }
    }));
}

// An application that may panic anywhere.

/// The names of the points of a value, which stands in an object, a message, a field of the node, or goes out.
const NAMES: [[&str; 6]; 4] = [
    ["clone object", "drop object", "write object", "read object", "compare object", "apply object"],
    ["clone message", "drop message", "write message", "read message", "compare message", "apply message"],
    ["clone own", "drop own", "write own", "read own", "compare own", "apply own"],
    ["clone output", "drop output", "write output", "read output", "compare output", "apply output"],
];

#[derive(Debug, Default)]
struct Trap<const PLACE: usize>(i64);

impl<const PLACE: usize> Clone for Trap<PLACE> {
    fn clone(&self) -> Self {
        point(NAMES[PLACE][0]);
        Self(self.0)
    }
}

impl<const PLACE: usize> Drop for Trap<PLACE> {
    fn drop(&mut self) {
        point(NAMES[PLACE][1]);
    }
}

impl<const PLACE: usize> Serializable for Trap<PLACE> {
    fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
        point(NAMES[PLACE][2]);
        self.0.write(out)
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
        point(NAMES[PLACE][3]);
        i64::read(input).map(Self)
    }

    fn difference(&self, old: &Self, patch: &mut Patch) -> Result<(), WriteError> {
        point(NAMES[PLACE][4]);
        if self.0 == old.0 { Ok(()) } else { patch.replace(self) }
    }

    fn apply(&mut self, pointer: Pointer<'_>, change: Change<'_, '_>) -> Result<(), ReadError> {
        point(NAMES[PLACE][5]);
        replace_whole(self, pointer, change)
    }
}

#[derive(Debug)]
struct Name(String);

impl Clone for Name {
    fn clone(&self) -> Self {
        point("clone key");
        Self(self.0.clone())
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        point("drop key");
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        point("hash key");
        self.0.hash(state);
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        point("equal key");
        self.0 == other.0
    }
}

impl Eq for Name {}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        point("order key");
        self.0.cmp(&other.0)
    }
}

impl Key for Name {
    fn encode(&self) -> Cow<'_, str> {
        point("encode key");
        Cow::Borrowed(&self.0)
    }

    fn reference(&self, _: &mut dyn FnMut(Reference<'_>)) {}

    fn decode(text: &str) -> Result<Self, &'static str> {
        point("decode key");
        Ok(Self(text.to_owned()))
    }
}

#[derive(Clone, Serializable)]
#[amiko(key = Name, reply = Trap<3>, kind = "thing")]
struct Thing {
    trap: Trap<0>,
    #[amiko(strong)]
    friend: Option<Id<Self>>,
}

#[derive(Clone, Serializable)]
enum Act {
    Set {
        value: i64,
    },
    Befriend {
        name: String,
    },
    Create {
        name: String,
    },
    Remove {
        name: String,
    },
    Send {
        name: String,
        acts: Vec<Act>,
    },
    Root {
        acts: Vec<Act>,
    },
    /// Changes the table itself, which only the node can.
    Table,
    Timer {
        at: u64,
        acts: Vec<Act>,
    },
    Transmit,
    Tell,
    Reject,
}

#[derive(Clone, Serializable)]
struct Script {
    acts: Vec<Act>,
    trap: Trap<1>,
}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine, network = Trap<3>, reply = Trap<3>, notice = Trap<3>, check = check)]
struct World {
    #[amiko(machines)]
    things: Table<Thing>,
    own: Trap<2>,
}

fn check(world: &World, _: &WorldUndo) -> Result<(), Rejection> {
    point("check");
    if world.own.0 < 0 { Err(Rejection::new("expected more")) } else { Ok(()) }
}

fn thing(name: &str) -> Id<Thing> {
    Id::new(Name(name.to_owned()))
}

fn script(acts: &[Act]) -> Script {
    Script { acts: acts.to_vec(), trap: Trap(1) }
}

fn new_thing() -> Thing {
    Thing { trap: Trap(0), friend: None }
}

impl StateMachine for Thing {
    type Node = World;
    type Message = Script;

    fn handle(&mut self, script: Script, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        point("handler");
        for act in &script.acts {
            match act {
                Act::Set { value } => self.trap = Trap(*value),
                Act::Befriend { name } => self.friend = Some(thing(name)),
                Act::Timer { at, acts } => cx.timer("t", Time::from_secs(*at), self::script(acts)),
                act => outside(act, cx)?,
            }
        }
        point("handler's end");
        Ok(())
    }
}

impl StateMachine for World {
    type Node = Self;
    type Message = Script;

    fn handle(&mut self, script: Script, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        point("handler");
        for act in &script.acts {
            match act {
                Act::Set { value } => self.own = Trap(*value),
                Act::Table => {
                    self.things.insert(&thing("new"), new_thing());
                    self.things.insert(&thing("b"), new_thing());
                    self.things.get_mut(&thing("a")).unwrap().trap = Trap(9);
                    self.things.remove(&thing("new"));
                    self.things.remove(&thing("c"));
                }
                act => outside(act, cx)?,
            }
        }
        point("handler's end");
        Ok(())
    }
}

fn outside<M>(act: &Act, cx: &mut Context<'_, M>) -> Result<(), Rejection>
where
    M: StateMachine<Node = World, Message = Script, Reply = Trap<3>>,
{
    match act {
        Act::Create { name } => cx.create(&thing(name), new_thing()),
        Act::Remove { name } => cx.remove(&thing(name)),
        Act::Send { name, acts } => cx.send::<Thing>(&thing(name), script(acts)),
        Act::Root { acts } => cx.send::<World>(&Id::new(()), script(acts)),
        Act::Transmit => {
            cx.connect(&bob(), None);
            cx.transmit(&bob(), Trap(5));
        }
        Act::Tell => {
            cx.notify(Trap(6));
            cx.reply(Trap(7));
        }
        _ => return Err(Rejection::new("the script said so")),
    }
    Ok(())
}

fn bob() -> Id<Connection<World>> {
    Id::new("bob")
}

fn root() -> Id<World> {
    Id::new(())
}

fn name(name: &str) -> String {
    name.to_owned()
}

/// All that an event can do.
fn everything(last: Act) -> Vec<Act> {
    let inside = vec![
        Act::Set { value: 2 },
        Act::Timer { at: 70, acts: vec![] },
        Act::Transmit,
        Act::Tell,
        Act::Befriend { name: name("b") },
    ];
    vec![
        Act::Send { name: name("a"), acts: inside },
        Act::Root { acts: vec![Act::Set { value: 3 }, Act::Table] },
        Act::Create { name: name("d") },
        Act::Send { name: name("d"), acts: vec![Act::Set { value: 4 }] },
        Act::Remove { name: name("e") },
        Act::Send { name: name("d"), acts: vec![last] },
    ]
}

// An engine that has seen something, and forgets old versions.

type Subject = Engine<World, Memory>;

fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.history = 2;
    // Each event does a part of a snapshot.
    (settings.snapshot_minimum, settings.snapshot_ratio) = (0, 0);
    settings
}

fn lived_in() -> Subject {
    let things = ["a", "b", "c", "e"].map(|name| (thing(name), new_thing())).into_iter().collect();
    let world = World { things, own: Trap(1) };
    let mut engine = Engine::open_with(Memory::new(), settings(), || world).unwrap();
    let timer = Act::Timer { at: 50, acts: vec![Act::Set { value: 50 }, Act::Root { acts: vec![Act::Table] }] };
    engine
        .send(&thing("a"), script(&[timer, Act::Transmit, Act::Transmit, Act::Transmit]), Time::from_secs(1))
        .unwrap();
    engine.send(&root(), script(&[Act::Set { value: 2 }]), Time::from_secs(2)).unwrap();
    engine.send(&thing("b"), script(&[Act::Set { value: 3 }]), Time::from_secs(3)).unwrap();
    engine.sync().unwrap();
    engine
}

fn reopened(engine: Subject) -> Subject {
    Engine::open(engine.into_store().crash(), settings()).unwrap()
}

/// Something that is let in, and whether it is used up where it is rejected.
type Entry = (&'static str, bool, fn(&mut Subject) -> Result<(), EventError>);

const NOW: Time = Time::from_secs(10);

fn send<M>(engine: &mut Subject, to: Id<M>, acts: &[Act]) -> Result<(), EventError>
where
    M: StateMachine<Node = World, Message = Script, Reply = Trap<3>>,
    World: Hosts<M>,
{
    let message = script(acts);
    inside(|| engine.send(&to, message, NOW)).map(drop)
}

fn receive(engine: &mut Subject, index: u64, acts: &[Act]) -> Result<(), EventError> {
    let (peer, envelope) = (bob(), WorldEnvelope::World(script(acts)));
    inside(|| engine.receive(&peer, index, Ok(envelope), NOW)).map(drop)
}

fn resume(engine: &mut Subject, received: u64) -> Result<(), EventError> {
    let (peer, standing) = (bob(), ResumePoint { received, first: 0, sent: 0 });
    inside(|| engine.resume(&peer, standing, NOW)).map(drop)
}

fn entries() -> Vec<Entry> {
    vec![
        ("send", false, |engine| send(engine, root(), &everything(Act::Set { value: 5 }))),
        ("send what is rejected", false, |engine| send(engine, root(), &everything(Act::Reject))),
        ("send what breaks a reference", false, |engine| {
            send(engine, thing("a"), &[Act::Befriend { name: name("nobody") }])
        }),
        ("command", false, |engine| {
            let envelope = WorldEnvelope::Thing(thing("a"), script(&[Act::Set { value: 5 }, Act::Tell]));
            inside(|| engine.command(envelope, Some(Request(1)), NOW)).map(drop)
        }),
        ("dry run", false, |engine| {
            let envelope = WorldEnvelope::World(script(&everything(Act::Set { value: 5 })));
            inside(|| engine.dry_run(envelope, NOW)).map(drop)
        }),
        ("receive", true, |engine| receive(engine, 0, &everything(Act::Set { value: 5 }))),
        ("receive what is rejected", true, |engine| receive(engine, 0, &everything(Act::Reject))),
        ("receive too early", false, |engine| receive(engine, 7, &[])),
        ("tick", true, |engine| inside(|| engine.tick(Time::from_secs(60))).map(drop)),
        ("confirm", false, |engine| {
            let peer = bob();
            inside(|| engine.confirm(&peer, 1, NOW)).map(drop)
        }),
        ("resume", false, |engine| resume(engine, 2)),
        ("resume in conflict", false, |engine| resume(engine, 9)),
    ]
}

/// Held against what is allowed after a panic, wherever that was.
fn check_after(context: &str, mut engine: Subject, before: &str, allowed: &[String]) {
    if matches!(engine.tick(Time::default()), Err(EventError::Poisoned { .. })) {
        assert!(engine.sync().is_err(), "{context}");
        assert!(engine.outputs().is_empty(), "{context}");
        assert_eq!(reopened(engine).document().unwrap(), before, "{context}: on disk");
        return;
    }
    let found = engine.document().unwrap();
    assert!(allowed.contains(&found), "{context}: half\n{found}\nexpected one of {allowed:#?}");
    // Who refers to whom is known as before.
    let removed = engine.dry_run(WorldEnvelope::World(script(&[Act::Remove { name: name("b") }])), NOW).is_ok();
    assert_eq!(removed, !found.contains(r#""friend":"b""#), "{context}: references");
    // It goes on, and nothing of what was undone comes back.
    engine.send(&thing("b"), script(&[Act::Set { value: 77 }]), Time::from_secs(11)).unwrap();
    engine.send(&thing("b"), script(&[Act::Set { value: 3 }]), Time::from_secs(11)).unwrap();
    let again = engine.document().unwrap();
    let part = |text: &str| text.split_once("\"schema\"").unwrap().1.to_owned();
    assert_eq!(part(&again), part(&found), "{context}: afterwards");
    engine.sync().unwrap();
    assert_eq!(reopened(engine).document().unwrap(), again, "{context}: reopened");
}

/// Where a panic never ends the engine.
const UNDONE: [&str; 7] =
    ["handler", "handler's end", "check", "clone message", "clone object", "compare object", "compare own"];

#[test]
fn a_panic_anywhere_leaves_nothing_half_and_does_not_get_out() {
    hush();
    let before = lived_in().document().unwrap();
    let mut seen = BTreeSet::new();
    for (what, used_up, run) in entries() {
        let mut engine = lived_in();
        let (outcome, points, _) = with(Armed::Nowhere, || run(&mut engine));
        let mut allowed = vec![before.clone()];
        if outcome.is_ok() {
            allowed.push(engine.document().unwrap());
        }
        if used_up {
            let mut engine = lived_in();
            with(Armed::Named("handler"), || run(&mut engine)).0.err();
            allowed.push(engine.document().unwrap());
        }
        for number in 1..=points {
            let mut engine = lived_in();
            let (outcome, _, fired) = with(Armed::At(number), || run(&mut engine));
            // Hashes differ from one table to the next, and with them how often two keys are compared.
            let Some(place) = fired else { continue };
            seen.insert(place);
            let context = format!("{what}, point {number}, {place}, {outcome:?}");
            let over = matches!(outcome, Err(EventError::Poisoned { .. }));
            assert!(!over || !UNDONE.contains(&place), "{context}: could have been undone");
            // What has happened is no error, and what hasn't is one; what a timer does is nobody's error.
            if outcome.is_ok() && what != "tick" {
                panic!("{context}: expected an error");
            }
            check_after(&context, engine, &before, &allowed);
        }
    }
    let expected = [
        "handler",
        "handler's end",
        "check",
        "clone object",
        "drop object",
        "write object",
        "compare object",
        "clone message",
        "drop message",
        "write message",
        "clone own",
        "drop own",
        "write own",
        "compare own",
        "drop output",
        "write output",
        "clone key",
        "drop key",
        "hash key",
        "order key",
        "encode key",
    ];
    for place in expected {
        assert!(seen.contains(place), "there was no panic at {place:?}");
    }
}

#[test]
fn a_panic_anywhere_in_an_edit_changes_nothing_or_ends_the_engine() {
    hush();
    let before = lived_in().document().unwrap();
    let edited = |refused: bool| {
        let own = if refused { "\"own\":-7" } else { "\"own\":7" };
        let text = before
            .replace("\"own\":2", own)
            .replace("\"trap\":3", "\"trap\":8")
            .replace("\"at\":50000", "\"at\":55000");
        assert_ne!(text, before);
        text
    };
    let mut seen = BTreeSet::new();
    for refused in [false, true] {
        let text = edited(refused);
        let run = |engine: &mut Subject| {
            inside(|| {
                engine.edit(&text, NOW, |_| {
                    point("agree");
                    true
                })
            })
        };
        let mut engine = lived_in();
        let (outcome, points, _) = with(Armed::Nowhere, || run(&mut engine));
        assert_eq!(outcome.is_err(), refused, "{outcome:?}");
        for number in 1..=points {
            let mut engine = lived_in();
            let (outcome, _, fired) = with(Armed::At(number), || run(&mut engine));
            let Some(place) = fired else { continue };
            seen.insert(place);
            let context = format!("edit, refused: {refused}, point {number}, {place}, {outcome:?}");
            assert!(outcome.is_err(), "{context}");
            check_after(&context, engine, &before, std::slice::from_ref(&before));
        }
    }
    for place in ["agree", "apply own", "apply object", "read message", "clone own", "drop object", "check"] {
        assert!(seen.contains(place), "there was no panic at {place:?}, only at {seen:?}");
    }
}

#[test]
fn a_handler_that_panics_with_a_text_is_told_so_and_the_engine_goes_on() {
    hush();
    let mut engine = lived_in();
    let (outcome, ..) = with(Armed::Named("handler"), || send(&mut engine, root(), &everything(Act::Tell)));
    let Err(EventError::Rejected(rejection)) = outcome else { panic!("{outcome:?}") };
    assert_eq!(rejection.to_string(), "a handler panicked: without a message (in Script to node)");
    assert_eq!(engine.rejections().count(), 1);
    engine.send(&root(), script(&[Act::Set { value: 1 }]), Time::from_secs(10)).unwrap();
}

#[test]
fn what_ends_the_engine_is_among_the_rejections() {
    hush();
    let mut engine = lived_in();
    let acts = [Act::Create { name: name("d") }];
    let (outcome, ..) = with(Armed::Named("order key"), || send(&mut engine, root(), &acts));
    assert!(matches!(outcome, Err(EventError::Poisoned { .. })), "{outcome:?}");
    // The old version that the history lets go of.
    let mut engine = lived_in();
    let (outcome, ..) = with(Armed::Named("drop own"), || send(&mut engine, thing("b"), &[Act::Set { value: 1 }]));
    assert!(matches!(outcome, Err(EventError::Poisoned { .. })), "{outcome:?}");
    let noted: Vec<_> = engine.rejections().map(|rejected| rejected.rejection.to_string()).collect();
    assert_eq!(noted, ["a panic that can't be undone: without a message"]);
}
