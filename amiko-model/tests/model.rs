//! The model checker's adapter: that it goes every way, and finds what is wrong with nodes that have a fault.

#![allow(clippy::unwrap_used, clippy::panic)]

use amiko_core::prelude::*;
use amiko_core::serializable::{Reader, Writer};
use amiko_core::{Acceptance, Protocol, PublicKey, ReadError, WriteError};
use amiko_model::stateright::Property;
use amiko_model::{Exploration, FaultLimits, SetupError, WorldModel, WorldState};

/// A purse that gives coins to another one.
#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine, network = Said)]
struct Purse {
    coins: u64,
    /// After so many seconds it takes a coin to be lost and takes it back: which is wrong.
    patience: Option<u64>,
    /// It takes no coins.
    closed: bool,
    memory: Memory,
}

/// A number that is read back as 2 at the most.
#[derive(Clone, Default)]
struct Memory(u64);

impl Serializable for Memory {
    fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
        self.0.write(out)
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
        u64::read(input).map(|found| Self(found.min(2)))
    }
}

#[derive(Clone, Serializable)]
enum Said {
    Hello,
    Coin,
}

#[derive(Clone, Serializable)]
enum PurseMessage {
    Meet { at: Option<String> },
    Give,
    TakeBack,
    Take,
    Remember,
}

impl StateMachine for Purse {
    type Node = Self;
    type Message = PurseMessage;

    fn handle(&mut self, message: PurseMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        match message {
            PurseMessage::Meet { at } => cx.connect(&Id::new("other"), at.as_deref()),
            PurseMessage::Give => {
                self.coins = self.coins.checked_sub(1).ok_or(Rejection::new("expected a coin, found none"))?;
                cx.transmit(&Id::new("other"), Said::Coin);
                if let Some(patience) = self.patience {
                    cx.timer("patience", cx.now() + secs(patience), PurseMessage::TakeBack);
                }
            }
            PurseMessage::Take if self.closed => {
                return Err(Rejection::new("expected an open purse, found a closed one"));
            }
            PurseMessage::Take | PurseMessage::TakeBack => self.coins += 1,
            PurseMessage::Remember => self.memory.0 += 1,
        }
        Ok(())
    }
}

struct Purses;

impl Protocol for Purses {
    type Node = Purse;

    fn hello(&self, _: &Purse, _: &Id<Connection<Purse>>, _: [u8; 4]) -> Result<Said, Rejection> {
        Ok(Said::Hello)
    }

    fn accept(&self, _: &Purse, peer: Option<PublicKey>, _: Said) -> Result<Acceptance<Purse>, Rejection> {
        // A node that has a key shows it.
        if peer == Some(PublicKey::new([9; 32])) {
            return Err(Rejection::new("expected somebody else"));
        }
        Ok(Acceptance { connection: Id::new("other"), tie_breaker: None, event: None })
    }

    fn envelope(&self, _: &Purse, _: &Id<Connection<Purse>>, said: Said) -> Result<PurseEnvelope, Rejection> {
        match said {
            Said::Coin => Ok(PurseEnvelope::Purse(PurseMessage::Take)),
            Said::Hello => Err(Rejection::new("expected a coin, found a second hello")),
        }
    }
}

type State = WorldState<Purse>;

fn purse(message: PurseMessage) -> PurseEnvelope {
    PurseEnvelope::Purse(message)
}

/// Two purses with a coin each, of which the first may give its own away.
fn model(one: Purse, other: Purse, faults: FaultLimits) -> WorldModel<Purses> {
    let mut model = WorldModel::new(Purses);
    for (address, node, at) in [("one", one, Some("two")), ("two", other, None)] {
        let node = model.add(address, Purse { coins: 1, ..node }).unwrap();
        model.command(node, &purse(PurseMessage::Meet { at: at.map(str::to_owned) })).unwrap();
    }
    model.settle();
    model.choice("one gives a coin", 0, purse(PurseMessage::Give)).unwrap();
    model.set_fault_limits(faults);
    model.property(Property::always("no coin is made", |_, state: &State| coins(state).iter().sum::<u64>() <= 2));
    model
}

fn coins(state: &State) -> Vec<u64> {
    state.nodes().map(|purse| purse.coins).collect()
}

fn arrives() -> Property<WorldModel<Purses>> {
    Property::eventually("the coin arrives", |_, state: &State| coins(state) == [0, 2])
}

/// The properties that fail, each with what happens on the way.
fn failures(found: &Exploration) -> Vec<(&'static str, Vec<&str>)> {
    let state = |line: &&str| !line.starts_with("      ");
    found
        .failures
        .iter()
        .map(|found| (found.property, found.way.lines().filter(state).map(str::trim).collect()))
        .collect()
}

#[test]
fn a_coin_arrives_once_whatever_breaks() {
    let faults = FaultLimits { crashes: 2, losses: 2, ..FaultLimits::default() };
    let mut model = model(Purse::default(), Purse::default(), faults);
    model.property(arrives());
    let found = model.explore();
    assert_eq!(failures(&found), []);
    assert!(found.to_string().ends_with("all properties hold"), "{found}");
}

#[test]
fn faults_are_as_many_as_there_may_be() {
    let explored = |crashes, losses| {
        let mut model =
            model(Purse::default(), Purse::default(), FaultLimits { crashes, losses, ..FaultLimits::default() });
        for property in [
            Property::sometimes("one is down", |_, state: &State| state.is_down(0)),
            Property::sometimes("both are down", |_, state: &State| state.is_down(0) && state.is_down(1)),
            Property::sometimes("a coin is there that isn't confirmed", |_, state: &State| {
                let sender = state.connections(0).unwrap().iter().any(|(_, found)| !found.outbox.is_empty());
                sender && coins(state) == [0, 2]
            }),
        ] {
            model.property(property);
        }
        let found = model.explore();
        assert!(found.failures.iter().all(|failure| failure.way.is_empty()), "{found}");
        (found.states, found.failures.iter().map(|failure| failure.property).collect::<Vec<_>>())
    };
    let unconfirmed = "a coin is there that isn't confirmed";
    // Before and after the choice, and when the coin has arrived.
    assert_eq!(explored(0, 0), (3, vec!["one is down", "both are down", unconfirmed]));
    assert_eq!(explored(1, 0).1, ["both are down", unconfirmed]);
    assert_eq!(explored(2, 0).1, [unconfirmed]);
    assert_eq!(explored(0, 1).1, ["one is down", "both are down"]);
    assert_eq!(explored(2, 1), explored(2, 1));
}

#[test]
fn a_purse_that_loses_its_patience_is_found_with_the_way_to_it() {
    let impatient = Purse { patience: Some(3), ..Purse::default() };
    let found = model(impatient, Purse::default(), FaultLimits::default()).explore();
    let [("no coin is made", way)] = &failures(&found)[..] else { panic!("expected one failure, found {found}") };
    // The coin arrives early or late: both ways are as long.
    let early =
        ["1. one gives a coin at one", "2. Coin from one reaches two", "3. 3 seconds pass", "4. timers of one fire"];
    let late =
        ["1. one gives a coin at one", "2. 3 seconds pass", "3. timers of one fire", "4. Coin from one reaches two"];
    assert!(*way == early || *way == late, "{found}");
    // The state that the way leads to.
    let way = &found.failures[0].way;
    assert!(way.contains(r#"      one: {"state":{"_class":"Purse","coins":1,"#), "{way}");
    assert!(way.contains(r#"      two: {"state":{"_class":"Purse","coins":2,"#), "{way}");
}

#[test]
fn a_time_out_is_longer_than_what_is_under_way_unless_the_other_side_is_absent() {
    let patient = || Purse { patience: Some(86_400), ..Purse::default() };
    let faults = |absent| FaultLimits { crashes: 1, absent, ..FaultLimits::default() };
    let early = Property::sometimes("it is taken back before it arrives", |_, state: &State| {
        coins(state) == [1, 1] && !is_new(state)
    });
    let mut prompt = model(patient(), Purse::default(), faults(vec![]));
    prompt.property(early.clone());
    let found = prompt.explore();
    assert!(found.failures.iter().any(|failure| failure.property == "it is taken back before it arrives"), "{found}");
    let mut absent = model(patient(), Purse::default(), faults(vec![1]));
    absent.property(early);
    let found = absent.explore();
    assert!(found.failures.iter().all(|failure| failure.property != "it is taken back before it arrives"), "{found}");
}

/// Whether no coin was given yet.
fn is_new(state: &State) -> bool {
    state.connections(0).unwrap().iter().all(|(_, connection)| connection.sent == 0)
}

#[test]
fn a_way_that_ends_without_what_was_to_come_is_found() {
    let closed = Purse { closed: true, ..Purse::default() };
    let mut model = model(Purse::default(), closed, FaultLimits::default());
    model.property(arrives());
    let found = model.explore();
    let way = vec!["1. one gives a coin at one", "2. Coin from one reaches two"];
    assert_eq!(failures(&found), [("the coin arrives", way)]);
    let rejections: Vec<_> = found.rejections.iter().map(String::as_str).collect();
    assert_eq!(rejections, ["expected an open purse, found a closed one (in Take to node)"]);
}

#[test]
fn a_class_that_is_not_read_back_as_it_was_written_breaks_a_promise() {
    let mut model = model(Purse::default(), Purse::default(), FaultLimits::default());
    for name in ["first", "second", "third"] {
        model.choice(name, 1, purse(PurseMessage::Remember)).unwrap();
    }
    let found = model.explore();
    let [failure] = &found.failures[..] else { panic!("expected one failure, found {found}") };
    assert_eq!(failure.property, "the engine keeps its promises");
    assert!(failure.way.contains("a crash after the sync doesn't lead to the state after: expected"), "{found}");
}

#[test]
fn who_dials_with_a_key_shows_it_and_nobody_answers_in_the_place_of_another() {
    let reached = |dialler: u8, at: &str| {
        let mut model = WorldModel::new(Purses);
        let address = |key: u8, name: &str| format!("{}@{name}", PublicKey::new([key; 32]));
        let one = model.add(&address(dialler, "one"), Purse::default()).unwrap();
        let two = model.add(&address(2, "two"), Purse { coins: 1, ..Purse::default() }).unwrap();
        model.command(one, &purse(PurseMessage::Meet { at: Some(at.to_owned()) })).unwrap();
        model.command(two, &purse(PurseMessage::Meet { at: None })).unwrap();
        model.choice("two gives a coin", two, purse(PurseMessage::Give)).unwrap();
        model.property(Property::sometimes("it arrives", |_, state: &State| coins(state) == [1, 0]));
        model.explore().failures.is_empty()
    };
    let (two, other) = (PublicKey::new([2; 32]), PublicKey::new([3; 32]));
    assert!(reached(1, &format!("{two}@two")));
    assert!(reached(9, &format!("anonymous:{two}@two")));
    // It isn't welcome; there is another key; there is another place.
    assert!(!reached(9, &format!("{two}@two")));
    assert!(!reached(1, &format!("{other}@two")));
    assert!(!reached(1, &format!("{two}@three")));
}

#[test]
fn a_world_that_cannot_be_set_up_says_why() {
    let mut model = model(Purse::default(), Purse::default(), FaultLimits::default());
    let give = purse(PurseMessage::Give);
    model.command(0, &give).unwrap();
    let error = model.command(0, &give).unwrap_err();
    assert!(matches!(error, SetupError::Rejected { .. }));
    assert_eq!(error.to_string(), "the node rejects the command: expected a coin, found none (in Give to node)");
    assert!(matches!(model.command(2, &give), Err(SetupError::NoNode { node: 2 })));
}
