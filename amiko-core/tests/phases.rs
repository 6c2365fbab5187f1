//! Phases: the moves that are named and no others, what is said of the others, and the diagram.

// Helpers of tests fail like tests.
#![allow(clippy::unwrap_used)]

use amiko_core::engine::EventError;
use amiko_core::prelude::*;
use amiko_core::store::Memory;

#[derive(Debug, Clone, Copy, Default, PartialEq, Serializable, Phases)]
#[amiko(rename_all = "camelCase")]
enum DoorPhase {
    #[default]
    #[amiko(next(WideOpen, Locked))]
    Closed,
    #[amiko(next(WideOpen, Closed))]
    WideOpen,
    #[amiko(next(Closed, Broken), rename = "bolted")]
    Locked,
    Broken,
}

use DoorPhase::{Broken, Closed, Locked, WideOpen};

/// A door in this phase, by the shortest way.
fn door_in(phase: DoorPhase) -> Phase<DoorPhase> {
    let mut door = Phase::<DoorPhase>::new();
    let way: &[DoorPhase] = match phase {
        Closed => &[],
        WideOpen => &[WideOpen],
        Locked => &[Locked],
        Broken => &[Locked, Broken],
    };
    way.iter().for_each(|next| door.enter(*next).unwrap());
    door
}

fn refused(before: DoorPhase, next: DoorPhase) -> String {
    let mut phase = door_in(before);
    let rejection = phase.enter(next).unwrap_err();
    assert_eq!(phase, before);
    rejection.reason().to_owned()
}

#[test]
fn exactly_the_moves_that_are_named_are_made() {
    let named = [
        (Closed, WideOpen),
        (Closed, Locked),
        (WideOpen, WideOpen),
        (WideOpen, Closed),
        (Locked, Closed),
        (Locked, Broken),
    ];
    let all = [Closed, WideOpen, Locked, Broken];
    assert_eq!(all.map(|phase| phase.place()), [0, 1, 2, 3]);
    for from in all {
        for to in all {
            let mut phase = door_in(from);
            let entered = phase.enter(to).is_ok();
            assert_eq!(entered, named.contains(&(from, to)), "{from:?} to {to:?}");
            assert_eq!(phase, if entered { to } else { from });
        }
    }
}

#[test]
fn a_refused_move_names_the_enum_both_phases_and_what_was_expected() {
    assert_eq!(refused(WideOpen, Broken), "DoorPhase: expected one of WideOpen, Closed after WideOpen, found Broken");
    assert_eq!(refused(Closed, Closed), "DoorPhase: expected one of WideOpen, Locked after Closed, found Closed");
    assert_eq!(refused(Broken, Closed), "DoorPhase: expected nothing after Broken, found Closed");
}

#[test]
fn the_diagram_has_every_move_in_the_order_of_declaration() {
    let expected = "stateDiagram-v2
    [*] --> Closed
    Closed --> WideOpen
    Closed --> Locked
    WideOpen --> WideOpen
    WideOpen --> Closed
    Locked --> Closed
    Locked --> Broken
    Broken --> [*]
";
    assert_eq!(DoorPhase::CHART.mermaid(), expected);
}

#[test]
fn other_names_in_json_change_neither_errors_nor_diagram() {
    assert_eq!(to_json(&Locked).unwrap(), "\"bolted\"");
    assert_eq!(to_json(&WideOpen).unwrap(), "\"wideOpen\"");
    assert_eq!((Locked.name(), WideOpen.name()), ("Locked", "WideOpen"));
}

#[test]
fn a_machine_begins_at_the_default_or_else_at_the_first() {
    #[derive(Clone, Copy, Default, PartialEq, Phases)]
    enum Backwards {
        Last,
        #[default]
        #[amiko(next(Last))]
        First,
    }

    assert_eq!(Phase::<DoorPhase>::new(), Closed);
    let mut phase = Phase::<Backwards>::default();
    assert!(phase == Backwards::default());
    assert!(phase.enter(Backwards::Last).is_ok());
    assert_eq!(
        Backwards::CHART.mermaid(),
        "stateDiagram-v2\n    [*] --> First\n    Last --> [*]\n    First --> Last\n"
    );
}

#[test]
fn a_keyword_is_a_name_like_any_other() {
    #[derive(Clone, Copy, PartialEq, Phases)]
    #[allow(non_camel_case_types)]
    enum r#type {
        #[amiko(next(r#loop))]
        r#loop,
    }

    assert_eq!((r#type::CHART.name, r#type::INITIAL.name()), ("type", "loop"));
    assert!(Phase::<r#type>::new().enter(r#type::r#loop).is_ok());
}

#[test]
fn one_phase_without_a_next_is_first_and_last() {
    #[derive(Clone, Copy, PartialEq, Phases)]
    enum Still {
        Here,
    }

    assert_eq!(Still::CHART.mermaid(), "stateDiagram-v2\n    [*] --> Here\n    Here --> [*]\n");
    let mut phase = Phase::<Still>::new();
    let rejection = phase.enter(Still::Here).unwrap_err();
    assert_eq!(rejection.reason(), "Still: expected nothing after Here, found Here");
}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine)]
struct House {
    door: Phase<DoorPhase>,
    moves: u64,
}

#[derive(Clone, Serializable)]
struct Move {
    to: Vec<DoorPhase>,
}

impl StateMachine for House {
    type Node = Self;
    type Message = Move;

    fn handle(&mut self, message: Move, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
        for phase in message.to {
            self.moves += 1;
            self.door.enter(phase)?;
        }
        Ok(())
    }
}

#[test]
fn a_refused_move_undoes_the_event() {
    let mut engine = Engine::open_with(Memory::new(), Settings::default(), House::default).unwrap();
    let mut send = |to: &[DoorPhase]| {
        let outcome = engine.send(&Id::<House>::new(()), Move { to: to.to_vec() }, Time::from_millis(0));
        (outcome, *engine.node().door, engine.node().moves)
    };
    let (outcome, door, moves) = send(&[WideOpen, Closed, Broken]);
    let Err(EventError::Rejected(rejection)) = outcome else { panic!("expected a rejection, found {outcome:?}") };
    assert_eq!(rejection.reason(), "DoorPhase: expected one of WideOpen, Locked after Closed, found Broken");
    assert_eq!((door, moves), (Closed, 0));

    let (outcome, door, moves) = send(&[WideOpen, Closed, Locked]);
    assert!(outcome.is_ok());
    assert_eq!((door, moves), (Locked, 3));
}
