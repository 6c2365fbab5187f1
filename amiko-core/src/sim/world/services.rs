//! Services that the nodes of a world call, what can go wrong on the way to them and back, and the promises about effects.
//!
//! Invariant: a service hears of an effect only by a call of a node that is up, with that effect's key; and what a node is told
//! came of a call is what the service said, or that no answer came in time.

use super::{SimEngine, World};
use crate::calls::{Begin, Calls};
use crate::conversation::Protocol;
use crate::dispatcher::Pending;
use crate::effect::{Effect, EffectSet, Failure};
use crate::engine::EventError;
use crate::event::Output;
use crate::machine::{Node, Performs};
use crate::sim::trace::Happening;
use crate::sim::{FaultKind, NodeIndex};
use crate::time::Time;
use crate::tree::{Id, Tree};
use crate::version::Version;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

/// A call of a service of a world.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Call {
    /// Who calls.
    pub node: NodeIndex,
    /// The text of the effect's ID.
    pub effect: String,
    /// What the service tells repetitions by: 32 hex digits.
    pub key: String,
    /// Which attempt this is, counted from 1.
    pub attempt: u32,
    /// The time of the world.
    pub now: Time,
}

/// What a service of a world was called for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Called {
    /// Who has called.
    pub node: NodeIndex,
    /// The text of the effect's ID.
    pub effect: String,
    /// How often the service has heard of it.
    pub times: u64,
}

type Tell<N> = dyn Fn(&mut SimEngine<N>, &Attempt<N>, Time) -> Result<Version, EventError>;

/// What a node is told of an attempt.
struct Answer<N: Node> {
    /// Tells its engine.
    tell: Rc<Tell<N>>,
    happened: bool,
    /// For the trace.
    text: String,
}

/// What a service answers to a call.
type Service<N> = Box<dyn FnMut(&<N as Tree>::Effects, &Call) -> Option<Answer<N>>>;

/// An attempt that a process of a node has begun.
struct Attempt<N: Node> {
    node: NodeIndex,
    /// Which of the node's processes.
    process: u64,
    effect: Id<Pending<N>>,
    number: u64,
    key: String,
    attempt: u32,
    /// Which attempt of the world this is.
    serial: u64,
    call: N::Effects,
}

/// What comes of an attempt.
enum Coming<N: Node> {
    /// It arrives at the service.
    Request,
    /// The service's answer arrives at the node.
    Answer(Answer<N>),
    /// The node waits no longer.
    TimeOut,
}

/// An attempt, and what comes of it.
type UnderWay<N> = (Rc<Attempt<N>>, Coming<N>);

/// The services of a world, the calls that are under way, and what is known of those that have been.
pub(super) struct Services<N: Node> {
    services: BTreeMap<&'static str, (usize, Service<N>)>,
    coming: BTreeMap<(Time, u64), UnderWay<N>>,
    /// How many were ever under way.
    number: u64,
    called: BTreeMap<String, Called>,
    /// The keys of effects of which an attempt has begun, by node; and those whose owner has heard what came of them, in
    /// memory and on disk.
    begun: BTreeMap<String, NodeIndex>,
    heard: BTreeSet<String>,
    over: BTreeSet<String>,
    /// The keys that a node that is down has to know when it is up again.
    to_be_there: BTreeMap<NodeIndex, BTreeMap<String, String>>,
    broken: Option<String>,
}

impl<N: Node> Default for Services<N> {
    fn default() -> Self {
        Self {
            services: BTreeMap::new(),
            coming: BTreeMap::new(),
            number: 0,
            called: BTreeMap::new(),
            begun: BTreeMap::new(),
            heard: BTreeSet::new(),
            over: BTreeSet::new(),
            to_be_there: BTreeMap::new(),
            broken: None,
        }
    }
}

/// The effects that a process performs.
pub(super) struct Calling {
    calls: Calls,
    /// Which process of its node this is.
    process: u64,
    /// Whether one of them may have become due since it was last looked at.
    pub(super) due: bool,
    /// The keys of the attempts that it has begun, by the effects' numbers.
    keys: BTreeMap<u64, String>,
    /// The attempts that are under way, by the effects' numbers.
    under_way: BTreeMap<u64, u64>,
}

impl Calling {
    fn is_under_way<N: Node>(&self, attempt: &Attempt<N>) -> bool {
        self.process == attempt.process && self.under_way.get(&attempt.number) == Some(&attempt.serial)
    }
}

/// How long a call takes to the service, and as long back, at the most.
const WAY: u64 = 400;

impl<P: Protocol> World<P> {
    /// Gives all nodes a service for the effects of a class, which performs at most so many of each node at a time.
    ///
    /// It is called when a call arrives, which may be more than once, and after the node has gone down. If the answer is lost,
    /// or the call, the attempt fails when its time is over: [`FaultKind::LostCall`], [`FaultKind::LostAnswer`],
    /// [`FaultKind::RepeatedCall`]. What else a service does wrong it does itself. Give it to the world before the nodes.
    pub fn performer<E: Effect>(
        &mut self,
        at_once: usize,
        mut service: impl FnMut(&E, &Call) -> Result<E::Outcome, Failure> + 'static,
    ) where
        P::Node: Performs<E>,
        E::Outcome: 'static,
    {
        let serve = move |effects: &<P::Node as Tree>::Effects, call: &Call| {
            let outcome = service(<P::Node as Performs<E>>::as_effect(effects)?, call);
            let (happened, text) = match &outcome {
                Ok(_) => (true, "done".into()),
                Err(failure) => (false, failure.to_string()),
            };
            let tell = move |engine: &mut SimEngine<P::Node>, attempt: &Attempt<P::Node>, now: Time| {
                engine.performed::<E>(&attempt.effect, attempt.number, outcome.clone(), now)
            };
            Some(Answer { tell: Rc::new(tell), happened, text })
        };
        self.services.services.insert(<P::Node as Performs<E>>::CLASS, (at_once, Box::new(serve)));
    }

    /// The calls that services have heard, by their keys.
    pub fn called(&self) -> &BTreeMap<String, Called> {
        &self.services.called
    }

    /// A promise that was broken, if one was: something has left a node of which a restart knows nothing; a service has heard
    /// of an effect that its node doesn't know; an owner has heard twice what came of one; one is there again after its end was
    /// on disk; or the key of one has changed. A [`Swarm`](crate::sim::Swarm) looks at it after each scenario.
    pub fn broken_promise(&self) -> Option<&str> {
        self.services.broken.as_deref()
    }

    pub(super) fn promise_is_broken(&mut self, text: String) {
        self.services.broken.get_or_insert(text);
    }

    /// Begins to perform what a process of a node has.
    pub(super) fn start_calling(&mut self, node: NodeIndex) {
        self.see_that_all_are_there(node);
        let now = self.clock(node);
        self.services.number += 1;
        let mut calls = Calls::new();
        for (class, (at_once, _)) in &self.services.services {
            calls.serve(class, *at_once);
        }
        let process = self.services.number;
        let host = self.host_mut(node);
        if let Some(engine) = &host.engine {
            calls.start(engine.effects(), now);
            host.calling =
                Some(Calling { calls, process, due: true, keys: BTreeMap::new(), under_way: BTreeMap::new() });
        }
    }

    /// A process of a node ends: what it has begun must be known to the next one.
    pub(super) fn stop_calling(&mut self, node: NodeIndex) {
        let host = &mut self.hosts[node];
        host.calling = None;
        // One that couldn't be started leaves what is expected of it as it was.
        let Some(engine) = &host.engine else { return };
        let begun = engine.effects().map(|(id, pending)| (pending.key_text(), id.to_string()));
        let begun = begun.filter(|(key, _)| self.services.begun.contains_key(key)).collect();
        self.services.to_be_there.insert(node, begun);
    }

    /// The disk of a node is another one, and nothing is expected of it.
    pub(super) fn expect_no_effects(&mut self, node: NodeIndex) {
        self.services.to_be_there.remove(&node);
        let services = &mut self.services;
        let of_others = |key: &String| services.begun.get(key) != Some(&node);
        services.over.retain(of_others);
        services.heard.retain(of_others);
    }

    fn see_that_all_are_there(&mut self, node: NodeIndex) {
        let services = &mut self.services;
        let Some(engine) = &self.hosts[node].engine else { return };
        let there: BTreeSet<String> = engine.effects().map(|(_, pending)| pending.key_text()).collect();
        for (key, effect) in services.to_be_there.remove(&node).unwrap_or_default() {
            if !there.contains(&key) && services.called.contains_key(&key) {
                let text = format!(
                    "a service has heard of the {effect} of node {node}, key {key}, and the node has forgotten it"
                );
                services.broken.get_or_insert(text);
            }
        }
        for key in &there {
            // What wasn't on disk has to be heard again.
            services.heard.remove(key);
            if services.over.contains(key) {
                let text = format!("the effect with key {key} of node {node} was over, on disk, and is there again");
                services.broken.get_or_insert(text);
            }
        }
    }

    /// An output of a node, on disk by now.
    pub(super) fn hear_of_effects(&mut self, node: NodeIndex, output: &Output<P::Node>) {
        if !matches!(output, Output::Perform { .. } | Output::EffectEnded { .. }) {
            return;
        }
        let now = self.clock(node);
        let host = &mut self.hosts[node];
        let (Some(engine), Some(calling)) = (&host.engine, &mut host.calling) else { return };
        calling.calls.handle_output(output, engine, now);
        calling.due = true;
        if let Output::EffectEnded { number, .. } = output
            && let Some(key) = calling.keys.get(number)
        {
            self.services.over.insert(key.clone());
        }
    }

    /// When a node has effects to look after.
    pub(super) fn calls_due(&self, node: NodeIndex) -> Option<Time> {
        let host = self.hosts.get(node).filter(|host| !host.silent)?;
        let calling = host.calling.as_ref()?;
        if calling.due { Some(self.now) } else { host.clock.shows(calling.calls.poll_timeout()?) }
    }

    /// Begins the attempts of a node that are due.
    pub(super) fn call(&mut self, node: NodeIndex) {
        let now = self.clock(node);
        loop {
            let host = &mut self.hosts[node];
            let (Some(engine), Some(calling)) = (&host.engine, &mut host.calling) else { return };
            calling.due = false;
            let Some(Begin { effect, number, .. }) = calling.calls.poll(now) else { return };
            let effect = Id::new(effect);
            let Some(pending) = engine.effect(&effect).filter(|pending| pending.number == number) else {
                calling.calls.handle_ended(number);
                continue;
            };
            let (key, attempt, process) = (pending.key_text(), pending.attempts.saturating_add(1), calling.process);
            let (call, time_out) = (pending.effect.clone(), pending.effect.policy().attempt);
            calling.keys.insert(number, key.clone());
            self.services.number += 1;
            let serial = self.services.number;
            calling.under_way.insert(number, serial);
            let attempt = Rc::new(Attempt { node, process, effect, number, key, attempt, serial, call });
            self.begin(attempt, time_out);
        }
    }

    fn begin(&mut self, attempt: Rc<Attempt<P::Node>>, time_out: Duration) {
        let key = attempt.key.clone();
        if self.services.begun.insert(key.clone(), attempt.node).is_none() && attempt.attempt > 1 {
            let Attempt { node, effect, attempt: number, .. } = &*attempt;
            let text =
                format!("attempt {number} of the {effect} of node {node} has a key that no other attempt had: {key}");
            self.services.broken.get_or_insert(text);
        }
        let end = self.now + time_out;
        if !self.meets(FaultKind::LostCall) {
            self.come(Duration::ZERO, &attempt, Coming::Request);
        }
        if self.meets(FaultKind::RepeatedCall) {
            // It may come when all is over.
            self.come(time_out, &attempt, Coming::Request);
        }
        self.services.number += 1;
        self.services.coming.insert((end, self.services.number), (attempt, Coming::TimeOut));
    }

    /// Whether a fault that meets calls meets one now.
    fn meets(&mut self, kind: FaultKind) -> bool {
        let chance = self.faults.as_ref().map_or(0, |faults| faults.chance(kind));
        let met = chance > 0 && self.disturbances < self.limit && self.random.below(10_000) < chance;
        if met {
            self.disturbances += 1;
            *self.counts.entry(kind).or_default() += 1;
        }
        met
    }

    fn come(&mut self, later: Duration, attempt: &Rc<Attempt<P::Node>>, what: Coming<P::Node>) {
        let at = self.now + later + Duration::from_millis(1 + self.random.below(WAY));
        self.services.number += 1;
        self.services.coming.insert((at, self.services.number), (Rc::clone(attempt), what));
    }

    /// When the next of them comes. A node that does nothing for a while hears nothing either.
    pub(super) fn next_coming(&self) -> Option<(Time, u64)> {
        let hears =
            |attempt: &Attempt<_>, coming: &_| matches!(coming, Coming::Request) || !self.host(attempt.node).silent;
        self.services.coming.iter().find(|(_, (attempt, coming))| hears(attempt, coming)).map(|(at, _)| *at)
    }

    pub(super) fn comes(&mut self, at: (Time, u64)) {
        let Some((attempt, coming)) = self.services.coming.remove(&at) else { return };
        match coming {
            Coming::Request => self.serve(&attempt),
            Coming::Answer(answer) => self.answer(&attempt, answer),
            Coming::TimeOut => {
                if self.waits(&attempt) {
                    let failure = Failure::retry("expected an answer in time, found none");
                    let tell = move |engine: &mut SimEngine<_>, attempt: &Attempt<_>, now| {
                        engine.effect_failed(&attempt.effect, attempt.number, failure.clone(), now)
                    };
                    let answer = Answer { tell: Rc::new(tell), happened: false, text: "time-out".into() };
                    self.answer(&attempt, answer);
                }
            }
        }
    }

    /// A call arrives at its service.
    fn serve(&mut self, attempt: &Rc<Attempt<P::Node>>) {
        let (node, key, effect) = (attempt.node, attempt.key.clone(), attempt.effect.to_string());
        let called = self.services.called.entry(key.clone());
        called.or_insert_with(|| Called { node, effect: effect.clone(), times: 0 }).times += 1;
        let call = Call { node, effect: effect.clone(), key, attempt: attempt.attempt, now: self.now };
        let Some((_, service)) = self.services.services.get_mut(attempt.call.class_name()) else { return };
        let Some(answer) = service(&attempt.call, &call) else { return };
        self.note(Happening::Called { node, effect, attempt: attempt.attempt, said: answer.text.clone() });
        if !self.meets(FaultKind::LostAnswer) {
            self.come(Duration::ZERO, attempt, Coming::Answer(answer));
        }
    }

    fn waits(&self, attempt: &Attempt<P::Node>) -> bool {
        self.host(attempt.node).calling.as_ref().is_some_and(|calling| calling.is_under_way(attempt))
    }

    /// What came of an attempt arrives at its node, if the process that made it is still there. That it happened is told even if
    /// it is repeated, or came too late: an engine has to bear that.
    fn answer(&mut self, attempt: &Attempt<P::Node>, Answer { tell, happened, text }: Answer<P::Node>) {
        let node = attempt.node;
        let host = self.host(node);
        let (Some(engine), Some(calling)) = (&host.engine, &host.calling) else { return };
        let under_way = calling.is_under_way(attempt);
        if calling.process != attempt.process || !(under_way || happened) {
            return;
        }
        let version = engine.version();
        let effect = attempt.effect.to_string();
        self.note(Happening::Answered { node, effect, attempt: attempt.attempt, said: text });
        // Rejections are noted by the engine.
        drop(self.input(node, |engine, now| tell(engine, attempt, now)));
        let host = self.host_mut(node);
        if let Some(calling) = host.calling.as_mut().filter(|_| under_way) {
            calling.calls.handle_ended(attempt.number);
            calling.under_way.remove(&attempt.number);
            calling.due = true;
        }
        let told = host.engine.as_ref().is_some_and(|engine| engine.version() > version);
        if happened && told && !self.services.heard.insert(attempt.key.clone()) {
            let Attempt { effect, key, .. } = attempt;
            let text = format!("the owner of the {effect} of node {node}, key {key}, has heard twice what came of it");
            self.services.broken.get_or_insert(text);
        }
    }
}
