//! Deliberate faults of the payment node, to check that its tests notice them: `.ci/sabotage`.
//!
//! Invariant: only a build made for them contains any.

/// A deliberate fault.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sabotage {
    /// Any token settles a transaction.
    TokenUnchecked,
    /// The time-out grows towards the payee.
    TimeoutIncrementOnTheWrongSide,
    /// Reservations are never released.
    ReservationNotReleased,
    /// A half-route that was given up is forgotten at once.
    EndedRouteForgotten,
}

impl Sabotage {
    const fn name(self) -> &'static str {
        match self {
            Self::TokenUnchecked => "token_unchecked",
            Self::TimeoutIncrementOnTheWrongSide => "timeout_increment_on_the_wrong_side",
            Self::ReservationNotReleased => "reservation_not_released",
            Self::EndedRouteForgotten => "ended_route_forgotten",
        }
    }
}

/// Whether this fault is switched on.
#[inline(always)]
pub(super) fn sabotaged(fault: Sabotage) -> bool {
    amiko_core::__private_0_1_0::is_sabotaged(fault.name())
}
