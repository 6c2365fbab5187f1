//! IDs inside objects: those that must resolve, and who refers to whom.

#![allow(missing_docs, clippy::unwrap_used)]

use amiko_core::Version;
use amiko_core::engine::EventError;
use amiko_core::prelude::*;
use amiko_core::store::Memory;

#[derive(Debug, Clone, PartialEq, Serializable)]
#[amiko(key = String)]
struct Owner {
    name: String,
}

#[derive(Debug, Clone, PartialEq, Serializable)]
#[amiko(key = u64)]
struct Ship {
    #[amiko(strong)]
    owner: Id<Owner>,
    #[amiko(strong, default)]
    crew: Vec<Id<Owner>>,
    /// Of a sister that has sunk, the name is kept.
    sister: Option<Id<Ship>>,
}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine)]
struct Harbour {
    #[amiko(objects)]
    owners: Table<Owner>,
    #[amiko(objects)]
    ships: Table<Ship>,
}

/// Each step is taken in order.
#[derive(Clone, Serializable)]
enum Step {
    Owner { id: String },
    NoOwner { id: String },
    Ship { id: u64, owner: String, crew: Vec<String> },
    NoShip { id: u64 },
    Crew { id: u64, crew: Vec<String> },
}

#[derive(Clone, Serializable)]
struct Steps {
    steps: Vec<Step>,
}

impl StateMachine for Harbour {
    type Node = Self;
    type Message = Steps;

    fn handle(&mut self, message: Steps, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        let ids = |names: &[String]| names.iter().map(|name| Id::new(name.clone())).collect::<Vec<_>>();
        for step in &message.steps {
            match step {
                Step::Owner { id } => cx.create(&Id::new(id.clone()), Owner { name: id.clone() }),
                Step::NoOwner { id } => cx.remove(&Id::<Owner>::new(id.clone())),
                Step::Ship { id, owner, crew } => {
                    let ship = Ship { owner: Id::new(owner.clone()), crew: ids(crew), sister: Some(Id::new(99_u64)) };
                    cx.create(&Id::new(*id), ship);
                }
                Step::NoShip { id } => cx.remove(&Id::<Ship>::new(*id)),
                Step::Crew { id, crew } => {
                    if let Some(ship) = self.ships.get_mut(&Id::new(*id)) {
                        ship.crew = ids(crew);
                    }
                }
            }
        }
        Ok(())
    }
}

type Port = Engine<Harbour, Memory>;

fn port() -> Port {
    Engine::open(Memory::new(), Settings::default()).unwrap()
}

fn take(engine: &mut Port, steps: impl IntoIterator<Item = Step>) -> Result<Version, EventError> {
    engine.send(&Id::<Harbour>::new(()), Steps { steps: steps.into_iter().collect() }, Time::from_secs(1))
}

fn owner(id: &str) -> Step {
    Step::Owner { id: id.into() }
}

fn ship(id: u64, owner: &str, crew: &[&str]) -> Step {
    Step::Ship { id, owner: owner.into(), crew: crew.iter().map(|&name| name.into()).collect() }
}

#[test]
fn a_strong_reference_to_nothing_rejects_the_event_and_names_both_ends() {
    let mut engine = port();
    let before = engine.document().unwrap();
    let error = take(&mut engine, [owner("ann"), ship(1, "bob", &[])]).unwrap_err();
    assert_eq!(error.to_string(), "expected owner bob, to which ship 1 refers, found none");
    assert_eq!(engine.document().unwrap(), before);
    take(&mut engine, [ship(1, "ann", &[]), owner("ann")]).unwrap();
}

#[test]
fn what_is_referred_to_cannot_go() {
    let mut engine = port();
    take(&mut engine, [owner("ann"), owner("bob"), ship(1, "ann", &["bob"])]).unwrap();
    let error = take(&mut engine, [Step::NoOwner { id: "bob".into() }]).unwrap_err();
    assert_eq!(error.to_string(), "expected owner bob, to which ship 1 refers, found none");
    // A rejected event leaves the index as it was.
    take(&mut engine, [Step::NoOwner { id: "bob".into() }]).unwrap_err();
    take(&mut engine, [Step::Crew { id: 1, crew: vec![] }, Step::NoOwner { id: "bob".into() }]).unwrap();
    take(&mut engine, [Step::NoOwner { id: "ann".into() }, Step::NoShip { id: 1 }]).unwrap();
    assert!(engine.node().owners.is_empty());
}

#[test]
fn the_index_is_built_anew_when_the_state_is_opened() {
    let mut engine = port();
    take(&mut engine, [owner("ann"), ship(1, "ann", &[])]).unwrap();
    engine.sync().unwrap();
    let mut engine = Port::open(engine.into_store().crash(), Settings::default()).unwrap();
    take(&mut engine, [Step::NoOwner { id: "ann".into() }]).unwrap_err();
    take(&mut engine, [Step::NoShip { id: 1 }, Step::NoOwner { id: "ann".into() }]).unwrap();
}

#[test]
fn referrers_are_those_with_any_reference() {
    let mut engine = port();
    take(&mut engine, [owner("ann"), owner("bob"), ship(1, "ann", &["bob"]), ship(2, "bob", &[])]).unwrap();
    let names = |names: Vec<amiko_core::tree::Name>| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names(amiko_core::tree::referrers(engine.node(), &Id::<Owner>::new("bob"))), ["ship 1", "ship 2"]);
    assert_eq!(names(amiko_core::tree::referrers(engine.node(), &Id::<Ship>::new(99_u64))), ["ship 1", "ship 2"]);
    assert!(amiko_core::tree::referrers(engine.node(), &Id::<Owner>::new("nobody")).is_empty());
}
