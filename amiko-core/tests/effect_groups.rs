//! Waiting for several effects, and undoing steps in reverse.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use amiko_core::effect::{Effect, Failure, Outcome};
use amiko_core::machine::{Gather, Gathered, Saga, Undoing};
use amiko_core::prelude::*;
use amiko_core::store::Memory;
use amiko_core::{Hosts, Pending, Performed};

#[derive(Debug, Clone, Serializable)]
struct Ask {
    shop: String,
}

impl Effect for Ask {
    type Outcome = u64;
}

#[derive(Debug, Clone, Serializable)]
struct Book {
    what: String,
}

impl Effect for Book {
    type Outcome = ();
}

#[derive(Debug, Clone, Serializable)]
struct Unbook {
    what: String,
}

impl Effect for Unbook {
    type Outcome = ();
}

#[derive(Debug, Clone, Default, Serializable, Node)]
#[amiko(machine, effects(Ask, Book, Unbook))]
struct Trip {
    prices: Option<Gather<Ask>>,
    saga: Saga<Self>,
    said: Vec<String>,
}

#[derive(Clone, Serializable)]
enum TripMessage {
    AskAll {
        shops: Vec<String>,
    },
    AskAny {
        shops: Vec<String>,
    },
    AskOne,
    Book {
        what: String,
    },
    Undo,
    Complete,
    #[amiko(performed)]
    Asked {
        performed: Performed<Ask>,
    },
    #[amiko(performed)]
    Booked {
        performed: Performed<Book>,
    },
    #[amiko(performed)]
    Unbooked {
        performed: Performed<Unbook>,
    },
}

impl StateMachine for Trip {
    type Node = Self;
    type Message = TripMessage;

    fn handle(&mut self, message: TripMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        let asks = |shops: Vec<String>| shops.into_iter().map(|shop| Ask { shop });
        let undoing = match message {
            TripMessage::AskAll { shops } => {
                self.prices = Some(Gather::all("price", asks(shops), cx));
                return Ok(());
            }
            TripMessage::AskAny { shops } => {
                self.prices = Some(Gather::any("price", asks(shops), cx));
                return Ok(());
            }
            TripMessage::AskOne => {
                cx.perform("other", Ask { shop: "d".into() });
                return Ok(());
            }
            TripMessage::Asked { performed } => {
                let said = match self.prices.as_mut().unwrap().hear(performed, cx) {
                    Gathered::Waiting => "waiting".into(),
                    Gathered::Over(outcomes) => format!("{:?}", outcomes.into_iter().map(text).collect::<Vec<_>>()),
                    Gathered::Other(other) => format!("{} isn't one of them", other.name),
                };
                self.said.push(said);
                return Ok(());
            }
            TripMessage::Book { what } => {
                let undo = Unbook { what: what.clone() };
                self.saga.step(&what.clone(), Book { what }, undo, cx);
                return Ok(());
            }
            TripMessage::Complete => {
                self.saga.complete();
                return Ok(());
            }
            TripMessage::Undo => self.saga.compensate(cx),
            TripMessage::Booked { performed } => self.saga.hear(&performed, cx),
            TripMessage::Unbooked { performed } => self.saga.hear(&performed, cx),
        };
        self.said.push(format!("{undoing:?}"));
        Ok(())
    }
}

fn text((number, outcome): (u32, Outcome<u64>)) -> String {
    format!("{number}: {:?}", outcome.into_result())
}

const NOW: Time = Time::from_secs(1_000);

struct Trips(Engine<Trip, Memory>);

impl Trips {
    fn new() -> Self {
        Self(Engine::open(Memory::new(), Settings::default()).unwrap())
    }

    fn tell(&mut self, message: TripMessage) -> Result<(), String> {
        let envelope = <Trip as Hosts<Trip>>::envelope(Id::node(), message);
        self.0.command(envelope, None, NOW).map(drop).map_err(|error| error.to_string())
    }

    /// The names of the effects, in the order in which they were asked for.
    fn effects(&self) -> Vec<String> {
        let mut all: Vec<_> = self.0.effects().map(|(id, pending)| (pending.number, id)).collect();
        all.sort();
        all.iter().map(|(_, id)| id.key().trim_start_matches("node//").to_owned()).collect()
    }

    fn find(&self, name: &str) -> (Id<Pending<Trip>>, u64) {
        let id = Id::new(format!("node//{name}"));
        let number = self.0.effect(&id).unwrap().number;
        (id, number)
    }

    fn happens<E: Effect>(&mut self, name: &str, outcome: Result<E::Outcome, Failure>) -> String
    where
        Trip: amiko_core::Performs<E>,
    {
        let (id, number) = self.find(name);
        self.0.performed::<E>(&id, number, outcome, NOW).unwrap();
        self.0.node().said.last().unwrap().clone()
    }

    /// A crash, and another process.
    fn restart(self) -> Self {
        let Self(mut engine) = self;
        engine.sync().unwrap();
        Self(Engine::open(engine.into_store().crash(), Settings::default()).unwrap())
    }
}

fn shops() -> Vec<String> {
    ["a", "b", "c"].map(str::to_owned).to_vec()
}

#[test]
fn all_are_waited_for_whatever_comes_of_each_and_across_a_restart() {
    let mut trip = Trips::new();
    trip.tell(TripMessage::AskAll { shops: shops() }).unwrap();
    trip.tell(TripMessage::AskOne).unwrap();
    assert_eq!(trip.effects(), ["price/0", "price/1", "price/2", "other"]);
    assert_eq!(trip.happens::<Ask>("price/2", Ok(7)), "waiting");
    let mut trip = trip.restart();
    assert_eq!(trip.happens::<Ask>("other", Ok(7)), "other isn't one of them");
    assert_eq!(trip.happens::<Ask>("price/0", Err(Failure::fatal("closed"))), "waiting");
    assert_eq!(trip.happens::<Ask>("price/1", Ok(9)), r#"["0: Err(\"closed\")", "1: Ok(9)", "2: Ok(7)"]"#);
}

#[test]
fn the_first_that_happens_is_enough_and_the_others_are_cancelled() {
    let mut trip = Trips::new();
    trip.tell(TripMessage::AskAny { shops: shops() }).unwrap();
    trip.tell(TripMessage::AskOne).unwrap();
    assert_eq!(trip.happens::<Ask>("price/1", Err(Failure::fatal("closed"))), "waiting");
    assert_eq!(trip.happens::<Ask>("price/2", Ok(7)), r#"["1: Err(\"closed\")", "2: Ok(7)"]"#);
    assert_eq!(trip.effects(), ["other"]);
    // None may happen at all.
    trip.tell(TripMessage::AskAny { shops: shops() }).unwrap();
    for name in ["price/0", "price/1"] {
        assert_eq!(trip.happens::<Ask>(name, Err(Failure::fatal("closed"))), "waiting");
    }
    let said = trip.happens::<Ask>("price/2", Err(Failure::fatal("closed")));
    assert_eq!(said.matches("closed").count(), 3, "{said}");
}

#[test]
fn an_effect_with_a_name_like_theirs_is_none_of_them() {
    for all in [true, false] {
        let mut trip = Trips::new();
        let shops = vec!["a".to_owned()];
        trip.tell(if all { TripMessage::AskAll { shops } } else { TripMessage::AskAny { shops } }).unwrap();
        for what in ["price/refund", "price/00", "price/+1"] {
            trip.tell(TripMessage::Book { what: what.into() }).unwrap();
        }
        assert_eq!(trip.happens::<Ask>("price/0", Ok(7)), r#"["0: Ok(7)"]"#);
        assert_eq!(trip.effects(), ["price/refund", "price/00", "price/+1"]);
    }
}

#[test]
fn an_empty_list_is_refused() {
    let mut trip = Trips::new();
    let error = trip.tell(TripMessage::AskAll { shops: Vec::new() }).unwrap_err();
    assert!(error.contains(r#"expected effects to wait for as "price", found none"#), "{error}");
    assert!(trip.0.node().prices.is_none());
}

#[test]
fn steps_are_undone_in_reverse_one_after_the_other_and_across_a_restart() {
    let mut trip = Trips::new();
    for what in ["flight", "hotel", "car"] {
        trip.tell(TripMessage::Book { what: what.into() }).unwrap();
    }
    assert_eq!(trip.happens::<Book>("flight", Ok(())), "Not");
    assert_eq!(trip.happens::<Book>("car", Err(Failure::fatal("no cars"))), "Not");
    assert!(
        trip.0
            .document()
            .unwrap()
            .contains(r#"{"_class":"Step","name":"flight","compensation":{"_class":"Unbook","what":"flight"}}"#)
    );
    trip.tell(TripMessage::Undo).unwrap();
    // What was given up may have happened. The hotel may still be booked, and is waited for in its turn.
    assert_eq!(trip.effects(), ["hotel", "undo car"]);
    assert_eq!(trip.happens::<Unbook>("undo car", Ok(())), "UnderWay");
    assert_eq!(trip.effects(), ["hotel"]);
    let mut trip = trip.restart();
    assert_eq!(trip.happens::<Book>("hotel", Ok(())), "UnderWay");
    let stuck = trip.happens::<Unbook>("undo hotel", Err(Failure::fatal("no answer")));
    assert_eq!(stuck, format!("{:?}", Undoing::Stuck { step: "hotel".into(), error: "no answer".into() }));
    assert!(trip.effects().is_empty());
    trip.tell(TripMessage::Undo).unwrap();
    assert_eq!(trip.happens::<Unbook>("undo hotel", Ok(())), "UnderWay");
    assert_eq!(trip.effects(), ["undo flight"]);
    assert_eq!(trip.happens::<Unbook>("undo flight", Ok(())), "Over");
    assert_eq!(trip.0.node().saga.steps().count(), 0);
}

#[test]
fn a_saga_that_is_complete_undoes_nothing() {
    let mut trip = Trips::new();
    trip.tell(TripMessage::Book { what: "flight".into() }).unwrap();
    trip.happens::<Book>("flight", Ok(()));
    trip.tell(TripMessage::Complete).unwrap();
    trip.tell(TripMessage::Undo).unwrap();
    assert_eq!((trip.effects().len(), trip.0.node().said.last().unwrap().as_str()), (0, "Over"));
}
