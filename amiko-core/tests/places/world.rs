//! Containers, each in an object of a table, in commands, timers and outboxes.

use crate::containers::{Place, Row, Which};
use crate::elements::{Owner, SECRET};
use crate::table::{Cell, Promise, Table as Found};
use amiko_core::engine::Entropy;
use amiko_core::prelude::*;
use amiko_core::serializable::{apply, diff};
use amiko_core::store::Memory;

#[derive(Clone, Serializable)]
#[amiko(key = u8)]
pub struct Slot {
    place: Box<dyn Place>,
}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine, network = Parcel)]
pub struct World {
    #[amiko(objects)]
    slots: Table<Slot>,
    #[amiko(objects)]
    owners: Table<Owner>,
}

impl World {
    /// What was put into the world last.
    pub fn place(&self) -> Option<Box<dyn Place>> {
        self.slots.get(&Id::new(1)).map(|slot| slot.place.clone())
    }
}

/// What is sent to a peer.
#[derive(Clone, Serializable)]
pub struct Parcel {
    place: Box<dyn Place>,
}

#[derive(Clone, Serializable)]
pub enum Act {
    Put { place: Box<dyn Place> },
    Later { place: Box<dyn Place> },
    Send { place: Box<dyn Place> },
    Hire { owner: String },
    Fire { owner: String },
}

impl StateMachine for World {
    type Node = Self;
    type Message = Act;

    fn handle(&mut self, act: Act, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        match act {
            Act::Put { place } => drop(self.slots.insert(&Id::new(1), Slot { place })),
            Act::Later { place } => cx.timer("later", cx.now() + secs(9), Act::Put { place }),
            Act::Send { place } => {
                cx.connect(&Id::new("peer"), None);
                cx.transmit(&Id::new("peer"), Parcel { place });
            }
            Act::Hire { owner } => drop(self.owners.insert(&Id::new(owner), Owner {})),
            Act::Fire { owner } => drop(self.owners.remove(&Id::new(owner))),
        }
        Ok(())
    }
}

pub type Worlds = Engine<World, Memory>;

pub fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.entropy = Entropy::Seed([7; 32]);
    settings.check_records = true;
    settings
}

pub fn open() -> Worlds {
    let mut world = Worlds::open(Memory::new(), settings()).unwrap();
    for number in 0..4 {
        act(&mut world, Act::Hire { owner: format!("owner {number}") }).unwrap();
    }
    world
}

pub fn act(world: &mut Worlds, act: Act) -> Result<(), String> {
    let sent = world.send(&Id::new(()), act, Time::from_secs(1));
    sent.map(drop).map_err(|error| std::error::Error::source(&error).map_or(error.to_string(), ToString::to_string))
}

fn put(world: &mut Worlds, place: Box<dyn Place>) -> Result<(), String> {
    act(world, Act::Put { place })
}

fn shown(world: &Worlds) -> String {
    world.node().slots.get(&Id::new(1)).map(|slot| slot.place.show()).unwrap_or_default()
}

/// The steps of a place: another content under the same name, another order, fewer elements.
const STEPS: [&[(&str, u64)]; 4] = [&[("a", 1), ("b", 0)], &[("b", 0), ("a", 1)], &[("a", 2)], &[("b", 3), ("a", 3)]];
const ELEMENTS: [Which; 5] = [Which::Bytes, Which::Plain, Which::Card, Which::Claim, Which::Mood];

/// Finds out about one container.
pub fn look(row: &Row, found: &mut Found) {
    for which in ELEMENTS {
        let mut note = |promise, outcome: Result<Cell, String>| {
            found.note(row.name, promise, outcome.map_err(|error| format!("{which:?}: {error}")));
        };
        note(Promise::Difference, difference(row, which));
        match live(row, which) {
            Ok(world) => {
                let (document, node, debug) = (world.document().unwrap(), world.node().clone(), shown(&world));
                note(Promise::Snapshot, snapshot(node));
                match reopen(world) {
                    Ok(again) => {
                        note(Promise::Journal, same(&document, &again.document().unwrap()));
                        note(Promise::Order, order(row, &debug, &shown(&again)));
                    }
                    Err(error) => note(Promise::Journal, Err(error)),
                }
            }
            Err(error) => [Promise::Journal, Promise::Snapshot, Promise::Order]
                .map(|promise| note(promise, Ok(Cell::Refused(error.clone()))))
                .into_iter()
                .collect(),
        }
    }
    found.note(row.name, Promise::Secret, secret(row));
    found.note(row.name, Promise::Strong, strong(row));
    found.note(row.name, Promise::Schema, schema(row));
    found.note(row.name, Promise::Depth, depth(row));
    found.note(row.name, Promise::Length, length(row));
}

/// All events of a place, in a table, a timer and an outbox; what was refused is said.
fn live(row: &Row, which: Which) -> Result<Worlds, String> {
    let mut world = open();
    let first = (row.place)();
    put(&mut world, first.clone())?;
    for step in STEPS {
        let place = first.with(which, step);
        put(&mut world, place.clone())?;
        act(&mut world, Act::Later { place: place.clone() })?;
        act(&mut world, Act::Send { place })?;
    }
    world.sync().map_err(|error| error.to_string())?;
    Ok(world)
}

/// What is found after a crash.
pub fn reopen(world: Worlds) -> Result<Worlds, String> {
    Worlds::open(world.into_store().crash(), settings()).map_err(|error| format!("{error:?}"))
}

fn same(one: &str, other: &str) -> Result<Cell, String> {
    if one == other { Ok(Cell::Holds) } else { Err(format!("expected {one}, found {other}")) }
}

/// It comes back from a snapshot as it was: what a new store begins with is written as one.
fn snapshot(node: World) -> Result<Cell, String> {
    let text = to_json(&node).unwrap();
    let written = Worlds::open_with(Memory::new(), settings(), || node).map_err(|error| format!("{error:?}"))?;
    same(&text, &to_json(reopen(written)?.node()).unwrap())
}

/// The difference between any two versions leads from one to the other.
fn difference(row: &Row, which: Which) -> Result<Cell, String> {
    let mut versions: Vec<Slot> = STEPS.iter().map(|step| Slot { place: (row.place)().with(which, step) }).collect();
    versions.push(Slot { place: (row.place)() });
    for (old, new) in versions.iter().flat_map(|old| versions.iter().map(move |new| (old, new))) {
        let patch = match diff(old, new) {
            Ok(patch) => patch,
            Err(error) => return Ok(Cell::Refused(error.to_string())),
        };
        let led = apply(old, &patch).map_err(|error| format!("{patch}: {error}"))?;
        if to_json(&led) != to_json(new) {
            return Err(format!("{patch} leads to {}", to_json(&led).unwrap()));
        }
        if to_json(old) != to_json(new) && patch == "[]" {
            return Err(format!("nothing seems to lead from {:?} to {:?}", to_json(old), to_json(new)));
        }
    }
    Ok(Cell::Holds)
}

/// The order of its elements is that from before, where it has one.
fn order(row: &Row, before: &str, after: &str) -> Result<Cell, String> {
    if row.ordered { same(before, after) } else { same(&sorted(before), &sorted(after)) }
}

/// The letters of a text without their order: that of a hash is another one each time.
fn sorted(text: &str) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    letters.sort_unstable();
    letters.into_iter().collect()
}

/// A secret is on disk, and nowhere else.
fn secret(row: &Row) -> Result<Cell, String> {
    let world = match live(row, Which::Card) {
        Ok(world) => world,
        Err(error) => return Ok(Cell::Refused(error)),
    };
    // Of the last three digits nothing is the same in all secrets.
    let digits = (SECRET / 1_000).to_string();
    let written = world.document().unwrap();
    if !written.contains(&digits) {
        return Err("the secret isn't in the document".into());
    }
    let history: Vec<_> = world.history().collect();
    let eyes = [
        ("summary", world.node().summary()),
        ("Debug", shown(&world)),
        ("Debug of the history", format!("{history:?}")),
        ("document without secrets", world.document_without_secrets().unwrap()),
    ];
    match eyes.iter().find(|(_, text)| text.contains(&digits)) {
        None => Ok(Cell::Holds),
        Some((where_, text)) => Err(format!("the secret is in the {where_}: {text}")),
    }
}

/// A strong reference is checked in a table, a timer and an outbox, and found.
fn strong(row: &Row) -> Result<Cell, String> {
    let nobody = [("a", 99), ("b", 99)];
    let mut world = match live(row, Which::Claim) {
        Ok(world) => world,
        Err(error) => return Ok(Cell::Refused(error)),
    };
    let place = || (row.place)().with(Which::Claim, &nobody);
    let put = ("table", Act::Put { place: place() });
    for (position, dangling) in
        [put, ("timer", Act::Later { place: place() }), ("outbox", Act::Send { place: place() })]
    {
        match act(&mut world, dangling) {
            Err(error) if error.starts_with("expected owner owner 99, to which") => {}
            other => return Err(format!("expected a rejection in a {position}, found {other:?}")),
        }
    }
    // Of the last step.
    let owner: Id<Owner> = Id::new("owner 3");
    let referrers: Vec<_> = world.referrers(&owner).iter().map(ToString::to_string).collect();
    if referrers != ["slot 1", "timer node//later", "connection peer"] {
        return Err(format!("expected three referrers, found {referrers:?}"));
    }
    match act(&mut world, Act::Fire { owner: "owner 3".into() }) {
        Err(error) if error.starts_with("expected owner owner 3, to which") => Ok(Cell::Holds),
        other => Err(format!("expected a rejection, found {other:?}")),
    }
}

/// The schema names every class, so that its lock notices what changes in it.
fn schema(row: &Row) -> Result<Cell, String> {
    let schema = (row.schema)();
    for class in ["Plain", "Card", "Claim", "Right", "Mood", "Mood::Angry", "Deep"] {
        if !schema.contains(&format!("class {class}, version 1\n")) {
            return Err(format!("{class} isn't in {schema}"));
        }
    }
    Ok(Cell::Holds)
}

/// Nested deeper than a reader takes, it is refused with its path; up to there it comes back.
fn depth(row: &Row) -> Result<Cell, String> {
    let mut world = open();
    let mut refused = 0;
    for levels in 100..130 {
        let place = (row.place)().with(Which::Deep, &[("a", levels), ("b", 0)]);
        for deep in [Act::Put { place: place.clone() }, Act::Later { place: place.clone() }, Act::Send { place }] {
            match act(&mut world, deep) {
                Ok(()) => {}
                Err(error) if error.contains("at most 128 levels of nesting") && error.contains(": ") => refused += 1,
                Err(error) => return Err(error),
            }
        }
    }
    if refused < 3 * 2 {
        return Err(format!("refused {refused} times"));
    }
    world.sync().map_err(|error| error.to_string())?;
    let before = world.document().unwrap();
    same(&before, &reopen(world)?.document().unwrap())
}

/// A number that is longer than a reader takes is refused.
fn length(row: &Row) -> Result<Cell, String> {
    match put(&mut open(), (row.place)().with_a_long_number()) {
        Err(error) if error.contains("at most 400 bytes in a number") => Ok(Cell::Holds),
        other => Err(format!("expected an error, found {other:?}")),
    }
}
