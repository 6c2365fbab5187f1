//! What comes of effects.
//!
//! Invariant: an effect is over in the commit in which its owner hears what came of it, so the owner hears it once.

use super::cause::Cause;
use super::history::Undo;
use super::{Engine, EventError};
use crate::dispatcher::Pending;
use crate::effect::{Effect, EffectSet, Failure, GivenUp, Outcome, Owner, Performed, Retry, WhyGivenUp, kept};
use crate::event::{Event, Output};
use crate::machine::{Node, Performs};
use crate::panics::catch;
use crate::sabotage::{Sabotage, sabotaged};
use crate::store::Store;
use crate::time::Time;
use crate::tree::Id;
use crate::version::Version;

impl<N: Node, S: Store> Engine<N, S> {
    /// The effects that aren't over, by owner and name.
    pub fn effects(&self) -> impl Iterator<Item = (Id<Pending<N>>, &Pending<N>)> {
        self.event.dispatcher.effects().iter()
    }

    /// One of them.
    pub fn effect(&self, effect: &Id<Pending<N>>) -> Option<&Pending<N>> {
        self.event.dispatcher.effects().get(effect)
    }

    /// An attempt to perform an effect has ended: it happened, or failed. If it happened, its owner hears that, and it is
    /// over, even if the owner rejects the message. Does nothing if it was cancelled meanwhile: there is none of this name
    /// and number.
    ///
    /// # Errors
    /// The owner rejected the message; or the store failed.
    pub fn performed<E: Effect>(
        &mut self,
        effect: &Id<Pending<N>>,
        number: u64,
        outcome: Result<E::Outcome, Failure>,
        now: Time,
    ) -> Result<Version, EventError>
    where
        N: Performs<E>,
    {
        let value = match outcome {
            Ok(value) => value,
            Err(failure) => return self.effect_failed(effect, number, failure, now),
        };
        self.enter(|engine| {
            let Some(pending) = engine.effect(effect).filter(|pending| pending.number == number) else {
                return Ok(engine.version);
            };
            let (owner, name) = owner_and_name(effect.key());
            let (attempts, outcome) = (pending.attempts.saturating_add(1), Outcome::Done { value });
            let cause = Cause::Performed {
                effect: effect.clone(),
                envelope: N::performed(owner.borrowed(), Performed { name, attempts, outcome }),
            };
            let heard = engine.run(now, None, &cause, |event| {
                super::ways_in::deliver(event, &cause);
                end(event, effect);
            });
            match heard {
                // The owner hears that, instead of nothing.
                Err(error @ (EventError::Write(_) | EventError::TooLong { .. })) => {
                    engine.give_effect_up(effect, attempts, WhyGivenUp::Answer, kept(&error.to_string()), now)
                }
                Err(error @ EventError::Rejected(_)) => {
                    let used_up = Cause::Performed { effect: effect.clone(), envelope: None };
                    engine.use_up(now, &used_up, error, |event| end(event, effect))
                }
                heard => heard,
            }
        })
    }

    /// An attempt to perform an effect has failed. It is tried again after a pause, or given up, as its policy says.
    ///
    /// # Errors
    /// The owner rejected the message that it was given up; or the store failed.
    pub fn effect_failed(
        &mut self,
        effect: &Id<Pending<N>>,
        number: u64,
        failure: Failure,
        now: Time,
    ) -> Result<Version, EventError> {
        self.enter(|engine| {
            let random = u64::from_be_bytes(engine.event.random());
            let Some(pending) = engine.effect(effect).filter(|pending| pending.number == number) else {
                return Ok(engine.version);
            };
            // Code of the application: a policy that can't be computed is the default one.
            let policy = catch(|| pending.effect.policy()).unwrap_or_default();
            let attempts = pending.attempts.saturating_add(1);
            let end = pending.since + policy.total;
            let error = kept(&failure.error);
            let pause = match failure.retry {
                // A service that says "at once" isn't asked without a pause.
                Retry::After(pause) => pause.max(policy.first),
                Retry::Later | Retry::Never => policy.pause(attempts, random),
            };
            let next = now + pause;
            let why = match failure.retry {
                Retry::Never => Some(WhyGivenUp::Fatal),
                _ if attempts >= policy.attempts => Some(WhyGivenUp::Attempts),
                _ if next >= end => Some(WhyGivenUp::Time),
                _ => None,
            };
            let Some(why) = why else {
                let cause = Cause::Failure { effect: effect.clone() };
                return engine.run(now, None, &cause, |event| event.dispatcher.note_failure(effect, &error, next));
            };
            engine.give_effect_up(effect, attempts, why, error, now)
        })
    }

    /// Tells the owner that an effect was given up.
    fn give_effect_up(
        &mut self,
        effect: &Id<Pending<N>>,
        attempts: u32,
        why: WhyGivenUp,
        error: String,
        now: Time,
    ) -> Result<Version, EventError> {
        let (owner, name) = owner_and_name(effect.key());
        let over = GivenUp { name, attempts, why, error };
        let envelope = self.effect(effect).and_then(|pending| pending.effect.given_up(owner.borrowed(), over));
        let cause = |envelope| Cause::Performed { effect: effect.clone(), envelope };
        let (cause, used_up) = (cause(envelope), cause(None));
        let begin = |event: &mut Event<N>| super::ways_in::deliver(event, &cause);
        self.run_or_use_up(now, &cause, &used_up, begin, |event| end(event, effect))
    }

    /// The outputs of what an event did to effects.
    pub(super) fn tell_effects(&mut self, undo: &Undo<N>) {
        for (key, old) in undo.dispatcher.touched().into_iter().flat_map(|touched| touched.effects.first_touches()) {
            let effect = Id::new(key.clone());
            let now = self.event.dispatcher.effects().get(&effect);
            if let Some(old) = old.filter(|old| now.is_none_or(|now| now.number != old.number)) {
                self.event.outputs.push(Output::EffectEnded { effect: effect.clone(), number: old.number });
            }
            if let Some(number) = now.map(|now| now.number) {
                self.event.outputs.push(Output::Perform { effect, number });
            }
        }
    }
}

fn end<N: Node>(event: &mut Event<N>, effect: &Id<Pending<N>>) {
    if !sabotaged(Sabotage::OutcomeActsTwice) {
        event.dispatcher.remove_effect(effect);
    }
}

/// An owner, by itself.
struct OwnedOwner {
    kind: String,
    key: String,
}

impl OwnedOwner {
    fn borrowed(&self) -> Owner<'_> {
        Owner { kind: &self.kind, key: &self.key }
    }
}

/// Takes the ID of an effect apart: `kind/key/name`, of which the first two are escaped.
fn owner_and_name(id: &str) -> (OwnedOwner, String) {
    let plain = |piece: &str| piece.replace("~1", "/").replace("~0", "~");
    let (kind, rest) = id.split_once('/').unwrap_or((id, ""));
    let (key, name) = rest.split_once('/').unwrap_or((rest, ""));
    (OwnedOwner { kind: plain(kind), key: plain(key) }, name.to_owned())
}
