//! How the code that the derive of a node writes finds out which machines hear what came of which effects.
//!
//! The compiler takes the first method that fits, and looks at a reference before it looks at what that refers to: so it takes
//! [`Heard`] where the messages are made `From<Performed<E>>`, and [`Unheard`] everywhere else.

use crate::effect::{Effect, Performed};
use std::marker::PhantomData;

/// An effect, and the messages of a machine.
pub struct Tie<E, M>(PhantomData<(E, M)>);

impl<E, M> Tie<E, M> {
    /// A pair.
    #[allow(clippy::new_without_default, reason = "only derived code makes one")]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

/// The machine hears what came of the effect.
pub trait Heard<E: Effect, M> {
    /// The message.
    fn hear(&self, performed: Performed<E>) -> Option<M>;
}

impl<E: Effect, M: From<Performed<E>>> Heard<E, M> for &Tie<E, M> {
    fn hear(&self, performed: Performed<E>) -> Option<M> {
        Some(performed.into())
    }
}

/// The machine has no message for it.
pub trait Unheard<E: Effect, M> {
    /// None.
    fn hear(&self, performed: Performed<E>) -> Option<M>;
}

impl<E: Effect, M> Unheard<E, M> for Tie<E, M> {
    fn hear(&self, _: Performed<E>) -> Option<M> {
        None
    }
}
