//! Who performs effects, and the attempts that are under way.
//!
//! Invariant: each attempt has a task of its own, and ends with one message to the loop, whether it succeeds, fails, panics or
//! takes too long.

use amiko_core::calls::{Begin, Calls, Standing};
use amiko_core::effect::{Effect, EffectSet, Failure};
use amiko_core::engine::EventError;
use amiko_core::event::Output;
use amiko_core::store::Store;
use amiko_core::{Engine, Id, Node, Pending, Performs, Time, Version};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Performs the effects of one class: the part of a program that calls the outside.
///
/// ```
/// use amiko_core::effect::Failure;
/// # use amiko_core::{effect::Effect, prelude::*};
/// use amiko_runtime::{Attempt, Performer};
///
/// # #[derive(Clone, Serializable)]
/// # struct Charge { card: String, cents: u64 }
/// # impl Effect for Charge { type Outcome = String; }
/// # struct Answer { status: u16, text: String }
/// # async fn post(_: &str, _: &str, _: u64) -> std::io::Result<Answer> { Ok(Answer { status: 200, text: "receipt 7".into() }) }
/// struct PaymentService;
///
/// impl Performer<Charge> for PaymentService {
///     async fn perform(&self, charge: Charge, attempt: &Attempt) -> Result<String, Failure> {
///         // A key that the service has seen already tells it that this is a repetition.
///         let answer = post(attempt.key(), &charge.card, charge.cents).await?;
///         match answer.status {
///             200 => Ok(answer.text),
///             402 => Err(Failure::fatal(answer.text)),
///             _ => Err(Failure::retry(answer.text)),
///         }
///     }
/// }
/// ```
pub trait Performer<E: Effect>: Send + Sync + 'static {
    /// Makes one attempt. Any error becomes a [`Failure`] that is tried again, with `?`; so does a panic. An attempt that
    /// takes longer than the effect's [policy](Effect::policy) allows is ended at its next `await`, and the next one isn't made
    /// before: what blocks a thread for long belongs on one of its own.
    ///
    /// It may be called again for an effect that has happened, if the process ended before that was on disk.
    fn perform(&self, effect: E, attempt: &Attempt) -> impl Future<Output = Result<E::Outcome, Failure>> + Send;
}

/// One attempt to perform an effect.
#[derive(Debug, Clone)]
pub struct Attempt {
    key: String,
    number: u32,
    cancelled: watch::Receiver<bool>,
}

impl Attempt {
    /// What the service tells repetitions by: 32 hex digits, the same for each attempt, and unlike those of all other
    /// effects of all nodes.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Which attempt this is, counted from 1. Those that were under way when the process was killed aren't counted.
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// Waits until nobody needs this attempt any more: the effect was cancelled, or its owner is gone, or the node stops. A node that
    /// stops makes another one after its next start: return [`Failure::retry`] then, and nothing final.
    pub async fn cancelled(&self) {
        // Whoever could cancel it is gone.
        drop(self.cancelled.clone().wait_for(|cancelled| *cancelled).await);
    }
}

/// What an ended attempt does to the engine.
pub(crate) type End<N, S> = Box<dyn FnMut(&mut Engine<N, S>, Time) -> Result<Version, EventError> + Send>;

/// An attempt that has ended.
pub(crate) struct Ended<N: Node, S: Store> {
    pub(crate) number: u64,
    pub(crate) end: End<N, S>,
}

/// Begins an attempt, by a performer of any class.
type Begins<N> = Box<dyn Fn(&Pending<N>, Id<Pending<N>>, Attempt) -> Option<JoinHandle<()>> + Send + Sync>;

/// All performers of a node, and the attempts that are under way.
pub(crate) struct Performing<N: Node, S: Store> {
    performers: BTreeMap<&'static str, Begins<N>>,
    pub(crate) calls: Calls,
    under_way: HashMap<u64, (watch::Sender<bool>, JoinHandle<()>)>,
    ended: mpsc::UnboundedSender<Ended<N, S>>,
    pub(crate) inbox: mpsc::UnboundedReceiver<Ended<N, S>>,
    /// The classes without a performer of which there were effects.
    missed: BTreeSet<&'static str>,
}

/// An effect that isn't over.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EffectState {
    /// The text of its ID: its owner's kind and key, and its name.
    pub effect: String,
    /// The name of its class.
    pub class: &'static str,
    /// When it was asked for.
    pub since: Time,
    /// Attempts that have failed.
    pub attempts: u32,
    /// When it is tried next, at the earliest.
    pub next: Time,
    /// Why the last attempt failed.
    pub error: Option<String>,
    /// What it waits for; none if the disk hasn't taken yet what happened to it last.
    pub waits_for: Option<Standing>,
}

impl<N: Node, S: Store> Performing<N, S> {
    pub(crate) fn new() -> Self {
        // It holds one message for each attempt, and those have a limit.
        let (ended, inbox) = mpsc::unbounded_channel();
        let (performers, missed) = (BTreeMap::new(), BTreeSet::new());
        Self { performers, calls: Calls::new(), under_way: HashMap::new(), ended, inbox, missed }
    }

    pub(crate) fn serve<E: Effect>(&mut self, performer: impl Performer<E>, class: &'static str, at_once: usize)
    where
        N: Performs<E>,
        S: 'static,
    {
        let (performer, ended) = (Arc::new(performer), self.ended.clone());
        let begins = move |pending: &Pending<N>, id: Id<Pending<N>>, attempt: Attempt| {
            let effect = N::as_effect(&pending.effect)?.clone();
            let (performer, ended, number) = (Arc::clone(&performer), ended.clone(), pending.number);
            Some(tokio::spawn(async move {
                let outcome = one_attempt(performer, effect, attempt).await;
                crate::observe::attempt(class, outcome.as_ref().err().map(|failure| failure.error.as_str()));
                let end =
                    move |engine: &mut Engine<N, S>, now| engine.performed::<E>(&id, number, outcome.clone(), now);
                // If the loop has ended, so has everything that waits for this.
                drop(ended.send(Ended { number, end: Box::new(end) }));
            }))
        };
        self.performers.insert(class, Box::new(begins));
        self.calls.serve(class, at_once);
    }

    /// Takes over what there is after a restart.
    pub(crate) fn start(&mut self, engine: &Engine<N, S>, now: Time) {
        self.calls.start(engine.effects(), now);
        engine.effects().for_each(|(_, pending)| self.miss(pending));
    }

    /// Says once for each class that nobody performs it.
    fn miss(&mut self, pending: &Pending<N>) {
        let class = pending.effect.class_name();
        if !self.performers.contains_key(class) && self.missed.insert(class) {
            crate::observe::no_performer(class);
        }
    }

    /// The oldest effects that aren't over, at most so many.
    pub(crate) fn states(&self, engine: &Engine<N, S>, most: usize) -> Vec<EffectState> {
        let mut effects: Vec<_> = engine.effects().map(|(id, pending)| (pending.number, id, pending)).collect();
        effects.sort_by_key(|(number, ..)| *number);
        let state = |(number, id, pending): (u64, Id<Pending<N>>, &Pending<N>)| EffectState {
            effect: id.key().clone(),
            class: pending.effect.class_name(),
            since: pending.since,
            attempts: pending.attempts,
            next: pending.next,
            error: pending.error.clone(),
            waits_for: self.calls.standing(number),
        };
        effects.into_iter().take(most).map(state).collect()
    }

    pub(crate) fn handle_output(&mut self, output: &Output<N>, engine: &Engine<N, S>, now: Time) {
        self.calls.handle_output(output, engine, now);
        if let Output::Perform { effect, .. } = output
            && let Some(pending) = engine.effect(effect)
        {
            self.miss(pending);
        }
        if let Output::EffectEnded { number, .. } = output
            && let Some((cancel, _)) = self.under_way.get(number)
        {
            cancel.send_replace(true);
        }
    }

    /// Begins what is due, within bounds.
    pub(crate) fn begin(&mut self, engine: &Engine<N, S>, now: Time) {
        while let Some(Begin { effect, number, .. }) = self.calls.poll(now) {
            let id = Id::new(effect);
            let begun = self.attempt(engine, &id, number);
            if begun.is_none() {
                // It has been cancelled meanwhile.
                self.calls.handle_ended(number);
            }
        }
    }

    fn attempt(&mut self, engine: &Engine<N, S>, id: &Id<Pending<N>>, number: u64) -> Option<()> {
        let pending = engine.effect(id).filter(|pending| pending.number == number)?;
        let (cancel, cancelled) = watch::channel(false);
        let key = pending.key_text();
        let attempt = Attempt { key, number: pending.attempts.saturating_add(1), cancelled };
        let task = self.performers.get(pending.effect.class_name())?(pending, id.clone(), attempt)?;
        self.under_way.insert(number, (cancel, task));
        crate::observe::under_way(|| self.under_way.len());
        Some(())
    }

    /// An attempt has ended, and the engine has been told.
    pub(crate) fn handle_ended(&mut self, number: u64) {
        self.under_way.remove(&number);
        crate::observe::under_way(|| self.under_way.len());
        self.calls.handle_ended(number);
    }

    /// Tells all attempts that nobody needs them any more.
    pub(crate) fn cancel_all(&self) {
        for (cancel, _) in self.under_way.values() {
            cancel.send_replace(true);
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }

    /// How long until an effect is due that isn't yet.
    pub(crate) fn due(&self, now: Time) -> Option<Duration> {
        self.calls.poll_timeout().map(|at| at - now)
    }
}

impl<N: Node, S: Store> Drop for Performing<N, S> {
    fn drop(&mut self) {
        self.under_way.values().for_each(|(_, task)| task.abort());
    }
}

/// One attempt, in a task of its own: a panic ends only that.
async fn one_attempt<E: Effect>(
    performer: Arc<impl Performer<E>>,
    effect: E,
    attempt: Attempt,
) -> Result<E::Outcome, Failure> {
    // Code of the application: a policy that can't be computed is the default one.
    let policy = catch_unwind(AssertUnwindSafe(|| effect.policy())).unwrap_or_default();
    let mut task = AbortOnDrop(tokio::spawn(async move { performer.perform(effect, &attempt).await }));
    match timeout(policy.attempt, &mut task.0).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => Err(Failure::retry(match error.try_into_panic() {
            Ok(panic) => format!("its performer panicked: {}", crate::running::text(&*panic)),
            Err(_) => "its performer was aborted".to_owned(),
        })),
        Err(_) => {
            // It ends at its next `await`: until then the next attempt would be under way beside it.
            task.0.abort();
            drop((&mut task.0).await);
            Err(Failure::retry(format!("expected an answer within {:?}, found none", policy.attempt)))
        }
    }
}

/// A task that ends with whoever waits for it.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
