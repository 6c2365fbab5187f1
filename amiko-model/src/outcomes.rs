//! What may come of effects: a choice of the outside.
//!
//! Invariant: an effect is answered when a runtime could have performed it: it is on disk, due, and the first of its owner if
//! its class is performed in order.

use crate::node::{Broken, Input};
use crate::state::{Action, WorldState};
use crate::{NodeIndex, WorldModel};
use amiko_core::calls::{Begin, Calls};
use amiko_core::conversation::Protocol;
use amiko_core::effect::{Effect, EffectSet, Failure};
use amiko_core::engine::{Engine, EventError};
use amiko_core::store::Memory;
use amiko_core::tree::{Id, Tree};
use amiko_core::{Node, Pending, Performs, Time, Version};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Tells an engine what came of an effect.
pub(crate) type Tell<N> =
    Arc<dyn Fn(&mut Engine<N, Memory>, &Id<Pending<N>>, u64, Time) -> Result<Version, EventError> + Send + Sync>;

/// Everything that may come of an effect of a class.
type Outcomes<N> = Box<dyn Fn(&<N as Tree>::Effects) -> Vec<Tell<N>> + Send + Sync>;

/// What may come of effects, by their classes.
pub(crate) struct Outside<N: Node>(BTreeMap<&'static str, Outcomes<N>>);

impl<N: Node> Default for Outside<N> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<P: Protocol> WorldModel<P> {
    /// Says what may come of an effect of a class: each of these outcomes is an action, as soon as the effect is on disk and due.
    /// Effects of other classes wait.
    ///
    /// A failure that is tried again makes a new state of the node, so the paths end only if the effect's
    /// [policy](Effect::policy) has an end soon: a few attempts.
    pub fn performer<E: Effect>(
        &mut self,
        outcomes: impl Fn(&E) -> Vec<Result<E::Outcome, Failure>> + Send + Sync + 'static,
    ) where
        P::Node: Performs<E>,
        E::Outcome: Send + Sync + 'static,
    {
        let tell = |outcome: Result<E::Outcome, Failure>| -> Tell<P::Node> {
            Arc::new(move |engine, effect, number, now| engine.performed::<E>(effect, number, outcome.clone(), now))
        };
        let all = move |effects: &<P::Node as Tree>::Effects| -> Vec<_> {
            let effect = <P::Node as Performs<E>>::as_effect(effects);
            effect.map(&outcomes).unwrap_or_default().into_iter().map(tell).collect()
        };
        self.outside.0.insert(<P::Node as Performs<E>>::CLASS, Box::new(all));
    }

    /// The outcomes that are possible now.
    pub(crate) fn answers(&self, state: &WorldState<P::Node>, actions: &mut Vec<Action>) {
        for (node, found) in state.nodes.iter().enumerate().filter(|(node, _)| state.is_up(*node)) {
            let effects = &found.document.beside.effects;
            if effects.is_empty() {
                continue;
            }
            let mut calls = Calls::new();
            self.outside.0.keys().for_each(|class| calls.serve(class, usize::MAX));
            calls.start(effects.iter(), state.now);
            while let Some(Begin { effect, .. }) = calls.poll(state.now) {
                let outcomes = effects.get(&Id::new(effect.clone())).map_or(0, |pending| self.tell(pending).len());
                let answer = |outcome| Action::Answer { node, effect: effect.clone(), outcome };
                actions.extend((0..outcomes).map(answer));
            }
        }
    }

    /// When the next effect of a node is due that isn't yet.
    pub(crate) fn next_effect(&self, state: &WorldState<P::Node>, node: NodeIndex) -> Option<Time> {
        let effects = &state.nodes.get(node)?.document.beside.effects;
        let answered = effects.iter().filter(|(_, pending)| self.outside.0.contains_key(pending.effect.class_name()));
        answered.map(|(_, pending)| pending.next).filter(|next| *next > state.now).min()
    }

    fn tell(&self, pending: &Pending<P::Node>) -> Vec<Tell<P::Node>> {
        self.outside.0.get(pending.effect.class_name()).map(|all| all(&pending.effect)).unwrap_or_default()
    }

    pub(crate) fn answer(
        &self,
        state: &WorldState<P::Node>,
        node: NodeIndex,
        effect: &str,
        outcome: usize,
    ) -> Result<Option<WorldState<P::Node>>, Broken> {
        let effect = Id::new(effect);
        let pending = state.nodes.get(node).and_then(|node| node.document.beside.effects.get(&effect));
        let Some(pending) = pending.filter(|_| state.is_up(node)) else { return Ok(None) };
        let Some(tell) = self.tell(pending).into_iter().nth(outcome) else { return Ok(None) };
        let mut next = state.clone();
        self.input(&mut next, node, &Input::Answer { effect: &effect, number: pending.number, outcome, tell })?;
        Ok((next != *state).then_some(next))
    }
}
