//! Phases, and the transitions between them.
//!
//! Invariant: a phase changes only to one that its `next` lists; a refused transition changes nothing.

use crate::Rejection;
use std::iter;

/// The phases of a machine: an enum of unit variants, each of which lists the phases that may follow it.
///
/// Derive it: `#[amiko(next(A, B))]` on a variant lists the phases that may follow it, and a variant without it is
/// final. Staying in a phase is a transition too, and has to be listed. A machine begins in the first variant, unless
/// `#[default]` is on another. Besides `Phases`, the enum derives `Clone`, `Copy` and `PartialEq`; if it is also
/// `Serializable`, `rename` changes the written name, but neither the errors nor the diagram.
///
/// [`Phases::enter`] checks each single transition. Assigning a phase isn't checked, nor is whether every phase can
/// be reached.
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
    /// The initial phase of a machine.
    const INITIAL: Self;

    /// The name of the variant.
    fn name(self) -> &'static str;

    /// The phases that may follow, in the order in which they are listed; empty for a final phase.
    fn next(self) -> &'static [Self];

    /// Enters another phase, or stays if that is listed as a transition.
    ///
    /// # Errors
    /// This phase doesn't list the other one as its next. The phase is unchanged then, and the rejection names the
    /// enum, both phases, and those that were expected.
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

    /// The phases and their transitions as a state diagram for [Mermaid](https://mermaid.js.org), one transition per
    /// line, in the order of declaration. `[*]` marks the initial phase in the first line, and the end after a final
    /// phase.
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
