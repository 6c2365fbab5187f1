//! How the code that the derive of a node writes finds out which machines take some messages in some phases only.
//!
//! As in [`hearing`](super::hearing): the compiler takes [`TakesSome`] where the machine is [`Takes`], and [`TakesAll`]
//! everywhere else.

use super::{StateMachine, Takes};
use crate::rejection::Rejection;
use std::marker::PhantomData;

/// A class of machines.
pub struct Taker<M>(PhantomData<M>);

impl<M> Taker<M> {
    /// A class.
    #[allow(clippy::new_without_default, reason = "only derived code makes one")]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

/// What a machine takes.
pub trait Taking<M: StateMachine> {
    /// Checks a message.
    ///
    /// # Errors
    /// The machine doesn't take it now.
    fn expect_taken(self, machine: &M, message: &M::Message) -> Result<(), Rejection>;
}

/// Everything, always.
pub struct All;

impl<M: StateMachine> Taking<M> for All {
    #[inline]
    fn expect_taken(self, _: &M, _: &M::Message) -> Result<(), Rejection> {
        Ok(())
    }
}

/// What its phase takes.
pub struct ByPhase;

impl<M: Takes> Taking<M> for ByPhase {
    #[inline]
    fn expect_taken(self, machine: &M, message: &M::Message) -> Result<(), Rejection> {
        machine.expect_taken(message)
    }
}

/// The machine takes some messages in some phases only.
pub trait TakesSome {
    /// What it takes.
    fn taking(&self) -> ByPhase {
        ByPhase
    }
}

impl<M: Takes> TakesSome for &Taker<M> {}

/// The machine takes every message.
pub trait TakesAll {
    /// What it takes.
    fn taking(&self) -> All {
        All
    }
}

impl<M> TakesAll for Taker<M> {}
