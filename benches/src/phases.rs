//! Moves of a machine: by its phases, and by hand.
//!
//! Invariant: both write records of the same length, but for the names of their classes.

use crate::Journal;
use amiko_core::prelude::*;

/// Machines that go to and fro.
#[derive(Clone, Default, Serializable, Node)]
pub struct Gates {
    #[amiko(machines)]
    phased: Table<Swing>,
    #[amiko(machines)]
    checked: Table<Checked>,
    #[amiko(machines)]
    timed: Table<Timed>,
    #[amiko(machines)]
    by_hand: Table<ByHand>,
}

/// To the other phase.
#[derive(Clone, Serializable)]
enum Go {
    There,
    Back,
    Late,
}

#[derive(Clone, Serializable)]
#[amiko(key = u64, kind = "gate1")]
struct Swing {
    phase: Phase<Side>,
}

#[derive(Clone, Copy, PartialEq, Serializable, Phases)]
#[amiko(machine = Swing)]
enum Side {
    #[amiko(next(Far))]
    Near,
    #[amiko(next(Near))]
    Far,
}

impl StateMachine for Swing {
    type Node = Gates;
    type Message = Go;

    fn handle(&mut self, go: Go, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        self.enter(if matches!(go, Go::There) { Side::Far } else { Side::Near }, cx)
    }
}

/// The same with a field that the handler assigns, once it has checked the move.
#[derive(Clone, Serializable)]
#[amiko(key = u64, kind = "gate2")]
struct Checked {
    phase: Place,
}

#[derive(Clone, Copy, PartialEq, Serializable)]
enum Place {
    Near,
    Far,
}

impl Place {
    const fn next(self) -> &'static [Self] {
        match self {
            Self::Near => &[Self::Far],
            Self::Far => &[Self::Near],
        }
    }

    fn enter(&mut self, next: Self) -> Result<(), Rejection> {
        if !self.next().contains(&next) {
            return Err(Rejection::new("this isn't next"));
        }
        *self = next;
        Ok(())
    }
}

impl StateMachine for Checked {
    type Node = Gates;
    type Message = Go;

    fn handle(&mut self, go: Go, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
        self.phase.enter(if matches!(go, Go::There) { Place::Far } else { Place::Near })
    }
}

#[derive(Clone, Serializable)]
#[amiko(key = u64, kind = "gate3")]
struct Timed {
    phase: Phase<Wait>,
}

#[derive(Clone, Copy, PartialEq, Serializable, Phases)]
#[amiko(machine = Timed)]
enum Wait {
    #[amiko(next(Far))]
    Near,
    #[amiko(next(Near), after(hours = 1, send = Late))]
    Far,
}

impl StateMachine for Timed {
    type Node = Gates;
    type Message = Go;

    fn handle(&mut self, go: Go, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        self.enter(if matches!(go, Go::There) { Wait::Far } else { Wait::Near }, cx)
    }
}

/// The same with a timer that the handler sets and cancels.
#[derive(Clone, Serializable)]
#[amiko(key = u64, kind = "gate4")]
struct ByHand {
    phase: Place,
}

impl StateMachine for ByHand {
    type Node = Gates;
    type Message = Go;

    fn handle(&mut self, go: Go, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        if matches!(go, Go::There) {
            self.phase.enter(Place::Far)?;
            cx.timer("late!", cx.now() + hours(1), Go::Late);
        } else {
            self.phase.enter(Place::Near)?;
            cx.cancel("late!");
        }
        Ok(())
    }
}

/// Whose moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mover {
    /// A machine with phases.
    Phased,
    /// One that checks its moves by hand.
    Checked,
    /// A machine with phases, one of which has a time-out.
    Timed,
    /// One that sets and cancels a timer by hand.
    ByHand,
}

impl Mover {
    /// What the program that is counted calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Phased => "phased",
            Self::Checked => "checked",
            Self::Timed => "timed",
            Self::ByHand => "timed-by-hand",
        }
    }
}

/// An engine of so many machines of each kind, with the work of a journal.
///
/// # Panics
/// If they have no exact text.
pub fn gates(count: u64) -> Engine<Gates, Journal> {
    let mut settings = Settings::default();
    settings.snapshot_minimum = u64::MAX;
    let node = || Gates {
        phased: (0..count).map(|number| (Id::new(number), Swing { phase: Phase::new() })).collect(),
        checked: (0..count).map(|number| (Id::new(number), Checked { phase: Place::Near })).collect(),
        timed: (0..count).map(|number| (Id::new(number), Timed { phase: Phase::new() })).collect(),
        by_hand: (0..count).map(|number| (Id::new(number), ByHand { phase: Place::Near })).collect(),
    };
    Engine::open_with(Journal::default(), settings, node).expect("gates have a text")
}

/// Lets the machines move, one after the other, all there and then all back.
///
/// # Panics
/// If one is refused.
pub fn go(engine: &mut Engine<Gates, Journal>, mover: Mover, count: u64, number: u64) {
    let (key, now) = (number % count, Time::from_secs(1));
    let go = if (number / count).is_multiple_of(2) { Go::There } else { Go::Back };
    let gone = match mover {
        Mover::Phased => engine.send(&Id::<Swing>::new(key), go, now),
        Mover::Checked => engine.send(&Id::<Checked>::new(key), go, now),
        Mover::Timed => engine.send(&Id::<Timed>::new(key), go, now),
        Mover::ByHand => engine.send(&Id::<ByHand>::new(key), go, now),
    };
    assert!(gone.is_ok(), "moves");
}
