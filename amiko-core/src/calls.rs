//! Which effects are performed now: those that are due, in their order, so many at a time, and no owner before all others.
//!
//! It calls nobody: a runtime does, and `sim` with services that a test makes up, and both ask here what to begin. Invariant: an
//! effect that isn't on disk never begins; and of one effect, no two attempts are under way.

use crate::dispatcher::Pending;
use crate::effect::EffectSet;
use crate::engine::Engine;
use crate::event::Output;
use crate::machine::Node;
use crate::store::Store;
use crate::time::Time;
use crate::tree::Id;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

/// The attempts that are under way, and the effects that wait for theirs.
#[derive(Debug, Default)]
pub struct Calls {
    /// By number.
    known: HashMap<u64, Known>,
    /// When those are due that aren't yet.
    later: BTreeSet<(Time, u64)>,
    classes: BTreeMap<&'static str, Class>,
}

/// An attempt that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Begin {
    /// The text of the effect's ID.
    pub effect: String,
    /// Its number.
    pub number: u64,
}

/// What an effect waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// The answer to an attempt.
    Answer,
    /// The time of its next attempt.
    Time,
    /// Its turn: others of its class are under way, or, in a class that is performed in order, one of its owner comes first.
    Turn,
    /// Somebody who performs its class.
    Performer,
}

impl Standing {
    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Time => "time",
            Self::Turn => "turn",
            Self::Performer => "performer",
        }
    }
}

#[derive(Debug)]
struct Known {
    /// The text of its ID.
    effect: String,
    class: &'static str,
    owner: String,
    /// Attempts that had failed.
    attempts: u32,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Later(Time),
    Ready,
    /// Its attempt has ended, and what follows isn't on disk yet, or it is under way.
    Begun,
}

/// The effects of one class.
#[derive(Debug, Default)]
struct Class {
    /// Attempts at a time; none while nobody performs the class.
    at_once: usize,
    under_way: BTreeSet<u64>,
    /// Those that are due, by owner.
    ready: HashMap<String, Ready>,
    /// Owners, each once: whoever had a turn goes to the end. One whose first effect can't begin leaves, and is back when that has
    /// ended.
    turns: VecDeque<String>,
    /// For a class that is performed in order: all of each owner.
    in_order: HashMap<String, BTreeSet<u64>>,
    /// The owners of those that are over, or were cancelled, before their attempts have ended.
    leaving: HashMap<u64, String>,
}

/// The effects of an owner that are due.
#[derive(Debug, Default)]
struct Ready {
    numbers: BTreeSet<u64>,
    /// Whether the owner waits for its turn.
    queued: bool,
}

impl Calls {
    /// Nothing is performed yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on somebody performs the effects of this class, at most so many at a time, at least one.
    pub fn serve(&mut self, class: &'static str, at_once: usize) {
        let class = self.classes.entry(class).or_default();
        class.at_once = at_once.max(1);
        let mut owners: Vec<_> =
            class.ready.iter().map(|(owner, it)| (it.numbers.first().copied(), owner.clone())).collect();
        owners.sort();
        owners.iter().for_each(|(_, owner)| class.queue(owner));
    }

    /// Takes over what there is after a restart: [`Engine::effects`].
    pub fn start<'e, N: Node>(&mut self, effects: impl Iterator<Item = (Id<Pending<N>>, &'e Pending<N>)>, now: Time) {
        let mut effects: Vec<_> = effects.collect();
        // The oldest first, so that their owners have the first turns.
        effects.sort_by_key(|(_, pending)| pending.number);
        for (effect, pending) in effects {
            self.take(&effect, pending, now);
        }
    }

    /// A released output: those about effects are handled, others ignored.
    pub fn handle_output<N: Node, S: Store>(&mut self, output: &Output<N>, engine: &Engine<N, S>, now: Time) {
        match output {
            Output::Perform { effect, number } => {
                // Another one that has its name by now has an output of its own.
                if let Some(pending) = engine.effect(effect).filter(|pending| pending.number == *number) {
                    self.take(effect, pending, now);
                }
            }
            Output::EffectEnded { number, .. } => self.forget(*number),
            _ => {}
        }
    }

    fn take<N: Node>(&mut self, effect: &Id<Pending<N>>, pending: &Pending<N>, now: Time) {
        let (number, attempts) = (pending.number, pending.attempts);
        // It may be told of more than once: after a start, and when its commit is on disk.
        if self.known.get(&number).is_some_and(|known| known.state == State::Begun && known.attempts == attempts) {
            return;
        }
        self.drop_entry(number);
        let class = pending.effect.class_name();
        let owner = owner(effect.key());
        if pending.effect.is_ordered() {
            let class = self.classes.entry(class).or_default();
            class.in_order.entry(owner.clone()).or_default().insert(number);
        }
        let state = State::Later(pending.next);
        self.known.insert(number, Known { effect: effect.key().clone(), class, owner, attempts, state });
        self.later.insert((pending.next, number));
        self.wake(now);
    }

    fn forget(&mut self, number: u64) {
        let Some(Known { class, owner, .. }) = self.drop_entry(number) else { return };
        let Some(class) = self.classes.get_mut(class) else { return };
        if class.under_way.contains(&number) {
            // Those after it wait for the end of its attempt.
            class.leaving.insert(number, owner);
        } else {
            class.leave(&owner, number);
        }
    }

    /// Takes it out of those that are due, now or later.
    fn drop_entry(&mut self, number: u64) -> Option<Known> {
        let known = self.known.remove(&number)?;
        if let State::Later(at) = known.state {
            self.later.remove(&(at, number));
        }
        if let Some(class) = self.classes.get_mut(known.class)
            && let Some(ready) = class.ready.get_mut(&known.owner)
        {
            ready.numbers.remove(&number);
            if ready.numbers.is_empty() && !ready.queued {
                class.ready.remove(&known.owner);
            }
        }
        Some(known)
    }

    /// What was to wait until now may begin.
    fn wake(&mut self, now: Time) {
        while let Some(&(at, number)) = self.later.first().filter(|(at, _)| *at <= now) {
            self.later.remove(&(at, number));
            let Some(known) = self.known.get_mut(&number) else { continue };
            known.state = State::Ready;
            let class = self.classes.entry(known.class).or_default();
            class.ready.entry(known.owner.clone()).or_default().numbers.insert(number);
            class.queue(&known.owner);
        }
    }

    /// The next attempt to begin.
    pub fn poll(&mut self, now: Time) -> Option<Begin> {
        self.wake(now);
        let (class, number) = self.classes.iter_mut().find_map(|(name, class)| Some((*name, class.next()?)))?;
        let known = self.known.get_mut(&number)?;
        debug_assert_eq!(known.class, class);
        known.state = State::Begun;
        Some(Begin { effect: known.effect.clone(), number })
    }

    /// An attempt is no longer under way; what came of it has been told to the engine.
    pub fn handle_ended(&mut self, number: u64) {
        for class in self.classes.values_mut() {
            class.under_way.remove(&number);
            if let Some(owner) = class.leaving.remove(&number) {
                class.leave(&owner, number);
            }
        }
        if let Some(Known { class, owner, .. }) = self.known.get(&number)
            && let Some(class) = self.classes.get_mut(class)
        {
            class.queue(owner);
        }
    }

    /// When an effect is due next that isn't yet.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.later.first().map(|(at, _)| *at)
    }

    /// What the effect of this number waits for; none if it isn't on disk yet, or is over.
    pub fn standing(&self, number: u64) -> Option<Standing> {
        let known = self.known.get(&number)?;
        let class = self.classes.get(known.class);
        Some(match known.state {
            _ if class.is_none_or(|class| class.at_once == 0) => Standing::Performer,
            State::Begun => Standing::Answer,
            State::Later(_) => Standing::Time,
            State::Ready => Standing::Turn,
        })
    }

    /// The attempts that are under way.
    pub fn under_way(&self) -> usize {
        self.classes.values().map(|class| class.under_way.len()).sum()
    }
}

impl Class {
    /// Gives an owner a turn, if it has an effect that is due and somebody performs the class.
    fn queue(&mut self, owner: &str) {
        if self.at_once > 0
            && let Some(ready) = self.ready.get_mut(owner).filter(|ready| !ready.queued)
        {
            ready.queued = true;
            self.turns.push_back(owner.to_owned());
        }
    }

    /// An effect is in nobody's way any more.
    fn leave(&mut self, owner: &str, number: u64) {
        if let Some(all) = self.in_order.get_mut(owner) {
            all.remove(&number);
            if all.is_empty() {
                self.in_order.remove(owner);
            }
        }
        self.queue(owner);
    }

    /// The next one to begin, if there is room.
    fn next(&mut self) -> Option<u64> {
        while self.under_way.len() < self.at_once {
            let owner = self.turns.pop_front()?;
            let Some(ready) = self.ready.get_mut(&owner) else { continue };
            ready.queued = false;
            let Some(&first) = ready.numbers.first() else {
                // Nothing of it is due any more.
                self.ready.remove(&owner);
                continue;
            };
            // In order, only the first of all may begin, and that may be waiting for its next attempt.
            let held = self.in_order.get(&owner).is_some_and(|all| all.first() != Some(&first));
            if held || self.under_way.contains(&first) {
                continue;
            }
            ready.numbers.remove(&first);
            if ready.numbers.is_empty() {
                self.ready.remove(&owner);
            }
            self.queue(&owner);
            self.under_way.insert(first);
            return Some(first);
        }
        None
    }
}

/// The `kind/key` of an effect's ID.
fn owner(effect: &str) -> String {
    let end = effect.match_indices('/').nth(1).map_or(effect.len(), |(at, _)| at);
    effect.get(..end).unwrap_or(effect).to_owned()
}
