//! Waiting for several effects of a class: for all of them, or for the first that happens.
//!
//! Invariant: nobody counts. An effect that isn't over is one that the dispatcher has.

use super::{Context, Hears, Performs, StateMachine};
use crate::Serializable;
use crate::effect::{Effect, Outcome, Performed};
use crate::rejection::Rejection;
use std::collections::BTreeMap;
use std::fmt;

/// Effects of a class that an object waits for together: a field of that object. If the machine rejects what it hears of one of
/// them, or cancels the last one itself, it never hears that the wait is over.
///
/// ```
/// use amiko_core::effect::Effect;
/// use amiko_core::machine::{Gather, Gathered};
/// use amiko_core::prelude::*;
/// use amiko_core::Performed;
///
/// #[derive(Debug, Clone, Serializable)]
/// struct AskPrice { shop: String }
///
/// impl Effect for AskPrice { type Outcome = u64; }
///
/// #[derive(Clone, Default, Serializable, Node)]
/// #[amiko(machine, effects(AskPrice))]
/// struct Buyer { prices: Option<Gather<AskPrice>>, best: Option<u64> }
///
/// #[derive(Clone, Serializable)]
/// enum BuyerMessage {
///     Ask { shops: Vec<String> },
///     #[amiko(performed)]
///     Asked { performed: Performed<AskPrice> },
/// }
///
/// impl StateMachine for Buyer {
///     type Node = Self;
///     type Message = BuyerMessage;
///
///     fn handle(&mut self, message: BuyerMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
///         match message {
///             BuyerMessage::Ask { shops } => {
///                 let asks = shops.into_iter().map(|shop| AskPrice { shop });
///                 self.prices = Some(Gather::all("price", asks, cx));
///             }
///             BuyerMessage::Asked { performed } => {
///                 let Some(prices) = &mut self.prices else { return Ok(()) };
///                 if let Gathered::Over(outcomes) = prices.hear(performed, cx) {
///                     self.best = outcomes.into_values().filter_map(|outcome| outcome.into_result().ok()).min();
///                 }
///             }
///         }
///         Ok(())
///     }
/// }
/// ```
#[derive(Clone, Serializable)]
#[amiko(rename_all = "camelCase")]
pub struct Gather<E: Effect> {
    /// The effects' names begin with it: `price/0`, `price/1`, and so on.
    name: String,
    wait: Wait,
    /// What came of those that are over, by their numbers.
    outcomes: BTreeMap<u32, Outcome<E::Outcome>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serializable)]
#[amiko(rename_all = "camelCase")]
enum Wait {
    All,
    Any,
}

/// What a gathered effect's end means.
#[derive(Debug, Clone)]
pub enum Gathered<E: Effect> {
    /// There are others to wait for.
    Waiting,
    /// The wait is over: what came of the effects, by their places in the list. Those that were cancelled are missing.
    Over(BTreeMap<u32, Outcome<E::Outcome>>),
    /// It was none of these effects.
    Other(Performed<E>),
}

impl<E: Effect> Gather<E> {
    /// Asks for all of these effects, and waits until all are over. An empty list rejects the event: nobody would ever hear that
    /// the wait is over.
    pub fn all<M: StateMachine>(name: &str, effects: impl IntoIterator<Item = E>, cx: &mut Context<'_, M>) -> Self
    where
        M::Node: Performs<E>,
        M::Message: Hears<E>,
    {
        Self::begin(name, Wait::All, effects, cx)
    }

    /// Asks for all of these effects, and waits until one has happened, or all were given up. Then the others are cancelled: they
    /// may happen all the same. An empty list rejects the event.
    pub fn any<M: StateMachine>(name: &str, effects: impl IntoIterator<Item = E>, cx: &mut Context<'_, M>) -> Self
    where
        M::Node: Performs<E>,
        M::Message: Hears<E>,
    {
        Self::begin(name, Wait::Any, effects, cx)
    }

    fn begin<M: StateMachine>(
        name: &str,
        wait: Wait,
        effects: impl IntoIterator<Item = E>,
        cx: &mut Context<'_, M>,
    ) -> Self
    where
        M::Node: Performs<E>,
        M::Message: Hears<E>,
    {
        let mut count = 0;
        for (number, effect) in (0_u32..).zip(effects) {
            cx.perform(&format!("{name}/{number}"), effect);
            count += 1;
        }
        if count == 0 {
            cx.fail(Rejection::new(format!("expected effects to wait for as {name:?}, found none")));
        }
        Self { name: name.to_owned(), wait, outcomes: BTreeMap::new() }
    }

    /// Takes note of what came of an effect. Call it for each that its machine hears of.
    pub fn hear<M: StateMachine>(&mut self, performed: Performed<E>, cx: &mut Context<'_, M>) -> Gathered<E> {
        let Some(number) = self.number(&performed.name) else { return Gathered::Other(performed) };
        let happened = matches!(performed.outcome, Outcome::Done { .. });
        self.outcomes.insert(number, performed.outcome);
        let mut others = cx.performing(&format!("{}/", self.name));
        others.retain(|name| self.number(name).is_some());
        if self.wait == Wait::Any && happened {
            others.iter().for_each(|name| cx.cancel_effect(name));
        } else if !others.is_empty() {
            return Gathered::Waiting;
        }
        Gathered::Over(std::mem::take(&mut self.outcomes))
    }

    /// The number in the name of one of these effects; none for the name of another one.
    fn number(&self, name: &str) -> Option<u32> {
        let number = name.strip_prefix(&self.name)?.strip_prefix('/')?;
        number.parse().ok().filter(|found: &u32| found.to_string() == number)
    }
}

impl<E: Effect> fmt::Debug for Gather<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let over: Vec<u32> = self.outcomes.keys().copied().collect();
        f.debug_struct("Gather").field("name", &self.name).field("wait", &self.wait).field("over", &over).finish()
    }
}
