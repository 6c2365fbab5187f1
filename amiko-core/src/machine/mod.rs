//! Objects that handle messages, and the effects that a handler can request.
//!
//! Invariant: an object is changed by its own handler only; everything else reaches it as a message.

mod context;
pub(crate) mod envelope;
mod gather;
pub(crate) mod hearing;
pub(crate) mod phases;
pub(crate) mod router;
mod saga;
pub(crate) mod taking;

pub use context::Context;
pub use gather::{Gather, Gathered};
pub use phases::{
    After, ByItself, ByMachine, Chart, History, Holds, Hook, Phase, PhaseShape, Phased, Phases, PhasesOf, Takes,
};
pub use saga::{Saga, Undoing};

use crate::effect::{Effect, Owner, Performed};
use crate::event::Event;
use crate::rejection::Rejection;
use crate::serializable::Serializable;
use crate::tree::{Id, Object, Tree};

/// An object that handles messages.
#[diagnostic::on_unimplemented(
    message = "`{Self}` handles no messages",
    note = "write `impl StateMachine for {Self}`, or put `#[amiko(objects)]` on its table if nobody sends messages to it"
)]
pub trait StateMachine: Object {
    /// The tree that it is part of.
    type Node: Node;
    /// The messages that it handles.
    type Message: Serializable + Clone;

    /// Handles one message: changes the object, and reaches others through the context.
    ///
    /// The same object, message and context must always give the same result: time and randomness come from the
    /// context.
    ///
    /// # Errors
    /// A rejection undoes the whole event, including the changes of other handlers. So does a panic, if the build
    /// unwinds; a second panic during the unwinding aborts the process.
    fn handle(&mut self, message: Self::Message, cx: &mut Context<'_, Self>) -> Result<(), Rejection>;
}

/// The root of a state tree. Derive it: `#[derive(Serializable, Node)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` isn't the root of a state tree",
    note = "add `#[derive(Clone, Default, Serializable, Node)]` to `{Self}`"
)]
pub trait Node: Tree {
    /// Delivers a message to the object that it is addressed to.
    ///
    /// # Errors
    /// There is no such object, or its handler rejects the message.
    fn deliver(&mut self, envelope: Self::Envelope, event: &mut Event<Self>) -> Result<(), Rejection>;

    /// The application's invariants, checked before each commit: `#[amiko(check = path)]`.
    ///
    /// # Errors
    /// Names the violated invariant; the event is undone.
    fn check(&self, _undo: &Self::Undo) -> Result<(), Rejection> {
        Ok(())
    }
}

/// A node that performs effects of class `E`: implemented by the derive for each of those in `#[amiko(effects(…))]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` performs no `{E}`",
    note = "add `#[amiko(effects({E}))]` to `{Self}`"
)]
pub trait Performs<E: Effect>: Node {
    /// The name of its class.
    const CLASS: &'static str;
    /// The effect as one of the node's.
    fn effect(effect: E) -> Self::Effects;
    /// The effect, if it is of this class.
    fn as_effect(effects: &Self::Effects) -> Option<&E>;
    /// The message that tells its owner what came of an effect; none if that takes no such messages, or has no such key.
    fn performed(owner: Owner<'_>, performed: Performed<E>) -> Option<Self::Envelope>;
}

/// Messages with which an object hears what came of its effects of class `E`: those that are made `From<Performed<E>>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` doesn't say what came of a performed `{E}`",
    note = "add a variant to `{Self}`: `#[amiko(performed)] Name {{ performed: Performed<{E}> }}`"
)]
pub trait Hears<E: Effect> {}

impl<E: Effect, M: From<Performed<E>>> Hears<E> for M {}

/// A node that hosts machines of class `M`: implemented by the derive for each of them, and for the node itself if it
/// is one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` doesn't host machines of class `{M}`",
    note = "add `#[amiko(machines)] machines: Table<{M}>` to `{Self}`, or send to a class that it hosts"
)]
pub trait Hosts<M: StateMachine>: Node {
    /// A message with its destination.
    fn envelope(to: Id<M>, message: M::Message) -> Self::Envelope;
}
