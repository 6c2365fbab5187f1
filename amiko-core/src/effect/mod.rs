//! Calls to the outside: what they are, when they are tried again, and what the state hears of them.
//!
//! Invariant: everything here is data; nothing here calls anybody.

mod failure;
mod performed;
mod policy;

pub(crate) use failure::kept;
pub use failure::{Failure, Retry};
pub use performed::{Outcome, Performed, WhyGivenUp};
pub use policy::Policy;

use crate::serializable::Serializable;

/// A call to the outside: to charge a card, send a mail, start a machine.
///
/// A handler asks for it with [`Context::perform`](crate::Context::perform), as a part of its event. It leaves once that event is
/// on disk, and is tried until it happens, is given up by its [policy](Effect::policy), is cancelled, or its owner is gone;
/// across crashes and restarts. The owner then hears what came of it, once. The outside may hear of it more than once, each
/// time with the same key.
///
/// ```
/// use amiko_core::effect::Effect;
/// use amiko_core::prelude::*;
///
/// #[derive(Clone, Serializable)]
/// struct Charge { card: String, cents: u64 }
///
/// impl Effect for Charge {
///     /// The number of the receipt.
///     type Outcome = String;
/// }
/// ```
pub trait Effect: Serializable + Clone {
    /// What the outside answers when it has happened.
    type Outcome: Serializable + Clone;

    /// Whether the effects of this class that one owner asks for are performed one after the other, in that order. By
    /// default they are performed at once.
    const ORDERED: bool = false;

    /// How often and how long it is tried.
    fn policy(&self) -> Policy {
        Policy::default()
    }
}

/// Who asked for an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner<'o> {
    /// The kind of the object.
    pub kind: &'o str,
    /// The text of its key.
    pub key: &'o str,
}

/// All effects of a node, with the envelopes `V` of its messages: an enum that the derive of the node writes.
pub trait EffectSet<V>: Serializable + Clone {
    /// The class of the effect.
    fn class_name(&self) -> &'static str;
    /// As [`Effect::ORDERED`].
    fn is_ordered(&self) -> bool;
    /// As [`Effect::policy`].
    fn policy(&self) -> Policy;
    /// The message that tells the owner that the effect was given up; none if it takes no such messages, or has no such
    /// key.
    fn given_up(&self, owner: Owner<'_>, over: GivenUp) -> Option<V>;
}

/// How an effect was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenUp {
    /// The name of the effect.
    pub name: String,
    /// How many attempts there were.
    pub attempts: u32,
    /// By which rule.
    pub why: WhyGivenUp,
    /// Why the last one failed.
    pub error: String,
}

impl<E: Effect> From<GivenUp> for Performed<E> {
    fn from(GivenUp { name, attempts, why, error }: GivenUp) -> Self {
        Self { name, attempts, outcome: Outcome::GivenUp { why, error } }
    }
}
