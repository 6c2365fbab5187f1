//! Phases: which may follow which.
//!
//! Invariant: a phase is only left for one that its `next` names; a move that is refused changes nothing.

use crate::Rejection;
use std::iter;

/// The phases of a machine: an enum of unit variants, each of which says what may follow it.
///
/// Derive it: `#[amiko(next(A, B))]` on a variant names the phases that may be entered from there, and a variant without
/// it is final. To stay is a move like any other, and has to be named. The first variant is where a machine begins, unless
/// `#[default]` is on another. Besides `Phases`, the enum derives `Clone`, `Copy` and `PartialEq`; if it is `Serializable`
/// as well, `rename` changes what is written, and neither the errors nor the diagram.
///
/// What is checked is each single move, by [`Phases::enter`]; a phase that is assigned isn't checked, and nothing says
/// that every phase can be reached.
///
/// ```
/// use amiko_core::prelude::*;
///
/// #[derive(Debug, Clone, Copy, PartialEq, Serializable, Phases)]
/// enum OrderPhase {
///     #[amiko(next(Open, Paid, Cancelled))] // it may be changed while it is open
///     Open,
///     #[amiko(next(Shipped))]
///     Paid,
///     Shipped,
///     Cancelled,
/// }
///
/// let mut phase = OrderPhase::INITIAL;
/// phase.enter(OrderPhase::Open)?;
/// phase.enter(OrderPhase::Paid)?;
///
/// let rejection = phase.enter(OrderPhase::Cancelled).unwrap_err();
/// assert_eq!(rejection.reason(), "OrderPhase: expected one of Shipped after Paid, found Cancelled");
/// assert_eq!(phase, OrderPhase::Paid);
///
/// assert_eq!(
///     OrderPhase::mermaid(),
///     "stateDiagram-v2
///     [*] --> Open
///     Open --> Open
///     Open --> Paid
///     Open --> Cancelled
///     Paid --> Shipped
///     Shipped --> [*]
///     Cancelled --> [*]
/// "
/// );
/// # Ok::<(), Rejection>(())
/// ```
pub trait Phases: Copy + PartialEq + 'static {
    /// The name of the enum.
    const NAME: &'static str;
    /// All phases, in the order of their declaration.
    const ALL: &'static [Self];
    /// Where a machine begins.
    const INITIAL: Self;

    /// The name of the variant.
    fn name(self) -> &'static str;

    /// What may follow, in the order in which it is named; nothing follows a final phase.
    fn next(self) -> &'static [Self];

    /// Goes on to another phase, or stays where that is named as a move.
    ///
    /// # Errors
    /// This phase doesn't name that one as its next. The phase is still the old one then, and the rejection names both,
    /// what was expected, and the enum.
    fn enter(&mut self, phase: Self) -> Result<(), Rejection> {
        let next = self.next();
        if next.contains(&phase) {
            *self = phase;
            return Ok(());
        }
        let names: Vec<_> = next.iter().map(|next| next.name()).collect();
        let expected = if names.is_empty() { "nothing".to_owned() } else { format!("one of {}", names.join(", ")) };
        let (enumeration, before, found) = (Self::NAME, self.name(), phase.name());
        Err(Rejection::new(format!("{enumeration}: expected {expected} after {before}, found {found}")))
    }

    /// The phases and their moves as a state diagram for [Mermaid](https://mermaid.js.org), a move a line, in the order of
    /// declaration. The first line's `[*]` is where a machine comes from, that of a final phase is where it goes.
    fn mermaid() -> String {
        let moves = Self::ALL.iter().flat_map(|phase| {
            let next = phase.next();
            let end = next.is_empty().then_some("[*]");
            next.iter().map(|next| next.name()).chain(end).map(|next| (phase.name(), next))
        });
        let lines = iter::once(("[*]", Self::INITIAL.name())).chain(moves);
        let lines = lines.map(|(from, to)| format!("    {from} --> {to}\n"));
        iter::once("stateDiagram-v2\n".to_owned()).chain(lines).collect()
    }
}
