//! Steps that are undone in reverse when one of them fails (Garcia-Molina and Salem, Sagas, 1987).
//!
//! Invariant: a step's compensation is in the state from the event that asks for the step until it has happened, or the saga is
//! complete. Compensations are performed one after the other, the last step's first, and none before its step is over.

use super::{Context, Hears, Performs, StateMachine};
use crate::Serializable;
use crate::effect::{Effect, Outcome, Performed};
use crate::tree::Tree;
use std::fmt;

/// The steps that were taken, each with the effect that undoes it: a field of the object that takes them.
///
/// It is a list in the state: read it, and edit it, as everything else.
///
/// ```
/// use amiko_core::effect::{Effect, Outcome};
/// use amiko_core::machine::{Saga, Undoing};
/// use amiko_core::prelude::*;
/// use amiko_core::Performed;
///
/// #[derive(Clone, Serializable)]
/// struct Book { what: String }
/// impl Effect for Book { type Outcome = u64; }
///
/// /// Succeeds as well if nothing was booked.
/// #[derive(Clone, Serializable)]
/// struct CancelBooking { what: String }
/// impl Effect for CancelBooking { type Outcome = (); }
///
/// #[derive(Clone, Default, Serializable, Node)]
/// #[amiko(machine, effects(Book, CancelBooking))]
/// struct Trip { saga: Saga<Self>, said: String }
///
/// #[derive(Clone, Serializable)]
/// enum TripMessage {
///     Begin,
///     #[amiko(performed)]
///     Booked { performed: Performed<Book> },
///     #[amiko(performed)]
///     Cancelled { performed: Performed<CancelBooking> },
/// }
///
/// impl StateMachine for Trip {
///     type Node = Self;
///     type Message = TripMessage;
///
///     fn handle(&mut self, message: TripMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
///         let mut book = |saga: &mut Saga<Self>, what: &str, cx: &mut Context<'_, Self>| {
///             saga.step(what, Book { what: what.into() }, CancelBooking { what: what.into() }, cx);
///         };
///         let undoing = match message {
///             TripMessage::Begin => return Ok(book(&mut self.saga, "flight", cx)),
///             TripMessage::Booked { performed } => match (performed.name.as_str(), performed.outcome) {
///                 ("flight", Outcome::Done { .. }) => return Ok(book(&mut self.saga, "hotel", cx)),
///                 (_, Outcome::Done { .. }) => return Ok(self.saga.complete()),
///                 // What was given up may have happened: it is undone as well.
///                 (_, Outcome::GivenUp { .. }) => self.saga.compensate(cx),
///             },
///             TripMessage::Cancelled { performed } => self.saga.hear(&performed, cx),
///         };
///         self.said = match undoing {
///             Undoing::Over => "all is undone".into(),
///             Undoing::Stuck { step, error } => format!("the {step} can't be undone: {error}"),
///             Undoing::UnderWay | Undoing::Not => return Ok(()),
///         };
///         Ok(())
///     }
/// }
/// ```
#[derive(Clone, Serializable)]
pub struct Saga<N: Tree> {
    /// Oldest first.
    steps: Vec<Step<N>>,
    undoing: bool,
}

/// A step that was taken.
#[derive(Clone, Serializable)]
struct Step<N: Tree> {
    name: String,
    compensation: N::Effects,
}

/// How far a saga has come with undoing its steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undoing {
    /// Nothing is to be undone.
    Not,
    /// There is an effect to wait for.
    UnderWay,
    /// Every step was undone.
    Over,
    /// A compensation was given up, and those of earlier steps wait. [`Saga::compensate`] tries it again.
    Stuck {
        /// Whose compensation.
        step: String,
        /// Why it was given up.
        error: String,
    },
}

impl<N: Tree> Default for Saga<N> {
    fn default() -> Self {
        Self { steps: Vec::new(), undoing: false }
    }
}

impl<N: Tree> Saga<N> {
    /// Asks for an effect of this name, and keeps what undoes it. The compensation is performed also if the step was given up,
    /// because it may have happened all the same: it has to succeed when there is nothing to undo.
    pub fn step<M, E: Effect, C: Effect>(&mut self, name: &str, step: E, compensation: C, cx: &mut Context<'_, M>)
    where
        M: StateMachine<Node = N>,
        M::Node: Performs<E> + Performs<C>,
        M::Message: Hears<E> + Hears<C>,
    {
        cx.perform(name, step);
        self.steps.push(Step { name: name.to_owned(), compensation: <N as Performs<C>>::effect(compensation) });
    }

    /// Undoes the steps, the last one first. A step that isn't over is waited for: cancel its effect before, if it isn't to be.
    pub fn compensate<M: StateMachine<Node = N>>(&mut self, cx: &mut Context<'_, M>) -> Undoing {
        let Some(Step { name, compensation }) = self.steps.last() else {
            self.undoing = false;
            return Undoing::Over;
        };
        self.undoing = true;
        let undo = undo_name(name);
        if !cx.is_performing(name) && !cx.is_performing(&undo) {
            cx.perform_any(&undo, compensation.clone());
        }
        Undoing::UnderWay
    }

    /// Takes note of what came of an effect. Call it for every step and every compensation that the machine hears of, once
    /// [`compensate`](Self::compensate) was called; before, it does nothing.
    pub fn hear<M, E: Effect>(&mut self, performed: &Performed<E>, cx: &mut Context<'_, M>) -> Undoing
    where
        M: StateMachine<Node = N>,
    {
        if !self.undoing {
            return Undoing::Not;
        }
        if let Some(step) = self.steps.last().filter(|step| undo_name(&step.name) == performed.name) {
            if let Outcome::GivenUp { error, .. } = &performed.outcome {
                return Undoing::Stuck { step: step.name.clone(), error: error.clone() };
            }
            self.steps.pop();
        }
        self.compensate(cx)
    }

    /// Everything has happened that was to happen: nothing is undone any more.
    pub fn complete(&mut self) {
        *self = Self::default();
    }

    /// The names of the steps that would be undone, or still are to be, oldest first.
    pub fn steps(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.steps.iter().map(|step| step.name.as_str())
    }
}

/// The name of the effect that undoes a step.
fn undo_name(step: &str) -> String {
    format!("undo {step}")
}

impl<N: Tree> fmt::Debug for Saga<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps: Vec<&str> = self.steps().collect();
        f.debug_struct("Saga").field("steps", &steps).field("undoing", &self.undoing).finish()
    }
}
